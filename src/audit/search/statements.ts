/** The statements of the index' writer: each is prepared once. */
import type Database from "libsql";

export type Value = string | number | Buffer | null;

export class Statements {
  readonly #database: Database.Database;
  readonly #prepared = new Map<string, Database.Statement>();

  constructor(database: Database.Database) {
    this.#database = database;
  }

  run(sql: string, values: readonly Value[] = []): void {
    this.#of(sql).run([...values]);
  }

  /** The first row as a list of its columns; empty when there is none. */
  row(sql: string, values: readonly Value[] = []): readonly unknown[] {
    const row: unknown = this.#of(sql)
      .raw(true)
      .get([...values]);
    return Array.isArray(row) ? row : [];
  }

  /** The first column of each row, of those where it is binary. */
  blobs(sql: string): readonly Uint8Array[] {
    const rows: unknown[] = this.#of(sql).raw(true).all([]);
    return rows.flatMap((row) => (Array.isArray(row) && row[0] instanceof Uint8Array ? [row[0]] : []));
  }

  #of(sql: string): Database.Statement {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }
}

/** A number that the index holds; throws when it is none. */
export function numberOf(value: unknown): number {
  if (typeof value !== "number") throw new Error("the search index cannot be read");
  return value;
}
