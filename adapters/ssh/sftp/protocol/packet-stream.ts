/** Cuts a byte stream into SFTP packets (a 32-bit length, a type byte, a body). Does no I/O. */
import { readInt32 } from "../../../../src/wire/framer.ts";
import { WireError } from "../../../../src/wire/wire-error.ts";
import { HANDLE_BYTES_MAX, PACKET_BYTES_MAX } from "./limits.ts";

const LENGTH_BYTES = 4;

/**
 * Room that is left before a packet, so that it can be sent on under a header that is longer than its own: that of a
 * WRITE grows with its handle.
 */
export const HEADROOM_BYTES = HANDLE_BYTES_MAX;

/** One packet in memory of its own, which whoever got it may change. */
export class Packet {
  readonly type: number;
  /** It lies from HEADROOM_BYTES to the end: the length, the type, the body. */
  readonly bytes: Uint8Array;

  constructor(type: number, bytes: Uint8Array) {
    this.type = type;
    this.bytes = bytes;
  }

  /** Where its body begins, behind the type. */
  get bodyStart(): number {
    return HEADROOM_BYTES + LENGTH_BYTES + 1;
  }

  /** As it is sent, as a view. */
  get raw(): Uint8Array {
    return this.bytes.subarray(HEADROOM_BYTES);
  }
}

/** Each packet is copied once, into memory of its own; a chunk is not kept past next() having answered null. */
export class PacketStream {
  /** What came and is not in a packet yet, from `#at` of the first one on. */
  readonly #chunks: Uint8Array[] = [];
  #at = 0;
  /** The head of the next packet, as far as it is there. */
  readonly #head = new Uint8Array(LENGTH_BYTES);
  #headBytes = 0;
  /** The packet at work, as far as `#filled`. */
  #packet: Uint8Array | null = null;
  #filled = 0;

  /** A packet has begun and not ended. */
  get isInPacket(): boolean {
    return this.#headBytes > 0 || this.#packet !== null;
  }

  /** The chunk is kept as it is until it is in packets: several may come before next() is asked. */
  push(chunk: Uint8Array): void {
    if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /** The next packet; null when more bytes are needed. Throws PROTOCOL_LENGTH: nothing after it can be read. */
  next(): Packet | null {
    const packet = this.#packet ?? this.#begin();
    if (packet === null) return null;
    while (this.#filled < packet.length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return null;
      const taken = Math.min(packet.length - this.#filled, chunk.length - this.#at);
      packet.set(chunk.subarray(this.#at, this.#at + taken), this.#filled);
      this.#filled += taken;
      this.#took(chunk, taken);
    }
    this.#packet = null;
    return new Packet(packet[HEADROOM_BYTES + LENGTH_BYTES] ?? 0, packet);
  }

  #begin(): Uint8Array | null {
    while (this.#headBytes < LENGTH_BYTES) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return null;
      this.#head[this.#headBytes++] = chunk[this.#at] ?? 0;
      this.#took(chunk, 1);
    }
    const length = readInt32(this.#head, 0);
    if (length < 1 || length > PACKET_BYTES_MAX) {
      throw new WireError("PROTOCOL_LENGTH", `an SFTP packet announces ${length >>> 0} bytes`);
    }
    this.#headBytes = 0;
    // Every byte of it is written before anybody sees it, but for those of the headroom, which nobody reads.
    const packet = Buffer.allocUnsafe(HEADROOM_BYTES + LENGTH_BYTES + length);
    packet.set(this.#head, HEADROOM_BYTES);
    this.#filled = HEADROOM_BYTES + LENGTH_BYTES;
    this.#packet = packet;
    return packet;
  }

  /** So many bytes of the first chunk are in a packet now. */
  #took(chunk: Uint8Array, bytes: number): void {
    this.#at += bytes;
    if (this.#at < chunk.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}
