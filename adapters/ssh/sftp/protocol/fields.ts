/** The fields that packets are made of: strings, 64-bit numbers, attributes (draft, sections 2 and 5). */
import { readInt32 } from "../../../../src/wire/framer.ts";
import type { Reader } from "../../../../src/wire/reader.ts";
import { WireError } from "../../../../src/wire/wire-error.ts";
import type { Writer } from "../../../../src/wire/writer.ts";
import { PAIRS_MAX } from "./limits.ts";
import { ATTR } from "./types.ts";

const encoder = new TextEncoder();
const WORD = 2 ** 32;

/** Those of a file that are named. Times are seconds since the epoch. Extended ones are read and left out. */
export type Attributes = {
  readonly size?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly permissions?: number;
  readonly times?: { readonly accessed: number; readonly modified: number };
};

/** A view of a string's bytes. Throws WIRE_SHORT. */
export function readString(reader: Reader): Uint8Array {
  return reader.bytes(reader.u32());
}

/** Throws PROTOCOL_NUMBER for what is past 2^53: no file is so long. */
export function readUint64(reader: Reader): number {
  const value = reader.u32() * WORD + reader.u32();
  if (!Number.isSafeInteger(value)) throw new WireError("PROTOCOL_NUMBER", "a 64-bit number is too large");
  return value;
}

/** Throws PROTOCOL_ATTRIBUTES for flags that version 3 does not know. */
export function readAttributes(reader: Reader): Attributes {
  const flags = reader.u32();
  const known = ATTR.size | ATTR.owner | ATTR.permissions | ATTR.times | ATTR.extended;
  if ((flags & ~known) !== 0) throw new WireError("PROTOCOL_ATTRIBUTES", "attributes have flags that nobody knows");
  const attributes: { -readonly [Key in keyof Attributes]: Attributes[Key] } = {};
  if ((flags & ATTR.size) !== 0) attributes.size = readUint64(reader);
  if ((flags & ATTR.owner) !== 0) attributes.owner = { uid: reader.u32(), gid: reader.u32() };
  if ((flags & ATTR.permissions) !== 0) attributes.permissions = reader.u32();
  if ((flags & ATTR.times) !== 0) attributes.times = { accessed: reader.u32(), modified: reader.u32() };
  if ((flags & ATTR.extended) !== 0) {
    const count = reader.u32();
    if (count > PAIRS_MAX) throw new WireError("PROTOCOL_ATTRIBUTES", `a file has more than ${PAIRS_MAX} attributes`);
    for (let index = 0; index < count; index++) {
      readString(reader);
      readString(reader);
    }
  }
  return attributes;
}

/** A string as UTF-8, or bytes. */
export function writeString(writer: Writer, value: string | Uint8Array): Writer {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  return writer.u32(bytes.length).raw(bytes);
}

export function writeUint64(writer: Writer, value: number): Writer {
  return writer.u32(Math.floor(value / WORD)).u32(value % WORD);
}

export function writeAttributes(writer: Writer, attributes: Attributes): Writer {
  const { size, owner, permissions, times } = attributes;
  writer.u32(
    (size === undefined ? 0 : ATTR.size) |
      (owner === undefined ? 0 : ATTR.owner) |
      (permissions === undefined ? 0 : ATTR.permissions) |
      (times === undefined ? 0 : ATTR.times),
  );
  if (size !== undefined) writeUint64(writer, size);
  if (owner !== undefined) writer.u32(owner.uid).u32(owner.gid);
  if (permissions !== undefined) writer.u32(permissions);
  if (times !== undefined) writer.u32(times.accessed).u32(times.modified);
  return writer;
}

/** Puts a 32-bit number at its place. */
export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** An unsigned one; bytes that are not there count as 0. */
export function getUint32(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) >>> 0;
}

/** A packet whose length counts the type and the body; the writer's own lengths count themselves, as PostgreSQL's do. */
export function packet(type: number, body: (writer: Writer) => void, writer: Writer): Uint8Array {
  writer.u32(0).u8(type);
  body(writer);
  const bytes = writer.take();
  putUint32(bytes, 0, bytes.length - 4);
  return bytes;
}
