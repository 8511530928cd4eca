/** Tests of how often a peer may ask for new keys. */
import { expect, test } from "bun:test";
import { ExchangeRate } from "./exchange-rate.ts";

test("a peer that sends nothing may ask for new keys so often in a minute, and again in the next", () => {
  const rate = new ExchangeRate(3);
  const asked = [0, 10, 20, 59_000, 60_000, 60_001].map((nowMs) => rate.mayBegin(100, nowMs));
  expect(asked).toEqual([true, true, true, false, true, true]);
});

test("a peer that sends much may ask as often as it likes", () => {
  const rate = new ExchangeRate(1);
  for (let n = 0; n < 100; n++) expect(rate.mayBegin(16 * 1024, n)).toBe(true);
  expect(rate.mayBegin(16 * 1024 - 1, 100)).toBe(true);
  expect(rate.mayBegin(16 * 1024 - 1, 101)).toBe(false);
});

test("OpenSSH with the smallest RekeyLimit may type", () => {
  const rate = new ExchangeRate();
  for (let nowMs = 0; nowMs < 300_000; nowMs += 100) expect(rate.mayBegin(500, nowMs)).toBe(true);
});
