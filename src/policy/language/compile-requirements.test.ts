/** Requirements and activation as authors write them, and what is told of those that nobody could meet. */
import { describe, expect, test } from "bun:test";
import { guardOf, oneRule, permitOf, problemsOf } from "../../../test/policy-problems.ts";
import { setOf } from "../../../test/policy-sets.ts";

const ACTION = "action: { classes: [define] }";
const PERMIT = ["subject: { kinds: [human] }", "target: { names: [box] }", "action: { tiny: { verbs: [get] } }"];

async function requirementsOf(line: string, policy = ""): Promise<readonly object[]> {
  const head = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\n";
  const guard = await guardOf([ACTION, `require: ${line}`], { "policy.yaml": head + policy });
  if (guard.consequence.kind !== "require") throw new Error("the guard requires nothing");
  return guard.consequence.requirements;
}

describe("requirements", () => {
  test("of each kind", async () => {
    const written =
      "{ confirm: owner, stepUp: mfa, justification: { pattern: $ticket }, " +
      "approval: { from: { groups: [ops, devs], subjects: [$mine, zoe] }, count: 2, within: 30m, validFor: 1h, uses: 3, distinctFrom: [ops] } }";
    expect(await requirementsOf(written)).toEqual([
      {
        kind: "approval",
        rules: ["one"],
        from: { groups: ["7f3c", "ops"], subjects: ["my.a", "my.b", "zoe"] },
        count: 2,
        withinMs: 1_800_000,
        validForMs: 3_600_000,
        uses: 3,
        distinctFrom: ["ops"],
      },
      { kind: "justification", rules: ["one"], pattern: "ticket" },
      { kind: "stepUp", rules: ["one"], method: "mfa" },
      { kind: "confirm", rules: ["one"], by: "owner" },
    ]);
    expect(await requirementsOf("{ justification: {} }")).toEqual([
      { kind: "justification", rules: ["one"], pattern: null },
    ]);
  });

  test("may name the people who approve, and then no group does", async () => {
    expect(await requirementsOf("{ approval: { from: { subjects: [zoe, ann, zoe] } } }")).toMatchObject([
      { kind: "approval", from: { groups: [], subjects: ["ann", "zoe"] } },
    ]);
  });

  test("take from policy.yaml what they do not say", async () => {
    const times = { kind: "approval", rules: ["one"], from: { groups: ["ops"], subjects: [] }, distinctFrom: [] };
    const written = "{ approval: { from: { groups: [ops] }, count: 4 } }";
    expect(await requirementsOf(written)).toEqual([
      { ...times, count: 4, withinMs: 1_800_000, validForMs: 900_000, uses: 1 },
    ]);
    expect(await requirementsOf(written, "approval: { count: 2, within: 2h, uses: 5 }")).toEqual([
      { ...times, count: 4, withinMs: 7_200_000, validForMs: 900_000, uses: 5 },
    ]);
    expect(
      await requirementsOf("{ approval: { from: { groups: [ops] } } }", "approval: { count: 2, validFor: 1m }"),
    ).toEqual([{ ...times, count: 2, withinMs: 1_800_000, validForMs: 60_000, uses: 1 }]);
  });

  test.each([
    ["{}", "6:14 error BAD_VALUE this requires nothing. Write approval, justification, stepUp or confirm"],
    ["{ approval: { count: 2 } }", '6:16 error MISSING_KEY the key "from" is missing. Write from: { groups: [...] }'],
    ["{ approval: { from: {} } }", "6:34 error BAD_VALUE nobody may approve. Write from: { groups: [...] }"],
    [
      "{ approval: { from: { groups: [opz] } } }",
      '6:45 error UNKNOWN_GROUP there is no group "opz". Did you mean "ops"?',
    ],
    [
      "{ approval: { from: { subjects: [a*] } } }",
      "6:47 error BAD_VALUE who may approve is written out. Use a group instead of a glob",
    ],
    [
      "{ approval: { from: { subjects: [ann] }, count: 2 } }",
      "6:62 error BAD_VALUE 2 people must approve, and only 1 may",
    ],
    [
      "{ approval: { from: { groups: [ops] }, within: soon } }",
      '6:61 error BAD_VALUE "soon" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    ["{ approval: { from: { groups: [ops] }, uses: 0 } }", "6:59 error BAD_VALUE 0 is too small: it is at least 1"],
    [
      "{ justification: { pattern: ticket } }",
      '6:42 error UNKNOWN_PATTERN "ticket" is not the name of a pattern. Did you mean "$ticket"?',
    ],
    ["{ justification: true }", "6:31 error WRONG_TYPE expected a map, not true"],
    ["{ stepUp: otp }", '6:24 error BAD_VALUE this must be "mfa"'],
  ])("%s", async (written, expected) => {
    const files = setOf({ "guards/a.yaml": oneRule("Guards", [ACTION, `require: ${written}`]) });
    expect(await problemsOf(files)).toEqual([`guards/a.yaml:${expected}`]);
  });

  test("defaults that are none are told in policy.yaml", async () => {
    const policy = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\napproval: { within: 5 min, cuont: 1 }\n";
    expect(await problemsOf(setOf({ "policy.yaml": policy }))).toEqual([
      'policy.yaml:4:21 error BAD_VALUE "5 min" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
      'policy.yaml:4:28 error UNKNOWN_KEY "cuont" is not a key here. Did you mean "count"?',
    ]);
  });
});

describe("activation", () => {
  test("puts a permit to sleep until its requirements are met", async () => {
    const lines = ["activation: { maxDuration: 4h, requirements: { stepUp: mfa } }"];
    expect((await permitOf([...PERMIT, ...lines])).activation).toEqual({
      maxDurationMs: 14_400_000,
      requirements: [{ kind: "stepUp", rules: ["one"], method: "mfa" }],
    });
    expect((await permitOf(PERMIT)).activation).toBeNull();
  });

  test.each([
    [
      "{ requirements: { stepUp: mfa } }",
      '8:5 error MISSING_KEY the key "maxDuration" is missing. Write maxDuration: and a duration, such as 1h',
    ],
    [
      "{ maxDuration: 1h }",
      '8:5 error MISSING_KEY the key "requirements" is missing. Write requirements: { approval: { from: { groups: [...] } } }, or justification: {}',
    ],
    [
      "{ maxDuration: 1h, requirements: {} }",
      "8:50 error BAD_VALUE this requires nothing. Write approval, justification, stepUp or confirm",
    ],
  ])("%s", async (written, expected) => {
    const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, `activation: ${written}`]) });
    expect(await problemsOf(files)).toEqual([`permits/a.yaml:${expected}`]);
  });
});
