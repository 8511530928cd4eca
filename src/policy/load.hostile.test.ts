/** Sets that are made to cost much: what they may cost is counted, and beyond it they are refused. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { oneRule, problemsOf } from "../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../test/policy-sets.ts";
import type { Files } from "../../test/policy-sets.ts";
import { NameSets } from "./engine/names.ts";
import { Suggestions } from "./language/nearest.ts";

// Only so that a busy machine does not fail the test; what would hang, hangs for longer.
setDefaultTimeout(240_000);

const VOCABULARY = "apiVersion: weir.dev/v1\nkind: Vocabulary\n";
const PERMIT = ["subject: { kinds: [human] }", "target: { names: [box] }"];
const many = (count: number, make: (index: number) => string): string =>
  Array.from({ length: count }, (_, at) => make(at)).join("");

/** The lines without their places and what follows the code, each once. */
async function kindsOf(files: Files): Promise<readonly string[]> {
  const problems = await problemsOf(setOf(files));
  expect(problems.length).toBeLessThanOrEqual(1000);
  return [
    ...new Set(
      problems.map((line) =>
        line
          .replace(/:\d+:\d+/u, "")
          .split(" ", 3)
          .join(" "),
      ),
    ),
  ].toSorted();
}

describe("sets within sets", () => {
  test("are put in a bounded number of steps", () => {
    // Each of these holds all names of the one before it, under many names.
    const sets = new Map<string, readonly string[]>([["s0", Array.from({ length: 15_000 }, (_, at) => `n${at}`)]]);
    for (let at = 1; at < 500; at++) sets.set(`s${at}`, ["$s0", `x${at}`]);
    const last = new NameSets(sets);
    let steps = 0;
    let refused = 0;
    for (const name of sets.keys()) {
      const expanded = last.expand(`$${name}`);
      if ("kind" in expanded) refused++;
      else steps += expanded.size;
    }
    expect(refused).toBeGreaterThan(300);
    expect(steps).toBeLessThanOrEqual(2_000_000);
  });

  test("with too many names are told", async () => {
    const sets = many(30, (at) => `  s${at}: [${many(1000, (n) => `n${at}x${n}, `)}x]\n`);
    const all = `  all: [${many(30, (at) => `$s${at}, `)}x]\n`;
    // Two files would be needed for that many names; here each is short.
    const text = `${VOCABULARY}sets:\n${sets.replaceAll(/n(\d+)x(\d+)/gu, "$1x$2")}${all}`;
    expect(text.length).toBeGreaterThan(131_072);
    expect(await kindsOf({ "vocabulary.yaml": text })).toEqual(["vocabulary.yaml error TOO_LARGE"]);
  });

  test("in many lists are counted in all of them together", async () => {
    const sets = `sets: { a: [${many(990, (at) => `a${at}, `)}x], b: [${many(990, (at) => `b${at}, `)}x], all: [$a, $b] }\n`;
    const list = many(999, () => "$all, ");
    const rules = many(
      2,
      (at) => `  - id: r${at}\n    ${PERMIT.join("\n    ")}\n    action: { tiny: { things: [${list}x] } }\n`,
    );
    const files = { "vocabulary.yaml": VOCABULARY + sets, "permits/a.yaml": rulesFile("Permits", rules) };
    expect(await kindsOf(files)).toEqual(["permits/a.yaml error TOO_LARGE"]);
    expect((await problemsOf(setOf(files)))[0]).toEndWith(
      "error TOO_LARGE all lists together hold more than 2000000 names when their sets are put in. Use globs, or split the set",
    );
  });
});

test("suggestions end when too many words were compared", () => {
  const suggestions = new Suggestions();
  const known = Array.from({ length: 100_000 }, (_, at) => `word${at}`);
  const given = Array.from({ length: 30 }, () => suggestions.didYouMean("wrod1", known));
  expect(given.filter((text) => text !== "").length).toBe(20);
});

test("tens of thousands of unknown words are no more work than a thousand", async () => {
  const groups = `groups: { ${many(3000, (at) => `group-number-${at}: g, `)}x: x }\n`;
  const rules = many(
    12,
    (at) =>
      `  - id: r${at}\n    ${PERMIT[1]}\n    subject: { groups: [${many(900, (n) => `gruop-${n}, `)}x] }\n    action: { tiny: {} }\n`,
  );
  expect(
    await kindsOf({ "vocabulary.yaml": VOCABULARY + groups, "permits/a.yaml": rulesFile("Permits", rules) }),
  ).toEqual(["permits/a.yaml error UNKNOWN_GROUP"]);
});

test("columns are held against masks in a bounded number of steps", async () => {
  const columns = many(900, (at) => `"t${at}.${"a".repeat(50)}*", `);
  const masks = many(150, (at) => `{ columns: ["*b*b*b${at}.**", "*a*a*a*b*.x"], with: redact }, `);
  const rule = [
    `action: { tiny: { columns: [${columns}x.y] } }`,
    `oblige: { mask: [${masks}{ columns: [x.y], with: hash }] }`,
  ];
  expect(await kindsOf({ "guards/a.yaml": oneRule("Guards", rule) })).toEqual(["guards/a.yaml error TOO_LARGE"]);
});

describe("patterns that would cost much to compile or to match are refused:", () => {
  test.each([
    ["repetitions of repetitions", "((((a{50}){50}){50}){50})"],
    ["a very long one", "a".repeat(990)],
    ["many alternatives, repeated", `(${many(100, (at) => `a${at}|`)}b){100}`],
    ["deep groups", "(".repeat(200) + "a" + ")".repeat(200)],
    ["look-around", "(?=a)b"],
    ["back-references", "(a)\\\\1"],
  ])("%s", async (_, pattern) => {
    const text = `${VOCABULARY}patterns: { p: { pattern: "${pattern}", match: [b], noMatch: [c] } }\n`;
    expect(await kindsOf({ "vocabulary.yaml": text })).toEqual(["vocabulary.yaml error BAD_PATTERN"]);
  });

  test("one that backtracking would hang on is no trouble", async () => {
    const sample = `${"a".repeat(900)}!`;
    const text = `${VOCABULARY}patterns: { p: { pattern: "(a+)+$", match: [aaa], noMatch: ["${sample}"] } }\n`;
    expect(await kindsOf({ "vocabulary.yaml": text })).toEqual([]);
  });
});

describe("files that are large or deep", () => {
  test.each<[string, string, readonly string[]]>([
    ["a text of a mebibyte", `x: ${"a".repeat(1_048_576)}`, ["permits/a.yaml error TOO_LARGE"]],
    [
      "a quoted text of nearly the limit",
      `${oneRule("Permits", PERMIT)}    description: "${"a".repeat(130_000)}"\n`,
      ["permits/a.yaml error TOO_LARGE"],
    ],
    [
      "ten thousand keys in a rule",
      oneRule("Permits", [
        ...PERMIT,
        ...many(10_000, (at) => `k${at}: 1,`)
          .split(",")
          .filter((line) => line !== ""),
      ]),
      ["permits/a.yaml error UNKNOWN_KEY"],
    ],
    [
      "ten thousand labels",
      oneRule("Permits", [
        PERMIT[0] ?? "",
        `target: { labels: { ${many(9000, (at) => `k${at}: [x], `)}z: [x] } }`,
        "action: { any: true }",
      ]),
      ["permits/a.yaml error UNKNOWN_LABEL"],
    ],
    [
      "two thousand blocks",
      oneRule("Permits", [...PERMIT, `action: [${many(2000, () => "{ any: true }, ")}{ any: true }]`]),
      ["permits/a.yaml error TOO_LARGE"],
    ],
    [
      "a condition as deep as it goes",
      oneRule("Permits", [...PERMIT, "action: { any: true }", `condition: "${"(".repeat(900)}true${")".repeat(900)}"`]),
      ["permits/a.yaml error BAD_CONDITION"],
    ],
    [
      "a condition as long as it goes",
      oneRule("Permits", [...PERMIT, "action: { any: true }", `condition: "${"true && ".repeat(240)}true"`]),
      ["permits/a.yaml error BAD_CONDITION"],
    ],
    [
      "more rules than a file may have",
      rulesFile(
        "Guards",
        many(2001, (at) => `- { id: r${at}, action: { any: true }, deny: x }\n`),
      ).replace("kind: Guards", "kind: Permits"),
      ["permits/a.yaml error TOO_LARGE", "permits/a.yaml error UNKNOWN_KEY"],
    ],
  ])("%s", async (_, text, kinds) => {
    expect(await kindsOf({ "permits/a.yaml": text })).toEqual(kinds);
  });
});
