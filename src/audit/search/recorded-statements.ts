/** Statements out of recordings, where policy keeps them in the clear: what operation they are of, and their words. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import * as v from "valibot";
import { statementWords } from "./statement-words.ts";

/** The file of recordings inside the data folder. */
const RECORDINGS_FILE = "recordings.db";
const BUSY_MS_MAX = 2000;

/** Lines of a transcript that hold what a client sent; the others have values. */
const inputSchema = v.object({ kind: v.literal("input"), operation: v.string(), text: v.string() });

export type RecordedStatement = { readonly operation: string; readonly words: readonly string[] };
export type StatementSegment = {
  /** Grows from one segment to the next. */
  readonly number: number;
  readonly session: string;
  readonly statements: readonly RecordedStatement[];
};

export class RecordedStatements {
  readonly #database: Database.Database;
  readonly #next: Database.Statement;

  private constructor(database: Database.Database) {
    this.#database = database;
    this.#next = database
      .prepare(
        `SELECT segment.rowid, session, data FROM segment JOIN recording ON recording.id = segment.recording
         WHERE segment.rowid > ? AND stream = 'clear' AND kind = 'transcript' ORDER BY segment.rowid LIMIT 1`,
      )
      .raw(true);
  }

  /** Null: nothing was ever recorded, or not in a form that is known here. */
  static open(folder: string): RecordedStatements | null {
    const path = join(folder, RECORDINGS_FILE);
    if (!existsSync(path)) return null;
    const database = new Database(`${pathToFileURL(path).href}?mode=ro`);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      return new RecordedStatements(database);
    } catch {
      // It is being made just now, or of another version: searches do without.
      database.close();
      return null;
    }
  }

  /** The first segment after one; null when there is none yet. */
  after(number: number): StatementSegment | null {
    const row: unknown = this.#next.get([number]);
    const [rowid, session, data] = Array.isArray(row) ? row.map((value: unknown) => value) : [];
    if (typeof rowid !== "number" || typeof session !== "string" || !(data instanceof Uint8Array)) return null;
    return { number: rowid, session, statements: statementsIn(data) };
  }

  close(): void {
    this.#database.close();
  }
}

function statementsIn(data: Uint8Array): readonly RecordedStatement[] {
  const statements: RecordedStatement[] = [];
  for (const line of Buffer.from(data.buffer, data.byteOffset, data.length).toString("utf8").split("\n")) {
    // Rows are much longer than it takes to see what they are.
    if (!line.includes('"kind":"input"')) continue;
    const input = v.safeParse(inputSchema, jsonOf(line));
    if (!input.success) continue;
    const words = statementWords(input.output.text);
    if (words.length > 0) statements.push({ operation: input.output.operation, words });
  }
  return statements;
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
