/** What still has to be written to a socket: gathers the small writes of one turn into one system call, and keeps what the socket does not take. */
import { OutputQueue } from "./output.ts";

/** The part of a Bun socket that writing needs. Answers how many bytes it took, or -1 when it is closed. */
export type Sink = { write(bytes: Uint8Array, offset: number, length: number): number };

/**
 * Writes up to this size are gathered; copying so much costs less than the 3.5 us of a system call (measured:
 * three writes of 60 bytes in one turn take 11.5 us one by one and 3.8 us gathered).
 */
const GATHERED_BYTES_MAX = 8 * 1024;
const STAGE_BYTES = 64 * 1024;

/** Buffer's copy(), which takes places and any bytes; set() would need a view, which costs five times as much. */
const copyPart: (this: Uint8Array, target: Uint8Array, at: number, start: number, end: number) => number =
  // oxlint-disable-next-line typescript/unbound-method -- always called with the bytes that it copies from
  Buffer.alloc(0).copy;

/** Keeps nothing back past the current turn, unless the socket is full. */
export class Outbox {
  #sink: Sink;
  readonly #queue = new OutputQueue();

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** True when nothing waits for the socket. */
  get isEmpty(): boolean {
    return this.#queue.bytes === 0;
  }

  /** False: the socket is full and drain() must be called. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean {
    return this.writePart(bytes, 0, bytes.length);
  }

  /** As write(), of what lies between the two places. */
  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start <= GATHERED_BYTES_MAX && this.isEmpty) {
      this.#gather(bytes, start, end);
    } else {
      this.flush();
      this.#send(bytes, start, end);
    }
    return this.isEmpty;
  }

  /** Sends what this turn has gathered. */
  flush(): void {
    if (stage.isOf(this)) stage.flush();
  }

  /** To be called when the socket takes bytes again; true when nothing waits any more. */
  drain(): boolean {
    for (let bytes = this.#queue.peek(); bytes !== null; bytes = this.#queue.peek()) {
      const taken = this.#take(bytes, 0, bytes.length);
      this.#queue.wrote(taken);
      if (taken < bytes.length) return false;
    }
    return true;
  }

  /** From now on writes go elsewhere: to the TLS socket on top of the first one. */
  redirect(sink: Sink): void {
    this.#sink = sink;
  }

  /** Forgets what waits: the socket is gone. */
  clear(): void {
    this.#queue.clear();
    if (stage.isOf(this)) stage.clear();
  }

  /** Sends bytes whose buffer is used again: what the socket leaves is copied. */
  sendShared(bytes: Uint8Array, length: number): void {
    const taken = this.isEmpty ? this.#take(bytes, 0, length) : 0;
    if (taken < length) this.#queue.push(bytes.slice(taken, length));
  }

  #gather(bytes: Uint8Array, start: number, end: number): void {
    if (!stage.fits(this, end - start)) {
      stage.flush();
      // Flushing may have shown that this socket is full.
      if (!this.isEmpty) {
        this.#queue.push(bytes.subarray(start, end));
        return;
      }
    }
    stage.put(this, bytes, start, end);
  }

  #send(bytes: Uint8Array, start: number, end: number): void {
    const taken = this.isEmpty ? this.#take(bytes, start, end - start) : 0;
    if (start + taken < end) this.#queue.push(bytes.subarray(start + taken, end));
  }

  /** A closed socket takes everything: its close event says the rest. */
  #take(bytes: Uint8Array, start: number, length: number): number {
    const taken = this.#sink.write(bytes, start, length);
    return taken < 0 ? length : taken;
  }
}

/**
 * Where small writes meet. One serves every connection, because it is empty again before the turn of the event loop
 * ends: a microtask flushes it, or the next connection that needs it does.
 */
class Stage {
  readonly #bytes = new Uint8Array(STAGE_BYTES);
  #length = 0;
  #owner: Outbox | null = null;
  #isFlushPlanned = false;
  readonly #flushPlanned = (): void => {
    this.#isFlushPlanned = false;
    this.flush();
  };

  isOf(outbox: Outbox): boolean {
    return this.#owner === outbox;
  }

  fits(outbox: Outbox, length: number): boolean {
    return this.#length === 0 || (this.#owner === outbox && this.#length + length <= STAGE_BYTES);
  }

  put(owner: Outbox, bytes: Uint8Array, start: number, end: number): void {
    copyPart.call(bytes, this.#bytes, this.#length, start, end);
    this.#length += end - start;
    this.#owner = owner;
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(this.#flushPlanned);
  }

  flush(): void {
    const owner = this.#owner;
    const length = this.#length;
    this.clear();
    owner?.sendShared(this.#bytes, length);
  }

  clear(): void {
    this.#owner = null;
    this.#length = 0;
  }
}

const stage = new Stage();
