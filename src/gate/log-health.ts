/** Whether the log can be written: told to the operator when that changes, and for how long it could not. */
import type { Clock } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";

/** So long may what lasts go on while the log cannot be written: a writer that comes back within it ends no shell. */
const UNRECORDED_MS_MAX = 5_000;

export class LogHealth {
  readonly #clock: Clock;
  readonly #say: (line: string) => void;
  /** What the operator was last told; undefined while it works. */
  #said: string | undefined;
  /** Null: it can be written. */
  #failedAtMs: TimeMs | null = null;

  constructor(clock: Clock, say: (line: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** `failure` null: the log works. */
  heard(failure: Error | null): void {
    if (failure === null) this.#failedAtMs = null;
    else this.#failedAtMs ??= this.#clock.now();
  }

  /** To be called when what follows from it is done. */
  tell(failure: Error | null): void {
    if (this.#said === failure?.message) return;
    this.#said = failure?.message;
    if (failure === null) this.#say("the log works again; what was lost is counted in it");
    else this.#say(`the log has failed, so nothing is let through: ${failure.message}`);
  }

  /** What lasts may not go on unrecorded. */
  isFailedForLong(now: TimeMs): boolean {
    return this.#failedAtMs !== null && now - this.#failedAtMs >= UNRECORDED_MS_MAX;
  }
}
