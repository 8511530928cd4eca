/** Lanes: each keeps its order, and none waits for another. */
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import * as fc from "fast-check";
import {
  decisionOn,
  operationOf,
  permitOf,
  RecordingExchange,
  ScriptedAudit,
  SESSION,
  settle,
  submit,
  worldOf,
  type Seen,
  type Verdict,
  type World,
} from "../../test/gate-world.ts";
import { refusal } from "../core/decision.ts";
import type { Sequence } from "../core/ports.ts";

const VERDICTS = new Map<string, Verdict>([
  ["a", "ask"],
  ["b", "permit"],
  ["c", "permit"],
  ["d", "deny"],
  ["r", "recorded"],
]);

function inLane(world: World, id: string, lane?: number): Seen {
  return submit(world, id, false, lane === undefined ? {} : { lane });
}

describe("an operation that waits for people", () => {
  test("holds up what comes after it in its lane, and nothing in another or in the session's own", async () => {
    const world = worldOf("relaxed", VERDICTS);
    const [a, c] = [inLane(world, "a", 1), inLane(world, "c", 1)];
    expect(inLane(world, "b", 2).started).toBe(1);
    expect(inLane(world, "b").started).toBe(1);
    expect(inLane(world, "d", 3).refused).toMatchObject([{ event: "d" }]);
    expect([a.started, c.started]).toEqual([0, 0]);
    world.approvals.get("a")?.("approved");
    await settle();
    world.audit.sync();
    expect([a.started, c.started]).toEqual([1, 1]);
    expect(world.order).toEqual(["b", "b", "d", "a", "c"]);
  });

  test("in the session's own lane holds up no other", () => {
    const world = worldOf("relaxed", VERDICTS);
    inLane(world, "a");
    expect(inLane(world, "b").started).toBe(0);
    expect(inLane(world, "b", 0).started).toBe(1);
  });
});

test("a refusal waits for its turn in its lane only", () => {
  const world = worldOf("relaxed", VERDICTS);
  inLane(world, "a", 1);
  expect(inLane(world, "d", 1).refused).toEqual([]);
  expect(inLane(world, "d", 2).refused).toMatchObject([{ event: "d" }]);
  const exchange = new RecordingExchange("x", world.upstream, world.order);
  world.gate.refuse(SESSION, operationOf("x", false, { lane: 1 }), refusal("limit", "too long"), exchange);
  world.gate.submitHouse(SESSION, operationOf("h", false, { lane: 1 }), exchange);
  expect(exchange.seen).toMatchObject({ started: 0, refused: [] });
});

test("each leaves when its own record is durable, in the order of the records", () => {
  const world = worldOf("strict", VERDICTS);
  const seen = [inLane(world, "b", 1), inLane(world, "c", 2)];
  expect(seen.map(({ started }) => started)).toEqual([0, 0]);
  world.audit.durable = 1;
  world.audit.tell();
  expect(seen.map(({ started }) => started)).toEqual([1, 0]);
  world.audit.sync();
  expect(world.order).toEqual(["b", "c"]);
});

test("release: what reads leaves early when nothing of its own lane waits", () => {
  const world = worldOf("release", VERDICTS);
  inLane(world, "a", 1);
  expect(submit(world, "b", true, { lane: 1 }).started).toBe(0);
  expect(submit(world, "c", true, { lane: 2 }).started).toBe(1);
});

test("the session's transcript is begun once for all lanes, and each goes on when it is there", async () => {
  const world = worldOf("relaxed", VERDICTS, { keeps: () => ["record"] });
  const seen = [inLane(world, "r", 1), inLane(world, "r", 2)];
  expect(inLane(world, "b", 1).started).toBe(0);
  expect(inLane(world, "b", 3).started).toBe(1);
  await world.recorder.begin();
  expect(seen.map(({ started }) => started)).toEqual([1, 1]);
  expect(world.recorder.asked.length).toBe(1);
});

test("a session that waits in any lane is not idle, and its end ends all of them", async () => {
  const world = worldOf("relaxed", VERDICTS);
  const { gate } = world;
  const opening = { kind: "permit", rules: [], observed: [], obligations: { session: { idleMs: 10 } } } as const;
  gate.tighten(SESSION.id, opening);
  expect(gate.overdue(SESSION.id, 10)).not.toBeNull();
  const a = inLane(world, "a", 1);
  expect(gate.overdue(SESSION.id, 10)).toBeNull();
  gate.close(SESSION, null, { status: "done" });
  world.approvals.get("a")?.("approved");
  await settle();
  expect(a).toMatchObject({ started: 0, refused: [] });
  expect(decisionOn(world, "a")).toBeUndefined();
});

test("a failed log refuses what waits in every lane", () => {
  const world = worldOf("strict", VERDICTS);
  const seen = [inLane(world, "b", 1), inLane(world, "c", 2), inLane(world, "b")];
  world.audit.fail();
  for (const { started, refused } of seen) {
    expect(started).toBe(0);
    expect(refused).toMatchObject([{ code: "audit_unavailable" }]);
  }
});

test("lanes that are empty take no memory, however many there were", () => {
  /** A log that keeps nothing. */
  class Blank extends ScriptedAudit {
    override intent(): Sequence {
      return ++this.handedOver;
    }
    override outcome(): Sequence {
      return ++this.handedOver;
    }
  }
  for (const durability of ["relaxed", "strict"] as const) {
    const audit = new Blank();
    const { gate, upstream } = worldOf(durability, VERDICTS, { audit });
    const run = (from: number, to: number): void => {
      for (let lane = from; lane < to; lane++) {
        const exchange = new RecordingExchange("b", upstream, []);
        gate.submit(SESSION, operationOf("b", false, { lane }), exchange);
        audit.sync();
        gate.finish(permitOf(exchange.seen), { status: "done" });
      }
      Bun.gc(true);
    };
    run(0, 1_000);
    const before = heapStats().objectCount;
    run(1_000, 21_000);
    // One that were kept would be several objects.
    expect(heapStats().objectCount - before).toBeLessThan(10_000);
  }
});

test("whatever comes: each lane keeps its order, and only what it waits for itself holds it up", async () => {
  const verdict = fc.constantFrom<Verdict>("permit", "permit", "deny", "ask", "recorded", "ask recorded");
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("submit" as const), verdict, lane: fc.nat({ max: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("answer" as const), which: fc.nat({ max: 5 }) }) },
    { weight: 2, arbitrary: fc.constant({ kind: "begin" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "refuse" as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: "sync" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "fault" as const }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("strict" as const, "release" as const, "relaxed" as const),
      fc.array(step, { maxLength: 40 }),
      async (durability, steps) => {
        const verdicts = new Map<string, Verdict>();
        const world = worldOf(durability, verdicts, { keeps: () => ["record"] });
        const lanes = new Map<number, { readonly id: string; readonly seen: Seen }[]>();
        for (const each of steps) {
          switch (each.kind) {
            case "submit": {
              const id = `op${verdicts.size + 1}`;
              verdicts.set(id, each.verdict);
              const lane = lanes.get(each.lane) ?? [];
              lanes.set(each.lane, lane);
              lane.push({ id, seen: submit(world, id, false, each.lane === 0 ? {} : { lane: each.lane }) });
              break;
            }
            case "answer": {
              const [id] = [...world.approvals.keys()].slice(each.which);
              if (id === undefined) break;
              world.approvals.get(id)?.("approved");
              world.approvals.delete(id);
              await settle();
              break;
            }
            case "begin":
              await world.recorder.begin();
              break;
            case "refuse":
              await world.recorder.refuse();
              break;
            case "sync":
              world.audit.sync();
              break;
            case "fault":
              world.audit.fail();
              world.audit.recover();
              break;
          }
        }
        world.audit.sync();
        await settle();
        const isRecorded = (id: string): boolean => verdicts.get(id)?.endsWith("recorded") === true;
        const waits = (id: string): boolean => world.approvals.has(id) || (isRecorded(id) && world.recorder.isOpening);
        for (const lane of lanes.values()) {
          const order = lane.map(({ id }) => id);
          expect(world.order.filter((id) => order.includes(id))).toEqual(
            order.filter((id) => world.order.includes(id)),
          );
          const first = lane.find(({ seen }) => seen.started + seen.refused.length === 0);
          if (first !== undefined) expect(waits(first.id)).toBe(true);
          for (const { seen } of lane) expect(seen.started + seen.refused.length).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 500 },
  );
});
