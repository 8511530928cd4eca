/** Tests that public keys are read as OpenSSH writes them, and that whatever else comes is told apart. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSameKey, readPublicKey, readPublicKeyBlob } from "./ssh-public-key.ts";

function made(...args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-public-key-"));
  try {
    const file = join(folder, "key");
    const result = Bun.spawnSync(["ssh-keygen", "-q", "-N", "", "-C", "ann@example", "-f", file, ...args]);
    if (result.exitCode !== 0) throw new Error(result.stderr.toString());
    return readFileSync(`${file}.pub`, "utf8").trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("what ssh-keygen makes is read", () => {
  for (const [type, ...args] of [
    ["ssh-ed25519", "-t", "ed25519"],
    ["ecdsa-sha2-nistp256", "-t", "ecdsa", "-b", "256"],
    ["ecdsa-sha2-nistp384", "-t", "ecdsa", "-b", "384"],
    ["ecdsa-sha2-nistp521", "-t", "ecdsa", "-b", "521"],
    ["ssh-rsa", "-t", "rsa", "-b", "2048"],
  ] as const) {
    test(type, () => {
      const line = made(...args);
      const key = readPublicKey(line);
      if (typeof key === "string") throw new Error(key);
      expect(key.type).toBe(type);
      expect(Buffer.from(key.blob).toString("base64")).toBe(line.split(" ")[1] ?? "");
      expect(readPublicKeyBlob(key.blob)).toEqual(key);
      expect(isSameKey(key.blob, Uint8Array.from(key.blob))).toBe(true);
      // Every cut and every added byte is seen.
      for (let length = 0; length < key.blob.length; length++) {
        expect(typeof readPublicKeyBlob(key.blob.subarray(0, length))).toBe("string");
      }
      expect(typeof readPublicKeyBlob(new Uint8Array([...key.blob, 0]))).toBe("string");
    });
  }
});

const ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

describe("what cannot be used is said", () => {
  const table: readonly [text: string, says: string][] = [
    ["", "expected a public key of the type"],
    ["ssh-ed25519", "expected ssh-ed25519, a space and the key in base64"],
    ["ssh-ed25519 AAAA!", "expected ssh-ed25519, a space and the key in base64"],
    [`ssh-rsa ${ED25519}`, "it is of another type inside"],
    [`ssh-dss ${ED25519}`, "DSA keys are too weak"],
    [`sk-ssh-ed25519@openssh.com ${ED25519}`, "keys of security tokens"],
    [`ssh-ed25519-cert-v01@openssh.com ${ED25519}`, "certificates are not taken"],
    ["-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key"],
    [`from="10.0.0.1" ssh-ed25519 ${ED25519}`, "expected a public key of the type"],
    ["a".repeat(20_000), "at most 16384 characters"],
  ];
  test.each(table)("%s", (text, says) => {
    expect(readPublicKey(text)).toContain(says);
  });

  test("RSA below 2048 bits", () => {
    expect(readPublicKey(made("-t", "rsa", "-b", "1024"))).toBe(
      "an RSA key of 1024 bits is too weak; at least 2048 are wanted",
    );
  });
});
