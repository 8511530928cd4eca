/** Finds the nodes that edits mean, and says whether a tree is another one in which just these were replaced. */
import { isFields } from "../parser.ts";
import type { Fields, ParsedStatement } from "../parser.ts";
import type { FragmentKind } from "./fragment.ts";

/** A node that an edit means: its fields, and everything in the tree that stands for it. */
export type Meant = {
  readonly fields: Fields;
  /** A wrapper `{"RangeVar": {...}}`, or the fields of the CopyStmt. More than one: copies of one place in the text. */
  readonly places: readonly object[];
};

/** The nodes by the byte of the edit; an edit that means none, or more than one, is not there. */
export function findMeant(
  statements: readonly ParsedStatement[],
  wanted: ReadonlyMap<number, FragmentKind>,
): ReadonlyMap<number, Meant> {
  const search = new Search(wanted);
  for (const { kind, node } of statements) {
    if (kind === "CopyStmt") search.meetCopy(node);
    search.visit(node, false);
  }
  return search.found();
}

type Candidate = { readonly fields: Fields; readonly places: object[]; count: number };

class Search {
  readonly #wanted: ReadonlyMap<number, FragmentKind>;
  readonly #candidates = new Map<number, Candidate>();

  constructor(wanted: ReadonlyMap<number, FragmentKind>) {
    this.#wanted = wanted;
  }

  found(): ReadonlyMap<number, Meant> {
    for (const [at, { count }] of this.#candidates) if (count !== 1) this.#candidates.delete(at);
    return this.#candidates;
  }

  /** What COPY FROM writes cannot be a query. */
  meetCopy(node: Fields): void {
    const relation = node["relation"];
    if (isFields(relation) && node["is_from"] !== true) this.#meet("copy", node, node, locationOf(relation), false);
  }

  /** `isCopy`: the parser shows this part of the text a second time. */
  visit(value: unknown, isCopy: boolean): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, isCopy);
      return;
    }
    if (!isFields(value)) return;
    for (const key in value) {
      const child = value[key];
      if (typeof child !== "object" || child === null) continue;
      if (isFields(child)) {
        if (key === "RangeVar") this.#meet("relation", value, child, locationOf(child), isCopy);
        else if (key === "ColumnRef") this.#meet("column", value, child, locationOf(child), isCopy);
        else if (key === "FuncCall") this.#meet("call", value, child, locationOf(child), isCopy);
        else if (key === "RangeTableSample") this.#meetSample(value, child, isCopy);
        else if (key === "A_Const") this.#meet("constant", value, child, locationOf(child), isCopy);
        else if (key === "ResTarget") this.#meetTarget(value, child, isCopy);
      }
      // `SET (a, b) = (SELECT ...)` shows the source once for each column.
      const isRepeated = key === "MultiAssignRef" && isFields(child) && child["colno"] !== 1;
      this.visit(child, isCopy || isRepeated);
    }
  }

  #meetTarget(place: object, target: Fields, isCopy: boolean): void {
    const value = target["val"];
    const column = isFields(value) ? value["ColumnRef"] : undefined;
    if (!isFields(column)) return;
    const at = locationOf(column);
    // In `SET a = b` the target is `a`.
    if (at === locationOf(target)) this.#meet("targets", place, target, at, isCopy);
  }

  #meetSample(place: object, sample: Fields, isCopy: boolean): void {
    const relation = sampledRelation(sample);
    if (relation !== null) this.#meet("sample", place, sample, locationOf(relation), isCopy);
  }

  #meet(kind: FragmentKind, place: object, fields: Fields, at: number, isCopy: boolean): void {
    if (this.#wanted.get(at) !== kind) return;
    const candidate = this.#candidates.get(at);
    if (candidate === undefined) {
      this.#candidates.set(at, { fields, places: [place], count: isCopy ? 0 : 1 });
      return;
    }
    candidate.places.push(place);
    if (!isCopy) candidate.count++;
  }
}

/** The fields of the RangeVar that a RangeTableSample samples; null: there is none. */
export function sampledRelation(sample: Fields): Fields | null {
  const wrapped = sample["relation"];
  const relation = isFields(wrapped) ? wrapped["RangeVar"] : undefined;
  return isFields(relation) ? relation : null;
}

/** -1: nowhere. A location of 0 is left out of the tree, but no statement begins with a name that can be replaced. */
function locationOf(fields: Fields): number {
  const location = fields["location"];
  return typeof location === "number" ? location : -1;
}

/** What stands in the new tree for a place of the old one: several only where it is in a list. */
export type Replacements = ReadonlyMap<object, readonly unknown[]>;

/** Are these statements the others with just the replacements made? Where things are in the text does not count. */
export function isIntended(
  statements: readonly ParsedStatement[],
  replacements: Replacements,
  actual: readonly ParsedStatement[],
): boolean {
  if (statements.length !== actual.length) return false;
  return statements.every(({ kind, node }, index) => {
    const other = actual[index];
    return other !== undefined && other.kind === kind && isReplaced(node, other.node, replacements);
  });
}

/** Compares `actual` with `value`, or with what replaces it. */
function isReplaced(value: object, actual: unknown, replacements: Replacements): boolean {
  const replacement = replacements.get(value);
  if (replacement === undefined) return isSame(value, actual, replacements);
  return replacement.length === 1 && isSame(replacement[0], actual, NO_REPLACEMENTS);
}

const NO_REPLACEMENTS: Replacements = new Map();

function isSame(expected: unknown, actual: unknown, replacements: Replacements): boolean {
  if (Array.isArray(expected)) return Array.isArray(actual) && isSameList(expected, actual, replacements);
  if (!isFields(expected) || !isFields(actual)) return expected === actual;
  let count = 0;
  for (const key in expected) {
    const value = expected[key];
    const other = actual[key];
    if (typeof value === "object" && value !== null) {
      if (!isReplaced(value, other, replacements)) return false;
    } else if (isLocation(key, value)) continue;
    else if (value !== other) return false;
    count++;
  }
  for (const key in actual) if (!isLocation(key, actual[key])) count--;
  return count === 0;
}

function isSameList(expected: readonly unknown[], actual: readonly unknown[], replacements: Replacements): boolean {
  let index = 0;
  for (const item of expected) {
    const replacement = typeof item === "object" && item !== null ? replacements.get(item) : undefined;
    if (replacement === undefined) {
      if (!isSame(item, actual[index++], replacements)) return false;
    } else {
      for (const part of replacement) if (!isSame(part, actual[index++], NO_REPLACEMENTS)) return false;
    }
  }
  return index === actual.length;
}

/** The fields of all grammars that say where something is. A tablespace's `location` is a text, and counts. */
function isLocation(key: string, value: unknown): boolean {
  if (typeof value !== "number") return false;
  switch (key) {
    case "location":
    case "name_location":
    case "stmt_location":
    case "stmt_len":
    case "list_start":
    case "list_end":
    case "rexpr_list_start":
    case "rexpr_list_end":
      return true;
    default:
      return false;
  }
}
