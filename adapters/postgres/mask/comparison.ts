/** Which masked columns can be compared with a parameter (`predicates: equality`), by what, and how often. */
import type { Meter } from "../../../src/core/obligation.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import type { TypeFacts } from "./facts.ts";

/** How a masked column is compared. */
export type Comparison = {
  /** Oids of the types that a client may declare for the parameter; one that declares none lets the server find it. */
  readonly types: readonly number[];
  /** The functions of guarded mode as SQL spells them, with and without the relation's children; null: inline. */
  readonly functions: { readonly whole: string; readonly only: string } | null;
};

/** A comparison in a statement: one execution of it is one guess. */
export type Compared = {
  /** As policy names the column: `schema.relation.column`. */
  readonly column: string;
  /** Of `$1`, 1. */
  readonly parameter: number;
  readonly types: readonly number[];
};

type ComparedType = {
  /** Of the parameter. Values of some types are compared as another's, and the server would find that one too. */
  readonly sql: string;
  /** The types whose values the server makes one of it without a loss and by itself. */
  readonly from: readonly number[];
};

const typed = (name: string, ...from: readonly number[]): ComparedType => ({ sql: `pg_catalog.${name}`, from });

/**
 * Types of pg_catalog (src/include/catalog/pg_type.dat) that have an `=` of their own there which fails for no two values
 * and that people look things up by.
 */
const COMPARED_TYPES: ReadonlyMap<number, ComparedType> = new Map([
  [16, typed("bool", 16)],
  [17, typed("bytea", 17)],
  [18, typed('"char"', 18)],
  [19, typed("name", 19)],
  [20, typed("int8", 20, 21, 23)],
  [21, typed("int2", 21)],
  [23, typed("int4", 21, 23)],
  [25, typed("text", 25, 1043)],
  [26, typed("oid", 26)],
  [700, typed("float4", 700)],
  [701, typed("float8", 700, 701)],
  [790, typed("money", 790)],
  [1042, typed("bpchar", 1042)],
  [1043, typed("text", 25, 1043)],
  [1082, typed("date", 1082)],
  [1083, typed("time", 1083)],
  [1114, typed("timestamp", 1114)],
  [1184, typed("timestamptz", 1184)],
  [1186, typed("interval", 1186)],
  [1266, typed("timetz", 1266)],
  [1700, typed("numeric", 20, 21, 23, 1700)],
  [2950, typed("uuid", 2950)],
]);

/** The parameter that values of a type can be compared with; a domain's own functions might run, and others are not known. */
export function comparedType({ oid, sql, shape, domain }: TypeFacts): ComparedType | null {
  if (domain !== null) return null;
  return COMPARED_TYPES.get(oid) ?? (shape.kind === "enum" ? { sql, from: [oid] } : null);
}

/** What a substitute selects from where its relation is compared: only the rows that have the parameter's value. */
export function comparedSource(
  { functions }: Comparison,
  source: string,
  column: string,
  parameter: number,
  isOnly: boolean,
): string {
  if (functions !== null) return `${isOnly ? functions.only : functions.whole}($${parameter}) AS compared`;
  return `${source} WHERE ${isValue(column, parameter)}`;
}

/** Whatever the search_path: it is the server's own operator. */
export function isValue(column: string, parameter: number): string {
  return `${quoteIdentifier(column)} OPERATOR(pg_catalog.=) $${parameter}`;
}

/** A function of guarded mode, as SQL calls it. */
export function comparisonFunction(name: string): string {
  return quoteQualified(MASKS_SCHEMA, name);
}

/** How many values one who asks, with all that is theirs, may try on one column: as many as somebody looks up by hand. */
const COMPARISONS_A_MINUTE_MAX = 20;
const COMPARISONS_A_DAY_MAX = 200;
const RATES = [
  { max: COMPARISONS_A_MINUTE_MAX, per: { kind: "sliding", ms: 60_000 } },
  { max: COMPARISONS_A_DAY_MAX, per: { kind: "day", timeZone: "UTC" } },
] as const satisfies readonly Pick<Meter, "max" | "per">[];

/** What holds for each execution of a statement that compares, whatever policy says. */
export function comparisonMeters(target: string, database: string, { column }: Compared): readonly Meter[] {
  return RATES.map(({ max, per }) => ({
    id: `equality ${JSON.stringify([target, database, column])} ${per.kind}`,
    rule: null,
    calls: `comparisons with the masked column ${column}`,
    unit: "calls",
    max,
    per,
    across: "owner",
  }));
}
