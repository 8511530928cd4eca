/** Asks PostgreSQL for the primary key of a relation, and for the columns of its masking view that show it. */
import type { RawSource } from "../mask/raw-shape.ts";
import { maskingViewName } from "../mask/view-names.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import type { TextRow } from "../query.ts";

/** What a RowDescription says of a column that comes from one of a relation. */
export type Origin = { readonly tableOid: number; readonly column: number };

type KeyColumn = { readonly name: string; readonly typeOid: number; readonly origins: readonly Origin[] };

type RelationFacts = {
  readonly key: readonly KeyColumn[];
  /** Why its rows cannot be told by a key; null: they can be. */
  readonly because: string | null;
};

export const relationFacts = { query: factsQuery, read: readFacts };

/** For a connection whose search_path is empty. */
function factsQuery({ relation, isOnly }: RawSource): string {
  const view = maskingViewName(relation.schema, relation.name, isOnly);
  return `SELECT c.oid, n.nspname = ${literal(relation.schema)} AND c.relname = ${literal(relation.name)}, c.relkind,
    c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), i.indimmediate,
    a.attname, a.attnum, a.atttypid, v.oid, w.attnum
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND i.indisvalid
  LEFT JOIN LATERAL unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, place) ON true
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
  LEFT JOIN pg_class v ON v.relname = ${literal(view)}
    AND v.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${literal(MASKS_SCHEMA)})
  LEFT JOIN pg_attribute w ON w.attrelid = v.oid AND w.attname = a.attname
  WHERE c.oid = ${relation.oid}
  ORDER BY k.place`;
}

/** `rows` are those of several relations. */
function readFacts(oid: number, rows: readonly TextRow[]): RelationFacts {
  const key: KeyColumn[] = [];
  let because: string | null = "is not there any more";
  for (const [relation, isNamed, kind, hasChildren, isImmediate, name, attnum, typeOid, view, viewColumn] of rows) {
    if (Number(relation) !== oid || isNamed !== "t") continue;
    because = null;
    if (kind !== "r" && kind !== "p") return { key: [], because: "is no table, so its rows have no primary key" };
    if (hasChildren === "t")
      return { key: [], because: "has children, whose rows are not told apart by its primary key" };
    if (name === null || name === undefined) return { key: [], because: "has no primary key" };
    if (isImmediate !== "t") return { key: [], because: "has a primary key that may be checked later" };
    const origins = [{ tableOid: oid, column: Number(attnum) }];
    if (view !== null && view !== undefined) origins.push({ tableOid: Number(view), column: Number(viewColumn) });
    key.push({ name, typeOid: Number(typeOid), origins });
  }
  return { key, because };
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
