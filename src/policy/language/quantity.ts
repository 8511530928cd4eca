/** Durations, sizes, rates and counts as authors write them: `20s`, `5MiB`, `30/1m`. A number without its unit is refused. */
import type { TimeMs } from "../../core/session.ts";

/** From small to large. */
const DURATION_UNITS_MS: readonly Unit[] = [
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
];
const SIZE_UNITS_BYTES: readonly Unit[] = [
  ["B", 1],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40],
];
type Unit = readonly [name: string, factor: number];

const DURATION_MS_MAX = 3_660 * 86_400_000;
const SIZE_BYTES_MAX = 2 ** 50;
/** Rows, calls: as many as anybody counts, and far from where numbers stop being exact. */
const COUNT_MAX = 1_000_000_000_000;
const DIGITS_MAX = 16;

/** What a text must be, for messages. */
export const DURATION_RULE =
  "a duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d";
export const SIZE_RULE = "a size is a whole number above 0 and a unit, B, KiB, MiB, GiB or TiB, such as 5MiB";
export const RATE_RULE = "a rate is a count, a slash and a duration, such as 30/1m";

/** Milliseconds; null when the text is not as `DURATION_RULE` says. */
export function parseDuration(text: string): TimeMs | null {
  return parseMeasure(text, DURATION_UNITS_MS, DURATION_MS_MAX);
}

/** Bytes; null when the text is not as `SIZE_RULE` says. */
export function parseSize(text: string): number | null {
  return parseMeasure(text, SIZE_UNITS_BYTES, SIZE_BYTES_MAX);
}

/** At most `max` in any `ms` milliseconds; null when the text is not as `RATE_RULE` says. */
export function parseRate(text: string): { readonly max: number; readonly ms: TimeMs } | null {
  const slash = text.indexOf("/");
  if (slash === -1) return null;
  const max = parseWhole(text.slice(0, slash), COUNT_MAX);
  const ms = parseDuration(text.slice(slash + 1));
  return max === null || ms === null ? null : { max, ms };
}

/** The shortest exact form: `90s`, `1h`. `ms` is a whole number, not negative. */
export function formatDuration(ms: TimeMs): string {
  return formatMeasure(ms, DURATION_UNITS_MS);
}

/** The shortest exact form: `5MiB`, `1025B`. `bytes` is a whole number, not negative. */
export function formatSize(bytes: number): string {
  return formatMeasure(bytes, SIZE_UNITS_BYTES);
}

function parseMeasure(text: string, units: readonly Unit[], max: number): number | null {
  let digits = 0;
  while (digits < text.length && isDigit(text.charCodeAt(digits))) digits++;
  const unit = units.find(([name]) => name === text.slice(digits));
  if (unit === undefined) return null;
  const count = parseWhole(text.slice(0, digits), Math.floor(max / unit[1]));
  return count === null ? null : count * unit[1];
}

/** A whole number from 1 to `max`, written with digits alone and without zeros in front. */
function parseWhole(text: string, max: number): number | null {
  if (text === "" || text.length > DIGITS_MAX || text.startsWith("0")) return null;
  for (let at = 0; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

function formatMeasure(value: number, units: readonly Unit[]): string {
  const [name, factor] = units.findLast((unit) => value > 0 && value % unit[1] === 0) ?? units[0] ?? ["", 1];
  return `${value / factor}${name}`;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}
