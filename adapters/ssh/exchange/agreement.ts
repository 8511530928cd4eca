/** What both sides agree on for one key exchange, by their two KEXINITs (RFC 4253, section 7.1). */
import { CIPHER_INFO } from "ssh2/lib/protocol/crypto.js";
import type { KexInit } from "ssh2/lib/protocol/kex.js";
import { FieldReader } from "../protocol/fields.ts";
import { ExchangeError } from "./exchange-error.ts";

const COOKIE_BYTES = 16;

/** Of one direction. `mac`: null when the cipher authenticates by itself. */
export type Protection = { readonly cipher: string; readonly mac: string | null };

export type Agreement = {
  readonly kex: string;
  readonly hostKey: string;
  readonly toServer: Protection;
  readonly toClient: Protection;
  /** The peer has sent the next packet for something else than this: it is to be left out. */
  readonly isGuessWrong: boolean;
};

type Direction = {
  readonly cipher: readonly string[];
  readonly mac: readonly string[];
  readonly compress: readonly string[];
};

/** Names in the order of preference. */
export type Offer = {
  readonly kex: readonly string[];
  readonly hostKey: readonly string[];
  readonly toServer: Direction;
  readonly toClient: Direction;
  /** The next packet is sent already, as if the first of each were agreed on. */
  readonly hasGuessed: boolean;
};

/** Throws a WireError on what is no KEXINIT. */
export function readKexInit(payload: Uint8Array): Offer {
  const fields = new FieldReader(payload, 1);
  fields.bytes(COOKIE_BYTES);
  const names = (): readonly string[] => fields.utf8().split(",");
  const [kex, hostKey] = [names(), names()];
  const ciphers = [names(), names()] as const;
  const macs = [names(), names()] as const;
  const compressions = [names(), names()] as const;
  // Languages, of which nobody has any.
  fields.string();
  fields.string();
  const hasGuessed = fields.bool();
  fields.u32();
  fields.end();
  return {
    kex,
    hostKey,
    toServer: { cipher: ciphers[0], mac: macs[0], compress: compressions[0] },
    toClient: { cipher: ciphers[1], mac: macs[1], compress: compressions[1] },
    hasGuessed,
  };
}

/** The same of what the gateway offers. */
export function offerOf({ lists }: KexInit): Offer {
  const direction = ({ cipher, mac, compress }: KexInit["lists"]["cs"]): Direction => ({
    cipher: cipher.array,
    mac: mac.array,
    compress: compress.array,
  });
  const { kex, serverHostKey, cs, sc } = lists;
  const [toServer, toClient] = [direction(cs), direction(sc)];
  return { kex: kex.array, hostKey: serverHostKey.array, toServer, toClient, hasGuessed: false };
}

/** Throws an ExchangeError when there is something on which they do not agree. */
export function agree(client: Offer, server: Offer): Agreement {
  const isGuessed = client.kex[0] === server.kex[0] && client.hostKey[0] === server.hostKey[0];
  return {
    kex: first(client.kex, server.kex, "key exchange algorithm"),
    hostKey: first(client.hostKey, server.hostKey, "host key format"),
    toServer: protection(client.toServer, server.toServer, "C->S"),
    toClient: protection(client.toClient, server.toClient, "S->C"),
    isGuessWrong: (client.hasGuessed || server.hasGuessed) && !isGuessed,
  };
}

function protection(client: Direction, server: Direction, direction: string): Protection {
  const cipher = first(client.cipher, server.cipher, `${direction} cipher`);
  const hasMac = (CIPHER_INFO[cipher]?.authLen ?? 0) > 0;
  const mac = hasMac ? null : first(client.mac, server.mac, `${direction} MAC`);
  first(client.compress, server.compress, `${direction} compression`);
  return { cipher, mac };
}

function first(client: readonly string[], server: readonly string[], what: string): string {
  const name = client.find((each) => server.includes(each));
  if (name === undefined) throw new ExchangeError(`no matching ${what}`);
  return name;
}
