/** What a witness has cosigned: one row per log, fsynced before its cosignature leaves. */
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";

/** The file inside the witness's data folder. */
const WITNESS_FILE = "witness.db";
const SCHEMA_VERSION = 1;
const BUSY_MS_MAX = 2000;
/** Of each log; the first say enough. */
const CONFLICTS_MAX = 32;

const DDL = `
CREATE TABLE cosigned (
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  time_ms INTEGER NOT NULL,
  note TEXT NOT NULL
) STRICT;
CREATE TABLE conflict (
  id INTEGER PRIMARY KEY,
  origin TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  reason TEXT NOT NULL,
  note TEXT NOT NULL,
  cosigned_note TEXT NOT NULL
) STRICT;
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** The newest checkpoint of a log that this witness has cosigned; `note` with its cosignature. */
export type Cosigned = {
  readonly size: number;
  readonly root: Uint8Array;
  readonly timeMs: number;
  readonly note: string;
};

const rowSchema = v.object({
  size: v.number(),
  // libsql gives a BLOB as the one or the other, depending on the call.
  root: v.pipe(
    v.union([v.instance(ArrayBuffer), v.instance(Uint8Array)]),
    v.transform((bytes) => new Uint8Array(bytes)),
  ),
  time_ms: v.number(),
  note: v.string(),
});

/** All calls are synchronous, and throw when the file cannot be read or written. */
export class WitnessStore {
  readonly #database: Database.Database;
  readonly #read: Database.Statement;
  readonly #first: Database.Statement;
  readonly #next: Database.Statement;
  readonly #conflict: Database.Statement;

  /** Opens the file in the folder, or makes both. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, WITNESS_FILE);
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    const database = new Database(path, { timeout: BUSY_MS_MAX });
    this.#database = database;
    try {
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      // Where fsync alone does not reach the disk (macOS); nothing elsewhere.
      database.exec("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON");
      const [version] = v.parse(v.tuple([v.number()]), database.prepare("PRAGMA user_version").raw(true).get([]));
      if (version > SCHEMA_VERSION) throw new Error(`${path} was written by a newer weir`);
      if (version === 0) database.exec(`BEGIN IMMEDIATE; ${DDL} COMMIT`);
      this.#read = database.prepare("SELECT size, root, time_ms, note FROM cosigned WHERE origin = ?");
      this.#first = database.prepare("INSERT OR IGNORE INTO cosigned VALUES (?, ?, ?, ?, ?)");
      this.#next = database.prepare(
        "UPDATE cosigned SET size = ?, root = ?, time_ms = ?, note = ? WHERE origin = ? AND size = ? AND root = ?",
      );
      this.#conflict = database.prepare(
        `INSERT INTO conflict (origin, time_ms, reason, note, cosigned_note)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM conflict WHERE origin = ?1) < ${CONFLICTS_MAX}
         AND NOT EXISTS (SELECT 1 FROM conflict WHERE origin = ?1 AND note = ?4 AND cosigned_note = ?5)`,
      );
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Null: nothing of this log was ever cosigned. */
  cosigned(origin: string): Cosigned | null {
    const row = this.#read.get([origin]);
    if (row === undefined) return null;
    const { size, root, time_ms: timeMs, note } = v.parse(rowSchema, row);
    return { size, root, timeMs, note };
  }

  /**
   * Puts `next` in the place of `old`, and returns when it is on the disk. False: `old` is no longer what is there, so
   * that of two who try at once only one succeeds, in this process or in another.
   */
  replace(origin: string, old: Cosigned | null, next: Cosigned): boolean {
    const { size, root, timeMs, note } = next;
    const result =
      old === null
        ? this.#first.run([origin, size, Buffer.from(root), timeMs, note])
        : this.#next.run([size, Buffer.from(root), timeMs, note, origin, old.size, Buffer.from(old.root)]);
    return result.changes === 1;
  }

  /** Keeps a checkpoint that the log has signed and that does not go with what was cosigned: evidence against the log. */
  keepConflict(origin: string, timeMs: number, reason: string, note: string, cosignedNote: string): void {
    this.#conflict.run([origin, timeMs, reason, note, cosignedNote]);
  }

  close(): void {
    try {
      this.#database.pragma("wal_checkpoint(TRUNCATE)");
    } finally {
      this.#database.close();
    }
  }
}
