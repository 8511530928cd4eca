/** The mask over one line of output, colours and other escape sequences of terminals included (ECMA-48). */
import type { ContentMask, MaskedContent } from "../../../src/core/content.ts";
import { ByteBuilder } from "../../../src/wire/byte-builder.ts";

export const REDACTED: Uint8Array = Buffer.from("***");

export const ESC = 0x1b;
const NUL = 0x00;
/** `m` sets colours, `K` erases to the end of the line: both stand within words, as grep writes them. */
const WITHIN_WORDS = Buffer.from("mK");
/** Of one parameter: a sequence with a longer number is none, and is looked at as text. */
const PARAMETER_DIGITS_MAX = 5;
const NOTHING = new Uint8Array(0);

/** What the line between the two places becomes; null: it stays. A line that is to be `null` becomes empty. */
export function maskLine(content: ContentMask, line: Buffer, start: number, end: number): Uint8Array | null {
  return shownOf(content.mask(line, start, end, "text"));
}

/**
 * The same of a line with escape sequences. Each piece between two sequences is masked for itself, which is how a coloured word stands; then all of them
 * together, without what stands within words. Where that finds more, the line loses its sequences.
 */
export function maskEscapedLine(content: ContentMask, line: Buffer, start: number, end: number): Uint8Array | null {
  const kept = new ByteBuilder();
  const bare = new ByteBuilder();
  let isMasked = false;
  for (let at = start; at < end;) {
    const found = line.indexOf(ESC, at);
    const stop = found === -1 || found > end ? end : found;
    const masked = stop === at ? null : shownOf(content.mask(line, at, stop, "text"));
    if (masked !== null) isMasked = true;
    const piece = masked ?? line.subarray(at, stop);
    kept.copy(piece, 0, piece.length);
    bare.copy(piece, 0, piece.length);
    if (stop === end) break;
    at = sequenceEnd(line, stop, end);
    kept.copy(line, stop, at);
    if (!(at - stop > 2 && WITHIN_WORDS.includes(line[at - 1] ?? 0))) bare.add(NUL);
  }
  const text = bare.take();
  const whole = shownOf(content.mask(text, 0, text.length, "text"));
  if (whole !== null) return whole.filter((byte) => byte !== NUL);
  return isMasked ? kept.take() : null;
}

/** Where the escape sequence ends: `ESC [` with parameters and a final byte, else two bytes. What it says after those is text. */
function sequenceEnd(line: Buffer, start: number, end: number): number {
  const short = Math.min(start + 2, end);
  if (line[start + 1] !== 0x5b) return short;
  let digits = 0;
  for (let at = short; at < end; at++) {
    const byte = line[at] ?? 0;
    if (byte >= 0x40 && byte <= 0x7e) return at + 1;
    if (byte < 0x20 || byte > 0x3f) return short;
    digits = byte >= 0x30 && byte <= 0x39 ? digits + 1 : 0;
    if (digits > PARAMETER_DIGITS_MAX) return short;
  }
  return short;
}

function shownOf(masked: MaskedContent): Uint8Array | null {
  return masked === "absent" ? NOTHING : masked;
}
