/** Loading: every mistake is told with its place and a way out, all at once, and nothing is silently ignored. */
import { describe, expect, test } from "bun:test";
import { problemsOf } from "../../test/policy-problems.ts";
import { OTHER, rulesFile, setOf, TARGETS, TINY, withFolder } from "../../test/policy-sets.ts";
import type { Files } from "../../test/policy-sets.ts";
import { checkPolicies } from "./check.ts";
import { loadPolicies } from "./load.ts";

/** The problems of a set with one permit, whose keys after its id are these lines. */
async function permitProblems(...lines: readonly string[]): Promise<readonly string[]> {
  const rule = `  - id: one\n${lines.map((line) => `    ${line}\n`).join("")}`;
  return problemsOf(setOf({ "permits/a.yaml": rulesFile("Permits", rule) }));
}

const SUBJECT = "subject: { kinds: [human] }";
const TARGET = "target: { names: [box] }";
const ACTION = "action: { tiny: { verbs: [get] } }";

describe("a good set", () => {
  test("loads without a word", async () => {
    const files = setOf({
      "permits/a.yaml": rulesFile("Permits", `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`),
      "guards/deep/er/b.yaml": rulesFile(
        "Guards",
        `  - id: two\n    action: { tiny: { verbs: [drop] } }\n    deny: No.`,
      ),
      "README.md": "ignored",
      ".hidden/x.yaml": "ignored: too",
    });
    expect(await problemsOf(files)).toEqual([]);
  });

  test("may list names that are long enough, and globs that can be", async () => {
    const names = ["a.b", "a.b.c", "*.b", "a.*", "**", "a**", "**.b", "$mine"];
    const action = `action: ${JSON.stringify({ tiny: { parts: names } })}`;
    expect(await permitProblems(SUBJECT, TARGET, action)).toEqual([]);
  });

  test("takes what a rule lacks from the defaults, and only that", async () => {
    const files = setOf({
      "guards/a.yaml": rulesFile(
        "Guards",
        "  - id: one\n  - id: two\n    subject: { groups: [ops] }",
        "{ subject: { kinds: [agent], groups: [devs] }, action: { any: true }, deny: No. }",
      ),
    });
    await withFolder(files, async (dir) => {
      const { rules } = await loadPolicies(dir, [TINY, OTHER], TARGETS);
      // A key replaces the default whole: the kinds of the default are gone with its groups.
      expect(rules.map(({ id, subject: { kinds, groups } }) => [id, kinds, groups])).toEqual([
        ["one", new Set(["agent"]), new Set(["7f3c"])],
        ["two", null, new Set(["ops"])],
      ]);
    });
  });

  test("has a digest of its paths and contents, in whatever order they are found", async () => {
    const permit = rulesFile("Permits", `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`);
    const digest = (files: Files) =>
      withFolder(files, async (dir) => (await loadPolicies(dir, [TINY], TARGETS)).folder.digest);
    const first = await digest(setOf({ "permits/a.yaml": permit, "permits/b.yaml": "x" }));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await digest({ "permits/b.yaml": "x", "permits/a.yaml": permit, ...setOf({}) })).toBe(first);
    expect(await digest(setOf({ "permits/a.yaml": permit, "permits/c.yaml": "x" }))).not.toBe(first);
    expect(await digest(setOf({ "permits/a.yaml": `${permit} `, "permits/b.yaml": "x" }))).not.toBe(first);
  });
});

test("a permit for any subject is for agents and services too, and without kinds for people alone", async () => {
  const kindsOf = async (subject: string) => {
    const permit = rulesFile("Permits", `  - id: one\n    subject: ${subject}\n    ${TARGET}\n    ${ACTION}`);
    return withFolder(setOf({ "permits/a.yaml": permit }), async (dir) => {
      const { rules } = await loadPolicies(dir, [TINY, OTHER], TARGETS);
      return rules.map((rule) => rule.subject.kinds);
    });
  };
  expect(await kindsOf("{ any: true }")).toEqual([null]);
  expect(await kindsOf("{ groups: [ops] }")).toEqual([new Set(["human"])]);
  expect(await kindsOf("{ kinds: [agent, service] }")).toEqual([new Set(["agent", "service"])]);
});

test("the rules of a set are in the order of their ids, wherever they stand", async () => {
  const permit = (id: string): string => `  - id: ${id}\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`;
  const files = setOf({
    "permits/a.yaml": rulesFile("Permits", `${permit("d")}\n${permit("b")}`),
    "permits/b.yaml": rulesFile("Permits", `${permit("c")}\n${permit("a")}`),
  });
  await withFolder(files, async (dir) => {
    const { rules, canonical } = await loadPolicies(dir, [TINY, OTHER], TARGETS);
    expect(rules.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
    expect([...canonical.keys()]).toEqual(["a", "b", "c", "d"]);
  });
});

test("a set is checked as a whole when its rules are sound", async () => {
  const permit = `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`;
  const guard = "  - id: none\n    action: { tiny: { verbs: [get] } }\n    deny: No.";
  const files = { "permits/a.yaml": rulesFile("Permits", permit), "guards/a.yaml": rulesFile("Guards", guard) };
  const seen = await problemsOf(setOf(files));
  expect(seen.some((problem) => problem.includes("UNREACHABLE"))).toBe(true);
  const broken = await problemsOf(setOf({ ...files, "guards/b.yaml": rulesFile("Guards", "  - id: bad") }));
  expect(broken.some((problem) => problem.includes("UNREACHABLE"))).toBe(false);
});

test("a set has at most 10,000 rules", async () => {
  const guards = (from: number, count: number): string =>
    Array.from({ length: count }, (_, at) => `  - id: r${from + at}`).join("\n");
  const defaults = "{ action: { tiny: { verbs: [drop] } }, deny: No. }";
  const files = (extra: number): Files =>
    setOf({
      "permits/a.yaml": rulesFile("Permits", `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`),
      ...Object.fromEntries(
        Array.from({ length: 10 }, (_, at) => [
          `guards/g${at}.yaml`,
          rulesFile("Guards", guards(at * 1000, at === 9 ? 999 + extra : 1000), defaults),
        ]),
      ),
    });
  const isTooLarge = (problem: string): boolean => problem.includes("TOO_LARGE");
  expect((await problemsOf(files(0))).filter(isTooLarge)).toEqual([]);
  expect((await problemsOf(files(1))).filter(isTooLarge)).toHaveLength(1);
}, 240_000);

test("a set with an error has no rules at all", async () => {
  const permit = rulesFile("Permits", `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`);
  await withFolder(setOf({ "permits/a.yaml": permit, "guards/b.yaml": "x" }), async (dir) => {
    expect((await loadPolicies(dir, [TINY], TARGETS)).rules).toEqual([]);
  });
});

describe("a mistake is told with its place and a way out:", () => {
  test.each([
    [
      "an unknown key",
      [SUBJECT, TARGET, "action: { tiny: { verbz: [get] } }"],
      'permits/a.yaml:7:23 error UNKNOWN_KEY "verbz" is not a key here. Did you mean "verbs"?',
    ],
    [
      "a later key where it will never belong",
      ["subject: { kinds: [human], window: x }", TARGET, ACTION],
      'permits/a.yaml:5:32 error UNKNOWN_KEY "window" is not a key here. There is any, names, groups, kinds, owners',
    ],
    [
      "an unknown adapter",
      [SUBJECT, TARGET, "action: { tinny: { verbs: [get] } }"],
      'permits/a.yaml:7:15 error UNKNOWN_KEY "tinny" is not a key here. Did you mean "tiny"?',
    ],
    [
      "an unknown value",
      [SUBJECT, TARGET, "action: { tiny: { verbs: [get, gett] } }"],
      'permits/a.yaml:7:36 error BAD_VALUE "gett" is not one of verbs. Did you mean "get"?',
    ],
    [
      "a name too short to match",
      [SUBJECT, TARGET, "action: { tiny: { parts: [main.a, gear] } }"],
      'permits/a.yaml:7:39 error BAD_VALUE "gear" can never match: parts are thing.part. Did you mean "main.gear"?',
    ],
    [
      "a name that lacks its end",
      [SUBJECT, TARGET, "action: { tiny: { pieces: [main.gear] } }"],
      'permits/a.yaml:7:32 error BAD_VALUE "main.gear" can never match: pieces are thing.part.piece. Did you mean "main.gear.*"?',
    ],
    [
      "a name that lacks more than its beginning",
      [SUBJECT, TARGET, "action: { tiny: { pieces: [gear] } }"],
      'permits/a.yaml:7:32 error BAD_VALUE "gear" can never match: pieces are thing.part.piece. Write all of it, or "**.gear"',
    ],
    [
      "a glob too short to match",
      [SUBJECT, TARGET, 'action: { tiny: { parts: ["*"] } }'],
      'permits/a.yaml:7:31 error BAD_VALUE "*" can never match: parts are thing.part. Did you mean "main.*"?',
    ],
    [
      "the first of a set's names that are too short to match",
      [SUBJECT, TARGET, "action: { tiny: { pieces: ['**.x', $nested] } }"],
      'permits/a.yaml:7:40 error BAD_VALUE "my.a" (of "$nested") can never match: pieces are thing.part.piece. Did you mean "main.my.a"?',
    ],
    [
      "an unknown class",
      [SUBJECT, TARGET, "action: { classes: [reed] }"],
      'permits/a.yaml:7:25 error BAD_VALUE "reed" is not a value here. Did you mean "read"?',
    ],
    [
      "an unknown kind of subject",
      ["subject: { kinds: [robot] }", TARGET, ACTION],
      'permits/a.yaml:5:24 error BAD_VALUE "robot" is not a value here. There is human, agent, service',
    ],
    [
      "an unknown set",
      [SUBJECT, TARGET, "action: { tiny: { things: [$builtn] } }"],
      'permits/a.yaml:7:32 error UNKNOWN_SET there is no set "$builtn". Did you mean "$builtin"?',
    ],
    [
      "an adapter's set where there is no adapter",
      ["subject: { names: [$builtin] }", TARGET, ACTION],
      'permits/a.yaml:5:24 error UNKNOWN_SET there is no set "$builtin". There is $mine, $nested',
    ],
    [
      "an unknown target",
      [SUBJECT, "target: { names: [bax] }", ACTION],
      'permits/a.yaml:6:23 error UNKNOWN_TARGET there is no target "bax". Did you mean "box"?',
    ],
    [
      "an unknown label",
      [SUBJECT, "target: { labels: { evn: [prod] } }", ACTION],
      'permits/a.yaml:6:25 error UNKNOWN_LABEL there is no label "evn". Did you mean "env"?',
    ],
    [
      "an unknown group",
      ["subject: { groups: [opps] }", TARGET, ACTION],
      'permits/a.yaml:5:25 error UNKNOWN_GROUP there is no group "opps". Did you mean "ops"?',
    ],
    [
      "a group by the provider's id",
      ["subject: { groups: [7f3c] }", TARGET, ACTION],
      'permits/a.yaml:5:25 error UNKNOWN_GROUP there is no group "7f3c". There is ops, devs',
    ],
    [
      "a missing subject",
      [TARGET, ACTION],
      'permits/a.yaml:4:5 error MISSING_KEY "one" has no subject. A permit says to whom, such as subject: { groups: [...] }, or subject: { any: true }',
    ],
    [
      "a missing target",
      [SUBJECT, ACTION],
      'permits/a.yaml:4:5 error MISSING_KEY "one" has no target. A permit says where, such as target: { names: [...] }, or target: { any: true }',
    ],
    [
      "a missing action",
      [SUBJECT, TARGET],
      'permits/a.yaml:4:5 error MISSING_KEY "one" has no action. A permit says what, such as action: { classes: [read] }, or action: { any: true }',
    ],
    [
      "any beside something else",
      ["subject: { any: true, kinds: [agent] }", TARGET, ACTION],
      "permits/a.yaml:5:14 error BAD_VALUE any: true stands alone, without names, groups, kinds or owners",
    ],
    [
      "an empty subject",
      ["subject: {}", TARGET, ACTION],
      "permits/a.yaml:5:14 error BAD_VALUE this says nothing. Write any: true, or names, groups, kinds or owners",
    ],
    ...["subject: []", "subject: [a]", "subject: [{ kinds: [human] }]"].map((subject): [string, string[], string] => [
      `a list for a map: ${subject}`,
      [subject, TARGET, ACTION],
      "permits/a.yaml:5:14 error WRONG_TYPE expected a map, not a list",
    ]),
    [
      "an empty block",
      [SUBJECT, TARGET, "action: {}"],
      "permits/a.yaml:7:13 error BAD_VALUE the block says nothing. Write any: true for every operation",
    ],
    [
      "an empty list",
      [SUBJECT, TARGET, "action: { tiny: { verbs: [] } }"],
      "permits/a.yaml:7:30 error BAD_VALUE the list is empty. Write at least one item, or leave out the key",
    ],
    [
      "a name that is no text",
      [SUBJECT, TARGET, "action: { tiny: { things: [1] } }"],
      "permits/a.yaml:7:32 error WRONG_TYPE expected text, not 1. Quote it",
    ],
    [
      "a list that is none",
      [SUBJECT, TARGET, "action: { tiny: { things: my.a } }"],
      'permits/a.yaml:7:31 error WRONG_TYPE expected a list, not "my.a". Write [my.a]',
    ],
    [
      "a number for a list",
      [SUBJECT, TARGET, "action: { tiny: { things: 1 } }"],
      "permits/a.yaml:7:31 error WRONG_TYPE expected a list, not 1",
    ],
    [
      "a map for a list",
      [SUBJECT, TARGET, "action: { tiny: { things: { a: b } } }"],
      "permits/a.yaml:7:31 error WRONG_TYPE expected a list, not a map",
    ],
    [
      "nothing for a list",
      [SUBJECT, TARGET, "action: { tiny: { things: } }"],
      "permits/a.yaml:7:23 error WRONG_TYPE expected a list, not nothing",
    ],
    [
      "an action that is a word",
      [SUBJECT, TARGET, "action: any"],
      'permits/a.yaml:7:13 error WRONG_TYPE expected a map or a list, not "any". Write { any: true }',
    ],
    [
      "a flag that YAML reads as text",
      [SUBJECT, TARGET, ACTION, "allowOpaque: yes"],
      'permits/a.yaml:8:18 error WRONG_TYPE expected true or false, not "yes"',
    ],
    [
      "a date for an instant",
      [SUBJECT, TARGET, ACTION, "validUntil: 2027-06-30"],
      'permits/a.yaml:8:17 error BAD_VALUE "2027-06-30" is not an instant. Write it like "2027-06-30T00:00:00Z"',
    ],
    [
      "a rule that is never valid",
      [SUBJECT, TARGET, ACTION, 'validFrom: "2027-06-30T00:00:00Z"', 'validUntil: "2027-06-30T00:00:00Z"'],
      "permits/a.yaml:9:17 error BAD_VALUE validUntil is not after validFrom, so the rule is never valid",
    ],
    [
      "a contact that would break a line",
      [SUBJECT, TARGET, ACTION, 'contact: "a\\nb"'],
      "permits/a.yaml:8:14 error BAD_VALUE the text must be one line without control characters",
    ],
    [
      "a permit that denies",
      [SUBJECT, TARGET, ACTION, "deny: No."],
      'permits/a.yaml:8:5 error UNKNOWN_KEY "deny" is not a key here. There is id, description, contact, subject, target, action, condition, window, validFrom, validUntil, allowOpaque, activation, obligations',
    ],
  ])("%s", async (_, lines, expected) => {
    expect(await permitProblems(...lines)).toEqual([expected]);
  });

  test("a guard that does not say deny", async () => {
    const files = setOf({ "guards/a.yaml": rulesFile("Guards", `  - id: one\n    ${ACTION}`) });
    expect(await problemsOf(files)).toEqual([
      'guards/a.yaml:4:5 error MISSING_KEY "one" has no deny. A guard says deny: and a sentence for people, require: { approval: { from: { groups: [...] } } }, or oblige: { limit: { rows: 100 } }',
    ]);
  });

  test("a name that a rule cannot have, and one that another rule has", async () => {
    const rule = (id: string) => `  - id: ${id}\n    ${ACTION}\n    deny: No.\n`;
    const files = setOf({
      "guards/a.yaml": rulesFile("Guards", rule("same") + rule("Upper Case")),
      "guards/b.yaml": rulesFile("Guards", rule("same")),
    });
    expect(await problemsOf(files)).toEqual([
      'guards/a.yaml:7:9 error BAD_VALUE "Upper Case" cannot name a rule. Use lower-case letters, digits and hyphens, at most 64',
      'guards/b.yaml:4:9 error DUPLICATE_ID the id "same" is taken by guards/a.yaml:4',
    ]);
  });

  test("everything that is wrong anywhere is told at once", async () => {
    const files = setOf({
      "permits/a.yaml": rulesFile(
        "Permits",
        `  - id: one\n    subject: { kindz: [human], grups: [ops] }\n    target: { names: [bax] }\n    ${ACTION}\n` +
          `  - id: two\n    ${SUBJECT}\n    target: box\n    ${ACTION}\n` +
          `  - id: three\n    ${SUBJECT}\n    ${TARGET}\n    action: { tiny: { verbs: [gut] } }\n`,
      ),
      "guards/b.yaml": "a: [",
      "vocabulary.yml": "",
    });
    expect((await problemsOf(files)).map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "guards/b.yaml:1:5 error SYNTAX",
      "permits/a.yaml:5:16 error UNKNOWN_KEY",
      "permits/a.yaml:5:32 error UNKNOWN_KEY",
      "permits/a.yaml:6:23 error UNKNOWN_TARGET",
      "permits/a.yaml:10:13 error WRONG_TYPE",
      "permits/a.yaml:15:31 error BAD_VALUE",
      "vocabulary.yml error WRONG_FOLDER",
    ]);
  });
});

describe("the other files of a set:", () => {
  test("policy.yaml must be there, with a time zone that exists", async () => {
    expect(await problemsOf({ "permits/a.yaml": "x: 1" })).toEqual([
      ". error MISSING_KEY there is no policy.yaml in the policy folder. Add one with apiVersion: weir.dev/v1, kind: PolicySet and a name",
      'permits/a.yaml:1:1 error MISSING_KEY the key "kind" is missing. Here it is kind: Permits',
    ]);
    const files = { "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\ntimeZone: Mars/Olympus\n" };
    expect(await problemsOf(files)).toEqual([
      'policy.yaml:4:11 error BAD_VALUE there is no time zone "Mars/Olympus". Write an IANA name such as Europe/Berlin, or UTC',
    ]);
  });

  test("another version of the language is refused", async () => {
    expect(await problemsOf({ "policy.yaml": "apiVersion: weir.dev/v2\nkind: PolicySet\nname: x\n" })).toEqual([
      'policy.yaml:1:13 error BAD_VALUE this must be "weir.dev/v1"',
    ]);
  });

  test("a kind in the wrong place is refused", async () => {
    const permit = rulesFile("Permits", `  - id: one\n    ${SUBJECT}\n    ${TARGET}\n    ${ACTION}`);
    const files = setOf({
      "guards/a.yaml": permit,
      "other/b.yaml": permit,
      "permits/c.yaml": "kind: Permit",
      "catalog/d.yaml": "",
    });
    expect(await problemsOf(files)).toEqual([
      "catalog/d.yaml error WRONG_FOLDER no policy file belongs here. Policy files are policy.yaml, vocabulary.yaml, permits/, guards/, tests/",
      "guards/a.yaml:2:7 error WRONG_FOLDER a file of kind Permits does not belong here. Its place is permits/, and here it is kind: Guards",
      "other/b.yaml error WRONG_FOLDER no policy file belongs here. Policy files are policy.yaml, vocabulary.yaml, permits/, guards/, tests/",
      'permits/c.yaml:1:7 error BAD_VALUE there is no such kind of file. Did you mean "Permits"?',
    ]);
  });

  test("of a file in the wrong place, and of one without rules, nothing else is told", async () => {
    const broken = rulesFile("Permits", "  - id: one\n    subject: { groups: [nobody] }");
    const head = "apiVersion: weir.dev/v1\nkind: Permits\n";
    const files = setOf({
      "guards/a.yaml": broken,
      "permits/b.yaml": "kind: 5",
      "permits/c.yaml": "kind: [Permits]",
      "permits/d.yaml": `${head}rules:\n`,
      "permits/e.yaml": "",
    });
    expect(await problemsOf(files)).toEqual([
      "guards/a.yaml:2:7 error WRONG_FOLDER a file of kind Permits does not belong here. Its place is permits/, and here it is kind: Guards",
      "permits/b.yaml:1:7 error BAD_VALUE there is no such kind of file. There is PolicySet, Vocabulary, Permits, Guards, Tests",
      "permits/c.yaml:1:7 error BAD_VALUE there is no such kind of file. There is PolicySet, Vocabulary, Permits, Guards, Tests",
      "permits/d.yaml:3:1 error WRONG_TYPE expected a list, not nothing. Write rules: and below it a list, each item with - id: and a name for the rule",
      "permits/e.yaml:1:1 error SYNTAX the file is empty. It begins with apiVersion: weir.dev/v1 and kind: Permits",
    ]);
  });

  test("sets are checked where they are declared", async () => {
    const vocabulary = `apiVersion: weir.dev/v1
kind: Vocabulary
sets:
  builtin: [a]
  round: [$about]
  about: [$round]
  Bad Name: [a]
  lost: [$nowhere]
`;
    expect(await problemsOf(setOf({ "vocabulary.yaml": vocabulary }))).toEqual(
      [
        'vocabulary.yaml:4:3 error BAD_VALUE the set "$builtin" is built in. Choose another name',
        'vocabulary.yaml:5:11 error BAD_VALUE the set "$about" contains itself',
        'vocabulary.yaml:6:11 error BAD_VALUE the set "$round" contains itself',
        'vocabulary.yaml:7:3 error BAD_VALUE "Bad Name" cannot name a set. Use lower-case letters, digits and hyphens, at most 64',
        'vocabulary.yaml:8:10 error UNKNOWN_SET there is no set "$nowhere". There is $Bad Name, $about, $builtin, $lost, $round',
      ].toSorted((a, b) => Number(a.split(":")[1]) - Number(b.split(":")[1])),
    );
  });

  test("labels of targets are held to what the vocabulary allows", async () => {
    const vocabulary = `apiVersion: weir.dev/v1
kind: Vocabulary
labels:
  env: { values: [prod, live] }
  site: { values: [north], required: true }
`;
    expect(await problemsOf(setOf({ "vocabulary.yaml": vocabulary }))).toEqual([
      'vocabulary.yaml:4:3 error TARGET_LABELS the target "bag" has env: "test", which is not an allowed value. There is prod, live',
      'vocabulary.yaml:5:3 error TARGET_LABELS the target "bag" lacks the label "site", which is required',
      'vocabulary.yaml:5:3 error TARGET_LABELS the target "box" lacks the label "site", which is required',
      'vocabulary.yaml:5:3 error TARGET_LABELS the target "far" lacks the label "site", which is required',
    ]);
  });
});

describe("warnings:", () => {
  test.each([
    [
      ["subject: { any: true }", TARGET, ACTION],
      "permits/a.yaml:5:5 warning PERMIT_FOR_ANY_SUBJECT one permits something to anybody, agents included. Name groups, or kinds such as [human]",
    ],
    [
      ["subject: { kinds: [agent] }", TARGET, ACTION],
      'permits/a.yaml:4:5 warning AGENT_PERMIT_WITHOUT_END one permits something to agents for ever. Add validUntil, such as validUntil: "2030-12-31T00:00:00Z"',
    ],
    [
      [SUBJECT, 'target: { names: ["x*"] }', ACTION],
      "permits/a.yaml:6:5 warning MATCHES_NOTHING one matches none of the targets",
    ],
    [
      [SUBJECT, "target: { names: [box], labels: { env: [test] } }", ACTION],
      "permits/a.yaml:6:5 warning MATCHES_NOTHING one matches none of the targets",
    ],
  ])("%p", async (lines, expected) => {
    expect(await permitProblems(...lines)).toEqual([expected]);
  });

  test("none for agents until some day, nor for groups of people", async () => {
    expect(
      await permitProblems("subject: { kinds: [agent] }", TARGET, ACTION, `validUntil: "2030-12-31T00:00:00Z"`),
    ).toEqual([]);
    expect(await permitProblems("subject: { groups: [ops] }", TARGET, ACTION)).toEqual([]);
  });

  test("a set with warnings alone has its rules", async () => {
    const rule = `  - id: one\n    subject: { any: true }\n    ${TARGET}\n    ${ACTION}`;
    await withFolder(setOf({ "permits/a.yaml": rulesFile("Permits", rule) }), async (dir) => {
      expect((await loadPolicies(dir, [TINY], TARGETS)).rules.map(({ id }) => id)).toEqual(["one"]);
    });
  });

  test("however many there are, no error is lost among them", async () => {
    const rules = Array.from({ length: 1200 }, (_, index) => `  - id: r${index}\n    subject: { any: true }\n`).join(
      "",
    );
    const files = setOf({
      "permits/a.yaml": rulesFile("Permits", rules, `{ ${TARGET}, ${ACTION} }`),
      "permits/z.yaml": "x: 1",
    });
    const problems = await problemsOf(files);
    expect(problems.length).toBe(1000);
    expect(problems.at(-1)).toStartWith("permits/z.yaml:1:1 error MISSING_KEY");
  });

  test("without targets nothing is said about their names", async () => {
    const rule = `  - id: one\n    ${SUBJECT}\n    target: { names: [elsewhere], labels: { env: [prod] } }\n    ${ACTION}`;
    await withFolder(setOf({ "permits/a.yaml": rulesFile("Permits", rule) }), async (dir) => {
      expect(await checkPolicies(dir, [TINY], null)).toEqual([]);
    });
  });
});

test("a set that permits nothing is told so, and only when it has no errors", async () => {
  const codesOf = (files: Files) =>
    withFolder(setOf(files), async (dir) => (await checkPolicies(dir, [TINY], TARGETS)).map(({ code }) => code));
  const guard = rulesFile("Guards", `  - id: one\n    ${ACTION}\n    deny: No.`);
  expect(await codesOf({})).toEqual(["NOTHING_PERMITTED"]);
  expect(await codesOf({ "guards/a.yaml": guard })).toEqual(["NOTHING_PERMITTED"]);
  expect(await codesOf({ "guards/a.yaml": guard.replace("deny", "deyn") })).not.toContain("NOTHING_PERMITTED");
});
