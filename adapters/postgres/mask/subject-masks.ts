/** Asks policy which columns of a catalog it masks for a session, and reads the answer. */
import { type Access, UNKNOWN } from "../../../src/core/operation.ts";
import type { Relation, RelationKind } from "../catalog.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { BUILT_IN_SCHEMAS } from "../known-names.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import type { ColumnMask, PolicyMasks } from "./derive.ts";

/** Kinds that statements read columns of, and that hold rows of people's own. */
const MASKABLE_KINDS: ReadonlySet<RelationKind> = new Set<RelationKind>([
  "table",
  "partitioned table",
  "foreign table",
  "view",
  "materialized view",
]);

/** A catalog that can be walked. */
export type ListedCatalog = { readonly contents: { readonly relations: readonly Relation[] } };

/** The accesses to ask for, and whose answers they are: both have the same order. */
export type MaskQuestions = {
  readonly accesses: readonly Access[];
  readonly columns: readonly { readonly relation: Relation; readonly column: string }[];
};

const asked = new WeakMap<ListedCatalog, Map<string, MaskQuestions>>();

/**
 * One access per column of each relation outside pg_catalog and information_schema, as a statement that reads it would
 * have, with what is not known yet. Made once for a catalog and a database.
 */
export function maskQuestions(catalog: ListedCatalog, database: string): MaskQuestions {
  let byDatabase = asked.get(catalog);
  if (byDatabase === undefined) asked.set(catalog, (byDatabase = new Map<string, MaskQuestions>()));
  let questions = byDatabase.get(database);
  if (questions === undefined) byDatabase.set(database, (questions = makeQuestions(catalog, database)));
  return questions;
}

function makeQuestions(catalog: ListedCatalog, database: string): MaskQuestions {
  const accesses: Access[] = [];
  const columns: { relation: Relation; column: string }[] = [];
  const databases = [database];
  for (const relation of catalog.contents.relations) {
    const { schema, name } = relation;
    if (!MASKABLE_KINDS.has(relation.kind) || BUILT_IN_SCHEMAS.has(schema) || schema === MASKS_SCHEMA) continue;
    const full = joinIdentifier(schema, name);
    const relations = [full];
    for (const column of relation.columns) {
      const facts = {
        databases,
        verbs: UNKNOWN,
        relations,
        columns: [`${full}.${joinIdentifier(column)}`],
        unfiltered: UNKNOWN,
      } as const;
      accesses.push({ class: "read", facts });
      columns.push({ relation, column });
    }
  }
  return { accesses, columns };
}

/** What the answers to `questions.accesses` say, one each: the columns with a mask. Throws RangeError on another number of them. */
export function policyMasks(questions: MaskQuestions, answers: readonly (ColumnMask | null)[]): PolicyMasks {
  if (answers.length !== questions.columns.length) throw new RangeError("every column needs an answer");
  const masks = new Map<number, Map<string, ColumnMask>>();
  for (const [index, answer] of answers.entries()) {
    const about = questions.columns[index];
    if (answer === null || about === undefined) continue;
    const known = masks.get(about.relation.oid);
    if (known === undefined) masks.set(about.relation.oid, new Map([[about.column, answer]]));
    else known.set(about.column, answer);
  }
  return masks;
}
