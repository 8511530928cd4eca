/** When a rule counts: its validity and its window, with what was learned of windows kept until their next edge. */
import type { TimeMs } from "../../core/session.ts";
import { MAYBE, NO, YES } from "./match.ts";
import type { Verdict } from "./match.ts";
import type { Rule } from "./rule.ts";
import type { Window } from "../language/window.ts";

/** Whether a window holds from one instant on and before another. */
type Span = { readonly fromMs: TimeMs; readonly untilMs: TimeMs; readonly holds: boolean };

const spans = new WeakMap<Window, Span>();

/** Is it the rule's time? MAYBE when the clock does not tell: `now` is NaN, or the window cannot be computed. */
export function timeVerdict(rule: Rule, now: TimeMs): Verdict {
  if (now < rule.validFromMs || now >= rule.validUntilMs) return NO;
  if (rule.window === null && rule.validFromMs === -Infinity && rule.validUntilMs === Infinity) return YES;
  if (Number.isNaN(now)) return MAYBE;
  if (rule.window === null) return YES;
  try {
    return spanAt(rule.window, now).holds ? YES : NO;
  } catch {
    return MAYBE;
  }
}

/** The first instant after `now` at which the window opens or closes; `now` itself when that cannot be told. */
export function windowEdge(window: Window, now: TimeMs): TimeMs {
  try {
    return spanAt(window, now).untilMs;
  } catch {
    return now;
  }
}

function spanAt(window: Window, now: TimeMs): Span {
  const known = spans.get(window);
  if (known !== undefined && now >= known.fromMs && now < known.untilMs) return known;
  const span = { fromMs: now, untilMs: window.nextEdge(now), holds: window.contains(now) };
  spans.set(window, span);
  return span;
}
