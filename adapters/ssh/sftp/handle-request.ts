/** Requests on what is open: they run under the permit of the OPEN or OPENDIR that it came from. */
import type { Desk } from "./desk.ts";
import type { OpenHandle } from "./open-handles.ts";
import { DATA_BYTES_MAX } from "./protocol/limits.ts";
import type { Packet } from "./protocol/packet-stream.ts";
import { decodeData, decodeStatus, type Status } from "./protocol/replies.ts";
import {
  type Encode,
  encodeExtended,
  encodeHandleRequest,
  encodeRead,
  type Request,
  rewriteWrite,
} from "./protocol/requests.ts";
import { FX, FXP, statusName } from "./protocol/types.ts";
import { writeString } from "./protocol/fields.ts";
import { statusOf } from "./refuse.ts";
import type { ReplyType } from "./target-link.ts";
import type { Turn } from "./turns.ts";

type HandleKind = "close" | "fstat" | "readdir" | "fsync" | "fstatvfs" | "read" | "write";
export type OnHandle = Extract<Request, { readonly kind: HandleKind }>;

export function isOnHandle(request: Request): request is OnHandle {
  switch (request.kind) {
    case "close":
    case "fstat":
    case "readdir":
    case "fsync":
    case "fstatvfs":
    case "read":
    case "write":
      return true;
    default:
      return false;
  }
}

const OK: Status = { code: FX.ok, message: "" };
const NO_HANDLE: Status = { code: FX.failure, message: "there is no such handle" };
/** What OpenSSH says of a CLOSE. */
const NOTHING_TO_CLOSE: Status = { code: FX.noSuchFile, message: "there is no such handle" };
const NOT_OPEN_FOR_IT: Status = { code: FX.permissionDenied, message: "it was not opened for that" };

export class HandleRequest implements Turn {
  readonly step = "ready";
  readonly changesNames = false;
  readonly heldBytes: number;
  readonly #desk: Desk;
  readonly #id: number;
  readonly #request: OnHandle;
  readonly #packet: Packet;

  /** `packet` holds the request, and is the content's memory when it is a WRITE. */
  constructor(desk: Desk, id: number, request: OnHandle, packet: Packet) {
    this.#desk = desk;
    this.#id = id;
    this.#request = request;
    this.#packet = packet;
    this.heldBytes = request.kind === "write" ? packet.bytes.length : 0;
  }

  prepare(): void {}

  submit(): void {}

  go(): void {
    const desk = this.#desk;
    const request = this.#request;
    const handle = desk.handles.find(request.handle);
    if (request.kind === "close") return this.#close(handle, request.handle);
    if (handle === null) return desk.answer(this.#id, NO_HANDLE);
    if (handle.cut !== null) return desk.answer(this.#id, statusOf(handle.cut));
    switch (request.kind) {
      case "read":
        return this.#read(handle, request.offset, Math.min(request.length, DATA_BYTES_MAX));
      case "write":
        return this.#write(handle, request.offset, request.dataBytes);
      case "fstat":
        return this.#ask(handle, FXP.attrs, encodeHandleRequest(FXP.fstat, handle.target));
      case "readdir":
        return this.#ask(handle, FXP.name, encodeHandleRequest(FXP.readdir, handle.target));
      case "fsync":
        return this.#ask(handle, FXP.status, extended("fsync@openssh.com", handle));
      case "fstatvfs":
        return this.#ask(handle, FXP.extendedReply, extended("fstatvfs@openssh.com", handle));
    }
  }

  #close(handle: OpenHandle | null, token: Uint8Array): void {
    const desk = this.#desk;
    if (handle === null) return desk.answer(this.#id, NOTHING_TO_CLOSE);
    desk.handles.remove(token);
    // What was revoked the target has closed already.
    if (handle.isClosing) return desk.answer(this.#id, OK);
    desk.close(handle, (status) => desk.answer(this.#id, status));
  }

  #read(handle: OpenHandle, offset: number, length: number): void {
    const { transfer } = handle;
    if (!handle.mayRead || transfer === null) return this.#desk.answer(this.#id, NOT_OPEN_FOR_IT);
    this.#send(handle, FXP.data, encodeRead(handle.target, offset, length), (reply) => {
      const data = decodeData(reply);
      if (data.length > length) throw new RangeError("the target answers a READ with more than was asked for");
      if (!this.#mayPass(handle, data.length)) return;
      transfer.read(offset, data);
      this.#desk.pass(this.#id, reply);
    });
  }

  #write(handle: OpenHandle, offset: number, dataBytes: number): void {
    const desk = this.#desk;
    const { transfer } = handle;
    const packet = this.#packet;
    if (!handle.mayWrite || transfer === null) return desk.answer(this.#id, NOT_OPEN_FOR_IT);
    if (!this.#mayPass(handle, dataBytes)) return;
    const { bytes } = packet;
    transfer.writes(offset, bytes.subarray(bytes.length - dataBytes));
    handle.inFlight++;
    desk.link.send(
      handle.permit,
      FXP.status,
      (id) => rewriteWrite(packet, dataBytes, id, handle.target, offset),
      (reply) => {
        const { code } = decodeStatus(reply);
        if (code === FX.ok) transfer.wrote(offset, dataBytes);
        else {
          transfer.spoil();
          handle.failure ??= statusName(code);
        }
        desk.pass(this.#id, reply);
        this.#answered(handle);
      },
    );
  }

  /** A question about what is open. */
  #ask(handle: OpenHandle, type: ReplyType, encode: Encode): void {
    this.#send(handle, type, encode, (reply) => {
      const bytes = reply.raw.length;
      if (!this.#mayPass(handle, bytes)) return;
      handle.replyBytes += bytes;
      this.#desk.pass(this.#id, reply);
    });
  }

  /** `pass` gets what is no STATUS, as long as the handle may be used. */
  #send(handle: OpenHandle, type: ReplyType, encode: Encode, pass: (reply: Packet) => void): void {
    handle.inFlight++;
    this.#desk.link.send(handle.permit, type, encode, (reply) => {
      if (handle.cut !== null) this.#desk.answer(this.#id, statusOf(handle.cut));
      else if (reply.type === FXP.status) this.#desk.pass(this.#id, reply);
      else pass(reply);
      this.#answered(handle);
    });
  }

  #answered(handle: OpenHandle): void {
    handle.inFlight--;
    this.#desk.answered(handle);
  }

  /** False: a limit is reached, and the client was told. */
  #mayPass(handle: OpenHandle, bytes: number): boolean {
    const no = this.#desk.door.spend(handle.permit, 0, bytes);
    if (no === null) return true;
    this.#desk.revoke(handle, no);
    this.#desk.answer(this.#id, statusOf(no));
    return false;
  }
}

function extended(name: "fsync@openssh.com" | "fstatvfs@openssh.com", handle: OpenHandle): Encode {
  return encodeExtended(name, (writer) => writeString(writer, handle.target));
}
