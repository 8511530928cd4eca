/** Reads the rows that facts are made of. */
import { CATALOG_LIMITS, CatalogError, type CatalogSource, type TextRow } from "../catalog-source.ts";
import {
  COLLATIONS,
  COLUMN_TYPES,
  CONSTRAINED,
  DEFINITIONS_PAGE_ROWS,
  definitionsQuery,
  DOMAIN_CHECKS,
  FACTS_PAGE_ROWS,
  FOREIGN_KEYS,
  GENERATED,
  INHERITANCE,
  PARTITION_KEYS,
  POLICIES,
  relationsQuery,
  RULE_DEPENDENCIES,
  RULES,
  SET_FUNCTIONS,
  TYPES,
} from "./fact-queries.ts";

/** Undecoded, as the queries in fact-queries.ts return them. */
export type FactRows = Readonly<
  Record<
    | "relations"
    | "definitions"
    | "types"
    | "columnTypes"
    | "checks"
    | "collations"
    | "inheritance"
    | "generated"
    | "partitionKeys"
    | "policies"
    | "constrained"
    | "foreignKeys"
    | "rules"
    | "dependencies"
    | "setFunctions",
    readonly TextRow[]
  >
>;

/** A definition cannot be written while its tables are locked by a change that is under way. */
const LOCK_MS_MAX = 5000;

/** Compiling or spreading these queries only costs. */
const SETTINGS = `SELECT pg_catalog.current_setting('search_path'), pg_catalog.set_config('jit', 'off', false),
  pg_catalog.set_config('max_parallel_workers_per_gather', '0', false),
  pg_catalog.set_config('lock_timeout', '${LOCK_MS_MAX}', false)`;

/**
 * Each query sees what was committed when it began, not all of them the same: one transaction would hold up whoever
 * changes a table that a view reads, since the server locks those to write the definition. Rejects with CatalogError or
 * with what the source rejects with.
 */
export async function readFactRows(source: CatalogSource): Promise<FactRows> {
  const [row] = await source.query(SETTINGS);
  // Definitions would be written otherwise than they are read.
  if (row?.[0] !== "" && row?.[0] !== '""') {
    throw new CatalogError(
      "the connection for the facts of masking has a search_path, though it must be pinned to none",
    );
  }
  return {
    relations: await pages(source, FACTS_PAGE_ROWS, relationsQuery),
    definitions: await pages(source, DEFINITIONS_PAGE_ROWS, definitionsQuery),
    types: await source.query(TYPES),
    columnTypes: await source.query(COLUMN_TYPES),
    checks: await source.query(DOMAIN_CHECKS),
    collations: await source.query(COLLATIONS),
    inheritance: await source.query(INHERITANCE),
    generated: await source.query(GENERATED),
    partitionKeys: await source.query(PARTITION_KEYS),
    policies: await source.query(POLICIES),
    constrained: await source.query(CONSTRAINED),
    foreignKeys: await source.query(FOREIGN_KEYS),
    rules: await source.query(RULES),
    dependencies: await source.query(RULE_DEPENDENCIES),
    setFunctions: await source.query(SET_FUNCTIONS),
  };
}

/** All pages of a query whose rows begin with an oid and come in its order. */
async function pages(
  source: CatalogSource,
  size: number,
  query: (after: number) => string,
): Promise<readonly TextRow[]> {
  const all: TextRow[] = [];
  let after = 0;
  for (;;) {
    const rows = await source.query(query(after));
    for (const row of rows) all.push(row);
    if (rows.length < size) return all;
    if (all.length > CATALOG_LIMITS.relations) {
      throw new CatalogError(`the target has more than ${CATALOG_LIMITS.relations} relations`);
    }
    const last = Number(rows.at(-1)?.[0]);
    if (!(last > after))
      throw new CatalogError("the target's catalog does not answer in the order that it was asked for");
    after = last;
  }
}
