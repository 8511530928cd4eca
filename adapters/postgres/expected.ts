/** The replies that are still expected, in the order in which the server will send them. */
import type { Run } from "./run.ts";

/** What one message sent to the server is answered by. */
export type EntryKind =
  | "parse"
  | "bind"
  | "close"
  | "describeStatement"
  | "describePortal"
  | "execute"
  | "sync"
  | "query"
  | "functionCall"
  /** A message made to fail in place of a refused one. */
  | "refusal"
  /** The gateway's own end of the transaction that it has put around a request. */
  | "bracket"
  /** A Sync and a Close of the gateway's own: what comes before their answers belongs to what was sent before them. */
  | "probe";

export type Entry = {
  readonly kind: EntryKind;
  /** The operation it belongs to; null for the session's own housekeeping. */
  readonly run: Run | null;
  /** With this reply `run` has ended. */
  readonly endsRun: boolean;
  /** Called when the server acknowledged it, or (false) skipped it. */
  readonly settle: ((acknowledged: boolean) => void) | null;
  /** The gateway's own message before those of `run`: the client sees its error, and nothing else of it. */
  readonly isHidden?: true;
};

/** A Sync that nobody waits for. */
const SYNC: Entry = { kind: "sync", run: null, endsRun: false, settle: null };
/** Stands in for entries that are done with, so that nothing of theirs is kept alive. */
const SETTLED = SYNC;
/** So many settled entries are kept before the list is shortened. */
const SETTLED_MAX = 1024;

export class ExpectedReplies {
  readonly #entries: Entry[] = [];
  #first = 0;

  get count(): number {
    return this.#entries.length - this.#first;
  }

  /** What the server answers now. */
  get head(): Entry | undefined {
    return this.#entries[this.#first];
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** The head is settled. */
  shift(): void {
    this.#entries[this.#first] = SETTLED;
    this.#first++;
    if (this.#first === this.#entries.length || this.#first > SETTLED_MAX) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Is anything but Syncs expected behind the head? */
  get hasMoreThanSyncsBehind(): boolean {
    return this.#entries.slice(this.#first + 1).some(({ kind }) => kind !== "sync");
  }

  /** Nothing behind the head is expected any more; answers how many were. */
  dropBehind(): number {
    const count = this.count - 1;
    this.#entries.length = this.#first + 1;
    return count;
  }

  /** So many Syncs are expected right behind the head. */
  putSyncsBehind(count: number): void {
    this.#entries.splice(this.#first + 1, 0, ...Array.from({ length: count }, () => SYNC));
  }

  /** Nothing is expected any more; answers with what was. */
  clear(): readonly Entry[] {
    const open = this.#entries.slice(this.#first);
    this.#entries.length = 0;
    this.#first = 0;
    return open;
  }
}

/** Its replies end with a ReadyForQuery, and an error in it skips nothing. */
export function isAnsweredByReady(kind: EntryKind): boolean {
  return kind === "sync" || kind === "query" || kind === "functionCall" || kind === "bracket";
}
