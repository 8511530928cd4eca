/**
 * chacha20-poly1305@openssh.com for ssh2 (OpenSSH's PROTOCOL.chacha20poly1305), whose own needs a ChaCha20 that the
 * runtime's library does not have. Slower than AES in hardware, and there for clients that know nothing better.
 */
import { timingSafeEqual } from "node:crypto";
import createPoly1305, { type Poly1305 } from "ssh2/lib/protocol/crypto/poly1305.js";
import type { Cipher, Decipher } from "ssh2/lib/protocol/Protocol.js";

const MAC_BYTES = 16;
const LENGTH_BYTES = 4;
const BLOCK_BYTES = 64;
const PACKET_BYTES_MIN = 8;
const PACKET_BYTES_MAX = 35_000;
/** "expand 32-byte k" */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;

let poly1305: { readonly module: Poly1305; readonly at: number; readonly auth: ReturnType<Poly1305["cwrap"]> } | null =
  null;

/** To be awaited once before any key exchange. */
export const chachaReady: Promise<void> = createPoly1305().then((module) => {
  const types = ["number", "array", "number", "array", "number", "array"];
  poly1305 = { module, at: module._malloc(MAC_BYTES), auth: module.cwrap("poly1305_auth", null, types) };
});

/** Puts this in the place of ssh2's own, if that is what was agreed upon. */
export function replaceChaCha(cipher: Cipher, decipher: Decipher): void {
  const { _encKeyMain: outMain, _encKeyPktLen: outLength } = cipher;
  if (outMain !== undefined && outLength !== undefined) {
    cipher.encrypt = (packet) => encrypt(cipher, wordsOf(outMain), wordsOf(outLength), packet);
  }
  const { _decKeyMain: inMain, _decKeyPktLen: inLength } = decipher;
  if (inMain === undefined || inLength === undefined) return;
  const reader = new PacketOpener(decipher, wordsOf(inMain), wordsOf(inLength));
  decipher.decrypt = (data, start, end) => reader.decrypt(data, start, end);
}

/** `packet` is a whole one: its length, then what is encrypted. */
function encrypt(cipher: Cipher, main: Uint32Array, length: Uint32Array, packet: Buffer): void {
  if (cipher._dead) return;
  const sequence = cipher.outSeqno;
  const sealed = Buffer.allocUnsafe(packet.length + MAC_BYTES);
  xor(length, sequence, 0, packet.subarray(0, LENGTH_BYTES), sealed);
  xor(main, sequence, 1, packet.subarray(LENGTH_BYTES), sealed.subarray(LENGTH_BYTES));
  const body = sealed.subarray(LENGTH_BYTES, packet.length);
  sealed.set(macOf(main, sequence, sealed.subarray(0, LENGTH_BYTES), body), packet.length);
  cipher.outSeqno = (sequence + 1) >>> 0;
  cipher._onWrite(sealed);
}

/** Puts packets together from what comes, and opens each. */
class PacketOpener {
  readonly #decipher: Decipher;
  readonly #main: Uint32Array;
  readonly #lengthKey: Uint32Array;
  readonly #sealedLength = Buffer.alloc(LENGTH_BYTES);
  #lengthBytes = 0;
  /** The packet and its MAC, as they came; null: its length is not known yet. */
  #sealed: Buffer | null = null;
  #sealedBytes = 0;

  constructor(decipher: Decipher, main: Uint32Array, lengthKey: Uint32Array) {
    this.#decipher = decipher;
    this.#main = main;
    this.#lengthKey = lengthKey;
  }

  /** As ssh2's: undefined when all was read, else where to go on. Throws on what is no packet. */
  decrypt(data: Buffer, start: number, end: number): number | undefined {
    let at = start;
    while (at < end) {
      if (this.#sealed === null) {
        this.#sealedLength[this.#lengthBytes++] = data[at++] ?? 0;
        if (this.#lengthBytes === LENGTH_BYTES) this.#begin();
        continue;
      }
      const bytes = Math.min(this.#sealed.length - this.#sealedBytes, end - at);
      data.copy(this.#sealed, this.#sealedBytes, at, at + bytes);
      at += bytes;
      this.#sealedBytes += bytes;
      if (this.#sealedBytes < this.#sealed.length) return undefined;
      const answer = this.#decipher._onPayload(this.#open(this.#sealed));
      if (answer !== undefined) return answer === false ? at : answer;
    }
    return undefined;
  }

  #begin(): void {
    const opened = Buffer.alloc(LENGTH_BYTES);
    xor(this.#lengthKey, this.#decipher.inSeqno, 0, this.#sealedLength, opened);
    const length = opened.readUInt32BE(0);
    if (length < PACKET_BYTES_MIN || length > PACKET_BYTES_MAX || length % 8 !== 0)
      throw new Error("Bad packet length");
    this.#sealed = Buffer.allocUnsafe(length + MAC_BYTES);
    this.#sealedBytes = 0;
  }

  #open(sealed: Buffer): Buffer {
    const body = sealed.subarray(0, -MAC_BYTES);
    const sequence = this.#decipher.inSeqno;
    const mac = macOf(this.#main, sequence, this.#sealedLength, body);
    if (!timingSafeEqual(mac, sealed.subarray(-MAC_BYTES))) throw new Error("Invalid MAC");
    xor(this.#main, sequence, 1, body, body);
    this.#decipher.inSeqno = (sequence + 1) >>> 0;
    this.#sealed = null;
    this.#lengthBytes = 0;
    const padding = body[0] ?? 0;
    return body.subarray(1, Math.max(1, body.length - padding));
  }
}

function macOf(main: Uint32Array, sequence: number, length: Uint8Array, body: Uint8Array): Uint8Array {
  if (poly1305 === null) throw new Error("Poly1305 is not there yet");
  const key = new Uint8Array(32);
  xor(main, sequence, 0, key, key);
  const { module, at, auth } = poly1305;
  auth(at, length, length.length, body, body.length, key);
  return module.HEAPU8.slice(at, at + MAC_BYTES);
}

function wordsOf(key: Buffer): Uint32Array {
  return Uint32Array.from({ length: 8 }, (_, index) => key.readUInt32LE(4 * index));
}

const state = new Uint32Array(16);
const block = new Uint32Array(16);
const blockBytes = new Uint8Array(block.buffer);

/** ChaCha20 as its author has it: a counter and a nonce of 64 bits each, the latter the packet's number. Little-endian machines only. */
function xor(key: Uint32Array, sequence: number, counter: number, from: Uint8Array, to: Uint8Array): void {
  state.set(CONSTANTS);
  state.set(key, 4);
  state[12] = counter;
  state[13] = 0;
  state[14] = 0;
  state[15] = ((sequence & 0xff) << 24) | ((sequence & 0xff00) << 8) | ((sequence >>> 8) & 0xff00) | (sequence >>> 24);
  for (let at = 0; at < from.length; at += BLOCK_BYTES) {
    nextBlock();
    const end = Math.min(BLOCK_BYTES, from.length - at);
    for (let index = 0; index < end; index++) to[at + index] = (from[at + index] ?? 0) ^ (blockBytes[index] ?? 0);
    state[12] = (state[12] ?? 0) + 1;
  }
}

function nextBlock(): void {
  block.set(state);
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12);
    quarter(1, 5, 9, 13);
    quarter(2, 6, 10, 14);
    quarter(3, 7, 11, 15);
    quarter(0, 5, 10, 15);
    quarter(1, 6, 11, 12);
    quarter(2, 7, 8, 13);
    quarter(3, 4, 9, 14);
  }
  for (let index = 0; index < 16; index++) block[index] = (block[index] ?? 0) + (state[index] ?? 0);
}

function quarter(ia: number, ib: number, ic: number, id: number): void {
  let a = block[ia] ?? 0;
  let b = block[ib] ?? 0;
  let c = block[ic] ?? 0;
  let d = block[id] ?? 0;
  a = (a + b) | 0;
  d = rotate(d ^ a, 16);
  c = (c + d) | 0;
  b = rotate(b ^ c, 12);
  a = (a + b) | 0;
  d = rotate(d ^ a, 8);
  c = (c + d) | 0;
  b = rotate(b ^ c, 7);
  block[ia] = a;
  block[ib] = b;
  block[ic] = c;
  block[id] = d;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
