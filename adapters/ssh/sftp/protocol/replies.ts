/** What answers requests: decoded from the target's packets, and encoded for the client (draft, section 7). */
import { decodeUtf8, Reader } from "../../../../src/wire/reader.ts";
import { WireError } from "../../../../src/wire/wire-error.ts";
import { Writer } from "../../../../src/wire/writer.ts";
import { packet, putUint32, readAttributes, readString, readUint64, writeString, writeUint64 } from "./fields.ts";
import { HANDLE_BYTES_MAX, PAIRS_MAX } from "./limits.ts";
import { HEADROOM_BYTES, type Packet } from "./packet-stream.ts";
import { FXP, VERSION } from "./types.ts";

/** Where the id of a packet lies: behind its length and its type. */
const ID_AT = HEADROOM_BYTES + 5;

/** A reader of what lies behind the id. */
function bodyOf(reply: Packet): Reader {
  const reader = new Reader(reply.bytes, reply.bodyStart);
  reader.u32();
  return reader;
}

/** The target's version, and its extensions with the version of each. Throws WireError. */
export function decodeVersion(reply: Packet): { version: number; extensions: ReadonlyMap<string, string> } {
  const reader = new Reader(reply.bytes, reply.bodyStart);
  const version = reader.u32();
  const extensions = new Map<string, string>();
  while (reader.remaining > 0) {
    if (extensions.size === PAIRS_MAX) throw new WireError("PROTOCOL_EXTENSIONS", "too many extensions are offered");
    extensions.set(decodeUtf8(readString(reader)), Buffer.from(readString(reader)).toString("latin1"));
  }
  return { version, extensions };
}

export function replyId(reply: Packet): number {
  return new Reader(reply.bytes, reply.bodyStart).u32();
}

export type Status = { readonly code: number; readonly message: string };

/** The message may be missing: older servers send none. */
export function decodeStatus(reply: Packet): Status {
  const reader = bodyOf(reply);
  const code = reader.u32();
  return { code, message: reader.remaining === 0 ? "" : Buffer.from(readString(reader)).toString("utf8") };
}

export function decodeHandle(reply: Packet): Uint8Array {
  const reader = bodyOf(reply);
  const handle = readString(reader);
  if (handle.length === 0 || handle.length > HANDLE_BYTES_MAX) {
    throw new WireError("PROTOCOL_HANDLE", `a handle is ${handle.length} bytes long`);
  }
  reader.end();
  return handle.slice();
}

/** The first name of a NAME: what REALPATH and READLINK answer with. Throws WireError when there is not exactly one. */
export function decodeOneName(reply: Packet): Uint8Array {
  const reader = bodyOf(reply);
  const count = reader.u32();
  if (count !== 1) throw new WireError("PROTOCOL_NAME", `there are ${count} names where one was asked for`);
  const name = readString(reader);
  readString(reader);
  readAttributes(reader);
  return name;
}

/** The permissions of an ATTRS, with the file's kind in them; null: they are not told. */
export function decodePermissions(reply: Packet): number | null {
  return readAttributes(bodyOf(reply)).permissions ?? null;
}

/** The content of a DATA, as a view. Throws WireError. */
export function decodeData(reply: Packet): Uint8Array {
  const reader = bodyOf(reply);
  const data = readString(reader);
  reader.end();
  return data;
}

/** What `limits@openssh.com` tells; 0 is no limit. */
export type Limits = {
  readonly packetBytes: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly handles: number;
};

export function decodeLimits(reply: Packet): Limits {
  const reader = bodyOf(reply);
  return {
    packetBytes: readUint64(reader),
    readBytes: readUint64(reader),
    writeBytes: readUint64(reader),
    handles: readUint64(reader),
  };
}

/* ---- towards the client ---- */

/** A reply as it came, under the id that the client gave its request; in the same memory. */
export function withId(reply: Packet, id: number): Uint8Array {
  putUint32(reply.bytes, ID_AT, id);
  return reply.raw;
}

export function encodeVersion(extensions: ReadonlyMap<string, string>): Uint8Array {
  return packet(
    FXP.version,
    (writer) => {
      writer.u32(VERSION);
      for (const [name, version] of extensions) writeString(writeString(writer, name), version);
    },
    new Writer(),
  );
}

export function encodeStatus(id: number, { code, message }: Status): Uint8Array {
  return packet(
    FXP.status,
    (writer) => writeString(writeString(writer.u32(id).u32(code), message.toWellFormed()), ""),
    new Writer(),
  );
}

export function encodeHandle(id: number, handle: Uint8Array): Uint8Array {
  return packet(FXP.handle, (writer) => writeString(writer.u32(id), handle), new Writer());
}

/** One name without attributes, as REALPATH is answered. */
export function encodeOneName(id: number, name: string): Uint8Array {
  return packet(FXP.name, (writer) => writeString(writeString(writer.u32(id).u32(1), name), name).u32(0), new Writer());
}

export function encodeLimits(id: number, limits: Limits): Uint8Array {
  return packet(
    FXP.extendedReply,
    (writer) => {
      writer.u32(id);
      for (const limit of [limits.packetBytes, limits.readBytes, limits.writeBytes, limits.handles]) {
        writeUint64(writer, limit);
      }
    },
    new Writer(),
  );
}
