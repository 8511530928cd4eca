/** Notices a writer that has work and does not get on with it. */
import type { Sequence } from "../core/ports.ts";

/** A writer that has work and makes none of it durable for this long has failed. */
export const SILENCE_MS_MAX = 5000;
const LOOK_MS = 250;

export class SilenceWatch {
  readonly #durable: () => Sequence;
  readonly #handedOver: () => Sequence;
  readonly #onSilence: () => void;
  #timer: Timer | null = null;
  #seen: Sequence = 0;
  #seenAtMs = 0;

  constructor(durable: () => Sequence, handedOver: () => Sequence, onSilence: () => void) {
    this.#durable = durable;
    this.#handedOver = handedOver;
    this.#onSilence = onSilence;
  }

  /** To be called when something is handed over: looks now and then until all of it is durable. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#seen = this.#durable();
    this.#seenAtMs = performance.now();
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    const durable = this.#durable();
    if (durable >= this.#handedOver()) return;
    const now = performance.now();
    if (durable > this.#seen) {
      this.#seen = durable;
      this.#seenAtMs = now;
    } else if (now - this.#seenAtMs > SILENCE_MS_MAX) return this.#onSilence();
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }
}
