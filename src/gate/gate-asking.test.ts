/** What is waited for: people who are asked, and the record of a session that is opened. */
import { describe, expect, jest, test } from "bun:test";
import {
  askedFor,
  ChangingPolicy,
  deniedBy,
  METERED,
  operationOf,
  SESSION,
  worldOf,
  submit,
  decisionOn,
  outcomesOf,
  permitOf,
  permitted,
  settle,
  type Verdict,
  type World,
} from "../../test/gate-world.ts";
import { NO_RULES, refusal, type Decision, type Refusal } from "../core/decision.ts";
import { NO_OBLIGATIONS } from "../core/obligation.ts";
import type { Permit } from "../core/ports.ts";

describe("what people are asked", () => {
  const asking = new Map<string, Verdict>([
    ["a", "ask"],
    ["b", "permit"],
    ["m", "ask metered"],
  ]);

  /** Asks, and lets the policy of afterwards say what it says; the answer is what people say. */
  async function answered(world: World, id: string, answer: "approved" | Refusal): Promise<void> {
    world.approvals.get(id)?.(answer);
    await settle();
    world.audit.sync();
  }

  test("runs when they approve, recorded as permitted with all that the question carried", async () => {
    const world = worldOf("strict", asking);
    const seen = submit(world, "a");
    expect([...world.approvals.keys()]).toEqual(["a"]);
    await answered(world, "a", "approved");
    expect(seen).toMatchObject({ started: 1, released: 1, refused: [] });
    expect(decisionOn(world, "a")).toEqual({
      kind: "permit",
      rules: ["g"],
      observed: NO_RULES,
      obligations: NO_OBLIGATIONS,
    });
  });

  test("is refused with their reason when they do not, by the rules that asked", async () => {
    const world = worldOf("strict", asking);
    const seen = submit(world, "a");
    const no = refusal("approval_denied", "not today");
    await answered(world, "a", no);
    expect(seen).toMatchObject({ started: 0, refused: [{ ...no, event: "a" }] });
    expect(decisionOn(world, "a")).toEqual({ kind: "deny", rules: ["g"], observed: NO_RULES, refusal: no });
  });

  test("is refused by policy when it denies by then, whatever they say", async () => {
    const policy = new ChangingPolicy({ a: askedFor() });
    const world = worldOf("relaxed", new Map(), { policy });
    const seen = submit(world, "a");
    policy.change("a", deniedBy("d"));
    await answered(world, "a", refusal("approval_denied", "no, thanks"));
    expect(seen.refused).toMatchObject([{ code: "denied", rules: ["d"] }]);
    expect(decisionOn(world, "a")).toMatchObject({ kind: "deny", rules: ["d"] });
  });

  test("is refused when they cannot be asked", async () => {
    const world = worldOf("strict", asking, { approvals: { ask: () => Promise.reject(new Error("nobody is there")) } });
    const seen = submit(world, "a");
    await settle();
    world.audit.sync();
    expect(seen.refused).toMatchObject([{ code: "internal", message: "the approval could not be asked for" }]);
  });

  test("the client is told that they are asked", () => {
    const world = worldOf("strict", asking, {
      approvals: {
        ask: (operation, _decision, pending) => {
          pending({ operation: operation.id, requirements: [], where: "here" });
          return new Promise(() => {});
        },
      },
    });
    expect(submit(world, "a").pending).toBe(1);
  });

  test("holds up what comes after it, which leaves with it", async () => {
    const world = worldOf("relaxed", asking);
    const [, b] = [submit(world, "a"), submit(world, "b", true)];
    expect(b.started).toBe(0);
    world.audit.sync();
    expect(b.started).toBe(0);
    await answered(world, "a", "approved");
    expect(world.order).toEqual(["a", "b"]);
  });

  test("counts only when it is approved, and is refused when nothing is left by then", async () => {
    const world = worldOf("strict", asking);
    const seen = submit(world, "m");
    expect(world.meters.admitted).toBe(0);
    world.meters.left = 0;
    await answered(world, "m", "approved");
    expect(seen).toMatchObject({ started: 0, refused: [{ code: "limit", rules: ["m"], event: "m" }] });
    expect(decisionOn(world, "m")).toMatchObject({ kind: "deny", rules: ["m"], observed: NO_RULES });
  });

  test("is kept to its limits when it runs", async () => {
    const world = worldOf("strict", asking);
    const seen = submit(world, "m");
    await answered(world, "m", "approved");
    expect(world.meters.admitted).toBe(1);
    expect(world.gate.spend(permitOf(seen), 3, 0)).toBeNull();
    expect(world.gate.spend(permitOf(seen), 3, 0)?.code).toBe("limit");
  });

  test("an answer that comes after the session's end changes nothing", async () => {
    const world = worldOf("strict", asking);
    const seen = submit(world, "m");
    world.gate.close(SESSION, null, { status: "done" });
    await answered(world, "m", "approved");
    expect(seen).toMatchObject({ started: 0, refused: [], cancelled: 0 });
    expect(world.meters.admitted).toBe(0);
    expect(world.audit.intents.size).toBe(0);
  });
});

describe("what is awaited", () => {
  const connect = operationOf(SESSION.id, true);

  test("resolves with its permit when the record is durable, and not before, whatever it reads", async () => {
    for (const decision of [permitted(), "house"] as const) {
      const { gate, audit } = worldOf("release", new Map());
      let permit: Permit | Refusal | null = null;
      void gate.recordAwaited(SESSION, connect, decision).then((answer) => (permit = answer));
      await settle();
      expect(permit).toBeNull();
      audit.sync();
      await settle();
      expect(permit).toMatchObject({ operation: SESSION.id, rules: decision === "house" ? [] : ["p"] });
    }
  });

  test("the gateway's own is recorded as such and obliged to nothing", async () => {
    const world = worldOf("relaxed", new Map());
    expect(await world.gate.recordAwaited(SESSION, connect, "house")).toMatchObject({
      rules: NO_RULES,
      obligations: NO_OBLIGATIONS,
    });
    expect(decisionOn(world, SESSION.id)).toBe("house");
  });

  test("a denied one resolves with why, and its record has an outcome", async () => {
    const world = worldOf("relaxed", new Map());
    const no = refusal("denied", "no", { rules: ["d"] });
    const deny: Decision = { kind: "deny", rules: ["d"], observed: NO_RULES, refusal: no };
    expect(await world.gate.recordAwaited(SESSION, connect, deny)).toEqual({ ...no, event: SESSION.id });
    expect(outcomesOf(world)).toEqual({ [SESSION.id]: ["refused"] });
  });

  test("one that people are asked for waits for them", async () => {
    const ask = askedFor();
    const world = worldOf("relaxed", new Map(), { policy: new ChangingPolicy({ [SESSION.id]: ask }) });
    const answer = world.gate.recordAwaited(SESSION, connect, ask);
    await settle();
    world.approvals.get(SESSION.id)?.("approved");
    expect(await answer).toMatchObject({ operation: SESSION.id, rules: ["g"] });
  });

  test("when it cannot be recorded it resolves with that", async () => {
    const { gate, audit } = worldOf("relaxed", new Map());
    audit.fail();
    expect(await gate.recordAwaited(SESSION, connect, permitted())).toMatchObject({ code: "audit_unavailable" });
  });

  test("opening a session is metered, but its limits are not those of the time it is open", async () => {
    const { gate, meters } = worldOf("relaxed", new Map());
    const { limit } = METERED;
    const permit = await gate.recordAwaited(SESSION, connect, permitted({ limit: { ...limit, rows: 0, timeMs: 1 } }));
    if (!("operation" in permit)) throw new Error(permit.message);
    expect(meters.admitted).toBe(1);
    expect(gate.spend(permit, 1, 0)).toBeNull();
    jest.useFakeTimers();
    try {
      gate.begun(permit);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  test("opening a session is refused when its meter has nothing left", async () => {
    const world = worldOf("relaxed", new Map());
    world.meters.left = 0;
    const answer = await world.gate.recordAwaited(SESSION, connect, permitted(METERED));
    expect(answer).toMatchObject({ code: "limit", rules: ["m"], event: SESSION.id });
    expect(outcomesOf(world)).toEqual({ [SESSION.id]: ["refused"] });
  });
});
