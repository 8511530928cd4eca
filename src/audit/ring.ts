/**
 * The shared memory between the gateway's thread and the log's writer: a ring of records with one producer and one
 * consumer, and the few words in which each side tells the other how far it is.
 */

/** Room for about 50,000 records of a usual size. */
export const RING_BYTES = 8 * 1024 * 1024;
/** What intents may not use, so that outcomes of what is already running still fit. */
export const RESERVE_BYTES = RING_BYTES / 8;
/** More than this waiting: the gate stops reading from clients. */
export const CONGESTED_BYTES = RING_BYTES / 2;
export const RECORD_BYTES_MAX = 256 * 1024;

/** Every record starts at a multiple of this, so that numbers in it are aligned. */
const ALIGN = 8;
/** A record's first word is its length; its second begins with its type. */
export const RECORD_HEADER_BYTES = 8;
/** Fills the end of the ring when the next record does not fit there. */
const PADDING = 0;

/** Places of the control words, each on a cache line of its own where both sides write. Positions count bytes modulo 2^32. */
const HEAD = 0;
const TAIL = 16;
const SLEEPING = 32;
const STATE = 48;
const DURABLE = 49;
const NOTIFIED = 64;
const ORDER = 80;
const AWAITED = 96;
const CONTROL_WORDS = 112;

/** Values of SLEEPING: the consumer waits for any record, or only for one that somebody awaits. */
const AWAKE = 0;
const FOR_ANY = 1;
const FOR_AWAITED = 2;

/** What the writer says of itself; 0 while it starts. */
export const STATE_SERVING = 1;
export const STATE_FAILED = 2;
export const STATE_CLOSED = 3;
/** What the gateway wants of the writer. */
export const ORDER_SERVE = 0;
/** Write what is in the ring, close the log and end. */
export const ORDER_CLOSE = 1;
/** Write nothing more and end: another writer has taken over. */
export const ORDER_ABANDON = 2;

/** The shared memory itself; both sides make one over the same buffer. */
export class SharedRing {
  readonly buffer: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
  readonly #control: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    const data = CONTROL_WORDS * 4;
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.bytes = Buffer.from(buffer, data, RING_BYTES);
    this.words = new Uint32Array(buffer, data, RING_BYTES / 4);
    this.floats = new Float64Array(buffer, data, RING_BYTES / 8);
  }

  static create(): SharedRing {
    return new SharedRing(new SharedArrayBuffer(CONTROL_WORDS * 4 + RING_BYTES));
  }

  get head(): number {
    return Atomics.load(this.#control, HEAD) >>> 0;
  }
  /** Shows the consumer what was written, and wakes it if it sleeps and is waiting for such a record. */
  publish(head: number, isAwaited: boolean): void {
    Atomics.store(this.#control, HEAD, head | 0);
    if (isAwaited) Atomics.store(this.#control, AWAITED, head | 0);
    const sleeping = Atomics.load(this.#control, SLEEPING);
    if (sleeping === FOR_ANY || (isAwaited && sleeping === FOR_AWAITED)) this.wake();
  }
  /** Does a record that somebody awaits lie between the two positions? */
  isAwaited(position: number, head: number): boolean {
    const awaited = Atomics.load(this.#control, AWAITED) >>> 0;
    return (head - awaited) >>> 0 < (head - position) >>> 0;
  }
  get tail(): number {
    return Atomics.load(this.#control, TAIL) >>> 0;
  }
  release(tail: number): void {
    Atomics.store(this.#control, TAIL, tail | 0);
  }

  wake(): void {
    Atomics.store(this.#control, SLEEPING, AWAKE);
    Atomics.notify(this.#control, SLEEPING);
  }
  /** Sleeps until something is published after `seen` or an order comes, at most for `durationMs`. */
  sleep(seen: number, durationMs: number): void {
    Atomics.store(this.#control, SLEEPING, FOR_ANY);
    // Looked at again after the word is set, so that a publication between the two is not slept over.
    if (this.head === seen && this.order === ORDER_SERVE) Atomics.wait(this.#control, SLEEPING, FOR_ANY, durationMs);
    Atomics.store(this.#control, SLEEPING, AWAKE);
  }
  /** Sleeps until a record after `position` is awaited or an order comes, at most for `durationMs`. */
  linger(position: number, durationMs: number): void {
    Atomics.store(this.#control, SLEEPING, FOR_AWAITED);
    if (!this.isAwaited(position, this.head) && this.order === ORDER_SERVE)
      Atomics.wait(this.#control, SLEEPING, FOR_AWAITED, durationMs);
    Atomics.store(this.#control, SLEEPING, AWAKE);
  }

  get state(): number {
    return Atomics.load(this.#control, STATE);
  }
  set state(state: number) {
    Atomics.store(this.#control, STATE, state);
  }
  get order(): number {
    return Atomics.load(this.#control, ORDER);
  }
  set order(order: number) {
    Atomics.store(this.#control, ORDER, order);
  }

  setDurable(sequence: number): void {
    Atomics.store(this.#control, DURABLE, (sequence % 2 ** 32) | 0);
  }
  /** The durable sequence, of which the memory holds the lower 32 bits; `known` is one that was durable before. */
  durableSince(known: number): number {
    const low = Atomics.load(this.#control, DURABLE) >>> 0;
    return known + ((low - (known % 2 ** 32)) >>> 0);
  }

  /** True for the first call since the consumer's news was taken: one message at a time is enough. */
  claimNotice(): boolean {
    return Atomics.exchange(this.#control, NOTIFIED, 1) === 0;
  }
  takeNotice(): void {
    Atomics.store(this.#control, NOTIFIED, 0);
  }
}

/** The writing end. */
export class RingProducer {
  readonly ring: SharedRing;
  #head: number;
  /** The last tail seen: reading the shared one costs the other side its cache line. */
  #tail: number;

  constructor(ring: SharedRing) {
    this.ring = ring;
    this.#head = ring.head;
    this.#tail = ring.tail;
  }

  /** Bytes that wait for the consumer. */
  get usedBytes(): number {
    this.#tail = this.ring.tail;
    return (this.#head - this.#tail) >>> 0;
  }

  /**
   * Makes room for a record of `sizeBytes` and returns where it starts, or -1 when there is none that leaves
   * `reserveBytes` free. Nothing is visible to the consumer before commit().
   */
  reserve(sizeBytes: number, reserveBytes: number): number {
    const size = aligned(sizeBytes);
    if (size > RECORD_BYTES_MAX)
      throw new RangeError(`a record of ${sizeBytes} bytes is larger than ${RECORD_BYTES_MAX}`);
    const at = this.#head & (RING_BYTES - 1);
    const toEnd = RING_BYTES - at;
    const needed = (size <= toEnd ? size : toEnd + size) + reserveBytes;
    if (needed > RING_BYTES - ((this.#head - this.#tail) >>> 0)) {
      this.#tail = this.ring.tail;
      if (needed > RING_BYTES - ((this.#head - this.#tail) >>> 0)) return -1;
    }
    if (size <= toEnd) return at;
    this.ring.words[at / 4] = toEnd;
    this.ring.words[at / 4 + 1] = PADDING;
    this.#head = (this.#head + toEnd) >>> 0;
    return 0;
  }

  /**
   * Ends the record that reserve() made room for; `sizeBytes` may be smaller than what was asked for. `isAwaited`:
   * somebody waits until it is durable.
   */
  commit(at: number, type: number, sizeBytes: number, isAwaited: boolean): void {
    const size = aligned(sizeBytes);
    this.ring.words[at / 4] = size;
    this.ring.bytes[at + 4] = type;
    this.#head = (this.#head + size) >>> 0;
    this.ring.publish(this.#head, isAwaited);
  }
}

/** The reading end. What was read stays in the ring until release(). */
export class RingConsumer {
  readonly ring: SharedRing;
  #next: number;

  constructor(ring: SharedRing) {
    this.ring = ring;
    this.#next = ring.tail;
  }

  /** Where the next record starts, or -1 when nothing waits; `position` is the head as it was read before. */
  next(position: number): number {
    for (;;) {
      if (this.#next === position) return -1;
      const at = this.#next & (RING_BYTES - 1);
      const size = this.ring.words[at / 4] ?? 0;
      if (size < RECORD_HEADER_BYTES || size % ALIGN !== 0 || at + size > RING_BYTES)
        throw new RangeError(`no record at ${at} of the ring`);
      this.#next = (this.#next + size) >>> 0;
      if (this.ring.bytes[at + 4] !== PADDING) return at;
    }
  }

  get position(): number {
    return this.#next;
  }

  /** Gives back all that was read so far. */
  release(): void {
    this.ring.release(this.#next);
  }
}

function aligned(sizeBytes: number): number {
  return (sizeBytes + ALIGN - 1) & ~(ALIGN - 1);
}
