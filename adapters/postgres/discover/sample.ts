/** Samples rows of a database's tables within bounds, so that what their columns hold can be looked at. */
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import { HouseQueryError, type TextRow } from "../query.ts";

/** Runs SQL on a connection of the gateway's own, with an empty search_path. */
type Query = (sql: string) => Promise<readonly TextRow[]>;

export type SampledColumn = {
  readonly name: string;
  /** As the server writes it. */
  readonly type: string;
  /** Null: its type cannot hold a text, so nothing of it was read. */
  readonly values: readonly (string | null)[] | null;
};

export type SampledTable = {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly SampledColumn[];
  readonly rows: number;
  /** Why nothing of it, or not all of it, was read; null: all is well. */
  readonly problem: string | null;
};

export const ROWS_MAX = 1000;
const TABLES_MAX = 5000;
const COLUMNS_READ_MAX = 50;
const VALUE_CHARS_MAX = 1000;
const STATEMENT_TIME_MS_MAX = 5000;
/** From so many times the rows that are wanted on, some pages are read instead of the first. */
const PAGES_FROM = 100;
/** Rows that those pages should hold, times the rows that are wanted: nobody knows how full they are. */
const PAGES_ROWS = 4;

/**
 * Tables with their columns, in order. Columns that derive from others (of parents, generated) are left out, and so are
 * views: masks follow them there. `readable`: the type can hold a text, or a number that is one.
 */
const COLUMNS = `SELECT n.nspname, c.relname, c.reltuples::pg_catalog.int8, c.relkind,
    pg_catalog.json_agg(a.attname ORDER BY a.attnum),
    pg_catalog.json_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
    pg_catalog.json_agg(t.typcategory OPERATOR(pg_catalog.=) ANY ('{S,A,C,X}'::pg_catalog."char"[])
      OR (t.typcategory OPERATOR(pg_catalog.=) 'U' AND NOT b.typname OPERATOR(pg_catalog.=) ANY ('{bytea,uuid,pg_lsn,xid,cid,tid}'::pg_catalog.name[]))
      OR b.typname OPERATOR(pg_catalog.=) ANY ('{int4,int8,numeric}'::pg_catalog.name[]) ORDER BY a.attnum)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
  JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
  JOIN pg_catalog.pg_type b ON b.oid OPERATOR(pg_catalog.=)
    CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
  WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f}'::pg_catalog."char"[]) AND NOT c.relispartition
    AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
    AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND n.nspname OPERATOR(pg_catalog.!~~) 'pg\\_%'
    AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema' AND n.nspname OPERATOR(pg_catalog.<>) 'weir_masks'
    AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    AND a.attinhcount OPERATOR(pg_catalog.=) 0 AND a.attgenerated OPERATOR(pg_catalog.=) ''
  GROUP BY c.oid, n.nspname, c.relname, c.reltuples, c.relkind
  ORDER BY n.nspname, c.relname LIMIT ${TABLES_MAX + 1}`;

/** Rejects when the database cannot be asked at all; a table that cannot be read says why. */
export async function* sampleTables(query: Query, rowsMax: number): AsyncIterable<SampledTable> {
  const tables = await query(COLUMNS);
  for (const [schema, name, tuples, kind, names, types, readable] of tables.slice(0, TABLES_MAX)) {
    if (typeof schema !== "string" || typeof name !== "string")
      throw new Error("the catalog has a table without a name");
    const columns = listOf(names, isText).map((column, index) => ({
      name: column,
      type: listOf(types, isText)[index] ?? "",
      isReadable: listOf(readable, isFlag)[index] ?? false,
    }));
    const read = columns.filter(({ isReadable }) => isReadable).slice(0, COLUMNS_READ_MAX);
    const isSampled = kind === "r" && Number(tuples) > PAGES_FROM * rowsMax;
    let rows: readonly TextRow[] = [];
    let problem: string | null = null;
    try {
      const from = quoteQualified(schema, name);
      const list = read.map((column) => quoteIdentifier(column.name));
      const share = (100 * PAGES_ROWS * rowsMax) / Math.max(Number(tuples), 1);
      if (list.length > 0 && isSampled) {
        rows = await query(selectOf(list, `${from} TABLESAMPLE SYSTEM (${share.toFixed(6)})`, rowsMax));
      }
      if (list.length > 0 && rows.length === 0) rows = await query(selectOf(list, from, rowsMax));
    } catch (error) {
      if (!(error instanceof HouseQueryError)) throw error;
      problem = error.message;
      await query("ROLLBACK");
    }
    const unread = columns.filter(({ isReadable }) => isReadable).length - read.length;
    if (problem === null && unread > 0) problem = `${unread} of its columns were not read: it has too many`;
    yield {
      schema,
      name,
      columns: columns.map((column) => {
        const index = read.indexOf(column);
        return {
          name: column.name,
          type: column.type,
          values: index === -1 ? null : rows.map((row) => row[index] ?? null),
        };
      }),
      rows: rows.length,
      problem,
    };
  }
  if (tables.length > TABLES_MAX) throw new Error(`the database has more than ${TABLES_MAX} tables`);
}

/** One request, so that nothing of it stays behind. */
function selectOf(columns: readonly string[], from: string, rowsMax: number): string {
  const list = columns.map((column) => `pg_catalog.left(${column}::pg_catalog.text, ${VALUE_CHARS_MAX})`);
  return `BEGIN READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIME_MS_MAX};
    SELECT ${list.join(", ")} FROM ${from} LIMIT ${rowsMax}; ROLLBACK`;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isFlag(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function listOf<T>(json: string | null | undefined, isItem: (value: unknown) => value is T): readonly T[] {
  const value: unknown = JSON.parse(json ?? "[]");
  if (!Array.isArray(value) || !value.every(isItem)) throw new Error("the catalog answered with rows of another shape");
  return value;
}
