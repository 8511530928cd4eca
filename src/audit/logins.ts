/** Failed logins, coalesced per address and minute: a log that fails closed must not be a way to stop the house. */
import { networkOf } from "../core/ip-address.ts";
import type { TimeMs } from "../core/session.ts";
import type { EventFacts } from "./pieces.ts";

export const WINDOW_MS = 60_000;
/** Addresses counted one by one in a minute; the rest share one count. */
export const ADDRESSES_MAX = 1024;
const OTHERS = "others";

type Counted = { readonly source: string; readonly fromMs: TimeMs; toMs: TimeMs; count: number };

/** Which failed logins are recorded as they come, and what is recorded of the others when their minute is over. */
export class FailedLogins {
  readonly #counted = new Map<string, Counted>();

  isRecorded({ source }: EventFacts, now: TimeMs): boolean {
    return this.isFirst(typeof source === "string" ? source : "", now);
  }

  /** True: record this one now, it is the first of its address in its minute. False: it was counted. */
  isFirst(source: string, now: TimeMs): boolean {
    const key = networkOf(source);
    const known = this.#counted.get(key);
    if (known !== undefined) {
      known.count++;
      known.toMs = now;
      return false;
    }
    if (this.#counted.size < ADDRESSES_MAX) {
      this.#counted.set(key, { source: key, fromMs: now, toMs: now, count: 0 });
      return true;
    }
    const others = this.#counted.get(OTHERS);
    if (others === undefined) this.#counted.set(OTHERS, { source: OTHERS, fromMs: now, toMs: now, count: 1 });
    else {
      others.count++;
      others.toMs = now;
    }
    return false;
  }

  /** When the oldest minute is over; null when nothing is counted. */
  get dueMs(): TimeMs | null {
    const oldest = this.#counted.values().next().value;
    return oldest === undefined ? null : oldest.fromMs + WINDOW_MS;
  }

  /** Takes the facts to record for the minutes that are over (all of them when `now` is null). */
  take(now: TimeMs | null): EventFacts[] {
    const due: EventFacts[] = [];
    for (const [key, counted] of this.#counted) {
      // A clock that was set back ends the minute too.
      if (now !== null && now < counted.fromMs + WINDOW_MS && now >= counted.fromMs) continue;
      this.#counted.delete(key);
      const { source, count, fromMs, toMs } = counted;
      if (count > 0) due.push({ source, count, fromMs, toMs });
    }
    return due;
  }
}
