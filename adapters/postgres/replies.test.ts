/** A model of the server answers random pipelines: every reply is matched to its message, whatever the chunks it comes in. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { FramingError } from "../../src/wire/framer.ts";
import { WireError } from "../../src/wire/wire-error.ts";
import {
  encodeBindComplete,
  encodeCloseComplete,
  encodeCommandComplete,
  encodeEmptyQuery,
  encodeError,
  encodeNoData,
  encodeNotice,
  encodeParameterStatus,
  encodeParseComplete,
  encodePortalSuspended,
  encodeReadyForQuery,
  type TransactionStatus,
} from "./protocol/backend.ts";
import { NO_PLACE_IN_COPY } from "./copy-in.ts";
import type { Entry, EntryKind } from "./expected.ts";
import { Replies } from "./replies.ts";
import { ReplyViolation, type ReplyHandler } from "./reply-handler.ts";
import { Run, type RunOwner } from "./run.ts";

const OWNER: RunOwner = { send() {}, released() {}, refuse() {}, pending() {}, overtime() {}, end() {} };

/** Notes what the conversation would be told. */
class Notes implements ReplyHandler {
  readonly bytes: Uint8Array[] = [];
  readonly ends: string[] = [];
  readonly names = new Map<Run, string>();
  readonly statuses: TransactionStatus[] = [];
  failures = 0;
  forward(bytes: Uint8Array, start: number, end: number): void {
    this.bytes.push(new Uint8Array(bytes.subarray(start, end)));
  }
  ended(run: Run, status: string, code: string | null): boolean {
    this.ends.push(`${this.names.get(run)} ${status} ${code ?? "-"} ${run.rows ?? "-"}`);
    return true;
  }
  refusalFor(): Uint8Array {
    return encodeError([
      ["S", "ERROR"],
      ["V", "ERROR"],
      ["C", "42501"],
      ["M", "refused"],
    ]);
  }
  statementDone(): void {}
  ready(status: TransactionStatus): void {
    this.statuses.push(status);
  }
  copyInBegun(): void {}
  syncsIgnored(): void {}
  syncsTaken(): void {}
  parameter(): void {}
  houseRow(): void {}
  failed(): void {
    this.failures++;
  }
  fatal(): void {}
  stop(_run: Run | null, because: string): never {
    throw new Error(because);
  }
  spend(): boolean {
    return true;
  }
  outlived(): void {}
  closeBracket(): void {}
  requestSkipped(): void {}
  sealRows(): void {}
  unsealed(): void {}
  get forwarded(): Buffer {
    return Buffer.concat(this.bytes);
  }
}

const DATA_ROW = Uint8Array.from([0x44, 0, 0, 0, 11, 0, 1, 0, 0, 0, 1, 0x78]);
const ROW_DESCRIPTION = Uint8Array.from([0x54, 0, 0, 0, 6, 0, 0]);
const PARAMETER_DESCRIPTION = Uint8Array.from([0x74, 0, 0, 0, 6, 0, 0]);
const COPY_IN = Uint8Array.from([0x47, 0, 0, 0, 7, 0, 0, 0]);
const COPY_OUT = Uint8Array.from([0x48, 0, 0, 0, 7, 0, 0, 0]);
const COPY_DATA = Uint8Array.from([0x64, 0, 0, 0, 6, 0x61, 0x0a]);
const COPY_DONE = Uint8Array.from([0x63, 0, 0, 0, 4]);
const FUNCTION_RESULT = Uint8Array.from([0x56, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff]);
const failure = encodeError([
  ["S", "ERROR"],
  ["V", "ERROR"],
  ["C", "22012"],
  ["M", "division by zero"],
]);

type Reply = readonly Uint8Array[];
const rows = (count: number): Uint8Array[] => Array.from({ length: count }, () => DATA_ROW);

/** What one extended message is answered by when it succeeds. */
function answerOf(kind: EntryKind, variant: number): Reply {
  switch (kind) {
    case "parse":
      return [encodeParseComplete()];
    case "bind":
      return [encodeBindComplete()];
    case "close":
      return [encodeCloseComplete()];
    case "describeStatement":
      return [PARAMETER_DESCRIPTION, variant % 2 === 0 ? ROW_DESCRIPTION : encodeNoData()];
    case "describePortal":
      return [variant % 2 === 0 ? ROW_DESCRIPTION : encodeNoData()];
    default:
      switch (variant % 4) {
        case 0:
          return [...rows(variant % 7), encodeCommandComplete(`SELECT ${variant % 7}`)];
        case 1:
          return [...rows(2), encodePortalSuspended()];
        case 2:
          return [encodeEmptyQuery()];
        default:
          return [COPY_OUT, COPY_DATA, COPY_DATA, COPY_DONE, encodeCommandComplete("COPY 2")];
      }
  }
}

type Item =
  | { kind: "segment"; messages: { kind: EntryKind; variant: number }[]; failsAt: number }
  | { kind: "query"; variants: number[]; fails: boolean }
  | { kind: "functionCall"; fails: boolean };

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({
    kind: fc.constant("segment" as const),
    messages: fc.array(
      fc.record({
        kind: fc.constantFrom<EntryKind>("parse", "bind", "close", "describeStatement", "describePortal", "execute"),
        variant: fc.nat(20),
      }),
      { maxLength: 6 },
    ),
    failsAt: fc.integer({ min: -3, max: 5 }),
  }),
  fc.record({
    kind: fc.constant("query" as const),
    variants: fc.array(fc.nat(20), { maxLength: 3 }),
    fails: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("functionCall" as const), fails: fc.boolean() }),
);

const asynchronous = [
  encodeNotice([
    ["S", "NOTICE"],
    ["C", "00000"],
    ["M", "hello"],
  ]),
  encodeParameterStatus("application_name", "x"),
  Uint8Array.from([0x41, 0, 0, 0, 11, 0, 0, 0, 1, 0x63, 0, 0]), // NotificationResponse
];

/** Sends the items' messages, and answers what the server sends back and which ends are to be seen. */
function play(items: readonly Item[], replies: Replies, notes: Notes): { bytes: Uint8Array[]; ends: string[] } {
  const bytes: Uint8Array[] = [];
  const ends: string[] = [];
  let count = 0;
  const newRun = (form: "request" | "pipelined"): { run: Run; name: string } => {
    const run = new Run(OWNER, form, null);
    run.isReleased = true;
    const name = `r${++count}`;
    notes.names.set(run, name);
    return { run, name };
  };
  const expectReply = (kind: EntryKind, run: Run | null): void => {
    const entry: Entry = { kind, run, endsRun: run !== null, settle: null };
    replies.expect(entry);
  };
  for (const next of items) {
    switch (next.kind) {
      case "segment":
        for (const [index, message] of next.messages.entries()) {
          const isExecute = message.kind === "execute";
          const made = isExecute ? newRun("pipelined") : null;
          expectReply(message.kind, made?.run ?? null);
          const failsBefore = next.failsAt >= 0 && index > next.failsAt;
          if (failsBefore) {
            if (made !== null) ends.push(`${made.name} skipped - -`);
          } else if (index === next.failsAt) {
            bytes.push(failure);
            if (made !== null) ends.push(`${made.name} failed 22012 -`);
          } else {
            const answer = answerOf(message.kind, message.variant);
            bytes.push(...answer);
            const tagged =
              message.variant % 4 === 0 ? String(message.variant % 7) : message.variant % 4 === 3 ? "2" : "-";
            if (made !== null) ends.push(`${made.name} done - ${tagged}`);
          }
        }
        expectReply("sync", null);
        bytes.push(encodeReadyForQuery("I"));
        break;
      case "query": {
        const { run, name } = newRun("request");
        expectReply("query", run);
        let total: number | null = null;
        for (const variant of next.variants) {
          bytes.push(ROW_DESCRIPTION, ...rows(variant % 3), encodeCommandComplete(`SELECT ${variant % 3}`));
          total = (total ?? 0) + (variant % 3);
        }
        if (next.variants.length === 0) bytes.push(encodeEmptyQuery());
        if (next.fails) bytes.push(failure);
        bytes.push(encodeReadyForQuery("T"));
        ends.push(`${name} ${next.fails ? "failed 22012" : "done -"} ${total ?? "-"}`);
        break;
      }
      case "functionCall": {
        const { run, name } = newRun("request");
        expectReply("functionCall", run);
        bytes.push(next.fails ? failure : FUNCTION_RESULT, encodeReadyForQuery("I"));
        ends.push(`${name} ${next.fails ? "failed 22012" : "done -"} -`);
        break;
      }
    }
  }
  return { bytes, ends };
}

/** Cuts a stream at the given places. */
function cut(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set(places.map((place) => place % (stream.length + 1)))].toSorted((a, b) => a - b);
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const to of [...at, stream.length]) {
    if (to > from) chunks.push(stream.subarray(from, to));
    from = Math.max(from, to);
  }
  return chunks;
}

describe("replies", () => {
  test("every reply is matched, and the client gets the server's bytes unchanged, however they are cut", () => {
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 8 }),
        fc.array(fc.nat(4000), { maxLength: 30 }),
        fc.array(fc.tuple(fc.nat(60), fc.nat(2)), { maxLength: 4 }),
        (items, places, interjections) => {
          const notes = new Notes();
          const replies = new Replies(notes);
          const { bytes, ends } = play(items, replies, notes);
          for (const [at, which] of interjections) {
            const message = asynchronous[which];
            if (message !== undefined) bytes.splice(at % (bytes.length + 1), 0, message);
          }
          const stream = Buffer.concat(bytes);
          for (const chunk of cut(stream, places)) replies.accept(chunk);
          expect(notes.forwarded.equals(stream)).toBe(true);
          expect(notes.ends.toSorted()).toEqual(ends.toSorted());
          expect(replies.inFlight).toBe(0);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("a stream that is not the server's protocol is a violation, never anything else", () => {
    let violations = 0;
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(4000), { maxLength: 5 }),
        (items, edits, places) => {
          const notes = new Notes();
          const replies = new Replies(notes);
          const stream = Buffer.concat(play(items, replies, notes).bytes);
          for (const [at, value] of edits) stream[at % stream.length] = value;
          try {
            for (const chunk of cut(stream, places)) replies.accept(chunk);
          } catch (error) {
            violations++;
            expect(error instanceof ReplyViolation || error instanceof WireError).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(violations).toBeGreaterThan(0);
  });

  test("a refused message is answered by the refusal in its place, and what follows it until Sync is skipped", () => {
    const notes = new Notes();
    const replies = new Replies(notes);
    const first = new Run(OWNER, "pipelined", null);
    const refused = new Run(OWNER, "pipelined", null);
    const after = new Run(OWNER, "pipelined", null);
    for (const run of [first, refused, after]) run.isReleased = true;
    notes.names.set(first, "first").set(refused, "refused").set(after, "after");
    replies.expect({ kind: "execute", run: first, endsRun: true, settle: null });
    replies.expect({ kind: "refusal", run: refused, endsRun: true, settle: null });
    replies.expect({ kind: "execute", run: after, endsRun: true, settle: null });
    replies.expect({ kind: "sync", run: null, endsRun: false, settle: null });
    const syntaxError = encodeError([
      ["S", "ERROR"],
      ["V", "ERROR"],
      ["C", "42601"],
      ["M", "syntax error"],
    ]);
    const done = encodeCommandComplete("SELECT 0");
    replies.accept(Buffer.concat([done, syntaxError, encodeReadyForQuery("E")]));
    expect(notes.forwarded.equals(Buffer.concat([done, notes.refusalFor(), encodeReadyForQuery("E")]))).toBe(true);
    expect(notes.ends).toEqual(["first done - 0", "refused failed 42601 -", "after skipped - -"]);
    expect(notes.statuses).toEqual(["E"]);
  });

  test("replies to an operation whose record is not durable are held back, to the byte", () => {
    const notes = new Notes();
    const replies = new Replies(notes);
    const run = new Run(OWNER, "request", null);
    replies.expect({ kind: "query", run, endsRun: true, settle: null });
    const stream = Buffer.concat([
      ROW_DESCRIPTION,
      DATA_ROW,
      encodeCommandComplete("SELECT 1"),
      encodeReadyForQuery("I"),
    ]);
    for (const chunk of cut(stream, [3, 9, 20])) replies.accept(chunk);
    expect(notes.forwarded.length).toBe(0);
    expect(replies.isHolding).toBe(true);
    run.isReleased = true;
    replies.resume();
    expect(notes.forwarded.equals(stream)).toBe(true);
    expect(replies.isHolding).toBe(false);
  });

  test("a Sync that the server ignores because it takes COPY data gets no reply", () => {
    const notes = new Notes();
    const replies = new Replies(notes);
    const run = new Run(OWNER, "pipelined", null);
    run.isReleased = true;
    replies.expect({ kind: "execute", run, endsRun: true, settle: null });
    replies.expect({ kind: "sync", run: null, endsRun: false, settle: null });
    replies.accept(COPY_IN);
    expect(replies.isCopyingIn).toBe(true);
    replies.copyInSent(true);
    replies.expect({ kind: "sync", run: null, endsRun: false, settle: null });
    replies.accept(Buffer.concat([encodeCommandComplete("COPY 3"), encodeReadyForQuery("I")]));
    expect(replies.inFlight).toBe(0);
    expect(notes.statuses).toEqual(["I"]);
  });

  test("whatever a failed COPY had read of the Syncs around it, a probe tells what is still to be answered", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<EntryKind>("query", "execute"),
        fc.nat(3),
        fc.array(fc.constantFrom("sync", "data"), { maxLength: 6 }),
        fc.boolean(),
        fc.nat(8),
        fc.boolean(),
        fc.array(fc.nat(4000), { maxLength: 6 }),
        (kind, early, sent, ends, readMax, arrivesBefore, places) => {
          const notes = new Notes();
          const replies = new Replies(notes);
          const run = new Run(OWNER, kind === "query" ? "request" : "pipelined", null);
          run.isReleased = true;
          notes.names.set(run, "copy");
          const sync: Entry = { kind: "sync", run: null, endsRun: false, settle: null };
          replies.expect({ kind, run, endsRun: true, settle: null });
          for (let n = 0; n < early; n++) replies.expect(sync);
          replies.accept(COPY_IN);
          for (const what of sent) {
            if (what === "sync") replies.expect(sync);
            else replies.copyInSent(false);
          }
          if (ends) replies.copyInSent(true);

          // The server: it reads up to some data, fails, and takes the rest for what it is.
          const stream = [...Array.from({ length: early }, () => "sync"), ...sent, ...(ends ? ["end"] : [])];
          let read = 0;
          for (let n = 0; n < readMax && stream.slice(read).some((what) => what !== "sync"); n++) {
            read += stream.slice(read).findIndex((what) => what !== "sync") + 1;
          }
          let isSkipping = kind === "execute";
          const answers = [failure, ...(isSkipping ? [] : [encodeReadyForQuery("I")])];
          for (const what of stream.slice(read)) {
            if (what !== "sync") continue;
            answers.push(encodeReadyForQuery("I"));
            isSkipping = false;
          }
          const seen = Buffer.concat(answers);
          const before = arrivesBefore ? seen.length : failure.length;
          for (const chunk of cut(seen.subarray(0, before), places)) replies.accept(chunk);
          const rest: Uint8Array[] = [seen.subarray(before)];
          if (replies.isInDoubt) {
            replies.expect({ kind: "probe", run: null, endsRun: false, settle: null });
            rest.push(encodeReadyForQuery("I"), encodeCloseComplete());
          }
          for (const chunk of cut(Buffer.concat(rest), places)) replies.accept(chunk);

          expect(notes.forwarded.equals(Buffer.concat([COPY_IN, seen]))).toBe(true);
          expect(notes.ends).toEqual(["copy failed 22012 -"]);
          expect({ isInDoubt: replies.isInDoubt, inFlight: replies.inFlight, isSkipping: replies.isSkipping }).toEqual({
            isInDoubt: false,
            inFlight: 0,
            isSkipping,
          });
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("a COPY that is given up ends the session if it still read, and only then", () => {
    const told = (words: string): void => {
      const replies = new Replies(new Notes());
      const run = new Run(OWNER, "request", null);
      run.isReleased = true;
      replies.expect({ kind: "query", run, endsRun: true, settle: null });
      replies.accept(COPY_IN);
      replies.giveUpCopy();
      expect({ isCopyingIn: replies.isCopyingIn, awaitsCopyEnd: replies.awaitsCopyEnd }).toEqual({
        isCopyingIn: false,
        awaitsCopyEnd: true,
      });
      const error = encodeError([
        ["S", "ERROR"],
        ["C", "57014"],
        ["M", words],
      ]);
      replies.accept(Buffer.concat([error, encodeReadyForQuery("I")]));
      expect({ awaitsCopyEnd: replies.awaitsCopyEnd, inFlight: replies.inFlight }).toEqual({
        awaitsCopyEnd: false,
        inFlight: 0,
      });
    };
    told("cannot copy to a view");
    expect(() => told(`COPY from stdin failed: ${NO_PLACE_IN_COPY}`)).toThrow(FramingError);
  });

  test("a question of the gateway's own is seen only when it fails a client's pipeline", () => {
    for (const isInPipeline of [false, true]) {
      const notes = new Notes();
      const replies = new Replies(notes);
      const run = new Run(OWNER, "pipelined", null, true);
      run.isReleased = true;
      run.isInPipeline = isInPipeline;
      notes.names.set(run, "question");
      replies.expect({ kind: "parse", run, endsRun: false, settle: null });
      replies.expect({ kind: "execute", run, endsRun: true, settle: null });
      replies.accept(Buffer.concat([encodeParseComplete(), failure]));
      expect(notes.forwarded.equals(isInPipeline ? failure : new Uint8Array(0))).toBe(true);
      expect(notes.ends).toEqual(["question failed 22012 -"]);
      expect(replies.isSkipping).toBe(true);
    }
  });

  test("what has been passed on ends with a message, but for a long one", () => {
    const reader = (): { readonly replies: Replies; readonly notes: Notes } => {
      const notes = new Notes();
      const replies = new Replies(notes);
      const run = new Run(OWNER, "request", null);
      run.isReleased = true;
      replies.expect({ kind: "query", run, endsRun: true, settle: null });
      return { replies, notes };
    };
    const three = Buffer.concat(rows(3));
    for (let cut = 0; cut <= three.length; cut++) {
      for (let again = cut; again <= three.length; again++) {
        const { replies, notes } = reader();
        let taken = 0;
        for (const end of [cut, again, three.length]) {
          replies.accept(three.subarray(taken, end));
          taken = end;
          expect(replies.isInMessage).toBe(false);
          expect(notes.forwarded.length).toBe(taken - (taken % DATA_ROW.length));
        }
        expect(notes.forwarded.equals(three)).toBe(true);
      }
    }
    const { replies, notes } = reader();
    const long = Buffer.concat([Uint8Array.of(0x44, 0, 0, 0x20, 5), Buffer.alloc(8 * 1024 + 1)]);
    replies.accept(long.subarray(0, 6));
    expect([replies.isInMessage, notes.forwarded.length]).toEqual([true, 6]);
    replies.accept(long.subarray(6));
    expect([replies.isInMessage, notes.forwarded.equals(long)]).toEqual([false, true]);
  });
});
