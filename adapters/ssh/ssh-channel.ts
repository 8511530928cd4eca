/** One channel of a connection, either end of it (RFC 4254, section 5): its windows, its order, and nothing unbounded. */
import { type FieldReader, FieldWriter } from "./protocol/fields.ts";
import { EXTENDED_STDERR, MESSAGE } from "./protocol/messages.ts";
import { ProtocolError } from "./transport.ts";
import { UnreadData } from "./unread-data.ts";
import type { WindowBudget } from "./window-budget.ts";

/** The most that one packet may bring. */
export const PACKET_BYTES = 32 * 1024;
/** A window is opened again when this part of it was used. */
const WINDOW_STEP = 1 / 4;
/** RFC 4254, section 5.2: a window never exceeds this. */
const WINDOW_BYTES_MAX = 2 ** 32 - 1;
/** Requests, and whatever else is no data, that wait for one who reads or for the peer's window. */
const WAITING_MAX = 1_024;

/** Whoever has a channel sends more than its peer takes. */
export class ChannelFull extends ProtocolError {}

/** The part of a transport that channels send on. */
export interface ChannelCarrier {
  readonly isWritable: boolean;
  /** Of all channels of the connection. */
  readonly windows: WindowBudget;
  send(payload: Uint8Array): void;
  sendData(recipient: number, bytes: Uint8Array, start: number, end: number, isStderr: boolean): void;
  /** This channel has output that waits for the carrier. */
  waits(channel: SshChannel): void;
  /** Both ends have closed it. */
  forget(channel: SshChannel): void;
  /** The peer has broken the protocol with something that was read only now. */
  broken(error: unknown): void;
}

/** The peer's numbers for a channel. */
export type Peer = { readonly id: number; readonly window: number; readonly packetBytesMax: number };

/** A request of the peer about a channel; `reply` is for those that want one, and does nothing for others. */
export type ChannelRequest = {
  readonly type: string;
  readonly fields: FieldReader;
  readonly reply: (isGood: boolean) => void;
};

type Output =
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly isStderr: boolean }
  | { readonly kind: "message"; readonly payload: Uint8Array }
  | { readonly kind: "eof" }
  | { readonly kind: "close" };

/** What came while nobody reads. */
type Held = UnreadData | { readonly kind: "event"; readonly tell: () => void };

export class SshChannel {
  readonly id: number;
  /** Its end waits behind data that nobody has read yet: for whatever is not to be ended by whoever asked for it. */
  readonly #isOrdered: boolean;
  readonly #carrier: ChannelCarrier;
  readonly #peer: Peer;
  #sendWindow: number;
  /** What may still come. */
  #receiveWindow: number;
  /** That, and what came and was not read. */
  #promised: number;
  /** Read since the window was opened last. */
  #used = 0;
  /** How much is read before the window is opened again. */
  #step: number;
  /** Waits for the peer's window or for the carrier. */
  #output: Output[] = [];
  #held: Held[] = [];
  #heldEvents = 0;
  #gotEof = false;
  #isPaused = false;
  #isReading = false;
  #isTold = true;
  #sentEof = false;
  #sentClose = false;
  #isClosing = false;
  #isClosed = false;
  /** The peer's close is answered by close() alone. */
  #holdsClose = false;
  /** The peer has closed it, and was not answered yet. */
  #isHeldOpen = false;
  #replies: ((isGood: boolean) => void)[] = [];
  #onData: ((bytes: Uint8Array, isStderr: boolean) => void) | null = null;
  #onEof: (() => void) | null = null;
  #onDrain: (() => void) | null = null;
  #onClose: (() => void) | null = null;
  #onRequest: ((request: ChannelRequest) => void) | null = null;

  /** `window`: what the carrier's budget has granted the peer, and the peer was or will be told. */
  constructor(carrier: ChannelCarrier, id: number, peer: Peer, isOrdered: boolean, window: number) {
    this.#isOrdered = isOrdered;
    this.#carrier = carrier;
    this.id = id;
    this.#peer = peer;
    this.#sendWindow = peer.window;
    this.#receiveWindow = window;
    this.#promised = window;
    this.#step = window * WINDOW_STEP;
  }

  /** It is closed here: the peer has not taken what was written, or has not said so by closing it in its turn. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
    this.#onData = callback;
    this.#isReading = true;
    // What was held comes when all that there is to listen to has a listener.
    if (this.#held.length > 0) queueMicrotask(() => this.#deliver());
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

  /** Requests come in their order among data only while somebody reads. */
  onRequest(callback: (request: ChannelRequest) => void): void {
    this.#onRequest = callback;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deliver();
    this.#openWindow();
  }

  /** False: stop until onDrain. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array, isStderr: boolean): boolean {
    if (this.#isClosing || this.#sentEof || bytes.length === 0) return true;
    this.#output.push({ kind: "data", bytes, isStderr });
    this.flush();
    this.#isTold = this.#output.length === 0 && this.#carrier.isWritable;
    if (!this.#isTold && this.#output.length === 0) this.#carrier.waits(this);
    return this.#isTold;
  }

  /** A message about this channel, in its order among the data. */
  message(payload: Uint8Array): void {
    if (this.#isClosing) return;
    if (this.#output.length >= WAITING_MAX) throw new ChannelFull("too many requests wait for a channel's window");
    this.#output.push({ kind: "message", payload });
    this.flush();
  }

  /** Begins a channel request: type and whether a reply is wanted; the request's own fields follow. */
  request(type: string, wantReply: boolean): FieldWriter {
    return new FieldWriter().u8(MESSAGE.channelRequest).u32(this.#peer.id).string(type).bool(wantReply);
  }

  /** Sends a request and resolves with whether it was granted; false when the channel closes before. */
  async ask(request: FieldWriter): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#isClosed || this.#isClosing) return resolve(false);
      this.#replies.push(resolve);
      this.message(request.take());
    });
  }

  /** Answers a request of the peer's, at once: answers are not part of the data's order. */
  reply(isGood: boolean): void {
    if (this.#sentClose) return;
    const type = isGood ? MESSAGE.channelSuccess : MESSAGE.channelFailure;
    this.#carrier.send(new FieldWriter().u8(type).u32(this.#peer.id).take());
  }

  eof(): void {
    if (this.#isClosing) return;
    this.#output.push({ kind: "eof" });
    this.flush();
  }

  /** Closes after what was written. Nothing more is read. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#output.push({ kind: "close" });
    this.flush();
  }

  /**
   * From now on a peer that closes is told of it by onClose and answered only by close(): until then it can still be
   * told how a command ended, as sshd does.
   */
  holdClose(): void {
    this.#holdsClose = true;
  }

  /** Sends what may be sent now. */
  flush(): void {
    let next = this.#output[0];
    while (next !== undefined && this.#send(next)) {
      this.#output.shift();
      next = this.#output[0];
    }
    if (next !== undefined && !this.#carrier.isWritable) return this.#carrier.waits(this);
    if (next === undefined && !this.#isTold && this.#carrier.isWritable) {
      this.#isTold = true;
      this.#onDrain?.();
    }
  }

  /* ---- from the peer ---- */

  /** `isStderr` null: data of a kind that nobody knows, which is dropped. */
  receivedData(bytes: Uint8Array, isStderr: boolean | null): void {
    if (this.#isHeldOpen) throw new ProtocolError("data on a channel that was closed");
    if (bytes.length > this.#receiveWindow) throw new ProtocolError("a channel got more than its window");
    if (bytes.length === 0) return;
    this.#receiveWindow -= bytes.length;
    if (this.#isClosing || isStderr === null) {
      this.#wasRead(bytes.length);
      this.#openWindow();
    } else if (this.#hearsNow) this.#data(bytes, isStderr);
    else {
      const last = this.#held.at(-1);
      if (last?.kind !== "data" || !last.add(bytes, isStderr)) this.#held.push(new UnreadData(bytes, isStderr));
    }
  }

  receivedEof(): void {
    if (this.#gotEof || this.#isHeldOpen) return;
    this.#gotEof = true;
    this.#event(() => this.#onEof?.());
  }

  receivedRequest(request: ChannelRequest): void {
    if (this.#isHeldOpen) return;
    const tell = (): void => {
      if (this.#onRequest === null) request.reply(false);
      else this.#onRequest(request);
    };
    if (this.#isOrdered) this.#event(tell);
    else tell();
  }

  receivedReply(isGood: boolean): void {
    this.#replies.shift()?.(isGood);
  }

  receivedWindow(bytes: number): void {
    if (this.#sendWindow + bytes > WINDOW_BYTES_MAX) throw new ProtocolError("a channel's window is too large");
    this.#sendWindow += bytes;
    this.flush();
  }

  /** The peer has closed it. */
  receivedClose(): void {
    if (this.#isHeldOpen) throw new ProtocolError("a channel is closed twice");
    if (this.#holdsClose && !this.#isClosing) {
      this.#isHeldOpen = true;
      this.#sentEof = true;
      this.#output = this.#output.filter(({ kind }) => kind === "message");
      this.#failReplies();
      if (this.#isOrdered) this.#event(() => this.#onClose?.());
      else this.#onClose?.();
      return this.flush();
    }
    if (!this.#sentClose) {
      this.#isClosing = true;
      this.#output = [];
      this.#sendClose();
    }
    this.#carrier.forget(this);
    this.#failReplies();
    if (this.#isOrdered) this.#event(() => this.#closed());
    else this.#closed();
  }

  /** The connection is lost. */
  lost(): void {
    this.#isClosing = true;
    this.#sentClose = true;
    this.#output = [];
    this.#failReplies();
    if (this.#isOrdered) this.#event(() => this.#closed());
    else this.#closed();
  }

  #failReplies(): void {
    const replies = this.#replies;
    this.#replies = [];
    for (const reply of replies) reply(false);
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held = [];
    this.#carrier.windows.free(this.#promised);
    this.#promised = 0;
    if (!this.#isHeldOpen) this.#onClose?.();
  }

  get #hearsNow(): boolean {
    return this.#isReading && !this.#isPaused && this.#held.length === 0;
  }

  #wasRead(bytes: number): void {
    if (this.#isClosed) return;
    this.#used += bytes;
    this.#promised -= bytes;
    this.#carrier.windows.free(bytes);
  }

  #data(bytes: Uint8Array, isStderr: boolean): void {
    this.#wasRead(bytes.length);
    this.#onData?.(bytes, isStderr);
    this.#openWindow();
  }

  #event(tell: () => void): void {
    if (this.#hearsNow) return tell();
    if (++this.#heldEvents > WAITING_MAX) throw new ProtocolError("too many requests wait on a channel");
    this.#held.push({ kind: "event", tell });
  }

  /** Whoever called this has not to do with what the peer has sent: what is wrong with it ends the connection. */
  #deliver(): void {
    try {
      while (this.#isReading && !this.#isPaused) {
        const next = this.#held[0];
        if (next === undefined) return;
        if (next.kind === "data") {
          const { bytes, isStderr, isLast } = next.take();
          if (isLast) this.#held.shift();
          this.#data(bytes, isStderr);
        } else {
          this.#held.shift();
          this.#heldEvents--;
          next.tell();
        }
      }
    } catch (error) {
      this.#carrier.broken(error);
    }
  }

  #openWindow(): void {
    if (this.#isPaused || this.#used < this.#step || this.#sentClose) return;
    const bytes = this.#carrier.windows.grant(this.#promised);
    if (bytes === 0) return;
    this.#used = 0;
    this.#receiveWindow += bytes;
    this.#promised += bytes;
    this.#step = this.#promised * WINDOW_STEP;
    this.#carrier.send(new FieldWriter().u8(MESSAGE.channelWindowAdjust).u32(this.#peer.id).u32(bytes).take());
  }

  /** True: all of it has gone out. */
  #send(output: Output): boolean {
    switch (output.kind) {
      case "data":
        return this.#sendData(output.bytes, output.isStderr);
      case "message":
        this.#carrier.send(output.payload);
        return true;
      case "eof":
        if (!this.#sentEof) this.#carrier.send(new FieldWriter().u8(MESSAGE.channelEof).u32(this.#peer.id).take());
        this.#sentEof = true;
        return true;
      case "close":
        this.#sendClose();
        return true;
    }
  }

  #sendData(bytes: Uint8Array, isStderr: boolean): boolean {
    let start = 0;
    while (start < bytes.length && this.#sendWindow > 0 && this.#carrier.isWritable) {
      const most = Math.min(this.#sendWindow, this.#peer.packetBytesMax, PACKET_BYTES);
      const end = Math.min(bytes.length, start + most);
      this.#carrier.sendData(this.#peer.id, bytes, start, end, isStderr);
      this.#sendWindow -= end - start;
      start = end;
    }
    if (start === bytes.length) return true;
    if (start > 0) this.#output[0] = { kind: "data", bytes: bytes.subarray(start), isStderr };
    return false;
  }

  #sendClose(): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    this.#carrier.send(new FieldWriter().u8(MESSAGE.channelClose).u32(this.#peer.id).take());
    if (!this.#isHeldOpen) return;
    this.#carrier.forget(this);
    this.#closed();
  }
}

/** The bytes of a data message, as a view; `isStderr` null: of a kind that nobody knows. */
export function dataOf(type: number, fields: FieldReader): { bytes: Uint8Array; isStderr: boolean | null } {
  if (type === MESSAGE.channelData) return { bytes: fields.string(), isStderr: false };
  const isStderr = fields.u32() === EXTENDED_STDERR ? true : null;
  return { bytes: fields.string(), isStderr };
}
