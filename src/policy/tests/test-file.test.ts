/** Test files: what each key of a case comes to, and what is said of a mistake, with its place. */
import { describe, expect, test } from "bun:test";
import { problemsOf } from "../../../test/policy-problems.ts";
import { OTHER, rulesFile, setOf, TARGETS, TINY, withFolder } from "../../../test/policy-sets.ts";
import type { Files } from "../../../test/policy-sets.ts";
import { UNKNOWN } from "../../core/operation.ts";
import { loadPolicies } from "../load.ts";
import type { TestCase } from "./test-file.ts";

const PERMITS = rulesFile(
  "Permits",
  `  - id: open
    subject: { kinds: [human, agent], groups: [ops] }
    target: { names: [box] }
    action: { tiny: { verbs: [get] } }
    validUntil: "2035-01-01T00:00:00Z"
  - id: asleep
    subject: { groups: [devs] }
    target: { names: [box] }
    action: { tiny: {} }
    activation: { maxDuration: 1h, requirements: { justification: {} } }`,
);
const GUARDS = rulesFile("Guards", "  - id: never\n    action: { tiny: { verbs: [drop] } }\n    deny: No.");

function setWith(cases: string, head = "people: { bot: { kind: agent, groups: [ops], owner: eva } }"): Files {
  const text = `apiVersion: weir.dev/v1\nkind: Tests\n${head}\ncases:\n${cases}\n`;
  return setOf({ "permits/a.yaml": PERMITS, "guards/a.yaml": GUARDS, "tests/a.yaml": text });
}

async function casesOf(cases: string, head?: string): Promise<readonly TestCase[]> {
  return withFolder(setWith(cases, head), async (dir) => {
    const set = await loadPolicies(dir, [TINY, OTHER], TARGETS);
    expect(set.problems).toEqual([]);
    return set.tests;
  });
}

describe("a case", () => {
  test("has who asks, where, and what, with its place in the file", async () => {
    const [only] = await casesOf(
      '  - { as: bot, target: box, accesses: [{ class: read, verbs: [get], things: a, wide: true, unknown: [tools], fields: { id: "7", to: [x, y] } }], expect: permit }',
    );
    expect(only).toMatchObject({
      file: "tests/a.yaml",
      line: 5,
      column: 5,
      title: "bot on box: get on a",
      identity: { kind: "agent", issuer: "weir", subject: "bot", groups: ["ops"], owner: "eva" },
      target: { name: "box", adapter: "tiny" },
      place: null,
      atMs: null,
      given: { justification: null, steppedUp: false, confirmedByOwner: false },
    });
    expect(only?.input).toEqual({
      kind: "accesses",
      accesses: [
        {
          class: "read",
          facts: { verbs: ["get"], things: ["a"], wide: true, tools: UNKNOWN, fields: ["id=7", "to=x", "to=y"] },
        },
      ],
    });
    expect(only?.expected).toEqual({
      kind: "permit",
      by: null,
      mask: null,
      limit: null,
      record: null,
      session: null,
      alert: null,
      requires: null,
      observed: null,
      message: null,
    });
  });

  test("has groups as the provider sends them, and another subject and issuer where it says so", async () => {
    const people = "people: { eva: { kind: human, groups: [devs], subject: e.lang, issuer: https://id.example } }";
    const [only] = await casesOf("  - { as: eva, target: box, connect: true, expect: deny }", people);
    expect(only?.identity).toMatchObject({ issuer: "https://id.example", subject: "e.lang", groups: ["7f3c"] });
    expect(only?.input).toEqual({ kind: "connect" });
  });

  test("has texts for the adapter as they stand, and a part of the target behind a dot", async () => {
    const cases = await casesOf(
      "  - { as: bot, target: box.attic.x, sql: [a, b], expect: deny }\n  - { as: bot, target: box, mcp: { method: x }, expect: deny }",
    );
    expect(cases.map(({ input }) => input)).toMatchObject([
      { kind: "text", key: "sql", value: ["a", "b"] },
      { kind: "text", key: "mcp", value: { method: "x" } },
    ]);
    expect(cases[0]).toMatchObject({ place: "attic.x", targetName: "box.attic.x", target: { name: "box" } });
    expect(cases[0]?.title).toBe("bot on box.attic.x: a; b");
  });

  test("has the instant of its own, or of its file; approvals too", async () => {
    const people =
      'at: "2027-01-01T00:00:00Z"\npeople: { bot: { kind: agent }, eva: { kind: human }, ann: { kind: human } }';
    const cases = await casesOf(
      `  - { as: bot, target: box, connect: true, expect: deny }
  - as: bot
    target: box
    at: "2028-01-01T00:00:00Z"
    connect: true
    grants: [asleep]
    approvals: [{ by: eva }, { by: ann, at: "2027-12-31T23:00:00Z" }]
    justification: because
    stepUp: true
    confirm: true
    expect: deny`,
      people,
    );
    expect(cases.map(({ atMs }) => atMs)).toEqual([Date.UTC(2027, 0, 1), Date.UTC(2028, 0, 1)]);
    expect(cases[1]).toMatchObject({
      grants: ["asleep"],
      approvals: [
        { identity: { subject: "eva" }, atMs: null },
        { identity: { subject: "ann" }, atMs: Date.UTC(2027, 11, 31, 23) },
      ],
      given: { justification: "because", steppedUp: true, confirmedByOwner: true },
    });
  });

  test("has what it expects in the engine's units", async () => {
    const [only] = await casesOf(`  - as: bot
    target: box
    connect: true
    expect: ask
    by: [open, never]
    mask: { main.a: null, main.b: hash, main.c: none }
    limit: { rows: 5, bytes: 5MiB, time: 20s, rate: 30/1m, budget: [{ bytes: true, max: 1KiB, per: day, across: owner }] }
    record: [output]
    session: { readOnly: true, maxDuration: 1h, idle: 5m }
    alert: [dpo]
    requires: [approval]
    observed: []
    message: no`);
    expect(only?.expected).toEqual({
      kind: "ask",
      by: ["open", "never"],
      mask: new Map([
        ["main.a", "null"],
        ["main.b", "hash"],
        ["main.c", "none"],
      ]),
      limit: {
        rows: 5,
        bytes: 5_242_880,
        timeMs: 20_000,
        meters: [
          { unit: "calls", max: 30, per: 60_000, across: "subject" },
          { unit: "bytes", max: 1024, per: "day", across: "owner" },
        ],
      },
      record: ["output"],
      session: { readOnly: true, maxDurationMs: 3_600_000, idleMs: 300_000 },
      alert: ["dpo"],
      requires: ["approval"],
      observed: [],
      message: "no",
    });
  });
});

describe("a mistake is told with its place and a way out:", () => {
  const one = (more: string) => `  - { as: bot, target: box, connect: true, expect: deny, ${more} }`;
  /** `at` is the text at which the problem is found. */
  const cases: readonly (readonly [name: string, written: string, at: string, problem: string])[] = [
    [
      "nobody of that name",
      one("").replace("as: bot", "as: bott"),
      "bott",
      'UNKNOWN_PERSON nobody here is called "bott". Did you mean "bot"?',
    ],
    [
      "no such target",
      one("").replace("box", "boxx"),
      "boxx",
      'UNKNOWN_TARGET there is no target "boxx". Did you mean "box"?',
    ],
    ["no such rule", one("by: [opn]"), "opn", 'UNKNOWN_RULE there is no rule "opn". Did you mean "open"?'],
    [
      "no such observed rule",
      one("observed: [nevr]"),
      "nevr",
      'UNKNOWN_RULE there is no rule "nevr". Did you mean "never"?',
    ],
    [
      "no such permit to wake",
      one("grants: [aslep]"),
      "aslep",
      'UNKNOWN_RULE there is no rule "aslep". Did you mean "asleep"?',
    ],
    [
      "a permit that is awake",
      one("grants: [open]"),
      "open",
      'UNKNOWN_GRANT a grant wakes no "open": it is awake without one',
    ],
    [
      "no duration of a session",
      one("session: { readOnly: true, maxDuration: ages }"),
      "ages",
      'BAD_VALUE "ages" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    [
      "no idle time",
      one("session: { idle: ages }"),
      "ages",
      'BAD_VALUE "ages" is not a duration. A duration is a whole number above 0 and a unit, ms, s, m, h or d, such as 20s, at most 3660d',
    ],
    ["a grant for a guard", one("grants: [never]"), "never", 'UNKNOWN_GRANT a grant wakes no "never": it is a guard'],
    [
      "nobody of that name approves",
      one("approvals: [{ by: somebody }]"),
      "somebody",
      'UNKNOWN_PERSON nobody here is called "somebody". There is bot',
    ],
    [
      "no instant",
      one("at: yesterday"),
      "yesterday",
      'BAD_VALUE "yesterday" is not an instant. Write it like "2027-06-30T00:00:00Z"',
    ],
    [
      "nothing sent",
      "  - { as: bot, target: box, expect: deny }",
      "{ as",
      "BAD_VALUE the case sends nothing. Write one of sql, exec, sftp, shell, forward, mcp, http, connect, accesses",
    ],
    [
      "two things sent",
      one("sql: select 1"),
      "{ as",
      "BAD_VALUE the case has sql and connect. Write one of sql, exec, sftp, shell, forward, mcp, http, connect, accesses",
    ],
    ["an unknown key", one("expext: deny"), "expext", 'UNKNOWN_KEY "expext" is not a key here. Did you mean "expect"?'],
    [
      "no expectation",
      "  - { as: bot, target: box, connect: true }",
      "{ as",
      'MISSING_KEY the key "expect" is missing',
    ],
    [
      "no such expectation",
      one("").replace("deny", "denied"),
      "denied",
      'BAD_VALUE "denied" is not a value here. There is permit, ask, deny',
    ],
    [
      "a key that no adapter has",
      "  - { as: bot, target: box, accesses: [{ class: read, verb: [get] }], expect: deny }",
      "verb:",
      'UNKNOWN_KEY "verb" is not a key here. Did you mean "verbs"?',
    ],
    [
      "a key of another adapter",
      "  - { as: bot, target: far, accesses: [{ class: read, verbs: [get] }], expect: deny }",
      "verbs:",
      'UNKNOWN_KEY "verbs" is not a key of other. There is paths',
    ],
    [
      "a key that cannot be unknown",
      "  - { as: bot, target: box, accesses: [{ class: read, unknown: [verb] }], expect: deny }",
      "verb]",
      'UNKNOWN_KEY "verb" is not a key of tiny. Did you mean "verbs"?',
    ],
    [
      "no such class",
      "  - { as: bot, target: box, accesses: [{ class: reed }], expect: deny }",
      "reed",
      'BAD_VALUE "reed" is not a value here. Did you mean "read"?',
    ],
    [
      "a mask that is not written",
      one("mask: { main.a: }"),
      "main.a",
      "BAD_VALUE here is no value. Write redact, null, hash, partial, or none",
    ],
    [
      "a size without its unit",
      one('limit: { bytes: "5" }'),
      '"5"',
      'BAD_VALUE "5" is not a size. A size is a whole number above 0 and a unit, B, KiB, MiB, GiB or TiB, such as 5MiB',
    ],
  ];
  test.each(cases)("%s", async (_, written, at, problem) => {
    const problems = await problemsOf(setWith(written));
    expect(problems).toContain(`tests/a.yaml:5:${written.indexOf(at) + 1} error ${problem}`);
  });

  test("a group that the vocabulary does not declare, and a kind of person that there is not", async () => {
    const written = one("");
    expect(await problemsOf(setWith(written, "people: { bot: { kind: agent, groups: [opps] } }"))).toEqual([
      'tests/a.yaml:3:40 error UNKNOWN_GROUP there is no group "opps". Did you mean "ops"?',
    ]);
    expect(await problemsOf(setWith(written, "people: { bot: { kind: robot } }"))).toEqual([
      'tests/a.yaml:3:24 error BAD_VALUE "robot" is not a value here. There is human, agent, service',
    ]);
  });

  test("ids of rules are not looked up while rules have errors", async () => {
    const files = { ...setWith(one("by: [opn]")), "guards/b.yaml": rulesFile("Guards", "  - id: x\n    deny: No.") };
    expect((await problemsOf(files)).filter((line) => line.includes("UNKNOWN_RULE"))).toEqual([]);
  });

  test("without targets nothing is said about their names", async () => {
    await withFolder(setWith(one("").replace("box", "boxx")), async (dir) => {
      const set = await loadPolicies(dir, [TINY, OTHER], null);
      expect(set.problems).toEqual([]);
      expect(set.tests[0]?.target).toBeNull();
    });
  });
});
