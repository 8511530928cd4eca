/** Cuts a byte stream into messages of one type byte, a 32-bit length that counts itself, and a body. Does no I/O. */

/**
 * A message, or a part of one that is too large to be collected. It is named by its place in the chunk it came in: a
 * view of each would cost more than all else that is done with most of them.
 */
export class Frame {
  readonly type: number;
  /** What the header announces for the whole body. */
  readonly bodyBytes: number;
  /** The chunk; the frame is what lies between `start` (with the header in the first part) and `end`. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;

  constructor(
    type: number,
    bodyBytes: number,
    bytes: Uint8Array,
    start: number,
    bodyStart: number,
    end: number,
    isFirst: boolean,
    isLast: boolean,
  ) {
    this.type = type;
    this.bodyBytes = bodyBytes;
    this.bytes = bytes;
    this.start = start;
    this.bodyStart = bodyStart;
    this.end = end;
    this.isFirst = isFirst;
    this.isLast = isLast;
  }

  /** As it came, as a view into the chunk. */
  get raw(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  /** The body's bytes in this part, as a view into the chunk. */
  get body(): Uint8Array {
    return this.bytes.subarray(this.bodyStart, this.end);
  }
}

/** The stream is not made of messages; nothing after it can be read. */
export class FramingError extends Error {
  readonly code = "FRAMING";
}

const HEADER_BYTES = 5;

/**
 * How many bytes of a body must be there before its first part is handed out: all of them collects the message.
 * Null: such a message may not come; the framer throws FramingError.
 */
export type CollectPlan = (type: number, bodyBytes: number) => number | null;

export class Framer {
  readonly #plan: CollectPlan;
  #buffer: Uint8Array = new Uint8Array(0);
  #position = 0;
  /** What is still to come of a message whose first part was handed out. */
  #bodyLeft = 0;
  #type = 0;
  #bodyBytes = 0;

  constructor(plan: CollectPlan) {
    this.#plan = plan;
  }

  /** Bytes that were pushed and not handed out. */
  get bufferedBytes(): number {
    return this.#buffer.length - this.#position;
  }

  /** The rest of a message is still to come, the beginning of which was handed out. */
  get isInMessage(): boolean {
    return this.#bodyLeft > 0;
  }

  /** Takes a chunk; it must not be changed afterwards, since frames point into it. */
  push(chunk: Uint8Array): void {
    const left = this.bufferedBytes;
    if (left === 0) {
      this.#buffer = chunk;
    } else {
      const joined = new Uint8Array(left + chunk.length);
      joined.set(this.#buffer.subarray(this.#position));
      joined.set(chunk, left);
      this.#buffer = joined;
    }
    this.#position = 0;
  }

  /** The next message or part; null when more bytes are needed. Throws FramingError. */
  next(): Frame | null {
    if (this.#bodyLeft > 0) return this.#continue();
    const start = this.#position;
    if (!this.#readHeader()) return null;
    const bodyStart = start + HEADER_BYTES;
    const available = this.#buffer.length - bodyStart;
    const wanted = this.#plan(this.#type, this.#bodyBytes);
    if (wanted === null)
      throw new FramingError(
        `a message of type ${printable(this.#type)} and ${this.#bodyBytes} bytes may not come here`,
      );
    if (available < Math.min(wanted, this.#bodyBytes)) return null;
    const end = bodyStart + Math.min(available, this.#bodyBytes);
    this.#position = end;
    this.#bodyLeft = this.#bodyBytes - (end - bodyStart);
    return this.#frame(start, bodyStart, end, true);
  }

  /**
   * Everything at hand that belongs to messages of one type, as it came and in one piece (the last message may be
   * incomplete; its rest comes with the next call). Null when the next message is of another type or not there yet.
   */
  nextRun(type: number): Uint8Array | null {
    const start = this.#position;
    if (this.#bodyLeft > 0 && this.#type === type) this.#skipBody();
    while (this.#bodyLeft === 0 && this.#buffer[this.#position] === type && this.#readHeader()) {
      if (this.#plan(type, this.#bodyBytes) === null) break;
      this.#position += HEADER_BYTES;
      this.#bodyLeft = this.#bodyBytes;
      this.#skipBody();
    }
    return this.#position === start ? null : this.#buffer.subarray(start, this.#position);
  }

  #skipBody(): void {
    const taken = Math.min(this.bufferedBytes, this.#bodyLeft);
    this.#position += taken;
    this.#bodyLeft -= taken;
  }

  #readHeader(): boolean {
    const buffer = this.#buffer;
    const at = this.#position;
    if (buffer.length - at < HEADER_BYTES) return false;
    const length = readInt32(buffer, at + 1);
    if (length < 4)
      throw new FramingError(`a message of type ${printable(buffer[at] ?? 0)} announces a length of ${length}`);
    this.#type = buffer[at] ?? 0;
    this.#bodyBytes = length - 4;
    return true;
  }

  #continue(): Frame | null {
    const start = this.#position;
    this.#skipBody();
    return this.#position === start ? null : this.#frame(start, start, this.#position, false);
  }

  #frame(start: number, bodyStart: number, end: number, isFirst: boolean): Frame {
    const isLast = this.#bodyLeft === 0;
    return new Frame(this.#type, this.#bodyBytes, this.#buffer, start, bodyStart, end, isFirst, isLast);
  }
}

/** A signed 32-bit big-endian number; bytes that are not there count as 0, so check the length first. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

function printable(type: number): string {
  return type > 0x20 && type < 0x7f ? `'${String.fromCharCode(type)}'` : `0x${type.toString(16)}`;
}
