/** The log's file as its one writer sees it: opened and checked as a whole, then only ever appended to. */
import Database from "libsql";
import * as v from "valibot";
import { LEAF_BYTES_MAX } from "./leaf.ts";
import { CompactRange, leafHash } from "./merkle.ts";
import { APPLICATION_ID, DDL, SCHEMA_VERSION, TRIGGERS } from "./schema.ts";
import { SHA256_BYTES } from "./sha256.ts";

/** How long a commit waits for a lock that a stranger holds on the file. */
const BUSY_MS_MAX = 2000;
/** Pages of the write-ahead log (16 MiB) before they are moved into the file: rarely enough to stay out of the 99th percentile. */
const CHECKPOINT_PAGES = 4000;
/** Rows that one statement inserts: a statement for all of them costs half of one for each. */
const ROWS_AT_ONCE = 32;

/** What the file does not hold together: it was edited, cut or damaged. */
export class LogDamaged extends Error {}

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
};

export class LogStore {
  readonly #database: Database.Database;
  readonly #tree: CompactRange;
  readonly found: Found;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #one: Database.Statement;
  readonly #many: Database.Statement;
  readonly #head: Database.Statement;
  readonly #hashes: Uint8Array<ArrayBuffer>[] = [];

  /**
   * Opens or creates the log, recomputes its root from every leaf, and compares. Throws LogDamaged when they differ.
   * `sizeBytesMax` bounds the file (absent: only the disk does); `thorough` also has SQLite check its own structure.
   */
  constructor(path: string, options: { readonly sizeBytesMax: number | null; readonly thorough: boolean }) {
    const database = new Database(path);
    this.#database = database;
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      this.#prepareFile(options);
      // One snapshot for all of it: an abandoned writer may still be about to commit its last group.
      database.exec("BEGIN");
      [this.#tree, this.found] = this.#check();
      database.exec("COMMIT");
      this.#begin = database.prepare("BEGIN IMMEDIATE");
      this.#commit = database.prepare("COMMIT");
      this.#one = database.prepare("INSERT INTO entry VALUES (?, ?, ?)");
      this.#many = database.prepare(`INSERT INTO entry VALUES ${Array(ROWS_AT_ONCE).fill("(?, ?, ?)").join(", ")}`);
      this.#head = database.prepare(
        "UPDATE head SET size = ?, stack = ?, boot = ?, sequence = ?, open_from = ? WHERE id = 1",
      );
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #prepareFile(options: { readonly sizeBytesMax: number | null; readonly thorough: boolean }): void {
    const database = this.#database;
    const mode = this.#value("PRAGMA journal_mode = WAL");
    if (mode !== "wal")
      throw new Error(`the log's file system cannot do write-ahead logging (journal mode ${String(mode)})`);
    database.exec("PRAGMA synchronous = FULL");
    // Where fsync alone does not reach the disk (macOS); nothing elsewhere.
    database.exec("PRAGMA fullfsync = ON");
    database.exec("PRAGMA checkpoint_fullfsync = ON");
    database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    if (options.sizeBytesMax !== null) {
      const pageBytes = Number(this.#value("PRAGMA page_size"));
      database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.sizeBytesMax / pageBytes))}`);
    }
    const application = this.#value("PRAGMA application_id");
    const version = this.#value("PRAGMA user_version");
    if (application === 0 && version === 0 && this.#value("SELECT count(*) FROM sqlite_schema") === 0) {
      database.exec(`BEGIN IMMEDIATE; ${DDL} COMMIT`);
    } else if (application !== APPLICATION_ID) {
      throw new LogDamaged("the file is not an audit log of weir's");
    } else if (version !== SCHEMA_VERSION) {
      throw new LogDamaged(
        `the log has version ${String(version)} of its tables; this weir reads version ${SCHEMA_VERSION}`,
      );
    }
    if (this.#value("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") !== TRIGGERS) {
      throw new LogDamaged("the triggers that keep its entries from being changed are not all there");
    }
    if (options.thorough) {
      const answer = this.#value("PRAGMA quick_check(1)");
      if (answer !== "ok") throw new LogDamaged(`the file is damaged: ${String(answer)}`);
    }
  }

  /** Reads the whole log once: the root from the leaves themselves, and the intents that still wait for an outcome. */
  #check(): [CompactRange, Found] {
    const [row] = this.#database.prepare("SELECT size, stack, boot, sequence, open_from FROM head").raw(true).all([]);
    const [size, stack, boot, sequence, openFrom] = columns(row);
    if (typeof size !== "number" || !(stack instanceof Uint8Array))
      throw new LogDamaged("the log's head cannot be read");
    if (typeof boot !== "string" || typeof sequence !== "number" || typeof openFrom !== "number") {
      throw new LogDamaged("the log's head cannot be read");
    }
    const tree = CompactRange.empty();
    const open = new Map<number, OpenIntent>();
    let lastLeaf: Uint8Array | null = null;
    const hash = new Uint8Array(SHA256_BYTES);
    const prefixed = new Uint8Array(1 + LEAF_BYTES_MAX);
    const entries = this.#database.prepare("SELECT idx, leaf, hash FROM entry ORDER BY idx").raw(true);
    for (const entry of entries.iterate([])) {
      const [index, leaf, stored] = columns(entry);
      if (index !== tree.size) throw new LogDamaged(`entry ${tree.size} is missing`);
      if (!(leaf instanceof Uint8Array) || !(stored instanceof Uint8Array) || leaf.length > LEAF_BYTES_MAX) {
        throw new LogDamaged(`entry ${tree.size} cannot be read`);
      }
      prefixed.set(leaf, 1);
      leafHash(prefixed.subarray(0, leaf.length + 1), hash);
      if (Buffer.compare(hash, stored) !== 0) throw new LogDamaged(`entry ${tree.size} does not match its hash`);
      if (tree.size >= openFrom) followIntents(open, leaf, tree.size);
      tree.append(hash);
      lastLeaf = leaf;
    }
    if (tree.size !== size) throw new LogDamaged(`the log has ${tree.size} entries where its head says ${size}`);
    if (Buffer.compare(tree.encode(), stack) !== 0) throw new LogDamaged("the log's entries do not match its root");
    const lastEvent = lastLeaf === null ? null : readTrace(lastLeaf, tree.size - 1).event;
    return [tree, { boot, sequence, open: [...open.values()], lastEvent }];
  }

  /** The index that the next leaf gets. */
  get size(): number {
    return this.#tree.size;
  }

  /**
   * Appends leaves in one transaction and returns when it is fsynced. Each leaf comes with one free byte before it.
   * Throws when it cannot; the store is then of no more use.
   */
  append(
    leaves: readonly Uint8Array<ArrayBuffer>[],
    state: { readonly boot: string; readonly sequence: number; readonly openFrom: number },
  ): void {
    const first = this.#tree.size;
    for (let i = 0; i < leaves.length; i++) {
      const leaf = leaves[i];
      if (leaf === undefined) continue;
      const hash = (this.#hashes[i] ??= new Uint8Array(SHA256_BYTES));
      leafHash(leaf, hash);
      this.#tree.append(hash);
    }
    this.#begin.run([]);
    let i = 0;
    for (; i + ROWS_AT_ONCE <= leaves.length; i += ROWS_AT_ONCE) {
      const values: unknown[] = [];
      for (let j = i; j < i + ROWS_AT_ONCE; j++) values.push(first + j, leaves[j]?.subarray(1), this.#hashes[j]);
      this.#many.run(values);
    }
    for (; i < leaves.length; i++) this.#one.run([first + i, leaves[i]?.subarray(1), this.#hashes[i]]);
    this.#head.run([this.#tree.size, this.#tree.encode(), state.boot, state.sequence, state.openFrom]);
    this.#commit.run([]);
  }

  /** Moves what the write-ahead log holds into the file, as far as no reader is in the way. Not needed for durability. */
  checkpoint(): void {
    this.#database.prepare("PRAGMA wal_checkpoint(PASSIVE)").all([]);
  }

  /** The same with all of it, as the last thing: then the file is complete without the files beside it. */
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

  #value(sql: string): unknown {
    const [row] = this.#database.prepare(sql).raw(true).all([]);
    return Array.isArray(row) ? row[0] : undefined;
  }
}

/** What recovery wants to know of a leaf. The whole of it takes three times as long to check, and all are read. */
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

/** Keeps track of which intents have no outcome as the log is read forwards. */
function followIntents(open: Map<number, OpenIntent>, leaf: Uint8Array, index: number): void {
  const { boot, event, id, intent, outcome, sequence } = readTrace(leaf, index);
  if (event === "operation.outcome") {
    if (typeof intent === "number") open.delete(intent);
  } else if ((event === "operation.intent" || event === "operation.refusal") && outcome === undefined) {
    open.set(index, { index, id: id ?? "", boot, sequence: sequence ?? 0 });
  }
}

/** A row of an untyped query, as a list of its columns. */
function columns(row: unknown): readonly unknown[] {
  if (!Array.isArray(row)) throw new LogDamaged("the log has no head");
  return row;
}
