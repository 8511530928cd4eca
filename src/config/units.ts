/** Durations and sizes as people write them: `10s`, `256KiB`. A number without its unit is refused. */

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

/** Digits that stay exact when multiplied by the largest unit. */
const DIGITS_MAX = 6;

export const DURATION_RULE = "a duration is a whole number with a unit, ms, s, m, h or d, such as 10s";
export const SIZE_RULE = "a size is a whole number with a unit, B, KiB, MiB or GiB, such as 256KiB";

export type Measure = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly message: string };

/** Reads a duration in milliseconds: a whole number and one of ms, s, m, h, d. */
export function parseDuration(text: string): Measure {
  return parseMeasure(text, DURATION_UNITS_MS, DURATION_RULE);
}

/** Reads a size in bytes: a whole number and one of B, KiB, MiB, GiB. */
export function parseSize(text: string): Measure {
  return parseMeasure(text, SIZE_UNITS_BYTES, SIZE_RULE);
}

function parseMeasure(text: string, units: Readonly<Record<string, number>>, message: string): Measure {
  let digits = 0;
  while (digits < text.length && isDigit(text.charCodeAt(digits))) digits++;
  const unit = Object.hasOwn(units, text.slice(digits)) ? units[text.slice(digits)] : undefined;
  if (digits === 0 || digits > DIGITS_MAX || unit === undefined) return { ok: false, message };
  return { ok: true, value: Number(text.slice(0, digits)) * unit };
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
