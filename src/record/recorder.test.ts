/** Recordings through their real Worker: what is on the disk, what the log says of it, and what happens when either fails. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { inputLine, newAuditor, openRecordings, RecordingYard, sessionOf } from "../../test/recordings.ts";
import { RecordingFailed, type SessionRecording } from "../core/recording.ts";
import { LINE_BYTES_MAX, SEGMENT_BYTES_MAX, SESSION_WAITING_BYTES_MAX } from "./limits.ts";
import type { KeptRecorder } from "./recorder.ts";
import { RECORDINGS_FILE } from "./schema.ts";
import { openSegment, openWrappedKey } from "./unseal.ts";

/** A Worker that says it serves and then nothing more. */
const DEAF = `const { parentPort } = require("node:worker_threads"); parentPort.on("message", () => {});
parentPort.postMessage({ kind: "serving", owed: [] });`;

/** A Worker that opens what it is told to, and stores nothing until it hears of a file that is there. */
const stubborn = (gate: string): string => `const { existsSync } = require("node:fs");
const { parentPort } = require("node:worker_threads");
const kept = [];
const tell = (message) => parentPort.postMessage(message);
parentPort.on("message", (order) => {
  if (order.kind === "open") { tell({ kind: "opened", recording: order.recording.id, seal: null }); tell({ kind: "progress", orders: 1 }); }
  else if (order.kind === "logged") tell({ kind: "progress", orders: 1 });
  else if (order.kind === "close") tell({ kind: "closed" });
  else kept.push(order);
});
const timer = setInterval(() => {
  if (!existsSync(${JSON.stringify(gate)})) return;
  for (const order of kept.splice(0)) {
    if (order.kind === "end") tell({ kind: "ended", ended: { recording: order.recording, session: "S", segments: 0, reason: "closed" } });
    tell({ kind: "progress", orders: 1 });
  }
}, 5);
timer.unref();
parentPort.postMessage({ kind: "serving", owed: [] });`;

describe("what is written", () => {
  test("is kept in order when the session ends, and the log names it by its hash", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    expect(recording.write("clear", inputLine("SELECT 1"))).toBe(true);
    expect(recording.write("clear", { kind: "end", operation: "op-1", atMs: 6, status: "done", rows: 1 })).toBe(true);
    yard.timeMs = 9_000;
    recording.end();
    recording.end();
    await recorder.close();
    expect(yard.lines().map((line) => JSON.parse(line))).toEqual([
      { kind: "input", operation: "op-1", atMs: 5, text: "SELECT 1" },
      { kind: "end", operation: "op-1", atMs: 6, status: "done", rows: 1 },
    ]);
    const [stored] = yard.segments("clear");
    const facts = yard.facts();
    expect(facts).toMatchObject({
      id: recording.id,
      session: "S",
      kind: "transcript",
      issuer: "weir",
      subject: "ann",
      target: "shop",
      startedMs: 1_000,
      endedMs: 9_000,
      reason: "closed",
      seal: "none",
    });
    expect(yard.log.events).toEqual([
      {
        kind: "recording.started",
        facts: {
          recording: recording.id,
          session: "S",
          issuer: "weir",
          subject: "ann",
          target: "shop",
          kind: "transcript",
          streams: ["clear"],
          sealed: false,
        },
      },
      {
        kind: "recording.segment",
        facts: {
          recording: recording.id,
          stream: "clear",
          number: 0,
          sha256: createHash("sha256")
            .update(stored ?? "")
            .digest("hex"),
          bytes: stored?.length,
          sealed: false,
        },
      },
      {
        kind: "recording.ended",
        facts: { recording: recording.id, session: "S", segments: 1, reason: "closed" },
      },
    ]);
    expect(statSync(join(yard.folder, RECORDINGS_FILE)).mode & 0o777).toBe(0o600);
  });

  test("becomes a segment when it would grow beyond a megabyte, and nothing is torn apart", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    const text = "x".repeat(100_000);
    for (let count = 0; count < 25; count++) recording.write("clear", inputLine(text, `op-${count}`));
    recording.end();
    await recorder.close();
    const segments = yard.segments("clear");
    expect(segments.map(({ length }) => length <= SEGMENT_BYTES_MAX)).toEqual([true, true, true]);
    for (const segment of segments) expect(segment.at(-1)).toBe(0x0a);
    expect(yard.lines().map((line) => JSON.parse(line).operation)).toEqual(
      Array.from({ length: 25 }, (_, count) => `op-${count}`),
    );
    expect(yard.log.of("recording.segment").map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(yard.log.of("recording.ended")).toMatchObject([{ segments: 3 }]);
  });

  test("fills a segment to the last byte, and not beyond", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    const rest = JSON.stringify(inputLine("")).length;
    for (const length of [LINE_BYTES_MAX - rest, LINE_BYTES_MAX - rest + 1]) {
      recording.write("clear", inputLine("x".repeat(length)));
    }
    recording.end();
    await recorder.close();
    const [first, second] = yard.segments("clear");
    expect(first?.length).toBe(SEGMENT_BYTES_MAX);
    expect(second?.length).toBeLessThan(SEGMENT_BYTES_MAX / 2);
    expect(yard.lines().map((line) => JSON.parse(line).cut?.texts)).toEqual([undefined, 1]);
    expect(yard.failures).toEqual([]);
  });

  test("of many sessions stays apart", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const ids = Array.from({ length: 20 }, (_, index) => `S${index}`);
    const recordings = await Promise.all(ids.map(async (id) => yard.open(recorder, id)));
    for (let round = 0; round < 10; round++) {
      for (const [index, recording] of recordings.entries()) recording.write("clear", inputLine(`${index} ${round}`));
    }
    expect(recorder.openCount).toBe(20);
    await recorder.close();
    for (const [index, id] of ids.entries()) {
      expect(yard.lines(id).map((line) => JSON.parse(line).text)).toEqual(
        Array.from({ length: 10 }, (_, round) => `${index} ${round}`),
      );
    }
    expect(new Set(recordings.map(({ id }) => id)).size).toBe(20);
  });

  test("nothing at all leaves a recording without segments", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    (await yard.open(recorder)).end();
    await recorder.close();
    expect(yard.segments("clear")).toEqual([]);
    expect(yard.log.of("recording.ended")).toMatchObject([{ segments: 0, reason: "closed" }]);
  });

  test("after the end is refused", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    recording.end();
    expect(() => recording.write("clear", inputLine("late"))).toThrow(RecordingFailed);
    expect(yard.failures).toEqual([]);
  });

  test("of another kind than the recording ends the session", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder, "S", "asciicast");
    expect(() => recording.write("clear", inputLine("SELECT 1"))).toThrow("the recording is no asciicast");
    expect(yard.failures.length).toBe(1);
    const other = await yard.open(recorder, "T", "asciicast");
    expect(() => other.write("clear", { kind: "event", atMs: 1, code: "o", data: "x" })).toThrow(RecordingFailed);
    expect(yard.failures[1]?.detail).toContain("begins with the terminal");
  });

  test("of a terminal is an asciicast", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder, "S", "asciicast");
    recording.write("clear", { kind: "terminal", atMs: 10_500, columns: 80, rows: 24, type: "xterm" });
    recording.write("clear", { kind: "event", atMs: 10_750, code: "o", data: "$ " });
    await recorder.close();
    expect(yard.lines()).toEqual([
      '{"version":3,"term":{"cols":80,"rows":24,"type":"xterm"},"timestamp":10}',
      '[0.25,"o","$ "]',
    ]);
  });
});

describe("sealing", () => {
  test("the gateway keeps ciphertext, which the auditor alone opens", async () => {
    await using yard = new RecordingYard();
    const [auditor, other] = [await newAuditor(), await newAuditor()];
    const recorder = yard.recorder({ recipients: [auditor.recipient] });
    expect(recorder.seals).toBe(true);
    const recording = await yard.open(recorder);
    recording.write("sealed", inputLine("the secret that was typed"));
    await recorder.close();
    const facts = yard.facts();
    expect(facts).toMatchObject({ seal: "open" });
    expect(facts.recipient).toStartWith("age1");
    expect(facts.recipient).not.toBe(auditor.recipient);
    expect(yard.segments("clear")).toEqual([]);
    const [segment] = yard.segments("sealed");
    if (segment === undefined) throw new Error("nothing was sealed");
    expect(yard.log.of("recording.segment")).toMatchObject([
      { stream: "sealed", sealed: true, sha256: createHash("sha256").update(segment).digest("hex") },
    ]);
    const wrapped = yard.read((reader) => reader.wrappedKey(facts.id)) ?? new Uint8Array();
    const keySha256 = createHash("sha256").update(wrapped).digest("hex");
    expect(yard.log.of("recording.started")).toMatchObject([{ streams: ["clear", "sealed"], sealed: true, keySha256 }]);
    const identity = await openWrappedKey(wrapped, [auditor.identity]);
    expect(JSON.parse(Buffer.from(await openSegment(segment, identity, "it")).toString()).text).toBe(
      "the secret that was typed",
    );
    expect(openWrappedKey(wrapped, [other.identity])).rejects.toThrow("is not opened by this key");
    expect(openSegment(segment, auditor.identity, "it")).rejects.toThrow("it is not opened by this key");
    for (const name of readdirSync(yard.folder)) {
      const bytes = readFileSync(join(yard.folder, name));
      for (const secret of ["the secret that was typed", identity, auditor.identity])
        expect(bytes.includes(secret)).toBe(false);
    }
  });

  test("the log gets the hash of the key also with the next start", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder({ recipients: [(await newAuditor()).recipient] });
    yard.log.isLosing = true;
    await yard.open(recorder);
    await recorder.close();
    yard.log.isLosing = false;
    const next = yard.recorder();
    await next.start();
    await next.close();
    const wrapped = yard.read((reader) => reader.wrappedKey(yard.facts().id)) ?? new Uint8Array();
    const keySha256 = createHash("sha256").update(wrapped).digest("hex");
    expect(yard.log.of("recording.started")).toMatchObject([{ sealed: true, keySha256, recovered: true }]);
  });

  test("each session has a key of its own, which every auditor opens", async () => {
    await using yard = new RecordingYard();
    const auditors = [await newAuditor(), await newAuditor()];
    const recorder = yard.recorder({ recipients: auditors.map(({ recipient }) => recipient) });
    await yard.open(recorder, "A");
    await yard.open(recorder, "B");
    await recorder.close();
    const identities = new Set<string>();
    for (const session of ["A", "B"]) {
      const wrapped = yard.read((reader) => reader.wrappedKey(yard.facts(session).id)) ?? new Uint8Array();
      for (const { identity } of auditors) identities.add(await openWrappedKey(wrapped, [identity]));
    }
    expect(identities.size).toBe(2);
  });

  test("where nobody could open it nothing is sealed, and the session ends", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    expect(recorder.seals).toBe(false);
    const recording = await yard.open(recorder);
    expect(() => recording.write("sealed", inputLine("secret"))).toThrow("nobody to seal it to");
    expect(yard.failures.length).toBe(1);
  });

  test("a key that was shredded leaves no byte behind, and the rest stays as it was", async () => {
    await using yard = new RecordingYard();
    const auditor = await newAuditor();
    const recorder = yard.recorder({ recipients: [auditor.recipient] });
    const recording = await yard.open(recorder);
    recording.write("sealed", inputLine("secret"));
    recording.end();
    await recorder.close();
    const { id } = yard.facts();
    const wrapped = Buffer.from(yard.read((reader) => reader.wrappedKey(id)) ?? []);
    const stanza = wrapped.subarray(0, wrapped.indexOf("\n---"));
    const holds = (): string[] =>
      readdirSync(yard.folder).filter((name) => readFileSync(join(yard.folder, name)).includes(stanza));
    expect(holds()).toEqual([RECORDINGS_FILE]);
    const again = yard.recorder();
    expect(await again.shred(id)).toBe(true);
    expect(await again.shred(id)).toBe(false);
    expect(holds()).toEqual([]);
    expect(yard.facts().seal).toBe("shredded");
    expect(yard.read((reader) => reader.wrappedKey(id))).toBeNull();
    expect(yard.segments("sealed").length).toBe(1);
  });
});

test("the log names the operation that a terminal's recording is of, and none with a transcript", async () => {
  await using yard = new RecordingYard();
  const recorder = yard.recorder();
  await recorder.open(sessionOf("S"), () => {}, "asciicast", "OP-1");
  await recorder.open(sessionOf("T"), () => {}, "transcript");
  const [cast, transcript] = yard.log.of("recording.started");
  expect(cast).toMatchObject({ session: "S", kind: "asciicast", operation: "OP-1" });
  expect(transcript).not.toHaveProperty("operation");
});

describe("bounds", () => {
  test("what waits makes the adapter pause, and it goes on when there is room", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    const drained = Promise.withResolvers<void>();
    recording.onDrain(() => drained.resolve());
    const text = "y".repeat(500_000);
    let written = 0;
    while (recording.write("clear", inputLine(text))) written += text.length;
    expect(written).toBeLessThanOrEqual(SESSION_WAITING_BYTES_MAX);
    expect(written).toBeGreaterThan(SESSION_WAITING_BYTES_MAX - 2 * text.length);
    await drained.promise;
    expect(recording.write("clear", inputLine("go on"))).toBe(true);
  });

  test("several operations that write into one recording all go on, but for those that are through", async () => {
    await using yard = new RecordingYard();
    const recording = await yard.open(yard.recorder());
    const gone: string[] = [];
    const drained = ["a", "b", "c"].map((name) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const forget = recording.onDrain(() => {
        gone.push(name);
        resolve();
      });
      return { promise, forget };
    });
    drained[1]?.forget();
    while (recording.write("clear", inputLine("y".repeat(500_000)))) continue;
    await Promise.all([drained[0]?.promise, drained[2]?.promise]);
    expect(gone).toEqual(["a", "c"]);
  });

  test("all sessions together have a bound as well, and what only gathers is handed over for it", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder({ waitingBytesMax: 1000 });
    const [a, b] = [await yard.open(recorder, "A"), await yard.open(recorder, "B")];
    expect(a.write("clear", inputLine("a".repeat(600)))).toBe(true);
    const drained = Promise.withResolvers<void>();
    b.onDrain(() => drained.resolve());
    expect(b.write("clear", inputLine("b".repeat(600)))).toBe(false);
    // What A has gathered still waits; B alone is handed over now, and goes on when A is as well.
    expect(a.write("clear", inputLine("a".repeat(600)))).toBe(false);
    await drained.promise;
    expect(b.write("clear", inputLine("b"))).toBe(true);
  });

  test("who goes on writing all the same is ended", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    const text = "z".repeat(1_000_000);
    const flood = (): void => {
      for (let count = 0; count < 20; count++) recording.write("clear", inputLine(text));
    };
    expect(flood).toThrow("cannot keep up");
    expect(yard.failures.map(({ message }) => message)).toEqual([
      "the recording of this session cannot keep up with it",
    ]);
    await recorder.close();
    expect(yard.log.of("recording.ended")).toMatchObject([{ reason: "failed" }]);
  });
});

describe("a writer that fails", () => {
  test("ends the sessions it recorded, refuses new ones, and the next writer closes what it left open", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder({ sizeBytesMax: 200_000 });
    const recording = await yard.open(recorder);
    const failed = Promise.withResolvers<void>();
    const other = await recorder.open(sessionOf("T"), () => failed.resolve(), "transcript");
    recording.write("clear", inputLine("v".repeat(900_000)));
    recording.write("clear", inputLine("v".repeat(900_000)));
    await failed.promise;
    expect(yard.failures).toMatchObject([{ message: "the recording of this session cannot go on" }]);
    expect(yard.failures[0]?.detail).toContain("full");
    for (const each of [recording, other])
      expect(() => each.write("clear", inputLine("more"))).toThrow(RecordingFailed);
    expect(recorder.openCount).toBe(0);
    expect(recorder.failure).toContain("full");
    expect(yard.open(recorder, "U")).rejects.toThrow("nothing can be recorded now");
    expect(yard.said.join("\n")).toContain("sessions cannot be recorded");
    const next = yard.recorder();
    await next.start();
    expect(yard.facts("S")).toMatchObject({ reason: "unclean" });
    const ended = yard.log
      .of("recording.ended")
      .map(({ session, reason, recovered }) => `${String(session)} ${String(reason)} ${String(recovered)}`);
    expect(ended.toSorted()).toEqual(["S unclean true", "T unclean true"]);
  });

  test("has let go of the file when anybody hears of it, whatever it was at", async () => {
    await using yard = new RecordingYard();
    await yard.recorder().shred("R-NOBODY");
    const stranger = openRecordings(yard.folder);
    // For what is being written just then.
    stranger.exec("PRAGMA busy_timeout = 60000");
    for (const session of ["S", "T", "U", "V", "W"]) {
      const recorder = yard.recorder();
      const failed = Promise.withResolvers<void>();
      const recording = await recorder.open(sessionOf(session), () => failed.resolve(), "transcript");
      // In the middle of a transaction, which goes on after such an error.
      stranger.exec("CREATE TRIGGER never BEFORE INSERT ON segment BEGIN SELECT RAISE(ABORT, 'never'); END");
      for (let n = 0; n < 3; n++) recording.write("clear", inputLine("v".repeat(500_000)));
      await failed.promise;
      expect(recorder.failure).toContain("never");
      stranger.exec("DROP TRIGGER never");
    }
    stranger.close();
  });

  test("one that cannot open the file says why, and refuses", async () => {
    await using yard = new RecordingYard();
    const file = openSync(join(yard.folder, RECORDINGS_FILE), "w");
    writeSync(file, "this is no database, and no recordings are in it at all");
    closeSync(file);
    const recorder = yard.recorder();
    await recorder.start();
    expect(yard.said.length).toBe(1);
    expect(yard.open(recorder)).rejects.toMatchObject({ code: "RECORDING_FAILED" });
    expect(readFileSync(join(yard.folder, RECORDINGS_FILE), "utf8")).toStartWith("this is no database");
  });

  test("one that dies is found out", async () => {
    await using yard = new RecordingYard();
    const started = Promise.withResolvers<Worker>();
    const startWriter = (): Worker => {
      const worker = new Worker(DEAF, { eval: true });
      started.resolve(worker);
      return worker;
    };
    const recorder = yard.recorder({ startWriter });
    const refused = yard.open(recorder).then(
      () => null,
      (error: unknown) => error,
    );
    await (await started.promise).terminate();
    expect(await refused).toBeInstanceOf(RecordingFailed);
    expect(recorder.failure).toContain("died");
  });
});

describe("a log that fails", () => {
  test("refuses what would begin", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    yard.log.isFailing = true;
    expect(yard.open(recorder)).rejects.toThrow("while the log does not work");
    yard.log.isFailing = false;
    await yard.open(recorder, "T");
    await recorder.close();
    // That it was begun, and ended at once, is told when the log works again.
    const told = yard.log.events.filter(({ facts }) => facts["session"] === "S");
    expect(told.map(({ kind }) => kind).toSorted()).toEqual(["recording.ended", "recording.started"]);
  });

  test("ends a session whose segment it does not take, and is told of it afterwards", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const failed = Promise.withResolvers<RecordingFailed>();
    const recording = await recorder.open(sessionOf("S"), failed.resolve, "transcript");
    yard.log.isFailing = true;
    while (recording.write("clear", inputLine("w".repeat(900_000))));
    expect((await failed.promise).message).toContain("while the log does not work");
    yard.log.isFailing = false;
    await recorder.close();
    const named = yard.log.of("recording.segment").map(({ sha256 }) => sha256);
    const there = yard.segments("clear").map((data) => createHash("sha256").update(data).digest("hex"));
    expect(new Set(named)).toEqual(new Set(there));
    expect(yard.log.of("recording.ended")).toMatchObject([{ reason: "failed" }]);
  });

  test("what it loses is told again in the same run", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    yard.log.isLosing = true;
    recording.write("clear", inputLine("SELECT 1"));
    recording.end();
    while (recorder.openCount > 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    yard.log.isLosing = false;
    await recorder.close();
    expect(yard.log.of("recording.segment")).toMatchObject([{ number: 0, recovered: true }]);
    expect(yard.log.of("recording.ended")).toMatchObject([{ reason: "closed", recovered: true }]);
  });

  test("what it loses is told again, by the next run if need be", async () => {
    await using yard = new RecordingYard();
    const recorder = yard.recorder();
    const recording = await yard.open(recorder);
    recording.write("clear", inputLine("SELECT 1"));
    yard.log.isLosing = true;
    await recorder.close();
    expect(yard.log.of("recording.segment")).toEqual([]);
    yard.log.isLosing = false;
    const next = yard.recorder();
    await next.start();
    await next.close();
    expect(yard.log.of("recording.segment")).toMatchObject([{ number: 0, recovered: true }]);
    expect(yard.log.of("recording.ended")).toMatchObject([{ reason: "closed", recovered: true }]);
    const third = yard.recorder();
    await third.start();
    await third.close();
    expect(yard.log.of("recording.ended").length).toBe(1);
  });
});

test("old recordings are deleted with all that belongs to them, and open ones are not", async () => {
  await using yard = new RecordingYard();
  const auditor = await newAuditor();
  const recorder = yard.recorder({ recipients: [auditor.recipient] });
  const old = await yard.open(recorder, "old");
  old.write("sealed", inputLine("old"));
  await yard.open(recorder, "open");
  old.end();
  const ended = yard.recorder();
  await recorder.close();
  yard.timeMs = 2_000;
  const young = await yard.open(ended, "young");
  young.end();
  await yard.open(ended, "still open");
  expect(await ended.prune(2_000)).toBe(2);
  expect(await ended.prune(2_000)).toBe(0);
  expect(
    yard
      .read((reader) => reader.latest(10))
      .map(({ session }) => session)
      .toSorted(),
  ).toEqual(["still open", "young"]);
});

test("where nothing was ever recorded nothing is started", async () => {
  await using yard = new RecordingYard();
  const recorder = yard.recorder({
    startWriter: () => {
      throw new Error("a writer was started");
    },
  });
  await recorder.start();
  expect(await recorder.prune(1e15)).toBe(0);
  await recorder.close();
  expect(readdirSync(yard.folder)).toEqual([]);
});

describe("a disk that hangs", () => {
  /** What happened to a recording, in its order. */
  async function stalling(
    yard: RecordingYard,
    worker: string,
  ): Promise<readonly [KeptRecorder, SessionRecording, string[]]> {
    const events: string[] = [];
    const recorder = yard.recorder({
      startWriter: () => new Worker(worker, { eval: true }),
      say: (line) => yard.said.push(line),
    });
    const recording = await recorder.open(sessionOf("S"), () => events.push("failed"), "transcript");
    recording.onStall(() => events.push("stalled"));
    recording.onDrain(() => events.push("drained"));
    return [recorder, recording, events];
  }

  /** So much that it is to be stored now. */
  const fill = (recording: SessionRecording): void => {
    for (let n = 0; n < 3; n++) recording.write("clear", inputLine("x".repeat(500_000)));
  };

  test("holds its recordings as stalled until it stores again", async () => {
    await using yard = new RecordingYard();
    const gate = join(yard.folder, "gate");
    const [recorder, recording, events] = await stalling(yard, stubborn(gate));
    fill(recording);
    expect(recording.isStalled).toBe(false);
    while (!recording.isStalled) await Bun.sleep(10);
    expect(events).toEqual(["stalled"]);
    // Who comes now is told at once, and what still comes is taken but nothing more should.
    const late: string[] = [];
    recording.onStall(() => late.push("stalled"));
    expect(late).toEqual(["stalled"]);
    expect(recording.write("clear", inputLine("y"))).toBe(false);
    writeFileSync(gate, "");
    while (recording.isStalled) await Bun.sleep(10);
    expect(events).toEqual(["stalled", "drained"]);
    expect(recording.write("clear", inputLine("y"))).toBe(true);
    recording.end();
    await recorder.close();
  });

  test("stalls them before it ends them", async () => {
    await using yard = new RecordingYard();
    const [, recording, events] = await stalling(yard, stubborn(join(yard.folder, "never")));
    fill(recording);
    while (recording.failure === null) await Bun.sleep(50);
    expect(recording.isStalled).toBe(false);
    expect(events).toEqual(["stalled", "failed"]);
    expect(yard.said).toEqual([
      "recordings have not been stored for 3 s, so what they must hold waits",
      expect.stringContaining("the writer of recordings has not answered for 10 s"),
    ]);
  }, 240_000);

  test("a writer with nothing to do stalls nothing", async () => {
    await using yard = new RecordingYard();
    const gate = join(yard.folder, "gate");
    const [, recording, events] = await stalling(yard, stubborn(gate));
    const other = yard.recorder({
      startWriter: () => new Worker(stubborn(gate), { eval: true }),
    });
    const busy = await other.open(sessionOf("T"), () => {}, "transcript");
    // Less than a segment: it is not to be stored yet. When the busy one stalls, the idle one has waited as long, and
    // what it gathers is still some seconds from being stored for its age.
    recording.write("clear", inputLine("z"));
    fill(busy);
    while (!busy.isStalled) await Bun.sleep(10);
    expect([recording.isStalled, events]).toEqual([false, []]);
    writeFileSync(gate, "");
    recording.end();
    busy.end();
  });
});

test("a writer that fails ends its sessions in the same turn, and nothing is taken from then on", async () => {
  await using yard = new RecordingYard();
  const order: string[] = [];
  const failing = `const { parentPort } = require("node:worker_threads");
parentPort.on("message", (order) => {
  if (order.kind === "open") parentPort.postMessage({ kind: "opened", recording: order.recording.id, seal: null });
  if (order.kind === "segment") parentPort.postMessage({ kind: "failed", reason: "disk I/O error" });
});
parentPort.postMessage({ kind: "serving", owed: [] });`;
  const failed = Promise.withResolvers<void>();
  const recorder = yard.recorder({
    startWriter: () => new Worker(failing, { eval: true }),
    say: () => {
      order.push("the writer's word has come");
      // Before any timer, any other event of input, or anything else can run.
      queueMicrotask(() => order.push("the next turn"));
    },
  });
  const recording = await recorder.open(
    sessionOf("S"),
    () => {
      order.push("the session ends");
      try {
        recording.write("clear", inputLine("typed"));
        order.push("taken");
      } catch {
        order.push("refused");
      }
      failed.resolve();
    },
    "transcript",
  );
  for (let n = 0; n < 3; n++) recording.write("clear", inputLine("x".repeat(500_000)));
  await failed.promise;
  await Promise.resolve();
  expect(order).toEqual(["the writer's word has come", "the session ends", "refused", "the next turn"]);
});
