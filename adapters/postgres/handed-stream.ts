/** A client's connection that another protocol carries: a forward that leads to a target. */
import type { ByteStream } from "../../src/core/ports.ts";
import { Inbox } from "../../src/wire/inbox.ts";
import { Outbox } from "../../src/wire/outbox.ts";
import type { ClientLink } from "./client-link.ts";

export class HandedStream implements ClientLink {
  readonly source: string;
  readonly #stream: ByteStream;
  /** Gathers the small messages of one turn: each write becomes a packet of its own. */
  readonly #outbox: Outbox;
  #isFull = false;
  #isClosed = false;
  #isEnding = false;
  readonly #inbox = new Inbox();
  #onDrain: (() => void) | null = null;
  #onClose: (() => void) | null = null;

  constructor(stream: ByteStream, source: string) {
    this.#stream = stream;
    this.source = source;
    this.#outbox = new Outbox({
      write: (bytes, offset, length) => {
        // The outbox uses its room again, and the stream keeps what it cannot send.
        if (!this.#isClosed && !stream.write(bytes.slice(offset, offset + length))) this.#isFull = true;
        return length;
      },
    });
    stream.onData((bytes) => {
      if (!this.#isEnding) this.#inbox.received(bytes);
    });
    stream.onDrain(() => {
      this.#isFull = false;
      if (!this.#isEnding) this.#onDrain?.();
    });
    stream.onEof(() => this.end());
    stream.onClose(() => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#outbox.clear();
      this.#onClose?.();
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.writePart(bytes, 0, bytes.length);
  }

  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#isClosed || this.#isEnding) return true;
    this.#outbox.writePart(bytes, start, end);
    return !this.#isFull;
  }

  onData(callback: (bytes: Uint8Array) => void): void {
    this.#inbox.onData(callback);
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  onClose(callback: () => void): void {
    this.#onClose = callback;
    if (this.#isClosed) queueMicrotask(callback);
  }

  pause(): void {
    if (!this.#isClosed) this.#stream.pause();
  }

  resume(): void {
    if (!this.#isClosed) this.#stream.resume();
  }

  handBack(bytes: Uint8Array): void {
    this.#inbox.handBack(bytes);
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#outbox.flush();
    this.#isEnding = true;
    this.#stream.end();
  }
}
