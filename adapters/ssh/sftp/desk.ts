/** What the requests of one channel have in common: both its sides, what is open, and how they end. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { Clock, Door, Outcome, Permit } from "../../../src/core/ports.ts";
import type { Recording } from "../../../src/core/recording.ts";
import type { Session } from "../../../src/core/session.ts";
import type { FileOperation } from "./file-operation.ts";
import type { OpenHandle, OpenHandles } from "./open-handles.ts";
import type { Packet } from "./protocol/packet-stream.ts";
import type { Status } from "./protocol/replies.ts";
import type { Resolver } from "./resolver.ts";
import type { TargetLink } from "./target-link.ts";
import type { Turn } from "./turns.ts";

export interface Desk {
  readonly door: Door;
  readonly session: Session;
  readonly clock: Clock;
  /** The account on the target. */
  readonly login: string;
  readonly lane: number;
  readonly link: TargetLink;
  readonly resolver: Resolver;
  readonly handles: OpenHandles;
  /** Nothing is sent or answered any more. */
  readonly hasEnded: boolean;
  toClient(bytes: Uint8Array): void;
  answer(id: number, status: Status): void;
  /** A refused request: its status, and a line on stderr for people. */
  deny(id: number, no: Refusal): void;
  /** Lines on stderr, as long as there are not too many. */
  tell(bytes: Uint8Array): void;
  /** The reply as it came, under the client's id. */
  pass(id: number, reply: Packet): void;
  /** Records an operation's end; a log that cannot take it ends the session. */
  finish(permit: Permit, outcome: Outcome): void;
  /** The client is not read until a recording has drained. */
  waitFor(recording: Recording): void;
  settle(turn: Turn): void;
  /** A judged request is over, or is a handle from now on. */
  over(operation: FileOperation): void;
  /** Its permit is alive until it is closed. */
  opened(handle: OpenHandle): void;
  /** A request on it has its reply. */
  answered(handle: OpenHandle): void;
  /** Does `work` and what it has made possible; what it throws ends the channel. */
  proceed(work: () => void): void;
  /** Ends the channel. */
  cancel(reason: Refusal): void;
  /** Has the target close a handle; `then` gets what it says, when all that was under way on it is through. */
  close(handle: OpenHandle, then: (status: Status) => void): void;
  /** Nothing more may be done with it; the client is told once. */
  revoke(handle: OpenHandle, reason: Refusal): void;
}
