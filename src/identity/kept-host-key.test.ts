/** Tests of the SSH listener's host key: made once, kept, and never made anew in silence. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPublicKey } from "../core/ssh-public-key.ts";
import { keptHostKey } from "./kept-host-key.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-host-key-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (): string => join(folder, "ssh_host_ed25519.pem");

test("is made on the first start, for its owner alone, and is the same on the next", () => {
  const first = keptHostKey(folder);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  expect(keptHostKey(folder)).toEqual(first);
  expect(typeof readPublicKey(first.publicKey)).toBe("object");
  const shown = Bun.spawnSync(["ssh-keygen", "-lf", "-"], { stdin: Buffer.from(`${first.publicKey}\n`) });
  expect(shown.stdout.toString()).toContain(` ${first.fingerprint} `);
});

test("another folder has another key", () => {
  const first = keptHostKey(folder);
  rmSync(path());
  expect(keptHostKey(folder).fingerprint).not.toBe(first.fingerprint);
});

test.each(["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])(
  "a damaged one is an error, and stays as it is",
  (text) => {
    writeFileSync(path(), text);
    expect(() => keptHostKey(folder)).toThrow("is damaged; put it back from a copy");
    expect(readFileSync(path(), "utf8")).toBe(text);
  },
);

test("a key of another type is an error", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  writeFileSync(path(), privateKey.export({ type: "pkcs8", format: "pem" }));
  expect(() => keptHostKey(folder)).toThrow("is damaged");
});
