/** The log's file as SQLite sees it: opened for writing, made when it is empty, and brought from an older version of its tables. */
import Database from "libsql";
import { LEAF_BYTES_MAX } from "./leaf.ts";
import { CompactRange, leafHash } from "./merkle.ts";
import { APPLICATION_ID, CREATE, FROM_FIRST, SCHEMA_VERSION, TRIGGERS, TRIGGERS_OF_FIRST } from "./schema.ts";
import { SHA256_BYTES } from "./sha256.ts";
import { TileBuilder } from "./tiles.ts";

/** How long a commit waits for a lock that a stranger holds on the file. */
const BUSY_MS_MAX = 2000;
/** Pages of the write-ahead log (16 MiB) before they are moved into the file: rarely enough to stay out of the 99th percentile. */
const CHECKPOINT_PAGES = 4000;

/** What the file does not hold together: it was edited, cut or damaged. */
export class LogDamaged extends Error {}
/** The log is whole, but not what it once signed: its end is gone, its key is, or it is another one. Its owner can accept that. */
export class LogLost extends LogDamaged {}

export type LogFileOptions = {
  /** Bounds the file; null: only the disk does. */
  readonly sizeBytesMax: number | null;
  /** Has SQLite check its own structure too. */
  readonly thorough: boolean;
};

/** Opens or creates the file for its one writer. Throws LogDamaged when it is not a log that this version knows. */
export function openLogFile(path: string, options: LogFileOptions): Database.Database {
  const database = new Database(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
    prepare(database, options);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepare(database: Database.Database, options: LogFileOptions): void {
  const mode = valueOf(database, "PRAGMA journal_mode = WAL");
  if (mode !== "wal")
    throw new Error(`the log's file system cannot do write-ahead logging (journal mode ${String(mode)})`);
  database.exec("PRAGMA synchronous = FULL");
  // Where fsync alone does not reach the disk (macOS); nothing elsewhere.
  database.exec("PRAGMA fullfsync = ON");
  database.exec("PRAGMA checkpoint_fullfsync = ON");
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  // What was pruned is not left readable in free pages.
  database.exec("PRAGMA secure_delete = ON");
  if (options.sizeBytesMax !== null) {
    const pageBytes = Number(valueOf(database, "PRAGMA page_size"));
    database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.sizeBytesMax / pageBytes))}`);
  }
  const application = valueOf(database, "PRAGMA application_id");
  const version = valueOf(database, "PRAGMA user_version");
  if (application === 0 && version === 0 && valueOf(database, "SELECT count(*) FROM sqlite_schema") === 0) {
    database.exec(`BEGIN IMMEDIATE; ${CREATE} COMMIT`);
  } else if (application !== APPLICATION_ID) {
    throw new LogDamaged("the file is not an audit log of weir's");
  } else if (version === 1) {
    fromFirst(database);
  } else if (version !== SCHEMA_VERSION) {
    throw new LogDamaged(
      `the log has version ${String(version)} of its tables; this weir reads version ${SCHEMA_VERSION}`,
    );
  }
  expectTriggers(database, TRIGGERS);
  expectOwnTriggers(database);
  if (options.thorough) {
    const answer = valueOf(database, "PRAGMA quick_check(1)");
    if (answer !== "ok") throw new LogDamaged(`the file is damaged: ${String(answer)}`);
  }
}

function expectTriggers(database: Database.Database, count: number): void {
  if (valueOf(database, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") !== count) {
    throw new LogDamaged("the triggers that keep its entries from being changed are not all there");
  }
}

/** A trigger of somebody else's would do its work with every record that the gateway writes. */
function expectOwnTriggers(database: Database.Database): void {
  const fresh = new Database(":memory:");
  try {
    fresh.exec(CREATE);
    const query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
    const [own, there] = [fresh, database].map((each) => JSON.stringify(each.prepare(query).raw(true).all([])));
    if (own !== there)
      throw new LogDamaged("the triggers that keep its entries from being changed are not the log's own");
  } finally {
    fresh.close();
  }
}

/** Adds what version 1 lacked. Every leaf is read for it, and the root compared with what version 1 kept. */
function fromFirst(database: Database.Database): void {
  expectTriggers(database, TRIGGERS_OF_FIRST);
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec(FROM_FIRST);
    const insert = database.prepare(INSERT_TILE);
    const tree = CompactRange.empty();
    const tiles = new TileBuilder(tree, () => new Uint8Array(0));
    for (const { hash } of checkedEntries(database, 0)) {
      tiles.append(hash);
      for (const { level, index, root, hashes } of tiles.takeFull()) insert.run([level, index, root, hashes]);
    }
    const [size, stack] = rowOf(database, "SELECT size, stack FROM head");
    expectHead(tree, size, stack);
    database.prepare("UPDATE head SET checked = size").run([]);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

export const INSERT_TILE = "INSERT INTO tile (level, idx, root, hashes) VALUES (?, ?, ?, ?)";

/** Throws LogDamaged when the head says something else than the tree. */
export function expectHead(tree: CompactRange, size: unknown, stack: unknown): void {
  if (tree.size !== size) throw new LogDamaged(`the log has ${tree.size} entries where its head says ${String(size)}`);
  if (!(stack instanceof Uint8Array) || Buffer.compare(tree.encode(), stack) !== 0)
    throw new LogDamaged("the log's entries do not match its root");
}

export type CheckedEntry = {
  readonly index: number;
  readonly leaf: Uint8Array;
  /** Overwritten with the next entry. */
  readonly hash: Uint8Array<ArrayBuffer>;
};

/** The entries from an index on, each recomputed from its leaf. Throws LogDamaged when one is missing or does not match. */
export function* checkedEntries(database: Database.Database, from: number): Generator<CheckedEntry> {
  const hash = new Uint8Array(SHA256_BYTES);
  const prefixed = new Uint8Array(1 + LEAF_BYTES_MAX);
  const rows = database.prepare("SELECT idx, leaf, hash FROM entry WHERE idx >= ? ORDER BY idx").raw(true);
  let expected = from;
  for (const row of rows.iterate([from])) {
    const [index, leaf, stored] = columnsOf(row);
    if (index !== expected) throw new LogDamaged(`entry ${expected} is missing`);
    if (!(leaf instanceof Uint8Array) || !(stored instanceof Uint8Array) || leaf.length > LEAF_BYTES_MAX) {
      throw new LogDamaged(`entry ${expected} cannot be read`);
    }
    prefixed.set(leaf, 1);
    leafHash(prefixed.subarray(0, leaf.length + 1), hash);
    if (Buffer.compare(hash, stored) !== 0) throw new LogDamaged(`entry ${expected} does not match its hash`);
    yield { index: expected, leaf, hash };
    expected++;
  }
}

/** The first column of the first row. */
export function valueOf(database: Database.Database, sql: string, parameters: unknown[] = []): unknown {
  return rowOf(database, sql, parameters)[0];
}

/** The columns of the first row; none when there is no row. */
export function rowOf(database: Database.Database, sql: string, parameters: unknown[] = []): readonly unknown[] {
  const [row] = database.prepare(sql).raw(true).all(parameters);
  return row === undefined ? [] : columnsOf(row);
}

/** A row of an untyped query, as a list of its columns. */
export function columnsOf(row: unknown): readonly unknown[] {
  if (!Array.isArray(row)) throw new LogDamaged("a row of the log cannot be read");
  return row;
}
