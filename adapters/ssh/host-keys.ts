/** The keys by which clients know the listener. */
import { type KeyExchangeDemand, type ServerOffers, serverOffers, signaturesOf } from "./algorithms.ts";
import { readPrivateKey } from "./private-key.ts";

export type HostKey = {
  /** The public half, as SSH encodes it. */
  readonly blob: Uint8Array;
  /** A whole signature, with the algorithm's name. */
  sign(data: Uint8Array): Uint8Array;
};

export type HostKeys = {
  /** By each name of a signature that the key makes. */
  readonly byAlgorithm: Readonly<Record<string, HostKey>>;
  readonly offers: ServerOffers;
};

/** Reads private keys in PEM; throws with a sentence when one cannot be used, or there is none. */
export function readHostKeys(pems: readonly string[], keyExchange: KeyExchangeDemand = null): HostKeys {
  const byAlgorithm: Record<string, HostKey> = {};
  const types = pems.map((pem) => {
    const key = readPrivateKey(pem);
    if (typeof key === "string") throw new Error(`a host key cannot be used: ${key}`);
    const { publicKey, sign } = key;
    for (const algorithm of signaturesOf(publicKey.type)) {
      byAlgorithm[algorithm] = { blob: publicKey.blob, sign: (data) => sign(algorithm, data) };
    }
    return publicKey.type;
  });
  if (types.length === 0) throw new Error("an SSH listener needs a host key");
  return { byAlgorithm, offers: serverOffers(types, keyExchange) };
}
