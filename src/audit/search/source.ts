/** The log as the index reads it: beside its writer, a page at a time, never in a transaction that lasts. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import { APPLICATION_ID, LOG_FILE } from "../schema.ts";
import type { LogView } from "./index-file.ts";

const BUSY_MS_MAX = 2000;
/** Read at a time: leaves have at most 64 KiB, and about one. */
const PAGE_ENTRIES = 512;
/** Memory for pages, in KiB: what is read is read once. */
const CACHE_KIB = 4096;

export class LogSource implements LogView {
  readonly #database: Database.Database;
  readonly #size: Database.Statement;
  readonly #hash: Database.Statement;
  readonly #leaf: Database.Statement;
  readonly #leaves: Database.Statement;
  /** Null in a log whose tables have no such columns yet. */
  readonly #head: Database.Statement | null;

  private constructor(database: Database.Database) {
    this.#database = database;
    const prepare = (sql: string): Database.Statement => database.prepare(sql).raw(true);
    this.#size = prepare("SELECT coalesce(max(idx) + 1, 0), coalesce(min(idx), 0) FROM entry");
    this.#hash = prepare("SELECT hash FROM entry WHERE idx = ?");
    this.#leaf = prepare("SELECT leaf FROM entry WHERE idx = ?");
    this.#leaves = prepare("SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx");
    const columns = prepare("SELECT count(*) FROM pragma_table_info('head') WHERE name IN ('origin', 'first')");
    this.#head = first(columns.get([])) === 2 ? prepare("SELECT origin, first, size FROM head") : null;
  }

  /** Opens the log of a data folder, read-only. Throws with a sentence for people when there is none. */
  static open(folder: string): LogSource {
    const path = join(folder, LOG_FILE);
    if (!existsSync(path)) {
      throw new Error(`there is no audit log at ${path}: has the gateway run with this data folder?`);
    }
    const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}; PRAGMA cache_size = -${CACHE_KIB};`);
      if (first(database.prepare("PRAGMA application_id").raw(true).get([])) !== APPLICATION_ID) {
        throw new Error(`${path} is not an audit log of weir's`);
      }
      return new LogSource(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get origin(): string {
    const origin = this.#head === null ? "" : first(this.#head.get([]));
    return typeof origin === "string" ? origin : "";
  }

  get first(): number {
    const row: unknown = this.#head === null ? [0, ...list(this.#size.get([])).slice(1)] : this.#head.get([]);
    return whole(list(row)[1]);
  }

  get size(): number {
    return this.#head === null ? whole(first(this.#size.get([]))) : whole(list(this.#head.get([]))[2]);
  }

  hashOf(index: number): Uint8Array {
    return bytes(first(this.#hash.get([index])), index);
  }

  leafOf(index: number): Uint8Array {
    return bytes(first(this.#leaf.get([index])), index);
  }

  /** The leaves from an index on and before another, in pages. */
  *pages(from: number, to: number): Generator<readonly Uint8Array[]> {
    for (let next = from; next < to; next += PAGE_ENTRIES) {
      const end = Math.min(next + PAGE_ENTRIES, to);
      const rows: readonly unknown[] = this.#leaves.all([next, end]);
      if (rows.length !== end - next) throw new Error(`entries are missing between ${next} and ${end}`);
      yield rows.map((row, at) => bytes(first(row), next + at));
    }
  }

  close(): void {
    this.#database.close();
  }
}

function list(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}

function first(row: unknown): unknown {
  return list(row)[0];
}

function whole(value: unknown): number {
  if (typeof value !== "number") throw new Error("the log's head cannot be read");
  return value;
}

function bytes(value: unknown, index: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error(`entry ${index} of the log cannot be read`);
  return value;
}
