/** The files of the data folder as the shipper reads them: the log with its tree, and the recordings. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import * as v from "valibot";
import { LOG_FILE } from "../schema.ts";
import { SHA256_BYTES } from "../sha256.ts";
import { LogTree } from "../tree.ts";
import { TILE_WIDTH } from "../tiles.ts";
import type { NoteKind, Source, SourceEntry, SourceNote, SourceRecording, SourceSegment } from "./destination.ts";

/** The recordings' file inside the data folder. */
const RECORDINGS_FILE = "recordings.db";
/** How long a look waits for a lock on a file. */
const BUSY_MS_MAX = 2000;

const bytes = v.instance(Uint8Array);
const entrySchema = v.tuple([v.number(), bytes, bytes]);
const noteSchema = v.tuple([v.number(), v.number(), bytes]);
const segmentSchema = v.tuple([v.number(), bytes, bytes]);
const recordingSchema = v.tuple([
  v.string(),
  v.string(),
  v.string(),
  v.string(),
  v.string(),
  v.number(),
  v.nullable(v.number()),
]);
const keySchema = v.tuple([bytes]);

export class FolderSource implements Source {
  readonly #folder: string;
  readonly #tree: LogTree;
  readonly #log: Database.Database;
  #recordings: Database.Database | null = null;

  /** Opens the log of a data folder, read-only. Throws with a sentence for people when there is none. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#tree = LogTree.open(folder);
    this.#log = openRead(join(folder, LOG_FILE));
  }

  get origin(): string {
    return this.#tree.origin;
  }

  get size(): number {
    return this.#tree.size;
  }

  get first(): number {
    return this.#tree.first;
  }

  entries(from: number, countMax: number, bytesMax: number): readonly SourceEntry[] {
    const found: SourceEntry[] = [];
    let size = 0;
    const statement = this.#log
      .prepare("SELECT idx, leaf, hash FROM entry WHERE idx >= ? ORDER BY idx LIMIT ?")
      .raw(true);
    for (const row of statement.iterate([from, countMax])) {
      const [index, leaf, hash] = v.parse(entrySchema, row);
      size += leaf.length;
      if (found.length > 0 && size > bytesMax) break;
      found.push({ index, leaf, hash });
    }
    return found;
  }

  hash(index: number): Uint8Array | null {
    if (index < 0 || index >= this.size) return null;
    const at = index % TILE_WIDTH;
    const tile = this.#tree.tile(0, Math.floor(index / TILE_WIDTH), at + 1);
    return tile.subarray(at * SHA256_BYTES, (at + 1) * SHA256_BYTES);
  }

  root(size: number): Uint8Array {
    return this.#tree.root(size);
  }

  tile(level: number, index: number, width: number): Uint8Array {
    return this.#tree.tile(level, index, width);
  }

  entryBundle(index: number, width: number): Uint8Array | null {
    return index * TILE_WIDTH < this.first ? null : this.#tree.entryBundle(index, width);
  }

  notes(kind: NoteKind, fromSize: number, toSize: number, countMax: number): readonly SourceNote[] {
    const column = kind === "stamp" ? "token" : "note";
    const rows: unknown[] = this.#log
      .prepare(`SELECT size, time_ms, ${column} FROM ${kind} WHERE size >= ? AND size <= ? ORDER BY size LIMIT ?`)
      .raw(true)
      .all([fromSize, toSize, countMax]);
    return rows.map((row) => {
      const [size, timeMs, note] = v.parse(noteSchema, row);
      return { size, timeMs, note };
    });
  }

  lastNote(kind: NoteKind, sizeMax: number): SourceNote | null {
    const column = kind === "stamp" ? "token" : "note";
    const row: unknown = this.#log
      .prepare(`SELECT size, time_ms, ${column} FROM ${kind} WHERE size <= ? ORDER BY size DESC LIMIT 1`)
      .raw(true)
      .get([sizeMax]);
    if (row === undefined) return null;
    const [size, timeMs, note] = v.parse(noteSchema, row);
    return { size, timeMs, note };
  }

  recording(id: string): SourceRecording | null {
    const sql = "SELECT session, kind, issuer, subject, target, started_ms, ended_ms FROM recording WHERE id = ?";
    const row = this.#recorded(sql, [id]);
    if (row === undefined) return null;
    const [session, kind, issuer, subject, target, startedMs, endedMs] = v.parse(recordingSchema, row);
    return { id, session, kind, issuer, subject, target, startedMs, endedMs };
  }

  segment(recording: string, stream: string, number: number): SourceSegment | null {
    const sql = "SELECT started_ms, sha256, data FROM segment WHERE recording = ? AND stream = ? AND number = ?";
    const row = this.#recorded(sql, [recording, stream, number]);
    if (row === undefined) return null;
    const [startedMs, sha256, data] = v.parse(segmentSchema, row);
    return { startedMs, sha256, data };
  }

  wrappedKey(recording: string): Uint8Array | null {
    const row = this.#recorded("SELECT data FROM wrapped_key WHERE recording = ?", [recording]);
    return row === undefined ? null : v.parse(keySchema, row)[0];
  }

  close(): void {
    this.#tree.close();
    this.#log.close();
    this.#recordings?.close();
  }

  #recorded(sql: string, parameters: unknown[]): unknown {
    const path = join(this.#folder, RECORDINGS_FILE);
    // Made when the first session is recorded.
    if (this.#recordings === null && !existsSync(path)) return undefined;
    this.#recordings ??= openRead(path);
    return this.#recordings.prepare(sql).raw(true).get(parameters);
  }
}

function openRead(path: string): Database.Database {
  const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
  database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
  return database;
}
