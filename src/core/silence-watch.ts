/** Notices a writer of its own thread that has work and does not get on with it. */

const LOOK_MS = 250;
/**
 * More than this between two looks is not held against the writer: a process that was stopped (a machine that was
 * suspended, or moved) has stopped its writer too, which gets this long to go on.
 */
const LOOK_MS_MAX = 500;

export type Watched = {
  /** A writer that has work and gets on with none of it for this long has failed. */
  readonly silenceMsMax: number;
  /** How far it has come; only grows. */
  done(): number;
  /** How far there is work for it: no further than done() when there is none. */
  given(): number;
  /** Called once for each watch(). */
  onSilence(): void;
};

export class SilenceWatch {
  readonly #watched: Watched;
  readonly #monoMs: () => number;
  #timer: Timer | null = null;
  #seen = 0;
  #lookedAtMs = 0;
  #silentMs = 0;

  /** `monoMs` is another clock only where a test stops it. */
  constructor(watched: Watched, monoMs: () => number = () => performance.now()) {
    this.#watched = watched;
    this.#monoMs = monoMs;
  }

  /** To be called when there is work: looks now and then until all of it is done. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#seen = this.#watched.done();
    this.#lookedAtMs = this.#monoMs();
    this.#silentMs = 0;
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    this.#timer = null;
    const done = this.#watched.done();
    if (done >= this.#watched.given()) return;
    const now = this.#monoMs();
    this.#silentMs += Math.min(now - this.#lookedAtMs, LOOK_MS_MAX);
    this.#lookedAtMs = now;
    if (done > this.#seen) {
      this.#seen = done;
      this.#silentMs = 0;
    } else if (this.#silentMs > this.#watched.silenceMsMax) return this.#watched.onSilence();
    this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }
}
