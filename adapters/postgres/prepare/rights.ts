/** What the target's ordinary login may do in a database: the governed login gets the same, but for what is masked. */
import { quoteText } from "../quote.ts";

/** One row of text values; null is SQL's NULL. */
type TextRow = readonly (string | null)[];

/** Asks the database; `search_path` must be pinned to none, so that only pg_catalog is found without its name. */
export type Query = (sql: string) => Promise<readonly TextRow[]>;

/** Column by column, or all of them. */
export type ColumnRight = "all" | readonly string[];

export type RelationRights = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly isSequence: boolean;
  /** Of a sequence: SELECT. */
  readonly select: ColumnRight;
  readonly insert: ColumnRight;
  /** Of a sequence: UPDATE. */
  readonly update: ColumnRight;
  readonly delete: boolean;
  /** Of a sequence: USAGE. */
  readonly usage: boolean;
};

export type Rights = {
  /** Whose they are. */
  readonly user: string;
  /** Those that it has USAGE on, sorted. */
  readonly schemas: readonly string[];
  /** Relations and sequences with at least one right, by schema and name. */
  readonly relations: readonly RelationRights[];
  /** Declared safe functions as GRANT names them, with the configuration's own spelling; null: the database has no such one. */
  readonly functions: readonly { readonly written: string; readonly sql: string | null }[];
};

/** Schemas that no right is given on: the server's own, and the gateway's. */
const OTHER_SCHEMAS = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'weir_masks')
  AND NOT starts_with(n.nspname, 'pg_toast') AND NOT starts_with(n.nspname, 'pg_temp_')`;

const SCHEMAS = `SELECT current_user, (SELECT json_agg(n.nspname ORDER BY n.nspname) FROM pg_namespace n
  WHERE ${OTHER_SCHEMAS} AND has_schema_privilege(n.oid, 'USAGE'))`;

/** Whoever asks, as an SQL expression; a role's oid is another. */
export const ORDINARY = "current_user";

/** Relations and sequences on which a role has a right, by schema and name. `role`: an SQL expression. */
export async function readRelationRights(query: Query, role: string): Promise<readonly RelationRights[]> {
  /** `all`, or the columns as JSON, or null. */
  const right = (privilege: "SELECT" | "INSERT" | "UPDATE"): string =>
    `CASE WHEN has_table_privilege(${role}, c.oid, '${privilege}') THEN 'all'
      WHEN c.relkind <> 'S' AND has_any_column_privilege(${role}, c.oid, '${privilege}') THEN
        (SELECT json_agg(a.attname ORDER BY a.attnum)::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
          AND NOT a.attisdropped AND has_column_privilege(${role}, c.oid, a.attnum, '${privilege}')) END`;
  const rows = await query(`SELECT c.oid, n.nspname, c.relname, c.relkind = 'S', ${right("SELECT")}, ${right("INSERT")},
      ${right("UPDATE")}, has_table_privilege(${role}, c.oid, 'DELETE'),
      CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(${role}, c.oid, 'USAGE') ELSE false END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${OTHER_SCHEMAS} AND has_schema_privilege(${role}, n.oid, 'USAGE')
    ORDER BY n.nspname, c.relname`);
  return rows.map(relationOf).filter(hasAny);
}

/** Reads the rights of the login that asks. */
export async function readRights(query: Query, safeFunctions: readonly string[]): Promise<Rights> {
  const [first] = await query(SCHEMAS);
  const relations = await readRelationRights(query, ORDINARY);
  const functions: { written: string; sql: string | null }[] = [];
  for (const written of safeFunctions) {
    const [row] = await query(functionQuery(written));
    functions.push({ written, sql: row?.[0] ?? null });
  }
  return { user: first?.[0] ?? "", schemas: jsonNames(first?.[1] ?? null), relations, functions };
}

/** How GRANT names a function; NULL when there is none of these types. */
function functionQuery(written: string): string {
  return `SELECT (SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = to_regprocedure(${quoteText(written)}))`;
}

function relationOf(row: TextRow): RelationRights {
  const [oid, schema, name, isSequence, select, insert, update, mayDelete, usage] = row;
  return {
    oid: Number(oid),
    schema: schema ?? "",
    name: name ?? "",
    isSequence: isSequence === "t",
    select: columnRight(select),
    insert: columnRight(insert),
    update: columnRight(update),
    delete: mayDelete === "t",
    usage: usage === "t",
  };
}

function hasAny(rights: RelationRights): boolean {
  const { select, insert, update } = rights;
  return rights.delete || rights.usage || [select, insert, update].some((right) => right === "all" || right.length > 0);
}

function columnRight(value: string | null | undefined): ColumnRight {
  return value === "all" ? "all" : jsonNames(value ?? null);
}

/** A JSON list of texts; null is an empty one. */
export function jsonNames(json: string | null): string[] {
  const parsed: unknown = json === null ? [] : JSON.parse(json);
  return Array.isArray(parsed) ? parsed.filter((name) => typeof name === "string") : [];
}
