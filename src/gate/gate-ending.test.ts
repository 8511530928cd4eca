/** The end of a session and of the log: what ran is accounted for, what is lost stays lost, and ids never meet. */
import { describe, expect, test } from "bun:test";
import {
  CONFIRM,
  operationOf,
  policyOf,
  RecordingExchange,
  SESSION,
  worldOf,
  submit,
  outcomesOf,
  permitOf,
  permitted,
  settle,
  type Verdict,
} from "../../test/gate-world.ts";
import { refusal } from "../core/decision.ts";
import type { Policy } from "../core/ports.ts";
import { MintedPermit } from "./permit.ts";

test("a session that is closed, or was never opened, starts nothing and records nothing", async () => {
  const world = worldOf("relaxed", new Map<string, Verdict>([["a", "permit"]]));
  const { gate, audit, upstream, order } = world;
  gate.close(SESSION, null, { status: "done" });
  const submitted = submit(world, "a");
  const [refused, house] = [new RecordingExchange("b", upstream, order), new RecordingExchange("c", upstream, order)];
  gate.refuse(SESSION, operationOf("b", false), refusal("limit", "too long"), refused);
  gate.submitHouse(SESSION, operationOf("c", false), house);
  for (const [id, seen] of [
    ["a", submitted],
    ["b", refused.seen],
    ["c", house.seen],
  ] as const) {
    expect(seen).toMatchObject({ started: 0, permit: null, refused: [{ code: "internal", event: id }] });
    expect(seen.refused[0]?.message).toBe("the session is closed");
  }
  expect(await gate.recordAwaited(SESSION, operationOf("d", false), "house")).toMatchObject({
    code: "internal",
    event: "d",
  });
  expect(audit.intents.size).toBe(0);
  expect(gate.overdue(SESSION.id, 1e15)).toBeNull();
  expect(gate.cancelSession(SESSION.id, refusal("draining", "bye"))).toBe(false);
  gate.tighten(SESSION.id, permitted({ session: { idleMs: 1 } }));
});

describe("the end of a session", () => {
  const verdicts = new Map<string, Verdict>([
    ["ran", "permit"],
    ["denied", "deny"],
    ["queued", "permit"],
    ["late", "permit"],
  ]);

  test("what ran is unknown, what never left was skipped, and the session's own outcome comes last", async () => {
    const world = worldOf("strict", verdicts);
    const { gate, audit } = world;
    const opening = gate.recordAwaited(SESSION, operationOf(SESSION.id, true), permitted());
    audit.sync();
    const permit = await opening;
    if (!("operation" in permit)) throw new Error(permit.message);
    const ran = submit(world, "ran");
    const denied = submit(world, "denied");
    audit.sync();
    const queued = submit(world, "queued");
    gate.close(SESSION, permit, { status: "done" });
    expect(outcomesOf(world)).toEqual({
      [SESSION.id]: ["done"],
      ran: ["unknown"],
      denied: ["unknown"],
      queued: ["skipped"],
    });
    expect([...audit.outcomes.keys()].at(-1)).toBe(1);
    for (const gone of [permit, permitOf(ran), permitOf(denied)]) expect(MintedPermit.isAlive(gone)).toBe(false);
    expect(audit.forgotten).toEqual([SESSION.id]);
    expect(world.meters.forgotten).toEqual([SESSION.id]);
    expect([gate.sessionCount, [...gate.sessions]]).toEqual([0, []]);
    audit.sync();
    expect(queued).toMatchObject({ started: 0, refused: [] });
    // A second time there is nothing to end.
    gate.close(SESSION, permit, { status: "failed" });
    expect(audit.forgotten).toHaveLength(1);
  });

  test("nothing is left of one operation when its outcome is recorded", () => {
    const world = worldOf("relaxed", verdicts);
    const permit = permitOf(submit(world, "ran"));
    expect(world.gate.finish(permit, { status: "done" })).toBe(true);
    expect(world.gate.finish(permit, { status: "failed" })).toBe(true);
    world.gate.close(SESSION, null, { status: "done" });
    expect(outcomesOf(world)).toEqual({ ran: ["done"] });
  });

  test("an outcome that cannot be recorded ends the session, also when it is told twice", () => {
    const world = worldOf("relaxed", verdicts);
    const permit = permitOf(submit(world, "ran"));
    world.audit.fail();
    expect(world.gate.finish(permit, { status: "done" })).toBe(false);
    expect(world.gate.finish(permit, { status: "done" })).toBe(false);
    expect(MintedPermit.isAlive(permit)).toBe(false);
  });

  test("from outside it is told why, once the session is there", () => {
    const { gate } = worldOf("strict", verdicts);
    const cancelled = gate.admit(SESSION);
    expect([gate.sessionCount, [...gate.sessions]]).toEqual([1, [SESSION]]);
    const why = refusal("draining", "the gateway is shutting down");
    expect(gate.cancelSession(SESSION.id, why)).toBe(true);
    expect(cancelled.reason).toEqual(why);
  });

  test("a session of which only the opening is left is idle; with anything more it is not", async () => {
    const policy: Policy = { ...policyOf(verdicts), decide: () => permitted({ session: { idleMs: 10 } }) };
    const world = worldOf("relaxed", verdicts, { policy });
    const { gate, audit } = world;
    await gate.recordAwaited(SESSION, operationOf(SESSION.id, true), permitted({ session: { idleMs: 10 } }));
    expect(gate.overdue(SESSION.id, 10)?.rules).toEqual(["p"]);
    const permit = permitOf(submit(world, "ran"));
    expect(gate.overdue(SESSION.id, 10)).toBeNull();
    gate.finish(permit, { status: "done" });
    expect(gate.overdue(SESSION.id, 10)).not.toBeNull();
    audit.lagMs = 51;
    submit(world, "late");
    expect(gate.overdue(SESSION.id, 10)).toBeNull();
  });

  test("a session that waits for people is not idle", () => {
    const world = worldOf("relaxed", new Map<string, Verdict>([["a", "ask"]]));
    world.gate.tighten(SESSION.id, permitted({ session: { idleMs: 10 } }));
    expect(world.gate.overdue(SESSION.id, 10)).not.toBeNull();
    submit(world, "a");
    expect(world.gate.overdue(SESSION.id, 10)).toBeNull();
  });

  test("a session is idle from when it was last at work, also under an obligation that came later", () => {
    let now = 0;
    const world = worldOf("relaxed", verdicts, { clock: { now: () => now } });
    const permit = permitOf(submit(world, "ran"));
    now = 90;
    world.gate.finish(permit, { status: "done" });
    world.gate.tighten(SESSION.id, permitted({ session: { idleMs: 50 } }));
    expect(world.gate.overdue(SESSION.id, 139)).toBeNull();
    expect(world.gate.overdue(SESSION.id, 140)).not.toBeNull();
  });
});

describe("a log that fails", () => {
  const permits = new Map<string, Verdict>(["a", "b", "c", "m"].map((id) => [id, id === "m" ? "metered" : "permit"]));

  test("the operator is told once that it fails and once that it works again", () => {
    const said: string[] = [];
    const { audit } = worldOf("strict", new Map(), { say: (line) => said.push(line) });
    audit.sync();
    expect(said).toEqual([]);
    audit.fail();
    audit.fail();
    const failed = "the log has failed, so nothing is let through: the disk is full";
    expect(said).toEqual([failed]);
    audit.recover();
    audit.sync();
    const works = "the log works again; what was lost is counted in it";
    expect(said).toEqual([failed, works]);
    audit.fail();
    expect(said).toEqual([failed, works, failed]);
  });

  test("what was lost behind an open question stays lost when the log works again", async () => {
    const world = worldOf("strict", new Map([...permits, ["a", "ask"]]));
    const [a, b] = [submit(world, "a"), submit(world, "b")];
    world.audit.fail();
    world.audit.recover();
    world.approvals.get("a")?.("approved");
    await settle();
    world.audit.sync();
    expect(a.started).toBe(1);
    expect(b).toMatchObject({ started: 0, permit: null, refused: [{ code: "audit_unavailable", event: "b" }] });
  });

  for (const durability of ["strict", "release", "relaxed"] as const) {
    test(`${durability}: what is submitted while it fails is refused in its turn, behind what waits`, async () => {
      const world = worldOf(durability, new Map([...permits, ["a", "ask"]]));
      const a = submit(world, "a");
      world.audit.fail();
      const b = submit(world, "b");
      expect(b.refused).toEqual([]);
      world.audit.recover();
      const c = submit(world, "c");
      world.audit.sync();
      expect(c.started).toBe(0);
      world.approvals.get("a")?.("approved");
      await settle();
      world.audit.sync();
      expect(a.started).toBe(1);
      expect(b).toMatchObject({ started: 0, permit: null, refused: [{ code: "audit_unavailable", event: "b" }] });
      expect(c.started).toBe(1);
      expect(world.order).toEqual(["a", "b", "c"]);
    });
  }

  test("what was recorded in time behind an open question does not leave once the log has failed", async () => {
    const world = worldOf("strict", new Map([...permits, ["a", "ask"]]));
    const [a, b] = [submit(world, "a"), submit(world, "b")];
    world.audit.sync();
    world.audit.fail();
    world.approvals.get("a")?.("approved");
    await settle();
    for (const seen of [a, b]) {
      expect(seen).toMatchObject({ started: 0, permit: null, refused: [{ code: "audit_unavailable" }] });
    }
  });

  test("what had left before it failed keeps its permit", async () => {
    const strict = worldOf("strict", permits);
    const a = submit(strict, "a");
    strict.audit.sync();
    strict.audit.fail();
    expect(MintedPermit.isAlive(permitOf(a))).toBe(true);
    const relaxed = worldOf("relaxed", new Map<string, Verdict>([["a", "ask"]]));
    const asked = submit(relaxed, "a");
    relaxed.approvals.get("a")?.("approved");
    await settle();
    relaxed.audit.fail();
    expect(asked.started).toBe(1);
    expect(MintedPermit.isAlive(permitOf(asked))).toBe(true);
  });

  test("what can be decided but not recorded gives back what it holds", async () => {
    const world = worldOf("strict", permits);
    world.audit.fail();
    expect(submit(world, "m").refused).toMatchObject([{ code: "audit_unavailable", event: "m" }]);
    expect(world.meters).toMatchObject({ admitted: 1, ended: 1 });
    const asking = worldOf("strict", new Map<string, Verdict>([["m", "ask metered"]]));
    const seen = submit(asking, "m");
    asking.audit.fail();
    asking.approvals.get("m")?.("approved");
    await settle();
    expect(seen.refused).toMatchObject([{ code: "audit_unavailable", event: "m" }]);
    expect(asking.meters).toMatchObject({ admitted: 1, ended: 1 });
  });

  test("what it loses gives back what it holds", () => {
    const world = worldOf("strict", permits);
    submit(world, "m");
    world.audit.fail();
    expect(world.meters).toMatchObject({ admitted: 1, ended: 1 });
  });

  test("an alert that cannot be recorded keeps its operation from running", () => {
    const alert = { alert: [{ channel: "dpo", severity: "warning" }] } as const;
    const policy: Policy = { ...policyOf(new Map()), decide: () => permitted(alert) };
    const world = worldOf("relaxed", new Map(), { policy });
    world.audit.event = () => {
      throw new Error("the disk is full");
    };
    expect(submit(world, "a").refused).toMatchObject([{ code: "audit_unavailable" }]);
    expect(world.audit.intents.size).toBe(0);
  });

  test("an alert of what people approved is raised when it runs", async () => {
    const alert = { alert: [{ channel: "dpo", severity: "warning" }] } as const;
    const policy: Policy = {
      ...policyOf(new Map()),
      decide: () => ({ ...permitted(alert), kind: "ask", requirements: [CONFIRM] }),
    };
    const world = worldOf("relaxed", new Map(), { policy });
    submit(world, "a");
    expect(world.audit.events).toEqual([]);
    world.approvals.get("a")?.("approved");
    await settle();
    expect(world.audit.events).toMatchObject([["alert.raised", { id: "a", rules: ["p"] }]]);
  });
});

test("thousands of operations that wait for one record leave in order", () => {
  const count = 5_000;
  const ids = Array.from({ length: count }, (_, index) => `op${index}`);
  const world = worldOf("strict", new Map<string, Verdict>(ids.map((id) => [id, "permit"])));
  for (const id of ids) submit(world, id);
  world.audit.durable = 4_500;
  world.audit.tell();
  expect(world.order).toEqual(ids.slice(0, 4_500));
  world.audit.sync();
  expect(world.order).toEqual(ids);
});

test("ids of operations are short, easy to read out, and never the same", () => {
  const { gate } = worldOf("strict", new Map());
  const ids = Array.from({ length: 40 }, () => gate.operationId());
  expect(new Set(ids).size).toBe(40);
  for (const id of ids) expect(id).toMatch(/^[2-9A-HJ-NP-Z]{6}-[0-9A-Z]+$/);
  expect(ids[0]).toEndWith("-1");
  expect(ids[35]).toEndWith("-10");
  expect(worldOf("strict", new Map()).gate.operationId()).not.toBe(ids[0]);
});
