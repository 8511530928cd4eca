/** The target's side of an SFTP channel: requests under ids of the gateway's own, each with the reply that it will get. */
import type { Permit } from "../../../src/core/ports.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import type { TargetChannel } from "../channels.ts";
import { type Packet, PacketStream } from "./protocol/packet-stream.ts";
import { replyId } from "./protocol/replies.ts";
import type { Encode } from "./protocol/requests.ts";
import { FXP } from "./protocol/types.ts";

/** What a request is answered with, when it is not a STATUS. */
export type ReplyType = (typeof FXP)["handle" | "data" | "name" | "attrs" | "extendedReply" | "status"];

type Awaited = { readonly type: ReplyType; readonly reply: (packet: Packet) => void };

const ID_MAX = 0xffff_ffff;

export class TargetLink {
  readonly #channel: TargetChannel;
  readonly #stream = new PacketStream();
  readonly #awaited = new Map<number, Awaited>();
  #lastId = 0;
  /** Nothing more is to be sent until the channel has drained. */
  isFull = false;

  constructor(channel: TargetChannel) {
    this.#channel = channel;
  }

  /** Requests without a reply. */
  get unanswered(): number {
    return this.#awaited.size;
  }

  /** Sends one request. `reply` gets a STATUS or what `type` says, once; never when the channel ends before. */
  send(permit: Permit, type: ReplyType, encode: Encode, reply: (packet: Packet) => void): void {
    const id = this.#freshId();
    const bytes = encode(id);
    this.#awaited.set(id, { type, reply });
    this.sendRaw(permit, bytes);
  }

  /** What has no id (INIT). */
  sendRaw(permit: Permit, bytes: Uint8Array): void {
    if (!this.#channel.write(permit, bytes)) this.isFull = true;
  }

  push(chunk: Uint8Array): void {
    this.#stream.push(chunk);
  }

  /** The next packet that the target has sent; null: there is none. Throws WireError. */
  next(): Packet | null {
    return this.#stream.next();
  }

  /** Hands a packet to whoever waits for it. Throws WireError when nobody asked for it, or for something else. */
  answer(packet: Packet): void {
    const id = replyId(packet);
    const awaited = this.#awaited.get(id);
    if (awaited === undefined) throw new WireError("PROTOCOL_REPLY", "the target answers what was not asked");
    if (packet.type !== FXP.status && packet.type !== awaited.type) {
      throw new WireError("PROTOCOL_REPLY", `the target answers with a packet of type ${packet.type}`);
    }
    this.#awaited.delete(id);
    awaited.reply(packet);
  }

  #freshId(): number {
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
    while (this.#awaited.has(this.#lastId));
    return this.#lastId;
  }
}
