/** What a channel holds open: the gateway's own names for the target's handles, each with the permit that it runs under. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { Outcome, Permit } from "../../../src/core/ports.ts";
import type { OperationLines } from "./operation-lines.ts";
import { getUint32, putUint32 } from "./protocol/fields.ts";
import { OPEN_HANDLES_MAX } from "./protocol/limits.ts";
import { FX, statusName } from "./protocol/types.ts";
import type { Transfer } from "./transfer.ts";

const TOKEN_BYTES = 4;

/** A file or a folder between its OPEN or OPENDIR and its CLOSE. */
export class OpenHandle {
  readonly permit: Permit;
  /** The target's own. */
  readonly target: Uint8Array;
  /** All names that it was judged by; the last one is where it leads. */
  readonly paths: readonly string[];
  readonly mayRead: boolean;
  readonly mayWrite: boolean;
  /** Null: a folder. */
  readonly transfer: Transfer | null;
  readonly #lines: OperationLines | null;
  /** Requests that the target has not answered. */
  inFlight = 0;
  /** Nothing may be done with it any more but to close it. */
  cut: Refusal | null = null;
  /** The target has been told to close it. */
  isClosing = false;
  /** What a WRITE failed with. */
  failure: string | null = null;
  /** Bytes of replies, of a folder. */
  replyBytes = 0;

  constructor(
    permit: Permit,
    target: Uint8Array,
    paths: readonly string[],
    may: { readonly read: boolean; readonly write: boolean },
    transfer: Transfer | null,
    lines: OperationLines | null,
  ) {
    this.permit = permit;
    this.target = target;
    this.paths = paths;
    this.mayRead = may.read;
    this.mayWrite = may.write;
    this.transfer = transfer;
    this.#lines = lines;
  }

  /** How its operation has ended; written down where it is recorded. */
  end(status: Outcome["status"]): Outcome {
    const { transfer, failure, cut } = this;
    const code = cut === null ? failure : statusName(FX.permissionDenied);
    const outcome: Outcome = {
      status: status === "done" && code !== null ? "failed" : status,
      ...(code === null ? {} : { code }),
      ...(transfer === null ? { bytes: this.replyBytes } : transfer.outcome()),
    };
    this.#lines?.end(outcome, this.paths.at(-1));
    return outcome;
  }
}

/** By the tokens that the client knows them by. None is ever used twice, so that a closed one stays closed. */
export class OpenHandles {
  readonly #handles = new Map<number, OpenHandle>();
  #last = 0;
  /** Those that the target was asked for. */
  opening = 0;

  get isFull(): boolean {
    return this.#handles.size + this.opening >= OPEN_HANDLES_MAX;
  }

  /** Answers with its token. */
  add(handle: OpenHandle): Uint8Array {
    this.#handles.set(++this.#last, handle);
    const token = new Uint8Array(TOKEN_BYTES);
    putUint32(token, 0, this.#last);
    return token;
  }

  find(token: Uint8Array): OpenHandle | null {
    return token.length === TOKEN_BYTES ? (this.#handles.get(getUint32(token, 0)) ?? null) : null;
  }

  remove(token: Uint8Array): void {
    this.#handles.delete(getUint32(token, 0));
  }
}
