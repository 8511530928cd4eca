/** Brings the search index up to date with the log: by a gateway's Worker all the time, or by a command when no gateway runs. */
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { LogLock } from "../lock.ts";
import { RecordedStatements } from "./recorded-statements.ts";
import { SEARCH_LOCK_FILE } from "./schema.ts";
import { LogSource } from "./source.ts";
import { SearchStore } from "./store.ts";

/** Leaves of one transaction, at most; a leaf that is larger than that is still taken. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;

export class Indexer {
  readonly #folder: string;
  readonly #lock: LogLock;
  readonly #log: LogSource;
  readonly #store: SearchStore;

  #recorded: RecordedStatements | null = null;

  private constructor(folder: string, lock: LogLock, log: LogSource, store: SearchStore) {
    this.#folder = folder;
    this.#lock = lock;
    this.#log = log;
    this.#store = store;
  }

  /**
   * Opens the index of the log in a data folder to write it; begins it anew when it is not of this log. Null: somebody
   * else writes it. Throws with a sentence for people.
   */
  static open(folder: string, options: { readonly isThorough: boolean }): Indexer | null {
    const lock = takeLock(folder);
    if (lock === null) return null;
    let log: LogSource | null = null;
    try {
      log = LogSource.open(folder);
      return new Indexer(folder, lock, log, SearchStore.open(folder, log, options.isThorough));
    } catch (error) {
      log?.close();
      lock.release();
      throw error;
    }
  }

  /** Entries that are in the index, and in the log. */
  get indexed(): number {
    return this.#store.size;
  }
  get size(): number {
    return this.#log.size;
  }

  /** Takes up one batch of what is new, in one transaction; how many entries that were. */
  step(entriesMax = Number.POSITIVE_INFINITY): number {
    const from = this.#store.size;
    const to = Math.min(this.#log.size, from + Math.min(this.#store.room, entriesMax));
    const leaves: Uint8Array[] = [];
    let bytes = 0;
    for (const page of this.#log.pages(from, to)) {
      for (const leaf of page) {
        if (bytes >= BATCH_BYTES_MAX) break;
        leaves.push(leaf);
        bytes += leaf.length;
      }
      if (bytes >= BATCH_BYTES_MAX) break;
    }
    this.#store.append(leaves);
    return leaves.length;
  }

  /**
   * Takes up the words of one segment of recorded statements, once all of the log is in; false: there is none. What is in
   * a recording is in the log before, so nothing is missed for good.
   */
  stepStatements(): boolean {
    if (this.indexed < this.size) return false;
    this.#recorded ??= RecordedStatements.open(this.#folder);
    const segment = this.#recorded?.after(this.#store.segment) ?? null;
    if (segment === null) return false;
    this.#store.addStatements(segment);
    return true;
  }

  close(): void {
    try {
      this.#recorded?.close();
      this.#store.close();
      this.#log.close();
    } finally {
      this.#lock.release();
    }
  }
}

function takeLock(folder: string): LogLock | null {
  const path = join(folder, SEARCH_LOCK_FILE);
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
  try {
    return new LogLock(path);
  } catch {
    return null;
  }
}
