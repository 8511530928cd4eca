/** What adapters are told of a change of policy, and what could be masked in a session. */
import { expect, test } from "bun:test";
import { NO_RULES, isRefusal, refusal, type Decision } from "../core/decision.ts";
import type { Identity } from "../core/identity.ts";
import { NO_OBLIGATIONS } from "../core/obligation.ts";
import type { Access } from "../core/operation.ts";
import type { Audit, OpenSession, Policy, Sequence } from "../core/ports.ts";
import type { Session, TimeMs } from "../core/session.ts";
import { GateDoor } from "./door.ts";

const NOW = 1000;

/** A log in which everything becomes durable. */
class QuickLog implements Audit {
  handedOver: Sequence = 0;
  readonly lagMs = 0;
  readonly failure = null;
  #progress: () => void = () => {};

  get durable(): Sequence {
    return this.handedOver;
  }
  intent(): Sequence {
    return this.#next();
  }
  outcome(): Sequence {
    return this.#next();
  }
  event(): Sequence {
    return this.#next();
  }
  onProgress(callback: () => void): void {
    this.#progress = callback;
  }
  forget(): void {}
  #next(): Sequence {
    queueMicrotask(() => this.#progress());
    return ++this.handedOver;
  }
}

/** Lets all in but those it is told to keep out; changes when told to. */
class ChangingPolicy implements Policy {
  epoch = 1;
  readonly digest = "";
  readonly commit = null;
  readonly keptOut = new Set<string>();
  readonly asked: [Session, readonly Access[], TimeMs][] = [];
  #listener: () => void = () => {};

  decide(session: Session): Decision {
    if (this.keptOut.has(session.identity.subject)) {
      return { kind: "deny", rules: NO_RULES, observed: NO_RULES, refusal: refusal("denied", "not any more") };
    }
    return { kind: "permit", rules: NO_RULES, observed: NO_RULES, obligations: NO_OBLIGATIONS };
  }
  mayConnect(session: Session): Decision {
    return this.decide(session);
  }
  nextEdge(): TimeMs {
    return Infinity;
  }
  masks(session: Session, accesses: readonly Access[], now: TimeMs): readonly null[] {
    this.asked.push([session, accesses, now]);
    return accesses.map(() => null);
  }
  pattern(): null {
    return null;
  }
  mayCompare(): readonly [] {
    return [];
  }
  maskTransforms(): readonly [] {
    return [];
  }
  onChange(callback: () => void): void {
    this.#listener = callback;
  }
  change(): void {
    this.epoch++;
    this.#listener();
  }
}

type House = {
  readonly policy: ChangingPolicy;
  readonly door: GateDoor;
  open(subject: string): Promise<OpenSession>;
};

function houseOf(): House {
  const policy = new ChangingPolicy();
  const target = { name: "box", adapter: "tiny", labels: {}, settings: null };
  const nobody = refusal("unauthenticated", "nobody");
  const door = new GateDoor({
    policy,
    audit: new QuickLog(),
    durability: "strict",
    authenticator: { authenticate: async () => nobody, stillValid: () => true, knowsKey: () => false },
    approvals: { ask: async () => nobody },
    meters: { admit: () => nobody, forget() {} },
    recorder: { seals: false, open: () => Promise.reject(new Error("nothing is recorded")) },
    dialer: { dial: () => Promise.reject(new Error("nowhere")) },
    forwarding: { destinationOf: async () => ({ kind: "elsewhere" }), accept: () => false },
    clock: { now: () => NOW },
    targets: new Map([["box", target]]),
    limits: { sessionsMax: 10, sessionsPerSubjectMax: 10 },
    keeps: () => [],
    contentMask: () => null,
    say: () => {},
  });
  const open = async (subject: string): Promise<OpenSession> => {
    const proof = { method: "token", credential: "t", expiresAtMs: null } as const;
    const identity: Identity = { kind: "human", issuer: "test", subject, groups: [], proof };
    const request = { adapter: "tiny", identity, targetName: "box", source: "127.0.0.1", text: "", facts: () => ({}) };
    const opened = await door.open(request);
    if (isRefusal(opened)) throw new Error(opened.message);
    return opened;
  };
  return { policy, door, open };
}

test("a change of policy is told at once, after all sessions were judged again", async () => {
  const { policy, door, open } = houseOf();
  const [ann, bob] = [await open("ann"), await open("bob")];
  const told: string[] = [];
  door.onPolicyChange(ann.session, () => told.push(`ann, when bob is ${bob.cancelled.aborted ? "out" : "in"}`));
  door.onPolicyChange(ann.session, () => told.push("ann again"));
  // Who is not let in any more has nothing to follow.
  door.onPolicyChange(bob.session, () => told.push("bob"));
  policy.keptOut.add("bob");
  expect(told).toEqual([]);
  policy.change();
  expect(told).toEqual(["ann, when bob is out", "ann again"]);
  expect(ann.cancelled.aborted).toBe(false);
  policy.change();
  expect(told).toHaveLength(4);
});

test("the gateway's own sessions are told too", async () => {
  const { policy, door } = houseOf();
  const house = await door.openHouse("box", "catalog");
  if (isRefusal(house)) throw new Error(house.message);
  let told = 0;
  door.onPolicyChange(house.session, () => told++);
  policy.change();
  expect(told).toBe(1);
});

test("nothing is told of a session that is closed, also by another's callback", async () => {
  const { policy, door, open } = houseOf();
  const [ann, bob] = [await open("ann"), await open("bob")];
  const told: string[] = [];
  door.onPolicyChange(ann.session, () => {
    told.push("ann");
    door.close(ann.session, { status: "done" });
    door.close(bob.session, { status: "done" });
  });
  door.onPolicyChange(ann.session, () => told.push("ann again"));
  door.onPolicyChange(bob.session, () => told.push("bob"));
  policy.change();
  expect(told).toEqual(["ann"]);
  policy.change();
  door.onPolicyChange(ann.session, () => told.push("ann, late"));
  policy.change();
  expect(told).toEqual(["ann"]);
});

test("a callback that throws ends its own session and nobody else's", async () => {
  const { policy, door, open } = houseOf();
  const [ann, bob] = [await open("ann"), await open("bob")];
  let told = 0;
  door.onPolicyChange(ann.session, () => {
    throw new Error("the plan is broken");
  });
  door.onPolicyChange(bob.session, () => told++);
  policy.change();
  expect(told).toBe(1);
  expect(bob.cancelled.aborted).toBe(false);
  expect(ann.cancelled.reason).toMatchObject({
    code: "internal",
    event: ann.session.id,
    detail: "the plan is broken",
  });
});

test("what could be masked is asked of the policy, with the time of now", async () => {
  const { policy, door, open } = houseOf();
  const { session } = await open("ann");
  const accesses: readonly Access[] = [{ class: "read", facts: { columns: ["a.x"] } }];
  expect(door.masks(session, accesses)).toEqual([null]);
  expect(policy.asked).toEqual([[session, accesses, NOW]]);
});
