/** How old the oldest record is that is handed over and not durable, from samples taken at most once in a millisecond. */

const SAMPLES = 4096;
const SAMPLE_MS = 1;

export class Lag {
  readonly #sequences = new Float64Array(SAMPLES);
  readonly #times = new Float64Array(SAMPLES);
  #first = 0;
  #count = 0;

  /** Notes when a record was handed over. Once all samples are taken the later ones count as old as the last. */
  handed(sequence: number, monoMs: number): void {
    if (this.#count > 0) {
      const last = (this.#first + this.#count - 1) % SAMPLES;
      if (monoMs - (this.#times[last] ?? 0) < SAMPLE_MS || this.#count === SAMPLES) return;
    }
    const at = (this.#first + this.#count) % SAMPLES;
    this.#sequences[at] = sequence;
    this.#times[at] = monoMs;
    this.#count++;
  }

  /** The age of the record after `durable`, never less than it is and at most a millisecond more. */
  ageMs(durable: number, monoMs: number): number {
    this.prune(durable);
    return this.#count === 0 ? 0 : monoMs - (this.#times[this.#first] ?? monoMs);
  }

  /** Forgets what is durable; to be called now and then, so that samples stay free. */
  prune(durable: number): void {
    // A sample stands for the records from its own up to the next sample's.
    while (this.#count > 1 && (this.#sequences[(this.#first + 1) % SAMPLES] ?? 0) <= durable + 1) {
      this.#first = (this.#first + 1) % SAMPLES;
      this.#count--;
    }
  }

  clear(): void {
    this.#count = 0;
  }
}
