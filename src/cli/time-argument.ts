/** Times as arguments: so long ago (`8h`, `30d`), or a date and time as ISO 8601 writes them. */
import { parseDuration } from "../config/units.ts";
import { UsageError } from "./command.ts";
import type { Arguments } from "./command.ts";

/** How the help describes such an argument. */
export const TIME_WORDS = "so long ago (8h, 30d), or a time (2026-11-21, 2026-11-21T10:00Z)";

/** Milliseconds since 1970; undefined when it was left out. A date without a time is its start in UTC. Throws UsageError. */
export function readTime(args: Arguments, name: string): number | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  if (ago.ok) return Date.now() - ago.value;
  const timeMs = isIsoTime(text)
    ? Date.parse(text.length <= DATE_UNITS || hasZone(text) ? text : `${text}Z`)
    : Number.NaN;
  if (Number.isNaN(timeMs)) throw new UsageError(`--${name} is ${TIME_WORDS}, not ${text}`);
  return timeMs;
}

const DATE_UNITS = "2026-11-21".length;
const MARKS = "-:.TZ+";

/** Only what ISO 8601 is made of: the engine takes much else for a date. */
function isIsoTime(text: string): boolean {
  if (text.length < DATE_UNITS || text[4] !== "-") return false;
  for (const char of text) if (!((char >= "0" && char <= "9") || MARKS.includes(char))) return false;
  return true;
}

function hasZone(text: string): boolean {
  const time = text.slice(DATE_UNITS);
  return time.endsWith("Z") || time.includes("+") || time.includes("-");
}
