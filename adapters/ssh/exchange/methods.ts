/** The ways of agreeing on a secret (RFC 4253, section 8; RFC 5656; RFC 8731): what each side sends, and what both then know. */
import { createECDH, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";
import { FieldWriter } from "../protocol/fields.ts";
import { ExchangeError } from "./exchange-error.ts";

/** One side's half of an agreement: what the other side gets, and what comes out with the other's; both fresh, used once. */
export type Share = {
  readonly bytes: Uint8Array;
  /** Throws when what came cannot be a share. */
  agree(theirs: Uint8Array): Uint8Array;
};

/** A client's half. */
export type Begun = {
  readonly init: Uint8Array;
  /** The secret, as the hash takes it: length first. Rejects when what came cannot be a reply. */
  secretOf(reply: Uint8Array): Promise<Uint8Array>;
};

/** A server's half. */
export type Answered = { readonly reply: Uint8Array; readonly secret: Uint8Array };

export type Method = {
  readonly hash: "sha256" | "sha384" | "sha512";
  begin(): Promise<Begun>;
  /** Rejects when what came cannot be a client's half. */
  answer(init: Uint8Array): Promise<Answered>;
};

/** Both sides send a share, and the secret is a number. */
export function diffieHellmanMethod(hash: Method["hash"], share: () => Share): Method {
  const secretWith = (mine: Share, theirs: Uint8Array): Uint8Array => {
    const secret = mine.agree(theirs);
    const encoded = new FieldWriter().mpint(secret).take();
    secret.fill(0);
    return encoded;
  };
  return {
    hash,
    begin: async () => {
      const mine = share();
      return { init: mine.bytes, secretOf: async (reply) => secretWith(mine, reply) };
    },
    answer: async (init) => {
      const mine = share();
      return { reply: mine.bytes, secret: secretWith(mine, init) };
    },
  };
}

export const X25519_BYTES = 32;
/** A public key of X25519 begins so in DER (RFC 8410). */
const X25519_HEADER = Buffer.from("302a300506032b656e032100", "hex");

export function x25519Share(): Share {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return {
    bytes: publicKey.export({ type: "spki", format: "der" }).subarray(X25519_HEADER.length),
    agree: (theirs) => {
      if (theirs.length !== X25519_BYTES) throw new ExchangeError("the peer's key for X25519 has a wrong length");
      const key = Buffer.concat([X25519_HEADER, theirs]);
      // Throws when the outcome is zero, as with points of low order (RFC 8731, section 3).
      return diffieHellman({ privateKey, publicKey: createPublicKey({ key, type: "spki", format: "der" }) });
    },
  };
}

const UNCOMPRESSED_POINT = 4;

export function curveShare(curve: string, coordinateBytes: number): () => Share {
  return () => {
    const own = createECDH(curve);
    return {
      bytes: own.generateKeys(),
      agree: (theirs) => {
        const isPoint = theirs.length === 1 + 2 * coordinateBytes && theirs[0] === UNCOMPRESSED_POINT;
        if (!isPoint) throw new ExchangeError("the peer's key is no point of the curve that was agreed on");
        // Throws on what is not on the curve.
        return own.computeSecret(theirs);
      },
    };
  };
}
