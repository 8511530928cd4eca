/** Who is let in, within which numbers, who is put out again, and what passes through the door to the gate. */
import { beforeEach, describe, expect, jest, test } from "bun:test";
import {
  operationOf,
  permitted,
  permitOf,
  policyOf,
  RecordingExchange,
  ScriptedAudit,
  ScriptedMeters,
  ScriptedRecorder,
  type Seen,
  StubConnection,
} from "../../test/gate-world.ts";
import { isRefusal, NO_RULES, refusal, type Decision, type Refusal } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import type { MaskObligation } from "../core/obligation.ts";
import type { ByteStream, Connection, Endpoint, OpenRequest, OpenSession, Policy } from "../core/ports.ts";
import type { Session } from "../core/session.ts";
import { GateDoor, type HouseParts } from "./door.ts";
import { PermitRequired } from "./permit.ts";
import { PermittedUpstream } from "./upstream.ts";

const BOX = { name: "box", adapter: "tiny", labels: {}, settings: null };
const nobody = refusal("unauthenticated", "nobody");
const denied: Decision = {
  kind: "deny",
  rules: ["d"],
  observed: NO_RULES,
  refusal: refusal("denied", "not you", { rules: ["d"] }),
};

let now = 1_000;
let audit = new ScriptedAudit();
let meters = new ScriptedMeters();
let said: string[] = [];
/** What policy says of a session, by the subject's name; permitted when it says nothing. */
let verdicts = new Map<string, Decision>();
/** Whose login is no longer good. */
let ended = new Set<string>();
/** What policy says of an operation, by its id; what it says of the session when it says nothing. */
let operations = new Map<string, Decision>();
/** When time alone changes what policy says. */
let edges: readonly number[] = [];
let epoch = 1;
let changed: () => void = () => {};

beforeEach(() => {
  now = 1_000;
  audit = new ScriptedAudit();
  meters = new ScriptedMeters();
  said = [];
  verdicts = new Map();
  ended = new Set();
  operations = new Map();
  edges = [];
  epoch = 1;
});

function identityOf(subject: string, issuer = "test"): Identity {
  return {
    kind: "human",
    issuer,
    subject,
    groups: [],
    proof: { method: "token", credential: "t1", expiresAtMs: null },
  };
}

function doorOf(more: Partial<HouseParts> = {}): GateDoor {
  const decide = ({ identity }: Session): Decision => verdicts.get(identity.subject) ?? permitted();
  const policy: Policy = {
    ...policyOf(new Map()),
    get epoch() {
      return epoch;
    },
    decide: (session, { id }) =>
      operations.get(id) ?? { ...decide(session), ...(id === "volatile" ? { volatile: true } : {}) },
    mayConnect: decide,
    nextEdge: (time) => edges.find((edge) => edge > time) ?? Infinity,
    pattern: (name) => `the pattern ${name}`,
    maskTransforms: (target, accesses) => accesses.map(() => (target === BOX ? [{ with: "redact" }] : [])),
    mayCompare: (target, accesses) => accesses.map(() => target === BOX),
    onChange: (callback) => {
      changed = callback;
    },
  };
  return new GateDoor({
    policy,
    audit,
    durability: "relaxed",
    authenticator: {
      authenticate: async () => nobody,
      stillValid: ({ subject }) => !ended.has(subject),
      knowsKey: () => false,
    },
    approvals: { ask: async () => nobody },
    meters,
    recorder: new ScriptedRecorder(),
    dialer: { dial: () => Promise.reject(new Error("nowhere")) },
    forwarding: { destinationOf: async () => ({ kind: "elsewhere" }), accept: () => false },
    clock: { now: () => now },
    targets: new Map([["box", BOX]]),
    limits: { sessionsMax: 3, sessionsPerSubjectMax: 2 },
    keeps: () => ["session", "readOnly", "limit"],
    contentMask: () => null,
    say: (line) => said.push(line),
    ...more,
  });
}

function requestOf(subject: string, more: Partial<OpenRequest> = {}): OpenRequest {
  const request = { adapter: "tiny", targetName: "box", source: "10.0.0.1", text: "tiny 1.0", facts: () => ({}) };
  return { ...request, identity: identityOf(subject), ...more };
}

async function opened(door: GateDoor, subject: string): Promise<OpenSession> {
  const answer = await door.open(requestOf(subject));
  if (isRefusal(answer)) throw new Error(answer.message);
  return answer;
}

async function refused(door: GateDoor, request: OpenRequest): Promise<Refusal> {
  const answer = await door.open(request);
  if (!isRefusal(answer)) throw new Error("it was opened");
  return answer;
}

/** Another policy has become active. */
function change(): void {
  epoch++;
  changed();
}

describe("logins", () => {
  const claim = { method: "token", secret: "s", source: "10.0.0.1" } as const;
  const authenticator = (authenticate: HouseParts["authenticator"]["authenticate"]) => ({
    authenticator: { authenticate, stillValid: () => true, knowsKey: () => false },
  });

  test("are recorded with who it was and from where, and without the secret", async () => {
    const ann = identityOf("ann");
    expect(await doorOf(authenticator(async () => ann)).authenticate(claim)).toBe(ann);
    expect(audit.events).toEqual([
      ["login.ok", { source: "10.0.0.1", issuer: "test", subject: "ann", kind: "human", credential: "t1" }],
    ]);
  });

  test("that fail are recorded with the reason", async () => {
    expect(await doorOf(authenticator(async () => nobody)).authenticate(claim)).toBe(nobody);
    expect(audit.events).toEqual([["login.failed", { source: "10.0.0.1", reason: "nobody" }]]);
  });

  test("that cannot be checked are refused", async () => {
    const answer = await doorOf(authenticator(() => Promise.reject(new Error("a fault")))).authenticate(claim);
    expect(answer).toMatchObject({ code: "unauthenticated", message: "the login could not be checked" });
    expect(audit.events).toMatchObject([["login.failed", { reason: "the login could not be checked" }]]);
  });

  test("that cannot be recorded are refused, good or not", async () => {
    audit.fail();
    for (const answer of [identityOf("ann"), nobody]) {
      expect(await doorOf(authenticator(async () => answer)).authenticate(claim)).toMatchObject({
        code: "audit_unavailable",
        hint: "The gateway's log has failed. Try again later.",
      });
    }
  });
});

describe("opening a session", () => {
  test("records the connect operation, which policy reads as one access that is always there", async () => {
    const asked: unknown[] = [];
    const policy: Policy = {
      ...policyOf(new Map()),
      mayConnect: (session, connect, at) => {
        asked.push([session, connect, at]);
        return permitted();
      },
    };
    const door = doorOf({ policy });
    const facts = { databases: ["shop"] };
    const answer = await door.open(
      requestOf("ann", { facts: (target) => (target === BOX ? facts : refusal("denied", "another")) }),
    );
    if (isRefusal(answer)) throw new Error(answer.message);
    const { session, permit, cancelled } = answer;
    expect(session).toEqual({
      id: session.id,
      identity: identityOf("ann"),
      target: BOX,
      source: "10.0.0.1",
      openedAtMs: 1_000,
    });
    const connect = {
      id: session.id,
      session,
      kind: "connect",
      accesses: [{ class: "connect", facts, ambient: true }],
      understood: true,
      text: "tiny 1.0",
      textSha256: null,
      catalogDigest: null,
    };
    expect(asked).toEqual([[session, connect, 1_000]]);
    expect([...audit.intents.values()]).toMatchObject([{ operation: connect, decision: { kind: "permit" } }]);
    expect(permit).toMatchObject({ operation: session.id, session: session.id, rules: ["p"] });
    expect(cancelled.aborted).toBe(false);
    expect(door.sessionCount).toBe(1);
  });

  test("tells the same for a target that does not exist, is of another kind, or is not for them; the log tells which", async () => {
    const door = doorOf();
    verdicts.set("bob", denied);
    const reasons = [
      [requestOf("ann", { targetName: "nowhere" }), "unauthenticated", /there is no target "nowhere"/],
      [requestOf("ann", { adapter: "other" }), "unauthenticated", /there is no target "box"/],
      [requestOf("ann", { facts: () => refusal("protocol", "no database x") }), "protocol", /no database x/],
      [requestOf("bob"), "denied", /not you/],
    ] as const;
    for (const [index, [request, code, reason]] of reasons.entries()) {
      const answer = await refused(door, request);
      expect(answer).toMatchObject({
        code: "unauthenticated",
        message: `there is no target "${request.targetName}" for you here`,
        hint: "Check the name; if it is right, ask for access.",
        rules: [],
      });
      const { subject } = request.identity;
      const who = { issuer: "test", subject, kind: "human", credential: "t1", source: "10.0.0.1" };
      expect(audit.events[index]).toEqual([
        "session.refused",
        {
          ...who,
          target: request.targetName,
          code,
          reason: expect.stringMatching(reason),
          rules: subject === "bob" ? ["d"] : [],
          id: answer.event,
        },
      ]);
    }
    expect(audit.intents.size).toBe(0);
    expect(door.sessionCount).toBe(0);
  });

  test("is refused as it would have been when the refusal cannot be recorded", async () => {
    const door = doorOf();
    audit.fail();
    expect((await refused(door, requestOf("ann", { targetName: "nowhere" }))).code).toBe("unauthenticated");
  });

  test("that cannot be recorded is refused and does not count", async () => {
    const door = doorOf({ limits: { sessionsMax: 1, sessionsPerSubjectMax: 1 } });
    audit.fail();
    expect((await refused(door, requestOf("ann"))).code).toBe("audit_unavailable");
    expect(door.sessionCount).toBe(0);
    expect(audit.forgotten).toHaveLength(1);
    audit.recover();
    await opened(door, "ann");
  });
});

describe("how many", () => {
  test("sessions one subject may have open, told apart by issuer and name, and free again when one is closed", async () => {
    const door = doorOf({ limits: { sessionsMax: 10, sessionsPerSubjectMax: 2 } });
    const first = await opened(door, "ann");
    await opened(door, "ann");
    const no = await refused(door, requestOf("ann"));
    expect(no).toMatchObject({
      code: "limit",
      message: "you have 2 sessions open, the limit for one subject",
      hint: "Close some, or raise limits.sessionsPerSubjectMax.",
    });
    expect(audit.events).toMatchObject([["session.refused", { code: "limit", id: no.event, subject: "ann" }]]);
    await opened(door, "bob");
    expect(isRefusal(await door.open(requestOf("ann", { identity: identityOf("ann", "elsewhere") })))).toBe(false);
    // Closing twice frees one place, not two.
    door.close(first.session, { status: "done" });
    door.close(first.session, { status: "done" });
    expect(door.sessionCount).toBe(3);
    await opened(door, "ann");
    expect((await refused(door, requestOf("ann"))).code).toBe("limit");
  });

  test("sessions may be open in all; the gateway's own do not count", async () => {
    const door = doorOf({ limits: { sessionsMax: 2, sessionsPerSubjectMax: 10 } });
    const house = await door.openHouse("box", "catalog");
    if (isRefusal(house)) throw new Error(house.message);
    const first = await opened(door, "ann");
    await opened(door, "bob");
    expect(door.sessionCount).toBe(2);
    const no = await refused(door, requestOf("cleo"));
    expect(no).toMatchObject({
      code: "limit",
      message: "the gateway has 2 sessions open, its limit",
      hint: "Try again later, or raise limits.sessionsMax.",
    });
    expect(audit.events).toMatchObject([["session.refused", { id: no.event }]]);
    door.close(house.session, { status: "done" });
    expect(door.sessionCount).toBe(2);
    door.close(first.session, { status: "done" });
    expect(door.sessionCount).toBe(1);
    await opened(door, "cleo");
  });

  test("logins at once pass the limit together: none more than it", async () => {
    const door = doorOf({ durability: "strict", limits: { sessionsMax: 10, sessionsPerSubjectMax: 1 } });
    const answers = [door.open(requestOf("ann")), door.open(requestOf("ann"))];
    audit.sync();
    expect((await Promise.all(answers)).map(isRefusal)).toEqual([false, true]);
  });

  test("none while new work is held up, while those that are open stay, and some again afterwards", async () => {
    let why: string | null = null;
    const door = doorOf({ hold: () => why });
    const first = await opened(door, "ann");
    why = "no witness has confirmed the log";
    const no = await refused(door, requestOf("ann"));
    expect(no).toMatchObject({ code: "audit_unavailable", message: why, hint: "Nothing was done. Try again later." });
    expect(audit.events).toMatchObject([["session.refused", { code: "audit_unavailable", id: no.event, reason: why }]]);
    expect(door.sessionCount).toBe(1);
    expect(first.cancelled.aborted).toBe(false);
    why = null;
    await opened(door, "ann");
  });

  test("none when the gateway is shutting down, while those that are open stay", async () => {
    const door = doorOf();
    const { cancelled } = await opened(door, "ann");
    door.beginDrain();
    const no = await refused(door, requestOf("bob"));
    expect(no).toMatchObject({ code: "draining", hint: "Connect again in a moment." });
    expect(audit.events).toMatchObject([["session.refused", { code: "draining", id: no.event }]]);
    expect(cancelled.aborted).toBe(false);
    expect(door.sessionCount).toBe(1);
  });
});

describe("the gateway's own sessions", () => {
  test("are recorded as its own, with what they are for, and their login cannot end", async () => {
    ended.add("gateway");
    const door = doorOf();
    const house = await door.openHouse("box", "catalog");
    if (isRefusal(house)) throw new Error(house.message);
    expect(house.session.identity).toEqual({
      kind: "service",
      issuer: "weir",
      subject: "gateway",
      groups: [],
      proof: { method: "token", credential: "house", expiresAtMs: null },
    });
    expect(house.session.source).toBe("gateway");
    expect([...audit.intents.values()]).toMatchObject([
      {
        decision: "house",
        operation: { kind: "connect", text: "catalog", accesses: [{ class: "connect", facts: {} }] },
      },
    ]);
    changed();
    const exchange = exchangeOf(house.session, "a");
    door.submit(house.session, { ...operationOf("a", true), session: house.session }, exchange);
    expect(exchange.seen.started).toBe(1);
    expect(house.cancelled.aborted).toBe(false);
  });

  test("are told of a change once, and of nothing when nothing has changed", async () => {
    const door = doorOf();
    const house = await door.openHouse("box", "catalog");
    if (isRefusal(house)) throw new Error(house.message);
    verdicts.set("gateway", denied);
    let told = 0;
    door.onPolicyChange(house.session, () => told++);
    changed();
    expect(told).toBe(0);
    change();
    changed();
    expect(told).toBe(1);
    expect(house.cancelled.aborted).toBe(false);
  });

  test("are not opened to what is no target", async () => {
    expect(await doorOf().openHouse("nowhere", "catalog")).toMatchObject({
      code: "internal",
      message: 'there is no target "nowhere"',
    });
  });
});

describe("what is open is judged again", () => {
  test("and ends when its login has ended, whether or not it does anything", async () => {
    const door = doorOf();
    const [ann, bob] = [await opened(door, "ann"), await opened(door, "bob")];
    ended.add("ann");
    changed();
    expect(ann.cancelled.reason).toMatchObject({
      code: "unauthenticated",
      message: "this login is no longer valid",
      event: ann.session.id,
      hint: "Log in again.",
    });
    expect(bob.cancelled.aborted).toBe(false);
  });

  test("and ends when it has lasted or been idle for too long", async () => {
    verdicts.set("ann", permitted({ session: { maxDurationMs: 100 } }));
    verdicts.set("bob", permitted({ session: { idleMs: 50 } }));
    const door = doorOf();
    const [ann, bob] = [await opened(door, "ann"), await opened(door, "bob")];
    now += 49;
    changed();
    expect([ann.cancelled.aborted, bob.cancelled.aborted]).toEqual([false, false]);
    now += 1;
    changed();
    expect(ann.cancelled.aborted).toBe(false);
    expect(bob.cancelled.reason).toMatchObject({ code: "limit", event: bob.session.id });
    now += 50;
    changed();
    expect(ann.cancelled.reason).toMatchObject({ code: "limit", event: ann.session.id, rules: ["p"] });
  });

  test("and ends when policy would not let it in any more, but only under another policy", async () => {
    const door = doorOf();
    const { session, cancelled } = await opened(door, "ann");
    let told = 0;
    door.onPolicyChange(session, () => told++);
    verdicts.set("ann", denied);
    changed();
    expect([cancelled.aborted, told]).toEqual([false, 0]);
    change();
    expect(cancelled.reason).toMatchObject({ code: "denied", message: "not you", rules: ["d"], event: session.id });
    expect(told).toBe(0);
  });

  test("is held to what the new policy obliges it to, from then on", async () => {
    const door = doorOf();
    const { cancelled } = await opened(door, "ann");
    now += 60;
    verdicts.set("ann", permitted({ session: { maxDurationMs: 100 } }));
    change();
    now += 39;
    changed();
    expect(cancelled.aborted).toBe(false);
    now += 1;
    changed();
    expect(cancelled.reason).toMatchObject({ code: "limit" });
  });

  test("stays open where policy would now ask first, and is held to what it would then be obliged to", async () => {
    const door = doorOf();
    const { cancelled } = await opened(door, "ann");
    const requirements = [{ kind: "stepUp", rules: ["r"], method: "mfa" }] as const;
    verdicts.set("ann", {
      ...permitted({ session: { maxDurationMs: 100 } }),
      kind: "ask",
      requirements: [...requirements],
    });
    change();
    now += 99;
    changed();
    expect(cancelled.aborted).toBe(false);
    now += 1;
    changed();
    expect(cancelled.reason).toMatchObject({ code: "limit" });
  });

  test("cannot become one that only reads, but may stay one, and may be let off", async () => {
    const readOnly = permitted({ session: { readOnly: true } });
    verdicts.set("bob", readOnly);
    const door = doorOf();
    const [ann, bob] = [await opened(door, "ann"), await opened(door, "bob")];
    verdicts.set("ann", readOnly);
    change();
    expect(ann.cancelled.reason).toMatchObject({
      code: "denied",
      message: "policy now lets this session only read",
      rules: ["p"],
      hint: "Connect again.",
      event: ann.session.id,
    });
    verdicts.delete("bob");
    change();
    expect(bob.cancelled.aborted).toBe(false);
  });

  test("and ends at the edge of the window that let it in, under the same policy", async () => {
    const door = doorOf();
    edges = [5_000, 9_000];
    const { cancelled, session } = await opened(door, "ann");
    verdicts.set("ann", denied);
    now = 4_999;
    changed();
    expect(cancelled.aborted).toBe(false);
    now = 5_000;
    changed();
    expect(cancelled.reason).toMatchObject({ code: "denied", rules: ["d"], event: session.id });
  });

  test("and stays at an edge that changes nothing, until the next one", async () => {
    const door = doorOf();
    edges = [5_000, 9_000];
    const { cancelled } = await opened(door, "ann");
    now = 5_000;
    changed();
    verdicts.set("ann", denied);
    now = 8_999;
    changed();
    expect(cancelled.aborted).toBe(false);
    now = 9_000;
    changed();
    expect(cancelled.aborted).toBe(true);
  });

  test("and so is what lasts in it: at once under another policy, at an edge, and between them only by conditions", async () => {
    const door = doorOf();
    edges = [5_000];
    const { session } = await opened(door, "ann");
    const upstream = new PermittedUpstream(new StubConnection(), session.id);
    const shell = (id: string): Seen => {
      const exchange = new RecordingExchange(id, upstream, []);
      door.submit(session, { ...operationOf(id, false), session, lasts: true }, exchange);
      return exchange.seen;
    };
    const [plain, volatile, windowed] = [shell("plain"), shell("volatile"), shell("windowed")];
    operations.set("windowed", denied);
    operations.set("volatile", denied);
    now = 4_999;
    changed();
    expect([plain, volatile, windowed].map(({ cancelled }) => cancelled)).toEqual([0, 1, 0]);
    now = 5_000;
    changed();
    expect([plain, volatile, windowed].map(({ cancelled }) => cancelled)).toEqual([0, 1, 1]);
    operations.set("plain", denied);
    change();
    expect(plain).toMatchObject({ cancelled: 1, reason: { rules: ["d"], event: "plain" } });
  });

  test("every second", async () => {
    jest.useFakeTimers();
    try {
      const { cancelled } = await opened(doorOf(), "ann");
      ended.add("ann");
      jest.advanceTimersByTime(999);
      expect(cancelled.aborted).toBe(false);
      jest.advanceTimersByTime(1);
      expect(cancelled.aborted).toBe(true);
    } finally {
      jest.clearAllTimers();
      jest.useRealTimers();
    }
  });
});

describe("what passes through", () => {
  test("a connection to the target, behind permits of its session", async () => {
    const endpoint: Endpoint = { host: "db", port: 5432 };
    const dialled: unknown[] = [];
    const target = new StubConnection();
    const dial = async (...args: unknown[]): Promise<Connection> => {
      dialled.push(args);
      return target;
    };
    const door = doorOf({ dialer: { dial } });
    const [ann, bob] = [await opened(door, "ann"), await opened(door, "bob")];
    const upstream = await door.dial(ann.session, "session", endpoint);
    if (isRefusal(upstream)) throw new Error(upstream.message);
    expect(dialled).toEqual([[endpoint, 10_000]]);
    expect(upstream.write(ann.permit, new Uint8Array([65]))).toBe(true);
    expect(() => upstream.write(bob.permit, new Uint8Array([66]))).toThrow(PermitRequired);
    expect(target.received).toEqual(["A"]);
  });

  test("why a target cannot be reached is for the operator alone", async () => {
    const door = doorOf();
    const { session } = await opened(door, "ann");
    const no = await door.dial(session, "session", { host: "db", port: 5432 });
    expect(no).toMatchObject({
      code: "target_unavailable",
      message: 'the target "box" cannot be reached',
      event: session.id,
      hint: "The gateway's operator finds the reason under this id.",
      detail: "nowhere",
    });
  });

  test("a client of a forward that leads to a target, with the identity it has here", async () => {
    const accepted: unknown[] = [];
    const forwarding: HouseParts["forwarding"] = {
      destinationOf: async (host, port) => ({ kind: "closed", why: `${host} ${port}` }),
      accept: (target, stream, arrival) => accepted.push(target, stream, arrival) > 0,
    };
    const door = doorOf({ forwarding });
    expect(await door.destinationOf("db1", 5432)).toEqual({ kind: "closed", why: "db1 5432" });
    const { session } = await opened(door, "ann");
    const exchange = exchangeOf(session, "a");
    door.submit(session, { ...operationOf("a", true), session }, exchange);
    const permit = permitOf(exchange.seen);
    const to = { kind: "target", targetName: "box", part: "p" } as const;
    const stream = scriptedStream();
    expect(door.handOver(session, permit, { ...to, targetName: "elsewhere" }, stream)).toMatchObject({
      code: "denied",
      message: 'no forward can lead to the target "elsewhere"',
      event: "a",
    });
    expect(accepted).toEqual([]);
    expect(door.handOver(session, permit, to, stream)).toBeNull();
    const { identity, source } = session;
    expect(accepted).toEqual([
      BOX,
      stream,
      { identity, targetName: "box", part: "p", source, through: { session: session.id, operation: "a" } },
    ]);
    // Neither with another session's permit, nor after the forward has ended.
    const other = await opened(door, "bob");
    expect(door.handOver(other.session, permit, to, stream)).toMatchObject({ code: "internal" });
    door.finish(permit, { status: "done" });
    expect(door.handOver(session, permit, to, stream)).toMatchObject({ code: "internal" });
    expect(accepted).toHaveLength(3);
  });

  test("nobody to a target whose adapter takes no one", async () => {
    const door = doorOf();
    const { session } = await opened(door, "ann");
    const exchange = exchangeOf(session, "a");
    door.submit(session, { ...operationOf("a", true), session }, exchange);
    const to = { kind: "target", targetName: "box", part: null } as const;
    expect(door.handOver(session, permitOf(exchange.seen), to, scriptedStream())).toMatchObject({ code: "denied" });
  });

  test("a line for the operator", () => {
    doorOf().report("the catalog has changed");
    expect(said).toEqual(["the catalog has changed"]);
  });

  test("what could be masked on a target, and what is masked by content, with the patterns of policy", () => {
    const asked: unknown[] = [];
    const mask: MaskObligation = { columns: {}, fields: {}, classifiers: {}, patterns: {}, predicates: "masked" };
    const contentMask: HouseParts["contentMask"] = (of, patternOf) => {
      asked.push(of, patternOf("badge"));
      return null;
    };
    const door = doorOf({ contentMask });
    expect(door.contentMask(mask)).toBeNull();
    expect(asked).toEqual([mask, "the pattern badge"]);
    expect(door.maskTransforms(BOX, [{ class: "read", facts: {} }])).toEqual([[{ with: "redact" }]]);
    expect(door.mayCompare(BOX, [{ class: "read", facts: {} }])).toEqual([true]);
  });

  test("operations, with their limits and outcomes", async () => {
    verdicts.set("ann", permitted({ limit: { rows: 2, timeMs: 60_000 } }));
    const door = doorOf();
    const { session } = await opened(door, "ann");
    const [a, b, c] = [exchangeOf(session, "a"), exchangeOf(session, "b"), exchangeOf(session, "c")];
    door.submit(session, { ...operationOf("a", true), session }, a);
    door.refuse(session, { ...operationOf("b", true), session }, refusal("limit", "too long"), b);
    door.submitHouse(session, { ...operationOf("c", true), session }, c);
    expect(a.seen.started).toBe(1);
    expect(b.seen.refused).toMatchObject([{ code: "limit", message: "too long", event: "b" }]);
    expect(c.seen.started).toBe(1);
    const permit = permitOf(a.seen);
    expect(door.spend(permit, 2, 0)).toBeNull();
    expect(door.spend(permit, 1, 0)).toMatchObject({ code: "limit", event: "a" });
    expect(door.finish(permit, { status: "done", rows: 2 })).toBe(true);
    expect(door.spend(permit, 0, 0)?.code).toBe("internal");
    door.close(session, { status: "failed" });
    const statuses = [...audit.intents].map(([sequence, { operation }]) => [
      operation.id === session.id ? "connect" : operation.id,
      (audit.outcomes.get(sequence) ?? []).map(({ status }) => status),
    ]);
    expect(Object.fromEntries(statuses)).toEqual({ connect: ["failed"], a: ["done"], b: ["unknown"], c: ["unknown"] });
  });

  test("no operation of a login that has ended, and its session ends", async () => {
    const door = doorOf();
    const { session, cancelled } = await opened(door, "ann");
    ended.add("ann");
    const exchange = exchangeOf(session, "a");
    door.submit(session, { ...operationOf("a", true), session }, exchange);
    expect(exchange.seen).toMatchObject({ started: 0, refused: [{ code: "unauthenticated", event: "a" }] });
    expect(cancelled.reason).toMatchObject({ code: "unauthenticated" });
  });

  test("that an operation begins only now", async () => {
    verdicts.set("ann", permitted({ limit: { timeMs: 100 } }));
    jest.useFakeTimers();
    try {
      const door = doorOf();
      const { session } = await opened(door, "ann");
      const exchange = exchangeOf(session, "a");
      door.submit(session, { ...operationOf("a", true), session }, exchange);
      jest.advanceTimersByTime(60);
      door.begun(permitOf(exchange.seen));
      jest.advanceTimersByTime(99);
      expect(exchange.seen.cancelled).toBe(0);
      jest.advanceTimersByTime(1);
      expect(exchange.seen.cancelled).toBe(1);
    } finally {
      jest.clearAllTimers();
      jest.useRealTimers();
    }
  });
});

function scriptedStream(): ByteStream {
  const nothing = (): void => {};
  return {
    write: () => true,
    onData: nothing,
    onDrain: nothing,
    onEof: nothing,
    onClose: nothing,
    pause: nothing,
    resume: nothing,
    end: nothing,
  };
}

function exchangeOf(session: Session, id: string): RecordingExchange {
  return new RecordingExchange(id, new PermittedUpstream(new StubConnection(), session.id), []);
}
