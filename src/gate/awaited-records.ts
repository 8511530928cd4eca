/** Operations whose records were handed to the log, in that order, until those are durable. */
import type { Sequence } from "../core/ports.ts";
import type { SessionState, Waiting } from "./session-state.ts";

export type AwaitedRecord = { readonly sequence: Sequence; readonly state: SessionState; readonly waiting: Waiting };

/** So many that were taken are kept before the list is shortened. */
const TAKEN_MAX = 4096;

export class AwaitedRecords {
  readonly #records: AwaitedRecord[] = [];
  #first = 0;

  push(record: AwaitedRecord): void {
    this.#records.push(record);
  }

  /** The next whose record is durable, which is then awaited no more; null: there is none. */
  takeDurable(durable: Sequence): AwaitedRecord | null {
    const record = this.#records[this.#first];
    if (record === undefined || record.sequence > durable) {
      this.#shorten();
      return null;
    }
    this.#first++;
    return record;
  }

  /** All that are left: they were lost with the log. */
  takeAll(): readonly AwaitedRecord[] {
    return this.#records.splice(this.#first);
  }

  #shorten(): void {
    if (this.#first < this.#records.length && this.#first <= TAKEN_MAX) return;
    this.#records.splice(0, this.#first);
    this.#first = 0;
  }
}
