/** A queue of bytes that wait to be written to a socket: neighbours are joined, small pieces are gathered. Does no I/O. */

/** Pieces are gathered into one write up to this many bytes; a larger piece is written as it is, without a copy. */
const GATHER_BYTES_MAX = 16 * 1024;

export class OutputQueue {
  readonly #pieces: Uint8Array[] = [];
  #head = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Queues a piece; it must not be changed until it is written. */
  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#bytes += piece.length;
    const last = this.#pieces.length - 1;
    const before = last >= this.#head ? this.#pieces[last] : undefined;
    if (
      before !== undefined &&
      before.buffer === piece.buffer &&
      before.byteOffset + before.length === piece.byteOffset
    ) {
      // Messages that came in one chunk leave in one piece.
      this.#pieces[last] = new Uint8Array(before.buffer, before.byteOffset, before.length + piece.length);
      return;
    }
    this.#pieces.push(piece);
  }

  /** What to write next, or null when there is nothing; call wrote() with how much of it went out. */
  peek(): Uint8Array | null {
    const first = this.#pieces[this.#head];
    if (first === undefined) return null;
    const count = this.#pieces.length - this.#head;
    if (count === 1 || first.length >= GATHER_BYTES_MAX) return first;
    let bytes = 0;
    let upTo = this.#head;
    for (; upTo < this.#pieces.length; upTo++) {
      const length = this.#pieces[upTo]?.length ?? 0;
      if (bytes + length > GATHER_BYTES_MAX) break;
      bytes += length;
    }
    if (upTo - this.#head <= 1) return first;
    const gathered = new Uint8Array(bytes);
    let at = 0;
    for (let index = this.#head; index < upTo; index++) {
      const piece = this.#pieces[index];
      if (piece === undefined) break;
      gathered.set(piece, at);
      at += piece.length;
    }
    this.#pieces.splice(0, upTo, gathered);
    this.#head = 0;
    return gathered;
  }

  wrote(bytes: number): void {
    this.#bytes -= bytes;
    let left = bytes;
    while (left > 0) {
      const first = this.#pieces[this.#head];
      if (first === undefined) return;
      if (first.length > left) {
        this.#pieces[this.#head] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#head++;
    }
    if (this.#head === this.#pieces.length) {
      this.#pieces.length = 0;
      this.#head = 0;
    }
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#head = 0;
    this.#bytes = 0;
  }
}
