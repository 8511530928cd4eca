/**
 * Slows down whoever fails to log in too often. A token's secret cannot be guessed, so a right one is never locked
 * out: after too many failures every attempt from there is looked at late, and only so many may wait.
 */
import { networkOf, readHost } from "../core/ip-address.ts";

export type LoginLimitNumbers = {
  /** Failures are counted per window; the next one starts afresh. */
  readonly windowMs: number;
  readonly failuresPerAddressMax: number;
  readonly failuresPerTokenMax: number;
  /** How late an attempt is looked at once there were more failures than that. */
  readonly delayMs: number;
  readonly waitingPerAddressMax: number;
  readonly waitingMax: number;
  /** Beyond this many failing addresses and tokens in a window, every further one is delayed. */
  readonly trackedMax: number;
};

export const LOGIN_LIMITS: LoginLimitNumbers = {
  windowMs: 60_000,
  failuresPerAddressMax: 20,
  failuresPerTokenMax: 10,
  delayMs: 2_000,
  waitingPerAddressMax: 16,
  waitingMax: 1_000,
  trackedMax: 10_000,
};

export class LoginLimits {
  readonly #numbers: LoginLimitNumbers;
  readonly #wait: (delayMs: number) => Promise<void>;
  #window = -1;
  readonly #failures = new Map<string, number>();
  readonly #waiting = new Map<string, number>();
  #waitingCount = 0;

  constructor(
    numbers: LoginLimitNumbers = LOGIN_LIMITS,
    wait: (delayMs: number) => Promise<void> = async (delayMs) => Bun.sleep(delayMs),
  ) {
    this.#numbers = numbers;
    this.#wait = wait;
  }

  /** Resolves when the attempt may be looked at; false: too many wait already, refuse it unseen. `now` is monotonic. */
  async admit(source: string, tokenId: string | null, now: number): Promise<boolean> {
    this.#turn(now);
    const address = addressKey(source);
    const isSlow =
      this.#hasFailed(address, this.#numbers.failuresPerAddressMax) ||
      (tokenId !== null && this.#hasFailed(tokenKey(tokenId), this.#numbers.failuresPerTokenMax));
    if (!isSlow) return true;
    const waitingHere = this.#waiting.get(address) ?? 0;
    if (waitingHere >= this.#numbers.waitingPerAddressMax || this.#waitingCount >= this.#numbers.waitingMax) {
      return false;
    }
    this.#waiting.set(address, waitingHere + 1);
    this.#waitingCount++;
    try {
      await this.#wait(this.#numbers.delayMs);
    } finally {
      const left = (this.#waiting.get(address) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(address);
      else this.#waiting.set(address, left);
      this.#waitingCount--;
    }
    return true;
  }

  /** Counts a failure; `tokenId` only when such a token exists, so that invented ids take no room. */
  failed(source: string, tokenId: string | null, now: number): void {
    this.#turn(now);
    this.#count(addressKey(source));
    if (tokenId !== null) this.#count(tokenKey(tokenId));
  }

  #turn(now: number): void {
    const window = Math.floor(now / this.#numbers.windowMs);
    if (window === this.#window) return;
    this.#window = window;
    this.#failures.clear();
  }

  #hasFailed(key: string, max: number): boolean {
    const failures = this.#failures.get(key);
    return failures === undefined ? this.#failures.size >= this.#numbers.trackedMax : failures >= max;
  }

  #count(key: string): void {
    const failures = this.#failures.get(key);
    if (failures !== undefined || this.#failures.size < this.#numbers.trackedMax) {
      this.#failures.set(key, (failures ?? 0) + 1);
    }
  }
}

function tokenKey(id: string): string {
  return `token ${id}`;
}

/** One key per IPv4 address and per IPv6 /64, the smallest network that is handed out. */
function addressKey(source: string): string {
  const host = readHost(source);
  return `address ${networkOf(host.kind === "address" ? host.address : source)}`;
}
