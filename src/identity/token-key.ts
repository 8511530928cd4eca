/** The key that token secrets are hashed under: made on first use, kept in the data folder, readable by its owner only. */
import { createHmac, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { StoreError } from "./store-error.ts";

const KEY_BYTES = 32;

/** Reads the key; makes one when there is none and `mayCreate` says that nothing depends on an older one. */
export function openTokenKey(path: string, mayCreate: boolean): Uint8Array {
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new StoreError(`${path} can be read by others (mode ${mode.toString(8)}); run: chmod 600 ${path}`);
    }
    const key = readFileSync(path);
    if (key.length !== KEY_BYTES) {
      throw new StoreError(`${path} is damaged: it holds ${key.length} bytes, not ${KEY_BYTES}`);
    }
    return key;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ENOENT") throw error;
  }
  if (!mayCreate) {
    throw new StoreError(`${path} is gone, so the tokens in the store cannot be checked; put it back from a backup`);
  }
  const key = randomBytes(KEY_BYTES);
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, key);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return key;
}

/** HMAC-SHA256 of a token's secret, bound to its id. */
export function hashSecret(key: Uint8Array, id: string, secret: string): Uint8Array {
  return createHmac("sha256", key).update(`weir token\n${id}\n${secret}`).digest();
}
