/** The index' file as its one writer opens it: the one that is there, if it is of this log, or one begun anew. */
import { accessSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import {
  SEARCH_APPLICATION_ID,
  SEARCH_DDL,
  SEARCH_FILE,
  SEARCH_VERSION,
  STRETCH_ENTRIES,
  TAIL_ITEM_BYTES,
} from "./schema.ts";

/** What the index must know of the log to belong to it. */
export type LogView = {
  readonly origin: string;
  /** The lowest index that is not pruned, and the number of entries: both grow. */
  readonly first: number;
  readonly size: number;
  /** The leaf hash and the leaf of an entry between the two. */
  hashOf(index: number): Uint8Array;
  leafOf(index: number): Uint8Array;
};

/** Memory for pages, in KiB. */
const CACHE_KIB = 16_384;
const BUSY_MS_MAX = 5000;
/** Pages of the write-ahead log (16 MiB) before they are moved into the file. */
const CHECKPOINT_PAGES = 4000;
const NO_HASH = Buffer.alloc(0);

/**
 * Opens the index of a log. One that is missing, damaged, older, or of another log is begun anew. `isThorough` has
 * SQLite check the file's structure first. The caller holds the lock. Throws when nothing can be written.
 */
export function openIndex(folder: string, log: LogView, isThorough: boolean): Database.Database {
  const path = join(folder, SEARCH_FILE);
  const database = openGood(path, log, isThorough) ?? begin(path, log);
  try {
    database.exec("PRAGMA wal_autocheckpoint = " + CHECKPOINT_PAGES);
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The index that is there, if it is one of this log; else null. */
function openGood(path: string, log: LogView, isThorough: boolean): Database.Database | null {
  let database: Database.Database | null = null;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    database = new Database(path);
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
    if (belongs(database, log, isThorough)) return database;
  } catch {
    // Missing, or damaged in a way that shows at once: begun anew below.
  }
  database?.close();
  return null;
}

function belongs(database: Database.Database, log: LogView, isThorough: boolean): boolean {
  const value = (sql: string): unknown => {
    const row: unknown = database.prepare(sql).raw(true).get([]);
    return Array.isArray(row) ? row[0] : undefined;
  };
  if (value("PRAGMA application_id") !== SEARCH_APPLICATION_ID) return false;
  if (value("PRAGMA user_version") !== SEARCH_VERSION) return false;
  if (value("PRAGMA journal_mode = WAL") !== "wal") return false;
  if (isThorough && value("PRAGMA quick_check(1)") !== "ok") return false;
  const meta: unknown = database
    .prepare("SELECT origin, first, first_hash, size, last_hash FROM meta WHERE id = 1")
    .raw(true)
    .get([]);
  return Array.isArray(meta) && isOf(meta, log);
}

/** Does what the index knows of its log agree with this one? */
export function isOf(meta: readonly unknown[], log: LogView): boolean {
  const [origin, first, firstHash, size, lastHash] = meta;
  if (origin !== log.origin || typeof size !== "number" || typeof first !== "number") return false;
  if (size > log.size || first > log.first) return false;
  if (size === first) return true;
  // What is pruned can no longer be compared; the end must be there.
  if (size - 1 < log.first) return false;
  const isSame = (hash: unknown, index: number): boolean =>
    hash instanceof Uint8Array && Buffer.compare(hash, log.hashOf(index)) === 0;
  return isSame(lastHash, size - 1) && (first < log.first || isSame(firstHash, first));
}

function begin(path: string, log: LogView): Database.Database {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
  closeSync(openSync(path, "a", 0o600));
  const database = new Database(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}; PRAGMA journal_mode = WAL;`);
    database.exec(`BEGIN IMMEDIATE; ${SEARCH_DDL}`);
    database
      .prepare("INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?, 0)")
      .run([log.origin, log.first, NO_HASH, log.first, NO_HASH]);
    // Entries are found by their place in a stretch: those that are pruned already leave theirs empty.
    const pruned = log.first % STRETCH_ENTRIES;
    if (pruned > 0) {
      const items = Buffer.alloc(pruned * TAIL_ITEM_BYTES);
      database.prepare("INSERT INTO tail VALUES (?, ?)").run([log.first - pruned, items]);
    }
    database.exec("COMMIT");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
