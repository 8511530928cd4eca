/**
 * Windows of the week in a time zone: `{ days: [mon-fri], from: "08:00", to: "18:00", tz: Europe/Berlin }`. A window
 * holds whenever the clock on the wall there shows a time in it. So one that begins in an hour that is skipped begins
 * at the end of the gap, and a time that comes twice counts twice.
 */
import type { TimeMs } from "../../core/session.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

export type Window = {
  /** `mon-fri 08:00-18:00 Europe/Berlin`; equal texts are equal windows. */
  readonly text: string;
  /** Throws a RangeError for what is no instant. */
  contains(now: TimeMs): boolean;
  /** The first instant after `now` at which `contains` changes; Infinity when it never does. */
  nextEdge(now: TimeMs): TimeMs;
};

/** As an author writes it. From `from` on and before `to`; one that is not later than `from` is of the next day. */
export type WrittenWindow = {
  readonly days?: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly tz?: string;
};

/** What is wrong with a window; the path is within what is written of it. */
export type WindowProblem = { readonly problem: string; readonly suggestion: string; readonly path: Path };

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
/** 1970-01-01 was a Thursday. */
const EPOCH_WEEKDAY = 3;
/** A week repeats itself; a gap or two can swallow an edge of it, never the same one for this long. */
const EDGE_DAYS_MAX = 60;

/** A window, or what is wrong with it. `timeZoneDefault` is that of the set and is valid. */
export function compileWindow(written: WrittenWindow, timeZoneDefault: string): Window | WindowProblem {
  const days = compileDays(written.days ?? ["mon-sun"]);
  if ("problem" in days) return days;
  const from = parseTime(written.from);
  if (from === null || from === DAY_MINUTES) return badTime(written.from, "from", "00:00 to 23:59");
  const to = parseTime(written.to);
  if (to === null) return badTime(written.to, "to", "00:00 to 24:00");
  const timeZone = written.tz ?? timeZoneDefault;
  if (!isTimeZone(timeZone)) {
    const problem = `there is no time zone ${quote(timeZone)}`;
    return { problem, suggestion: suggestTimeZone(timeZone), path: ["tz"] };
  }
  return new WeeklyWindow(days, from, to, timeZone);
}

/** Holds exactly when the other does not. */
export function outside(window: Window): Window {
  return {
    text: `outside ${window.text}`,
    contains: (now) => !window.contains(now),
    nextEdge: (now) => window.nextEdge(now),
  };
}

/** An IANA name in its own spelling, or UTC: not an offset, which would silently ignore summer time. */
export function isTimeZone(text: string): boolean {
  return !isOffset(text) && spellingOf(text) === text;
}

/** What to write instead of a text that is no time zone. */
export function suggestTimeZone(text: string): string {
  const rule = "Write an IANA name such as Europe/Berlin, or UTC";
  if (isOffset(text)) return rule;
  const spelling = spellingOf(text);
  const near = didYouMean(text, spelling === null ? Intl.supportedValuesOf("timeZone") : [spelling]);
  return near.startsWith("Did") ? near : rule;
}

function isOffset(text: string): boolean {
  return text.startsWith("+") || text.startsWith("-");
}

function spellingOf(text: string): string | null {
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text).timeZoneId;
  } catch {
    return null;
  }
}

function badTime(text: string, key: "from" | "to", range: string): WindowProblem {
  return { problem: `${quote(text)} is not a time of day`, suggestion: `Write ${range}, in quotes`, path: [key] };
}

/** Minutes since midnight of `HH:MM`, at most 24:00; null for anything else. */
function parseTime(text: string): number | null {
  if (text.length !== 5 || text[2] !== ":") return null;
  for (const at of [0, 1, 3, 4]) {
    const unit = text.charCodeAt(at);
    if (unit < 0x30 || unit > 0x39) return null;
  }
  const minutes = Number(text.slice(3));
  const time = Number(text.slice(0, 2)) * 60 + minutes;
  return minutes < 60 && time <= DAY_MINUTES ? time : null;
}

/** Which of the seven days are listed, Monday first. */
function compileDays(written: readonly string[]): readonly boolean[] | WindowProblem {
  const days = DAYS.map(() => false);
  for (const [index, text] of written.entries()) {
    const ends = text.split("-");
    const places = ends.map((day) => DAYS.findIndex((name) => name === day));
    const [first, last = first] = places;
    const unknown = places.indexOf(-1);
    if (unknown !== -1 || first === undefined || last === undefined || places.length > 2) {
      const suggestion = places.length > 2 ? "Write mon-fri" : didYouMean(ends[unknown] ?? "", DAYS);
      return { problem: `${quote(text)} is neither a day nor a range of days`, suggestion, path: ["days", index] };
    }
    // A range may go over the end of the week: fri-mon.
    for (let day = first; ; day = (day + 1) % 7) {
      days[day] = true;
      if (day === last) break;
    }
  }
  if (!days.includes(true)) return { problem: "a window needs a day", suggestion: "Write [mon-fri]", path: ["days"] };
  return days;
}

/** A stretch of time in which a zone keeps its offset from UTC. */
type Stretch = { readonly sinceMs: TimeMs; readonly untilMs: TimeMs; readonly offsetMs: number };

class WeeklyWindow implements Window {
  readonly text: string;
  readonly #days: readonly boolean[];
  readonly #from: number;
  readonly #to: number;
  readonly #timeZone: string;
  readonly #isAlways: boolean;
  #stretch: Stretch = { sinceMs: Infinity, untilMs: -Infinity, offsetMs: 0 };
  // The answer for the time around the last question: decisions ask again and again within the same minutes.
  #sinceMs: TimeMs = Infinity;
  #untilMs: TimeMs = -Infinity;
  #isInside = false;

  constructor(days: readonly boolean[], from: number, to: number, timeZone: string) {
    this.text = `${formatDays(days)} ${formatTime(from)}-${formatTime(to)} ${timeZone}`;
    this.#days = days;
    this.#from = from;
    this.#to = to;
    this.#timeZone = timeZone;
    const isWholeDay = from === to || (from === 0 && to === DAY_MINUTES);
    this.#isAlways = isWholeDay && !days.includes(false);
  }

  contains(now: TimeMs): boolean {
    if (now < this.#sinceMs || now >= this.#untilMs || Number.isNaN(now)) this.#look(now);
    return this.#isInside;
  }

  nextEdge(now: TimeMs): TimeMs {
    this.contains(now);
    return this.#untilMs;
  }

  /** Finds the answer for `now` and until when it stays the same. */
  #look(now: TimeMs): void {
    this.#isInside = this.#isInsideAt(now);
    this.#sinceMs = now;
    this.#untilMs = this.#isAlways ? Infinity : this.#edgeAfter(now);
  }

  #edgeAfter(now: TimeMs): TimeMs {
    const isInside = this.#isInside;
    let edge = this.#nextCandidate(now);
    while (this.#isInsideAt(edge) === isInside && edge < now + EDGE_DAYS_MAX * DAY_MS) edge = this.#nextCandidate(edge);
    return edge;
  }

  #isInsideAt(now: TimeMs): boolean {
    const wallMs = now + this.#stretchAt(now).offsetMs;
    const day = Math.floor(wallMs / DAY_MS);
    const minutes = (wallMs - day * DAY_MS) / MINUTE_MS;
    if (this.#to > this.#from) return this.#isListed(day) && minutes >= this.#from && minutes < this.#to;
    // What goes over midnight belongs to the day on which it begins.
    return (this.#isListed(day) && minutes >= this.#from) || (this.#isListed(day - 1) && minutes < this.#to);
  }

  #isListed(day: number): boolean {
    return this.#days[(((day + EPOCH_WEEKDAY) % 7) + 7) % 7] === true;
  }

  /** The next instant after `now` at which the answer could change: midnight, a bound, or another offset. */
  #nextCandidate(now: TimeMs): TimeMs {
    const { offsetMs, untilMs } = this.#stretchAt(now);
    const wallMs = now + offsetMs;
    const midnightMs = Math.floor(wallMs / DAY_MS) * DAY_MS;
    let next = midnightMs + DAY_MS;
    for (const minutes of [this.#from, this.#to]) {
      const boundMs = midnightMs + minutes * MINUTE_MS;
      if (boundMs > wallMs && boundMs < next) next = boundMs;
    }
    return Math.min(next - offsetMs, untilMs);
  }

  #stretchAt(now: TimeMs): Stretch {
    if (now >= this.#stretch.sinceMs && now < this.#stretch.untilMs) return this.#stretch;
    const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(now)).toZonedDateTimeISO(this.#timeZone);
    this.#stretch = {
      sinceMs: Math.floor(now),
      untilMs: local.getTimeZoneTransition("next")?.epochMilliseconds ?? Infinity,
      offsetMs: local.offsetNanoseconds / 1_000_000,
    };
    return this.#stretch;
  }
}

function formatTime(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** `mon-fri`, `sat`, `mon,wed-fri`. */
function formatDays(days: readonly boolean[]): string {
  const parts: string[] = [];
  for (let first = 0; first < days.length; first++) {
    if (days[first] !== true) continue;
    let last = first;
    while (days[last + 1] === true) last++;
    parts.push(first === last ? `${DAYS[first]}` : `${DAYS[first]}-${DAYS[last]}`);
    first = last;
  }
  return parts.join(",");
}
