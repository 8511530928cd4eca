/** Tests of what becomes of a secret: keys as long as a cipher wants them, each its own. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { deriveKey, exchangeHash } from "./keys.ts";

const derivation = {
  hash: "sha256",
  secret: Uint8Array.of(0, 0, 0, 1, 5),
  exchangeHash: Buffer.from("hash"),
  sessionId: Buffer.from("session"),
} as const;

function sha256(...parts: readonly (string | Uint8Array)[]): Buffer {
  return createHash("sha256")
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
}

test("a key that is longer than a hash goes on with hashes of itself (RFC 4253, section 7.2)", () => {
  const { secret } = derivation;
  const one = sha256(secret, "hash", "C", "session");
  const two = sha256(secret, "hash", one);
  const three = sha256(secret, "hash", one, two);
  const whole = Buffer.concat([one, two, three]);
  for (const bytes of [0, 12, 16, 32, 33, 64, 65, 96]) {
    expect(deriveKey(derivation, "C", bytes)).toEqual(whole.subarray(0, bytes));
  }
  expect(deriveKey(derivation, "D", 32)).toEqual(sha256(secret, "hash", "D", "session"));
});

test("the hash covers all that was said, in its order, and where each part ends", () => {
  const said = {
    clientIdent: Buffer.from("SSH-2.0-a"),
    serverIdent: Buffer.from("SSH-2.0-b"),
    clientKexInit: Buffer.from("c"),
    serverKexInit: Buffer.from("d"),
    hostKey: Buffer.from("e"),
    init: Buffer.from("f"),
    reply: Buffer.from("g"),
  };
  const secret = Uint8Array.of(0, 0, 0, 1, 5);
  const text = ["SSH-2.0-a", "SSH-2.0-b", "c", "d", "e", "f", "g"].map((part) =>
    Buffer.concat([Uint8Array.of(0, 0, 0, part.length), Buffer.from(part)]),
  );
  const expected = sha256(...text, secret).toString("hex");
  const hashed = (what: typeof said): string => Buffer.from(exchangeHash("sha256", what, secret)).toString("hex");
  expect(hashed(said)).toBe(expected);
  for (const name of Object.keys(said)) {
    expect(hashed({ ...said, [name]: Buffer.from("x") })).not.toBe(expected);
  }
});
