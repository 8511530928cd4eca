/** docs/detectors.md: all classifiers are on it, its examples are found, what it says is not found is not, and its numbers hold. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { POSTGRES_VOCABULARY } from "../../adapters/postgres/vocabulary.ts";
import { CLASSIFIERS } from "../../src/core/classifiers.ts";
import { checkPolicies } from "../../src/policy/check.ts";
import { contentMask } from "../detectors/masks.ts";
import { setOf, withFolder } from "../policy-sets.ts";
import { fences, readPage, tableRows } from "./pages.ts";

const PAGE = readPage("docs/detectors.md");
const FOUND = tableRows(PAGE, "classifier");
const NOT_FOUND = tableRows(PAGE, "text");
const LIMITS = tableRows(PAGE, "what");

const utf8 = new TextEncoder();
const inner = (cell: string): string => cell.slice(1, -1);

function isFound(text: string, classifiers: readonly string[]): boolean {
  const bytes = utf8.encode(text);
  const mask = contentMask(Object.fromEntries(classifiers.map((name) => [name, { with: "redact" as const }])));
  return mask.holds(bytes, 0, bytes.length);
}

test("all classifiers are there, and no others", () => {
  expect(FOUND.map(([name = ""]) => inner(name)).toSorted()).toEqual(Object.keys(CLASSIFIERS).toSorted());
});

describe("examples", () => {
  test.each(FOUND.map(([name = "", , example = ""]) => [inner(name), inner(example)]))("%s: %s", (name, example) => {
    expect(isFound(example, [name])).toBe(true);
  });

  test.each(NOT_FOUND.map(([text = ""]) => [inner(text)]))("%s is not found", (text) => {
    expect(isFound(text, ["email", "card-number", "national-id-us"])).toBe(false);
  });

  test("there are some of each", () => expect([FOUND.length > 20, NOT_FOUND.length > 4]).toEqual([true, true]));
});

test("its guard is one", async () => {
  const guard = fences(PAGE).find(({ language }) => language === "yaml")?.text ?? "";
  await withFolder(setOf({ "guards/content.yaml": guard }), async (dir) => {
    const problems = await checkPolicies(dir, [POSTGRES_VOCABULARY], []);
    expect(problems.filter(({ severity }) => severity === "error")).toEqual([]);
  });
});

const SCALES: Readonly<Record<string, number>> = { "": 1, s: 1000, MiB: 1024 ** 2 };

test.each(LIMITS.map(([what = "", number = "", place = ""]) => [what, number, place]))("%s: %s", (_, number, place) => {
  const [file = "", name = ""] = [...place.matchAll(/`([^`]+)`/gu)].map((match) => match[1] ?? "");
  const written = new RegExp(`const ${name} = ([0-9_]+(?: \\* [0-9_]+)*);`, "u").exec(
    readFileSync(join(import.meta.dir, "../..", file), "utf8"),
  );
  const [digits = "", unit = ""] = number.split(" ");
  const factors = (written?.[1] ?? "").split(" * ").map((factor) => Number(factor.replaceAll("_", "")));
  expect(factors.reduce((product, factor) => product * factor, 1)).toBe(Number(digits) * (SCALES[unit] ?? Number.NaN));
});
