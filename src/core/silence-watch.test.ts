/** A writer that does not get on with its work is noticed in time, and one that was stopped together with its process is not blamed. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { SilenceWatch } from "./silence-watch.ts";

const SILENCE_MS_MAX = 5000;

let now = 0;
let durable = 0;
let handedOver = 0;
let told = 0;
let watch: SilenceWatch;

beforeEach(() => {
  jest.useFakeTimers();
  [now, durable, handedOver, told] = [0, 0, 1, 0];
  watch = new SilenceWatch(
    {
      silenceMsMax: SILENCE_MS_MAX,
      done: () => durable,
      given: () => handedOver,
      onSilence: () => void told++,
    },
    () => now,
  );
  watch.watch();
});
afterEach(() => {
  watch.stop();
  jest.useRealTimers();
});

/** Time passes, and timers run as it does. */
function pass(durationMs: number): void {
  for (let passed = 0; passed < durationMs; passed += 250) {
    now += 250;
    jest.advanceTimersByTime(250);
  }
}

/** Time passes while the whole process is stopped. */
function stopped(durationMs: number): void {
  now += durationMs;
}

test("a writer that makes nothing durable is noticed when its time is over, once", () => {
  pass(SILENCE_MS_MAX);
  expect(told).toBe(0);
  pass(250);
  expect(told).toBe(1);
  pass(2 * SILENCE_MS_MAX);
  expect(told).toBe(1);
});

test("whatever becomes durable begins its time anew", () => {
  handedOver = 9;
  for (let n = 1; n < 9; n++) {
    pass(SILENCE_MS_MAX - 250);
    durable = n;
  }
  expect(told).toBe(0);
  pass(SILENCE_MS_MAX + 500);
  expect(told).toBe(1);
});

test("one that has done its work is left alone until there is more", () => {
  durable = 1;
  pass(10 * SILENCE_MS_MAX);
  expect([told, jest.getTimerCount()]).toEqual([0, 0]);
  handedOver = 2;
  watch.watch();
  pass(SILENCE_MS_MAX);
  expect(told).toBe(0);
  pass(250);
  expect(told).toBe(1);
});

test("the time for which the process was stopped is not held against it, and what follows is", () => {
  for (let times = 0; times < 3; times++) {
    stopped(100 * SILENCE_MS_MAX);
    pass(250);
  }
  expect(told).toBe(0);
  pass(SILENCE_MS_MAX);
  expect(told).toBe(1);
});
