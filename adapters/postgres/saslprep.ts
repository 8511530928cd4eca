/** Brings a password into the form that PostgreSQL hashes for SCRAM: SASLprep (RFC 4013), with PostgreSQL's way out where it fails. */
import {
  LEFT_TO_RIGHT,
  MAPPED_TO_NOTHING,
  NON_ASCII_SPACE,
  PROHIBITED,
  RIGHT_TO_LEFT,
  UNASSIGNED,
} from "./saslprep-tables.ts";

/**
 * As PostgreSQL's pg_saslprep and its callers: ASCII stays as it is, and a password that SASLprep does not allow is
 * used as it is too. What is allowed is asked of the text before its normalization, as PostgreSQL does and the RFC does not.
 */
export function saslPrep(password: string): string {
  if (isAscii(password)) return password;
  const mapped: number[] = [];
  for (const character of password) {
    const code = character.codePointAt(0) ?? 0;
    if (NON_ASCII_SPACES.has(code)) mapped.push(0x20);
    else if (!REMOVED.has(code)) mapped.push(code);
  }
  if (!isAllowed(mapped)) return password;
  let text = "";
  for (const code of mapped) text += String.fromCodePoint(code);
  return text.normalize("NFKC");
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= 0x80) return false;
  return true;
}

function isAllowed(codes: readonly number[]): boolean {
  const first = codes.at(0);
  const last = codes.at(-1);
  if (first === undefined || last === undefined) return false;
  if (codes.some((code) => FORBIDDEN.has(code) || UNKNOWN_THEN.has(code))) return false;
  // RFC 3454, section 6: text from right to left begins and ends so, and holds nothing that goes the other way.
  if (!codes.some((code) => RTL.has(code))) return true;
  return RTL.has(first) && RTL.has(last) && !codes.some((code) => LTR.has(code));
}

/** Sorted ranges of code points. */
class CodePointSet {
  readonly #firsts: number[] = [];
  readonly #lasts: number[] = [];

  constructor(packed: string) {
    const numbers = packed.split(" ").map((number) => Number.parseInt(number, 36));
    let last = 0;
    for (let at = 0; at + 1 < numbers.length; at += 2) {
      const first = last + (numbers[at] ?? 0);
      last = first + (numbers[at + 1] ?? 0);
      this.#firsts.push(first);
      this.#lasts.push(last);
    }
  }

  has(code: number): boolean {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#lasts[middle] ?? 0) < code) low = middle + 1;
      else high = middle;
    }
    return (this.#firsts[low] ?? Number.POSITIVE_INFINITY) <= code;
  }
}

const NON_ASCII_SPACES = new CodePointSet(NON_ASCII_SPACE);
const REMOVED = new CodePointSet(MAPPED_TO_NOTHING);
const FORBIDDEN = new CodePointSet(PROHIBITED);
const UNKNOWN_THEN = new CodePointSet(UNASSIGNED);
const RTL = new CodePointSet(RIGHT_TO_LEFT);
const LTR = new CodePointSet(LEFT_TO_RIGHT);
