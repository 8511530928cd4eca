/** Transcripts as lines: what is written is what is read, no line is longer than it may be, and nothing is cut in silence. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { TranscriptLine } from "../core/recording.ts";
import { encodeTranscriptLine, readTranscriptLine } from "./transcript.ts";

const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constant("\u2028\u0000\ud800"));
const value = fc.option(text);
const at = { operation: fc.string(), atMs: fc.nat() };
const line: fc.Arbitrary<TranscriptLine> = fc.oneof(
  fc.record(
    { kind: fc.constant("input" as const), ...at, text, parameters: fc.array(value) },
    { requiredKeys: ["kind", "operation", "atMs", "text"] },
  ),
  fc.record({ kind: fc.constant("columns" as const), ...at, names: fc.array(text) }),
  fc.record({ kind: fc.constant("rows" as const), ...at, rows: fc.array(fc.array(value)) }),
  fc.record(
    {
      kind: fc.constant("output" as const),
      ...at,
      stream: fc.constantFrom("stdout" as const, "stderr" as const),
      text,
      base64: fc.base64String(),
    },
    { requiredKeys: ["kind", "operation", "atMs", "stream"] },
  ),
  fc.record({ kind: fc.constant("data" as const), ...at, of: text, bytes: fc.nat(), sha256: fc.string() }),
  fc.record(
    { kind: fc.constant("end" as const), ...at, status: fc.string(), code: fc.string(), rows: fc.nat(), message: text },
    { requiredKeys: ["kind", "operation", "atMs", "status"] },
  ),
  fc.record({ kind: fc.constant("note" as const), atMs: fc.nat(), text }),
);

test("a line is read as it was written, on one line", () => {
  fc.assert(
    fc.property(line, (written) => {
      const [json, ...more] = encodeTranscriptLine(written);
      expect(more).toEqual([]);
      expect(json).not.toContain("\n");
      expect(readTranscriptLine(json ?? "")).toEqual(JSON.parse(JSON.stringify(written)));
    }),
  );
});

test("no line is longer than it may be, whatever is in it", () => {
  fc.assert(
    fc.property(line, fc.integer({ min: 200, max: 2000 }), (written, bytesMax) => {
      for (const json of encodeTranscriptLine(written, bytesMax)) {
        expect(Buffer.byteLength(json)).toBeLessThanOrEqual(Math.max(bytesMax, 200));
        expect(readTranscriptLine(json)).not.toBeNull();
      }
    }),
  );
});

describe("what is too long", () => {
  const operation = "op";

  test("is cut text by text, and says how much there was", () => {
    const long = "é".repeat(600_000);
    const [json, ...more] = encodeTranscriptLine({ kind: "rows", operation, atMs: 1, rows: [["short", long, null]] });
    expect(more).toEqual([]);
    const read = readTranscriptLine(json ?? "");
    expect(read).toMatchObject({ cut: { texts: 1, units: 600_017 } });
    if (read?.kind !== "rows") throw new Error("it is no line of rows");
    expect(read.rows[0]).toEqual(["short", "é".repeat(262_144), null]);
  });

  test("is not cut while it fits", () => {
    const long = "x".repeat(1_000_000);
    const [json] = encodeTranscriptLine({ kind: "input", operation, atMs: 1, text: long });
    expect(readTranscriptLine(json ?? "")).toEqual({ kind: "input", operation, atMs: 1, text: long });
  });

  test("no character is torn apart", () => {
    const [json] = encodeTranscriptLine({ kind: "note", atMs: 1, text: `x${"😀".repeat(500_000)}` });
    const read = readTranscriptLine(json ?? "");
    expect(read?.kind === "note" && read.text.endsWith("\u{FFFD}")).toBe(true);
  });

  test("many rows become many lines, in order and none missing", () => {
    const rows = Array.from({ length: 5000 }, (_, index) => [`${index} ${"y".repeat(500)}`]);
    const lines = encodeTranscriptLine({ kind: "rows", operation, atMs: 1, rows });
    expect(lines.length).toBeGreaterThan(2);
    const read = lines.flatMap((json) => {
      const each = readTranscriptLine(json);
      return each?.kind === "rows" ? each.rows : [];
    });
    expect(read).toEqual(rows);
  });

  test("and cannot be cut is left out, which is said", () => {
    const names = Array.from({ length: 1000 }, () => "n");
    const [json] = encodeTranscriptLine({ kind: "columns", operation, atMs: 7, names }, 1000);
    expect(readTranscriptLine(json ?? "")).toMatchObject({ kind: "note", atMs: 7 });
    expect(json).toContain("a line of columns was left out");
  });
});

test("what is no line is not read", () => {
  for (const json of ["", "x", "[]", "null", "{}", '{"kind":"other","atMs":1}', '{"kind":"rows","atMs":1}']) {
    expect(readTranscriptLine(json)).toBeNull();
  }
});
