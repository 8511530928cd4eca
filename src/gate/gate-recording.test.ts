/** What is to be recorded: nothing of it starts without a recording, and a recording that fails ends the session. */
import { describe, expect, test } from "bun:test";
import {
  askedFor,
  ChangingPolicy,
  CONFIRM,
  decisionOn,
  deniedBy,
  operationOf,
  outcomesOf,
  permitOf,
  permitted,
  RECORDED,
  RecordingExchange,
  SESSION,
  settle,
  submit,
  worldOf,
  type ScriptedRecording,
  type Seen,
  type Verdict,
  type World,
} from "../../test/gate-world.ts";
import { refusal } from "../core/decision.ts";
import type { Obligations } from "../core/obligation.ts";
import { AuditUnavailable } from "../core/ports.ts";
import { RecordingFailed } from "../core/recording.ts";
import type { Durability, GateParts } from "./gate.ts";
import { MintedPermit } from "./permit.ts";

const VERDICTS = new Map<string, Verdict>([
  ["a", "recorded"],
  ["b", "recorded"],
  ["c", "recorded"],
  ["plain", "permit"],
  ["raw", "sealed"],
  ["asked", "ask recorded"],
]);

function world(durability: Durability = "relaxed", more: Partial<GateParts> = {}): World {
  return worldOf(durability, VERDICTS, { keeps: () => ["record", "raw"], ...more });
}

function recordingOf({ recorder }: World): ScriptedRecording {
  const [recording] = recorder.made;
  if (recording === undefined) throw new Error("no recording was made");
  return recording;
}

describe("the beginning", () => {
  test("an operation waits for its session's recording, what comes behind it waits too, and one recording serves all", async () => {
    const house = world();
    const [a, plain, b] = ["a", "plain", "b"].map((id) => submit(house, id));
    expect([a?.started, plain?.started, b?.started]).toEqual([0, 0, 0]);
    expect(decisionOn(house, "a")).toBeUndefined();
    await house.recorder.begin();
    house.audit.sync();
    expect(house.order).toEqual(["a", "plain", "b"]);
    expect(submit(house, "c").started).toBe(1);
    expect(house.recorder.asked).toEqual([SESSION]);
  });

  test("the intent is recorded after the beginning of the recording, and strict waits for it as ever", async () => {
    const house = world("strict");
    const a = submit(house, "a");
    await house.recorder.begin();
    expect(decisionOn(house, "a")).toMatchObject({ kind: "permit" });
    expect(a.started).toBe(0);
    house.audit.sync();
    expect(a).toMatchObject({ started: 1, released: 1 });
  });

  test("without a recording it is refused, recorded as that, and the next one tries again", async () => {
    const house = world();
    const a = submit(house, "a");
    await house.recorder.refuse();
    expect(a).toMatchObject({
      started: 0,
      refused: [
        {
          code: "recording_unavailable",
          message: "nothing can be recorded now",
          detail: "the disk is full",
          rules: ["p"],
          event: "a",
        },
      ],
    });
    expect(decisionOn(house, "a")).toMatchObject({ kind: "deny", refusal: { code: "recording_unavailable" } });
    expect(house.target.received).toEqual([]);
    const b = submit(house, "b");
    await house.recorder.begin();
    expect(b.started).toBe(1);
    expect(house.recorder.asked.length).toBe(2);
  });

  test("an error of any kind refuses, and only the operator sees it", async () => {
    const house = world();
    const a = submit(house, "a");
    await house.recorder.refuse(new TypeError("a fault"));
    expect(a.refused).toMatchObject([{ code: "recording_unavailable", detail: "TypeError: a fault" }]);
    expect(a.refused[0]?.message).not.toContain("fault");
  });

  test("what people were asked for waits for its recording as well", async () => {
    const house = world();
    const asked = submit(house, "asked");
    house.approvals.get("asked")?.("approved");
    await settle();
    expect(asked.started).toBe(0);
    await house.recorder.begin();
    expect(asked.started).toBe(1);
  });

  test("a session that was closed meanwhile starts nothing, and its recording is ended", async () => {
    const house = world();
    const a = submit(house, "a");
    house.gate.close(SESSION, null, { status: "done" });
    await house.recorder.begin();
    expect(a).toMatchObject({ started: 0, refused: [] });
    expect(recordingOf(house).ends).toBe(1);
    const other = world();
    const b = submit(other, "b");
    other.gate.close(SESSION, null, { status: "done" });
    await other.recorder.refuse();
    expect(b).toMatchObject({ started: 0, refused: [] });
  });

  test("a session whose own opening is to be recorded opens with its recording", async () => {
    const decision = permitted(RECORDED);
    const policy = new ChangingPolicy();
    const house = world("relaxed", { policy });
    policy.decide = () => deniedBy("d");
    policy.mayConnect = () => decision;
    const opening = house.gate.recordAwaited(SESSION, operationOf(SESSION.id, false), decision);
    await house.recorder.begin();
    expect(await opening).toMatchObject({ obligations: RECORDED });
  });
});

describe("a recording that is not being stored", () => {
  test("holds up what it must record until it is, in the order of their lane, and policy is asked again", async () => {
    const house = world();
    submit(house, "a");
    await house.recorder.begin();
    const recording = recordingOf(house);
    recording.isStalled = true;
    const [b, plain, asked] = ["b", "plain", "asked"].map((id) => submit(house, id));
    house.approvals.get("asked")?.("approved");
    await settle();
    expect([b?.started, plain?.started, asked?.started]).toEqual([0, 0, 0]);
    expect(decisionOn(house, "b")).toBeUndefined();
    expect(house.order).toEqual(["a"]);
    recording.drain();
    house.audit.sync();
    expect([b?.started, plain?.started, asked?.started]).toEqual([1, 1, 1]);
    expect(house.order).toEqual(["a", "b", "plain", "asked"]);
    expect(house.recorder.made.length).toBe(1);
  });

  test("starts nothing any more when its session has ended, or when it fails", async () => {
    const house = world();
    submit(house, "a");
    await house.recorder.begin();
    const recording = recordingOf(house);
    recording.isStalled = true;
    const b = submit(house, "b");
    house.gate.close(SESSION, null, { status: "done" });
    recording.drain();
    expect(b).toMatchObject({ started: 0, refused: [] });
    const other = world();
    submit(other, "a");
    await other.recorder.begin();
    const failing = recordingOf(other);
    failing.isStalled = true;
    const c = submit(other, "c");
    failing.fail();
    failing.drain();
    expect(c).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", event: "c" }] });
  });
});

describe("sealing", () => {
  test("what is to be sealed is refused where nobody could open it, before anything else", () => {
    const house = world();
    house.recorder.seals = false;
    const raw = submit(house, "raw");
    expect(raw.refused).toMatchObject([{ code: "recording_unavailable", rules: ["p"], event: "raw" }]);
    expect(raw.refused[0]?.message).toContain("record: [raw]");
    expect(house.recorder.asked).toEqual([]);
  });

  test("and where the protocol's adapter records input and output only", () => {
    const house = world("relaxed", { keeps: () => ["record"] });
    const raw = submit(house, "raw");
    expect(raw.refused).toMatchObject([{ code: "denied", rules: ["p"], event: "raw" }]);
    expect(raw.refused[0]?.message).toBe("policy obliges `record: [raw]`, which this version cannot keep here");
    expect(house.recorder.asked).toEqual([]);
  });

  test("and runs where somebody can", async () => {
    const house = world();
    const raw = submit(house, "raw");
    await house.recorder.begin();
    expect(raw.started).toBe(1);
  });
});

describe("the door's port", () => {
  test("gives the session's recording to what is recorded and nothing to the rest", async () => {
    const house = world();
    const [a, plain] = [submit(house, "a"), submit(house, "plain")];
    await house.recorder.begin();
    house.audit.sync();
    expect(house.gate.recording(permitOf(a))).toBe(recordingOf(house));
    expect(house.gate.recording(permitOf(plain))).toBeNull();
  });

  test("throws for what has ended, for a recording that has failed, and for a session that is closed", async () => {
    const house = world();
    const [a, b] = [submit(house, "a"), submit(house, "b")];
    await house.recorder.begin();
    house.gate.finish(permitOf(a), { status: "done" });
    expect(() => house.gate.recording(permitOf(a))).toThrow("the operation has ended");
    recordingOf(house).fail();
    expect(() => house.gate.recording(permitOf(b))).toThrow(RecordingFailed);
    expect(() => house.gate.recording(new MintedPermit("x", RECORDED, "elsewhere", 0))).toThrow("has no recording");
  });
});

describe("a recording that fails", () => {
  test("ends the session and says why", async () => {
    const house = world();
    submit(house, "a");
    await house.recorder.begin();
    expect(house.cancelled.aborted).toBe(false);
    recordingOf(house).fail();
    expect(house.cancelled.reason).toMatchObject({
      code: "recording_unavailable",
      message: "the recording of this session cannot go on",
      detail: "the disk is full",
      event: SESSION.id,
    });
  });

  test("refuses what comes after it, and what was let through before it and had not left", async () => {
    const house = world("strict");
    submit(house, "a");
    await house.recorder.begin();
    house.audit.sync();
    const b = submit(house, "b");
    const plain = submit(house, "plain");
    recordingOf(house).fail();
    const c = submit(house, "c");
    house.audit.sync();
    expect(b).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", event: "b", rules: ["p"] }] });
    expect(c).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", event: "c", rules: ["p"] }] });
    expect(plain.started).toBe(1);
    expect(house.target.received).toEqual(["a", "plain"]);
    for (const seen of [b, c]) house.gate.finish(permitOf(seen), { status: "refused" });
    house.gate.close(SESSION, null, { status: "failed" });
    expect(outcomesOf(house)).toMatchObject({ b: ["refused"], c: ["refused"] });
  });

  test("refuses at once what would have been started at once", async () => {
    const house = world();
    submit(house, "a");
    await house.recorder.begin();
    recordingOf(house).fail();
    house.audit.sync();
    expect(submit(house, "c")).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", event: "c" }] });
    expect(decisionOn(house, "c")).toMatchObject({ kind: "deny" });
  });

  test("does not change why something else was refused", async () => {
    const house = world("strict");
    submit(house, "a");
    await house.recorder.begin();
    const asked = submit(house, "asked");
    house.approvals.get("asked")?.(refusal("approval_denied", "no"));
    await settle();
    recordingOf(house).fail();
    house.audit.sync();
    expect(asked.refused).toMatchObject([{ code: "approval_denied" }]);
  });
});

test("a recording is ended with its session, and a session without one has none to end", async () => {
  const house = world();
  submit(house, "a");
  await house.recorder.begin();
  expect(recordingOf(house).ends).toBe(0);
  house.gate.close(SESSION, null, { status: "done" });
  expect(recordingOf(house).ends).toBe(1);
  const other = world();
  submit(other, "plain");
  other.gate.close(SESSION, null, { status: "done" });
  expect(other.recorder.asked).toEqual([]);
});

describe("while a recording is begun", () => {
  type House = World & { readonly policy: ChangingPolicy };

  function changing(more: Partial<GateParts> = {}): House {
    const policy = new ChangingPolicy({ a: permitted(RECORDED) });
    return { ...world("relaxed", { policy, ...more }), policy };
  }

  /** The digest of the policy that the log names for an operation. */
  function digestOf({ audit }: World, id: string): string | undefined {
    return [...audit.intents.values()].find(({ operation }) => operation.id === id)?.digest;
  }

  for (const more of [{}, { recordedAs: "asciicast" }] as const) {
    const what = "recordedAs" in more ? "a terminal" : "a statement";

    test(`${what}: a deny that was added refuses, by the policy that denies`, async () => {
      const house = changing();
      const a = submit(house, "a", false, more);
      house.policy.change("a", deniedBy("d"));
      await house.recorder.begin();
      expect(a).toMatchObject({ started: 0, refused: [{ code: "denied", rules: ["d"], event: "a" }] });
      expect(decisionOn(house, "a")).toMatchObject({ kind: "deny", rules: ["d"] });
      expect(digestOf(house, "a")).toBe(house.policy.digest);
      expect(house.target.received).toEqual([]);
    });

    test(`${what}: an ask that was added asks, and what people say counts`, async () => {
      const house = changing();
      const a = submit(house, "a", false, more);
      house.policy.change("a", askedFor(RECORDED));
      await house.recorder.begin();
      expect(a).toMatchObject({ started: 0, refused: [] });
      house.approvals.get("a")?.("approved");
      await settle();
      expect(a.started).toBe(1);
      expect(decisionOn(house, "a")).toMatchObject({ kind: "permit", rules: ["g"] });
      expect(house.recorder.asked.length).toBe(1);
    });

    test(`${what}: other obligations are those it runs under`, async () => {
      const house = changing();
      const a = submit(house, "a", false, more);
      const obligations: Obligations = { record: ["input", "output"] };
      house.policy.change("a", permitted(obligations));
      await house.recorder.begin();
      expect(permitOf(a).obligations).toEqual(obligations);
      expect(digestOf(house, "a")).toBe(house.policy.digest);
    });

    test(`${what}: the end of its window refuses, though no policy changed`, async () => {
      const house = changing();
      const a = submit(house, "a", false, more);
      house.policy.say("a", deniedBy("window"));
      await house.recorder.begin();
      expect(a).toMatchObject({ started: 0, refused: [{ rules: ["window"] }] });
    });

    test(`${what}: what has come to hold everything up refuses`, async () => {
      let hold: string | null = null;
      const house = changing({ hold: () => hold });
      const a = submit(house, "a", false, more);
      hold = "no witness";
      await house.recorder.begin();
      expect(a).toMatchObject({ started: 0, refused: [{ code: "audit_unavailable", event: "a" }] });
      expect(house.target.received).toEqual([]);
    });
  }

  test("an approval is not one for what policy asks for by then", async () => {
    const house = changing();
    house.policy.change("a", askedFor(RECORDED));
    const a = submit(house, "a");
    const other = { kind: "justification", rules: ["j"], pattern: null } as const;
    house.policy.change("a", askedFor(RECORDED, [other]));
    house.approvals.get("a")?.("approved");
    house.approvals.delete("a");
    await settle();
    expect(a).toMatchObject({ started: 0, refused: [] });
    house.approvals.get("a")?.("approved");
    await settle();
    expect(a.started).toBe(0);
    // What was done for either question counts.
    house.policy.change("a", askedFor(RECORDED, [CONFIRM, other]));
    await house.recorder.begin();
    expect(a.started).toBe(1);
  });

  test("one that is refused to many at once is tried again once, and is the session's one", async () => {
    const house = world();
    const seen = [submit(house, "a", false, { lane: 1 }), submit(house, "b", false, { lane: 2 })];
    // A client that sends its next command when it hears that the first was refused.
    const refuse = RecordingExchange.prototype.refuse;
    const again: Seen[] = [];
    const first = new RecordingExchange("x", house.upstream, house.order);
    first.refuse = (no, permit) => {
      refuse.call(first, no, permit);
      again.push(submit(house, "c", false, { lane: 3 }));
    };
    house.gate.submit(SESSION, operationOf("a", false, { lane: 4 }), first);
    submit(house, "b", false, { lane: 5 });
    await house.recorder.refuse();
    house.audit.sync();
    for (const { refused } of seen) expect(refused).toMatchObject([{ code: "recording_unavailable" }]);
    again.push(submit(house, "c", false, { lane: 6 }));
    await house.recorder.begin();
    house.audit.sync();
    expect(again.map(({ started }) => started)).toEqual([1, 1]);
    expect(house.recorder.made.length).toBe(1);
  });
});

describe("a terminal", () => {
  const CAST = { recordedAs: "asciicast", lasts: true } as const;

  test("has a recording of its own, which is there before it starts and ends with it", async () => {
    const house = world();
    const [a, b] = [submit(house, "a", false, { ...CAST, lane: 1 }), submit(house, "b", false, { ...CAST, lane: 2 })];
    expect([a.started, b.started]).toEqual([0, 0]);
    await house.recorder.begin();
    expect([a.started, b.started]).toEqual([1, 1]);
    const [ofA, ofB] = house.recorder.made;
    expect([ofA?.kind, ofB?.kind]).toEqual(["asciicast", "asciicast"]);
    expect(house.recorder.operations).toEqual(["a", "b"]);
    expect(house.gate.recording(permitOf(a))).toBe(ofA ?? null);
    expect(house.gate.recording(permitOf(b))).toBe(ofB ?? null);
    house.gate.finish(permitOf(a), { status: "done" });
    expect([ofA?.ends, ofB?.ends]).toEqual([1, 0]);
    house.gate.close(SESSION, null, { status: "done" });
    expect(ofB?.ends).toBe(1);
  });

  test("shares nothing with the session's transcript", async () => {
    const house = world();
    const statement = submit(house, "a", false, { lane: 1 });
    await house.recorder.begin();
    const shell = submit(house, "b", false, { ...CAST, lane: 2 });
    expect(shell.started).toBe(0);
    await house.recorder.begin();
    house.audit.sync();
    const [transcript, cast] = house.recorder.made;
    expect([transcript?.kind, cast?.kind]).toEqual(["transcript", "asciicast"]);
    expect(house.recorder.operations).toEqual([null, "b"]);
    expect(house.gate.recording(permitOf(statement))).toBe(transcript ?? null);
    expect(house.gate.recording(permitOf(shell))).toBe(cast ?? null);
    house.gate.finish(permitOf(shell), { status: "done" });
    expect([transcript?.ends, cast?.ends]).toEqual([0, 1]);
    expect(submit(house, "c").started).toBe(1);
  });

  test("of which nothing is to be recorded begins none", () => {
    const house = world();
    expect(submit(house, "plain", false, CAST).started).toBe(1);
    expect(house.recorder.asked).toEqual([]);
  });

  test("without a recording is refused, and the next one tries again", async () => {
    const house = world();
    const a = submit(house, "a", false, CAST);
    await house.recorder.refuse();
    expect(a).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", rules: ["p"], event: "a" }] });
    const b = submit(house, "b", false, CAST);
    await house.recorder.begin();
    house.audit.sync();
    expect(b.started).toBe(1);
  });

  test("whose recording fails ends the session, also where its transcript still works", async () => {
    const house = world();
    const statement = submit(house, "c", false, { lane: 1 });
    const a = submit(house, "a", false, { ...CAST, lane: 2 });
    await house.recorder.begin();
    house.audit.sync();
    const [, cast] = house.recorder.made;
    cast?.fail();
    expect(() => house.gate.recording(permitOf(statement))).toThrow(RecordingFailed);
    expect(house.cancelled.reason).toMatchObject({ code: "recording_unavailable", event: SESSION.id });
    expect(() => house.gate.recording(permitOf(a))).toThrow(RecordingFailed);
  });

  test("whose recording fails before it could start does not", async () => {
    const house = world("strict");
    const a = submit(house, "a", false, CAST);
    await house.recorder.begin();
    recordingOf(house).fail();
    house.audit.sync();
    expect(a).toMatchObject({ started: 0, refused: [{ code: "recording_unavailable", event: "a", rules: ["p"] }] });
    expect(house.target.received).toEqual([]);
  });

  test("does not start when any recording of its session has failed, and neither does anything after it", async () => {
    const house = world("strict");
    submit(house, "a", false, { ...CAST, lane: 1 });
    const b = submit(house, "b", false, { ...CAST, lane: 2 });
    await house.recorder.begin();
    recordingOf(house).fail();
    house.audit.sync();
    const c = submit(house, "c", false, { lane: 3 });
    await house.recorder.begin();
    house.audit.sync();
    for (const { started, refused } of [b, c]) {
      expect(started).toBe(0);
      expect(refused).toMatchObject([{ code: "recording_unavailable", detail: "the disk is full" }]);
    }
  });

  test("that is refused in spite of its recording leaves none open", async () => {
    const policy = new ChangingPolicy({ a: permitted(RECORDED) });
    const house = world("relaxed", { policy });
    const a = submit(house, "a", false, CAST);
    policy.change("a", deniedBy("d"));
    await house.recorder.begin();
    house.gate.finish(permitOf(a), { status: "refused" });
    expect(recordingOf(house).ends).toBe(1);
  });

  test("that cannot be put into the log leaves no recording open", async () => {
    const house = world();
    const a = submit(house, "a", false, CAST);
    house.audit.intent = () => {
      throw new AuditUnavailable("the disk is full");
    };
    await house.recorder.begin();
    expect(a).toMatchObject({ started: 0, refused: [{ code: "audit_unavailable" }] });
    expect(recordingOf(house).ends).toBe(1);
  });

  test("that the log has lost leaves no recording open", async () => {
    const house = world("strict");
    const a = submit(house, "a", false, CAST);
    await house.recorder.begin();
    house.audit.fail();
    expect(a).toMatchObject({ started: 0, refused: [{ code: "audit_unavailable" }] });
    expect(recordingOf(house).ends).toBe(1);
  });

  test("that still waits for people when its session is closed leaves none open", async () => {
    const policy = new ChangingPolicy({ a: permitted(RECORDED) });
    const house = world("relaxed", { policy });
    submit(house, "a", false, { ...CAST, lane: 1 });
    policy.change("a", askedFor(RECORDED));
    await house.recorder.begin();
    expect(recordingOf(house).ends).toBe(0);
    house.gate.close(SESSION, null, { status: "done" });
    expect(recordingOf(house).ends).toBeGreaterThan(0);
  });

  test("whose session is closed while its recording is begun leaves none open", async () => {
    const house = world();
    const a = submit(house, "a", false, CAST);
    house.gate.close(SESSION, null, { status: "done" });
    await house.recorder.begin();
    expect(recordingOf(house).ends).toBe(1);
    expect(a).toMatchObject({ started: 0, refused: [] });
  });

  test("whose input nobody could unseal is refused, where a command's input is written in the clear", async () => {
    const house = world();
    house.recorder.seals = false;
    const a = submit(house, "a", false, CAST);
    expect(a.refused).toMatchObject([{ code: "recording_unavailable", rules: ["p"], event: "a" }]);
    expect(a.refused[0]?.message).toBe(
      "policy obliges `record: [input]` of a terminal, and the gateway has nobody to seal it to",
    );
    expect(house.recorder.asked).toEqual([]);
    const b = submit(house, "b");
    await house.recorder.begin();
    house.audit.sync();
    expect(b.started).toBe(1);
  });

  test("of which only the output is recorded needs nobody to seal to", async () => {
    const policy = new ChangingPolicy({ a: permitted({ record: ["output"] }) });
    const house = world("relaxed", { policy });
    house.recorder.seals = false;
    const a = submit(house, "a", false, CAST);
    await house.recorder.begin();
    expect(a.started).toBe(1);
  });
});
