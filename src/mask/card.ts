/** Payment card numbers: known prefixes with their lengths, and Luhn's check digit. */

/** A prefix range of four digits, and the lengths of numbers that begin so. */
type Range = readonly [from: number, to: number, lengthMin: number, lengthMax: number];

const RANGES: readonly Range[] = [
  [4000, 4999, 13, 19], // Visa
  [5100, 5599, 16, 16], // Mastercard
  [2221, 2720, 16, 16],
  [3400, 3499, 15, 15], // American Express
  [3700, 3799, 15, 15],
  [6011, 6011, 16, 19], // Discover
  [6440, 6599, 16, 19],
  [3000, 3059, 14, 19], // Diners Club
  [3095, 3095, 14, 19],
  [3600, 3699, 14, 19],
  [3800, 3999, 14, 19],
  [3528, 3589, 16, 19], // JCB
  [6200, 6299, 16, 19], // UnionPay
  [8100, 8199, 16, 19],
  [2200, 2204, 16, 19], // Mir
  [9792, 9792, 16, 16], // Troy
  [5080, 5089, 16, 16], // RuPay
  [6000, 6099, 16, 16],
  [8200, 8299, 16, 16],
  [5000, 5099, 13, 19], // Maestro
  [5600, 5899, 13, 19],
  [6300, 6399, 13, 19],
  [6700, 6799, 13, 19],
];

export const CARD_DIGITS_MIN = 13;
export const CARD_DIGITS_MAX = 19;

/** The first `count` digits (their values). */
export function isCardNumber(digits: Uint8Array, count: number): boolean {
  if (count < CARD_DIGITS_MIN || count > CARD_DIGITS_MAX || !passesLuhn(digits, count)) return false;
  const prefix = (digits[0] ?? 0) * 1000 + (digits[1] ?? 0) * 100 + (digits[2] ?? 0) * 10 + (digits[3] ?? 0);
  for (const [from, to, lengthMin, lengthMax] of RANGES) {
    if (prefix >= from && prefix <= to && count >= lengthMin && count <= lengthMax) return true;
  }
  return false;
}

/** ISO/IEC 7812-1, annex B. */
export function passesLuhn(digits: Uint8Array, count: number): boolean {
  let sum = 0;
  for (let index = count - 1, isDoubled = false; index >= 0; index--, isDoubled = !isDoubled) {
    const digit = digits[index] ?? 0;
    if (!isDoubled) sum += digit;
    else sum += digit > 4 ? 2 * digit - 9 : 2 * digit;
  }
  return sum % 10 === 0;
}
