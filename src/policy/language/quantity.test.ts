/** Quantities are read strictly, and what is formatted reads back as the same. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, formatSize, parseDuration, parseRate, parseSize } from "./quantity.ts";

describe("durations", () => {
  const read: Readonly<Record<string, number>> = {
    "1ms": 1,
    "20s": 20_000,
    "15m": 900_000,
    "1h": 3_600_000,
    "30d": 2_592_000_000,
    "3660d": 316_224_000_000,
    "316224000000ms": 316_224_000_000,
  };
  for (const [text, ms] of Object.entries(read)) test(text, () => expect(parseDuration(text)).toBe(ms));

  const refused = [
    "",
    "20",
    "s",
    "0s",
    "020s",
    "-1s",
    "+1s",
    "1.5h",
    "1e3s",
    "20 s",
    " 20s",
    "20s ",
    "20S",
    "1M",
    "1w",
  ];
  const odd = ["3661d", "316224000001ms", "9".repeat(400) + "s", "1h30m", "١s", "20s\n", "Infinitys", "0x10s", "1_0s"];
  for (const text of [...refused, ...odd]) {
    test(`${JSON.stringify(text.slice(0, 20))} is refused`, () => expect(parseDuration(text)).toBeNull());
  }
});

describe("sizes", () => {
  const read: Readonly<Record<string, number>> = {
    "1B": 1,
    "100B": 100,
    "64KiB": 65_536,
    "5MiB": 5_242_880,
    "2GiB": 2_147_483_648,
    "1024TiB": 1_125_899_906_842_624,
  };
  for (const [text, bytes] of Object.entries(read)) test(text, () => expect(parseSize(text)).toBe(bytes));
  for (const text of ["5", "5MB", "5mib", "5 MiB", "0B", "1025TiB", "5b", "5KB", "5Ki", "1s", "MiB"]) {
    test(`${text} is refused`, () => expect(parseSize(text)).toBeNull());
  }
});

describe("rates", () => {
  test("30/1m", () => expect(parseRate("30/1m")).toEqual({ max: 30, ms: 60_000 }));
  test("1000000000000/500ms", () => expect(parseRate("1000000000000/500ms")).toEqual({ max: 1e12, ms: 500 }));
  for (const text of [
    "30",
    "30/",
    "/1m",
    "0/1m",
    "30/0s",
    "30/m",
    "30 / 1m",
    "30/1m/2",
    "1000000000001/1m",
    "3.5/1m",
  ]) {
    test(`${text} is refused`, () => expect(parseRate(text)).toBeNull());
  }
});

test("the shortest exact form", () => {
  expect([0, 1, 90_000, 3_600_000, 5_400_000, 172_800_000].map(formatDuration)).toEqual([
    "0ms",
    "1ms",
    "90s",
    "1h",
    "90m",
    "2d",
  ]);
  expect([0, 1025, 65_536, 5_242_880].map(formatSize)).toEqual(["0B", "1025B", "64KiB", "5MiB"]);
});

test("what is formatted reads back as the same", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 316_224_000_000 }), (ms) => parseDuration(formatDuration(ms)) === ms),
  );
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (bytes) => parseSize(formatSize(bytes)) === bytes));
});
