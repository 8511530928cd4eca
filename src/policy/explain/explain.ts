/** Why a decision is what it is: each rule with each of its parts, and the permit that comes nearest. Pure. */
import type { Decision } from "../../core/decision.ts";
import type { Given } from "../../core/given.ts";
import type { Access, Operation } from "../../core/operation.ts";
import type { TimeMs } from "../../core/session.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import type { RuleIndex } from "../engine/index.ts";
import { MAYBE, NO } from "../engine/match.ts";
import { listOf, valuesOf, whatOf } from "../engine/phrase.ts";
import type { Rule } from "../engine/rule.ts";
import { traceRule } from "../engine/trace.ts";
import type { TracePart } from "../engine/trace.ts";
import { ruleMatch } from "../engine/verdict.ts";

/** One question to policy. */
export type Asked = {
  readonly operation: Operation;
  /** May the session open? Else: may the operation run in it? */
  readonly isConnect: boolean;
  readonly now: TimeMs;
  readonly given: Given;
};

/**
 * matches: a permit that permits. applies: a guard that does, for sure. may apply: a guard that does, because
 * something is unknown. lifted: a guard that would, but for an exception. no: neither.
 */
export type Standing = "matches" | "applies" | "may apply" | "lifted" | "no";

/** `why`: what it is that does not hold; empty when that says itself. */
export type ExplainedPart = TracePart & { readonly why: string };

export type ExplainedRule = {
  readonly rule: Rule;
  readonly standing: Standing;
  /** Among those that the decision rests on. */
  readonly isDeciding: boolean;
  /** Of all permits that do not match, the one of which the least is missing. */
  readonly isNearest: boolean;
  /** Its subject and target are those of the session. */
  readonly isAbout: boolean;
  readonly parts: readonly ExplainedPart[];
};

export type ExplainedAccess = {
  readonly access: Access;
  /** In words: `update on public.orders`. */
  readonly what: string;
  /** Those that decide first, then those that stand to it in some way, then the nearest, then by id. */
  readonly rules: readonly ExplainedRule[];
};

export type Explanation = { readonly decision: Decision; readonly accesses: readonly ExplainedAccess[] };

/** Decides, and traces every rule that speaks of the protocol for every access. */
export function explain(index: RuleIndex, asked: Asked): Explanation {
  const { operation, isConnect, now, given } = asked;
  const { session } = operation;
  const decision = (isConnect ? mayConnect : decide)(index, session, operation, now, given);
  const vocabulary = index.vocabularies.get(session.target.adapter);
  const rules = index.rules.filter((rule) => (rule.blocks.get(session.target.adapter) ?? []).length > 0);
  const accesses = operation.accesses.map((access) => {
    const judged: Access = isConnect ? { ...access, ambient: true } : access;
    const explained = rules.map((rule) => explainRule(index, rule, judged, asked, decision));
    const nearest = nearestOf(explained);
    const marked = explained.map((each) => (each === nearest ? Object.assign({}, each, { isNearest: true }) : each));
    return { access, what: whatOf(access, vocabulary), rules: marked.toSorted((a, b) => rank(a) - rank(b)) };
  });
  return { decision, accesses };
}

function explainRule(
  index: RuleIndex,
  rule: Rule,
  access: Access,
  { operation: { session }, now, given }: Asked,
  decision: Decision,
): ExplainedRule {
  const parts = traceRule(index, rule, access, session, now, given);
  const isAbout = parts.every(({ part, truth }) => truth === "yes" || !isOfWhoAndWhere(part));
  return {
    rule,
    standing: rule.effect === "permit" ? standingOfPermit(parts) : standingOfGuard(),
    isDeciding: decision.rules.includes(rule.id),
    isNearest: false,
    isAbout,
    parts: parts.map((each) => ({ ...each, why: whyOf(each, rule, access, session.target.adapter) })),
  };

  function standingOfGuard(): Standing {
    const verdict = ruleMatch(index, rule, access, session, now, given);
    if (verdict !== NO) return verdict === MAYBE ? "may apply" : "applies";
    return isAbout && parts.some(({ part, truth }) => isException(part) && truth === "yes") ? "lifted" : "no";
  }
}

function standingOfPermit(parts: readonly TracePart[]): Standing {
  return missing(parts).length === 0 ? "matches" : "no";
}

/** What keeps a rule from matching: of its blocks, what the one lacks that lacks the least. */
export function missing(parts: readonly TracePart[]): readonly TracePart[] {
  const byBlock = Map.groupBy(
    parts.filter(({ part }) => isAction(part)),
    ({ part }) => part.split(".")[0] ?? "",
  );
  const blocks = [...byBlock.values()].map((block) => block.filter(({ truth }) => truth !== "yes"));
  const [best = []] = blocks.toSorted((one, other) => one.length - other.length);
  const others = parts.filter(({ part, truth }) => !isAction(part) && !isException(part) && truth !== "yes");
  return [...others, ...best];
}

function nearestOf(rules: readonly ExplainedRule[]): ExplainedRule | undefined {
  const permits = rules.filter(({ rule, standing }) => rule.effect === "permit" && standing === "no");
  if (rules.some(({ standing }) => standing === "matches")) return undefined;
  return permits.toSorted((one, other) => {
    if (one.isAbout !== other.isAbout) return one.isAbout ? -1 : 1;
    const lacking = missing(one.parts).length - missing(other.parts).length;
    return lacking === 0 ? held(other.parts) - held(one.parts) : lacking;
  })[0];
}

/** How many keys of its action hold, in the block in which the most do. */
function held(parts: readonly TracePart[]): number {
  const actions = parts.filter(({ part, truth }) => isAction(part) && truth === "yes");
  const byBlock = Map.groupBy(actions, ({ part }) => part.split(".")[0] ?? "");
  return Math.max(0, ...[...byBlock.values()].map((block) => block.length));
}

function rank({ isDeciding, standing, isNearest, isAbout }: ExplainedRule): number {
  if (isDeciding && standing !== "no") return 0;
  if (standing !== "no") return 1;
  if (isNearest) return 2;
  return isAbout ? 3 : 4;
}

function isOfWhoAndWhere(part: string): boolean {
  return part.startsWith("subject.") || part.startsWith("target.");
}

function isAction(part: string): boolean {
  return part.startsWith("action");
}

function isException(part: string): boolean {
  return part.startsWith("except");
}

/** The values that a permit does not list, or those that a guard does. */
function whyOf({ part, truth }: TracePart, rule: Rule, access: Access, adapter: string): string {
  if (part === "condition" && truth !== "yes") return rule.condition?.text ?? "";
  const [action = "", , key = ""] = part.split(".");
  if (!isAction(action) || key === "") return "";
  const at = action === "action" ? 0 : Number(action.slice("action[".length, -1));
  const matcher = rule.blocks.get(adapter)?.[at]?.keys.find((each) => each.key === key);
  const values = valuesOf(access.facts[key]);
  if (rule.effect === "permit" && truth === "no") {
    if (matcher === undefined) return `${listOf(values)}: a permit must name ${key} here`;
    if (matcher.kind !== "names") return "";
    return `${listOf(values.filter((value) => !matcher.names.has(value)))} is not listed`;
  }
  if (rule.effect === "guard" && truth === "yes" && matcher?.kind === "names") {
    return listOf(values.filter((value) => matcher.names.has(value)));
  }
  return "";
}
