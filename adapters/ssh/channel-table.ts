/** The channels of one connection and its global requests (RFC 4254): messages to and from each, in their order. */
import { type FieldReader, FieldWriter } from "./protocol/fields.ts";
import { MESSAGE, OPEN_FAILURE, type OpenFailure } from "./protocol/messages.ts";
import { type ChannelCarrier, dataOf, type Peer, PACKET_BYTES, SshChannel } from "./ssh-channel.ts";
import { fieldsOf, ProtocolError, type Transport } from "./transport.ts";
import { WindowBudget } from "./window-budget.ts";

const TYPE_BYTES_MAX = 128;
const DESCRIPTION_BYTES_MAX = 1_024;
/** A peer that takes less in a packet only makes work. */
const PACKET_BYTES_MIN = 64;
/** Each channel has a number of its own for the life of its connection. */
const IDS_MAX = 2 ** 31;
/** Global requests that wait for their answer, or to be served. */
const GLOBAL_REQUESTS_MAX = 64;

/** The peer wants a channel; exactly one of accept and reject is called, now or later. */
export type OpenAsked = {
  readonly type: string;
  readonly fields: FieldReader;
  /** `isOrdered`: its end and requests about it wait behind data that nobody has read yet. */
  readonly accept: (isOrdered: boolean) => SshChannel;
  readonly reject: (reason: OpenFailure, description: string) => void;
};

/** The peer wants something of the connection; `reply` is called once, now or later: null refuses. */
export type GlobalAsked = {
  readonly type: string;
  readonly fields: FieldReader;
  readonly reply: (answer: Uint8Array | null) => void;
};

export type ChannelTableParts = {
  readonly transport: Pick<Transport, "isWritable" | "send" | "sendData" | "broken">;
  readonly channelsMax: number;
  onOpen(asked: OpenAsked): void;
  onGlobalRequest(asked: GlobalAsked): void;
  /** Both ends have closed a channel. */
  onClosed?(): void;
};

/** The peer would not open a channel; the message is its own. */
export class OpenRefused extends Error {
  readonly reason: number;

  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

type Opening = {
  readonly resolve: (channel: SshChannel) => void;
  readonly reject: (error: Error) => void;
  /** What the peer may send at first. */
  readonly window: number;
};

export class ChannelTable implements ChannelCarrier {
  readonly windows = new WindowBudget();
  readonly #parts: ChannelTableParts;
  readonly #channels = new Map<number, SshChannel>();
  readonly #openings = new Map<number, Opening>();
  /** Promised to the peer, whose question is not answered yet. */
  readonly #reserved = new Set<number>();
  /** Those whose output waits for the transport, in their turn. */
  readonly #waiting = new Set<SshChannel>();
  /** Answers to the peer's global requests, in the order of those; undefined: not known yet. */
  readonly #answers: { payload: Uint8Array | undefined }[] = [];
  /** Those that want no answer, and are not served yet. */
  #unanswered = 0;
  readonly #asked: ((answer: FieldReader | null) => void)[] = [];
  #opened = 0;
  #isLost = false;

  constructor(parts: ChannelTableParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#channels.size + this.#openings.size + this.#reserved.size;
  }

  get isWritable(): boolean {
    return this.#parts.transport.isWritable;
  }

  /** Some channel is closed here, and its peer has not closed it in its turn. */
  get isClosing(): boolean {
    return [...this.#channels.values()].some((channel) => channel.isClosing);
  }

  send(payload: Uint8Array): void {
    this.#parts.transport.send(payload);
  }

  sendData(recipient: number, bytes: Uint8Array, start: number, end: number, isStderr: boolean): void {
    this.#parts.transport.sendData(recipient, bytes, start, end, isStderr);
  }

  waits(channel: SshChannel): void {
    this.#waiting.add(channel);
  }

  forget(channel: SshChannel): void {
    this.#channels.delete(channel.id);
    this.#waiting.delete(channel);
    this.#parts.onClosed?.();
  }

  broken(error: unknown): void {
    this.#parts.transport.broken(error);
  }

  /** The transport takes data again. */
  drained(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [index, channel] of waiting.entries()) {
      if (!this.isWritable) {
        // Those whose turn did not come are first the next time.
        const later = [...this.#waiting];
        this.#waiting.clear();
        for (const each of [...waiting.slice(index), ...later]) this.#waiting.add(each);
        return;
      }
      channel.flush();
    }
  }

  /** Opens a channel; `fields` are those of its type. Rejects with OpenRefused. */
  async open(type: string, fields: Uint8Array): Promise<SshChannel> {
    return new Promise((resolve, reject) => {
      if (this.#isLost) return reject(new OpenRefused(OPEN_FAILURE.connectFailed, "the connection is lost"));
      if (this.size >= this.#parts.channelsMax) {
        return reject(new OpenRefused(OPEN_FAILURE.shortage, "too many channels are open"));
      }
      const id = this.#nextId();
      const window = this.windows.grant(0);
      this.#openings.set(id, { resolve, reject, window });
      const message = new FieldWriter().u8(MESSAGE.channelOpen).string(type).u32(id);
      this.send(message.u32(window).u32(PACKET_BYTES).raw(fields).take());
    });
  }

  /** Asks something of the peer; resolves with the fields of its answer, null when it refuses. */
  async ask(type: string, fields: Uint8Array): Promise<FieldReader | null> {
    return new Promise((resolve) => {
      if (this.#isLost) return resolve(null);
      this.#asked.push(resolve);
      this.send(new FieldWriter().u8(MESSAGE.globalRequest).string(type).bool(true).raw(fields).take());
    });
  }

  /** True: the message was one of these. Throws on what breaks the protocol. */
  receive(type: number, payload: Uint8Array): boolean {
    const fields = fieldsOf(payload);
    switch (type) {
      case MESSAGE.globalRequest:
        this.#globalRequest(fields);
        return true;
      case MESSAGE.requestSuccess:
        this.#asked.shift()?.(fields);
        return true;
      case MESSAGE.requestFailure:
        this.#asked.shift()?.(null);
        return true;
      case MESSAGE.channelOpen:
        this.#openAsked(fields);
        return true;
      case MESSAGE.channelOpenConfirmation:
        this.#openConfirmed(fields);
        return true;
      case MESSAGE.channelOpenFailure:
        this.#openFailed(fields);
        return true;
      case MESSAGE.channelWindowAdjust:
        this.#channel(fields)?.receivedWindow(fields.u32());
        return true;
      case MESSAGE.channelData:
      case MESSAGE.channelExtendedData: {
        const channel = this.#channel(fields);
        const { bytes, isStderr } = dataOf(type, fields);
        channel?.receivedData(bytes, isStderr);
        return true;
      }
      case MESSAGE.channelEof:
        this.#channel(fields)?.receivedEof();
        return true;
      case MESSAGE.channelClose:
        this.#channel(fields)?.receivedClose();
        return true;
      case MESSAGE.channelRequest:
        this.#channelRequest(fields);
        return true;
      case MESSAGE.channelSuccess:
        this.#channel(fields)?.receivedReply(true);
        return true;
      case MESSAGE.channelFailure:
        this.#channel(fields)?.receivedReply(false);
        return true;
      default:
        return false;
    }
  }

  /** The connection is gone. */
  lost(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const error = new OpenRefused(OPEN_FAILURE.connectFailed, "the connection is lost");
    for (const { reject } of this.#openings.values()) reject(error);
    this.#openings.clear();
    for (const answer of this.#asked.splice(0)) answer(null);
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    this.#waiting.clear();
    for (const channel of channels) channel.lost();
  }

  /** Undefined: it was closed, and the peer did not know yet. Throws ProtocolError when there never was one. */
  #channel(fields: FieldReader): SshChannel | undefined {
    const id = fields.u32();
    const channel = this.#channels.get(id);
    if (channel === undefined && (id >= this.#opened || this.#openings.has(id) || this.#reserved.has(id))) {
      throw new ProtocolError("a message for a channel that is not open");
    }
    return channel;
  }

  #nextId(): number {
    if (this.#opened > IDS_MAX) throw new ProtocolError("the connection has had too many channels");
    return this.#opened++;
  }

  #openAsked(fields: FieldReader): void {
    const type = fields.utf8(TYPE_BYTES_MAX);
    const peer: Peer = { id: fields.u32(), window: fields.u32(), packetBytesMax: fields.u32() };
    const reject = (reason: OpenFailure, description: string): void => {
      if (this.#isLost) return;
      const message = new FieldWriter().u8(MESSAGE.channelOpenFailure).u32(peer.id).u32(reason);
      this.send(message.string(description.slice(0, DESCRIPTION_BYTES_MAX)).string("").take());
    };
    if (peer.packetBytesMax < PACKET_BYTES_MIN) return reject(OPEN_FAILURE.shortage, "packets are too small");
    if (this.size >= this.#parts.channelsMax) return reject(OPEN_FAILURE.shortage, "too many channels are open");
    const id = this.#nextId();
    // Counted from now on, however long the answer takes.
    this.#reserved.add(id);
    this.#parts.onOpen({
      type,
      fields,
      accept: (isOrdered) => {
        this.#reserved.delete(id);
        const window = this.windows.grant(0);
        const channel = new SshChannel(this, id, peer, isOrdered, window);
        if (this.#isLost) {
          channel.lost();
          return channel;
        }
        this.#channels.set(id, channel);
        const message = new FieldWriter().u8(MESSAGE.channelOpenConfirmation).u32(peer.id).u32(id);
        this.send(message.u32(window).u32(PACKET_BYTES).take());
        return channel;
      },
      reject: (reason, description) => {
        this.#reserved.delete(id);
        reject(reason, description);
      },
    });
  }

  #openConfirmed(fields: FieldReader): void {
    const id = fields.u32();
    const opening = this.#openings.get(id);
    if (opening === undefined) throw new ProtocolError("a channel was opened that nobody asked for");
    this.#openings.delete(id);
    const peer: Peer = { id: fields.u32(), window: fields.u32(), packetBytesMax: fields.u32() };
    if (peer.packetBytesMax < PACKET_BYTES_MIN) throw new ProtocolError("packets are too small");
    const channel = new SshChannel(this, id, peer, true, opening.window);
    this.#channels.set(id, channel);
    opening.resolve(channel);
  }

  #openFailed(fields: FieldReader): void {
    const id = fields.u32();
    const opening = this.#openings.get(id);
    if (opening === undefined) throw new ProtocolError("a channel was refused that nobody asked for");
    this.#openings.delete(id);
    this.windows.free(opening.window);
    const reason = fields.u32();
    opening.reject(new OpenRefused(reason, fields.utf8(DESCRIPTION_BYTES_MAX)));
  }

  #channelRequest(fields: FieldReader): void {
    const channel = this.#channel(fields);
    if (channel === undefined) return;
    const type = fields.utf8(TYPE_BYTES_MAX);
    const wantReply = fields.bool();
    let isAnswered = !wantReply;
    const reply = (isGood: boolean): void => {
      if (isAnswered) return;
      isAnswered = true;
      channel.reply(isGood);
    };
    channel.receivedRequest({ type, fields, reply });
  }

  #globalRequest(fields: FieldReader): void {
    const type = fields.utf8(TYPE_BYTES_MAX);
    const wantReply = fields.bool();
    if (this.#answers.length + this.#unanswered >= GLOBAL_REQUESTS_MAX)
      throw new ProtocolError("too many global requests");
    const answer: { payload: Uint8Array | undefined } = { payload: undefined };
    if (wantReply) this.#answers.push(answer);
    else this.#unanswered++;
    this.#parts.onGlobalRequest({
      type,
      fields,
      reply: (given) => {
        if (answer.payload !== undefined || this.#isLost) return;
        answer.payload =
          given === null
            ? new FieldWriter().u8(MESSAGE.requestFailure).take()
            : new FieldWriter().u8(MESSAGE.requestSuccess).raw(given).take();
        if (wantReply) this.#sendAnswers();
        else this.#unanswered--;
      },
    });
  }

  #sendAnswers(): void {
    for (let first = this.#answers[0]; first?.payload !== undefined; first = this.#answers[0]) {
      this.#answers.shift();
      this.send(first.payload);
    }
  }
}
