/** The server's side of a session: its stream of replies, each held against what is expected, on its way to the client. */
import { readInt32 } from "../../src/wire/framer.ts";
import type { ContentStage } from "./content/content-stage.ts";
import type { Evidence } from "./evidence/evidence.ts";
import type { Entry } from "./expected.ts";
import { GuardedReplies } from "./guarded-replies.ts";
import type { ReplyGuard } from "./mask/reply-guard.ts";
import { backendBodyBytesMax } from "./protocol/limits.ts";
import { BACKEND, HEADER_BYTES } from "./protocol/types.ts";
import type { Output } from "./record/output.ts";
import { ReplyViolation, type ReplyHandler } from "./reply-handler.ts";
import { ReplyOrder } from "./reply-order.ts";
import { ReplyRecord } from "./reply-record.ts";
import type { Run } from "./run.ts";

/** These are looked at whole; all others pass by their header. */
const COLLECTED = new Set<number>([
  BACKEND.commandComplete,
  BACKEND.readyForQuery,
  BACKEND.error,
  BACKEND.parameterStatus,
  BACKEND.copyIn,
  BACKEND.copyOut,
]);
/** In a governed session these are looked at as well. */
const COLLECTED_GOVERNED = new Set<number>([
  ...COLLECTED,
  BACKEND.notice,
  BACKEND.notification,
  BACKEND.rowDescription,
]);
/** A longer row is not waited for. */
const CONTENT_BYTES_MAX = 16 * 1024 * 1024;
/** An error longer than this passes by its header, its SQLSTATE unknown; in a governed session none may be longer. */
const COLLECTED_BYTES_MAX = 1024 * 1024;
/** A longer message is passed on in the parts in which it comes. */
const WHOLE_BYTES_MAX = 8 * 1024;

const NOTHING = new Uint8Array(0);
/** What may come behind the last CommandComplete of a request. */
const KEEPS_COMPLETE = new Set<number>([BACKEND.readyForQuery, BACKEND.parameterStatus, BACKEND.notification]);

/*
 * A message's place is passed as three numbers and its type, and no object is made of it: this runs for every row.
 */
export class Replies {
  readonly #handler: ReplyHandler;
  readonly #order: ReplyOrder;
  readonly #guarded: GuardedReplies;
  readonly #record = new ReplyRecord();
  readonly #collectedTypes: ReadonlySet<number>;
  /** The beginning of a message whose rest has not come. */
  #carry: Uint8Array | null = null;
  /** What is left of a message that passes by its header. */
  #passing = 0;
  /** It belongs to an operation that was cut. */
  #passingIsDropped = false;
  /** The gateway's own messages to the client that wait for the end of that one. */
  #inserted: Uint8Array[] = [];
  /** Chunks that arrived while the head is held back. */
  #held: Uint8Array[] = [];

  /** `guard`: of a governed session. */
  constructor(handler: ReplyHandler, guard: ReplyGuard | null = null) {
    this.#handler = handler;
    this.#collectedTypes = guard === null ? COLLECTED : COLLECTED_GOVERNED;
    this.#guarded = new GuardedReplies(guard, (run, because) => handler.stop(run, because));
    this.#order = new ReplyOrder(handler, this.#guarded, (message) => this.#forward(message, 0, message.length));
  }

  /** The client has got a part of a message, and nothing but the rest of that may follow. */
  get isInMessage(): boolean {
    return this.#passing > 0 && !this.#passingIsDropped;
  }

  /** Messages that were sent to the server and are not answered yet. */
  get inFlight(): number {
    return this.#order.expected.count;
  }

  /** True while the server skips what it is sent: after an error, and no Sync is on its way yet. */
  get isSkipping(): boolean {
    return this.#order.isSkipping;
  }

  /** The server has taken messages of the extended protocol, and waits for the Sync that ends what they began. */
  get isInSegment(): boolean {
    return this.#order.isInSegment;
  }

  get isCopyingIn(): boolean {
    return this.#order.copying.isIn;
  }

  /** The run whose COPY data may be sent now. */
  get copyRun(): Run | null {
    return this.#order.copying.in?.run ?? null;
  }

  /** Nothing but a Sync may be sent until it is known how the COPY has ended. */
  get awaitsCopyEnd(): boolean {
    return this.#order.copying.in?.holdsBack ?? false;
  }

  /** COPY data is sent, or its end. */
  copyInSent(isEnd: boolean): void {
    this.#order.copying.in?.dataSent(isEnd);
  }

  /** A CopyFail with NO_PLACE_IN_COPY is sent. */
  giveUpCopy(): void {
    this.#order.copying.in?.giveUp();
  }

  /** Nothing may be sent until a probe was answered: how much of the past is still to be answered is not known. */
  get isInDoubt(): boolean {
    return this.#order.copying.doubt.isInDoubt;
  }

  get isProbing(): boolean {
    return this.#order.copying.doubt.isProbing;
  }

  /** True while replies wait for a record to become durable: whoever reads from the server should pause. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** The run that the server is working on, if any. */
  get headRun(): Run | null {
    return this.#order.expected.head?.run ?? null;
  }

  /** A message is on its way to the server. */
  expect(entry: Entry): void {
    this.#order.expect(entry);
  }

  /** The connection is gone: nothing that was expected will come. Answers with the runs that are still open. */
  abandon(): Set<Run> {
    this.#record.drop();
    this.#held = [];
    return this.#order.abandon();
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
    else this.#forward(message, 0, message.length);
  }

  /** Takes bytes from the server. Throws ReplyViolation and RecordingFailed. */
  accept(received: Uint8Array): void {
    if (this.#held.length > 0) {
      this.#held.push(received);
      return;
    }
    let chunk = received;
    const carry = this.#carry;
    if (carry !== null) {
      this.#carry = null;
      const missing = carry.length < HEADER_BYTES ? 0 : 1 + readInt32(carry, 1) - carry.length;
      // Where the message ends in this chunk, only its own bytes are copied.
      if (missing > 0 && missing < received.length) {
        this.accept(joined(carry, received.subarray(0, missing)));
        return this.accept(received.subarray(missing));
      }
      chunk = joined(carry, received);
    }
    this.#acceptWhole(chunk);
  }

  /** Takes bytes that begin where a message begins, or in one that passes. */
  #acceptWhole(chunk: Uint8Array): void {
    const order = this.#order;
    let position = Math.min(this.#passing, chunk.length);
    /** Start of what is to be forwarded and is not yet. */
    let from = this.#passRest(chunk, position);

    while (chunk.length - position >= HEADER_BYTES) {
      const type = chunk[position] ?? 0;
      const bodyBytes = bodyBytesOf(type, chunk, position);
      const { head } = order.expected;
      const run = head?.run ?? null;
      if (run !== null && !run.isReleased) return this.#holdBack(chunk, from, position);
      const end = position + HEADER_BYTES + bodyBytes;
      const isHouse = run?.isHouse === true || isGatewaysOwn(head, type);
      const { complete } = order.bracket;
      if (complete !== null && head?.kind !== "bracket" && !KEEPS_COMPLETE.has(type)) {
        from = this.#forwardUpTo(chunk, from, position);
        order.release(complete);
      }
      if (run !== null && run.evidence !== null && !run.isCut) {
        const next = this.#gather(run, run.evidence, type, chunk, position, end);
        if (next === "incomplete") break;
        if (next === "wait") {
          this.#holdBack(chunk, from, position);
          if (!run.evidence.isReading) this.#handler.sealRows(run, run.evidence);
          return;
        }
      }

      const output = run?.output ?? null;
      const content = run !== null && run.content?.looksAt(type) === true ? run.content : null;
      if (content !== null || this.#isLookedAt(type, bodyBytes, output, isHouse)) {
        if (content !== null && bodyBytes > CONTENT_BYTES_MAX)
          this.#handler.stop(run, "a row is too long to be looked at");
        if (content === null && bodyBytes > COLLECTED_BYTES_MAX) {
          throw new ReplyViolation("the server sent a message that is too long to be looked at");
        }
        if (end > chunk.length) break;
        // Everything before it goes out first, so that a session that ends here has sent what came before.
        from = this.#forwardUpTo(chunk, from, position);
        const start = position + HEADER_BYTES;
        const replacement =
          content === null
            ? this.#collected(type, chunk, start, end, head, isHouse)
            : this.#masked(content, type, chunk, start, end, head, isHouse);
        if (output !== null) this.#record.whole(output, type, chunk, start, end, replacement, head);
        position = end;
        if (replacement === null) continue;
        if (replacement.length > 0) this.#forward(replacement, 0, replacement.length);
        from = end;
        continue;
      }

      // It is passed on whole, so that a session that ends here does not end in the middle of it.
      if (end > chunk.length && bodyBytes <= WHOLE_BYTES_MAX) break;
      order.passed(type, head);
      const taken = Math.min(end, chunk.length);
      const isDropped = run !== null && run.isLimited && !order.counter.mayPass(type, run, head, end - position);
      if (output !== null && !isDropped && output.looksAt(type)) {
        this.#record.begin(output, type, chunk, position + HEADER_BYTES, taken, bodyBytes);
      }
      this.#passing = end - taken;
      this.#passingIsDropped = isDropped;
      if (isDropped) {
        this.#forwardUpTo(chunk, from, position);
        from = taken;
      } else order.replyBytes += taken - position;
      position = taken;
    }
    this.#forwardUpTo(chunk, from, position);
    if (position < chunk.length) this.#carry = chunk.subarray(position);
  }

  /** The first `bytes` of a chunk belong to a message that passes; answers where that begins which is not forwarded yet. */
  #passRest(chunk: Uint8Array, bytes: number): number {
    this.#record.go(chunk, bytes, bytes === this.#passing);
    this.#passing -= bytes;
    let from = 0;
    if (this.#passingIsDropped) from = bytes;
    else this.#order.replyBytes += bytes;
    if (this.#passing === 0 && this.#inserted.length > 0) {
      from = this.#forwardUpTo(chunk, from, bytes);
      for (const message of this.#inserted) this.#forward(message, 0, message.length);
      this.#inserted = [];
    }
    return from;
  }

  /** What stands before `position` goes out, the rest waits until resume(). */
  #holdBack(chunk: Uint8Array, from: number, position: number): void {
    this.#forwardUpTo(chunk, from, position);
    this.#held.push(chunk.subarray(position));
  }

  #forwardUpTo(chunk: Uint8Array, from: number, position: number): number {
    if (position > from) this.#forward(chunk, from, position);
    return position;
  }

  /** Nothing goes to the client before its recording has taken it. Throws RecordingFailed. */
  #forward(bytes: Uint8Array, start: number, end: number): void {
    this.#record.flush();
    this.#handler.forward(bytes, start, end);
  }

  /**
   * Of an operation whose raw rows are sealed before they go on. incomplete: its message has not come whole; wait:
   * nothing may go on until they are sealed.
   */
  #gather(
    run: Run,
    evidence: Evidence,
    type: number,
    chunk: Uint8Array,
    position: number,
    end: number,
  ): "incomplete" | "wait" | "goOn" {
    if (type === BACKEND.rowDescription) {
      if (end > chunk.length) return "incomplete";
      const because = evidence.describe(chunk.subarray(position + HEADER_BYTES, end));
      if (because !== null) this.#handler.unsealed(run, because);
    } else if (type === BACKEND.dataRow && !evidence.mayPass()) {
      if (!evidence.isReading && evidence.gather(chunk, position) === 0) {
        if (end - position - HEADER_BYTES <= CONTENT_BYTES_MAX) return "incomplete";
        this.#handler.stop(run, "a row is too long to be looked at");
      }
      return "wait";
    }
    return "goOn";
  }

  /** Does it have to come whole? */
  #isLookedAt(type: number, bodyBytes: number, output: Output | null, isHouse: boolean): boolean {
    if (isHouse) return true;
    if (!this.#collectedTypes.has(type) && (output === null || !output.collects(type))) return false;
    return bodyBytes <= COLLECTED_BYTES_MAX || this.#guarded.isGoverned;
  }

  /** What the client gets instead of a message that was looked at whole; null: that one. */
  #collected(
    type: number,
    chunk: Uint8Array,
    start: number,
    end: number,
    head: Entry | undefined,
    isHouse: boolean,
  ): Uint8Array | null {
    // Counted before the order sees it, which may end the operation by it.
    this.#order.replyBytes += end - start + HEADER_BYTES;
    const answer = this.#order.collected(type, chunk, start, end, head, isHouse);
    return answer ?? this.#guarded.replace(type, chunk, start, end, head?.run ?? null);
  }

  /** The same of an operation whose rows are masked by what they hold. */
  #masked(
    content: ContentStage,
    type: number,
    chunk: Uint8Array,
    start: number,
    end: number,
    head: Entry | undefined,
    isHouse: boolean,
  ): Uint8Array | null {
    const run = head?.run ?? null;
    const replacement = content.replace(type, chunk, start, end);
    if (isHouse) return this.#order.collected(type, chunk, start, end, head, isHouse);
    this.#order.passed(type, head);
    // It has no description that would tell what it is.
    if (type === BACKEND.functionCallResponse) this.#handler.stop(run, "the result of a function cannot be masked");
    const bytes = end - start + HEADER_BYTES;
    if (run !== null && run.isLimited && !this.#order.counter.mayPass(type, run, head, bytes)) return NOTHING;
    this.#order.replyBytes += bytes;
    return replacement ?? this.#guarded.replace(type, chunk, start, end, run);
  }
}

/** Throws ReplyViolation on a type or a length that no server may send. */
function bodyBytesOf(type: number, chunk: Uint8Array, position: number): number {
  const bodyBytes = readInt32(chunk, position + 1) - 4;
  const bodyBytesMax = backendBodyBytesMax(type);
  if (bodyBytesMax === null || bodyBytes < 0 || bodyBytes > bodyBytesMax) {
    throw new ReplyViolation(`the server sent a message of type ${type} and length ${bodyBytes}`);
  }
  return bodyBytes;
}

/** It answers a message of the gateway's own, put before or between the client's. */
function isGatewaysOwn(head: Entry | undefined, type: number): boolean {
  return head !== undefined && (head.isHidden === true || (head.kind === "probe" && type === BACKEND.closeComplete));
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
