/** Takes a client's messages one by one: each becomes an operation for the gate, goes in its place behind those before it, or must wait. */
import { refusal } from "../../src/core/decision.ts";
import type { Meter } from "../../src/core/obligation.ts";
import type { OperationParameters } from "../../src/core/operation.ts";
import type { Door, Permit } from "../../src/core/ports.ts";
import type { Session } from "../../src/core/session.ts";
import { FramingError, type Frame } from "../../src/wire/framer.ts";
import type { Analysis } from "./analysis.ts";
import { NO_PLACE_IN_COPY } from "./copy-in.ts";
import { comparisonMeters } from "./mask/comparison.ts";
import type { SessionMasking } from "./mask/session-masking.ts";
import { clientOperation, houseOperation } from "./operations.ts";
import type { Pipeline } from "./pipeline.ts";
import {
  BIND_HEAD_BYTES_MAX,
  decodeBindHead,
  decodeClose,
  decodeDescribe,
  decodeExecute,
  decodeFunctionCallHead,
  decodeParse,
  decodeQuery,
  encodeClose,
  encodeCopyFail,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
  FUNCTION_HEAD_BYTES_MAX,
} from "./protocol/frontend.ts";
import { frontendBodyBytesMax, LARGE_BYTES_MAX } from "./protocol/limits.ts";
import { FRONTEND } from "./protocol/types.ts";
import type { Replies } from "./replies.ts";
import { clientMessage, ownMessage, Run, type Message, type RunOwner } from "./run.ts";
import type { ServerLine } from "./server-line.ts";
import { StreamedParameters, type Portal, type SessionState } from "./session-state.ts";
import type { SettingsQuestion } from "./settings-question.ts";
import type { TextReader } from "./text-reader.ts";
import { functionCallAnalysis } from "./unseen.ts";
import type { Warden } from "./warden.ts";

/** A Bind up to this size is collected, and its parameters go into the record as they are; a larger one is streamed. */
const BIND_COLLECTED_BYTES_MAX = 64 * 1024;
/** Room for what stands around the text in a Query or Parse message: two names' worth and the parameters' types. */
const STATEMENT_HEAD_BYTES_MAX = 256 * 1024;
/** A name of the gateway's own at the server; a client that uses it only disturbs itself. */
const PROBED_PORTAL = "weir_probe";
const NO_METERS: readonly Meter[] = Object.freeze([]);

export type ClientMessagesParts = {
  readonly door: Door;
  readonly session: Session;
  readonly sessionPermit: Permit;
  readonly masking: SessionMasking;
  readonly statementBytesMax: number;
  readonly replies: Replies;
  readonly pipeline: Pipeline;
  readonly state: SessionState;
  readonly texts: TextReader;
  readonly warden: Warden;
  readonly line: ServerLine;
  /** Gets the gate's answers. */
  readonly owner: RunOwner;
  /** The client has said goodbye. */
  terminated(): void;
};

export class ClientMessages {
  readonly #parts: ClientMessagesParts;
  readonly #replies: Replies;
  readonly #pipeline: Pipeline;
  readonly #state: SessionState;
  readonly #texts: TextReader;
  readonly #warden: Warden;
  readonly #line: ServerLine;
  readonly #owner: RunOwner;
  /** The rest of this message is coming in parts: sent under the run, or dropped. */
  #streaming: Run | "dropped" | null = null;
  #streamedParameters: StreamedParameters | null = null;

  constructor(parts: ClientMessagesParts) {
    this.#parts = parts;
    this.#replies = parts.replies;
    this.#pipeline = parts.pipeline;
    this.#state = parts.state;
    this.#texts = parts.texts;
    this.#warden = parts.warden;
    this.#line = parts.line;
    this.#owner = parts.owner;
  }

  /** A message is coming in parts. */
  get isInParts(): boolean {
    return this.#streaming !== null;
  }

  /** The last message of this operation is coming in parts. */
  isStreaming(run: Run): boolean {
    return this.#streaming === run;
  }

  /** What is still to come of its last message goes nowhere. */
  dropRest(run: Run): void {
    if (this.#streaming === run) this.#streaming = "dropped";
  }

  /** How much of a message to collect before it is looked at; null: it may not come. */
  collect(type: number, bodyBytes: number): number | null {
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
  take(frame: Frame): boolean {
    if (!frame.isFirst) return this.#onPart(frame);
    if (frame.type === FRONTEND.terminate) {
      if (this.#pipeline.unstartedRuns > 0) return false;
      this.#parts.terminated();
      return true;
    }
    if (this.#replies.isInDoubt) return this.#onFrameInDoubt(frame);
    if (frame.type === FRONTEND.sync) return this.#onSync(frame);
    if (this.#replies.isSkipping && this.#pipeline.unstartedRuns === 0) {
      // As the server would: nothing counts until the Sync.
      if (!frame.isLast) this.#streaming = "dropped";
      return true;
    }
    if (this.#replies.isCopyingIn) return this.#onCopyFrame(frame);
    if (this.#replies.awaitsCopyEnd) return this.flushForBarrier();
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
        this.#control(clientMessage(frame, null, null));
        return true;
      case FRONTEND.functionCall:
        return this.#onFunctionCall(frame);
      case FRONTEND.copyData:
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        // A COPY may be about to begin; if none is, it is left over from one that failed, and the server would ignore it.
        if (this.#replies.inFlight > 0 || this.#pipeline.unstartedRuns > 0) return this.flushForBarrier();
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
    if (run instanceof Run) run.transcript?.inputPart(frame.body, frame.isLast);
    if (isBegun) this.#line.write(livingPermit ?? this.#parts.sessionPermit, frame.bytes, frame.start, frame.end);
    this.#streamedParameters?.take(frame);
    if (frame.isLast) {
      this.#streaming = null;
      this.#streamedParameters = null;
      if (run !== null && run === this.#warden.alone) this.#line.flush();
    }
    return true;
  }

  #onSync(frame: Frame): boolean {
    this.#closeUnit();
    // As COPY data it is ignored, and ends nothing; if it was not read as that, we shall hear.
    const message = clientMessage(frame, "sync", null);
    if (this.#replies.isCopyingIn) {
      this.#pipeline.syncToCopy();
      this.#line.control(message);
    } else {
      this.#control(message);
      this.nextSegment();
    }
    return true;
  }

  /** A COPY has failed, and nobody knows which of the Syncs around it the server has read: what it answers now tells. */
  #onFrameInDoubt(frame: Frame): boolean {
    if (isCopyData(frame.type)) {
      // Left over from the COPY; the server would ignore it.
      if (!frame.isLast) this.#streaming = "dropped";
      return true;
    }
    if (this.#replies.isProbing || this.#warden.alone !== null) return false;
    this.#replies.expect({ kind: "probe", run: null, endsRun: false, settle: null });
    for (const bytes of [encodeSync(), encodeClose("portal", PROBED_PORTAL), encodeFlush()]) {
      this.#line.write(this.#parts.sessionPermit, bytes);
    }
    return false;
  }

  #onCopyFrame(frame: Frame): boolean {
    const run = this.#replies.copyRun;
    const permit = run?.permit ?? null;
    if (run === null || permit === null) throw new FramingError("COPY data without a COPY");
    if (frame.type === FRONTEND.flush) return true;
    if (!isCopyData(frame.type)) {
      this.giveUpCopy(permit);
      return false;
    }
    if (run.isCut) {
      this.#warden.failCopyIn(run);
      return true;
    }
    const isEnd = frame.type !== FRONTEND.copyData;
    if (run.transcript !== null) {
      if (isEnd) run.transcript.copyEnded();
      else run.transcript.copyDataSent(frame.bytes, frame.start, frame.end);
    }
    this.#replies.copyInSent(isEnd);
    this.#line.write(permit, frame.bytes, frame.start, frame.end);
    // Its Sync waits until its rows were counted.
    if (isEnd && run === this.#warden.alone && run.form === "pipelined") this.#line.flush();
    return true;
  }

  /**
   * Something else came that is to be sent. The COPY may have failed by now, and then it may be; if not, the server
   * would end the session over it.
   */
  giveUpCopy(permit: Permit): void {
    this.#replies.giveUpCopy();
    this.#line.write(permit, encodeCopyFail(NO_PLACE_IN_COPY));
  }

  sendCopyData(data: Uint8Array): void {
    const run = this.#replies.copyRun;
    const permit = run?.permit ?? null;
    if (run === null || permit === null) throw new FramingError("COPY data without a COPY");
    run.transcript?.copyDataSent(data, 0, data.length);
    this.#replies.copyInSent(false);
    this.#line.write(permit, data);
    // What is too much goes as well, since a message that was begun must be sent to its end; then it is made to fail.
    if (run.isCounted) this.#warden.spend(run, 0, data.length);
    if (run.isCut) this.#warden.failCopyIn(run);
  }

  #onQuery(frame: Frame): boolean {
    this.#closeUnit();
    if (this.#isPipelineUnderWay) return this.flushForBarrier();
    const sql = frame.isLast ? decodeQuery(frame.bytes, frame.bodyStart, frame.end) : null;
    if (sql === null || sql.length > this.#parts.statementBytesMax)
      return this.#refuseTooLong(frame, "query", "request");
    const analysis = this.#texts.readRequest(sql);
    if (analysis === null) return false;
    const run = new Run(this.#owner, "request", analysis);
    const rewritten = analysis.masking?.rewritten ?? null;
    const settle = this.#state.replaceUnnamed();
    run.messages.push(
      rewritten === null
        ? clientMessage(frame, "query", settle)
        : ownMessage(encodeQuery(rewritten.bytes), "query", settle),
    );
    this.nextSegment();
    this.#submit(run, "query", analysis, null);
    return true;
  }

  /** The server takes a Query or FunctionCall or skips it, according to what becomes of the pipeline it stands in. */
  get #isPipelineUnderWay(): boolean {
    return this.#pipeline.isOpen && (this.#replies.inFlight > 0 || this.#pipeline.unstartedRuns > 0);
  }

  #onParse(frame: Frame): boolean {
    this.#closeUnit();
    const parse = frame.isLast ? decodeParse(frame.body) : null;
    if (parse === null || parse.sql.length > this.#parts.statementBytesMax)
      return this.#refuseTooLong(frame, "prepare", "pipelined");
    if (!this.#texts.canTell(parse.name)) return false;
    const readUnder = this.#texts.readingNow();
    if (readUnder === null) return false;
    const read = this.#texts.readUnder(parse.sql, readUnder);
    if (read === null) return false;
    const analysis = this.#texts.withParameters(read, parse.parameterTypes);
    const sql = parse.sql.slice(); // The frame is a view into a chunk, which the statement would keep alive.
    const statement = { analysis, sql, preparedAs: null, readUnder, sentAs: analysis.masking };
    const settle = this.#state.giveStatement(parse.name, statement);
    const unit = this.#pipeline.openUnit(this.#owner, analysis, "prepare");
    const rewritten = analysis.masking?.rewritten ?? null;
    unit.run.messages.push(
      rewritten === null
        ? clientMessage(frame, "parse", settle)
        : ownMessage(encodeParse(parse.name, rewritten.bytes, parse.parameterTypes), "parse", settle),
    );
    return true;
  }

  #onBind(frame: Frame): boolean {
    const head = decodeBindHead(frame.bytes, frame.bodyStart, frame.end);
    if (head === null) throw new FramingError("a Bind message without its names");
    if (!this.#texts.canTell(head.statement) || !this.#texts.canTell(head.portal)) return false;
    // Another Bind is another operation, with parameters of its own.
    if (this.#pipeline.unit?.kind === "bind") this.#closeUnit();
    if (this.#pipeline.hasBarrier) return this.flushForBarrier();
    const found = this.#state.statements.lookup(head.statement, this.#pipeline.segment);
    if (found.kind === "wait") return this.flushForBarrier();
    let analysis: Analysis | null;
    if (found.kind === "absent") {
      analysis = this.#texts.unseen("statement", head.statement);
    } else {
      analysis = this.#texts.readAgain(found.value);
      if (analysis === null) return false;
    }
    const open = this.#pipeline.unit;
    if (open !== null && (open.analysis !== analysis || !frame.isLast)) this.#closeUnit();
    const parameters = frame.isLast ? frame.bytes.slice(frame.bodyStart + head.headBytes, frame.end) : null;
    const statement = found.kind === "known" ? found.value : null;
    const portal: Portal = { analysis, statement, parameters, holds: false };
    const settle = this.#state.givePortal(head.portal, portal);
    const unit = this.#pipeline.openUnit(this.#owner, analysis, "bind");
    unit.parameters = parameters;
    unit.run.messages.push(clientMessage(frame, "bind", settle));
    if (found.kind === "absent") unit.run.closer ??= { sqlState: "26000" };
    if (!frame.isLast) {
      this.#streaming = unit.run;
      this.#streamedParameters = new StreamedParameters(portal, frame.body.subarray(head.headBytes));
      this.#closeUnit();
    }
    return true;
  }

  #onExecute(frame: Frame): boolean {
    const { portal: name } = decodeExecute(frame.bytes, frame.bodyStart, frame.end);
    if (!this.#texts.canTell(name) || !this.#texts.masksHold()) return false;
    if (this.#pipeline.hasBarrier) return this.flushForBarrier();
    const found = this.#state.portals.lookup(name, this.#pipeline.segment);
    if (found.kind === "wait") return this.flushForBarrier();
    const portal = found.kind === "known" ? found.value : null;
    // Whether this goes on with a guess or is one is known when what ran the portal before was let through or refused.
    if (portal?.comparedBy?.isStarted === false) return false;
    const analysis = portal === null ? this.#texts.unseen("portal", name) : this.#texts.readPortal(portal);
    if (analysis === null) return false;
    const open = this.#pipeline.unit;
    const isOfUnit = open?.analysis === analysis && open.parameters === (portal?.parameters ?? null);
    if (!isOfUnit) this.#closeUnit();
    const unit = this.#pipeline.openUnit(this.#owner, analysis, "bind");
    unit.run.messages.push(clientMessage(frame, "execute", null));
    if (portal === null) unit.run.closer ??= { sqlState: "34000" };
    this.#pipeline.takeUnit();
    const meters = this.#comparisonMeters(unit.run, analysis, portal);
    this.#submit(unit.run, "execute", analysis, portal?.parameters ?? null, meters);
    return true;
  }

  /** A portal that was run once goes on with the same parameters and the same rows: that is no other guess. */
  #comparisonMeters(run: Run, { masking }: Analysis, portal: Portal | null): readonly Meter[] {
    const compares = masking?.compares ?? null;
    if (compares === null || portal?.comparedBy?.isSent === true) return NO_METERS;
    if (portal !== null) portal.comparedBy = run;
    const { target } = this.#parts.session;
    return comparisonMeters(target.name, this.#texts.database, compares);
  }

  #onDescribe(frame: Frame): boolean {
    const { of, name } = decodeDescribe(frame.bytes, frame.bodyStart, frame.end);
    if (!this.#texts.canTell(name)) return false;
    this.#control(clientMessage(frame, of === "statement" ? "describeStatement" : "describePortal", null));
    return true;
  }

  #onClose(frame: Frame): boolean {
    const { of, name } = decodeClose(frame.bytes, frame.bodyStart, frame.end);
    if (!this.#texts.canTell(name)) return false;
    this.#control(clientMessage(frame, "close", this.#state.withdraw(of, name)));
    return true;
  }

  #onFunctionCall(frame: Frame): boolean {
    this.#closeUnit();
    if (this.#isPipelineUnderWay) return this.flushForBarrier();
    const head = decodeFunctionCallHead(frame.body);
    if (head === null) throw new FramingError("a FunctionCall message without its function");
    const reading = this.#texts.readingNow();
    if (reading === null) return false;
    const analysis = functionCallAnalysis(head.functionOid, reading);
    const run = new Run(this.#owner, "request", analysis);
    run.messages.push(clientMessage(frame, "functionCall", null));
    if (!frame.isLast) this.#streaming = run;
    this.nextSegment();
    this.#submit(run, "function call", analysis, frame.isLast ? frame.body.slice(head.headBytes) : null);
    return true;
  }

  #refuseTooLong(frame: Frame, kind: string, form: "request" | "pipelined"): boolean {
    const { door, session, statementBytesMax } = this.#parts;
    const analysis = this.#texts.unseen("statement", `of ${frame.bodyBytes} bytes`);
    const run = new Run(this.#owner, form, analysis);
    run.closer = { sqlState: "54000" };
    if (!frame.isLast) this.#streaming = "dropped";
    if (form === "request") this.nextSegment();
    else this.#pipeline.open();
    const no = refusal("limit", `a statement may be at most ${statementBytesMax} bytes long here`, {
      hint: "Send large values as parameters or with COPY, or raise limits.statementBytesMax.",
    });
    this.#pipeline.unstarted(run);
    door.refuse(session, clientOperation(door, session, kind, analysis, null), no, run);
    return true;
  }

  /** What was sent without an Execute is an operation of its own: the server plans it, and that may already run functions. */
  #closeUnit(): void {
    const unit = this.#pipeline.takeUnit();
    if (unit !== null) this.#submit(unit.run, unit.kind, unit.analysis, unit.parameters);
  }

  /** Housekeeping keeps its place among the messages around it. */
  #control(message: Message): void {
    if (this.#pipeline.keepBehind(message)) return;
    if (this.#warden.isFree) this.#line.control(message);
    else this.#warden.wait(this.#line.waitingControl(message));
  }

  nextSegment(): void {
    this.#pipeline.next();
    this.#state.reading.pipelineEnds();
  }

  /** Waits for replies that the server may not send by itself before a Sync; what waits to be sent goes first. */
  flushForBarrier(): false {
    this.#closeUnit();
    if (!this.#line.isFlushed && this.#pipeline.isOpen && this.#pipeline.unstartedRuns === 0) this.#line.flush();
    return false;
  }

  /** Asks the server for settings; in a pipeline that has begun something a failure is the pipeline's. */
  ask(question: SettingsQuestion): void {
    const { door, session } = this.#parts;
    const run = new Run(this.#owner, "pipelined", null, true);
    run.isInPipeline = question.isInPipeline;
    run.messages.push(...question.messages());
    this.#pipeline.unstarted(run);
    this.#pipeline.raiseBarrier(run);
    door.submitHouse(session, houseOperation(door, session, "settings", question.text), run);
  }

  #submit(
    run: Run,
    kind: string,
    analysis: Analysis,
    parameters: OperationParameters | null,
    meters: readonly Meter[] = NO_METERS,
  ): void {
    run.onlyPrepares = kind === "prepare";
    run.parameters = parameters;
    run.inputBytes = analysis.text.length + (parameters instanceof Uint8Array ? parameters.length : 0);
    if (run.form === "pipelined") this.#pipeline.submitted(run);
    if (analysis.syntaxError !== null) run.closer ??= { sqlState: "42601", ...analysis.syntaxError };
    if (!run.onlyPrepares && this.#state.mayChange(analysis)) this.#pipeline.raiseBarrier(run);
    this.#pipeline.unstarted(run);
    const { door, session } = this.#parts;
    const operation = clientOperation(door, session, kind, analysis, parameters, meters);
    const no = this.#parts.masking.refusalOf(analysis);
    if (no === null) door.submit(session, operation, run);
    else door.refuse(session, operation, no, run);
  }
}

function isCopyData(type: number): boolean {
  return type === FRONTEND.copyData || type === FRONTEND.copyDone || type === FRONTEND.copyFail;
}
