/** A PostgreSQL client that sends exactly what it is told to and keeps every message it gets, for tests of the wire. */
import { createHash, type Hash } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  decodeAuthentication,
  decodeBackendKeyData,
  type BackendKeyData,
} from "../../../adapters/postgres/protocol/backend.ts";
import { encodePassword, encodeTerminate } from "../../../adapters/postgres/protocol/frontend.ts";
import { encodeCancelRequest, encodeSslRequest, encodeStartup } from "../../../adapters/postgres/protocol/startup.ts";
import { PROTOCOL_3_0 } from "../../../adapters/postgres/protocol/types.ts";

/** A message from the server. Of a body over two megabytes only the beginning is kept, with the digest of the whole. */
export type Message = {
  /** The type byte as a character. */
  readonly type: string;
  readonly body: Buffer;
  readonly bodyBytes: number;
  /** Hex; null when the body is there as a whole. */
  readonly sha256: string | null;
};

export type Address = { readonly host: string; readonly port: number };

/** ssl: SSLRequest first. direct: TLS from the first byte. */
export type TlsKind = "none" | "ssl" | "direct";

export type Login = {
  readonly user?: string;
  readonly database?: string;
  readonly password?: string;
  /** Further startup parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** PROTOCOL_3_0 when left out. */
  readonly version?: number;
  readonly tls?: TlsKind;
};

const HEADER_BYTES = 5;
const KEPT_BODY_BYTES_MAX = 2 * 1024 * 1024;
const KEPT_PREFIX_BYTES = 1024;
/** Answers to SSLRequest and GSSENCRequest are one byte. */
const YES = 0x53;
/** How long nothing may come while something is waited for. */
const SILENCE_MS_MAX = 45_000;
/** What a test of the wire may take: longer than the client's patience, so that one that hangs says where. */
export const TEST_TIME_MS_MAX = 240_000;

/** The server closed the connection while a message was waited for. */
export class WireClosed extends Error {
  constructor(last?: Message) {
    super(`the connection was closed${last === undefined ? "" : ` after ${last.type}: ${printable(last.body)}`}`);
  }
}

export class WireClient {
  #socket: Socket;
  readonly #address: Address;
  /** Received and not cut into messages. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #body: { type: string; bodyBytes: number; left: number; prefix: Buffer; hash: Hash } | null = null;
  readonly #messages: Message[] = [];
  #read = 0;
  #isTyped = false;
  #isEnded = false;
  #wake: (() => void) | null = null;
  readonly #whenEnded = Promise.withResolvers<void>();
  /** The key of BackendKeyData, once the login is through. */
  key: BackendKeyData | null = null;

  private constructor(socket: Socket, address: Address) {
    this.#socket = socket;
    this.#address = address;
    this.#listen();
  }

  /** Opens a connection on which nothing has been sent; with `direct`, after the TLS handshake. */
  static async open(address: Address, tls: TlsKind = "none"): Promise<WireClient> {
    const socket = connectTcp(address);
    await happens(socket, "connect");
    const client = new WireClient(socket, address);
    if (tls === "ssl") await client.requestTls();
    if (tls === "direct") await client.startTls();
    return client;
  }

  /** Opens a connection and logs in up to the first ReadyForQuery; rejects with WireClosed when it is refused. */
  static async logIn(address: Address, login: Login = {}): Promise<WireClient> {
    const client = await WireClient.open(address, login.tls);
    client.sendStartup(login);
    await client.finishLogin(login.password);
    return client;
  }

  /** Everything that has come, in order. */
  get received(): readonly Message[] {
    return this.#messages;
  }

  /** What is left of `received` behind what next() has handed out. */
  get unread(): readonly Message[] {
    return this.#messages.slice(this.#read);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Resolves when the connection is closed, whoever closed it; waits without impatience. */
  get whenEnded(): Promise<void> {
    return this.#whenEnded.promise;
  }

  /** Sends the parts in one write. */
  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts));
  }

  /** Sends one part and resolves when the socket has taken it. */
  async sendAll(part: Uint8Array): Promise<void> {
    if (!this.#socket.write(part)) await happens(this.#socket, "drain");
  }

  /** Sends byte by byte, each in a segment of its own as far as the kernel goes along. */
  async sendCut(...parts: readonly Uint8Array[]): Promise<void> {
    this.#socket.setNoDelay(true);
    for (const byte of Buffer.concat(parts)) {
      this.#socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves with the next message. Rejects with WireClosed when none comes any more. */
  async next(): Promise<Message> {
    for (;;) {
      const message = this.#messages[this.#read];
      if (message !== undefined) {
        this.#read++;
        return message;
      }
      if (this.#isEnded) throw new WireClosed(this.#messages.at(-1));
      await this.#changed();
    }
  }

  /** Resolves with the messages up to and including the next one of this type. */
  async until(type: string): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const message = await this.next();
      messages.push(message);
      if (message.type === type) return messages;
    }
  }

  /** Resolves with the messages up to and including so many ReadyForQuery. */
  async ready(count = 1): Promise<Message[]> {
    const messages: Message[] = [];
    for (let i = 0; i < count; i++) messages.push(...(await this.until("Z")));
    return messages;
  }

  /** Sends and waits for ReadyForQuery. */
  async ask(...parts: readonly Uint8Array[]): Promise<Message[]> {
    this.send(...parts);
    return this.ready();
  }

  /** Resolves with everything that still comes until the server closes the connection. */
  async end(): Promise<Message[]> {
    while (!this.#isEnded) await this.#changed();
    const rest = this.#messages.slice(this.#read);
    this.#read = this.#messages.length;
    return rest;
  }

  /** One byte that is no message: the answer to SSLRequest or GSSENCRequest. Rejects with WireClosed. */
  async byte(): Promise<number> {
    while (this.#pendingBytes === 0) {
      if (this.#isEnded) throw new WireClosed();
      await this.#changed();
    }
    return this.#take(1)[0] ?? 0;
  }

  /** SSLRequest, its answer, and the handshake. */
  async requestTls(): Promise<void> {
    this.send(encodeSslRequest());
    const answer = await this.byte();
    if (answer !== YES) throw new Error(`SSLRequest was answered with ${String.fromCharCode(answer)}`);
    await this.startTls();
  }

  async startTls(alpn: readonly string[] = ["postgresql"]): Promise<void> {
    const raw = this.#socket;
    raw.removeAllListeners();
    const secure = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [...alpn] });
    this.#socket = secure;
    await happens(secure, "secureConnect");
    this.#listen();
  }

  sendStartup(login: Login = {}): void {
    const { user = "postgres", database = "postgres", parameters = {}, version = PROTOCOL_3_0 } = login;
    this.send(encodeStartup(version, [["user", user], ["database", database], ...Object.entries(parameters)]));
  }

  /** From the startup packet to the first ReadyForQuery; answers a request for a cleartext password. */
  async finishLogin(password = ""): Promise<void> {
    this.#isTyped = true;
    this.#cut();
    for (;;) {
      const message = await this.next();
      if (message.type === "R" && decodeAuthentication(message.body).kind === "cleartext") {
        this.send(encodePassword(password));
      }
      if (message.type === "K") this.key = decodeBackendKeyData(message.body);
      if (message.type === "Z") return;
    }
  }

  /** From now on what comes is cut into messages. */
  expectMessages(): void {
    this.#isTyped = true;
    this.#cut();
  }

  /** Sends a CancelRequest with this session's key on a connection of its own, and resolves when that is closed. */
  async cancel(key: BackendKeyData | null = this.key): Promise<void> {
    if (key === null) throw new Error("there is no cancel key before the login is through");
    const other = await WireClient.open(this.#address);
    other.send(encodeCancelRequest(key.processId, key.secret));
    await other.end();
  }

  /** Takes no more bytes until resume(). */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says goodbye and resolves when the connection is closed. */
  async terminate(): Promise<void> {
    if (this.#isEnded) return;
    this.send(encodeTerminate());
    while (!this.#isEnded) await this.#changed();
  }

  /** Goes away without a word. */
  abandon(): void {
    this.#socket.destroy();
    this.#ended();
  }

  #listen(): void {
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      if (this.#isTyped) this.#cut();
      this.#stir();
    });
    this.#socket.on("error", () => this.#ended());
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("close", () => this.#ended());
  }

  #ended(): void {
    this.#isEnded = true;
    this.#whenEnded.resolve();
    this.#socket.destroy();
    this.#stir();
  }

  #stir(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  async #changed(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const seen = this.#messages.map(({ type }) => type).join("");
    const patience = setTimeout(() => reject(new Error(`nothing more came after: ${seen}`)), SILENCE_MS_MAX);
    const before = this.#wake;
    this.#wake = () => {
      before?.();
      resolve();
    };
    await promise.finally(() => clearTimeout(patience));
  }

  /** The first bytes of what is pending; fewer when fewer are there. */
  #take(bytes: number): Buffer {
    const parts: Buffer[] = [];
    let left = bytes;
    while (left > 0) {
      const first = this.#pending[0];
      if (first === undefined) break;
      const taken = first.subarray(0, left);
      parts.push(taken);
      left -= taken.length;
      if (taken.length === first.length) this.#pending.shift();
      else this.#pending[0] = first.subarray(taken.length);
    }
    this.#pendingBytes -= bytes - left;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }

  #cut(): void {
    for (;;) {
      if (this.#body !== null) {
        const body = this.#body;
        const part = this.#take(Math.min(body.left, this.#pendingBytes));
        body.left -= part.length;
        body.hash.update(part);
        if (body.left > 0) return;
        this.#body = null;
        const { type, bodyBytes, prefix, hash } = body;
        this.#messages.push({ type, body: prefix, bodyBytes, sha256: hash.digest("hex") });
        continue;
      }
      if (this.#pendingBytes < HEADER_BYTES) return;
      const header = this.#take(HEADER_BYTES);
      const type = String.fromCharCode(header[0] ?? 0);
      const bodyBytes = header.readInt32BE(1) - 4;
      if (bodyBytes > KEPT_BODY_BYTES_MAX) {
        const prefix = this.#take(Math.min(KEPT_PREFIX_BYTES, this.#pendingBytes));
        const hash = createHash("sha256").update(prefix);
        this.#body = { type, bodyBytes, left: bodyBytes - prefix.length, prefix, hash };
        continue;
      }
      if (this.#pendingBytes < bodyBytes) {
        this.#pending.unshift(header);
        this.#pendingBytes += HEADER_BYTES;
        return;
      }
      this.#messages.push({ type, body: this.#take(bodyBytes), bodyBytes, sha256: null });
    }
  }
}

async function happens(socket: Socket, event: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = (): void => reject(new WireClosed());
  socket.once(event, resolve).once("error", reject).once("close", closed);
  await promise.finally(() => socket.off(event, resolve).off("error", reject).off("close", closed));
}

function printable(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1").replaceAll("\0", " ").trim();
}
