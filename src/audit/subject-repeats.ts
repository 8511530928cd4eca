/**
 * What somebody with a valid login can have recorded without end, by logging in and asking for sessions that are refused:
 * the first of a minute one by one, the others as a count. Who works is in the log otherwise: a session that opens, and an
 * operation that is refused in it, is always an entry of its own.
 */
import { networkOf } from "../core/ip-address.ts";
import type { TimeMs } from "../core/session.ts";
import type { EventFacts } from "./pieces.ts";

export const WINDOW_MS = 60_000;
/** Of one subject in a minute. */
export const RECORDED_MAX = 32;
/** Subjects counted one by one in a minute; the rest share one count. */
export const SUBJECTS_MAX = 4096;
/** Targets of a subject in a minute that have an entry of their own when policy denies them, however much was recorded before. */
const TARGETS_MAX = 1024;
/** Different values that a count names. */
const NAMED_MAX = 16;
/** Facts that differ between what is counted together, and what a list of them is called. */
const LISTED = [
  ["issuer", "issuers"],
  ["subject", "subjects"],
  ["credential", "credentials"],
  ["source", "sources"],
  ["target", "targets"],
  ["code", "codes"],
] as const;

type Minute = {
  readonly fromMs: TimeMs;
  recorded: number;
  /** Those that policy denied. */
  readonly denied: Set<string>;
  count: number;
  firstMs: TimeMs;
  lastMs: TimeMs;
  last: EventFacts;
  /** The first different values of each fact that is listed. */
  readonly named: Map<string, Set<string>>;
};

/** Events of one kind, told apart by whose they are. */
export class SubjectRepeats {
  readonly #minutes = new Map<string, Minute>();

  /** True: record this one now. False: it was counted. */
  isRecorded(facts: EventFacts, now: TimeMs): boolean {
    const { subject, target, code } = facts;
    // What is nobody's cannot be had in numbers by anybody.
    if (typeof subject !== "string") return true;
    const minute = this.#minuteOf(facts, now);
    // Only a target that there is can be denied by policy: of these there are as many as the configuration names.
    const isNewTarget =
      code === "denied" &&
      typeof target === "string" &&
      minute.denied.size < TARGETS_MAX &&
      minute.denied.size < minute.denied.add(target).size;
    if (isNewTarget || minute.recorded < RECORDED_MAX) {
      minute.recorded++;
      return true;
    }
    if (minute.count === 0) minute.firstMs = now;
    minute.count++;
    minute.lastMs = now;
    minute.last = facts;
    for (const [fact] of LISTED) name(minute, fact, facts[fact]);
    return false;
  }

  /** When the oldest minute is over; null when nothing is counted. */
  get dueMs(): TimeMs | null {
    const oldest = this.#minutes.values().next().value;
    return oldest === undefined ? null : oldest.fromMs + WINDOW_MS;
  }

  /** Takes the facts to record for the minutes that are over (all of them when `now` is null). */
  take(now: TimeMs | null): EventFacts[] {
    const due: EventFacts[] = [];
    for (const [key, minute] of this.#minutes) {
      // A clock that was set back ends the minute too.
      if (now !== null && now < minute.fromMs + WINDOW_MS && now >= minute.fromMs) continue;
      this.#minutes.delete(key);
      if (minute.count > 0) due.push(countOf(minute));
    }
    return due;
  }

  #minuteOf(facts: EventFacts, now: TimeMs): Minute {
    const own = JSON.stringify([facts["issuer"], facts["subject"]]);
    const key = this.#minutes.has(own) || this.#minutes.size < SUBJECTS_MAX ? own : "others";
    const known = this.#minutes.get(key);
    if (known !== undefined) return known;
    const begun = { fromMs: now, recorded: 0, denied: new Set<string>(), count: 0, firstMs: now, lastMs: now };
    const minute: Minute = { ...begun, last: facts, named: new Map() };
    this.#minutes.set(key, minute);
    return minute;
  }
}

function name(minute: Minute, fact: string, value: EventFacts[string] | undefined): void {
  if (typeof value !== "string") return;
  const values = minute.named.get(fact) ?? new Set();
  minute.named.set(fact, values);
  if (values.size < NAMED_MAX) values.add(fact === "source" ? networkOf(value) : value);
}

/** The facts of the last one, how many there were, and where they differ, what else was seen. */
function countOf({ count, firstMs, lastMs, last, named }: Minute): EventFacts {
  const lists: Record<string, readonly string[]> = {};
  for (const [fact, list] of LISTED) {
    const values = named.get(fact);
    if (values !== undefined && values.size > 1) lists[list] = [...values];
  }
  return { ...last, count, fromMs: firstMs, toMs: lastMs, ...lists };
}
