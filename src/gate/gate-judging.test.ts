/** What policy says and what comes of it: who is asked, when an answer is kept, when an operation may leave early. */
import { describe, expect, test } from "bun:test";
import {
  operationOf,
  policyOf,
  RecordingExchange,
  SESSION,
  worldOf,
  submit,
  decisionOn,
  permitOf,
  permitted,
  type Verdict,
} from "../../test/gate-world.ts";
import { NO_RULES, refusal } from "../core/decision.ts";
import { NO_OBLIGATIONS } from "../core/obligation.ts";
import type { Policy } from "../core/ports.ts";
import { MintedPermit } from "./permit.ts";

describe("refusals of an adapter's own", () => {
  const no = refusal("limit", "too long a statement", { rules: ["cap"] });

  test("are recorded as denied by what they name, and told under a permit for the target's part in them", () => {
    const world = worldOf("strict", new Map());
    const exchange = new RecordingExchange("a", world.upstream, world.order);
    world.gate.refuse(SESSION, operationOf("a", false), no, exchange);
    expect(decisionOn(world, "a")).toEqual({ kind: "deny", rules: ["cap"], observed: NO_RULES, refusal: no });
    expect(exchange.seen.refused).toEqual([]);
    world.audit.sync();
    expect(exchange.seen.refused).toEqual([{ ...no, event: "a" }]);
    expect(permitOf(exchange.seen)).toMatchObject({ obligations: NO_OBLIGATIONS, rules: NO_RULES });
    expect(MintedPermit.isAlive(permitOf(exchange.seen))).toBe(true);
  });

  test("wait for their turn", () => {
    const world = worldOf("relaxed", new Map<string, Verdict>([["a", "ask"]]));
    submit(world, "a");
    const exchange = new RecordingExchange("b", world.upstream, world.order);
    world.gate.refuse(SESSION, operationOf("b", false), no, exchange);
    expect(exchange.seen.refused).toEqual([]);
  });
});

describe("a login that is no longer good", () => {
  test("ends its session with its next operation, which is refused and recorded without asking policy", () => {
    let isValid = true;
    let count = 0;
    const policy: Policy = {
      ...policyOf(new Map()),
      decide: () => {
        count++;
        return permitted();
      },
    };
    const world = worldOf("relaxed", new Map(), { policy, authenticator: { stillValid: () => isValid } });
    const { gate } = world;
    const cancelled = gate.admit(SESSION);
    expect(submit(world, "a").started).toBe(1);
    expect(cancelled.aborted).toBe(false);
    isValid = false;
    const seen = submit(world, "b");
    expect(seen).toMatchObject({ started: 0, refused: [{ code: "unauthenticated", event: "b" }] });
    expect(cancelled.reason).toMatchObject({ code: "unauthenticated", event: "b" });
    expect(decisionOn(world, "b")).toMatchObject({ kind: "deny", rules: [], observed: NO_RULES });
    expect(count).toBe(1);
  });

  test("is told from one that is good by the identity and the time of now", () => {
    const asked: unknown[] = [];
    const world = worldOf("relaxed", new Map(), {
      clock: { now: () => 77 },
      authenticator: { stillValid: (...args) => asked.push(args) > 0 },
    });
    submit(world, "a");
    expect(asked).toEqual([[SESSION.identity, 77]]);
  });
});

describe("what policy decides", () => {
  test("a fault in policy refuses, and so does one while a session is opened", () => {
    const policy: Policy = {
      ...policyOf(new Map()),
      mayConnect: () => {
        throw new Error("a fault in policy");
      },
    };
    const world = worldOf("relaxed", new Map(), { policy });
    const no = { code: "internal", message: "policy could not decide this" };
    expect(submit(world, "a").refused).toMatchObject([no]);
    expect(decisionOn(world, "a")).toMatchObject({ kind: "deny", rules: [], observed: [] });
    expect(world.gate.judge.connect(SESSION, operationOf("S", true), 0)).toMatchObject({ kind: "deny", refusal: no });
  });

  test("a session is opened as policy says, at the time that is given", () => {
    const times: number[] = [];
    const policy: Policy = {
      ...policyOf(new Map()),
      mayConnect: (_session, _connect, now) => {
        times.push(now);
        return permitted();
      },
    };
    const { gate } = worldOf("strict", new Map(), { policy });
    expect(gate.judge.connect(SESSION, operationOf("S", true), 42)).toEqual(permitted());
    expect(times).toEqual([42]);
  });

  test("what cannot be kept is denied by name, with the rules and what was observed", () => {
    const policy: Policy = { ...policyOf(new Map()), decide: () => permitted({ limit: {}, record: ["raw"] }) };
    const world = worldOf("relaxed", new Map(), { policy });
    const [no] = submit(world, "a").refused;
    expect(no?.message).toContain("`record`");
    expect(no?.rules).toEqual(["p"]);
    expect(decisionOn(world, "a")).toMatchObject({ kind: "deny", rules: ["p"], observed: ["o"] });
  });

  test("the obligations are asked for by the adapter of the session's target", () => {
    const asked: string[] = [];
    const policy: Policy = { ...policyOf(new Map()), decide: () => permitted({ limit: { rows: 1 } }) };
    const keeps = (adapter: string) => {
      asked.push(adapter);
      return ["limit"] as const;
    };
    const world = worldOf("relaxed", new Map(), { policy, keeps });
    expect(submit(world, "a").started).toBe(1);
    expect(asked).toEqual(["postgres"]);
  });

  test("is kept for the same accesses until policy changes or an edge of time is reached", () => {
    let now = 0;
    let count = 0;
    let epoch = 1;
    const policy: Policy = {
      ...policyOf(new Map()),
      get epoch() {
        return epoch;
      },
      nextEdge: (from) => (from < 100 ? 100 : Infinity),
      decide: () => {
        count++;
        return permitted();
      },
    };
    const { gate, upstream, order } = worldOf("relaxed", new Map(), { policy, clock: { now: () => now } });
    const operation = operationOf("a", true);
    const again = (): number => {
      gate.submit(SESSION, operation, new RecordingExchange("a", upstream, order));
      return count;
    };
    expect([again(), again()]).toEqual([1, 1]);
    now = 99;
    expect(again()).toBe(1);
    now = 100;
    expect([again(), again()]).toEqual([2, 2]);
    epoch = 2;
    expect([again(), again()]).toEqual([3, 3]);
    // Other accesses are another question, however alike.
    gate.submit(SESSION, operationOf("b", true), new RecordingExchange("b", upstream, order));
    expect(count).toBe(4);
  });

  test("only what is understood, reads and hides nothing may start before its record is durable", () => {
    const pure = operationOf("a", true);
    const read = { class: "read", facts: {} } as const;
    const operations = [
      [1, pure],
      [0, { ...pure, understood: false }],
      [0, { ...pure, accesses: [{ ...read, opaque: true }] }],
      [0, { ...pure, accesses: [read, { class: "write", facts: {} }] }],
      [1, { ...pure, accesses: [read, read] }],
    ] as const;
    for (const [started, operation] of operations) {
      const { gate, audit, upstream, order } = worldOf("release", new Map<string, Verdict>([["a", "permit"]]));
      const exchange = new RecordingExchange("a", upstream, order);
      gate.submit(SESSION, operation, exchange);
      expect(exchange.seen).toMatchObject({ started, released: 0 });
      audit.sync();
      expect(exchange.seen).toMatchObject({ started: 1, released: 1 });
    }
  });

  test("release: what reads waits behind what does not", () => {
    const verdicts = new Map<string, Verdict>(["a", "b", "c", "d"].map((id) => [id, "permit"]));
    const world = worldOf("release", verdicts);
    const [a, b] = [submit(world, "a", true), submit(world, "b", true)];
    expect([a.started, b.started]).toEqual([1, 1]);
    const c = submit(world, "c");
    const d = submit(world, "d", true);
    expect([c.started, d.started]).toEqual([0, 0]);
    world.audit.sync();
    expect([c.released, d.released]).toEqual([1, 1]);
    expect(world.order).toEqual(["a", "b", "c", "d"]);
    // Nothing waits any more: what reads leaves early again.
    for (const id of ["a", "b"]) expect(submit(world, id, true).started).toBe(1);
  });

  test("release: what reads leaves early after what left early, each time", () => {
    const world = worldOf("release", new Map<string, Verdict>([["a", "permit"]]));
    for (let i = 0; i < 3; i++) {
      expect(submit(world, "a", true)).toMatchObject({ started: 1, released: 0 });
      world.audit.sync();
    }
  });

  test("what is obliged to nothing has no limits to count", () => {
    const world = worldOf("relaxed", new Map<string, Verdict>([["a", "permit"]]));
    const permit = permitOf(submit(world, "a"));
    world.gate.begun(permit);
    expect(world.gate.spend(permit, 1e9, 1e9)).toBeNull();
  });
});

describe("relaxed", () => {
  test("leaves at once up to 1000 records and 50 ms behind, and waits beyond either", () => {
    const verdicts = new Map<string, Verdict>([["a", "permit"]]);
    for (const [lag, lagMs, started] of [
      [999, 50, 1],
      [1_000, 0, 0],
      [0, 51, 0],
    ] as const) {
      const world = worldOf("relaxed", verdicts);
      world.audit.handedOver = lag;
      world.audit.lagMs = lagMs;
      expect(submit(world, "a").started).toBe(started);
      world.audit.sync();
      expect(world.order).toEqual(["a"]);
    }
  });

  test("counts what is not durable, not all there ever was", () => {
    const world = worldOf("relaxed", new Map<string, Verdict>([["a", "permit"]]));
    world.audit.handedOver = 9_999;
    world.audit.durable = 9_990;
    expect(submit(world, "a").started).toBe(1);
  });

  test("a refusal beyond the lag waits too", () => {
    const world = worldOf("relaxed", new Map<string, Verdict>([["a", "deny"]]));
    world.audit.lagMs = 51;
    const seen = submit(world, "a");
    expect(seen.refused).toEqual([]);
    world.audit.sync();
    expect(seen.refused).toHaveLength(1);
  });
});
