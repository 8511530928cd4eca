/** Every access that statements on a database can have, as far as single columns go: for comparing two policy sets. */
import type { Access, FactValue } from "../../src/core/operation.ts";
import { READ_WRITE_KINDS } from "./catalog.ts";
import type { DatabaseDetail } from "./catalog-detail.ts";
import { isAmbientRelation } from "./describe/catalog-relations.ts";
import { joinIdentifier } from "./describe/identifier.ts";
import { isSafeFunction } from "./describe/safe-functions.ts";
import { BUILT_IN_SCHEMAS, type KnownRelation } from "./known-names.ts";
import { opaqueAccess } from "./opaque-access.ts";
import { classOf, VERB_CLASSES, type DefinedObject, type Verb } from "./vocabulary.ts";

/** Verbs whose accesses carry the columns that a statement refers to. */
const COLUMN_VERBS: readonly Verb[] = [
  "select",
  "explain",
  "copy to",
  "insert",
  "copy from",
  "select for update",
  "update",
  "delete",
  "merge",
];
/** Those of them that may leave rows out. */
const FILTERED_VERBS: ReadonlySet<Verb> = new Set<Verb>(["update", "delete", "merge"]);

/** Objects that are relations, or parts of one. */
const RELATION_OBJECTS: readonly DefinedObject[] = [
  "table",
  "view",
  "materialized view",
  "foreign table",
  "sequence",
  "index",
  "trigger",
  "policy",
  "rule",
  "statistics",
  "publication",
];
const RELATION_VERBS: readonly Verb[] = [
  "truncate",
  "lock",
  "refresh materialized view",
  "create table as",
  "comment",
  "grant",
  "revoke",
  "security label",
  "vacuum",
  "analyze",
  "cluster",
  "reindex",
  ...RELATION_OBJECTS.flatMap((object): Verb[] => [`create ${object}`, `alter ${object}`, `drop ${object}`]),
];
/** Those of them that may refer to columns: in a key, a condition, a list. */
const DEFINING_COLUMN_VERBS: readonly Verb[] = [
  "create index",
  "create statistics",
  "create publication",
  "create trigger",
  "create policy",
  "create rule",
  "alter table",
  "alter foreign table",
  "alter view",
  "alter materialized view",
  "alter publication",
];
const INDEX_VERBS: readonly Verb[] = ["alter index", "drop index", "reindex", "comment"];
/** What little is worth comparing of relations that come with the server. */
const BUILT_IN_VERBS: readonly Verb[] = ["insert", "update", "delete", "alter table", "grant"];
/** Every table has them, and no list shows them. */
const SYSTEM_COLUMNS = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"] as const;
const FUNCTION_VERBS: readonly Verb[] = ["execute", "call", "function call"];

/**
 * One access for each verb and relation without columns, with each of its columns, and with all of them; one for each
 * function that is not safe; one for each other verb; and one that could not be read. Accesses with other sets of
 * columns are not among them.
 */
export function* possibleAccesses(detail: DatabaseDetail, database: string, connect: Access): Iterable<Access> {
  yield connect;
  const on = (verb: Verb, facts: Readonly<Record<string, FactValue>>): Access => ({
    class: classOf(verb),
    facts: { databases: [database], verbs: [verb], ...facts },
  });
  for (const verb of VERB_CLASSES.keys()) {
    if (!isVerb(verb) || verb === "connect") continue;
    const access = on(verb, {});
    yield access.class === "connect" ? { ...access, ambient: true } : access;
    // What reads no relation (SELECT 1) belongs to every session.
    if (access.class === "read") yield { ...access, ambient: true };
  }
  for (const [schema, relations] of detail.names.relations) {
    for (const [name, relation] of relations) {
      const isBuiltIn = BUILT_IN_SCHEMAS.has(schema);
      for (const access of ofRelation(schema, name, relation, isBuiltIn, on)) yield access;
    }
  }
  for (const [schema, functions] of detail.names.functions) {
    for (const name of functions) {
      if (isSafeFunction(schema, name)) continue;
      const verbs: readonly Verb[] = BUILT_IN_SCHEMAS.has(schema) ? ["execute"] : FUNCTION_VERBS;
      for (const verb of verbs) yield on(verb, { functions: [joinIdentifier(schema, name)] });
    }
  }
  yield opaqueAccess(database);
}

type MakeAccess = (verb: Verb, facts: Readonly<Record<string, FactValue>>) => Access;

function* ofRelation(
  schema: string,
  name: string,
  { kind, columns }: KnownRelation,
  isBuiltIn: boolean,
  on: MakeAccess,
): Iterable<Access> {
  const relations = [joinIdentifier(schema, name)];
  if (kind === "index") {
    if (!isBuiltIn) for (const verb of INDEX_VERBS) yield on(verb, { relations });
    return;
  }
  if (!READ_WRITE_KINDS.has(kind)) return;
  const bare = columns.map(([column]) => column);
  const columnSets = [[], ...bare.map((column) => [column]), ...(bare.length > 1 ? [bare] : [])];
  const factsOf = (set: readonly string[]): Readonly<Record<string, FactValue>> =>
    set.length === 0
      ? { relations }
      : { relations, columns: set.map((column) => joinIdentifier(schema, name, column)) };
  if (isBuiltIn) {
    for (const set of columnSets) {
      const access = on("select", factsOf(set));
      yield isAmbientRelation(relations[0] ?? "", new Set(set)) ? { ...access, ambient: true } : access;
    }
    for (const verb of BUILT_IN_VERBS) yield* filtered(verb, { relations }, on);
    return;
  }
  for (const verb of COLUMN_VERBS) for (const set of columnSets) yield* filtered(verb, factsOf(set), on);
  for (const verb of DEFINING_COLUMN_VERBS) for (const column of bare) yield on(verb, factsOf([column]));
  for (const column of SYSTEM_COLUMNS) yield on("select", factsOf([column]));
  for (const column of bare) {
    const facts = factsOf([column]);
    if (facts["columns"] !== undefined) yield on("select", { ...facts, compared: facts["columns"] });
  }
  // nextval and its like.
  if (kind === "sequence") yield on("update", { relations });
  for (const verb of RELATION_VERBS) {
    yield on(verb, verb === "truncate" ? { relations, unfiltered: true } : { relations });
  }
}

/** With rows left out, and with none, where the verb may be either. */
function* filtered(verb: Verb, facts: Readonly<Record<string, FactValue>>, on: MakeAccess): Iterable<Access> {
  // A MERGE that only inserts leaves out no rows.
  if (!FILTERED_VERBS.has(verb) || verb === "merge") yield on(verb, facts);
  if (FILTERED_VERBS.has(verb)) for (const unfiltered of [false, true]) yield on(verb, { ...facts, unfiltered });
}

function isVerb(text: string): text is Verb {
  return VERB_CLASSES.has(text);
}
