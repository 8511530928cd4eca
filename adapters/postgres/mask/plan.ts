/** What is masked in one database for one session: worked out when the session opens, and the same for all of its life. */
import type { Predicates } from "../../../src/core/obligation.ts";
import type { Comparison } from "./comparison.ts";

/**
 * guarded: masks are computed in views that the database's administrator has prepared, and the session's login has no
 * right to the raw columns. inline: they are computed in the statement itself, and nothing else stands behind it.
 */
export type MaskMode = "guarded" | "inline";

/** A column in a relation that a plan knows. */
export type PlannedColumn = {
  readonly name: string;
  readonly attnum: number;
  /** Computed from others by the server: nobody writes it, and COPY of the relation leaves it out. */
  readonly isGenerated?: true;
  /** Null: shown as it is. */
  readonly mask: {
    /** An SQL expression of the column's type that names nothing: what is shown where the value cannot be computed. */
    readonly constant: string;
    /** An SQL expression over the substitute's source; its type, typmod and collation are the column's. */
    readonly expression: string;
    /** The column of the masking view that would show it, and is not there until the database is prepared again. */
    readonly awaits?: string;
    readonly predicates: Predicates;
    /** Of `predicates: equality`: how it is compared, or why it cannot be, as a part of a sentence. */
    readonly comparison?: Comparison | { readonly because: string };
  } | null;
};

/** A relation with at least one masked column, by policy or because it derives from one; or one that is closed. */
export type MaskedRelation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** All of them but dropped and system ones, in order. */
  readonly columns: readonly PlannedColumn[];
  /** What a substitute selects from, as SQL: the relation itself, or its masking view. */
  readonly source: string;
  /** The same without the relation's children (ONLY); null when there is no such source. */
  readonly sourceOnly: string | null;
  /** In guarded mode, of a table: its own name as SQL. What a masking view cannot show is read there, with no column but those that the login may read. */
  readonly itself?: string;
  /** Some of its rows are not shown: it is substituted wherever it stands in source position. */
  readonly hidesRows?: true;
  /** It came with the server, and only what it shows of other people's values and texts is masked: its rows are no secrets. */
  readonly isServersOwn?: true;
  /** Why no statement may mention it, as a sentence for people; null: it may be mentioned. */
  readonly closedBecause: string | null;
};

/** Immutable; two plans with the same digest are the same. */
export interface MaskingPlan {
  /** Lower-case hex SHA-256 of all that is in it. */
  readonly digest: string;
  readonly mode: MaskMode;
  /** Undefined: nothing of it is masked. */
  relation(schema: string, name: string): MaskedRelation | undefined;
  /** Some masked relation has this name, in whatever schema. */
  hasName(name: string): boolean;
  /** Columns that are shown as they are, whose change may fail by what stands in a masked one. Undefined: there are none. */
  tiedColumns(schema: string, name: string): ReadonlySet<string> | undefined;
  /** A result column that reports this table and attribute number as its origin shows a raw value. */
  isMaskedOrigin(tableOid: number, attnum: number): boolean;
  /** `schema.name` of functions that may be called besides the built-in safe ones. */
  readonly safeFunctions: ReadonlySet<string>;
  readonly listenChannels: ReadonlySet<string>;
  /** What search_path is pinned to, but for the schema of temporary relations, which comes last; null: it is the server's default. */
  readonly searchPath: readonly string[] | null;
}
