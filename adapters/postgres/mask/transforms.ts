/** How a masked column looks: for each transform and type a constant, an expression over the raw column, and a view's column. */
import type { MaskTransform } from "../../../src/core/obligation.ts";
import type { ColumnFacts, TypeFacts, TypeShape } from "./facts.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteIdentifier, quoteQualified, quoteText } from "../quote.ts";
import { variantColumnName } from "./view-names.ts";

/** What stands for characters that are left out; its length tells nothing of theirs. */
const STARS = "'***'::pg_catalog.text";
const CONCAT = "OPERATOR(pg_catalog.||)";

/** The literals of `redact`, read by the type's own input function. Types without one are NULL. */
const LITERALS: Partial<Record<TypeShape["kind"], string>> = {
  text: "***",
  number: "0",
  boolean: "false",
  date: "1970-01-01 00:00:00+00",
  time: "00:00:00+00",
  interval: "0",
  uuid: "00000000-0000-0000-0000-000000000000",
  json: '"***"',
  bytes: "",
  array: "{}",
};

/** The literal of a type; null: only NULL is known to be a value of it. */
export function redactLiteral(shape: TypeShape): string | null {
  return shape.kind === "enum" ? shape.firstLabel : (LITERALS[shape.kind] ?? null);
}

/**
 * What a masked column shows where no value is computed: an expression of the column's type, typmod and collation that
 * names nothing. A domain that refuses the constant shows NULL, and the other way round; null: it takes neither.
 */
export function maskConstant(transform: MaskTransform, column: ColumnFacts): string | null {
  const { shape, domain } = column.type;
  const literal = redactLiteral(shape);
  const constant = literal !== null && domain?.acceptsConstant !== false ? cast(quoteText(literal), column) : null;
  const absent = domain?.acceptsNull === false ? null : cast("NULL", column);
  return transform.with === "null" ? (absent ?? constant) : (constant ?? absent);
}

/** What `transform` comes to for a column of this type: partial and hash only where the text is the type's own to read. */
export function effectiveTransform(transform: MaskTransform, type: TypeFacts): MaskTransform {
  // A value made of the raw one might break the domain's check, and the error would tell something about it.
  if (type.domain?.isConstrained === true) return transform.with === "null" ? transform : { with: "redact" };
  if (transform.with === "partial") return type.shape.kind === "text" ? transform : { with: "redact" };
  if (transform.with !== "hash") return transform;
  return type.shape.kind === "text" || type.shape.kind === "uuid" ? transform : { with: "redact" };
}

/** The mask over the raw column, in the relation's own scope; a hash has no key there and is redacted. Null as maskConstant(). */
export function inlineExpression(transform: MaskTransform, column: ColumnFacts): string | null {
  const effective = effectiveTransform(transform, column.type);
  if (effective.with === "partial") return partial(effective, column);
  return maskConstant(effective.with === "hash" ? { with: "redact" } : effective, column);
}

/** A column that a masking view has beside the relation's own. */
export type ViewColumn = { readonly name: string; readonly expression: string };

/**
 * The column of a masking view that shows `column` as hash or partial; null when the transform is a constant for this
 * type, and needs none. `own` are the names of the relation's own columns, which it must not take.
 */
export function viewColumn(transform: MaskTransform, column: ColumnFacts, own: Iterable<string>): ViewColumn | null {
  const effective = effectiveTransform(transform, column.type);
  const name = variantColumnName(effective, column.name, own);
  if (name === null) return null;
  if (effective.with === "partial") return { name, expression: partial(effective, column) };
  return { name, expression: keyedHash(column) };
}

function partial({ keepFirst, keepLast }: Extract<MaskTransform, { with: "partial" }>, column: ColumnFacts): string {
  const value = asText(column);
  const shown = [
    `pg_catalog.left(${value}, ${keepFirst})`,
    STARS,
    ...(keepLast > 0 ? [`pg_catalog.right(${value}, ${keepLast})`] : []),
  ].join(` ${CONCAT} `);
  const isLonger = `pg_catalog.length(${value}) OPERATOR(pg_catalog.>) ${keepFirst + keepLast}`;
  return cast(`CASE WHEN ${value} IS NULL THEN NULL WHEN ${isLonger} THEN ${shown} ELSE ${STARS} END`, column);
}

/** HMAC-like: without the key nobody can try values, and the key stands only where the views' owner may read it. */
function keyedHash(column: ColumnFacts): string {
  const key = `(SELECT weir_key.k FROM ${quoteQualified(MASKS_SCHEMA, "hash_key")} AS weir_key)`;
  // In the database's own encoding no conversion can fail, and tell what it failed on.
  const bytes = `pg_catalog.convert_to(${asText(column)}, pg_catalog.getdatabaseencoding())`;
  const inner = `pg_catalog.sha256(${key} ${CONCAT} ${bytes})`;
  const digest = `pg_catalog.encode(pg_catalog.sha256(${key} ${CONCAT} ${inner}), 'hex'::pg_catalog.text)`;
  return cast(column.type.shape.kind === "uuid" ? `pg_catalog.left(${digest}, 32)` : digest, column);
}

function asText(column: ColumnFacts): string {
  return `CAST(${quoteIdentifier(column.name)} AS pg_catalog.text)`;
}

function cast(expression: string, { type, collation }: ColumnFacts): string {
  const value = `CAST(${expression} AS ${type.sql})`;
  return collation === null ? value : `(${value} COLLATE ${collation})`;
}
