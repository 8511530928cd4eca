/** Decisions one by one: what each part of a rule means, and what a refusal tells people. */
import { describe, expect, test } from "bun:test";
import { access, identity, NOW, operation, session } from "../../../test/policy-sets.ts";
import { changed, indexOf } from "../../../test/policy-world.ts";
import type { WrittenBlock, WrittenRule } from "../../../test/policy-world.ts";
import type { Decision } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue } from "../../core/operation.ts";
import type { Session } from "../../core/session.ts";
import { decide, mayConnect } from "./decide.ts";
import { NameList } from "./names.ts";
import type { Rule } from "./rule.ts";

const ann = session(identity("human", "ann", ["ops"]));
const bot = session(identity("agent", "bot", ["ops"], "ann"));

const permitFor = (action: WrittenRule["action"], more: Partial<WrittenRule> = {}): WrittenRule => ({
  id: "permit",
  subject: { any: true },
  target: { any: true },
  action,
  ...more,
});
const guardOn = (action: WrittenRule["action"], more: Partial<WrittenRule> = {}): WrittenRule => ({
  id: "guard",
  action,
  deny: "Not here.",
  ...more,
});
const EVERYTHING = permitFor({ any: true }, { id: "all", allowOpaque: true });
const read = (facts: Access["facts"], more: Partial<Access> = {}) => access({ facts, ...more });

async function decideOn(
  permits: readonly WrittenRule[],
  guards: readonly WrittenRule[],
  accesses: readonly [Access, ...Access[]],
  within = ann,
  now = NOW,
): Promise<Decision> {
  return decide(await indexOf([permits], [guards]), within, operation(within, accesses), now);
}

describe("by polarity,", () => {
  type Fact = FactValue | typeof UNKNOWN | undefined;
  const block: WrittenBlock = { tiny: { things: ["a", "s.*"] } };
  test.each<[string, Fact, boolean, boolean]>([
    ["one listed value", ["a"], true, true],
    ["two listed values", ["a", "s.t"], true, true],
    ["one listed and one other", ["a", "b"], false, true],
    ["only others", ["b"], false, false],
    ["no value at all", [], false, false],
    ["a value that is not known", UNKNOWN, false, true],
    ["a fact that this access cannot have", undefined, false, false],
    ["a fact of the wrong type", true, false, true],
  ])("%s: permitted %p, denied by a guard %p", async (_, things, isPermitted, isDenied) => {
    const accesses = [read(things === undefined ? {} : { things })] as const;
    expect((await decideOn([permitFor(block)], [], accesses)).kind).toBe(isPermitted ? "permit" : "deny");
    expect((await decideOn([EVERYTHING], [guardOn(block)], accesses)).kind).toBe(isDenied ? "deny" : "permit");
  });

  test("flags are true, false, unknown or not there", async () => {
    const on: WrittenBlock = { tiny: { wide: true } };
    const expected: [Fact, Decision["kind"], Decision["kind"]][] = [
      [true, "permit", "deny"],
      [false, "deny", "permit"],
      [undefined, "deny", "permit"],
      [UNKNOWN, "deny", "deny"],
    ];
    for (const [wide, asPermit, asGuard] of expected) {
      const accesses = [read(wide === undefined ? {} : { wide })] as const;
      expect((await decideOn([permitFor(on)], [], accesses)).kind).toBe(asPermit);
      expect((await decideOn([EVERYTHING], [guardOn(on)], accesses)).kind).toBe(asGuard);
    }
  });

  test("permits for different things together cover an operation, a single block must cover an access whole", async () => {
    const permits = [
      permitFor({ tiny: { things: ["a"] } }, { id: "pa" }),
      permitFor({ tiny: { things: ["b"] } }, { id: "pb" }),
    ];
    expect(await decideOn(permits, [], [read({ things: ["b"] }), read({ things: ["a"] })])).toMatchObject({
      kind: "permit",
      rules: ["pa", "pb"],
    });
    expect((await decideOn(permits, [], [read({ things: ["a", "b"] })])).kind).toBe("deny");
  });
});

describe("what a permit does not say is narrow:", () => {
  test("without kinds it is for humans, and any: true is for everybody", async () => {
    const groups = permitFor({ any: true }, { subject: { groups: ["ops"] } });
    expect((await decideOn([groups], [], [read({})], ann)).kind).toBe("permit");
    expect((await decideOn([groups], [], [read({})], bot)).kind).toBe("deny");
    expect((await decideOn([permitFor({ any: true })], [], [read({})], bot)).kind).toBe("permit");
  });

  test("a guard without kinds is for everybody", async () => {
    const guard = guardOn({ any: true }, { subject: { groups: ["ops"] } });
    expect((await decideOn([EVERYTHING], [guard], [read({})], ann)).kind).toBe("deny");
    expect((await decideOn([EVERYTHING], [guard], [read({})], bot)).kind).toBe("deny");
  });

  test.each<[WrittenRule["action"], boolean]>([
    [{ any: true }, true],
    [{ tiny: {} }, true],
    [{ classes: ["execute"] }, true],
    [{ classes: ["execute"], tiny: {} }, true],
    [{ tiny: { tools: ["t"] } }, true],
    [{ tiny: { verbs: ["run"], tools: ["*"] } }, true],
    [{ tiny: { verbs: ["run"] } }, false],
    [{ classes: ["execute"], tiny: { verbs: ["run"] } }, false],
    [[{ tiny: { verbs: ["run"] } }, { tiny: { tools: ["u"] } }], false],
  ])("a tool is run by who may name tools: %p %p", async (action, isPermitted) => {
    const run = access({ class: "execute", facts: { verbs: ["run"], tools: ["t"] } });
    expect((await decideOn([permitFor(action)], [], [run])).kind).toBe(isPermitted ? "permit" : "deny");
    // An empty fact asks for nothing.
    const none = access({ class: "execute", facts: { verbs: ["run"], tools: [] } });
    if (!isPermitted)
      expect((await decideOn([permitFor({ tiny: { verbs: ["run"] } })], [], [none])).kind).toBe("permit");
  });
});

describe("what an access wants named", () => {
  const put = (more: Partial<Access> = {}) =>
    access({ class: "write", facts: { verbs: ["put"], things: ["a"], columns: ["a.x"] }, named: ["columns"], ...more });

  test.each<[WrittenRule["action"], boolean]>([
    [{ tiny: { columns: ["a.x"] } }, true],
    [{ tiny: { verbs: ["put"], columns: ["a.*"] } }, true],
    [[{ any: true }, { tiny: { columns: ["a.x"] } }], true],
    [{ any: true }, false],
    [{ tiny: {} }, false],
    [{ classes: ["write"] }, false],
    [{ tiny: { things: ["a"] } }, false],
    [[{ tiny: { things: ["a"] } }, { tiny: { columns: ["a.y"] } }], false],
  ])("is permitted to who names it: %p %p", async (action, isPermitted) => {
    expect((await decideOn([permitFor(action)], [], [put()])).kind).toBe(isPermitted ? "permit" : "deny");
    expect((await decideOn([EVERYTHING], [], [put({ named: [] })])).kind).toBe("permit");
  });

  test("is nothing to guards and their exceptions", async () => {
    const guard = guardOn({ tiny: { things: ["a"] } });
    const naming = permitFor({ tiny: { columns: ["a.x"] } });
    expect(await decideOn([naming], [guard], [put()])).toMatchObject({ kind: "deny", rules: ["guard"] });
    const lifted = { ...guard, except: [{ action: { tiny: { things: ["a"] } }, reason: "So." }] };
    expect((await decideOn([naming], [lifted], [put()])).kind).toBe("permit");
  });

  test("is said when that alone is missing", async () => {
    const onThings = permitFor({ tiny: { things: ["a"] } });
    expect(await decideOn([onThings], [], [put()])).toMatchObject({
      refusal: {
        message: "no rule permits put on a: it writes what is masked, so a permit must name a.x under columns",
        hint: "permit would, but for columns a.x.",
      },
    });
    const wanting = put({ named: ["columns", "tools"] });
    expect(await decideOn([onThings], [], [wanting])).toMatchObject({
      refusal: {
        message:
          "no rule permits put on a: it writes what is masked, so a permit must name a.x under columns and tools",
        hint: "",
      },
    });
    const onOthers = permitFor({ tiny: { things: ["b"], columns: ["a.x"] } });
    expect(await decideOn([onOthers], [], [put()])).toMatchObject({
      refusal: { message: "no rule permits put on a", hint: "permit would, but for things a." },
    });
    // What must be named anyway is one miss.
    const tool = put({ facts: { verbs: ["put"], things: ["a"], tools: ["t"] }, named: ["tools"] });
    expect(await decideOn([onThings], [], [tool])).toMatchObject({
      refusal: { hint: "permit would, but for tools t." },
    });
    const noTool = put({ facts: { verbs: ["put"], things: ["a"] }, named: ["tools"] });
    expect(await decideOn([onThings], [], [noTool])).toMatchObject({
      refusal: { hint: "permit would, but for tools." },
    });
  });
});

describe("what cannot be read", () => {
  const blind = access({ class: "administer", facts: { verbs: ["run"] }, opaque: true });

  test("needs a permit that allows it", async () => {
    expect(await decideOn([permitFor({ any: true })], [], [blind])).toMatchObject({
      kind: "deny",
      rules: [],
      refusal: {
        code: "not_understood",
        message: "this cannot be read, and no rule permits on box what cannot be read",
        hint: "Write it so that it can be read, or ask for a permit with allowOpaque.",
      },
    });
    expect((await decideOn([EVERYTHING], [], [blind])).kind).toBe("permit");
    expect((await decideOn([permitFor({ tiny: { things: ["a"] } }, { allowOpaque: true })], [], [blind])).kind).toBe(
      "deny",
    );
  });

  test.each<WrittenRule["action"]>([
    { tiny: { verbs: ["drop"] } },
    { tiny: { things: ["x"], wide: true } },
    { classes: ["read"] },
    { classes: ["administer"] },
  ])("is denied by every guard that it could touch: %p", async (action) => {
    expect(await decideOn([EVERYTHING], [guardOn(action)], [blind])).toMatchObject({
      rules: ["guard"],
      refusal: {
        code: "not_understood",
        message: "this cannot be read, so guard may apply: Not here.",
        hint: "What cannot be read counts as able to do anything.",
      },
    });
  });

  test("is denied for sure by what is known of it", async () => {
    expect(await decideOn([EVERYTHING], [guardOn({ tiny: { verbs: ["run"] } })], [blind])).toMatchObject({
      refusal: { code: "denied", message: "Not here." },
    });
  });

  test("is not touched by a guard of another protocol, subject or target", async () => {
    const elsewhere = [
      guardOn({ other: {} }),
      guardOn({ any: true }, { id: "g2", subject: { kinds: ["agent"] } }),
      guardOn({ any: true }, { id: "g3", target: { names: ["bag"] } }),
    ];
    expect((await decideOn([EVERYTHING], elsewhere, [blind])).kind).toBe("permit");
  });

  test("is there when the adapter says only that it did not understand", async () => {
    const index = await indexOf([[permitFor({ any: true })]], []);
    expect(decide(index, ann, operation(ann, [read({})], false), NOW)).toMatchObject({
      refusal: { code: "not_understood" },
    });
    expect(decide(index, ann, operation(ann, [read({})], true), NOW).kind).toBe("permit");
  });

  test("is what the adapter says it is, when it says so of some access", async () => {
    const within = permitFor({ tiny: { verbs: ["run"], things: ["a"] } }, { allowOpaque: true });
    const index = await indexOf([[within]], []);
    const known = { ...blind, facts: { verbs: ["run"], things: ["a"] } };
    expect(decide(index, ann, operation(ann, [known], false), NOW).kind).toBe("permit");
    const plain = read({ verbs: ["run"], things: ["a"] });
    expect(decide(index, ann, operation(ann, [plain, known], false), NOW).kind).toBe("permit");
    expect(decide(index, ann, operation(ann, [plain], false), NOW).kind).toBe("deny");
  });

  test("an operation without accesses is not one that has nothing to permit", async () => {
    const index = await indexOf([[permitFor({ any: true })]], []);
    const empty = { ...operation(ann, [read({})]), accesses: [] as unknown as readonly [Access] };
    expect(decide(index, ann, empty, NOW)).toMatchObject({ kind: "deny", refusal: { code: "not_understood" } });
  });
});

describe("what belongs to every session", () => {
  const begin = access({ class: "connect", facts: { verbs: ["get"] }, ambient: true });

  test("needs only some permit on the target", async () => {
    const narrow = permitFor({ tiny: { things: ["a"] } });
    expect(await decideOn([narrow], [], [begin])).toMatchObject({ kind: "permit", rules: ["permit"] });
    expect((await decideOn([{ ...narrow, target: { names: ["bag"] } }], [], [begin])).kind).toBe("deny");
    expect((await decideOn([{ ...narrow, subject: { groups: ["devs"] } }], [], [begin])).kind).toBe("deny");
    expect((await decideOn([permitFor({ other: {} })], [], [begin])).kind).toBe("deny");
    expect((await decideOn([], [], [begin])).kind).toBe("deny");
  });

  test("is let through by a permit for where the session is, and by no other", async () => {
    const elsewhere = permitFor({ tiny: { rooms: ["q"], things: ["a"] } }, { id: "a-elsewhere" });
    const here = permitFor({ tiny: { rooms: ["r*"], verbs: ["put"] } }, { id: "b-here" });
    const within = (rooms: FactValue | typeof UNKNOWN): Access => ({ ...begin, facts: { ...begin.facts, rooms } });
    expect(await decideOn([elsewhere, here], [], [within(["r1"])])).toMatchObject({
      kind: "permit",
      rules: ["b-here"],
    });
    expect(await decideOn([elsewhere], [], [within(["r1"])])).toMatchObject({
      kind: "deny",
      refusal: { message: "no rule permits get on r1", hint: "a-elsewhere would, but for rooms r1." },
    });
    expect((await decideOn([elsewhere], [], [within(UNKNOWN)])).kind).toBe("deny");
    expect((await decideOn([elsewhere], [], [within([])])).kind).toBe("deny");
    expect((await decideOn([elsewhere], [], [within(["q", "r1"])])).kind).toBe("deny");
    // What the access does not say of the session, no permit has to cover.
    expect((await decideOn([elsewhere], [], [begin])).kind).toBe("permit");
    // One block must cover it; that another permit carries the rest of the operation is not enough.
    const carried = read({ rooms: ["q"], things: ["a"] });
    expect((await decideOn([elsewhere], [], [carried, within(["r1"])])).kind).toBe("deny");
    const eitherBlock = permitFor([{ tiny: { rooms: ["q"] } }, { tiny: { rooms: ["r1"], verbs: ["put"] } }]);
    expect((await decideOn([eitherBlock], [], [within(["r1"])])).kind).toBe("permit");
    expect((await decideOn([eitherBlock], [], [within(["q", "r1"])])).kind).toBe("deny");
  });

  test("is not what a refusal speaks of when it is permitted", async () => {
    const permits = [permitFor({ tiny: { rooms: ["r"], things: ["a"] } })];
    const always = read({ rooms: ["r"] }, { ambient: true });
    const decision = await decideOn(permits, [], [always, read({ rooms: ["r"], verbs: ["get"], things: ["b"] })]);
    expect(decision).toMatchObject({ refusal: { message: "no rule permits get on b" } });
  });

  test("is still denied by guards, and does not make the opaque ordinary", async () => {
    expect((await decideOn([EVERYTHING], [guardOn({ classes: ["connect"] })], [begin])).kind).toBe("deny");
    expect((await decideOn([permitFor({ any: true })], [], [{ ...begin, opaque: true }])).kind).toBe("deny");
  });

  test("names the permits that carried something, else the first by id", async () => {
    const permits = [
      permitFor({ tiny: { things: ["a"] } }, { id: "pa" }),
      permitFor({ tiny: { things: ["b"] } }, { id: "pb" }),
    ];
    expect(await decideOn(permits, [], [begin, read({ things: ["b"] })])).toMatchObject({ rules: ["pb"] });
    expect(await decideOn(permits, [], [begin])).toMatchObject({ rules: ["pa"] });
  });
});

describe("a session opens", () => {
  const connect = access({ class: "connect", facts: { rooms: ["r"], verbs: ["get"] } });

  test.each<[string, WrittenRule[], WrittenRule[], boolean]>([
    ["when some permit could match", [permitFor({ tiny: { things: ["a"] } })], [], true],
    ["not without a permit", [], [], false],
    ["when some permit is for that room", [permitFor({ tiny: { rooms: ["r"], things: ["a"] } })], [], true],
    ["not in another room than the permit's", [permitFor({ tiny: { rooms: ["q"] } })], [], false],
    [
      "in the room of any of its blocks",
      [permitFor([{ other: {} }, { tiny: { rooms: ["q"] } }, { tiny: { rooms: ["*"], verbs: ["put"] } }])],
      [],
      true,
    ],
    ["not for another's permit", [permitFor({ any: true }, { subject: { kinds: ["agent"] } })], [], false],
    [
      "not after the permit has ended",
      [permitFor({ any: true }, { validUntil: new Date(NOW).toISOString() })],
      [],
      false,
    ],
    ["not against a deny on connect", [EVERYTHING], [guardOn({ classes: ["connect"] })], false],
    ["though something else is denied", [EVERYTHING], [guardOn({ classes: ["write"] })], true],
  ])("%s", async (_, permits, guards, expected) => {
    const index = await indexOf([permits], [guards]);
    expect(mayConnect(index, ann, operation(ann, [connect]), NOW).kind).toBe(expected ? "permit" : "deny");
  });
});

describe("validity", () => {
  test("begins at validFrom and ends before validUntil, and its edges are told", async () => {
    const from = NOW + 1000;
    const until = NOW + 5000;
    const rule = permitFor(
      { any: true },
      { validFrom: new Date(from).toISOString(), validUntil: new Date(until).toISOString() },
    );
    const index = await indexOf([[rule]], []);
    const at = (now: number) => decide(index, ann, operation(ann, [read({})]), now).kind;
    expect([from - 1, from, until - 1, until].map(at)).toEqual(["deny", "permit", "permit", "deny"]);
    expect([NOW, from, until - 1, until].map((now) => index.nextEdge(now))).toEqual([from, until, until, Infinity]);
  });

  test("with a clock that gives no number permits that have a time end and guards that have one hold", async () => {
    const past = new Date(NOW - 1000).toISOString();
    const future = new Date(NOW + 1000).toISOString();
    for (const times of [{ validFrom: past }, { validUntil: future }, { validUntil: past }]) {
      const permits = [permitFor({ any: true }, times)];
      expect((await decideOn(permits, [], [read({})], ann, Number.NaN)).kind).toBe("deny");
      const guards = [guardOn({ any: true }, times)];
      expect((await decideOn([EVERYTHING], guards, [read({})], ann, Number.NaN)).rules).toEqual(["guard"]);
    }
    expect((await decideOn([EVERYTHING], [], [read({})], ann, Number.NaN)).kind).toBe("permit");
  });
});

describe("a refusal says", () => {
  test("what no rule permits, and which rule nearly did", async () => {
    const permits = [permitFor({ tiny: { verbs: ["get"], things: ["a"], parts: ["a.x", "a.y"] } })];
    const parts = (...names: string[]) => [read({ verbs: ["get"], things: ["a"], parts: names })] as const;
    expect(await decideOn(permits, [], parts("a.x", "a.q"))).toMatchObject({
      rules: [],
      refusal: {
        code: "denied",
        event: "",
        message: "no rule permits get on a",
        hint: "permit would, but for parts a.q.",
      },
    });
    expect(await decideOn(permits, [], parts("1", "2", "3", "4", "5"))).toMatchObject({
      refusal: { hint: "permit would, but for parts 1, 2, 3 and 2 more." },
    });
    expect(await decideOn(permits, [], [read({ verbs: ["put"], things: ["b"] })])).toMatchObject({
      refusal: { message: "no rule permits put on b", hint: "" },
    });
    expect(await decideOn(permits, [], [read({ verbs: ["get"], things: UNKNOWN })])).toMatchObject({
      refusal: { message: "no rule permits get on unknown things" },
    });
    expect(await decideOn(permits, [], [access({ class: "forward", facts: {} })])).toMatchObject({
      refusal: { message: "no rule permits forward" },
    });
    // A permit of another class is not near.
    const writes = permitFor({ classes: ["write"], tiny: { verbs: ["get"], things: ["a"], parts: ["a.x"] } });
    expect(await decideOn([writes], [], parts("a.q"))).toMatchObject({ refusal: { hint: "" } });
    const reads = permitFor({ classes: ["read"], tiny: { verbs: ["get"], things: ["a"], parts: ["a.x"] } });
    expect(await decideOn([reads], [], parts("a.q"))).toMatchObject({
      refusal: { hint: "permit would, but for parts a.q." },
    });
  });

  describe("the nearest of several misses:", () => {
    const asked = read({ rooms: ["r"], verbs: ["get"], things: ["a"], parts: ["a.x", "a.q"], wide: false });
    type Keys = NonNullable<WrittenBlock["tiny"]>;
    test.each<[string, readonly Keys[], string]>([
      [
        "that of which most keys match",
        [{ verbs: ["get"], things: ["b"] }, { things: ["b"] }, { verbs: ["get"], things: ["a"], parts: ["a.x"] }],
        "p2 would, but for parts a.q.",
      ],
      [
        "where the session is counts for nothing",
        [
          { rooms: ["r"], verbs: ["get"], things: ["b"] },
          { verbs: ["get"], things: ["a"], parts: ["a.x"] },
        ],
        "p1 would, but for parts a.q.",
      ],
      [
        "of as many keys, the one about the same thing",
        [
          { verbs: ["get"], things: ["b"], parts: ["**"] },
          { verbs: ["get"], things: ["a"], parts: ["a.x"] },
          { verbs: ["get"], things: ["b"], wide: false },
        ],
        "p1 would, but for parts a.q.",
      ],
      [
        "another verb on the same thing, not the same verb on another",
        [
          { verbs: ["get"], things: ["b"] },
          { verbs: ["put"], things: ["a"] },
        ],
        "p1 would, but for verbs get.",
      ],
      [
        "the one that lacks fewer names",
        [
          { verbs: ["get"], things: ["a"], parts: ["a.z"] },
          { verbs: ["get"], things: ["a"], parts: ["a.q"] },
        ],
        "p1 would, but for parts a.x.",
      ],
      [
        "of equals, the first by id",
        [
          { verbs: ["get"], things: ["a"], parts: ["a.y"] },
          { verbs: ["get"], things: ["a"], parts: ["a.z"] },
        ],
        "p0 would, but for parts a.x, a.q.",
      ],
      ["none that misses two keys", [{ rooms: ["r"], verbs: ["put"], things: ["a"], parts: ["a.y"], wide: false }], ""],
    ])("%s", async (_, keys, hint) => {
      const permits = keys.map((tiny, at) => permitFor({ tiny }, { id: `p${at}` }));
      for (const files of [[permits], [permits.toReversed()], permits.toReversed().map((permit) => [permit])]) {
        const decision = decide(await indexOf(files, []), ann, operation(ann, [asked]), NOW);
        expect(decision).toMatchObject({ kind: "deny", refusal: { hint } });
      }
    });

    test("is not looked for through a whole large set", async () => {
      const far = { verbs: ["get"], things: ["b"] };
      const near = { verbs: ["get"], things: ["a"], parts: ["a.x"] };
      const permits = [far, far, near].map((tiny, at) => permitFor({ tiny }, { id: `p${at}` }));
      const parts = (count: number) => Array.from({ length: count }, (_, at) => `a.${at}`);
      const few = await decideOn(permits, [], [read({ verbs: ["get"], things: ["a"], parts: parts(100) })]);
      expect(few).toMatchObject({ refusal: { hint: "p2 would, but for parts a.0, a.1, a.2 and 97 more." } });
      // So many names are compared with no more than the first permits.
      const many = await decideOn(permits, [], [read({ verbs: ["get"], things: ["b", "a"], parts: parts(10_000) })]);
      expect(many).toMatchObject({ refusal: { hint: "p0 would, but for things a." } });
    });
  });

  test("who has no permit at all", async () => {
    expect(
      await decideOn([permitFor({ any: true }, { subject: { kinds: ["human"] } })], [], [read({})], bot),
    ).toMatchObject({
      refusal: { message: "no rule permits anything on box to bot (agent)" },
    });
  });

  test("the guard's own sentence, surest first, with every guard that applies", async () => {
    const guards: WrittenRule[] = [
      guardOn({ tiny: { things: ["x"] } }, { id: "a-unsure", deny: "Unsure." }),
      guardOn({ tiny: { verbs: ["put"] } }, { id: "b-sure", deny: "Sure." }),
    ];
    const put = read({ verbs: ["put"], things: UNKNOWN });
    expect(await decideOn([EVERYTHING], guards, [put])).toMatchObject({
      rules: ["a-unsure", "b-sure"],
      refusal: { code: "denied", message: "Sure.", rules: ["a-unsure", "b-sure"] },
    });
    expect(await decideOn([EVERYTHING], guards.slice(0, 1), [put])).toMatchObject({
      refusal: {
        code: "denied",
        message: "Unsure.",
        hint: "a-unsure looks at something that is not known here, so it applies.",
      },
    });
  });

  test("no more of a hostile name than fits a line", async () => {
    const name = `a\nb\u001b[2J\u0085${"x".repeat(500)}\ud800`;
    const decision = await decideOn(
      [permitFor({ tiny: { verbs: ["put"] } })],
      [],
      [read({ verbs: ["get"], things: [name] })],
    );
    if (decision.kind !== "deny") throw new Error("was permitted");
    expect(decision.refusal.message).toBe(`no rule permits get on a\ufffdb\ufffd[2J\ufffd${"x".repeat(92)}...`);
  });
});

describe("a refusal tells of a permit that would do", () => {
  const asleep = permitFor(
    { tiny: { things: ["a"] } },
    { id: "asleep", activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } } },
  );
  const daily = permitFor({ tiny: { things: ["b"] } }, { id: "daily", window: "$day" });
  const other = permitFor({ tiny: { things: ["c"] } });
  const hintFor = async (permits: readonly WrittenRule[], things: string, now = NOW) => {
    const decision = await decideOn(permits, [], [read({ things: [things] })], ann, now);
    return decision.kind === "deny" ? decision.refusal.hint : decision.kind;
  };

  test("once it is granted", async () => {
    expect(await hintFor([asleep], "a")).toBe("asleep would, once it is granted to you.");
    expect(await hintFor([asleep, other], "a")).toBe("asleep would, once it is granted to you.");
    expect(await hintFor([asleep], "x")).toBe("");
  });

  test("in its time", async () => {
    expect(await hintFor([daily], "b")).toContain("daily would, in its time: ");
    expect(await hintFor([daily, other], "b")).toContain("08:00-18:00");
    expect(await hintFor([daily], "b", NOW + 9 * 3_600_000)).toBe("permit");
  });

  test("in its time, and not of one that is over or has not begun", async () => {
    const over = permitFor({ tiny: { things: ["b"] } }, { id: "over", validUntil: new Date(NOW - 1).toISOString() });
    const begins = permitFor({ tiny: { things: ["b"] } }, { id: "begins", validFrom: new Date(NOW + 1).toISOString() });
    expect(await hintFor([over, begins], "b")).toBe("");
    expect(await hintFor([over, begins, daily], "b")).toContain("daily would, in its time: ");
  });

  test("and rather of that than of one that misses something", async () => {
    const near = permitFor({ tiny: { things: ["x"] } }, { id: "near" });
    expect(await hintFor([near, asleep], "a")).toBe("asleep would, once it is granted to you.");
    expect(await hintFor([near, asleep], "y")).toBe("near would, but for things y.");
  });

  test("also for opening a session", async () => {
    const index = await indexOf([[asleep]], []);
    const connect = operation(ann, [access({ class: "connect", facts: {} })]);
    expect(mayConnect(index, ann, connect, NOW)).toMatchObject({
      refusal: {
        message: "no rule permits anything on box to ann (human)",
        hint: "asleep would, once it is granted to you.",
      },
    });
  });
});

describe("where something must be masked and it cannot be said how,", () => {
  const guard: WrittenRule = {
    id: "guard",
    action: { tiny: { columns: ["a.*"] } },
    oblige: { mask: [{ with: "redact" }] },
  };

  test("columns that are not known are not shown", async () => {
    const unknown = read({ columns: UNKNOWN });
    expect(await decideOn([EVERYTHING], [{ ...guard, contact: "the DPO" }], [unknown])).toMatchObject({
      kind: "deny",
      rules: ["guard"],
      refusal: {
        code: "denied",
        message: "it is not known which columns this reads, so what guard masks cannot be masked",
        hint: "Check the names of the columns: one of them is not known. Ask the DPO.",
      },
    });
    const blind = read({ columns: ["b.x"] }, { opaque: true });
    expect(await decideOn([EVERYTHING], [guard], [blind])).toMatchObject({
      rules: ["guard"],
      refusal: { code: "not_understood", message: "this cannot be read, so what guard masks cannot be masked" },
    });
    const unread: WrittenRule = { ...guard, except: [{ unread: true, reason: "So." }] };
    expect((await decideOn([EVERYTHING], [unread], [blind])).kind).toBe("permit");
  });

  test("a column that no mask of the rule covers is a fault of the policy", async () => {
    const index = await indexOf([[EVERYTHING]], [[guard]]);
    // Such a set does not load; the engine does not rely on it.
    const narrow = changed(index, (rules) =>
      rules.map((rule): Rule => {
        if (rule.effect === "permit" || rule.consequence.kind !== "oblige") return rule;
        const masks = rule.consequence.obligations.masks.map((mask) =>
          Object.assign({}, mask, { columns: new NameList(["a.x"]) }),
        );
        return { ...rule, consequence: { kind: "oblige", obligations: { ...rule.consequence.obligations, masks } } };
      }),
    );
    const on = (...columns: string[]) => decide(narrow, ann, operation(ann, [read({ columns })]), NOW);
    expect(on("a.x").kind).toBe("permit");
    expect(on("a.x", "a.y\n")).toMatchObject({
      kind: "deny",
      rules: ["guard"],
      refusal: {
        code: "internal",
        message: "guard matches the column a.y\ufffd, and none of its masks covers it",
        hint: "This is a fault of the policy.",
      },
    });
  });

  test("a permit does not carry it, and another one may", async () => {
    const masking = permitFor({ tiny: { things: ["a"] } }, { obligations: { mask: [{ with: "hash" }] } });
    const unknown = read({ things: ["a"], columns: UNKNOWN });
    expect((await decideOn([masking], [], [unknown])).kind).toBe("deny");
    expect(await decideOn([masking, EVERYTHING], [], [unknown])).toMatchObject({ kind: "permit", rules: ["all"] });
  });
});

test("sessions with the same rules and other exceptions are kept apart", async () => {
  const guard = guardOn({ any: true }, { except: [{ subject: { names: ["bot"], kinds: ["agent"] }, reason: "So." }] });
  const index = await indexOf([[EVERYTHING]], [[guard]]);
  const on = (within: Session) => decide(index, within, operation(within, [read({})]), NOW).kind;
  expect([on(ann), on(bot), on(ann), on(bot)]).toEqual(["deny", "permit", "deny", "permit"]);
});

test("an exception that wants a grant for a permit that needs none lifts nothing", async () => {
  const sleeper = permitFor(
    { any: true },
    { id: "sleeper", activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } } },
  );
  const guard = guardOn({ any: true }, { except: [{ grant: "sleeper", reason: "So." }] });
  const index = await indexOf([[EVERYTHING, sleeper]], [[guard]]);
  // Such a set does not load; the engine does not rely on it.
  const standing = changed(index, (rules) =>
    rules.map((rule): Rule => (rule.effect === "permit" ? { ...rule, activation: null } : rule)),
  );
  expect(decide(standing, ann, operation(ann, [read({})]), NOW)).toMatchObject({ kind: "deny", rules: ["guard"] });
});

test("the end of an exception is an edge too", async () => {
  const until = NOW + 500;
  const except = [{ unread: true as const, validUntil: new Date(until).toISOString(), reason: "So." }];
  const index = await indexOf([[EVERYTHING]], [[guardOn({ any: true }, { except })]]);
  expect(index.nextEdge(NOW)).toBe(until);
  expect(index.nextEdge(until)).toBe(Infinity);
});

test("a condition on the time makes a decision volatile, and so does an answer that was used", async () => {
  const timed = permitFor(
    { any: true },
    { condition: "now > timestamp('2027-01-01T00:00:00Z') && subject.name != 'yes'" },
  );
  expect((await decideOn([timed], [], [read({})])).volatile).toBe(true);
  expect((await decideOn([EVERYTHING], [], [read({})])).volatile).toBeUndefined();
  const guard: WrittenRule = { id: "guard", action: { any: true }, require: { stepUp: "mfa" } };
  const index = await indexOf([[EVERYTHING]], [[guard]]);
  const asked = operation(ann, [read({})]);
  expect(decide(index, ann, asked, NOW)).toMatchObject({ kind: "ask", requirements: [{ kind: "stepUp" }] });
  expect(decide(index, ann, asked, NOW).volatile).toBeUndefined();
  expect(decide(index, ann, asked, NOW, { ...NOTHING_GIVEN, steppedUp: true })).toMatchObject({
    kind: "permit",
    rules: ["all", "guard"],
    volatile: true,
  });
});

test("equal decisions are the same object, so that others can cache by it", async () => {
  const index = await indexOf(
    [[permitFor({ tiny: { things: ["a"] } }, { id: "pa" }), permitFor({ tiny: { things: ["b"] } }, { id: "pb" })]],
    [],
  );
  const both = operation(ann, [read({ things: ["a"] }), read({ things: ["b"] })]);
  expect(decide(index, ann, both, NOW)).toBe(
    decide(index, ann, { ...both, accesses: both.accesses.toReversed() as never }, NOW),
  );
  const one = operation(ann, [read({ things: ["a"] })]);
  expect(decide(index, ann, one, NOW)).toBe(decide(index, bot, operation(bot, one.accesses), NOW));
});

test("also with what guards require, oblige and observe, and by the columns that are masked", async () => {
  const permits = [permitFor({ any: true }, { obligations: { limit: { rows: 5 } } })];
  const guards = [
    guardOn({ any: true }, { id: "g1", mode: "observe" }),
    { id: "g2", action: { any: true }, require: { confirm: "owner" } },
    { id: "g3", action: { tiny: { columns: ["a.*"] } }, oblige: { mask: [{ with: "hash" }] } },
  ] satisfies WrittenRule[];
  const index = await indexOf([permits], [guards]);
  const on = (...columns: string[]) => decide(index, ann, operation(ann, [read({ columns })]), NOW);
  expect(on("a.x")).toMatchObject({
    kind: "ask",
    rules: ["g2", "g3", "permit"],
    observed: ["g1"],
    obligations: { limit: { rows: 5 }, mask: { columns: { "a.x": { with: "hash" } }, predicates: "masked" } },
  });
  expect(on("a.x")).toBe(on("a.x"));
  expect(on("a.y")).not.toBe(on("a.x"));
  expect(on("b.x")).toBe(on("c.x"));
});
