/** Syncs behind a COPY that has failed: nobody can tell whether it had read them, until a probe is answered. */
import type { TransactionStatus } from "./protocol/backend.ts";

/**
 * A probe is a Sync and a Close of the gateway's own. Each ReadyForQuery that comes before the Close is answered is that
 * of a doubtful Sync, save the last, which is the probe's.
 */
export class DoubtfulSyncs {
  /** Each of so many may still be answered. */
  #count = 0;
  #isProbing = false;
  /** The last ReadyForQuery since the probe was sent: the probe's own, unless another one follows. */
  #probedStatus: TransactionStatus | null = null;

  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** How much of the past is still to be answered is not known. */
  get isInDoubt(): boolean {
    return this.#count > 0 || this.#isProbing;
  }

  /** A COPY has failed that may have read so many. */
  begin(count: number): void {
    this.#count = count;
  }

  probeSent(): void {
    this.#isProbing = true;
  }

  /** A ReadyForQuery that nothing else has asked for is the answer to one of them; false: it cannot be. */
  answered(): boolean {
    if (this.#count === 0) return false;
    this.#count--;
    return true;
  }

  /** A ReadyForQuery came before the probe's Close was answered: answers with the one before it; null: it is the first. */
  heard(status: TransactionStatus): TransactionStatus | null {
    const before = this.#probedStatus;
    this.#probedStatus = status;
    return before;
  }

  /** The probe's Close was answered: no Sync is open any more. Answers with the probe's ReadyForQuery; null: none has come. */
  settle(): TransactionStatus | null {
    const status = this.#probedStatus;
    if (status === null) return null;
    this.#probedStatus = null;
    this.#isProbing = false;
    this.#count = 0;
    return status;
  }

  /** What came shows that none of them is still to be answered. */
  none(): void {
    this.#count = 0;
  }
}
