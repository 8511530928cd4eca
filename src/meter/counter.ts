/** How much of a rate or a budget is used up: a count within one period, or within a window that slides. */
import type { TimeMs } from "../core/session.ts";

/** What is kept of a counter. A crash must not hand out more, so `ahead` counts as used when it is read back. */
export type StoredCount = {
  readonly key: string;
  readonly kind: "period" | "sliding";
  /** When nothing of it counts any more; for `ahead` in a sliding window, had it been used when this was written. */
  readonly endsAtMs: TimeMs;
  /** The time at which it was written, on the clock that it counts by. */
  readonly writtenAtMs: TimeMs;
  readonly used: number;
  /** What may have been used since without being written. */
  readonly ahead: number;
  /** Of a sliding window: the slots as [number, count], the oldest first; empty for a period. */
  readonly slots: readonly (readonly [slot: number, count: number])[];
};

/** One count of one meter for one holder. `now` never goes back: the owner of the counter sees to that. */
export interface Counter {
  readonly key: string;
  /** What may still be taken before it must be written again. */
  lease: number;
  /** Operations under way that go on counting here. */
  holds: number;
  used(now: TimeMs): number;
  take(amount: number, now: TimeMs): void;
  /** The first moment at which `amount` fits under `max`, when nothing else is taken; Infinity when it never does. */
  freeAt(amount: number, max: number, now: TimeMs): TimeMs;
  /** True when nothing of it counts any more, so that it may be forgotten. */
  isSpent(now: TimeMs): boolean;
  stored(ahead: number, now: TimeMs): StoredCount;
}

/** Counts within one hour, one day, or one session (which has no end of its own). */
export class PeriodCounter implements Counter {
  readonly key: string;
  readonly #endOf: (now: TimeMs) => TimeMs;
  #endsAtMs: TimeMs;
  #used: number;
  lease = 0;
  holds = 0;

  constructor(key: string, endOf: (now: TimeMs) => TimeMs, now: TimeMs, before: StoredCount | null) {
    this.key = key;
    this.#endOf = endOf;
    this.#endsAtMs = before?.endsAtMs ?? endOf(now);
    this.#used = before === null ? 0 : before.used + before.ahead;
  }

  used(now: TimeMs): number {
    // Only forward: a clock that was set back stays in the period that it had reached.
    if (now >= this.#endsAtMs) {
      this.#endsAtMs = this.#endOf(now);
      this.#used = 0;
      this.lease = 0;
    }
    return this.#used;
  }

  take(amount: number, now: TimeMs): void {
    this.#used = this.used(now) + amount;
  }

  freeAt(amount: number, max: number, now: TimeMs): TimeMs {
    if (this.used(now) + amount <= max) return now;
    return amount <= max ? this.#endsAtMs : Infinity;
  }

  isSpent(now: TimeMs): boolean {
    return now >= this.#endsAtMs;
  }

  stored(ahead: number, now: TimeMs): StoredCount {
    const used = this.used(now);
    return { key: this.key, kind: "period", endsAtMs: this.#endsAtMs, writtenAtMs: now, used, ahead, slots: [] };
  }
}

/**
 * Into how many slots a sliding window is cut. What was taken in a slot is free again when the whole slot is outside
 * the window, so never more than the maximum falls into any window, and nothing waits longer than a slot too long.
 */
const SLOTS = 60;

/** Counts within the last `windowMs`. */
export class SlidingCounter implements Counter {
  readonly key: string;
  readonly #windowMs: number;
  readonly #slotMs: number;
  /** Those that hold something, the oldest first. */
  readonly #slots: { readonly slot: number; count: number }[];
  #used = 0;
  lease = 0;
  holds = 0;

  constructor(key: string, windowMs: number, now: TimeMs, before: StoredCount | null) {
    this.key = key;
    this.#windowMs = windowMs;
    this.#slotMs = Math.max(1, Math.ceil(windowMs / SLOTS));
    this.#slots = (before?.slots ?? []).map(([slot, count]) => ({ slot, count }));
    for (const { count } of this.#slots) this.#used += count;
    // Nobody knows when it was used: at the latest now.
    if (before !== null && before.ahead > 0) this.take(before.ahead, now);
  }

  used(now: TimeMs): number {
    let first = this.#slots[0];
    while (first !== undefined && this.#freeAfter(first.slot) <= now) {
      this.#used -= first.count;
      this.#slots.shift();
      first = this.#slots[0];
    }
    return this.#used;
  }

  take(amount: number, now: TimeMs): void {
    this.used(now);
    const slot = Math.floor(now / this.#slotMs);
    const last = this.#slots.at(-1);
    if (last !== undefined && last.slot >= slot) last.count += amount;
    else this.#slots.push({ slot, count: amount });
    this.#used += amount;
  }

  freeAt(amount: number, max: number, now: TimeMs): TimeMs {
    if (amount > max) return Infinity;
    let used = this.used(now);
    if (used + amount <= max) return now;
    for (const { slot, count } of this.#slots) {
      used -= count;
      if (used + amount <= max) return this.#freeAfter(slot);
    }
    return now;
  }

  isSpent(now: TimeMs): boolean {
    return this.used(now) === 0;
  }

  stored(ahead: number, now: TimeMs): StoredCount {
    const used = this.used(now);
    const slots = this.#slots.map(({ slot, count }) => [slot, count] as const);
    const newest = ahead > 0 ? Math.floor(now / this.#slotMs) : (this.#slots.at(-1)?.slot ?? 0);
    const endsAtMs = this.#freeAfter(newest);
    return { key: this.key, kind: "sliding", endsAtMs, writtenAtMs: now, used, ahead, slots };
  }

  #freeAfter(slot: number): TimeMs {
    return (slot + 1) * this.#slotMs + this.#windowMs;
  }
}
