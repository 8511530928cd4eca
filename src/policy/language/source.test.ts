/** Hostile YAML: refused with a place, without hanging, crashing or being half understood. */
import { describe, expect, test } from "bun:test";
import { problemsOf } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";

describe("hostile YAML neither hangs nor crashes:", () => {
  // Only so that a busy machine does not fail the test; what would hang, hangs for longer.
  const TIME_MS_MAX = 60_000;
  const head = "apiVersion: weir.dev/v1\nkind: Permits\n";
  const bomb = Array.from(
    { length: 30 },
    (_, index) => `b${index + 1}: &b${index + 1} [*b${index}, *b${index}]\n`,
  ).join("");
  const hostile: Readonly<Record<string, string | Uint8Array>> = {
    "deep flow": `${head}rules: ${"[".repeat(120_000)}`,
    "deep closed flow": `${head}rules: ${"[".repeat(50_000)}${"]".repeat(50_000)}`,
    "deep maps": `${head}rules: ${"{a: ".repeat(30_000)}`,
    "deep blocks": `${head}rules:\n${"- ".repeat(50_000)}x`,
    "deep but well formed": `${head}rules: ${"[".repeat(30)}${"]".repeat(30)}`,
    "billion laughs": `${head}b0: &b0 [x, x]\n${bomb}`,
    "a merge key": `${head}rules: []\n<<: { kind: Guards }`,
    "a huge key": `${head}${"k".repeat(100_000)}: 1`,
    "many keys": head + Array.from({ length: 12_000 }, (_, index) => `k${index}: 1\n`).join(""),
    "many anchors": `${head}rules: ${"&a ".repeat(40_000)}`,
    "many errors": `${head}${"]}".repeat(60_000)}`,
    "a NUL": `${head}rules: [\u0000]`,
    "an escape sequence": `${head}rules: ["\u001b[2J"]`,
    "a C1 control": `${head}rules: ["\u009b"]`,
    "not UTF-8": new Uint8Array([0x6b, 0x3a, 0x20, 0xff, 0xfe]),
    "a surrogate": new Uint8Array([0x6b, 0x3a, 0x20, 0xed, 0xa0, 0x80]),
    "UTF-16": new Uint8Array([0xff, 0xfe, 0x6b, 0x00, 0x3a, 0x00]),
    "two documents": `${head}rules: []\n---\n${head}rules: []\n`,
    "another YAML version": `%YAML 1.1\n---\n${head}rules: []\n`,
    "a binary tag": `${head}rules: !!binary aGk=`,
    "a set tag": `${head}rules: !!set { a }`,
    "a number that is none": `${head}rules: .nan`,
    "a key that is a list": `${head}? [a, b]\n: 1`,
    "a key that is a number": `${head}1: x`,
    "a key that is empty": `${head}: x`,
    __proto__: `${head}__proto__: { rules: [] }`,
    constructor: `${head}rules: []\nconstructor: {}`,
    toString: `${head}rules: [{ id: x, toString: 1 }]`,
    nothing: "",
    "a comment": "# nothing",
    "a list": "[]",
    "a word": "rules",
  };
  test.each(Object.keys(hostile))(
    "%s",
    async (name) => {
      const problems = await problemsOf(setOf({ "permits/a.yaml": hostile[name] ?? "" }));
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.length).toBeLessThanOrEqual(1000);
      for (const line of problems)
        expect(line).toMatch(/^permits\/a\.yaml:\d+:\d+ error [A-Z_]+ [ -\u007e\u00a0-\uffff]+$/);
    },
    TIME_MS_MAX,
  );

  test.each([
    ["an alias", "rules: []\nx: *y\n", "permits/a.yaml:4:4 error SYNTAX aliases are not allowed"],
    ["an anchor", "rules: &a []\n", "permits/a.yaml:3:11 error SYNTAX anchors are not allowed"],
    [
      "nesting",
      `rules: ${"[".repeat(30)}${"]".repeat(30)}\n`,
      "permits/a.yaml:3:32 error TOO_LARGE values are nested deeper than 24 levels",
    ],
    [
      "a key that JavaScript knows",
      "rules: []\nconstructor: 1\n",
      'permits/a.yaml:4:1 error UNKNOWN_KEY "constructor" cannot be a key',
    ],
    [
      "a second document",
      "rules: []\n---\nrules: []\n",
      "permits/a.yaml:4:1 error SYNTAX a file holds one document; split it into several files",
    ],
    [
      "what stands behind the end of a document",
      "rules: []\n...\nrules: []\n",
      "permits/a.yaml:5:1 error SYNTAX a file holds one document; split it into several files",
    ],
    ["a number for a key", "1: x\n", "permits/a.yaml:3:1 error SYNTAX a key must be text. Quote it"],
    ["a list for a key", "? [a, b]\n: 1\n", "permits/a.yaml:3:3 error SYNTAX a key must be text. Quote it"],
    ["a line that is none", "rules: [}\n", "permits/a.yaml:3:9 error SYNTAX Flow sequence in block collection must be"],
  ])("%s is told as what it is", async (_, text, expected) => {
    const [first] = await problemsOf(setOf({ "permits/a.yaml": head + text }));
    expect(first).toStartWith(expected);
  });

  test("no rule of a second document is lost in silence", async () => {
    const guard = (id: string): string =>
      rulesFile("Guards", `  - id: ${id}\n    action: { any: true }\n    deny: No.`);
    const told = (text: string) => problemsOf(setOf({ "guards/a.yaml": text }));
    expect(await told(`---\n${guard("a")}...\n# The end.\n`)).toEqual([]);
    for (const second of [`---\n${guard("b")}`, `...\n${guard("b")}`, "---\n"]) {
      expect(await told(guard("a") + second)).toEqual([
        expect.stringMatching(
          /^guards\/a\.yaml:[78]:1 error SYNTAX a file holds one document; split it into several files$/,
        ),
      ]);
    }
  });

  test("of a file that cannot be parsed nothing else is told", async () => {
    const problems = await problemsOf(setOf({ "permits/a.yaml": `${head}x: *y\nrules: "\n` }));
    expect(problems.map((line) => line.split(" ", 3).join(" "))).toEqual(["permits/a.yaml:5:1 error SYNTAX"]);
  });

  test("a directive is told as what it is", async () => {
    const problems = await problemsOf(setOf({ "permits/a.yaml": `%YAML 1.2\n---\n${head}rules: []\n` }));
    expect(problems).toEqual(["permits/a.yaml:1:1 error SYNTAX directives such as %YAML are not allowed"]);
  });

  test("a set named like something that JavaScript knows is not dropped in silence", async () => {
    const vocabulary = "apiVersion: weir.dev/v1\nkind: Vocabulary\nsets: { constructor: [a] }\n";
    expect(await problemsOf(setOf({ "vocabulary.yaml": vocabulary }))).toEqual([
      'vocabulary.yaml:3:9 error UNKNOWN_KEY "constructor" cannot be a key',
    ]);
  });

  test("sets that hold each other many times over stay small", async () => {
    const sets = Array.from(
      { length: 7 },
      (_, index) => `  s${index + 1}: [${`$s${index}, `.repeat(500)}x${index}]\n`,
    ).join("");
    const vocabulary = `apiVersion: weir.dev/v1\nkind: Vocabulary\nsets:\n  s0: [a, b]\n${sets}`;
    const rule =
      "  - id: one\n    subject: { kinds: [human] }\n    target: { names: [box] }\n    action: { tiny: { things: [$s7] } }";
    expect(
      await problemsOf(setOf({ "vocabulary.yaml": vocabulary, "permits/a.yaml": rulesFile("Permits", rule) })),
    ).toEqual([]);
  });
});
