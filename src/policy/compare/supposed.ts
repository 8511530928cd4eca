/** A policy set as the comparison runs it: each condition answers as it is told to, so that every answer can be tried. */
import type { RuleId } from "../../core/decision.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { Condition } from "../language/condition.ts";
import { RuleIndex } from "../engine/index.ts";
import type { LoadedSet } from "../load.ts";
import type { Rule } from "../engine/rule.ts";

/** What conditions answer, by their key; null: it cannot be told. */
export type Answers = Map<string, boolean | null>;

export class SupposedSet {
  readonly index: RuleIndex;
  /** Sorted by id. */
  readonly rules: readonly Rule[];
  readonly byId: ReadonlyMap<RuleId, Rule>;
  readonly #canonical: ReadonlyMap<RuleId, string>;
  readonly #groups: string;

  /** `answers` is read whenever something is decided. */
  constructor(set: LoadedSet, vocabularies: readonly Vocabulary[], answers: Answers) {
    this.#canonical = set.canonical;
    // Conditions call groups by their names, which another set may give to others.
    this.#groups = sortedJson(set.author.groups);
    const suppose = (condition: Condition): Condition => ({
      ...condition,
      evaluate: ({ target }) => answers.get(this.conditionKey(condition, target)) ?? null,
    });
    this.rules = set.rules.map((rule) => supposedRule(rule, suppose));
    this.byId = new Map(this.rules.map((rule) => [rule.id, rule]));
    this.index = new RuleIndex(this.rules, vocabularies);
  }

  /** Equal keys: the same condition with the same answer, also of another set. The text is what follows the first line. */
  conditionKey(condition: Condition, { labels }: Target): string {
    return `${this.#groups} ${sortedJson(labels)}\n${condition.text}`;
  }

  /** What a rule means, in words that can be compared; empty when there is no such rule. */
  meaning(id: RuleId): string {
    const rule = this.byId.get(id);
    if (rule === undefined) return "";
    return `${conditionsOf(rule).length > 0 ? this.#groups : ""}${this.#canonical.get(id) ?? ""}`;
  }
}

/** Those of a rule and of its exceptions. */
export function conditionsOf(rule: Rule): readonly Condition[] {
  const own = rule.condition === null ? [] : [rule.condition];
  if (rule.effect === "permit") return own;
  return [...own, ...rule.except.flatMap(({ condition }) => condition ?? [])];
}

function supposedRule(rule: Rule, suppose: (condition: Condition) => Condition): Rule {
  const condition = rule.condition === null ? null : suppose(rule.condition);
  if (rule.effect === "permit") return { ...rule, condition };
  const except = rule.except.map((exception) =>
    Object.assign({}, exception, { condition: exception.condition === null ? null : suppose(exception.condition) }),
  );
  return { ...rule, condition, except };
}

/** Equal maps give equal texts. */
export function sortedJson(map: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(map).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
