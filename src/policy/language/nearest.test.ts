/** "Did you mean": near words, long lists, and an end to comparing. */
import { expect, test } from "bun:test";
import { didYouMean, Suggestions } from "./nearest.ts";

test("the nearest word within two edits is meant, of short words within one", () => {
  const near = (word: string, ...known: readonly string[]): boolean => didYouMean(word, known).startsWith("Did you");
  expect(didYouMean("selcet", ["insert", "select", "selects"])).toBe('Did you mean "select"?');
  expect(didYouMean("SELECT", ["select"])).toBe('Did you mean "select"?');
  expect([near("cat", "bat"), near("cat", "act"), near("cat", "bad"), near("four", "fourty")]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([near("orders", "order"), near("orders", "oder"), near("orders", "ode")]).toEqual([true, true, false]);
  // Swapped neighbours are one edit, and what lies between them is not.
  expect([near("abcd", "abdc"), near("abcd", "adcb")]).toEqual([true, false]);
  expect([near("abcdef", "badcef"), near("abcdef", "badcfe")]).toEqual([true, false]);
  const long = "x".repeat(64);
  expect([near(`${long.slice(1)}y`, long), near(`${long}y`, long)]).toEqual([true, false]);
});

test("of words that are equally near the first is meant", () => {
  expect(didYouMean("bat", ["cat", "rat"])).toBe('Did you mean "cat"?');
  expect(didYouMean("table", ["tablexx", "tables"])).toBe('Did you mean "tables"?');
});

test("where none is near, at most twenty that there are", () => {
  const words = Array.from({ length: 21 }, (_, at) => `w${at}`);
  expect(didYouMean("something", words.slice(0, 20))).toBe(`There is ${words.slice(0, 20).join(", ")}`);
  expect(didYouMean("something", words)).toBe(`There is ${words.slice(0, 20).join(", ")}, ...`);
  expect(didYouMean("something", [])).toBe("");
});

test("after two million words that were looked at there are no more suggestions", () => {
  const suggestions = new Suggestions();
  const known = Array.from({ length: 999_999 }, () => "");
  expect(suggestions.didYouMean("one", ["on"])).toBe('Did you mean "on"?');
  suggestions.didYouMean("something", known);
  expect(suggestions.didYouMean("one", ["on"])).toBe('Did you mean "on"?');
  suggestions.didYouMean("something", known);
  expect(suggestions.didYouMean("one", ["on"])).toBe("");
});
