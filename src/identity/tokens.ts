/** Logs people, agents and services in by their weir tokens, and says whether a login is still good. */
import { timingSafeEqual } from "node:crypto";
import { refusal } from "../core/decision.ts";
import type { Refusal } from "../core/decision.ts";
import type { Claim, Identity } from "../core/identity.ts";
import type { Authenticator, Clock } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";
import { LoginLimits } from "./login-limits.ts";
import { StoreError } from "./store-error.ts";
import { parseToken } from "./token.ts";
import type { KnownToken, TokenStore } from "./token-store.ts";
import { TOKEN_ISSUER } from "./token-store.ts";

/** Compared against when there is no such token, so that an unknown one takes as long as a wrong one. */
const NOBODY = { id: "000000000000", secret: "", hash: new Uint8Array(32) };

export class TokenAuthenticator implements Authenticator {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #limits: LoginLimits;

  constructor(store: TokenStore, clock: Clock, limits: LoginLimits = new LoginLimits()) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
  }

  async authenticate(claim: Claim): Promise<Identity | Refusal> {
    if (claim.method !== "token") return notValid();
    const token = parseToken(claim.secret) ?? NOBODY;
    try {
      const isAdmitted = await this.#limits.admit(
        claim.source,
        this.#store.find(token.id)?.record.id ?? null,
        performance.now(),
      );
      if (!isAdmitted) return notValid();
      // Looked up after the wait: it may have been revoked meanwhile.
      const known = this.#store.find(token.id);
      const isRight = timingSafeEqual(this.#store.hash(token.id, token.secret), known?.hash ?? NOBODY.hash);
      if (known !== undefined && isRight && isGood(known, this.#clock.now())) return known.identity;
      this.#limits.failed(claim.source, known?.record.id ?? null, performance.now());
      return notValid();
    } catch (error) {
      if (error instanceof StoreError) return unreachable();
      throw error;
    }
  }

  knowsKey(): boolean {
    return false;
  }

  /** Cheap enough for every operation: one look into a map, and every second one at the file. */
  stillValid(identity: Identity, now: TimeMs): boolean {
    if (identity.issuer !== TOKEN_ISSUER || identity.proof.method !== "token") return false;
    try {
      const known = this.#store.find(identity.proof.credential);
      return known !== undefined && known.record.subject === identity.subject && isGood(known, now);
    } catch {
      // Nobody can say whether it was revoked.
      return false;
    }
  }
}

function isGood(known: KnownToken, now: TimeMs): boolean {
  const { revokedAtMs, expiresAtMs } = known.record;
  return revokedAtMs === null && (expiresAtMs === null || now < expiresAtMs);
}

/** The same words for unknown, wrong, expired, revoked and too many attempts. */
function notValid(): Refusal {
  return refusal("unauthenticated", "the token is not valid", {
    hint: "Use a weir token as the password. It may have expired: ask whoever gave it to you for a new one.",
  });
}

function unreachable(): Refusal {
  return refusal("internal", "logins cannot be checked at the moment, so this one was refused", {
    hint: "Try again later; the gateway's operator finds the reason in `weir status`.",
  });
}
