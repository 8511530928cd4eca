/** The cancel keys that clients were given: the gateway's own, unguessable, and slow to guess. */
import { randomBytes, randomInt, timingSafeEqual } from "node:crypto";

/** Wrong keys from one address within the window, beyond which it is not listened to for the rest of it. */
const WRONG_KEYS_MAX = 20;
const WINDOW_MS = 60_000;
const ADDRESSES_MAX = 10_000;
/** Protocol 3.0 has room for 4 bytes; 3.2 for up to 256. */
const SECRET_BYTES = { 0: 4, 2: 32 } as const;

export type CancelKey = { readonly processId: number; readonly secret: Uint8Array };

export class CancelKeys<T> {
  readonly #keys = new Map<number, { readonly secret: Uint8Array; readonly session: T }>();
  readonly #wrong = new Map<string, { count: number; readonly sinceMs: number }>();

  issue(protocolMinor: 0 | 2, session: T): CancelKey {
    let processId: number;
    do processId = randomInt(1, 0x7fffffff);
    while (this.#keys.has(processId));
    const secret = randomBytes(SECRET_BYTES[protocolMinor]);
    this.#keys.set(processId, { secret, session });
    return { processId, secret };
  }

  withdraw(key: CancelKey): void {
    this.#keys.delete(key.processId);
  }

  /** The session this key belongs to; null for a wrong key, and for any key from an address that has sent too many. */
  find(key: CancelKey, source: string, nowMs: number): T | null {
    const before = this.#wrong.get(source);
    const isRecent = before !== undefined && nowMs - before.sinceMs < WINDOW_MS;
    if (isRecent && before.count >= WRONG_KEYS_MAX) return null;
    const found = this.#keys.get(key.processId);
    if (found !== undefined && found.secret.length === key.secret.length && timingSafeEqual(found.secret, key.secret)) {
      return found.session;
    }
    if (isRecent) {
      before.count++;
    } else {
      if (this.#wrong.size >= ADDRESSES_MAX) this.#wrong.clear();
      this.#wrong.set(source, { count: 1, sinceMs: nowMs });
    }
    return null;
  }
}
