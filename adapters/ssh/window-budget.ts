/** What the peer of one connection may have under way to here on all its channels together, whether or not anybody reads it. */

/** What a sender may have under way on one channel, as in OpenSSH. */
export const WINDOW_BYTES = 2 * 1024 * 1024;
/** Every channel gets this much, however many there are: one packet. */
export const WINDOW_BYTES_MIN = 32 * 1024;
/** Beyond that, channels share this. */
const SHARED_BYTES = 16 * 1024 * 1024;
/** No channel takes more than this part of what is left, so that those who come later find some. */
const SHARE = 1 / 4;
/** Less is not worth the message that gives it. */
const GRANT_BYTES_MIN = WINDOW_BYTES_MIN / 4;

export class WindowBudget {
  #promisedBytes = 0;

  /** All that may come, and all that came and was not read. */
  get promisedBytes(): number {
    return this.#promisedBytes;
  }

  /** How much more the peer may send on a channel on which `promised` bytes may come or wait already; 0: nothing now. */
  grant(promised: number): number {
    const share = Math.floor(Math.max(0, SHARED_BYTES - this.#promisedBytes) * SHARE);
    const bytes = Math.max(Math.min(WINDOW_BYTES - promised, share), WINDOW_BYTES_MIN - promised);
    if (bytes < GRANT_BYTES_MIN) return 0;
    this.#promisedBytes += bytes;
    return bytes;
  }

  /** Somebody has read so much, or it will never come. */
  free(bytes: number): void {
    this.#promisedBytes -= bytes;
  }
}
