/** What a server sends during login, one byte or message at a time, within bounds. */
import type { Upstream } from "../../src/core/ports.ts";
import { readInt32 } from "../../src/wire/framer.ts";
import { backendBodyBytesMax } from "./protocol/limits.ts";
import { HEADER_BYTES } from "./protocol/types.ts";

/** What a server may send until it is ready; libpq takes 30,000 bytes for an error at this time. */
const MESSAGE_BYTES_MAX = 30_000;
const LOGIN_BYTES_MAX = 1024 * 1024;
const EMPTY = new Uint8Array(0);

/** Why a login ended. `message` may be shown to a client; `detail` is for the operator. Neither holds a secret. */
export class LoginProblem extends Error {
  readonly code = "LOGIN_FAILED";
  readonly sqlState: string | null;
  readonly detail: string;

  constructor(message: string, more: { detail?: string; sqlState?: string | null } = {}) {
    super(message);
    this.detail = more.detail ?? message;
    this.sqlState = more.sqlState ?? null;
  }
}

export type Message = {
  readonly type: number;
  readonly body: Uint8Array;
  /** As it came, with its header. */
  readonly raw: Uint8Array;
};

/** Takes over an upstream's callbacks until somebody else sets them. One reader at a time. */
export class LoginStream {
  #bytes: Uint8Array = EMPTY;
  #received = 0;
  #failure: Error | null = null;
  #isClosed = false;
  #wake: (() => void) | null = null;

  constructor(upstream: Upstream) {
    upstream.onData((bytes) => {
      this.#received += bytes.length;
      this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
      if (this.#received > LOGIN_BYTES_MAX) {
        this.fail(new LoginProblem("the target sent more than a login consists of"));
        upstream.close();
      }
      this.#wake?.();
    });
    upstream.onClose((error) => {
      this.#isClosed = true;
      const detail = error === null ? {} : { detail: `the target closed the connection: ${error.message}` };
      this.fail(new LoginProblem("the target closed the connection", detail));
    });
  }

  /** Why nothing more will come; null while something may. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** What has come and was not read. */
  get rest(): Uint8Array {
    return this.#bytes;
  }

  /** Ends all reading with this error, unless it has ended already. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** The next byte; for the answer to SSLRequest, which is no message. */
  async byte(): Promise<number> {
    for (;;) {
      const [byte] = this.#bytes;
      if (byte !== undefined) {
        this.#bytes = this.#bytes.subarray(1);
        return byte;
      }
      await this.#more();
    }
  }

  async message(): Promise<Message> {
    for (;;) {
      const message = this.#next();
      if (message !== null) return message;
      await this.#more();
    }
  }

  /** Resolves when the server has closed the connection, whatever it sent before. */
  async closed(): Promise<void> {
    while (!this.#isClosed) {
      this.#bytes = EMPTY;
      if (this.#failure !== null) throw this.#failure;
      await this.#woken();
    }
  }

  #next(): Message | null {
    const bytes = this.#bytes;
    const [type] = bytes;
    if (type === undefined || bytes.length < HEADER_BYTES) return null;
    const end = 1 + readInt32(bytes, 1);
    const bodyBytesMax = Math.min(backendBodyBytesMax(type) ?? -1, MESSAGE_BYTES_MAX);
    if (end < HEADER_BYTES || end - HEADER_BYTES > bodyBytesMax) {
      throw new LoginProblem("the target does not speak PostgreSQL's protocol");
    }
    if (bytes.length < end) return null;
    this.#bytes = bytes.subarray(end);
    return { type, raw: bytes.subarray(0, end), body: bytes.subarray(HEADER_BYTES, end) };
  }

  /** Called when what has come was read to its end, so that an error message counts before the close behind it. */
  async #more(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await this.#woken();
  }

  async #woken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<null>();
    this.#wake = () => resolve(null);
    await promise;
    this.#wake = null;
  }
}
