/** The one road, walked at random: whatever policy, people, the log and the target do, nothing leaves undecided or unrecorded. */
import { beforeEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { NO_RULES, refusal } from "../core/decision.ts";
import { NO_OBLIGATIONS, type Obligations, type SessionObligation } from "../core/obligation.ts";
import type { Outcome, Permit, Policy } from "../core/ports.ts";
import {
  METERED,
  operationOf,
  policyOf,
  RecordingExchange,
  SESSION,
  settle,
  StubConnection,
  worldOf,
  type Verdict,
} from "../../test/gate-world.ts";
import type { GateParts } from "./gate.ts";
import { MintedPermit, PermitRequired } from "./permit.ts";
import { PermittedUpstream } from "./upstream.ts";

const METERED_VERDICTS: ReadonlySet<Verdict | "house"> = new Set<Verdict | "house">(["metered", "ask metered"]);

const RECORDED_VERDICTS: ReadonlySet<Verdict | "house"> = new Set<Verdict | "house">([
  "recorded",
  "ask recorded",
  "sealed",
]);

type Step =
  | { kind: "submit"; verdict: Verdict; isRead: boolean }
  | { kind: "house" }
  | { kind: "sync" }
  | { kind: "fail" }
  | { kind: "recover" }
  | { kind: "answer"; approves: boolean }
  | { kind: "finish"; status: Outcome["status"] }
  | { kind: "forwardFault" }
  | { kind: "allow"; calls: number }
  | { kind: "spend"; rows: number }
  | { kind: "beginRecording" }
  | { kind: "refuseRecording" }
  | { kind: "failRecording" };

/** In `release`, when it reads: what needs nobody, and what has a recording already. */
const LEAVES_EARLY: ReadonlySet<Verdict | "house"> = new Set(["permit", "metered", "recorded"]);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("submit" as const),
      verdict: fc.constantFrom<Verdict>(
        "permit",
        "permit",
        "permit",
        "deny",
        "ask",
        "throws",
        "unkept",
        "metered",
        "metered",
        "ask metered",
        "recorded",
        "recorded",
        "ask recorded",
        "sealed",
      ),
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
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("allow" as const), calls: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("spend" as const), rows: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: "beginRecording" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "refuseRecording" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "failRecording" }) },
);

describe("the one road", () => {
  for (const durability of ["strict", "release", "relaxed"] as const) {
    test(`${durability}: nothing leaves undecided or unrecorded, nothing overtakes, nothing is answered twice`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const verdicts = new Map<string, Verdict>();
          const world = worldOf(durability, verdicts, { keeps: () => ["limit", "session", "alert", "record"] });
          const { gate, audit, target, meters, recorder } = world;
          let allowed = Infinity;
          const spent = new Map<string, number>();
          const exchanges = new Map<
            string,
            { exchange: RecordingExchange; verdict: Verdict | "house"; isRead: boolean }
          >();
          const submitted: string[] = [];
          let count = 0;
          /** Read off the log at the moment the target received something. */
          const durableWhenSent = new Map<string, boolean>();
          /** Whether the session had a recording that worked at that moment. */
          const recordedWhenSent = new Map<string, boolean>();
          const write = target.write.bind(target);
          target.write = (bytes) => {
            const id = new TextDecoder().decode(bytes);
            const sequence = [...audit.intents].find(([, entry]) => entry.operation.id === id)?.[0] ?? Infinity;
            durableWhenSent.set(id, sequence <= audit.durable && audit.failure === null);
            if (RECORDED_VERDICTS.has(verdicts.get(id) ?? "house")) {
              recordedWhenSent.set(
                id,
                recorder.made.some(({ failure }) => failure === null),
              );
            }
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
              case "allow":
                meters.left = next.calls;
                allowed = meters.admitted + next.calls;
                break;
              case "spend": {
                const [id, running] =
                  [...exchanges].find(
                    ([, { exchange, verdict }]) =>
                      METERED_VERDICTS.has(verdict) &&
                      exchange.seen.started > 0 &&
                      exchange.seen.permit !== null &&
                      MintedPermit.isAlive(exchange.seen.permit),
                  ) ?? [];
                if (id === undefined || !running?.exchange.seen.permit) break;
                const before = spent.get(id) ?? 0;
                const no = gate.spend(running.exchange.seen.permit, next.rows, 0);
                // Its own limit is 5, and its meters give at most 3 at once.
                expect(no === null).toBe(before + next.rows <= 5 && next.rows <= 3);
                if (no === null) spent.set(id, before + next.rows);
                else expect({ code: no.code, event: no.event }).toEqual({ code: "limit", event: id });
                break;
              }
              case "beginRecording":
                await recorder.begin();
                break;
              case "refuseRecording":
                await recorder.refuse();
                break;
              case "failRecording":
                recorder.made[0]?.fail();
                break;
              case "forwardFault":
                target.failsNextWrite = !target.failsNextWrite;
                break;
            }
          }

          expect(meters.admitted).toBeLessThanOrEqual(allowed);
          let meteredStarts = 0;
          for (const [id, { exchange, verdict, isRead }] of exchanges) {
            const { seen } = exchange;
            if (METERED_VERDICTS.has(verdict)) {
              meteredStarts += seen.started;
              // What a meter refused is recorded as a refusal that names its rule.
              const recorded = [...audit.intents.values()].find(({ operation }) => operation.id === id)?.decision;
              for (const no of seen.refused) {
                if (no.code === "limit") expect(recorded).toMatchObject({ kind: "deny", rules: ["m"] });
              }
              if (seen.started > 0) expect(recorded).toMatchObject({ kind: "permit" });
            }
            // Answered at most once, and released only after a start.
            expect(seen.started + seen.refused.length).toBeLessThanOrEqual(1);
            expect(seen.released).toBeLessThanOrEqual(seen.started);
            // What policy does not permit never starts.
            if (verdict === "deny" || verdict === "throws" || verdict === "unkept") expect(seen.started).toBe(0);
            if (seen.started === 0) expect(target.received).not.toContain(id);
            const mayLeaveEarly =
              durability === "relaxed" || (durability === "release" && isRead && LEAVES_EARLY.has(verdict));
            if (durableWhenSent.has(id) && !mayLeaveEarly) expect(durableWhenSent.get(id)).toBe(true);
            // A released reply has a durable intent, but for the bounded lag of relaxed.
            if (seen.released > 0 && durability !== "relaxed") {
              const sequence = [...audit.intents].find(([, entry]) => entry.operation.id === id)?.[0];
              expect(sequence).toBeDefined();
              expect(sequence ?? Infinity).toBeLessThanOrEqual(audit.durable);
            }
          }
          // What is to be recorded starts only into a recording that works, and there is one for a session.
          for (const isRecorded of recordedWhenSent.values()) expect(isRecorded).toBe(true);
          expect(recorder.made.length).toBeLessThanOrEqual(1);
          // What starts has been counted.
          expect(meteredStarts).toBeLessThanOrEqual(meters.admitted);
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
          // Also a recording that begins only now, for nobody, is ended.
          await recorder.begin();
          for (const { ends } of recorder.made) expect(ends).toBeGreaterThan(0);
          // Nothing goes on counting for what has ended.
          expect(meters.ended).toBe(meters.admitted);
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

describe("obligations", () => {
  /** Submits an operation whose decision carries these obligations, and answers with what became of it. */
  function submitted(obligations: Obligations, more: Partial<GateParts> = {}) {
    const policy: Policy = {
      ...policyOf(new Map()),
      decide: () => ({ kind: "permit", rules: ["p", "q"], observed: NO_RULES, obligations }),
    };
    const world = worldOf("relaxed", new Map(), { policy, ...more });
    const exchange = new RecordingExchange("a", world.upstream, world.order);
    world.gate.submit(SESSION, operationOf("a", true), exchange);
    return { ...world, exchange, permit: exchange.seen.permit };
  }

  test("meters are asked each time, also when the judgement is kept", () => {
    const { gate, meters, upstream, order } = submitted(METERED);
    meters.left = 1;
    const operation = operationOf("b", true);
    const exchanges = ["b", "c"].map((id) => new RecordingExchange(id, upstream, order));
    for (const [index, exchange] of exchanges.entries()) {
      gate.submit(SESSION, { ...operation, id: index === 0 ? "b" : "c" }, exchange);
    }
    expect(exchanges.map(({ seen }) => seen.started)).toEqual([1, 0]);
    expect(exchanges[1]?.seen.refused).toMatchObject([{ code: "limit", rules: ["m"], event: "c" }]);
  });

  test("a volatile decision is made each time, any other once", () => {
    for (const volatile of [true, undefined]) {
      let count = 0;
      const policy: Policy = {
        ...policyOf(new Map()),
        decide: () => {
          count++;
          return {
            kind: "permit",
            rules: [],
            observed: NO_RULES,
            obligations: NO_OBLIGATIONS,
            ...(volatile && { volatile }),
          };
        },
      };
      const { gate, upstream, order } = worldOf("relaxed", new Map(), { policy });
      const operation = operationOf("a", true);
      for (const id of ["a", "b", "c"]) {
        gate.submit(SESSION, { ...operation, id }, new RecordingExchange(id, upstream, order));
      }
      expect(count).toBe(volatile ? 3 : 1);
    }
  });

  test("rows and bytes are limited together with the meters, and a refusal names the rules", () => {
    const { gate, permit } = submitted({ limit: { rows: 10, bytes: 100 } });
    if (permit === null) throw new Error("it has not started");
    expect(gate.spend(permit, 10, 60)).toBeNull();
    expect(gate.spend(permit, 1, 0)).toMatchObject({ code: "limit", rules: ["p", "q"], event: "a" });
    expect(gate.spend(permit, 0, 41)?.message).toContain("100 bytes");
    expect(gate.spend(permit, 0, 40)).toBeNull();
    gate.finish(permit, { status: "done" });
    expect(gate.spend(permit, 0, 0)?.code).toBe("internal");
  });

  test("what runs for too long is told to stop, and what has ended in time is not", async () => {
    const { exchange } = submitted({ limit: { timeMs: 1 } });
    while (exchange.seen.cancelled === 0) await settle();
    expect(exchange.seen.reason).toMatchObject({ code: "limit", rules: ["p", "q"], event: "a" });
    const inTime = submitted({ limit: { timeMs: 1 } });
    const begunAgain = submitted({ limit: { timeMs: 1 } });
    if (inTime.permit === null || begunAgain.permit === null) throw new Error("it has not started");
    inTime.gate.finish(inTime.permit, { status: "done" });
    while (begunAgain.exchange.seen.cancelled === 0) await settle();
    begunAgain.gate.begun(begunAgain.permit);
    while (begunAgain.exchange.seen.cancelled === 1) await settle();
    expect(inTime.exchange.seen.cancelled).toBe(0);
  });

  test("a session ends when it has lasted or been idle for as long as the strictest obligation lets it", () => {
    let now = 0;
    const clock = { now: () => now };
    const { gate, permit } = submitted({ session: { maxDurationMs: 1_000, idleMs: 100 } }, { clock });
    if (permit === null) throw new Error("it has not started");
    const tighten = (session: SessionObligation) =>
      gate.tighten(SESSION.id, { kind: "permit", rules: ["milder"], observed: NO_RULES, obligations: { session } });
    tighten({ maxDurationMs: 2_000, idleMs: 200 });
    now = 99;
    gate.finish(permit, { status: "done" });
    now = 198;
    expect(gate.overdue(SESSION.id, now)).toBeNull();
    now = 199;
    expect(gate.overdue(SESSION.id, now)).toMatchObject({ code: "limit", rules: ["p", "q"], event: SESSION.id });
    expect(gate.overdue(SESSION.id, now)?.message).toContain("idle for at most 100 ms");
    tighten({ idleMs: 50 });
    expect(gate.overdue(SESSION.id, now)?.rules).toEqual(["milder"]);
    now = 1_000;
    expect(gate.overdue(SESSION.id, now)?.message).toContain("last for at most 1000 ms");
  });

  test("a session is not idle while something runs", () => {
    const { gate, upstream, order } = submitted({ session: { idleMs: 100 } });
    gate.submit(SESSION, operationOf("b", true), new RecordingExchange("b", upstream, order));
    expect(gate.overdue(SESSION.id, 1_000)).toBeNull();
  });

  test("an alert is in the log before the operation's intent, and the operator is told without a flood", () => {
    let now = 0;
    const said: string[] = [];
    const { gate, audit, upstream, order } = submitted(
      { alert: [{ channel: "dpo", severity: "warning" }] },
      { clock: { now: () => now }, say: (line) => said.push(line) },
    );
    expect(audit.events).toMatchObject([
      ["alert.raised", { id: "a", channel: "dpo", severity: "warning", subject: "ann", rules: ["p", "q"] }],
    ]);
    for (const id of ["b", "c", "d"]) {
      if (id === "d") now = 1_000;
      gate.submit(SESSION, operationOf(id, true), new RecordingExchange(id, upstream, order));
    }
    expect(audit.events).toHaveLength(4);
    expect(said).toEqual([
      "alert for dpo (warning): ann on db, operation a, by p, q",
      "alert for dpo (warning): ann on db, operation d, by p, q (and 2 before it)",
    ]);
  });

  test("what the adapter cannot keep is denied, also when a session is opened", () => {
    const { gate } = worldOf("strict", new Map(), {
      policy: {
        ...policyOf(new Map()),
        mayConnect: () => ({ kind: "permit", rules: ["p"], observed: NO_RULES, obligations: { record: ["raw"] } }),
      },
    });
    expect(gate.judge.connect(SESSION, operationOf("S", true), 0)).toMatchObject({ kind: "deny", rules: ["p"] });
  });
});

describe("permits", () => {
  const bytes = new Uint8Array([1]);
  let target: StubConnection;
  let upstream: PermittedUpstream;
  beforeEach(() => {
    target = new StubConnection();
    upstream = new PermittedUpstream(target, "S");
  });

  test("nothing that merely looks like a permit can write", () => {
    const forged = { operation: "x", rules: [], obligations: {}, session: "S", intent: 1, started: true, kill() {} };
    expect(() => upstream.write(forged, bytes)).toThrow(PermitRequired);
    expect(() => upstream.writePart(forged, bytes, 0, 1)).toThrow(PermitRequired);
    const inherited = Object.create(MintedPermit.prototype) as Permit;
    expect(() => upstream.write(inherited, bytes)).toThrow(PermitRequired);
    expect(() => upstream.writePart(inherited, bytes, 0, 1)).toThrow(PermitRequired);
    expect(target.received).toEqual([]);
  });

  test("a dead permit, and one of another session, cannot write; a living one can", () => {
    const permit = new MintedPermit("x", {}, "S", 1);
    const foreign = new MintedPermit("y", {}, "T", 2);
    expect(() => upstream.write(foreign, bytes)).toThrow(PermitRequired);
    expect(() => upstream.writePart(foreign, bytes, 0, 1)).toThrow(PermitRequired);
    expect(upstream.write(permit, bytes)).toBe(true);
    expect(upstream.writePart(permit, new TextEncoder().encode("abcd"), 1, 3)).toBe(true);
    permit.kill();
    expect(() => upstream.write(permit, bytes)).toThrow(PermitRequired);
    expect(() => upstream.writePart(permit, bytes, 0, 1)).toThrow(PermitRequired);
    expect(target.received).toEqual(["\u0001", "bc"]);
  });
});
