/** The fields of SSH's messages (RFC 4251, section 5), read and written. */
import { decodeUtf8, Reader } from "../../../src/wire/reader.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import { Writer } from "../../../src/wire/writer.ts";

/** A string longer than a packet cannot come. */
const STRING_BYTES_MAX = 256 * 1024;

/** Every method throws a `WireError` rather than answer with less. */
export class FieldReader extends Reader {
  bool(): boolean {
    return this.u8() !== 0;
  }

  /** As a view. */
  string(bytesMax = STRING_BYTES_MAX): Uint8Array {
    const length = this.u32();
    if (length > bytesMax) throw new WireError("PROTOCOL_TOO_LONG", `a string is longer than ${bytesMax} bytes`);
    return this.bytes(length);
  }

  /** A string that must be UTF-8. */
  utf8(bytesMax = STRING_BYTES_MAX): string {
    return decodeUtf8(this.string(bytesMax));
  }
}

const utf8 = new TextEncoder();

export class FieldWriter extends Writer {
  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  string(value: string | Uint8Array): this {
    const bytes = typeof value === "string" ? utf8.encode(value) : value;
    return this.u32(bytes.length).raw(bytes);
  }

  /** An integer of any size, big-endian and not negative. */
  mpint(bytes: Uint8Array): this {
    let start = 0;
    while (start < bytes.length && bytes[start] === 0) start++;
    const value = bytes.subarray(start);
    const isSigned = (value[0] ?? 0) >= 0x80;
    this.u32(value.length + (isSigned ? 1 : 0));
    if (isSigned) this.u8(0);
    return this.raw(value);
  }
}
