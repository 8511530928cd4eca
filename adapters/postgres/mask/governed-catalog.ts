/** What a governed session may read of the server's own relations: names and definitions, no values and no other sessions. */
import { isAmbientRelation } from "../describe/catalog-relations.ts";
import type { RelationUse } from "../describe/collector.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import type { MaskRefusal } from "../describe/references.ts";
import type { MaskingPlan } from "./plan.ts";

/** Columns that hold values or secrets, of relations that hold neither otherwise. */
export const HIDDEN_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  // What rows have that were there before the column was added.
  "pg_catalog.pg_attribute": ["attmissingval"],
  "pg_catalog.pg_proc": ["prosrc", "prosqlbody", "probin"],
  "pg_catalog.pg_foreign_data_wrapper": ["fdwoptions"],
  "pg_catalog.pg_foreign_server": ["srvoptions"],
  "pg_catalog.pg_foreign_table": ["ftoptions"],
  "information_schema.routines": ["routine_definition"],
  "information_schema.foreign_table_options": ["option_value"],
};

/** Null: it may be read, or is no relation of the server's. A plan hides what is hidden of those that it knows. */
export function catalogRefusal(use: RelationUse, plan: MaskingPlan): MaskRefusal | null {
  const { schema, own, name } = use.relation;
  if (schema === null || name === null) return null;
  if (schema === MASKS_SCHEMA) {
    return {
      message: `schema "${MASKS_SCHEMA}" is the gateway's own: its views hold masks that are not for every session`,
      hint: "Read the relation itself; it shows what this session may see.",
    };
  }
  const isOwn = schema === "pg_catalog" || schema === "information_schema";
  // Extensions put theirs anywhere: pg_stat_statements, pg_buffercache.
  if (!isOwn && !schema.startsWith("pg_") && !own.startsWith("pg_")) return null;
  if (use.class === "read" && plan.relation(schema, own)?.isServersOwn === true) return null;
  const hidden = HIDDEN_COLUMNS[name] ?? [];
  const column = hidden.find((candidate) => use.columns.has(candidate)) ?? (use.columnsUnknown ? hidden[0] : undefined);
  if (column !== undefined) {
    return {
      message: `column ${name}.${column} may hold values or source text, which are not shown while columns are masked`,
      hint: "List the other columns by name.",
    };
  }
  if (isOwn && use.class === "read" && isAmbientRelation(name, use.columns, !use.columnsUnknown)) return null;
  return {
    message: `${name} may hold values or tell of other sessions, and is not read or changed while columns are masked`,
    hint: "Names and definitions are in information_schema, pg_class and pg_attribute.",
  };
}
