/** DER (X.690) as far as time stamps need it: one value after the other, definite lengths, tags of one byte. */

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Constructed, context-specific 0. */
  context0: 0xa0,
} as const;

/** What is not DER as it is expected here. */
export class DerError extends Error {}

/** A value with its tag and length before it. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = body.length < 0x80 ? [body.length] : [0x80 + length.length, ...length];
  return Buffer.concat([Uint8Array.of(tag, ...head), body]);
}

/** Reads values from front to back; every method throws DerError at what does not fit. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The tag of the value that comes next; -1 at the end. */
  get nextTag(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  /** The content of the next value, which has this tag. */
  content(tag: number): Uint8Array {
    return this.#next(tag).content;
  }

  /** The next value as it stands there, its tag and length included. */
  whole(tag: number): Uint8Array {
    return this.#next(tag).whole;
  }

  /** Reads on inside the next value. */
  inside(tag: number): DerReader {
    return new DerReader(this.content(tag));
  }

  /** Takes the next value, whatever it is. */
  skip(): void {
    this.#next(this.nextTag);
  }

  end(): void {
    if (!this.isAtEnd) throw new DerError(`${this.#bytes.length - this.#at} bytes too many`);
  }

  #next(tag: number): { content: Uint8Array; whole: Uint8Array } {
    const start = this.#at;
    if (this.nextTag !== tag || tag === -1) {
      throw new DerError(`tag ${this.nextTag.toString(16)} where ${tag.toString(16)} is expected`);
    }
    const first = this.#bytes[start + 1] ?? 0x80;
    let from = start + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first - 0x80;
      if (count === 0 || count > 4) throw new DerError("a length that is not given, or too long");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (this.#bytes[from + i] ?? 0);
      from += count;
      if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError("a length that is written too long");
    }
    if (from + length > this.#bytes.length) throw new DerError("it ends too early");
    this.#at = from + length;
    return { content: this.#bytes.subarray(from, from + length), whole: this.#bytes.subarray(start, from + length) };
  }
}
