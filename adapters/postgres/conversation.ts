/** One client's session with one server: messages become operations, and go out when the gate says so. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Operation, OperationParameters } from "../../src/core/operation.ts";
import type { Door, OpenSession, PendingApproval, Permit, Upstream } from "../../src/core/ports.ts";
import { Framer, FramingError, type Frame } from "../../src/wire/framer.ts";
import { WireError } from "../../src/wire/wire-error.ts";
import type { Analysis, Reading } from "./analysis.ts";
import type { ClientStream } from "./client-stream.ts";
import type { TargetDatabase } from "./databases.ts";
import { Names } from "./names.ts";
import { decodeDataRow, encodeNotice, encodeReadyForQuery, type TransactionStatus } from "./protocol/backend.ts";
import {
  BIND_HEAD_BYTES_MAX,
  decodeBindHead,
  decodeClose,
  decodeDescribe,
  decodeExecute,
  decodeFunctionCallHead,
  decodeParse,
  decodeQuery,
  encodeBind,
  encodeClose,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeSync,
  encodeTerminate,
} from "./protocol/frontend.ts";
import { frontendBodyBytesMax, LARGE_BYTES_MAX } from "./protocol/limits.ts";
import { FRONTEND } from "./protocol/types.ts";
import { READING_SETTINGS, SessionReading } from "./reading.ts";
import { encodeRefusal, sqlStateOf, type Closer } from "./refuse.ts";
import { Replies, ReplyViolation, type Entry, type ReplyHandler } from "./replies.ts";
import { Run, type Message, type RunOwner } from "./run.ts";
import { functionCallAnalysis, unseenAnalysis, unseenText } from "./unseen.ts";
import type { LoggedIn } from "./upstream.ts";

/** A Bind up to this size is collected, and its parameters go into the record as they are; a larger one is streamed. */
const BIND_COLLECTED_BYTES_MAX = 64 * 1024;
/** Operations that wait for their record, and replies that are still to come, before the client is made to wait. */
const UNSTARTED_RUNS_MAX = 1024;
const IN_FLIGHT_MAX = 4096;
/** Room for what stands around the text in a Query or Parse message: two names' worth and the parameters' types. */
const STATEMENT_HEAD_BYTES_MAX = 256 * 1024;
const FUNCTION_HEAD_BYTES_MAX = 4;
/** Names of the gateway's own at the server; a client that uses them only disturbs itself. */
const HOUSE_STATEMENT = "weir_settings";
const REFUSED_STATEMENT = "weir_refused";

type Statement = {
  analysis: Analysis;
  /** The bytes it was parsed from. */
  readonly sql: Uint8Array;
  /** The name under which those bytes prepare it, among other statements perhaps; null: they are the statement. */
  readonly preparedAs: string | null;
  /** How it was read last; its strings are always those of the first time. */
  readUnder: Reading;
};

type Portal = {
  readonly analysis: Analysis;
  /** Null: none, or still streaming. */
  parameters: OperationParameters | null;
  /** A cursor that outlives its transaction. */
  readonly holds: boolean;
};

/** Messages of the extended protocol that belong to one operation and wait for the one that completes it. */
type Unit = {
  readonly run: Run;
  readonly analysis: Analysis;
  kind: "prepare" | "bind";
  parameters: OperationParameters | null;
};

export type ConversationParts = {
  readonly door: Door;
  readonly opened: OpenSession;
  readonly client: ClientStream;
  readonly upstream: Upstream;
  readonly login: LoggedIn;
  readonly database: TargetDatabase;
  readonly statementBytesMax: number;
  /** Sends a CancelRequest for this session's backend under the given permit. */
  cancelBackend(permit: Permit): Promise<void>;
  /** Tells the client that it is in; the answer withdraws its cancel key. */
  greet(): () => void;
  /** A fault of the gateway's own, which ends this session; for the operator. */
  onFault(error: unknown): void;
  /** Called once, when everything is closed. */
  onEnd(): void;
};

export class Conversation implements RunOwner, ReplyHandler {
  readonly #parts: ConversationParts;
  readonly #sessionPermit: Permit;
  readonly #frames: Framer;
  readonly #replies: Replies;
  readonly #statements = new Names<Statement>();
  readonly #portals = new Names<Portal>();
  readonly #reading: SessionReading;
  #status: TransactionStatus;
  #unit: Unit | null = null;
  /** A frame whose turn has not come. */
  #heldFrame: Frame | null = null;
  /** The rest of this message is coming in parts: sent under the run, or dropped. */
  #streaming: Run | "dropped" | null = null;
  #streamedParameters: StreamedParameters | null = null;
  #unstartedRuns = 0;
  #lastUnstarted: Run | null = null;
  #barriers = 0;
  #segment = 0;
  /** The client has sent messages since its last Sync. */
  #segmentIsOpen = false;
  /** An operation was submitted since then: it may have changed what the server reports only at the Sync. */
  #segmentHasRun = false;
  /** Nothing was sent since the last Flush of the gateway's own. */
  #isFlushed = false;
  /** How much is being awaited before the next message can be taken. */
  #awaited = 0;
  /** What was read in another process, for the frame that waits for it. */
  #slowAnalysis: { readonly sql: Uint8Array; readonly reading: Reading; readonly analysis: Analysis } | null = null;
  #settingsCannotBeAsked = false;
  #catalogTouched = false;
  #catalogIsStale = false;
  #hasLoadedCatalog = false;
  #houseAnswers: string[] = [];
  #upstreamIsFull = false;
  #clientIsFull = false;
  #clientIsPaused = false;
  #isDriving = false;
  #hasEnded = false;
  #isDraining = false;
  #fatalSeen = false;
  #serverIsGone = false;
  #withdrawKey: (() => void) | null = null;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    this.#sessionPermit = parts.opened.permit;
    this.#status = parts.login.transactionStatus;
    this.#replies = new Replies(this);
    this.#frames = new Framer((type, bodyBytes) => this.#collect(type, bodyBytes));
    this.#reading = new SessionReading(parts.database.name, parts.login.parameterStatus, () => parts.database.catalog, {
      preparedStatement: (name) => this.#preparedBySql(name),
      cursor: (name) => this.#portals.committed(name)?.analysis,
    });
  }

  /** Greets the client and begins to listen to both sides. */
  begin(): void {
    const { client, upstream, opened, login } = this.#parts;
    this.#withdrawKey = this.#parts.greet();
    client.onClose(() => this.end(null));
    upstream.onClose(() => this.#onServerClose());
    opened.cancelled.addEventListener("abort", () => this.#onCancelled(opened.cancelled.reason));
    if (opened.cancelled.aborted) return this.#onCancelled(opened.cancelled.reason);
    client.onDrain(() => this.#onClientDrain());
    upstream.onDrain(() => {
      this.#upstreamIsFull = false;
      this.#drive();
    });
    upstream.onData((bytes) => this.#onServerData(bytes));
    if (login.leftover.length > 0) this.#onServerData(login.leftover);
    client.onData((bytes) => this.#onClientData(bytes));
  }

  get isIdle(): boolean {
    return this.#replies.inFlight === 0 && this.#unstartedRuns === 0 && this.#unit === null && this.#heldFrame === null;
  }

  /** Ends as soon as nothing is running. */
  drain(): void {
    this.#isDraining = true;
    this.#endIfDrained();
  }

  /** A CancelRequest with this session's key has come. What the gateway itself sends is never cancelled. */
  cancelRequested(): void {
    const { door, opened } = this.#parts;
    const running = this.#replies.headRun;
    if (this.#hasEnded || running === null || running.isHouse) return;
    door.submitHouse(opened.session, this.#houseOperation("cancel", "CancelRequest"), {
      start: (permit) => {
        const current = this.#replies.headRun;
        const sent = current === null || current.isHouse ? Promise.resolve() : this.#parts.cancelBackend(permit);
        this.#awaited++; // No statement of the gateway's own begins while a cancel is on its way.
        sent
          .then(() => door.finish(permit, { status: "done" }))
          .catch(() => door.finish(permit, { status: "failed" }))
          .finally(() => {
            this.#awaited--;
            this.#drive();
          });
      },
      release() {},
      pending() {},
      refuse: (_no, permit) => {
        if (permit !== null) door.finish(permit, { status: "refused" });
      },
      cancel() {},
    });
  }

  /** Ends the session: with a refusal the client is told why, and what is running at the server is cancelled. */
  end(reason: Refusal | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { client } = this.#parts;
    this.#withdrawKey?.();
    if (reason !== null) client.write(encodeRefusal(reason, "FATAL"));
    client.end();
    const running = this.#replies.headRun;
    this.#replies.abandon();
    if (reason === null || running === null || this.#serverIsGone) return this.#leaveServer(reason);
    this.#parts
      .cancelBackend(this.#sessionPermit)
      .catch(() => {}) // Closing the connection is all that is left then.
      .finally(() => this.#leaveServer(reason));
  }

  #leaveServer(reason: Refusal | null): void {
    const { upstream, door, opened } = this.#parts;
    if (!this.#serverIsGone) upstream.write(this.#sessionPermit, encodeTerminate());
    upstream.close();
    door.close(opened.session, reason === null ? { status: "done" } : { status: "failed", code: sqlStateOf(reason) });
    this.#parts.onEnd();
  }

  /* ---- from the client ---- */

  #onClientData(bytes: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#frames.push(bytes);
    this.#drive();
  }

  #onClientDrain(): void {
    if (!this.#clientIsFull) return;
    this.#clientIsFull = false;
    if (!this.#replies.isHolding) this.#parts.upstream.resume();
  }

  /** Takes as many messages as can be taken now. */
  #drive(): void {
    if (this.#isDriving || this.#hasEnded) return;
    this.#isDriving = true;
    try {
      while (!this.#hasEnded && !this.#mustWait()) {
        if (this.#takesCopyData && this.#heldFrame === null && this.#streaming === null) {
          const data = this.#frames.nextRun(FRONTEND.copyData);
          if (data !== null) {
            this.#sendCopyData(data);
            continue;
          }
        }
        const frame = this.#heldFrame ?? this.#frames.next();
        if (frame === null) break;
        this.#heldFrame = this.#onFrame(frame) ? null : frame;
        if (this.#heldFrame !== null) break;
      }
    } catch (error) {
      this.#endFor(error);
    } finally {
      this.#isDriving = false;
    }
    this.#pauseClient(this.#heldFrame !== null || this.#mustWait());
    this.#endIfDrained();
  }

  /** COPY data goes past the gate's queue, so it waits until all that came before it has left. */
  get #takesCopyData(): boolean {
    return this.#replies.isCopyingIn && this.#unstartedRuns === 0;
  }

  #mustWait(): boolean {
    return (
      this.#upstreamIsFull ||
      this.#awaited > 0 ||
      this.#unstartedRuns >= UNSTARTED_RUNS_MAX ||
      this.#replies.inFlight >= IN_FLIGHT_MAX
    );
  }

  #pauseClient(pause: boolean): void {
    if (pause === this.#clientIsPaused || this.#hasEnded) return;
    this.#clientIsPaused = pause;
    if (pause) this.#parts.client.pause();
    else this.#parts.client.resume();
  }

  /** How much of a message to collect before it is looked at; null: it may not come. */
  #collect(type: number, bodyBytes: number): number | null {
    const bodyBytesMax = frontendBodyBytesMax(type, LARGE_BYTES_MAX);
    if (bodyBytesMax === null || bodyBytes > bodyBytesMax) return null;
    switch (type) {
      case FRONTEND.query:
      case FRONTEND.parse:
        return bodyBytes > this.#parts.statementBytesMax + STATEMENT_HEAD_BYTES_MAX ? 0 : bodyBytes;
      case FRONTEND.bind:
        return bodyBytes > BIND_COLLECTED_BYTES_MAX ? BIND_HEAD_BYTES_MAX : bodyBytes;
      case FRONTEND.functionCall:
        return bodyBytes > BIND_COLLECTED_BYTES_MAX ? FUNCTION_HEAD_BYTES_MAX : bodyBytes;
      case FRONTEND.copyData:
        return 0;
      default:
        return bodyBytes;
    }
  }

  /** False: not now; it comes again when something has changed. */
  #onFrame(frame: Frame): boolean {
    if (!frame.isFirst) return this.#onPart(frame);
    if (this.#replies.isCopyingIn && !this.#takesCopyData) return false;
    if (frame.type === FRONTEND.terminate) {
      if (this.#unstartedRuns > 0) return false;
      this.end(null);
      return true;
    }
    if (frame.type === FRONTEND.sync) return this.#onSync(frame);
    if (this.#replies.isSkipping && this.#unstartedRuns === 0) {
      // As the server would: nothing counts until the Sync.
      if (!frame.isLast) this.#streaming = "dropped";
      return true;
    }
    if (this.#replies.isCopyingIn) return this.#onCopyFrame(frame);
    switch (frame.type) {
      case FRONTEND.query:
        return this.#onQuery(frame);
      case FRONTEND.parse:
        return this.#onParse(frame);
      case FRONTEND.bind:
        return this.#onBind(frame);
      case FRONTEND.execute:
        return this.#onExecute(frame);
      case FRONTEND.describe:
        return this.#onDescribe(frame);
      case FRONTEND.close:
        return this.#onClose(frame);
      case FRONTEND.flush:
        this.#closeUnit();
        this.#control({ bytes: frame.raw, reply: null, settle: null });
        return true;
      case FRONTEND.functionCall:
        return this.#onFunctionCall(frame);
      case FRONTEND.copyData:
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        // A COPY may be about to begin; if none is, it is left over from one that failed, and the server would ignore it.
        if (this.#replies.inFlight > 0 || this.#unstartedRuns > 0) return this.#flushForBarrier();
        if (!frame.isLast) this.#streaming = "dropped";
        return true;
      default:
        throw new FramingError("a message came that has no place here");
    }
  }

  /**
   * A further part of a message that is too large to be collected. What was begun is sent to its end, whatever has
   * become of its operation: the server takes so many bytes for its body, and would take them from what comes next.
   */
  #onPart(frame: Frame): boolean {
    const run = this.#streaming;
    if (run instanceof Run && !run.isStarted) return false;
    // Without a run it is COPY data, whose COPY has failed when it comes here.
    const isBegun = run === null || (run instanceof Run && run.isSent);
    const livingPermit = run instanceof Run && !run.hasEnded ? run.permit : null;
    if (isBegun) this.#write(livingPermit ?? this.#sessionPermit, frame.raw);
    this.#streamedParameters?.take(frame);
    if (frame.isLast) {
      this.#streaming = null;
      this.#streamedParameters = null;
    }
    return true;
  }

  #onSync(frame: Frame): boolean {
    this.#closeUnit();
    // The server ignores a Sync while it takes COPY data; one that reached it later would get an answer nobody expects.
    if (this.#replies.isCopyingIn) return true;
    this.#control({ bytes: frame.raw, reply: "sync", settle: null });
    this.#nextSegment();
    return true;
  }

  #onCopyFrame(frame: Frame): boolean {
    const run = this.#replies.copyRun;
    const permit = run?.permit ?? null;
    if (run === null || permit === null) throw new FramingError("COPY data without a COPY");
    if (frame.type === FRONTEND.flush) return true;
    const isEnd = frame.type === FRONTEND.copyDone || frame.type === FRONTEND.copyFail;
    if (!isEnd && frame.type !== FRONTEND.copyData) {
      throw new FramingError("a message came that has no place in COPY data");
    }
    this.#replies.copyInSent(isEnd);
    this.#write(permit, frame.raw);
    return true;
  }

  #sendCopyData(data: Uint8Array): void {
    const permit = this.#replies.copyRun?.permit ?? null;
    if (permit === null) throw new FramingError("COPY data without a COPY");
    this.#replies.copyInSent(false);
    this.#write(permit, data);
  }

  #onQuery(frame: Frame): boolean {
    this.#closeUnit();
    if (this.#isPipelineUnderWay) return this.#flushForBarrier();
    const sql = frame.isLast ? decodeQuery(frame.body) : null;
    if (sql === null || sql.length > this.#parts.statementBytesMax)
      return this.#refuseTooLong(frame, "query", "request");
    const analysis = this.#analyse(sql);
    if (analysis === null) return false;
    const run = new Run(this, "request", analysis);
    // A simple query replaces the unnamed statement and portal, whatever becomes of it.
    const unnamed = [
      this.#statements.announce("", this.#segment, null),
      this.#portals.announce("", this.#segment, null),
    ] as const;
    const settle = (): void => {
      this.#statements.acknowledge(unnamed[0]);
      this.#portals.acknowledge(unnamed[1]);
    };
    run.messages.push({ bytes: frame.raw, reply: "query", settle });
    this.#nextSegment();
    this.#submit(run, "query", analysis, null);
    return true;
  }

  /** The server takes a Query or FunctionCall or skips it, according to what becomes of the pipeline it stands in. */
  get #isPipelineUnderWay(): boolean {
    return this.#segmentIsOpen && (this.#replies.inFlight > 0 || this.#unstartedRuns > 0);
  }

  #onParse(frame: Frame): boolean {
    this.#closeUnit();
    const parse = frame.isLast ? decodeParse(frame.body) : null;
    if (parse === null || parse.sql.length > this.#parts.statementBytesMax)
      return this.#refuseTooLong(frame, "prepare", "pipelined");
    if (!this.#canTell(parse.name)) return false;
    const readUnder = this.#readingNow();
    if (readUnder === null) return false;
    const analysis = this.#analyseUnder(parse.sql, readUnder);
    if (analysis === null) return false;
    const sql = parse.sql.slice(); // The frame is a view into a chunk, which the statement would keep alive.
    const statement = { analysis, sql, preparedAs: null, readUnder };
    const name = this.#statements.announce(parse.name, this.#segment, statement);
    const unit = this.#openUnit(analysis, "prepare");
    unit.run.messages.push({
      bytes: frame.raw,
      reply: "parse",
      settle: (ok) => this.#settleName(this.#statements, name, ok),
    });
    return true;
  }

  #onBind(frame: Frame): boolean {
    const head = decodeBindHead(frame.body);
    if (head === null) throw new FramingError("a Bind message without its names");
    if (!this.#canTell(head.statement) || !this.#canTell(head.portal)) return false;
    // Another Bind is another operation, with parameters of its own.
    if (this.#unit?.kind === "bind") this.#closeUnit();
    if (this.#barriers > 0) return this.#flushForBarrier();
    const found = this.#statements.lookup(head.statement, this.#segment);
    if (found.kind === "wait") return this.#flushForBarrier();
    let analysis: Analysis | null;
    if (found.kind === "absent") {
      analysis = this.#unseen("statement", head.statement);
    } else {
      analysis = this.#readAgain(found.value);
      if (analysis === null) return false;
    }
    if (this.#unit !== null && (this.#unit.analysis !== analysis || !frame.isLast)) this.#closeUnit();
    const parameters = frame.isLast ? frame.body.slice(head.headBytes) : null;
    const portal: Portal = { analysis, parameters, holds: false };
    const name = this.#portals.announce(head.portal, this.#segment, portal);
    const unit = this.#openUnit(analysis, "bind");
    unit.parameters = parameters;
    unit.run.messages.push({
      bytes: frame.raw,
      reply: "bind",
      settle: (ok) => this.#settleName(this.#portals, name, ok),
    });
    if (found.kind === "absent") unit.run.closer ??= { sqlState: "26000" };
    if (!frame.isLast) {
      this.#streaming = unit.run;
      this.#streamedParameters = new StreamedParameters(portal, frame.body.subarray(head.headBytes));
      this.#closeUnit();
    }
    return true;
  }

  #onExecute(frame: Frame): boolean {
    const { portal: name } = decodeExecute(frame.body);
    if (!this.#canTell(name)) return false;
    if (this.#barriers > 0) return this.#flushForBarrier();
    const found = this.#portals.lookup(name, this.#segment);
    if (found.kind === "wait") return this.#flushForBarrier();
    const portal = found.kind === "known" ? found.value : null;
    const analysis = portal?.analysis ?? this.#unseen("portal", name);
    const isOfUnit = this.#unit?.analysis === analysis && this.#unit.parameters === (portal?.parameters ?? null);
    if (!isOfUnit) this.#closeUnit();
    const unit = this.#openUnit(analysis, "bind");
    unit.run.messages.push({ bytes: frame.raw, reply: "execute", settle: null });
    if (portal === null) unit.run.closer ??= { sqlState: "34000" };
    this.#unit = null;
    this.#submit(unit.run, "execute", analysis, portal?.parameters ?? null);
    return true;
  }

  #onDescribe(frame: Frame): boolean {
    const { of, name } = decodeDescribe(frame.body);
    if (!this.#canTell(name)) return false;
    this.#control({
      bytes: frame.raw,
      reply: of === "statement" ? "describeStatement" : "describePortal",
      settle: null,
    });
    return true;
  }

  #onClose(frame: Frame): boolean {
    const { of, name } = decodeClose(frame.body);
    if (!this.#canTell(name)) return false;
    const settle =
      of === "statement" ? this.#withdrawName(this.#statements, name) : this.#withdrawName(this.#portals, name);
    this.#control({ bytes: frame.raw, reply: "close", settle });
    return true;
  }

  #onFunctionCall(frame: Frame): boolean {
    this.#closeUnit();
    if (this.#isPipelineUnderWay) return this.#flushForBarrier();
    const head = decodeFunctionCallHead(frame.body);
    if (head === null) throw new FramingError("a FunctionCall message without its function");
    const reading = this.#readingNow();
    if (reading === null) return false;
    const analysis = functionCallAnalysis(head.functionOid, reading);
    const run = new Run(this, "request", analysis);
    run.messages.push({ bytes: frame.raw, reply: "functionCall", settle: null });
    if (!frame.isLast) this.#streaming = run;
    this.#nextSegment();
    this.#submit(run, "function call", analysis, frame.isLast ? frame.body.slice(head.headBytes) : null);
    return true;
  }

  #refuseTooLong(frame: Frame, kind: string, form: "request" | "pipelined"): boolean {
    const { door, opened, statementBytesMax } = this.#parts;
    const analysis = this.#unseen("statement", `of ${frame.bodyBytes} bytes`);
    const run = new Run(this, form, analysis);
    run.closer = { sqlState: "54000" };
    if (!frame.isLast) this.#streaming = "dropped";
    if (form === "request") this.#nextSegment();
    else this.#segmentIsOpen = true;
    const no = refusal("limit", `a statement may be at most ${statementBytesMax} bytes long here`, {
      hint: "Send large values as parameters or with COPY, or raise limits.statementBytesMax.",
    });
    this.#unstarted(run);
    door.refuse(opened.session, this.#operation(kind, analysis, null), no, run);
    return true;
  }

  /* ---- messages that belong together ---- */

  #openUnit(analysis: Analysis, kind: Unit["kind"]): Unit {
    this.#segmentIsOpen = true;
    this.#unit ??= { run: new Run(this, "pipelined", analysis), analysis, kind, parameters: null };
    if (kind === "bind") this.#unit.kind = "bind";
    return this.#unit;
  }

  /** What was sent without an Execute is an operation of its own: the server plans it, and that may already run functions. */
  #closeUnit(): void {
    const unit = this.#unit;
    if (unit === null) return;
    this.#unit = null;
    this.#submit(unit.run, unit.kind, unit.analysis, unit.parameters);
  }

  /** Housekeeping keeps its place among the messages around it. */
  #control(message: Message): void {
    if (message.reply !== "sync") this.#segmentIsOpen = true;
    if (this.#unit !== null) this.#unit.run.messages.push(message);
    else if (this.#lastUnstarted !== null) this.#lastUnstarted.trailer.push(message);
    else this.#sendControl(message);
  }

  #sendControl(message: Message): void {
    if (message.reply !== null)
      this.#replies.expect({ kind: message.reply, run: null, endsRun: false, settle: message.settle });
    if (message.reply === null || message.reply === "sync" || !this.#replies.isSkipping)
      this.#write(this.#sessionPermit, message.bytes);
  }

  #nextSegment(): void {
    this.#segment++;
    this.#segmentIsOpen = false;
    this.#segmentHasRun = false;
  }

  #withdrawName<T>(names: Names<T>, name: string): (acknowledged: boolean) => void {
    const pending = names.announce(name, this.#segment, null);
    return (acknowledged) => this.#settleName(names, pending, acknowledged);
  }

  #settleName<T>(names: Names<T>, name: ReturnType<Names<T>["announce"]>, acknowledged: boolean): void {
    if (acknowledged) names.acknowledge(name);
    else names.drop(name);
  }

  /* ---- reading texts ---- */

  #analyse(sql: Uint8Array): Analysis | null {
    const reading = this.#readingNow();
    return reading === null ? null : this.#analyseUnder(sql, reading);
  }

  /** Null: not now; a long text is read in a process of its own, and a name that is not known may be in a newer catalog. */
  #analyseUnder(sql: Uint8Array, reading: Reading): Analysis | null {
    const slow = this.#slowAnalysis;
    this.#slowAnalysis = null;
    const isSlow = slow !== null && isSameReading(slow.reading, reading) && Buffer.compare(slow.sql, sql) === 0;
    const analysis = isSlow ? slow.analysis : this.#parts.database.analyser.analyse(sql, reading);
    if (!(analysis instanceof Promise)) return this.#needsCatalog(analysis) ? null : analysis;
    this.#await(
      analysis.then((result) => {
        this.#slowAnalysis = { sql, reading, analysis: result };
      }),
    );
    return null;
  }

  /**
   * Was something not known that the catalog, loaded again, may know? Then it is loaded, once for each text. Other
   * texts do not wait for it: names that the session's own DDL has changed are unknown until then.
   */
  #needsCatalog(analysis: Analysis): boolean {
    const { database } = this.#parts;
    const mayHelp = (this.#catalogIsStale || database.catalog === null) && !this.#hasLoadedCatalog;
    this.#hasLoadedCatalog = false;
    if (!mayHelp) return false;
    if (database.catalog !== null && !analysis.accesses.some((access) => access.opaque)) return false;
    this.#hasLoadedCatalog = true;
    this.#catalogIsStale = false;
    this.#await(
      database.refreshCatalog().then(() => {
        if (!this.#catalogTouched) this.#reading.clearRedefined();
      }),
    );
    return true;
  }

  /** How a text is read now. Null: something is under way that may change it; come again. */
  #readingNow(): Reading | null {
    if (this.#barriers > 0) {
      this.#flushForBarrier();
      return null;
    }
    if (!this.#reading.isStale) return this.#reading.current();
    if (this.#replies.inFlight > 0 || this.#unstartedRuns > 0) {
      if (this.#segmentIsOpen) return this.#reading.untrusted();
      return null; // The Sync is on its way; its ReadyForQuery comes.
    }
    if (this.#segmentHasRun) return this.#reading.untrusted();
    // Nothing is under way: what the server reports by itself (string syntax, encoding) holds, only the path is not known.
    if (this.#status === "E" || this.#settingsCannotBeAsked) return this.#reading.current();
    if (this.#segmentIsOpen) return this.#reading.untrusted();
    this.#askSettings();
    return this.#reading.isStale ? null : this.#reading.current();
  }

  /** A prepared statement as it would be read now; null: not now. */
  #readAgain(statement: Statement): Analysis | null {
    if (this.#barriers === 0 && !this.#reading.isStale && statement.readUnder === this.#reading.current()) {
      return statement.analysis;
    }
    const now = this.#readingNow();
    if (now === null) return null;
    if (this.#reading.isStale && now !== this.#reading.current()) return this.#analyseStatement(statement, now);
    const again = this.#reading.again(statement.readUnder);
    const analysis = this.#analyseStatement(statement, again);
    if (analysis === null) return null;
    statement.analysis = analysis;
    statement.readUnder = again;
    return analysis;
  }

  #analyseStatement(statement: Statement, reading: Reading): Analysis | null {
    const analysis = this.#analyseUnder(statement.sql, reading);
    const { preparedAs } = statement;
    if (analysis === null || preparedAs === null) return analysis;
    const prepares = analysis.statements.findLast((effect) => effect.prepares?.name === preparedAs)?.prepares;
    return prepares?.analysis ?? analysis;
  }

  /** For `EXECUTE name` in SQL. */
  #preparedBySql(name: string): Analysis | undefined {
    const found = this.#statements.lookup(name, this.#segment);
    return found.kind === "known" ? found.value.analysis : undefined;
  }

  /**
   * Which name these bytes are to the server depends on client_encoding, unless they are plain ASCII. False: something
   * is under way that may change it; come again. Throws when it is not UTF-8.
   */
  #canTell(name: string): boolean {
    if (isAscii(name)) return true;
    const reading = this.#readingNow();
    if (reading !== null && !reading.clientEncodingIsUtf8)
      throw new FramingError("a name that is not plain ASCII came while client_encoding is not UTF8");
    return reading !== null;
  }

  #unseen(of: "statement" | "portal", name: string): Analysis {
    return unseenAnalysis(unseenText(of, name), this.#parts.database.name);
  }

  /** Waits for replies that the server may not send by itself before a Sync; what waits to be sent goes first. */
  #flushForBarrier(): false {
    this.#closeUnit();
    if (!this.#isFlushed && this.#segmentIsOpen && this.#unstartedRuns === 0) {
      this.#write(this.#sessionPermit, encodeFlush());
      this.#isFlushed = true;
    }
    return false;
  }

  #await(work: Promise<unknown>): void {
    this.#awaited++;
    work
      .catch((error: unknown) => this.#endFor(error))
      .finally(() => {
        this.#awaited--;
        this.#drive();
      });
  }

  /** Asks the server for what decides how names are read, with statements of the gateway's own. */
  #askSettings(): void {
    const { door, opened } = this.#parts;
    const run = new Run(this, "pipelined", null, true);
    for (const setting of READING_SETTINGS) {
      run.messages.push(
        { bytes: encodeParse(HOUSE_STATEMENT, `SHOW ${setting}`, []), reply: "parse", settle: null },
        {
          bytes: encodeBind({
            portal: HOUSE_STATEMENT,
            statement: HOUSE_STATEMENT,
            parameterFormats: [],
            parameters: [],
            resultFormats: [],
          }),
          reply: "bind",
          settle: null,
        },
        { bytes: encodeExecute(HOUSE_STATEMENT), reply: "execute", settle: null },
        { bytes: encodeClose("portal", HOUSE_STATEMENT), reply: "close", settle: null },
        { bytes: encodeClose("statement", HOUSE_STATEMENT), reply: "close", settle: null },
      );
    }
    run.messages.push({ bytes: encodeSync(), reply: "sync", settle: null });
    this.#houseAnswers = [];
    this.#unstarted(run);
    this.#barrier(run);
    door.submitHouse(
      opened.session,
      this.#houseOperation("settings", READING_SETTINGS.map((name) => `SHOW ${name}`).join("; ")),
      run,
    );
  }

  #houseOperation(kind: string, text: string): Operation {
    const { door, opened } = this.#parts;
    return {
      id: door.operationId(),
      session: opened.session,
      kind,
      accesses: [{ class: "connect", facts: {}, ambient: true }],
      understood: true,
      text,
      textSha256: null,
      catalogDigest: null,
    };
  }

  /* ---- to the gate, and back ---- */

  #submit(run: Run, kind: string, analysis: Analysis, parameters: OperationParameters | null): void {
    run.onlyPrepares = kind === "prepare";
    if (run.form === "pipelined") {
      this.#segmentIsOpen = true;
      this.#segmentHasRun ||= !run.onlyPrepares;
    }
    if (analysis.syntaxError !== null) run.closer ??= { sqlState: "42601", ...analysis.syntaxError };
    if (!run.onlyPrepares && this.#isBarrier(analysis)) this.#barrier(run);
    this.#unstarted(run);
    this.#parts.door.submit(this.#parts.opened.session, this.#operation(kind, analysis, parameters), run);
  }

  #operation(kind: string, analysis: Analysis, parameters: OperationParameters | null): Operation {
    const { door, opened } = this.#parts;
    const operation = {
      id: door.operationId(),
      session: opened.session,
      kind,
      accesses: analysis.accesses,
      understood: analysis.understood,
      text: analysis.text,
      textSha256: analysis.textSha256,
      catalogDigest: analysis.catalogDigest,
    };
    return parameters === null ? operation : { ...operation, parameters };
  }

  /** May it change how the next text is read, or what the next name means? */
  #isBarrier(analysis: Analysis): boolean {
    if (isUnread(analysis)) return true;
    for (const effect of analysis.statements) {
      if (
        effect.changesReading ||
        effect.changesCatalog ||
        effect.redefines !== null ||
        effect.prepares !== null ||
        effect.deallocates !== null ||
        effect.declaresCursor !== null ||
        effect.closesCursor !== null ||
        effect.createsTemporary !== null ||
        (effect.transaction !== null && this.#reading.mayBeTakenBack)
      ) {
        return true;
      }
    }
    return false;
  }

  #unstarted(run: Run): void {
    this.#unstartedRuns++;
    this.#lastUnstarted = run;
  }

  #barrier(run: Run): void {
    run.isBarrier = true;
    this.#barriers++;
  }

  #liftBarrier(run: Run): void {
    if (!run.isBarrier) return;
    run.isBarrier = false;
    this.#barriers--;
  }

  send(run: Run): void {
    this.#unstartedRuns--;
    const { permit } = run;
    if (permit === null) return;
    if (this.#hasEnded) {
      this.#parts.door.finish(permit, { status: "skipped" });
      return;
    }
    const isSkipped = this.#replies.isSkipping;
    run.isSent = !isSkipped;
    const last = run.messages.findLastIndex((message) => message.reply !== null);
    for (const [index, message] of run.messages.entries()) {
      if (!isSkipped) this.#write(permit, message.bytes);
      if (message.reply !== null) {
        this.#replies.expect({ kind: message.reply, run, endsRun: index === last, settle: message.settle });
      }
    }
    run.messages.length = 0;
    this.#sendTrailer(run);
  }

  refuse(run: Run, no: Refusal, permit: Permit | null): void {
    this.#unstartedRuns--;
    for (const message of run.messages) message.settle?.(false);
    run.messages.length = 0;
    if (this.#hasEnded) {
      if (permit !== null) this.#parts.door.finish(permit, { status: "refused" });
      return;
    }
    if (permit === null) this.#refuseUnrecorded(run, no);
    else this.#refuseRecorded(run, no, permit);
    this.#drive();
  }

  #refuseRecorded(run: Run, no: Refusal, permit: Permit): void {
    if (this.#replies.isSkipping) {
      // The server would not have looked at it.
      this.#liftBarrier(run);
      run.hasEnded = true;
      if (!this.#parts.door.finish(permit, { status: "skipped" })) return this.#endUnrecorded();
      return this.#sendTrailer(run);
    }
    // The server is made to fail too, so that transaction, savepoints and pipeline stay its own business.
    const name = run.form === "request" ? "" : REFUSED_STATEMENT;
    this.#write(permit, encodeParse(name, `refused by the gateway, id ${no.event}`, []));
    this.#replies.expect({ kind: "refusal", run, endsRun: true, settle: null });
    if (run.form === "request") this.#sendControl({ bytes: encodeSync(), reply: "sync", settle: null });
    this.#sendTrailer(run);
  }

  /** Nothing can be recorded, so nothing may be sent: the server cannot be made to fail, only left alone or left. */
  #refuseUnrecorded(run: Run, no: Refusal): void {
    this.#liftBarrier(run);
    if (
      run.isHouse ||
      run.form !== "request" ||
      this.#status !== "I" ||
      this.#replies.isInSegment ||
      this.#replies.inFlight > 0 ||
      this.#unstartedRuns > 0
    ) {
      return this.end(no);
    }
    this.forward(encodeRefusal(no, "ERROR", closerOf(run)));
    this.forward(encodeReadyForQuery("I"));
    if (this.#streaming === run) this.#streaming = "dropped";
    this.#sendTrailer(run);
  }

  #sendTrailer(run: Run): void {
    if (this.#lastUnstarted === run) this.#lastUnstarted = null;
    for (const message of run.trailer) this.#sendControl(message);
    run.trailer.length = 0;
  }

  released(_run: Run): void {
    if (this.#hasEnded) return;
    if (this.#replies.isHolding) {
      this.#guarded(() => this.#replies.resume());
      if (!this.#replies.isHolding && !this.#clientIsFull) this.#parts.upstream.resume();
    }
    this.#drive();
  }

  pending(approval: PendingApproval): void {
    this.#replies.insert(
      encodeNotice([
        ["S", "NOTICE"],
        ["V", "NOTICE"],
        ["C", "01000"],
        ["M", `waiting for approval of ${approval.operation}`],
        ["H", approval.where],
      ]),
    );
  }

  #write(permit: Permit, bytes: Uint8Array): void {
    this.#isFlushed = false;
    if (!this.#parts.upstream.write(permit, bytes)) this.#upstreamIsFull = true;
  }

  /* ---- from the server ---- */

  #onServerData(bytes: Uint8Array): void {
    if (this.#hasEnded) return;
    this.#guarded(() => this.#replies.accept(bytes));
    if (this.#replies.isHolding) this.#parts.upstream.pause();
    if (this.#heldFrame !== null || this.#clientIsPaused || this.#isDraining || this.#frames.bufferedBytes > 0)
      this.#drive();
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#endFor(error);
    }
  }

  #onServerClose(): void {
    this.#serverIsGone = true;
    if (this.#fatalSeen) return this.end(null); // The server has said why, and the client has it.
    this.end(
      refusal("target_unavailable", "the target closed the connection", { event: this.#parts.opened.session.id }),
    );
  }

  forward(bytes: Uint8Array): void {
    if (this.#parts.client.write(bytes) || this.#clientIsFull) return;
    this.#clientIsFull = true;
    this.#parts.upstream.pause();
  }

  ended(run: Run, status: "done" | "failed" | "skipped", code: string | null): boolean {
    this.#liftBarrier(run);
    if (run.isHouse) this.#settingsAnswered(status === "done");
    else if (run.refusal === null && status !== "skipped") this.#followEnd(run, status === "done");
    const { permit } = run;
    if (permit === null) return true;
    const outcome =
      run.refusal !== null && status === "failed"
        ? { status: "refused" as const, code: sqlStateOf(run.refusal, closerOf(run)) }
        : {
            status,
            ...(code === null ? {} : { code }),
            ...(run.rows === null ? {} : { rows: run.rows }),
            bytes: run.replyBytes,
          };
    if (this.#parts.door.finish(permit, outcome)) return true;
    this.#endUnrecorded();
    return false;
  }

  refusalFor(entry: Entry): Uint8Array {
    const { run } = entry;
    const no = run?.refusal ?? refusal("internal", "a refusal without a reason");
    return encodeRefusal(no, "ERROR", run === null ? undefined : closerOf(run));
  }

  statementDone(run: Run): void {
    const effect = run.analysis?.statements[run.statementsDone++];
    if (effect === undefined) return;
    const readUnder = this.#reading.current();
    const { prepares, deallocates, declaresCursor, closesCursor } = effect;
    if (prepares !== null) {
      const sql = new TextEncoder().encode(prepares.analysis.text);
      const { name, analysis } = prepares;
      this.#statements.commit(name, { analysis, sql, preparedAs: name, readUnder });
    }
    if (deallocates === "all") this.#statements.keepOnly(() => false);
    else if (deallocates !== null) this.#statements.commit(deallocates.name, null);
    if (declaresCursor !== null) {
      this.#portals.commit(declaresCursor.name, {
        analysis: declaresCursor.analysis,
        parameters: null,
        holds: declaresCursor.holds,
      });
    }
    if (closesCursor === "all") this.#portals.keepOnly(() => false);
    else if (closesCursor !== null) this.#portals.commit(closesCursor.name, null);
    if (effect.redefines !== null) this.#reading.addRedefined(effect.redefines);
    if (effect.createsTemporary !== null) this.#reading.addTemporary(effect.createsTemporary);
    if (effect.transaction !== null) this.#reading.takenBack();
  }

  /** What an operation may have changed about how the next text is read. */
  #followEnd(run: Run, isDone: boolean): void {
    const { analysis } = run;
    if (analysis === null || run.onlyPrepares) return;
    const mayDoAnything = isUnread(analysis);
    if (mayDoAnything || analysis.statements.some((effect) => effect.changesReading)) this.#reading.changed();
    if (mayDoAnything && isDone) this.#reading.addTemporary("unknown");
    if (mayDoAnything || analysis.statements.some((effect) => effect.changesCatalog)) this.#catalogTouched = true;
  }

  #settingsAnswered(isDone: boolean): void {
    const answers = this.#houseAnswers;
    if (!isDone || answers.length !== READING_SETTINGS.length) {
      this.#settingsCannotBeAsked = true;
      return;
    }
    this.#reading.answer(new Map(READING_SETTINGS.map((name, index) => [name, answers[index] ?? ""])));
  }

  houseRow(_run: Run, body: Uint8Array): void {
    const value = decodeDataRow(body)[0];
    this.#houseAnswers.push(value === null || value === undefined ? "" : new TextDecoder().decode(value));
  }

  parameter(name: string, value: string): void {
    this.#reading.parameter(name, value);
  }

  failed(): void {
    this.#reading.takenBack();
  }

  fatal(): void {
    this.#fatalSeen = true;
  }

  ready(status: TransactionStatus, isHouse: boolean): void {
    this.#status = status;
    // Not when it was the question itself that failed: it would be asked again at once, and again.
    if (!isHouse) this.#settingsCannotBeAsked = false;
    if (status !== "I") return;
    this.#portals.keepOnly((portal) => portal.holds);
    this.#reading.settled();
    if (this.#catalogTouched) {
      this.#catalogTouched = false;
      this.#catalogIsStale = true;
    }
  }

  /* ---- the end ---- */

  #onCancelled(reason: unknown): void {
    const isReason = typeof reason === "object" && reason !== null && isRefusal(reason);
    this.end(isReason ? reason : refusal("cancelled", "the session was ended by the gateway"));
  }

  #endIfDrained(): void {
    if (!this.#isDraining || this.#hasEnded || !this.isIdle) return;
    this.end(refusal("draining", "the gateway is shutting down", { hint: "Connect again in a moment." }));
  }

  #endUnrecorded(): void {
    this.end(
      refusal("audit_unavailable", "the record of this session can no longer be written, so it was ended", {
        hint: "The gateway's log has failed; its operator sees why in `weir status`.",
      }),
    );
  }

  #endFor(error: unknown): void {
    if (this.#hasEnded) return;
    const event = this.#parts.opened.session.id;
    if (error instanceof FramingError || error instanceof WireError) {
      return this.end(
        refusal("protocol", `the client's bytes are not PostgreSQL's protocol: ${error.message}`, { event }),
      );
    }
    if (error instanceof ReplyViolation) {
      return this.end(
        refusal("target_unavailable", `the target broke PostgreSQL's protocol: ${error.message}`, { event }),
      );
    }
    this.#parts.onFault(error);
    this.end(refusal("internal", "the gateway failed; nothing more was sent", { event }));
  }
}

/** Hashes the parameters of a Bind that is too large to keep, for the record of its Execute. */
class StreamedParameters {
  readonly #portal: Portal;
  readonly #hash = new Bun.CryptoHasher("sha256");

  constructor(portal: Portal, first: Uint8Array) {
    this.#portal = portal;
    this.#hash.update(first);
  }

  take(frame: Frame): void {
    this.#hash.update(frame.body);
    if (frame.isLast) this.#portal.parameters = { sha256: this.#hash.digest() };
  }
}

function isSameReading(a: Reading, b: Reading): boolean {
  return (
    a.catalog === b.catalog &&
    a.temporaryNames === b.temporaryNames &&
    a.standardConformingStrings === b.standardConformingStrings &&
    a.clientEncodingIsUtf8 === b.clientEncodingIsUtf8 &&
    a.searchPath?.join("\n") === b.searchPath?.join("\n")
  );
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

/** Not even its statements are known: it may do anything. What is known of a statement says what it changes. */
function isUnread(analysis: Analysis): boolean {
  return !analysis.understood && analysis.statements.length === 0;
}

/** PostgreSQL's closer word holds where the refusal is about what the run is, not about who may do it. */
function closerOf(run: Run): Closer | undefined {
  const code = run.refusal?.code;
  const closer = run.closer ?? undefined;
  if (code === "limit") return closer;
  if (code !== "not_understood") return undefined;
  const reason = run.analysis?.notUnderstood ?? null;
  return reason === null || closer?.message !== undefined ? closer : { ...closer, reason };
}
