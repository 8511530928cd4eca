/** The log in a data folder as a verification reads it: beside a running gateway, or a copy of the folder. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import { VKEY_FILE } from "../log-keys.ts";
import { messageOf } from "../../core/message-of.ts";
import { APPLICATION_ID, LOG_FILE } from "../schema.ts";
import { SHA256_BYTES } from "../sha256.ts";
import { TILE_WIDTH } from "../tiles.ts";
import type { LogSource, SourcePlace, Stray, StoredCheckpoint, StoredEntry, StoredHead, StoredTile } from "./source.ts";

const BUSY_MS_MAX = 2000;
/** Of each kind, of what is not the log's: the first say enough. */
const STRAYS_MAX = 100;
/** No entry takes less room than its hash, be it its own or the one in its tile. */
const STORED_BYTES_MIN = SHA256_BYTES;
/** Entries read at a time: a tile's are, and rows beyond it would only wait. */
const PAGE_ROWS = 512;
/** The first version of the tables that has tiles and checkpoints. */
const TILED_VERSION = 2;
const VERSION_MAX = 2;

export class DataSource implements LogSource {
  readonly place: SourcePlace;
  readonly size: number;
  readonly head: StoredHead;
  readonly ownKey: string | null;
  readonly strays: readonly Stray[];
  readonly #database: Database.Database;
  readonly #isTiled: boolean;
  readonly #entries: Database.Statement;
  readonly #tile: Database.Statement | null;

  private constructor(folder: string, database: Database.Database) {
    this.place = { kind: "data", folder };
    this.#database = database;
    const version = this.#value("PRAGMA user_version");
    if (this.#value("PRAGMA application_id") !== APPLICATION_ID) throw new Error("it is not an audit log of weir's");
    if (typeof version !== "number" || version > VERSION_MAX) {
      throw new Error(`it was written by a newer weir (version ${String(version)} of its tables)`);
    }
    this.#isTiled = version >= TILED_VERSION;
    const sizeMax = Math.floor(bytesOf(join(folder, LOG_FILE)) / STORED_BYTES_MIN) + TILE_WIDTH;
    // One snapshot: a gateway may be writing.
    database.exec("BEGIN");
    const [size, stack, boot, sequence] = this.#row("SELECT size, stack, boot, sequence FROM head WHERE id = 1");
    if (
      typeof size !== "number" ||
      !(stack instanceof Buffer) ||
      typeof boot !== "string" ||
      typeof sequence !== "number"
    ) {
      throw new Error("its head cannot be read");
    }
    this.head = { size, stack, boot, sequence, first: this.first };
    // What an attacker leaves in the head is not what there is: entries beyond it are looked at too.
    const highest = this.#value("SELECT max(idx) FROM entry WHERE idx BETWEEN 0 AND ?", [sizeMax - 1]);
    const there = typeof highest === "number" ? highest + 1 : 0;
    this.size = size > sizeMax ? there : Math.max(size, there);
    this.strays = this.#findStrays();
    database.exec("COMMIT");
    const key = join(folder, VKEY_FILE);
    this.ownKey = existsSync(key) ? readFileSync(key, "utf8").trim() : null;
    this.#entries = database
      .prepare("SELECT idx, leaf, hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx")
      .raw(true);
    this.#tile = this.#isTiled
      ? database.prepare("SELECT hashes, root FROM tile WHERE level = ? AND idx = ?").raw(true)
      : null;
  }

  /** Throws with a sentence for people. */
  static open(folder: string): DataSource {
    const path = join(folder, LOG_FILE);
    if (!existsSync(path)) throw new Error(`there is no audit log at ${path}`);
    const url = pathToFileURL(path).href;
    try {
      return DataSource.#connect(folder, `${url}?mode=ro`);
    } catch (error) {
      // A copy on read-only storage: SQLite cannot make its side files there, and needs none when all is in the file.
      const wal = `${path}-wal`;
      if (existsSync(wal) && statSync(wal).size > 0) throw unreadable(path, error);
      try {
        return DataSource.#connect(folder, `${url}?mode=ro&immutable=1`);
      } catch {
        throw unreadable(path, error);
      }
    }
  }

  static #connect(folder: string, url: string): DataSource {
    const database = new Database(url);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      return new DataSource(folder, database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Asked each time: a gateway may prune while we read. */
  get first(): number {
    return this.#isTiled ? Number(this.#value("SELECT first FROM head WHERE id = 1")) : 0;
  }

  get end(): number {
    return this.size;
  }

  *entries(from: number, to: number): Generator<StoredEntry> {
    for (let next = from; next < to; next += PAGE_ROWS) {
      for (const row of rows(this.#entries, [next, Math.min(next + PAGE_ROWS, to)])) {
        const [index, leaf, hash] = row;
        // An entry that is no BLOB counts as missing.
        if (typeof index === "number" && leaf instanceof Buffer)
          yield { index, leaf, hash: hash instanceof Buffer ? hash : null };
      }
    }
  }

  get keepsTiles(): boolean {
    return this.#isTiled;
  }

  tile(level: number, n: number): StoredTile | null {
    if (this.#tile === null) return null;
    const [hashes, root] = rows(this.#tile, [level, n])[0] ?? [];
    if (!(hashes instanceof Buffer) || hashes.length !== TILE_WIDTH * SHA256_BYTES) return null;
    // What is no BLOB is no root of anything.
    return { hashes, root: root instanceof Buffer ? root : Buffer.alloc(0) };
  }

  /** Only full tiles are kept as such; a part of one is put together from the hashes that it would be made of. */
  partialTile(level: number, n: number, width: number): Buffer | null {
    if (!this.#isTiled) return null;
    const from = n * TILE_WIDTH;
    const query =
      level === 0
        ? "SELECT hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"
        : `SELECT root FROM tile WHERE level = ${level - 1} AND idx >= ? AND idx < ? ORDER BY idx`;
    const hashes = rows(this.#database.prepare(query).raw(true), [from, from + width]).flatMap(([hash]) =>
      hash instanceof Buffer ? [hash] : [],
    );
    const whole = Buffer.concat(hashes);
    return whole.length === width * SHA256_BYTES ? whole : null;
  }

  *checkpoints(from: number, to: number): Generator<StoredCheckpoint> {
    yield* this.#notes("checkpoint", from, to);
  }

  *cosigned(from: number, to: number): Generator<StoredCheckpoint> {
    yield* this.#notes("cosigned", from, to);
  }

  *stamps(from: number, to: number): Generator<{ readonly size: number; readonly token: Buffer }> {
    if (!this.#isTiled) return;
    const statement = this.#database
      .prepare("SELECT size, token FROM stamp WHERE size > ? AND size <= ? ORDER BY size")
      .raw(true);
    for (const [size, token] of rows(statement, [from, to])) {
      if (typeof size === "number" && token instanceof Buffer) yield { size, token };
    }
  }

  *#notes(table: "checkpoint" | "cosigned", from: number, to: number): Generator<StoredCheckpoint> {
    if (!this.#isTiled) return;
    const statement = this.#database
      .prepare(`SELECT size, time_ms, note FROM ${table} WHERE size > ? AND size <= ? ORDER BY size LIMIT ${PAGE_ROWS}`)
      .raw(true);
    for (let next = from; ;) {
      const page = rows(statement, [next, to]);
      for (const [size, timeMs, note] of page) {
        if (typeof size !== "number") return;
        next = size;
        // One that is no BLOB is none of weir's, and must not keep those after it from being looked at.
        yield {
          size,
          timeMs: typeof timeMs === "number" ? timeMs : null,
          note: Buffer.isBuffer(note) ? note.toString("utf8") : "",
        };
      }
      if (page.length < PAGE_ROWS) return;
    }
  }

  close(): void {
    this.#database.close();
  }

  #findStrays(): Stray[] {
    // As text: these can be numbers that are none of JavaScript's.
    const entries = this.#rows(`SELECT CAST(idx AS TEXT) FROM entry WHERE idx < 0 LIMIT ${STRAYS_MAX}`);
    entries.push(...this.#rows(`SELECT CAST(idx AS TEXT) FROM entry WHERE idx >= ? LIMIT ${STRAYS_MAX}`, [this.size]));
    const tiles = this.#isTiled
      ? this.#rows(
          `SELECT CAST(level AS TEXT), CAST(idx AS TEXT) FROM tile
           WHERE level NOT BETWEEN 0 AND 6 OR idx < 0 OR idx >= ? >> 8 * (level + 1) LIMIT ${STRAYS_MAX}`,
          [this.size],
        )
      : [];
    return [
      ...entries.map(([index]): Stray => ({ check: "entry", place: `entry ${String(index)}` })),
      ...tiles.map(([level, n]): Stray => ({ check: "tile", place: `tile/${String(level)}/${String(n)}` })),
    ];
  }

  #rows(sql: string, values: readonly unknown[] = []): (readonly unknown[])[] {
    return rows(this.#database.prepare(sql).raw(true), values);
  }

  #row(sql: string, values: readonly unknown[] = []): readonly unknown[] {
    return this.#rows(sql, values)[0] ?? [];
  }

  #value(sql: string, values: readonly unknown[] = []): unknown {
    return this.#row(sql, values)[0];
  }
}

/** Of the file, and of what is still beside it. */
function bytesOf(path: string): number {
  const sizes = [path, `${path}-wal`].map((each) => statSync(each, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}

function rows(statement: Database.Statement, values: readonly unknown[]): (readonly unknown[])[] {
  const found: unknown[] = statement.all([...values]);
  return found.map(columns);
}

function columns(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}

function unreadable(path: string, error: unknown): Error {
  return new Error(`the audit log at ${path} cannot be read: ${messageOf(error)}`, { cause: error });
}
