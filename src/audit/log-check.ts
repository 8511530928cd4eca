/** What is looked at whenever the log is opened: its root out of all tiles, its newest leaves, and what it says of its own size. */
import type Database from "libsql";
import * as v from "valibot";
import {
  type CheckedEntry,
  checkedEntries,
  columnsOf,
  expectHead,
  LogDamaged,
  LogLost,
  rowOf,
  valueOf,
} from "./log-file.ts";
import { CompactRange } from "./merkle.ts";
import { type Checkpoint, readCheckpoint, unverifiedText } from "./note.ts";
import { messageOf } from "../core/message-of.ts";
import { SHA256_BYTES } from "./sha256.ts";
import { databaseTiles } from "./tile-source.ts";
import { fullTiles, subtreeRoot, TILE_BYTES, TILE_WIDTH, TileBuilder, TileTree } from "./tiles.ts";

/** After an unclean end at most so many leaves are recomputed, the newest: some 2 s. `weir audit verify` reads all of them. */
const LEAVES_CHECKED_MAX = 1_000_000;
/** Bytes of an index in the list of open intents. */
const INDEX_BYTES = 8;

export type OpenIntent = {
  readonly index: number;
  readonly id: string;
  readonly boot: string;
  readonly sequence: number;
};

/** What was in the file when it was opened. */
export type Found = {
  /** The run that wrote last, and the last sequence of it that is in the log. */
  readonly boot: string;
  readonly sequence: number;
  /** Intents without an outcome, in order. */
  readonly open: readonly OpenIntent[];
  /** The event of the last entry; null when there is none. */
  readonly lastEvent: string | null;
  /** The lowest index that is not pruned. */
  readonly first: number;
  /** The newest checkpoint of the log's own. */
  readonly checkpoint: { readonly size: number; readonly note: string } | null;
  /** What of the log is lost, in words; null when nothing is, as far as the file itself tells. */
  readonly loss: string | null;
};

const numberSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const headSchema = v.tuple([
  numberSchema,
  v.instance(Uint8Array),
  v.string(),
  numberSchema,
  numberSchema,
  v.string(),
  numberSchema,
  numberSchema,
  numberSchema,
  v.instance(Uint8Array),
]);
const HEAD = "SELECT size, stack, boot, sequence, open_from, origin, first, checked, open_at, open FROM head";

export type CheckedLog = {
  readonly tree: CompactRange;
  readonly tiles: TileBuilder;
  readonly origin: string;
  readonly found: Found;
};

/**
 * Recomputes the root from every tile, each hash of a level from the tile below it, and from the entries that fill none
 * yet; compares it with the head and with the newest checkpoint; recomputes the newest leaves. To be called inside a
 * transaction. Throws LogDamaged when anything differs, and LogLost when only the checkpoints do and that is not accepted.
 * `newOrigin`: of a log that has signed nothing yet.
 */
export function checkLog(database: Database.Database, newOrigin: string, isLossAccepted: boolean): CheckedLog {
  const head = v.safeParse(headSchema, rowOf(database, HEAD));
  if (!head.success) throw new LogDamaged("the log's head cannot be read");
  const [size, stack, boot, sequence, openFrom, ownOrigin, first, checked, openAt, openList] = head.output;
  const origin = ownOrigin === "" ? newOrigin : ownOrigin;
  const [lowest, highest] = rowOf(database, "SELECT min(idx), max(idx) FROM entry");
  const last = typeof highest === "number" ? highest : -1;
  if (typeof lowest === "number" && lowest > first) throw new LogDamaged(`entry ${first} is missing`);

  const tree = CompactRange.empty();
  const tiles = new TileBuilder(tree, () => new Uint8Array(0));
  checkTiles(database, size, tiles);
  const treed = tree.size;
  // Entries above the last full tile are always recomputed: their hashes are nowhere else.
  const scanned = Math.max(openFrom, openAt);
  const from = Math.max(first, Math.min(treed, scanned, Math.max(checked, last + 1 - LEAVES_CHECKED_MAX)));
  const open = new Map<number, OpenIntent>();
  for (const entry of openBelow(database, openList, from)) followIntents(open, entry.leaf, entry.index);
  const bottom = new BottomTiles(database);
  let lastLeaf: Uint8Array | null = null;
  for (const { index, leaf, hash } of checkedEntries(database, from)) {
    if (index < treed) bottom.expect(index, hash);
    else tiles.append(hash);
    if (index >= openFrom) followIntents(open, leaf, index);
    lastLeaf = leaf;
  }
  expectHead(tree, size, stack);
  if (last + 1 !== size) throw new LogDamaged(`the log has ${last + 1} entries where its head says ${size}`);
  let checkpoint: Found["checkpoint"] = null;
  let loss: string | null = null;
  try {
    checkpoint = checkCheckpoints(database, size, origin);
    // Entries are signed as soon as there are any. Version 1 signed nothing, and anybody could bring a log down to it.
    if (checkpoint === null && size > 0)
      throw new LogLost(`the log of ${origin} has ${size} entries, and the checkpoints that it has signed are gone`);
  } catch (error) {
    if (!isLossAccepted || !(error instanceof LogLost)) throw error;
    loss = error.message;
  }
  const lastEvent = lastLeaf === null ? lastEventOf(database, last) : readTrace(lastLeaf, last).event;
  const found = { boot, sequence, open: [...open.values()], lastEvent, first, checkpoint, loss };
  return { tree, tiles, origin, found };
}

/** Builds the tree from the tiles of level 0 and compares every tile above with what they make. */
function checkTiles(database: Database.Database, size: number, tiles: TileBuilder): void {
  const count = fullTiles(size, 0);
  const upper = database.prepare("SELECT root, hashes FROM tile WHERE level = ? AND idx = ?").raw(true);
  const rows = database.prepare("SELECT idx, root, hashes FROM tile WHERE level = 0 ORDER BY idx").raw(true);
  let next = 0;
  let above = 0;
  for (const row of rows.iterate([])) {
    const [index, root, hashes] = columnsOf(row);
    if (index !== next) throw new LogDamaged(`tile 0/${next} is missing`);
    tiles.appendTile(expectTile(`0/${next}`, root, hashes, null));
    for (const full of tiles.takeFull()) {
      const [upperRoot, upperHashes] = columnsOf(upper.all([full.level, full.index])[0] ?? []);
      expectTile(`${full.level}/${full.index}`, upperRoot, upperHashes, full.hashes);
      above++;
    }
    next++;
  }
  if (next !== count) throw new LogDamaged(`the log has ${next} full tiles where its head says ${count}`);
  if (valueOf(database, "SELECT count(*) FROM tile WHERE level > 0") !== above)
    throw new LogDamaged("the log has tiles that its tree does not have");
}

/** A tile that is what its root says, and what the level below says when that is given; its root. */
function expectTile(name: string, root: unknown, hashes: unknown, expected: Uint8Array | null): Uint8Array {
  if (!(root instanceof Uint8Array) || !(hashes instanceof Uint8Array) || hashes.length !== TILE_BYTES)
    throw new LogDamaged(`tile ${name} is missing or cannot be read`);
  if (expected !== null && Buffer.compare(hashes, expected) !== 0)
    throw new LogDamaged(`tile ${name} does not match those below it`);
  if (Buffer.compare(subtreeRoot(hashes), root) !== 0) throw new LogDamaged(`tile ${name} does not match its root`);
  return root;
}

/** The tiles of leaf hashes, one at a time. */
class BottomTiles {
  readonly #database: Database.Database;
  #index = -1;
  #hashes: Uint8Array = new Uint8Array(0);

  constructor(database: Database.Database) {
    this.#database = database;
  }

  expect(entry: number, hash: Uint8Array): void {
    const index = Math.floor(entry / TILE_WIDTH);
    if (index !== this.#index) {
      const hashes = valueOf(this.#database, "SELECT hashes FROM tile WHERE level = 0 AND idx = ?", [index]);
      if (!(hashes instanceof Uint8Array)) throw new LogDamaged(`tile 0/${index} cannot be read`);
      [this.#index, this.#hashes] = [index, hashes];
    }
    const at = (entry % TILE_WIDTH) * SHA256_BYTES;
    if (Buffer.compare(this.#hashes.subarray(at, at + SHA256_BYTES), hash) !== 0)
      throw new LogDamaged(`entry ${entry} does not match its tile`);
  }
}

/** The intents below an index that were open when the list was made: what was closed since then lies above it. */
function* openBelow(database: Database.Database, list: Uint8Array, below: number): Generator<CheckedEntry> {
  const bytes = Buffer.from(list);
  for (let at = 0; at + INDEX_BYTES <= bytes.length; at += INDEX_BYTES) {
    const index = Number(bytes.readBigUInt64BE(at));
    if (index >= below) return;
    const [entry] = checkedEntries(database, index).take(1);
    if (entry === undefined) throw new LogDamaged(`entry ${index} is missing`);
    yield entry;
  }
}

/** The list of open intents as the head keeps it. */
export function encodeIndices(indices: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.alloc(indices.length * INDEX_BYTES);
  for (const [i, index] of indices.entries()) bytes.writeBigUInt64BE(BigInt(index), i * INDEX_BYTES);
  return bytes;
}

/** The newest own checkpoint, which must be one of this tree's. Its signature is looked at by whoever has the key. */
function checkCheckpoints(database: Database.Database, size: number, origin: string): Found["checkpoint"] {
  for (const table of ["checkpoint", "cosigned", "stamp"] as const) {
    const newest = valueOf(database, `SELECT max(size) FROM ${table}`);
    if (typeof newest === "number" && newest > size) throw cut(size, newest);
  }
  const tree = new TileTree(databaseTiles(database, size));
  checkNewest(database, "cosigned", tree, origin);
  return checkNewest(database, "checkpoint", tree, origin);
}

function checkNewest(
  database: Database.Database,
  table: "checkpoint" | "cosigned",
  tree: TileTree,
  origin: string,
): Found["checkpoint"] {
  const [size, note] = rowOf(database, `SELECT size, note FROM ${table} ORDER BY size DESC LIMIT 1`);
  if (typeof size !== "number" || !(note instanceof Uint8Array)) return null;
  const text = Buffer.from(note).toString("utf8");
  const checkpoint = readNote(table, size, text);
  // What witnesses have signed may be of an earlier origin, before a loss that was accepted.
  if (checkpoint.origin !== origin && table === "cosigned") return null;
  if (checkpoint.origin !== origin)
    throw new LogLost(`the log's origin is ${origin}, but its newest checkpoint is one of ${checkpoint.origin}`);
  if (Buffer.compare(checkpoint.root, tree.root(size)) !== 0)
    throw new LogLost(`the log is not the one whose ${size} entries it signed: it was rewritten`);
  return { size, note: text };
}

function readNote(table: string, size: number, note: string): Checkpoint {
  let checkpoint: Checkpoint;
  try {
    checkpoint = readCheckpoint(unverifiedText(note));
  } catch (error) {
    throw new LogLost(`the newest ${table} of the log cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (checkpoint.size !== size) throw new LogLost(`the ${table} of ${size} entries is one of ${checkpoint.size}`);
  return checkpoint;
}

function cut(size: number, newest: number): LogLost {
  return new LogLost(
    `the log has ${size} entries, but once signed that it had ${newest}: its end was cut off, or an older file was put in its place`,
  );
}

/** What recovery wants to know of a leaf. The whole of it takes three times as long to check, and many are read. */
const traceSchema = v.object({
  boot: v.string(),
  event: v.string(),
  id: v.optional(v.nullable(v.string())),
  intent: v.optional(v.nullable(v.number())),
  outcome: v.optional(v.unknown()),
  sequence: v.optional(v.number()),
});

function readTrace(leaf: Uint8Array, index: number): v.InferOutput<typeof traceSchema> {
  try {
    return v.parse(traceSchema, JSON.parse(Buffer.from(leaf).toString("utf8")));
  } catch (error) {
    throw new LogDamaged(`entry ${index} is no leaf of a log`, { cause: error });
  }
}

function lastEventOf(database: Database.Database, last: number): string | null {
  if (last < 0) return null;
  const [entry] = checkedEntries(database, last).take(1);
  if (entry === undefined) throw new LogDamaged(`entry ${last} is missing`);
  return readTrace(entry.leaf, last).event;
}

/** Keeps track of which intents have no outcome as the log is read forwards. */
function followIntents(open: Map<number, OpenIntent>, leaf: Uint8Array, index: number): void {
  const { boot, event, id, intent, outcome, sequence } = readTrace(leaf, index);
  if (event === "operation.outcome") {
    if (typeof intent === "number") open.delete(intent);
  } else if ((event === "operation.intent" || event === "operation.refusal") && outcome === undefined) {
    open.set(index, { index, id: id ?? "", boot, sequence: sequence ?? 0 });
  }
}
