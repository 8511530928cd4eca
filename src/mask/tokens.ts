/** Finds JSON web tokens and private keys. */
import { ALNUM, BASE64URL, CHARACTERS, type Scan, UNDERSCORE } from "./scan.ts";

const DOT = 0x2e;
const DASH = 0x2d;
/** Of the header in base64url; real ones have 20 to some hundred, with a certificate chain a few thousand. */
const HEADER_CHARS_MAX = 16_384;
const LABEL_BYTES_MAX = 64;
const BEGIN = "-----BEGIN ";
const END = "-----END ";
const DASHES = "-----";

/** `at` is the J of `eyJ`, which is `{"` in base64url. Three parts; the last is empty where nothing is signed. */
export function findJwt(scan: Scan, at: number, kind: number): number {
  const start = at - 2;
  if (scan.at(start) !== 0x65 || scan.at(at - 1) !== 0x79) return at + 1;
  if ((scan.kindsAt(start - 1) & BASE64URL) !== 0) return at + 1;
  const headerEnd = scan.runEnd(at, BASE64URL);
  if (scan.at(headerEnd) !== DOT || headerEnd - start > HEADER_CHARS_MAX) return headerEnd;
  const payloadEnd = scan.runEnd(headerEnd + 1, BASE64URL);
  if (payloadEnd === headerEnd + 1 || scan.at(payloadEnd) !== DOT) return headerEnd;
  if (!isHeader(decodeBase64Url(scan, start, headerEnd))) return headerEnd;
  const end = scan.runEnd(payloadEnd + 1, BASE64URL);
  scan.add(start, end, kind);
  return end;
}

function isHeader(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "alg" in value && typeof value.alg === "string";
  } catch {
    return false;
  }
}

function decodeBase64Url(scan: Scan, start: number, end: number): string {
  const decoded = new Uint8Array(Math.ceil(((end - start) * 3) / 4));
  let length = 0;
  let bits = 0;
  let held = 0;
  for (let at = start; at < end; at++) {
    held = ((held << 6) | sixBits(scan.bytes[at] ?? 0)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    decoded[length++] = (held >> bits) & 0xff;
  }
  return new TextDecoder().decode(decoded.subarray(0, length));
}

function sixBits(byte: number): number {
  if (byte >= 0x61) return byte - 0x61 + 26;
  if (byte === 0x5f) return 63;
  if (byte >= 0x41) return byte - 0x41;
  return byte === DASH ? 62 : byte - 0x30 + 52;
}

/** `at` is the first of a run of dashes. A key whose end is missing goes on to the end of the text. */
export function findPrivateKey(scan: Scan, at: number, kind: number): number {
  const after = scan.runEndOf(DASH, at);
  if (after - at < DASHES.length || !scan.has(BEGIN, after - DASHES.length)) return after;
  const labelStart = after - DASHES.length + BEGIN.length;
  const labelEnd = endOfLabel(scan, labelStart);
  if (labelEnd === labelStart || !scan.has(DASHES, labelEnd)) return after;
  if (!hasWithin(scan, "PRIVATE KEY", labelStart, labelEnd)) return after;
  let place = labelEnd + DASHES.length;
  scan.isWithin = true;
  while (place < scan.end) {
    if (scan.bytes[place] !== DASH) {
      place++;
      continue;
    }
    const dashes = scan.runEndOf(DASH, place);
    const footer = dashes - DASHES.length;
    if (footer >= place && scan.has(END, footer)) {
      const end = endOfLabel(scan, footer + END.length);
      if (scan.has(DASHES, end)) {
        place = end + DASHES.length;
        scan.isWithin = false;
        break;
      }
    }
    place = dashes;
  }
  scan.add(at, place, kind);
  return place;
}

function endOfLabel(scan: Scan, from: number): number {
  const limit = Math.min(scan.end, from + LABEL_BYTES_MAX);
  let at = from;
  for (; at < limit; at++) {
    const byte = scan.bytes[at] ?? 0;
    if (byte !== 0x20 && ((CHARACTERS[byte] ?? 0) & (ALNUM | UNDERSCORE)) === 0) break;
  }
  return at;
}

function hasWithin(scan: Scan, text: string, from: number, to: number): boolean {
  for (let at = from; at + text.length <= to; at++) if (scan.has(text, at)) return true;
  return false;
}
