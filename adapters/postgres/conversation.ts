/** One client's session with one server: both sides' bytes, who waits for whom, and how it ends. */
import { refusal, type Refusal } from "../../src/core/decision.ts";
import type { Clock, Door, OpenSession, Permit, Upstream } from "../../src/core/ports.ts";
import { messageOf } from "../../src/core/message-of.ts";
import { Framer, type Frame } from "../../src/wire/framer.ts";
import type { ClientLink } from "./client-link.ts";
import { ClientMessages } from "./client-messages.ts";
import type { TargetDatabase } from "./databases.ts";
import { Dispatch } from "./dispatch.ts";
import { brokenBy, cancelledFor, draining, masksChanged, masksUnknown, stopped, unrecorded } from "./endings.ts";
import type { Evidence } from "./evidence/evidence.ts";
import { RawReader } from "./evidence/raw-reader.ts";
import { ReplyGuard } from "./mask/reply-guard.ts";
import type { SessionMasking } from "./mask/session-masking.ts";
import { houseOperation } from "./operations.ts";
import { Pipeline } from "./pipeline.ts";
import type { TransactionStatus } from "./protocol/backend.ts";
import { encodeSync, encodeTerminate } from "./protocol/frontend.ts";
import { FRONTEND } from "./protocol/types.ts";
import { Transcriber } from "./record/transcriber.ts";
import { encodeRefusal, sqlStateOf } from "./refuse.ts";
import type { Entry } from "./expected.ts";
import { Replies } from "./replies.ts";
import type { ReplyHandler } from "./reply-handler.ts";
import { closerOf, outcomeOf } from "./run-outcome.ts";
import { ownMessage, type Run } from "./run.ts";
import { ServerLine } from "./server-line.ts";
import { SessionState } from "./session-state.ts";
import { TextReader } from "./text-reader.ts";
import type { LoggedIn } from "./upstream.ts";
import { Warden } from "./warden.ts";

/** Operations that wait for their record, and replies that are still to come, before the client is made to wait. */
const UNSTARTED_RUNS_MAX = 1024;
const IN_FLIGHT_MAX = 4096;
/** Texts and parameters of operations that wait for their record: once they may go, all of that is to be recorded at once. */
const UNSTARTED_BYTES_MAX = 4 * 1024 * 1024;

export type ConversationParts = {
  readonly door: Door;
  readonly opened: OpenSession;
  readonly client: ClientLink;
  readonly upstream: Upstream;
  readonly login: LoggedIn;
  readonly database: TargetDatabase;
  readonly masking: SessionMasking;
  readonly clock: Clock;
  readonly statementBytesMax: number;
  /** Sends a CancelRequest for this session's backend under the given permit. */
  cancelBackend(permit: Permit): Promise<void>;
  /** Tells the client that it is in; the answer withdraws its cancel key. */
  greet(): () => void;
  /** Called once, when everything is closed. */
  onEnd(): void;
};

export class Conversation implements ReplyHandler {
  readonly #parts: ConversationParts;
  readonly #frames: Framer;
  readonly #replies: Replies;
  readonly #pipeline = new Pipeline();
  readonly #state: SessionState;
  readonly #texts: TextReader;
  readonly #line: ServerLine;
  readonly #warden: Warden;
  readonly #transcriber: Transcriber;
  readonly #raw: RawReader;
  readonly #dispatch: Dispatch;
  readonly #messages: ClientMessages;
  /** A frame whose turn has not come. */
  #heldFrame: Frame | null = null;
  /** How much is being awaited before the next message can be taken. */
  #awaited = 0;
  #clientIsFull = false;
  #clientIsPaused = false;
  #isDriving = false;
  #hasEnded = false;
  #isDraining = false;
  #fatalSeen = false;
  #serverIsGone = false;
  #withdrawKey: (() => void) | null = null;
  /** What the server has sent while it is not known whether the masks hold under another policy; null: it is known. */
  #doubtful: Uint8Array[] | null = null;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    const { door, database, login, masking, opened } = parts;
    const { plan } = masking;
    const hasEnded = (): boolean => this.#hasEnded;
    this.#frames = new Framer((type, bodyBytes) => this.#messages.collect(type, bodyBytes));
    this.#replies = new Replies(this, plan === null ? null : new ReplyGuard(plan));
    const governed = plan === null ? null : database.governedBy(plan);
    this.#state = new SessionState(database, login, this.#pipeline, governed);
    const session = {
      replies: this.#replies,
      pipeline: this.#pipeline,
      state: this.#state,
      masking,
      door,
      sessionPermit: opened.permit,
    };
    this.#texts = new TextReader({
      ...session,
      database,
      flushForBarrier: () => this.#messages.flushForBarrier(),
      await: (work) => this.#await(work),
      ask: (question) => this.#messages.ask(question),
      masksChanged: () => this.end(masksChanged(opened.session.id)),
      masksUnknown: (because) => this.#endForUnknownMasks(because),
      masksHeld: () => this.#masksHeld(),
    });
    this.#line = new ServerLine({ ...session, upstream: parts.upstream, hasEnded });
    this.#warden = new Warden({
      ...session,
      parameterStatus: login.parameterStatus,
      write: (permit, bytes) => this.#line.write(permit, bytes),
      cancelBackend: (permit) => parts.cancelBackend(permit),
      status: () => this.#state.status,
      isInCopyMessage: () => this.#frames.isInMessage,
      proceed: () => {
        this.#dispatch.pump();
        this.#drive();
      },
      end: (reason) => this.end(reason),
    });
    this.#transcriber = new Transcriber({
      door,
      clock: parts.clock,
      clientEncodingIsUtf8: () => this.#state.reading.current().clientEncodingIsUtf8,
      isStreaming: (run) => this.#messages.isStreaming(run),
      full: () => this.#onRecordingFull(),
      drained: () => this.#onRecordingDrain(),
    });
    this.#raw = new RawReader(() => database.openRaw(opened.session.id));
    const under = { ...session, texts: this.#texts, warden: this.#warden, line: this.#line };
    this.#dispatch = new Dispatch({
      ...under,
      raw: this.#raw,
      transcriber: this.#transcriber,
      hasEnded,
      isStreaming: (run) => this.#messages.isStreaming(run),
      dropRest: (run) => this.#messages.dropRest(run),
      forward: (bytes, start, end) => this.forward(bytes, start, end),
      guarded: (step) => this.#guarded(step),
      proceed: () => this.#drive(),
      resumeServer: () => this.#resumeUpstream(),
      end: (reason) => this.end(reason),
      fail: (error) => this.#endFor(error),
    });
    this.#messages = new ClientMessages({
      ...under,
      session: opened.session,
      statementBytesMax: parts.statementBytesMax,
      owner: this.#dispatch,
      terminated: () => this.end(null),
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
    // The masking itself has followed policy since before the login.
    this.#parts.door.onPolicyChange(opened.session, () => this.#guarded(() => this.#onPolicyChange()));
    client.onDrain(() => this.#onClientDrain());
    upstream.onDrain(() => {
      this.#line.drained();
      this.#drive();
    });
    upstream.onData((bytes) => this.#onServerData(bytes));
    if (login.leftover.length > 0) this.#onServerData(login.leftover);
    client.onData((bytes) => this.#onClientData(bytes));
  }

  get isIdle(): boolean {
    return (
      this.#replies.inFlight === 0 &&
      this.#pipeline.unstartedRuns === 0 &&
      this.#pipeline.unit === null &&
      this.#heldFrame === null &&
      this.#warden.isFree
    );
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
    if (this.#hasEnded || running === null || running.isHouse || running.isClosing) return;
    door.submitHouse(opened.session, houseOperation(door, opened.session, "cancel", "CancelRequest"), {
      start: (permit) => {
        const current = this.#replies.headRun;
        const sent =
          current === null || current.isHouse || current.isClosing
            ? Promise.resolve()
            : this.#parts.cancelBackend(permit);
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

  /**
   * Ends the session: with a refusal the client is told why, but not in the middle of a large message, and what is
   * running at the server is cancelled.
   */
  end(reason: Refusal | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (reason !== null) this.#parts.door.explain(reason);
    this.#raw.close();
    const { client } = this.#parts;
    this.#withdrawKey?.();
    if (reason !== null && !this.#replies.isInMessage) client.write(encodeRefusal(reason, "FATAL"));
    client.end();
    const running = this.#replies.headRun;
    for (const open of this.#replies.abandon()) open.transcript?.abandon();
    for (const sending of this.#warden.abandon()) sending.send();
    if (reason === null || running === null || this.#serverIsGone) return this.#leaveServer(reason);
    this.#parts
      .cancelBackend(this.#parts.opened.permit)
      .catch(() => {}) // Closing the connection is all that is left then.
      .finally(() => this.#leaveServer(reason));
  }

  #leaveServer(reason: Refusal | null): void {
    const { upstream, door, opened } = this.#parts;
    if (!this.#serverIsGone) upstream.write(opened.permit, encodeTerminate());
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
    this.#resumeUpstream();
  }

  #resumeUpstream(): void {
    if (this.#clientIsFull || this.#transcriber.isFull || this.#replies.isHolding || this.#doubtful !== null) return;
    this.#parts.upstream.resume();
  }

  /** Takes as many messages as can be taken now. */
  #drive(): void {
    if (this.#isDriving || this.#hasEnded) return;
    this.#isDriving = true;
    try {
      while (!this.#hasEnded && !this.#mustWait()) {
        if (this.#replies.isCopyingIn && this.#heldFrame === null && !this.#messages.isInParts) {
          const data = this.#frames.nextRun(FRONTEND.copyData);
          if (data !== null) {
            this.#messages.sendCopyData(data);
            continue;
          }
        }
        const frame = this.#heldFrame ?? this.#frames.next();
        if (frame === null) break;
        this.#heldFrame = this.#messages.take(frame) ? null : frame;
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

  #mustWait(): boolean {
    return (
      this.#line.isFull ||
      this.#transcriber.isFull ||
      this.#awaited > 0 ||
      this.#pipeline.unstartedRuns >= UNSTARTED_RUNS_MAX ||
      this.#pipeline.unstartedBytes >= UNSTARTED_BYTES_MAX ||
      this.#replies.inFlight >= IN_FLIGHT_MAX
    );
  }

  #pauseClient(pause: boolean): void {
    if (pause === this.#clientIsPaused || this.#hasEnded) return;
    this.#clientIsPaused = pause;
    if (pause) this.#parts.client.pause();
    else this.#parts.client.resume();
  }

  /* ---- from the server ---- */

  #onServerData(bytes: Uint8Array): void {
    if (this.#hasEnded) return;
    if (this.#doubtful !== null) return void this.#doubtful.push(bytes);
    this.#guarded(() => this.#replies.accept(bytes));
    this.#dispatch.pump();
    if (this.#replies.isHolding) this.#parts.upstream.pause();
    if (this.#heldFrame !== null || this.#clientIsPaused || this.#isDraining || this.#frames.bufferedBytes > 0)
      this.#drive();
  }

  /** Nothing of a result that is on its way goes on before it is known whether it may be shown. */
  #onPolicyChange(): void {
    if (this.#texts.masksHold() || this.#hasEnded) return;
    this.#doubtful ??= [];
    this.#parts.upstream.pause();
  }

  #masksHeld(): void {
    const doubtful = this.#doubtful;
    if (doubtful === null) return;
    this.#doubtful = null;
    for (const bytes of doubtful) this.#onServerData(bytes);
    if (!this.#hasEnded) this.#resumeUpstream();
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

  forward(bytes: Uint8Array, start: number, end: number): void {
    if (this.#parts.client.writePart(bytes, start, end) || this.#clientIsFull) return;
    this.#clientIsFull = true;
    this.#parts.upstream.pause();
  }

  ended(run: Run, status: "done" | "failed" | "skipped", code: string | null): boolean {
    this.#pipeline.liftBarrier(run);
    if (run.isLimited) this.#warden.ended(run);
    if (run.isHouse) this.#texts.answered(status === "done");
    else if ((run.refusal === null || run.isCut) && status !== "skipped")
      this.#state.operationEnded(run, status === "done");
    const { permit } = run;
    if (permit === null) return true;
    const outcome = outcomeOf(run, status, code);
    const isLogged = this.#parts.door.finish(permit, outcome);
    run.transcript?.end(outcome);
    if (!isLogged) this.end(unrecorded());
    return isLogged;
  }

  sealRows(run: Run, evidence: Evidence): void {
    this.#dispatch.sealRows(run, evidence);
  }

  unsealed(run: Run, because: string): void {
    this.#dispatch.unsealed(run, because);
  }

  spend(run: Run, rows: number, bytes: number): boolean {
    return this.#warden.spend(run, rows, bytes);
  }

  outlived(run: Run): void {
    this.#warden.outlived(run);
  }

  closeBracket(run: Run, commits: boolean): void {
    this.#warden.closeBracket(run, commits);
  }

  requestSkipped(): void {
    this.#line.control(ownMessage(encodeSync(), "sync"));
  }

  refusalFor(entry: Entry): Uint8Array {
    const { run } = entry;
    const no = run?.refusal ?? refusal("internal", "a refusal without a reason");
    this.#parts.door.explain(no);
    return encodeRefusal(no, "ERROR", run === null ? undefined : closerOf(run));
  }

  statementDone(run: Run): void {
    this.#state.statementDone(run);
  }

  houseRow(_run: Run, body: Uint8Array): void {
    this.#texts.row(body);
  }

  copyInBegun(run: Run): void {
    const isAll = this.#warden.copyInBegun() && this.#pipeline.unstartedRuns === 0 && this.#pipeline.unit === null;
    if (run.isCut) this.#warden.failCopyIn(run);
    else if (!isAll && run.permit !== null) this.#messages.giveUpCopy(run.permit);
  }

  syncsIgnored(): void {
    this.#pipeline.syncsIgnored(this.#replies.copyRun);
  }

  syncsTaken(): void {
    if (this.#pipeline.mayEnd) this.#messages.nextSegment();
  }

  parameter(name: string, value: string): void {
    this.#state.reading.parameter(name, value);
    this.#warden.parameter(name, value);
  }

  failed(): void {
    this.#state.reading.takenBack();
  }

  fatal(): void {
    this.#fatalSeen = true;
  }

  ready(status: TransactionStatus, isHouse: boolean): void {
    if (!isHouse) this.#texts.mayAskAgain();
    this.#state.ready(status);
  }

  /* ---- the end ---- */

  #onCancelled(reason: unknown): void {
    this.end(cancelledFor(reason));
  }

  #endIfDrained(): void {
    if (!this.#isDraining || this.#hasEnded || !this.isIdle) return;
    this.end(draining());
  }

  #endForUnknownMasks(because: unknown): void {
    if (this.#hasEnded) return;
    const detail = messageOf(because);
    this.end(masksUnknown(this.#parts.opened.session.id, detail));
  }

  stop(run: Run | null, because: string): never {
    const { id } = this.#parts.opened.session;
    this.end(stopped(run?.permit?.operation ?? id, id, because));
    throw new Stopped();
  }

  #endFor(error: unknown): void {
    if (this.#hasEnded || error instanceof Stopped) return;
    const event = this.#parts.opened.session.id;
    const reason = brokenBy(error, event);
    if (reason !== null) return this.end(reason);
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.end(refusal("internal", "the gateway failed; nothing more was sent", { event, detail }));
  }

  #onRecordingFull(): void {
    if (!this.#hasEnded) this.#parts.upstream.pause();
  }

  #onRecordingDrain(): void {
    if (this.#hasEnded) return;
    this.#resumeUpstream();
    this.#drive();
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
}

/** The session was ended over it. */
class Stopped extends Error {}
