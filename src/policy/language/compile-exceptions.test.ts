/** Exceptions of guards as authors write them, what a guard must say, and which grants there are. */
import { describe, expect, test } from "bun:test";
import { guardOf, loadGood, oneRule, problemsOf } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";

const ACTION = "action: { tiny: { verbs: [drop] } }";
const DENY = "deny: No.";
const SLEEPING = rulesFile(
  "Permits",
  "  - id: clear\n    subject: { kinds: [human] }\n    target: { any: true }\n    action: { any: true }\n" +
    "    activation: { maxDuration: 1h, requirements: { stepUp: mfa } }\n" +
    "  - id: awake\n    subject: { kinds: [human] }\n    target: { any: true }\n    action: { any: true }\n",
);

async function exceptProblems(...exceptions: readonly string[]): Promise<readonly string[]> {
  const guard = oneRule("Guards", [ACTION, DENY, "except:", ...exceptions.map((each) => `  - ${each}`)]);
  return problemsOf(setOf({ "permits/p.yaml": SLEEPING, "guards/a.yaml": guard }));
}

describe("exceptions", () => {
  test("are as narrow as permits, and say nothing of what they leave out", async () => {
    const { except } = await guardOf(
      [
        ACTION,
        DENY,
        "except:",
        "  - { subject: { names: [ann] }, target: { names: [box] }, reason: It is hers. }",
        '  - { action: { tiny: { things: [my.a] } }, grant: clear, validUntil: "2030-01-01T00:00:00Z", reason: " Agreed. " }',
        "  - { unread: true, reason: Nobody reads it. }",
      ],
      { "permits/p.yaml": SLEEPING },
    );
    const [first, second, third] = except;
    expect(first).toMatchObject({ name: null, blocks: null, grant: null, unread: false, validUntilMs: Infinity });
    expect(first?.subject.kinds).toEqual(new Set(["human"]));
    expect(first?.target.names?.texts).toEqual(["box"]);
    expect(second).toMatchObject({ grant: "clear", validUntilMs: Date.UTC(2030, 0, 1), reason: "Agreed." });
    expect(second?.subject.kinds).toBeNull();
    expect(second?.blocks?.get("tiny")?.length).toBe(1);
    expect(second?.blocks?.get("other")).toEqual([]);
    expect(third).toMatchObject({ unread: true, reason: "Nobody reads it." });
  });

  test("of the vocabulary are the same wherever they are named", async () => {
    const { except } = await guardOf([ACTION, DENY, "except: [$drill]"]);
    expect(except).toMatchObject([{ name: "drill", reason: "A drill." }]);
    expect(except[0]?.subject.groups).toEqual(new Set(["ops"]));
  });

  test.each([
    ["$dril", '8:9 error UNKNOWN_EXCEPTION there is no exception "$dril". Did you mean "$drill"?'],
    ["drill", '8:9 error UNKNOWN_EXCEPTION "drill" is not the name of an exception. Did you mean "$drill"?'],
    [
      "{ subject: { groups: [ops] } }",
      '8:9 error MISSING_KEY the key "reason" is missing. Write reason: and why this is let through',
    ],
    ['{ unread: true, reason: " " }', "8:33 error BAD_VALUE the text is empty"],
    [
      "{ reason: Because. }",
      "8:9 error BAD_VALUE the exception is for everything. Write subject, target, action, grant, condition or unread: true; to let everything through, remove the guard",
    ],
    [
      "{ subject: { any: true, kinds: [agent] }, reason: x }",
      "8:20 error BAD_VALUE any: true stands alone, without names, groups, kinds or owners",
    ],
    [
      "{ target: { names: [bax] }, reason: x }",
      '8:29 error UNKNOWN_TARGET there is no target "bax". Did you mean "box"?',
    ],
    [
      "{ action: { tiny: { verbs: [gett] } }, reason: x }",
      '8:37 error BAD_VALUE "gett" is not one of verbs. Did you mean "get"?',
    ],
    [
      "{ grant: clean, reason: x }",
      '8:18 error UNKNOWN_GRANT there is no permit "clean" that a grant could be for. Did you mean "clear"?',
    ],
    [
      "{ grant: awake, reason: x }",
      '8:18 error UNKNOWN_GRANT "awake" needs no grant. Give it activation, or remove grant here',
    ],
    [
      "{ grant: one, reason: x }",
      '8:18 error UNKNOWN_GRANT "one" is a guard, and grants are for permits. There is clear',
    ],
    [
      "{ subject: { groups: [ops] }, validUntil: tomorrow, reason: x }",
      '8:51 error BAD_VALUE "tomorrow" is not an instant. Write it like "2027-06-30T00:00:00Z"',
    ],
    ["{ unread: yes, reason: x }", "8:19 error BAD_VALUE this must be true"],
    ["{ unred: true, reason: x }", '8:11 error UNKNOWN_KEY "unred" is not a key here. Did you mean "unread"?'],
  ])("%s", async (written, expected) => {
    expect((await exceptProblems(written))[0]).toBe(`guards/a.yaml:${expected}`);
  });

  test("of the vocabulary are checked where they are declared, used or not", async () => {
    const vocabulary =
      "apiVersion: weir.dev/v1\nkind: Vocabulary\nexceptions:\n" +
      "  used: { subject: { groups: [ops] }, reason: x }\n" +
      "  unused: { action: { tiny: { verbs: [gett] } }, grant: clean, reason: x }\n" +
      "  empty: { reason: x }\n" +
      "  cycle: $cycle\n";
    const problems = await problemsOf(
      setOf({
        "vocabulary.yaml": vocabulary.replace("  cycle: $cycle\n", ""),
        "permits/p.yaml": SLEEPING,
        "guards/a.yaml": oneRule("Guards", [ACTION, DENY, "except: [$used, $used]"]),
      }),
    );
    expect(problems.map((problem) => problem.split(". ", 1)[0] ?? "")).toEqual([
      'vocabulary.yaml:4:31 error UNKNOWN_GROUP there is no group "ops"',
      'vocabulary.yaml:5:39 error BAD_VALUE "gett" is not one of verbs',
      'vocabulary.yaml:5:57 error UNKNOWN_GRANT there is no permit "clean" that a grant could be for',
      "vocabulary.yaml:6:10 error BAD_VALUE the exception is for everything",
    ]);
    // An exception cannot name another one, so none can lead back to itself.
    expect(await problemsOf(setOf({ "vocabulary.yaml": vocabulary }))).toEqual([
      'vocabulary.yaml:7:10 error WRONG_TYPE expected a map, not "$cycle"',
    ]);
  });
});

describe("a guard", () => {
  test("denies, requires or obliges, and may only observe", async () => {
    expect((await guardOf([ACTION, DENY])).mode).toBe("enforce");
    expect((await guardOf([ACTION, DENY, "mode: observe"])).mode).toBe("observe");
    expect((await guardOf([ACTION, DENY])).consequence).toEqual({ kind: "deny", message: "No." });
    expect((await guardOf([ACTION, "oblige: { record: [input] }"])).consequence.kind).toBe("oblige");
  });

  test("says exactly one of them, and no default stands beside its own", async () => {
    const both = oneRule("Guards", [ACTION, DENY, "require: { stepUp: mfa }"]);
    expect(await problemsOf(setOf({ "guards/a.yaml": both }))).toEqual([
      "guards/a.yaml:7:5 error BAD_VALUE a guard says one of deny, require and oblige, and this one says deny and require. Write two guards",
    ]);
    const file = rulesFile("Guards", `  - id: one\n    ${ACTION}\n    oblige: { record: [input] }`, "{ deny: No. }");
    expect(await problemsOf(setOf({ "guards/a.yaml": file }))).toEqual([
      "guards/a.yaml:7:5 error BAD_VALUE a guard says one of deny, require and oblige, and this one says deny and oblige. Write two guards",
    ]);
  });

  test("has a mode that there is", async () => {
    const files = setOf({ "guards/a.yaml": oneRule("Guards", [ACTION, DENY, "mode: observed"]) });
    expect(await problemsOf(files)).toEqual([
      'guards/a.yaml:7:11 error BAD_VALUE "observed" is not a value here. Did you mean "observe"?',
    ]);
  });
});

test("a rule knows where it begins, and keeps what it tells people", async () => {
  const lines = ["description: What for.", "contact: ops", ACTION, DENY];
  expect(await guardOf(lines)).toMatchObject({
    line: 4,
    column: 5,
    file: "guards/a.yaml",
    description: "What for.",
    contact: "ops",
  });
  const { rules } = await loadGood(setOf({ "guards/a.yaml": oneRule("Guards", [ACTION, DENY]) }));
  expect(rules.map(({ description, contact }) => [description, contact])).toEqual([[null, null]]);
});
