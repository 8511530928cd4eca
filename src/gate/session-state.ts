/** What the gate keeps for an open session: its operations that wait or run, and its recordings. */
import type { Decision, Refusal } from "../core/decision.ts";
import type { Obligations, Requirement } from "../core/obligation.ts";
import type { Accesses, Operation } from "../core/operation.ts";
import type { Exchange } from "../core/ports.ts";
import type { RecordingFailed, SessionRecording } from "../core/recording.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Asking } from "./asking.ts";
import type { MintedPermit } from "./permit.ts";
import { SessionHolds } from "./session-holds.ts";

export const NOTHING_MET: readonly Requirement[] = Object.freeze([]);

/** A decision with what follows from it, kept for a session until policy or time can change it. */
export type Judgement = {
  readonly decision: Decision;
  readonly epoch: number;
  readonly untilMs: TimeMs;
  readonly isPureRead: boolean;
};

/** Operations that are started in the order of their submission. */
export class Lane {
  /** First in, first out: nothing overtakes. */
  readonly queue: Waiting[] = [];
  /** How many in the queue have not been started; while there are none, a new one may start early. */
  unstarted = 0;
}

/** An operation whose turn has not come: people are asked, its recording is begun, or its record is on the way to the disk. */
export type Waiting = {
  readonly operation: Operation;
  readonly exchange: Exchange;
  readonly lane: Lane;
  state: "asking" | "opening" | "recording" | "ready";
  refusal: Refusal | null;
  permit: MintedPermit | null;
  /** Started before it was durable (a pure read in `release`); only release() is still to come. */
  startedEarly: boolean;
  /** The question to people, while it waits for their answer. */
  asking: Asking | null;
  /** Its own, when it is a terminal. */
  recording: SessionRecording | null;
  /** What people have done for it: policy that asks for no more lets it go. */
  met: readonly Requirement[];
};

/** A started operation that lasts, with what it takes to judge it again. */
export type Lasting = {
  readonly operation: Operation;
  readonly exchange: Exchange;
  readonly obligations: Obligations;
  readonly met: readonly Requirement[];
};

/** What the gate keeps for an open session. */
export class SessionState {
  readonly session: Session;
  readonly lane = new Lane();
  /** Those that operations have named; one that is empty is forgotten. */
  readonly #lanes = new Map<number, Lane>();
  readonly permits = new Set<MintedPermit>();
  readonly lasting = new Map<MintedPermit, Lasting>();
  readonly judgements = new WeakMap<Accesses, Judgement>();
  readonly cancel = new AbortController();
  readonly holds: SessionHolds;
  /** The one recording of the session; null until an operation that obliges to record was let through. */
  recording: SessionRecording | null = null;
  opening: Promise<SessionRecording> | null = null;
  /** Why one of its recordings could not go on: the session is being ended, and nothing more that must be recorded starts. */
  failure: RecordingFailed | null = null;

  constructor(session: Session) {
    this.session = session;
    this.holds = new SessionHolds(session.openedAtMs);
  }

  /** Nothing is under way but the session itself, and what lasts. */
  get isIdle(): boolean {
    return this.permits.size - this.lasting.size <= 1 && this.waiting.next().done === true;
  }

  get waiting(): IterableIterator<Waiting> {
    return this.#waiting();
  }

  laneOf({ lane: number }: Operation): Lane {
    if (number === undefined) return this.lane;
    let lane = this.#lanes.get(number);
    if (lane === undefined) this.#lanes.set(number, (lane = new Lane()));
    return lane;
  }

  /** Forgets an operation's lane when nothing waits in it. */
  leave({ lane: number }: Operation): void {
    if (number !== undefined && this.#lanes.get(number)?.queue.length === 0) this.#lanes.delete(number);
  }

  *#waiting(): Generator<Waiting, undefined> {
    yield* this.lane.queue;
    for (const lane of this.#lanes.values()) yield* lane.queue;
  }
}

/** Puts an operation at the end of its lane. */
export function queued(
  state: SessionState,
  operation: Operation,
  exchange: Exchange,
  step: Waiting["state"],
  startedEarly = false,
): Waiting {
  const lane = state.laneOf(operation);
  const waiting: Waiting = {
    operation,
    exchange,
    lane,
    state: step,
    refusal: null,
    permit: null,
    startedEarly,
    asking: null,
    recording: null,
    met: NOTHING_MET,
  };
  if (!startedEarly) lane.unstarted++;
  lane.queue.push(waiting);
  return waiting;
}
