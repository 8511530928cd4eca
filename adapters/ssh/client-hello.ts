/** What a client says first: its name and its KEXINIT (RFC 4253, sections 4.2 and 7.1), read before the gateway says its own. */
import { FieldReader } from "./protocol/fields.ts";

/** As ssh2's. */
const IDENT_BYTES_MAX = 8_192;
const PACKET_BYTES_MAX = 35_000;
const KEXINIT = 20;
const COOKIE_BYTES = 16;
const LINE_FEED = 10;

/** What a client knows, for what it sends. */
export type Known = {
  readonly ciphers: readonly string[];
};

const NOTHING: Known = { ciphers: [] };

export class ClientHello {
  #bytes: Uint8Array = new Uint8Array(0);

  /** What came until now, to be read again. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * What the client knows; null when more must come. Empty lists: what came is not what it should be, and whoever reads
   * it again will say so.
   */
  add(bytes: Uint8Array): Known | null {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const line = this.#bytes.indexOf(LINE_FEED);
    if (line < 0) return this.#bytes.length > IDENT_BYTES_MAX ? NOTHING : null;
    const packet = this.#bytes.subarray(line + 1);
    if (packet.length < 4) return null;
    const length = new FieldReader(packet).u32();
    if (length > PACKET_BYTES_MAX) return NOTHING;
    if (packet.length < 4 + length) return null;
    try {
      return knownOf(new FieldReader(packet, 4, 4 + length));
    } catch {
      return NOTHING;
    }
  }
}

function knownOf(packet: FieldReader): Known {
  packet.u8();
  if (packet.u8() !== KEXINIT) return NOTHING;
  packet.bytes(COOKIE_BYTES);
  // Key exchanges and host keys.
  packet.string();
  packet.string();
  return { ciphers: packet.utf8().split(",") };
}
