/** Rates and budgets hold whatever the clock does, whoever shares them, and however the process ended before. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRefusal, type Refusal } from "../core/decision.ts";
import type { Meter } from "../core/obligation.ts";
import type { Spending } from "../core/ports.ts";
import type { Session } from "../core/session.ts";
import { KeptMeters } from "./meters.ts";

let folder: string;
let now = 0;
let said: string[] = [];
const opened: KeptMeters[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-meters-"));
  now = Date.UTC(2026, 2, 10, 12, 30);
  said = [];
});

afterEach(() => {
  for (const meters of opened.splice(0)) meters.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opened anew on the same folder: what a process that was killed leaves to the next. */
function open(): KeptMeters {
  const meters = new KeptMeters({ folder, clock: { now: () => now }, say: (line) => said.push(line) });
  opened.push(meters);
  return meters;
}

function session(subject: string, more: { owner?: string; id?: string; issuer?: string } = {}): Session {
  const { owner, id = subject, issuer = "weir" } = more;
  return {
    id,
    identity: {
      kind: owner === undefined ? "human" : "agent",
      issuer,
      subject,
      groups: [],
      ...(owner === undefined ? {} : { owner }),
      proof: { method: "token", credential: "t", expiresAtMs: null },
    },
    target: { name: "db", adapter: "postgres", labels: {}, settings: null },
    openedAtMs: 0,
    source: "127.0.0.1",
  };
}

function meter(of: Partial<Meter> & Pick<Meter, "max">): Meter {
  const { unit = "calls", per = { kind: "sliding", ms: 60_000 }, across = "subject", rule = "r" } = of;
  return { id: `${rule}/${unit}/${per.kind}/${across}`, rule, unit, max: of.max, per, across };
}

const HOURLY = { kind: "hour" } as const;
const DAILY = { kind: "day", timeZone: "UTC" } as const;
const OF_SESSION = { kind: "session" } as const;

/** How many of so many attempts are admitted. */
function admitted(meters: KeptMeters, who: Session, which: Meter, attempts: number): number {
  let count = 0;
  for (let i = 0; i < attempts; i++) {
    const answer = meters.admit(who, [which], now);
    if (isRefusal(answer)) continue;
    answer.end();
    count++;
  }
  return count;
}

function spending(answer: Spending | Refusal): Spending {
  if (isRefusal(answer)) throw new Error(answer.message);
  return answer;
}

function refused(answer: Spending | Refusal | null): Refusal {
  if (answer === null || !isRefusal(answer)) throw new Error("it was not refused");
  return answer;
}

const ann = session("ann");

describe("a rate", () => {
  test("lets so many through, then refuses and says which rule, how many, and when", () => {
    const meters = open();
    const rate = meter({ max: 3, rule: "agents-read" });
    expect(admitted(meters, ann, rate, 3)).toBe(3);
    const no = refused(meters.admit(ann, [rate], now));
    expect(no.code).toBe("limit");
    expect(no.rules).toEqual(["agents-read"]);
    expect(no.message).toBe('rule "agents-read" allows ann 3 calls in 1m, and no more is left for this');
    expect(no.hint).toBe("Free again in 1m 1s, at 2026-03-10T12:31:01.000Z.");
    now += 60_999;
    expect(admitted(meters, ann, rate, 1)).toBe(0);
    now += 1;
    expect(admitted(meters, ann, rate, 4)).toBe(3);
  });

  test("of an adapter's own names what it counts instead of a rule, also while it cannot be counted", () => {
    const meters = open();
    const own: Meter = { ...meter({ max: 2, across: "owner" }), rule: null, calls: "comparisons with x" };
    const bot = session("bot", { owner: "ann" });
    expect(admitted(meters, bot, own, 5)).toBe(2);
    const no = refused(meters.admit(ann, [own], now));
    expect(no.message).toBe(
      "the gateway allows ann and all that is theirs 2 comparisons with x in 1m, and no more is left for this",
    );
    expect(no.rules).toEqual([]);
    meters.close();
    const other: Meter = { ...own, id: "other" };
    expect(refused(meters.admit(ann, [other], now)).message).toBe(
      "comparisons with x cannot be counted now, so this one was not run",
    );
  });

  test("never lets more through in any window, and waits at most a slot longer than it must", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 60 }),
        (max, ms, pauses) => {
          const meters = open();
          const rate = meter({ max, per: { kind: "sliding", ms } });
          const slot = Math.max(1, Math.ceil(ms / 60));
          const taken: number[] = [];
          for (const pause of pauses) {
            now += pause;
            const recent = taken.filter((at) => at > now - ms).length;
            const recentAndSlot = taken.filter((at) => at > now - ms - slot).length;
            if (admitted(meters, session("p"), rate, 1) === 1) {
              expect(recent).toBeLessThan(max);
              taken.push(now);
            } else expect(recentAndSlot).toBeGreaterThanOrEqual(max);
          }
          meters.close();
          rmSync(join(folder, "meters.db"));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("is what it says when the refusal names the moment it is free again", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 4, maxLength: 12 }), (pauses) => {
        const meters = open();
        const rate = meter({ max: 3, per: { kind: "sliding", ms: 1_000 }, rule: "q" });
        for (const pause of pauses) {
          now += pause;
          const answer = meters.admit(ann, [rate], now);
          if (!isRefusal(answer)) continue;
          const at = Date.parse(answer.hint.slice(answer.hint.indexOf("at ") + 3, -1));
          now = at - 1;
          expect(isRefusal(meters.admit(ann, [rate], now))).toBe(true);
          now = at;
          expect(isRefusal(meters.admit(ann, [rate], now))).toBe(false);
        }
        meters.close();
        rmSync(join(folder, "meters.db"));
      }),
      { numRuns: 60 },
    );
  });
});

describe("a budget", () => {
  test("of an hour begins anew with the hour, one of a day with the day of its zone", () => {
    const meters = open();
    const zoned = { kind: "day", timeZone: "America/New_York" } as const;
    for (const [budget, ends] of [
      [meter({ max: 2, per: HOURLY }), Date.UTC(2026, 2, 10, 13)],
      [meter({ max: 2, per: DAILY, rule: "day" }), Date.UTC(2026, 2, 11)],
      [meter({ max: 2, per: zoned, rule: "zoned" }), Date.UTC(2026, 2, 11, 4)],
    ] as const) {
      expect(admitted(meters, ann, budget, 3)).toBe(2);
      expect(refused(meters.admit(ann, [budget], now)).hint).toContain(new Date(ends).toISOString());
      now = ends - 1;
      expect(admitted(meters, ann, budget, 1)).toBe(0);
      now = ends;
      expect(admitted(meters, ann, budget, 3)).toBe(2);
    }
  });

  test("of a day holds on days of 23 and of 25 hours", () => {
    const meters = open();
    const berlin = { kind: "day", timeZone: "Europe/Berlin" } as const;
    const days = [
      [Date.UTC(2026, 2, 28, 23), 23],
      [Date.UTC(2026, 9, 24, 22), 25],
    ] as const;
    for (const [begins, hours] of days) {
      const budget = meter({ max: 1, per: berlin, rule: `of ${hours} hours` });
      now = begins;
      expect(admitted(meters, ann, budget, 2)).toBe(1);
      now = begins + hours * 3_600_000 - 1;
      expect(admitted(meters, ann, budget, 2)).toBe(0);
      now += 1;
      expect(admitted(meters, ann, budget, 2)).toBe(1);
    }
  });

  test("of a session is the session's own and ends with it", () => {
    const meters = open();
    const budget = meter({ max: 2, per: OF_SESSION });
    const other = session("ann", { id: "other" });
    expect(admitted(meters, ann, budget, 3)).toBe(2);
    expect(admitted(meters, other, budget, 3)).toBe(2);
    expect(refused(meters.admit(ann, [budget], now)).hint).toBe("Free again in a new session.");
    meters.forget("ann");
    expect(admitted(meters, ann, budget, 3)).toBe(2);
  });

  test("of rows and bytes counts what flows, of all operations under way together", () => {
    const meters = open();
    const rows = meter({ max: 100, unit: "rows", per: DAILY });
    const bytes = meter({ max: 1_000, unit: "bytes", per: DAILY });
    const first = spending(meters.admit(ann, [bytes, rows], now));
    const second = spending(meters.admit(ann, [bytes, rows], now));
    expect(first.add(60, 300)).toBeNull();
    expect(second.add(40, 300)).toBeNull();
    expect(refused(first.add(1, 10)).message).toContain("100 rows a day (UTC)");
    expect(refused(second.add(0, 401)).message).toContain("1000 bytes a day (UTC)");
    expect(first.add(0, 400)).toBeNull();
    expect(refused(meters.admit(ann, [rows], now)).code).toBe("limit");
    first.end();
    second.end();
  });

  test("is not touched by what does not fit, also when another one has room", () => {
    const meters = open();
    const rows = meter({ max: 10, unit: "rows", per: DAILY });
    const bytes = meter({ max: 1_000, unit: "bytes", per: DAILY });
    const flow = spending(meters.admit(ann, [rows, bytes], now));
    expect(refused(flow.add(1, 1_001)).hint).toBe("Ask for less at once.");
    expect(flow.add(10, 1_000)).toBeNull();
    const calls = meter({ max: 1, per: DAILY });
    expect(refused(meters.admit(ann, [calls, rows], now)).rules).toEqual(["r"]);
    expect(admitted(meters, ann, calls, 2)).toBe(1);
  });

  test("goes on in the new period for what was under way when it began", () => {
    const meters = open();
    const rows = meter({ max: 10, unit: "rows", per: HOURLY });
    const flow = spending(meters.admit(ann, [rows], now));
    expect(flow.add(10, 0)).toBeNull();
    now += 3_600_000;
    expect(flow.add(6, 0)).toBeNull();
    const next = spending(meters.admit(ann, [rows], now));
    expect(refused(next.add(5, 0)).code).toBe("limit");
    expect(next.add(4, 0)).toBeNull();
  });
});

describe("whose", () => {
  test("subjects of different issuers are different subjects", () => {
    const meters = open();
    const rate = meter({ max: 1 });
    expect(admitted(meters, ann, rate, 2)).toBe(1);
    expect(admitted(meters, session("ann", { issuer: "corp" }), rate, 2)).toBe(1);
    expect(admitted(meters, session("bob"), rate, 2)).toBe(1);
  });

  test("an owner shares with all agents and services that are theirs", () => {
    const meters = open();
    const rate = meter({ max: 3, across: "owner" });
    expect(admitted(meters, session("bot", { owner: "eva" }), rate, 1)).toBe(1);
    expect(admitted(meters, session("job", { owner: "eva" }), rate, 1)).toBe(1);
    expect(admitted(meters, session("eva"), rate, 2)).toBe(1);
    expect(refused(meters.admit(session("bot", { owner: "eva" }), [rate], now)).message).toContain(
      "eva and all that is theirs",
    );
    expect(admitted(meters, session("bot", { owner: "max" }), rate, 1)).toBe(1);
  });
});

describe("a clock that is set back", () => {
  test("hands out nothing more", () => {
    const meters = open();
    const which = [meter({ max: 2 }), meter({ max: 2, per: HOURLY }), meter({ max: 2, per: DAILY })];
    for (const each of which) expect(admitted(meters, ann, each, 3)).toBe(2);
    for (const backMs of [1, 59_000, 3_600_000, 40 * 86_400_000]) {
      now -= backMs;
      for (const each of which) expect(admitted(meters, ann, each, 3)).toBe(0);
    }
  });

  test("does not stop a rate for longer than its window", () => {
    const meters = open();
    const rate = meter({ max: 2 });
    expect(admitted(meters, ann, rate, 3)).toBe(2);
    now -= 86_400_000;
    expect(admitted(meters, ann, rate, 1)).toBe(0);
    now += 61_000;
    expect(admitted(meters, ann, rate, 3)).toBe(2);
  });

  test("hands out nothing more after a restart either", () => {
    const which = [meter({ max: 64 }), meter({ max: 64, per: HOURLY }), meter({ max: 64, per: DAILY })];
    const before = open();
    for (const each of which) expect(admitted(before, ann, each, 65)).toBe(64);
    before.close();
    now -= 86_400_000;
    const after = open();
    for (const each of which) expect(admitted(after, ann, each, 65)).toBe(0);
    now += 61_000;
    expect(admitted(after, ann, meter({ max: 64 }), 65)).toBe(64);
  });
});

describe("a restart", () => {
  const which = [
    meter({ max: 320 }),
    meter({ max: 320, per: HOURLY }),
    meter({ max: 320, per: DAILY, across: "owner" }),
  ] as const;

  test("in order takes nothing away and hands out nothing twice", () => {
    const before = open();
    for (const each of which) expect(admitted(before, ann, each, 100)).toBe(100);
    before.close();
    const after = open();
    for (const each of which) expect(admitted(after, ann, each, 320)).toBe(220);
  });

  test("after a kill hands out nothing twice, and takes away one part in 32 at most", () => {
    const before = open();
    for (const each of which) expect(admitted(before, ann, each, 100)).toBe(100);
    const after = open();
    for (const each of which) {
      const left = admitted(after, ann, each, 320);
      expect(left).toBeLessThanOrEqual(220);
      expect(left).toBeGreaterThanOrEqual(210);
    }
  });

  test("after a kill remembers rows that flowed until then", () => {
    const rows = meter({ max: 1_000, unit: "rows", per: DAILY });
    const flow = spending(open().admit(ann, [rows], now));
    for (let i = 0; i < 900; i++) expect(flow.add(1, 0)).toBeNull();
    const after = spending(open().admit(ann, [rows], now));
    expect(refused(after.add(101, 0)).code).toBe("limit");
  });

  test("finds a window that has slid on free again, but for what may have been used without being written", () => {
    const before = open();
    expect(admitted(before, ann, meter({ max: 64 }), 65)).toBe(64);
    now += 61_000;
    const after = open();
    expect(admitted(after, ann, meter({ max: 64 }), 64)).toBe(62);
    now += 61_000;
    expect(admitted(after, ann, meter({ max: 64 }), 65)).toBe(64);
  });
});

describe("a store that cannot be used", () => {
  test("refuses what needs it and nothing else, and is used again when it can be", async () => {
    writeFileSync(
      join(folder, "meters.db"),
      "this is no database, and longer than the header of one would be".repeat(9),
    );
    const meters = open();
    const no = refused(meters.admit(ann, [meter({ max: 5 })], now));
    expect({ code: no.code, rules: no.rules }).toEqual({ code: "internal", rules: ["r"] });
    expect(said.join("\n")).toContain("rates and budgets cannot be counted");
    expect(meters.failure).toContain("meters.db");
    expect(admitted(meters, ann, meter({ max: 5, per: OF_SESSION }), 6)).toBe(5);
    rmSync(join(folder, "meters.db"));
    while (isRefusal(meters.admit(ann, [meter({ max: 5 })], now))) await Bun.sleep(20);
    expect(said.at(-1)).toBe("rates and budgets can be counted again");
    expect(meters.failure).toBeNull();
    expect(said).toHaveLength(2);
  });

  test("that was written by a newer version is left alone", async () => {
    const { default: Database } = await import("libsql");
    const database = new Database(join(folder, "meters.db"));
    database.pragma("user_version = 2");
    database.close();
    expect(open().failure).toContain("newer weir");
  });

  test("that fails later refuses only what it has not written ahead", async () => {
    const meters = open();
    const { default: Database } = await import("libsql");
    const big = meter({ max: 3_200 });
    expect(admitted(meters, ann, big, 1)).toBe(1);
    const other = new Database(join(folder, "meters.db"));
    other.exec("BEGIN EXCLUSIVE");
    expect(admitted(meters, ann, big, 200)).toBe(99);
    other.exec("ROLLBACK");
    other.close();
    while (admitted(meters, ann, big, 1) === 0) await Bun.sleep(20);
    expect(admitted(meters, ann, big, 3_200)).toBe(3_200 - 101);
  });
});

test("what is spent is forgotten, and what is in use is not", () => {
  const meters = open();
  const rate = meter({ max: 1, per: { kind: "sliding", ms: 10 } });
  const rows = meter({ max: 5, unit: "rows", per: HOURLY });
  const flow = spending(meters.admit(ann, [rows], now));
  expect(flow.add(2, 0)).toBeNull();
  now += 3_600_000;
  for (let i = 0; i < 5_000; i++) {
    now += 20;
    expect(admitted(meters, session(`s${i}`), rate, 2)).toBe(1);
  }
  expect(flow.add(2, 0)).toBeNull();
  expect(refused(spending(meters.admit(ann, [rows], now)).add(4, 0)).code).toBe("limit");
  flow.end();
  meters.close();
  const { size } = Bun.file(join(folder, "meters.db"));
  expect(size).toBeLessThan(1_000_000);
});

test("the file is its owner's only", () => {
  open();
  expect(statSync(join(folder, "meters.db")).mode & 0o077).toBe(0);
});
