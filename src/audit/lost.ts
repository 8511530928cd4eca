/** Which records were handed over and lost with a writer that failed. */
import type { Sequence } from "../core/ports.ts";

/** Ranges that are told apart; older ones are taken together. */
const RANGES_MAX = 256;

export class LostRecords {
  readonly #ranges: { readonly from: Sequence; readonly to: Sequence }[] = [];

  /** Adds those from `from` to `to`, which may be none. */
  add(from: Sequence, to: Sequence): void {
    if (to < from) return;
    this.#ranges.push({ from, to });
    const [first, second] = this.#ranges;
    if (this.#ranges.length <= RANGES_MAX || first === undefined || second === undefined) return;
    // What lies between the two counts as lost too: its operations would have to have run since before hundreds of failures.
    this.#ranges.splice(0, 2, { from: first.from, to: second.to });
  }

  has(sequence: Sequence): boolean {
    for (const { from, to } of this.#ranges) if (sequence >= from && sequence <= to) return true;
    return false;
  }
}
