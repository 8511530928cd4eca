/** Puts fragments into a statement at the places the parser gave, and proves with the parser that nothing else changed. */
import { isFields } from "../parser.ts";
import type { Fields, ParsedStatement } from "../parser.ts";
import { Fragments } from "./fragment.ts";
import type { Fragment, FragmentKind, Parse } from "./fragment.ts";
import { findMeant, isIntended, sampledRelation } from "./intended-tree.ts";
import type { Meant } from "./intended-tree.ts";
import { positionsOf } from "./positions.ts";
import type { Positions, ReplacedPart } from "./positions.ts";
import { TokenCursor } from "./token-cursor.ts";

/** `at` counts UTF-8 bytes of the text from 0: the location of the node in the parse tree. */
export type Edit =
  /** A RangeVar in source position: its name (with ONLY and `*` around it, TABLE before it) becomes this query in parentheses, keeping or adding its alias. */
  | { readonly kind: "relation"; readonly at: number; readonly subquery: string }
  /** The same of a relation with TABLESAMPLE, which goes with it; the query has its own. */
  | { readonly kind: "sample"; readonly at: number; readonly subquery: string }
  /** The relation of `COPY rel [(columns)] TO`: becomes COPY (query). */
  | { readonly kind: "copy"; readonly at: number; readonly query: string }
  /** A ColumnRef becomes another expression, in parentheses. */
  | { readonly kind: "column"; readonly at: number; readonly expression: string }
  /** A call of a function becomes another expression, in parentheses, arguments and all. */
  | { readonly kind: "call"; readonly at: number; readonly expression: string }
  /** A ResTarget whose value is the ColumnRef (column or star) at this byte becomes this list of targets; its label goes too. */
  | { readonly kind: "targets"; readonly at: number; readonly targets: string }
  /** A string constant, or a word that stands for one, becomes this list of constants. */
  | { readonly kind: "constant"; readonly at: number; readonly constants: string };

export type Spliced = { readonly text: string; readonly positions: Positions };
type NotSpliced = { readonly because: string };

/** Bytes of the text that become others. */
type Cut = { readonly start: number; readonly end: number; readonly text: string };

const encoder = new TextEncoder();
/** A byte order mark is a character like others. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const fragmentsByParse = new WeakMap<Parse, Fragments>();

/**
 * Never throws; a reason as a sentence when anything is not exactly as intended. `statements` is the parse of `text`,
 * and `parse` the same function for each call with the same grammar: what fragments parse to is kept with it.
 */
export function splice(
  text: string,
  statements: readonly ParsedStatement[],
  edits: readonly Edit[],
  parse: Parse,
): Spliced | NotSpliced {
  if (edits.length === 0) return { text, positions: positionsOf([], charactersOf(text)) };
  try {
    return new Splicing(text, statements, parse).result(edits);
  } catch (error) {
    if (error instanceof Refused) return { because: error.message };
    // A tree that is deeper than the stack.
    if (error instanceof RangeError) return { because: "the statement is nested too deeply to be rewritten" };
    return { because: "the statement cannot be rewritten" };
  }
}

/** What people call what an edit replaces and what it puts in. */
const NOUNS: Readonly<Record<FragmentKind, string>> = {
  relation: "relation",
  sample: "relation with TABLESAMPLE",
  copy: "relation of COPY",
  column: "column",
  call: "call",
  targets: "target",
  constant: "constant",
};

/** Ends a splice; the message is a sentence for people. */
class Refused extends Error {
  override readonly name = "Refused";
}

class Splicing {
  readonly #text: string;
  readonly #bytes: Uint8Array;
  readonly #statements: readonly ParsedStatement[];
  readonly #parse: Parse;
  readonly #cursor: TokenCursor;
  readonly #replacements = new Map<object, readonly unknown[]>();

  constructor(text: string, statements: readonly ParsedStatement[], parse: Parse) {
    this.#text = text;
    this.#bytes = encoder.encode(text);
    this.#statements = statements;
    this.#parse = parse;
    this.#cursor = new TokenCursor(this.#bytes);
  }

  result(edits: readonly Edit[]): Spliced {
    const ordered = inOrder(edits);
    const wanted = new Map<number, FragmentKind>();
    for (const { at, kind } of ordered) wanted.set(at, kind);
    const meant = findMeant(this.#statements, wanted);
    const cuts = ordered.map((edit) => this.#cut(edit, meant.get(edit.at)));
    const spliced = this.#put(cuts);
    const parsed = this.#parse(spliced.text);
    if (parsed.kind === "refused") throw new Refused(`the rewritten statement is not accepted: ${parsed.reason}`);
    if (parsed.kind === "error" || !isIntended(this.#statements, this.#replacements, parsed.statements)) {
      throw new Refused("the rewritten statement would not be what is meant");
    }
    return spliced;
  }

  #cut(edit: Edit, meant: Meant | undefined): Cut {
    if (meant === undefined) throw new Refused(`nothing at byte ${edit.at} can be replaced as a ${NOUNS[edit.kind]}`);
    const { fields, places } = meant;
    const fragment = this.#fragment(edit);
    if (!this.#cursor.advanceTo(edit.at)) throw new Refused(`no name begins at byte ${edit.at}`);
    for (const place of places) this.#replacements.set(place, replacementOf(edit.kind, fields, fragment));
    const cut = this.#cutOf(edit.kind, fields, fragment);
    if (cut.end < cut.start) throw new Refused(`the name at byte ${edit.at} does not end where it should`);
    return cut;
  }

  #fragment(edit: Edit): Fragment {
    let fragments = fragmentsByParse.get(this.#parse);
    if (fragments === undefined) {
      fragments = new Fragments(this.#parse);
      fragmentsByParse.set(this.#parse, fragments);
    }
    const fragment = fragments.read(edit.kind, sqlOf(edit));
    if (fragment === null) throw new Refused(`what should be put in at byte ${edit.at} is no ${NOUNS[edit.kind]}`);
    return fragment;
  }

  /** The extent of what is replaced; an end of -1 when the tokens are not what the tree says. */
  #cutOf(kind: FragmentKind, fields: Fields, fragment: Fragment): Cut {
    if (kind === "relation") return this.#cutOfRelation(fields, fragment);
    if (kind === "sample") return this.#cutOfSample(fields, fragment);
    const { start } = this.#cursor;
    if (kind === "copy") {
      const end = this.#passCopied(fields);
      return { start, end, text: this.#apart(start, `(${fragment.text})`, end) };
    }
    if (kind === "column") {
      return { start, end: this.#passColumn(fields), text: `(${fragment.text})` };
    }
    if (kind === "call") {
      const end = this.#cursor.passCall(listed(fields["funcname"]).length);
      return { start, end, text: `(${fragment.text})` };
    }
    const end = kind === "constant" ? this.#cursor.passText() : this.#passTarget(fields);
    return { start, end, text: this.#apart(start, fragment.text, end) };
  }

  /** The name of a relation with ONLY and `*` around it, and where the TABLE before it begins, if one stands there; an end of -1 when it is not there. */
  #passRelation(fields: Fields): { readonly start: number; readonly end: number; readonly table: number } {
    const cursor = this.#cursor;
    let { start } = cursor;
    let before = 1;
    let isEnclosed = false;
    if (fields["inh"] !== true) {
      isEnclosed = cursor.startOfBefore(1, "(") >= 0;
      if (isEnclosed) before++;
      start = cursor.startOfBefore(before, "only");
      if (start < 0) return { start: 0, end: -1, table: -1 };
      before++;
    }
    const table = cursor.startOfBefore(before, "table");
    let end = cursor.passName(partsOfRelation(fields), false);
    if (isEnclosed && end >= 0) end = cursor.passCharacter(")");
    else if (cursor.isCharacter("*")) end = cursor.passCharacter("*");
    return { start, end, table };
  }

  /** What follows the relation is passed with it, and the alias written anew. */
  #cutOfSample(sample: Fields, fragment: Fragment): Cut {
    const cursor = this.#cursor;
    const relation = sampledRelation(sample);
    if (relation === null) return { start: 0, end: -1, text: "" };
    const { start, end: behind } = this.#passRelation(relation);
    const alias = aliasOf(relation);
    let end = behind < 0 ? -1 : cursor.passAlias(alias.isGiven, alias.columns.length);
    if (end >= 0) end = cursor.passSample(listed(sample["method"]).length, sample["repeatable"] !== undefined);
    const columns = alias.columns.length === 0 ? "" : ` (${alias.columns.map(quoted).join(", ")})`;
    const text = `(${fragment.text}) AS ${quoted(alias.name)}${columns}`;
    return { start, end, text: this.#apart(start, text, end) };
  }

  #cutOfRelation(fields: Fields, fragment: Fragment): Cut {
    const { start, end, table } = this.#passRelation(fields);
    const subquery = `(${fragment.text})`;
    const aliased = fields["alias"] === undefined ? `${subquery} AS ${quoted(textField(fields, "relname"))}` : subquery;
    if (table < 0) return { start, end, text: this.#apart(start, aliased, end) };
    return { start: table, end, text: this.#apart(table, `SELECT * FROM ${aliased}`, end) };
  }

  #passCopied(copy: Fields): number {
    const cursor = this.#cursor;
    const relation = copy["relation"];
    const end = isFields(relation) ? cursor.passName(partsOfRelation(relation), false) : -1;
    const columns = copy["attlist"];
    if (end < 0 || !Array.isArray(columns)) return end;
    for (let index = 0; index < columns.length; index++) {
      if (cursor.passCharacter(index === 0 ? "(" : ",") < 0 || cursor.passIdentifier() < 0) return -1;
    }
    return cursor.passCharacter(")");
  }

  #passColumn(column: Fields): number {
    const parts = column["fields"];
    if (!Array.isArray(parts)) return -1;
    const last: unknown = parts.at(-1);
    return this.#cursor.passName(parts.length, isFields(last) && last["A_Star"] !== undefined);
  }

  #passTarget(target: Fields): number {
    const value = target["val"];
    const column = isFields(value) ? value["ColumnRef"] : undefined;
    const end = isFields(column) ? this.#passColumn(column) : -1;
    if (end < 0 || target["name"] === undefined) return end;
    if (this.#cursor.isWord("as")) this.#cursor.step();
    return this.#cursor.passIdentifier();
  }

  /** With blanks where the tokens around could become one with it. */
  #apart(start: number, text: string, end: number): string {
    const before = !isSeparator(this.#bytes[start - 1]) ? " " : "";
    const behind = !isSeparator(this.#bytes[end]) ? " " : "";
    return `${before}${text}${behind}`;
  }

  #put(cuts: readonly Cut[]): Spliced {
    const parts: ReplacedPart[] = [];
    let text = "";
    let at = 0;
    let characters = 0;
    for (const cut of cuts) {
      text += this.#slice(at, cut.start) + cut.text;
      const start = characters + this.#charactersIn(at, cut.start);
      characters = start + this.#charactersIn(cut.start, cut.end);
      parts.push({ start, end: characters, newLength: charactersOf(cut.text) });
      at = cut.end;
    }
    text += this.#slice(at, this.#bytes.length);
    return { text, positions: positionsOf(parts, characters + this.#charactersIn(at, this.#bytes.length)) };
  }

  #slice(start: number, end: number): string {
    const isAscii = this.#bytes.length === this.#text.length;
    return isAscii ? this.#text.slice(start, end) : decoder.decode(this.#bytes.subarray(start, end));
  }

  #charactersIn(start: number, end: number): number {
    if (this.#bytes.length === this.#text.length) return end - start;
    let count = 0;
    // The bytes of a character behind its first are 10xxxxxx.
    for (let at = start; at < end; at++) if (((this.#bytes[at] ?? 0) & 0xc0) !== 0x80) count++;
    return count;
  }
}

/** By where they are. The parser shows some parts of a text twice, so an edit may come twice. */
function inOrder(edits: readonly Edit[]): readonly Edit[] {
  const byPlace = new Map<number, Edit>();
  for (const edit of edits) {
    const other = byPlace.get(edit.at);
    if (other === undefined) byPlace.set(edit.at, edit);
    else if (other.kind !== edit.kind || sqlOf(other) !== sqlOf(edit))
      throw new Refused("two changes of the statement meet at one place");
  }
  return [...byPlace.values()].toSorted((one, other) => one.at - other.at);
}

function sqlOf(edit: Edit): string {
  switch (edit.kind) {
    case "relation":
    case "sample":
      return edit.subquery;
    case "copy":
      return edit.query;
    case "column":
    case "call":
      return edit.expression;
    case "targets":
      return edit.targets;
    case "constant":
      return edit.constants;
  }
}

/** What the new tree has where the old one has the node with these fields. */
function replacementOf(kind: FragmentKind, fields: Fields, { nodes }: Fragment): readonly unknown[] {
  const relation = kind === "sample" ? sampledRelation(fields) : kind === "relation" ? fields : null;
  if (relation !== null) {
    const alias = relation["alias"] ?? { aliasname: textField(relation, "relname") };
    return [{ RangeSubselect: { subquery: nodes[0], alias } }];
  }
  if (kind !== "copy") return nodes;
  const { relation: _relation, attlist: _columns, ...rest } = fields;
  return [{ ...rest, query: nodes[0] }];
}

/** What a relation is called, and its columns. */
function aliasOf(relation: Fields): { readonly name: string; readonly columns: string[]; readonly isGiven: boolean } {
  const alias = relation["alias"];
  if (!isFields(alias)) return { name: textField(relation, "relname"), columns: [], isGiven: false };
  const columns = listed(alias["colnames"]).map((item) => {
    const name = isFields(item) ? item["String"] : undefined;
    return isFields(name) ? textField(name, "sval") : "";
  });
  return { name: textField(alias, "aliasname"), columns, isGiven: true };
}

function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function partsOfRelation(fields: Fields): number {
  return 1 + (fields["schemaname"] === undefined ? 0 : 1) + (fields["catalogname"] === undefined ? 0 : 1);
}

function textField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new Refused("a relation of the statement has no name");
  return value;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function charactersOf(text: string): number {
  let count = 0;
  for (const _character of text) count++;
  return count;
}

/** Blanks, parentheses, comma, semicolon, and the ends of the text: no token around them can become one with another. */
function isSeparator(byte: number | undefined): boolean {
  return byte === undefined || byte <= 0x20 || byte === 0x28 || byte === 0x29 || byte === 0x2c || byte === 0x3b;
}
