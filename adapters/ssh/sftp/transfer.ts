/** What of one file's content has passed: its SHA-256 when it went in order from the beginning, else which ranges of it. */
import type { Outcome } from "../../../src/core/ports.ts";

/** Ranges that are told apart; what is more is left out, and said so. */
const RANGES_MAX = 8;
/** What a record keeps of them, without a last `,...`. */
const WORDS_UNITS_MAX = 255 - 4;

type Range = { first: number; last: number };

/** Parts of a file, in their order; neighbours are one. */
class Ranges {
  readonly #ranges: Range[] = [];
  #isCut = false;

  /** Places are whole numbers; `last` is included. */
  add(first: number, last: number): void {
    const ranges = this.#ranges;
    const end = ranges.at(-1);
    if (end !== undefined && first === end.last + 1) {
      end.last = last;
      return;
    }
    const at = ranges.findIndex((range) => first <= range.last + 1);
    const range = at < 0 ? undefined : ranges[at];
    if (range === undefined || last < range.first - 1) {
      if (ranges.length === RANGES_MAX) this.#isCut = true;
      else ranges.splice(at < 0 ? ranges.length : at, 0, { first, last });
      return;
    }
    range.first = Math.min(range.first, first);
    range.last = Math.max(range.last, last);
    for (let next = ranges[at + 1]; next !== undefined && next.first <= range.last + 1; next = ranges[at + 1]) {
      range.last = Math.max(range.last, next.last);
      ranges.splice(at + 1, 1);
    }
  }

  /** `direction` before each: `r0-99`. */
  words(direction: string): string[] {
    const words = this.#ranges.map(({ first, last }) => `${direction}${first}-${last}`);
    return this.#isCut ? [...words, `${direction}...`] : words;
  }
}

/** Whole words only: a number that is cut would be another one. */
function joined(words: readonly string[]): string {
  let text = "";
  for (const word of words) {
    if (text.length + 1 + word.length > WORDS_UNITS_MAX) return `${text},...`;
    text = text === "" ? word : `${text},${word}`;
  }
  return text;
}

/** One file between its OPEN and its CLOSE. */
export class Transfer {
  readonly #appends: boolean;
  /** Null: not in order, or in both directions. */
  #hash: Bun.CryptoHasher | null = new Bun.CryptoHasher("sha256");
  #direction: "read" | "written" | null = null;
  /** Where the next byte lies, as long as all went in order. */
  #next = 0;
  #bytes = 0;
  readonly #read = new Ranges();
  readonly #written = new Ranges();
  #hasAppended = false;

  /** `appends`: the target puts at the end whatever is written, wherever it is said to belong. */
  constructor(appends: boolean) {
    this.#appends = appends;
  }

  /** The target has answered a READ with this. */
  read(offset: number, content: Uint8Array): void {
    if (content.length === 0) return;
    this.#bytes += content.length;
    this.#read.add(offset, offset + content.length - 1);
    this.#inOrder("read", offset, content);
  }

  /** A WRITE is being sent. */
  writes(offset: number, content: Uint8Array): void {
    if (this.#appends) this.#hash = null;
    else this.#inOrder("written", offset, content);
  }

  /** The target has acknowledged it. */
  wrote(offset: number, bytes: number): void {
    if (bytes === 0) return;
    this.#bytes += bytes;
    if (this.#appends) this.#hasAppended = true;
    else this.#written.add(offset, offset + bytes - 1);
  }

  /** A WRITE has failed: what was hashed is not what is there. */
  spoil(): void {
    this.#hash = null;
  }

  /** To be asked once. */
  outcome(): Pick<Outcome, "bytes" | "sha256" | "ranges"> {
    const bytes = this.#bytes;
    if (bytes === 0) return { bytes };
    // What was sent and never acknowledged is in the hash too: it is of other bytes then.
    if (this.#hash !== null && this.#next === bytes) return { bytes, sha256: this.#hash.digest("hex") };
    const words = [...this.#read.words("r"), ...this.#written.words("w")];
    if (this.#hasAppended) words.push("a");
    return { bytes, ranges: joined(words) };
  }

  #inOrder(direction: "read" | "written", offset: number, content: Uint8Array): void {
    this.#direction ??= direction;
    if (this.#hash === null) return;
    if (direction !== this.#direction || offset !== this.#next) {
      this.#hash = null;
      return;
    }
    this.#hash.update(content);
    this.#next += content.length;
  }
}
