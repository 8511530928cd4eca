/** What becomes of a server's replies: what their reader asks of the conversation. */
import type { Evidence } from "./evidence/evidence.ts";
import type { Entry } from "./expected.ts";
import type { TransactionStatus } from "./protocol/backend.ts";
import type { Run } from "./run.ts";

/** What the conversation does about replies; called in the order of the server's stream. */
export interface ReplyHandler {
  forward(bytes: Uint8Array, start: number, end: number): void;
  /** A run has ended; false: the session must end now, before anything more is forwarded. */
  ended(run: Run, status: "done" | "failed" | "skipped", code: string | null): boolean;
  /** The server refused the message that was made to fail; answers with what the client sees instead. */
  refusalFor(entry: Entry): Uint8Array;
  /** CommandComplete or EmptyQueryResponse of one statement of a run. */
  statementDone(run: Run): void;
  /** ReadyForQuery; `isHouse` when it answers the gateway's own statements. */
  ready(status: TransactionStatus, isHouse: boolean): void;
  /** A COPY FROM STDIN has begun that may be sent data. */
  copyInBegun(run: Run): void;
  /** The Syncs sent behind an Execute have ended nothing: it is a COPY, which reads them as data. */
  syncsIgnored(): void;
  /** The last Syncs were not read as COPY data after all. */
  syncsTaken(): void;
  parameter(name: string, value: string): void;
  /** Replies to the gateway's own statements. */
  houseRow(run: Run, body: Uint8Array): void;
  /** An error that fails a transaction was seen. */
  failed(): void;
  /** Counts what is to be forwarded for an operation under limits; false: not this, and nothing more of its rows. */
  spend(run: Run, rows: number, bytes: number): boolean;
  /** An operation that was cut has come to its end all the same: now the server must be made to fail. */
  outlived(run: Run): void;
  /** The request inside the gateway's own transaction is through: commit it, or roll it back. */
  closeBracket(run: Run, commits: boolean): void;
  /** What was put before a request failed, so the server skips the request: a Sync must follow. */
  requestSkipped(): void;
  /** The server has said that it ends the session. */
  fatal(): void;
  /** What stands behind the masks of gathered rows must be sealed before they go on: then comes resume(). */
  sealRows(run: Run, evidence: Evidence): void;
  /** What stands behind masks cannot be sealed, for this reason: nothing of the operation may go on. */
  unsealed(run: Run, because: string): void;
  /** Nothing of it may go on, for this reason: the session ends, and this throws. */
  stop(run: Run | null, because: string): never;
}

/** The server sent what it may not send now: nothing after it can be trusted. */
export class ReplyViolation extends Error {
  readonly code = "REPLY_VIOLATION";
}
