/** All ways to log in as one: tokens and bound keys. */
import type { Refusal } from "../core/decision.ts";
import type { Claim, Identity } from "../core/identity.ts";
import type { Authenticator } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";
import type { KeyAuthenticator } from "./keys.ts";

export class Authenticators implements Authenticator {
  readonly #tokens: Authenticator;
  readonly #keys: KeyAuthenticator;

  constructor(tokens: Authenticator, keys: KeyAuthenticator) {
    this.#tokens = tokens;
    this.#keys = keys;
  }

  async authenticate(claim: Claim): Promise<Identity | Refusal> {
    return this.#of(claim.method).authenticate(claim);
  }

  stillValid(identity: Identity, now: TimeMs): boolean {
    return this.#of(identity.proof.method).stillValid(identity, now);
  }

  knowsKey(publicKey: Uint8Array): boolean {
    return this.#keys.knowsKey(publicKey);
  }

  #of(method: Claim["method"]): Authenticator {
    return method === "key" ? this.#keys : this.#tokens;
  }
}
