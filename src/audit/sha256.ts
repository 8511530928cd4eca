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
