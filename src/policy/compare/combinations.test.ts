/** Combinations: all of a few things, and of many each alone and all at once. */
import { expect, test } from "bun:test";
import { assignments, subsets } from "./combinations.ts";

test("few keys have every value with every other", () => {
  const { all, isWhole } = assignments(["a", "b"], [1, 2]);
  expect(isWhole).toBe(true);
  expect(all.map((each) => Object.fromEntries(each))).toEqual([
    { a: 1, b: 1 },
    { a: 1, b: 2 },
    { a: 2, b: 1 },
    { a: 2, b: 2 },
  ]);
  expect(assignments(["a", "b", "c", "d"], [1, 2, 3])).toMatchObject({ isWhole: true, all: { length: 81 } });
  expect(assignments([], [1, 2])).toEqual({ all: [new Map()], isWhole: true });
});

test("of many keys all are the same, but for one of them", () => {
  const keys = ["a", "b", "c", "d", "e"];
  const { all, isWhole } = assignments(keys, [true, false, null]);
  expect(isWhole).toBe(false);
  const texts = all.map((each) => keys.map((key) => String(each.get(key))).join());
  expect(all.every((each) => each.size === keys.length)).toBe(true);
  // Three that are all the same; in each, five keys may have one of two other values.
  expect([texts.length, new Set(texts).size]).toEqual([33, 33]);
  expect(texts).toContain("true,true,true,true,true");
  expect(texts).toContain("true,true,null,true,true");
  expect(texts).not.toContain("true,null,null,true,true");
});

test("the sets of few things are all of them, small ones first", () => {
  expect(subsets([1, 2, 3])).toEqual({
    all: [[], [1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]],
    isWhole: true,
  });
  expect(subsets([])).toEqual({ all: [[]], isWhole: true });
  expect(subsets([1, 2, 3, 4]).all).toHaveLength(16);
});

test("of many things there are those of one, none and all", () => {
  expect(subsets([1, 2, 3, 4, 5])).toEqual({ all: [[], [1], [2], [3], [4], [5], [1, 2, 3, 4, 5]], isWhole: false });
  expect(subsets([1, 2, 3], 2)).toEqual({ all: [[], [1], [2], [3], [1, 2, 3]], isWhole: false });
});
