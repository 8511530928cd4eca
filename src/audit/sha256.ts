/** SHA-256 in the two forms in which the log uses it: bytes in the tree, lower-case hex in leaves. */

export const SHA256_BYTES = 32;

export function sha256(data: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const hash = new Uint8Array(SHA256_BYTES);
  Bun.SHA256.hash(data, hash);
  return hash;
}

export function sha256Hex(data: Uint8Array | string): string {
  return Bun.SHA256.hash(data, "hex");
}

const HEX_DIGITS = new TextEncoder().encode("0123456789abcdef");

/** Lower-case hex as ASCII. */
export function hexOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const hex = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    hex[2 * i] = HEX_DIGITS[byte >> 4] ?? 0;
    hex[2 * i + 1] = HEX_DIGITS[byte & 15] ?? 0;
  }
  return hex;
}
