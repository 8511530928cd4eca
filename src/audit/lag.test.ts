/** The age of the oldest record that is not durable: never less than it is, at most a millisecond more. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Lag } from "./lag.ts";

test("the age is that of the record after the durable one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ waitMs: fc.double({ min: 0, max: 5, noNaN: true }), durableBy: fc.nat(3) }), {
        maxLength: 300,
      }),
      (steps) => {
        const lag = new Lag();
        const times: number[] = [];
        let now = 0;
        let durable = 0;
        for (const { waitMs, durableBy } of steps) {
          now += waitMs;
          times.push(now);
          lag.handed(times.length, now);
          durable = Math.min(times.length, durable + durableBy);
          const oldest = times[durable];
          if (oldest === undefined) continue;
          const age = lag.ageMs(durable, now);
          expect(age).toBeGreaterThanOrEqual(now - oldest);
          expect(age).toBeLessThan(now - oldest + 1);
        }
      },
    ),
  );
});

test("when all samples are taken the age is rather too high than too low", () => {
  const lag = new Lag();
  for (let i = 1; i <= 10_000; i++) lag.handed(i, i * 2);
  expect(lag.ageMs(0, 20_000)).toBe(19_998);
  expect(lag.ageMs(9000, 20_000)).toBeGreaterThanOrEqual(20_000 - 9001 * 2);
});

test("samples are given back as records become durable", () => {
  const lag = new Lag();
  for (let i = 1; i <= 100_000; i++) {
    lag.handed(i, i * 2);
    lag.prune(i - 10);
  }
  expect(lag.ageMs(99_990, 200_000)).toBe(200_000 - 99_991 * 2);
  lag.clear();
  expect(lag.ageMs(0, 1)).toBe(0);
});
