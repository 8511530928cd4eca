/** How often a peer may ask for new keys: each exchange costs a millisecond in which nobody else is served. */

/** Who has sent or got so much under the last keys has a reason to want others, however often. */
const REASON_BYTES = 16 * 1024;
/** Of exchanges for less. OpenSSH's smallest RekeyLimit, 16 bytes, asks for one with each key that is typed. */
const HASTY_MAX = 1_000;
const WINDOW_MS = 60_000;

export class ExchangeRate {
  readonly #hastyMax: number;
  #hasty = 0;
  #sinceMs = -Infinity;

  /** `hastyMax`: how many a minute for little. */
  constructor(hastyMax: number = HASTY_MAX) {
    this.#hastyMax = hastyMax;
  }

  /** `bytes`: what went both ways under the last keys; `nowMs`: on a clock that only goes forward. */
  mayBegin(bytes: number, nowMs: number = performance.now()): boolean {
    if (bytes >= REASON_BYTES) return true;
    if (nowMs - this.#sinceMs >= WINDOW_MS) {
      this.#sinceMs = nowMs;
      this.#hasty = 0;
    }
    return ++this.#hasty <= this.#hastyMax;
  }
}
