/** The lines of one stream as they are gathered into a segment. */
import { SEGMENT_BYTES_MAX } from "./limits.ts";

const BYTES_MIN = 4096;
const NEWLINE = 0x0a;

export class SegmentBuffer {
  #bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a line and its newline; answers how many bytes it took, or -1 when it does not fit any more. */
  add(line: string): number {
    // Three bytes a UTF-16 unit are enough, and counting costs more than room.
    const most = line.length * 3 + 1;
    const size = this.#length + most <= SEGMENT_BYTES_MAX ? most : Buffer.byteLength(line) + 1;
    if (this.#length + size > SEGMENT_BYTES_MAX) return -1;
    this.#reserve(size);
    const written = this.#bytes.write(line, this.#length, "utf8") + 1;
    this.#length += written;
    this.#bytes[this.#length - 1] = NEWLINE;
    return written;
  }

  /** What was gathered: the first `length` bytes of a memory that nothing else uses. The buffer is empty then. */
  take(): { readonly data: Uint8Array<ArrayBuffer>; readonly length: number } {
    const data = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    const length = this.#length;
    this.#bytes = Buffer.allocUnsafeSlow(BYTES_MIN);
    this.#length = 0;
    return { data, length };
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(SEGMENT_BYTES_MAX, Math.max(needed, 2 * this.#bytes.length)));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
