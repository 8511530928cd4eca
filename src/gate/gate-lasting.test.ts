/** What lasts: it is judged again when policy or time could decide otherwise, and does not keep a session busy. */
import { describe, expect, test } from "bun:test";
import {
  askedFor,
  ChangingPolicy,
  CONFIRM,
  deniedBy,
  operationOf,
  permitOf,
  permitted,
  SESSION,
  settle,
  submit,
  worldOf,
  type Seen,
  type World,
} from "../../test/gate-world.ts";
import type { Decision } from "../core/decision.ts";
import type { Obligations, Requirement } from "../core/obligation.ts";

type House = World & { readonly policy: ChangingPolicy };

function houseOf(first: Decision = permitted(), more: { now?: () => number } = {}): House {
  const policy = new ChangingPolicy({ shell: first });
  const { now = () => 0 } = more;
  const world = worldOf("relaxed", new Map(), { policy, clock: { now }, keeps: () => ["limit", "session", "record"] });
  return { ...world, policy };
}

function shellIn(world: World): Seen {
  return submit(world, "shell", false, { lane: 1, lasts: true });
}

/** A shell that people have let begin. */
async function approvedIn(house: House): Promise<Seen> {
  const shell = shellIn(house);
  house.approvals.get("shell")?.("approved");
  house.approvals.delete("shell");
  await settle();
  expect(shell.started).toBe(1);
  return shell;
}

const APPROVAL: Requirement = {
  kind: "approval",
  rules: ["g"],
  from: { groups: ["dba"], subjects: [] },
  count: 1,
  withinMs: 1,
  validForMs: 1,
  uses: 1,
  distinctFrom: [],
};

describe("another policy", () => {
  test("that denies what lasts ends it, once, with its rule and its id", () => {
    const house = houseOf();
    const shell = shellIn(house);
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell.cancelled).toBe(0);
    house.policy.change("shell", deniedBy("d"));
    house.gate.reviewLasting(SESSION.id, 0);
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell.cancelled).toBe(1);
    expect(shell.reason).toMatchObject({ code: "denied", message: "no", rules: ["d"], event: "shell" });
  });

  test("lets go on what it would let begin just so", () => {
    const obligations: Obligations = { limit: { bytes: 5 } };
    const house = houseOf(permitted(obligations));
    const shell = shellIn(house);
    house.policy.change("shell", { ...permitted(structuredClone(obligations)), rules: ["another"] });
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell.cancelled).toBe(0);
  });

  test("that obliges to something else, or to nothing more, ends it", () => {
    for (const other of [{ limit: { bytes: 6 } }, {}] satisfies Obligations[]) {
      const house = houseOf(permitted({ limit: { bytes: 5 } }));
      const shell = shellIn(house);
      house.policy.change("shell", permitted(other));
      house.gate.reviewLasting(SESSION.id, 0);
      expect(shell).toMatchObject({ cancelled: 1, reason: { code: "denied", rules: ["p"], event: "shell" } });
      expect(shell.reason?.message).toContain("other conditions");
    }
  });

  test("that asks people first ends what nobody has approved", () => {
    const house = houseOf();
    const shell = shellIn(house);
    house.policy.change("shell", askedFor());
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell).toMatchObject({ cancelled: 1, reason: { code: "denied", rules: ["g"], event: "shell" } });
    expect(shell.reason?.message).toContain("asks people");
  });

  test("that asks for what people have done lets it go on, whichever rule asks", async () => {
    const house = houseOf(askedFor());
    const shell = await approvedIn(house);
    house.policy.change("shell", askedFor({}, [{ ...CONFIRM, rules: ["another"] }]));
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell.cancelled).toBe(0);
  });

  test("that asks others, or for more, ends it though people have approved it", async () => {
    for (const more of [[APPROVAL], [CONFIRM, APPROVAL]] as const) {
      const house = houseOf(askedFor());
      const shell = await approvedIn(house);
      house.policy.change("shell", askedFor({}, more));
      house.gate.reviewLasting(SESSION.id, 0);
      expect(shell).toMatchObject({ cancelled: 1, reason: { code: "denied", event: "shell" } });
    }
  });

  test("that denies ends it also when people have approved it", async () => {
    const house = houseOf(askedFor());
    const shell = await approvedIn(house);
    house.policy.change("shell", deniedBy("d"));
    house.gate.reviewLasting(SESSION.id, 0);
    expect(shell).toMatchObject({ cancelled: 1, reason: { rules: ["d"] } });
  });

  test("says nothing to what does not last, to what waits, and to what has ended", async () => {
    const house = houseOf();
    const short = submit(house, "short", false, { lane: 1 });
    const shell = shellIn(house);
    house.policy.change("waiting", askedFor());
    const waiting = submit(house, "waiting", false, { lane: 2, lasts: true });
    house.gate.finish(permitOf(shell), { status: "done" });
    for (const id of ["short", "shell", "waiting"]) house.policy.change(id, deniedBy("d"));
    house.gate.reviewLasting(SESSION.id, 0);
    house.gate.reviewLasting("another session", 0);
    for (const { cancelled } of [short, shell, waiting]) expect(cancelled).toBe(0);
    house.approvals.get("waiting")?.("approved");
    await settle();
    expect(waiting).toMatchObject({ started: 0, refused: [{ rules: ["d"] }] });
  });

  test("ends each for itself, also when one ends the others as it is cancelled", () => {
    const house = houseOf();
    const [a, b] = ["a", "b"].map((id) => submit(house, id, false, { lane: 1, lasts: true }));
    house.policy.change("b", deniedBy("d"));
    house.gate.reviewLasting(SESSION.id, 0);
    expect([a?.cancelled, b?.cancelled]).toEqual([0, 1]);
    house.gate.close(SESSION, null, { status: "done" });
    house.policy.change("a", deniedBy("d"));
    house.gate.reviewLasting(SESSION.id, 0);
    expect(a?.cancelled).toBe(0);
  });
});

describe("time", () => {
  test("ends it at the edge of a window, and not before", () => {
    let now = 0;
    const house = houseOf(permitted(), { now: () => now });
    house.policy.edges = [1000];
    const shell = shellIn(house);
    house.policy.say("shell", deniedBy("window"));
    house.gate.reviewLasting(SESSION.id, (now = 999));
    expect(shell.cancelled).toBe(0);
    house.gate.reviewLasting(SESSION.id, (now = 1000));
    expect(shell).toMatchObject({ cancelled: 1, reason: { rules: ["window"], event: "shell" } });
  });

  test("alone asks policy nothing", () => {
    const house = houseOf();
    shellIn(house);
    const { asked } = house.policy;
    for (let now = 0; now < 10_000; now += 1000) house.gate.reviewLasting(SESSION.id, now);
    expect(house.policy.asked).toBe(asked);
  });

  test("counts at every review where a condition is about it", () => {
    const house = houseOf({ ...permitted(), volatile: true });
    const shell = shellIn(house);
    house.policy.say("shell", deniedBy("condition"));
    house.gate.reviewLasting(SESSION.id, 1);
    expect(shell).toMatchObject({ cancelled: 1, reason: { rules: ["condition"] } });
  });
});

describe("a session in which something lasts", () => {
  const IDLE = permitted({ session: { idleMs: 100 } });

  test("is idle while nothing flows, and not when something does", () => {
    let now = 0;
    const house = houseOf(IDLE, { now: () => now });
    const permit = permitOf(shellIn(house));
    const overdue = (): boolean => house.gate.overdue(SESSION.id, now) !== null;
    now = 99;
    expect(overdue()).toBe(false);
    expect(house.gate.spend(permit, 0, 1)).toBeNull();
    now = 198;
    expect(overdue()).toBe(false);
    now = 199;
    expect(overdue()).toBe(true);
  });

  test("is not idle while something that does not last runs beside it, or waits", async () => {
    let now = 0;
    const house = houseOf(IDLE, { now: () => now });
    const overdue = (): boolean => house.gate.overdue(SESSION.id, now) !== null;
    await house.gate.recordAwaited(SESSION, operationOf(SESSION.id, false), permitted());
    shellIn(house);
    now = 1000;
    expect(overdue()).toBe(true);
    const short = permitOf(submit(house, "short"));
    expect(overdue()).toBe(false);
    house.gate.finish(short, { status: "done" });
    now = 2000;
    expect(overdue()).toBe(true);
    house.policy.change("waiting", askedFor());
    submit(house, "waiting", false, { lane: 2 });
    expect(overdue()).toBe(false);
  });

  test("is idle as before when it has ended", async () => {
    let now = 0;
    const house = houseOf(IDLE, { now: () => now });
    await house.gate.recordAwaited(SESSION, operationOf(SESSION.id, false), permitted());
    house.gate.finish(permitOf(shellIn(house)), { status: "done" });
    submit(house, "short");
    now = 1000;
    expect(house.gate.overdue(SESSION.id, now)).toBeNull();
  });
});

test("what lasts is kept to its limits like anything else", () => {
  const house = houseOf(permitted({ limit: { bytes: 5 } }));
  const permit = permitOf(shellIn(house));
  expect(house.gate.spend(permit, 0, 5)).toBeNull();
  expect(house.gate.spend(permit, 0, 1)).toMatchObject({ code: "limit", event: "shell" });
});

describe("a log that has failed", () => {
  test("ends what lasts when it does not come back in time, and only then", () => {
    let now = 0;
    const house = houseOf(permitted(), { now: () => now });
    const shell = shellIn(house);
    now = 1_000;
    house.audit.fail();
    now = 5_999;
    house.gate.reviewLasting(SESSION.id, now);
    expect(shell.cancelled).toBe(0);
    now = 6_000;
    house.gate.reviewLasting(SESSION.id, now);
    house.gate.reviewLasting(SESSION.id, now);
    expect(shell.cancelled).toBe(1);
  });

  test("counts from its last failure alone", () => {
    let now = 0;
    const house = houseOf(permitted(), { now: () => now });
    const shell = shellIn(house);
    house.audit.fail();
    now = 4_000;
    house.audit.recover();
    now = 9_000;
    house.audit.fail();
    now = 13_000;
    house.gate.reviewLasting(SESSION.id, now);
    expect(shell.cancelled).toBe(0);
  });
});
