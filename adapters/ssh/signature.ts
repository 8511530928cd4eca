/** Whether a signature was made by the secret half of a public key (RFC 4253, section 6.6; RFC 5656; RFC 8332; RFC 8709). */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SshPublicKey } from "../../src/core/ssh-public-key.ts";
import { hashOf, signaturesOf } from "./algorithms.ts";
import { FieldReader } from "./protocol/fields.ts";

type Curve = { readonly name: string; readonly coordinateBytes: number };

const CURVES: Readonly<Record<string, Curve>> = {
  "ecdsa-sha2-nistp256": { name: "P-256", coordinateBytes: 32 },
  "ecdsa-sha2-nistp384": { name: "P-384", coordinateBytes: 48 },
  "ecdsa-sha2-nistp521": { name: "P-521", coordinateBytes: 66 },
};

/** `signature` is a whole one, with its algorithm's name, which must be `algorithm`. Never throws. */
export function isSignedBy(key: SshPublicKey, algorithm: string, data: Uint8Array, signature: Uint8Array): boolean {
  if (!signaturesOf(key.type).includes(algorithm)) return false;
  try {
    const fields = new FieldReader(signature);
    if (fields.utf8() !== algorithm) return false;
    const value = fields.string();
    fields.end();
    const curve = CURVES[key.type];
    const raw = curve === undefined ? value : joined(value, curve);
    return verify(hashOf(algorithm), data, { key: keyObjectOf(key), dsaEncoding: "ieee-p1363" }, raw);
  } catch {
    return false;
  }
}

function keyObjectOf({ type, blob }: SshPublicKey): KeyObject {
  const fields = new FieldReader(blob);
  fields.string();
  const curve = CURVES[type];
  if (curve !== undefined) {
    fields.string();
    const point = fields.string();
    const x = encode(point.subarray(1, 1 + curve.coordinateBytes));
    const y = encode(point.subarray(1 + curve.coordinateBytes));
    return createPublicKey({ key: { kty: "EC", crv: curve.name, x, y }, format: "jwk" });
  }
  if (type === "ssh-rsa") {
    const e = encode(withoutSign(fields.string()));
    return createPublicKey({ key: { kty: "RSA", e, n: encode(withoutSign(fields.string())) }, format: "jwk" });
  }
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: encode(fields.string()) }, format: "jwk" });
}

/** The two numbers of an ECDSA signature as `r || s` of equal lengths; throws when one is too long. */
function joined(value: Uint8Array, { coordinateBytes }: Curve): Uint8Array {
  const fields = new FieldReader(value);
  const numbers = [withoutSign(fields.string()), withoutSign(fields.string())];
  fields.end();
  const bytes = new Uint8Array(2 * coordinateBytes);
  for (const [index, number] of numbers.entries()) bytes.set(number, (index + 1) * coordinateBytes - number.length);
  return bytes;
}

/** An mpint that is not negative, without its leading zeros. */
function withoutSign(mpint: Uint8Array): Uint8Array {
  const start = mpint.findIndex((byte) => byte !== 0);
  return start < 0 ? new Uint8Array(0) : mpint.subarray(start);
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
