/** What a text must hold to before it may meet the parser, whose lexer takes quadratic time on some input. */

export const STATEMENT_BYTES_MAX_DEFAULT = 256 * 1024;
/** Each nested comment makes the lexer look again at all that follows. */
const COMMENT_OPENINGS_MAX = 64;
/** An operator gives back its trailing signs one by one. */
const OPERATOR_CHARACTERS_MAX = 128;
/** Deep nesting exhausts the stack of the parser, or of whoever walks its tree. */
const PARENTHESES_DEPTH_MAX = 1_000;

const NUL = 0x00;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const OPEN = 0x28;
const CLOSE = 0x29;
const STAR = 0x2a;
const MINUS = 0x2d;
const SLASH = 0x2f;

const IS_OPERATOR_CHARACTER = new Uint8Array(256);
for (const character of "~!@#^&|`?+-*/%<>=") IS_OPERATOR_CHARACTER[character.charCodeAt(0)] = 1;

/**
 * Why the parser may not read these bytes, as a sentence for people; null when it may.
 * Comments and strings are not told apart from code, on purpose: telling them apart is the parser's business.
 * Two exceptions keep banners readable, and cost the lexer nothing wherever they stand: a run that begins with `--`
 * and what follows it on its line, and a run that begins with a slash and a star (those are counted by themselves).
 */
export function refusalBeforeParsing(bytes: Uint8Array, bytesMax: number): string | null {
  if (bytes.length > bytesMax) return `the statement has ${bytes.length} bytes; the limit is ${bytesMax}`;
  let commentOpenings = 0;
  let depth = 0;
  let run = 0;
  let runIsComment = false;
  let lineIsComment = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? NUL;
    if (byte === NUL) return "the statement holds a NUL byte";
    if (byte === LINE_FEED || byte === CARRIAGE_RETURN) lineIsComment = false;
    if (IS_OPERATOR_CHARACTER[byte] !== 1) {
      run = 0;
      if (byte === OPEN && ++depth > PARENTHESES_DEPTH_MAX) {
        return `the statement is nested more than ${PARENTHESES_DEPTH_MAX} deep`;
      }
      if (byte === CLOSE && depth > 0) depth--;
      continue;
    }
    const next = bytes[at + 1];
    if (byte === SLASH && next === STAR && ++commentOpenings > COMMENT_OPENINGS_MAX) {
      return `the statement holds more than ${COMMENT_OPENINGS_MAX} comment openings`;
    }
    if (run === 0) {
      if (byte === MINUS && next === MINUS) lineIsComment = true;
      runIsComment = byte === SLASH && next === STAR;
    }
    run++;
    if (run > OPERATOR_CHARACTERS_MAX && !runIsComment && !lineIsComment) {
      return `the statement holds a run of more than ${OPERATOR_CHARACTERS_MAX} operator characters`;
    }
  }
  return null;
}
