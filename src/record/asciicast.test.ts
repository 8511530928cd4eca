/** asciicast v3 as its specification has it: the header, intervals, codes, and lines that readers take. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { AsciicastWriter, isCastHeader, readCastLine } from "./asciicast.ts";

const TERMINAL = { kind: "terminal", atMs: 1_504_467_315_900, columns: 80, rows: 24 } as const;

function begun(): AsciicastWriter {
  const writer = new AsciicastWriter();
  writer.encode(TERMINAL);
  return writer;
}

test("the example of the specification", () => {
  const writer = new AsciicastWriter();
  const at = 1_504_467_315_000;
  const lines = [
    writer.encode({ kind: "terminal", atMs: at, columns: 80, rows: 24, type: "xterm-256color", command: "/bin/zsh" }),
    writer.encode({ kind: "event", atMs: at + 248, code: "o", data: "\u001b[1;31mHello \u001b[32mWorld!\u001b[0m\n" }),
    writer.encode({ kind: "event", atMs: at + 1249, code: "i", data: "\r" }),
    writer.encode({ kind: "event", atMs: at + 4749, code: "m", data: "" }),
    writer.encode({ kind: "event", atMs: at + 4749, code: "r", data: "90x30" }),
    writer.encode({ kind: "event", atMs: at + 4750, code: "x", data: "0" }),
  ].flat();
  expect(lines).toEqual([
    '{"version":3,"term":{"cols":80,"rows":24,"type":"xterm-256color"},"timestamp":1504467315,"command":"/bin/zsh"}',
    String.raw`[0.248,"o","\u001b[1;31mHello \u001b[32mWorld!\u001b[0m\n"]`,
    String.raw`[1.001,"i","\r"]`,
    '[3.5,"m",""]',
    '[0,"r","90x30"]',
    '[0.001,"x","0"]',
  ]);
});

test("intervals add up to the time that went by, however many there are", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 10_000 }), { minLength: 1 }), (waits) => {
      const writer = begun();
      let atMs: number = TERMINAL.atMs;
      let seconds = 0;
      for (const wait of waits) {
        atMs += wait;
        for (const line of writer.encode({ kind: "event", atMs, code: "o", data: "x" })) {
          const read = readCastLine(line);
          if (read === null || read === "comment" || isCastHeader(read)) throw new Error("it is no event");
          seconds += read[0];
        }
      }
      expect(Math.round(seconds * 1000)).toBe(atMs - TERMINAL.atMs);
    }),
  );
});

test("a clock that goes back makes no negative interval, and does not count twice", () => {
  const writer = begun();
  const at = TERMINAL.atMs;
  expect(writer.encode({ kind: "event", atMs: at + 500, code: "o", data: "a" })).toEqual(['[0.5,"o","a"]']);
  expect(writer.encode({ kind: "event", atMs: at + 100, code: "o", data: "b" })).toEqual(['[0,"o","b"]']);
  expect(writer.encode({ kind: "event", atMs: at + 600, code: "o", data: "c" })).toEqual(['[0.1,"o","c"]']);
});

test("what is long becomes several events at the same time, and no character is torn apart", () => {
  fc.assert(
    fc.property(fc.integer({ min: 65_520, max: 65_550 }), fc.constantFrom("😀", "a", "é"), (count, end) => {
      const data = "x".repeat(count) + end.repeat(70_000);
      const lines = begun().encode({ kind: "event", atMs: TERMINAL.atMs + 10, code: "o", data });
      const events = lines.map((line): unknown => JSON.parse(line));
      expect(lines.length).toBeGreaterThan(1);
      const read = events.map((event) => (Array.isArray(event) ? event : []));
      expect(read.map(([wait]) => wait)).toEqual([0.01, ...Array<number>(lines.length - 1).fill(0)]);
      expect(read.map(([, , piece]) => piece).join("")).toBe(data);
      for (const [, , piece] of read) expect(String(piece).isWellFormed()).toBe(true);
    }),
    { numRuns: 10 },
  );
});

test("a command that is too long for a header is cut, and says so", () => {
  const command = `${"x".repeat(65_535)}😀`;
  const header = (text: string): unknown =>
    JSON.parse(new AsciicastWriter().encode({ ...TERMINAL, command: text })[0] ?? "");
  expect(header(command)).toMatchObject({ command: `${"x".repeat(65_535)}\u{FFFD} (cut: of 65537 units)` });
  expect(header("y".repeat(65_536))).toMatchObject({ command: "y".repeat(65_536) });
});

describe("what is no asciicast", () => {
  test("is not written", () => {
    expect(() => new AsciicastWriter().encode({ kind: "event", atMs: 1, code: "o", data: "x" })).toThrow("begins with");
    expect(() => begun().encode(TERMINAL)).toThrow("one header");
  });

  test("is not read", () => {
    for (const line of ["x", "{}", "[]", '[1,"o"]', '[-1,"o","x"]', '{"version":2,"term":{"cols":1,"rows":1}}']) {
      expect(readCastLine(line)).toBeNull();
    }
    for (const line of ["", "# a comment"]) expect(readCastLine(line)).toBe("comment");
  });
});
