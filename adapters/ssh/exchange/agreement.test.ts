/** Tests of what two KEXINITs come to. */
import { describe, expect, test } from "bun:test";
import { FieldWriter } from "../protocol/fields.ts";
import { agree, type Offer, readKexInit } from "./agreement.ts";

const direction = { cipher: ["aes128-gcm@openssh.com", "aes128-ctr"], mac: ["hmac-sha2-256"], compress: ["none"] };
const offer: Offer = {
  kex: ["a", "b"],
  hostKey: ["ssh-ed25519", "rsa-sha2-512"],
  toServer: direction,
  toClient: direction,
  hasGuessed: false,
};

function written(kex: string, hasGuessed: boolean, rest: readonly number[] = []): Uint8Array {
  const message = new FieldWriter().u8(20).raw(new Uint8Array(16));
  for (const list of [kex, "ssh-ed25519", "c1", "c2", "m1", "m2", "none", "zlib,none", "", ""]) message.string(list);
  return message.bool(hasGuessed).u32(0).raw(Uint8Array.from(rest)).take();
}

describe("a KEXINIT", () => {
  test("is read with both directions", () => {
    expect(readKexInit(written("a,b", true))).toEqual({
      kex: ["a", "b"],
      hostKey: ["ssh-ed25519"],
      toServer: { cipher: ["c1"], mac: ["m1"], compress: ["none"] },
      toClient: { cipher: ["c2"], mac: ["m2"], compress: ["zlib", "none"] },
      hasGuessed: true,
    });
  });

  test("that is cut off anywhere, or goes on, is none", () => {
    const whole = written("a,b", false);
    for (let bytes = 1; bytes < whole.length; bytes++) {
      expect(() => readKexInit(whole.subarray(0, bytes))).toThrow();
    }
    expect(() => readKexInit(written("a,b", false, [0]))).toThrow();
  });
});

describe("agreed on is", () => {
  test("what the client likes best of what the server has", () => {
    const client: Offer = { ...offer, kex: ["x", "b", "a"], hostKey: ["rsa-sha2-512", "ssh-ed25519"] };
    const toServer = { cipher: "aes128-gcm@openssh.com", mac: null };
    expect(agree(client, offer)).toEqual({
      kex: "b",
      hostKey: "rsa-sha2-512",
      toServer,
      toClient: toServer,
      isGuessWrong: false,
    });
  });

  test("a MAC only for a cipher that has none of its own", () => {
    const client: Offer = { ...offer, toServer: { ...direction, cipher: ["aes128-ctr"] } };
    const { toServer, toClient } = agree(client, offer);
    expect(toServer).toEqual({ cipher: "aes128-ctr", mac: "hmac-sha2-256" });
    expect(toClient.mac).toBeNull();
    const noMac: Offer = { ...offer, toServer: { ...direction, cipher: ["aes128-ctr"], mac: ["hmac-md5"] } };
    expect(() => agree(noMac, offer)).toThrow("no matching C->S MAC");
  });

  test("nothing when one thing is missing", () => {
    const without: Readonly<Record<string, Offer>> = {
      "key exchange algorithm": { ...offer, kex: ["x"] },
      "host key format": { ...offer, hostKey: ["x"] },
      "C->S cipher": { ...offer, toServer: { ...direction, cipher: ["x"] } },
      "S->C cipher": { ...offer, toClient: { ...direction, cipher: ["x"] } },
      "C->S compression": { ...offer, toServer: { ...direction, compress: ["zlib"] } },
      "S->C compression": { ...offer, toClient: { ...direction, compress: ["zlib"] } },
    };
    for (const [what, client] of Object.entries(without)) {
      expect(() => agree(client, offer)).toThrow(`no matching ${what}`);
    }
  });
});

test("a guess is right when both like the same exchange and host key best, whatever else was agreed on", () => {
  const guessed: Offer = { ...offer, hasGuessed: true };
  expect(agree(guessed, offer).isGuessWrong).toBe(false);
  expect(agree({ ...guessed, kex: ["b", "a"] }, offer).isGuessWrong).toBe(true);
  expect(agree({ ...guessed, kex: ["x", "a"] }, offer).isGuessWrong).toBe(true);
  expect(agree({ ...guessed, hostKey: ["rsa-sha2-512"] }, offer).isGuessWrong).toBe(true);
  expect(agree(offer, { ...guessed, kex: ["b", "a"] }).isGuessWrong).toBe(true);
  expect(agree({ ...offer, kex: ["b", "a"] }, offer).isGuessWrong).toBe(false);
});
