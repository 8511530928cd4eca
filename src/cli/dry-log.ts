/** Stands in for the log while a command tries targets: what the gateway's owner tries by hand is no client's operation. */
import type { Audit, Sequence } from "../core/ports.ts";

/** Takes every record and keeps none. Only for a door through which no client can come. */
export class DryLog implements Audit {
  #handedOver: Sequence = 0;
  #listener: () => void = () => undefined;

  intent(): Sequence {
    return this.#next();
  }

  outcome(): Sequence {
    return this.#next();
  }

  event(): Sequence {
    return this.#next();
  }

  get durable(): Sequence {
    return this.#handedOver;
  }

  get handedOver(): Sequence {
    return this.#handedOver;
  }

  readonly lagMs = 0;
  readonly failure = null;

  onProgress(callback: () => void): void {
    this.#listener = callback;
  }

  forget(): void {
    // Nothing is kept.
  }

  #next(): Sequence {
    this.#handedOver++;
    queueMicrotask(() => this.#listener());
    return this.#handedOver;
  }
}
