/** The key by which clients know this gateway's SSH listener: made on first start and kept in the data folder, so that they can pin it. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { fingerprintOf } from "./keys.ts";
import { readKept, writeKept } from "./kept-file.ts";
import { StoreError } from "./store-error.ts";

export type HostKey = {
  /** PEM, PKCS #8, unencrypted. */
  readonly privateKey: string;
  /** As a line of a .pub file. */
  readonly publicKey: string;
  /** As OpenSSH prints it: `SHA256:...`. */
  readonly fingerprint: string;
};

const TYPE = "ssh-ed25519";
const ED25519_BYTES = 32;

/** Where the key lies. */
function hostKeyPath(folder: string): string {
  return join(folder, "ssh_host_ed25519.pem");
}

/** Where it lies as a known_hosts file, for clients on this machine and for copies of it. */
export function knownHostsPath(folder: string): string {
  return join(folder, "ssh_known_hosts");
}

/**
 * Reads the ed25519 host key, or makes it; keeps it as a known_hosts file too. Throws StoreError when what is there cannot be used, because making another
 * would look to every client as if somebody stood in between.
 */
export function keptHostKey(folder: string): HostKey {
  const path = hostKeyPath(folder);
  const kept = readKept(path);
  if (kept === null) {
    const made = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
    writeKept(path, made, 0o600);
    return withKnownHosts(folder, hostKeyOf(made, path));
  }
  return withKnownHosts(folder, hostKeyOf(kept, path));
}

/** For whatever name or address the gateway is reached by. */
function withKnownHosts(folder: string, key: HostKey): HostKey {
  const path = knownHostsPath(folder);
  const line = `* ${key.publicKey}\n`;
  if (readKept(path) !== line) writeKept(path, line, 0o644);
  return key;
}

function hostKeyOf(pem: string, path: string): HostKey {
  let raw: Uint8Array;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== "ed25519") throw new Error("another type of key");
    const spki = createPublicKey(key).export({ type: "spki", format: "der" });
    raw = spki.subarray(spki.length - ED25519_BYTES);
  } catch {
    throw new StoreError(
      `${path} is damaged; put it back from a copy, or remove it to get a new one, which every client must then be told`,
    );
  }
  const blob = Buffer.concat([lengthPrefixed(Buffer.from(TYPE)), lengthPrefixed(raw)]);
  return { privateKey: pem, publicKey: `${TYPE} ${blob.toString("base64")}`, fingerprint: fingerprintOf(blob) };
}

function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
