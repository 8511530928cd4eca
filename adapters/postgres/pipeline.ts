/** What a client has sent since its last Sync, and what of all it sent has not begun: which messages belong together, and which must wait. */
import type { OperationParameters } from "../../src/core/operation.ts";
import type { Analysis } from "./analysis.ts";
import { Run, type Message, type RunOwner } from "./run.ts";

/** Messages of the extended protocol that belong to one operation and wait for the one that completes it. */
export type Unit = {
  readonly run: Run;
  readonly analysis: Analysis;
  kind: "prepare" | "bind";
  parameters: OperationParameters | null;
};

export class Pipeline {
  #unit: Unit | null = null;
  #unstartedRuns = 0;
  #unstartedBytes = 0;
  #lastUnstarted: Run | null = null;
  #barriers = 0;
  #segment = 0;
  #isOpen = false;
  #lastWork: Run | null = null;
  #mayEnd = false;

  /** Counts Syncs, and what ends a segment as they do. */
  get segment(): number {
    return this.#segment;
  }

  /** The client has sent messages since its last Sync. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get unit(): Unit | null {
    return this.#unit;
  }

  /** Operations that wait for their record, or their turn. */
  get unstartedRuns(): number {
    return this.#unstartedRuns;
  }

  /** Of their texts and parameters. */
  get unstartedBytes(): number {
    return this.#unstartedBytes;
  }

  /** Something is under way that may change how the next text is read, or what the next name means. */
  get hasBarrier(): boolean {
    return this.#barriers > 0;
  }

  /** The last operation since the last Sync in a transaction that a Sync would end, if none was open before. */
  get lastWork(): Run | null {
    return this.#lastWork;
  }

  /* ---- messages that belong together ---- */

  openUnit(owner: RunOwner, analysis: Analysis, kind: Unit["kind"]): Unit {
    this.#isOpen = true;
    this.#unit ??= { run: new Run(owner, "pipelined", analysis), analysis, kind, parameters: null };
    if (kind === "bind") this.#unit.kind = "bind";
    return this.#unit;
  }

  /** The unit is complete, or will not be completed. */
  takeUnit(): Unit | null {
    const unit = this.#unit;
    this.#unit = null;
    return unit;
  }

  /** Housekeeping keeps its place behind what has not begun. False: nothing waits before it. */
  keepBehind(message: Message): boolean {
    if (message.reply !== "sync") this.#isOpen = true;
    if (this.#unit !== null) this.#unit.run.messages.push(message);
    else if (this.#lastUnstarted !== null) this.#lastUnstarted.trailer.push(message);
    else return false;
    return true;
  }

  /* ---- segments ---- */

  open(): void {
    this.#isOpen = true;
  }

  /** A Sync, or what ends a segment as it does. */
  next(): void {
    this.#segment++;
    this.#isOpen = false;
    this.#mayEnd = false;
    this.#lastWork = null;
  }

  /** A Sync came to a COPY, which ignores it, unless it had failed by then. */
  syncToCopy(): void {
    this.#mayEnd = true;
  }

  /** The Syncs behind `run` have ended nothing: it is a COPY. */
  syncsIgnored(run: Run | null): void {
    this.#isOpen = true;
    this.#mayEnd = true;
    this.#lastWork = run;
  }

  /** The last Sync was not sure to end the segment. */
  get mayEnd(): boolean {
    return this.#mayEnd;
  }

  /** A pipelined operation goes to the gate. */
  submitted(run: Run): void {
    this.#isOpen = true;
    if (!run.onlyPrepares) this.#lastWork = run;
  }

  /** This operation has ended its transaction. */
  transactionEnded(run: Run): void {
    if (this.#lastWork === run) this.#lastWork = null;
  }

  /* ---- what has not begun ---- */

  unstarted(run: Run): void {
    this.#unstartedRuns++;
    this.#unstartedBytes += run.inputBytes;
    this.#lastUnstarted = run;
  }

  started(run: Run): void {
    this.#unstartedRuns--;
    this.#unstartedBytes -= run.inputBytes;
    run.isStarted = true;
  }

  /** What comes now keeps its place without it. */
  trailerSent(run: Run): void {
    if (this.#lastUnstarted === run) this.#lastUnstarted = null;
  }

  raiseBarrier(run: Run): void {
    run.isBarrier = true;
    this.#barriers++;
  }

  liftBarrier(run: Run): void {
    if (!run.isBarrier) return;
    run.isBarrier = false;
    this.#barriers--;
  }
}
