/** Whether a condition keeps every row: `WHERE true` filters no more than no WHERE at all. */
import { isFields } from "../parser.ts";
import { nodesOf, textOf, unwrap } from "./tree.ts";

/**
 * True when the condition is missing, or may hold without looking at the row: no column stands in it, or it is an OR
 * with such a part. A condition that looks at columns and holds all the same (`id = id`) is not found out.
 */
export function isAlwaysTrue(condition: unknown): boolean {
  if (condition === undefined) return true;
  const { kind, fields } = unwrap(condition);
  if (kind === "BoolExpr") {
    const parts = nodesOf(fields["args"]).map((node) => ({ [node.kind]: node.fields }));
    return textOf(fields["boolop"]) === "OR_EXPR" ? parts.some(isAlwaysTrue) : parts.every(isAlwaysTrue);
  }
  return !refersToColumn({ [kind]: fields });
}

function refersToColumn(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => refersToColumn(item));
  if (!isFields(value)) return false;
  for (const [name, field] of Object.entries(value)) {
    if (name === "ColumnRef" || name === "CurrentOfExpr") return true;
    if (refersToColumn(field)) return true;
  }
  return false;
}
