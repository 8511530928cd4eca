/** Public keys of SSH as people write them (`ssh-ed25519 AAAA... comment`): read whole, or said what is wrong with them. */

/** The algorithms of RFC 4253, 5656, 8332 and 8709 that are good enough today. */
export const PUBLIC_KEY_TYPES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
] as const;
export type PublicKeyType = (typeof PUBLIC_KEY_TYPES)[number];

export type SshPublicKey = {
  readonly type: PublicKeyType;
  /** As SSH encodes it (RFC 4253, section 6.6). */
  readonly blob: Uint8Array;
};

const TEXT_CHARS_MAX = 16_384;
const RSA_BITS_MIN = 2_048;
const RSA_BITS_MAX = 16_384;
const ED25519_BYTES = 32;
/** Bytes of one coordinate. */
const CURVES: Readonly<Record<string, { readonly name: string; readonly bytes: number }>> = {
  "ecdsa-sha2-nistp256": { name: "nistp256", bytes: 32 },
  "ecdsa-sha2-nistp384": { name: "nistp384", bytes: 48 },
  "ecdsa-sha2-nistp521": { name: "nistp521", bytes: 66 },
};
const UNCOMPRESSED_POINT = 4;

/** Reads one line of authorized_keys or a .pub file without options; a sentence for people when it cannot be used. */
export function readPublicKey(text: string): SshPublicKey | string {
  if (text.length > TEXT_CHARS_MAX) return `a public key has at most ${TEXT_CHARS_MAX} characters`;
  const [type = "", base64 = ""] = text
    .replaceAll("\t", " ")
    .split(" ")
    .filter((word) => word !== "");
  const no = typeProblem(type);
  if (no !== null) return no;
  const blob = decodeBase64(base64);
  if (blob === null) return `expected ${type}, a space and the key in base64, as ssh-keygen writes it into a .pub file`;
  return readPublicKeyBlob(blob, type);
}

/** Reads a key as SSH encodes it; `expected`: of this type. */
export function readPublicKeyBlob(blob: Uint8Array, expected: string | null = null): SshPublicKey | string {
  const fields = fieldsOf(blob);
  const [first, ...rest] = fields ?? [];
  if (first === undefined) return "the key is damaged: its fields do not fit its length";
  const type = String.fromCharCode(...first);
  if (expected !== null && type !== expected) return "the key is damaged: it is of another type inside";
  const no = typeProblem(type) ?? fieldsProblem(type, rest);
  const known = PUBLIC_KEY_TYPES.find((each) => each === type);
  if (no !== null || known === undefined) return no ?? "the key's type is not known";
  return { type: known, blob };
}

/** True when both are the same key. */
export function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function typeProblem(type: string): string | null {
  if (PUBLIC_KEY_TYPES.some((each) => each === type)) return null;
  if (type.startsWith("-----")) return "this is a private key or a certificate; the line of its .pub file is wanted";
  if (type.includes("-cert-")) return "certificates are not taken by this version; use the plain public key";
  if (type === "ssh-dss") return "DSA keys are too weak; make an ed25519 key";
  if (type.startsWith("sk-")) return "keys of security tokens (sk-...) are not taken by this version";
  return `expected a public key of the type ${PUBLIC_KEY_TYPES.join(", ")}, as ssh-keygen writes it into a .pub file`;
}

function fieldsProblem(type: string, fields: readonly Uint8Array[]): string | null {
  const damaged = "the key is damaged: it does not hold what its type says";
  const curve = CURVES[type];
  if (curve !== undefined) {
    const [name, point] = fields;
    if (fields.length !== 2 || name === undefined || point === undefined) return damaged;
    const isPoint = point.length === 2 * curve.bytes + 1 && point[0] === UNCOMPRESSED_POINT;
    return String.fromCharCode(...name) === curve.name && isPoint ? null : damaged;
  }
  if (type === "ssh-ed25519") return fields.length === 1 && fields[0]?.length === ED25519_BYTES ? null : damaged;
  const [exponent, modulus] = fields;
  if (fields.length !== 2 || exponent === undefined || modulus === undefined) return damaged;
  const bits = bitsOf(modulus);
  if (bits === 0 || bitsOf(exponent) < 2) return damaged;
  if (bits < RSA_BITS_MIN) return `an RSA key of ${bits} bits is too weak; at least ${RSA_BITS_MIN} are wanted`;
  if (bits > RSA_BITS_MAX) return `an RSA key has at most ${RSA_BITS_MAX} bits`;
  return null;
}

/** Of an mpint; 0 when it is negative or not in its shortest form. */
function bitsOf(mpint: Uint8Array): number {
  const [first = 0, second = 0] = mpint;
  if (first >= 0x80 || (first === 0 && second < 0x80)) return 0;
  const bytes = first === 0 ? mpint.subarray(1) : mpint;
  return bytes.length * 8 - (Math.clz32(bytes[0] ?? 0) - 24);
}

/** The length-prefixed strings that the bytes are made of; null when they are not. */
function fieldsOf(bytes: Uint8Array): readonly Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const fields: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) return null;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function decodeBase64(text: string): Uint8Array | null {
  if (text === "") return null;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}
