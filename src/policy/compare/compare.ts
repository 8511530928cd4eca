/** What a change of policy does to one decision: wider, narrower, or other approvals, masks and limits. */
import type { Decision } from "../../core/decision.ts";
import type { MaskObligation, MaskTransform, Obligations, Requirement } from "../../core/obligation.ts";
import { joinObligations, joinPredicates, joinRequirements, joinTransforms } from "../engine/merge.ts";
import { differingRequirements, differingWords, requirementWords, transformWords } from "../engine/obligation-words.ts";
import type { GroupNames } from "../engine/obligation-words.ts";
import { formatDuration } from "../language/quantity.ts";
import type { PermitRule } from "../engine/rule.ts";

/** access: refused before and not now, or the other way round. The others: not refused, before or now, but otherwise. */
export const CHANGE_KINDS = ["access", "approval", "mask", "limit", "session", "record", "alert"] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

export type Change = {
  readonly kind: ChangeKind;
  /** The new decision is not at least as strict as the old one. */
  readonly widens: boolean;
  /** In words: `hash`, `rows 1000`, `nothing`. */
  readonly was: string;
  readonly is: string;
  /** What is masked otherwise: columns, fields, classifiers. Empty for other kinds. */
  readonly names: readonly string[];
};

/** Words that the sets do not mean alike. */
export type ComparedWords = {
  /** What rules call groups, by id. */
  readonly groups: GroupNames;
  /** Names of author patterns that look for something else than they did. */
  readonly changedPatterns: ReadonlySet<string>;
};

type Activation = NonNullable<PermitRule["activation"]>;
type Granting = Exclude<Decision, { readonly kind: "deny" }>;

const IN_CLEAR = "in clear";
const AS_IT_WAS = " as it was";
const NO_NAMES: readonly string[] = [];

/**
 * Every way in which the new decision differs; none when it obliges and asks for the same. Which rules decide, and
 * what a refused client is told, is no difference.
 */
export function compareDecisions(was: Decision, is: Decision, words: ComparedWords): readonly Change[] {
  if (was.kind === "deny" || is.kind === "deny") {
    if (was.kind === is.kind) return [];
    const [old, young] = [wordsOf(was, words.groups), wordsOf(is, words.groups)];
    return [{ kind: "access", widens: was.kind === "deny", was: old, is: young, names: NO_NAMES }];
  }
  const approval = compareRequirements(requirementsOf(was), requirementsOf(is), words);
  const obligations = compareObligations(was.obligations, is.obligations, words);
  return approval === null ? obligations : [approval, ...obligations];
}

/** Null when both ask for the same, whichever rules do. */
function compareRequirements(
  was: readonly Requirement[],
  is: readonly Requirement[],
  { groups, changedPatterns }: ComparedWords,
): Change | null {
  if (was.length === 0 && is.length === 0) return null;
  const old = joinRequirements(
    was.map((each) => asItWas(ruleless(each), changedPatterns)),
    [],
  );
  const young = joinRequirements(is.map(ruleless), []);
  if (same(old, young)) return null;
  const widens = !same(joinRequirements(old, young), young);
  return { kind: "approval", widens, ...differingRequirements(old, young, groups), names: NO_NAMES };
}

/** What changed of the grants that wake a permit. */
export function compareActivations(was: Activation, is: Activation, words: ComparedWords): readonly Change[] {
  const approval = compareRequirements(was.requirements, is.requirements, words);
  const changes = approval === null ? [] : [approval];
  if (was.maxDurationMs === is.maxDurationMs) return changes;
  const told = { was: `for ${formatDuration(was.maxDurationMs)}`, is: `for ${formatDuration(is.maxDurationMs)}` };
  return [...changes, { kind: "approval", widens: is.maxDurationMs > was.maxDurationMs, ...told, names: NO_NAMES }];
}

function compareObligations(was: Obligations, is: Obligations, words: ComparedWords): readonly Change[] {
  const joined = joinObligations(was, is);
  const others = (["limit", "session", "record", "alert"] as const).flatMap((kind): Change[] => {
    if (same(was[kind], is[kind])) return [];
    // As strict as both together is at least as strict as the old one.
    const widens = !same(joined[kind], is[kind]);
    return [{ kind, widens, ...differingWords(kind, was, is), names: NO_NAMES }];
  });
  return [...compareMasks(was.mask, is.mask, words), ...others];
}

function compareMasks(
  was: MaskObligation | undefined,
  is: MaskObligation | undefined,
  { changedPatterns }: ComparedWords,
): readonly Change[] {
  if (was === undefined && is === undefined) return [];
  const changes = new Map<string, Change>();
  for (const part of ["columns", "fields", "classifiers", "patterns"] as const) {
    const names = new Set([...Object.keys(was?.[part] ?? {}), ...Object.keys(is?.[part] ?? {})]);
    for (const name of [...names].toSorted()) {
      const old = was?.[part][name];
      const isOther = part === "patterns" && old !== undefined && changedPatterns.has(name);
      const change = compareTransforms(old, is?.[part][name], isOther);
      if (change === null) continue;
      const key = JSON.stringify(change);
      const known = changes.get(key)?.names ?? NO_NAMES;
      changes.set(key, { ...change, names: known.concat(name) });
    }
  }
  if (was !== undefined && is !== undefined && was.predicates !== is.predicates) {
    const widens = joinPredicates(was.predicates, is.predicates) !== is.predicates;
    const words = { was: `conditions: ${was.predicates}`, is: `conditions: ${is.predicates}` };
    changes.set("predicates", { kind: "mask", widens, ...words, names: NO_NAMES });
  }
  return [...changes.values()];
}

/** `isOther`: what is masked is no longer the same, though it is called so. */
function compareTransforms(
  was: MaskTransform | undefined,
  is: MaskTransform | undefined,
  isOther: boolean,
): Change | null {
  if (same(was, is) && !isOther) return null;
  const widens = was !== undefined && (isOther || is === undefined || !same(joinTransforms(was, is), is));
  const [old, young] = [was, is].map((each) => (each === undefined ? IN_CLEAR : transformWords(each)));
  return { kind: "mask", widens, was: `${old}${isOther ? AS_IT_WAS : ""}`, is: young ?? "", names: NO_NAMES };
}

function requirementsOf(decision: Granting): readonly Requirement[] {
  return decision.kind === "ask" ? decision.requirements : [];
}

/** A pattern that looks for something else now is another one. */
function asItWas(requirement: Requirement, changedPatterns: ReadonlySet<string>): Requirement {
  if (requirement.kind !== "justification" || requirement.pattern === null) return requirement;
  if (!changedPatterns.has(requirement.pattern)) return requirement;
  return { ...requirement, pattern: `${requirement.pattern}${AS_IT_WAS}` };
}

function ruleless(requirement: Requirement): Requirement {
  return { ...requirement, rules: [] };
}

function wordsOf(decision: Decision, groups: GroupNames): string {
  if (decision.kind === "deny") return "refused";
  return decision.kind === "permit" ? "permitted" : `asks for ${requirementWords(decision.requirements, groups)}`;
}

function same(one: unknown, other: unknown): boolean {
  return one === other || canonical(one) === canonical(other);
}

/** Equal values have equal texts, in whatever order their keys were put in. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "nothing";
  const entries = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
}
