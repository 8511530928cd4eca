/** What no text may hold that is to be read as a command: characters that shells, terminals and people read differently. */

/** Longer commands are not read. */
const COMMAND_CHARS_MAX = 65_536;

/** Why the text is not even given to the grammar: half a sentence; null: it may be. */
export function unreadableText(text: string): string | null {
  if (text.length > COMMAND_CHARS_MAX) return `more than ${COMMAND_CHARS_MAX} characters`;
  // A server gives the text to `sh -c` as it is.
  if (text.startsWith("-") || text.startsWith("+")) return "a beginning that shells take for their own options";
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x20 && unit < 0x7f) continue;
    if (unit === 0x09 || unit === 0x0a) continue;
    if (unit === 0) return "a NUL";
    if (unit === 0x0d) return "a carriage return";
    if (unit < 0x20 || unit === 0x7f) return "a control character";
    const codePoint = text.codePointAt(at) ?? 0;
    if (codePoint > 0xffff) at++;
    const why = unreadableCodePoint(codePoint);
    if (why !== null) return why;
  }
  return null;
}

function unreadableCodePoint(codePoint: number): string | null {
  if (codePoint < 0xa0) return "a control character";
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return "half a character";
  if (codePoint === 0xfffd) return "bytes that are not UTF-8";
  if (isBlank(codePoint)) return "white space that is not ASCII";
  if (isInvisible(codePoint)) return "a character that cannot be seen";
  return null;
}

/** Unicode's White_Space beyond ASCII, and the Braille blank, which looks like it. */
function isBlank(codePoint: number): boolean {
  return (
    codePoint === 0xa0 ||
    codePoint === 0x1680 ||
    (codePoint >= 0x2000 && codePoint <= 0x200a) ||
    codePoint === 0x2028 ||
    codePoint === 0x2029 ||
    codePoint === 0x202f ||
    codePoint === 0x205f ||
    codePoint === 0x2800 ||
    codePoint === 0x3000 ||
    codePoint === 0x3164 ||
    codePoint === 0xffa0
  );
}

/** Format characters, fillers, variation selectors and tags: what turns text around or hides in it. */
function isInvisible(codePoint: number): boolean {
  return (
    codePoint === 0xad ||
    codePoint === 0x34f ||
    codePoint === 0x61c ||
    (codePoint >= 0x115f && codePoint <= 0x1160) ||
    (codePoint >= 0x17b4 && codePoint <= 0x17b5) ||
    (codePoint >= 0x180b && codePoint <= 0x180f) ||
    (codePoint >= 0x200b && codePoint <= 0x200f) ||
    (codePoint >= 0x202a && codePoint <= 0x202e) ||
    (codePoint >= 0x2060 && codePoint <= 0x206f) ||
    (codePoint >= 0xe000 && codePoint <= 0xf8ff) ||
    (codePoint >= 0xfe00 && codePoint <= 0xfe0f) ||
    codePoint === 0xfeff ||
    (codePoint >= 0xfff0 && codePoint <= 0xfffb) ||
    codePoint >= 0xe0000
  );
}
