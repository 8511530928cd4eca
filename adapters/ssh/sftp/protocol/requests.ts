/** What a client asks for: decoded from its packets, and encoded for the target (draft, section 6; OpenSSH's PROTOCOL, section 4). */
import { decodeUtf8, Reader } from "../../../../src/wire/reader.ts";
import { WireError } from "../../../../src/wire/wire-error.ts";
import { Writer } from "../../../../src/wire/writer.ts";
import {
  type Attributes,
  packet,
  readAttributes,
  readString,
  readUint64,
  writeAttributes,
  writeString,
  writeUint64,
} from "./fields.ts";
import type { Packet } from "./packet-stream.ts";
import { type Extension, FXP, isExtension } from "./types.ts";

/** Names of files are bytes here: whether they are texts is for others to say. Handles are views into the packet. */
export type Request =
  | { readonly kind: "open"; readonly path: Uint8Array; readonly flags: number; readonly attributes: Attributes }
  | { readonly kind: "close" | "fstat" | "readdir" | "fsync" | "fstatvfs"; readonly handle: Uint8Array }
  | { readonly kind: "read"; readonly handle: Uint8Array; readonly offset: number; readonly length: number }
  /** The content lies at the end of the packet. */
  | { readonly kind: "write"; readonly handle: Uint8Array; readonly offset: number; readonly dataBytes: number }
  | {
      readonly kind:
        | "lstat"
        | "stat"
        | "opendir"
        | "remove"
        | "rmdir"
        | "realpath"
        | "readlink"
        | "statvfs"
        | "expand-path";
      readonly path: Uint8Array;
    }
  | { readonly kind: "setstat" | "lsetstat" | "mkdir"; readonly path: Uint8Array; readonly attributes: Attributes }
  | { readonly kind: "fsetstat"; readonly handle: Uint8Array; readonly attributes: Attributes }
  | { readonly kind: "rename" | "posix-rename" | "hardlink"; readonly from: Uint8Array; readonly to: Uint8Array }
  /** In OpenSSH's order, which is not the draft's: first what the link holds, then where it lies. */
  | { readonly kind: "symlink"; readonly content: Uint8Array; readonly path: Uint8Array }
  | {
      readonly kind: "copy-data";
      readonly from: Uint8Array;
      readonly offset: number;
      /** 0: to the end. */
      readonly length: number;
      readonly to: Uint8Array;
      readonly toOffset: number;
    }
  | { readonly kind: "home-directory"; readonly login: Uint8Array }
  | { readonly kind: "users-groups"; readonly uids: Uint8Array; readonly gids: Uint8Array }
  | { readonly kind: "limits" }
  | { readonly kind: "unsupported" };

/** The version that the client speaks; what follows it is not read, because version 3 sends nothing there. */
export function decodeInit(init: Packet): number {
  return new Reader(init.bytes, init.bodyStart).u32();
}

/** The client's id of a request; null when not even that can be read. */
export function requestId(request: Packet): number | null {
  const reader = new Reader(request.bytes, request.bodyStart);
  return reader.remaining < 4 ? null : reader.u32();
}

/** Throws WireError for what is not exactly one request. */
export function decodeRequest(request: Packet): Request {
  const reader = new Reader(request.bytes, request.bodyStart);
  reader.u32();
  const decoded = decodeBody(request.type, reader);
  reader.end();
  return decoded;
}

function decodeBody(type: number, reader: Reader): Request {
  switch (type) {
    case FXP.open:
      return {
        kind: "open",
        path: readString(reader),
        flags: reader.u32(),
        attributes: readAttributes(reader),
      };
    case FXP.close:
      return { kind: "close", handle: readString(reader) };
    case FXP.read:
      return { kind: "read", handle: readString(reader), offset: readUint64(reader), length: reader.u32() };
    case FXP.write: {
      const handle = readString(reader);
      const offset = readUint64(reader);
      return { kind: "write", handle, offset, dataBytes: readString(reader).length };
    }
    case FXP.lstat:
      return { kind: "lstat", path: readString(reader) };
    case FXP.fstat:
      return { kind: "fstat", handle: readString(reader) };
    case FXP.setstat:
      return { kind: "setstat", path: readString(reader), attributes: readAttributes(reader) };
    case FXP.fsetstat:
      return { kind: "fsetstat", handle: readString(reader), attributes: readAttributes(reader) };
    case FXP.opendir:
      return { kind: "opendir", path: readString(reader) };
    case FXP.readdir:
      return { kind: "readdir", handle: readString(reader) };
    case FXP.remove:
      return { kind: "remove", path: readString(reader) };
    case FXP.mkdir:
      return { kind: "mkdir", path: readString(reader), attributes: readAttributes(reader) };
    case FXP.rmdir:
      return { kind: "rmdir", path: readString(reader) };
    case FXP.realpath:
      return { kind: "realpath", path: readString(reader) };
    case FXP.stat:
      return { kind: "stat", path: readString(reader) };
    case FXP.rename:
      return { kind: "rename", from: readString(reader), to: readString(reader) };
    case FXP.readlink:
      return { kind: "readlink", path: readString(reader) };
    case FXP.symlink:
      return { kind: "symlink", content: readString(reader), path: readString(reader) };
    case FXP.extended:
      return decodeExtended(decodeUtf8(readString(reader)), reader);
    default:
      return unsupported(reader);
  }
}

function decodeExtended(name: string, reader: Reader): Request {
  if (!isExtension(name)) return unsupported(reader);
  switch (name) {
    case "posix-rename@openssh.com":
      return { kind: "posix-rename", from: readString(reader), to: readString(reader) };
    case "hardlink@openssh.com":
      return { kind: "hardlink", from: readString(reader), to: readString(reader) };
    case "statvfs@openssh.com":
      return { kind: "statvfs", path: readString(reader) };
    case "fstatvfs@openssh.com":
      return { kind: "fstatvfs", handle: readString(reader) };
    case "fsync@openssh.com":
      return { kind: "fsync", handle: readString(reader) };
    case "lsetstat@openssh.com":
      return { kind: "lsetstat", path: readString(reader), attributes: readAttributes(reader) };
    case "limits@openssh.com":
      return { kind: "limits" };
    case "expand-path@openssh.com":
      return { kind: "expand-path", path: readString(reader) };
    case "copy-data":
      return {
        kind: "copy-data",
        from: readString(reader),
        offset: readUint64(reader),
        length: readUint64(reader),
        to: readString(reader),
        toOffset: readUint64(reader),
      };
    case "home-directory":
      return { kind: "home-directory", login: readString(reader) };
    case "users-groups-by-id@openssh.com":
      return { kind: "users-groups", uids: readString(reader), gids: readString(reader) };
  }
}

function unsupported(reader: Reader): Request {
  reader.rest();
  return { kind: "unsupported" };
}

/* ---- towards the target ---- */

/** `id` is the gateway's own. A path is what was judged. */
export type Encode = (id: number) => Uint8Array;

export function encodeInit(version: number): Uint8Array {
  return packet(FXP.init, (writer) => writer.u32(version), new Writer());
}

type PathType = (typeof FXP)["lstat" | "stat" | "opendir" | "remove" | "rmdir" | "realpath" | "readlink"];

/** A request that has a path and nothing else. */
export function encodePath(type: PathType, path: string): Encode {
  return (id) => packet(type, (writer) => writeString(writer.u32(id), path), new Writer());
}

export function encodeOpen(path: string, flags: number, attributes: Attributes): Encode {
  return (id) =>
    packet(
      FXP.open,
      (writer) => writeAttributes(writeString(writer.u32(id), path).u32(flags), attributes),
      new Writer(),
    );
}

export function encodeWithAttributes(
  type: (typeof FXP)["setstat" | "mkdir" | "fsetstat"],
  subject: string | Uint8Array,
  attributes: Attributes,
): Encode {
  return (id) =>
    packet(type, (writer) => writeAttributes(writeString(writer.u32(id), subject), attributes), new Writer());
}

/** A request that has a handle and nothing else. */
export function encodeHandleRequest(type: (typeof FXP)["close" | "fstat" | "readdir"], handle: Uint8Array): Encode {
  return (id) => packet(type, (writer) => writeString(writer.u32(id), handle), new Writer());
}

export function encodeRead(handle: Uint8Array, offset: number, length: number): Encode {
  return (id) =>
    packet(
      FXP.read,
      (writer) => writeUint64(writeString(writer.u32(id), handle), offset).u32(length),
      new Writer(25 + handle.length),
    );
}

export function encodeRename(from: string, to: string): Encode {
  return (id) => packet(FXP.rename, (writer) => writeString(writeString(writer.u32(id), from), to), new Writer());
}

/** In OpenSSH's order. */
export function encodeSymlink(content: string, path: string): Encode {
  return (id) => packet(FXP.symlink, (writer) => writeString(writeString(writer.u32(id), content), path), new Writer());
}

/** An extension's request: its name, then what `body` writes. */
export function encodeExtended(name: Extension, body: (writer: Writer) => void): Encode {
  return (id) =>
    packet(
      FXP.extended,
      (writer) => {
        writeString(writer.u32(id), name);
        body(writer);
      },
      new Writer(),
    );
}

const WRITE_HEADER_BYTES = 4 + 1 + 4 + 4 + 8 + 4;

/**
 * A client's WRITE under the gateway's id and the target's handle, in the same memory: its content stays where it is.
 * Throws WIRE_RANGE when there is no room before it.
 */
export function rewriteWrite(
  write: Packet,
  dataBytes: number,
  id: number,
  handle: Uint8Array,
  offset: number,
): Uint8Array {
  const { bytes } = write;
  const dataStart = bytes.length - dataBytes;
  const start = dataStart - WRITE_HEADER_BYTES - handle.length;
  if (start < 0) throw new WireError("WIRE_RANGE", "a handle is too long to be written");
  const header = writeUint64(
    writeString(
      new Writer(WRITE_HEADER_BYTES + handle.length)
        .u32(bytes.length - start - 4)
        .u8(FXP.write)
        .u32(id),
      handle,
    ),
    offset,
  )
    .u32(dataBytes)
    .take();
  bytes.set(header, start);
  return bytes.subarray(start);
}
