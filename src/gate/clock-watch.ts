/** Watches the wall clock with the monotonic one: a clock that was set decides nothing about time until somebody confirms it. */
import type { Clock } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";

/** A clock may be wrong by this much (threat model: a clock within 60 s). */
const STEP_MS_MAX = 60_000;
/** Beyond it, what slewing adds: NTP moves a clock by at most 0.05%, a bad crystal drifts by less. */
const DRIFT_MAX = 0.001;
/** How often it is looked at when nobody asks. */
const LOOK_MS = 1_000;

/** What stands between the two clocks, and since when. */
type Offset = { readonly ms: number; readonly atMonoMs: number };

/** The house's clock: each time it is asked it looks whether it was set. */
export class ClockWatch implements Clock {
  readonly #clock: Clock;
  readonly #monotonicMs: () => number;
  #confirmed: Offset;
  #steppedByMs: number | null = null;
  #listener: (steppedByMs: number | null) => void = () => {};
  readonly #timer: Timer;

  /** `monotonicMs` is for tests; the process's own otherwise. */
  constructor(clock: Clock, monotonicMs: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#monotonicMs = monotonicMs;
    this.#confirmed = this.#offset();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  now(): TimeMs {
    this.#look();
    return this.#clock.now();
  }

  /** By how much the clock has been set since it was last known to be right, in ms; null: it goes as it should. */
  get steppedByMs(): number | null {
    this.#look();
    return this.#steppedByMs;
  }

  /**
   * Called at once when the clock has been set, and with null when it is right again: by whoever asked for the time,
   * who may be in the middle of a decision. One listener.
   */
  onStep(callback: (steppedByMs: number | null) => void): void {
    this.#listener = callback;
  }

  /** An operator says that the clock is right as it is now. */
  confirm(): void {
    this.#confirmed = this.#offset();
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #offset(): Offset {
    const atMonoMs = this.#monotonicMs();
    return { ms: this.#clock.now() - atMonoMs, atMonoMs };
  }

  #look(): void {
    const { ms, atMonoMs } = this.#offset();
    const byMs = ms - this.#confirmed.ms;
    const allowedMs = STEP_MS_MAX + (atMonoMs - this.#confirmed.atMonoMs) * DRIFT_MAX;
    const steppedByMs = Math.abs(byMs) > allowedMs ? Math.round(byMs) : null;
    const wasRight = this.#steppedByMs === null;
    this.#steppedByMs = steppedByMs;
    if ((steppedByMs === null) !== wasRight) this.#listener(steppedByMs);
  }
}
