/** Instants that stand for all times from now on: of every way in which windows and times of validity meet, one. */
import type { TimeMs } from "../../core/session.ts";
import type { Rule } from "../engine/rule.ts";

/** A little more than the week after which windows repeat. */
const WALK_MS = 8 * 86_400_000;
const EDGES_MAX = 2000;

export type TimeClass = {
  readonly at: TimeMs;
  /** Within the times of validity as they are now. */
  readonly isNear: boolean;
};

/**
 * One instant of each class, the earliest. Windows repeat by the week, so a week is walked from now on and from
 * whenever a rule begins or ends to be valid.
 */
export function timeClasses(rules: readonly Rule[], now: TimeMs): readonly TimeClass[] {
  const spans = rules.flatMap((rule) => [
    { from: rule.validFromMs, until: rule.validUntilMs },
    ...(rule.effect === "guard"
      ? rule.except.map(({ validUntilMs }) => ({ from: -Infinity, until: validUntilMs }))
      : []),
  ]);
  const windows = [
    ...new Map(rules.flatMap(({ window }) => (window === null ? [] : [[window.text, window]]))).values(),
  ];
  const edges = [...new Set(spans.flatMap(({ from, until }) => [from, until]))];
  const starts = [now, ...edges.filter((edge) => Number.isFinite(edge) && edge > now)].toSorted((a, b) => a - b);
  const instants = new Map<string, TimeClass>();
  for (const start of starts) {
    let at = start;
    for (let edge = 0; at < start + WALK_MS && edge < EDGES_MAX; edge++) {
      const valid = spans.map(({ from, until }) => (at >= from && at < until ? "1" : "0")).join("");
      const open = windows.map((window) => (window.contains(at) ? "1" : "0")).join("");
      const key = `${valid} ${open}`;
      if (!instants.has(key)) instants.set(key, { at, isNear: start === now && at < (starts[1] ?? Infinity) });
      const validity = starts.find((each) => each > at) ?? Infinity;
      at = Math.min(validity, ...windows.map((window) => window.nextEdge(at)));
    }
  }
  return [...instants.values()];
}
