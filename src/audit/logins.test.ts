/** Failed logins: the first of an address in a minute at once, the others as a count, and a flood of addresses bounded. */
import { expect, test } from "bun:test";
import { ADDRESSES_MAX, FailedLogins, WINDOW_MS } from "./logins.ts";

test("the first of a minute is recorded, the others are counted until the minute is over", () => {
  const logins = new FailedLogins();
  expect(logins.dueMs).toBeNull();
  expect(logins.isFirst("10.0.0.1", 1000)).toBe(true);
  expect(logins.isFirst("10.0.0.1", 2000)).toBe(false);
  expect(logins.isFirst("10.0.0.2", 3000)).toBe(true);
  expect(logins.isFirst("10.0.0.1", 4000)).toBe(false);
  expect(logins.dueMs).toBe(1000 + WINDOW_MS);
  expect(logins.take(1000 + WINDOW_MS - 1)).toEqual([]);
  expect(logins.take(1000 + WINDOW_MS)).toEqual([{ source: "10.0.0.1", count: 2, fromMs: 1000, toMs: 4000 }]);
  expect(logins.isFirst("10.0.0.1", 1001 + WINDOW_MS)).toBe(true);
  // The other address had no more than its first: nothing is left to say.
  expect(logins.take(3000 + WINDOW_MS)).toEqual([]);
  expect(logins.dueMs).toBe(1001 + 2 * WINDOW_MS);
});

test("a clock that is set back does not hold a count for ever", () => {
  const logins = new FailedLogins();
  logins.isFirst("10.0.0.1", 1_000_000);
  logins.isFirst("10.0.0.1", 1_000_001);
  expect(logins.take(5)).toHaveLength(1);
  expect(logins.dueMs).toBeNull();
});

test("the addresses of an IPv6 network count as one, those of IPv4 do not", () => {
  const logins = new FailedLogins();
  expect(logins.isFirst("2001:db8:1:2::1", 0)).toBe(true);
  expect(logins.isFirst("2001:db8:1:2:3:4:5:6", 0)).toBe(false);
  expect(logins.isFirst("2001:db8:1:3::1", 0)).toBe(true);
  expect(logins.isFirst("::1", 0)).toBe(true);
  expect(logins.isFirst("::2", 0)).toBe(false);
  expect(logins.isFirst("::ffff:10.0.0.1", 0)).toBe(true);
  expect(logins.isFirst("::ffff:10.0.0.2", 0)).toBe(true);
  expect(logins.take(null).map(({ source }) => source)).toEqual(["2001:db8:1:2::/64", "0:0:0:0::/64"]);
});

test("more addresses than are counted one by one share a count", () => {
  const logins = new FailedLogins();
  let recorded = 0;
  for (let i = 0; i < ADDRESSES_MAX + 500; i++) if (logins.isFirst(`10.0.${i >> 8}.${i & 255}`, i)) recorded++;
  expect(recorded).toBe(ADDRESSES_MAX);
  expect(logins.take(null)).toEqual([
    { source: "others", count: 500, fromMs: ADDRESSES_MAX, toMs: ADDRESSES_MAX + 499 },
  ]);
});
