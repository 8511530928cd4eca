/** What a target's database holds, as far as names need it: relations with columns, functions, operators, types. */

export type RelationKind =
  | "table"
  | "partitioned table"
  | "foreign table"
  | "view"
  | "materialized view"
  | "sequence"
  | "index"
  | "composite type";

/** Kinds that statements read and write, and that policy can name; an index and a composite type are only defined. */
export const READ_WRITE_KINDS: ReadonlySet<RelationKind> = new Set<RelationKind>([
  "table",
  "partitioned table",
  "foreign table",
  "view",
  "materialized view",
  "sequence",
]);

export type Relation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  /** In order of attnum, dropped ones left out; system columns (ctid, xmin, ...) are not listed; none for indexes. */
  readonly columns: readonly string[];
};

export type FunctionName = { readonly schema: string; readonly name: string };

/** One immutable picture of a target's catalog. A change makes another picture with another digest. */
export interface Catalog {
  /** Lower-case hex SHA-256 of what is in it: equal pictures have equal digests. */
  readonly digest: string;
  /** `server_version_num`, e.g. 150018. */
  readonly serverVersion: number;
  hasSchema(schema: string): boolean;
  relation(schema: string, name: string): Relation | undefined;
  /** The schemas that hold at least one function, aggregate or procedure of this name; empty when there is none. */
  functionSchemas(name: string): readonly string[];
  functionByOid(oid: number): FunctionName | undefined;
  /** Operators of this symbol outside pg_catalog, each with its schema and the function behind it. */
  userOperators(symbol: string): readonly { readonly schema: string; readonly function: FunctionName }[];
  /** The schemas that hold a type of this name. */
  typeSchemas(name: string): readonly string[];
  /** Functions outside pg_catalog that a cast to this type, or reading its text form, may call; empty for types of pg_catalog. */
  typeFunctions(schema: string, name: string): readonly FunctionName[];
  /** The same by oid; null: there is no such type, as far as is known. */
  typeFunctionsByOid(oid: number): readonly FunctionName[] | null;
}
