/** The log's file as its one writer sees it: opened and checked, appended to, its checkpoints kept, its oldest entries pruned. */
import type Database from "libsql";
import { OwnFile } from "./own-file.ts";
import { LEAF_BYTES_MAX } from "./leaf.ts";
import { checkLog, encodeIndices, type Found } from "./log-check.ts";
import { INSERT_TILE, type LogFileOptions, openLogFile, rowOf, valueOf } from "./log-file.ts";
import { type CompactRange, leafHash } from "./merkle.ts";
import { SHA256_BYTES } from "./sha256.ts";
import { TILE_WIDTH, type TileBuilder } from "./tiles.ts";

/** How many rows one statement inserts, and how many bytes of leaves it takes. */
const ROWS_AT_ONCE = 1024;
const LEAVES_AT_ONCE_BYTES = 1024 * 1024;
/** More than any leaf is long: where a leaf starts and how long it is are one number. */
const PLACE = LEAF_BYTES_MAX + 1;
/**
 * `?1` is the index of the first row; `?2` holds the leaves and `?3` their hashes, one behind the other; `?4` lists the
 * leaves' places. To bind the values of each row by themselves costs more than to store them.
 */
const INSERT = `INSERT INTO entry SELECT ?1 + key, substr(?2, value / ${PLACE} + 1, value % ${PLACE}),
substr(?3, key * ${SHA256_BYTES} + 1, ${SHA256_BYTES}) FROM json_each(?4)`;
/** Entries deleted in one transaction: some 5 ms, which the next group of records waits at most. */
const DELETED_AT_ONCE = 512;

/** Where the run is; kept with every group. `openFrom`: not above the index of any intent without outcome. */
export type StoreState = { readonly boot: string; readonly sequence: number; readonly openFrom: number };

/** A checkpoint that is to be kept with a group. */
export type CheckpointOrder = {
  readonly timeMs: number;
  /** The indices of all intents that have no outcome now. */
  readonly open: readonly number[];
  sign(size: number, root: Uint8Array): string;
};

export type LogStoreOptions = LogFileOptions & {
  /** The origin of a new log; one that is there keeps its own. */
  readonly origin: string;
  /** A log that is whole but not what it once signed is opened all the same. */
  readonly isLossAccepted: boolean;
};

export class LogStore {
  readonly #database: Database.Database;
  readonly #file: OwnFile;
  readonly #tree: CompactRange;
  readonly #tiles: TileBuilder;
  readonly found: Found;
  #origin: string;
  #first: number;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #checkpoint: Database.Statement;
  readonly #insert: Database.Statement;
  readonly #insertTile: Database.Statement;
  readonly #head: Database.Statement;
  readonly #leaves = Buffer.alloc(LEAVES_AT_ONCE_BYTES);
  readonly #hashes = Buffer.alloc(ROWS_AT_ONCE * SHA256_BYTES);
  readonly #hash = new Uint8Array(SHA256_BYTES);

  /** Opens or creates the log and checks it (see log-check.ts). Throws LogDamaged when it is not whole. */
  constructor(path: string, options: LogStoreOptions) {
    const database = openLogFile(path, options);
    this.#database = database;
    this.#file = new OwnFile(path);
    try {
      // One snapshot for all of it: an abandoned writer may still be about to commit its last group.
      database.exec("BEGIN");
      const { tree, tiles, origin, found } = checkLog(database, options.origin, options.isLossAccepted);
      database.exec("COMMIT");
      [this.#tree, this.#tiles, this.#origin, this.found, this.#first] = [tree, tiles, origin, found, found.first];
      this.#begin = database.prepare("BEGIN IMMEDIATE");
      this.#commit = database.prepare("COMMIT");
      this.#checkpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      this.#insert = database.prepare(INSERT);
      this.#insertTile = database.prepare(INSERT_TILE);
      this.#head = database.prepare(
        "UPDATE head SET size = ?, stack = ?, boot = ?, sequence = ?, open_from = ? WHERE id = 1",
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The name in the log's checkpoints. */
  get origin(): string {
    return this.#origin;
  }

  /** The index that the next leaf gets. */
  get size(): number {
    return this.#tree.size;
  }

  /** The lowest index that is not pruned. */
  get first(): number {
    return this.#first;
  }

  /* ---- appending ---- */

  /**
   * Appends leaves in one transaction, with the tiles that they fill, and returns when it is fsynced. Each leaf comes
   * with one free byte before it. With `order` the transaction keeps a checkpoint of what it makes, and its note is
   * returned. Throws when it cannot; the store is then of no more use.
   */
  append(leaves: readonly Uint8Array<ArrayBuffer>[], state: StoreState, order: CheckpointOrder | null = null): string {
    this.#begin.run([]);
    this.#append(leaves, state);
    const note = order === null ? "" : this.#keepCheckpoint(order);
    this.#commitWhole();
    return note;
  }

  #append(leaves: readonly Uint8Array<ArrayBuffer>[], state: StoreState): void {
    let places: number[] = [];
    let bytes = 0;
    for (const leaf of leaves) {
      if (places.length === ROWS_AT_ONCE || bytes + leaf.length > LEAVES_AT_ONCE_BYTES) {
        this.#insertRows(places, bytes);
        places = [];
        bytes = 0;
      }
      leafHash(leaf, this.#hash);
      this.#tiles.append(this.#hash);
      this.#hashes.set(this.#hash, places.length * SHA256_BYTES);
      this.#leaves.set(leaf.subarray(1), bytes);
      places.push(bytes * PLACE + leaf.length - 1);
      bytes += leaf.length - 1;
    }
    if (places.length > 0) this.#insertRows(places, bytes);
    for (const { level, index, root, hashes } of this.#tiles.takeFull()) {
      this.#insertTile.run([level, index, root, hashes]);
    }
    this.#head.run([this.#tree.size, this.#tree.encode(), state.boot, state.sequence, state.openFrom]);
  }

  /** Inserts what stands at these places; its hashes are in the tree already. */
  #insertRows(places: readonly number[], bytes: number): void {
    const first = this.#tree.size - places.length;
    const hashes = this.#hashes.subarray(0, places.length * SHA256_BYTES);
    this.#insert.run([first, this.#leaves.subarray(0, bytes), hashes, JSON.stringify(places)]);
  }

  /* ---- checkpoints ---- */

  #keepCheckpoint(order: CheckpointOrder): string {
    const { size } = this.#tree;
    const { timeMs, open } = order;
    const note = order.sign(size, this.#tree.root());
    // A second one of the same size says the same; with another signature on it, it takes the first one's place.
    this.#run("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", [size, timeMs, Buffer.from(note)]);
    this.#run("UPDATE head SET origin = ?, open_at = ?, open = ?", [this.#origin, size, encodeIndices(open)]);
    return note;
  }

  /**
   * The log goes on under another name: in one transaction appends the entry that says why, drops what was signed of
   * more than there is, and keeps the first checkpoint of the new name. Returns its note.
   */
  beginOrigin(origin: string, leaf: Uint8Array<ArrayBuffer>, state: StoreState, order: CheckpointOrder): string {
    this.#begin.run([]);
    for (const table of ["checkpoint", "cosigned", "stamp"]) {
      this.#run(`DELETE FROM ${table} WHERE size > ?`, [this.size]);
    }
    this.#append([leaf], state);
    this.#origin = origin;
    const note = this.#keepCheckpoint(order);
    this.#commitWhole();
    return note;
  }

  /** Keeps a checkpoint with the signatures of witnesses; a later one of the same size takes its place. */
  keepCosigned(size: number, timeMs: number, note: string): void {
    this.#run("INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?)", [size, timeMs, Buffer.from(note)]);
  }

  keepStamp(size: number, timeMs: number, token: Uint8Array): void {
    this.#run("INSERT OR REPLACE INTO stamp VALUES (?, ?, ?)", [size, timeMs, token]);
  }

  /** The largest size that witnesses have signed; 0 when they have signed none. */
  cosignedSize(): number {
    return Number(valueOf(this.#database, "SELECT coalesce(max(size), 0) FROM cosigned"));
  }

  /* ---- pruning ---- */

  /** The index of the first entry at or after an instant; the log's size when there is none. Times of entries grow with their index. */
  firstSince(timeMs: number): number {
    let [from, to] = [this.#first, this.size];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const [at] = rowOf(
        this.#database,
        "SELECT json_extract(CAST(leaf AS TEXT), '$.timeMs') FROM entry WHERE idx = ?",
        [middle],
      );
      if (typeof at === "number" && at < timeMs) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** How far a pruning up to an index may go: whole tiles, and nothing that is open or that `heldFrom` holds. */
  prunable(before: number, heldFrom: number): number {
    const to = Math.min(before, heldFrom, this.size);
    return Math.max(this.#first, Math.floor(to / TILE_WIDTH) * TILE_WIDTH);
  }

  /** Appends the entry that says so and gives up what lies below `to`, in one transaction. deletePruned() then takes it away. */
  prune(leaf: Uint8Array<ArrayBuffer>, state: StoreState, to: number): void {
    this.#begin.run([]);
    this.#append([leaf], state);
    this.#run("UPDATE head SET first = ?", [to]);
    this.#commitWhole();
    this.#first = to;
  }

  /** Deletes some of the entries that were given up; false when there are none left. */
  deletePruned(): boolean {
    const lowest = valueOf(this.#database, "SELECT min(idx) FROM entry");
    if (typeof lowest !== "number" || lowest >= this.#first) return false;
    this.#run("DELETE FROM entry WHERE idx < ?", [Math.min(this.#first, lowest + DELETED_AT_ONCE)]);
    return true;
  }

  /* ---- the file ---- */

  /** Moves what the write-ahead log holds into the file, as far as no reader is in the way. Not needed for durability. */
  checkpoint(): void {
    this.#checkpoint.all([]);
  }

  /** As the last thing of a run that ended cleanly: its leaves need not be recomputed when the log is opened again. */
  finish(): void {
    this.#run("UPDATE head SET checked = size", []);
  }

  /** Moves all of the write-ahead log into the file: then it is complete without the files beside it. */
  checkpointAll(): void {
    this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all([]);
  }

  close(): void {
    try {
      if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
    } finally {
      this.#database.close();
    }
  }

  /** Returns when the transaction is fsynced, in the file that the next start will open. */
  #commitWhole(): void {
    this.#commit.run([]);
    this.#file.expect();
  }

  #run(sql: string, parameters: unknown[]): void {
    this.#database.prepare(sql).run(parameters);
  }
}
