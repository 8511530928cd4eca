/** Finds access keys and tokens of cloud services by their known prefixes. */
import { ALNUM, BASE64, BASE64URL, CHARACTERS, type Scan, UNDERSCORE } from "./scan.ts";

/** A token: its prefix, then at least so many characters of these kinds. */
type Form = { readonly prefix: string; readonly kinds: number; readonly min: number };

const WORD = ALNUM | UNDERSCORE;

function forms(kinds: number, min: number, ...prefixes: readonly string[]): readonly Form[] {
  return prefixes.map((prefix) => ({ prefix, kinds, min }));
}

/** Their prefixes end with `_`, looked at from there. */
const UNDERSCORED: readonly Form[] = [
  ...forms(ALNUM, 36, "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"),
  ...forms(WORD, 40, "github_pat_"),
  ...forms(ALNUM, 16, "sk_live_", "sk_test_", "rk_live_", "rk_test_"),
  ...forms(ALNUM, 30, "hf_", "shpat_", "shpss_", "shpca_", "dop_v1_"),
  ...forms(BASE64, 30, "whsec_"),
  ...forms(WORD, 32, "glsa_"),
];
/** Their prefixes end with `-`. */
const DASHED: readonly Form[] = [
  ...forms(BASE64URL, 20, "glpat-", "gldt-", "glrt-", "glptt-"),
  ...forms(BASE64URL, 20, "xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
  ...forms(BASE64URL, 20, "sk-"),
  ...forms(BASE64URL, 50, "pypi-"),
];
const AWS_ID_CHARS = 16;
const GOOGLE_CHARS = 35;
const AWS_SECRET_CHARS = 40;
const AZURE_KEY_CHARS = 88;
/** What may stand between a name and its value: quotes, colons, arrows, blanks. */
const BETWEEN_CHARS_MAX = 8;
const BETWEEN = " \t\"':=>";

/** The characters before the last one of a prefix: most dashes and underscores are seen off by them. */
const BEFORE_LAST = lastButOne([
  "secret_access_",
  "SECRET_ACCESS_",
  ...[...UNDERSCORED, ...DASHED].map(({ prefix }) => prefix),
]);

function lastButOne(prefixes: readonly string[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const prefix of prefixes) table[prefix.charCodeAt(prefix.length - 2)] = 1;
  return table;
}

/** `at` is a `_` or a `-`, the last character of a prefix. Answers where to go on. */
export function findPrefixed(scan: Scan, at: number, kind: number): number {
  if (BEFORE_LAST[scan.at(at - 1)] === 0) return at + 1;
  const isUnderscore = scan.at(at) === 0x5f;
  for (const { prefix, kinds, min } of isUnderscore ? UNDERSCORED : DASHED) {
    const start = at + 1 - prefix.length;
    if (!scan.has(prefix, start) || (scan.kindsAt(start - 1) & WORD) !== 0) continue;
    const end = scan.runEnd(at + 1, kinds);
    if (end - at - 1 < min) continue;
    scan.add(start, end, kind);
    return end;
  }
  // aws_secret_access_key
  if (isUnderscore && scan.hasIgnoringCase("key", at + 1) && scan.hasIgnoringCase("secret_access", at - 13)) {
    findAfterName(scan, at + 4, AWS_SECRET_CHARS, kind);
  }
  return at + 1;
}

/** `at` is an I: AKIA and ASIA of AWS, AIza of Google. */
export function findAtI(scan: Scan, at: number, kind: number): void {
  if (scan.at(at - 1) === 0x41 && scan.has("za", at + 1)) {
    const start = at - 1;
    if ((scan.kindsAt(start - 1) & WORD) !== 0) return;
    const end = scan.runEnd(at + 3, BASE64URL);
    if (end - at - 3 >= GOOGLE_CHARS) scan.add(start, end, kind);
  } else if ((scan.has("AK", at - 2) || scan.has("AS", at - 2)) && scan.at(at + 1) === 0x41) {
    const start = at - 2;
    if ((scan.kindsAt(start - 1) & WORD) !== 0) return;
    const end = upperOrDigitEnd(scan, at + 2);
    if (end - at - 2 === AWS_ID_CHARS && (scan.kindsAt(end) & WORD) === 0) scan.add(start, end, kind);
  }
}

/** `at` is a K: SecretAccessKey of AWS, AccountKey and SharedAccessKey of Azure. */
export function findAtK(scan: Scan, at: number, kind: number): void {
  if (!scan.has("Key", at)) return;
  if (scan.has("SecretAccess", at - 12)) findAfterName(scan, at + 3, AWS_SECRET_CHARS, kind);
  else if (scan.has("Account", at - 7)) findAfterName(scan, at + 3, AZURE_KEY_CHARS, kind);
  else if (scan.has("SharedAccess", at - 12)) findAfterName(scan, at + 3, AZURE_KEY_CHARS / 2, kind);
}

/** The value behind a name: so many characters of base64, and no more. */
function findAfterName(scan: Scan, from: number, length: number, kind: number): void {
  let start = from;
  while (start < from + BETWEEN_CHARS_MAX && start < scan.end && isBetween(scan.bytes[start] ?? 0)) start++;
  if (start === from) return;
  const limit = Math.min(scan.end, start + length + 1);
  let end = start;
  while (end < limit && ((CHARACTERS[scan.bytes[end] ?? 0] ?? 0) & BASE64) !== 0) end++;
  if (end - start === length) scan.add(start, end, kind);
}

function isBetween(byte: number): boolean {
  for (let index = 0; index < BETWEEN.length; index++) if (BETWEEN.charCodeAt(index) === byte) return true;
  return false;
}

function upperOrDigitEnd(scan: Scan, from: number): number {
  let at = from;
  const limit = Math.min(scan.end, from + AWS_ID_CHARS + 1);
  while (at < limit) {
    const byte = scan.bytes[at] ?? 0;
    if (!((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39))) break;
    at++;
  }
  return at;
}
