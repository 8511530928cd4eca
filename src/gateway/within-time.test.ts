/** What takes too long is given up, and what comes after it is done all the same. */
import { expect, test } from "bun:test";
import { deferEnd, withinTime } from "./within-time.ts";

const NEVER_MS = 1_000_000;

test("work in time settles as it does", async () => {
  expect(await withinTime(Promise.resolve(7), NEVER_MS, "late")).toBe(7);
  await expect(withinTime(Promise.reject(new Error("failed")), NEVER_MS, "late")).rejects.toThrow("failed");
});

test("work that takes too long is given up", async () => {
  await expect(withinTime(new Promise(() => {}), 0, "it took too long")).rejects.toThrow("it took too long");
});

test("an end that does not come is named, and the others come all the same", async () => {
  const ended: string[] = [];
  const stack = new AsyncDisposableStack();
  deferEnd(stack, "the first", async () => void ended.push("the first"));
  deferEnd(stack, "the second", async () => new Promise(() => {}), 0);
  deferEnd(stack, "the third", async () => void ended.push("the third"));
  await expect(stack.disposeAsync()).rejects.toThrow("the second did not end within 0 ms");
  expect(ended).toEqual(["the third", "the first"]);
});
