/** The bytes of one forwarded connection, both ways under one permit. */
import type { Refusal } from "../../../src/core/decision.ts";
import type { Door, Outcome, Permit } from "../../../src/core/ports.ts";
import { RecordingFailed } from "../../../src/core/recording.ts";
import type { ClientChannel, TargetChannel } from "../channels.ts";
import type { ChannelRecord } from "../record/channel-record.ts";

/** How long a side that was closed is waited for to take the bytes that the other had sent before. */
const LAST_BYTES_TIME_MS = 10_000;

export type TunnelParts = {
  readonly door: Door;
  readonly permit: Permit;
  readonly client: ClientChannel;
  readonly target: TargetChannel;
  /** Null: nothing is recorded. */
  readonly record: ChannelRecord | null;
  /** Called once, when both ends are closed or being closed; nothing is sent under the permit after it. */
  onEnd(outcome: Outcome): void;
};

export class Tunnel {
  readonly #parts: TunnelParts;
  #bytesToClient = 0;
  #clientIsFull = false;
  #targetIsFull = false;
  #recordIsFull = false;
  #clientEnded = false;
  #targetEnded = false;
  #clientIsClosed = false;
  #targetIsClosed = false;
  #hasEnded = false;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(parts: TunnelParts) {
    this.#parts = parts;
  }

  /** Begins to read both ends. */
  begin(): void {
    const { client, target, permit, record } = this.#parts;
    client.onDrain(() => {
      this.#clientIsFull = false;
      this.#proceed();
    });
    target.onDrain(() => {
      this.#targetIsFull = false;
      this.#proceed();
    });
    record?.onDrain(() => {
      this.#recordIsFull = false;
      this.#proceed();
    });
    record?.onStall(() => {
      this.#recordIsFull = true;
      this.#pace();
    });
    client.onClose(() => {
      this.#clientIsClosed = true;
      this.#proceed();
    });
    target.onClose(() => {
      this.#targetIsClosed = true;
      this.#proceed();
    });
    client.onEof(() =>
      this.#guarded(() => {
        this.#clientEnded = true;
        target.eof(permit);
      }),
    );
    target.onEof(() =>
      this.#guarded(() => {
        this.#targetEnded = true;
        client.eof();
      }),
    );
    client.onData((bytes) => this.#guarded(() => this.#toTarget(bytes)));
    target.onData((bytes) => this.#guarded(() => this.#toClient(bytes)));
  }

  /** Ends it at once; null: the client's connection is closed. */
  stop(reason: Refusal | null): void {
    this.#end(reason === null ? { status: "done" } : { status: "cancelled", code: reason.code });
  }

  #toTarget(bytes: Uint8Array): void {
    const { door, permit, target, record } = this.#parts;
    const no = door.spend(permit, 0, bytes.length);
    if (no !== null) return this.stop(no);
    if (record?.input(bytes) === false) this.#recordIsFull = true;
    if (!target.write(permit, bytes)) this.#targetIsFull = true;
    this.#pace();
  }

  #toClient(bytes: Uint8Array): void {
    const { door, permit, client, record } = this.#parts;
    const no = door.spend(permit, 0, bytes.length);
    if (no !== null) return this.stop(no);
    if (record?.unmasked(bytes, false) === false) this.#recordIsFull = true;
    if (record?.output(bytes, false) === false) this.#recordIsFull = true;
    this.#bytesToClient += bytes.length;
    if (!client.write(bytes, false)) this.#clientIsFull = true;
    this.#pace();
  }

  #pace(): void {
    const { client, target } = this.#parts;
    if (this.#targetIsFull || this.#recordIsFull) client.pause();
    if (this.#clientIsFull || this.#recordIsFull) target.pause();
  }

  /** Something has room again, or is closed. */
  #proceed(): void {
    if (this.#hasEnded) return;
    const { client, target } = this.#parts;
    if (this.#clientIsClosed || this.#targetIsClosed) return this.#endWhenTaken();
    if (!this.#targetIsFull && !this.#recordIsFull) client.resume();
    if (!this.#clientIsFull && !this.#recordIsFull) target.resume();
    if (this.#clientEnded && this.#targetEnded) this.#endWhenTaken();
  }

  /** What one side has sent before it was closed still goes to the other. */
  #endWhenTaken(): void {
    const isTaken = (this.#clientIsClosed || !this.#clientIsFull) && (this.#targetIsClosed || !this.#targetIsFull);
    if (isTaken) return this.#end({ status: "done" });
    this.#timer ??= setTimeout(() => this.#end({ status: "done" }), LAST_BYTES_TIME_MS);
  }

  #end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer ?? undefined);
    const { client, target } = this.#parts;
    client.close();
    target.close();
    this.#parts.onEnd({ ...outcome, bytes: this.#bytesToClient });
  }

  /** What cannot be sent or recorded does not go on. */
  #guarded(step: () => void): void {
    if (this.#hasEnded) return;
    try {
      step();
      this.#proceed();
    } catch (error) {
      this.#end({ status: "failed", code: error instanceof RecordingFailed ? "recording_unavailable" : "internal" });
    }
  }
}
