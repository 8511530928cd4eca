/** Writes messages in network byte order into one growing buffer: an optional type byte, an int32 length, a body. */
import { WireError } from "./wire-error.ts";

const utf8 = new TextEncoder();
const CAPACITY_BYTES = 256;
/** The most that one message may announce: what an int32 holds. */
const MESSAGE_BYTES_MAX = 0x7fffffff;
const NOT_IN_MESSAGE = -1;

/** Collects any number of messages; `take` hands their bytes out. Values that do not fit their field throw WIRE_RANGE. */
export class Writer {
  private bytes: Uint8Array;
  private length = 0;
  private lengthAt = NOT_IN_MESSAGE;

  constructor(capacityBytes = CAPACITY_BYTES) {
    this.bytes = new Uint8Array(capacityBytes);
  }

  /** How many bytes wait to be taken. */
  get size(): number {
    return this.length;
  }

  /** Begins a message of this type; its length is filled in by `end`. */
  begin(type: number): this {
    return this.u8(type).beginUntyped();
  }

  /** Begins a message that has only a length (PostgreSQL's first packet). */
  beginUntyped(): this {
    if (this.lengthAt !== NOT_IN_MESSAGE) throw this.framing("a message begins inside another");
    this.lengthAt = this.length;
    this.reserve(4);
    this.length += 4;
    return this;
  }

  /** Ends the message and writes its length, which counts itself and the body but not the type. */
  end(): this {
    const at = this.lengthAt;
    if (at === NOT_IN_MESSAGE) throw this.framing("a message ends that has not begun");
    const length = this.length - at;
    if (length > MESSAGE_BYTES_MAX) throw this.range("a message");
    this.put32(at, length);
    this.lengthAt = NOT_IN_MESSAGE;
    return this;
  }

  u8(value: number): this {
    this.check(value, 0, 0xff, "u8");
    this.reserve(1);
    this.bytes[this.length++] = value;
    return this;
  }

  u16(value: number): this {
    this.check(value, 0, 0xffff, "u16");
    return this.put16(value);
  }

  i16(value: number): this {
    this.check(value, -0x8000, 0x7fff, "i16");
    return this.put16(value);
  }

  u32(value: number): this {
    this.check(value, 0, 0xffffffff, "u32");
    this.reserve(4);
    this.put32(this.length, value);
    this.length += 4;
    return this;
  }

  i32(value: number): this {
    this.check(value, -0x80000000, 0x7fffffff, "i32");
    this.reserve(4);
    this.put32(this.length, value);
    this.length += 4;
    return this;
  }

  /** Copies the bytes in. */
  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** A text as UTF-8, or bytes, and a NUL. A NUL inside would end the field early, so it throws. */
  cstring(text: string | Uint8Array): this {
    const bytes = typeof text === "string" ? this.encode(text) : text;
    if (bytes.includes(0)) throw this.range("a string with a NUL inside");
    return this.raw(bytes).u8(0);
  }

  /** Hands out what was written and starts afresh; the bytes belong to the caller. */
  take(): Uint8Array {
    if (this.lengthAt !== NOT_IN_MESSAGE) throw this.framing("a message has not ended");
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = new Uint8Array(CAPACITY_BYTES);
    this.length = 0;
    return taken;
  }

  private encode(text: string): Uint8Array {
    // An unpaired surrogate would silently become another text.
    if (!text.isWellFormed()) throw this.range("a text that is not well-formed");
    return utf8.encode(text);
  }

  private put16(value: number): this {
    this.reserve(2);
    this.bytes[this.length++] = value >>> 8;
    this.bytes[this.length++] = value;
    return this;
  }

  private put32(at: number, value: number): void {
    this.bytes[at] = value >>> 24;
    this.bytes[at + 1] = value >>> 16;
    this.bytes[at + 2] = value >>> 8;
    this.bytes[at + 3] = value;
  }

  private reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  private check(value: number, min: number, max: number, field: string): void {
    if (!(Number.isInteger(value) && value >= min && value <= max)) throw this.range(`${value} as ${field}`);
  }

  private range(what: string): WireError {
    return new WireError("WIRE_RANGE", `${what} cannot be written`);
  }

  private framing(what: string): WireError {
    return new WireError("WIRE_FRAMING", what);
  }
}
