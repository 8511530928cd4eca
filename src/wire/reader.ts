/** Reads the fields of one message in order, in network byte order, without copying and never past its end. */
import { WireError } from "./wire-error.ts";

// Without ignoreBOM two different byte strings would decode to the same text.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes bytes that must be UTF-8, so that equal texts mean equal bytes. Throws WIRE_NOT_UTF8. */
export function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError("WIRE_NOT_UTF8", "a text is not valid UTF-8");
  }
}

const SHORT_BYTES_MAX = 16;

/** A bounded reader over one message's body. Every method throws a `WireError` rather than answer with less. */
export class Reader {
  private readonly source: Uint8Array;
  private readonly start: number;
  private readonly limit: number;
  private at: number;

  /**
   * Reads from `start` to `end`, or all. What is handed out later are views into `bytes`: whoever keeps them past its
   * life copies them.
   */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new RangeError("a reader reaches past its bytes");
    this.source = bytes;
    this.start = start;
    this.limit = end;
    this.at = start;
  }

  /** How many bytes have been read. */
  get position(): number {
    return this.at - this.start;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.limit - this.at;
  }

  u8(): number {
    return this.byte(this.skip(1));
  }

  u16(): number {
    const at = this.skip(2);
    return (this.byte(at) << 8) | this.byte(at + 1);
  }

  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  i32(): number {
    const at = this.skip(4);
    return (this.byte(at) << 24) | (this.byte(at + 1) << 16) | (this.byte(at + 2) << 8) | this.byte(at + 3);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  /** The next `length` bytes, as a view. Throws WIRE_SHORT when they are not there. */
  bytes(length: number): Uint8Array {
    const at = this.skip(length);
    return this.source.subarray(at, at + length);
  }

  /** All that is left, as a view; may be empty. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** The bytes up to the next NUL, as a view without it; at most `bytesMax` of them. Throws WIRE_NO_TERMINATOR. */
  cstring(bytesMax = Number.MAX_SAFE_INTEGER): Uint8Array {
    const at = this.at;
    const end = this.source.indexOf(0, at);
    const isTerminated = end >= 0 && end < this.limit;
    if (!isTerminated || end - at > bytesMax) {
      throw new WireError(
        "WIRE_NO_TERMINATOR",
        isTerminated ? `a string is longer than ${bytesMax} bytes` : "a string is not terminated",
      );
    }
    this.at = end + 1;
    return this.source.subarray(at, end);
  }

  /** Like `cstring`, as text; throws WIRE_NOT_UTF8 too. */
  text(bytesMax = Number.MAX_SAFE_INTEGER): string {
    return decodeUtf8(this.cstring(bytesMax));
  }

  /**
   * The text up to the next NUL when it is plain ASCII and short, as most names are: quicker than a view and a decoder.
   * Null, with nothing read, when it is not.
   */
  shortAscii(): string | null {
    const end = Math.min(this.limit, this.at + SHORT_BYTES_MAX + 1);
    let text = "";
    for (let at = this.at; at < end; at++) {
      const byte = this.byte(at);
      if (byte === 0) {
        this.at = at + 1;
        return text;
      }
      if (byte > 0x7f) return null;
      text += String.fromCharCode(byte);
    }
    return null;
  }

  /** Throws WIRE_SHORT unless `count` items of at least `bytesEach` bytes can still follow: call it before making room for them. */
  expect(count: number, bytesEach: number): void {
    if (count * bytesEach > this.remaining) throw this.short();
  }

  /** Throws WIRE_TRAILING unless everything was read. */
  end(): void {
    if (this.at !== this.limit) {
      throw new WireError("WIRE_TRAILING", `${this.remaining} bytes follow the last field`);
    }
  }

  private skip(length: number): number {
    const at = this.at;
    // A negative length and NaN fail the comparison too.
    if (!(length >= 0 && length <= this.limit - at)) throw this.short();
    this.at = at + length;
    return at;
  }

  private byte(at: number): number {
    return this.source[at] ?? 0;
  }

  private short(): WireError {
    return new WireError("WIRE_SHORT", "a field reaches past the end of its message");
  }
}
