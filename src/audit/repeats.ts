/** Events that one sender could have recorded without end: a log that fails closed must not be a way to stop the house. */
import type { EventKind } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";
import { FailedLogins } from "./logins.ts";
import type { EventFacts } from "./pieces.ts";
import { SubjectRepeats } from "./subject-repeats.ts";

export type RepeatsParts = {
  readonly now: () => TimeMs;
  /** Can anything be recorded now? What is counted waits until it can. */
  readonly isServing: () => boolean;
  /** Records a count. May throw. */
  record(kind: EventKind, facts: EventFacts): void;
};

type Counted = {
  readonly dueMs: TimeMs | null;
  isRecorded(facts: EventFacts, now: TimeMs): boolean;
  take(now: TimeMs | null): EventFacts[];
};

/** Decides which events are recorded as they come, and records the counts of the others when their minute is over. */
export class Repeats {
  readonly #parts: RepeatsParts;
  readonly #kinds = new Map<EventKind, Counted>([
    ["login.failed", new FailedLogins()],
    ["login.ok", new SubjectRepeats()],
    ["session.refused", new SubjectRepeats()],
  ]);
  #timer: Timer | null = null;

  constructor(parts: RepeatsParts) {
    this.#parts = parts;
  }

  /** True: record this event now. False: it was counted. */
  isRecorded(kind: EventKind, facts: EventFacts): boolean {
    const counted = this.#kinds.get(kind);
    if (counted === undefined) return true;
    const isRecorded = counted.isRecorded(facts, this.#parts.now());
    this.#arm();
    return isRecorded;
  }

  /** Records what was counted up to now, and counts no more. Throws what `record` throws. */
  finish(): void {
    this.stop();
    for (const [kind, counted] of this.#kinds) for (const facts of counted.take(null)) this.#parts.record(kind, facts);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #arm(): void {
    if (this.#timer !== null) return;
    const due = Math.min(...Array.from(this.#kinds.values(), ({ dueMs }) => dueMs ?? Number.POSITIVE_INFINITY));
    if (due === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, due - this.#parts.now()) + 1);
    this.#timer.unref();
  }

  #flush(): void {
    this.#timer = null;
    if (this.#parts.isServing()) this.#record(this.#parts.now());
    this.#arm();
  }

  #record(now: TimeMs): void {
    for (const [kind, counted] of this.#kinds) {
      for (const facts of counted.take(now)) {
        try {
          this.#parts.record(kind, facts);
        } catch {
          return; // The log has just failed; its gap entry says that records are missing.
        }
      }
    }
  }
}
