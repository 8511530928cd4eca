/** Windows against a naive reading of the clock on the wall, minute by minute, through the changes of many zones. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileWindow, isTimeZone, outside, suggestTimeZone } from "./window.ts";
import type { Window, WrittenWindow } from "./window.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

function windowOf(written: WrittenWindow): Window {
  const window = compileWindow(written, "UTC");
  if ("problem" in window) throw new Error(window.problem);
  return window;
}

const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const iso = (at: number): string => Temporal.Instant.fromEpochMilliseconds(at).toString();

/** Every edge in a stretch of time, as nextEdge finds them. */
function edgesOf(window: Window, from: string, to: string): readonly string[] {
  const edges: string[] = [];
  for (let at = window.nextEdge(ms(from)); at <= ms(to); at = window.nextEdge(at)) edges.push(iso(at));
  return edges;
}

describe("bounds", () => {
  const week = windowOf({ days: ["mon-fri"], from: "08:00", to: "18:00" });

  test("from is inside, to is outside", () => {
    expect(week.contains(ms("2027-03-01T07:59:59.999Z"))).toBe(false);
    expect(week.contains(ms("2027-03-01T08:00:00Z"))).toBe(true);
    expect(week.contains(ms("2027-03-01T17:59:59.999Z"))).toBe(true);
    expect(week.contains(ms("2027-03-01T18:00:00Z"))).toBe(false);
  });

  test("days that are not listed", () => {
    expect(week.contains(ms("2027-03-05T12:00:00Z"))).toBe(true);
    expect(week.contains(ms("2027-03-06T12:00:00Z"))).toBe(false);
    expect(iso(week.nextEdge(ms("2027-03-05T18:00:00Z")))).toBe("2027-03-08T08:00:00Z");
  });

  test("over midnight it belongs to the day on which it begins", () => {
    const night = windowOf({ days: ["fri"], from: "22:00", to: "06:00" });
    expect(edgesOf(night, "2027-03-01T00:00:00Z", "2027-03-08T00:00:00Z")).toEqual([
      "2027-03-05T22:00:00Z",
      "2027-03-06T06:00:00Z",
    ]);
    expect(night.contains(ms("2027-03-05T05:00:00Z"))).toBe(false);
    expect(night.contains(ms("2027-03-06T05:00:00Z"))).toBe(true);
  });

  test("until midnight, and the same time twice", () => {
    const evening = windowOf({ days: ["sun"], from: "20:00", to: "24:00" });
    expect(edgesOf(evening, "2027-03-01T00:00:00Z", "2027-03-09T00:00:00Z")).toEqual([
      "2027-03-07T20:00:00Z",
      "2027-03-08T00:00:00Z",
    ]);
    const round = windowOf({ days: ["sun"], from: "09:00", to: "09:00" });
    expect(edgesOf(round, "2027-03-02T00:00:00Z", "2027-03-09T00:00:00Z")).toEqual([
      "2027-03-07T09:00:00Z",
      "2027-03-08T09:00:00Z",
    ]);
  });

  test("what always holds has no edge", () => {
    for (const to of ["24:00", "00:00"]) {
      const always = windowOf({ from: "00:00", to });
      expect(always.contains(0)).toBe(true);
      expect(always.nextEdge(0)).toBe(Infinity);
    }
    expect(outside(windowOf({ from: "07:00", to: "07:00" })).contains(0)).toBe(false);
  });

  test("outside", () => {
    const off = outside(week);
    expect(off.contains(ms("2027-03-01T08:00:00Z"))).toBe(false);
    expect(off.contains(ms("2027-03-01T18:00:00Z"))).toBe(true);
    expect(off.nextEdge(ms("2027-03-01T08:00:00Z"))).toBe(ms("2027-03-01T18:00:00Z"));
    expect(off.text).toBe("outside mon-fri 08:00-18:00 UTC");
  });

  test("a range over the end of the week", () => {
    expect(windowOf({ days: ["sat-mon", "wed"], from: "08:00", to: "18:00", tz: "Asia/Kolkata" }).text).toBe(
      "mon,wed,sat-sun 08:00-18:00 Asia/Kolkata",
    );
  });

  test("what is no instant throws", () => {
    expect(() => week.contains(Number.NaN)).toThrow(RangeError);
    expect(() => week.nextEdge(Infinity)).toThrow(RangeError);
  });
});

describe("changes of the clock", () => {
  test("what begins in a gap begins at its end, and what ends in one ends there", () => {
    const early = windowOf({ from: "02:30", to: "05:00", tz: "Europe/Berlin" });
    expect(edgesOf(early, "2027-03-28T00:00:00Z", "2027-03-28T12:00:00Z")).toEqual([
      "2027-03-28T01:00:00Z",
      "2027-03-28T03:00:00Z",
    ]);
    const late = windowOf({ from: "01:00", to: "02:30", tz: "Europe/Berlin" });
    expect(edgesOf(late, "2027-03-27T23:00:00Z", "2027-03-28T12:00:00Z")).toEqual([
      "2027-03-28T00:00:00Z",
      "2027-03-28T01:00:00Z",
    ]);
  });

  test("a window inside the gap does not happen that day", () => {
    const lost = windowOf({ from: "02:15", to: "02:45", tz: "Europe/Berlin" });
    expect(edgesOf(lost, "2027-03-27T23:00:00Z", "2027-03-29T00:20:00Z")).toEqual(["2027-03-29T00:15:00Z"]);
  });

  test("times that come twice count twice", () => {
    const twice = windowOf({ from: "02:15", to: "02:45", tz: "Europe/Berlin" });
    expect(edgesOf(twice, "2027-10-30T22:00:00Z", "2027-10-31T12:00:00Z")).toEqual([
      "2027-10-31T00:15:00Z",
      "2027-10-31T00:45:00Z",
      "2027-10-31T01:15:00Z",
      "2027-10-31T01:45:00Z",
    ]);
  });

  test("a day that never was: what began on it goes on after it", () => {
    // Apia went from Thursday 29 December 2011 to Saturday.
    const friday = windowOf({ days: ["fri"], from: "22:00", to: "06:00", tz: "Pacific/Apia" });
    expect(edgesOf(friday, "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z")).toEqual([
      "2011-12-30T10:00:00Z",
      "2011-12-30T16:00:00Z",
    ]);
  });
});

/** What the wall shows there, by Intl alone. */
class Wall {
  readonly #format: Intl.DateTimeFormat;
  readonly #seen = new Map<number, { readonly day: number; readonly minutes: number }>();

  constructor(timeZone: string) {
    const numbers = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" } as const;
    this.#format = new Intl.DateTimeFormat("en-US", { timeZone, hourCycle: "h23", ...numbers });
  }

  contains(written: WrittenWindow, at: number): boolean {
    const { day, minutes } = this.#read(at);
    const [from, to] = [written.from, written.to].map((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
    if (from === undefined || to === undefined) throw new Error("a bound is missing");
    const days = listed(written.days ?? DAYS);
    const isListed = (ofDay: number): boolean => days.has(DAYS[(new Date(ofDay).getUTCDay() + 6) % 7] ?? "");
    if (to > from) return isListed(day) && minutes >= from && minutes < to;
    return (isListed(day) && minutes >= from) || (isListed(day - DAY_MS) && minutes < to);
  }

  #read(at: number): { readonly day: number; readonly minutes: number } {
    const seen = this.#seen.get(at);
    if (seen !== undefined) return seen;
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(at)) part[type] = Number(value);
    const day = Date.UTC(part["year"] ?? 0, (part["month"] ?? 0) - 1, part["day"] ?? 0);
    const read = { day, minutes: (part["hour"] ?? 0) * 60 + (part["minute"] ?? 0) };
    this.#seen.set(at, read);
    return read;
  }
}

function listed(days: readonly string[]): ReadonlySet<string> {
  const set = new Set<string>();
  for (const text of days) {
    const [first = "", last = first] = text.split("-");
    for (let day = DAYS.indexOf(first); ; day = (day + 1) % 7) {
      set.add(DAYS[day] ?? "");
      if (DAYS[day] === last) break;
    }
  }
  return set;
}

const time = fc.integer({ min: 0, max: 95 }).map((quarter) => quarter * 15);
const text = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
const day = fc.constantFrom(...DAYS);
const days = fc.array(
  fc.oneof(
    day,
    fc.tuple(day, day).map(([first, last]) => `${first}-${last}`),
  ),
  { minLength: 1, maxLength: 3 },
);

/** Days on which the clocks of a zone were changed, and ordinary ones. */
const CHANGES: Readonly<Record<string, readonly string[]>> = {
  "Europe/Berlin": ["2026-03-28", "2026-10-24", "2027-03-27"],
  "America/New_York": ["2026-03-07", "2026-10-31"],
  "Australia/Lord_Howe": ["2026-04-04", "2026-10-03"],
  "Africa/Casablanca": ["2026-02-14", "2026-03-21"],
  "Asia/Kolkata": ["2026-06-01"],
  "Pacific/Apia": ["2011-12-29", "2026-05-01", "2020-09-26"],
  "America/St_Johns": ["2010-03-13", "2010-11-06"],
  "Atlantic/Azores": ["2026-03-28", "2026-10-24"],
  "Africa/Cairo": ["2026-04-23", "2026-10-29"],
};

describe("agrees with the wall on every minute around a change", () => {
  for (const [tz, dates] of Object.entries(CHANGES)) {
    test(tz, () => {
      const wall = new Wall(tz);
      const window = fc.record({ days, from: time.map(text), to: time.map((at) => text(at === 0 ? 1440 : at)) });
      fc.assert(
        fc.property(window, fc.constantFrom(...dates), fc.integer({ min: 0, max: 59_999 }), (written, date, late) => {
          const compiled = windowOf({ ...written, tz });
          const start = ms(`${date}T00:00:00Z`);
          let was = compiled.contains(start);
          let edge = compiled.nextEdge(start);
          expect(was).toBe(wall.contains(written, start));
          for (let at = start; at < start + 2 * DAY_MS; at += MINUTE_MS) {
            const is = wall.contains(written, at);
            // Between whole minutes nothing changes, and a fresh window that was never asked before says the same.
            if (compiled.contains(at + late) !== is) throw new Error(`not ${is} at ${iso(at + late)}`);
            if ((at / MINUTE_MS) % 97 === 0 && windowOf({ ...written, tz }).contains(at) !== is)
              throw new Error(`fresh ${iso(at)}`);
            if (is !== was && edge !== at) throw new Error(`an edge at ${iso(at)}, not ${iso(edge)}`);
            if (is === was && edge <= at) throw new Error(`no edge at ${iso(edge)}`);
            if (is !== was) edge = compiled.nextEdge(at);
            was = is;
          }
        }),
        { numRuns: 25 },
      );
    });
  }

  test("backwards as well as forwards", () => {
    const wall = new Wall("Europe/Berlin");
    const written = { days: ["mon-fri"], from: "22:00", to: "06:00" };
    const compiled = windowOf({ ...written, tz: "Europe/Berlin" });
    const minute = fc.integer({ min: 29_000_000, max: 31_000_000 });
    fc.assert(
      fc.property(minute, (at) => compiled.contains(at * MINUTE_MS) === wall.contains(written, at * MINUTE_MS)),
      { numRuns: 2000 },
    );
  });

  test("an edge of a whole year is never missed or made up", () => {
    const written = { days: ["sun"], from: "02:00", to: "03:00" };
    const compiled = windowOf({ ...written, tz: "Europe/Berlin" });
    const wall = new Wall("Europe/Berlin");
    const edges = edgesOf(compiled, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    // 52 Sundays: the one in March has no such hour, the one in October has it twice in a row.
    expect(edges).toHaveLength(102);
    for (const edge of edges) {
      expect(wall.contains(written, ms(edge))).toBe(!wall.contains(written, ms(edge) - 1));
    }
  });
});

describe("refused", () => {
  const cases: readonly (readonly [WrittenWindow, string, readonly (string | number)[]])[] = [
    [{ from: "8:00", to: "18:00" }, '"8:00" is not a time of day', ["from"]],
    [{ from: "24:00", to: "18:00" }, '"24:00" is not a time of day', ["from"]],
    [{ from: "08:60", to: "18:00" }, '"08:60" is not a time of day', ["from"]],
    [{ from: "08:00", to: "24:01" }, '"24:01" is not a time of day', ["to"]],
    [{ from: "08.00", to: "18:00" }, '"08.00" is not a time of day', ["from"]],
    [{ from: "08:00", to: "18:0 " }, '"18:0 " is not a time of day', ["to"]],
    [{ from: "08:00", to: "18:00:00" }, '"18:00:00" is not a time of day', ["to"]],
    [{ days: ["mon", "tues"], from: "08:00", to: "18:00" }, '"tues" is neither a day nor a range', ["days", 1]],
    [{ days: ["Mon"], from: "08:00", to: "18:00" }, '"Mon" is neither', ["days", 0]],
    [{ days: ["mon-wed-fri"], from: "08:00", to: "18:00" }, "neither a day nor a range", ["days", 0]],
    [{ days: ["mon-"], from: "08:00", to: "18:00" }, "neither a day nor a range", ["days", 0]],
    [{ days: [], from: "08:00", to: "18:00" }, "a window needs a day", ["days"]],
    [{ from: "08:00", to: "18:00", tz: "Europe/Berlino" }, 'no time zone "Europe/Berlino"', ["tz"]],
    [{ from: "08:00", to: "18:00", tz: "+02:00" }, 'no time zone "+02:00"', ["tz"]],
  ];
  for (const [written, message, path] of cases) {
    test(JSON.stringify(written), () => {
      const window = compileWindow(written, "UTC");
      if (!("problem" in window)) throw new Error("it was compiled");
      expect(window.problem).toContain(message);
      expect(window.path).toEqual(path);
    });
  }

  test.each([
    ["tues", 'Did you mean "tue"?'],
    ["mon-fry", 'Did you mean "fri"?'],
    ["monday", "There is mon, tue, wed, thu, fri, sat, sun"],
    ["mon-wed-fri", "Write mon-fri"],
    ["mon-fri-", "Write mon-fri"],
  ])("days, with what to write instead: %s", (days, suggestion) => {
    expect(compileWindow({ days: [days], from: "08:00", to: "18:00" }, "UTC")).toEqual({
      problem: `${JSON.stringify(days)} is neither a day nor a range of days`,
      suggestion,
      path: ["days", 0],
    });
  });

  test("names of time zones", () => {
    for (const zone of ["UTC", "Europe/Berlin", "Asia/Calcutta", "Etc/GMT+5"]) expect(isTimeZone(zone)).toBe(true);
    const wrong = ["", "+02:00", "-05", "europe/berlin", "Mars/Olympus", "2020-01-01T00:00[Europe/Berlin]", "GMT+2"];
    for (const zone of wrong) expect(isTimeZone(zone)).toBe(false);
    expect(suggestTimeZone("europe/berlin")).toBe('Did you mean "Europe/Berlin"?');
    expect(suggestTimeZone("Europe/Berlim")).toBe('Did you mean "Europe/Berlin"?');
    expect(suggestTimeZone("Mars/Olympus")).toBe("Write an IANA name such as Europe/Berlin, or UTC");
  });
});
