/** What guards deny of a permit, and what they must not be said to. */
import { describe, expect, test } from "bun:test";
import { guard, permit, warningsOf } from "../../../test/policy-yard.ts";
import type { Written } from "../../../test/policy-yard.ts";

describe("UNREACHABLE", () => {
  const unreachable = (one: Written, ...guards: readonly Written[]) =>
    warningsOf(
      { permits: [one], guards: guards.map((each, at) => Object.assign(each, { id: `g${at}` })) },
      "UNREACHABLE",
    );
  const yes = "p permits only what g0 denies. Remove it, or write an exception into the guard";

  const contained: readonly (readonly [what: string, permit: Written, guard: Written])[] = [
    ["the same", permit({ yard: { verbs: ["get"] } }), guard({ yard: { verbs: ["get"] } })],
    ["more verbs", permit({ yard: { verbs: ["get"] } }), guard({ yard: { verbs: ["get", "put"] } })],
    ["a key less", permit({ yard: { verbs: ["get"], things: ["a"] } }), guard({ yard: { things: ["a"] } })],
    ["a glob", permit({ yard: { things: ["s.a", "s.*"] } }), guard({ yard: { things: ["s.**"] } })],
    ["one glob of several", permit({ yard: { things: ["s.a"] } }), guard({ yard: { things: ["t.*", "s.*", "u.*"] } })],
    ["the class of a verb", permit({ yard: { verbs: ["drop"] } }), guard({ classes: ["define", "administer"] })],
    ["everything", permit({ any: true }), guard({ any: true })],
    ["everything, opaque too", permit({ any: true }, { allowOpaque: true }), guard({ any: true })],
    ["a flag", permit({ yard: { wide: true } }), guard({ yard: { wide: true } })],
    ["paths in another case", permit({ yard: { paths: ["/Etc/x"] } }), guard({ yard: { paths: ["/etc/*"] } })],
    ["hidden paths", permit({ yard: { paths: ["/data/.ssh/id"] } }), guard({ yard: { paths: ["/data/**"] } })],
    ["commands", permit({ yard: { argv: [["ls", "-l"]] } }), guard({ yard: { argv: [["ls", ["-l", "-a"]]] } })],
    ["words of commands", permit({ yard: { argv: [["ls", "x*"]] } }), guard({ yard: { argv: [["*", "*"]] } })],
    ["longer texts", permit({ yard: { says: ["Drop Table"] } }), guard({ yard: { says: ["drop"] } })],
    ["patterns", permit({ yard: { says: ["$secret"] } }), guard({ yard: { says: ["$secret", "x"] } })],
    [
      "fields",
      permit({ yard: { args: { Name: ["A"], other: ["b"] } } }),
      guard({ yard: { args: { name: ["a", "c"] } } }),
    ],
    ["fewer subjects", permit({ any: true }), guard({ any: true }, { subject: { groups: ["ops", "devs"] } })],
    [
      "everybody",
      permit({ any: true }, { subject: { any: true } }),
      guard({ any: true }, { subject: { kinds: ["human", "agent", "service"] } }),
    ],
    [
      "owners",
      permit({ any: true }, { subject: { owners: ["eva"] } }),
      guard({ any: true }, { subject: { owners: ["e*"] } }),
    ],
    ["a window", permit({ any: true }, { window: "$office" }), guard({ any: true }, { window: "$office" })],
    [
      "longer validity",
      permit({ any: true }, { validUntil: "2030-01-01T00:00:00Z" }),
      guard({ any: true }, { validUntil: "2031-01-01T00:00:00Z" }),
    ],
    [
      "a condition",
      permit({ yard: {} }, { condition: "access.wide" }),
      guard({ yard: {} }, { target: { names: ["box", "bag"] }, condition: "access.wide" }),
    ],
    [
      "an exception for agents",
      permit({ any: true }),
      guard({ any: true }, { except: [{ subject: { kinds: ["agent"] }, reason: "x" }] }),
    ],
    [
      "an exception elsewhere",
      permit({ any: true }, { target: { names: ["box"] } }),
      guard({ any: true }, { except: [{ target: { names: ["bag"] }, reason: "x" }] }),
    ],
    [
      "an exception for the unread",
      permit({ any: true }),
      guard({ any: true }, { except: [{ unread: true, reason: "x" }] }),
    ],
    [
      "an exception that is over",
      permit({ any: true }, { validFrom: "2029-01-01T00:00:00Z" }),
      guard({ any: true }, { except: [{ subject: { any: true }, validUntil: "2028-01-01T00:00:00Z", reason: "x" }] }),
    ],
  ];
  for (const [what, one, other] of contained) {
    test(`denied: ${what}`, async () => expect(await unreachable(one, other)).toEqual([yes]));
  }

  const left: readonly (readonly [what: string, permit: Written, guard: Written])[] = [
    ["one verb more", permit({ yard: { verbs: ["get", "put"] } }), guard({ yard: { verbs: ["get"] } })],
    [
      "a key that may be absent",
      permit({ yard: { verbs: ["get"] } }),
      guard({ yard: { verbs: ["get"], things: ["a"] } }),
    ],
    ["any class", permit({ yard: { things: ["a"] } }), guard({ classes: ["read"] })],
    ["names in another case", permit({ yard: { things: ["A"] } }), guard({ yard: { things: ["a"] } })],
    ["another class", permit({ yard: { verbs: ["get", "drop"] } }), guard({ classes: ["read"] })],
    ["a narrower glob", permit({ yard: { things: ["s.**"] } }), guard({ yard: { things: ["s.*"] } })],
    ["other subjects", permit({ any: true }), guard({ any: true }, { subject: { groups: ["devs"] } })],
    [
      "some kinds",
      permit({ any: true }, { subject: { kinds: ["agent", "human"] } }),
      guard({ any: true }, { subject: { kinds: ["agent"] } }),
    ],
    ["other names", permit({ any: true }), guard({ any: true }, { subject: { names: ["ann"] } })],
    ["other owners", permit({ any: true }), guard({ any: true }, { subject: { owners: ["eva"] } })],
    [
      "names that fold by what is around them",
      permit({ yard: { paths: ["/Σ*"] } }),
      guard({ yard: { paths: ["/Σ*"] } }),
    ],
    [
      "fields that fall together",
      permit({ yard: { args: { n: ["a"] } } }),
      guard({ yard: { args: { n: ["a"], N: ["b"] } } }),
    ],
    ["some targets", permit({ any: true }), guard({ any: true }, { target: { labels: { env: ["prod"] } } })],
    ["another window", permit({ any: true }), guard({ any: true }, { window: "$office" })],
    ["a shorter validity", permit({ any: true }), guard({ any: true }, { validUntil: "2031-01-01T00:00:00Z" })],
    ["a later start", permit({ any: true }), guard({ any: true }, { validFrom: "2031-01-01T00:00:00Z" })],
    ["a condition", permit({ yard: {} }), guard({ yard: {} }, { condition: "access.wide" })],
    ["only observed", permit({ any: true }), guard({ any: true }, { mode: "observe" })],
    [
      "an exception",
      permit({ any: true }),
      guard({ any: true }, { except: [{ subject: { any: true }, reason: "x" }] }),
    ],
    [
      "an exception for the unread that is opaque",
      permit({ classes: ["read"] }, { allowOpaque: true }),
      guard({ classes: ["read"] }, { except: [{ unread: true, reason: "x" }] }),
    ],
    ["another flag", permit({ yard: { wide: true } }), guard({ yard: { wide: false } })],
    ["an option", permit({ yard: { argv: [["ls", "-l"]] } }), guard({ yard: { argv: [["ls", "*"]] } })],
    ["a longer command", permit({ yard: { argv: [["ls"]] } }), guard({ yard: { argv: [["ls", "*"]] } })],
    ["shorter texts", permit({ yard: { says: ["dro"] } }), guard({ yard: { says: ["drop"] } })],
    ["texts that fold by what is around them", permit({ yard: { says: ["ΑΣ"] } }), guard({ yard: { says: ["ΑΣ"] } })],
    [
      "a field that may be absent",
      permit({ yard: { args: { other: ["b"] } } }),
      guard({ yard: { args: { name: ["a"] } } }),
    ],
    [
      "another value of a field",
      permit({ yard: { args: { name: ["a", "b"] } } }),
      guard({ yard: { args: { name: ["a"] } } }),
    ],
    ["another protocol", permit({ any: true }), guard({ yard: {} })],
  ];
  for (const [what, one, other] of left) {
    test(`something is left: ${what}`, async () => expect(await unreachable(one, other)).toEqual([]));
  }

  test("requirements and obligations deny nothing", async () => {
    const require = { id: "g", action: { any: true }, require: { stepUp: "mfa" } };
    const oblige = { id: "h", action: { any: true }, oblige: { limit: { rows: 1 } } };
    expect(await warningsOf({ permits: [permit({ any: true })], guards: [require, oblige] }, "UNREACHABLE")).toEqual(
      [],
    );
  });

  test("several guards together, value by value and target by target", async () => {
    const one = permit({ yard: { verbs: ["get", "put"], things: ["a"] } });
    const [get, put] = [guard({ yard: { verbs: ["get"] } }), guard({ yard: { verbs: ["put"] } })];
    expect(await unreachable(one, get, put)).toEqual([yes.replace("g0 denies", "g0, g1 deny")]);
    expect(await unreachable(one, get)).toEqual([]);
    const [prod, rest] = [
      guard({ any: true }, { target: { labels: { env: ["prod"] } } }),
      guard({ yard: {} }, { target: { names: ["bag"] } }),
    ];
    expect(await unreachable(one, prod, rest)).toEqual([yes.replace("g0 denies", "g0, g1 deny")]);
  });

  test("protocol by protocol", async () => {
    const [inYard, inShed] = [
      guard({ yard: {} }, { target: { names: ["box", "bag"] } }),
      guard({ shed: {} }, { target: { names: ["hut"] } }),
    ];
    expect(await unreachable(permit({ any: true }), inYard, inShed)).toEqual([yes.replace("g0 denies", "g0, g1 deny")]);
    expect(await unreachable(permit({ any: true }), inYard)).toEqual([]);
  });

  test("not value by value where there are too many", async () => {
    const of = (count: number) => {
      const things = Array.from({ length: count }, (_, at) => `t${at}`);
      return unreachable(permit({ yard: { things } }), ...things.map((thing) => guard({ yard: { things: [thing] } })));
    };
    expect(await of(50)).toHaveLength(1);
    expect(await of(51)).toEqual([]);
  });

  test("every block must be denied", async () => {
    const blocks = [{ yard: { verbs: ["get"] } }, { yard: { things: ["a"] } }];
    expect(await unreachable(permit(blocks), guard({ yard: { verbs: ["get"] } }))).toEqual([]);
    expect(await unreachable(permit(blocks), guard(blocks))).toEqual([yes]);
  });

  test("without known targets they are compared as they are written", async () => {
    const of = (target: unknown, guardTarget: unknown) =>
      warningsOf(
        {
          knowsTargets: false,
          permits: [permit({ any: true }, { target })],
          guards: [guard({ any: true }, guardTarget === null ? {} : { target: guardTarget })],
        },
        "UNREACHABLE",
      );
    expect(await of({ names: ["x"] }, null)).toHaveLength(1);
    expect(await of({ names: ["x"] }, { names: ["x", "y"] })).toHaveLength(1);
    expect(await of({ names: ["x"] }, { names: ["y"] })).toEqual([]);
    expect(await of({ any: true }, { names: ["x"] })).toEqual([]);
    expect(await of({ labels: { env: ["prod"] } }, { labels: { env: ["prod", "test"] } })).toHaveLength(1);
    expect(await of({ labels: { env: ["prod"] } }, { labels: { env: ["test"] } })).toEqual([]);
  });
});
