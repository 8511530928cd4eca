/** The reading side of the log, beside a running gateway or without one: the last entries, new ones as they come, one operation. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { and, asc, desc, eq, gt, gte, type SQL, sql } from "drizzle-orm";
import { drizzle, type SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import Database from "libsql";
import { type Leaf, readLeaf } from "./entry.ts";
import { pause } from "./pause.ts";
import { APPLICATION_ID, entry, LOG_FILE, SCHEMA_VERSION } from "./schema.ts";

/** One entry; `hash` is its RFC 6962 leaf hash in lower-case hex, `json` the leaf as it was hashed. */
export type LogEntry = { readonly index: number; readonly hash: string; readonly json: string; readonly leaf: Leaf };

/** Which entries are wanted. An outcome belongs to its intent's subject, target and decision. */
export type LogFilter = {
  /** The name of who asked. */
  readonly subject?: string;
  readonly target?: string;
  readonly decision?: "permit" | "ask" | "deny" | "house";
  /** The kind of event: `policy.activated`. */
  readonly event?: string;
};

/** How long the writer may hold the file's lock, and how many entries one look at the file takes at most. */
const BUSY_MS_MAX = 2000;
const FOLLOW_ENTRIES_MAX = 1000;
const FOLLOW_MS = 200;
/** Read at a time where very many are; the writer waits for no reader. */
const PAGE_ENTRIES = 2000;

export class LogReader {
  readonly #connection: Database.Database;
  readonly #database: SqliteRemoteDatabase;

  private constructor(connection: Database.Database) {
    this.#connection = connection;
    this.#database = drizzle(async (query, parameters, method) => {
      const statement = connection.prepare(query).raw(true);
      if (method === "run") throw new Error("the log is only read here");
      return { rows: method === "get" ? [...listOf(statement.get(parameters))] : statement.all(parameters) };
    });
  }

  /** Opens the log in a data folder, read-only. Throws with a sentence for people when there is none. */
  static open(folder: string): LogReader {
    const path = join(folder, LOG_FILE);
    if (!existsSync(path))
      throw new Error(`there is no audit log at ${path}: has the gateway run with this data folder?`);
    const connection = new Database(`${pathToFileURL(path).href}?mode=ro`);
    try {
      connection.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      const value = (name: string): unknown => connection.prepare(`PRAGMA ${name}`).raw(true).get([]);
      const [application] = listOf(value("application_id"));
      const [version] = listOf(value("user_version"));
      if (application !== APPLICATION_ID) throw new Error(`${path} is not an audit log of weir's`);
      // Version 1 has the same entries.
      if (version !== 1 && version !== SCHEMA_VERSION)
        throw new Error(`${path} was written by another version of weir (${String(version)})`);
    } catch (error) {
      connection.close();
      throw error;
    }
    return new LogReader(connection);
  }

  /** The last entries that match, from an index on, the oldest first. Reads whatever is newer than what it finds. */
  async tail(last: number, filter: LogFilter = {}, from = 0): Promise<LogEntry[]> {
    const rows = await this.#database
      .select()
      .from(entry)
      .where(and(gte(entry.idx, from), where(filter)))
      .orderBy(desc(entry.idx))
      .limit(last);
    return rows.map(read).toReversed();
  }

  /** Entries that match, from an index on, and then new ones as they are committed, until the signal ends it. */
  async *follow(from: number, filter: LogFilter, signal: AbortSignal): AsyncGenerator<LogEntry> {
    let next = from;
    while (!signal.aborted) {
      // What is there now, matching or not: the next look starts behind it.
      const size = await this.size();
      while (next < size && !signal.aborted) {
        const rows = await this.#database
          .select()
          .from(entry)
          .where(and(gte(entry.idx, next), sql`${entry.idx} < ${size}`, where(filter)))
          .orderBy(asc(entry.idx))
          .limit(FOLLOW_ENTRIES_MAX);
        yield* rows.map(read);
        next = rows.length < FOLLOW_ENTRIES_MAX ? size : (rows.at(-1)?.idx ?? size) + 1;
      }
      await pause(FOLLOW_MS, signal);
    }
  }

  /**
   * All entries of one operation from an index on: its intent or refusal, and its outcome when that is an entry of its
   * own; or the events of that id or recording. Reads all entries from there on: the search index is for the others.
   */
  async operation(id: string, from = 0): Promise<LogEntry[]> {
    const json = leafText(entry.leaf);
    const member = sql`coalesce(json_extract(${json}, '$.id'), json_extract(${json}, '$.facts.id'), json_extract(${json}, '$.facts.recording'))`;
    // The plain search first: it is much cheaper than reading JSON, and rules nearly every entry out.
    const contains = sql`instr(${entry.leaf}, ${Buffer.from(JSON.stringify(id))}) > 0`;
    const rows = await this.#database
      .select()
      .from(entry)
      .where(and(gte(entry.idx, from), contains, eq(member, id)))
      .orderBy(asc(entry.idx));
    return rows.map(read);
  }

  /** Of these entries those that `operation` would find. */
  async operationAmong(indices: readonly number[], id: string): Promise<LogEntry[]> {
    const isOf = ({ leaf }: LogEntry): boolean =>
      leaf.shape === "event" ? (leaf.facts["id"] ?? leaf.facts["recording"]) === id : leaf.id === id;
    return (await this.entries(indices)).filter(isOf);
  }

  /** Entries by their index, in order; those that do not exist are left out. */
  async entries(indices: readonly number[]): Promise<LogEntry[]> {
    if (indices.length === 0) return [];
    const rows = await this.#database
      .select()
      .from(entry)
      // One list, whatever its length: SQLite bounds how many values a statement takes.
      .where(sql`${entry.idx} IN (SELECT value FROM json_each(${JSON.stringify(indices)}))`)
      .orderBy(asc(entry.idx));
    return rows.map(read);
  }

  /** The index of the first entry at or after an instant; the log's size when there is none. Times of entries grow with their index. */
  async firstSince(timeMs: number): Promise<number> {
    let [from, to] = [await this.#first(), await this.size()];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const [found] = await this.entries([middle]);
      if (found !== undefined && found.leaf.timeMs < timeMs) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The leaves from an index on and before another, in pages and as they were hashed: for whoever reads very many. */
  *leaves(from: number, to: number): Generator<readonly Uint8Array[]> {
    const statement = this.#connection
      .prepare("SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx")
      .raw(true);
    for (let next = from; next < to; next += PAGE_ENTRIES) {
      const rows: unknown[] = statement.all([next, Math.min(next + PAGE_ENTRIES, to)]);
      yield rows.map((row) => {
        const [leaf] = listOf(row);
        if (!(leaf instanceof Uint8Array)) throw new Error("an entry of the log is no BLOB");
        return leaf;
      });
    }
  }

  /** The lowest index that there is: what was before it was pruned. */
  async #first(): Promise<number> {
    const rows = await this.#database.select({ idx: entry.idx }).from(entry).orderBy(asc(entry.idx)).limit(1);
    return rows[0]?.idx ?? 0;
  }

  /** How many entries there are, those that were pruned included. */
  async size(): Promise<number> {
    const rows = await this.#database
      .select({ idx: entry.idx })
      .from(entry)
      .where(gt(entry.idx, -1))
      .orderBy(desc(entry.idx))
      .limit(1);
    const last = rows[0];
    return last === undefined ? 0 : last.idx + 1;
  }

  close(): void {
    this.#connection.close();
  }
}

function where(filter: LogFilter): SQL | undefined {
  const own = matches(entry.leaf, filter);
  if (own === undefined) return undefined;
  const intent = sql`(SELECT leaf FROM entry AS intent WHERE intent.idx = json_extract(${leafText(entry.leaf)}, '$.intent'))`;
  return sql`(${own} OR (json_extract(${leafText(entry.leaf)}, '$.event') = 'operation.outcome' AND ${matches(intent, filter)}))`;
}

/** Events name who and where among their facts. */
function matches(leaf: SQL | typeof entry.leaf, filter: LogFilter): SQL | undefined {
  const json = leafText(leaf);
  const conditions: SQL[] = [];
  if (filter.subject !== undefined) {
    conditions.push(
      sql`coalesce(json_extract(${json}, '$.subject.name'), json_extract(${json}, '$.facts.subject')) = ${filter.subject}`,
    );
  }
  if (filter.target !== undefined) {
    conditions.push(
      sql`coalesce(json_extract(${json}, '$.target.name'), json_extract(${json}, '$.facts.target')) = ${filter.target}`,
    );
  }
  if (filter.event !== undefined) conditions.push(sql`json_extract(${json}, '$.event') = ${filter.event}`);
  if (filter.decision !== undefined)
    conditions.push(sql`json_extract(${json}, '$.decision.kind') = ${filter.decision}`);
  return and(...conditions);
}

/** A leaf is a BLOB of UTF-8 JSON; as a BLOB SQLite would take it for its binary JSON. */
function leafText(leaf: SQL | typeof entry.leaf): SQL {
  return sql`CAST(${leaf} AS TEXT)`;
}

function read(row: typeof entry.$inferSelect): LogEntry {
  return {
    index: row.idx,
    hash: row.hash.toString("hex"),
    json: row.leaf.toString("utf8"),
    leaf: readLeaf(row.leaf, row.idx),
  };
}

function listOf(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}
