/** Who a rule is about, and how surely a guard touches what cannot be read: part by part, the least sure counts. */
import { describe, expect, test } from "bun:test";
import { access, identity } from "../../../test/policy-sets.ts";
import { indexOf } from "../../../test/policy-world.ts";
import type { WrittenAction, WrittenSubject } from "../../../test/policy-world.ts";
import type { Access } from "../../core/operation.ts";
import { blockTouches, MAYBE, NO, YES } from "./match.ts";
import type { Verdict } from "./match.ts";
import { subjectMatches } from "./rule.ts";

describe("a guard's block touches an access", () => {
  const opaque = (facts: Access["facts"]): Access => access({ class: "administer", facts, opaque: true });
  test.each<[string, WrittenAction, Access, Verdict]>([
    [
      "that is read, by its class and keys",
      { classes: ["read"], tiny: { things: ["a"] } },
      access({ facts: { things: ["a"] } }),
      YES,
    ],
    [
      "not of another class, whatever its keys",
      { classes: ["write"], tiny: { things: ["a"] } },
      access({ facts: { things: ["a"] } }),
      NO,
    ],
    [
      "not for the second key alone",
      { tiny: { rooms: ["r"], things: ["a"] } },
      access({ facts: { rooms: ["q"], things: ["a"] } }),
      NO,
    ],
    [
      "not for the first key alone",
      { tiny: { rooms: ["r"], things: ["a"] } },
      access({ facts: { rooms: ["r"], things: ["b"] } }),
      NO,
    ],
    [
      "maybe, of any class, when it is opaque",
      { classes: ["administer"], tiny: { things: ["a"] } },
      opaque({ things: ["a"] }),
      MAYBE,
    ],
    [
      "maybe, when one key is known and another is not",
      { tiny: { rooms: ["r"], things: ["a"] } },
      opaque({ things: ["a"] }),
      MAYBE,
    ],
    [
      "maybe, when one key is known and a later one is not",
      { tiny: { rooms: ["r"], things: ["a"] } },
      opaque({ rooms: ["r"] }),
      MAYBE,
    ],
    [
      "for sure, when all keys are known",
      { tiny: { rooms: ["r"], things: ["a"] } },
      opaque({ rooms: ["r"], things: ["a"] }),
      YES,
    ],
  ])("%s", async (_, action, asked, verdict) => {
    const index = await indexOf([], [[{ id: "guard", action, deny: "No." }]]);
    const blocks = index.byId.get("guard")?.blocks.get("tiny") ?? [];
    expect(blocks.map((block) => blockTouches(block, asked))).toEqual([verdict]);
  });
});

describe("a rule is about a subject", () => {
  const annsBot = identity("agent", "bot", ["ops"], "ann");
  test.each<[string, WrittenSubject, boolean]>([
    ["of the owner", { owners: ["ann"] }, true],
    ["not of another owner", { owners: ["bob"] }, false],
    ["by all that is said", { names: ["b*"], groups: ["ops"], kinds: ["agent"], owners: ["a*"] }, true],
    ["not by another name", { names: ["c*"], groups: ["ops"], kinds: ["agent"], owners: ["a*"] }, false],
    ["not by another group", { names: ["b*"], groups: ["devs"], kinds: ["agent"], owners: ["a*"] }, false],
    ["not by another kind", { names: ["b*"], groups: ["ops"], kinds: ["service"], owners: ["a*"] }, false],
  ])("%s", async (_, subject, isIt) => {
    const index = await indexOf([], [[{ id: "guard", subject, action: { any: true }, deny: "No." }]]);
    const matcher = index.byId.get("guard")?.subject;
    if (matcher === undefined) throw new Error("the rule is not there");
    expect(subjectMatches(matcher, annsBot)).toBe(isIt);
  });

  test("not of no owner, for whoever has none is in no list of owners", async () => {
    const index = await indexOf(
      [],
      [[{ id: "guard", subject: { owners: ["*"] }, action: { any: true }, deny: "No." }]],
    );
    const matcher = index.byId.get("guard")?.subject;
    if (matcher === undefined) throw new Error("the rule is not there");
    expect(subjectMatches(matcher, annsBot)).toBe(true);
    expect(subjectMatches(matcher, identity("agent", "bot", ["ops"]))).toBe(false);
  });
});
