/** The parser's kinds of database objects, in the words of the verbs. */
import type { AdministeredObject, DefinedObject } from "../vocabulary.ts";

export type ObjectKind = DefinedObject | AdministeredObject;

const OBJECT_KINDS: Readonly<Record<string, ObjectKind>> = {
  OBJECT_ACCESS_METHOD: "access method",
  OBJECT_AGGREGATE: "aggregate",
  OBJECT_AMOP: "operator family",
  OBJECT_AMPROC: "operator family",
  OBJECT_ATTRIBUTE: "type",
  OBJECT_CAST: "cast",
  OBJECT_COLUMN: "table",
  OBJECT_COLLATION: "collation",
  OBJECT_CONVERSION: "conversion",
  OBJECT_DATABASE: "database",
  OBJECT_DOMAIN: "domain",
  OBJECT_DOMCONSTRAINT: "domain",
  OBJECT_EVENT_TRIGGER: "event trigger",
  OBJECT_EXTENSION: "extension",
  OBJECT_FDW: "foreign data wrapper",
  OBJECT_FOREIGN_SERVER: "server",
  OBJECT_FOREIGN_TABLE: "foreign table",
  OBJECT_FUNCTION: "function",
  OBJECT_INDEX: "index",
  OBJECT_LANGUAGE: "language",
  OBJECT_LARGEOBJECT: "large object",
  OBJECT_MATVIEW: "materialized view",
  OBJECT_OPCLASS: "operator class",
  OBJECT_OPERATOR: "operator",
  OBJECT_OPFAMILY: "operator family",
  OBJECT_POLICY: "policy",
  OBJECT_PROCEDURE: "procedure",
  OBJECT_PUBLICATION: "publication",
  OBJECT_ROLE: "role",
  OBJECT_ROUTINE: "routine",
  OBJECT_RULE: "rule",
  OBJECT_SCHEMA: "schema",
  OBJECT_SEQUENCE: "sequence",
  OBJECT_STATISTIC_EXT: "statistics",
  OBJECT_SUBSCRIPTION: "subscription",
  OBJECT_TABCONSTRAINT: "table",
  OBJECT_TABLE: "table",
  OBJECT_TABLESPACE: "tablespace",
  OBJECT_TRANSFORM: "transform",
  OBJECT_TRIGGER: "trigger",
  OBJECT_TSCONFIGURATION: "text search configuration",
  OBJECT_TSDICTIONARY: "text search dictionary",
  OBJECT_TSPARSER: "text search parser",
  OBJECT_TSTEMPLATE: "text search template",
  OBJECT_TYPE: "type",
  OBJECT_USER_MAPPING: "user mapping",
  OBJECT_VIEW: "view",
};

/** Undefined for what no statement can name. */
export function objectKind(objectType: string): ObjectKind | undefined {
  return Object.hasOwn(OBJECT_KINDS, objectType) ? OBJECT_KINDS[objectType] : undefined;
}

/** Objects that share the namespace of tables: their names are relations. */
const RELATION_KINDS: ReadonlySet<ObjectKind> = new Set<ObjectKind>([
  "foreign table",
  "index",
  "materialized view",
  "sequence",
  "table",
  "view",
]);

export function isRelationKind(kind: ObjectKind): boolean {
  return RELATION_KINDS.has(kind);
}

/** Objects that belong to a table, whose name comes before theirs. */
const TABLE_PARTS: ReadonlySet<ObjectKind> = new Set<ObjectKind>(["policy", "rule", "trigger"]);

export function isTablePart(kind: ObjectKind): boolean {
  return TABLE_PARTS.has(kind);
}
