/** One operation on its way: the messages it is made of, the replies they will get, and the gate's calls about it. */
import type { Refusal } from "../../src/core/decision.ts";
import type { Exchange, PendingApproval, Permit } from "../../src/core/ports.ts";
import type { Analysis } from "./analysis.ts";
import type { Closer } from "./refuse.ts";
import type { EntryKind } from "./replies.ts";

/** How a refusal of this run is made: a pipeline is failed by one message, a request of its own also gets its end. */
export type RunForm = "request" | "pipelined";

/** What a run asks of its conversation, in the gate's order. */
export interface RunOwner {
  send(run: Run): void;
  released(run: Run): void;
  refuse(run: Run, refusal: Refusal, permit: Permit | null): void;
  pending(approval: PendingApproval): void;
  end(reason: Refusal): void;
}

/** A message to the server with the kind of reply it will get; null: it gets none (Flush). */
export type Message = {
  readonly bytes: Uint8Array;
  readonly reply: EntryKind | null;
  /** Called when the server acknowledged it, or (false) skipped it, or it was never sent. */
  readonly settle: ((acknowledged: boolean) => void) | null;
};

export class Run implements Exchange {
  readonly form: RunForm;
  readonly isHouse: boolean;
  /** What it does; null for the gateway's own statements. */
  readonly analysis: Analysis | null;
  /** Sent when it starts. */
  readonly messages: Message[] = [];
  /** Housekeeping that came after it while it waited; sent behind it under the session's own permit. */
  readonly trailer: Message[] = [];
  permit: Permit | null = null;
  isStarted = false;
  /** Its messages were written to the server. */
  isSent = false;
  isReleased = false;
  hasEnded = false;
  refusal: Refusal | null = null;
  /** PostgreSQL's closer word for a refusal of this run. */
  closer: Closer | null = null;
  rows: number | null = null;
  replyBytes = 0;
  /** How many of its statements the server has completed. */
  statementsDone = 0;
  /** Parse and nothing that plans or runs it: it changes nothing about the session. */
  onlyPrepares = false;
  /** While it is under way, no further text is read: it may change how. */
  isBarrier = false;
  readonly #owner: RunOwner;

  constructor(owner: RunOwner, form: RunForm, analysis: Analysis | null, isHouse = false) {
    this.#owner = owner;
    this.form = form;
    this.analysis = analysis;
    this.isHouse = isHouse;
  }

  start(permit: Permit): void {
    this.permit = permit;
    this.isStarted = true;
    this.#owner.send(this);
  }

  release(): void {
    this.isReleased = true;
    this.#owner.released(this);
  }

  pending(approval: PendingApproval): void {
    this.#owner.pending(approval);
  }

  refuse(refusal: Refusal, permit: Permit | null): void {
    this.refusal = refusal;
    this.permit = permit;
    this.isStarted = true;
    this.isReleased = true;
    this.#owner.refuse(this, refusal, permit);
  }

  cancel(reason: Refusal): void {
    this.#owner.end(reason);
  }
}
