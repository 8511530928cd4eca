/** The gateway's own transaction around a request: what the client gets only when that has ended, and in which order. */
import type { EntryKind } from "./expected.ts";
import { encodeReadyForQuery, type TransactionStatus } from "./protocol/backend.ts";
import { BACKEND, HEADER_BYTES } from "./protocol/types.ts";

const NOTHING = new Uint8Array(0);

export class Bracket {
  /** The last CommandComplete of the request: the client gets it when the transaction is committed. */
  #complete: Uint8Array | null = null;
  /** Reports of parameters that came behind it. */
  readonly #reports: Uint8Array[] = [];
  /** The transaction is being ended; and the server has said how that went. */
  #isEnding = false;
  #isAnswered = false;
  #overtakingSyncs = 0;

  get complete(): Uint8Array | null {
    return this.#complete;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** `body` is that of the CommandComplete. */
  hold(body: Uint8Array): void {
    this.#complete = encodeMessage(BACKEND.commandComplete, body);
  }

  /** `body` is that of the ParameterStatus. */
  holdReport(body: Uint8Array): void {
    this.#reports.push(encodeMessage(BACKEND.parameterStatus, body));
  }

  /** What was held back has its turn: the CommandComplete, or what the client gets instead (null: nothing), then reports. */
  take(complete: Uint8Array | null): readonly Uint8Array[] {
    this.#complete = null;
    const reports = this.#reports.splice(0);
    return complete === null ? reports : [complete, ...reports];
  }

  /** The session is over. */
  drop(): void {
    this.#complete = null;
  }

  /** The COMMIT or ROLLBACK is on its way. */
  ending(): void {
    this.#isEnding = true;
    this.#isAnswered = false;
  }

  answered(): void {
    this.#isAnswered = true;
  }

  /**
   * What the client gets instead of a ReadyForQuery; null: that one. Answers to Syncs that overtake the end of the
   * transaction come behind it, and with its status.
   */
  readyInTurn(kind: EntryKind, status: TransactionStatus): Uint8Array | null {
    if (!this.#isEnding) return null;
    if (kind !== "bracket") {
      this.#overtakingSyncs++;
      return NOTHING;
    }
    this.#isEnding = false;
    const count = this.#overtakingSyncs + 1;
    this.#overtakingSyncs = 0;
    return count === 1 ? null : Buffer.concat(Array.from({ length: count }, () => encodeReadyForQuery(status)));
  }
}

function encodeMessage(type: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + body.length);
  message[0] = type;
  new DataView(message.buffer).setInt32(1, body.length + 4);
  message.set(body, HEADER_BYTES);
  return message;
}
