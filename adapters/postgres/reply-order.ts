/** The order of a server's replies: which message is expected now, what it settles, and how operations end by it. */
import { Bracket } from "./bracket.ts";
import { Copying } from "./copying.ts";
import { ExpectedReplies, isAnsweredByReady, type Entry, type EntryKind } from "./expected.ts";
import type { GuardedReplies } from "./guarded-replies.ts";
import {
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowCount,
  encodeReadyForQuery,
  type TransactionStatus,
} from "./protocol/backend.ts";
import { BACKEND } from "./protocol/types.ts";
import { ReplyCounter } from "./reply-counter.ts";
import { ReplyViolation, type ReplyHandler } from "./reply-handler.ts";
import { recordError } from "./reply-record.ts";
import type { Run } from "./run.ts";

const NOTHING = new Uint8Array(0);

export class ReplyOrder {
  readonly expected = new ExpectedReplies();
  readonly bracket = new Bracket();
  readonly copying: Copying;
  readonly counter: ReplyCounter;
  /** Bytes that the client got of the run at the head. */
  replyBytes = 0;
  readonly #handler: ReplyHandler;
  readonly #guarded: GuardedReplies;
  /** Sends the client a message of the gateway's own in the place of a reply. */
  readonly #send: (message: Uint8Array) => void;
  /** After an error the server skips everything until the next Sync. */
  #skipping = false;
  /** A message of the extended protocol was sent since the last Sync. */
  #segmentIsOpen = false;
  /** The first part of a statement's description has come. */
  #parametersDescribed = false;
  /** The SQLSTATE of the error in what the next ReadyForQuery answers; empty when it had none. */
  #failure: string | null = null;

  constructor(handler: ReplyHandler, guarded: GuardedReplies, send: (message: Uint8Array) => void) {
    this.#handler = handler;
    this.#guarded = guarded;
    this.#send = send;
    this.copying = new Copying(handler, this.expected);
    this.counter = new ReplyCounter((run, rows, bytes) => handler.spend(run, rows, bytes));
  }

  /** As Replies.isSkipping. */
  get isSkipping(): boolean {
    return this.#skipping && this.expected.count === 0;
  }

  /** As Replies.isInSegment. */
  get isInSegment(): boolean {
    return this.#segmentIsOpen;
  }

  /** A message is on its way to the server. */
  expect(entry: Entry): void {
    if (entry.kind === "probe") {
      this.copying.doubt.probeSent();
      this.expected.push(entry);
      return;
    }
    if (this.isSkipping && entry.kind !== "sync") return this.#skip(entry);
    // While a COPY takes data, nothing else is sent.
    if (this.copying.isIn) return this.copying.in?.syncSent();
    this.#segmentIsOpen = !isAnsweredByReady(entry.kind);
    this.expected.push(entry);
  }

  /** Nothing that was expected will come. Answers with the runs that are still open. */
  abandon(): Set<Run> {
    const open = this.expected.clear();
    for (const entry of open) entry.settle?.(false);
    this.copying.end();
    this.bracket.drop();
    const runs = new Set<Run>();
    for (const { run } of open) if (run !== null && !run.hasEnded) runs.add(run);
    return runs;
  }

  /** What the gateway's own transaction has held back goes to the client: `complete` first, or (null) only the reports. */
  release(complete: Uint8Array | null): void {
    for (const message of this.bracket.take(complete)) {
      this.replyBytes += message.length;
      this.#send(message);
    }
  }

  /** A message that was looked at whole. Null: the client gets it; else what it gets instead. */
  collected(
    type: number,
    chunk: Uint8Array,
    start: number,
    end: number,
    head: Entry | undefined,
    isHouse: boolean,
  ): Uint8Array | null {
    switch (type) {
      case BACKEND.error:
        return this.#error(chunk.subarray(start, end), head, isHouse);
      case BACKEND.parameterStatus: {
        const { name, value } = decodeParameterStatus(chunk.subarray(start, end));
        this.#handler.parameter(name, value);
        if (this.bracket.complete === null) return null;
        if (this.#guarded.replace(type, chunk, start, end, head?.run ?? null) !== null) return NOTHING;
        this.bracket.holdReport(chunk.subarray(start, end));
        return NOTHING;
      }
      case BACKEND.notice:
        // A client that asks for the server's log would see the gateway's own statements in it.
        return isHouse ? NOTHING : null;
      case BACKEND.notification:
        return null;
      case BACKEND.rowDescription:
        this.passed(type, head);
        return isHouse || (head?.kind === "query" && head.run?.isCut === true) ? NOTHING : null;
      case BACKEND.readyForQuery:
        return this.#ready(decodeReadyForQuery(chunk, start, end), head, isHouse);
      case BACKEND.copyIn:
      case BACKEND.copyOut:
        head?.run?.transcript?.copyBegan(type === BACKEND.copyIn ? "in" : "out", chunk[start] === 1);
        this.#beginCopy(type, head);
        return isHouse || head?.run?.isCut === true ? NOTHING : null;
      case BACKEND.commandComplete: {
        if (head?.kind === "bracket") return this.#bracketAnswered();
        this.#statementDone(head, decodeRowCount(chunk, start, end));
        if (isHouse || head?.run?.isCut === true) return NOTHING;
        if (head?.run?.isBracketed !== true) return null;
        this.bracket.hold(chunk.subarray(start, end));
        return NOTHING;
      }
      case BACKEND.dataRow:
        if (head?.run !== null && head?.run !== undefined) this.#handler.houseRow(head.run, chunk.subarray(start, end));
        return NOTHING;
      default:
        this.passed(type, head);
        return NOTHING;
    }
  }

  /** A message that passes by its header: only its place in the order is checked. */
  passed(type: number, head: Entry | undefined): void {
    const kind = head?.kind;
    switch (type) {
      case BACKEND.dataRow:
        return kind === "query" || kind === "execute" ? undefined : violation(type, head);
      case BACKEND.copyData:
      case BACKEND.copyDone:
        if (!this.copying.isOut) violation(type, head);
        if (type === BACKEND.copyDone) this.copying.endOut();
        break;
      case BACKEND.notice:
      case BACKEND.notification:
        break;
      case BACKEND.rowDescription:
        if (kind === "query" || kind === "execute") return;
        return this.#described(type, head);
      case BACKEND.noData:
        return this.#described(type, head);
      case BACKEND.parameterDescription:
        if (kind !== "describeStatement") return violation(type, head);
        this.#parametersDescribed = true;
        break;
      case BACKEND.parseComplete:
        return kind === "parse" ? this.#settleHead() : violation(type, head);
      case BACKEND.bindComplete:
        return kind === "bind" ? this.#settleHead() : violation(type, head);
      case BACKEND.closeComplete:
        if (kind === "probe") return this.#probed();
        return kind === "close" ? this.#settleHead() : violation(type, head);
      case BACKEND.portalSuspended:
        this.counter.restart();
        head?.run?.output?.completed();
        return kind === "execute" ? this.#executed() : violation(type, head);
      case BACKEND.emptyQuery:
        return this.#statementDone(head, null);
      case BACKEND.functionCallResponse:
        return kind === "functionCall" ? undefined : violation(type, head);
      case BACKEND.error:
        // Too long to be looked at: its SQLSTATE is not known.
        this.#error(null, head, false);
        break;
      default:
        violation(type, head);
    }
  }

  /** The last part of what a Describe is answered by. */
  #described(type: number, head: Entry | undefined): void {
    const kind = head?.kind;
    if (kind !== "describePortal" && (kind !== "describeStatement" || !this.#parametersDescribed))
      violation(type, head);
    this.#settleHead();
  }

  #statementDone(head: Entry | undefined, rows: number | null): void {
    const run = head?.run;
    if (head === undefined || run === undefined || run === null || (head.kind !== "query" && head.kind !== "execute")) {
      return violation(BACKEND.commandComplete, head);
    }
    if (head.isHidden === true) return this.#settleHead();
    if (this.copying.isIn) return violation(BACKEND.commandComplete, head);
    this.copying.end();
    if (rows !== null) run.rows = (run.rows ?? 0) + rows;
    this.counter.completed(run, rows ?? 0);
    run.output?.completed();
    this.#handler.statementDone(run);
    if (head.kind === "execute") this.#executed();
  }

  /** The Execute at the head has come to its end. */
  #executed(): void {
    const { head } = this.expected;
    const run = head?.run ?? null;
    if (run === null || !run.isCut) return this.#settleHead();
    head?.settle?.(true);
    this.expected.shift();
    this.#handler.outlived(run);
  }

  #beginCopy(type: number, head: Entry | undefined): void {
    if (head === undefined || (head.kind !== "query" && head.kind !== "execute")) return violation(type, head);
    if (type === BACKEND.copyOut) this.copying.beginOut(head.run);
    else this.copying.beginIn(head);
  }

  /** A Sync was answered that had not been read as COPY data. */
  #doubtfulSync(status: TransactionStatus, head: Entry | undefined): void {
    if (!this.copying.doubt.answered()) violation(BACKEND.readyForQuery, head);
    this.#skipping = false;
    this.#handler.syncsTaken();
    this.#handler.ready(status, false);
  }

  /** The probe's Close was answered, so the ReadyForQuery before it was the probe's too, and no other Sync is open. */
  #probed(): void {
    const status = this.copying.doubt.settle();
    if (status === null) return violation(BACKEND.closeComplete, this.expected.head);
    this.expected.shift();
    // Without another answer the client's own Sync is still to come: until then, what the server would have skipped is.
    this.#handler.ready(status, true);
  }

  /** `body` null: it was too long to be looked at. */
  #error(body: Uint8Array | null, head: Entry | undefined, isHouse: boolean): Uint8Array | null {
    const fields = body === null ? null : decodeErrorFields(body).fields;
    const code = fields?.get("C") ?? null;
    const severity = fields?.get("V") ?? fields?.get("S");
    this.counter.restart();
    this.copying.endOut();
    this.#parametersDescribed = false;
    // The session is over in the server's eyes; the close that follows ends what is open.
    if (severity === "FATAL" || severity === "PANIC") {
      recordError(head?.run ?? null, body, null, this.#guarded);
      this.#handler.fatal();
      return null;
    }
    this.copying.failed(fields?.get("M") ?? "");
    this.#handler.failed();
    if (head?.kind === "probe") violation(BACKEND.error, head);
    if (head === undefined) {
      // A time limit that has passed is told at the next message, and that was a Flush.
      this.#skipping ||= this.#segmentIsOpen;
      return null;
    }
    const isCut = head.run?.isCut === true;
    const isHidden = isHouse && head.isHidden !== true && head.run?.isInPipeline !== true;
    if (head.kind === "bracket") this.#bracketAnswered();
    if (head.kind === "query" || head.kind === "functionCall" || head.kind === "bracket") {
      this.#failure = code ?? "";
      const answer = isHidden || isCut ? NOTHING : null;
      recordError(head.run, body, answer, this.#guarded);
      return answer;
    }
    if (head.kind === "sync") return null;
    const replacement = head.kind === "refusal" || isCut ? this.#handler.refusalFor(head) : isHidden ? NOTHING : null;
    recordError(head.run, body, replacement, this.#guarded);
    this.expected.shift();
    head.settle?.(false);
    if (head.run !== null) this.#endRun(head.run, "failed", code);
    this.#skipToSync();
    if (head.isHidden === true && head.run?.form === "request") this.#handler.requestSkipped();
    return replacement;
  }

  #skipToSync(): void {
    this.#skipping = true;
    let next = this.expected.head;
    while (next !== undefined && next.kind !== "sync") {
      this.expected.shift();
      this.#skip(next);
      next = this.expected.head;
    }
  }

  #skip(entry: Entry): void {
    entry.settle?.(false);
    if (entry.run !== null) this.#endRun(entry.run, "skipped", null);
  }

  #ready(status: TransactionStatus, head: Entry | undefined, isHouse: boolean): Uint8Array | null {
    if (head?.kind === "probe") {
      const before = this.copying.doubt.heard(status);
      if (before === null) return NOTHING;
      this.#doubtfulSync(before, head);
      return encodeReadyForQuery(before);
    }
    const isDue = head !== undefined && isAnsweredByReady(head.kind);
    if (!isDue || (head.kind === "bracket" && !this.bracket.isAnswered)) {
      this.#doubtfulSync(status, head);
      return this.bracket.readyInTurn("sync", status);
    }
    if (this.copying.in !== null) violation(BACKEND.readyForQuery, head);
    let failure = this.#failure;
    this.#failure = null;
    this.#skipping = false;
    this.counter.restart();
    this.expected.shift();
    head.settle?.(failure === null);
    if (head.run !== null && head.run.isLimited && head.kind !== "sync") {
      if (this.#goesOn(head.run, head.kind, status, failure)) return NOTHING;
      failure = head.run.failure;
      const refused = head.run.isCut ? this.#handler.refusalFor(head) : null;
      if (refused !== null) recordError(head.run, null, refused, this.#guarded);
      this.release(refused ?? (failure === null ? this.bracket.complete : null));
    }
    if (head.run !== null && head.endsRun) this.#endRun(head.run, failure === null ? "done" : "failed", failure);
    this.#handler.ready(status, isHouse);
    return isHouse ? NOTHING : this.bracket.readyInTurn(head.kind, status);
  }

  /** Nothing that was sent before it is still to be answered. */
  #bracketAnswered(): Uint8Array {
    this.bracket.answered();
    this.copying.doubt.none();
    return NOTHING;
  }

  /** A request under limits was answered. True: something is still to be sent for it before the client is told. */
  #goesOn(run: Run, kind: EntryKind, status: TransactionStatus, failure: string | null): boolean {
    run.failure ??= failure;
    if (run.isBracketed && status !== "I") {
      this.bracket.ending();
      this.#handler.closeBracket(run, kind !== "bracket" && status === "T" && run.failure === null && !run.isCut);
      return true;
    }
    if (run.isCut && status === "T") {
      this.#handler.outlived(run);
      return true;
    }
    if (run.isCut) run.failure ??= "";
    return false;
  }

  /** The head was answered and acknowledged. */
  #settleHead(): void {
    const { head } = this.expected;
    if (head === undefined) return;
    this.#parametersDescribed = false;
    this.expected.shift();
    head.settle?.(true);
    if (head.run !== null && head.endsRun) this.#endRun(head.run, "done", null);
  }

  #endRun(run: Run, status: "done" | "failed" | "skipped", code: string | null): void {
    if (run.hasEnded) return;
    run.hasEnded = true;
    run.replyBytes = status === "skipped" ? 0 : this.replyBytes;
    this.replyBytes = 0;
    if (!this.#handler.ended(run, status, code)) throw new ReplyViolation("the outcome could not be recorded");
  }
}

function violation(type: number, head: Entry | undefined): never {
  const name = String.fromCharCode(type);
  throw new ReplyViolation(
    `the server sent '${name}' where ${head === undefined ? "nothing" : `a reply to ${head.kind}`} was expected`,
  );
}
