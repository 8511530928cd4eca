/** A client's channel as the byte stream that another adapter serves: a forward that leads to a target of its own. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { ByteStream, Door, Outcome, Permit } from "../../../src/core/ports.ts";
import type { ClientChannel } from "../channels.ts";

/** How long the client is waited for to take the last bytes. */
const LAST_BYTES_TIME_MS = 5_000;

export type HandedChannelParts = {
  readonly door: Door;
  readonly permit: Permit;
  /** Accepts the channel: when somebody has taken the stream. */
  accept(): ClientChannel;
  /** Called once. */
  onEnd(outcome: Outcome): void;
};

export class HandedChannel implements ByteStream {
  readonly #parts: HandedChannelParts;
  #channel: ClientChannel | null = null;
  #bytesToClient = 0;
  #isFull = false;
  #isEnding = false;
  #hasEnded = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #onDrain: (() => void) | null = null;
  #onClose: (() => void) | null = null;

  constructor(parts: HandedChannelParts) {
    this.#parts = parts;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#hasEnded || this.#isEnding) return true;
    const no = this.#parts.door.spend(this.#parts.permit, 0, bytes.length);
    if (no !== null) {
      this.stop(no);
      return true;
    }
    this.#bytesToClient += bytes.length;
    if (!this.#end.write(bytes, false)) this.#isFull = true;
    return !this.#isFull;
  }

  onData(callback: (bytes: Uint8Array) => void): void {
    this.#end.onData((bytes) => {
      if (this.#hasEnded) return;
      const no = this.#parts.door.spend(this.#parts.permit, 0, bytes.length);
      if (no === null) callback(bytes);
      else this.stop(no);
    });
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  onEof(callback: () => void): void {
    this.#end.onEof(callback);
  }

  onClose(callback: () => void): void {
    this.#onClose = callback;
    if (this.#hasEnded) queueMicrotask(callback);
  }

  pause(): void {
    if (!this.#hasEnded) this.#end.pause();
  }

  resume(): void {
    if (!this.#hasEnded) this.#end.resume();
  }

  end(): void {
    if (this.#hasEnded || this.#isEnding) return;
    this.#isEnding = true;
    this.#end.eof();
    if (!this.#isFull) return this.#close({ status: "done" });
    this.#timer = setTimeout(() => this.#close({ status: "done" }), LAST_BYTES_TIME_MS);
  }

  /** Ends it at once: who serves it sees a client that is gone. Null: the client's connection is closed. */
  stop(reason: Refusal | null): void {
    this.#close(reason === null ? { status: "done" } : { status: "cancelled", code: reason.code });
  }

  get #end(): ClientChannel {
    return (this.#channel ??= this.#accepted());
  }

  #accepted(): ClientChannel {
    const channel = this.#parts.accept();
    channel.onDrain(() => {
      this.#isFull = false;
      if (this.#isEnding) this.#close({ status: "done" });
      else if (!this.#hasEnded) this.#onDrain?.();
    });
    channel.onClose(() => this.#close({ status: "done" }));
    return channel;
  }

  #close(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer ?? undefined);
    this.#channel?.close();
    this.#parts.onEnd({ ...outcome, bytes: this.#bytesToClient });
    this.#onClose?.();
  }
}
