/** Whether a condition keeps every row of what a statement changes: `WHERE true` filters no more than no WHERE at all. */
import { isFields, type Fields } from "../parser.ts";
import { itemsOf, nodesOf, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** Reads a part of the condition. Does it look at the row: is a column of the changed relation in it, wherever? */
export type PartReader = (part: Node) => boolean;

/**
 * True when the condition is missing, or may hold without looking at the row: no column of it stands in there (those of
 * other relations choose no row of this one), each part of an OR or an AND for itself; or it is told by its words alone
 * (`id = id`, `note LIKE '%'`, `id IS NULL OR id IS NOT NULL`). A condition that holds for other reasons is not found out.
 * Every part is read, once.
 */
export function isAlwaysTrue(condition: unknown, looksAtRow: PartReader): boolean {
  if (condition === undefined) return true;
  const node = unwrap(condition);
  const isKnown = node.kind === "BoolExpr" && Object.keys(node.fields).every((field) => BOOLEAN_FIELDS.has(field));
  const operator = isKnown ? textOf(node.fields["boolop"]) : "";
  if (operator === "OR_EXPR" || operator === "AND_EXPR") {
    const parts = nodesOf(node.fields["args"]);
    const verdicts = parts.map((part) => isAlwaysTrue({ [part.kind]: part.fields }, looksAtRow));
    if (operator === "AND_EXPR") return verdicts.every(Boolean);
    return (
      verdicts.some(Boolean) || parts.some((part, at) => parts.slice(at + 1).some((other) => isOther(part, other)))
    );
  }
  return !looksAtRow(node) || comparesWithItself(node);
}

/** Whether any column is named, of whatever relation; where nothing is known of the changed one. */
export function namesColumn(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => namesColumn(item));
  if (!isFields(value)) return false;
  return Object.entries(value).some(([name, field]) => ROW_KINDS.has(name) || namesColumn(field));
}

/** Is it a position in the target itself (WHERE CURRENT OF)? */
export function isCursorPosition({ kind }: Node): boolean {
  return kind === "CurrentOfExpr";
}

const BOOLEAN_FIELDS: ReadonlySet<string> = new Set(["boolop", "args", "location"]);
const ROW_KINDS: ReadonlySet<string> = new Set(["ColumnRef", "CurrentOfExpr"]);

/** Operators that hold between a value and itself. */
const REFLEXIVE: ReadonlySet<string> = new Set(["=", "<=", ">=", "~~", "~~*"]);
const NEGATED: ReadonlyMap<string, string> = new Map([
  ["=", "<>"],
  ["<", ">="],
  [">", "<="],
]);

/** `id = id`, `id IN (1, id)`, `note LIKE '%'`: true of every row, but where it is NULL. */
function comparesWithItself({ kind, fields }: Node): boolean {
  if (kind !== "A_Expr") return false;
  const { lexpr: left, rexpr: right } = fields;
  switch (textOf(fields["kind"])) {
    case "AEXPR_OP":
      return REFLEXIVE.has(operatorOf(fields)) && isSame(left, right);
    case "AEXPR_NOT_DISTINCT":
      return isSame(left, right);
    case "AEXPR_IN":
      return operatorOf(fields) === "=" && partsOf(right).some((item) => isSame(left, item));
    case "AEXPR_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
      return partsOf(right).every((item) => isSame(left, item));
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
      return !operatorOf(fields).startsWith("!") && (isSame(left, right) || isAnything(right));
    default:
      return false;
  }
}

/** One of both holds: `id IS NULL OR id IS NOT NULL`, `a OR NOT a`, `id = 1 OR id <> 1`. */
function isOther(one: Node, other: Node): boolean {
  return isNegation(one, other) || isNegation(other, one);
}

function isNegation(one: Node, other: Node): boolean {
  if (other.kind === "BoolExpr" && textOf(other.fields["boolop"]) === "NOT_EXPR")
    return nodesOf(other.fields["args"]).every((inner) => isSame(inner, one));
  if (one.kind !== other.kind) return false;
  if (one.kind === "NullTest")
    return (
      one.fields["nulltesttype"] !== other.fields["nulltesttype"] && isSame(one.fields["arg"], other.fields["arg"])
    );
  if (one.kind !== "A_Expr" || textOf(one.fields["kind"]) !== "AEXPR_OP") return false;
  const isOpposite =
    textOf(other.fields["kind"]) === "AEXPR_OP" && NEGATED.get(operatorOf(one.fields)) === operatorOf(other.fields);
  return (
    isOpposite &&
    isSame(one.fields["lexpr"], other.fields["lexpr"]) &&
    isSame(one.fields["rexpr"], other.fields["rexpr"])
  );
}

/** The operator by its own name; one of another schema could be anything. */
function operatorOf(fields: Fields): string {
  const names = nodesOf(fields["name"]);
  const [only] = names;
  return names.length === 1 && only ? textOf(only.fields["sval"]) : "";
}

function partsOf(list: unknown): readonly unknown[] {
  if (list === undefined) return [];
  return itemsOf(unwrap(list)).map(({ kind, fields }) => ({ [kind]: fields }));
}

/** The pattern `%`, or several of them. */
function isAnything(value: unknown): boolean {
  if (value === undefined) return false;
  const { kind, fields } = unwrap(value);
  const text = kind === "A_Const" && isFields(fields["sval"]) ? textOf(fields["sval"]["sval"]) : "";
  return text !== "" && text.replaceAll("%", "") === "";
}

/** The same words, wherever they stand. */
function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one))
    return Array.isArray(other) && one.length === other.length && one.every((item, at) => isSame(item, other[at]));
  if (!isFields(one) || !isFields(other)) return one === other;
  const names = Object.keys(one).filter((name) => name !== "location");
  const others = Object.keys(other).filter((name) => name !== "location");
  return names.length === others.length && names.every((name) => isSame(one[name], other[name]));
}
