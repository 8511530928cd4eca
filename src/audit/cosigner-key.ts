/** The key with which this weir cosigns the logs of others: made on first use, and kept. */
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newSigner, readSigner } from "./note.ts";
import type { NoteSigner } from "./note.ts";

/** Reads `keys/cosigner.key` of the folder, or makes it under this name; `cosigner.vkey` beside is for the logs. */
export function keptCosigner(folder: string, name: string): NoteSigner {
  const keys = join(folder, "keys");
  const path = join(keys, "cosigner.key");
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  const kept = readOrNull(path);
  const signer = kept === null ? make(path, name) : readSigner(kept);
  if (signer.verifier.kind !== "cosignature") throw new Error(`${path} holds no key for cosignatures`);
  writeWhole(join(folder, "cosigner.vkey"), `${signer.verifier.vkey}\n`, 0o644);
  return signer;
}

function make(path: string, name: string): NoteSigner {
  const { signer, privateKey } = newSigner(name, "cosignature");
  writeWhole(path, `${privateKey}\n`, 0o600);
  return signer;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** A file is there whole or not at all, also after a crash. */
function writeWhole(path: string, text: string, mode: number): void {
  const aside = `${path}.new`;
  const file = openSync(aside, "w", mode);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  chmodSync(aside, mode);
  renameSync(aside, path);
}
