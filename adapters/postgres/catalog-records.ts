/** The objects of a catalog as their rows told them, by oid, each group with a digest that changes when one of them does. */
import { createHash } from "node:crypto";
import type { FunctionName, Relation, RelationKind } from "./catalog.ts";
import { FIRST_USER_OID, type KeyedGroup } from "./catalog-queries.ts";
import { CatalogError, type TextRow } from "./catalog-source.ts";

/** A value of a row that may be too short. */
type Cell = string | null | undefined;

/** `digest` covers everything that a row told; the schema is held by oid, so that renaming one touches no object. */
type Dated = { readonly oid: number; readonly schemaOid: number; readonly digest: string };

export type RelationRecord = Dated & {
  /** Replaced, never changed, when its schema gets another name. */
  relation: Relation;
  /** Types of its columns that are no built-in ones. */
  readonly columnTypes: readonly number[];
};
export type FunctionRecord = Dated & { name: FunctionName };
export type OperatorRecord = Dated & { readonly symbol: string; readonly functionOid: number };
export type TypeRecord = Dated & {
  readonly name: string;
  /** Oid of the relation that this is the row type of; 0 for other types. */
  readonly relationOid: number;
  /** Types that it is made of: elements, the type under a domain. */
  readonly parts: readonly number[];
  /** Input, output and so on, as far as they are no built-in ones. */
  readonly functions: readonly number[];
};

export type Records = {
  readonly relations: RelationRecord;
  readonly functions: FunctionRecord;
  readonly operators: OperatorRecord;
  readonly types: TypeRecord;
};

export type SchemaRecord = { readonly oid: number; readonly name: string; readonly usable: boolean };

/** What a conversion to a type may call beyond the type's own functions: a function, another type's conversions, another type's output. */
export type Conversion = { readonly type: number; readonly link: "f" | "t" | "o"; readonly oid: number };

/** By pg_class.relkind. */
export const RELATION_KINDS: ReadonlyMap<string, RelationKind> = new Map([
  ["r", "table"],
  ["p", "partitioned table"],
  ["f", "foreign table"],
  ["v", "view"],
  ["m", "materialized view"],
  ["S", "sequence"],
  ["i", "index"],
  ["I", "index"],
  ["c", "composite type"],
]);

const NONE: readonly never[] = Object.freeze([]);

/** Equal lists and names are kept once. Lives as long as one load: what it holds beyond that, the records hold. */
export class Interning {
  readonly #names = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();

  name(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#names.set(name, name);
    return name;
  }

  /** A JSON array of strings. */
  names(json: string): readonly string[] {
    const known = this.#lists.get(json);
    if (known !== undefined) return known;
    const list = Object.freeze(parseArray(json).map((name) => this.name(string(name))));
    this.#lists.set(json, list);
    return list;
  }
}

/** Turns rows of the page queries into records; throws CatalogError on a row that is none. */
export const DECODERS: { readonly [G in KeyedGroup]: (row: TextRow, interning: Interning) => Records[G] } = {
  relations([oid, schema, name, kindLetter, names, types, details], interning) {
    const kind = RELATION_KINDS.get(string(kindLetter));
    if (kind === undefined) throw new CatalogError(`the target's catalog has a relation of kind "${kindLetter ?? ""}"`);
    return {
      ...dated(oid, schema, [name, kindLetter, names, types, details]),
      relation: {
        oid: number(oid),
        schema: "",
        name: interning.name(string(name)),
        kind,
        columns: typeof names === "string" ? interning.names(names) : NONE,
      },
      columnTypes: typeof types === "string" ? [...new Set(parseArray(types).map(number))] : NONE,
    };
  },
  functions([oid, schema, name, definition], interning) {
    const known = interning.name(string(name));
    return { ...dated(oid, schema, [name, definition]), name: { schema: "", name: known } };
  },
  operators([oid, schema, symbol, functionOid], interning) {
    return {
      ...dated(oid, schema, [symbol, functionOid]),
      symbol: interning.name(string(symbol)),
      functionOid: number(functionOid),
    };
  },
  types([oid, schema, name, kind, details, relation, element, base, ...functions], interning) {
    const parts = [number(element), number(base)].filter(isUser);
    const calls = [...new Set(functions.map(number).filter(isUser))];
    return {
      ...dated(oid, schema, [name, kind, details, relation, element, base, ...functions]),
      name: interning.name(string(name)),
      relationOid: number(relation),
      parts: parts.length === 0 ? NONE : parts,
      functions: calls.length === 0 ? NONE : calls,
    };
  },
};

export function decodeSchema([oid, name, usable]: TextRow): SchemaRecord {
  return { oid: number(oid), name: string(name), usable: usable === "t" };
}

export function decodeConversion([type, link, oid]: TextRow): Conversion {
  if (link !== "f" && link !== "t" && link !== "o") throw malformed();
  return { type: number(type), link, oid: number(oid) };
}

/** SHA-256 over the digests of all, in order of oid. */
export function digestOf(records: ReadonlyMap<number, Dated>): string {
  const oids = Uint32Array.from(records.keys()).toSorted();
  const hash = createHash("sha256");
  for (const oid of oids) hash.update(records.get(oid)?.digest ?? "");
  return hash.digest("hex");
}

/** SHA-256 over a value's canonical text. */
export function sha256(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64");
}

function dated(oid: Cell, schema: Cell, told: readonly Cell[]): Dated {
  return { oid: number(oid), schemaOid: number(schema), digest: sha256([oid, schema, ...told]) };
}

function isUser(oid: number): boolean {
  return oid >= FIRST_USER_OID;
}

function parseArray(json: string): readonly unknown[] {
  const value: unknown = JSON.parse(json);
  if (!Array.isArray(value)) throw malformed();
  return value;
}

function string(value: unknown): string {
  if (typeof value !== "string") throw malformed();
  return value;
}

/** An unsigned number of at most 32 bits, from its text or (in a JSON array) as it is. */
function number(value: unknown): number {
  const result = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof result !== "number" || !Number.isInteger(result) || result < 0 || result > 0xffff_ffff) throw malformed();
  return result;
}

function malformed(): CatalogError {
  return new CatalogError("the target's catalog answered with rows of another shape");
}
