/** What vocabulary.yaml names: patterns that do what their samples say, windows, and names that are words. */
import { describe, expect, test } from "bun:test";
import { loadGood, oneRule, problemsOf } from "../../../test/policy-problems.ts";
import { setOf } from "../../../test/policy-sets.ts";

const HEAD = "apiVersion: weir.dev/v1\nkind: Vocabulary\n";

function vocabularyProblems(text: string): Promise<readonly string[]> {
  return problemsOf(setOf({ "vocabulary.yaml": HEAD + text }));
}

test("patterns and windows are compiled when they are loaded", async () => {
  const { author } = await loadGood(setOf({}));
  expect(author.patterns.get("ticket")?.matchesWhole("T-17")).toBe(true);
  expect(author.windows.get("day")?.text).toBe("mon-sun 08:00-18:00 Europe/Berlin");
  expect(Object.keys(author.exceptions)).toEqual(["drill"]);
});

describe("a mistake in the vocabulary is told where it is:", () => {
  test.each([
    ["patterns: { a: { pattern: x, match: [x], noMatch: [x] } }", '3:52 error BAD_PATTERN the pattern matches "x"'],
    [
      "patterns: { a: { pattern: x, match: [y], noMatch: [z] } }",
      '3:38 error BAD_PATTERN the pattern does not match "y"',
    ],
    [
      'patterns: { a: { pattern: "(x", match: [x], noMatch: [z] } }',
      "3:27 error BAD_PATTERN the pattern cannot be read: missing closing ): `(x`",
    ],
    [
      "patterns: { a: { pattern: x, match: [x] } }",
      '3:13 error MISSING_KEY the key "noMatch" is missing. Write noMatch: [...], texts that it must not match',
    ],
    ["patterns: { a: x }", '3:16 error WRONG_TYPE expected a map, not "x"'],
    [
      'windows: { a: { from: "08:00", to: "25:00" } }',
      '3:36 error BAD_VALUE "25:00" is not a time of day. Write 00:00 to 24:00, in quotes',
    ],
    [
      'windows: { a: { from: "08:00", to: "09:00" }, b: { outside: $a } }',
      "3:52 error BAD_VALUE a window that is named has from and to. Write { outside: $name } in the rules",
    ],
    [
      "patterns: { A: { pattern: x, match: [x], noMatch: [y] } }",
      '3:13 error BAD_VALUE "A" cannot name a pattern. Use lower-case letters, digits and hyphens, at most 64',
    ],
  ])("%s", async (text, expected) => {
    expect(await vocabularyProblems(`${text}\n`)).toEqual([`vocabulary.yaml:${expected}`]);
  });

  test("more patterns than a set may have", async () => {
    const patterns = Array.from({ length: 101 }, (_, at) => `  p${at}: { pattern: x, match: [x], noMatch: [y] }\n`);
    expect(await vocabularyProblems(`patterns:\n${patterns.join("")}`)).toEqual([
      "vocabulary.yaml:4:3 error TOO_LARGE the set has more than 100 patterns",
    ]);
  });
});

test("a name is a word of at most 64 letters, digits and hyphens", async () => {
  const named = (name: string) =>
    vocabularyProblems(`patterns: { ${JSON.stringify(name)}: { pattern: x, match: [x], noMatch: [y] } }\n`);
  for (const name of ["a", "az-09", "-", "x".repeat(64)]) expect(await named(name)).toEqual([]);
  for (const name of ["x".repeat(65), "a_b", "a.b", "a b", "/", ":", "`", "{", "A", "Z", "\u00e9"]) {
    expect(await named(name)).toEqual([
      `vocabulary.yaml:3:13 error BAD_VALUE ${JSON.stringify(name)} cannot name a pattern. Use lower-case letters, digits and hyphens, at most 64`,
    ]);
  }
});

test("what is broken in the vocabulary is told once, and not again wherever it is named", async () => {
  const vocabulary =
    `${HEAD}patterns: { a: { pattern: "(", match: [x], noMatch: [y] } }\n` +
    `windows: { a: { from: x, to: "09:00" } }\n`;
  const rule = ["action: { tiny: { texts: [$a] } }", "window: $a", "require: { justification: { pattern: $a } }"];
  const problems = await problemsOf(setOf({ "vocabulary.yaml": vocabulary, "guards/a.yaml": oneRule("Guards", rule) }));
  expect(problems.map((line) => line.split(" ", 3).join(" "))).toEqual([
    "vocabulary.yaml:3:27 error BAD_PATTERN",
    "vocabulary.yaml:4:23 error BAD_VALUE",
  ]);
});
