/** The arithmetic that national ids share: weighted sums, check digits and dates, over the values of digits. */

/** The sum of digits times weights, from the first digit on. */
export function weigh(digits: Uint8Array, weights: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < weights.length; index++) sum += (digits[index] ?? 0) * (weights[index] ?? 0);
  return sum;
}

/** The number that so many digits are; exact up to 15. */
export function numberOf(digits: Uint8Array, from: number, count: number): number {
  let value = 0;
  for (let index = from; index < from + count; index++) value = value * 10 + (digits[index] ?? 0);
  return value;
}

export function isSameDigit(digits: Uint8Array, count: number): boolean {
  for (let index = 1; index < count; index++) if (digits[index] !== digits[0]) return false;
  return true;
}

/** A month and a day that there is in some year. */
export function isDate(month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= (month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : 31);
}

/** ISO/IEC 7064, MOD 11,10: the last of `count` digits is the check digit. */
export function passesMod11And10(digits: Uint8Array, count: number): boolean {
  let product = 10;
  for (let index = 0; index < count - 1; index++) {
    const sum = ((digits[index] ?? 0) + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product) % 10 === digits[count - 1];
}

const DIHEDRAL: readonly string[] = [
  "0123456789",
  "1234067895",
  "2340178956",
  "3401289567",
  "4012395678",
  "5987604321",
  "6598710432",
  "7659821043",
  "8765932104",
  "9876543210",
];
const PERMUTED: readonly string[] = [
  "0123456789",
  "1576283094",
  "5803796142",
  "8916043527",
  "9453126870",
  "4286573901",
  "2793806415",
  "7046913258",
];

/** Verhoeff's check digit: the last of `count` digits. */
export function passesVerhoeff(digits: Uint8Array, count: number): boolean {
  let state = 0;
  for (let index = 0; index < count; index++) {
    const permuted = Number(PERMUTED[index % 8]?.[digits[count - 1 - index] ?? 0]);
    state = Number(DIHEDRAL[state]?.[permuted]);
  }
  return state === 0;
}
