/** The hash of a server's certificate that ties a SCRAM login to its TLS connection: tls-server-end-point, RFC 5929 section 4.1. */
import { createHash } from "node:crypto";

/**
 * The certificate's hash, by the hash function of its own signature (SHA-256 in place of MD5 and SHA-1). Null when the
 * signature names none, as with Ed25519, or the bytes are no certificate: the binding is then undefined.
 */
export function tlsServerEndPoint(certificateDer: Uint8Array): Uint8Array | null {
  const hash = signatureHash(certificateDer);
  return hash === null ? null : createHash(hash).update(certificateDer).digest();
}

type Hash = "sha224" | "sha256" | "sha384" | "sha512";

/** Object identifiers, as hex of their contents. */
const SIGNATURE_HASHES: ReadonlyMap<string, Hash> = new Map([
  ["2a864886f70d010104", "sha256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "sha256"], // sha1WithRSAEncryption
  ["2a864886f70d01010e", "sha224"], // sha224WithRSAEncryption
  ["2a864886f70d01010b", "sha256"], // sha256WithRSAEncryption
  ["2a864886f70d01010c", "sha384"], // sha384WithRSAEncryption
  ["2a864886f70d01010d", "sha512"], // sha512WithRSAEncryption
  ["2a8648ce3d0401", "sha256"], // ecdsa-with-SHA1
  ["2a8648ce3d040301", "sha224"], // ecdsa-with-SHA224
  ["2a8648ce3d040302", "sha256"], // ecdsa-with-SHA256
  ["2a8648ce3d040303", "sha384"], // ecdsa-with-SHA384
  ["2a8648ce3d040304", "sha512"], // ecdsa-with-SHA512
]);
const RSASSA_PSS = "2a864886f70d01010a";
const PSS_HASHES: ReadonlyMap<string, Hash> = new Map([
  ["2b0e03021a", "sha256"], // SHA-1
  ["608648016503040204", "sha224"],
  ["608648016503040201", "sha256"],
  ["608648016503040202", "sha384"],
  ["608648016503040203", "sha512"],
]);

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const CONTEXT_0 = 0xa0;

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm { oid, parameters }, signature }: RFC 5280, section 4.1. */
function signatureHash(certificateDer: Uint8Array): Hash | null {
  const certificate = element(certificateDer, 0, SEQUENCE);
  const body = certificate && element(certificate.value, 0, SEQUENCE);
  const algorithm = body && element(certificate.value, body.end, SEQUENCE);
  const oid = algorithm && element(algorithm.value, 0, OBJECT_IDENTIFIER);
  if (!oid) return null;
  const name = Buffer.from(oid.value).toString("hex");
  return name === RSASSA_PSS ? pssHash(algorithm.value, oid.end) : (SIGNATURE_HASHES.get(name) ?? null);
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm DEFAULT sha1, ... }: RFC 4055, section 3.1. */
function pssHash(algorithm: Uint8Array, at: number): Hash | null {
  const parameters = element(algorithm, at, SEQUENCE);
  if (!parameters) return null;
  const tagged = element(parameters.value, 0, CONTEXT_0);
  if (!tagged) return "sha256";
  const hash = element(tagged.value, 0, SEQUENCE);
  const oid = hash && element(hash.value, 0, OBJECT_IDENTIFIER);
  return oid ? (PSS_HASHES.get(Buffer.from(oid.value).toString("hex")) ?? null) : null;
}

type Element = { readonly value: Uint8Array; readonly end: number };

/** The DER element at `at` if it has this tag and lies within the bytes; else null. */
function element(bytes: Uint8Array, at: number, tag: number): Element | null {
  if (bytes[at] !== tag) return null;
  const first = bytes[at + 1] ?? 0x80;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 3) return null;
  let length = first < 0x80 ? first : 0;
  for (let index = 0; index < lengthBytes; index++) length = length * 256 + (bytes[at + 2 + index] ?? 0);
  const start = at + 2 + lengthBytes;
  if (start + length > bytes.length) return null;
  return { value: bytes.subarray(start, start + length), end: start + length };
}
