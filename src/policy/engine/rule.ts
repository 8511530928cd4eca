/** A rule as the engine runs it: matchers for subject, target and action, compiled once when the set is loaded. */
import type { RuleId } from "../../core/decision.ts";
import type { Identity, SubjectKind } from "../../core/identity.ts";
import type {
  Alert,
  LimitObligation,
  MaskTransform,
  Predicates,
  RecordKind,
  Requirement,
  SessionObligation,
} from "../../core/obligation.ts";
import type { AccessClass } from "../../core/operation.ts";
import type { TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { ArgvList } from "./argv.ts";
import type { Condition } from "../language/condition.ts";
import type { ContainsList } from "./contains.ts";
import type { FieldsList } from "./fields.ts";
import type { NameList } from "./names.ts";
import type { Window } from "../language/window.ts";

/** What a rule says of who asks; null: it does not say. Keys are ANDed. */
export type SubjectMatcher = {
  readonly names: NameList | null;
  /** Ids as the identity provider sends them. */
  readonly groups: ReadonlySet<string> | null;
  readonly kinds: ReadonlySet<SubjectKind> | null;
  readonly owners: NameList | null;
};

export type TargetMatcher = {
  readonly names: NameList | null;
  readonly labels: readonly { readonly key: string; readonly values: ReadonlySet<string> }[];
};

/** Compares the values of a fact with those that a rule lists. May throw when a value cannot be looked at. */
export interface ValueMatcher {
  /** What is listed, as people read it. */
  readonly texts: readonly string[];
  /** True when every value is listed: the polarity of permits. False for no values at all. */
  hasEvery(values: readonly string[]): boolean;
  /** True when some value is listed: the polarity of guards. */
  hasAny(values: readonly string[]): boolean;
}

/** One key of an adapter's vocabulary with the values that a rule lists. */
export type KeyMatcher =
  /** Keys of the kinds enum, names and path. */
  | { readonly key: string; readonly kind: "names"; readonly names: NameList }
  | { readonly key: string; readonly kind: "flag"; readonly value: boolean }
  | { readonly key: string; readonly kind: "argv"; readonly argv: ArgvList }
  | { readonly key: string; readonly kind: "contains"; readonly texts: ContainsList }
  | { readonly key: string; readonly kind: "fields"; readonly fields: FieldsList };

/** One block of an action, about one adapter. Classes and keys are ANDed. */
export type Block = {
  readonly classes: ReadonlySet<AccessClass> | null;
  readonly keys: readonly KeyMatcher[];
  /** Those of `keys` whose facts are the same for all of a session. */
  readonly sessionKeys: readonly KeyMatcher[];
  /** Keys that the vocabulary wants named and this block does not name: a permit's block covers no access that has one. */
  readonly unnamedKeys: readonly string[];
};

/** Blocks about each adapter, ORed; none for an adapter that the action does not speak of. */
export type Blocks = ReadonlyMap<string, readonly Block[]>;

/** A mask as a rule says it; where it says nothing of what is masked, it covers the columns that the action matched. */
export type RuleMask = {
  readonly columns: NameList | null;
  readonly fields: NameList | null;
  readonly classifiers: readonly string[];
  readonly patterns: readonly string[];
  readonly transform: MaskTransform;
  readonly predicates: Predicates | null;
};

/** As written in one rule. */
export type RuleObligations = {
  readonly limit: LimitObligation | null;
  readonly masks: readonly RuleMask[];
  readonly record: readonly RecordKind[];
  readonly session: SessionObligation | null;
  readonly alert: readonly Alert[];
};

/** Where a guard does not apply. All parts must hold for sure; a part that is null always does. */
export type Exception = {
  /** Of a named one in the vocabulary. */
  readonly name: string | null;
  readonly subject: SubjectMatcher;
  readonly target: TargetMatcher;
  readonly blocks: Blocks | null;
  /** Only while a grant for this permit is active, and where that permit matches. */
  readonly grant: RuleId | null;
  readonly condition: Condition | null;
  /** Only where the guard would apply through what is unknown alone. */
  readonly unread: boolean;
  readonly validUntilMs: TimeMs;
  readonly reason: string;
};

type RuleBase = {
  readonly id: RuleId;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly description: string | null;
  readonly contact: string | null;
  readonly subject: SubjectMatcher;
  readonly target: TargetMatcher;
  readonly blocks: Blocks;
  readonly window: Window | null;
  readonly condition: Condition | null;
  /** -Infinity and Infinity when the rule does not say. Valid from `validFromMs` on and before `validUntilMs`. */
  readonly validFromMs: TimeMs;
  readonly validUntilMs: TimeMs;
};

export type PermitRule = RuleBase & {
  readonly effect: "permit";
  readonly allowOpaque: boolean;
  /** The permit sleeps until a grant wakes it. */
  readonly activation: { readonly maxDurationMs: number; readonly requirements: readonly Requirement[] } | null;
  readonly obligations: RuleObligations | null;
  /** Lower-case hex SHA-256 of what the rule was compiled from; a grant for another digest is dead. */
  readonly digest: string;
};

export type GuardRule = RuleBase & {
  readonly effect: "guard";
  readonly mode: "enforce" | "observe";
  readonly except: readonly Exception[];
  readonly consequence:
    | { readonly kind: "deny"; readonly message: string }
    | { readonly kind: "require"; readonly requirements: readonly Requirement[] }
    | { readonly kind: "oblige"; readonly obligations: RuleObligations };
};

export type Rule = PermitRule | GuardRule;

/** What a rule obliges; nothing for a guard that denies or requires. */
export function ruleObligations(rule: Rule): RuleObligations | null {
  if (rule.effect === "permit") return rule.obligations;
  return rule.consequence.kind === "oblige" ? rule.consequence.obligations : null;
}

/** What a guard requires before an operation may run; what wakes a permit is asked for apart from any operation. */
export function requirementsOf(rule: Rule): readonly Requirement[] {
  return rule.effect === "guard" && rule.consequence.kind === "require" ? rule.consequence.requirements : [];
}

export function subjectMatches(matcher: SubjectMatcher, identity: Identity): boolean {
  if (matcher.kinds !== null && !matcher.kinds.has(identity.kind)) return false;
  if (matcher.names !== null && !matcher.names.has(identity.subject)) return false;
  if (matcher.groups !== null && !anyIn(identity.groups, matcher.groups)) return false;
  if (matcher.owners === null) return true;
  // Who has no owner is in no list of owners.
  return identity.owner !== undefined && matcher.owners.has(identity.owner);
}

export function targetMatches(matcher: TargetMatcher, target: Pick<Target, "name" | "labels">): boolean {
  if (matcher.names !== null && !matcher.names.has(target.name)) return false;
  return matcher.labels.every(({ key, values }) => {
    const value = Object.hasOwn(target.labels, key) ? target.labels[key] : undefined;
    return value !== undefined && values.has(value);
  });
}

function anyIn(names: readonly string[], set: ReadonlySet<string>): boolean {
  for (const name of names) if (set.has(name)) return true;
  return false;
}
