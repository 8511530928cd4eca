/** The rules of a set, indexed by target, subject and adapter, so that a decision looks only at rules that could matter. */
import { NO_OBLIGATIONS } from "../core/decision.ts";
import type { Decision } from "../core/decision.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { subjectMatches, targetMatches } from "./rule.ts";
import type { Block, GuardRule, PermitRule, Rule } from "./rule.ts";

/** A rule whose subject and target match a session, with its blocks about one adapter (never none). */
export type Candidate<TRule extends Rule> = { readonly rule: TRule; readonly blocks: readonly Block[] };

/** Sorted by rule id. Whether a rule is valid now is asked at each decision. */
export type SessionRules = {
  readonly permits: readonly Candidate<PermitRule>[];
  readonly guards: readonly Candidate<GuardRule>[];
};

type PermitDecision = Extract<Decision, { kind: "permit" }>;

const SHARED_DECISIONS_MAX = 10_000;

/**
 * A compiled set. Immutable but for what it remembers: targets and sessions are remembered by object identity and
 * forgotten with them, because they never change.
 */
export class RuleIndex {
  /** Sorted by id. */
  readonly rules: readonly Rule[];
  readonly vocabularies: ReadonlyMap<string, Vocabulary>;
  readonly #edges: readonly TimeMs[];
  readonly #byTarget = new WeakMap<Target, readonly Rule[]>();
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
    const permits: Candidate<PermitRule>[] = [];
    const guards: Candidate<GuardRule>[] = [];
    for (const rule of this.#rulesOn(session.target)) {
      const blocks = rule.blocks.get(session.target.adapter) ?? [];
      if (blocks.length === 0 || !subjectMatches(rule.subject, session.identity)) continue;
      if (rule.effect === "permit") permits.push({ rule, blocks });
      else guards.push({ rule, blocks });
    }
    return { permits, guards };
  }

  #rulesOn(target: Target): readonly Rule[] {
    let rules = this.#byTarget.get(target);
    if (rules === undefined) {
      rules = this.rules.filter((rule) => targetMatches(rule.target, target));
      this.#byTarget.set(target, rules);
    }
    return rules;
  }
}
