/** The tree as a reader sees it, beside a running gateway or without one: roots, proofs, tiles, bundles of entries, checkpoints. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import * as v from "valibot";
import { columnsOf, rowOf, valueOf } from "./log-file.ts";
import { APPLICATION_ID, LOG_FILE, SCHEMA_VERSION } from "./schema.ts";
import { databaseTiles } from "./tile-source.ts";
import { entriesPath, TILE_WIDTH, TileTree } from "./tiles.ts";

/** How long a look waits for a lock on the file. */
const BUSY_MS_MAX = 2000;
/** Bytes of the length before each entry of a bundle. */
const LENGTH_BYTES = 2;

/** A signed note that the log keeps, with the time at which it did. */
export type KeptNote = { readonly size: number; readonly timeMs: number; readonly note: string };
/** An RFC 3161 token over the SHA-256 of the note of the own checkpoint of that size. */
export type KeptStamp = { readonly size: number; readonly timeMs: number; readonly token: Uint8Array };

const noteSchema = v.tuple([v.number(), v.number(), v.instance(Uint8Array)]);
const headSchema = v.tuple([v.number(), v.number(), v.string()]);

/** Every method sees one state of the log; between two calls it may have grown. */
export class LogTree {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /** Opens the log of a data folder, read-only. Throws with a sentence for people when there is none. */
  static open(folder: string): LogTree {
    const path = join(folder, LOG_FILE);
    if (!existsSync(path))
      throw new Error(`there is no audit log at ${path}: has the gateway run with this data folder?`);
    const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      if (valueOf(database, "PRAGMA application_id") !== APPLICATION_ID)
        throw new Error(`${path} is not an audit log of weir's`);
      const version = valueOf(database, "PRAGMA user_version");
      if (version === 1)
        throw new Error(
          `${path} has no tiles: it is of version 1, which a gateway goes on with only by weir up --accept-loss`,
        );
      if (version !== SCHEMA_VERSION)
        throw new Error(`${path} was written by another version of weir (${String(version)})`);
    } catch (error) {
      database.close();
      throw error;
    }
    return new LogTree(database);
  }

  /** How many entries the log has, those that were pruned included. */
  get size(): number {
    return this.#head()[0];
  }

  /** The lowest index that is not pruned. */
  get first(): number {
    return this.#head()[1];
  }

  /** The name in the log's checkpoints. */
  get origin(): string {
    return this.#head()[2];
  }

  /** The root at a size up to the log's. Throws RangeError beyond it. */
  root(size: number): Uint8Array {
    return this.#read((tree) => tree.root(size));
  }

  /** RFC 9162, 2.1.3. Throws RangeError for what the tree does not have. */
  inclusionProof(index: number, size: number): Uint8Array[] {
    return this.#read((tree) => tree.inclusionProof(index, size));
  }

  /** RFC 9162, 2.1.4. Throws RangeError for what the tree does not have. */
  consistencyProof(from: number, to: number): Uint8Array[] {
    return this.#read((tree) => tree.consistencyProof(from, to));
  }

  /** The first `width` (1 to 256) hashes of tile `index` of a level, as tlog-tiles serves them. Throws RangeError. */
  tile(level: number, index: number, width: number): Uint8Array {
    return this.#read((tree) => tree.tile(level, index, width).slice());
  }

  /** The first `width` entries below tile `index` of level 0, as tlog-tiles serves them. Throws RangeError, also when they were pruned. */
  entryBundle(index: number, width: number): Uint8Array {
    const path = entriesPath(index, width);
    const from = index * TILE_WIDTH;
    return this.#snapshot(() => {
      const [size, first] = this.#head();
      if (from + width > size) throw new RangeError(`the log does not have ${path} yet`);
      if (from < first) throw new RangeError(`the entries of ${path} were pruned`);
      const rows: unknown[] = this.#database
        .prepare("SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx")
        .raw(true)
        .all([from, from + width]);
      if (rows.length !== width) throw new RangeError(`the log lacks entries of ${path}`);
      const parts: Uint8Array[] = [];
      for (const row of rows) {
        const [leaf] = columnsOf(row);
        if (!(leaf instanceof Uint8Array)) throw new RangeError(`an entry of ${path} cannot be read`);
        const length = Buffer.alloc(LENGTH_BYTES);
        length.writeUInt16BE(leaf.length);
        parts.push(length, leaf);
      }
      return Buffer.concat(parts);
    });
  }

  /** The log's own checkpoints from a size on, the smallest first. */
  checkpoints(fromSize = 0): KeptNote[] {
    return this.#notes("SELECT size, time_ms, note FROM checkpoint WHERE size >= ? ORDER BY size", [fromSize]);
  }

  /** The log's newest own checkpoint; null when it has signed none. */
  latestCheckpoint(): KeptNote | null {
    return this.#notes("SELECT size, time_ms, note FROM checkpoint ORDER BY size DESC LIMIT 1", [])[0] ?? null;
  }

  /** Checkpoints with the signatures of witnesses, from a size on, the smallest first. */
  cosigned(fromSize = 0): KeptNote[] {
    return this.#notes("SELECT size, time_ms, note FROM cosigned WHERE size >= ? ORDER BY size", [fromSize]);
  }

  /** The newest checkpoint that witnesses have signed; null when there is none. */
  latestCosigned(): KeptNote | null {
    return this.#notes("SELECT size, time_ms, note FROM cosigned ORDER BY size DESC LIMIT 1", [])[0] ?? null;
  }

  /** The stamp of the own checkpoint of a size; null when it has none. */
  stamp(size: number): KeptStamp | null {
    return this.#stamps("SELECT size, time_ms, token FROM stamp WHERE size = ?", [size])[0] ?? null;
  }

  /** All stamps from a size on, the smallest first. */
  stamps(fromSize = 0): KeptStamp[] {
    return this.#stamps("SELECT size, time_ms, token FROM stamp WHERE size >= ? ORDER BY size", [fromSize]);
  }

  close(): void {
    this.#database.close();
  }

  #head(): v.InferOutput<typeof headSchema> {
    return v.parse(headSchema, rowOf(this.#database, "SELECT size, first, origin FROM head"));
  }

  #read<T>(work: (tree: TileTree) => T): T {
    return this.#snapshot(() => work(new TileTree(databaseTiles(this.#database, this.#head()[0]))));
  }

  #snapshot<T>(work: () => T): T {
    this.#database.exec("BEGIN");
    try {
      return work();
    } finally {
      this.#database.exec("COMMIT");
    }
  }

  #notes(sql: string, parameters: unknown[]): KeptNote[] {
    return this.#rows(sql, parameters).map(([size, timeMs, note]) => ({
      size,
      timeMs,
      note: Buffer.from(note).toString("utf8"),
    }));
  }

  #stamps(sql: string, parameters: unknown[]): KeptStamp[] {
    return this.#rows(sql, parameters).map(([size, timeMs, token]) => ({ size, timeMs, token }));
  }

  #rows(sql: string, parameters: unknown[]): v.InferOutput<typeof noteSchema>[] {
    const rows: unknown[] = this.#database.prepare(sql).raw(true).all(parameters);
    return rows.map((row) => v.parse(noteSchema, row));
  }
}
