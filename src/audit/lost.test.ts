/** Lost records: told from others exactly, and never forgotten however often the log fails. */
import { expect, test } from "bun:test";
import { LostRecords } from "./lost.ts";

test("what was lost is told from what was not", () => {
  const lost = new LostRecords();
  lost.add(5, 4);
  expect([4, 5].map((sequence) => lost.has(sequence))).toEqual([false, false]);
  lost.add(5, 7);
  lost.add(10, 10);
  const all = Array.from({ length: 12 }, (_, sequence) => sequence);
  expect(all.filter((sequence) => lost.has(sequence))).toEqual([5, 6, 7, 10]);
});

test("after very many failures the oldest are taken together, and stay lost", () => {
  const lost = new LostRecords();
  for (let i = 0; i < 1000; i++) lost.add(i * 10, i * 10 + 2);
  for (let i = 0; i < 1000; i++) expect(lost.has(i * 10 + 1)).toBe(true);
  expect(lost.has(9985)).toBe(false);
  expect(lost.has(5)).toBe(true);
  expect(lost.has(9993)).toBe(false);
});
