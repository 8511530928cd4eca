/** What every detector works on: a piece of text in bytes, the kinds of its characters, and the spans found so far. */

/** Bits of CHARACTERS. */
export const DIGIT = 1;
export const UPPER = 2;
export const LOWER = 4;
export const LETTER = UPPER | LOWER;
export const ALNUM = DIGIT | LETTER;
/** Of the part of an e-mail address before the @; bytes of characters beyond ASCII are too. */
export const LOCAL = 8;
/** Of a host name, dots apart. */
export const HOST = 16;
export const BASE64URL = 32;
export const BASE64 = 64;
export const UNDERSCORE = 128;
/** What a word goes on with. */
export const WORD = ALNUM | UNDERSCORE;

/** The kinds of each byte as bits; bytes beyond ASCII belong to characters of several bytes. */
export const CHARACTERS: Uint8Array = characterTable();

function characterTable(): Uint8Array {
  const table = new Uint8Array(256);
  const add = (characters: string, bits: number): void => {
    for (let at = 0; at < characters.length; at++) {
      const byte = characters.charCodeAt(at);
      table[byte] = (table[byte] ?? 0) | bits;
    }
  };
  const lower = "abcdefghijklmnopqrstuvwxyz";
  add("0123456789", DIGIT | LOCAL | HOST | BASE64URL | BASE64);
  add(lower.toUpperCase(), UPPER | LOCAL | HOST | BASE64URL | BASE64);
  add(lower, LOWER | LOCAL | HOST | BASE64URL | BASE64);
  add("._%+-", LOCAL);
  add("-", HOST | BASE64URL);
  add("_", BASE64URL | UNDERSCORE);
  add("+/=", BASE64);
  for (let byte = 0x80; byte < 0x100; byte++) table[byte] = LOCAL | HOST;
  return table;
}

/** A span of bytes and what it was found to be, by a number that its reader gave the kind. */
export class Scan {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Three numbers for each span: where it begins, where it ends, and its kind. */
  spans: Int32Array = new Int32Array(3 * 32);
  count = 0;
  /** The last one goes on beyond the end of the text. */
  isWithin = false;

  /** What lies between the two places is looked at next; nothing beyond them is seen. */
  begin(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.count = 0;
    this.isWithin = false;
  }

  /** The byte here; a NUL, which is of no kind, beyond the text. */
  at(place: number): number {
    return place >= this.start && place < this.end ? (this.bytes[place] ?? 0) : 0;
  }

  /** The kinds of the byte here; none beyond the text. */
  kindsAt(place: number): number {
    return place >= this.start && place < this.end ? (CHARACTERS[this.bytes[place] ?? 0] ?? 0) : 0;
  }

  /** Where the run of bytes of these kinds that begins here ends. */
  runEnd(place: number, kinds: number): number {
    const { bytes, end } = this;
    let at = place;
    while (at < end && ((CHARACTERS[bytes[at] ?? 0] ?? 0) & kinds) !== 0) at++;
    return at;
  }

  /** Where the run of this byte that begins here ends. */
  runEndOf(byte: number, place: number): number {
    let at = place;
    while (at < this.end && this.bytes[at] === byte) at++;
    return at;
  }

  /** Does this ASCII text stand here? */
  has(text: string, place: number): boolean {
    if (place < this.start || place + text.length > this.end) return false;
    for (let index = 0; index < text.length; index++) {
      if (this.bytes[place + index] !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** As has(), whatever the case of the letters; `text` is in lower case. */
  hasIgnoringCase(text: string, place: number): boolean {
    if (place < this.start || place + text.length > this.end) return false;
    for (let index = 0; index < text.length; index++) {
      if (lowerOf(this.bytes[place + index] ?? 0) !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  add(start: number, end: number, kind: number): void {
    if (3 * this.count === this.spans.length) {
      const larger = new Int32Array(2 * this.spans.length);
      larger.set(this.spans);
      this.spans = larger;
    }
    // Kept in order of their beginnings. Detectors look back by a bounded number of bytes, so little is ever moved.
    let place = 3 * this.count++;
    for (; place > 0 && (this.spans[place - 3] ?? 0) > start; place -= 3) {
      this.spans.copyWithin(place, place - 3, place);
    }
    this.spans[place] = start;
    this.spans[place + 1] = end;
    this.spans[place + 2] = kind;
  }
}

/** A to Z as a to z; all others as they are. */
export function lowerOf(byte: number): number {
  return ((CHARACTERS[byte] ?? 0) & UPPER) === 0 ? byte : byte + 0x20;
}

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
