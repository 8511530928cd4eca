/** What a session sends to its server: bytes under a permit, its own housekeeping, and the Flush that asks for replies. */
import type { Permit, Upstream } from "../../src/core/ports.ts";
import type { Sending } from "./outgoing.ts";
import { encodeFlush } from "./protocol/frontend.ts";
import type { Replies } from "./replies.ts";
import type { Message } from "./run.ts";

export type ServerLineParts = {
  readonly upstream: Upstream;
  readonly replies: Replies;
  /** Lives as long as the session. */
  readonly sessionPermit: Permit;
  hasEnded(): boolean;
};

export class ServerLine {
  readonly #parts: ServerLineParts;
  #isFlushed = false;
  #isFull = false;

  constructor(parts: ServerLineParts) {
    this.#parts = parts;
  }

  /** Nothing was sent since the last Flush of the gateway's own. */
  get isFlushed(): boolean {
    return this.#isFlushed;
  }

  /** The server does not read as fast as it is sent to. */
  get isFull(): boolean {
    return this.#isFull;
  }

  drained(): void {
    this.#isFull = false;
  }

  write(permit: Permit, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#isFlushed = false;
    if (!this.#parts.upstream.writePart(permit, bytes, start, end)) this.#isFull = true;
  }

  /** Makes the server send the replies that it may keep until a Sync. */
  flush(): void {
    this.write(this.#parts.sessionPermit, encodeFlush());
    this.#isFlushed = true;
  }

  /** Sends housekeeping, unless the server would skip it. */
  control(message: Message): void {
    const { replies, sessionPermit } = this.#parts;
    if (this.#parts.hasEnded()) return;
    const { reply, settle } = message;
    if (reply !== null) replies.expect({ kind: reply, run: null, endsRun: false, settle });
    if (reply === null || reply === "sync" || !replies.isSkipping)
      this.write(sessionPermit, message.bytes, message.start, message.end);
  }

  /** Housekeeping whose turn has not come. */
  waitingControl(message: Message): Sending {
    const isIgnoredInCopy = message.reply === null || message.reply === "sync";
    return { alone: null, isIgnoredInCopy, send: () => this.control(message) };
  }
}
