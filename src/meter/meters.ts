/** Rates and budgets: counts what subjects and owners use up, across their sessions and across restarts. */
import { join } from "node:path";
import { refusal, type Refusal } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import type { Meter } from "../core/obligation.ts";
import type { Clock, Meters, Spending } from "../core/ports.ts";
import type { Session, SessionId, TimeMs } from "../core/session.ts";
import { messageOf } from "../core/message-of.ts";
import { CounterStore } from "./counter-store.ts";
import { PeriodCounter, SlidingCounter, type Counter, type StoredCount } from "./counter.ts";
import { Days, hourEnd } from "./period.ts";
import { exhausted, rulesOf } from "./exhausted.ts";

/** Live counters of all meters together; beyond that, whoever needs a new one is refused. */
const COUNTERS_MAX = 100_000;
/** What is spent is looked for when there are this many counters more than were left the last time. */
const SWEEP_GROWTH_MIN = 1_000;
/** A counter is written ahead by this part of its maximum: the most that a crash takes from it too much. */
const AHEAD_PART = 32;
/** How long a store that failed is left alone. */
const RETRY_MS = 1_000;

export type MeterParts = {
  /** The data folder. */
  readonly folder: string;
  readonly clock: Clock;
  /** One line for the operator. */
  say(line: string): void;
};

type Counted = { readonly meter: Meter; readonly counter: Counter };

/** Nothing flows that is counted. */
const NOTHING_FLOWS: Spending = { add: () => null, end() {} };

export class KeptMeters implements Meters {
  readonly #parts: MeterParts;
  readonly #path: string;
  readonly #days = new Days();
  readonly #counters = new Map<string, Counter>();
  /** Counters of one session each; never written, since a session does not outlive the process. */
  readonly #ofSessions = new Map<SessionId, Map<string, Counter>>();
  /** Read from the store and not asked for yet. */
  readonly #stored = new Map<string, StoredCount>();
  #store: CounterStore | null = null;
  #failure: { readonly message: string; readonly retryAtMs: number } | null = null;
  #hasRead = false;
  #isClosed = false;
  #sweepAt = SWEEP_GROWTH_MIN;
  #sweptAtMs = -Infinity;
  /** What the wall clock showed last. */
  #wallMs: TimeMs = -Infinity;
  /** The clock that windows slide by: as the wall clock, but it never goes back. */
  #steadyMs: TimeMs = -Infinity;

  /** Never throws: while the store cannot be used, what needs it is refused, and the operator is told. */
  constructor(parts: MeterParts) {
    this.#parts = parts;
    this.#path = join(parts.folder, "meters.db");
    this.#advance(parts.clock.now());
    this.#usable();
  }

  /** Null while the store works, else why it does not. */
  get failure(): string | null {
    return this.#failure?.message ?? null;
  }

  admit(session: Session, meters: readonly Meter[], now: TimeMs): Spending | Refusal {
    this.#advance(now);
    const counted: Counted[] = [];
    let flows: Counted[] | null = null;
    for (const meter of meters) {
      const counter = this.#counter(session, meter);
      if (!isCounter(counter)) return counter;
      const each = { meter, counter };
      // Of what flows nobody knows yet how much there will be: at least one must be left.
      const no = this.#lacks(each, 1, session);
      if (no !== null) return no;
      counted.push(each);
      if (meter.unit !== "calls") (flows ??= []).push(each);
    }
    for (const each of counted) {
      if (each.meter.unit !== "calls") continue;
      const no = this.#take(each, 1);
      if (no !== null) return no;
    }
    return flows === null ? NOTHING_FLOWS : this.#spending(session, flows);
  }

  forget(session: SessionId): void {
    this.#ofSessions.delete(session);
  }

  /** Writes what is really used, so that nothing is lost to what was written ahead. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const store = this.#store;
    this.#store = null;
    if (store === null) return;
    try {
      const live = [...this.#counters.values()];
      store.change(
        live.filter((counter) => !this.#isSpent(counter)).map((counter) => counter.stored(0, this.#timeOf(counter))),
        live.filter((counter) => this.#isSpent(counter)).map((counter) => counter.key),
      );
    } catch (error) {
      this.#parts.say(`${this.#path} could not be brought up to date: ${messageOf(error)}`);
    } finally {
      store.close();
    }
  }

  /* ---- what flows ---- */

  #spending(session: Session, flows: readonly Counted[]): Spending {
    for (const { counter } of flows) counter.holds++;
    let hasEnded = false;
    return {
      add: (rows, bytes) => {
        this.#advance(this.#parts.clock.now());
        for (const each of flows) {
          const no = this.#lacks(each, each.meter.unit === "rows" ? rows : bytes, session);
          if (no !== null) return no;
        }
        for (const each of flows) {
          const no = this.#take(each, each.meter.unit === "rows" ? rows : bytes);
          if (no !== null) return no;
        }
        return null;
      },
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        for (const { counter } of flows) counter.holds--;
      },
    };
  }

  /* ---- time ---- */

  #advance(now: TimeMs): void {
    if (this.#wallMs === -Infinity) this.#steadyMs = now;
    else if (now > this.#wallMs) this.#steadyMs += now - this.#wallMs;
    this.#wallMs = now;
  }

  #timeOf(counter: Counter): TimeMs {
    return counter instanceof SlidingCounter ? this.#steadyMs : this.#wallMs;
  }

  #isSpent(counter: Counter): boolean {
    return counter.isSpent(this.#timeOf(counter));
  }

  /* ---- counting ---- */

  #lacks(each: Counted, amount: number, session: Session): Refusal | null {
    const { meter, counter } = each;
    const now = this.#timeOf(counter);
    if (amount === 0 || counter.used(now) + amount <= meter.max) return null;
    const freeAt = counter.freeAt(amount, meter.max, now);
    return exhausted(meter, session.identity, freeAt - now, this.#wallMs);
  }

  /** What was found to fit is taken; when it cannot be written down, it is not. */
  #take({ meter, counter }: Counted, amount: number): Refusal | null {
    if (amount === 0) return null;
    const now = this.#timeOf(counter);
    if (meter.per.kind !== "session" && amount > counter.lease) {
      const ahead = Math.max(amount, Math.floor(meter.max / AHEAD_PART));
      if (!this.#write(counter.stored(ahead, now))) return this.#cannotCount(meter);
      counter.lease = ahead;
    }
    counter.lease -= amount;
    counter.take(amount, now);
    return null;
  }

  #counter(session: Session, meter: Meter): Counter | Refusal {
    const { per } = meter;
    if (per.kind === "session") return this.#counterOfSession(session.id, meter.id);
    const key = `${meter.id}\n${holderKey(meter.across, session.identity)}`;
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    if (!this.#usable()) return this.#cannotCount(meter);
    if (this.#size >= this.#sweepAt) this.#sweep();
    if (this.#size >= COUNTERS_MAX) {
      return refusal("limit", `${COUNTERS_MAX} counters of rates and budgets are in use, the limit`, {
        rules: rulesOf(meter),
        hint: "Try again later.",
      });
    }
    const before = this.#stored.get(key) ?? null;
    let counter: Counter;
    switch (per.kind) {
      case "sliding":
        counter = new SlidingCounter(key, per.ms, this.#steadyMs, before);
        break;
      case "hour":
        counter = new PeriodCounter(key, hourEnd, this.#wallMs, before);
        break;
      case "day": {
        const { timeZone } = per;
        counter = new PeriodCounter(key, (now) => this.#days.end(timeZone, now), this.#wallMs, before);
        break;
      }
    }
    this.#stored.delete(key);
    this.#counters.set(key, counter);
    return counter;
  }

  #counterOfSession(session: SessionId, id: string): Counter {
    let counters = this.#ofSessions.get(session);
    if (counters === undefined) this.#ofSessions.set(session, (counters = new Map<string, Counter>()));
    let counter = counters.get(id);
    if (counter === undefined) counters.set(id, (counter = new PeriodCounter(id, () => Infinity, 0, null)));
    return counter;
  }

  get #size(): number {
    return this.#counters.size + this.#stored.size;
  }

  /** Forgets what is spent and what no operation goes on counting. */
  #sweep(): void {
    const isFull = this.#sweepAt >= COUNTERS_MAX;
    if (isFull && performance.now() - this.#sweptAtMs < RETRY_MS) return;
    this.#sweptAtMs = performance.now();
    const spent: string[] = [];
    for (const [key, counter] of this.#counters) {
      if (counter.holds > 0 || !this.#isSpent(counter)) continue;
      spent.push(key);
      this.#counters.delete(key);
    }
    for (const [key, count] of this.#stored) {
      if (count.endsAtMs > (count.kind === "sliding" ? this.#steadyMs : this.#wallMs)) continue;
      spent.push(key);
      this.#stored.delete(key);
    }
    this.#sweepAt = Math.min(COUNTERS_MAX, this.#size * 2 + SWEEP_GROWTH_MIN);
    this.#attempt((store) => store.change([], spent));
  }

  /* ---- the store ---- */

  #cannotCount(meter: Meter): Refusal {
    const message =
      meter.rule === null
        ? `${meter.calls ?? meter.unit} cannot be counted now, so this one was not run`
        : `what rule "${meter.rule}" allows cannot be counted now, so this was not run`;
    return refusal("internal", message, {
      rules: rulesOf(meter),
      hint: "The gateway's operator sees why in its output. Try again later.",
      detail: this.#failure?.message ?? "",
    });
  }

  #write(count: StoredCount): boolean {
    return this.#usable() && this.#attempt((store) => store.write(count));
  }

  /** True when the store is open; one that failed is opened again after a while. */
  #usable(): boolean {
    if (this.#store !== null) return true;
    if (this.#isClosed || (this.#failure !== null && performance.now() < this.#failure.retryAtMs)) return false;
    try {
      this.#store = new CounterStore(this.#path);
    } catch (error) {
      this.#failed(error);
      return false;
    }
    const isReady = this.#attempt((store) => {
      if (this.#hasRead) store.change(this.#allStored(), []);
      else this.#read(store);
    });
    if (isReady && this.#failure !== null) {
      this.#failure = null;
      this.#parts.say("rates and budgets can be counted again");
    }
    return isReady;
  }

  #attempt(step: (store: CounterStore) => void): boolean {
    if (this.#store === null) return false;
    try {
      step(this.#store);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    const message = `${this.#path}: ${messageOf(error)}`;
    if (this.#failure === null) {
      this.#parts.say(`rates and budgets cannot be counted, so what has one is refused: ${message}`);
    }
    this.#failure = { message, retryAtMs: performance.now() + RETRY_MS };
    try {
      this.#store?.close();
    } catch {
      // It is given up either way.
    }
    this.#store = null;
  }

  #read(store: CounterStore): void {
    const counts = store.read();
    for (const { kind, writtenAtMs } of counts) {
      if (kind === "sliding" && writtenAtMs > this.#steadyMs) this.#steadyMs = writtenAtMs;
    }
    for (const count of counts) {
      // What was taken ahead may have been used until now.
      const isOpenEnded = count.kind === "sliding" && count.ahead > 0;
      const endsAtMs = isOpenEnded ? this.#steadyMs + count.endsAtMs - count.writtenAtMs : count.endsAtMs;
      this.#stored.set(count.key, { ...count, endsAtMs });
    }
    this.#hasRead = true;
  }

  /** The file may have been replaced: everything is written as it is known here. */
  *#allStored(): Iterable<StoredCount> {
    yield* this.#stored.values();
    for (const counter of this.#counters.values()) yield counter.stored(counter.lease, this.#timeOf(counter));
  }
}

/**
 * Whose count it is. An owner's name is the mapped one, which says nothing of an issuer, so what is counted across
 * owners goes by names alone.
 */
function holderKey(across: Meter["across"], identity: Identity): string {
  return across === "owner" ? (identity.owner ?? identity.subject) : `${identity.issuer}\n${identity.subject}`;
}

function isCounter(value: Counter | Refusal): value is Counter {
  return "lease" in value;
}
