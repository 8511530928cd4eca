/** Rules that change nothing, because another says all they say wherever they count. */
import type { LimitObligation, Requirement } from "../../core/obligation.ts";
import type { Problem } from "../problems.ts";
import type { GuardRule, PermitRule, Rule, RuleObligations } from "../engine/rule.ts";
import { denies, ruleWithin } from "./rule-within.ts";
import { placeOf, warningAt } from "./world.ts";
import type { World } from "./world.ts";

/** `outers`: rules that contain `rule`. Of two rules that say the same, the second by id is told. */
export function findShadowed(rule: Rule, outers: readonly Rule[], world: World): readonly Problem[] {
  for (const outer of outers) {
    if (!saysAll(rule, outer)) continue;
    if (rule.id < outer.id && saysAll(outer, rule) && ruleWithin(outer, rule, world)) continue;
    const says = rule.effect === "permit" ? "permits" : denies(outer) ? "denies" : "asks for";
    const message = `${rule.id} changes nothing: ${placeOf(outer)} ${says} all of it`;
    return [warningAt(rule, "SHADOWED", message, "Remove it, or make it say more")];
  }
  return [];
}

/** What the rule wants wherever it counts, does the other want as well? */
function saysAll(rule: Rule, outer: Rule): boolean {
  if (rule.effect === "permit") return outer.effect === "permit" && permitSaysAll(rule, outer);
  return outer.effect === "guard" && guardSaysAll(rule, outer);
}

const NOTHING: RuleObligations = { limit: null, masks: [], record: [], session: null, alert: [] };

function permitSaysAll(rule: PermitRule, outer: PermitRule): boolean {
  // A grant puts its permit's obligations in the place of others'.
  if (rule.activation !== null || outer.activation !== null) return false;
  const [one, other] = [rule.obligations ?? NOTHING, outer.obligations ?? NOTHING];
  // A permit does not cover what its masks cannot be laid on.
  return other.masks.length === 0 && obligationsWithin(one, other);
}

function guardSaysAll(rule: GuardRule, outer: GuardRule): boolean {
  if (rule.mode !== "enforce" || outer.mode !== "enforce") return false;
  const [one, other] = [rule.consequence, outer.consequence];
  if (other.kind === "deny") return true;
  if (one.kind === "require" && other.kind === "require") return sameRequirements(one.requirements, other.requirements);
  return one.kind === "oblige" && other.kind === "oblige" && obligationsWithin(one.obligations, other.obligations);
}

/** Does the join with the other's obligations leave these without effect? */
function obligationsWithin(one: RuleObligations, other: RuleObligations): boolean {
  if (one.masks.length > 0 || !limitWithin(one.limit ?? {}, other.limit ?? {})) return false;
  if (!one.record.every((kind) => other.record.includes(kind))) return false;
  // What a session must keep when it opens is the mildest of what its permits want, so all must want the same.
  if (JSON.stringify(one.session ?? {}) !== JSON.stringify(other.session ?? {})) return false;
  return one.alert.every(({ channel, severity }) =>
    other.alert.some((alert) => alert.channel === channel && alert.severity === severity),
  );
}

function limitWithin(one: LimitObligation, other: LimitObligation): boolean {
  // Each rule's rates and budgets are counted apart.
  if ((one.meters?.length ?? 0) > 0) return false;
  return isLoose(one.rows, other.rows) && isLoose(one.bytes, other.bytes) && isLoose(one.timeMs, other.timeMs);
}

/** Is the limit, if there is one, never reached before the other? */
function isLoose(limit: number | undefined, other: number | undefined): boolean {
  return limit === undefined || (other !== undefined && other <= limit);
}

function sameRequirements(one: readonly Requirement[], other: readonly Requirement[]): boolean {
  const written = (requirements: readonly Requirement[]) =>
    JSON.stringify(requirements.map((requirement) => JSON.stringify({ ...requirement, rules: [] })));
  return written(one) === written(other);
}
