/** Puts bytes together out of pieces of others. */

const CAPACITY_BYTES = 256;

export class ByteBuilder {
  #bytes = new Uint8Array(CAPACITY_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Forgets what was put in. */
  clear(): void {
    this.#length = 0;
  }

  add(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  copy(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    // A loop is faster than a view for what is short.
    if (end - start < 64) {
      for (let at = start; at < end; at++) this.#bytes[this.#length++] = bytes[at] ?? 0;
      return;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  /** ASCII only. */
  text(ascii: string): void {
    this.#reserve(ascii.length);
    for (let at = 0; at < ascii.length; at++) this.#bytes[this.#length++] = ascii.charCodeAt(at);
  }

  /** What was put together; the builder is empty then. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
