/** Private keys, in PEM of any kind or in OpenSSH's own format: what they sign, and the public key that belongs to them. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { parseKey } from "ssh2/lib/protocol/keyParser.js";
import { readPublicKeyBlob, type SshPublicKey } from "../../src/core/ssh-public-key.ts";
import { hashOf } from "./algorithms.ts";
import { FieldWriter } from "./protocol/fields.ts";

const OPENSSH_HEADER = "-----BEGIN OPENSSH PRIVATE KEY-----";
const PUTTY_HEADER = "PuTTY-User-Key-File-";
const CURVES: Readonly<Record<string, string>> = { "P-256": "nistp256", "P-384": "nistp384", "P-521": "nistp521" };

export type PrivateKey = {
  readonly publicKey: SshPublicKey;
  /** A whole signature, with the algorithm's name (RFC 4253, section 6.6). */
  readonly sign: (algorithm: string, data: Uint8Array) => Uint8Array;
};

/** A sentence for people when it cannot be used. */
export function readPrivateKey(text: string): PrivateKey | string {
  const key = keyObjectOf(text);
  if (typeof key === "string") return key;
  const blob = publicBlobOf(key);
  if (blob === null)
    return `keys of the type ${key.asymmetricKeyType ?? "unknown"} are not for SSH; make an ed25519 key`;
  const publicKey = readPublicKeyBlob(blob);
  if (typeof publicKey === "string") return publicKey;
  return {
    publicKey,
    sign: (algorithm, data) => {
      // `r || s` for ECDSA, of equal lengths; other kinds of key do not look at it.
      const made = sign(hashOf(algorithm), data, { key, dsaEncoding: "ieee-p1363" });
      return new FieldWriter()
        .string(algorithm)
        .string(isEcdsa(algorithm) ? mpintPair(made) : made)
        .take();
    },
  };
}

function keyObjectOf(text: string): KeyObject | string {
  const trimmed = text.trimStart();
  const isOwnFormat = trimmed.startsWith(OPENSSH_HEADER) || trimmed.startsWith(PUTTY_HEADER);
  if (text.includes("ENCRYPTED")) return ENCRYPTED;
  try {
    if (!isOwnFormat) return createPrivateKey(text);
    const parsed = parseKey(text);
    if (parsed instanceof Error) {
      return parsed.message.toLowerCase().includes("encrypted") ? ENCRYPTED : UNREADABLE;
    }
    // What ssh2 writes for ed25519 lacks nothing that OpenSSL wants.
    return createPrivateKey(parsed.getPrivatePEM());
  } catch {
    return text.includes("PUBLIC KEY") || text.startsWith("ssh-")
      ? "this is a public key; the private one is wanted"
      : UNREADABLE;
  }
}

const ENCRYPTED = "this key is encrypted with a passphrase; take one without, and keep it where only weir can read it";
const UNREADABLE = "this is no private key that can be read; to read it from a file write { file: PATH }";

function publicBlobOf(key: KeyObject): Uint8Array | null {
  const { kty, crv, x, y, n, e } = createPublicKey(key).export({ format: "jwk" });
  if (kty === "OKP" && crv === "Ed25519" && x !== undefined) {
    return new FieldWriter().string("ssh-ed25519").string(decode(x)).take();
  }
  if (kty === "RSA" && n !== undefined && e !== undefined) {
    return new FieldWriter().string("ssh-rsa").mpint(decode(e)).mpint(decode(n)).take();
  }
  const curve = crv === undefined ? undefined : CURVES[crv];
  if (kty !== "EC" || curve === undefined || x === undefined || y === undefined) return null;
  const point = new FieldWriter().u8(4).raw(decode(x)).raw(decode(y)).take();
  return new FieldWriter().string(`ecdsa-sha2-${curve}`).string(curve).string(point).take();
}

function isEcdsa(algorithm: string): boolean {
  return algorithm.startsWith("ecdsa-");
}

/** `r || s` of equal lengths to how SSH writes them (RFC 5656, section 3.1.2). */
function mpintPair(bytes: Uint8Array): Uint8Array {
  const half = bytes.length / 2;
  return new FieldWriter().mpint(bytes.subarray(0, half)).mpint(bytes.subarray(half)).take();
}

function decode(base64url: string): Uint8Array {
  return Buffer.from(base64url, "base64url");
}
