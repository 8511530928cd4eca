/** Finds e-mail addresses by their @. */
import { CHARACTERS, HOST, isDigit, LETTER, LOCAL, type Scan } from "./scan.ts";

/** Beyond what RFC 5321 allows: what is longer is covered by its last bytes. */
const LOCAL_BYTES_MAX = 128;
const DOMAIN_BYTES_MAX = 255;
const DOT = 0x2e;
const DASH = 0x2d;
const APOSTROPHE = 0x27;

/** `at` is where the @ stands and `after` what follows it: an @ may be written `%40`. */
export function findEmail(scan: Scan, at: number, after: number, kind: number): void {
  const end = domainEnd(scan, after);
  if (end === 0) return;
  const start = localStart(scan, at);
  if (start < at) scan.add(start, end, kind);
}

/** Where the local part begins; `at` when there is none. Nothing is read twice: it has no @ in it. */
function localStart(scan: Scan, at: number): number {
  const floor = Math.max(scan.start, at - LOCAL_BYTES_MAX);
  let start = at;
  for (; start > floor; start--) {
    const byte = scan.bytes[start - 1] ?? 0;
    if (((CHARACTERS[byte] ?? 0) & LOCAL) !== 0) continue;
    // o'brien, but not the quotes around an address.
    if (byte !== APOSTROPHE || start === at || (scan.kindsAt(start) & scan.kindsAt(start - 2) & LETTER) === 0) break;
  }
  // Dots and dashes before an address belong to the sentence around it.
  while (start < at && (scan.at(start) === DOT || scan.at(start) === DASH)) start++;
  return start;
}

/** Behind the last label that can be a top-level domain; 0 when there is none. */
function domainEnd(scan: Scan, from: number): number {
  const limit = Math.min(scan.end, from + DOMAIN_BYTES_MAX);
  let end = 0;
  for (let label = from, labels = 0; label < limit; labels++) {
    let next = label;
    while (next < limit && ((CHARACTERS[scan.bytes[next] ?? 0] ?? 0) & HOST) !== 0) next++;
    let stop = next;
    while (stop > label && scan.bytes[stop - 1] === DASH) stop--;
    if (stop === label || scan.bytes[label] === DASH) break;
    if (labels > 0 && isTopLevel(scan, label, stop)) end = stop;
    // A dash behind it belongs to the sentence around the address.
    if (stop < next || scan.at(next) !== DOT) break;
    label = next + 1;
  }
  return end;
}

/** Letters only, of whatever script, or encoded by Punycode. */
function isTopLevel(scan: Scan, label: number, end: number): boolean {
  if (end - label < 2) return false;
  if (scan.hasIgnoringCase("xn--", label)) return true;
  for (let at = label; at < end; at++) {
    const byte = scan.bytes[at] ?? 0;
    if (byte === DASH || isDigit(byte)) return false;
  }
  return true;
}
