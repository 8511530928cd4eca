/** The reading side of the log, beside a running gateway or without one: the last entries, new ones as they come, one operation. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { and, asc, desc, eq, gt, gte, inArray, type SQL, sql } from "drizzle-orm";
import { drizzle, type SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";
import Database from "libsql";
import { type Leaf, readLeaf } from "./entry.ts";
import { APPLICATION_ID, entry, LOG_FILE, SCHEMA_VERSION } from "./schema.ts";

/** One entry; `hash` is its RFC 6962 leaf hash in lower-case hex, `json` the leaf as it was hashed. */
export type LogEntry = { readonly index: number; readonly hash: string; readonly json: string; readonly leaf: Leaf };

/** Which entries are wanted. An outcome belongs to its intent's subject, target and decision. */
export type LogFilter = {
  /** The name of who asked. */
  readonly subject?: string;
  readonly target?: string;
  readonly decision?: "permit" | "ask" | "deny" | "house";
};

/** How long the writer may hold the file's lock, and how many entries one look at the file takes at most. */
const BUSY_MS_MAX = 2000;
const FOLLOW_ENTRIES_MAX = 1000;
const FOLLOW_MS = 200;

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
      if (version !== SCHEMA_VERSION)
        throw new Error(`${path} was written by another version of weir (${String(version)})`);
    } catch (error) {
      connection.close();
      throw error;
    }
    return new LogReader(connection);
  }

  /** The last entries that match, the oldest first. */
  async tail(last: number, filter: LogFilter = {}): Promise<LogEntry[]> {
    const rows = await this.#database.select().from(entry).where(where(filter)).orderBy(desc(entry.idx)).limit(last);
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

  /** All entries of one operation: its intent or refusal, and its outcome when that is an entry of its own; or the event of that id. */
  async operation(id: string): Promise<LogEntry[]> {
    const json = leafText(entry.leaf);
    const member = sql`coalesce(json_extract(${json}, '$.id'), json_extract(${json}, '$.facts.id'))`;
    // The plain search first: it is much cheaper than reading JSON, and rules nearly every entry out.
    const contains = sql`instr(${entry.leaf}, ${Buffer.from(JSON.stringify(id))}) > 0`;
    const rows = await this.#database
      .select()
      .from(entry)
      .where(and(contains, eq(member, id)))
      .orderBy(asc(entry.idx));
    return rows.map(read);
  }

  /** Entries by their index, in order; those that do not exist are left out. */
  async entries(indices: readonly number[]): Promise<LogEntry[]> {
    if (indices.length === 0) return [];
    const rows = await this.#database
      .select()
      .from(entry)
      .where(inArray(entry.idx, [...indices]))
      .orderBy(asc(entry.idx));
    return rows.map(read);
  }

  /** How many entries there are. */
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

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, durationMs);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
