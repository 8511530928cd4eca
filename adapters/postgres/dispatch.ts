/** Carries out what the gate decides about a session's operations: sends them in their turn, or makes them fail as the server would. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import { NO_OBLIGATIONS } from "../../src/core/obligation.ts";
import type { Door, PendingApproval, Permit } from "../../src/core/ports.ts";
import { RecordingFailed } from "../../src/core/recording.ts";
import { contentStage } from "./content/content-stage.ts";
import { unrecorded, unsealable } from "./endings.ts";
import { Evidence } from "./evidence/evidence.ts";
import { RawRefused, type RawReader } from "./evidence/raw-reader.ts";
import { SHOWS_NOTHING_MASKED } from "./mask/raw-shape.ts";
import type { SessionMasking } from "./mask/session-masking.ts";
import type { Pipeline } from "./pipeline.ts";
import { encodeNotice, encodeReadyForQuery } from "./protocol/backend.ts";
import { decodeDescribe, decodeExecute, encodeDescribe, encodeSync } from "./protocol/frontend.ts";
import type { Transcriber } from "./record/transcriber.ts";
import { encodeRefusal } from "./refuse.ts";
import type { Replies } from "./replies.ts";
import { closerOf } from "./run-outcome.ts";
import { needsRawRows, ownMessage, type Message, type Run, type RunOwner } from "./run.ts";
import type { ServerLine } from "./server-line.ts";
import type { SessionState } from "./session-state.ts";
import type { Warden } from "./warden.ts";

/** Of every message: its type and its length. */
const HEADER_BYTES = 5;

export type DispatchParts = {
  readonly door: Door;
  readonly masking: SessionMasking;
  readonly replies: Replies;
  readonly pipeline: Pipeline;
  readonly state: SessionState;
  readonly warden: Warden;
  readonly line: ServerLine;
  readonly raw: RawReader;
  readonly transcriber: Transcriber;
  hasEnded(): boolean;
  /** The last message of this operation is still coming in parts. */
  isStreaming(run: Run): boolean;
  /** What is still to come of it goes nowhere. */
  dropRest(run: Run): void;
  /** To the client. */
  forward(bytes: Uint8Array, start: number, end: number): void;
  /** Does a step that may throw; then the session ends. */
  guarded(step: () => void): void;
  /** Further messages may be taken. */
  proceed(): void;
  resumeServer(): void;
  end(reason: Refusal): void;
  fail(error: unknown): void;
};

export class Dispatch implements RunOwner {
  readonly #parts: DispatchParts;
  readonly #replies: Replies;
  readonly #pipeline: Pipeline;
  readonly #state: SessionState;
  readonly #warden: Warden;
  readonly #line: ServerLine;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.#replies = parts.replies;
    this.#pipeline = parts.pipeline;
    this.#state = parts.state;
    this.#warden = parts.warden;
    this.#line = parts.line;
  }

  send(run: Run): void {
    if (this.#warden.isFree && !run.isLimited) return this.#sendNow(run);
    this.#warden.wait({ alone: run.isLimited ? run : null, send: () => this.#sendInTurn(run) });
    this.pump();
  }

  /** What is to be sealed of its rows is prepared while nothing else is sent. */
  #sendInTurn(run: Run): void {
    const raw = run.analysis?.masking?.raw ?? SHOWS_NOTHING_MASKED;
    const { permit } = run;
    if (permit === null || raw.kind === "nothing" || !needsRawRows(run, permit)) return this.#sendNow(run);
    if (this.#parts.hasEnded() || this.#replies.isSkipping) return this.#sendNow(run);
    if (raw.kind === "refused") return this.#refuseInTurn(run, unsealable(raw.because, permit), permit);
    const evidence = new Evidence(this.#parts.raw, raw.sources);
    this.#warden.hold(run);
    evidence
      .begin()
      .then(() => {
        run.evidence = evidence;
        this.#warden.ended(run);
        this.#parts.guarded(() => this.#sendNow(run));
      })
      .catch((error: unknown) => {
        if (this.#parts.hasEnded()) return;
        this.#warden.ended(run);
        this.#parts.guarded(() => this.#refuseInTurn(run, this.#unreadable(error, permit), permit));
      })
      .finally(() => {
        this.pump();
        this.#parts.proceed();
      });
  }

  /** Seals what stands behind the masks of rows that have come, and lets them go on. */
  sealRows(run: Run, evidence: Evidence): void {
    evidence
      .seal()
      .catch((error: unknown) => {
        if (this.#parts.hasEnded()) return;
        if (error instanceof RecordingFailed || run.permit === null) this.#parts.fail(error);
        else if (!run.hasEnded) this.#warden.stop(run, this.#unreadable(error, run.permit));
      })
      .finally(() => this.released(run));
  }

  unsealed(run: Run, because: string): void {
    if (run.permit !== null) this.#warden.stop(run, unsealable(because, run.permit));
  }

  /** Raw rows cannot be read: for a reason that the client may know, or one that is its operator's business. */
  #unreadable(error: unknown, permit: Permit): Refusal {
    if (error instanceof RawRefused) return unsealable(error.message, permit);
    const { operation: event, rules } = permit;
    const message = "policy obliges to seal the raw rows of this, and they cannot be read now";
    const detail = error instanceof Error ? error.message : String(error);
    const hint = "Try again; if it is the same then, the gateway's operator finds the reason under this id.";
    return refusal("recording_unavailable", message, { event, rules, hint, detail });
  }

  /** Sends what may be sent now of what had to wait. */
  pump(): void {
    if (this.#parts.hasEnded() || this.#warden.isFree) return;
    if (this.#warden.pump() && this.#replies.isInSegment && !this.#line.isFlushed) this.#line.flush();
  }

  #sendNow(run: Run): void {
    this.#pipeline.started(run);
    const { permit } = run;
    if (permit === null) return;
    if (this.#parts.hasEnded()) {
      this.#parts.door.finish(permit, { status: "skipped" });
      return;
    }
    const isSkipped = this.#replies.isSkipping;
    if (!isSkipped && (permit.obligations !== NO_OBLIGATIONS || this.#warden.isReadOnly)) {
      const no =
        this.#parts.masking.whyNot(permit) ??
        this.#maskContent(run, permit) ??
        this.#warden.whyNot(run, permit) ??
        this.#parts.transcriber.begin(run, permit);
      if (no !== null) return this.#refuseNow(run, no, permit);
      if (run.evidence !== null && run.transcript !== null) run.evidence.sent(run.transcript, this.#isFresh);
      this.#warden.begin(run, permit);
    }
    run.isSent = !isSkipped;
    const last = lastAnswered(run.messages);
    let before: Message | null = null;
    for (const message of run.messages) {
      if (
        message.reply === "execute" &&
        !isSkipped &&
        (run.content !== null || run.output !== null || run.evidence !== null)
      )
        this.#describeFor(run, permit, message, before);
      before = message;
      if (!isSkipped) this.#line.write(permit, message.bytes, message.start, message.end);
      if (message.reply !== null) {
        this.#replies.expect({ kind: message.reply, run, endsRun: message === last, settle: message.settle });
      }
    }
    run.messages.length = 0;
    if (!run.isLimited || run.hasEnded) return this.#sendTrailer(run);
    this.#pipeline.trailerSent(run);
    this.#warden.sent(
      run,
      run.trailer.splice(0).map((message) => this.#line.waitingControl(message)),
    );
    // Nothing follows that would make the server send its replies; a message that is streamed ends first.
    if (run.form === "pipelined" && !this.#parts.isStreaming(run)) this.#line.flush();
  }

  /** The snapshot of what is sent now is not older: no transaction is open, and so no portal of before. */
  get #isFresh(): boolean {
    return this.#state.status === "I" && !this.#replies.isInSegment;
  }

  /** Its rows are masked by what they hold; a refusal where they cannot be. */
  #maskContent(run: Run, permit: Permit): Refusal | null {
    const { mask } = permit.obligations;
    const content = mask === undefined || run.onlyPrepares ? null : this.#parts.door.contentMask(mask);
    if (content === null) return null;
    const stage = contentStage(content, run.analysis, this.#state.reading.current().clientEncodingIsUtf8, permit);
    if (isRefusal(stage)) return stage;
    run.content = stage;
    return null;
  }

  /** What a row's cells are is asked for ahead of the rows: the client may have asked long ago, or not at all. */
  #describeFor(run: Run, permit: Permit, { bytes, start, end }: Message, before: Message | null): void {
    const { portal } = decodeExecute(bytes, start + HEADER_BYTES, end);
    if (before !== null && describesPortal(before, portal)) return;
    this.#line.write(permit, encodeDescribe("portal", portal));
    this.#replies.expect({ kind: "describePortal", run, endsRun: false, settle: null, isHidden: true });
  }

  refuse(run: Run, no: Refusal, permit: Permit | null): void {
    if (permit === null || this.#warden.isFree) return this.#refuseInTurn(run, no, permit);
    this.#warden.wait({ alone: null, send: () => this.#refuseInTurn(run, no, permit) });
  }

  #refuseInTurn(run: Run, no: Refusal, permit: Permit | null): void {
    this.#pipeline.started(run);
    this.#refuseNow(run, no, permit);
  }

  #refuseNow(run: Run, no: Refusal, permit: Permit | null): void {
    run.refusal = no;
    for (const message of run.messages) message.settle?.(false);
    run.messages.length = 0;
    if (this.#parts.hasEnded()) {
      if (permit !== null) this.#parts.door.finish(permit, { status: "refused" });
      return;
    }
    if (permit === null) this.#refuseUnrecorded(run, no);
    else this.#refuseRecorded(run, no, permit);
    this.#parts.proceed();
  }

  #refuseRecorded(run: Run, no: Refusal, permit: Permit): void {
    if (this.#replies.isSkipping) {
      // The server would not have looked at it.
      this.#pipeline.liftBarrier(run);
      run.hasEnded = true;
      if (!this.#parts.door.finish(permit, { status: "skipped" })) return this.end(unrecorded());
      return this.#sendTrailer(run);
    }
    this.#warden.failServer(run, permit, no.event);
    if (run.form === "request") this.#line.control(ownMessage(encodeSync(), "sync"));
    this.#sendTrailer(run);
  }

  /** Nothing can be recorded, so nothing may be sent: the server cannot be made to fail, only left alone or left. */
  #refuseUnrecorded(run: Run, no: Refusal): void {
    this.#pipeline.liftBarrier(run);
    if (
      run.isHouse ||
      run.form !== "request" ||
      this.#state.status !== "I" ||
      this.#replies.isInSegment ||
      this.#replies.inFlight > 0 ||
      this.#pipeline.unstartedRuns > 0
    ) {
      return this.end(no);
    }
    for (const bytes of [encodeRefusal(no, "ERROR", closerOf(run)), encodeReadyForQuery("I")]) {
      this.#parts.forward(bytes, 0, bytes.length);
    }
    this.#parts.dropRest(run);
    this.#sendTrailer(run);
  }

  #sendTrailer(run: Run): void {
    this.#pipeline.trailerSent(run);
    for (const message of run.trailer) this.#line.control(message);
    run.trailer.length = 0;
  }

  released(_run: Run): void {
    if (this.#parts.hasEnded()) return;
    if (this.#replies.isHolding) {
      this.#parts.guarded(() => this.#replies.resume());
      this.pump();
      this.#parts.resumeServer();
    }
    this.#parts.proceed();
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

  overtime(run: Run, reason: Refusal): void {
    if (!this.#parts.hasEnded()) this.#warden.overtime(run, reason);
  }

  end(reason: Refusal): void {
    this.#parts.end(reason);
  }
}

function describesPortal({ reply, bytes, start, end }: Message, portal: string): boolean {
  return reply === "describePortal" && decodeDescribe(bytes, start + HEADER_BYTES, end).name === portal;
}

function lastAnswered(messages: readonly Message[]): Message | null {
  for (let at = messages.length - 1; at >= 0; at--) {
    const message = messages[at];
    if (message !== undefined && message.reply !== null) return message;
  }
  return null;
}
