/** What a verification finds: where, and what is wrong there. */

/** Which check it was that failed. These words are part of the JSON that `weir audit verify` prints. */
export type Check =
  | "file"
  | "entry"
  | "leaf"
  | "tile"
  | "head"
  | "checkpoint"
  | "signature"
  | "cosignature"
  | "stamp"
  | "key"
  | "outcome"
  | "sequence"
  | "run"
  | "time"
  | "recording";

export type Finding = {
  readonly check: Check;
  /** What it is about: `entry 1234`, `checkpoint 5000`, `tile/0/004`, `log`. */
  readonly place: string;
  /** One sentence without a full stop. */
  readonly text: string;
};

/** Of each check, so that one damage cannot hide another and none can fill the memory. */
const KEPT_MAX = 100;

/** Findings in a form that passes between threads. */
export type FindingList = { readonly kept: readonly Finding[]; readonly counts: readonly (readonly [Check, number])[] };

/** Findings in the order in which they were made: the first of each check are kept, all are counted. */
export class Findings {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<Check, number>();

  add(check: Check, place: string, text: string): void {
    const count = (this.#counts.get(check) ?? 0) + 1;
    this.#counts.set(check, count);
    if (count <= KEPT_MAX) this.#kept.push({ check, place, text });
  }

  /** Takes over what was found elsewhere. */
  merge({ kept, counts }: FindingList): void {
    const room = new Map<Check, number>();
    for (const finding of kept) {
      const left = room.get(finding.check) ?? KEPT_MAX - (this.#counts.get(finding.check) ?? 0);
      if (left > 0) this.#kept.push(finding);
      room.set(finding.check, left - 1);
    }
    for (const [check, count] of counts) this.#counts.set(check, (this.#counts.get(check) ?? 0) + count);
  }

  list(): FindingList {
    return { kept: this.#kept, counts: [...this.#counts] };
  }

  /** How many there were, kept or not. */
  get count(): number {
    let count = 0;
    for (const each of this.#counts.values()) count += each;
    return count;
  }
}
