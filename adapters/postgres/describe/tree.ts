/** Reading the parser's tree: wrapped nodes, lists of names, and the error of whoever meets what it does not know. */
import { isFields } from "../parser.ts";
import type { Fields } from "../parser.ts";

/** A part of a statement that is not known; the statement is then opaque. The message names kinds, never literals. */
export class NotUnderstood extends Error {
  override readonly name = "NotUnderstood";
}

/** A node with its kind: `{"ColumnRef": {...}}` in the tree. */
export type Node = { readonly kind: string; readonly fields: Fields };

/** Unwraps one node; throws on anything else. */
export function unwrap(value: unknown): Node {
  if (isFields(value)) {
    // The wrapper has one field: its name is the kind.
    let kind: string | null = null;
    let count = 0;
    for (const name in value) {
      kind = name;
      count++;
    }
    const fields = kind === null ? undefined : value[kind];
    if (kind !== null && count === 1 && isFields(fields)) return { kind, fields };
  }
  throw new NotUnderstood("the parse tree holds something that is no node");
}

const NONE: readonly never[] = [];

/** A list of wrapped nodes; a field that is left out is empty. */
export function nodesOf(value: unknown): readonly Node[] {
  return value === undefined ? NONE : listOf(value).map(unwrap);
}

/** A list of anything; a field that is left out is empty. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return NONE;
  if (!Array.isArray(value)) throw new NotUnderstood("the parse tree holds no list where one is expected");
  return value;
}

/** A field that holds a bare node; null when it is left out. */
export function bareOf(value: unknown): Fields | null {
  if (value === undefined) return null;
  if (!isFields(value)) throw new NotUnderstood("the parse tree holds no node where one is expected");
  return value;
}

/** A text field; empty when it is left out. */
export function textOf(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "string") throw new NotUnderstood("the parse tree holds no text where one is expected");
  return value;
}

/** A String node's text. */
export function nameOf(node: Node): string {
  if (node.kind !== "String") throw new NotUnderstood(`a name is a ${node.kind}`);
  return textOf(node.fields["sval"]);
}

/** A list of String nodes: a possibly qualified name, or a list of column names. */
export function namesOf(value: unknown): string[] {
  return nodesOf(value).map(nameOf);
}

/** The items of a List node. */
export function itemsOf(node: Node): readonly Node[] {
  return nodesOf(node.fields["items"]);
}

/** The names of `name = value` options, with their arguments. */
export function optionsOf(value: unknown): { readonly name: string; readonly argument: Node | null }[] {
  return nodesOf(value).map((node) => {
    if (node.kind !== "DefElem") throw new NotUnderstood(`an option is a ${node.kind}`);
    const argument = node.fields["arg"];
    return { name: textOf(node.fields["defname"]), argument: argument === undefined ? null : unwrap(argument) };
  });
}

/** An option's value as text, as far as it is a plain word, string or number; null when it is something else. */
export function optionText({ kind, fields }: Node): string | null {
  if (kind === "String") return textOf(fields["sval"]);
  if (kind === "Integer") return numberText(fields["ival"]);
  if (kind === "Float") return textOf(fields["fval"]);
  if (kind === "Boolean") return fields["boolval"] === true ? "true" : "false";
  if (kind === "A_Const") {
    if (fields["isnull"] === true) return null;
    const sval = bareOf(fields["sval"]);
    if (sval) return textOf(sval["sval"]);
    const ival = bareOf(fields["ival"]);
    if (ival) return numberText(ival["ival"]);
    const fval = bareOf(fields["fval"]);
    if (fval) return textOf(fval["fval"]);
    const boolval = bareOf(fields["boolval"]);
    if (boolval) return boolval["boolval"] === true ? "true" : "false";
  }
  if (kind === "TypeName") return namesOf(fields["names"]).at(-1) ?? null;
  return null;
}

/** Zero is left out of the tree. */
function numberText(value: unknown): string {
  return typeof value === "number" ? String(value) : "0";
}

/** A place in a list that holds nothing: DISTINCT without ON, the missing bound of a slice. */
export function isGap(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length === 0;
}
