/** Values as transcripts have them: text as it is, and everything else as `\x` and hex digits. */
import { isUtf8 } from "node:buffer";

/** For fewer bytes than this a loop is faster than a decoder. */
const LOOP_BYTES_MAX = 16;
const REPLACEMENT = "\uFFFD";

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** `ascii`: the client's encoding is not UTF-8, so only what is ASCII is sure to be what it says. */
export type TextEncoding = "utf8" | "ascii";

/** The bytes between the two places as text; in hex where they are none. */
export function valueText(bytes: Uint8Array, start: number, end: number, encoding: TextEncoding): string {
  if (end - start <= LOOP_BYTES_MAX) {
    const ascii = asciiText(bytes, start, end);
    if (ascii !== null) return ascii;
  }
  const value = bytes.subarray(start, end);
  if (encoding === "ascii" && !isAscii(value)) return hexOf(value);
  const text = lenient.decode(value);
  return !text.includes(REPLACEMENT) || isUtf8(value) ? text : hexOf(value);
}

/** As PostgreSQL writes bytea. */
export function valueHex(bytes: Uint8Array, start: number, end: number): string {
  return hexOf(bytes.subarray(start, end));
}

/** Where the last character ends that is there as a whole; at most three bytes before `end`. */
export function wholeCharacters(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start && at >= end - 3; at--) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) return end;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return at + length > end ? at : end;
  }
  return end;
}

function hexOf(value: Uint8Array): string {
  return `\\x${Buffer.from(value.buffer, value.byteOffset, value.length).toString("hex")}`;
}

function asciiText(bytes: Uint8Array, start: number, end: number): string | null {
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x80) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}

function isAscii(value: Uint8Array): boolean {
  for (const byte of value) if (byte >= 0x80) return false;
  return true;
}
