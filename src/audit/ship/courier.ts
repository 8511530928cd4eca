/** Keeps one copy up with the log: step by step, with patience where the place fails, and never in a hurry. */
import { messageOf } from "../../core/message-of.ts";
import { CopyForked } from "./bounded-fetch.ts";
import type { Destination, Source } from "./destination.ts";
import type { ShipperMessage } from "./messages.ts";

/** How long a courier waits that has nothing to do. */
const IDLE_MS = 1000;
/** The first wait after a failure, and the longest: each is twice the last one, and up to half of it is chance. */
const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 60_000;

export type CourierParts = {
  readonly destination: Destination;
  readonly source: Source;
  readonly tell: (message: ShipperMessage) => void;
  /** Resolves after a time, or when the courier shall not wait any longer. */
  readonly pause: (durationMs: number) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
};

export class Courier {
  readonly #parts: CourierParts;
  #size: number | null = null;
  #failures = 0;
  #failure: string | null = null;
  #fork: string | null = null;
  #isLast = false;
  #told = "";

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  /** Works until finish() is called, and then until nothing is left to copy or it fails. Never rejects. */
  async run(): Promise<void> {
    for (;;) {
      const isLast = this.#isLast;
      const isMore = await this.#step(isLast);
      this.#tellState();
      if (isMore) continue;
      if (isLast) return;
      await this.#parts.pause(this.#failure === null ? IDLE_MS : this.#backoffMs());
    }
  }

  /** The gateway ends: what is left is copied once more, without waiting. */
  finish(): void {
    this.#isLast = true;
  }

  /** Is there more to do at once? */
  async #step(isLast: boolean): Promise<boolean> {
    const { destination, source, tell } = this.#parts;
    try {
      const { size, isMore } = await destination.step(source, isLast);
      this.#size = size;
      if (this.#failure !== null) tell({ kind: "recovered", destination: destination.name });
      this.#failure = null;
      this.#fork = null;
      this.#failures = 0;
      return isMore;
    } catch (error) {
      const reason = messageOf(error);
      // That a copy is of another log is said also where it could not be reached before.
      const isNews = this.#failure === null || (error instanceof CopyForked && this.#fork === null);
      if (isNews) tell({ kind: "failed", destination: destination.name, reason });
      // It stays so when the copy cannot be reached any more.
      if (error instanceof CopyForked) this.#fork = reason;
      this.#failure = reason;
      this.#failures++;
      return false;
    }
  }

  #backoffMs(): number {
    const longest = Math.min(BACKOFF_MS_MIN * 2 ** (this.#failures - 1), BACKOFF_MS_MAX);
    return longest * (1 - this.#parts.random() / 2);
  }

  #tellState(): void {
    const { destination, tell } = this.#parts;
    const { name, where, caveat } = destination;
    const state = { destination: name, where, size: this.#size, failure: this.#failure, fork: this.#fork, caveat };
    const text = JSON.stringify(state);
    if (text === this.#told) return;
    this.#told = text;
    tell({ kind: "state", state });
  }
}
