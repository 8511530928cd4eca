/** Telephone numbers: with + and country code, or in groupings that hardly anything else is written in. */
import { DIGIT, isDigit, type Scan, WORD } from "./scan.ts";

const PLUS = 0x2b;
/** E.164: at most 15 digits; shorter than 8 is no number that can be dialled from abroad. */
const DIGITS_MIN = 8;
const DIGITS_MAX = 15;
const SEPARATORS = " -./()";

/** `at` is a + . Answers where to go on. */
export function findInternational(scan: Scan, at: number, kind: number): number {
  const first = scan.at(at + 1);
  if (!isDigit(first) || first === 0x30) return at + 1;
  if ((scan.kindsAt(at - 1) & WORD) !== 0 || scan.at(at - 1) === PLUS) return at + 1;
  let digits = 0;
  let separators = 0;
  let end = at + 1;
  for (let place = at + 1; place < scan.end && digits <= DIGITS_MAX; place++) {
    const byte = scan.bytes[place] ?? 0;
    if (isDigit(byte)) {
      digits++;
      separators = 0;
      end = place + 1;
    } else if (++separators > 2 || !isSeparator(byte)) {
      break;
    }
  }
  const isNumber = digits >= DIGITS_MIN && digits <= DIGITS_MAX && (scan.kindsAt(end) & WORD) === 0;
  if (isNumber) scan.add(at, end, kind);
  return end;
}

function isSeparator(byte: number): boolean {
  for (let index = 0; index < SEPARATORS.length; index++) if (SEPARATORS.charCodeAt(index) === byte) return true;
  return false;
}

/** Groups of national numbers that begin with 0, by their lengths: one decimal digit each. */
const SHAPES_WITH_ZERO: ReadonlySet<number> = shapesWithZero();

function shapesWithZero(): ReadonlySet<number> {
  const shapes = new Set([22222]);
  const isLength = (total: number): boolean => total >= 10 && total <= 12;
  for (let first = 2; first <= 5; first++) {
    for (let second = 3; second <= 9; second++) {
      if (second >= 5 && isLength(first + second)) shapes.add(first * 10 + second);
      for (let third = 3; third <= 9; third++) {
        if (isLength(first + second + third)) shapes.add(first * 100 + second * 10 + third);
      }
    }
  }
  return shapes;
}

/** Is a number in these groups of digits, with the same between all of them, one to dial? */
export function isGroupedPhone(digits: Uint8Array, shape: number): boolean {
  if (digits[0] === 0) return digits[1] !== 0 && SHAPES_WITH_ZERO.has(shape);
  return shape === 334 && isNorthAmerican(digits);
}

function isNorthAmerican(digits: Uint8Array): boolean {
  return (digits[0] ?? 0) >= 2 && (digits[3] ?? 0) >= 2 && !(digits[1] === 1 && digits[2] === 1);
}

/** `at` is the first of three digits in parentheses: (212) 555-0123. */
export function findInParentheses(scan: Scan, at: number, kind: number): void {
  if (scan.at(at) < 0x32 || (scan.kindsAt(at - 2) & WORD) !== 0) return;
  let place = at + 4;
  if (scan.at(place) === 0x20) place++;
  const separator = scan.at(place + 3);
  const isSeparated = separator === 0x20 || separator === 0x2d || separator === 0x2e;
  const lineAt = isSeparated ? place + 4 : place + 3;
  if (scan.at(place) < 0x32 || scan.runEnd(place, DIGIT) < place + 3) return;
  const end = scan.runEnd(lineAt, DIGIT);
  if (end === lineAt + 4 && (scan.kindsAt(end) & WORD) === 0) scan.add(at - 1, end, kind);
}
