/** The one road, walked at random: whatever policy, people, the log and the target do, nothing leaves undecided or unrecorded. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { NO_OBLIGATIONS, refusal, type Decision, type Refusal } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import {
  AuditUnavailable,
  type Audit,
  type Connection,
  type Exchange,
  type Outcome,
  type Permit,
  type Policy,
  type Sequence,
} from "../core/ports.ts";
import type { Session } from "../core/session.ts";
import { Gate, type Durability } from "./gate.ts";
import { MintedPermit, PermitRequired } from "./permit.ts";
import { PermittedUpstream } from "./upstream.ts";

/** A log that becomes durable, fails and recovers when told to. The real one cannot be made to fail at a chosen record. */
class ScriptedAudit implements Audit {
  durable: Sequence = 0;
  handedOver: Sequence = 0;
  lagMs = 0;
  failure: Error | null = null;
  readonly intents = new Map<Sequence, { operation: Operation; decision: Decision | "house" }>();
  readonly outcomes = new Map<Sequence, Outcome[]>();
  #progress: () => void = () => {};

  intent(operation: Operation, decision: Decision | "house"): Sequence {
    this.#check();
    this.intents.set(++this.handedOver, { operation, decision });
    return this.handedOver;
  }

  outcome(intent: Sequence, outcome: Outcome): Sequence {
    this.#check();
    this.outcomes.set(intent, [...(this.outcomes.get(intent) ?? []), outcome]);
    return ++this.handedOver;
  }

  event(): Sequence {
    this.#check();
    return ++this.handedOver;
  }

  onProgress(callback: () => void): void {
    this.#progress = callback;
  }

  forget(): void {}

  sync(): void {
    if (this.failure !== null) return;
    this.durable = this.handedOver;
    this.#progress();
  }

  fail(): void {
    this.failure = new AuditUnavailable("the disk is full");
    this.#progress();
  }

  recover(): void {
    this.failure = null;
    this.durable = this.handedOver;
    this.#progress();
  }

  #check(): void {
    if (this.failure !== null) throw new AuditUnavailable("the disk is full");
  }
}

type Verdict = "permit" | "deny" | "ask" | "throws" | "unkept";

function policyOf(verdicts: ReadonlyMap<string, Verdict>): Policy {
  return {
    epoch: 1,
    digest: "0".repeat(64),
    commit: null,
    nextEdge: () => Infinity,
    mayConnect: () => ({ kind: "permit", rules: [], obligations: NO_OBLIGATIONS }),
    decide(_session, operation): Decision {
      switch (verdicts.get(operation.id)) {
        case "permit":
          return { kind: "permit", rules: ["p"], obligations: NO_OBLIGATIONS };
        case "unkept":
          return { kind: "permit", rules: ["p"], obligations: { mask: true } };
        case "ask":
          return {
            kind: "ask",
            rules: ["g"],
            obligations: NO_OBLIGATIONS,
            requirements: [{ rule: "g", kind: "approval" }],
          };
        case "deny":
          return { kind: "deny", rules: ["d"], refusal: refusal("denied", "no", { rules: ["d"] }) };
        default:
          throw new Error("a fault in policy");
      }
    },
  };
}

const SESSION: Session = {
  id: "S",
  identity: {
    kind: "human",
    issuer: "weir",
    subject: "ann",
    groups: [],
    proof: { method: "token", credential: "t", expiresAtMs: null },
  },
  target: { name: "db", adapter: "postgres", labels: {}, settings: null },
  openedAtMs: 0,
  source: "127.0.0.1",
};

function operationOf(id: string, isRead: boolean): Operation {
  return {
    id,
    session: SESSION,
    kind: "query",
    accesses: [{ class: isRead ? "read" : "write", facts: {} }],
    understood: true,
    text: id,
    textSha256: null,
    catalogDigest: null,
  };
}

/** A target that counts what reaches it. */
class StubConnection implements Connection {
  readonly address = "stub";
  readonly isLoopback = true;
  readonly received: string[] = [];
  failsNextWrite = false;
  write(bytes: Uint8Array): boolean {
    if (this.failsNextWrite) throw new Error("the connection is gone");
    this.received.push(new TextDecoder().decode(bytes));
    return true;
  }
  onData(): void {}
  onDrain(): void {}
  onClose(): void {}
  pause(): void {}
  resume(): void {}
  startTls(): Promise<never> {
    return Promise.reject(new Error("not here"));
  }
  close(): void {}
}

type Seen = { started: number; released: number; refused: Refusal[]; cancelled: number; permit: Permit | null };

/** An adapter's half that writes the operation's id when it is started, and notes what it is told. */
class RecordingExchange implements Exchange {
  readonly seen: Seen = { started: 0, released: 0, refused: [], cancelled: 0, permit: null };
  readonly #id: string;
  readonly #upstream: PermittedUpstream;
  readonly #order: string[];

  constructor(id: string, upstream: PermittedUpstream, order: string[]) {
    this.#id = id;
    this.#upstream = upstream;
    this.#order = order;
  }

  start(permit: Permit): void {
    this.seen.started++;
    this.seen.permit = permit;
    this.#order.push(this.#id);
    try {
      this.#upstream.write(permit, new TextEncoder().encode(this.#id));
    } catch (error) {
      if (error instanceof PermitRequired) throw error;
    }
  }

  release(): void {
    this.seen.released++;
  }

  pending(): void {}

  refuse(no: Refusal, permit: Permit | null): void {
    this.seen.refused.push(no);
    this.seen.permit = permit;
    this.#order.push(this.#id);
  }

  cancel(): void {
    this.seen.cancelled++;
  }
}

type World = {
  readonly gate: Gate;
  readonly audit: ScriptedAudit;
  readonly target: StubConnection;
  readonly upstream: PermittedUpstream;
  readonly order: string[];
  readonly approvals: Map<string, (answer: "approved" | Refusal) => void>;
};

function worldOf(durability: Durability, verdicts: ReadonlyMap<string, Verdict>): World {
  const audit = new ScriptedAudit();
  const target = new StubConnection();
  const approvals: World["approvals"] = new Map();
  const gate = new Gate({
    policy: policyOf(verdicts),
    audit,
    durability,
    authenticator: { stillValid: () => true },
    approvals: { ask: (operation) => new Promise((resolve) => approvals.set(operation.id, resolve)) },
    clock: { now: () => 0 },
    keeps: () => [],
    say: () => {},
  });
  gate.admit(SESSION);
  return { gate, audit, target, upstream: new PermittedUpstream(target, SESSION.id), order: [], approvals };
}

type Step =
  | { kind: "submit"; verdict: Verdict; isRead: boolean }
  | { kind: "house" }
  | { kind: "sync" }
  | { kind: "fail" }
  | { kind: "recover" }
  | { kind: "answer"; approves: boolean }
  | { kind: "finish"; status: Outcome["status"] }
  | { kind: "forwardFault" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("submit" as const),
      verdict: fc.constantFrom<Verdict>("permit", "permit", "permit", "deny", "ask", "throws", "unkept"),
      isRead: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "house" }) },
  { weight: 4, arbitrary: fc.constant<Step>({ kind: "sync" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "fail" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "recover" }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("answer" as const), approves: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("finish" as const),
      status: fc.constantFrom<Outcome["status"]>("done", "failed"),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "forwardFault" }) },
);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the one road", () => {
  for (const durability of ["strict", "release", "relaxed"] as const) {
    test(`${durability}: nothing leaves undecided or unrecorded, nothing overtakes, nothing is answered twice`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const verdicts = new Map<string, Verdict>();
          const world = worldOf(durability, verdicts);
          const { gate, audit, target } = world;
          const exchanges = new Map<
            string,
            { exchange: RecordingExchange; verdict: Verdict | "house"; isRead: boolean }
          >();
          const submitted: string[] = [];
          let count = 0;
          /** Read off the log at the moment the target received something. */
          const durableWhenSent = new Map<string, boolean>();
          const write = target.write.bind(target);
          target.write = (bytes) => {
            const id = new TextDecoder().decode(bytes);
            const sequence = [...audit.intents].find(([, entry]) => entry.operation.id === id)?.[0] ?? Infinity;
            durableWhenSent.set(id, sequence <= audit.durable && audit.failure === null);
            return write(bytes);
          };

          for (const next of steps) {
            switch (next.kind) {
              case "submit":
              case "house": {
                const id = `op${++count}`;
                const verdict = next.kind === "house" ? "house" : next.verdict;
                const isRead = next.kind === "submit" && next.isRead;
                if (verdict !== "house") verdicts.set(id, verdict);
                const exchange = new RecordingExchange(id, world.upstream, world.order);
                exchanges.set(id, { exchange, verdict, isRead });
                submitted.push(id);
                if (verdict === "house") gate.submitHouse(SESSION, operationOf(id, false), exchange);
                else gate.submit(SESSION, operationOf(id, isRead), exchange);
                break;
              }
              case "sync":
                audit.sync();
                break;
              case "fail":
                audit.fail();
                break;
              case "recover":
                audit.recover();
                break;
              case "answer": {
                const [id] = world.approvals.keys();
                if (id === undefined) break;
                world.approvals.get(id)?.(next.approves ? "approved" : refusal("approval_denied", "no"));
                world.approvals.delete(id);
                await settle();
                break;
              }
              case "finish": {
                const open = [...exchanges.values()].find(
                  ({ exchange }) => exchange.seen.permit !== null && MintedPermit.isAlive(exchange.seen.permit),
                );
                if (open?.exchange.seen.permit) gate.finish(open.exchange.seen.permit, { status: next.status });
                break;
              }
              case "forwardFault":
                target.failsNextWrite = !target.failsNextWrite;
                break;
            }
          }

          for (const [id, { exchange, verdict, isRead }] of exchanges) {
            const { seen } = exchange;
            // Answered at most once, and released only after a start.
            expect(seen.started + seen.refused.length).toBeLessThanOrEqual(1);
            expect(seen.released).toBeLessThanOrEqual(seen.started);
            // What policy does not permit never starts.
            if (verdict === "deny" || verdict === "throws" || verdict === "unkept") expect(seen.started).toBe(0);
            if (seen.started === 0) expect(target.received).not.toContain(id);
            const mayLeaveEarly =
              durability === "relaxed" || (durability === "release" && isRead && verdict === "permit");
            if (durableWhenSent.has(id) && !mayLeaveEarly) expect(durableWhenSent.get(id)).toBe(true);
            // A released reply has a durable intent, but for the bounded lag of relaxed.
            if (seen.released > 0 && durability !== "relaxed") {
              const sequence = [...audit.intents].find(([, entry]) => entry.operation.id === id)?.[0];
              expect(sequence).toBeDefined();
              expect(sequence ?? Infinity).toBeLessThanOrEqual(audit.durable);
            }
          }
          // First in, first out.
          const answered = world.order;
          expect(answered).toEqual(submitted.filter((id) => answered.includes(id)));
          // An intent has at most one outcome.
          for (const outcomes of audit.outcomes.values()) expect(outcomes.length).toBe(1);

          // At the end of the session every intent has one, unless the log is down.
          audit.recover();
          await settle();
          gate.close(SESSION, null, { status: "done" });
          for (const { exchange } of exchanges.values()) {
            const { permit } = exchange.seen;
            if (permit !== null) expect(MintedPermit.isAlive(permit)).toBe(false);
          }
        }),
        { numRuns: 400 },
      );
    });
  }

  test("a failed log refuses at once and touches nothing, and serves again after recovery", () => {
    const verdicts = new Map<string, Verdict>([
      ["a", "permit"],
      ["b", "permit"],
      ["c", "permit"],
    ]);
    const { gate, audit, target, upstream, order } = worldOf("strict", verdicts);
    const [a, b, c] = ["a", "b", "c"].map((id) => new RecordingExchange(id, upstream, order));
    if (a === undefined || b === undefined || c === undefined) throw new Error("three exchanges");
    gate.submit(SESSION, operationOf("a", false), a);
    audit.fail();
    gate.submit(SESSION, operationOf("b", false), b);
    expect(a.seen.refused.map((no) => no.code)).toEqual(["audit_unavailable"]);
    expect(b.seen.refused.map((no) => no.code)).toEqual(["audit_unavailable"]);
    expect(a.seen.permit).toBeNull();
    expect(target.received).toEqual([]);
    audit.recover();
    gate.submit(SESSION, operationOf("c", false), c);
    expect(c.seen.started).toBe(0);
    audit.sync();
    expect(target.received).toEqual(["c"]);
  });

  test("a deny that was added while people thought wins over their approval", async () => {
    const verdicts = new Map<string, Verdict>([["a", "ask"]]);
    const { gate, audit, upstream, order, approvals, target } = worldOf("strict", verdicts);
    const exchange = new RecordingExchange("a", upstream, order);
    gate.submit(SESSION, operationOf("a", false), exchange);
    verdicts.set("a", "deny");
    approvals.get("a")?.("approved");
    await settle();
    audit.sync();
    expect(exchange.seen.refused.map((no) => no.code)).toEqual(["denied"]);
    expect(target.received).toEqual([]);
  });

  test("release: a reply that was held when the log failed is cancelled, never released", () => {
    const { gate, audit, upstream, order } = worldOf("release", new Map([["a", "permit"]]));
    const exchange = new RecordingExchange("a", upstream, order);
    gate.submit(SESSION, operationOf("a", true), exchange);
    expect(exchange.seen).toMatchObject({ started: 1, released: 0 });
    audit.fail();
    expect(exchange.seen).toMatchObject({ released: 0, cancelled: 1 });
  });

  test("relaxed: beyond its lag it waits as strict does", () => {
    const { gate, audit, upstream, order } = worldOf("relaxed", new Map([["a", "permit"]]));
    audit.lagMs = 51;
    const exchange = new RecordingExchange("a", upstream, order);
    gate.submit(SESSION, operationOf("a", true), exchange);
    expect(exchange.seen.started).toBe(0);
    audit.sync();
    expect(exchange.seen).toMatchObject({ started: 1, released: 1 });
  });
});

describe("permits", () => {
  const target = new StubConnection();
  const upstream = new PermittedUpstream(target, "S");
  const bytes = new Uint8Array([1]);

  test("nothing that merely looks like a permit can write", () => {
    const forged = { operation: "x", obligations: {}, session: "S", intent: 1, started: true, kill() {} };
    expect(() => upstream.write(forged, bytes)).toThrow(PermitRequired);
    const inherited = Object.create(MintedPermit.prototype) as Permit;
    expect(() => upstream.write(inherited, bytes)).toThrow(PermitRequired);
    expect(target.received).toEqual([]);
  });

  test("a dead permit, and one of another session, cannot write; a living one can", () => {
    const permit = new MintedPermit("x", {}, "S", 1);
    const foreign = new MintedPermit("y", {}, "T", 2);
    expect(() => upstream.write(foreign, bytes)).toThrow(PermitRequired);
    expect(upstream.write(permit, bytes)).toBe(true);
    permit.kill();
    expect(() => upstream.write(permit, bytes)).toThrow(PermitRequired);
    expect(target.received.length).toBe(1);
  });
});
