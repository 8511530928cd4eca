/** What is kept of a terminal: what its user saw in the clear, what was typed and what masks hid sealed. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { RecordKind } from "../../../src/core/obligation.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import { castOf, doorTo, KeptRecording, permitTo } from "../../../test/kept-recording.ts";
import { RecordingYard } from "../../../test/recordings.ts";
import type { PtyRequest } from "../channels.ts";
import type { ChannelRecord } from "./channel-record.ts";
import { recordTerminal } from "./terminal.ts";

const PTY: PtyRequest = { type: "xterm-256color", columns: 100, rows: 40, widthPx: 0, heightPx: 0, modes: {} };
const CLOCK = { now: () => 7 };
const bytes = (text: string): Buffer => Buffer.from(text);

function terminal(kinds: readonly RecordKind[], pty = PTY, command: string | null = null) {
  const recording = new KeptRecording();
  const record = recordTerminal(doorTo(recording), permitTo(...kinds), CLOCK, pty, command);
  if (record === null) throw new Error("nothing is recorded");
  return { recording, record };
}

/** The data of the events of one kind, put together. */
function told(recording: KeptRecording, stream: "clear" | "sealed", code: string): string {
  return recording
    .lines(stream, "event")
    .filter((event) => event.code === code)
    .map(({ data }) => data)
    .join("");
}

test("what policy does not oblige to record is not", () => {
  expect(recordTerminal(doorTo(null), permitTo(), CLOCK, PTY, null)).toBeNull();
});

describe("where it is kept", () => {
  const use = (record: ChannelRecord): void => {
    record.input(bytes("typed"));
    record.unmasked(bytes("4111111111111111"), false);
    record.output(bytes("***"), false);
    record.end({ status: "done", code: "0" });
  };

  test.each([
    [["output"], { clear: { o: "***", i: "" }, sealed: null }],
    [["input"], { clear: { o: "", i: "" }, sealed: { o: "", i: "typed" } }],
    [["raw"], { clear: { o: "", i: "" }, sealed: { o: "4111111111111111", i: "" } }],
    [["input", "output"], { clear: { o: "***", i: "" }, sealed: { o: "", i: "typed" } }],
    [["input", "output", "raw"], { clear: { o: "***", i: "" }, sealed: { o: "4111111111111111", i: "typed" } }],
  ] as const)("%j", (kinds, kept) => {
    const { recording, record } = terminal(kinds);
    use(record);
    for (const stream of ["clear", "sealed"] as const) {
      const { [stream]: expected } = kept;
      if (expected === null) expect(recording[stream]).toEqual([]);
      else {
        expect({ o: told(recording, stream, "o"), i: told(recording, stream, "i") }).toEqual(expected);
        expect(recording[stream][0]).toMatchObject({
          kind: "terminal",
          columns: 100,
          rows: 40,
          type: PTY.type,
          atMs: 7,
        });
        expect(told(recording, stream, "x")).toBe("0");
      }
    }
  });

  test("the command is input: it is there where input is recorded, and not elsewhere", () => {
    expect(terminal(["input"], PTY, "top").recording.clear[0]).toHaveProperty("command", "top");
    expect(terminal(["output"], PTY, "top").recording.clear[0]).not.toHaveProperty("command");
    expect(terminal(["input"], PTY, null).recording.clear[0]).not.toHaveProperty("command");
  });
});

describe("a header that a player can use", () => {
  test.each([
    [
      { columns: 0, rows: 0 },
      { columns: 80, rows: 24 },
    ],
    [
      { columns: 4_294_967_295, rows: 10_001 },
      { columns: 10_000, rows: 10_000 },
    ],
    [
      { columns: 1, rows: 10_000 },
      { columns: 1, rows: 10_000 },
    ],
  ])("%j", (size, shown) => {
    expect(terminal(["output"], { ...PTY, ...size }).recording.clear[0]).toMatchObject(shown);
    const { recording, record } = terminal(["input", "output"]);
    record.resize({ ...PTY, ...size });
    for (const stream of ["clear", "sealed"] as const) {
      expect(told(recording, stream, "r")).toBe(`${shown.columns}x${shown.rows}`);
    }
  });

  test("names the type where the client does, and no longer than it may be", () => {
    expect(terminal(["output"], { ...PTY, type: "" }).recording.clear[0]).not.toHaveProperty("type");
    const { recording } = terminal(["output"], { ...PTY, type: `${"x".repeat(255)}😀` });
    expect(recording.clear[0]).toHaveProperty("type", `${"x".repeat(255)}\u{FFFD}`);
  });
});

test("characters come together again, however they were split, and what is none is replaced", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 5 }), fc.string({ unit: "binary", maxLength: 5 }).map(bytes))),
      (packets) => {
        const { recording, record } = terminal(["input", "output", "raw"]);
        for (const packet of packets) {
          record.unmasked(packet, false);
          record.output(packet, false);
          record.input(packet);
        }
        record.end({ status: "done" });
        const whole = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(packets));
        for (const text of [
          told(recording, "clear", "o"),
          told(recording, "sealed", "o"),
          told(recording, "sealed", "i"),
        ]) {
          expect(text).toBe(whole);
        }
      },
    ),
  );
});

describe("the end", () => {
  test.each([
    [{ status: "done", code: "0" }, "x", "0"],
    [{ status: "failed", code: "127" }, "x", "127"],
    [{ status: "failed", code: "TERM" }, "m", "failed: TERM"],
    [{ status: "cancelled" }, "m", "cancelled"],
    [{ status: "unknown", code: "" }, "m", "unknown: "],
  ] as const)("%j", (outcome, code, data) => {
    const { recording, record } = terminal(["output"]);
    record.end(outcome);
    record.end({ status: "unknown" });
    expect(recording.lines("clear", "event")).toEqual([{ kind: "event", atMs: 7, code, data }]);
  });

  test("forgets who waits for room", () => {
    const { recording, record } = terminal(["output"]);
    record.onDrain(() => {});
    record.onDrain(() => {});
    expect(recording.listeners.size).toBe(1);
    record.end({ status: "done" });
    expect(recording.listeners.size).toBe(0);
  });
});

test("a recording that is full says so to each, and who waits is told of room", () => {
  const { recording, record } = terminal(["input", "output", "raw"]);
  let drained = 0;
  record.onDrain(() => drained++);
  expect([record.input(bytes("a")), record.unmasked(bytes("a"), false), record.output(bytes("a"), false)]).toEqual([
    true,
    true,
    true,
  ]);
  recording.isFull = true;
  expect([record.input(bytes("a")), record.unmasked(bytes("a"), false), record.output(bytes("a"), false)]).toEqual([
    false,
    false,
    false,
  ]);
  for (const listener of recording.listeners) listener();
  expect(drained).toBe(1);
});

test("a recording that fails lets nothing be told, and one that cannot be had begins nothing", () => {
  for (const kinds of [["input"], ["output"], ["raw"]] as const) {
    const { recording, record } = terminal(kinds);
    recording.fail();
    for (const tell of [
      () => record.input(bytes("a")),
      () => record.unmasked(bytes("a"), false),
      () => record.output(bytes("a"), false),
      () => record.resize(PTY),
      () => record.end({ status: "done" }),
    ]) {
      expect(tell).toThrow(RecordingFailed);
    }
  }
  const { recording } = terminal(["output"]);
  recording.fail();
  expect(() => recordTerminal(doorTo(recording), permitTo("output"), CLOCK, PTY, null)).toThrow(RecordingFailed);
});

test("what is kept is an asciicast", async () => {
  await using yard = new RecordingYard();
  const recorder = yard.recorder();
  const recording = await yard.open(recorder, "S", "asciicast");
  const clock = { now: () => (yard.timeMs += 250) };
  const record = recordTerminal(doorTo(recording), permitTo("output"), clock, PTY, null);
  record?.output(bytes("\u001b[1mbold\u001b[0m\r\n"), false);
  record?.resize({ ...PTY, columns: 90 });
  record?.end({ status: "done", code: "3" });
  await recorder.close();
  const { header, events } = castOf(yard.lines());
  expect(header).toEqual({ version: 3, term: { cols: 100, rows: 40, type: "xterm-256color" }, timestamp: 1 });
  expect(events).toEqual([
    [0.25, "o", "\u001b[1mbold\u001b[0m\r\n"],
    [0.25, "r", "90x40"],
    [0.25, "x", "3"],
  ]);
});
