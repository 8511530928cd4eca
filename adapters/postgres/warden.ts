/** Holds operations to what policy obliges them to: counts them, stops them at a limit, and keeps from writing what may only read. */
import { refusal, type Refusal } from "../../src/core/decision.ts";
import type { Door, Permit } from "../../src/core/ports.ts";
import { isSessionWork, isUnread, mayBeBracketed, needsBracket, whyNotLimited, whyNotReadOnly } from "./obliged.ts";
import { Outgoing, type Sending } from "./outgoing.ts";
import type { TransactionStatus } from "./protocol/backend.ts";
import {
  encodeBind,
  encodeClose,
  encodeCopyFail,
  encodeExecute,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "./protocol/frontend.ts";
import { sqlStateOf } from "./refuse.ts";
import type { Entry } from "./expected.ts";
import type { Replies } from "./replies.ts";
import type { Run } from "./run.ts";

/** What was told to stop and has not stopped by then ends with its session. */
const STOP_TIME_MS_MAX = 5_000;
/** A name of the gateway's own at the server. */
const PRELUDE = "weir_prelude";
const REFUSED_STATEMENT = "weir_refused";

const READ_ONLY_SETTING = "default_transaction_read_only";

const LIMIT_PASSED = "54000";
const TIME_PASSED = "57014";

export type WardenParts = {
  readonly door: Door;
  readonly replies: Replies;
  /** Lives as long as the session. */
  readonly sessionPermit: Permit;
  /** What the server reported at the login. */
  readonly parameterStatus: ReadonlyMap<string, string>;
  write(permit: Permit, bytes: Uint8Array): void;
  /** Asks the server to stop what it is doing; resolves when nothing sent later can be hit. */
  cancelBackend(permit: Permit): Promise<void>;
  /** As far as the server has told, when it has answered everything. */
  status(): TransactionStatus;
  /** The last COPY data that was sent ended in the middle of a message. */
  isInCopyMessage(): boolean;
  /** Something may be sent that could not be before. */
  proceed(): void;
  end(reason: Refusal): void;
};

export class Warden {
  readonly #parts: WardenParts;
  readonly #outgoing = new Outgoing();
  /** The session was opened for reading only. */
  readonly isReadOnly: boolean;
  /** The server says that the session's next transaction may only read; servers before 14 say nothing. */
  #isPinned: boolean;
  #stopTimer: ReturnType<typeof setTimeout> | null = null;
  /** What is to be sent for the operation that was stopped, when no cancel request can hit it any more. */
  #afterCancel: (() => void) | null = null;

  constructor(parts: WardenParts) {
    this.#parts = parts;
    this.isReadOnly = parts.sessionPermit.obligations.session?.readOnly === true;
    this.#isPinned = parts.parameterStatus.get(READ_ONLY_SETTING) === "on";
  }

  /** The server reported a parameter: whatever a statement has changed, it says so before it is ready again. */
  parameter(name: string, value: string): void {
    if (name === READ_ONLY_SETTING) this.#isPinned = value === "on";
  }

  /* ---- in turn ---- */

  /** Nothing waits, and nothing keeps the server to itself. */
  get isFree(): boolean {
    return this.#outgoing.isFree;
  }

  wait(sending: Sending): void {
    this.#outgoing.push(sending);
  }

  /** Sends what may be sent now. True: the next waits for replies, which must be asked for. */
  pump(): boolean {
    const { replies } = this.#parts;
    for (;;) {
      const next = this.#outgoing.next(replies.inFlight === 0 || replies.isCopyingIn);
      if (next === null) return this.#outgoing.waitsForQuiet;
      next.send();
    }
  }

  /** A COPY takes data: Syncs and Flushes that wait behind it go at once, as they would without limits. False: more waits. */
  copyInBegun(): boolean {
    for (const sending of this.#outgoing.takeIgnoredInCopy()) sending.send();
    return this.#outgoing.isEmpty;
  }

  /** What was waiting when the session ended. */
  abandon(): Sending[] {
    this.#stopWaiting();
    this.#afterCancel = null;
    return this.#outgoing.abandon();
  }

  /* ---- before and after ---- */

  /** Why it cannot be held to what its permit says; null when it can. */
  whyNot(run: Run, permit: Permit): Refusal | null {
    const { analysis } = run;
    if (analysis === null) return null;
    const reason =
      (this.#mayOnlyRead(permit) ? whyNotReadOnly(analysis) : null) ??
      (run.isLimited ? whyNotLimited(run, analysis, this.#parts.replies.isInSegment) : null);
    return reason === null ? null : this.#cannotHold(permit, reason, isUnread(analysis) ? "not_understood" : "denied");
  }

  #cannotHold(permit: Permit, reason: string, code: "denied" | "not_understood"): Refusal {
    const message = `policy obliges this to what cannot be kept here: ${reason}`;
    return refusal(code, message, {
      rules: permit.rules.length > 0 ? permit.rules : this.#parts.sessionPermit.rules,
      event: permit.operation,
    });
  }

  #mayOnlyRead(permit: Permit): boolean {
    return this.isReadOnly || permit.obligations.session?.readOnly === true;
  }

  /** Sends what must come before the messages of an operation. */
  begin(run: Run, permit: Permit): void {
    const { analysis } = run;
    if (run.isLimited) this.#parts.door.begun(permit);
    if (analysis === null) return;
    const status = this.#parts.status();
    const readsOnly = this.#mayOnlyRead(permit) && !this.#isHeld && status !== "E" && !isSessionWork(analysis);
    // From PostgreSQL 16 on a request leaves a transaction open that messages of the extended protocol have begun.
    const isAtStart = status === "I" && !this.#parts.replies.isInSegment;
    run.isBracketed =
      run.isLimited &&
      ((status === "I" && needsBracket(run, analysis)) || (isAtStart && readsOnly && mayBeBracketed(run, analysis)));
    if (run.isBracketed) this.#prelude(run, permit, readsOnly ? "BEGIN READ ONLY" : "BEGIN");
    else if (readsOnly) this.#prelude(run, permit, "SET TRANSACTION READ ONLY");
  }

  /** The server itself lets what is sent now only read: nothing under way can have changed that. */
  get #isHeld(): boolean {
    const { replies } = this.#parts;
    return this.isReadOnly && this.#isPinned && replies.inFlight === 0 && !replies.isInSegment;
  }

  /** An error in it makes the server skip what it stands before. */
  #prelude(run: Run, permit: Permit, sql: string): void {
    const { replies } = this.#parts;
    const hidden = (kind: Entry["kind"], bytes: Uint8Array): void => {
      this.#parts.write(permit, bytes);
      replies.expect({ kind, run, endsRun: false, settle: null, isHidden: true });
    };
    const nothing = { parameterFormats: [], parameters: [], resultFormats: [] };
    // Left over when one before it failed.
    hidden("close", encodeClose("statement", PRELUDE));
    hidden("parse", encodeParse(PRELUDE, sql, []));
    hidden("bind", encodeBind({ portal: PRELUDE, statement: PRELUDE, ...nothing }));
    hidden("execute", encodeExecute(PRELUDE));
    hidden("close", encodeClose("portal", PRELUDE));
    hidden("close", encodeClose("statement", PRELUDE));
  }

  /** It has its turn, and something of its own is to be awaited before it is sent. */
  hold(run: Run): void {
    this.#outgoing.begin(run);
  }

  /** Its messages were sent: with limits it has the server to itself. `trailer` follows it when it has ended. */
  sent(run: Run, trailer: readonly Sending[]): void {
    this.#outgoing.begin(run);
    this.#outgoing.pushFirst(trailer);
  }

  get alone(): Run | null {
    return this.#outgoing.alone;
  }

  ended(run: Run): void {
    this.#outgoing.ended(run);
    this.#stopWaiting();
  }

  /* ---- limits ---- */

  /** Counts what passes; false when it must not, because a limit was reached. */
  spend(run: Run, rows: number, bytes: number): boolean {
    const { permit } = run;
    if (permit === null || run.isCut) return false;
    const no = this.#parts.door.spend(permit, rows, bytes);
    if (no === null) return true;
    // A tag that says how many rows were changed comes when the statement is through.
    const statements = run.analysis?.statements.length ?? 1;
    const isAtWork = bytes > 0 || run.statementsDone + 1 < statements;
    this.#cut(run, no, LIMIT_PASSED, isAtWork);
    return false;
  }

  /** What has not been sent has not begun: its time counts from then. */
  overtime(run: Run, no: Refusal): void {
    if (run.hasEnded || !run.isSent || run.isClosing) return;
    this.#cut(run, no, TIME_PASSED, true);
  }

  /** Nothing more of it may go on, for a reason of another's. */
  stop(run: Run, no: Refusal): void {
    this.#cut(run, no, sqlStateOf(no), true);
  }

  #cut(run: Run, no: Refusal, sqlState: string, isAtWork: boolean): void {
    if (run.isCut) return;
    run.isCut = true;
    run.refusal = no;
    run.closer = { sqlState };
    this.#stopTimer = setTimeout(() => this.#parts.end(no), STOP_TIME_MS_MAX);
    const { replies } = this.#parts;
    if (replies.isCopyingIn && replies.copyRun === run) this.failCopyIn(run);
    else if (isAtWork) this.#cancel();
  }

  #cancel(): void {
    const { sessionPermit } = this.#parts;
    this.#outgoing.cancelSent();
    this.#parts
      .cancelBackend(sessionPermit)
      .catch(() => {}) // Then the timer ends the session.
      .finally(() => {
        this.#outgoing.cancelSettled();
        const step = this.#afterCancel;
        this.#afterCancel = null;
        step?.();
        this.#parts.proceed();
      });
  }

  /** Between two messages of COPY data; in the middle of one it comes again behind the rest. */
  failCopyIn(run: Run): void {
    const parts = this.#parts;
    if (parts.isInCopyMessage()) return;
    parts.replies.copyInSent(true);
    parts.write(run.permit ?? parts.sessionPermit, encodeCopyFail("stopped by the gateway"));
  }

  /** It was cut, and has come to its end all the same: what it did must not stay. */
  outlived(run: Run): void {
    this.#close(run, (permit) => {
      this.failServer(run, permit, run.refusal?.event ?? "");
      if (run.form !== "request") return;
      this.#parts.replies.expect({ kind: "sync", run: null, endsRun: false, settle: null });
      this.#parts.write(permit, encodeSync());
    });
  }

  /** Its request is through, in the gateway's own transaction. */
  closeBracket(run: Run, commits: boolean): void {
    this.#close(run, (permit) => {
      this.#parts.replies.expect({ kind: "bracket", run, endsRun: true, settle: null });
      this.#parts.write(permit, encodeQuery(commits ? "COMMIT" : "ROLLBACK"));
    });
  }

  #close(run: Run, step: (permit: Permit) => void): void {
    run.isClosing = true;
    const send = (): void => {
      if (run.permit !== null && !run.hasEnded) step(run.permit);
    };
    if (this.#outgoing.isCancelling) this.#afterCancel = send;
    else send();
  }

  /** The server is made to fail too, so that transaction, savepoints and pipeline stay its own business. */
  failServer(run: Run, permit: Permit, event: string): void {
    const name = run.form === "request" ? "" : REFUSED_STATEMENT;
    this.#parts.write(permit, encodeParse(name, `refused by the gateway, id ${event}`, []));
    this.#parts.replies.expect({ kind: "refusal", run, endsRun: true, settle: null });
  }

  #stopWaiting(): void {
    if (this.#stopTimer !== null) clearTimeout(this.#stopTimer);
    this.#stopTimer = null;
  }
}
