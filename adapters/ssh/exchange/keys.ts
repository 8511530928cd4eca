/** What becomes of an agreed secret: the hash that the server signs, and the keys of both directions (RFC 4253, sections 7.2 and 8). */
import { createHash } from "node:crypto";
import {
  CIPHER_INFO,
  type CipherInfo,
  createCipher,
  createDecipher,
  MAC_INFO,
  type MacInfo,
} from "ssh2/lib/protocol/crypto.js";
import type { Cipher, Decipher } from "ssh2/lib/protocol/Protocol.js";
import { FieldWriter } from "../protocol/fields.ts";
import type { Agreement, Protection } from "./agreement.ts";
import { ExchangeError } from "./exchange-error.ts";
import type { Method } from "./methods.ts";

/** All that both sides have said, in the order of the hash. */
export type Transcript = {
  readonly clientIdent: Uint8Array;
  readonly serverIdent: Uint8Array;
  readonly clientKexInit: Uint8Array;
  readonly serverKexInit: Uint8Array;
  readonly hostKey: Uint8Array;
  readonly init: Uint8Array;
  readonly reply: Uint8Array;
};

/** `secret`: length first. */
export function exchangeHash(hash: Method["hash"], said: Transcript, secret: Uint8Array): Uint8Array {
  const { clientIdent, serverIdent, clientKexInit, serverKexInit, hostKey, init, reply } = said;
  const text = new FieldWriter();
  for (const part of [clientIdent, serverIdent, clientKexInit, serverKexInit, hostKey, init, reply]) text.string(part);
  return createHash(hash).update(text.take()).update(secret).digest();
}

export type Derivation = {
  readonly hash: Method["hash"];
  /** Length first. */
  readonly secret: Uint8Array;
  readonly exchangeHash: Uint8Array;
  readonly sessionId: Uint8Array;
};

/** `letter`: which key of the six, "A" to "F". */
export function deriveKey(
  { hash, secret, exchangeHash: told, sessionId }: Derivation,
  letter: string,
  bytes: number,
): Buffer {
  let key = createHash(hash).update(secret).update(told).update(letter).update(sessionId).digest();
  while (key.length < bytes) {
    key = Buffer.concat([key, createHash(hash).update(secret).update(told).update(key).digest()]);
  }
  return key.subarray(0, bytes);
}

type Letters = { readonly iv: string; readonly key: string; readonly mac: string };

const TO_SERVER: Letters = { iv: "A", key: "C", mac: "E" };
const TO_CLIENT: Letters = { iv: "B", key: "D", mac: "F" };

export type Ends = {
  readonly isServer: boolean;
  readonly onWrite: (bytes: Uint8Array) => void;
  readonly onPayload: (payload: Buffer) => number | false | undefined;
};

/** For what is sent from now on, and what comes; their packets are counted from 0. */
export function newCiphers(
  { toServer, toClient }: Agreement,
  derivation: Derivation,
  { isServer, onWrite, onPayload }: Ends,
): { readonly cipher: Cipher; readonly decipher: Decipher } {
  const up = suiteOf(toServer, derivation, TO_SERVER);
  const down = suiteOf(toClient, derivation, TO_CLIENT);
  const [sent, come] = isServer ? [down, up] : [up, down];
  return {
    cipher: createCipher({
      outbound: {
        onWrite,
        seqno: 0,
        cipherInfo: sent.cipherInfo,
        cipherIV: sent.iv,
        cipherKey: sent.key,
        ...(sent.mac === null ? {} : { macInfo: sent.mac.info, macKey: sent.mac.key }),
      },
    }),
    decipher: createDecipher({
      inbound: {
        onPayload,
        seqno: 0,
        decipherInfo: come.cipherInfo,
        decipherIV: come.iv,
        decipherKey: come.key,
        ...(come.mac === null ? {} : { macInfo: come.mac.info, macKey: come.mac.key }),
      },
    }),
  };
}

type Suite = {
  readonly cipherInfo: CipherInfo;
  readonly iv: Buffer;
  readonly key: Buffer;
  readonly mac: { readonly info: MacInfo; readonly key: Buffer } | null;
};

function suiteOf({ cipher, mac }: Protection, derivation: Derivation, letters: Letters): Suite {
  const cipherInfo = CIPHER_INFO[cipher];
  const info = mac === null ? null : MAC_INFO[mac];
  if (cipherInfo === undefined || info === undefined) throw new ExchangeError(`${cipher} is not known`);
  return {
    cipherInfo,
    iv: deriveKey(derivation, letters.iv, cipherInfo.ivLen),
    key: deriveKey(derivation, letters.key, cipherInfo.keyLen),
    mac: info === null ? null : { info, key: deriveKey(derivation, letters.mac, info.len) },
  };
}
