/** What is written down comes before what the client gets, whatever the pieces in which it comes. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  RecordingFailed,
  type Recording,
  type TerminalLine,
  type TranscriptLine,
} from "../../../src/core/recording.ts";
import {
  encodeCommandComplete,
  encodeDataRow,
  encodeReadyForQuery,
  encodeRowDescription,
} from "../protocol/backend.ts";
import { Replies } from "../replies.ts";
import type { ReplyHandler } from "../reply-handler.ts";
import { Run, type RunOwner } from "../run.ts";
import { readCells } from "./cells.ts";
import { CopyData } from "./copy-data.ts";
import { Transcript } from "./transcript.ts";

const OWNER: RunOwner = { send() {}, released() {}, refuse() {}, pending() {}, overtime() {}, end() {} };
const utf8 = new TextEncoder();

/** A recording that fails when it is to take its last rows line, if told to. */
class Kept implements Recording {
  readonly id = "R";
  readonly isStalled = false;
  readonly lines: TranscriptLine[] = [];
  readonly #rowsMax: number;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  get rows(): string[] {
    return this.lines.flatMap((line) => (line.kind === "rows" ? line.rows.map(([cell]) => cell ?? "") : []));
  }

  write(_stream: string, line: TranscriptLine | TerminalLine): boolean {
    if (line.kind === "terminal" || line.kind === "event") throw new Error("no terminal is here");
    if (line.kind === "rows" && this.rows.length + line.rows.length > this.#rowsMax) {
      throw new RecordingFailed("the disk is full");
    }
    this.lines.push(line);
    return true;
  }

  onStall(): () => void {
    return () => {};
  }

  onDrain(): () => void {
    return () => {};
  }
}

/** Answers one query with rows of these lengths, in pieces; what was forwarded, and what was kept at each time. */
function answer(lengths: readonly number[], pieceBytes: number, rowsMax: number) {
  const kept = new Kept(rowsMax);
  const values = lengths.map((length, index) => `${index}:${"x".repeat(length)}`);
  const encoded = values.map((value) => encodeDataRow([utf8.encode(value)]));
  const name = { name: "a", tableOid: 0, column: 0, typeOid: 25, typeLength: -1, typeModifier: -1, format: 0 };
  const stream = Buffer.concat([
    encodeRowDescription([name]),
    ...encoded,
    encodeCommandComplete(`SELECT ${values.length}`),
    encodeReadyForQuery("I"),
  ]);
  /** Where each row has ended in the stream. */
  const ends: number[] = [];
  for (let at = encodeRowDescription([name]).length, index = 0; index < encoded.length; index++) {
    at += encoded[index]?.length ?? 0;
    ends.push(at);
  }
  let forwarded = 0;
  const run = new Run(OWNER, "request", null);
  run.isReleased = true;
  const handler: ReplyHandler = {
    forward(_bytes, start, end) {
      forwarded += end - start;
      const complete = ends.filter((end_) => end_ <= forwarded).length;
      expect(kept.rows.length).toBeGreaterThanOrEqual(complete);
    },
    ended(ended, status) {
      ended.transcript?.end({ status });
      return true;
    },
    refusalFor: () => new Uint8Array(0),
    statementDone() {},
    ready() {},
    copyInBegun() {},
    syncsIgnored() {},
    syncsTaken() {},
    parameter() {},
    houseRow() {},
    failed() {},
    spend: () => true,
    outlived() {},
    closeBracket() {},
    requestSkipped() {},
    sealRows() {},
    unsealed() {},
    fatal() {},
    stop: (_run, because) => {
      throw new Error(because);
    },
  };
  const replies = new Replies(handler);
  const transcript = new Transcript({
    recording: kept,
    operation: "op",
    kinds: ["input", "output"],
    encoding: "utf8",
    compared: null,
    now: () => 0,
    full() {},
  });
  run.transcript = transcript;
  run.output = transcript.output;
  replies.expect({ kind: "query", run, endsRun: true, settle: null });
  let failure: unknown = null;
  try {
    for (let at = 0; at < stream.length; at += pieceBytes) replies.accept(stream.subarray(at, at + pieceBytes));
  } catch (error) {
    failure = error;
  }
  return { kept, values, forwarded, ends, failure, bytes: stream.length };
}

const lengths = fc.array(fc.oneof({ weight: 5, arbitrary: fc.nat(40) }, fc.integer({ min: 8_000, max: 30_000 })), {
  minLength: 1,
  maxLength: 12,
});
const pieceBytes = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1_000, max: 70_000 }));

describe("rows", () => {
  test("are kept before the client has them whole, all of them and as they are", () => {
    fc.assert(
      fc.property(lengths, pieceBytes, (rows, piece) => {
        const { kept, values, forwarded, bytes, failure } = answer(rows, piece, Number.POSITIVE_INFINITY);
        expect(failure).toBeNull();
        expect(forwarded).toBe(bytes);
        expect(kept.rows).toEqual(values);
        expect(kept.lines.at(-1)).toMatchObject({ kind: "end", status: "done" });
      }),
      { numRuns: 60 },
    );
  });

  test("that cannot be kept never reach the client whole", () => {
    fc.assert(
      fc.property(lengths, pieceBytes, fc.nat(11), (rows, piece, rowsMax) => {
        fc.pre(rowsMax < rows.length);
        const { kept, forwarded, ends, failure } = answer(rows, piece, rowsMax);
        expect(failure).toBeInstanceOf(RecordingFailed);
        expect(ends.filter((end) => end <= forwarded).length).toBeLessThanOrEqual(kept.rows.length);
      }),
      { numRuns: 60 },
    );
  });
});

describe("COPY data", () => {
  test("come together again from their pieces, wherever they were parted", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), fc.array(fc.nat(200)), (text, places) => {
        const bytes = utf8.encode(text);
        const cuts = [0, ...places.filter((place) => place < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces: string[] = [];
        const copy = new CopyData(false, "utf8", (piece) => pieces.push(piece));
        for (let index = 1; index < cuts.length; index++) copy.part(bytes, cuts[index - 1] ?? 0, cuts[index] ?? 0);
        copy.end();
        expect(pieces.join("")).toBe(text);
        expect(copy.bytes).toBe(bytes.length);
      }),
    );
  });

  test("that are no UTF-8 are in hex, and so is all that is not ASCII in another encoding", () => {
    const seen: string[] = [];
    for (const encoding of ["utf8", "ascii"] as const) {
      const copy = new CopyData(false, encoding, (piece) => seen.push(piece));
      for (const bytes of [utf8.encode("ä"), Uint8Array.of(0x61, 0xff, 0x62), utf8.encode("plain")]) {
        copy.part(bytes, 0, bytes.length);
      }
      copy.end();
    }
    expect(seen).toEqual(["ä", "\\x61ff62", "plain", "\\xc3a4", "\\x61ff62", "plain"]);
  });
});

test("cells are read as far as they are there", () => {
  const row = encodeDataRow([utf8.encode("one"), null, utf8.encode("zwölf"), utf8.encode("")]).subarray(5);
  const read = (end: number, formats: number[] = []) => readCells(row, 0, end, formats, "utf8");
  expect(read(row.length)).toMatchObject({ cells: ["one", null, "zwölf", ""], left: 0, isCut: false });
  expect(read(row.length, [1])).toMatchObject({ cells: ["\\x6f6e65", null, "\\x7a77c3b66c66", "\\x"], left: 0 });
  // In the middle of a character, of a length, and of the count.
  expect(read(2 + 7 + 4 + 4 + 3)).toMatchObject({ cells: ["one", null, "zw"], left: 1, isCut: true });
  expect(read(2 + 7 + 2)).toMatchObject({ cells: ["one"], left: 3, isCut: false });
  expect(read(1)).toBeNull();
});
