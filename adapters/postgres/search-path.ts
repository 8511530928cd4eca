/** Reads the value of search_path as the server does, and says which schemas it searches. */
import type { Catalog } from "./catalog.ts";
import { quoteIdentifier } from "./quote.ts";

/** NAMEDATALEN - 1. */
const NAME_BYTES_MAX = 63;
const USER = "$user";

/** What resolving needs of a catalog. */
export type SchemaFacts = Pick<Catalog, "hasSchema"> & {
  /** May the role look names up in the schema? Undefined: not known for this role. Left out: every schema is taken as usable. */
  mayUseSchema?(schema: string, role: string): boolean | undefined;
  /** The database's; left out: UTF8. */
  readonly encoding?: string;
};

/**
 * The names in a search_path, in order, as `SHOW search_path` tells them. Null: not to be read with certainty.
 * Follows SplitIdentifierString (src/backend/utils/adt/varlena.c) for a database in UTF-8: quoted names with doubled
 * quotes, ASCII letters of unquoted ones folded to lower case, names cut at 63 bytes between characters.
 */
export function parseSearchPath(text: string): readonly string[] | null {
  if (text.includes("\0") || !text.isWellFormed()) return null;
  let at = skipSpace(text, 0);
  if (at === text.length) return [];
  const names: string[] = [];
  for (;;) {
    const item = text[at] === '"' ? quoted(text, at) : unquoted(text, at);
    if (item === null) return null;
    names.push(truncate(item.name));
    at = skipSpace(text, item.end);
    if (at === text.length) return names;
    if (text[at] !== ",") return null;
    at = skipSpace(text, at + 1);
  }
}

/**
 * The schemas that an unqualified name is looked up in, for this role, given the names in the search_path: `$user` replaced, schemas that do not exist or
 * that the role may not use dropped, duplicates dropped; without the implicit pg_catalog and pg_temp. `pg_temp` stays
 * in its place when it is named: only the session knows whether it has one. Null: not to be said with certainty.
 */
export function resolveSearchPath(
  names: readonly string[],
  role: string,
  schemas: SchemaFacts,
): readonly string[] | null {
  const path = new Set<string>();
  const isUtf8 = (schemas.encoding ?? "UTF8") === "UTF8";
  for (const item of names) {
    // Folding and cutting go by the encoding.
    if (!isUtf8 && Buffer.byteLength(item) !== item.length) return null;
    if (item === "pg_temp") {
      path.add(item);
      continue;
    }
    const name = item === USER ? role : item;
    // No picture shows the sessions' own schemas, but the server finds them by name.
    if (name.startsWith("pg_temp_") || name.startsWith("pg_toast_temp_")) return null;
    if (!schemas.hasSchema(name)) continue;
    const usable = schemas.mayUseSchema === undefined ? true : schemas.mayUseSchema(name, role);
    if (usable === undefined) return null;
    if (usable) path.add(name);
  }
  return [...path];
}

type Item = { readonly name: string; readonly end: number };

function quoted(text: string, start: number): Item | null {
  let name = "";
  for (let at = start + 1; ;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return null;
    name += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { name, end: quote + 1 };
    name += '"';
    at = quote + 2;
  }
}

function unquoted(text: string, start: number): Item | null {
  let end = start;
  for (; end < text.length && text[end] !== "," && !isSpace(text, end); end++) {
    // Space since PostgreSQL 16, part of the name before.
    if (text[end] === "\v") return null;
  }
  if (end === start) return null;
  return { name: foldAscii(text.slice(start, end)), end };
}

/** The server folds other letters only in encodings of one byte. */
function foldAscii(name: string): string {
  let folded = "";
  for (const character of name) {
    folded += character >= "A" && character <= "Z" ? character.toLowerCase() : character;
  }
  return folded;
}

function truncate(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
  let kept = "";
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > NAME_BYTES_MAX) break;
    kept += character;
  }
  return kept;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && isSpace(text, at)) at++;
  return at;
}

/** scanner_isspace, without the vertical tab. */
function isSpace(text: string, at: number): boolean {
  const character = text[at];
  return character === " " || character === "\t" || character === "\n" || character === "\r" || character === "\f";
}

/** The text that SHOW tells after SET search_path to these names: each quoted, so that it is read back as it is. */
export function joinSearchPath(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(", ");
}
