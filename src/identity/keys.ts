/** Logs people, agents and services in by the public keys that the configuration binds to them. */
import { createHash } from "node:crypto";
import type { Refusal } from "../core/decision.ts";
import { refusal } from "../core/decision.ts";
import type { Claim, Identity, SubjectKind } from "../core/identity.ts";
import type { Authenticator } from "../core/ports.ts";
import { TOKEN_ISSUER } from "./token-store.ts";

/** A key, and whose it is. */
export type BoundKey = {
  readonly subject: string;
  readonly kind: SubjectKind;
  readonly groups: readonly string[];
  readonly owner: string | null;
  /** As SSH encodes it (RFC 4253, section 6.6). */
  readonly blob: Uint8Array;
};

/** Keys are bound by the same hand that issues tokens: the same subject is the same person. */
export class KeyAuthenticator implements Authenticator {
  readonly #identities: ReadonlyMap<string, Identity>;

  constructor(keys: readonly BoundKey[]) {
    this.#identities = new Map(keys.map((key) => [fingerprintOf(key.blob), identityOf(key)]));
  }

  async authenticate(claim: Claim): Promise<Identity | Refusal> {
    const identity = claim.method === "key" ? this.#identities.get(fingerprintOf(claim.publicKey)) : undefined;
    return (
      identity ?? refusal("unauthenticated", "the key is bound to nobody", { hint: "Ask for it to be bound to you." })
    );
  }

  /** A key lives as long as it stands in the configuration that this gateway was started with. */
  stillValid(identity: Identity): boolean {
    return this.#identities.get(identity.proof.credential) === identity;
  }

  knowsKey(publicKey: Uint8Array): boolean {
    return this.#identities.has(fingerprintOf(publicKey));
  }
}

/** As OpenSSH prints it: `SHA256:` and base64 without padding. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(publicKey).digest("base64").replaceAll("=", "")}`;
}

function identityOf({ subject, kind, groups, owner, blob }: BoundKey): Identity {
  return Object.freeze({
    kind,
    issuer: TOKEN_ISSUER,
    subject,
    groups,
    ...(owner === null ? {} : { owner }),
    proof: { method: "key" as const, credential: fingerprintOf(blob), expiresAtMs: null },
  });
}
