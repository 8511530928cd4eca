/** Running the tests of a set: what a case is decided by, in which ways it can fail, and what keeps it from being run. */
import { describe, expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { NOW, OTHER, rulesFile, setOf, TINY } from "../../../test/policy-sets.ts";
import type { Files } from "../../../test/policy-sets.ts";
import { refusal } from "../../core/decision.ts";
import type { Accesses } from "../../core/operation.ts";
import type { PolicyTools } from "../../core/policy-tools.ts";
import { formatCatalogTarget, makeCatalogTarget } from "../set/catalog.ts";
import { RuleIndex } from "../engine/index.ts";
import { formatProblem } from "../problems.ts";
import { runTests } from "./test-run.ts";
import type { TestReport } from "./test-run.ts";

const PERMITS = rulesFile(
  "Permits",
  `  - id: agents-get
    subject: { kinds: [agent], groups: [ops] }
    target: { names: [box] }
    action: { tiny: { verbs: [get], columns: ["**"] } }
    obligations:
      limit: { rows: 100, bytes: 5MiB, time: 20s, rate: 30/1m, budget: [{ rows: true, max: 900, per: day, across: owner }] }
      record: [input]
      session: { readOnly: true, maxDuration: 30m }
      alert: [{ channel: dpo }]
    validUntil: "2035-01-01T00:00:00Z"
  - id: devs-run
    subject: { groups: [devs] }
    target: { names: [box] }
    action: { tiny: { verbs: [run] } }
    activation: { maxDuration: 1h, requirements: { justification: {} } }
  - id: devs-get
    subject: { groups: [devs] }
    target: { names: [box] }
    action: { tiny: { verbs: [get, put], rooms: [hall] } }
  - id: nobody-needs-this
    subject: { groups: [devs] }
    target: { names: [bag] }
    action: { tiny: { verbs: [get] } }`,
);
const GUARDS = rulesFile(
  "Guards",
  `  - id: never-drop
    action: { tiny: { verbs: [drop] } }
    deny: Nothing is dropped.
  - id: secrets-masked
    action: { tiny: { columns: [main.secret, main.name] } }
    oblige: { mask: [{ with: redact }, { columns: [main.name], with: partial, keepLast: 2 }] }
  - id: puts-need-two
    action: { tiny: { verbs: [put] } }
    require: { approval: { from: { groups: [ops] } } }
  - id: watched
    mode: observe
    action: { tiny: { things: [safe] } }
    deny: Not the safe.`,
);

/** A protocol whose texts are a verb and things: `get a b`. */
const tools: PolicyTools = {
  texts: ["sql"],
  describe: async (_, value, catalog, { place }) => {
    if (catalog === null) return refusal("not_understood", "there is no catalog", { hint: "Pull it." });
    if (value === "fail") throw new Error("out of order");
    const texts: readonly string[] = Array.isArray(value) ? value : [value];
    return texts.map((text) => {
      const [verb = "", ...things] = text.split(" ");
      const accesses: Accesses = [{ class: "read", facts: { rooms: [place ?? "hall"], verbs: [verb], things } }];
      return { text, accesses, understood: true, notUnderstood: null };
    });
  },
  connect: (_, { place }) => ({ class: "connect", facts: { rooms: [place ?? "hall"] } }),
  *enumerate() {},
  pull: async () => refusal("internal", "not here"),
};

const CATALOG = formatCatalogTarget(
  makeCatalogTarget({ name: "box", adapter: "tiny", labels: { env: "prod" }, names: {}, unlisted: {}, detail: null }),
);

function files(cases: string, more: Files = {}): Files {
  const people = `people:
  bot: { kind: agent, groups: [ops], owner: eva }
  eva: { kind: human, groups: [devs] }
  ann: { kind: human, groups: [ops] }
  mallory: { kind: human }`;
  return setOf({
    "permits/a.yaml": PERMITS,
    "guards/a.yaml": GUARDS,
    "catalog/box.json": CATALOG,
    "tests/a.yaml": `apiVersion: weir.dev/v1\nkind: Tests\n${people}\ncases:\n${cases}\n`,
    ...more,
  });
}

async function run(cases: string, more?: Files, timeMsMax?: number): Promise<TestReport> {
  const set = await loadGood(files(cases, more));
  const index = new RuleIndex(set.rules, [TINY, OTHER], set.author.patterns);
  return runTests(set, index, new Map([["tiny", tools]]), {
    now: NOW,
    ...(timeMsMax === undefined ? {} : { timeMsMax }),
  });
}

const get = (more: string, who = "bot") =>
  `  - { as: ${who}, target: box, accesses: [{ class: read, verbs: [get], columns: [main.a] }], ${more} }`;

/** What each case is decided by, and how it fails. */
function told({ results }: TestReport): readonly (readonly [string | undefined, string, readonly string[]])[] {
  return results.map(({ decided, failures }) => [decided?.kind, decided?.rules.join(" ") ?? "", failures]);
}

describe("a case is decided", () => {
  test("by the rules, as accesses and as texts of the adapter", async () => {
    const report = await run(`${get("expect: permit, by: [agents-get]")}
  - { as: bot, target: box, sql: drop a, expect: deny, by: [never-drop], message: dropped }
  - { as: eva, target: box, sql: get a, expect: permit, by: [devs-get] }
  - { as: eva, target: box.attic, sql: get a, expect: deny, by: [] }
  - { as: mallory, target: box, sql: get a, expect: deny, by: [], message: no rule permits anything }`);
    expect(told(report)).toEqual([
      ["permit", "agents-get", []],
      ["deny", "never-drop", []],
      ["permit", "devs-get", []],
      ["deny", "", []],
      ["deny", "", []],
    ]);
    expect(report.errors).toEqual([]);
    expect(report.results[4]?.steps.map(({ text }) => text)).toEqual(["opening the session"]);
  });

  test("with what people have given", async () => {
    const put = (more: string) => `  - { as: eva, target: box, sql: put a, ${more} }`;
    const report = await run(`${put("expect: ask, by: [puts-need-two], requires: [approval]")}
${put("approvals: [{ by: ann }], expect: permit, requires: []")}
${put("approvals: [{ by: eva }], expect: ask")}
${put('approvals: [{ by: ann, at: "2026-01-01T00:00:00Z" }], expect: ask')}
  - { as: eva, target: box, sql: run a, expect: deny }
  - { as: eva, target: box, sql: run a, grants: [devs-run], expect: permit, by: [devs-run] }`);
    expect(told(report).map(([kind, , failures]) => [kind, failures])).toEqual([
      ["ask", []],
      ["permit", []],
      ["ask", []],
      ["ask", []],
      ["deny", []],
      ["permit", []],
    ]);
  });

  test("at its own instant", async () => {
    const late = await run(`${get('at: "2036-01-01T00:00:00Z", expect: deny')}\n${get("expect: permit")}`);
    expect(late.errors).toEqual([]);
  });

  test("as a session: nothing is sent by whoever is not let in, and several texts count together", async () => {
    const report = await run(`  - { as: bot, target: box, connect: true, expect: permit, session: { readOnly: true } }
  - { as: eva, target: box, sql: [get a, put a], expect: ask, by: [puts-need-two] }
  - { as: eva, target: box, sql: [get a, get safe], expect: permit, observed: [watched] }
  - { as: mallory, target: box, connect: true, expect: deny }`);
    expect(report.errors).toEqual([]);
    expect(report.results[1]?.steps.map(({ decision }) => decision.kind)).toEqual(["permit", "ask"]);
  });

  test("in the part of the target that its accesses speak of", async () => {
    const report = await run(
      `  - { as: eva, target: box, accesses: [{ class: read, rooms: [attic], verbs: [get] }], expect: deny }
  - { as: eva, target: box, accesses: [{ class: read, rooms: [hall], verbs: [get] }], expect: permit }`,
    );
    expect(report.errors).toEqual([]);
    expect(report.results[0]?.steps.map(({ text }) => text)).toEqual(["opening the session"]);
  });

  test("with what an opaque access and an unknown fact come to", async () => {
    const report =
      await run(`  - { as: bot, target: box, accesses: [{ class: administer, opaque: true }], expect: deny }
  - { as: bot, target: box, accesses: [{ class: read, verbs: [get], unknown: [columns] }], expect: deny }`);
    expect(report.errors).toEqual([]);
  });
});

describe("obligations are compared:", () => {
  const masked = (more: string) =>
    `  - { as: bot, target: box, accesses: [{ class: read, verbs: [get], columns: [main.secret, main.name, main.a] }], expect: permit, ${more} }`;
  const good = [
    "mask: { main.secret: redact, main.name: partial, main.a: none }",
    "limit: { rows: 100, bytes: 5MiB, time: 20s, rate: 30/1m }",
    "limit: { budget: [{ rows: true, max: 900, per: day, across: owner }] }",
    "record: [input]",
    "session: { readOnly: true, maxDuration: 30m }",
    "alert: [dpo]",
    "observed: []",
  ];
  test.each(good)("as they are: %s", async (more) => {
    const report = await run(masked(more));
    expect(report.errors.map(formatProblem)).toEqual([]);
  });

  const bad: readonly (readonly [more: string, failure: string])[] = [
    ["mask: {}", "mask: expected none, got main.name: partial, main.secret: redact"],
    ["mask: { main.secret: hash }", "mask of main.secret: expected hash, got redact"],
    ["mask: { main.secret: null }", "mask of main.secret: expected null, got redact"],
    ["mask: { main.a: hash }", "mask of main.a: expected hash, got none"],
    ["mask: { main.name: none }", "mask of main.name: expected none, got partial"],
    ["limit: {}", "limit: expected none, got one"],
    ["limit: { rows: 99 }", "limit of rows: expected 99, got 100"],
    ["limit: { bytes: 1KiB }", "limit of bytes: expected 1KiB, got 5MiB"],
    ["limit: { time: 21s }", "limit of time: expected 21s, got 20s"],
    [
      "limit: { rate: 31/1m }",
      "limit: expected at most 31 calls per 1m and subject, and there is no such rate or budget",
    ],
    [
      "limit: { budget: [{ rows: true, max: 900, per: hour, across: owner }] }",
      "limit: expected at most 900 rows per hour and owner, and there is no such rate or budget",
    ],
    [
      "limit: { budget: [{ bytes: true, max: 1KiB, per: day, across: subject }] }",
      "limit: expected at most 1KiB per day and subject, and there is no such rate or budget",
    ],
    ["record: []", "record: expected none, got input"],
    ["record: [input, output]", "record: expected input, output, got input"],
    ["session: {}", "session: expected nothing, got something"],
    ["session: { maxDuration: 1h }", "maxDuration of the session: expected 1h, got 30m"],
    ["session: { idle: 1h }", "idle of the session: expected 1h, got none"],
    ["alert: []", "alert: expected none, got dpo"],
    ["alert: [dpo, pager]", "alert: expected dpo, pager, got dpo"],
    ["by: []", "by: expected none, got agents-get, secrets-masked"],
    ["by: [agents-get, never-drop]", "by: expected agents-get, never-drop, got agents-get, secrets-masked"],
    [
      "limit: { budget: [{ rows: true, max: 900, per: day, across: subject }] }",
      "limit: expected at most 900 rows per day and subject, and there is no such rate or budget",
    ],
    [
      "limit: { budget: [{ calls: true, max: 900, per: day, across: owner }] }",
      "limit: expected at most 900 calls per day and owner, and there is no such rate or budget",
    ],
    ["by: [never-drop]", "by: expected never-drop, got agents-get, secrets-masked"],
    ["observed: [watched]", "observed: expected watched, got none"],
    ["requires: [approval]", "requires: expected approval, got none"],
    ["message: no", 'expected a message with "no", got no message'],
  ];
  test.each(bad)("as they are not: %s", async (more, failure) => {
    const report = await run(masked(more));
    expect(report.results[0]?.failures).toEqual([failure]);
  });

  test("a session that may write is not read-only, and what is not obliged is none", async () => {
    const report = await run(
      "  - { as: eva, target: box, sql: get a, expect: permit, session: { readOnly: true } }\n" +
        "  - { as: eva, target: box, sql: get a, expect: permit, mask: {}, limit: {}, session: {}, record: [], alert: [] }",
    );
    expect(told(report).map(([, , failures]) => failures)).toEqual([["session: expected readOnly, and it is not"], []]);
  });
});

describe("a case fails", () => {
  test("with its place, what was expected and what it got", async () => {
    const report = await run(
      `${get("expect: deny, by: [never-drop]")}\n  - { as: bot, target: box, sql: drop a, expect: permit }`,
    );
    expect(report.errors.map(formatProblem)).toEqual([
      "tests/a.yaml:9:5 error TEST_FAILED bot on box: get on main.a: expected deny, got permit; by: expected never-drop, got agents-get",
      "tests/a.yaml:10:5 error TEST_FAILED bot on box: drop a: expected permit, got deny: Nothing is dropped.",
    ]);
    const asked = await run("  - { as: eva, target: box, sql: put a, expect: permit }");
    expect(asked.results[0]?.failures).toEqual(["expected permit, got ask: approval"]);
    const near = await run("  - { as: eva, target: box, sql: drop a, expect: permit, message: never }");
    expect(near.results[0]?.failures[1]).toBe('expected a message with "never", got "Nothing is dropped."');
  });

  test("when it cannot be read: no tools, no catalog, tools that fail", async () => {
    const cases = `  - { as: bot, target: far, exec: ls, expect: deny }
  - { as: bot, target: box, mcp: {}, expect: deny }
  - { as: bot, target: bag, sql: get a, expect: deny }
  - { as: bot, target: box, sql: fail, expect: deny }`;
    expect(told(await run(cases))).toEqual([
      [undefined, "", ["exec cannot be read for targets of other; give accesses"]],
      [undefined, "", ["mcp cannot be read for targets of tiny; give sql or accesses"]],
      [undefined, "", ["there is no catalog. Pull it."]],
      [undefined, "", ["it could not be decided: out of order"]],
    ]);
    const { results } = await run(cases);
    expect(results.map(({ steps, decided }) => [steps, decided])).toEqual(
      Array.from(cases.split("\n"), () => [[], null]),
    );
  });

  test("a catalog of another adapter's target is none", async () => {
    const other = CATALOG.replace('"tiny"', '"other"').replace(/,\n {2}"digest": "[0-9a-f]+"/u, "");
    const report = await run("  - { as: bot, target: box, sql: get a, expect: deny }", { "catalog/box.json": other });
    expect(report.results[0]?.failures).toEqual(["there is no catalog. Pull it."]);
  });

  test("when there is no time left, and says how many were not run", async () => {
    const report = await run(`${get("expect: permit")}\n${get("expect: permit")}`, {}, -1);
    expect(report.results).toEqual([]);
    expect(report.errors.map(formatProblem)).toEqual([
      "tests/a.yaml:9:5 error TEST_FAILED the tests took more than -1 ms, and 2 cases were not run",
    ]);
  });
});

test("rules that no case decides are told, and only those", async () => {
  const report = await run(`${get("expect: permit")}
  - { as: bot, target: box, sql: drop safe, expect: deny }
  - { as: eva, target: box, sql: put a, expect: ask }`);
  expect(report.untested.map(({ id }) => id)).toEqual(["devs-run", "nobody-needs-this", "secrets-masked"]);
  expect(report.warnings.map(formatProblem)).toContain(
    "permits/a.yaml:14:5 warning UNTESTED_RULE no case is decided by devs-run",
  );
});
