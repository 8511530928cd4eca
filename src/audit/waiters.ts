/** Those who wait for records of theirs to be durable. */
import type { Sequence } from "../core/ports.ts";

type Waiter = { readonly sequence: Sequence; resolve(): void; reject(error: Error): void };

export class Waiters {
  readonly #waiters: Waiter[] = [];

  /** Resolves when settle() is told that the record is durable; rejects with what it is told otherwise. */
  async wait(sequence: Sequence): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }));
  }

  /** `failure`: nothing more will be durable. */
  settle(durable: Sequence, failure: Error | null): void {
    let kept = 0;
    for (const waiter of this.#waiters) {
      if (waiter.sequence <= durable) waiter.resolve();
      else if (failure !== null) waiter.reject(failure);
      else this.#waiters[kept++] = waiter;
    }
    this.#waiters.length = kept;
  }
}
