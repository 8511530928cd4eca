/** A client's socket as every listener has it: output that waits for room, input that waits for a reader, and an end that waits for the last bytes. */
import { Inbox } from "./inbox.ts";
import { Outbox, type Sink } from "./outbox.ts";

/** The part of a socket that this needs. */
export type SocketSink = Sink & { end(): void; terminate(): void };

/** How long end() waits for a client that does not take the last bytes. */
const LAST_BYTES_TIME_MS = 5_000;

export class AcceptedSocket {
  #sink: SocketSink;
  readonly #inbox = new Inbox();
  readonly #outbox: Outbox;
  #isClosed = false;
  #isEnding = false;
  #lastBytesTimer: Timer | null = null;
  #onDrain: (() => void) | null = null;
  #onClose: (() => void) | null = null;

  constructor(sink: SocketSink) {
    this.#sink = sink;
    this.#outbox = new Outbox(sink);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** False: the client does not take more now; wait for onDrain. Bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean {
    return this.writePart(bytes, 0, bytes.length);
  }

  /** As write(), of what lies between the two places. */
  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#isClosed || this.#isEnding ? true : this.#outbox.writePart(bytes, start, end);
  }

  onData(callback: (bytes: Uint8Array) => void): void {
    this.#inbox.onData(callback);
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  /** Called once when it is gone, whoever ended it; at once when it is already. */
  onClose(callback: () => void): void {
    this.#onClose = callback;
    if (this.#isClosed) queueMicrotask(callback);
  }

  /** What comes is kept until the next onData(). */
  stopReading(): void {
    this.#inbox.stopReading();
  }

  /** Hands bytes back, for the next reader; nobody reads until then. */
  handBack(bytes: Uint8Array): void {
    this.#inbox.handBack(bytes);
  }

  /** Sends what was written, then closes. */
  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    // Set before the socket is ended: that may report it closed at once, and nothing would then take the timer away.
    this.#lastBytesTimer = setTimeout(() => this.#sink.terminate(), LAST_BYTES_TIME_MS);
    this.#outbox.flush();
    if (this.#outbox.isEmpty) this.#sink.end();
  }

  /** Sends what this turn has gathered. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Closes at once. */
  terminate(): void {
    if (!this.#isClosed) this.#sink.terminate();
  }

  /** From now on bytes go out elsewhere: through TLS on top of the first socket. */
  redirect(sink: SocketSink): void {
    this.#sink = sink;
    this.#outbox.redirect(sink);
  }

  /* ---- what the socket reports ---- */

  received(bytes: Uint8Array): void {
    if (!this.#isEnding) this.#inbox.received(bytes);
  }

  drained(): void {
    if (!this.#outbox.drain()) return;
    if (this.#isEnding) this.#sink.end();
    else this.#onDrain?.();
  }

  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#lastBytesTimer ?? undefined);
    this.#outbox.clear();
    this.#onClose?.();
  }
}
