/** Obligations as authors write them: what they become, and what is told of those that cannot be kept or mean nothing. */
import { describe, expect, test } from "bun:test";
import { guardOf, oneRule, permitOf, problemsOf } from "../../../test/policy-problems.ts";
import { OTHER, setOf, TARGETS, TINY, withFolder } from "../../../test/policy-sets.ts";
import type { Target } from "../../core/target.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { loadPolicies } from "../load.ts";
import { checkPolicies } from "../check.ts";
import { formatProblem } from "../problems.ts";
import type { RuleObligations } from "../engine/rule.ts";

const PERMIT = ["subject: { kinds: [human] }", "target: { names: [box] }", "action: { tiny: { verbs: [get] } }"];
const ABOUT_COLUMNS = "action: { tiny: { columns: [main.a, main.b] } }";

async function obligationsOf(...lines: readonly string[]): Promise<RuleObligations> {
  const { obligations } = await permitOf([...PERMIT, "obligations:", ...lines.map((line) => `  ${line}`)]);
  if (obligations === null) throw new Error("the permit obliges to nothing");
  return obligations;
}

/** What is told of a guard with these obligations, which begin on line 7. */
async function obligeProblems(action: string, ...lines: readonly string[]): Promise<readonly string[]> {
  const guard = oneRule("Guards", [action, "oblige:", ...lines.map((line) => `  ${line}`)]);
  return problemsOf(setOf({ "guards/a.yaml": guard }));
}

describe("limits", () => {
  test("have units, and meters with a name each", async () => {
    const { limit } = await obligationsOf(
      "limit:",
      "  rows: 1000",
      "  bytes: 5MiB",
      "  time: 20s",
      "  rate: 30/1m",
      "  budget:",
      "    - { rows: true, max: 50000, per: day, across: owner }",
      "    - { bytes: true, max: 1GiB, per: session, across: subject }",
      "    - { calls: true, max: 7, per: hour, across: subject }",
    );
    expect(limit).toEqual({
      rows: 1000,
      bytes: 5_242_880,
      timeMs: 20_000,
      meters: [
        {
          id: "one/bytes/session/subject",
          rule: "one",
          unit: "bytes",
          max: 1_073_741_824,
          per: { kind: "session" },
          across: "subject",
        },
        {
          id: "one/calls/1m/subject",
          rule: "one",
          unit: "calls",
          max: 30,
          per: { kind: "sliding", ms: 60_000 },
          across: "subject",
        },
        { id: "one/calls/hour/subject", rule: "one", unit: "calls", max: 7, per: { kind: "hour" }, across: "subject" },
        {
          id: "one/rows/day/owner",
          rule: "one",
          unit: "rows",
          max: 50_000,
          per: { kind: "day", timeZone: "UTC" },
          across: "owner",
        },
      ],
    });
  });

  test("per day are of the set's time zone", async () => {
    const policy = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\ntimeZone: Asia/Tokyo\n";
    const lines = [
      ...PERMIT,
      "obligations: { limit: { budget: [{ calls: true, max: 1, per: day, across: subject }] } }",
    ];
    const { obligations } = await permitOf(lines, { "policy.yaml": policy });
    expect(obligations?.limit?.meters?.map(({ per }) => per)).toEqual([{ kind: "day", timeZone: "Asia/Tokyo" }]);
  });

  test.each([
    ["limit: { time: 20 }", '9:22 error WRONG_TYPE expected text, not 20. Write a number with its unit, such as "30m"'],
    [
      "limit: { time: 20 s }",
      '9:22 error BAD_VALUE "20 s" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    [
      "limit: { bytes: 5MB }",
      '9:23 error BAD_VALUE "5MB" is not a size. A size is a whole number above 0 and a unit, B, KiB, MiB, GiB or TiB, such as 5MiB',
    ],
    ["limit: { rows: 0 }", "9:22 error BAD_VALUE 0 is too small: it is at least 1"],
    ["limit: { rows: 1.5 }", "9:22 error BAD_VALUE 1.5 is not a whole number"],
    ["limit: { rows: many }", '9:22 error WRONG_TYPE expected a number, not "many". Write a whole number'],
    [
      "limit: { rate: 30 per minute }",
      '9:22 error BAD_VALUE "30 per minute" is not a rate. A rate is a count, a slash and a duration, such as 30/1m',
    ],
    ["limit: {}", "9:14 error BAD_VALUE this limits nothing. Write rows, bytes, time, rate or budget"],
    [
      "limit: { budget: [{ max: 1, per: day, across: subject }] }",
      "9:25 error BAD_VALUE this budget counts nothing. Write one of calls: true, rows: true and bytes: true",
    ],
    [
      "limit: { budget: [{ rows: true, calls: true, max: 1, per: day, across: subject }] }",
      "9:25 error BAD_VALUE a budget counts one thing. Write one of calls: true, rows: true and bytes: true",
    ],
    [
      "limit: { budget: [{ rows: true, max: 5MiB, per: day, across: subject }] }",
      '9:44 error BAD_VALUE "5MiB" is not a number of rows. Write a whole number, without a unit',
    ],
    [
      "limit: { budget: [{ bytes: true, max: 5, per: day, across: subject }] }",
      '9:45 error BAD_VALUE "5" is not a size. A size is a whole number above 0 and a unit, B, KiB, MiB, GiB or TiB, such as 5MiB',
    ],
    [
      "limit: { budget: [{ rows: true, max: 5, per: week, across: subject }] }",
      '9:52 error BAD_VALUE "week" is not a value here. There is session, hour, day',
    ],
    [
      "limit: { budget: [{ rows: true, max: 5, per: day }] }",
      '9:25 error MISSING_KEY the key "across" is missing. Write across: subject, or across: owner for all agents of one owner together',
    ],
    [
      "limit: { budget: [{ rows: true, max: 5, per: day, across: owner }, { rows: true, max: 6, per: day, across: owner }] }",
      "9:74 error BAD_VALUE there are two budgets of rows per day across one owner. Keep the smaller",
    ],
  ])("%s", async (line, expected) => {
    const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, "obligations:", `  ${line}`]) });
    expect(await problemsOf(files)).toEqual([`permits/a.yaml:${expected}`]);
  });
});

describe("what is recorded, sessions and alerts", () => {
  test("are sorted, and an alert is a warning when it does not say", async () => {
    const { record, session, alert } = await obligationsOf(
      "record: [output, input, input]",
      "session: { readOnly: true, maxDuration: 30m, idle: 90s }",
      "alert: [{ channel: ops }, { channel: dpo, severity: critical }]",
    );
    expect(record).toEqual(["input", "output"]);
    expect(session).toEqual({ readOnly: true, maxDurationMs: 1_800_000, idleMs: 90_000 });
    expect(alert).toEqual([
      { channel: "dpo", severity: "critical" },
      { channel: "ops", severity: "warning" },
    ]);
  });

  test.each([
    ["record: [everything]", '9:16 error BAD_VALUE "everything" is not a value here. There is input, output, raw'],
    ["session: { readOnly: false }", "9:28 error BAD_VALUE this must be true"],
    ["session: {}", "9:16 error BAD_VALUE this obliges to nothing. Write readOnly, maxDuration or idle"],
    [
      "session: { idle: soon }",
      '9:24 error BAD_VALUE "soon" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    [
      "session: { maxDuration: soon }",
      '9:31 error BAD_VALUE "soon" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    ["alert: [{ channel: a }, { channel: a }]", '9:42 error BAD_VALUE the channel "a" stands here twice. Keep one'],
    [
      "alert: [{ channel: The DPO }]",
      '9:26 error BAD_VALUE "The DPO" cannot name a channel. Use lower-case letters, digits and hyphens, at most 64',
    ],
  ])("%s", async (line, expected) => {
    const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, "obligations:", `  ${line}`]) });
    expect(await problemsOf(files)).toEqual([`permits/a.yaml:${expected}`]);
  });

  test("nothing at all is nothing to oblige to", async () => {
    const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, "obligations: {}"]) });
    expect(await problemsOf(files)).toEqual([
      "permits/a.yaml:8:18 error BAD_VALUE this obliges to nothing. Write mask, limit, record, session or alert",
    ]);
  });
});

describe("what is to be sealed", () => {
  const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, "obligations:", "  record: [input, raw]"]) });
  const told = async (seals: boolean | null): Promise<readonly string[]> =>
    withFolder(files, async (dir) =>
      (await checkPolicies(dir, [TINY, OTHER], TARGETS, null, seals)).map((problem) => formatProblem(problem)),
    );

  test("is an error where nobody could open it", async () => {
    expect(await told(false)).toEqual([
      "permits/a.yaml:9:23 error CANNOT_BE_KEPT what is raw is sealed, and there is nobody to seal it to. Name age recipients under audit.seal.recipients in weir.yaml, or take raw out",
    ]);
  });

  test("is none where somebody can, or where that is not known", async () => {
    expect(await told(true)).toEqual([]);
    expect(await told(null)).toEqual([]);
  });
});

describe("masks", () => {
  test("have what they are for, and how it looks", async () => {
    const guard = await guardOf([
      ABOUT_COLUMNS,
      "oblige:",
      "  mask:",
      "    - { with: redact }",
      "    - { columns: [main.a], with: null, predicates: deny }",
      '    - { columns: ["other.*"], with: partial, keepLast: 3 }',
      "    - { patterns: [$ticket], with: hash }",
      "    - { classifiers: [email], with: redact }",
      "    - { fields: [a.b], with: redact }",
    ]);
    if (guard.consequence.kind !== "oblige") throw new Error("the guard obliges to nothing");
    const masks = guard.consequence.obligations.masks.map(({ columns, fields, ...mask }) =>
      Object.assign(mask, { columns: columns?.texts, fields: fields?.texts }),
    );
    const none = { columns: undefined, fields: undefined, classifiers: [], patterns: [], predicates: null };
    expect(masks).toEqual([
      { ...none, transform: { with: "redact" } },
      { ...none, columns: ["main.a"], transform: { with: "null" }, predicates: "deny" },
      { ...none, columns: ["other.*"], transform: { with: "partial", keepFirst: 0, keepLast: 3 } },
      { ...none, patterns: ["ticket"], transform: { with: "hash" } },
      { ...none, classifiers: ["email"], transform: { with: "redact" } },
      { ...none, fields: ["a.b"], transform: { with: "redact" } },
    ]);
  });

  test.each([
    ["{ with: blur }", '7:22 error BAD_VALUE "blur" is not a value here. There is redact, null, hash, partial'],
    ["{ with: }", "7:16 error BAD_VALUE the value is missing. Write redact, null, hash or partial"],
    [
      "{ columns: [main.a] }",
      '7:14 error MISSING_KEY the key "with" is missing. Write with: redact, null, hash or partial',
    ],
    [
      "{ with: hash, keepFirst: 1 }",
      "7:28 error BAD_VALUE keepFirst belongs to partial, and this is hash. Remove it, or write with: partial",
    ],
    [
      "{ classifiers: [emial], with: redact }",
      '7:30 error UNKNOWN_CLASSIFIER there is no classifier "emial". Did you mean "email"?',
    ],
    [
      "{ with: partial }",
      "7:22 error BAD_VALUE a partial mask keeps something. Write keepFirst or keepLast, or with: redact",
    ],
    ["{ with: partial, keepFirst: -1 }", "7:42 error BAD_VALUE -1 is too small: it is at least 0"],
    [
      "{ columns: [main.a], fields: [b], with: hash }, { with: hash }",
      "7:14 error BAD_VALUE one mask is for columns and fields. Write a mask for each",
    ],
    [
      "{ with: redact }, { with: hash }",
      "7:32 error BAD_VALUE two masks are for whatever the action matches. Say in one of them which columns it is for",
    ],
    [
      "{ patterns: [$tickt], with: hash }, { with: redact }",
      '7:27 error UNKNOWN_PATTERN there is no pattern "$tickt". Did you mean "$ticket"?',
    ],
    [
      "{ columns: [a], with: hash }, { with: redact }",
      '7:26 error BAD_VALUE "a" can never match: columns are thing.column. Did you mean "main.a"?',
    ],
  ])("%s", async (masks, expected) => {
    expect(await obligeProblems(ABOUT_COLUMNS, `mask: [${masks}]`)).toEqual([`guards/a.yaml:${expected}`]);
  });

  test.each([
    ["[main.a, main.b]", "[main.a, main.b]", null],
    ["[main.a, main.b]", '["main.*"]', null],
    ["[main.a]", '["*.a"]', null],
    ['["main.*"]', '["main.*"]', null],
    ['["main.*"]', '["**"]', null],
    ["[main.a, main.b, main.c]", "[main.b]", 'the column "main.a" and 1 more'],
    ['["main.*"]', "[main.a]", 'the column "main.*"'],
    ['["**"]', '["*.*"]', 'the column "**"'],
    ["[$mine]", "[my.a]", 'the column "my.b"'],
  ])("an action about %s and a mask for %s", async (action, columns, uncovered) => {
    const problems = await obligeProblems(
      `action: { tiny: { columns: ${action} } }`,
      `mask: [{ columns: ${columns}, with: redact }]`,
    );
    const suggestion = "Add it to a mask, or a mask without columns for whatever the others do not name";
    expect(problems).toEqual(
      uncovered === null
        ? []
        : [
            `guards/a.yaml:7:7 error COLUMN_NOT_MASKED no mask covers ${uncovered}, which the action lists. ${suggestion}`,
          ],
    );
  });

  test("that are for no columns leave none uncovered", async () => {
    expect(await obligeProblems(ABOUT_COLUMNS, "mask: [{ patterns: [$ticket], with: hash }]")).toEqual([]);
  });
});

test("as many columns and globs as are compared, and one character more", async () => {
  const columns = (last: string): string =>
    Array.from({ length: 100 }, (_, at) => `t.${"c".repeat(45)}${at + 100}${at === 99 ? last : ""}`).join(", ");
  const globs = Array.from({ length: 40 }, (_, at) => `"x.${"g".repeat(45)}${at + 10}*"`).join(", ");
  const told = (last: string) =>
    obligeProblems(`action: { tiny: { columns: [${columns(last)}] } }`, `mask: [{ columns: [${globs}], with: hash }]`);
  // 100 columns and 40 globs, each of 50 characters: ten million.
  expect((await told(""))[0]).toContain(" error COLUMN_NOT_MASKED ");
  expect(await told("c")).toEqual([
    "guards/a.yaml:7:13 error TOO_LARGE too many columns and globs to find out whether every column is masked. Split the rule",
  ]);
});

describe("a mask that a protocol cannot lay", () => {
  const vocabularies: readonly Vocabulary[] = [
    { ...TINY, masks: ["columns"] },
    { ...OTHER, keeps: [...OTHER.keeps, "mask"], masks: ["fields"] },
  ];
  const told = (action: string, mask: string, targets: readonly Target[] | null = TARGETS) => {
    const guard = oneRule("Guards", [`action: ${action}`, "oblige:", `  mask: [{ ${mask}, with: hash }]`]);
    return withFolder(setOf({ "guards/a.yaml": guard }), async (dir) =>
      (await loadPolicies(dir, vocabularies, targets)).problems
        .filter(({ severity }) => severity === "error")
        .map(formatProblem),
    );
  };

  test("is an error where the action or the targets say that it is meant", async () => {
    const fields = [
      "guards/a.yaml:7:16 error CANNOT_BE_KEPT fields cannot be masked on tiny. There one can mask columns",
    ];
    for (const action of ["{ tiny: {} }", "[{ tiny: {} }, { other: {} }]", "{ any: true }"]) {
      expect(await told(action, "fields: [a]")).toEqual(fields);
    }
    expect(await told("{ other: {} }", "fields: [a]")).toEqual([]);
    expect(await told("{ tiny: {} }", "columns: [main.a]")).toEqual([]);
  });

  test("is one where it is not known what is meant only when no protocol can", async () => {
    expect(await told("{ any: true }", "fields: [a]", null)).toEqual([]);
    expect(await told("{ any: true }", "columns: [main.a]", null)).toEqual([]);
    expect(await told("{ any: true }", "classifiers: [email]", null)).toEqual([
      "guards/a.yaml:7:16 error CANNOT_BE_KEPT classifiers cannot be masked on tiny and other. There one can mask columns, fields",
    ]);
  });
});

describe("an obligation that cannot be kept", () => {
  test("is an error where the action or the target says which protocol is meant", async () => {
    const message = "error CANNOT_BE_KEPT record cannot be kept on other. There one can oblige to limit, alert";
    expect(await obligeProblems("action: { other: {} }", "record: [input]")).toEqual([`guards/a.yaml:7:7 ${message}`]);
    expect(await obligeProblems("action: [{ tiny: {} }, { other: {} }]", "record: [input]")).toEqual([
      `guards/a.yaml:7:7 ${message}`,
    ]);
    const lines = ["target: { names: [far] }", "action: { any: true }", "oblige: { record: [input] }"];
    expect(await problemsOf(setOf({ "guards/a.yaml": oneRule("Guards", lines) }))).toEqual([
      `guards/a.yaml:7:15 ${message}`,
    ]);
  });

  test("is none where another protocol of the rule keeps it", async () => {
    const lines = ["target: { names: [box] }", "action: { any: true }", "oblige: { record: [input] }"];
    expect(await problemsOf(setOf({ "guards/a.yaml": oneRule("Guards", lines) }))).toEqual([]);
  });
});
