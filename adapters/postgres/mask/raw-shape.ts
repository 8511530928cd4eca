/** Which rows of which relations stand behind what a statement shows masked, if its result can say that by their keys. */
import type { References } from "../describe/references.ts";
import { nodesOf, textOf, type Node } from "../describe/tree.ts";
import { isFields } from "../parser.ts";
import type { MaskedRelation } from "./plan.ts";

/** A masked relation with the masked columns that a statement names of it. */
export type MaskedRead = { readonly relation: MaskedRelation; readonly columns: readonly string[] };

export type RawSource = MaskedRead & {
  /** Without its children. */
  readonly isOnly: boolean;
};

export type RawShape =
  | { readonly kind: "nothing" }
  /** Each row shows at most one row of each of these, whose key tells which, if the result has it. */
  | { readonly kind: "keys"; readonly sources: readonly RawSource[] }
  /** As the end of "it cannot be told which rows it shows: ". */
  | { readonly kind: "refused"; readonly because: string };

export const SHOWS_NOTHING_MASKED: RawShape = Object.freeze({ kind: "nothing" });

/**
 * Only what a query joins at its own level comes with exactly one row, or none, for each row of the result: in a
 * subquery, under a GROUP BY, or behind a window function a value may come from any number of others.
 */
export function rawShape(statement: Node, references: References, reads: readonly MaskedRead[]): RawShape {
  if (references.showsOther) return refused("EXECUTE and FETCH show rows of another statement");
  if (references.showsConstants) return refused("RETURNING shows rows that nobody else can read yet");
  if (reads.length === 0) return SHOWS_NOTHING_MASKED;
  if (references.comparisons.length > 0)
    return refused("the rows that a comparison with a masked value finds are not read a second time");
  const { kind, fields } = statement;
  // What it keeps for later is looked at when that is run.
  if (kind !== "SelectStmt") return refused("only those of a SELECT can be told");
  if (textOf(fields["op"]) !== "SETOP_NONE") return refused("the rows of UNION, INTERSECT and EXCEPT have no key");
  if (fields["groupClause"] !== undefined || fields["havingClause"] !== undefined) return refused("it groups rows");
  if (hasWindow(fields)) return refused("a window function shows values of other rows");
  const places = new Set<number>();
  for (const node of nodesOf(fields["fromClause"]))
    if (!addPlaces(node, places)) return refused("a LATERAL subquery may leave out a key whose row is shown");
  const sources: RawSource[] = [];
  for (const { relation, columns } of reads) {
    const name = `${relation.schema}.${relation.name}`;
    const [source, ...others] = references.sources.filter((each) => each.relation === relation);
    if (source === undefined) return refused(`"${name}" is not read in its FROM`);
    if (others.length > 0) return refused(`it reads "${name}" more than once`);
    if (!places.has(source.at)) return refused(`it reads "${name}" in a subquery`);
    sources.push({ relation, columns, isOnly: source.isOnly });
  }
  return { kind: "keys", sources };
}

function refused(because: string): RawShape {
  return { kind: "refused", because };
}

/** Where relations stand that are joined at this level. False: their keys may be NULL though their rows are there. */
function addPlaces({ kind, fields }: Node, places: Set<number>): boolean {
  if (kind === "JoinExpr") return nodesOf([fields["larg"], fields["rarg"]]).every((node) => addPlaces(node, places));
  if (kind === "RangeSubselect") return fields["lateral"] !== true;
  const at = fields["location"] ?? 0;
  if (kind === "RangeVar" && typeof at === "number") places.add(at);
  return true;
}

/** Anywhere in the statement: a window function in a subquery of its own is refused too. */
function hasWindow(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasWindow);
  if (!isFields(value)) return false;
  return isFields(value["over"]) || Object.values(value).some(hasWindow);
}
