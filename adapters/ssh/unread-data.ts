/** Data of a channel that came while nobody read: small pieces in one buffer, in their order, each stream's its own. */

/** Smaller pieces are gathered: each by itself would take more memory than it has bytes. */
const GATHERED_BYTES_MAX = 4 * 1024;
const GATHERING_BYTES_MIN = 256;
const GATHERING_BYTES_MAX = 16 * 1024;

/** `isLast`: nothing is left behind it. */
type Piece = { readonly bytes: Uint8Array; readonly isStderr: boolean; readonly isLast: boolean };

export class UnreadData {
  readonly kind = "data";
  readonly #isGathering: boolean;
  readonly #firstIsStderr: boolean;
  #bytes: Uint8Array;
  #length: number;
  /** How long each run of one stream is; the streams take turns. */
  readonly #runs: number[];
  #takenBytes = 0;
  #takenRuns = 0;

  constructor(bytes: Uint8Array, isStderr: boolean) {
    this.#isGathering = bytes.length <= GATHERED_BYTES_MAX;
    this.#firstIsStderr = isStderr;
    this.#bytes = bytes;
    this.#length = bytes.length;
    this.#runs = [bytes.length];
    if (this.#isGathering) this.#grow(Math.max(bytes.length, GATHERING_BYTES_MIN));
  }

  /** False: it does not fit, or some of this was taken. */
  add(bytes: Uint8Array, isStderr: boolean): boolean {
    const length = this.#length + bytes.length;
    if (!this.#isGathering || this.#takenRuns > 0 || length > GATHERING_BYTES_MAX) return false;
    if (length > this.#bytes.length) this.#grow(Math.min(GATHERING_BYTES_MAX, 2 * length));
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
    const last = this.#runs.length - 1;
    if (this.#isStderr(last) === isStderr) this.#runs[last] = (this.#runs[last] ?? 0) + bytes.length;
    else this.#runs.push(bytes.length);
    return true;
  }

  /** What came first. To be called only as long as something is left. */
  take(): Piece {
    const start = this.#takenBytes;
    const run = this.#takenRuns++;
    this.#takenBytes += this.#runs[run] ?? 0;
    const isLast = this.#takenRuns === this.#runs.length;
    return { bytes: this.#bytes.subarray(start, this.#takenBytes), isStderr: this.#isStderr(run), isLast };
  }

  #isStderr(run: number): boolean {
    return (run % 2 === 1) !== this.#firstIsStderr;
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(bytes);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
