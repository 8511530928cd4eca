/** When the hour or the day that a budget counts in ends. */
import type { TimeMs } from "../core/session.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** No day is longer, also where clocks are set back or a zone moves across the date line. */
const DAY_MS_MAX = 50 * HOUR_MS;

/** The end of the hour of the clock (UTC) that `now` is in. */
export function hourEnd(now: TimeMs): TimeMs {
  return (Math.floor(now / HOUR_MS) + 1) * HOUR_MS;
}

type Day = { readonly lookedUpAtMs: TimeMs; readonly endMs: TimeMs };

/** The ends of days by IANA time zone, each looked up once a day: asking the calendar is slow. */
export class Days {
  readonly #formats = new Map<string, Intl.DateTimeFormat>();
  readonly #current = new Map<string, Day>();

  /** The first moment after `now` at which the calendar of the zone shows another date. Throws RangeError for an unknown zone. */
  end(timeZone: string, now: TimeMs): TimeMs {
    const known = this.#current.get(timeZone);
    if (known !== undefined && now >= known.lookedUpAtMs && now < known.endMs) return known.endMs;
    const day = { lookedUpAtMs: now, endMs: this.#lookUp(timeZone, now) };
    this.#current.set(timeZone, day);
    return day.endMs;
  }

  /** Zones change their dates at whole minutes, so a search by minutes finds the moment. */
  #lookUp(timeZone: string, now: TimeMs): TimeMs {
    const date = this.#dateIn(timeZone);
    const today = date(now);
    let within = Math.floor(now / MINUTE_MS);
    let beyond = within + DAY_MS_MAX / MINUTE_MS;
    while (beyond - within > 1) {
      const middle = Math.floor((within + beyond) / 2);
      if (date(middle * MINUTE_MS) === today) within = middle;
      else beyond = middle;
    }
    return beyond * MINUTE_MS;
  }

  #dateIn(timeZone: string): (time: TimeMs) => string {
    let format = this.#formats.get(timeZone);
    if (format === undefined) {
      format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
      this.#formats.set(timeZone, format);
    }
    const known = format;
    return (time) => known.format(time);
  }
}
