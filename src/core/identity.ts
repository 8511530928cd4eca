/** Who asks: the identity that a login proves, and the claim a client makes before it is proven. */

export type SubjectKind = "human" | "agent" | "service";

/** How an identity was proven; kept in the record. `credential` names the token or key, never its secret. */
export type Proof = {
  readonly method: "token" | "key";
  /** A token's id, or a key's fingerprint as OpenSSH prints it (`SHA256:...`). */
  readonly credential: string;
  readonly expiresAtMs: number | null;
};

/** A person is (issuer, subject), mapped to one name; two issuers never collide by accident. */
export type Identity = {
  readonly kind: SubjectKind;
  readonly issuer: string;
  readonly subject: string;
  readonly groups: readonly string[];
  readonly owner?: string;
  readonly proof: Proof;
};

/** What a listener received from a client that wants in. `source` is the peer's address without its port. */
export type Claim =
  | { readonly method: "token"; readonly secret: string; readonly source: string }
  /** `publicKey` as SSH encodes it (RFC 4253, section 6.6); the listener has verified that the client holds its secret half. */
  | { readonly method: "key"; readonly publicKey: Uint8Array; readonly source: string };
