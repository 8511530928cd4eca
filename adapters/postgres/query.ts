/** Asks a logged-in server the gateway's own questions, one simple query at a time, and collects the answers. */
import type { Permit, Upstream } from "../../src/core/ports.ts";
import { Framer } from "../../src/wire/framer.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { decodeUtf8 } from "../../src/wire/reader.ts";
import { decodeDataRow, decodeErrorFields } from "./protocol/backend.ts";
import { encodeQuery, encodeTerminate } from "./protocol/frontend.ts";
import { backendBodyBytesMax } from "./protocol/limits.ts";
import { BACKEND } from "./protocol/types.ts";

/** One row of text values; null is SQL's NULL. */
export type TextRow = readonly (string | null)[];

export type HouseLimits = {
  /** Of one answer, as it comes over the wire. */
  readonly answerBytesMax: number;
  readonly queryTimeMs: number;
};

export const HOUSE_LIMITS: HouseLimits = { answerBytesMax: 64 * 1024 * 1024, queryTimeMs: 60_000 };

/** The server answered with an error; the connection can still be used. */
export class HouseQueryError extends Error {
  readonly code = "HOUSE_QUERY_FAILED";
  /** Empty when the server gave none. */
  readonly sqlState: string;
  /** What the server advises; empty when it gave none. */
  readonly hint: string;

  constructor(message: string, sqlState: string, hint: string) {
    super(message);
    this.sqlState = sqlState;
    this.hint = hint;
  }
}

/** The connection is gone, or was given up because the answer was not what it may be. */
export class HouseConnectionLost extends Error {
  readonly code = "HOUSE_CONNECTION_LOST";
}

/** One row as it came; null is SQL's NULL. */
export type Cells = readonly (Uint8Array | null)[];

type Waiting = {
  readonly row: (body: Uint8Array) => void;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  bytes: number;
  error: HouseQueryError | null;
};

/** Takes over the callbacks of an upstream that `logIn` has logged in with client_encoding UTF8. */
export class HouseConnection {
  readonly #upstream: Upstream;
  readonly #limits: HouseLimits;
  readonly #framer = new Framer((type, bodyBytes) => this.#plan(type, bodyBytes));
  #waiting: Waiting | null = null;
  #lost: HouseConnectionLost | null = null;

  /** `leftover` is what came after the login. */
  constructor(upstream: Upstream, login: { readonly leftover: Uint8Array }, limits: HouseLimits = HOUSE_LIMITS) {
    this.#upstream = upstream;
    this.#limits = limits;
    upstream.onData((bytes) => this.#received(bytes));
    upstream.onClose((error) => this.#lose(error === null ? "the server closed the connection" : error.message));
    this.#received(login.leftover);
  }

  /** False when the connection is gone, and every query would be rejected. */
  get isUsable(): boolean {
    return this.#lost === null;
  }

  /**
   * Runs SQL and collects its rows in text format (of all its statements, when there are several). Rejects with
   * HouseQueryError or HouseConnectionLost. One at a time: throws when another has not been answered.
   */
  async query(permit: Permit, sql: string): Promise<readonly TextRow[]> {
    const rows: TextRow[] = [];
    await this.#exchange(permit, encodeQuery(sql), (body) => {
      rows.push(decodeDataRow(body).map((cell) => (cell === null ? null : decodeUtf8(cell))));
    });
    return rows;
  }

  /** Sends messages that one ReadyForQuery answers, and collects the rows of them all; otherwise as query(). */
  async ask(permit: Permit, messages: Uint8Array): Promise<readonly Cells[]> {
    const rows: Cells[] = [];
    await this.#exchange(permit, messages, (body) => rows.push(decodeDataRow(body.slice())));
    return rows;
  }

  async #exchange(permit: Permit, messages: Uint8Array, row: (body: Uint8Array) => void): Promise<void> {
    if (this.#lost !== null) throw this.#lost;
    if (this.#waiting !== null) throw new Error("a query of the gateway's own was asked before the last was answered");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => this.#lose(`no answer within ${this.#limits.queryTimeMs} ms`),
      this.#limits.queryTimeMs,
    );
    this.#waiting = { row, resolve, reject, timer, bytes: 0, error: null };
    try {
      this.#upstream.write(permit, messages);
    } catch (error) {
      this.#settle();
      throw error;
    }
    return promise;
  }

  /** Says goodbye. A query that waits is rejected. */
  close(permit: Permit): void {
    if (this.#lost !== null) return;
    this.#upstream.write(permit, encodeTerminate());
    this.#lose("the connection was closed");
  }

  /** All messages are collected, so they count towards the answer before they are there. */
  #plan(type: number, bodyBytes: number): number | null {
    const bodyBytesMax = backendBodyBytesMax(type) ?? -1;
    return bodyBytes <= Math.min(bodyBytesMax, this.#limits.answerBytesMax) ? bodyBytes : null;
  }

  #received(bytes: Uint8Array): void {
    if (this.#lost !== null || bytes.length === 0) return;
    try {
      this.#framer.push(bytes);
      for (let frame = this.#framer.next(); frame !== null; frame = this.#framer.next()) this.#take(frame);
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : "the answer cannot be read");
    }
  }

  #take(frame: Frame): void {
    const waiting = this.#waiting;
    if (UNASKED.has(frame.type)) return;
    if (waiting === null) {
      // A shutdown, say.
      const isError = frame.type === BACKEND.error;
      throw new HouseConnectionLost(
        isError ? queryError(frame.body).message : "the server answered without having been asked",
      );
    }
    waiting.bytes += frame.bodyBytes;
    if (waiting.bytes > this.#limits.answerBytesMax) {
      throw new HouseConnectionLost(`an answer is longer than ${this.#limits.answerBytesMax} bytes`);
    }
    switch (frame.type) {
      case BACKEND.dataRow:
        waiting.row(frame.body);
        break;
      case BACKEND.error:
        waiting.error = queryError(frame.body);
        break;
      case BACKEND.readyForQuery:
        this.#settle();
        if (waiting.error === null) waiting.resolve();
        else waiting.reject(waiting.error);
        break;
      case BACKEND.rowDescription:
      case BACKEND.commandComplete:
      case BACKEND.emptyQuery:
      case BACKEND.parseComplete:
      case BACKEND.bindComplete:
      case BACKEND.closeComplete:
        break;
      default:
        throw new HouseConnectionLost("the server answered with what no query of the gateway's own asks for");
    }
  }

  #settle(): void {
    clearTimeout(this.#waiting?.timer);
    this.#waiting = null;
  }

  #lose(reason: string): void {
    if (this.#lost !== null) return;
    this.#lost = new HouseConnectionLost(reason);
    const waiting = this.#waiting;
    this.#settle();
    this.#upstream.close();
    // An error that ended the session says more than its end.
    waiting?.reject(waiting.error ?? this.#lost);
  }
}

function queryError(body: Uint8Array): HouseQueryError {
  const { fields } = decodeErrorFields(body);
  return new HouseQueryError(fields.get("M") ?? "unknown error", fields.get("C") ?? "", fields.get("H") ?? "");
}

/** May come at any time. */
const UNASKED: ReadonlySet<number> = new Set([BACKEND.notice, BACKEND.notification, BACKEND.parameterStatus]);
