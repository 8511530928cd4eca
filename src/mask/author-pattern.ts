/** Searches texts for all matches of an author's pattern (RE2 syntax) at a bounded cost. */
import { RE2JS } from "re2js";
import type { Scan } from "./scan.ts";

/** About 45 ns each at worst, so a fifth of a second for one value. */
const COST_MAX = 4_000_000;
/** What every search costs besides its characters. */
const SEARCH_CHARS = 16;

/**
 * What searching one value may cost, all its parts and patterns together: characters that are left, times the pattern's
 * instructions, for each match. Finding all of them costs the square of the length at worst.
 */
export class SearchBudget {
  #left = COST_MAX;

  /** For the next value. */
  renew(): void {
    this.#left = COST_MAX;
  }

  /** False: it is used up. */
  spend(characters: number, instructions: number): boolean {
    this.#left -= (characters + SEARCH_CHARS) * instructions;
    return this.#left >= 0;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text as it is searched; null when it is not UTF-8. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string | null {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    return null;
  }
}

export class AuthorPattern {
  readonly #compiled: RE2JS;
  readonly #size: number;

  /** `text` was checked when the policy was loaded; throws when it cannot be read all the same. */
  constructor(text: string) {
    this.#compiled = RE2JS.compile(text);
    this.#size = this.#compiled.programSize();
  }

  /** Adds all matches in `text`, which is what `scan` looks at. False: it would cost too much, and is not known. */
  find(scan: Scan, text: string, kind: number, budget: SearchBudget): boolean {
    if (!budget.spend(text.length, this.#size)) return false;
    if (!this.#compiled.test(text)) return true;
    const isAscii = text.length === scan.end - scan.start;
    const matcher = this.#compiled.matcher(text);
    let unit = 0;
    let byte = scan.start;
    while (matcher.find()) {
      const start = matcher.start();
      const end = matcher.end();
      if (!budget.spend(text.length - start, this.#size)) return false;
      // An empty match hides nothing.
      if (start === end) continue;
      byte = isAscii ? scan.start + start : byte + utf8Length(text, unit, start);
      const byteEnd = isAscii ? scan.start + end : byte + utf8Length(text, start, end);
      scan.add(byte, byteEnd, kind);
      unit = end;
      byte = byteEnd;
    }
    return true;
  }
}

/** Bytes of a well-formed text between two places that do not part a character. */
function utf8Length(text: string, from: number, to: number): number {
  let bytes = 0;
  for (let at = from; at < to; at++) {
    const unit = text.charCodeAt(at);
    // Either half of a pair is two of its four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  return bytes;
}
