/** The server's side of a session: a queue of expected replies, so that it is always known which reply answers what. */
import { readInt32 } from "../../src/wire/framer.ts";
import {
  decodeCommandComplete,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  type TransactionStatus,
} from "./protocol/backend.ts";
import { backendBodyBytesMax } from "./protocol/limits.ts";
import { BACKEND } from "./protocol/types.ts";
import type { Run } from "./run.ts";

/** What one message sent to the server is answered by. */
export type EntryKind =
  | "parse"
  | "bind"
  | "close"
  | "describeStatement"
  | "describePortal"
  | "execute"
  | "sync"
  | "query"
  | "functionCall"
  /** A message made to fail in place of a refused one. */
  | "refusal";

export type Entry = {
  readonly kind: EntryKind;
  /** The operation it belongs to; null for the session's own housekeeping. */
  readonly run: Run | null;
  /** With this reply `run` has ended. */
  readonly endsRun: boolean;
  /** Called when the server acknowledged it, or (false) skipped it. */
  readonly settle: ((acknowledged: boolean) => void) | null;
};

/** What the conversation does about replies; called in the order of the server's stream. */
export interface ReplyHandler {
  forward(bytes: Uint8Array): void;
  /** A run has ended; false: the session must end now, before anything more is forwarded. */
  ended(run: Run, status: "done" | "failed" | "skipped", code: string | null): boolean;
  /** The server refused the message that was made to fail; answers with what the client sees instead. */
  refusalFor(entry: Entry): Uint8Array;
  /** CommandComplete or EmptyQueryResponse of one statement of a run. */
  statementDone(run: Run): void;
  /** ReadyForQuery; `isHouse` when it answers the gateway's own statements. */
  ready(status: TransactionStatus, isHouse: boolean): void;
  parameter(name: string, value: string): void;
  /** Replies to the gateway's own statements. */
  houseRow(run: Run, body: Uint8Array): void;
  /** An error that fails a transaction was seen. */
  failed(): void;
  /** The server has said that it ends the session. */
  fatal(): void;
}

/** The server sent what it may not send now: nothing after it can be trusted. */
export class ReplyViolation extends Error {
  readonly code = "REPLY_VIOLATION";
}

/** A COPY under way. */
type Copy = {
  readonly entry: Entry;
  readonly direction: "in" | "out";
  /** Syncs that were sent right behind the statement: the server ignores them when it reads them as COPY data. */
  readonly syncs: readonly Entry[];
  /** The client has sent data, or its end: the server may have read what came before. */
  hasData: boolean;
  /** The client has ended its data. */
  isEnded: boolean;
};

const HEADER_BYTES = 5;

/** These are looked at whole; all others pass by their header. */
const COLLECTED = new Set<number>([
  BACKEND.commandComplete,
  BACKEND.readyForQuery,
  BACKEND.error,
  BACKEND.parameterStatus,
  BACKEND.copyIn,
  BACKEND.copyOut,
]);
/** An error longer than this passes by its header, its SQLSTATE unknown. */
const COLLECTED_BYTES_MAX = 1024 * 1024;

export class Replies {
  readonly #handler: ReplyHandler;
  readonly #queue: Entry[] = [];
  #head = 0;
  #carry: Uint8Array | null = null;
  /** What is left of a message that passes by its header. */
  #passing = 0;
  /** The gateway's own messages to the client that wait for the end of that one. */
  #inserted: Uint8Array[] = [];
  /** After an error the server skips everything until the next Sync. */
  #skipping = false;
  /** A message of the extended protocol was sent since the last Sync. */
  #segmentIsOpen = false;
  #copy: Copy | null = null;
  /** Syncs of which nobody knows whether the server has ignored them, because their COPY failed: each may be answered. */
  #doubtfulSyncs = 0;
  /** The first part of a statement's description has come. */
  #parametersDescribed = false;
  #failure: string | null = null;
  /** Reply bytes of the run at the head. */
  #bytes = 0;
  /** Chunks that arrived while the head is held back. */
  #held: Uint8Array[] = [];

  constructor(handler: ReplyHandler) {
    this.#handler = handler;
  }

  get inFlight(): number {
    return this.#queue.length - this.#head;
  }

  /** True while the server skips what it is sent: after an error, and no Sync is on its way yet. */
  get isSkipping(): boolean {
    return this.#skipping && this.inFlight === 0;
  }

  /** The server has taken messages of the extended protocol, and waits for the Sync that ends what they began. */
  get isInSegment(): boolean {
    return this.#segmentIsOpen;
  }

  get isCopyingIn(): boolean {
    return this.#copy?.direction === "in" && !this.#copy.isEnded;
  }

  /** The run whose COPY data may be sent now. */
  get copyRun(): Run | null {
    return this.#copy?.entry.run ?? null;
  }

  /** COPY data is sent, or its end. */
  copyInSent(isEnd: boolean): void {
    if (this.#copy === null) return;
    this.#copy.hasData = true;
    this.#copy.isEnded = isEnd;
  }

  /** True while replies wait for a record to become durable: whoever reads from the server should pause. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** The run that the server is working on, if any. */
  get headRun(): Run | null {
    return this.#queue[this.#head]?.run ?? null;
  }

  /** A message is on its way to the server. */
  expect(entry: Entry): void {
    if (this.isSkipping && entry.kind !== "sync") return this.#skip(entry);
    this.#segmentIsOpen = !isAnsweredByReady(entry.kind);
    this.#queue.push(entry);
  }

  /** The connection is gone: nothing that was expected will come. */
  abandon(): void {
    for (; this.#head < this.#queue.length; this.#head++) this.#queue[this.#head]?.settle?.(false);
    this.#queue.length = 0;
    this.#head = 0;
    this.#held = [];
    this.#copy = null;
  }

  /** The head's record is durable: let its replies flow. Throws ReplyViolation. */
  resume(): void {
    const held = this.#held;
    this.#held = [];
    for (let index = 0; index < held.length; index++) {
      const chunk = held[index];
      if (chunk === undefined) continue;
      this.accept(chunk);
      if (this.#held.length > 0) {
        this.#held.push(...held.slice(index + 1));
        return;
      }
    }
  }

  /** Sends the client a message of the gateway's own, between the server's. */
  insert(message: Uint8Array): void {
    if (this.#passing > 0) this.#inserted.push(message);
    else this.#handler.forward(message);
  }

  /** Takes bytes from the server. Throws ReplyViolation. */
  accept(received: Uint8Array): void {
    if (this.#held.length > 0) {
      this.#held.push(received);
      return;
    }
    let chunk = received;
    if (this.#carry !== null) {
      const joined = new Uint8Array(this.#carry.length + received.length);
      joined.set(this.#carry);
      joined.set(received, this.#carry.length);
      this.#carry = null;
      chunk = joined;
    }
    let position = Math.min(this.#passing, chunk.length);
    this.#passing -= position;
    this.#bytes += position;
    /** Start of what is to be forwarded and is not yet. */
    let from = 0;
    if (this.#passing === 0 && this.#inserted.length > 0) {
      this.#handler.forward(chunk.subarray(0, position));
      from = position;
      for (const message of this.#inserted) this.#handler.forward(message);
      this.#inserted = [];
    }

    while (chunk.length - position >= HEADER_BYTES) {
      const type = chunk[position] ?? 0;
      const bodyBytes = readInt32(chunk, position + 1) - 4;
      const bodyBytesMax = backendBodyBytesMax(type);
      if (bodyBytesMax === null || bodyBytes < 0 || bodyBytes > bodyBytesMax) {
        throw new ReplyViolation(`the server sent a message of type ${type} and length ${bodyBytes}`);
      }
      const head = this.#queue[this.#head];
      const run = head?.run ?? null;
      if (run !== null && !run.isReleased) {
        if (position > from) this.#handler.forward(chunk.subarray(from, position));
        this.#held.push(chunk.subarray(position));
        return;
      }
      const end = position + HEADER_BYTES + bodyBytes;
      const isHouse = run !== null && run.isHouse;
      if ((COLLECTED.has(type) && bodyBytes <= COLLECTED_BYTES_MAX) || isHouse) {
        if (end > chunk.length) {
          if (bodyBytes > COLLECTED_BYTES_MAX)
            throw new ReplyViolation("a reply to the gateway's own statement is too long");
          break;
        }
        const body = chunk.subarray(position + HEADER_BYTES, end);
        // Everything before it goes out first, so that a session that ends here has sent what came before.
        if (position > from) this.#handler.forward(chunk.subarray(from, position));
        from = position;
        this.#bytes += end - position;
        const replacement = this.#collected(type, body, head, isHouse);
        position = end;
        if (replacement !== null) {
          if (replacement.length > 0) this.#handler.forward(replacement);
          from = end;
        }
        continue;
      }
      this.#passed(type, head);
      const taken = Math.min(end, chunk.length);
      this.#bytes += taken - position;
      this.#passing = end - taken;
      position = taken;
    }
    if (position > from) this.#handler.forward(chunk.subarray(from, position));
    if (position < chunk.length) this.#carry = chunk.subarray(position);
  }

  /** A message that is looked at whole. Null: forward it; else what the client gets instead. */
  #collected(type: number, body: Uint8Array, head: Entry | undefined, isHouse: boolean): Uint8Array | null {
    switch (type) {
      case BACKEND.error:
        return this.#error(body, head, isHouse);
      case BACKEND.parameterStatus: {
        const { name, value } = decodeParameterStatus(body);
        this.#handler.parameter(name, value);
        return null;
      }
      case BACKEND.notice:
        // A client that asks for the server's log would see the gateway's own statements in it.
        return isHouse ? new Uint8Array(0) : null;
      case BACKEND.notification:
        return null;
      case BACKEND.readyForQuery:
        return this.#ready(body, head, isHouse);
      case BACKEND.copyIn:
      case BACKEND.copyOut:
        this.#beginCopy(type, head);
        return isHouse ? new Uint8Array(0) : null;
      case BACKEND.commandComplete: {
        const { rows } = decodeCommandComplete(body);
        this.#statementDone(head, rows);
        return isHouse ? new Uint8Array(0) : null;
      }
      case BACKEND.dataRow:
        if (head?.run !== null && head?.run !== undefined) this.#handler.houseRow(head.run, body);
        return new Uint8Array(0);
      default:
        this.#passed(type, head);
        return new Uint8Array(0);
    }
  }

  /** A message that passes by its header: only its place in the order is checked. */
  #passed(type: number, head: Entry | undefined): void {
    const kind = head?.kind;
    switch (type) {
      case BACKEND.dataRow:
        return kind === "query" || kind === "execute" ? undefined : this.#violation(type, head);
      case BACKEND.copyData:
      case BACKEND.copyDone:
        if (this.#copy?.direction !== "out") this.#violation(type, head);
        if (type === BACKEND.copyDone) this.#copy = null;
        break;
      case BACKEND.notice:
      case BACKEND.notification:
        break;
      case BACKEND.rowDescription:
        if (kind === "query" || kind === "execute") return;
        if (kind === "describePortal" || (kind === "describeStatement" && this.#parametersDescribed))
          return this.#settleHead();
        return this.#violation(type, head);
      case BACKEND.noData:
        if (kind === "describePortal" || (kind === "describeStatement" && this.#parametersDescribed))
          return this.#settleHead();
        return this.#violation(type, head);
      case BACKEND.parameterDescription:
        if (kind !== "describeStatement") return this.#violation(type, head);
        this.#parametersDescribed = true;
        break;
      case BACKEND.parseComplete:
        return kind === "parse" ? this.#settleHead() : this.#violation(type, head);
      case BACKEND.bindComplete:
        return kind === "bind" ? this.#settleHead() : this.#violation(type, head);
      case BACKEND.closeComplete:
        return kind === "close" ? this.#settleHead() : this.#violation(type, head);
      case BACKEND.portalSuspended:
        return kind === "execute" ? this.#settleHead() : this.#violation(type, head);
      case BACKEND.emptyQuery:
        return this.#statementDone(head, null);
      case BACKEND.functionCallResponse:
        return kind === "functionCall" ? undefined : this.#violation(type, head);
      case BACKEND.error:
        // Too long to be looked at: its SQLSTATE is not known.
        this.#error(null, head, false);
        break;
      default:
        this.#violation(type, head);
    }
  }

  #statementDone(head: Entry | undefined, rows: number | null): void {
    const run = head?.run;
    if (head === undefined || run === undefined || run === null || (head.kind !== "query" && head.kind !== "execute")) {
      return this.#violation(BACKEND.commandComplete, head);
    }
    this.#copy = null;
    if (rows !== null) run.rows = (run.rows ?? 0) + rows;
    this.#handler.statementDone(run);
    if (head.kind === "execute") this.#settleHead();
  }

  #beginCopy(type: number, head: Entry | undefined): void {
    if (head === undefined || (head.kind !== "query" && head.kind !== "execute")) return this.#violation(type, head);
    const isIn = type === BACKEND.copyIn;
    const syncs = isIn ? this.#takeSyncsBehindHead() : [];
    this.#copy = { entry: head, direction: isIn ? "in" : "out", syncs, hasData: false, isEnded: false };
    this.#doubtfulSyncs = 0;
  }

  #takeSyncsBehindHead(): Entry[] {
    const from = this.#head + 1;
    let to = from;
    while (this.#queue[to]?.kind === "sync") to++;
    return this.#queue.splice(from, to - from);
  }

  /** A COPY has failed: before it read anything, and the Syncs behind it will be answered, or perhaps later. */
  #copyFailed(copy: Copy): void {
    if (copy.hasData) this.#doubtfulSyncs = copy.syncs.length;
    else this.#queue.splice(this.#head + 1, 0, ...copy.syncs);
  }

  #error(body: Uint8Array | null, head: Entry | undefined, isHouse: boolean): Uint8Array | null {
    const fields = body === null ? null : decodeErrorFields(body).fields;
    const code = fields?.get("C") ?? null;
    const severity = fields?.get("V") ?? fields?.get("S");
    if (this.#copy !== null) this.#copyFailed(this.#copy);
    this.#copy = null;
    this.#parametersDescribed = false;
    // The session is over in the server's eyes; the close that follows ends what is open.
    if (severity === "FATAL" || severity === "PANIC") {
      this.#handler.fatal();
      return null;
    }
    this.#handler.failed();
    if (head === undefined) {
      // A time limit that has passed is told at the next message, and that was a Flush.
      this.#skipping ||= this.#segmentIsOpen;
      return null;
    }
    if (head.kind === "query" || head.kind === "functionCall") {
      this.#failure = code ?? "";
      return isHouse ? new Uint8Array(0) : null;
    }
    if (head.kind === "sync") return null;
    const replacement = head.kind === "refusal" ? this.#handler.refusalFor(head) : isHouse ? new Uint8Array(0) : null;
    this.#shift();
    head.settle?.(false);
    if (head.run !== null) this.#endRun(head.run, "failed", code);
    this.#skipping = true;
    let next = this.#queue[this.#head];
    while (next !== undefined && next.kind !== "sync") {
      this.#shift();
      this.#skip(next);
      next = this.#queue[this.#head];
    }
    return replacement;
  }

  #skip(entry: Entry): void {
    entry.settle?.(false);
    if (entry.run !== null) this.#endRun(entry.run, "skipped", null);
  }

  #ready(body: Uint8Array, head: Entry | undefined, isHouse: boolean): Uint8Array | null {
    const status = decodeReadyForQuery(body);
    if (head === undefined || !isAnsweredByReady(head.kind)) {
      if (this.#doubtfulSyncs === 0) this.#violation(BACKEND.readyForQuery, head);
      this.#doubtfulSyncs--;
      this.#skipping = false;
      this.#handler.ready(status, false);
      return null;
    }
    const failure = this.#failure;
    this.#failure = null;
    this.#copy = null;
    this.#skipping = false;
    this.#shift();
    head.settle?.(failure === null);
    if (head.run !== null && head.endsRun) this.#endRun(head.run, failure === null ? "done" : "failed", failure);
    this.#handler.ready(status, isHouse);
    return isHouse ? new Uint8Array(0) : null;
  }

  /** The head was answered and acknowledged. */
  #settleHead(): void {
    const head = this.#queue[this.#head];
    if (head === undefined) return;
    this.#parametersDescribed = false;
    this.#shift();
    head.settle?.(true);
    if (head.run !== null && head.endsRun) this.#endRun(head.run, "done", null);
  }

  #endRun(run: Run, status: "done" | "failed" | "skipped", code: string | null): void {
    if (run.hasEnded) return;
    run.hasEnded = true;
    run.replyBytes = status === "skipped" ? 0 : this.#bytes;
    this.#bytes = 0;
    if (!this.#handler.ended(run, status, code)) throw new ReplyViolation("the outcome could not be recorded");
  }

  #shift(): void {
    this.#queue[this.#head] = SETTLED;
    this.#head++;
    if (this.#head === this.#queue.length || this.#head > 1024) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #violation(type: number, head: Entry | undefined): void {
    const name = String.fromCharCode(type);
    throw new ReplyViolation(
      `the server sent '${name}' where ${head === undefined ? "nothing" : `a reply to ${head.kind}`} was expected`,
    );
  }
}

/** Its replies end with a ReadyForQuery, and an error in it skips nothing. */
function isAnsweredByReady(kind: EntryKind): boolean {
  return kind === "sync" || kind === "query" || kind === "functionCall";
}

/** Stands in for entries that are done with, so that nothing of theirs is kept alive. */
const SETTLED: Entry = { kind: "sync", run: null, endsRun: false, settle: null };
