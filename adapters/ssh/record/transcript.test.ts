/** What is kept of a command: itself, every byte that it put out in order, and of its input how much it was. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { RecordKind } from "../../../src/core/obligation.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import { doorTo, KeptRecording, permitTo, writtenLines } from "../../../test/kept-recording.ts";
import type { ChannelRecord } from "./channel-record.ts";
import { recordTranscript } from "./transcript.ts";

const CLOCK = { now: () => 7 };
const bytes = (text: string): Buffer => Buffer.from(text);

function command(...kinds: readonly RecordKind[]) {
  const recording = new KeptRecording();
  const record = recordTranscript(doorTo(recording), permitTo(...kinds), CLOCK, "df -h");
  if (record === null) throw new Error("nothing is recorded");
  return { recording, record };
}

/** The bytes of one stream of output, put together again. */
function putOut(recording: KeptRecording, to: "clear" | "sealed", stream: "stdout" | "stderr"): Buffer {
  return Buffer.concat(
    recording
      .lines(to, "output")
      .filter((line) => line.stream === stream)
      .map(({ text, base64 }) => (text === undefined ? Buffer.from(base64 ?? "", "base64") : bytes(text))),
  );
}

function use(record: ChannelRecord): void {
  record.input(bytes("in"));
  record.unmasked(bytes("4111111111111111\n"), false);
  record.output(bytes("***\n"), false);
  record.unmasked(bytes("oh"), true);
  record.output(bytes("oh"), true);
  record.input(bytes("put"));
  record.end({ status: "failed", code: "1" });
}

const AT = { operation: "OP", atMs: 7 } as const;
const INPUT = { kind: "input", ...AT, text: "df -h" } as const;
const DATA = {
  kind: "data",
  ...AT,
  of: "stdin",
  bytes: 5,
  sha256: createHash("sha256").update("input").digest("hex"),
} as const;
const OUTPUT = [
  { kind: "output", ...AT, stream: "stdout", text: "***\n" },
  { kind: "output", ...AT, stream: "stderr", text: "oh" },
] as const;
const RAW = [{ kind: "output", ...AT, stream: "stdout", text: "4111111111111111\n" }, OUTPUT[1]] as const;
const END = { kind: "end", ...AT, status: "failed", code: "1" } as const;
const SEALED = [...RAW, END] as const;

test("what policy does not oblige to record is not", () => {
  expect(recordTranscript(doorTo(null), permitTo(), CLOCK, "df")).toBeNull();
});

test.each([
  [["input"], [INPUT, DATA, END], []],
  [["output"], [...OUTPUT, END], []],
  [["raw"], [END], SEALED],
  [["input", "output", "raw"], [INPUT, ...OUTPUT, DATA, END], SEALED],
] as const)("record: %j", (kinds, clear, sealed) => {
  const { recording, record } = command(...kinds);
  use(record);
  expect(recording.clear).toEqual([...clear]);
  expect(recording.sealed).toEqual([...sealed]);
});

test("without input there is nothing to say of it, and without a code no code", () => {
  const { recording, record } = command("input");
  record.end({ status: "cancelled" });
  record.end({ status: "done" });
  expect(recording.clear).toEqual([INPUT, { kind: "end", ...AT, status: "cancelled" }]);
});

describe("output", () => {
  const packet = fc.record({
    data: fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: "binary", maxLength: 6 }).map(bytes),
      fc.constantFrom("\u{FEFF}", "\u0000", "é", "\ud800").map(bytes),
    ),
    isStderr: fc.boolean(),
  });

  test("is there to the byte, whatever it is and however it was split, and each stream for itself", () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 40 }), (packets) => {
        const { recording, record } = command("output", "raw");
        for (const { data, isStderr } of packets) {
          record.unmasked(data, isStderr);
          record.output(data, isStderr);
        }
        record.end({ status: "done", code: "0" });
        for (const to of ["clear", "sealed"] as const) {
          for (const stream of ["stdout", "stderr"] as const) {
            const sent = packets.filter(({ isStderr }) => isStderr === (stream === "stderr")).map(({ data }) => data);
            expect(putOut(recording, to, stream)).toEqual(Buffer.concat(sent));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("of UTF-8 is text, however its characters were split", () => {
    const whole = bytes("a😀é\u{FEFF}b".repeat(20));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (sizes) => {
        const { recording, record } = command("output");
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          record.output(whole.subarray(at, at + size), false);
          at += size;
        }
        record.end({ status: "done" });
        expect(recording.lines("clear", "output").some(({ base64 }) => base64 !== undefined)).toBe(false);
        expect(putOut(recording, "clear", "stdout")).toEqual(whole);
      }),
    );
  });

  test("that is no text is in base64, and only that piece", () => {
    const { recording, record } = command("output");
    for (const data of [bytes("a"), Buffer.from([0xff, 0x00]), bytes("b")]) record.output(data, false);
    expect(recording.lines("clear", "output").map(({ text, base64 }) => text ?? base64)).toEqual(["a", "/wA=", "b"]);
  });

  test("in large packets is in lines that need not be cut", () => {
    for (const data of [Buffer.alloc(300_000, 0x01), Buffer.alloc(300_000, 0xff), bytes("😀".repeat(70_000))]) {
      const { recording, record } = command("output");
      record.output(data, false);
      record.end({ status: "done" });
      expect(putOut(recording, "clear", "stdout").equals(data)).toBe(true);
      const lines = recording.lines("clear", "output");
      expect(lines.length).toBeGreaterThan(3);
      for (const line of lines) {
        const encoded = writtenLines(line);
        expect(encoded.length).toBe(1);
        expect(encoded[0]).not.toContain('"cut"');
      }
    }
  });
});

test("a recording that is full says so for any of its pieces, and who waits is told of room until the end", () => {
  const { recording, record } = command("input", "output", "raw");
  let drained = 0;
  record.onDrain(() => drained++);
  expect([record.output(bytes("a"), false), record.unmasked(bytes("a"), true), record.input(bytes("a"))]).toEqual([
    true,
    true,
    true,
  ]);
  recording.isFull = true;
  expect([record.output(bytes("a"), false), record.unmasked(bytes("a"), true)]).toEqual([false, false]);
  // A recording that has room again for the second of two pieces had none for the first.
  const write = recording.write.bind(recording);
  let count = 0;
  recording.write = (stream, line) => write(stream, line) || ++count > 1;
  expect(record.output(Buffer.alloc(100_000, 0x61), false)).toBe(false);
  for (const listener of recording.listeners) listener();
  expect(drained).toBe(1);
  record.end({ status: "done" });
  expect(recording.listeners.size).toBe(0);
});

test("a recording that fails lets nothing be told, and one that cannot be had begins nothing", () => {
  const recording = new KeptRecording();
  recording.fail();
  for (const kind of ["input", "output", "raw"] as const) {
    const failing = command(kind);
    failing.recording.fail();
    for (const tell of [
      () => failing.record.unmasked(bytes("a"), false),
      () => failing.record.output(bytes("a"), false),
      () => failing.record.input(bytes("a")),
      () => failing.record.end({ status: "done" }),
    ]) {
      expect(tell).toThrow(RecordingFailed);
    }
  }
  expect(() => recordTranscript(doorTo(recording), permitTo("input"), CLOCK, "df")).toThrow(RecordingFailed);
});
