/** The rules of a set, indexed by target, subject and adapter, so that a decision looks only at rules that could matter. */
import { NO_OBLIGATIONS } from "../core/decision.ts";
import type { Decision } from "../core/decision.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { BlockIndex } from "./block-index.ts";
import type { Entry } from "./block-index.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { GuardRule, PermitRule, Rule } from "./rule.ts";

/**
 * The rules whose subject and target match a session and that speak of its adapter. Whether a rule is valid now is
 * asked at each decision.
 */
export type SessionRules = {
  /** Every block of every permit, sorted by rule id. */
  readonly permits: readonly Entry<PermitRule>[];
  readonly permitIndex: BlockIndex<PermitRule>;
  readonly guardIndex: BlockIndex<GuardRule>;
};

type PermitDecision = Extract<Decision, { kind: "permit" }>;

const SHARED_DECISIONS_MAX = 10_000;
const SELECTIONS_PER_TARGET_MAX = 1000;

/** The rules about a target, and what was selected from them for the subjects seen so far, by the rules selected. */
type TargetRules = { readonly rules: readonly Rule[]; readonly selections: Map<string, SessionRules> };

/**
 * A compiled set. Immutable but for what it remembers: targets and sessions are remembered by object identity and
 * forgotten with them, because they never change.
 */
export class RuleIndex {
  /** Sorted by id. */
  readonly rules: readonly Rule[];
  readonly vocabularies: ReadonlyMap<string, Vocabulary>;
  readonly #edges: readonly TimeMs[];
  readonly #byTarget = new WeakMap<Target, TargetRules>();
  readonly #bySession = new WeakMap<Session, SessionRules>();
  readonly #decisions = new Map<string, PermitDecision>();

  constructor(rules: readonly Rule[], vocabularies: readonly Vocabulary[]) {
    this.rules = rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    this.vocabularies = new Map(vocabularies.map((vocabulary) => [vocabulary.name, vocabulary]));
    const edges = this.rules.flatMap((rule) => [rule.validFromMs, rule.validUntilMs]).filter(Number.isFinite);
    this.#edges = [...new Set(edges)].toSorted((a, b) => a - b);
  }

  rulesFor(session: Session): SessionRules {
    let rules = this.#bySession.get(session);
    if (rules === undefined) {
      rules = this.#select(session);
      this.#bySession.set(session, rules);
    }
    return rules;
  }

  /** The first instant after `now` at which some rule begins or ends to be valid; Infinity when there is none. */
  nextEdge(now: TimeMs): TimeMs {
    return this.#edges.find((edge) => edge > now) ?? Infinity;
  }

  /** The decision that rests on these permits (sorted by id, at least one): the same object whenever they are the same. */
  permitDecision(permits: readonly [PermitRule, ...PermitRule[]]): PermitDecision {
    if (permits.length === 1) return permits[0].decision;
    const ids = permits.map((permit) => permit.id);
    const key = ids.join(" ");
    let decision = this.#decisions.get(key);
    if (decision === undefined) {
      if (this.#decisions.size >= SHARED_DECISIONS_MAX) this.#decisions.clear();
      decision = Object.freeze({ kind: "permit", rules: Object.freeze(ids), obligations: NO_OBLIGATIONS } as const);
      this.#decisions.set(key, decision);
    }
    return decision;
  }

  #select(session: Session): SessionRules {
    const { rules, selections } = this.#rulesOn(session.target);
    const selected = rules.filter((rule) => subjectMatches(rule.subject, session.identity));
    // Subjects of the same groups share one selection: filing its names is the costly part.
    const key = selected.map((rule) => rule.id).join(" ");
    let selection = selections.get(key);
    if (selection === undefined) {
      if (selections.size >= SELECTIONS_PER_TARGET_MAX) selections.clear();
      selection = fileRules(selected, session.target.adapter);
      selections.set(key, selection);
    }
    return selection;
  }

  #rulesOn(target: Target): TargetRules {
    let known = this.#byTarget.get(target);
    if (known === undefined) {
      known = { rules: this.rules.filter((rule) => targetMatches(rule.target, target)), selections: new Map() };
      this.#byTarget.set(target, known);
    }
    return known;
  }
}

function fileRules(rules: readonly Rule[], adapter: string): SessionRules {
  const permits: Entry<PermitRule>[] = [];
  const guards: Entry<GuardRule>[] = [];
  for (const [order, rule] of rules.entries()) {
    for (const block of rule.blocks.get(adapter) ?? []) {
      if (rule.effect === "permit") permits.push({ rule, block, order });
      else guards.push({ rule, block, order });
    }
  }
  return { permits, permitIndex: new BlockIndex(permits), guardIndex: new BlockIndex(guards) };
}
