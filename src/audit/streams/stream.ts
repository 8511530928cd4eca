/** One stream: follows the log behind its writer and sends what is new, as a best effort that holds nobody up. */
import { type SelectedEntry, selectRange } from "../export/selection.ts";
import type { LogReader } from "../query.ts";
import { messageOf } from "../../core/message-of.ts";
import type { StreamCursor } from "./cursor.ts";
import type { Sender } from "./sender.ts";

/** Entries in one go. */
const BATCH_ENTRIES = 256;
const POLL_MS = 500;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 60_000;
/** A stream that is further behind lets the oldest go: nobody wants last week's entries an hour before today's. */
const BEHIND_ENTRIES_MAX = 1_000_000;

export type StreamState = {
  /** The index of the next entry to be sent. */
  readonly next: number;
  /** Entries that were not sent and never will be, since the gateway's start. */
  readonly dropped: number;
  /** Null while it works. */
  readonly failure: string | null;
};

export type StreamParts = {
  readonly log: LogReader;
  readonly cursor: StreamCursor;
  readonly sender: Sender;
  /** The index of the entry that a new stream begins with: what was there before can be exported. */
  readonly begin: number;
  readonly behindMax?: number;
  /** Told whenever anything of the state has changed. */
  readonly onState: (state: StreamState) => void;
  /** Resolves after so many milliseconds, or at once when the stream is to end. */
  readonly pause: (timeMs: number) => Promise<void>;
  /** True: send what there is, and end. */
  readonly isEnding: () => boolean;
};

export class Stream {
  readonly #parts: StreamParts;
  #state: StreamState = { next: 0, dropped: 0, failure: null };
  #retryMs = RETRY_MS_MIN;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  /** Runs until it is told to end. */
  async run(): Promise<void> {
    const { cursor, begin, pause, isEnding } = this.#parts;
    this.#set({ next: cursor.read() ?? begin });
    cursor.write(this.#state.next);
    for (;;) {
      const isLast = isEnding();
      try {
        await this.#catchUp();
        this.#retryMs = RETRY_MS_MIN;
        if (this.#state.failure !== null) this.#set({ failure: null });
        if (isLast) return;
        await pause(POLL_MS);
      } catch (error) {
        this.#set({ failure: messageOf(error) });
        if (isLast) return;
        await pause(this.#retryMs);
        this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
      }
    }
  }

  async #catchUp(): Promise<void> {
    const { log, behindMax = BEHIND_ENTRIES_MAX } = this.#parts;
    const size = await log.size();
    // A log that was put back has other entries there: what it has from now on is sent.
    if (this.#state.next > size) this.#moveTo(size, 0);
    if (size - this.#state.next > behindMax) this.#moveTo(size - behindMax, size - behindMax - this.#state.next);
    let batch: SelectedEntry[] = [];
    for await (const entry of selectRange(log, this.#state.next, size)) {
      batch.push(entry);
      if (batch.length < BATCH_ENTRIES) continue;
      await this.#send(batch);
      batch = [];
    }
    if (batch.length > 0) await this.#send(batch);
  }

  async #send(batch: readonly SelectedEntry[]): Promise<void> {
    const [first, last] = [batch[0]?.index ?? 0, batch.at(-1)?.index ?? 0];
    // Entries that were pruned before they were sent.
    const pruned = first - this.#state.next;
    const rejected = await this.#parts.sender.send(batch);
    this.#moveTo(last + 1, pruned + rejected);
  }

  #moveTo(next: number, dropped: number): void {
    this.#parts.cursor.write(next);
    this.#set({ next, dropped: this.#state.dropped + dropped });
  }

  #set(change: Partial<StreamState>): void {
    this.#state = { ...this.#state, ...change };
    this.#parts.onState(this.#state);
  }
}
