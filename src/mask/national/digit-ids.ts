/** National ids that are written with digits only: their layouts and what makes each a valid one. */
import type { Classifier } from "../../core/classifiers.ts";
import { passesLuhn } from "../card.ts";
import { isDate, isSameDigit, numberOf, passesMod11And10, passesVerhoeff, weigh } from "./check-digits.ts";

export type DigitId = {
  readonly classifier: Classifier;
  /** How it is written: each `0` is a digit, all else stands for itself. */
  readonly layouts: readonly string[];
  /** `digits` are the values of as many digits as the layout has. */
  readonly isValid: (digits: Uint8Array, count: number) => boolean;
};

export const DIGIT_IDS: readonly DigitId[] = [
  { classifier: "national-id-au", layouts: ["000000000", "000 000 000"], isValid: isTaxFileNumber },
  {
    classifier: "national-id-be",
    layouts: ["00000000000", "00.00.00-000.00", "000000-000-00", "000000 000 00"],
    isValid: isBelgian,
  },
  { classifier: "national-id-bg", layouts: ["0000000000"], isValid: isBulgarian },
  { classifier: "national-id-br", layouts: ["00000000000", "000.000.000-00"], isValid: isCpf },
  { classifier: "national-id-ca", layouts: ["000000000", "000-000-000", "000 000 000"], isValid: isSocialInsurance },
  { classifier: "national-id-ch", layouts: ["0000000000000", "000.0000.0000.00"], isValid: isAhv },
  { classifier: "national-id-cn", layouts: ["000000000000000000"], isValid: isChinese },
  { classifier: "national-id-cz", layouts: ["000000/0000"], isValid: isCzech },
  { classifier: "national-id-de", layouts: ["00000000000", "00 000 000 000"], isValid: isGermanTaxId },
  { classifier: "national-id-fr", layouts: ["000000000000000", "0 00 00 00 000 000 00"], isValid: isNir },
  { classifier: "national-id-gb", layouts: ["0000000000", "000 000 0000", "000-000-0000"], isValid: isNhsNumber },
  { classifier: "national-id-in", layouts: ["000000000000", "0000 0000 0000", "0000-0000-0000"], isValid: isAadhaar },
  { classifier: "national-id-kr", layouts: ["000000-0000000"], isValid: isKorean },
  { classifier: "national-id-nl", layouts: ["000000000", "0000.00.000"], isValid: isBsn },
  { classifier: "national-id-no", layouts: ["00000000000", "000000 00000"], isValid: isNorwegian },
  { classifier: "national-id-pl", layouts: ["00000000000"], isValid: isPesel },
  { classifier: "national-id-ro", layouts: ["0000000000000"], isValid: isCnp },
  { classifier: "national-id-se", layouts: ["000000-0000", "00000000-0000", "000000000000"], isValid: isSwedish },
  { classifier: "national-id-tr", layouts: ["00000000000"], isValid: isTurkish },
  { classifier: "national-id-us", layouts: ["000-00-0000", "000 00 0000"], isValid: isSocialSecurity },
  { classifier: "national-id-za", layouts: ["0000000000000", "000000 0000 000"], isValid: isSouthAfrican },
];

function isTaxFileNumber(digits: Uint8Array): boolean {
  return weigh(digits, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0 && !isSameDigit(digits, 9);
}

/** YYMMDD, a serial number, 97 less the rest; for those born since 2000 with a 2 in front. */
function isBelgian(digits: Uint8Array): boolean {
  // The month is 20 or 40 higher where the day of birth or the sex is not known, and zero where it is not known at all.
  const month = numberOf(digits, 2, 2) % 20;
  if (month > 12 || numberOf(digits, 2, 2) > 52 || numberOf(digits, 4, 2) > 31 || isSameDigit(digits, 11)) return false;
  const number = numberOf(digits, 0, 9);
  const check = numberOf(digits, 9, 2);
  return check === 97 - (number % 97) || check === 97 - ((2_000_000_000 + number) % 97);
}

function isBulgarian(digits: Uint8Array): boolean {
  const month = numberOf(digits, 2, 2);
  const monthOfYear = month > 40 ? month - 40 : month > 20 ? month - 20 : month;
  if (!isDate(monthOfYear, numberOf(digits, 4, 2))) return false;
  return (weigh(digits, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10 === digits[9];
}

function isCpf(digits: Uint8Array): boolean {
  if (isSameDigit(digits, 11)) return false;
  const first = (weigh(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11;
  const second = (weigh(digits, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11;
  return first % 10 === digits[9] && second % 10 === digits[10];
}

function isSocialInsurance(digits: Uint8Array): boolean {
  return digits[0] !== 0 && digits[0] !== 8 && passesLuhn(digits, 9) && !isSameDigit(digits, 9);
}

/** An EAN-13 that begins with the country's number. */
function isAhv(digits: Uint8Array): boolean {
  if (numberOf(digits, 0, 3) !== 756) return false;
  return weigh(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
}

/** The remainder that belongs to the last character: GB 11643, ISO/IEC 7064 MOD 11-2; 10 is written X. */
export function chineseCheck(digits: Uint8Array): number {
  return (12 - (weigh(digits, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11)) % 11;
}

export function hasChineseDate(digits: Uint8Array): boolean {
  const year = numberOf(digits, 6, 4);
  return year >= 1850 && year < 2100 && isDate(numberOf(digits, 10, 2), numberOf(digits, 12, 2));
}

function isChinese(digits: Uint8Array): boolean {
  return digits[0] !== 0 && hasChineseDate(digits) && chineseCheck(digits) === digits[17];
}

function isCzech(digits: Uint8Array): boolean {
  // Women have 50 more, and either 20 more since a day's numbers can run out.
  const month = (numberOf(digits, 2, 2) % 50) % 20;
  if (!isDate(month, numberOf(digits, 4, 2))) return false;
  const rest = numberOf(digits, 0, 9) % 11;
  return rest % 10 === digits[9];
}

/** Of the first ten digits one stands there twice or three times, and no other more than once. */
function isGermanTaxId(digits: Uint8Array): boolean {
  if (digits[0] === 0) return false;
  const counts = new Uint8Array(10);
  for (let index = 0; index < 10; index++) {
    const digit = digits[index] ?? 0;
    counts[digit] = (counts[digit] ?? 0) + 1;
  }
  const repeated = counts.filter((count) => count > 1);
  if (repeated.length !== 1 || (repeated[0] ?? 0) > 3) return false;
  return passesMod11And10(digits, 11);
}

/** Sex, year, month, department, commune, serial number; 97 less the rest. Departments 2A and 2B are not digits. */
function isNir(digits: Uint8Array): boolean {
  return isNirBody(digits) && numberOf(digits, 13, 2) === 97 - (numberOf(digits, 0, 13) % 97);
}

export function isNirBody(digits: Uint8Array): boolean {
  const month = numberOf(digits, 3, 2);
  const isMonth = (month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50;
  return isMonth && [1, 2, 3, 4, 7, 8].includes(digits[0] ?? 0);
}

function isNhsNumber(digits: Uint8Array): boolean {
  const check = (11 - (weigh(digits, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11;
  return check === digits[9] && !isSameDigit(digits, 10);
}

function isAadhaar(digits: Uint8Array): boolean {
  return (digits[0] ?? 0) >= 2 && passesVerhoeff(digits, 12);
}

/** Those given since October 2020 have no check digit any more. */
function isKorean(digits: Uint8Array): boolean {
  if (!isDate(numberOf(digits, 2, 2), numberOf(digits, 4, 2))) return false;
  return (11 - (weigh(digits, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10 === digits[12];
}

function isBsn(digits: Uint8Array): boolean {
  return weigh(digits, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 && !isSameDigit(digits, 9);
}

function isNorwegian(digits: Uint8Array): boolean {
  // D-numbers have 40 more in the day, those of tests 40 or 80 in the month.
  if (!isDate(numberOf(digits, 2, 2) % 40, numberOf(digits, 0, 2) % 40)) return false;
  const first = (11 - (weigh(digits, [3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11)) % 11;
  const second = (11 - (weigh(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11;
  return first === digits[9] && second === digits[10];
}

function isPesel(digits: Uint8Array): boolean {
  // The century is added to the month.
  if (!isDate(numberOf(digits, 2, 2) % 20, numberOf(digits, 4, 2))) return false;
  return (10 - (weigh(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10 === digits[10];
}

function isCnp(digits: Uint8Array): boolean {
  if (digits[0] === 0 || !isDate(numberOf(digits, 3, 2), numberOf(digits, 5, 2))) return false;
  const rest = weigh(digits, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
  return (rest === 10 ? 1 : rest) === digits[12];
}

function isSwedish(digits: Uint8Array, count: number): boolean {
  const ten = count === 12 ? digits.subarray(2) : digits;
  const century = numberOf(digits, 0, 2);
  if (count === 12 && (century < 18 || century > 20)) return false;
  // Coordination numbers have 60 more in the day.
  return isDate(numberOf(ten, 2, 2), numberOf(ten, 4, 2) % 60) && passesLuhn(ten, 10);
}

function isTurkish(digits: Uint8Array): boolean {
  if (digits[0] === 0) return false;
  const odd = weigh(digits, [7, 0, 7, 0, 7, 0, 7, 0, 7]);
  const even = weigh(digits, [0, 1, 0, 1, 0, 1, 0, 1]);
  if ((odd - even + 10) % 10 !== digits[9]) return false;
  return weigh(digits, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) % 10 === digits[10];
}

/** It has no check digit; these are never given. */
function isSocialSecurity(digits: Uint8Array): boolean {
  const area = numberOf(digits, 0, 3);
  return area > 0 && area !== 666 && area < 900 && numberOf(digits, 3, 2) > 0 && numberOf(digits, 5, 4) > 0;
}

function isSouthAfrican(digits: Uint8Array): boolean {
  return isDate(numberOf(digits, 2, 2), numberOf(digits, 4, 2)) && (digits[10] ?? 9) <= 2 && passesLuhn(digits, 13);
}
