/** Tests that every message has its limit, that no other type may be sent, and when a client may send which. */
import { describe, expect, test } from "bun:test";
import { backendBodyBytesMax, clientMaySend, frontendBodyBytesMax } from "./limits.ts";
import { BACKEND, FRONTEND } from "./types.ts";

const EVERY_BYTE = Array.from({ length: 256 }, (_, byte) => byte);

function letters(types: readonly number[]): string {
  return String.fromCharCode(...types.toSorted((a, b) => a - b));
}

test("a limit for every message there is, and for no other type", () => {
  const client = EVERY_BYTE.filter((type) => frontendBodyBytesMax(type) !== null);
  expect(letters(client)).toBe("BCDEFHPQSXcdfp");
  expect(letters(Object.values(FRONTEND))).toBe(letters(client));
  const server = EVERY_BYTE.filter((type) => backendBodyBytesMax(type) !== null);
  expect(letters(server)).toBe("123ACDEGHIKNRSTVWZcdnstv");
  expect(letters(Object.values(BACKEND))).toBe(letters(server));
});

test("messages without fields have no body, and only what carries values may be a gigabyte", () => {
  const gigabyte = 0x3fffffff;
  const none = (
    types: Readonly<Record<string, number>>,
    max: (type: number) => number | null,
    most: number,
  ): string[] => Object.keys(types).filter((name) => max(types[name] ?? -1) === most);
  expect(none(FRONTEND, frontendBodyBytesMax, 0)).toEqual(["copyDone", "flush", "sync", "terminate"]);
  expect(none(FRONTEND, frontendBodyBytesMax, gigabyte)).toEqual(["bind", "copyData", "functionCall"]);
  expect(none(BACKEND, backendBodyBytesMax, gigabyte)).toEqual(["copyData", "dataRow", "functionCallResponse"]);
  expect(none(BACKEND, backendBodyBytesMax, 0)).toEqual([
    "bindComplete",
    "closeComplete",
    "copyDone",
    "emptyQuery",
    "noData",
    "parseComplete",
    "portalSuspended",
  ]);
});

test("the configuration bounds what SQL may come", () => {
  expect(frontendBodyBytesMax(FRONTEND.query, 1000)).toBe(1001);
  expect(frontendBodyBytesMax(FRONTEND.parse, 2000)).toBe((frontendBodyBytesMax(FRONTEND.parse, 1000) ?? 0) + 1000);
});

describe("what a client may send", () => {
  const may = (phase: Parameters<typeof clientMaySend>[0]): string =>
    letters(EVERY_BYTE.filter((type) => clientMaySend(phase, type)));

  test("before login", () => expect(may("login")).toBe("Xp"));
  test("afterwards", () => expect(may("ready")).toBe("BCDEFHPQSXcdf"));
  test("while it copies in", () => expect(may("copyIn")).toBe("HSXcdf"));
});
