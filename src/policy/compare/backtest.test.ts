/** Backtests: what is remembered decides as if it were decided each time, and changes are counted by what and who. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  identity,
  NOW,
  operation,
  rulesFile,
  session,
  setOf,
  TARGETS,
  TINY,
  withFolder,
} from "../../../test/policy-sets.ts";
import type { Access, Accesses } from "../../core/operation.ts";
import type { Session } from "../../core/session.ts";
import { Backtest } from "./backtest.ts";
import type { BacktestRecord } from "./backtest.ts";
import { compareDecisions } from "./compare.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import type { Side } from "./diff.ts";
import { comparedWords } from "./diff.ts";
import { RuleIndex } from "../engine/index.ts";
import { loadPolicies } from "../load.ts";
import { formatProblem, hasErrors } from "../problems.ts";

async function sideOf(permits: string, guards = ""): Promise<Side> {
  const files = {
    "permits/a.yaml": rulesFile("Permits", permits),
    ...(guards === "" ? {} : { "guards/a.yaml": rulesFile("Guards", guards) }),
  };
  return withFolder(setOf(files), async (dir) => {
    const set = await loadPolicies(dir, [TINY], TARGETS);
    if (hasErrors(set.problems)) throw new Error(set.problems.map(formatProblem).join("\n"));
    return { set, targets: TARGETS };
  });
}

const get = (thing: string): Accesses => [{ class: "read", facts: { verbs: ["get"], things: [thing] } }];
const A = get("mine.a");
const B = get("mine.b");
const ANN = session(identity("human", "ann", ["ops"]));
/** Another session of the same person. */
const ANN_AGAIN: Session = { ...ANN, id: "s2" };
const BOB = session(identity("human", "bob"));

let ids = 0;
function record(within: Session, accesses: Accesses, timeMs = NOW, isConnect = false): BacktestRecord {
  return { operation: { ...operation(within, accesses), id: `op-${ids++}` }, isConnect, timeMs };
}

const READS_A =
  "  - { id: reads, subject: { any: true }, target: { any: true }, action: { tiny: { things: [mine.a] } } }\n";
const READS_BOTH = READS_A.replace("[mine.a]", "[mine.a, mine.b]");

test("changes are counted by rule, with who and examples", async () => {
  const backtest = new Backtest(await sideOf(READS_A), await sideOf(READS_BOTH), [TINY]);
  const records = [
    record(ANN, A),
    record(ANN, B),
    record(ANN_AGAIN, B),
    record(BOB, B),
    record(ANN, B),
    record(ANN, B),
  ];
  for (const each of records) backtest.add(each);
  expect(backtest.counts).toEqual({ operations: 6, changed: 5 });
  expect(backtest.groups()).toEqual([
    {
      kind: "access",
      widens: true,
      rules: ["reads"],
      was: "refused",
      is: "permitted",
      count: 5,
      who: [
        ["ann on box", 4],
        ["bob on box", 1],
      ],
      examples: records.slice(1, 4).map((each) => each.operation.id),
    },
  ]);
});

test("opening a session is decided as such", async () => {
  const nothing = "  - { id: reads, subject: { names: [carl] }, target: { any: true }, action: { any: true } }\n";
  const backtest = new Backtest(await sideOf(nothing), await sideOf(READS_A), [TINY]);
  const connect: Accesses = [{ class: "connect", facts: { rooms: ["one"] } }];
  backtest.add(record(ANN, connect, NOW, true));
  expect(backtest.groups().map(({ is }) => is)).toEqual(["permitted"]);
});

test("the labels of the side's catalog count, else those that were recorded", async () => {
  const permit =
    "  - { id: reads, subject: { any: true }, target: { labels: { env: [test] } }, action: { any: true } }\n";
  const was = await sideOf(permit);
  const box = {
    name: "box",
    adapter: "tiny",
    labels: { env: "test" },
    names: {},
    unlisted: {},
    detail: null,
    digest: "",
  };
  const is: Side = { ...was, set: { ...was.set, catalog: { targets: new Map([["box", box]]) } } };
  const backtest = new Backtest(was, is, [TINY]);
  backtest.add(record(ANN, A));
  expect(backtest.groups().map(({ widens }) => widens)).toEqual([true]);
});

test("what is remembered is what would be decided, at all times and for everybody", async () => {
  const was = await sideOf(
    `
  - { id: p, subject: { any: true }, target: { any: true }, action: { tiny: { things: [mine.a] } }, validUntil: "2027-01-01T03:00:00Z" }
  - { id: q, subject: { groups: [ops] }, target: { any: true }, action: { any: true }, window: { from: "02:00", to: "05:00", tz: UTC } }
  - { id: r, subject: { any: true }, target: { names: [bag] }, action: { any: true } }
`,
    `
  - { id: g, action: { tiny: { things: [mine.b] } }, except: [{ subject: { names: [ann] }, validUntil: "2027-01-01T06:00:00Z", reason: so }], deny: no }
`,
  );
  const is = await sideOf(
    `
  - { id: p, subject: { any: true }, target: { any: true }, action: { tiny: { things: [mine.b] } }, validFrom: "2027-01-01T01:00:00Z" }
  - { id: q, subject: { groups: [ops] }, target: { any: true }, action: { any: true }, window: { from: "03:00", to: "07:00", tz: UTC }, obligations: { limit: { rows: 3 } } }
`,
  );
  const sessions = [ANN, ANN_AGAIN, BOB, session(identity("agent", "bot", ["ops"], "ann"), "bag")];
  const connect: Accesses = [{ class: "connect", facts: { rooms: ["one"] } } satisfies Access];
  const one = fc.record({ who: fc.constantFrom(...sessions), what: fc.constantFrom(A, B, connect), hours: fc.nat(9) });
  const indexes = [was, is].map(({ set }) => new RuleIndex(set.rules, [TINY]));
  const [old, young] = indexes;
  if (old === undefined || young === undefined) throw new Error("two sides");
  fc.assert(
    fc.property(fc.array(one, { maxLength: 60 }), (asked) => {
      const backtest = new Backtest(was, is, [TINY]);
      let changed = 0;
      const told = new Map<string, number>();
      for (const { who, what, hours } of asked) {
        const timeMs = NOW + hours * 3_600_000;
        const each = record(who, what, timeMs, what === connect);
        backtest.add(each);
        const ask = what === connect ? mayConnect : decide;
        const changes = compareDecisions(
          ask(old, who, each.operation, timeMs),
          ask(young, who, each.operation, timeMs),
          comparedWords(was.set, is.set),
        );
        if (changes.length > 0) changed++;
        for (const { kind, widens } of changes) told.set(`${kind} ${widens}`, (told.get(`${kind} ${widens}`) ?? 0) + 1);
      }
      expect(backtest.counts).toEqual({ operations: asked.length, changed });
      const counted = new Map<string, number>();
      for (const { kind, widens, count } of backtest.groups()) {
        counted.set(`${kind} ${widens}`, (counted.get(`${kind} ${widens}`) ?? 0) + count);
      }
      expect(counted).toEqual(told);
    }),
    { numRuns: 300 },
  );
});
