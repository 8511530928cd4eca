/** Limits that are never reached, because another limit is reached first. */
import { formatDuration, formatSize } from "../language/quantity.ts";
import type { Problem } from "../problems.ts";
import { ruleObligations } from "../engine/rule.ts";
import type { Rule } from "../engine/rule.ts";
import { placeOf, warningAt } from "./world.ts";

/** The limits that can be compared, each with what it is called. */
type Limits = {
  readonly rows?: number | undefined;
  readonly bytes?: number | undefined;
  readonly time?: number | undefined;
};
const KEYS = ["rows", "bytes", "time"] as const;

/** `outers`: rules that contain `rule`. */
export function findIdleLimits(rule: Rule, outers: readonly Rule[]): readonly Problem[] {
  const problems = withinRule(rule);
  const limits = limitsOf(rule);
  for (const key of KEYS) {
    const own = limits[key];
    const tighter = own === undefined ? undefined : outers.find((outer) => isTighter(outer, rule, key, own));
    const other = tighter === undefined ? undefined : limitsOf(tighter)[key];
    if (own === undefined || tighter === undefined || other === undefined) continue;
    const message = `${key}: ${format(key, own)} of ${rule.id} has no effect: ${placeOf(tighter)} allows only ${format(key, other)}`;
    problems.push(warningAt(rule, "LIMIT_HAS_NO_EFFECT", message));
  }
  return problems;
}

function isTighter(outer: Rule, rule: Rule, key: (typeof KEYS)[number], own: number): boolean {
  if (outer.effect === "guard") {
    if (outer.mode === "observe") return false;
  } else {
    // What a grant woke stands in the place of what stands always; and masks keep a permit from what they are not for.
    const isStanding = outer.activation === null && rule.effect === "permit" && rule.activation === null;
    if (!isStanding || (outer.obligations?.masks.length ?? 0) > 0) return false;
  }
  const other = limitsOf(outer)[key];
  return other !== undefined && other < own;
}

function limitsOf(rule: Rule): Limits {
  const limit = ruleObligations(rule)?.limit;
  return { rows: limit?.rows, bytes: limit?.bytes, time: limit?.timeMs };
}

/** Limits on one operation that are wider than a budget for many. */
function withinRule(rule: Rule): Problem[] {
  const problems: Problem[] = [];
  const limit = ruleObligations(rule)?.limit ?? null;
  for (const key of ["rows", "bytes"] as const) {
    const own = limit?.[key];
    const budget = limit?.meters?.find((meter) => meter.unit === key && own !== undefined && meter.max < own);
    if (own === undefined || budget === undefined) continue;
    const message = `${key}: ${format(key, own)} of ${rule.id} has no effect: its budget is only ${format(key, budget.max)}`;
    problems.push(warningAt(rule, "LIMIT_HAS_NO_EFFECT", message));
  }
  return problems;
}

function format(key: (typeof KEYS)[number], value: number): string {
  if (key === "bytes") return formatSize(value);
  return key === "time" ? formatDuration(value) : `${value}`;
}
