/** SQL that is put into a statement: checked to be one thing and no more, and read into the nodes that it stands for. */
import { isFields } from "../parser.ts";
import type { ParseResult } from "../parser.ts";
import { SqlLexer } from "./sql-lexer.ts";

export type Parse = (text: string) => ParseResult;

/** What an edit puts in: a subquery for a relation, with its TABLESAMPLE or without, a query for COPY, an expression for a column or a call, a list of targets, a list of string constants. */
export type FragmentKind = "relation" | "sample" | "copy" | "column" | "call" | "targets" | "constant";

export type Fragment = {
  /** Whatever follows it cannot become a part of a comment of its own. */
  readonly text: string;
  /** What it parses to, wrapped: the one subquery, query or expression; or the targets or constants. */
  readonly nodes: readonly unknown[];
};

/** Substitutes are the same for all statements of a session; these bounds hold some 30 MiB of trees at most. */
const FRAGMENTS_MAX = 512;
const CHARACTERS_MAX = 512 * 1024;

const encoder = new TextEncoder();

/** Fragments by text, for one grammar. */
export class Fragments {
  readonly #parse: Parse;
  readonly #known: Readonly<Record<FragmentKind, Map<string, Fragment>>> = {
    relation: new Map(),
    sample: new Map(),
    copy: new Map(),
    column: new Map(),
    call: new Map(),
    targets: new Map(),
    constant: new Map(),
  };
  #count = 0;
  #characters = 0;

  constructor(parse: Parse) {
    this.#parse = parse;
  }

  /** Null: the text is not one fragment of this kind. */
  read(kind: FragmentKind, text: string): Fragment | null {
    const known = this.#known[kind].get(text);
    if (known !== undefined) return known;
    const fragment = this.#readNew(kind, text);
    if (fragment !== null) this.#keep(kind, text, fragment);
    return fragment;
  }

  #readNew(kind: FragmentKind, text: string): Fragment | null {
    const closed = endsInLineComment(text) ? `${text}\n` : text;
    const parsed = this.#parse(inStatement(kind, closed));
    if (parsed.kind !== "statements" || parsed.statements.length !== 1) return null;
    const [statement] = parsed.statements;
    if (statement?.kind !== (kind === "copy" ? "CopyStmt" : "SelectStmt")) return null;
    const nodes = nodesOf(kind, statement.node);
    return nodes === null ? null : { text: closed, nodes };
  }

  /** When it is full it begins anew: the fragments in use are read again, once each. */
  #keep(kind: FragmentKind, text: string, fragment: Fragment): void {
    if (this.#count >= FRAGMENTS_MAX || this.#characters + text.length > CHARACTERS_MAX) {
      for (const map of Object.values(this.#known)) map.clear();
      this.#count = 0;
      this.#characters = 0;
    }
    this.#known[kind].set(text, fragment);
    this.#count++;
    this.#characters += text.length;
  }
}

function inStatement(kind: FragmentKind, text: string): string {
  if (kind === "relation" || kind === "sample") return `SELECT * FROM (${text}) AS x`;
  if (kind === "copy") return `COPY (${text}) TO STDOUT`;
  if (kind === "column" || kind === "call") return `SELECT (${text})`;
  return `SELECT ${text}`;
}

function nodesOf(kind: FragmentKind, node: unknown): readonly unknown[] | null {
  if (kind === "copy") {
    const query = onlyField(node, "query", []);
    return query === undefined ? null : [query];
  }
  const selects = ["limitOption", "op"];
  if (kind === "relation" || kind === "sample") {
    const from = onlyItem(onlyField(node, "fromClause", [...selects, "targetList"]));
    const subquery = onlyField(onlyField(from, "RangeSubselect", []), "subquery", ["alias"]);
    return subquery === undefined ? null : [subquery];
  }
  const targets = onlyField(node, "targetList", selects);
  if (kind === "targets") return isList(targets) ? targets : null;
  if (kind === "constant") {
    const constants = isList(targets) ? targets.map(valueOf) : [];
    return constants.length > 0 && constants.every(isText) ? constants : null;
  }
  const value = valueOf(onlyItem(targets));
  return value === undefined ? null : [value];
}

/** What an item of a select list shows that has no label. */
function valueOf(target: unknown): unknown {
  return onlyField(onlyField(target, "ResTarget", []), "val", ["location"]);
}

function isText(value: unknown): boolean {
  return isFields(onlyField(onlyField(value, "A_Const", []), "sval", ["location"]));
}

/** The field of a node that has no others besides these. */
function onlyField(node: unknown, name: string, besides: readonly string[]): unknown {
  if (!isFields(node)) return undefined;
  for (const key in node) if (key !== name && !besides.includes(key)) return undefined;
  return node[name];
}

function onlyItem(list: unknown): unknown {
  return isList(list) && list.length === 1 ? list[0] : undefined;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function endsInLineComment(text: string): boolean {
  const bytes = encoder.encode(text);
  const lexer = new SqlLexer(bytes);
  for (lexer.next(); lexer.kind !== "end"; lexer.next()) {
    if (lexer.kind === "comment" && lexer.end === bytes.length && bytes[lexer.start] === 0x2d) return true;
  }
  return false;
}
