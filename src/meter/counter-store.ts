/** Where counters are kept: a libSQL file in the data folder, so that a restart hands out nothing twice. */
import { closeSync, existsSync, openSync } from "node:fs";
import Database from "libsql";
import * as v from "valibot";
import type { StoredCount } from "./counter.ts";

const SCHEMA_VERSION = 1;
/** Nobody else uses the file; whoever holds a lock on it must not hold up the gateway. */
const BUSY_TIME_MS_MAX = 50;

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS counter (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('period', 'sliding')),
    ends_ms INTEGER NOT NULL,
    written_ms INTEGER NOT NULL,
    used INTEGER NOT NULL,
    ahead INTEGER NOT NULL,
    slots TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`;

const slotsSchema = v.array(v.tuple([v.number(), v.number()]));
const rowSchema = v.object({
  key: v.string(),
  kind: v.picklist(["period", "sliding"]),
  ends_ms: v.number(),
  written_ms: v.number(),
  used: v.number(),
  ahead: v.number(),
  slots: v.pipe(v.string(), v.parseJson(), slotsSchema),
});
const versionSchema = v.object({ user_version: v.number() });

/** All calls are synchronous, and throw when the file cannot be read or written. */
export class CounterStore {
  readonly #database: Database.Database;
  readonly #write: Database.Statement;
  readonly #remove: Database.Statement;

  /** Opens the file, or makes it. */
  constructor(path: string) {
    // Made here first, so that it and the files SQLite puts beside it are the owner's only.
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    this.#database = new Database(path, { timeout: BUSY_TIME_MS_MAX });
    try {
      this.#database.pragma("journal_mode = WAL");
      // A write survives the process at once; the disk is not waited for, since operations wait for the write.
      this.#database.pragma("synchronous = NORMAL");
      const version = v.parse(versionSchema, this.#database.prepare("PRAGMA user_version").get()).user_version;
      if (version > SCHEMA_VERSION) throw new Error("it was written by a newer weir");
      if (version < SCHEMA_VERSION) {
        this.#database.exec(CREATE_TABLE);
        this.#database.pragma(`user_version = ${SCHEMA_VERSION}`);
      }
      this.#write = this.#database.prepare("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?, ?, ?)");
      this.#remove = this.#database.prepare("DELETE FROM counter WHERE key = ?");
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  read(): StoredCount[] {
    return this.#database
      .prepare("SELECT * FROM counter")
      .all()
      .map((each) => {
        const { key, kind, ends_ms: endsAtMs, written_ms: writtenAtMs, used, ahead, slots } = v.parse(rowSchema, each);
        return { key, kind, endsAtMs, writtenAtMs, used, ahead, slots };
      });
  }

  write(count: StoredCount): void {
    const { key, kind, endsAtMs, writtenAtMs, used, ahead, slots } = count;
    this.#write.run(key, kind, endsAtMs, writtenAtMs, used, ahead, JSON.stringify(slots));
  }

  /** All of it or nothing. */
  change(written: Iterable<StoredCount>, removed: Iterable<string>): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const count of written) this.write(count);
      for (const key of removed) this.#remove.run(key);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    try {
      // Into the file and onto the disk: the runtime may keep the connection, and with it the log beside the file.
      this.#database.pragma("wal_checkpoint(TRUNCATE)");
    } finally {
      this.#database.close();
    }
  }
}
