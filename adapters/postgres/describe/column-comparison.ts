/** Finds conditions of the form `column = $n`, the one in which policy may let a masked column be looked at. */
import type { Fields } from "../parser.ts";
import { checkFields } from "./expression.ts";
import type { SourceReference } from "./references.ts";
import type { Level, Source } from "./scope.ts";
import { nameOf, namesOf, nodesOf, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** A column of a masked relation, compared with a parameter. */
export type ColumnComparison = {
  readonly source: SourceReference;
  /** The relation's own name for it. */
  readonly column: string;
  readonly parameter: number;
  /** The ColumnRef. */
  readonly name: Fields;
  /** As it is written. */
  readonly operator: readonly string[];
};

/** The parts of a condition that must all hold. */
export function conjunctsOf(condition: unknown): readonly Node[] {
  const parts: Node[] = [];
  const left = [unwrap(condition)];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    if (isConjunction(node)) left.push(...nodesOf(node.fields["args"]).toReversed());
    else parts.push(node);
  }
  return parts;
}

function isConjunction({ kind, fields }: Node): boolean {
  if (kind !== "BoolExpr" || textOf(fields["boolop"]) !== "AND_EXPR") return false;
  return Object.keys(fields).every((field) => CONJUNCTION_FIELDS.has(field));
}

const CONJUNCTION_FIELDS: ReadonlySet<string> = new Set(["boolop", "args", "location"]);

/** Null: it is another condition, or it cannot be told which column it means. */
export function columnComparison({ kind, fields }: Node, { sources }: Level): ColumnComparison | null {
  if (kind !== "A_Expr" || textOf(fields["kind"]) !== "AEXPR_OP") return null;
  const operator = namesOf(fields["name"]);
  const isEquality = operator.at(-1) === "=" && (operator.length === 1 || operator.join(".") === "pg_catalog.=");
  const { lexpr, rexpr } = fields;
  if (!isEquality || lexpr === undefined || rexpr === undefined) return null;
  checkFields(kind, fields);
  const [left, right] = [unwrap(lexpr), unwrap(rexpr)];
  const isReversed = left.kind === "ParamRef";
  const [column, parameter] = isReversed ? [right, left] : [left, right];
  if (column.kind !== "ColumnRef" || parameter.kind !== "ParamRef") return null;
  const { number } = parameter.fields;
  const meant = columnOf(column.fields, sources);
  if (typeof number !== "number" || number < 1 || meant === null) return null;
  return { ...meant, parameter: number, name: column.fields, operator };
}

/** The one column at this level that a name means; null: none that is masked, or more than one that it may mean. */
function columnOf(
  name: Fields,
  sources: readonly Source[],
): { readonly source: SourceReference; readonly column: string } | null {
  const parts = nodesOf(name["fields"]);
  if (parts.length > 3 || parts.some(({ kind }) => kind !== "String")) return null;
  const names = parts.map(nameOf);
  const [own, sourceName = null, schema = null] = names.toReversed();
  if (own === undefined) return null;
  const inSight =
    sourceName === null
      ? sources.filter((source) => !source.onlyQualified && (source.isOpen || source.columns.has(own)))
      : sources.filter((source) => source.name === sourceName && (schema === null || source.schema === schema));
  const [source, ...others] = inSight;
  const reference = source?.reference ?? null;
  if (source === undefined || reference === null || others.length > 0) return null;
  const [base, ...more] = source.columns.get(own) ?? [];
  if (base === undefined || more.length > 0 || base.use !== reference.use) return null;
  return { source: reference, column: base.column };
}
