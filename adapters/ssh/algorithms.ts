/** The algorithms that both sides of the gateway speak: OpenSSH's defaults of today, as far as the runtime has them. */
import { KexInit } from "ssh2/lib/protocol/kex.js";
import type { PublicKeyType } from "../../src/core/ssh-public-key.ts";
import type { Known } from "./client-hello.ts";
import { mlKem768X25519 } from "./exchange/hybrid.ts";
import { curveShare, diffieHellmanMethod, type Method, x25519Share } from "./exchange/methods.ts";

/** What keys must be exchanged by; null: by anything that is good today. */
export type KeyExchangeDemand = "post-quantum" | null;

type Methods = readonly (readonly [name: string, method: Method])[];

/** What is recorded today cannot be read by quantum computers either. sntrup761x25519-sha512 is not there: the runtime has no NTRU Prime. */
const POST_QUANTUM: Methods = [["mlkem768x25519-sha256", mlKem768X25519]];

/**
 * For those who have none of them. Diffie-Hellman in groups of numbers is left out because the runtime takes ten seconds for
 * one in group 16 and minutes in group 18, in which nobody else is served.
 */
const CLASSICAL: Methods = [
  ["curve25519-sha256", diffieHellmanMethod("sha256", x25519Share)],
  ["curve25519-sha256@libssh.org", diffieHellmanMethod("sha256", x25519Share)],
];

/** For targets that are older than these. */
const OLDER: Methods = [
  ["ecdh-sha2-nistp256", diffieHellmanMethod("sha256", curveShare("prime256v1", 32))],
  ["ecdh-sha2-nistp384", diffieHellmanMethod("sha384", curveShare("secp384r1", 48))],
  ["ecdh-sha2-nistp521", diffieHellmanMethod("sha512", curveShare("secp521r1", 66))],
];

/** How each is done that is offered. */
export const METHODS: ReadonlyMap<string, Method> = new Map([...POST_QUANTUM, ...CLASSICAL, ...OLDER]);

/** The best first. */
function namesOf(demand: KeyExchangeDemand, ...others: readonly Methods[]): readonly string[] {
  const methods = demand === null ? [POST_QUANTUM, ...others].flat() : POST_QUANTUM;
  return methods.map(([name]) => name);
}

/** The processor does these by itself. */
const FAST_CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] as const;
/** For those who have none of the fast ones. */
const OTHER_CIPHERS = ["aes128-ctr", "aes192-ctr", "aes256-ctr", "chacha20-poly1305@openssh.com"] as const;

/** Encrypt-then-mac only. */
const MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"] as const;

/** Of keys that clients log in with, by the names of their signatures (RFC 8308, section 3.1). */
export const SIGNATURES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const;

/** The names of the signatures that a key of this type makes, the best first. */
export function signaturesOf(type: PublicKeyType): readonly string[] {
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type];
}

const HASHES: Readonly<Record<string, string>> = {
  "rsa-sha2-512": "sha512",
  "rsa-sha2-256": "sha256",
  "ecdsa-sha2-nistp256": "sha256",
  "ecdsa-sha2-nistp384": "sha384",
  "ecdsa-sha2-nistp521": "sha512",
};

/** What a signature hashes what is signed with; null: the key's own way. */
export function hashOf(signature: string): string | null {
  return HASHES[signature] ?? null;
}

/** Terrapin (CVE-2023-48795): https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL, "strict KEX". */
export const STRICT_SERVER = "kex-strict-s-v00@openssh.com";
export const STRICT_CLIENT = "kex-strict-c-v00@openssh.com";

function offer(kex: readonly string[], hostKeys: readonly string[], ciphers: readonly string[]): KexInit {
  const both = { cipher: ciphers, mac: MACS, compress: ["none"], lang: [] };
  return new KexInit({ kex, serverHostKey: hostKeys, cs: both, sc: both });
}

/** What a listener offers. */
export type ServerOffers = { readonly fast: KexInit; readonly whole: KexInit };

/** For a listener with these host keys. */
export function serverOffers(hostKeyTypes: readonly PublicKeyType[], demand: KeyExchangeDemand): ServerOffers {
  const kex = [...namesOf(demand, CLASSICAL), STRICT_SERVER];
  const names = hostKeyTypes.flatMap(signaturesOf);
  return { fast: offer(kex, names, FAST_CIPHERS), whole: offer(kex, names, [...FAST_CIPHERS, ...OTHER_CIPHERS]) };
}

/**
 * Clients choose by their own order, in which OpenSSH had slow ciphers first until version 10: who knows a fast one is
 * offered no other. `known`: what the client knows; null: it has not said so.
 */
export function offerFor(known: Known | null, { fast, whole }: ServerOffers): KexInit {
  return known !== null && FAST_CIPHERS.some((name) => known.ciphers.includes(name)) ? fast : whole;
}

/** What is offered to a target that must prove a key of one of these types: no other is even asked for. */
export function clientOffer(hostKeyTypes: readonly PublicKeyType[], demand: KeyExchangeDemand = null): KexInit {
  const names = SIGNATURES.filter((name) => hostKeyTypes.some((type) => signaturesOf(type).includes(name)));
  const kex = [...namesOf(demand, CLASSICAL, OLDER), "ext-info-c", STRICT_CLIENT];
  return offer(kex, names, [...FAST_CIPHERS, ...OTHER_CIPHERS]);
}
