/** What the columns of a view are computed from, and what decides which rows it shows: read from its definition alone. */
import { NotUnderstood } from "../describe/tree.ts";
import type { ParsedStatement } from "../parser.ts";
import { ownSource } from "./lineage-from.ts";
import { Gates, type LineageNames, type ReadableRelation } from "./lineage-place.ts";
import { LineageQueries } from "./lineage-query.ts";
import { type Level, type Reads, union } from "./lineage-scope.ts";

/** A view, as far as it could be read. */
export type Lineage = {
  /** By position: the stored columns that each column of the view is computed from. */
  readonly outputs: readonly Reads[];
  /** Stored columns that decide which rows there are and in which order: conditions, joins, grouping, duplicates. */
  readonly gates: Reads;
  /** Oids of all relations that it reads, those of pg_catalog and information_schema left out. */
  readonly relations: ReadonlySet<number>;
  /** Functions of pg_catalog that are not known to be safe, as `pg_catalog.name`; others are among the view's dependencies. */
  readonly calls: ReadonlySet<string>;
};

const NOTHING: Level = { sources: [], parent: null };

/** The lineage of one query, as pg_get_viewdef() writes it with an empty search_path; throws NotUnderstood. */
export function readLineage(statements: readonly ParsedStatement[], names: LineageNames): Lineage {
  const [statement] = statements;
  if (statements.length !== 1 || statement?.kind !== "SelectStmt") throw new NotUnderstood("it is no query");
  const queries = new LineageQueries(names);
  const gates = new Gates();
  const outputs = queries.select(statement.node, { level: NOTHING, tables: null, gates });
  return {
    outputs: outputs.map(({ reads }) => reads),
    gates: gates.reads,
    relations: queries.from.relations,
    calls: queries.expressions.calls,
  };
}

/** The columns of `relation` that an expression over it reads; throws NotUnderstood. `statements` is `SELECT expression`. */
export function readColumns(
  statements: readonly ParsedStatement[],
  relation: ReadableRelation,
  names: LineageNames,
): Reads {
  const [statement] = statements;
  if (statements.length !== 1 || statement?.kind !== "SelectStmt") throw new NotUnderstood("it is no expression");
  const level: Level = { sources: [ownSource(relation, relation.name, null)], parent: null };
  const gates = new Gates();
  const outputs = new LineageQueries(names).select(statement.node, { level, tables: null, gates });
  return union([gates.reads, ...outputs.map(({ reads }) => reads)]);
}
