/** JSON as tokens in bytes: where each ends, what an escaped string says, and how a text is written as one. */
import type { ByteBuilder } from "../wire/byte-builder.ts";
import { CHARACTERS, DIGIT, isDigit, LETTER, LOWER, lowerOf } from "./scan.ts";

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** Does it begin and end as an object or a list does? */
export function looksLikeJson(bytes: Uint8Array, start: number, end: number): boolean {
  const first = skipSpace(bytes, start, end);
  if (first === end) return false;
  const closing = bytes[first] === 0x7b ? 0x7d : bytes[first] === 0x5b ? 0x5d : 0;
  if (closing === 0) return false;
  let last = end - 1;
  while (last > first && isSpace(bytes[last] ?? 0)) last--;
  return bytes[last] === closing;
}

export function skipSpace(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && isSpace(bytes[at] ?? 0)) at++;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Braces, brackets, colons and commas. */
export function isPunctuation(byte: number): boolean {
  return byte === 0x7b || byte === 0x7d || byte === 0x5b || byte === 0x5d || byte === 0x3a || byte === 0x2c;
}

/** Behind a number, true, false or null that begins here; 0 when there is none. */
export function literalEnd(bytes: Uint8Array, from: number, end: number): number {
  const isWord = ((CHARACTERS[bytes[from] ?? 0] ?? 0) & LOWER) !== 0;
  let at = from;
  if (isWord) {
    while (at < end && ((CHARACTERS[bytes[at] ?? 0] ?? 0) & LETTER) !== 0) at++;
    return WORDS.some((word) => at - from === word.length && spells(bytes, from, word)) ? at : 0;
  }
  let digits = 0;
  for (; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (((CHARACTERS[byte] ?? 0) & DIGIT) !== 0) digits++;
    else if (byte !== 0x2d && byte !== 0x2b && byte !== 0x2e && lowerOf(byte) !== 0x65) break;
  }
  return digits > 0 && (bytes[from] === 0x2d || isDigit(bytes[from] ?? 0)) ? at : 0;
}

const WORDS = ["true", "false", "null"];

function spells(bytes: Uint8Array, from: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) if (bytes[from + index] !== word.charCodeAt(index)) return false;
  return true;
}

/** Where the quote stands that ends the string whose first byte is here; 0 when there is none. */
export function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) return at;
    if (byte < SPACE) return 0;
    if (byte === BACKSLASH) at++;
  }
  return 0;
}

/** What the inside of a string says, as UTF-8. False: an escape in it is not one. */
export function decodeString(out: ByteBuilder, bytes: Uint8Array, start: number, end: number): boolean {
  let from = start;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== BACKSLASH) continue;
    out.copy(bytes, from, at);
    const escape = bytes[++at] ?? 0;
    if (escape === 0x75) {
      let code = hexAt(bytes, at + 1, end);
      if (code < 0) return false;
      at += 4;
      if (code >= 0xd800 && code < 0xdc00 && bytes[at + 1] === BACKSLASH && bytes[at + 2] === 0x75) {
        const low = hexAt(bytes, at + 3, end);
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        }
      }
      addCharacter(out, code);
    } else {
      const index = ESCAPES.indexOf(String.fromCharCode(escape));
      if (index === -1) return false;
      out.add(ESCAPED.charCodeAt(index));
    }
    from = at + 1;
  }
  out.copy(bytes, from, end);
  return true;
}

const ESCAPES = '"\\/bfnrt';
const ESCAPED = '"\\/\b\f\n\r\t';

function hexAt(bytes: Uint8Array, from: number, end: number): number {
  if (from + 4 > end) return -1;
  let value = 0;
  for (let at = from; at < from + 4; at++) {
    const byte = lowerOf(bytes[at] ?? 0);
    const digit = isDigit(byte) ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x61 + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** As UTF-8; half of a pair becomes the replacement character. */
function addCharacter(out: ByteBuilder, code: number): void {
  const point = code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
  if (point < 0x80) return out.add(point);
  if (point < 0x800) {
    out.add(0xc0 | (point >> 6));
  } else {
    if (point < 0x10000) {
      out.add(0xe0 | (point >> 12));
    } else {
      out.add(0xf0 | (point >> 18));
      out.add(0x80 | ((point >> 12) & 0x3f));
    }
    out.add(0x80 | ((point >> 6) & 0x3f));
  }
  out.add(0x80 | (point & 0x3f));
}

/** Writes UTF-8 as the inside of a string. */
export function encodeString(out: ByteBuilder, bytes: Uint8Array): void {
  for (const byte of bytes) {
    const escape = byte === 0x2f ? -1 : ESCAPED.indexOf(String.fromCharCode(byte));
    if (byte < 0x80 && escape !== -1) {
      out.add(BACKSLASH);
      out.add(ESCAPES.charCodeAt(escape));
    } else if (byte < SPACE) {
      out.text(`\\u${byte.toString(16).padStart(4, "0")}`);
    } else {
      out.add(byte);
    }
  }
}
