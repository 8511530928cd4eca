/** Approvals that nobody can give, and those that somebody can. */
import { describe, expect, test } from "bun:test";
import { permit, warningsOf } from "../../../test/policy-yard.ts";
import type { Written } from "../../../test/policy-yard.ts";

describe("NO_APPROVER", () => {
  const missing = async (from: Written, more: Written = {}) => {
    const require = { approval: { from, count: 1 } };
    const found = await warningsOf({ guards: [{ id: "g", action: { any: true }, require, ...more }] }, "NO_APPROVER");
    return found;
  };

  test("only those who ask", async () => {
    const subject = { names: ["ann", "eve"] };
    expect(await missing({ subjects: ["ann"] }, { subject })).toEqual([
      "g wants an approval that ann cannot get: those who ask do not count. Name more people, or a group",
    ]);
    expect(await missing({ subjects: ["ann", "bob"] }, { subject })).toEqual([]);
    expect(await missing({ subjects: ["bob"] }, { subject })).toEqual([]);
    expect(await missing({ subjects: ["ann"] }, { subject: { names: ["a*"] } })).toEqual([]);
  });

  test("only the owner of the agent that asks", async () => {
    expect(await missing({ subjects: ["ann"] }, { subject: { owners: ["ann"], kinds: ["agent"] } })).toHaveLength(1);
  });

  test("of a permit that sleeps", async () => {
    const activation = {
      maxDuration: "1h",
      requirements: { approval: { from: { subjects: ["ann", "bob"] }, count: 2 } },
    };
    const subject = { names: ["bob"] };
    expect(await warningsOf({ permits: [permit({ any: true }, { activation, subject })] }, "NO_APPROVER")).toEqual([
      "p wants 2 approvals that bob cannot get: those who ask do not count. Name more people, or a group",
    ]);
  });

  test("what needs no approval is not told of", async () => {
    const ann = { subject: { names: ["ann"] } };
    expect(await missing({ subjects: ["ann"] }, { ...ann, require: { justification: {} } })).toEqual([]);
    expect(await missing({ subjects: ["ann"] }, { ...ann, require: undefined, deny: "No." })).toEqual([]);
    const activation = { maxDuration: "1h", requirements: { justification: {} } };
    const permits = [permit({ any: true }, { activation, ...ann }), permit({ any: true }, { id: "q", ...ann })];
    expect(await warningsOf({ permits }, "NO_APPROVER")).toEqual([]);
  });

  test("who is in a group is not known", async () => {
    expect(await missing({ groups: ["ops"], subjects: ["ann"] }, { subject: { names: ["ann"] } })).toEqual([]);
  });
});
