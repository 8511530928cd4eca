/** The rules of a set, indexed by target, subject and adapter, so that a decision looks only at rules that could matter. */
import type { Decision } from "../../core/decision.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { BlockIndex } from "./block-index.ts";
import { fits, fittingExceptions } from "./entry.ts";
import type { GuardEntry, PermitEntry } from "./entry.ts";
import { maskersOf } from "./maskers.ts";
import type { Masker } from "./maskers.ts";
import type { WholeMatcher } from "./requirements.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { Rule } from "./rule.ts";
import { windowEdge } from "./when.ts";
import type { Window } from "../language/window.ts";

/**
 * The rules whose subject and target match a session and that speak of its adapter. Whether a rule is valid now is
 * asked at each decision.
 */
export type SessionRules = {
  /** Every block of every permit, sorted by rule id. */
  readonly permits: readonly PermitEntry[];
  readonly permitIndex: BlockIndex<PermitEntry>;
  readonly guardIndex: BlockIndex<GuardEntry>;
  /** The blocks that mask columns. */
  readonly maskers: readonly Masker[];
};

type Placed = { readonly rule: Rule; readonly order: number };

const SHARED_DECISIONS_MAX = 10_000;
const SELECTIONS_PER_TARGET_MAX = 1000;
const NO_PATTERNS: ReadonlyMap<string, WholeMatcher | null> = new Map();

/** The rules about a target, and what was selected from them for the subjects seen so far, by what was selected. */
type TargetRules = { readonly rules: readonly Placed[]; readonly selections: Map<string, SessionRules> };

/**
 * A compiled set. Immutable but for what it remembers: targets and sessions are remembered by object identity and
 * forgotten with them, because they never change.
 */
export class RuleIndex {
  /** Sorted by id. */
  readonly rules: readonly Rule[];
  readonly byId: ReadonlyMap<string, Rule>;
  readonly vocabularies: ReadonlyMap<string, Vocabulary>;
  /** Of the author's vocabulary, by name. */
  readonly patterns: ReadonlyMap<string, WholeMatcher | null>;
  readonly #edges: readonly TimeMs[];
  readonly #windows: readonly Window[];
  readonly #byTarget = new WeakMap<Target, TargetRules>();
  readonly #bySession = new WeakMap<Session, SessionRules>();
  readonly #decisions = new Map<string, Decision>();

  constructor(
    rules: readonly Rule[],
    vocabularies: readonly Vocabulary[],
    patterns: ReadonlyMap<string, WholeMatcher | null> = NO_PATTERNS,
  ) {
    this.rules = rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    this.byId = new Map(rules.map((rule) => [rule.id, rule]));
    this.vocabularies = new Map(vocabularies.map((vocabulary) => [vocabulary.name, vocabulary]));
    this.patterns = patterns;
    this.#edges = [...new Set(this.rules.flatMap(edgesOf).filter(Number.isFinite))].toSorted((a, b) => a - b);
    this.#windows = [
      ...new Map(this.rules.flatMap(({ window }) => (window === null ? [] : [[window.text, window]]))).values(),
    ];
  }

  rulesFor(session: Session): SessionRules {
    let rules = this.#bySession.get(session);
    if (rules === undefined) {
      rules = this.#select(session);
      this.#bySession.set(session, rules);
    }
    return rules;
  }

  /** The blocks of rules about a target that mask columns, whoever asks; no exception is looked at. */
  maskersOn(target: Target): readonly Masker[] {
    return this.#rulesOn(target).rules.flatMap(({ rule, order }) => {
      const blocks = rule.blocks.get(target.adapter) ?? [];
      if (rule.effect === "permit") return maskersOf(blocks.map((block) => ({ rule, block, order })));
      return maskersOf(blocks.map((block) => ({ rule, block, order, except: [] })));
    });
  }

  /**
   * The first instant after `now` at which some rule or exception begins or ends to be valid, or a window opens or
   * closes; Infinity when there is none.
   */
  nextEdge(now: TimeMs): TimeMs {
    let next = this.#edges[firstAfter(this.#edges, now)] ?? Infinity;
    for (const window of this.#windows) next = Math.min(next, windowEdge(window, now));
    return next;
  }

  /** The decision known by a key that says all that it depends on, made the first time: the same object each time. */
  shared(key: string, make: () => Decision): Decision {
    let decision = this.#decisions.get(key);
    if (decision === undefined) {
      if (this.#decisions.size >= SHARED_DECISIONS_MAX) this.#decisions.clear();
      decision = make();
      this.#decisions.set(key, decision);
    }
    return decision;
  }

  #select(session: Session): SessionRules {
    const { rules, selections } = this.#rulesOn(session.target);
    const selected = rules.filter(({ rule }) => subjectMatches(rule.subject, session.identity));
    // Subjects of the same groups share one selection: filing its names is the costly part.
    const key = selected.map((placed) => placed.order + exceptionsKey(placed.rule, session)).join(" ");
    let selection = selections.get(key);
    if (selection === undefined) {
      if (selections.size >= SELECTIONS_PER_TARGET_MAX) selections.clear();
      selection = this.#file(selected, session);
      selections.set(key, selection);
    }
    return selection;
  }

  #rulesOn(target: Target): TargetRules {
    let known = this.#byTarget.get(target);
    if (known === undefined) {
      const placed = this.rules.map((rule, order) => ({ rule, order }));
      known = { rules: placed.filter(({ rule }) => targetMatches(rule.target, target)), selections: new Map() };
      this.#byTarget.set(target, known);
    }
    return known;
  }

  #file(selected: readonly Placed[], session: Session): SessionRules {
    const permits: PermitEntry[] = [];
    const guards: GuardEntry[] = [];
    for (const { rule, order } of selected) {
      const blocks = rule.blocks.get(session.target.adapter) ?? [];
      if (rule.effect === "permit") {
        for (const block of blocks) permits.push({ rule, block, order });
      } else {
        const except = fittingExceptions(rule, session, this.byId);
        for (const block of blocks) guards.push({ rule, block, order, except });
      }
    }
    return {
      permits,
      permitIndex: new BlockIndex(permits),
      guardIndex: new BlockIndex(guards),
      maskers: maskersOf([...permits, ...guards]),
    };
  }
}

/** Which of a guard's exceptions fit the session; empty for what has none. */
function exceptionsKey(rule: Rule, session: Session): string {
  if (rule.effect === "permit" || rule.except.length === 0) return "";
  return `:${rule.except.map((exception) => (fits(exception, session) ? "1" : "0")).join("")}`;
}

function edgesOf(rule: Rule): readonly TimeMs[] {
  const own = [rule.validFromMs, rule.validUntilMs];
  return rule.effect === "permit" ? own : [...own, ...rule.except.map(({ validUntilMs }) => validUntilMs)];
}

/** The place of the first number that is larger, in a sorted list; its length when there is none. */
function firstAfter(sorted: readonly number[], value: number): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sorted[middle] ?? Infinity) > value) to = middle;
    else from = middle + 1;
  }
  return from;
}
