/** National ids with letters in them, found from the digits beside the letters. */
import type { Classifier } from "../../core/classifiers.ts";
import { ALNUM, DIGIT, isDigit, LETTER, lowerOf, type Scan, WORD } from "../scan.ts";
import { isDate, numberOf } from "./check-digits.ts";
import { chineseCheck, hasChineseDate, isNirBody } from "./digit-ids.ts";

export type LetteredId = {
  readonly classifier: Classifier;
  /** How many bytes before the run it begins. */
  readonly before: number;
  /** Of digits in the run; the quickest of tests. */
  readonly length: number;
  /** Looks at the run of digits from `at` to `runEnd`. Answers where the id ends, or -1. */
  readonly end: (scan: Scan, at: number, runEnd: number) => number;
};

const NONE = -1;
const SPACE = 0x20;
const DASH = 0x2d;
const values = new Uint8Array(20);

/** A letter stands before the run. */
export const AFTER_LETTERS: readonly LetteredId[] = [
  { classifier: "national-id-es", before: 1, length: 7, end: nieEnd },
  { classifier: "national-id-gb", before: 2, length: 6, end: ninoEnd },
  { classifier: "national-id-it", before: 6, length: 2, end: codiceFiscaleEnd },
];

/** Letters and a blank stand before the run. */
export const AFTER_BLANKS: readonly LetteredId[] = [
  { classifier: "national-id-gb", before: 3, length: 2, end: ninoInPairsEnd },
];

/** The run begins it, and something other than a digit or a word's end stands behind the run. */
export const BEFORE_LETTERS: readonly LetteredId[] = [
  { classifier: "national-id-cn", before: 0, length: 17, end: chineseEnd },
  { classifier: "national-id-es", before: 0, length: 8, end: dniEnd },
  { classifier: "national-id-fi", before: 0, length: 6, end: finnishEnd },
  { classifier: "national-id-fr", before: 0, length: 6, end: corsicanEnd },
];

/** The last character of DNI and NIE, by the number modulo 23. */
const SPANISH = "trwagmyfpdxbnjzsqvhlcke";

function readDigits(scan: Scan, from: number, count: number): void {
  for (let index = 0; index < count; index++) values[index] = scan.at(from + index) - 0x30;
}

function spanishEnd(scan: Scan, number: number, runEnd: number): number {
  const at = scan.at(runEnd) === DASH ? runEnd + 1 : runEnd;
  return lowerOf(scan.at(at)) === SPANISH.charCodeAt(number % 23) ? at + 1 : NONE;
}

function dniEnd(scan: Scan, at: number, runEnd: number): number {
  readDigits(scan, at, 8);
  return spanishEnd(scan, numberOf(values, 0, 8), runEnd);
}

/** X, Y or Z for 0, 1 or 2 in front. */
function nieEnd(scan: Scan, at: number, runEnd: number): number {
  const first = lowerOf(scan.at(at - 1)) - 0x78;
  if (first < 0 || first > 2) return NONE;
  readDigits(scan, at, 7);
  return spanishEnd(scan, first * 10_000_000 + numberOf(values, 0, 7), runEnd);
}

/** Prefixes that are never given: these letters, and these pairs. */
const NINO_FIRST_NEVER = "dfiquv";
const NINO_SECOND_NEVER = "dfiquvo";
const NINO_PAIRS_NEVER = new Set(["bg", "gb", "kn", "nk", "nt", "tn", "zz"]);

function isNinoPrefix(scan: Scan, at: number): boolean {
  const prefix = String.fromCharCode(lowerOf(scan.at(at)), lowerOf(scan.at(at + 1)));
  return (
    !NINO_FIRST_NEVER.includes(prefix.charAt(0)) &&
    !NINO_SECOND_NEVER.includes(prefix.charAt(1)) &&
    !NINO_PAIRS_NEVER.has(prefix)
  );
}

function ninoSuffixEnd(scan: Scan, at: number): number {
  const suffix = lowerOf(scan.at(at));
  return suffix >= 0x61 && suffix <= 0x64 ? at + 1 : NONE;
}

/** It has no check digit: two letters, six digits and A to D. */
function ninoEnd(scan: Scan, at: number, runEnd: number): number {
  return isNinoPrefix(scan, at - 2) ? ninoSuffixEnd(scan, runEnd) : NONE;
}

/** As `AB 12 34 56 C`. */
function ninoInPairsEnd(scan: Scan, at: number): number {
  if ((scan.kindsAt(at - 3) & scan.kindsAt(at - 2) & LETTER) === 0 || !isNinoPrefix(scan, at - 3)) return NONE;
  for (let pair = at; pair < at + 9; pair += 3) {
    const isPair = (scan.kindsAt(pair) & scan.kindsAt(pair + 1) & DIGIT) !== 0;
    if (!isPair || scan.at(pair + 2) !== SPACE) return NONE;
  }
  return ninoSuffixEnd(scan, at + 9);
}

/** Values of a character at odd places, digits as the letters A to J. */
const ITALIAN_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
const ITALIAN_LETTERS = "llllllddlddldddl";
const ITALIAN_CHARS = 16;
/** Letters that stand for digits where two people would have the same code. */
const OMOCODIA = "lmnpqrstuv";

/** Six letters of the name, year, month, day, place, check character. */
function codiceFiscaleEnd(scan: Scan, at: number): number {
  const start = at - 6;
  let sum = 0;
  for (let index = 0; index < ITALIAN_CHARS; index++) {
    const byte = lowerOf(scan.at(start + index));
    const kinds = scan.kindsAt(start + index);
    if ((kinds & ALNUM) === 0) return NONE;
    const wantsDigit = ITALIAN_LETTERS[index] === "d";
    if (wantsDigit && (kinds & LETTER) !== 0 && !OMOCODIA.includes(String.fromCharCode(byte))) return NONE;
    if (!wantsDigit && (kinds & LETTER) === 0) return NONE;
    const value = isDigit(byte) ? byte - 0x30 : byte - 0x61;
    if (index === ITALIAN_CHARS - 1) return sum % 26 === value ? start + ITALIAN_CHARS : NONE;
    sum += index % 2 === 0 ? (ITALIAN_ODD[value] ?? 0) : value;
  }
  return NONE;
}

function chineseEnd(scan: Scan, at: number, runEnd: number): number {
  if (lowerOf(scan.at(runEnd)) !== 0x78) return NONE;
  readDigits(scan, at, 17);
  return values[0] !== 0 && hasChineseDate(values) && chineseCheck(values) === 10 ? runEnd + 1 : NONE;
}

/** What stands for the century, and the check characters by the number modulo 31. */
const FINNISH_CENTURIES = "+-abcdefuvwxy";
const FINNISH = "0123456789abcdefhjklmnprstuvwxy";

function finnishEnd(scan: Scan, at: number, runEnd: number): number {
  if (!FINNISH_CENTURIES.includes(String.fromCharCode(lowerOf(scan.at(runEnd))))) return NONE;
  if ((scan.kindsAt(runEnd + 1) & scan.kindsAt(runEnd + 2) & scan.kindsAt(runEnd + 3) & DIGIT) === 0) return NONE;
  readDigits(scan, at, 6);
  if (!isDate(numberOf(values, 2, 2), numberOf(values, 0, 2))) return NONE;
  for (let index = 0; index < 3; index++) values[6 + index] = scan.at(runEnd + 1 + index) - 0x30;
  const check = FINNISH.charCodeAt(numberOf(values, 0, 9) % 31);
  return lowerOf(scan.at(runEnd + 4)) === check ? runEnd + 5 : NONE;
}

/** A French NIR of Corsica: 2A counts as 19 and 2B as 18. In one piece. */
function corsicanEnd(scan: Scan, at: number, runEnd: number): number {
  const letter = lowerOf(scan.at(runEnd));
  if (letter !== 0x61 && letter !== 0x62) return NONE;
  readDigits(scan, at, 15);
  if (values[5] !== 2) return NONE;
  values[5] = 1;
  values[6] = letter === 0x61 ? 9 : 8;
  for (let index = 7; index < 15; index++) if ((scan.kindsAt(at + index) & DIGIT) === 0) return NONE;
  const isValid = isNirBody(values) && numberOf(values, 13, 2) === 97 - (numberOf(values, 0, 13) % 97);
  return isValid ? at + 15 : NONE;
}

/** Is it a word of its own there? */
export function standsAlone(scan: Scan, start: number, end: number): boolean {
  return ((scan.kindsAt(start - 1) | scan.kindsAt(end)) & WORD) === 0;
}
