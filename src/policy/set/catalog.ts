/** The catalog of a policy set: what each target is called and holds, one generated JSON file for each. */
import { createHash } from "node:crypto";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import type { Problem, ProblemCode } from "../problems.ts";
import { quote } from "../language/shape.ts";

/** Targets by name, those of other gateways too. */
export type Catalog = { readonly targets: ReadonlyMap<string, CatalogTarget> };

export const CATALOG_FOLDER = "catalog/";
const SUFFIX = ".json";
const API_VERSION = "weir.dev/v1";

const NAME_CHARS_MAX = 1024;
const NAMES_PER_KEY_MAX = 500_000;
const KEYS_MAX = 64;
const NESTING_MAX = 32;

const KEYS = ["apiVersion", "kind", "name", "adapter", "labels", "names", "unlisted", "detail", "digest"] as const;
const REPAIR = "Run weir policy catalog pull to write it again";

/** A file as the folder reader gives it; its path is relative to the policy folder. */
type CatalogFile = { readonly path: string; readonly bytes: Uint8Array };
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Content = Omit<CatalogTarget, "digest">;

/** Reads the files of the folder `catalog`. Never throws; a file with an error is left out and reported. */
export function readCatalog(files: readonly CatalogFile[]): { catalog: Catalog; problems: readonly Problem[] } {
  const targets = new Map<string, CatalogTarget>();
  const problems: Problem[] = [];
  for (const file of files) {
    try {
      const target = readTarget(file);
      targets.set(target.name, target);
    } catch (error) {
      if (!(error instanceof CatalogFault)) throw error;
      const { code, message, suggestion } = error;
      problems.push({ severity: "error", file: file.path, line: null, column: null, code, message, suggestion });
    }
  }
  return { catalog: { targets }, problems };
}

/** The path of a target's file within the policy folder. */
export function catalogPath(targetName: string): string {
  return `${CATALOG_FOLDER}${targetName}${SUFFIX}`;
}

/** A target with its names in order and its digest. */
export function makeCatalogTarget(content: Content): CatalogTarget {
  const ordered: Content = {
    name: content.name,
    adapter: content.adapter,
    labels: sortedEntries(content.labels, (label) => label),
    names: sortedEntries(content.names, distinct),
    unlisted: sortedEntries(content.unlisted, distinct),
    detail: content.detail,
  };
  const digest = createHash("sha256")
    .update(`weir catalog 1\n${canonical(json(ordered, 0))}`)
    .digest("hex");
  return { ...ordered, digest };
}

/**
 * The text of a target's file. The same target always gives the same text, and a small change of it changes few lines:
 * a map has a line for each of its keys, a list a line for each of its items.
 */
export function formatCatalogTarget(target: CatalogTarget): string {
  return `${pretty(json({ apiVersion: API_VERSION, kind: "Catalog", ...target }, 0), "")}\n`;
}

/** What is wrong with a file, thrown to leave the reader of one file. */
class CatalogFault extends Error {
  readonly code: ProblemCode;
  readonly suggestion: string;

  constructor(code: ProblemCode, message: string, suggestion = REPAIR) {
    super(message);
    this.code = code;
    this.suggestion = suggestion;
  }
}

function readTarget({ path, bytes }: CatalogFile): CatalogTarget {
  const name = nameOf(path);
  const file = parse(bytes);
  const unknown = Object.keys(file).find((key) => !KEYS.some((known) => known === key));
  if (unknown !== undefined) throw new CatalogFault("UNKNOWN_KEY", `${quote(unknown)} is not a key of a catalog file`);
  if (file["apiVersion"] !== API_VERSION) {
    throw new CatalogFault("BAD_VALUE", `apiVersion must be ${quote(API_VERSION)}`);
  }
  if (file["kind"] !== "Catalog") throw new CatalogFault("BAD_VALUE", 'kind must be "Catalog"');
  if (file["name"] !== name) {
    const suggestion = "A target's file is called after the target";
    throw new CatalogFault("BAD_VALUE", `name must be ${quote(name)}, as the file is called`, suggestion);
  }
  const target = makeCatalogTarget({
    name,
    adapter: text(file["adapter"], "adapter"),
    labels: sortedEntries(map(file["labels"] ?? {}, "labels"), (value) => text(value, "labels")),
    names: lists(file["names"] ?? {}, "names"),
    unlisted: lists(file["unlisted"] ?? {}, "unlisted"),
    detail: file["detail"] ?? null,
  });
  const { digest } = file;
  if (digest !== undefined && digest !== target.digest) {
    throw new CatalogFault(
      "CATALOG_DIGEST",
      "the digest is not that of what stands here: the file was changed by hand",
      `${REPAIR}; a file that is kept by hand has no digest`,
    );
  }
  return target;
}

/** The name of the target that a file of the folder `catalog` is about. */
function nameOf(path: string): string {
  const name = path.slice(CATALOG_FOLDER.length, -SUFFIX.length);
  const isRight = path.startsWith(CATALOG_FOLDER) && path.endsWith(SUFFIX) && isTargetName(name);
  if (isRight) return name;
  throw new CatalogFault(
    "WRONG_FOLDER",
    "files of the catalog are called TARGET.json, and lie in no folder of their own",
    "Remove it, or move it elsewhere",
  );
}

/** As the configuration has them: lower-case letters, digits and hyphens. */
function isTargetName(name: string): boolean {
  if (name === "" || name.length > 63) return false;
  for (const character of name) if (!"abcdefghijklmnopqrstuvwxyz0123456789-".includes(character)) return false;
  return true;
}

function parse(bytes: Uint8Array): { readonly [key: string]: Json } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new CatalogFault("SYNTAX", "the file is no JSON in UTF-8");
  }
  return map(json(value, 0), "the file");
}

/** Checks that it is JSON, and not nested too deep for those who walk it. */
function json(value: unknown, depth: number): Json {
  if (depth > NESTING_MAX) throw new CatalogFault("TOO_LARGE", `values are nested deeper than ${NESTING_MAX} levels`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => json(item, depth + 1));
  if (typeof value !== "object") throw new CatalogFault("WRONG_TYPE", `a ${typeof value} is no JSON`);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, json(item, depth + 1)]));
}

function map(value: Json, what: string): { readonly [key: string]: Json } {
  if (isMap(value)) return value;
  throw new CatalogFault("WRONG_TYPE", `${what} must be a map`);
}

function isMap(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function text(value: Json | undefined, what: string): string {
  if (typeof value !== "string" || value === "") throw new CatalogFault("WRONG_TYPE", `${what} must be text`);
  if (value.length > NAME_CHARS_MAX) {
    throw new CatalogFault("TOO_LARGE", `a text of ${what} has more than ${NAME_CHARS_MAX} characters`);
  }
  return value;
}

function lists(value: Json, what: string): Readonly<Record<string, readonly string[]>> {
  const keys = map(value, what);
  if (Object.keys(keys).length > KEYS_MAX)
    throw new CatalogFault("TOO_LARGE", `${what} has more than ${KEYS_MAX} keys`);
  return sortedEntries(keys, (list) => {
    if (!isList(list)) throw new CatalogFault("WRONG_TYPE", `${what} must hold lists of names`);
    if (list.length > NAMES_PER_KEY_MAX) {
      throw new CatalogFault("TOO_LARGE", `a list of ${what} has more than ${NAMES_PER_KEY_MAX} names`);
    }
    return list.map((name) => text(name, what));
  });
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted();
}

function sortedEntries<From, To>(
  record: Readonly<Record<string, From>>,
  convert: (value: From) => To,
): Readonly<Record<string, To>> {
  const entries = Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, convert(value)]));
}

/** One line, keys sorted: the form that is hashed. */
function canonical(value: Json): string {
  if (isList(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isMap(value)) return JSON.stringify(value);
  const keys = Object.keys(value).toSorted();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`).join(",")}}`;
}

function pretty(value: Json, indent: string): string {
  const inner = `${indent}  `;
  if (isList(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((item) => inner + JSON.stringify(item)).join(",\n")}\n${indent}]`;
  }
  if (!isMap(value)) return JSON.stringify(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return "{}";
  const lines = entries.map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}
