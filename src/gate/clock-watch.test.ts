/** A clock that is set is noticed, one that drifts is not, and what is right again counts again. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { ClockWatch } from "./clock-watch.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let wallMs = 0;
let monotonicMs = 0;
let watch: ClockWatch;
let told: (number | null)[] = [];

function pass(ms: number, wallToo = ms): void {
  monotonicMs += ms;
  wallMs += wallToo;
}

beforeEach(() => {
  [wallMs, monotonicMs, told] = [1_790_000_000_000, 5_000, []];
  watch = new ClockWatch({ now: () => wallMs }, () => monotonicMs);
  watch.onStep((byMs) => told.push(byMs));
});
afterEach(() => watch.stop());

test.each([MINUTE_MS + 1, -MINUTE_MS - 1, 400 * DAY_MS, -400 * DAY_MS])("a step of %d ms", (byMs) => {
  pass(0, byMs);
  expect(watch.steppedByMs).toBe(byMs);
  expect(watch.steppedByMs).toBe(byMs);
  expect(told).toEqual([byMs]);
});

test.each([MINUTE_MS, -MINUTE_MS])("a step of %d ms is within what a clock may be wrong by", (byMs) => {
  pass(0, byMs);
  expect(watch.steppedByMs).toBeNull();
});

test("a clock that is slewed for a day goes as it should, one that runs away does not", () => {
  pass(DAY_MS, DAY_MS * 1.0005);
  expect(watch.steppedByMs).toBeNull();
  pass(DAY_MS, DAY_MS * 1.01);
  expect(watch.steppedByMs).not.toBeNull();
});

test("a clock that is set back to what it was is right again", () => {
  pass(0, DAY_MS);
  expect(watch.steppedByMs).toBe(DAY_MS);
  pass(1000, 1000 - DAY_MS);
  expect(watch.steppedByMs).toBeNull();
  expect(told).toEqual([DAY_MS, null]);
});

test("one that is confirmed is right as it is, and the next step counts from there", () => {
  pass(0, DAY_MS);
  expect(watch.steppedByMs).toBe(DAY_MS);
  watch.confirm();
  expect(watch.steppedByMs).toBeNull();
  pass(0, -DAY_MS);
  expect(watch.steppedByMs).toBe(-DAY_MS);
  expect(told).toEqual([DAY_MS, null, -DAY_MS]);
});
