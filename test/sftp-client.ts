/** An SFTP client that sends what it is told to, also what no client should, and hands out the replies by their ids. */
import type { ClientChannel, Exit } from "../adapters/ssh/channels.ts";
import { packet, writeAttributes, writeString, writeUint64 } from "../adapters/ssh/sftp/protocol/fields.ts";
import { type Packet, PacketStream } from "../adapters/ssh/sftp/protocol/packet-stream.ts";
import { decodeHandle, decodeOneName, decodeStatus, replyId } from "../adapters/ssh/sftp/protocol/replies.ts";
import { FXP } from "../adapters/ssh/sftp/protocol/types.ts";
import { Writer } from "../src/wire/writer.ts";
import type { SftpServer } from "./servers/sftp-server.ts";

/** A client's end of a channel in memory. */
export class MemoryClient implements ClientChannel {
  #onData: (bytes: Uint8Array, isStderr: boolean) => void = () => {};
  #onEof = (): void => {};
  #onClose = (): void => {};
  #onDrain = (): void => {};
  readonly #held: Uint8Array[] = [];
  isPaused = false;
  isFull = false;
  isClosed = false;
  exitStatus: Exit | null = null;
  stderr = "";
  /** What the other side sends. */
  onBytes: (bytes: Uint8Array) => void = () => {};
  onClosed: () => void = () => {};

  /** The client sends. */
  send(bytes: Uint8Array): void {
    if (this.isPaused) this.#held.push(bytes);
    else this.#onData(bytes, false);
  }

  end(): void {
    this.#onEof();
  }

  hangUp(): void {
    this.#onClose();
  }

  drain(): void {
    this.isFull = false;
    this.#onDrain();
  }

  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.#onData = callback;
  }
  onEof(callback: () => void): void {
    this.#onEof = callback;
  }
  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }
  onClose(callback: () => void): void {
    this.#onClose = callback;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
    while (!this.isPaused) {
      const bytes = this.#held.shift();
      if (bytes === undefined) return;
      this.#onData(bytes, false);
    }
  }
  close(): void {
    this.isClosed = true;
    this.onClosed();
  }
  write(bytes: Uint8Array, isStderr: boolean): boolean {
    if (isStderr) this.stderr += Buffer.from(bytes).toString("utf8");
    else this.onBytes(bytes);
    return !this.isFull;
  }
  eof(): void {}
  exit(exit: Exit): void {
    this.exitStatus = exit;
  }
}

export type Reply =
  | { readonly kind: "status"; readonly code: number; readonly message: string }
  | { readonly kind: "handle"; readonly handle: Uint8Array }
  | { readonly kind: "data" | "name" | "attrs" | "extended"; readonly body: string; readonly packet: Packet };

/** Requests by their numbers; each resolves with its reply. */
export class SftpClient {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #stream = new PacketStream();
  readonly #waiting = new Map<number, (packet: Packet) => void>();
  #hello: (packet: Packet) => void = () => {};
  #lastId = 0;

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  static through(client: MemoryClient): SftpClient {
    const made = new SftpClient((bytes) => client.send(bytes));
    client.onBytes = (bytes) => made.take(bytes);
    return made;
  }

  /** Without a gateway between. */
  static direct(server: SftpServer): SftpClient {
    const made = new SftpClient((bytes) => void server.send(bytes));
    server.onData((bytes) => made.take(bytes));
    return made;
  }

  take(bytes: Uint8Array): void {
    // The gateway's own bytes are read by the next request too: a copy, as a socket would make it.
    this.#stream.push(bytes.slice());
    for (let next = this.#stream.next(); next !== null; next = this.#stream.next()) {
      if (next.type === FXP.version) {
        this.#hello(next);
        continue;
      }
      const id = replyId(next);
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) throw new Error(`nobody asked for reply ${id}`);
      this.#waiting.delete(id);
      waiting(next);
    }
  }

  async hello(version = 3): Promise<Packet> {
    const said = new Promise<Packet>((resolve) => (this.#hello = resolve));
    this.#send(packet(FXP.init, (writer) => writer.u32(version), new Writer()));
    return said;
  }

  raw(bytes: Uint8Array): void {
    this.#send(bytes);
  }

  async request(type: number, body: (writer: Writer) => void, id = ++this.#lastId): Promise<Reply> {
    const reply = new Promise<Packet>((resolve) => this.#waiting.set(id, resolve));
    this.#send(
      packet(
        type,
        (writer) => {
          writer.u32(id);
          body(writer);
        },
        new Writer(),
      ),
    );
    return readReply(await reply);
  }

  async path(type: number, path: string | Uint8Array): Promise<Reply> {
    return this.request(type, (writer) => writeString(writer, path));
  }

  async open(path: string | Uint8Array, flags: number): Promise<Reply> {
    return this.request(FXP.open, (writer) => writeAttributes(writeString(writer, path).u32(flags), {}));
  }

  async on(type: number, handle: Uint8Array): Promise<Reply> {
    return this.request(type, (writer) => writeString(writer, handle));
  }

  async read(handle: Uint8Array, offset: number, length: number): Promise<Reply> {
    return this.request(FXP.read, (writer) => writeUint64(writeString(writer, handle), offset).u32(length));
  }

  async write(handle: Uint8Array, offset: number, content: Uint8Array): Promise<Reply> {
    return this.request(FXP.write, (writer) => writeString(writeUint64(writeString(writer, handle), offset), content));
  }

  async extended(name: string, body: (writer: Writer) => void = () => {}): Promise<Reply> {
    return this.request(FXP.extended, (writer) => {
      writeString(writer, name);
      body(writer);
    });
  }

  async two(type: number, first: string, second: string): Promise<Reply> {
    return this.request(type, (writer) => writeString(writeString(writer, first), second));
  }
}

function readReply(reply: Packet): Reply {
  const body = Buffer.from(reply.bytes.subarray(reply.bodyStart + 4)).toString("latin1");
  switch (reply.type) {
    case FXP.status:
      return { kind: "status", ...decodeStatus(reply) };
    case FXP.handle:
      return { kind: "handle", handle: decodeHandle(reply) };
    case FXP.data:
      return { kind: "data", body: body.slice(4), packet: reply };
    case FXP.name:
      return { kind: "name", body, packet: reply };
    case FXP.attrs:
      return { kind: "attrs", body, packet: reply };
    case FXP.extendedReply:
      return { kind: "extended", body, packet: reply };
    default:
      throw new Error(`no reply has the type ${reply.type}`);
  }
}

/** The handle that a request was answered with. */
export function handleOf(reply: Reply): Uint8Array {
  if (reply.kind !== "handle") throw new Error(`not a handle but ${JSON.stringify(reply)}`);
  return reply.handle;
}

export function codeOf(reply: Reply): number | string {
  return reply.kind === "status" ? reply.code : reply.kind;
}

export function nameOf(reply: Reply): string {
  if (reply.kind !== "name") throw new Error(`not a name but ${JSON.stringify(reply)}`);
  return Buffer.from(decodeOneName(reply.packet)).toString("utf8");
}
