/** One operation on its way: the messages it is made of, the replies they will get, and the gate's calls about it. */
import type { Refusal } from "../../src/core/decision.ts";
import type { LimitObligation } from "../../src/core/obligation.ts";
import type { OperationParameters } from "../../src/core/operation.ts";
import type { Exchange, PendingApproval, Permit } from "../../src/core/ports.ts";
import type { Frame } from "../../src/wire/framer.ts";
import type { Analysis } from "./analysis.ts";
import type { ContentStage } from "./content/content-stage.ts";
import type { Evidence } from "./evidence/evidence.ts";
import type { EntryKind } from "./expected.ts";
import type { Output } from "./record/output.ts";
import type { Transcript } from "./record/transcript.ts";
import type { Closer } from "./refuse.ts";

/** How a refusal of this run is made: a pipeline is failed by one message, a request of its own also gets its end. */
export type RunForm = "request" | "pipelined";

/** What a run asks of its conversation, in the gate's order. */
export interface RunOwner {
  send(run: Run): void;
  released(run: Run): void;
  refuse(run: Run, refusal: Refusal, permit: Permit | null): void;
  pending(approval: PendingApproval): void;
  /** Its time is over. */
  overtime(run: Run, reason: Refusal): void;
  end(reason: Refusal): void;
}

/** A message to the server with the kind of reply it will get; null: it gets none (Flush). */
export type Message = {
  /** It lies between these places; what it came in holds others too. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly reply: EntryKind | null;
  /** Called when the server acknowledged it, or (false) skipped it, or it was never sent. */
  readonly settle: ((acknowledged: boolean) => void) | null;
};

/** A message of the gateway's own; without `settle` nobody needs to know when it is answered. */
export function ownMessage(bytes: Uint8Array, reply: Message["reply"], settle: Message["settle"] = null): Message {
  return { bytes, start: 0, end: bytes.length, reply, settle };
}

/** A client's message, as it came. */
export function clientMessage(frame: Frame, reply: Message["reply"], settle: Message["settle"]): Message {
  return { bytes: frame.bytes, start: frame.start, end: frame.end, reply, settle };
}

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
  /** The gateway's own, in the middle of a client's pipeline: an error in it is the pipeline's. */
  isInPipeline = false;
  /** Its turn has come: its messages were sent, or it was refused. */
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
  /** It is held to something that takes the server for itself. */
  isLimited = false;
  /** Its rows and bytes are counted. */
  isCounted = false;
  /** Masks what its rows hold. */
  content: ContentStage | null = null;
  /** Of a Bind or a FunctionCall that was collected, behind its names; or their digest. */
  parameters: OperationParameters | null = null;
  /** Seals what stands behind the masks of its rows before they go on; null: nothing does. */
  evidence: Evidence | null = null;
  /** Its text and parameters, about. Set once, before it waits for anything. */
  inputBytes = 0;
  /** What is written down of it, and of what the client gets. */
  transcript: Transcript | null = null;
  output: Output | null = null;
  /** It has passed a limit: `refusal` says which, and nothing that it did may stay. */
  isCut = false;
  /** It is through; what is sent for it now ends its transaction, or makes it fail. */
  isClosing = false;
  /** It stands in a transaction of the gateway's own. */
  isBracketed = false;
  /** The SQLSTATE with which it failed inside that; empty when it had none. */
  failure: string | null = null;
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
    const { limit } = permit.obligations;
    if (limit !== undefined && !this.isHouse) {
      this.isCounted = !this.onlyPrepares && countsRowsOrBytes(limit);
      this.isLimited = this.isCounted || limit.timeMs !== undefined;
    }
    // The gateway ends the transaction that it makes read only for it.
    if (permit.obligations.session?.readOnly === true && this.form === "request") this.isLimited = true;
    // Nothing behind it may be sent before its rows are sealed, so that it can still be stopped.
    if (needsRawRows(this, permit)) this.isLimited = true;
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
    this.isReleased = true;
    this.#owner.refuse(this, refusal, permit);
  }

  cancel(reason: Refusal): void {
    if (reason.code === "limit") this.#owner.overtime(this, reason);
    else this.#owner.end(reason);
  }
}

/** Masks stand before what it shows, and policy obliges to seal what is behind them. */
export function needsRawRows({ isHouse, onlyPrepares, analysis }: Run, { obligations }: Permit): boolean {
  if (isHouse || onlyPrepares || obligations.record?.includes("raw") !== true) return false;
  return (analysis?.masking?.raw.kind ?? "nothing") !== "nothing";
}

function countsRowsOrBytes({ rows, bytes, meters }: LimitObligation): boolean {
  return rows !== undefined || bytes !== undefined || (meters ?? []).some((meter) => meter.unit !== "calls");
}
