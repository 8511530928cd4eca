/**
 * mlkem768x25519-sha256 (draft-ietf-sshm-mlkem-hybrid-kex; FIPS 203): a secret that holds as long as ML-KEM or X25519
 * does. Both are the runtime's own (BoringSSL), of which ML-KEM is reached by WebCrypto alone, hence the promises.
 */
import { createHash } from "node:crypto";
import { FieldWriter } from "../protocol/fields.ts";
import { ExchangeError } from "./exchange-error.ts";
import { type Method, X25519_BYTES, x25519Share } from "./methods.ts";

const ML_KEM = "ML-KEM-768";
const PUBLIC_KEY_BYTES = 1_184;
const CIPHERTEXT_BYTES = 1_088;

const { subtle } = crypto;

export const mlKem768X25519: Method = {
  hash: "sha256",
  begin: async () => {
    const pair = await subtle.generateKey(ML_KEM, false, ["decapsulateBits"]);
    if (!("privateKey" in pair)) throw new Error("ML-KEM has keys in pairs");
    const { publicKey, privateKey } = pair;
    const mine = x25519Share();
    return {
      init: Buffer.concat([new Uint8Array(await subtle.exportKey("raw-public", publicKey)), mine.bytes]),
      secretOf: async (reply) => {
        const [ciphertext, theirs] = halves(reply, CIPHERTEXT_BYTES);
        // Of a ciphertext that is not for this key comes a secret that the peer does not know (FIPS 203, section 6.3).
        const postQuantum = await subtle.decapsulateBits(ML_KEM, privateKey, ciphertext);
        return joined(postQuantum, mine.agree(theirs));
      },
    };
  },
  answer: async (init) => {
    const [key, theirs] = halves(init, PUBLIC_KEY_BYTES);
    // The import refuses what no key encodes to (FIPS 203, section 7.2).
    const publicKey = await subtle.importKey("raw-public", key, ML_KEM, false, ["encapsulateBits"]);
    const { sharedKey, ciphertext } = await subtle.encapsulateBits(ML_KEM, publicKey);
    const mine = x25519Share();
    return {
      reply: Buffer.concat([new Uint8Array(ciphertext), mine.bytes]),
      secret: joined(sharedKey, mine.agree(theirs)),
    };
  },
};

/** Copies: what the peer sent is a view on memory of its connection. */
function halves(sent: Uint8Array, postQuantumBytes: number): [Uint8Array<ArrayBuffer>, Uint8Array] {
  if (sent.length !== postQuantumBytes + X25519_BYTES) {
    throw new ExchangeError("the peer's keys for mlkem768x25519-sha256 have a wrong length");
  }
  return [Uint8Array.from(sent.subarray(0, postQuantumBytes)), sent.slice(postQuantumBytes)];
}

/** A string, where other methods have a number. */
function joined(postQuantum: ArrayBuffer, classical: Uint8Array): Uint8Array {
  const first = new Uint8Array(postQuantum);
  const secret = createHash("sha256").update(first).update(classical).digest();
  const encoded = new FieldWriter().string(secret).take();
  for (const each of [first, classical, secret]) each.fill(0);
  return encoded;
}
