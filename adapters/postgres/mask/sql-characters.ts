/** What bytes mean to PostgreSQL's lexer. */

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
export const DOUBLE_QUOTE = 0x22;
export const DOLLAR = 0x24;
export const AMPERSAND = 0x26;
export const QUOTE = 0x27;
export const STAR = 0x2a;
export const PLUS = 0x2b;
export const MINUS = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;
export const UNDERSCORE = 0x5f;
/** What stands behind the last byte. */
export const NONE = -1;

/** Classes of bytes, as bits. */
export const BLANK = 1;
export const IDENTIFIER_START = 2;
export const DIGIT = 4;
export const OPERATOR = 8;
/** An operator that has one of these keeps its trailing signs. */
export const UNUSUAL_OPERATOR = 16;
export const PUNCTUATION = 32;

/** The classes of each byte. */
const CLASSES = new Uint8Array(256);
function mark(characters: string, bits: number): void {
  for (const character of characters) {
    const code = character.charCodeAt(0);
    CLASSES[code] = (CLASSES[code] ?? 0) | bits;
  }
}
// The vertical tab is blank since PostgreSQL 17; before, nothing that holds one between tokens is accepted.
mark(" \t\n\v\f\r", BLANK);
mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", IDENTIFIER_START);
for (let byte = 0x80; byte <= 0xff; byte++) CLASSES[byte] = IDENTIFIER_START;
mark("0123456789", DIGIT);
mark("~!@#^&|`?+-*/%<>=", OPERATOR);
mark("~!@#^&|`?%", UNUSUAL_OPERATOR);
mark(",()[].;:", PUNCTUATION);

/** The byte is in one of these classes; nothing is in any. */
export function has(byte: number, bits: number): boolean {
  return byte !== NONE && ((CLASSES[byte] ?? 0) & bits) !== 0;
}

/** Either ends a line by itself. */
export function isNewline(byte: number): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}

/** A letter without its case; others come out as they went in or as no letter. */
function lower(byte: number): number {
  return byte | 0x20;
}

/** The letter is given in lower case, and found in either. */
export function isLetter(byte: number, letter: string): boolean {
  return byte !== NONE && lower(byte) === letter.charCodeAt(0);
}

/** Of whatever case. */
export function isHexDigit(byte: number): boolean {
  return has(byte, DIGIT) || (byte !== NONE && lower(byte) >= 0x61 && lower(byte) <= 0x66);
}

/** 0 to 9. */
export function isDigit(byte: number): boolean {
  return has(byte, DIGIT);
}

/** These bytes are the word (lower case, ASCII) in whatever case. */
export function isSpelled(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let at = 0; at < word.length; at++) if (lower(bytes[start + at] ?? 0) !== word.charCodeAt(at)) return false;
  return true;
}
