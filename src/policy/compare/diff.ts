/** Compares two policy sets by what they decide, on every target and for everything that can be done there. */
import type { Decision, RuleId } from "../../core/decision.ts";
import type { Access } from "../../core/operation.ts";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import type { TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { AccessClass } from "./access-classes.ts";
import { compareActivations, compareDecisions } from "./compare.ts";
import type { Change, ComparedWords } from "./compare.ts";
import { TargetComparison } from "./diff-target.ts";
import type { LoadedSet } from "../load.ts";
import type { Rule } from "../engine/rule.ts";
import type { GroupNames } from "../engine/obligation-words.ts";
import { sortedJson, SupposedSet } from "./supposed.ts";
import type { Answers } from "./supposed.ts";
import type { SubjectClass } from "./subject-classes.ts";
import type { TimeClass } from "./time-classes.ts";

const CASES_MAX = 2_000_000;
const DIFFERENCES_MAX = 200_000;

/** One side: a set, and the targets that it is for. */
export type Side = {
  readonly set: LoadedSet;
  /** Name, adapter and labels count. */
  readonly targets: readonly Target[];
};

export type Comparison = {
  readonly was: Side;
  readonly is: Side;
  readonly vocabularies: readonly Vocabulary[];
  readonly accessesOf: AccessesOf;
  readonly now: TimeMs;
  /** Nothing is tried beside these accesses: neither what cannot be read, nor unknown values. */
  readonly isNarrow?: boolean;
  /** What is worth telling of two decisions; how they differ when left out. */
  readonly tell?: (was: Decision, is: Decision, words: ComparedWords) => readonly Change[];
};

/**
 * Everything that can be done on a target, of which a catalog may be there, as far as these rules tell it apart. May
 * throw a sentence for people.
 */
export type AccessesOf = (target: Target, catalog: CatalogTarget | null, rules: readonly Rule[]) => PossibleAccesses;
export type PossibleAccesses = {
  readonly accesses: Iterable<Access>;
  readonly connects: readonly Access[];
  /** What is left out, in words; null: nothing. */
  readonly untried: string | null;
};

/** One class of cases in which the sets decide differently. */
export type Difference = {
  readonly change: Change;
  /** The rules that brought it about: those that are not as they were, else those that decide. */
  readonly rules: readonly RuleId[];
  readonly target: string;
  readonly accesses: AccessClass;
  readonly subject: SubjectClass;
  readonly time: TimeClass;
  /** All that were tried. */
  readonly times: readonly TimeClass[];
  /** What conditions had to answer, by their text; null: that it cannot be told. */
  readonly conditions: ReadonlyMap<string, boolean | null>;
  /** The permits that a grant had to wake. */
  readonly grants: readonly RuleId[];
};

/** What somebody needs for a grant of a permit that sleeps is not as it was. */
export type GrantDifference = { readonly change: Change; readonly rule: RuleId };

export type Differences = {
  readonly differences: readonly Difference[];
  readonly grants: readonly GrantDifference[];
  /** What could not be compared, in words; empty when everything was. */
  readonly untried: readonly string[];
  /** How many pairs of decisions were compared. */
  readonly cases: number;
};

/** What is common to the comparisons of all targets. */
export class DiffState {
  readonly was: SupposedSet;
  readonly is: SupposedSet;
  readonly answers: Answers = new Map();
  readonly words: ComparedWords;
  readonly now: TimeMs;
  readonly isNarrow: boolean;
  readonly tell: NonNullable<Comparison["tell"]>;
  readonly differences: Difference[] = [];
  readonly untried = new Set<string>();
  cases = 0;

  constructor({ was, is, vocabularies, now, isNarrow = false, tell = compareDecisions }: Comparison) {
    this.was = new SupposedSet(was.set, vocabularies, this.answers);
    this.is = new SupposedSet(is.set, vocabularies, this.answers);
    this.words = comparedWords(was.set, is.set);
    this.now = now;
    this.isNarrow = isNarrow;
    this.tell = tell;
  }

  /** False: enough, the rest is left out and that is said. */
  mayGoOn(): boolean {
    if (this.cases < CASES_MAX && this.differences.length < DIFFERENCES_MAX) return true;
    const [count, what] = this.cases < CASES_MAX ? [DIFFERENCES_MAX, "differences"] : [CASES_MAX, "cases"];
    this.untried.add(`what comes after the first ${count} ${what}`);
    return false;
  }
}

export function compareSets(comparison: Comparison): Differences {
  const state = new DiffState(comparison);
  const { was, is, accessesOf } = comparison;
  const names = new Set([...was.targets, ...is.targets].map(({ name }) => name));
  for (const name of [...names].toSorted()) {
    const targets = [was, is].map((side) => side.targets.find((target) => target.name === name) ?? null);
    const catalogs = [was, is].flatMap(({ set }) => set.catalog?.targets.get(name) ?? []);
    const [old = null, young = null] = targets;
    // Another protocol under the same name is another target.
    const pairs =
      old !== null && young !== null && old.adapter !== young.adapter
        ? ([
            [old, null],
            [null, young],
          ] as const)
        : ([[old, young]] as const);
    for (const [targetWas, targetIs] of pairs) {
      new TargetComparison(state, targetWas, targetIs, catalogs, accessesOf).run();
    }
  }
  if (names.size === 0 && addedGuardsAlone(comparison) === null) {
    state.untried.add("no target is known: run weir policy catalog pull, or name a configuration with --config");
  }
  const { differences, untried, cases } = state;
  return { differences, grants: grantDifferences(state), untried: [...untried].toSorted(), cases };
}

function grantDifferences({ was, is, words }: DiffState): readonly GrantDifference[] {
  return was.rules.flatMap((rule): readonly GrantDifference[] => {
    const young = is.byId.get(rule.id);
    if (rule.effect !== "permit" || young?.effect !== "permit") return [];
    if (rule.activation === null || young.activation === null) return [];
    return compareActivations(rule.activation, young.activation, words).map((change) => ({ change, rule: rule.id }));
  });
}

/**
 * The guards that were added, when nothing else was changed and none of them has an exception: then nothing can widen,
 * whatever the catalog says. Null: there is more to the change.
 */
export function addedGuardsAlone({ was, is }: Comparison): readonly RuleId[] | null {
  const [old, young] = [new SupposedSet(was.set, [], new Map()), new SupposedSet(is.set, [], new Map())];
  if (labelsText(was.targets) !== labelsText(is.targets)) return null;
  if (old.rules.some(({ id }) => old.meaning(id) !== young.meaning(id))) return null;
  const added = young.rules.filter(({ id }) => !old.byId.has(id));
  return added.every((rule) => rule.effect === "guard" && rule.except.length === 0) ? added.map(({ id }) => id) : null;
}

function labelsText(targets: readonly Target[]): string {
  const texts = targets.map(({ name, adapter, labels }) => `${name} ${adapter} ${sortedJson(labels)}`);
  return texts.toSorted().join("\n");
}

/** The words that the sets do not mean alike. */
export function comparedWords(was: LoadedSet, is: LoadedSet): ComparedWords {
  return { groups: groupNames([was, is]), changedPatterns: changedPatterns(was, is) };
}

function changedPatterns(was: LoadedSet, is: LoadedSet): ReadonlySet<string> {
  const names = [...was.author.patterns.keys()];
  return new Set(names.filter((name) => was.author.patterns.get(name)?.text !== is.author.patterns.get(name)?.text));
}

/** What the sets call the identity provider's groups. */
export function groupNames(sets: readonly LoadedSet[]): GroupNames {
  return new Map(sets.flatMap(({ author }) => Object.entries(author.groups).map(([name, id]) => [id, name] as const)));
}
