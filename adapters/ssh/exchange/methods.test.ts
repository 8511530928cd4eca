/** Tests of each way to agree on a secret: with halves that others have made, and with such as nobody could honestly make. */
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { describe, expect, test } from "bun:test";
import { createECDH, createHash, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { METHODS } from "../algorithms.ts";
import { FieldWriter } from "../protocol/fields.ts";
import { diffieHellmanMethod, type Method } from "./methods.ts";

const HYBRID = "mlkem768x25519-sha256";

function methodOf(name: string): Method {
  const method = METHODS.get(name);
  if (method === undefined) throw new Error(`there is no ${name}`);
  return method;
}

/** X25519 as others do it: with keys in JSON. */
function x25519(): { readonly bytes: Uint8Array; secretWith(theirs: Uint8Array): Uint8Array } {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return {
    bytes: Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url"),
    secretWith: (theirs) => {
      const key = { kty: "OKP", crv: "X25519", x: Buffer.from(theirs).toString("base64url") };
      return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: "jwk" }) });
    },
  };
}

function hybridSecret(postQuantum: Uint8Array, classical: Uint8Array): string {
  return `00000020${createHash("sha256").update(postQuantum).update(classical).digest("hex")}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("mlkem768x25519-sha256, with another's ML-KEM", () => {
  test("a server understands another's client", async () => {
    const own = ml_kem768.keygen();
    const classical = x25519();
    const { reply, secret } = await methodOf(HYBRID).answer(Buffer.concat([own.publicKey, classical.bytes]));
    expect(reply).toHaveLength(1_120);
    const shared = ml_kem768.decapsulate(reply.subarray(0, 1_088), own.secretKey);
    expect(hex(secret)).toBe(hybridSecret(shared, classical.secretWith(reply.subarray(1_088))));
  });

  test("a client understands another's server", async () => {
    const begun = await methodOf(HYBRID).begin();
    expect(begun.init).toHaveLength(1_216);
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(begun.init.slice(0, 1_184));
    const classical = x25519();
    const expected = hybridSecret(sharedSecret, classical.secretWith(begun.init.subarray(1_184)));
    expect(hex(await begun.secretOf(Buffer.concat([cipherText, classical.bytes])))).toBe(expected);
  });

  test("a ciphertext that was changed leads to another secret, and tells nothing", async () => {
    const begun = await methodOf(HYBRID).begin();
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(begun.init.slice(0, 1_184));
    const classical = x25519();
    const right = hybridSecret(sharedSecret, classical.secretWith(begun.init.subarray(1_184)));
    cipherText[700] = (cipherText[700] ?? 0) ^ 0xff;
    const secret = hex(await begun.secretOf(Buffer.concat([cipherText, classical.bytes])));
    expect(secret).toHaveLength(right.length);
    expect(secret).not.toBe(right);
  });

  test("keys are never used twice", async () => {
    const [one, other] = await Promise.all([methodOf(HYBRID).begin(), methodOf(HYBRID).begin()]);
    expect(one.init.subarray(0, 1_184)).not.toEqual(other.init.subarray(0, 1_184));
    expect(one.init.subarray(1_184)).not.toEqual(other.init.subarray(1_184));
  });
});

/** Points of X25519 with which every outcome is zero (RFC 7748, section 7; https://cr.yp.to/ecdh.html). */
const LOW_ORDER: Readonly<Record<string, string>> = {
  zero: "00".repeat(32),
  one: `01${"00".repeat(31)}`,
  "of order 8": "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "of order 8, too": "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "p - 1": `ec${"ff".repeat(30)}7f`,
  p: `ed${"ff".repeat(30)}7f`,
  "p + 1": `ee${"ff".repeat(30)}7f`,
};

describe("a share of X25519 that would make the secret known", () => {
  for (const [name, digits] of Object.entries(LOW_ORDER)) {
    test(`${name} is refused by servers and clients`, async () => {
      const point = Buffer.from(digits, "hex");
      for (const method of [methodOf("curve25519-sha256"), methodOf("curve25519-sha256@libssh.org")]) {
        await expect(method.answer(point)).rejects.toThrow();
        await expect((await method.begin()).secretOf(point)).rejects.toThrow();
      }
      const hybrid = methodOf(HYBRID);
      await expect(hybrid.answer(Buffer.concat([ml_kem768.keygen().publicKey, point]))).rejects.toThrow();
      const begun = await hybrid.begin();
      const { cipherText } = ml_kem768.encapsulate(begun.init.slice(0, 1_184));
      await expect(begun.secretOf(Buffer.concat([cipherText, point]))).rejects.toThrow();
    });
  }
});

describe("a key of ML-KEM that no key encodes to", () => {
  for (const at of [0, 600, 1_149]) {
    test(`is refused: a coefficient of q at byte ${at}`, async () => {
      const { publicKey } = ml_kem768.keygen();
      const classical = x25519().bytes;
      // q = 3329 = 0xd01, of which two are three bytes.
      publicKey.set([0x01, 0x1d, 0xd0], at);
      await expect(methodOf(HYBRID).answer(Buffer.concat([publicKey, classical]))).rejects.toThrow();
      // And of q - 1 it is one.
      publicKey.set([0x00, 0x0d, 0xd0], at);
      expect((await methodOf(HYBRID).answer(Buffer.concat([publicKey, classical]))).reply).toHaveLength(1_120);
    });
  }
});

describe("a share of a wrong length is refused", () => {
  const bytesOf: Readonly<Record<string, readonly [init: number, reply: number]>> = {
    [HYBRID]: [1_216, 1_120],
    "curve25519-sha256": [32, 32],
    "ecdh-sha2-nistp256": [65, 65],
    "ecdh-sha2-nistp384": [97, 97],
    "ecdh-sha2-nistp521": [133, 133],
  };
  for (const [name, [init, reply]] of Object.entries(bytesOf)) {
    test(name, async () => {
      const method = methodOf(name);
      const begun = await method.begin();
      expect(begun.init).toHaveLength(init);
      const { reply: made } = await method.answer(begun.init);
      expect(made).toHaveLength(reply);
      const long = [Buffer.concat([begun.init, Uint8Array.of(0)]), Buffer.concat([made, Uint8Array.of(0)])] as const;
      for (const wrong of [begun.init.subarray(1), begun.init.subarray(0, -1), new Uint8Array(0), long[0]]) {
        await expect(method.answer(wrong)).rejects.toThrow();
      }
      for (const wrong of [made.subarray(1), made.subarray(0, -1), new Uint8Array(0), long[1]]) {
        await expect(begun.secretOf(wrong)).rejects.toThrow();
      }
    });
  }
});

const CURVES: Readonly<Record<string, string>> = {
  "ecdh-sha2-nistp256": "prime256v1",
  "ecdh-sha2-nistp384": "secp384r1",
  "ecdh-sha2-nistp521": "secp521r1",
};
describe("on the curves of NIST", () => {
  for (const [name, curve] of Object.entries(CURVES)) {
    test(`${name}: a point of the curve is taken, whole`, async () => {
      const theirs = createECDH(curve);
      theirs.generateKeys();
      const begun = await methodOf(name).begin();
      const secret = await begun.secretOf(theirs.getPublicKey());
      expect(secret).toEqual(new FieldWriter().mpint(theirs.computeSecret(begun.init)).take());
      await expect(begun.secretOf(theirs.getPublicKey(null, "compressed"))).rejects.toThrow("no point");
    });

    test(`${name}: what is not on it is refused`, async () => {
      const theirs = createECDH(curve);
      const point = theirs.generateKeys();
      point[point.length - 1] = (point.at(-1) ?? 0) ^ 1;
      await expect((await methodOf(name).begin()).secretOf(point)).rejects.toThrow();
    });
  }
});

test("a secret that is a number is written as one: without zeros in front, and never negative", async () => {
  const secrets: readonly (readonly [from: number[], to: number[]])[] = [
    [
      [0, 0, 0x7f, 1],
      [0, 0, 0, 2, 0x7f, 1],
    ],
    [
      [0x80, 1],
      [0, 0, 0, 3, 0, 0x80, 1],
    ],
    [
      [0, 0x80, 1],
      [0, 0, 0, 3, 0, 0x80, 1],
    ],
  ];
  for (const [from, to] of secrets) {
    const raw = Uint8Array.from(from);
    const method = diffieHellmanMethod("sha256", () => ({ bytes: new Uint8Array(0), agree: () => raw }));
    expect([...(await method.answer(new Uint8Array(0))).secret]).toEqual(to);
    // Nothing of it is left.
    expect([...raw]).toEqual(from.map(() => 0));
  }
});
