/** One SSH connection's packets (RFC 4253): ssh2 encrypts them, keys are exchanged here, all other messages are handed on. */
import { init } from "ssh2/lib/protocol/crypto.js";
import type { KexInit } from "ssh2/lib/protocol/kex.js";
import Protocol from "ssh2/lib/protocol/Protocol.js";
import { sendPacket } from "ssh2/lib/protocol/utils.js";
import { offerFor, type ServerOffers, SIGNATURES } from "./algorithms.ts";
import { chachaReady } from "./chacha-poly.ts";
import { ClientHello, type Known } from "./client-hello.ts";
import { ExchangeError } from "./exchange/exchange-error.ts";
import { type ExchangeSide, KeyExchange } from "./exchange/key-exchange.ts";
import { ExchangeRate } from "./exchange-rate.ts";
import { FieldReader, FieldWriter } from "./protocol/fields.ts";
import { DISCONNECT, EXTENDED_STDERR, MESSAGE } from "./protocol/messages.ts";

/**
 * Says no version: it is nobody's business before the login. OpenSSH's clients tell only servers whose name begins
 * like this that they read no more (`eow@openssh.com`); behind any other, `ssh host yes | head` would never end.
 */
const SERVER_IDENT = Buffer.from("OpenSSH_weir");
const CLIENT_IDENT = Buffer.from("weir");
/** RFC 4253, section 9: new keys after each gigabyte and each hour. */
const REKEY_BYTES = 2 ** 30;
const REKEY_MS = 3_600_000;
/** Packets are gathered into one write up to this. */
const WRITE_BYTES_MAX = 256 * 1024;
/** How long a client's first packet is waited for before the gateway sends its own. */
const HELLO_TIME_MS = 300;
const FIRST_KEX_MESSAGE = 20;
const LAST_KEX_MESSAGE = 49;
const MESSAGE_TEXT_BYTES_MAX = 1_024;
/** Answers that may wait for a peer which asks and does not read, or never ends a key exchange: with what each takes here. */
const UNTAKEN_BYTES_MAX = 4 * 1024 * 1024;
const MESSAGE_OVERHEAD_BYTES = 64;

type Hello = { readonly said: ClientHello; readonly offers: ServerOffers; timer: Timer | null };

export type TransportSide = ExchangeSide &
  ({ readonly kind: "server"; readonly offers: ServerOffers } | { readonly kind: "client"; readonly offer: KexInit });

/** What the owner of a connection hears of it. */
export type TransportListener = {
  /** False: stop until drained(). */
  write(bytes: Uint8Array): boolean;
  /** The first key exchange is done: messages may be sent. */
  onReady(): void;
  /** A message that is neither the transport's own nor of the key exchange. Throwing ends the connection. */
  onMessage(type: number, payload: Uint8Array): void;
  /** There is room for data again: isWritable is true. */
  onDrain(): void;
  /** The peer has ended the connection, in its own words. */
  onDisconnect(message: string): void;
  /** The connection is of no more use; nothing can be sent any more. */
  onError(error: Error): void;
};

/** What the peer sent is not SSH, or not allowed now. */
export class ProtocolError extends Error {}

const initialised = Promise.all([init, chachaReady]);

export class Transport {
  readonly #listener: TransportListener;
  readonly #protocol: Protocol;
  readonly #exchange: KeyExchange;
  readonly #isServer: boolean;
  readonly #rekeyBytes: number;
  /** Until the client has said what it knows. */
  #hello: Hello | null = null;
  #output: Uint8Array[] = [];
  #outputBytes = 0;
  #isFlushPlanned = false;
  #isFull = false;
  #isReady = false;
  #isDead = false;
  /** Of messages that were sent while there was no room. */
  #untakenBytes = 0;
  #bytesUnderKeys = 0;
  #keysAtMs = 0;
  readonly #asked: ExchangeRate;
  readonly #flushPlanned = (): void => {
    this.#isFlushPlanned = false;
    this.#flush();
  };

  /**
   * `rekeyBytes`: how many bytes, both ways together, are sent under the same keys; `asked`: how often the peer may ask
   * for new ones.
   */
  constructor(
    side: TransportSide,
    listener: TransportListener,
    rekeyBytes: number = REKEY_BYTES,
    asked: ExchangeRate = new ExchangeRate(),
  ) {
    this.#listener = listener;
    this.#rekeyBytes = rekeyBytes;
    this.#asked = asked;
    this.#isServer = side.kind === "server";
    if (side.kind === "server") this.#hello = { said: new ClientHello(), offers: side.offers, timer: null };
    this.#protocol = new Protocol({
      server: this.#isServer,
      ident: this.#isServer ? SERVER_IDENT : CLIENT_IDENT,
      offer: side.kind === "server" ? side.offers.whole : side.offer,
      hostKeys: {},
      onWrite: (bytes) => this.#put(bytes),
      onError: (error) => this.#die(error),
      // From the first packet on, nothing goes to ssh2's own exchange of keys.
      onHeader: () => (this.#protocol._decipher._onPayload = (payload) => this.#payload(payload)),
      messageHandlers: { DISCONNECT: (_protocol, _reason, message) => this.#listener.onDisconnect(message) },
    });
    this.#exchange = new KeyExchange(this.#protocol, side, {
      onPayload: (payload) => this.#payload(payload),
      onAsked: () => this.#newKeysAsked(),
      onDone: (wantsExtInfo) => this.#exchanged(wantsExtInfo),
      onError: (error) => this.#fail(error),
    });
  }

  /** Sends the greeting; nothing may be received before it resolves. */
  async start(): Promise<void> {
    await initialised;
    if (!this.#isDead) this.#protocol.start?.();
  }

  /** Of the first key exchange: what signatures are bound to. */
  get sessionId(): Uint8Array {
    return this.#exchange.sessionId;
  }

  /** False: data that is sent now would only pile up; onDrain tells when it changes. Other messages may always be sent. */
  get isWritable(): boolean {
    return this.#isReady && !this.#isFull && !this.#exchange.isUnderWay;
  }

  receive(bytes: Uint8Array): void {
    if (this.#isDead) return;
    if (this.#hello !== null) return this.#helloCame(this.#hello, bytes);
    this.#count(bytes.length);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    try {
      this.#protocol.parse(buffer, 0, buffer.length);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The peer has broken the protocol in a message that had to wait. */
  broken(error: unknown): void {
    queueMicrotask(() => this.#fail(error));
  }

  /** A client speaks first here; one that waits for the gateway gets its word after a moment. */
  #helloCame(hello: Hello, bytes: Uint8Array): void {
    const known = hello.said.add(bytes);
    if (known !== null) return this.#answerHello(hello, known);
    hello.timer ??= setTimeout(() => this.#answerHello(hello, null), HELLO_TIME_MS);
  }

  #answerHello({ said, offers, timer }: Hello, known: Known | null): void {
    clearTimeout(timer ?? undefined);
    this.#hello = null;
    this.#protocol._offer = offerFor(known, offers);
    this.receive(said.bytes);
  }

  /** Sends one message. During a key exchange it waits for its end. */
  send(payload: Uint8Array): void {
    if (!this.#isDead && !this.#isChoked(payload.length)) this.#sendNow(payload);
  }

  #sendNow(payload: Uint8Array): void {
    const { write } = this.#protocol._packetRW;
    const packet = write.alloc(payload.length);
    packet.set(payload, write.allocStart);
    sendPacket(this.#protocol, write.finalize(packet));
  }

  /** True: the peer asks for more than it takes, and the connection is about to end. */
  #isChoked(bytes: number): boolean {
    if (this.isWritable) {
      this.#untakenBytes = 0;
      return false;
    }
    if (this.#untakenBytes > UNTAKEN_BYTES_MAX) return true;
    this.#untakenBytes += bytes + MESSAGE_OVERHEAD_BYTES;
    const isChoked = this.#untakenBytes > UNTAKEN_BYTES_MAX;
    if (isChoked) this.broken(new ProtocolError("the peer does not take the answers to what it asks"));
    return isChoked;
  }

  /** Sends a part of `bytes` as data of a channel, which the peer knows as `recipient`. Only while isWritable. */
  sendData(recipient: number, bytes: Uint8Array, start: number, end: number, isStderr: boolean): void {
    if (this.#isDead) return;
    const { write } = this.#protocol._packetRW;
    const length = end - start;
    const packet = write.alloc((isStderr ? 13 : 9) + length);
    let at = write.allocStart;
    packet[at++] = isStderr ? MESSAGE.channelExtendedData : MESSAGE.channelData;
    at = packet.writeUInt32BE(recipient, at);
    if (isStderr) at = packet.writeUInt32BE(EXTENDED_STDERR, at);
    at = packet.writeUInt32BE(length, at);
    packet.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
    sendPacket(this.#protocol, write.finalize(packet));
  }

  /** To be called when what write() refused has gone out. */
  drained(): void {
    this.#isFull = false;
    if (this.isWritable) this.#listener.onDrain();
  }

  /** Tells the peer why, after what was sent before; the owner closes the connection. */
  disconnect(reason: number, message: string): void {
    if (this.#isDead) return;
    this.#sendDisconnect(reason, message);
    this.#flush();
    this.#end();
  }

  /** The connection is gone, or is to be: what was sent before still goes out. */
  close(): void {
    if (this.#isDead) return;
    this.#flush();
    this.#end();
  }

  #end(): void {
    this.#isDead = true;
    clearTimeout(this.#hello?.timer ?? undefined);
    this.#exchange.end();
    this.#protocol.cleanup();
  }

  /** Sent also in the middle of a key exchange. */
  #sendDisconnect(reason: number, message: string): void {
    const payload = new FieldWriter()
      .u8(MESSAGE.disconnect)
      .u32(reason)
      .string(message.slice(0, MESSAGE_TEXT_BYTES_MAX))
      .string("")
      .take();
    const { write } = this.#protocol._packetRW;
    const packet = write.alloc(payload.length, true);
    packet.set(payload, write.allocStartKEX);
    sendPacket(this.#protocol, write.finalize(packet, true), true);
  }

  /** ssh2 handles what is the transport's own (RFC 4253, section 11), and nothing above that. */
  #payload(payload: Buffer): number | false | undefined {
    if (this.#isDead) return Infinity;
    const type = payload[0] ?? 0;
    let next: number | false | undefined;
    if (isOfKeyExchange(type)) next = this.#exchange.receive(type, payload);
    else if (!this.#exchange.mayPass(type)) throw new ExchangeError(`a message of the type ${type} came out of turn`);
    else if (type >= MESSAGE.disconnect && type <= MESSAGE.debug) next = this.#protocol._onPayload(payload);
    else this.#message(type, payload);
    return this.#isDead ? Infinity : next;
  }

  /** A peer that asks for new keys, rather than answering that we do, makes the gateway work. */
  #newKeysAsked(): void {
    if (!this.#asked.mayBegin(this.#bytesUnderKeys)) throw new ProtocolError("the peer wants new keys too often");
  }

  #message(type: number, payload: Uint8Array): void {
    if (type === MESSAGE.extInfo) return;
    this.#listener.onMessage(type, payload);
  }

  /** To be called by the owner for a message that it does not know (RFC 4253, section 11.4). */
  unimplemented(): void {
    const sequence = (this.#protocol._decipher.inSeqno - 1) >>> 0;
    this.send(new FieldWriter().u8(MESSAGE.unimplemented).u32(sequence).take());
  }

  /** Which signatures a client may log in with (RFC 8308). */
  #sendExtInfo(): void {
    const payload = new FieldWriter().u8(MESSAGE.extInfo).u32(1);
    this.send(payload.string("server-sig-algs").string(SIGNATURES.join(",")).take());
  }

  #exchanged(wantsExtInfo: boolean): void {
    if (this.#isServer && wantsExtInfo) this.#sendExtInfo();
    const { _queue: waiting = [] } = this.#protocol;
    this.#protocol._queue = undefined;
    for (const payload of waiting) this.#sendNow(payload);
    this.#bytesUnderKeys = 0;
    this.#keysAtMs = performance.now();
    if (!this.#isReady) {
      this.#isReady = true;
      this.#listener.onReady();
    } else if (this.isWritable) this.#listener.onDrain();
  }

  #put(bytes: Uint8Array): void {
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    if (this.#outputBytes >= WRITE_BYTES_MAX) return this.#flush();
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    queueMicrotask(this.#flushPlanned);
  }

  #flush(): void {
    if (this.#outputBytes === 0) return;
    const [first] = this.#output;
    const bytes =
      this.#output.length === 1 && first !== undefined ? first : Buffer.concat(this.#output, this.#outputBytes);
    this.#output = [];
    this.#outputBytes = 0;
    if (!this.#listener.write(bytes)) this.#isFull = true;
    this.#count(bytes.length);
  }

  #count(bytes: number): void {
    this.#bytesUnderKeys += bytes;
    if (this.#isDead || !this.#isReady || this.#exchange.isUnderWay) return;
    if (this.#bytesUnderKeys < this.#rekeyBytes && performance.now() - this.#keysAtMs < REKEY_MS) return;
    this.#bytesUnderKeys = 0;
    // This may be in the middle of a packet, which ssh2 counts only after it has handed over its bytes.
    queueMicrotask(() => this.#exchange.ask());
  }

  #fail(error: unknown): void {
    if (this.#isDead) return;
    const reason = error instanceof ExchangeError ? error.reason : DISCONNECT.protocolError;
    const isForPeers = error instanceof ProtocolError || error instanceof ExchangeError;
    this.#sendDisconnect(reason, isForPeers ? error.message : "protocol error");
    this.#flush();
    this.#die(error instanceof Error ? error : new Error(String(error)));
  }

  #die(error: Error): void {
    if (this.#isDead) return;
    this.#flush();
    this.#end();
    this.#listener.onError(error);
  }
}

function isOfKeyExchange(type: number): boolean {
  return type >= FIRST_KEX_MESSAGE && type <= LAST_KEX_MESSAGE;
}

/** The payload behind its type. */
export function fieldsOf(payload: Uint8Array): FieldReader {
  return new FieldReader(payload, 1);
}
