/** Limits on failed logins: who waits, who is refused unseen, and that the table stays small. */
import { describe, expect, test } from "bun:test";
import { LOGIN_LIMITS, LoginLimits } from "./login-limits.ts";

const NUMBERS = {
  ...LOGIN_LIMITS,
  windowMs: 1000,
  failuresPerAddressMax: 2,
  failuresPerTokenMax: 2,
  waitingPerAddressMax: 2,
  waitingMax: 3,
  trackedMax: 4,
};

function limits(): { limits: LoginLimits; waiting: (() => void)[] } {
  const waiting: (() => void)[] = [];
  return { limits: new LoginLimits(NUMBERS, async () => new Promise((resolve) => waiting.push(resolve))), waiting };
}

function fail(of: LoginLimits, source: string, times: number, now = 0): void {
  for (let count = 0; count < times; count++) of.failed(source, null, now);
}

describe("limits on failed logins", () => {
  test("let only so many wait per address, and in all", async () => {
    const { limits: of, waiting } = limits();
    for (const source of ["a", "b"]) fail(of, source, 2);
    const attempts = [
      of.admit("a", null, 0),
      of.admit("a", null, 0),
      of.admit("a", null, 0),
      of.admit("b", null, 0),
      of.admit("b", null, 0),
    ];
    expect(waiting).toHaveLength(3);
    for (const resolve of waiting) resolve();
    expect(await Promise.all(attempts)).toEqual([true, true, false, true, false]);
    const again = of.admit("a", null, 0);
    waiting.at(-1)?.();
    expect(await again).toBe(true);
  });

  test("forget with the window", async () => {
    const { limits: of } = limits();
    fail(of, "a", 2);
    expect(await of.admit("a", null, 1000)).toBe(true);
  });

  test("delay whoever is not known when too many fail at once", () => {
    const { limits: of, waiting } = limits();
    for (const source of ["a", "b", "c", "d", "e"]) fail(of, source, 1);
    void of.admit("a", null, 0);
    expect(waiting).toHaveLength(0);
    void of.admit("e", null, 0);
    expect(waiting).toHaveLength(1);
  });

  const same: readonly [string, string, boolean][] = [
    ["2001:db8::1", "2001:db8::ffff:2", true],
    ["2001:db8:0:0:1::", "2001:db8::2", true],
    ["2001:0db8::1", "2001:db8::1", true],
    ["2001:db8:0:1::1", "2001:db8::1", false],
    ["::ffff:192.0.2.1", "192.0.2.1", true],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.2", false],
    ["::1", "::2", true],
    ["192.0.2.1", "192.0.2.2", false],
  ];
  for (const [failing, coming, isSame] of same) {
    test(`${failing} and ${coming} are ${isSame ? "one network" : "two"}`, () => {
      const { limits: of, waiting } = limits();
      fail(of, failing, 2);
      void of.admit(coming, null, 0);
      expect(waiting).toHaveLength(isSame ? 1 : 0);
    });
  }
});
