/** The log as the gate sees it: records go into a ring in shared memory, a Worker makes them durable, and a failure refuses. */
import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
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
import type { WriterMessage, WriterSettings } from "./messages.ts";
import { type EventFacts, factsPiece } from "./pieces.ts";
import { RecordWriter } from "./record-writer.ts";
import {
  CONGESTED_BYTES,
  ORDER_ABANDON,
  ORDER_CLOSE,
  RingProducer,
  SharedRing,
  STATE_CLOSED,
  STATE_SERVING,
} from "./ring.ts";
import { LOG_FILE } from "./schema.ts";
import { Templates } from "./templates.ts";

/** The lock's file inside the data folder, beside the log's. */
const LOCK_FILE = "audit.lock";

/** A writer that has work and makes none of it durable for this long has failed. */
const SILENCE_MS_MAX = 5000;
const WATCH_MS = 250;
/** The first attempt to open the log again after a failure, and the longest wait between attempts. */
const REOPEN_MS_MIN = 100;
const REOPEN_MS_MAX = 5000;
/** A log that fails again within this time after it was opened again waits longer before the next attempt. */
const STABLE_MS = 10_000;
const CLOSE_MS_MAX = 10_000;
/** Ranges of lost records that are told apart; older ones are taken together. */
const LOST_RANGES_MAX = 256;

export type AuditOptions = {
  /** The gateway's data folder; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  /** The log's file grows to this and not beyond: then the log fails. Absent: only the disk bounds it. */
  readonly sizeBytesMax?: number;
  /** Starts the Worker that writes; absent: the one of this folder. */
  readonly startWriter?: (settings: WriterSettings) => Worker;
};

/** One writer with its ring and what it has been sent. */
type Link = {
  readonly worker: Worker;
  readonly exited: Promise<void>;
  readonly ring: SharedRing;
  readonly producer: RingProducer;
  readonly writer: RecordWriter;
  readonly templates: Templates;
};

type Waiter = { readonly sequence: Sequence; resolve(): void; reject(error: Error): void };

export class AuditLog implements Audit {
  readonly #options: AuditOptions;
  readonly #boot = randomBytes(16).toString("hex");
  readonly #lock: LogLock;
  #link: Link;
  #failure: AuditUnavailable | null = null;
  #closing = false;
  #handedOver: Sequence = 0;
  #durable: Sequence = 0;
  /** Ranges of sequences that were handed over and lost, each from the first to the last. */
  readonly #lost: { readonly from: Sequence; readonly to: Sequence }[] = [];
  #listener: () => void = () => {};
  readonly #waiters: Waiter[] = [];
  readonly #lag = new Lag();
  readonly #logins = new FailedLogins();
  #loginTimer: Timer | null = null;
  #watchTimer: Timer | null = null;
  #watched: Sequence = 0;
  #watchedAtMs = 0;
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
      await log.#started(log.#link);
    } catch (error) {
      lock.release();
      throw new Error(`the audit log in ${options.folder} cannot be opened: ${reasonOf(error)}`, { cause: error });
    }
    log.#listen(log.#link);
    return log;
  }

  /* ---- writing ---- */

  intent(operation: Operation, decision: Decision | "house", policy: Policy): Sequence {
    const { templates, writer } = this.#serving();
    const sequence = this.#handedOver + 1;
    const monoMs = performance.now();
    let isWritten: boolean;
    try {
      isWritten = writer.intent(sequence, this.#options.clock.now(), monoMs, {
        id: operation.id,
        refused: decision !== "house" && decision.kind === "deny",
        session: templates.session(operation.session),
        statement: templates.statement(operation),
        decision: templates.decision(decision, policy),
        text: operation.text,
        textSha256: operation.textSha256,
        parameters: operation.parameters,
      });
    } catch (error) {
      throw new AuditUnavailable(`the intent cannot be recorded: ${reasonOf(error)}`);
    }
    return this.#handed(isWritten, sequence, monoMs);
  }

  /** Throws AuditUnavailable also when the intent was lost with a failed writer: its operation must end. */
  outcome(intent: Sequence, outcome: Outcome): Sequence {
    const { writer } = this.#serving();
    if (this.#isLost(intent)) throw new AuditUnavailable("the operation's intent was lost when the log failed");
    const sequence = this.#handedOver + 1;
    const monoMs = performance.now();
    const isWritten = writer.outcome(sequence, this.#options.clock.now(), monoMs, intent, outcome);
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
    const { writer } = this.#serving();
    const sequence = this.#handedOver + 1;
    let isWritten: boolean;
    try {
      const piece = factsPiece(facts);
      isWritten = writer.event(sequence, this.#options.clock.now(), kind, piece.facts, piece.truncated);
    } catch (error) {
      throw new AuditUnavailable(`the event cannot be recorded: ${reasonOf(error)}`);
    }
    return this.#handed(isWritten, sequence, performance.now());
  }

  #serving(): Link {
    if (this.#failure !== null) throw this.#failure;
    if (this.#link.ring.state !== STATE_SERVING) {
      this.#fail("the log's writer has stopped");
      throw this.#failure ?? new AuditUnavailable("the log's writer has stopped");
    }
    return this.#link;
  }

  #handed(isWritten: boolean, sequence: Sequence, monoMs: number): Sequence {
    if (!isWritten) throw new AuditUnavailable("the log cannot keep up: its ring is full");
    this.#handedOver = sequence;
    this.#lag.handed(sequence, monoMs);
    if (this.#watchTimer === null) this.#watch();
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
    if (this.#failure === null && this.#link.ring.state !== STATE_SERVING && !this.#closing)
      this.#fail("the log's writer has stopped");
    return this.#failure;
  }

  /** So much waits for the writer that the gate should stop reading from clients. */
  get congested(): boolean {
    return this.#link.producer.usedBytes > CONGESTED_BYTES;
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
    if (this.#isLost(sequence)) throw new AuditUnavailable("the record was lost when the log failed");
    if (sequence <= this.durable) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }));
  }

  #isLost(sequence: Sequence): boolean {
    for (const { from, to } of this.#lost) if (sequence >= from && sequence <= to) return true;
    return false;
  }

  /* ---- closing ---- */

  /**
   * Makes all that was handed over durable, closes the log cleanly and gives up its lock. Rejects when it could not;
   * the lock is then kept until the process ends, if a writer may still be at work.
   */
  async close(): Promise<void> {
    if (this.#closing) return;
    let unclean = this.#failure;
    if (unclean === null) {
      try {
        for (const facts of this.#logins.take(null)) this.#event("login.failed", facts);
        this.#event("audit.closed", {});
      } catch (error) {
        unclean = new AuditUnavailable(reasonOf(error));
      }
    }
    this.#closing = true;
    for (const timer of [this.#loginTimer, this.#watchTimer, this.#reopenTimer])
      if (timer !== null) clearTimeout(timer);
    const hasEnded = await this.#endWriter();
    if (unclean === null && this.#link.ring.state !== STATE_CLOSED) {
      unclean = new AuditUnavailable("the log's writer did not end in time");
    }
    if (unclean === null) this.#durable = this.#handedOver;
    this.#failure = unclean ?? new AuditUnavailable("the log is closed");
    this.#settle();
    if (hasEnded) this.#lock.release();
    if (unclean !== null) throw unclean;
  }

  /** Has the writer finish; false when it did not in time. */
  async #endWriter(): Promise<boolean> {
    const { exited, ring } = this.#link;
    // A failed writer has its order already: to write nothing more. One that is being started ends when it serves.
    if (this.#failure === null) {
      ring.order = ORDER_CLOSE;
      ring.wake();
    }
    const tooLate = Promise.withResolvers<false>();
    const timer = setTimeout(() => tooLate.resolve(false), CLOSE_MS_MAX);
    const inTime = await Promise.race([Promise.all([exited, this.#reopening]).then(() => true), tooLate.promise]);
    clearTimeout(timer);
    return inTime;
  }

  /* ---- the writer ---- */

  #connect(after: WriterSettings["after"]): Link {
    const ring = SharedRing.create();
    ring.setDurable(after?.handedOver ?? 0);
    const settings: WriterSettings = {
      buffer: ring.buffer,
      path: join(this.#options.folder, LOG_FILE),
      boot: this.#boot,
      timeMs: this.#options.clock.now(),
      sizeBytesMax: this.#options.sizeBytesMax ?? null,
      after,
    };
    const worker = (this.#options.startWriter ?? startWriter)(settings);
    const producer = new RingProducer(ring);
    const writer = new RecordWriter(producer);
    const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    return { worker, exited, ring, producer, writer, templates: new Templates(writer) };
  }

  /** Resolves when a new writer serves; rejects with the reason when it cannot. */
  async #started({ worker }: Link): Promise<void> {
    const served = Promise.withResolvers<void>();
    const onMessage = (message: WriterMessage): void => {
      if (message.kind === "serving") served.resolve();
      else if (message.kind === "failed") served.reject(new Error(message.reason));
    };
    const onExit = (): void => served.reject(new Error("the log's writer died"));
    // Stays: what a writer that could not start says later must not end the gateway.
    worker.on("error", (error) => served.reject(new Error(`the log's writer died: ${reasonOf(error)}`)));
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    try {
      await served.promise;
    } finally {
      worker.off("message", onMessage);
      worker.off("exit", onExit);
    }
  }

  #listen(link: Link): void {
    const { worker, ring } = link;
    const isCurrent = (): boolean => this.#link === link && !this.#closing;
    worker.on("message", (message: WriterMessage) => {
      if (!isCurrent()) return;
      if (message.kind === "progress") {
        ring.takeNotice();
        this.#progress();
      } else if (message.kind === "failed") this.#fail(message.reason);
    });
    worker.on("error", (error) => {
      if (isCurrent()) this.#fail(`the log's writer died: ${reasonOf(error)}`);
    });
    worker.on("exit", () => {
      if (isCurrent()) this.#fail("the log's writer died");
    });
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

  /** Looks now and then, while something is outstanding, whether the writer still gets on with it. */
  #watch(): void {
    this.#watched = this.durable;
    this.#watchedAtMs = performance.now();
    const look = (): void => {
      const durable = this.durable;
      this.#watchTimer = null;
      if (this.failure !== null || durable >= this.#handedOver) return;
      const now = performance.now();
      if (durable > this.#watched) {
        this.#watched = durable;
        this.#watchedAtMs = now;
      } else if (now - this.#watchedAtMs > SILENCE_MS_MAX) {
        return this.#fail(`the log's writer has not answered for ${SILENCE_MS_MAX / 1000} s`);
      }
      this.#watchTimer = setTimeout(look, WATCH_MS);
    };
    this.#watchTimer = setTimeout(look, WATCH_MS);
  }

  /* ---- failure and recovery ---- */

  /** From here on nothing is accepted and nothing more is acknowledged, until another writer has taken over. */
  #fail(reason: string): void {
    if (this.#failure !== null || this.#closing) return;
    const { ring } = this.#link;
    const durable = this.durable;
    this.#failure = new AuditUnavailable(`the audit log has failed: ${reason}`);
    ring.order = ORDER_ABANDON;
    ring.wake();
    this.#lose(durable + 1, this.#handedOver);
    if (performance.now() - this.#reopenedAtMs > STABLE_MS) this.#reopenMs = REOPEN_MS_MIN;
    // Not at once: the failure may have been found inside a call from the listener. It comes before the log is opened again.
    queueMicrotask(() => {
      this.#progress();
      this.#reopenLater({ reason, durable, handedOver: this.#handedOver, buffer: ring.buffer });
    });
  }

  #lose(from: Sequence, to: Sequence): void {
    if (to < from) return;
    this.#lost.push({ from, to });
    const [first, second] = this.#lost;
    if (this.#lost.length <= LOST_RANGES_MAX || first === undefined || second === undefined) return;
    // What lies between the two counts as lost too: its operations would have to have run since before them.
    this.#lost.splice(0, 2, { from: first.from, to: second.to });
  }

  #reopenLater(after: NonNullable<WriterSettings["after"]>): void {
    if (this.#closing) return;
    this.#reopenTimer = setTimeout(() => {
      this.#reopening = this.#reopen(after);
    }, this.#reopenMs);
    this.#reopenMs = Math.min(this.#reopenMs * 2, REOPEN_MS_MAX);
  }

  async #reopen(after: NonNullable<WriterSettings["after"]>): Promise<void> {
    const link = this.#connect(after);
    try {
      await this.#started(link);
    } catch {
      return this.#reopenLater(after);
    }
    if (this.#closing) {
      link.ring.order = ORDER_CLOSE;
      link.ring.wake();
      await link.exited;
      return;
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

function startWriter(settings: WriterSettings): Worker {
  // The form that src/release/workers.ts finds: in a compiled binary the writer lies beside the rest.
  return new Worker(new URL("./writer.ts", import.meta.url), { workerData: settings });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
