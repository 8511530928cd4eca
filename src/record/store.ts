/** The file of recordings as its one writer sees it. */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import { OwnFile } from "./own-file.ts";
import { RECORDING_KINDS, RECORDING_STREAMS } from "../core/recording.ts";
import type { EndedRecording, LoggedRow, NewRecording, Owed, SealFacts, StoredSegment } from "./messages.ts";
import { APPLICATION_ID, DDL, RECORDINGS_FILE, SCHEMA_VERSION } from "./schema.ts";

const BUSY_MS_MAX = 2000;
/** A checkpoint of the write-ahead log that readers hold up goes on with the next one. */
const CHECKPOINT_PAGES = 4000;

export type StoreOptions = { readonly openBecause: string; readonly sizeBytesMax: number | null };

const recordingRow = v.strictTuple([
  v.string(),
  v.string(),
  v.picklist(RECORDING_KINDS),
  v.string(),
  v.string(),
  v.string(),
  v.number(),
  v.nullable(v.string()),
  v.number(),
  v.nullable(v.instance(Uint8Array)),
]);
const segmentRow = v.strictTuple([
  v.string(),
  v.picklist(RECORDING_STREAMS),
  v.number(),
  v.instance(Uint8Array),
  v.number(),
]);
const endedRow = v.strictTuple([v.string(), v.string(), v.number(), v.string()]);

const ENDED = `SELECT id, session, (SELECT count(*) FROM segment WHERE recording = id), reason FROM recording`;

/**
 * Made here so that nobody else can read it; SQLite gives its own side files the same mode. One that is there is not
 * opened: to close it would give up the locks that this process has on it by an earlier writer's connection (fcntl(2)),
 * and whoever reads the file elsewhere would take its write-ahead log for one that nobody uses.
 */
function makeFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
}

export class RecordingStore {
  readonly #database: Database.Database;
  readonly #file: OwnFile;
  readonly #insertSegment: Database.Statement;
  readonly #markSegment: Database.Statement;
  readonly #markRecording: Database.Statement;

  /** Opens or creates the file, and ends recordings that an earlier writer left open. The caller is the only writer. */
  constructor(folder: string, options: StoreOptions) {
    const path = join(folder, RECORDINGS_FILE);
    makeFile(path);
    const database = new Database(path);
    this.#database = database;
    this.#file = new OwnFile(path);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      this.#prepareFile(options);
      this.#endOpen(options.openBecause);
      this.#insertSegment = database.prepare(
        "INSERT INTO segment (recording, stream, number, started_ms, sha256, bytes, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
      );
      this.#markSegment = database.prepare(
        "UPDATE segment SET logged = 1 WHERE recording = ? AND stream = ? AND number = ?",
      );
      this.#markRecording = database.prepare("UPDATE recording SET logged = ? WHERE id = ? AND logged < ?");
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #prepareFile({ sizeBytesMax }: StoreOptions): void {
    const database = this.#database;
    const mode = this.#value("PRAGMA journal_mode = WAL");
    if (mode !== "wal") throw new Error(`the file system cannot do write-ahead logging (journal mode ${String(mode)})`);
    database.exec("PRAGMA synchronous = FULL");
    // Where fsync alone does not reach the disk (macOS); nothing elsewhere.
    database.exec("PRAGMA fullfsync = ON");
    database.exec("PRAGMA checkpoint_fullfsync = ON");
    database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    // A key that was shredded leaves no bytes behind in a free page.
    database.exec("PRAGMA secure_delete = ON");
    if (sizeBytesMax !== null) {
      const pageBytes = Number(this.#value("PRAGMA page_size"));
      database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(sizeBytesMax / pageBytes))}`);
    }
    const application = this.#value("PRAGMA application_id");
    const version = this.#value("PRAGMA user_version");
    if (application === 0 && version === 0 && this.#value("SELECT count(*) FROM sqlite_schema") === 0) {
      database.exec(`BEGIN IMMEDIATE; ${DDL} COMMIT`);
    } else if (application !== APPLICATION_ID) {
      throw new Error("the file is not one of weir's recordings");
    } else if (version !== SCHEMA_VERSION) {
      throw new Error(`its tables have version ${String(version)}; this weir reads version ${SCHEMA_VERSION}`);
    }
  }

  /** A recording that is open now has lost its writer; it ended with what was stored last. */
  #endOpen(reason: string): void {
    this.#database
      .prepare(
        `UPDATE recording SET reason = ?, ended_ms = max(started_ms,
           coalesce((SELECT max(started_ms) FROM segment WHERE recording = id), 0)) WHERE ended_ms IS NULL`,
      )
      .run([reason]);
  }

  /** Rows whose events are not known to be in the log, each recording's in the order in which they belong there. */
  owed(): Owed[] {
    const owed: Owed[] = [];
    const recordings = this.#database
      .prepare(
        `SELECT id, session, kind, issuer, subject, target, started_ms, recipient, logged,
           (SELECT data FROM wrapped_key WHERE recording = id) FROM recording
         WHERE logged < 2 ORDER BY started_ms, id`,
      )
      .raw(true);
    const segments = this.#database
      .prepare(
        `SELECT recording, stream, number, sha256, bytes FROM segment WHERE logged = 0 AND recording = ?
         ORDER BY started_ms, stream, number`,
      )
      .raw(true);
    for (const row of recordings.all([])) {
      const [id, session, kind, issuer, subject, target, startedMs, recipient, logged, key] = v.parse(
        recordingRow,
        row,
      );
      const recording = { id, session, kind, issuer, subject, target, startedMs };
      const seal = recipient === null ? null : { keySha256: key === null ? null : sha256Hex(key) };
      if (logged === 0) owed.push({ what: "started", recording, seal });
      for (const each of segments.all([id])) {
        const [, stream, number, sha256, bytes] = v.parse(segmentRow, each);
        owed.push({
          what: "segment",
          segment: { recording: id, stream, number, sha256: Buffer.from(sha256).toString("hex"), bytes },
        });
      }
      owed.push({ what: "ended", ended: this.#ended(id) });
    }
    return owed;
  }

  /* ---- inside a transaction ---- */

  begin(): void {
    this.#database.exec("BEGIN IMMEDIATE");
  }

  /** Returns when everything since begin() is fsynced, in the file that the next start will open. */
  commit(): void {
    this.#database.exec("COMMIT");
    this.#file.expect();
  }

  /** `key` null: nothing of it is sealed. */
  insertRecording(recording: NewRecording, key: { recipient: string; wrapped: Uint8Array } | null): SealFacts | null {
    const { id, session, kind, issuer, subject, target, startedMs } = recording;
    this.#database
      .prepare(
        `INSERT INTO recording (id, session, kind, issuer, subject, target, started_ms, recipient)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run([
        id,
        storable(session),
        kind,
        storable(issuer),
        storable(subject),
        storable(target),
        startedMs,
        key?.recipient ?? null,
      ]);
    if (key === null) return null;
    this.#database.prepare("INSERT INTO wrapped_key VALUES (?, ?)").run([id, Buffer.from(key.wrapped)]);
    return { keySha256: sha256Hex(key.wrapped) };
  }

  /** `data` is what is stored. */
  insertSegment(
    place: { recording: string; stream: "clear" | "sealed"; number: number; startedMs: number },
    data: Uint8Array,
  ): StoredSegment {
    const { recording, stream, number, startedMs } = place;
    const sha256 = createHash("sha256").update(data).digest();
    const bytes = data.length;
    this.#insertSegment.run([
      recording,
      stream,
      number,
      startedMs,
      sha256,
      bytes,
      Buffer.from(data.buffer, data.byteOffset, bytes),
    ]);
    return { recording, stream, number, sha256: sha256.toString("hex"), bytes };
  }

  endRecording(id: string, endedMs: number, reason: string): EndedRecording {
    this.#database
      .prepare("UPDATE recording SET ended_ms = max(started_ms, ?), reason = ? WHERE id = ? AND ended_ms IS NULL")
      .run([endedMs, reason, id]);
    return this.#ended(id);
  }

  markLogged(row: LoggedRow): void {
    if (row.what === "segment") this.#markSegment.run([row.recording, row.stream, row.number]);
    else {
      const logged = row.what === "started" ? 1 : 2;
      this.#markRecording.run([logged, row.recording, logged]);
    }
  }

  /* ---- deleting ---- */

  /** Deletes a recording's wrapped key; after checkpoint() no copy of its bytes stays. False: there was none. */
  shred(id: string): boolean {
    const { changes } = this.#database.prepare("DELETE FROM wrapped_key WHERE recording = ?").run([id]);
    return changes > 0;
  }

  /** Deletes recordings that ended before an instant, with all that belongs to them; answers how many. */
  prune(beforeMs: number): number {
    const old = "(SELECT id FROM recording WHERE ended_ms < ?)";
    for (const table of ["segment", "wrapped_key"]) {
      this.#database.prepare(`DELETE FROM ${table} WHERE recording IN ${old}`).run([beforeMs]);
    }
    const { changes } = this.#database.prepare("DELETE FROM recording WHERE ended_ms < ?").run([beforeMs]);
    return changes;
  }

  /** Moves what the write-ahead log holds into the file and empties it, as far as no reader is in the way. */
  checkpoint(): void {
    this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all([]);
  }

  /** Gives up what was begun, if anything was: others can write to the file then. */
  rollBack(): void {
    if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    try {
      this.rollBack();
    } finally {
      this.#database.close();
    }
  }

  #ended(id: string): EndedRecording {
    const [row] = this.#database.prepare(`${ENDED} WHERE id = ?`).raw(true).all([id]);
    const [recording, session, segments, reason] = v.parse(endedRow, row);
    return { recording, session, segments, reason };
  }

  #value(sql: string): unknown {
    const [row] = this.#database.prepare(sql).raw(true).all([]);
    return Array.isArray(row) ? row[0] : undefined;
  }
}

function sha256Hex(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Text as SQLite can hold it: a NUL would end it, and a lone surrogate is no Unicode. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u{FFFD}");
}
