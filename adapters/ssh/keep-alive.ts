/** Asks a peer that says nothing whether it is still there, as OpenSSH does (keepalive@openssh.com). */
import type { ChannelTable } from "./channel-table.ts";

export type KeepAliveParts = {
  readonly table: Pick<ChannelTable, "ask">;
  /** How often it is asked. */
  readonly everyMs: number;
  /** It has not answered so many questions, and has said nothing else. */
  readonly unansweredMax: number;
  onGone(): void;
};

export class KeepAlive {
  readonly #parts: KeepAliveParts;
  #timer: Timer | null = null;
  #unanswered = 0;

  constructor(parts: KeepAliveParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#timer = setInterval(() => this.#ask(), this.#parts.everyMs);
  }

  /** The peer has said something. */
  heard(): void {
    this.#unanswered = 0;
  }

  stop(): void {
    clearInterval(this.#timer ?? undefined);
  }

  #ask(): void {
    if (this.#unanswered++ >= this.#parts.unansweredMax) return this.#parts.onGone();
    void this.#parts.table.ask("keepalive@openssh.com", new Uint8Array(0));
  }
}
