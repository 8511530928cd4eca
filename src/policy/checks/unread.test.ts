/** Guards that keep permits from what cannot be read, and those that do not. */
import { describe, expect, test } from "bun:test";
import { guard, permit, warningsOf } from "../../../test/policy-yard.ts";
import type { Written } from "../../../test/policy-yard.ts";

describe("BLOCKS_UNREAD", () => {
  const unread = (one: Written, other: Written) => warningsOf({ permits: [one], guards: [other] }, "BLOCKS_UNREAD");
  const shell = permit({ yard: {} }, { id: "shell", allowOpaque: true });
  const wiping = guard({ yard: { programs: ["rm"] } }, { id: "no-wiping" });
  const masking = (mask: Written, more: Written = {}): Written => ({
    id: "no-wiping",
    action: { yard: { columns: ["t.x"] } },
    oblige: { mask: [mask] },
    ...more,
  });
  const line =
    "no-wiping denies whatever cannot be read: programs are unknown there. It hits shell (permits/a.yaml:1). Add `except: [{ unread: true, reason: ... }]`?";

  test("a guard that could be about what is opaque", async () => {
    expect(await unread(shell, wiping)).toEqual([line]);
    expect(await unread(shell, guard({ classes: ["define"] }, { id: "no-wiping" }))).toEqual([
      line.replace("programs are", "the class is"),
    ]);
    expect(await unread(shell, masking({ with: "redact" }))).toEqual([line.replace("programs", "columns")]);
  });

  const not: readonly (readonly [what: string, permit: Written, guard: Written])[] = [
    ["nothing opaque is permitted", { ...shell, allowOpaque: false }, wiping],
    ["it denies everything", shell, guard({ yard: {} })],
    ["what it names is known of a session", shell, guard({ yard: { rooms: ["r"] } })],
    ["an exception lifts it", shell, { ...wiping, except: [{ unread: true, reason: "x" }] }],
    [
      "an exception lifts it for these people",
      shell,
      { ...wiping, except: [{ subject: { groups: ["ops", "devs"] }, reason: "x" }] },
    ],
    ["it is only observed", shell, { ...wiping, mode: "observe" }],
    ["it requires something", shell, { ...wiping, deny: undefined, require: { stepUp: "mfa" } }],
    ["it is about others", shell, { ...wiping, subject: { kinds: ["agent"] } }],
    ["it is about other groups", shell, { ...wiping, subject: { groups: ["devs"] } }],
    [
      "it is over before",
      { ...shell, validFrom: "2028-01-01T00:00:00Z" },
      { ...wiping, validUntil: "2028-01-01T00:00:00Z" },
    ],
    [
      "it comes after",
      { ...shell, validUntil: "2028-01-01T00:00:00Z" },
      { ...wiping, validFrom: "2028-01-01T00:00:00Z" },
    ],
    ["it is about other names", { ...shell, subject: { names: ["ann"] } }, { ...wiping, subject: { names: ["bob"] } }],
    [
      "it is about other owners",
      { ...shell, subject: { owners: ["ann"] } },
      { ...wiping, subject: { owners: ["b*"] } },
    ],
    ["masks are not about columns", shell, masking({ fields: ["card"], with: "redact" })],
    ["masks are only observed", shell, masking({ with: "redact" }, { mode: "observe" })],
    ["it is elsewhere", { ...shell, target: { names: ["bag"] } }, { ...wiping, target: { names: ["box"] } }],
    ["it is about another protocol", shell, guard({ shed: { things: ["a"] } })],
  ];
  for (const [what, one, other] of not) {
    test(`not when ${what}`, async () => expect(await unread(one, other)).toEqual([]));
  }

  test("an exception for others, or for less, does not help", async () => {
    for (const exception of [
      { subject: { groups: ["devs"] }, unread: true },
      { target: { names: ["bag"] }, unread: true },
      { action: { yard: { verbs: ["get"] } } },
      { unread: true, validUntil: "2030-01-01T00:00:00Z" },
      { unread: true, condition: "access.wide" },
    ]) {
      expect(await unread(shell, { ...wiping, except: [{ ...exception, reason: "x" }] })).toEqual([line]);
    }
  });

  test("an exception that wants a grant does not help those who have none", async () => {
    const sleeping = {
      id: "z",
      action: { any: true },
      activation: { maxDuration: "1h", requirements: { justification: {} } },
    };
    const except = [{ subject: { any: true }, grant: "z", reason: "x" }];
    const set = { permits: [shell, sleeping], guards: [{ ...wiping, except }] };
    expect(await warningsOf(set, "BLOCKS_UNREAD")).toEqual([line]);
  });

  test("names that globs stand for may be the same", async () => {
    const of = (one: string, other: string) =>
      unread({ ...shell, subject: { names: [one] } }, { ...wiping, subject: { names: [other] } });
    expect(await of("a*", "*n")).toEqual([line]);
    expect(await of("a*", "ann")).toEqual([line]);
    expect(await of("ann", "a*")).toEqual([line]);
    expect(await of("ann", "b*")).toEqual([]);
  });

  test("lists the first permits that it hits", async () => {
    const permits = ["a", "b", "c", "d", "e"].map((id) => permit({ yard: {} }, { id, allowOpaque: true }));
    const [told1] = await warningsOf({ permits, guards: [wiping] }, "BLOCKS_UNREAD");
    expect(told1).toContain("It hits a (permits/a.yaml:1), b (permits/a.yaml:1), c (permits/a.yaml:1) and 2 more");
  });
});
