/** The refusal of a rate or a budget that is used up: which, how much, whose, and when it is free again. */
import { NO_RULES, refusal, type Refusal, type RuleId } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import type { Meter } from "../core/obligation.ts";
import type { TimeMs } from "../core/session.ts";

/** `freeInMs`: until as much as was asked for is free; Infinity when it never is. */
export function exhausted(meter: Meter, identity: Identity, freeInMs: number, now: TimeMs): Refusal {
  const of = meter.rule === null ? "the gateway" : `rule "${meter.rule}"`;
  const what = meter.calls ?? meter.unit;
  const allowed = `${of} allows ${whose(meter, identity)} ${meter.max} ${what} ${period(meter)}`;
  return refusal("limit", `${allowed}, and no more is left for this`, {
    rules: rulesOf(meter),
    hint: hint(meter, freeInMs, now),
  });
}

/** Those that a refusal names. */
export function rulesOf({ rule }: Meter): readonly RuleId[] {
  return rule === null ? NO_RULES : [rule];
}

function whose(meter: Meter, identity: Identity): string {
  if (meter.across === "subject") return identity.subject;
  return `${identity.owner ?? identity.subject} and all that is theirs`;
}

function period({ per }: Meter): string {
  switch (per.kind) {
    case "sliding":
      return `in ${inWords(per.ms)}`;
    case "session":
      return "in a session";
    case "hour":
      return "an hour";
    case "day":
      return `a day (${per.timeZone})`;
  }
}

function hint(meter: Meter, freeInMs: number, now: TimeMs): string {
  if (freeInMs !== Infinity) return `Free again in ${inWords(freeInMs)}, at ${new Date(now + freeInMs).toISOString()}.`;
  return meter.per.kind === "session" ? "Free again in a new session." : "Ask for less at once.";
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** The two largest units, the last rounded up: `1h 5m`, `12s`, `300ms`. */
function inWords(durationMs: number): string {
  const first = UNITS.findIndex(([, unitMs]) => durationMs >= unitMs);
  const [name, unitMs] = UNITS[Math.max(first, 0)] ?? UNITS[4];
  const next = UNITS[first + 1];
  if (first < 0 || next === undefined || name === "s") return `${Math.ceil(durationMs / unitMs)}${name}`;
  const rest = Math.ceil((durationMs % unitMs) / next[1]);
  const whole = Math.floor(durationMs / unitMs);
  if (rest * next[1] === unitMs) return `${whole + 1}${name}`;
  return rest === 0 ? `${whole}${name}` : `${whole}${name} ${rest}${next[0]}`;
}
