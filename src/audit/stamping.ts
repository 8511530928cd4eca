/** Has the log's checkpoints stamped by an RFC 3161 authority, so that their age does not rest on this machine's clock. */
import { randomBytes } from "node:crypto";
import { boundedBody } from "./bounded-body.ts";
import { messageOf } from "../core/message-of.ts";
import { sha256 } from "./sha256.ts";
import { NONCE_BYTES, stampRequest, tokenOf } from "./time-stamp.ts";

const ANSWER_MS_MAX = 20_000;
const ANSWER_BYTES_MAX = 65_536;
/** After a failure it is tried again so soon, or as often as it is asked anyway when that is sooner. */
const RETRY_MS = 60_000;

export type StampingParts = {
  readonly url: string;
  readonly everyMs: number;
  /** PEM, for https; null: the system's authorities. */
  readonly ca: string | null;
  /** The size that was stamped last in an earlier run; -1: none. */
  readonly stampedSize: number;
  /** The log: its newest checkpoint, and where a token is kept. */
  readonly log: {
    readonly checkpoint: { readonly size: number; readonly note: string } | null;
    keepStamp(size: number, token: Uint8Array): void;
  };
  say(line: string): void;
};

/** What there is to say of the stamps; `time` as the authority writes it (GeneralizedTime). */
export type StampingStatus = {
  readonly url: string;
  readonly last: { readonly size: number; readonly time: string } | null;
  /** Null: the last attempt worked. */
  readonly problem: string | null;
};

export class Stamping {
  readonly #parts: StampingParts;
  readonly #ended = new AbortController();
  #timer: Timer | null = null;
  #running: Promise<void> = Promise.resolve();
  #stampedSize: number;
  #last: StampingStatus["last"] = null;
  #problem: string | null = null;

  /** Asks at once, and then as often as it is told. */
  constructor(parts: StampingParts) {
    this.#parts = parts;
    this.#stampedSize = parts.stampedSize;
    this.#soon(0);
  }

  get status(): StampingStatus {
    return { url: this.#parts.url, last: this.#last, problem: this.#problem };
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#ended.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }

  #soon(durationMs: number): void {
    if (this.#ended.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#attempt();
    }, durationMs);
    this.#timer.unref();
  }

  async #attempt(): Promise<void> {
    const { everyMs } = this.#parts;
    try {
      await this.#stamp();
      if (this.#problem !== null) this.#parts.say("the checkpoints of the log are stamped again");
      this.#problem = null;
      this.#soon(everyMs);
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      const problem = messageOf(error);
      if (this.#problem === null) this.#parts.say(`the checkpoints of the log are not stamped: ${problem}`);
      this.#problem = problem;
      this.#soon(Math.min(everyMs, RETRY_MS));
    }
  }

  async #stamp(): Promise<void> {
    const { url, ca, log } = this.#parts;
    const { checkpoint } = log;
    if (checkpoint === null || checkpoint.size <= this.#stampedSize) return;
    const { size, note } = checkpoint;
    const order = { hash: sha256(note), nonce: randomBytes(NONCE_BYTES) };
    const response = await fetch(url, {
      method: "POST",
      body: stampRequest(order),
      headers: { "Content-Type": "application/timestamp-query" },
      redirect: "error",
      signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
      ...(ca === null ? {} : { tls: { ca } }),
    });
    if (response.status !== 200) throw new Error(`${url} answered with status ${response.status}`);
    const { token, time } = tokenOf(await boundedBody(response, ANSWER_BYTES_MAX), order);
    log.keepStamp(size, token);
    this.#stampedSize = size;
    this.#last = { size, time };
  }
}
