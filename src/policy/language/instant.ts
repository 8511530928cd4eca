/** Instants as authors write them: RFC 3339 with a time and an offset, so that no reader has to guess a time zone. */
import type { TimeMs } from "../../core/session.ts";

/** Digits as `0`; everything else as it stands. */
const DATE_AND_TIME = "0000-00-00T00:00:00";
const OFFSET = "+00:00";
const FRACTION_DIGITS_MAX = 3;

/** Milliseconds since the epoch, or null when the text is not `2027-06-30T00:00:00Z` or `2027-06-30T02:00:00+02:00`. */
export function parseInstant(text: string): TimeMs | null {
  const head = text.slice(0, DATE_AND_TIME.length);
  if (!hasShape(head, DATE_AND_TIME)) return null;
  let rest = text.slice(DATE_AND_TIME.length);
  let fractionMs = 0;
  if (rest.startsWith(".")) {
    let end = 1;
    while (end < rest.length && isDigit(rest.charCodeAt(end))) end++;
    const digits = rest.slice(1, end);
    if (digits.length === 0 || digits.length > FRACTION_DIGITS_MAX) return null;
    fractionMs = Number(digits.padEnd(FRACTION_DIGITS_MAX, "0"));
    rest = rest.slice(end);
  }
  const offsetMinutes = parseOffset(rest);
  // Without a zone Date would read local time; Z makes it say what is written, and a date that rolls over is no date.
  const ms = Date.parse(`${head}Z`);
  if (offsetMinutes === null || Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(head)) return null;
  return ms + fractionMs - offsetMinutes * 60_000;
}

function parseOffset(text: string): number | null {
  if (text === "Z") return 0;
  if (!hasShape(text.replace("-", "+"), OFFSET)) return null;
  const hours = Number(text.slice(1, 3));
  const minutes = Number(text.slice(4, 6));
  if (hours > 23 || minutes > 59) return null;
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function hasShape(text: string, shape: string): boolean {
  if (text.length !== shape.length) return false;
  for (let at = 0; at < shape.length; at++) {
    if (shape[at] === "0" ? !isDigit(text.charCodeAt(at)) : text[at] !== shape[at]) return false;
  }
  return true;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}
