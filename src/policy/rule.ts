/** A rule as the engine runs it: matchers for subject, target and action, compiled once when the set is loaded. */
import type { Decision } from "../core/decision.ts";
import type { Identity, SubjectKind } from "../core/identity.ts";
import type { AccessClass } from "../core/operation.ts";
import type { TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import type { NameList } from "./names.ts";

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

/** One key of an adapter's vocabulary with the values that a rule lists. */
export type KeyMatcher =
  | { readonly key: string; readonly kind: "names"; readonly names: NameList }
  | { readonly key: string; readonly kind: "flag"; readonly value: boolean };

/** One block of an action, about one adapter. Classes and keys are ANDed. */
export type Block = {
  readonly classes: ReadonlySet<AccessClass> | null;
  readonly keys: readonly KeyMatcher[];
  /** Those of `keys` whose facts are the same for all of a session. */
  readonly sessionKeys: readonly KeyMatcher[];
  /** Keys that the vocabulary wants named and this block does not name: a permit's block covers no access that has one. */
  readonly unnamedKeys: readonly string[];
};

type RuleBase = {
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly contact: string | null;
  readonly subject: SubjectMatcher;
  readonly target: TargetMatcher;
  /** Blocks about each adapter, ORed; none for an adapter that the action does not speak of. */
  readonly blocks: ReadonlyMap<string, readonly Block[]>;
  /** -Infinity and Infinity when the rule does not say. Valid from `validFromMs` on and before `validUntilMs`. */
  readonly validFromMs: TimeMs;
  readonly validUntilMs: TimeMs;
};

export type PermitRule = RuleBase & {
  readonly effect: "permit";
  readonly allowOpaque: boolean;
  /** The decision when this permit alone carries an operation; shared, so that callers can cache by it. */
  readonly decision: Extract<Decision, { kind: "permit" }>;
};

export type GuardRule = RuleBase & { readonly effect: "deny"; readonly message: string };

export type Rule = PermitRule | GuardRule;

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
