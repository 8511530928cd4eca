/** What is ready to be sent to the server, in order: an operation under limits has the server to itself, and the rest waits. */
import type { Run } from "./run.ts";

export type Sending = {
  /** The operation that must be alone; null for all others. */
  readonly alone: Run | null;
  /** Sync or Flush: a COPY that takes data reads over it. */
  readonly isIgnoredInCopy?: boolean;
  send(): void;
};

export class Outgoing {
  readonly #waiting: Sending[] = [];
  #alone: Run | null = null;
  /** Cancel requests on their way: what is sent now could be hit by one. */
  #cancels = 0;

  /** Nothing waits, and nothing keeps the server to itself: what is sent goes at once. */
  get isFree(): boolean {
    return this.#alone === null && this.#cancels === 0 && this.#waiting.length === 0;
  }

  /** Something waits for the replies to all that was sent. */
  get waitsForQuiet(): boolean {
    return this.#alone === null && this.#cancels === 0 && (this.#waiting[0]?.alone ?? null) !== null;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** What may go to a COPY that has just begun, up to the first that may not. */
  takeIgnoredInCopy(): Sending[] {
    const end = this.#waiting.findIndex((sending) => sending.isIgnoredInCopy !== true);
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  push(sending: Sending): void {
    this.#waiting.push(sending);
  }

  /** Before all that waits. */
  pushFirst(sendings: readonly Sending[]): void {
    this.#waiting.unshift(...sendings);
  }

  /** The next that may be sent now; `isQuiet` when the server has answered everything. */
  next(isQuiet: boolean): Sending | null {
    if (this.#alone !== null || this.#cancels > 0) return null;
    const first = this.#waiting[0];
    if (first === undefined || (first.alone !== null && !isQuiet)) return null;
    this.#waiting.shift();
    return first;
  }

  /** From now on nothing else is sent, until it has ended. */
  begin(run: Run): void {
    this.#alone = run;
  }

  get alone(): Run | null {
    return this.#alone;
  }

  ended(run: Run): void {
    if (this.#alone === run) this.#alone = null;
  }

  cancelSent(): void {
    this.#cancels++;
  }

  cancelSettled(): void {
    this.#cancels--;
  }

  get isCancelling(): boolean {
    return this.#cancels > 0;
  }

  /** The session ends: what was waiting, so that it can be told. */
  abandon(): Sending[] {
    return this.#waiting.splice(0);
  }
}
