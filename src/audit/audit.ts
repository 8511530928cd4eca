/** The log as the gate sees it: records go into a ring in shared memory, a Worker makes them durable, and a failure refuses. */
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
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
import { SilenceWatch } from "../core/silence-watch.ts";
import type { SessionId } from "../core/session.ts";
import { Lag } from "./lag.ts";
import { LogLock } from "./lock.ts";
import { BALLAST_FILE, Ballast } from "./ballast.ts";
import { LostRecords } from "./lost.ts";
import type { Pruned, RotatedKey, SignedCheckpoint, WriterSettings } from "./messages.ts";
import { type EventFacts, factsPiece } from "./pieces.ts";
import { messageOf } from "../core/message-of.ts";
import { Repeats } from "./repeats.ts";
import type { ChoreKind } from "./record-layout.ts";
import { LOG_FILE } from "./schema.ts";
import { SigningTimes } from "./signing-times.ts";
import { Waiters } from "./waiters.ts";
import { WriterDesk } from "./writer-desk.ts";
import { type Serving, type StartWriter, WriterLink } from "./writer-link.ts";

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
/** A writer that has work and makes none of it durable for this long has failed. */
const SILENCE_MS_MAX = 5000;
/** How often the log is signed while it grows, and when silence is worth an entry. */
const CHECKPOINT_MS = 5000;
const HEARTBEAT_MS = 60_000;
/** What is older than the retention is pruned some time after the start, and daily. */
const FIRST_PRUNE_MS = 60_000;
const PRUNE_MS = 24 * 60 * 60 * 1000;
/** What is known of a failure by whoever finds it before the writer's message comes. */
const STOPPED = "the log's writer has stopped";

export type AuditOptions = {
  /** The gateway's data folder; made when it is not there. */
  readonly folder: string;
  readonly clock: Clock;
  /** The origin of a new log, the name in its checkpoints; a log that is there keeps its own. */
  readonly origin: string;
  /**
   * The owner accepts that the log has lost entries that it once signed, or its key: if it has, it goes on under a new
   * origin (`name/2`), and an entry says so. Absent: a log that has lost anything is not opened.
   */
  readonly isLossAccepted?: boolean;
  /** Do operations wait for their intents to be durable? Absent: yes. No: intents are gathered for some milliseconds. */
  readonly intentsAreAwaited?: boolean;
  /** The log's file grows to this and not beyond: then the log fails. Absent: only the disk bounds it. */
  readonly sizeBytesMax?: number;
  /** Entries older than this are pruned. Absent or null: none are. */
  readonly retentionMs?: number | null;
  /** False while nobody knows what time it is: nothing is old then. Absent: it is known. */
  readonly isTimeKnown?: () => boolean;
  /** There are witnesses: what they have not signed yet is not pruned. */
  readonly isWitnessed?: boolean;
  /** For tests: how often the log is signed, and after which silence; how long what nobody awaits is gathered. */
  readonly checkpointMs?: number;
  readonly heartbeatMs?: number;
  readonly gatherMs?: number;
  /** Starts the Worker that writes; absent: the one of this folder. */
  readonly startWriter?: StartWriter;
};

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
  readonly #ballast: Ballast;
  /** The log was closed in order on a full disk, and waits for room. */
  #isOutOfRoom = false;
  #listener: () => void = () => {};
  readonly #waiters = new Waiters();
  readonly #lag = new Lag();
  readonly #repeats: Repeats;
  readonly #silence = new SilenceWatch({
    silenceMsMax: SILENCE_MS_MAX,
    done: () => this.durable,
    given: () => this.#handedOver,
    onSilence: () => this.#fail(`the log's writer has not answered for ${SILENCE_MS_MAX / 1000} s`),
  });
  /** What the writer said when it last started. */
  #serves: Serving | null = null;
  readonly #desk = new WriterDesk();
  readonly #signing: SigningTimes;
  #pruneTimer: Timer | null = null;
  #reopenMs = REOPEN_MS_MIN;
  #reopenTimer: Timer | null = null;
  #reopening: Promise<void> | null = null;
  #reopenedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(options: AuditOptions, lock: LogLock, ballast: Ballast) {
    this.#options = options;
    this.#lock = lock;
    this.#ballast = ballast;
    this.#link = this.#connect(null);
    this.#repeats = new Repeats({
      now: () => options.clock.now(),
      isServing: () => this.failure === null,
      record: (kind, facts) => this.#event(kind, facts),
    });
    this.#signing = new SigningTimes({
      checkpointMs: options.checkpointMs ?? CHECKPOINT_MS,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
      ask: (what) => this.#tryChore(what),
    });
  }

  /**
   * Opens the log in a folder, creating it if there is none: takes its lock, has its root recomputed and closes what
   * an earlier run left open. Rejects with a sentence for people when any of this cannot be done.
   */
  static async open(options: AuditOptions): Promise<AuditLog> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    // Made here so that nobody else can read it; SQLite gives its own side files the same mode.
    for (const path of [LOG_FILE, LOCK_FILE].map((name) => join(options.folder, name)))
      if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    const lock = new LogLock(join(options.folder, LOCK_FILE));
    let log: AuditLog | null = null;
    try {
      const ballast = new Ballast(join(options.folder, BALLAST_FILE));
      ballast.hold();
      log = new AuditLog(options, lock, ballast);
      log.#started(await log.#link.started());
    } catch (error) {
      if (log !== null) log.#signing.stop();
      lock.release();
      throw new Error(`the audit log in ${options.folder} cannot be opened: ${messageOf(error)}`, { cause: error });
    }
    log.#listen(log.#link);
    log.#pruneLater(FIRST_PRUNE_MS);
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
      throw new AuditUnavailable(`the intent cannot be recorded: ${messageOf(error)}`);
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
   * What one sender could have recorded without end (see repeats.ts) is counted after the first of a minute; the counts
   * follow when the minute is over. The sequence of what was counted is that of the last record handed over.
   */
  event(kind: EventKind, facts: EventFacts): Sequence {
    this.#serving();
    return this.#repeats.isRecorded(kind, facts) ? this.#event(kind, facts) : this.#handedOver;
  }

  #event(kind: EventKind | "audit.closed", facts: EventFacts): Sequence {
    const { records } = this.#serving();
    const sequence = this.#handedOver + 1;
    let isWritten: boolean;
    try {
      const piece = factsPiece(facts);
      isWritten = records.event(sequence, this.#options.clock.now(), kind, piece.facts, piece.truncated);
    } catch (error) {
      throw new AuditUnavailable(`the event cannot be recorded: ${messageOf(error)}`);
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
    this.#signing.handed();
    return sequence;
  }

  /* ---- checkpoints, keys, pruning ---- */

  /** The name in the log's checkpoints. */
  get origin(): string {
    return this.#serves?.origin ?? this.#options.origin;
  }

  /** The newest checkpoint, signed by the log alone; null before the log was opened. */
  get checkpoint(): SignedCheckpoint | null {
    return this.#desk.checkpoint;
  }

  /** Calls back with every checkpoint, and at once with the newest. Returns how to stop that. A callback may not throw. */
  onCheckpoint(callback: (checkpoint: SignedCheckpoint) => void): () => void {
    return this.#desk.onCheckpoint(callback);
  }

  /** Keeps a checkpoint with the signatures of witnesses. Throws AuditUnavailable. */
  keepCosigned(size: number, note: string): void {
    this.#chore("cosigned", size, Buffer.from(note));
  }

  /** Keeps an RFC 3161 token over the checkpoint of a size. Throws AuditUnavailable. */
  keepStamp(size: number, token: Uint8Array): void {
    this.#chore("stamp", size, token);
  }

  /**
   * Exchanges the log's key: an entry names both, and the next checkpoint is signed by both. Resolves with the verifier
   * keys when the old private key is gone; rejects when the log fails before.
   */
  async rotateKey(): Promise<RotatedKey> {
    this.#chore("rotate");
    return this.#desk.rotated();
  }

  /**
   * Takes away the entries below an index, as far as none of them is open (nor, when there are witnesses, not signed by
   * them yet), by whole tiles of 256. Resolves when the entry that says so is durable; what it names is then deleted in
   * small steps, by the next run if need be. Rejects when the log fails before.
   */
  async prune(before: number): Promise<Pruned> {
    this.#chore("pruneBefore", before);
    return this.#desk.pruned();
  }

  #chore(kind: ChoreKind, number = 0, data: Uint8Array = new Uint8Array(0)): void {
    const { records } = this.#serving();
    let isWritten: boolean;
    try {
      isWritten = records.chore(kind, this.#options.clock.now(), number, data);
    } catch (error) {
      throw new AuditUnavailable(`the log cannot keep this: ${messageOf(error)}`);
    }
    if (!isWritten) throw new AuditUnavailable("the log cannot keep up: its ring is full");
    // What the writer records for it is to be signed too.
    if (kind === "pruneBefore" || kind === "pruneOlder") this.#signing.handed();
  }

  /** What is asked for again later is left out when the log does not work. */
  #tryChore(kind: ChoreKind, number = 0): boolean {
    if (this.failure !== null || this.#closed !== null) return false;
    try {
      this.#chore(kind, number);
      return true;
    } catch {
      return false;
    }
  }

  #pruneLater(durationMs: number): void {
    const { retentionMs, clock, isTimeKnown = () => true } = this.#options;
    if (retentionMs === undefined || retentionMs === null) return;
    this.#pruneTimer = setTimeout(() => {
      // Nobody waits for it: when the log fails meanwhile, tomorrow will do.
      if (isTimeKnown() && this.#tryChore("pruneOlder", clock.now() - retentionMs))
        void this.#desk.pruned().catch(() => {});
      this.#pruneLater(PRUNE_MS);
    }, durationMs);
    this.#pruneTimer.unref();
  }

  #started(serving: Serving): void {
    this.#serves = serving;
    this.#desk.signed(serving.checkpoint);
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
    await this.#waiters.wait(sequence);
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
        this.#repeats.finish();
        this.#event("audit.closed", {});
        this.#chore("checkpoint");
        this.#link.close();
      } catch (error) {
        // Failed just now, and told by #fail to write nothing more; or its ring is full, and it goes on with that.
        unclean = new AuditUnavailable(messageOf(error));
        if (this.#failure === null) this.#link.close();
      }
    }
    this.#silence.stop();
    this.#signing.stop();
    this.#repeats.stop();
    for (const timer of [this.#reopenTimer, this.#pruneTimer]) if (timer !== null) clearTimeout(timer);
    const hasEnded = await this.#writerEnds();
    if (unclean === null && !this.#link.isClosed) {
      unclean = new AuditUnavailable(
        `the log's writer ${hasEnded ? "failed while it closed the log" : "does not end"}`,
      );
    }
    if (unclean === null) this.#durable = this.#handedOver;
    this.#failure = unclean ?? new AuditUnavailable("the log is closed");
    this.#settle();
    this.#desk.forsake(this.#failure);
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
    const { folder, clock, sizeBytesMax, gatherMs, startWriter } = this.#options;
    const settings = {
      folder,
      origin: this.#options.origin,
      isWitnessed: this.#options.isWitnessed ?? false,
      // Of the file as it was at the start: what a later writer finds lost was lost in this run.
      isLossAccepted: after === null && this.#options.isLossAccepted === true,
      boot: this.#boot,
      timeMs: clock.now(),
      sizeBytesMax: sizeBytesMax ?? null,
      gatherMs: gatherMs ?? null,
      after,
    };
    return new WriterLink(settings, startWriter);
  }

  #listen(link: WriterLink): void {
    const isCurrent = (): boolean => this.#link === link && this.#closed === null;
    link.listen({
      progress: () => {
        if (isCurrent()) this.#progress();
      },
      // The last checkpoint comes while the log is being closed.
      news: (news) => {
        if (this.#link === link) this.#desk.heard(news);
      },
      failure: (reason) => {
        if (isCurrent()) this.#fail(reason);
      },
    });
  }

  #progress(): void {
    this.#settle();
    this.#listener();
  }

  #settle(): void {
    const durable = this.durable;
    this.#lag.prune(durable);
    this.#waiters.settle(durable, this.#failure);
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
    const failure = this.#failure;
    queueMicrotask(() => {
      this.#desk.forsake(failure);
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
    if (this.#isOutOfRoom) {
      try {
        this.#ballast.hold();
        this.#isOutOfRoom = false;
      } catch {
        return this.#reopenLater(failed, durable);
      }
    }
    const link = this.#connect({
      reason: this.#failedBecause,
      durable,
      handedOver: this.#handedOver,
      buffer: failed.ring.buffer,
    });
    let serving: Serving;
    try {
      serving = await link.started();
    } catch {
      // Perhaps for want of room.
      this.#ballast.release();
      return this.#reopenLater(failed, durable);
    }
    if (this.#closed !== null) {
      link.close();
      return link.exited;
    }
    try {
      this.#ballast.hold();
    } catch (error) {
      // What was open is closed and the gap is recorded; for anything new there is no room.
      this.#isOutOfRoom = true;
      this.#failure = new AuditUnavailable(`the audit log has failed: ${messageOf(error)}`);
      link.close();
      await link.exited;
      return this.#reopenLater(failed, durable);
    }
    this.#link = link;
    this.#listen(link);
    this.#durable = this.#handedOver;
    this.#failure = null;
    this.#reopenedAtMs = performance.now();
    this.#started(serving);
    this.#lag.clear();
    this.#progress();
  }
}
