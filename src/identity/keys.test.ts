/** Tests of logins by bound keys, alone and beside tokens. */
import { expect, test } from "bun:test";
import { isRefusal, refusal } from "../core/decision.ts";
import { readPublicKey } from "../core/ssh-public-key.ts";
import type { Authenticator } from "../core/ports.ts";
import { Authenticators } from "./authenticators.ts";
import { type BoundKey, fingerprintOf, KeyAuthenticator } from "./keys.ts";

const PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

function blobOf(text: string): Uint8Array {
  const key = readPublicKey(text);
  if (typeof key === "string") throw new Error(key);
  return key.blob;
}

const blob = blobOf(PUBLIC_KEY);
const other = Uint8Array.from(blob, (byte, index) => (index === blob.length - 1 ? byte ^ 1 : byte));
const ann: BoundKey = { subject: "ann", kind: "human", groups: ["dba"], owner: null, blob };

function claim(publicKey: Uint8Array): Parameters<Authenticator["authenticate"]>[0] {
  return { method: "key", publicKey, source: "10.0.0.1" };
}

test("a bound key is its subject's, by the same issuer as tokens", async () => {
  const keys = new KeyAuthenticator([ann]);
  const identity = await keys.authenticate(claim(blob));
  expect(identity).toEqual({
    kind: "human",
    issuer: "weir",
    subject: "ann",
    groups: ["dba"],
    proof: { method: "key", credential: fingerprintOf(blob), expiresAtMs: null },
  });
  if (isRefusal(identity)) throw new Error(identity.message);
  expect(keys.stillValid(identity)).toBe(true);
  expect(new KeyAuthenticator([]).stillValid(identity)).toBe(false);
});

test("an agent's key has its owner", async () => {
  const keys = new KeyAuthenticator([{ ...ann, kind: "agent", owner: "bob" }]);
  expect(await keys.authenticate(claim(blob))).toMatchObject({ kind: "agent", owner: "bob" });
});

test("any other key is nobody's, and so is a token here", async () => {
  const keys = new KeyAuthenticator([ann]);
  expect(await keys.authenticate(claim(other))).toMatchObject({ code: "unauthenticated" });
  expect(await keys.authenticate({ method: "token", secret: "x", source: "" })).toMatchObject({
    code: "unauthenticated",
  });
  expect([keys.knowsKey(blob), keys.knowsKey(other)]).toEqual([true, false]);
});

test("fingerprints are those of OpenSSH", () => {
  const shown = Bun.spawnSync(["ssh-keygen", "-lf", "-"], { stdin: Buffer.from(`${PUBLIC_KEY}\n`) }).stdout.toString();
  expect(shown).toContain(` ${fingerprintOf(blob)} `);
});

test("each login is judged by whoever let it in", async () => {
  const asked: string[] = [];
  const tokens: Authenticator = {
    authenticate: async ({ method }) => {
      asked.push(method);
      return refusal("unauthenticated", "no");
    },
    stillValid: () => false,
    knowsKey: () => false,
  };
  const both = new Authenticators(tokens, new KeyAuthenticator([ann]));
  const byKey = await both.authenticate(claim(blob));
  if (isRefusal(byKey)) throw new Error(byKey.message);
  expect(both.stillValid(byKey, 0)).toBe(true);
  expect(both.stillValid({ ...byKey, proof: { ...byKey.proof, method: "token" } }, 0)).toBe(false);
  expect(both.knowsKey(blob)).toBe(true);
  await both.authenticate({ method: "token", secret: "x", source: "" });
  expect(asked).toEqual(["token"]);
});
