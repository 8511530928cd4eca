/** Tests that lists of words are read as words alone, however their lines are set. */
import { expect, test } from "bun:test";
import { wordSet } from "./word-list.ts";

test("lines and spaces stand between words, and are none", () => {
  expect([...wordSet(" a  b\n   c\n\n", "b d")]).toEqual(["a", "b", "c", "d"]);
});
