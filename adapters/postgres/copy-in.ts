/** A COPY FROM STDIN under way: which of the Syncs around it the server has read as COPY data, as far as that is known. */
import type { Run } from "./run.ts";

/** The words of the CopyFail that tells whether a COPY still reads: they come back if it does. */
export const NO_PLACE_IN_COPY = "a message came that has no place in COPY data";

/*
 * What PostgreSQL does with what it is sent, in the order in which it was sent (tcop/postgres.c, PostgresMain and
 * SocketBackend; commands/copyfromparse.c, CopyGetData). It depends on that order alone, never on when bytes come.
 *
 * ready      CopyData, CopyDone, CopyFail: ignored. Sync: ReadyForQuery. Flush: no answer.
 *            An error in a message of the extended protocol: ErrorResponse, then `skipping`.
 *            An error in a Query or FunctionCall: ErrorResponse, ReadyForQuery, then `ready`.
 * skipping   Everything is ignored up to the next Sync, a Query too; that Sync: ReadyForQuery, then `ready`.
 * copying    Begins with CopyInResponse, which is flushed at once. What is read next is what comes behind the Query or
 *            Execute, also what was sent before anybody could know that it is a COPY. Nothing is read until a row is
 *            wanted: triggers, and checks such as that the relation is no view, come first and may fail.
 *            CopyData: rows. Flush, Sync: ignored, and the next message is read at once. CopyDone: the COPY succeeds or
 *            fails, and reads no more. CopyFail: it fails with these words. Any other message: ErrorResponse, and since
 *            that message was read in half only, a second one, FATAL.
 *            Success (only behind CopyDone): CommandComplete, and the Query goes on, perhaps with another COPY.
 *            Failure: as any error of its Query or Execute; what was not read is then read as `ready` or `skipping`.
 *
 * So when a COPY fails, whether a Sync that was sent behind it is answered depends on whether it was read:
 * - With nothing but Flushes behind it, it was not: the server would still wait for what comes next.
 * - With a message behind it that is no COPY data, it was not: the session would have ended over that message.
 * - With COPY data behind it nobody can tell: the failure came before the server read anything, or later.
 */
export class CopyIn {
  readonly run: Run;
  /** Syncs sent since the last data: after a failure they are answered. */
  #unreadSyncs: number;
  /** Syncs sent before data: after a failure some of the last of them may be answered. */
  #doubtfulSyncs = 0;
  #end: "none" | "sent" | "givenUp" = "none";

  /** `syncs` were sent behind it before it was known to be a COPY. */
  constructor(run: Run, syncs: number) {
    this.run = run;
    this.#unreadSyncs = syncs;
  }

  get unreadSyncs(): number {
    return this.#unreadSyncs;
  }

  get doubtfulSyncs(): number {
    return this.#doubtfulSyncs;
  }

  /** It may still be sent data. */
  get isOpen(): boolean {
    return this.#end === "none";
  }

  get isGivenUp(): boolean {
    return this.#end === "givenUp";
  }

  /** What is sent behind its end can be understood only when it is known how it ended. */
  get holdsBack(): boolean {
    return this.#end === "givenUp" || (this.#end === "sent" && this.#doubtfulSyncs > 0);
  }

  syncSent(): void {
    this.#unreadSyncs++;
  }

  dataSent(isEnd: boolean): void {
    this.#doubtfulSyncs += this.#unreadSyncs;
    this.#unreadSyncs = 0;
    if (isEnd) this.#end = "sent";
  }

  /**
   * A CopyFail of the gateway's own was sent. If the COPY fails with its words, the server has read all that was sent;
   * if it has failed by itself, none of the Syncs right before it were read.
   */
  giveUp(): void {
    this.#end = "givenUp";
  }
}
