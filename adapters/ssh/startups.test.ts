/** Tests of how many clients may be on their way to a login. */
import { expect, test } from "bun:test";
import { Startups } from "./startups.ts";

const LIMITS = { begin: 10, ratePercent: 30, max: 100, perSourceMax: 50 };

test("up to the first number nobody is dropped, from the last on everybody is", () => {
  const lucky = new Startups(LIMITS, () => 0.9999);
  let entered = 0;
  while (lucky.enter(`10.0.0.${entered}`)) entered++;
  expect(entered).toBe(100);
  lucky.leave("10.0.0.0");
  expect(lucky.enter("10.0.1.1")).toBe(true);

  const unlucky = new Startups(LIMITS, () => 0);
  for (let n = 0; n < 10; n++) expect(unlucky.enter(`10.0.0.${n}`)).toBe(true);
  expect(unlucky.enter("10.0.0.9")).toBe(false);
});

test("in between, the share that is dropped grows from the rate to all", () => {
  const shareAt = (count: number): number => {
    let draw = 0;
    const startups = new Startups(LIMITS, () => draw);
    draw = 0.9999;
    for (let n = 1; n < count; n++) startups.enter(`10.0.0.${n}`);
    startups.enter("10.0.1.1");
    // The largest draw that is still dropped.
    for (let percent = 0; percent < 100; percent++) {
      draw = percent / 100;
      if (startups.enter("10.0.1.1")) return percent;
    }
    return 100;
  };
  expect([shareAt(9), shareAt(10), shareAt(55), shareAt(99)]).toEqual([0, 30, 65, 100]);
});

test("one address has its own number", () => {
  const startups = new Startups({ ...LIMITS, begin: 90, perSourceMax: 3 }, () => 0.9999);
  expect([1, 2, 3, 4].map(() => startups.enter("10.0.0.1"))).toEqual([true, true, true, false]);
  expect(startups.enter("10.0.0.2")).toBe(true);
  startups.leave("10.0.0.1");
  expect(startups.enter("10.0.0.1")).toBe(true);
});

test("an address that floods the listener shuts out nobody who comes from elsewhere", () => {
  const startups = new Startups(LIMITS, () => 0.8);
  for (let n = 0; n < 1_000; n++) startups.enter("10.0.0.1");
  const others = Array.from({ length: 40 }, (_, n) => startups.enter(`10.0.1.${n}`));
  expect(others).not.toContain(false);
});
