/** Finds international bank account numbers: a country, two check digits, and as many characters as the country has. */
import { ALNUM, CHARACTERS, DIGIT, LETTER, lowerOf, type Scan } from "./scan.ts";

/** Characters of a whole number, by country (SWIFT's registry of IBAN formats). */
const LENGTHS: ReadonlyMap<number, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 " +
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 " +
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 " +
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
  )
    .split(" ")
    .map((entry) => [countryOf(entry.charCodeAt(0), entry.charCodeAt(1)), Number(entry.slice(2))]),
);
const SPACE = 0x20;
const DASH = 0x2d;
const GROUP = 4;

function countryOf(first: number, second: number): number {
  return lowerOf(first) * 256 + lowerOf(second);
}

/** `at` is the first check digit, with two letters before it. In groups of four, or in one piece. */
export function findIban(scan: Scan, at: number, kind: number): void {
  const start = at - 2;
  if ((scan.kindsAt(at + 1) & DIGIT) === 0 || (scan.kindsAt(start - 1) & ALNUM) !== 0) return;
  const length = LENGTHS.get(countryOf(scan.at(start), scan.at(start + 1)));
  if (length === undefined) return;
  const separator = scan.at(start + GROUP);
  const isGrouped = separator === SPACE || separator === DASH;
  let remainder = 0;
  let place = at + 2;
  for (let count = GROUP; count < length; count++, place++) {
    if (isGrouped && count % GROUP === 0 && scan.at(place++) !== separator) return;
    const value = valueAt(scan, place);
    if (value < 0) return;
    remainder = appended(remainder, value);
  }
  if ((scan.kindsAt(place) & ALNUM) !== 0) return;
  for (let index = start; index < start + GROUP; index++) remainder = appended(remainder, valueAt(scan, index));
  if (remainder === 1) scan.add(start, place, kind);
}

/** ISO 13616: digits stand for themselves, A to Z for 10 to 35; negative for anything else. */
function valueAt(scan: Scan, place: number): number {
  const byte = scan.at(place);
  const kinds = CHARACTERS[byte] ?? 0;
  if ((kinds & DIGIT) !== 0) return byte - 0x30;
  return (kinds & LETTER) === 0 ? -1 : lowerOf(byte) - 0x61 + 10;
}

function appended(remainder: number, value: number): number {
  return (remainder * (value < 10 ? 10 : 100) + value) % 97;
}
