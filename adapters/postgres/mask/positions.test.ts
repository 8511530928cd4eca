/** Positions of errors: before, in and behind what was replaced. */
import { expect, test } from "bun:test";
import { positionsOf } from "./positions.ts";

test("positions outside of replaced parts move back, inside they are where the part began", () => {
  // Of "0123456789": "23" became five characters, "7" became one, and nothing became two at 9.
  const positions = positionsOf(
    [
      { start: 2, end: 4, newLength: 5 },
      { start: 7, end: 8, newLength: 1 },
      { start: 9, end: 9, newLength: 2 },
    ],
    10,
  );
  const originals = Array.from({ length: 18 }, (_, position) => positions.toOriginal(position));
  expect(originals).toEqual([0, 1, 2, 3, 3, 3, 3, 3, 5, 6, 7, 8, 9, 10, 10, 10, 11, 11]);
});

test("a part that became shorter moves what follows the other way", () => {
  const positions = positionsOf([{ start: 0, end: 6, newLength: 1 }], 8);
  expect([0, 1, 2, 3, 4, 5].map((position) => positions.toOriginal(position))).toEqual([0, 1, 7, 8, 9, 9]);
});

test("what became nothing is passed over", () => {
  const positions = positionsOf([{ start: 2, end: 4, newLength: 0 }], 6);
  expect([1, 2, 3, 4, 5, 6].map((position) => positions.toOriginal(position))).toEqual([1, 2, 5, 6, 7, 7]);
});

test("no position stays none", () => {
  const positions = positionsOf([], 3);
  expect([-1, 0, 1, 3, 4, 5, 1e9].map((position) => positions.toOriginal(position))).toEqual([0, 0, 1, 3, 4, 4, 4]);
});
