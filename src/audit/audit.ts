/** The log as the gate sees it: records go into a ring in shared memory, a Worker makes them durable, and a failure refuses. */
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Decision } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import {
  type Audit,
  AuditUnavailable,
  type Clock,
  type EventKind,
  type Outcome,
  type Policy,
  type Sequence,
} from "../core/ports.ts";
import type { SessionId } from "../core/session.ts";
import { Lag } from "./lag.ts";
import { LogLock } from "./lock.ts";
import { FailedLogins } from "./logins.ts";
import { LostRecords } from "./lost.ts";
import type { WriterSettings } from "./messages.ts";
import { type EventFacts, factsPiece } from "./pieces.ts";
import { reasonOf } from "./reason.ts";
import { LOG_FILE } from "./schema.ts";
import { SILENCE_MS_MAX, SilenceWatch } from "./silence.ts";
import { type StartWriter, WriterLink } from "./writer-link.ts";

/** More than this behind, the next intent is not left to gather: the lag that `relaxed` allows is 1,000. */
const GATHERED_RECORDS_MAX = 500;

/** The lock's file inside the data folder, beside the log's. */
const LOCK_FILE = "audit.lock";

/** The first attempt to open the log again after a failure, and the longest wait between attempts. */
const REOPEN_MS_MIN = 100;
const REOPEN_MS_MAX = 5000;
/** A log that fails again within this time after it was opened again waits longer before the next attempt. */
const STABLE_MS = 10_000;
const CLOSE_MS_MAX = 10_000;
/** What is known of a failure by whoever finds it before the writer's message comes. */
const STOPPED = "the log's writer has stopped";

export type AuditOptions = {
  /** The gateway's data folder; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  /** Do operations wait for their intents to be durable? Absent: yes. No: intents are gathered for some milliseconds. */
  readonly intentsAreAwaited?: boolean;
  /** The log's file grows to this and not beyond: then the log fails. Absent: only the disk bounds it. */
  readonly sizeBytesMax?: number;
  /** Starts the Worker that writes; absent: the one of this folder. */
  readonly startWriter?: StartWriter;
};

type Waiter = { readonly sequence: Sequence; resolve(): void; reject(error: Error): void };

export class AuditLog implements Audit {
  readonly #options: AuditOptions;
  readonly #boot = randomBytes(16).toString("hex");
  readonly #lock: LogLock;
  #link: WriterLink;
  #failure: AuditUnavailable | null = null;
  #failedBecause = "";
  #closed: Promise<void> | null = null;
  #handedOver: Sequence = 0;
  #durable: Sequence = 0;
  readonly #lost = new LostRecords();
  #listener: () => void = () => {};
  readonly #waiters: Waiter[] = [];
  readonly #lag = new Lag();
  readonly #logins = new FailedLogins();
  #loginTimer: Timer | null = null;
  readonly #silence = new SilenceWatch(
    () => this.durable,
    () => this.#handedOver,
    () => this.#fail(`the log's writer has not answered for ${SILENCE_MS_MAX / 1000} s`),
  );
  #reopenMs = REOPEN_MS_MIN;
  #reopenTimer: Timer | null = null;
  #reopening: Promise<void> | null = null;
  #reopenedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: AuditOptions, lock: LogLock) {
    this.#options = options;
    this.#lock = lock;
    this.#link = this.#connect(null);
  }

  /**
   * Opens the log in a folder, creating it if there is none: takes its lock, has its root recomputed and closes what
   * an earlier run left open. Rejects with a sentence for people when any of this cannot be done.
   */
  static async open(options: AuditOptions): Promise<AuditLog> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    // Made here so that nobody else can read it; SQLite gives its own side files the same mode.
    for (const name of [LOG_FILE, LOCK_FILE]) closeSync(openSync(join(options.folder, name), "a", 0o600));
    const lock = new LogLock(join(options.folder, LOCK_FILE));
    const log = new AuditLog(options, lock);
    try {
      await log.#link.started();
    } catch (error) {
      lock.release();
      throw new Error(`the audit log in ${options.folder} cannot be opened: ${reasonOf(error)}`, { cause: error });
    }
    log.#listen(log.#link);
    return log;
  }

  /* ---- writing ---- */

  intent(operation: Operation, decision: Decision | "house", policy: Policy): Sequence {
    const { templates, records } = this.#serving();
    const sequence = this.#handedOver + 1;
    const monoMs = performance.now();
    let isWritten: boolean;
    try {
      isWritten = records.intent(sequence, this.#options.clock.now(), monoMs, {
        id: operation.id,
        refused: decision !== "house" && decision.kind === "deny",
        session: templates.session(operation.session),
        statement: templates.statement(operation),
        decision: templates.decision(decision, policy),
        text: operation.text,
        textSha256: operation.textSha256,
        parameters: operation.parameters,
        isAwaited: this.#options.intentsAreAwaited !== false || sequence - this.durable > GATHERED_RECORDS_MAX,
      });
    } catch (error) {
      throw new AuditUnavailable(`the intent cannot be recorded: ${reasonOf(error)}`);
    }
    return this.#handed(isWritten, sequence, monoMs);
  }

  /** Throws AuditUnavailable also when the intent was lost with a failed writer: its operation must end. */
  outcome(intent: Sequence, outcome: Outcome): Sequence {
    const { records } = this.#serving();
    if (this.#lost.has(intent)) throw new AuditUnavailable("the operation's intent was lost when the log failed");
    const sequence = this.#handedOver + 1;
    const monoMs = performance.now();
    const isWritten = records.outcome(sequence, this.#options.clock.now(), monoMs, intent, outcome);
    return this.#handed(isWritten, sequence, monoMs);
  }

  /**
   * Of `login.failed`, only the first for each `source` in a minute is recorded at once; a count of the others
   * follows when the minute is over. The sequence is then that of the last record handed over.
   */
  event(kind: EventKind, facts: EventFacts): Sequence {
    this.#serving();
    if (kind === "login.failed") {
      const { source } = facts;
      const isFirst = this.#logins.isFirst(typeof source === "string" ? source : "", this.#options.clock.now());
      this.#armLogins();
      if (!isFirst) return this.#handedOver;
    }
    return this.#event(kind, facts);
  }

  #event(kind: EventKind | "audit.closed", facts: EventFacts): Sequence {
    const { records } = this.#serving();
    const sequence = this.#handedOver + 1;
    let isWritten: boolean;
    try {
      const piece = factsPiece(facts);
      isWritten = records.event(sequence, this.#options.clock.now(), kind, piece.facts, piece.truncated);
    } catch (error) {
      throw new AuditUnavailable(`the event cannot be recorded: ${reasonOf(error)}`);
    }
    return this.#handed(isWritten, sequence, performance.now());
  }

  #serving(): WriterLink {
    if (this.#failure !== null) throw this.#failure;
    if (this.#closed !== null) throw new AuditUnavailable("the log is being closed");
    if (!this.#link.isServing) {
      this.#fail(STOPPED);
      throw this.#failure ?? new AuditUnavailable(STOPPED);
    }
    return this.#link;
  }

  #handed(isWritten: boolean, sequence: Sequence, monoMs: number): Sequence {
    if (!isWritten) throw new AuditUnavailable("the log cannot keep up: its ring is full");
    this.#handedOver = sequence;
    this.#lag.handed(sequence, monoMs);
    this.#silence.watch();
    return sequence;
  }

  /* ---- reading ---- */

  get durable(): Sequence {
    // Frozen from the moment of a failure on: what an abandoned writer still does is nobody's to count on.
    if (this.#failure === null) this.#durable = this.#link.ring.durableSince(this.#durable);
    return this.#durable;
  }

  get handedOver(): Sequence {
    return this.#handedOver;
  }

  get lagMs(): number {
    const durable = this.durable;
    return durable >= this.#handedOver ? 0 : this.#lag.ageMs(durable, performance.now());
  }

  get failure(): Error | null {
    if (this.#failure === null && !this.#link.isServing) this.#fail(STOPPED);
    return this.#failure;
  }

  /** So much waits for the writer that the gate should stop reading from clients. */
  get congested(): boolean {
    return this.#link.isCongested;
  }

  onProgress(callback: () => void): void {
    this.#listener = callback;
  }

  forget(session: SessionId): void {
    this.#link.templates.forget(session);
  }

  /** Resolves when a record is durable; rejects with AuditUnavailable when the log fails before it is. */
  async waitDurable(sequence: Sequence): Promise<void> {
    if (this.failure !== null) throw this.failure;
    if (this.#lost.has(sequence)) throw new AuditUnavailable("the record was lost when the log failed");
    if (sequence <= this.durable) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }));
  }

  /* ---- closing ---- */

  /**
   * Makes all that was handed over durable, closes the log cleanly and gives up its lock. Rejects when it could not;
   * the lock is then kept until the process ends, if a writer may still be at work.
   */
  async close(): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    let unclean = this.#failure;
    if (unclean === null) {
      try {
        for (const facts of this.#logins.take(null)) this.#event("login.failed", facts);
        this.#event("audit.closed", {});
        this.#link.close();
      } catch (error) {
        // Failed just now, and told by #fail to write nothing more; or its ring is full, and it goes on with that.
        unclean = new AuditUnavailable(reasonOf(error));
        if (this.#failure === null) this.#link.close();
      }
    }
    this.#silence.stop();
    for (const timer of [this.#loginTimer, this.#reopenTimer]) if (timer !== null) clearTimeout(timer);
    const hasEnded = await this.#writerEnds();
    if (unclean === null && !this.#link.isClosed) {
      unclean = new AuditUnavailable(
        `the log's writer ${hasEnded ? "failed while it closed the log" : "does not end"}`,
      );
    }
    if (unclean === null) this.#durable = this.#handedOver;
    this.#failure = unclean ?? new AuditUnavailable("the log is closed");
    this.#settle();
    if (hasEnded) this.#lock.release();
    if (unclean !== null) throw unclean;
  }

  /** Resolves when no writer is at work any more; to false when that takes too long. */
  async #writerEnds(): Promise<boolean> {
    const tooLate = Promise.withResolvers<false>();
    const timer = setTimeout(() => tooLate.resolve(false), CLOSE_MS_MAX);
    const ended = Promise.all([this.#link.exited, this.#reopening]).then(() => true);
    const inTime = await Promise.race([ended, tooLate.promise]);
    clearTimeout(timer);
    return inTime;
  }

  /* ---- the writer ---- */

  #connect(after: WriterSettings["after"]): WriterLink {
    const { folder, clock, sizeBytesMax, startWriter } = this.#options;
    const settings = {
      path: join(folder, LOG_FILE),
      boot: this.#boot,
      timeMs: clock.now(),
      sizeBytesMax: sizeBytesMax ?? null,
      after,
    };
    return new WriterLink(settings, startWriter);
  }

  #listen(link: WriterLink): void {
    const isCurrent = (): boolean => this.#link === link && this.#closed === null;
    link.listen(
      () => {
        if (isCurrent()) this.#progress();
      },
      (reason) => {
        if (isCurrent()) this.#fail(reason);
      },
    );
  }

  #progress(): void {
    this.#settle();
    this.#listener();
  }

  #settle(): void {
    const durable = this.durable;
    this.#lag.prune(durable);
    let kept = 0;
    for (const waiter of this.#waiters) {
      if (waiter.sequence <= durable) waiter.resolve();
      else if (this.#failure !== null) waiter.reject(this.#failure);
      else this.#waiters[kept++] = waiter;
    }
    this.#waiters.length = kept;
  }

  /* ---- failure and recovery ---- */

  /** From here on nothing is accepted and nothing more is acknowledged, until another writer has taken over. */
  #fail(reason: string): void {
    if (this.#closed !== null) return;
    // The first to notice may not know why; the writer's own word comes a little later.
    if (this.#failure !== null) {
      if (this.#failedBecause === STOPPED) this.#failedBecause = reason;
      return;
    }
    const link = this.#link;
    const durable = this.durable;
    this.#failedBecause = reason;
    this.#failure = new AuditUnavailable(`the audit log has failed: ${reason}`);
    link.abandon();
    this.#silence.stop();
    this.#lost.add(durable + 1, this.#handedOver);
    if (performance.now() - this.#reopenedAtMs > STABLE_MS) this.#reopenMs = REOPEN_MS_MIN;
    // Not at once: the failure may have been found inside a call from the listener. It comes before the log is opened again.
    queueMicrotask(() => {
      this.#progress();
      this.#reopenLater(link, durable);
    });
  }

  #reopenLater(failed: WriterLink, durable: Sequence): void {
    if (this.#closed !== null) return;
    this.#reopenTimer = setTimeout(() => {
      this.#reopening = this.#reopen(failed, durable);
    }, this.#reopenMs);
    this.#reopenMs = Math.min(this.#reopenMs * 2, REOPEN_MS_MAX);
  }

  async #reopen(failed: WriterLink, durable: Sequence): Promise<void> {
    const link = this.#connect({
      reason: this.#failedBecause,
      durable,
      handedOver: this.#handedOver,
      buffer: failed.ring.buffer,
    });
    try {
      await link.started();
    } catch {
      return this.#reopenLater(failed, durable);
    }
    if (this.#closed !== null) {
      link.close();
      return link.exited;
    }
    this.#link = link;
    this.#listen(link);
    this.#durable = this.#handedOver;
    this.#failure = null;
    this.#reopenedAtMs = performance.now();
    this.#lag.clear();
    this.#progress();
  }

  /* ---- failed logins ---- */

  #armLogins(): void {
    const due = this.#logins.dueMs;
    if (this.#loginTimer !== null || due === null) return;
    this.#loginTimer = setTimeout(() => this.#flushLogins(), Math.max(0, due - this.#options.clock.now()) + 1);
    this.#loginTimer.unref();
  }

  #flushLogins(): void {
    this.#loginTimer = null;
    if (this.failure === null) {
      for (const facts of this.#logins.take(this.#options.clock.now())) {
        try {
          this.#event("login.failed", facts);
        } catch {
          break; // The log has just failed; its gap entry says that records are missing.
        }
      }
    }
    this.#armLogins();
  }
}
