/** The search index as readers open it: read-only, beside whoever writes it, and only if it belongs to the log. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import { SEARCH_APPLICATION_ID, SEARCH_FILE, SEARCH_VERSION } from "./schema.ts";
import { isOf, type LogView } from "./index-file.ts";

const BUSY_MS_MAX = 2000;
/** Memory for pages, in KiB. */
const CACHE_KIB = 32_768;

export class SearchFile {
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  /** Entries from `first` on and below `size` are in the index. */
  readonly first: number;
  readonly size: number;

  private constructor(database: Database.Database, first: number, size: number) {
    this.#database = database;
    this.first = first;
    this.size = size;
  }

  /** Opens the index of a log; null when there is none that can be read and is of this log. */
  static open(folder: string, log: LogView): SearchFile | null {
    const path = join(folder, SEARCH_FILE);
    if (!existsSync(path)) return null;
    let database: Database.Database | null = null;
    try {
      const opened = new Database(`${pathToFileURL(path).href}?mode=ro`);
      database = opened;
      opened.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}; PRAGMA cache_size = -${CACHE_KIB};`);
      const get = (sql: string): readonly unknown[] => columnsOf(opened.prepare(sql).raw(true).get([]));
      const isKnown =
        get("PRAGMA application_id")[0] === SEARCH_APPLICATION_ID && get("PRAGMA user_version")[0] === SEARCH_VERSION;
      const meta = isKnown ? get("SELECT origin, first, first_hash, size, last_hash FROM meta WHERE id = 1") : [];
      if (isKnown && isOf(meta, log)) return new SearchFile(opened, log.first, numberIn(meta, 3));
    } catch {
      // Damaged, or being made again just now.
    }
    database?.close();
    return null;
  }

  /** Runs queries that see one state of the index. */
  snapshot<T>(work: () => T): T {
    this.#database.exec("BEGIN");
    try {
      return work();
    } finally {
      this.#database.exec("COMMIT");
    }
  }

  /** One row as a list of its columns; empty when there is none. */
  get(sql: string, values: readonly (string | number)[] = []): readonly unknown[] {
    return columnsOf(this.#statement(sql).get([...values]));
  }

  all(sql: string, values: readonly (string | number)[] = []): readonly (readonly unknown[])[] {
    const rows: readonly unknown[] = this.#statement(sql).all([...values]);
    return rows.map(columnsOf);
  }

  close(): void {
    this.#database.close();
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql).raw(true)));
    return statement;
  }
}

function columnsOf(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}

/** A column that must be a number, a BLOB or a text; null stays null. Throws when the index is damaged. */
export function numberIn(row: readonly unknown[], column: number): number {
  const value = row[column];
  if (typeof value !== "number") throw new Error("the search index is damaged");
  return value;
}

export function blobIn(row: readonly unknown[], column: number): Buffer {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new Error("the search index is damaged");
  return Buffer.from(value.buffer, value.byteOffset, value.length);
}

export function textIn(row: readonly unknown[], column: number): string | null {
  const value = row[column];
  if (value !== null && typeof value !== "string") throw new Error("the search index is damaged");
  return value;
}
