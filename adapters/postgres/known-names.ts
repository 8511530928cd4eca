/** The names that a database holds, as plain sets: what a catalog comes to when it is kept in a file. */
import type { RelationKind } from "./catalog.ts";

export type KnownRelation = {
  readonly kind: RelationKind;
  /** In order; each with its type as PostgreSQL writes it, null where that is not kept. */
  readonly columns: readonly (readonly [name: string, type: string | null])[];
};

/** Sets of names by schema. */
export type NamesBySchema = ReadonlyMap<string, ReadonlySet<string>>;

export type KnownNames = {
  readonly relations: ReadonlyMap<string, ReadonlyMap<string, KnownRelation>>;
  readonly functions: NamesBySchema;
  readonly types: NamesBySchema;
};

/** Schemas that come with every server: what is in them is told by the server's version, mostly. */
export const BUILT_IN_SCHEMAS: ReadonlySet<string> = new Set(["information_schema", "pg_catalog", "pg_toast"]);

/** Every relation of these kinds has a type of its own name: that of its rows. */
const KINDS_WITH_ROWS: ReadonlySet<RelationKind> = new Set<RelationKind>([
  "table",
  "partitioned table",
  "foreign table",
  "view",
  "materialized view",
  "composite type",
]);

/**
 * The types of a schema that follow from nothing else, and those that would follow and are not there. What follows: a
 * type for the rows of each relation, and for each type that of its arrays, which is called `_type`.
 */
export function shortenTypes(
  types: ReadonlySet<string>,
  relations: ReadonlyMap<string, KnownRelation>,
): { readonly own: readonly string[]; readonly absent: readonly string[] } {
  const rows = rowTypes(relations);
  const own = new Set<string>();
  // Of a type and that of its arrays, the shorter name is seen first; arrays have no arrays.
  for (const type of [...types].toSorted((a, b) => a.length - b.length)) {
    const element = type.slice(1);
    const isOfArrays = type.startsWith("_") && (rows.has(element) || own.has(element));
    if (!rows.has(type) && !isOfArrays) own.add(type);
  }
  const absent = [...expandTypes(own, [], relations)].filter((type) => !types.has(type));
  return { own: [...own].toSorted(), absent: absent.toSorted() };
}

/** The inverse. */
export function expandTypes(
  own: Iterable<string>,
  absent: Iterable<string>,
  relations: ReadonlyMap<string, KnownRelation>,
): ReadonlySet<string> {
  const elements = [...own, ...rowTypes(relations)];
  const types = new Set([...elements, ...elements.map((type) => `_${type}`)]);
  for (const type of absent) types.delete(type);
  return types;
}

function rowTypes(relations: ReadonlyMap<string, KnownRelation>): ReadonlySet<string> {
  return new Set([...relations].filter(([, { kind }]) => KINDS_WITH_ROWS.has(kind)).map(([name]) => name));
}

const NO_RELATIONS: ReadonlyMap<string, KnownRelation> = new Map();
const NO_NAMES: ReadonlySet<string> = new Set();

export function relationsIn(names: KnownNames, schema: string): ReadonlyMap<string, KnownRelation> {
  return names.relations.get(schema) ?? NO_RELATIONS;
}

export function namesIn(names: NamesBySchema, schema: string): ReadonlySet<string> {
  return names.get(schema) ?? NO_NAMES;
}

/** Turns a look-up from name to schemas around. */
export function bySchema(schemasOf: ReadonlyMap<string, readonly string[]>): NamesBySchema {
  const result = new Map<string, Set<string>>();
  for (const [name, schemas] of schemasOf) for (const schema of schemas) add(result, schema, name);
  return result;
}

/** And back. */
export function byName(names: NamesBySchema): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>();
  for (const [schema, members] of names) {
    for (const name of members) {
      const known = result.get(name);
      if (known === undefined) result.set(name, [schema]);
      else known.push(schema);
    }
  }
  return result;
}

function add(sets: Map<string, Set<string>>, key: string, name: string): void {
  const known = sets.get(key);
  if (known === undefined) sets.set(key, new Set([name]));
  else known.add(name);
}
