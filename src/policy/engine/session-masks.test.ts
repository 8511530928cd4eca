/** What a session could have masked: which rules count, which exceptions lift, and what is joined. */
import { describe, expect, test } from "bun:test";
import { identity, NOW, session, TARGETS } from "../../../test/policy-sets.ts";
import { indexOf } from "../../../test/policy-world.ts";
import type { WrittenException, WrittenRule } from "../../../test/policy-world.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { AccessMask } from "../../core/ports.ts";
import type { RuleIndex } from "./index.ts";
import { sessionMasks, targetComparisons, targetTransforms } from "./session-masks.ts";

const ann = session(identity("human", "ann", ["ops"]));
const REDACT: AccessMask = { transform: { with: "redact" }, predicates: "masked" };
const HASH: AccessMask = { transform: { with: "hash" }, predicates: "masked" };
const ANY = { subject: { any: true }, target: { any: true } } as const;
const PAST = new Date(NOW - 1000).toISOString();
const FUTURE = new Date(NOW + 1000).toISOString();

function column(name: string, thing = "a"): Access {
  return {
    class: "read",
    facts: { rooms: ["r"], verbs: UNKNOWN, things: [thing], columns: [name], wide: UNKNOWN },
  };
}

/** Masks the column `a.x` by redacting it. */
function guard(more: Partial<WrittenRule> = {}): WrittenRule {
  return { id: "g", action: { tiny: { columns: ["a.x"] } }, oblige: { mask: [{ with: "redact" }] }, ...more };
}

function permit(more: Partial<WrittenRule> = {}): WrittenRule {
  return { id: "p", ...ANY, action: { any: true }, obligations: { mask: [{ with: "hash" }] }, ...more };
}

async function masksOf(
  guards: readonly WrittenRule[],
  permits: readonly WrittenRule[] = [],
  access = column("a.x"),
): Promise<AccessMask | null> {
  return maskOf(await indexOf([permits], [guards]), access);
}

function maskOf(index: RuleIndex, access: Access): AccessMask | null {
  return sessionMasks(index, ann, [access], NOW)[0] ?? null;
}

describe("a rule counts", () => {
  test.each<[string, WrittenRule]>([
    ["that will begin", guard({ validFrom: FUTURE })],
    ["that has not ended", guard({ validUntil: FUTURE })],
    ["outside of its window", guard({ window: "$day" })],
    ["whose condition does not hold", guard({ condition: "subject.name == 'no'" })],
    ["about another class", guard({ action: { classes: ["administer"], tiny: { columns: ["a.x"] } } })],
    ["about some verb", guard({ action: { tiny: { verbs: ["drop"], columns: ["a.x"] } } })],
    ["about some flag", guard({ action: { tiny: { wide: true, columns: ["a.x"] } } })],
    ["about anything", guard({ action: { any: true } })],
    ["about the thing", guard({ action: { tiny: { things: ["a"] } } })],
    [
      "with a named mask, through another column",
      guard({ action: { tiny: { columns: ["a.y"] } }, oblige: { mask: [{ columns: ["a.*"], with: "redact" }] } }),
    ],
  ])("%s", async (_, rule) => {
    expect(await masksOf([rule])).toEqual(REDACT);
  });

  test.each<[string, WrittenRule]>([
    ["that has ended", guard({ validUntil: PAST })],
    ["that ends now", guard({ validUntil: new Date(NOW).toISOString() })],
    ["that only observes", guard({ mode: "observe" })],
    ["about other columns", guard({ action: { tiny: { columns: ["a.y"] } } })],
    ["about another thing", guard({ action: { tiny: { things: ["b"], columns: ["a.x"] } } })],
    ["about what no column has", guard({ action: { tiny: { tools: ["t"], columns: ["a.x"] } } })],
    ["about another protocol", guard({ action: { other: {} } })],
    ["about others", guard({ subject: { groups: ["devs"] } })],
    ["about another target", guard({ target: { names: ["bag"] } })],
    ["that denies", guard({ action: { any: true }, deny: "No." })],
  ])("not: %s", async (_, { oblige, ...rule }) => {
    const written: WrittenRule = rule.deny === undefined && oblige !== undefined ? { ...rule, oblige } : rule;
    expect(await masksOf([written])).toBeNull();
  });

  test("a permit, by what it lists", async () => {
    expect(await masksOf([], [permit()])).toEqual(HASH);
    expect(await masksOf([], [permit({ action: { tiny: { verbs: ["get"], columns: ["a.x", "a.y"] } } })])).toEqual(
      HASH,
    );
    // It covers nothing in which a column stands that it does not list.
    const named = { mask: [{ columns: ["a.*"], with: "hash" as const }] };
    expect(await masksOf([], [permit({ action: { tiny: { columns: ["a.y"] } }, obligations: named })])).toBeNull();
    expect(await masksOf([], [permit({ action: { tiny: { tools: ["t"] } } })])).toBeNull();
    // It does not name tools, which may or may not be there.
    const unknownTool: Access = { ...column("a.x"), facts: { ...column("a.x").facts, tools: UNKNOWN } };
    const onThings = permit({ action: { tiny: { things: ["a"] } } });
    expect(await masksOf([], [onThings], unknownTool)).toEqual(HASH);
    const tool = { ...column("a.x"), facts: { ...column("a.x").facts, tools: ["t"] } };
    expect(await masksOf([], [onThings], tool)).toBeNull();
  });

  test("a permit that is asleep, for it may be woken", async () => {
    const activation = { maxDuration: "1h", requirements: { stepUp: "mfa" } } as const;
    expect(await masksOf([], [permit({ activation })])).toEqual(HASH);
  });
});

describe("an exception", () => {
  const lifting: Omit<WrittenException, "reason"> = { subject: { groups: ["ops"] } };
  const masksExcept = (exception: Omit<WrittenException, "reason">) =>
    masksOf([guard({ except: [{ ...exception, reason: "So." }] })]);

  test.each<[string, Omit<WrittenException, "reason">]>([
    ["for the subject", lifting],
    ["for the target", { subject: { any: true }, target: { names: ["box"] } }],
    ["for the thing", { ...lifting, action: { tiny: { things: ["a", "b"] } } }],
    ["for the room", { ...lifting, action: { tiny: { rooms: ["r"] } } }],
    ["for anything", { ...lifting, action: { any: true } }],
  ])("lifts: %s", async (_, exception) => {
    expect(await masksExcept(exception)).toBeNull();
  });

  test.each<[string, Omit<WrittenException, "reason">]>([
    ["for another", { subject: { groups: ["devs"] } }],
    ["for another thing", { ...lifting, action: { tiny: { things: ["b"] } } }],
    ["for some verbs", { ...lifting, action: { tiny: { verbs: ["get"] } } }],
    ["for a class", { ...lifting, action: { classes: ["read"], tiny: {} } }],
    // Another column beside it, and the exception does not cover the access.
    ["for the column", { ...lifting, action: { tiny: { columns: ["a.x"] } } }],
    ["that ends", { ...lifting, validUntil: FUTURE }],
    ["with a condition", { ...lifting, condition: "subject.name == 'yes'" }],
    ["for what is unread", { ...lifting, unread: true }],
  ])("does not: %s", async (_, exception) => {
    expect(await masksExcept(exception)).toEqual(REDACT);
  });
});

describe("a grant", () => {
  const sleeper = (more: Partial<WrittenRule> = {}): WrittenRule => ({
    ...permit({ id: "sleeper", activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } } }),
    obligations: { limit: { rows: 1 } },
    ...more,
  });
  const standing = permit();
  const excepting = guard({ except: [{ grant: "sleeper", reason: "So." }] });

  async function granted(guards: readonly WrittenRule[], permits: readonly WrittenRule[]): Promise<AccessMask | null> {
    const index = await indexOf([permits], [guards]);
    const rule = index.byId.get("sleeper");
    const ruleDigest = rule?.effect === "permit" ? rule.digest : "";
    const grant = { id: "1", rule: "sleeper", ruleDigest, issuer: "test", subject: "ann", expiresAtMs: NOW + 1000 };
    expect(maskOf(index, column("a.x"))).not.toBeNull();
    return sessionMasks(index, ann, [column("a.x")], NOW, { ...NOTHING_GIVEN, grants: [grant] })[0] ?? null;
  }

  test("wakes an exception and takes the place of standing permits", async () => {
    expect(await granted([excepting], [sleeper()])).toBeNull();
    expect(await granted([], [sleeper(), standing])).toBeNull();
  });

  test.each<[string, Partial<WrittenRule>]>([
    ["for a while of the day", { window: "$day" }],
    ["with a condition", { condition: "subject.name == 'yes'" }],
    ["for some time", { validUntil: FUTURE }],
    ["for some verbs", { action: { tiny: { verbs: ["get"] } } }],
    ["on another target", { target: { names: ["bag"] } }],
    ["for another", { subject: { groups: ["devs"] } }],
  ])("of a permit that does not hold for all: %s", async (_, more) => {
    expect(await granted([excepting], [sleeper(more)])).toEqual(REDACT);
    expect(await granted([], [sleeper(more), standing])).toEqual(HASH);
  });

  test("of a permit that does not name what must be named", async () => {
    const index = await indexOf([[sleeper(), standing]], []);
    const rule = index.byId.get("sleeper");
    const ruleDigest = rule?.effect === "permit" ? rule.digest : "";
    const grant = { id: "1", rule: "sleeper", ruleDigest, issuer: "test", subject: "ann", expiresAtMs: NOW + 1000 };
    const written = { ...column("a.x"), named: ["columns"] };
    expect(sessionMasks(index, ann, [written], NOW, { ...NOTHING_GIVEN, grants: [grant] })).toEqual([HASH]);
  });
});

describe("masks", () => {
  test("of several rules are joined, and so are predicates", async () => {
    const equality = guard({ id: "g1", oblige: { mask: [{ with: "redact", predicates: "equality" }] } });
    expect(await masksOf([equality])).toEqual({ ...REDACT, predicates: "equality" });
    expect(await masksOf([equality, guard()])).toEqual(REDACT);
    const hash = guard({ id: "g2", oblige: { mask: [{ with: "hash", predicates: "deny" }] } });
    expect(await masksOf([hash, equality])).toEqual({ ...REDACT, predicates: "deny" });
    const partial = (id: string, keepFirst: number, keepLast: number) =>
      guard({ id, oblige: { mask: [{ with: "partial", keepFirst, keepLast }] } });
    expect(await masksOf([partial("g3", 2, 1), partial("g4", 1, 4)])).toMatchObject({
      transform: { with: "partial", keepFirst: 1, keepLast: 1 },
    });
  });

  test("that name a column win within a rule", async () => {
    const mask = [{ columns: ["a.x"], with: "hash" as const }, { with: "redact" as const }];
    const rule = guard({ action: { tiny: { columns: ["a.*"] } }, oblige: { mask } });
    expect(await masksOf([rule])).toEqual(HASH);
    expect(await masksOf([rule], [], column("a.y"))).toEqual(REDACT);
  });

  test("for an access whose column is not known are all that could be", async () => {
    const { columns: _, ...facts } = column("a.x").facts;
    const rules = [guard(), guard({ id: "h", action: { tiny: { columns: ["b.y"] } } })];
    const unknown: Access = { class: "read", facts: { ...facts, columns: UNKNOWN } };
    expect(await masksOf(rules, [], unknown)).toEqual(REDACT);
  });

  test("of many accesses are as of each, with other facts in between", async () => {
    const index = await indexOf([], [[guard({ action: { tiny: { things: ["a"], columns: ["*.x"] } } })]]);
    const bare: Access = { class: "read", facts: { columns: ["a.x"] } };
    const without: Access = { class: "read", facts: { rooms: ["r"] } };
    const accesses = [column("a.x"), column("a.y"), column("b.x", "b"), bare, column("c.x"), without, bare];
    const masks = [REDACT, null, null, null, REDACT, null, null];
    expect(sessionMasks(index, ann, accesses, NOW)).toEqual(masks);
    expect(sessionMasks(index, ann, accesses.toReversed(), NOW)).toEqual(masks.toReversed());
    const one = { class: "read", facts: { things: ["a"], columns: ["a.x"] } } as const;
    const other = { class: "read", facts: { things: ["a"], tools: ["t"] } } as const;
    const tool = guard({ action: { tiny: { tools: ["t"] } }, oblige: { mask: [{ columns: ["a.x"], with: "hash" }] } });
    expect(sessionMasks(await indexOf([], [[tool]]), ann, [other, one], NOW)).toEqual([null, null]);
  });

  test("in any order, are masked as each is alone", async () => {
    const { facts } = column("a.x");
    const asked: readonly Access[] = [
      column("a.x"),
      column("a.x", "b"),
      { class: "read", facts },
      { class: "read", facts: { ...facts, things: ["a", "b"] } },
      { class: "read", facts: { ...facts, things: ["b", "a"] } },
      { class: "read", facts: { ...facts, things: [] } },
      { class: "read", facts: { ...facts, things: UNKNOWN } },
      { class: "read", facts: { ...facts, rooms: ["q"] } },
      { class: "read", facts: { ...facts, wide: true } },
      { class: "read", facts: { ...facts, wide: false } },
      { class: "read", facts: { ...facts, tools: ["t"] } },
      { class: "read", facts: { ...facts, tools: UNKNOWN } },
      { class: "read", facts: { columns: ["a.x"] } },
      { class: "read", facts: { things: ["a"], columns: ["a.x"] } },
      { class: "read", facts: { things: ["b"], columns: ["a.x"] } },
      { class: "read", facts: { rooms: ["r"], columns: ["a.x"] } },
      { ...column("a.x"), named: ["things"] },
    ];
    const keeping = (keepFirst: number, keepLast: number) => ({
      mask: [{ columns: ["a.*"], with: "partial" as const, keepFirst, keepLast }],
    });
    const on = (id: string, tiny: Record<string, string[]>, keepFirst: number, keepLast: number): WrittenRule =>
      guard({ id, action: { tiny }, oblige: keeping(keepFirst, keepLast) });
    const index = await indexOf(
      [[permit({ action: { tiny: { rooms: ["r"], things: ["a"] } }, obligations: keeping(5, 5) })]],
      [
        [
          on("g1", { things: ["a"] }, 8, 9),
          on("g2", { things: ["b"] }, 9, 8),
          on("g3", { rooms: ["q"] }, 4, 9),
          on("g4", { tools: ["t"] }, 9, 4),
        ],
      ],
    );
    const alone = asked.map((access) => maskOf(index, access));
    // They do differ.
    expect(new Set(alone.map((mask) => JSON.stringify(mask))).size).toBeGreaterThan(6);
    for (const [i, one] of asked.entries()) {
      for (const [j, other] of asked.entries()) {
        const together = sessionMasks(index, ann, [one, other], NOW);
        expect([i, j, ...together]).toEqual([i, j, alone[i] ?? null, alone[j] ?? null]);
      }
    }
  });

  test("where no rule masks, are not looked for", async () => {
    const index = await indexOf([[permit({ obligations: { limit: { rows: 1 } } })]], []);
    const untouchable = new Proxy(column("a.x"), {
      get: () => {
        throw new Error("it was looked at");
      },
    });
    expect(sessionMasks(index, ann, [untouchable, untouchable], NOW)).toEqual([null, null]);
    expect(sessionMasks(index, ann, [untouchable], NOW)).toEqual([null]);
  });
});

test("what anybody may compare on a target is what some rule says, whoever it is for and however often it is denied", async () => {
  const [box] = TARGETS;
  if (box === undefined) throw new Error("there is no target");
  const compared = async (rules: readonly WrittenRule[]): Promise<readonly boolean[]> =>
    targetComparisons(await indexOf([], [rules]), box, [column("a.x"), column("a.y")]);
  const equality = guard({
    id: "e",
    subject: { groups: ["devs"] },
    oblige: { mask: [{ with: "redact", predicates: "equality" }] },
  });
  expect(await compared([guard()])).toEqual([false, false]);
  expect(await compared([equality])).toEqual([true, false]);
  expect(
    await compared([equality, guard({ id: "d", oblige: { mask: [{ with: "redact", predicates: "deny" }] } })]),
  ).toEqual([true, false]);
});

describe("the transforms of a target", () => {
  const [box] = TARGETS;
  async function transformsOf(rules: readonly WrittenRule[]): Promise<readonly unknown[]> {
    if (box === undefined) throw new Error("there is no target");
    return targetTransforms(await indexOf([], [rules]), box, [column("a.x"), column("a.y")]);
  }
  const partial = (id: string, keepFirst: number, keepLast: number): WrittenRule =>
    guard({ id, oblige: { mask: [{ with: "partial", keepFirst, keepLast }] } });

  test("are of anybody's, and closed under joining", async () => {
    const others = guard({ subject: { groups: ["devs"] } });
    expect(await transformsOf([others])).toEqual([[{ with: "redact" }], []]);
    expect(await transformsOf([partial("g1", 0, 3), partial("g2", 2, 0), partial("g3", 1, 1)])).toEqual([
      [
        { with: "partial", keepFirst: 0, keepLast: 0 },
        { with: "partial", keepFirst: 0, keepLast: 1 },
        { with: "partial", keepFirst: 0, keepLast: 3 },
        { with: "partial", keepFirst: 1, keepLast: 0 },
        { with: "partial", keepFirst: 1, keepLast: 1 },
        { with: "partial", keepFirst: 2, keepLast: 0 },
      ],
      [],
    ]);
    const hash = guard({ id: "h", oblige: { mask: [{ with: "hash" }] } });
    expect(await transformsOf([hash, partial("g1", 0, 3)])).toEqual([
      [{ with: "hash" }, { with: "partial", keepFirst: 0, keepLast: 3 }, { with: "redact" }],
      [],
    ]);
  });

  test("are not those of another target, nor of what only observes", async () => {
    expect(await transformsOf([guard({ target: { names: ["bag"] } })])).toEqual([[], []]);
    expect(await transformsOf([guard({ mode: "observe" })])).toEqual([[], []]);
  });
});
