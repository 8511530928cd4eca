/** Parts and patterns that are looked for in texts. */
import { expect, test } from "bun:test";
import { ContainsList } from "./contains.ts";

const digits = { name: "digits", findsIn: (text: string) => text.includes("1") };

test.each<[readonly string[], boolean, boolean]>([
  [["a key"], true, true],
  [["a key", "none"], false, true],
  [["none"], false, false],
  [["a KEY"], false, false],
  [["x1", "keys"], true, true],
  [[], false, false],
])("%p: in every text %p, in any %p", (texts, isInEvery, isInAny) => {
  const list = new ContainsList(["key"], [digits]);
  expect([list.hasEvery(texts), list.hasAny(texts)]).toEqual([isInEvery, isInAny]);
});

test("may look without regard to case", () => {
  const list = new ContainsList(["Key"], [], { folds: true });
  expect(list.hasAny(["A KEY"])).toBe(true);
  expect(list.hasAny(["a \u212aey"])).toBe(true);
  expect(new ContainsList(["Key"], []).hasAny(["A KEY"])).toBe(false);
});

test("shows its parts", () => {
  expect(new ContainsList(["key", "Key"], [digits], { folds: true }).texts).toEqual(["$digits", "Key", "key"]);
});
