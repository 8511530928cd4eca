/** One immutable picture of a target's catalog, keyed for lookup by name, made from records and from the picture before it. */
import type { Catalog, FunctionName, Relation } from "./catalog.ts";
import type {
  Conversion,
  FunctionRecord,
  OperatorRecord,
  RelationRecord,
  SchemaRecord,
  TypeRecord,
} from "./catalog-records.ts";
import { FIRST_USER_OID } from "./catalog-queries.ts";
import { digestOf, sha256 } from "./catalog-records.ts";

/** What is fixed for a connection. */
export type ServerFacts = {
  /** `server_version_num`. */
  readonly serverVersion: number;
  /** The database's encoding as the server names it, e.g. `UTF8`. */
  readonly encoding: string;
  /** The role that the picture was loaded as: the one whose privileges on schemas are known. */
  readonly role: string;
};

/** All records, kept up to date by the loader. */
export type Contents = {
  readonly server: ServerFacts;
  defaultSearchPath: string | null;
  schemas: ReadonlyMap<number, SchemaRecord>;
  readonly relations: Map<number, RelationRecord>;
  readonly functions: Map<number, FunctionRecord>;
  readonly operators: Map<number, OperatorRecord>;
  readonly types: Map<number, TypeRecord>;
  conversions: readonly Conversion[];
  /** A digest of what views, rules, defaults, triggers, inheritance and the like are. */
  definitions: string;
};

/** What has to be made anew; the rest is taken from the picture before. */
export type Changed = ReadonlySet<
  "schemas" | "relations" | "functions" | "operators" | "types" | "conversions" | "definitions"
>;

export type Operator = { readonly schema: string; readonly function: FunctionName };
type ByName<T> = ReadonlyMap<string, T>;

type Parts = {
  readonly schemas: ReadonlyMap<string, boolean>;
  readonly relations: ByName<ByName<Relation>>;
  readonly functions: ReadonlyMap<number, FunctionName>;
  readonly functionSchemas: ByName<readonly string[]>;
  readonly operators: ByName<readonly Operator[]>;
  readonly typeSchemas: ByName<readonly string[]>;
  readonly typeFunctions: ByName<ByName<readonly FunctionName[]>>;
  /** Of types that are no built-in ones. */
  readonly typeNames: ReadonlyMap<number, FunctionName>;
  readonly digests: {
    readonly schemas: string;
    readonly relations: string;
    readonly functions: string;
    readonly operators: string;
    readonly types: string;
    readonly conversions: string;
    readonly definitions: string;
  };
};

const NONE: readonly never[] = Object.freeze([]);

/** What a picture holds, by name. */
export type PictureContents = {
  /** Whether the picture's role may look names up in the schema. */
  readonly schemas: ReadonlyMap<string, boolean>;
  readonly relations: readonly Relation[];
  /** Overloads are one name. */
  readonly functions: ByName<readonly string[]>;
  readonly operators: ByName<readonly Operator[]>;
  readonly types: ByName<readonly string[]>;
  /** By schema and type. */
  readonly typeFunctions: ByName<ByName<readonly FunctionName[]>>;
};

/** A catalog with what else is known of the database. */
export class CatalogPicture implements Catalog {
  readonly digest: string;
  readonly serverVersion: number;
  readonly encoding: string;
  readonly role: string;
  /** What ALTER ROLE and ALTER DATABASE give a new session as search_path; null: the server's configuration decides. */
  readonly defaultSearchPath: string | null;
  readonly #parts: Parts;

  private constructor(contents: Contents, parts: Parts) {
    this.serverVersion = contents.server.serverVersion;
    this.encoding = contents.server.encoding;
    this.role = contents.server.role;
    this.defaultSearchPath = contents.defaultSearchPath;
    this.#parts = parts;
    const digest = sha256([contents.server, contents.defaultSearchPath, parts.digests]);
    this.digest = Buffer.from(digest, "base64").toString("hex");
  }

  /** `previous` is the picture of the same contents before `changed` changed; null makes everything. */
  static of(contents: Contents, previous: CatalogPicture | null, changed: Changed): CatalogPicture {
    return new CatalogPicture(contents, partsOf(contents, previous === null ? null : previous.#parts, changed));
  }

  /** All that is in it; functions and types with the schemas that hold one of the name. */
  get contents(): PictureContents {
    const { schemas, relations, functionSchemas, operators, typeSchemas, typeFunctions } = this.#parts;
    return {
      schemas,
      relations: [...relations.values()].flatMap((members) => Array.from(members.values())),
      functions: functionSchemas,
      operators,
      types: typeSchemas,
      typeFunctions,
    };
  }

  hasSchema(schema: string): boolean {
    return this.#parts.schemas.has(schema);
  }

  /** May this role look names up in the schema (USAGE)? Undefined: not known for this role. A schema without it is skipped in a search_path. */
  mayUseSchema(schema: string, role: string): boolean | undefined {
    return role === this.role ? (this.#parts.schemas.get(schema) ?? false) : undefined;
  }

  relation(schema: string, name: string): Relation | undefined {
    return this.#parts.relations.get(schema)?.get(name);
  }

  functionSchemas(name: string): readonly string[] {
    return this.#parts.functionSchemas.get(name) ?? NONE;
  }

  functionByOid(oid: number): FunctionName | undefined {
    return this.#parts.functions.get(oid);
  }

  userOperators(symbol: string): readonly Operator[] {
    return this.#parts.operators.get(symbol) ?? NONE;
  }

  typeSchemas(name: string): readonly string[] {
    return this.#parts.typeSchemas.get(name) ?? NONE;
  }

  typeFunctions(schema: string, name: string): readonly FunctionName[] {
    return this.#parts.typeFunctions.get(schema)?.get(name) ?? NONE;
  }

  typeFunctionsByOid(oid: number): readonly FunctionName[] | null {
    if (oid < FIRST_USER_OID) return NONE;
    const name = this.#parts.typeNames.get(oid);
    return name === undefined ? null : this.typeFunctions(name.schema, name.name);
  }
}

function partsOf(contents: Contents, previous: Parts | null, changed: Changed): Parts {
  const isNew = (...groups: readonly (keyof Parts["digests"])[]): boolean =>
    previous === null || changed.has("schemas") || groups.some((group) => changed.has(group));
  const keep = <K extends keyof Parts>(part: K, fresh: boolean, make: () => Parts[K]): Parts[K] =>
    fresh || previous === null ? make() : previous[part];
  const digest = (group: keyof Parts["digests"], make: () => string): string =>
    previous === null || changed.has(group) ? make() : previous.digests[group];

  const schemas = keep("schemas", isNew(), () => schemasOf(contents));
  const relations = keep("relations", isNew("relations"), () => relationsOf(contents));
  // Names of functions are made here, and the next two point at them.
  const functions = keep("functions", isNew("functions"), () => functionsOf(contents));
  return {
    schemas,
    relations,
    functions,
    functionSchemas: keep("functionSchemas", isNew("functions"), () =>
      schemasByName([...functions.values()].map(({ schema, name }) => [name, schema])),
    ),
    operators: keep("operators", isNew("operators", "functions"), () => operatorsOf(contents, functions)),
    typeSchemas: keep("typeSchemas", isNew("types"), () => typeSchemasOf(contents)),
    typeNames: keep("typeNames", isNew("types"), () => typeNamesOf(contents)),
    typeFunctions: keep("typeFunctions", isNew("types", "functions", "relations", "conversions"), () =>
      typeFunctionsOf(contents, functions),
    ),
    digests: {
      schemas: digest("schemas", () => sha256([...contents.schemas.values()].toSorted((a, b) => a.oid - b.oid))),
      relations: digest("relations", () => digestOf(contents.relations)),
      functions: digest("functions", () => digestOf(contents.functions)),
      operators: digest("operators", () => digestOf(contents.operators)),
      types: digest("types", () => digestOf(contents.types)),
      conversions: digest("conversions", () => conversionsDigest(contents.conversions)),
      definitions: contents.definitions,
    },
  };
}

function conversionsDigest(conversions: readonly Conversion[]): string {
  return sha256(conversions.map(({ type, link, oid }) => `${type}${link}${oid}`).toSorted());
}

function schemasOf({ schemas }: Contents): Parts["schemas"] {
  return new Map([...schemas.values()].map(({ name, usable }) => [name, usable]));
}

function relationsOf({ schemas, relations }: Contents): Parts["relations"] {
  const bySchema = new Map<string, Map<string, Relation>>();
  for (const record of relations.values()) {
    const schema = schemas.get(record.schemaOid)?.name;
    if (schema === undefined) continue;
    if (record.relation.schema !== schema) record.relation = { ...record.relation, schema };
    within(bySchema, schema).set(record.relation.name, record.relation);
  }
  return bySchema;
}

function functionsOf({ schemas, functions }: Contents): Parts["functions"] {
  const byOid = new Map<number, FunctionName>();
  for (const record of functions.values()) {
    const schema = schemas.get(record.schemaOid)?.name;
    if (schema === undefined) continue;
    if (record.name.schema !== schema) record.name = { schema, name: record.name.name };
    byOid.set(record.oid, record.name);
  }
  return byOid;
}

function operatorsOf({ schemas, operators }: Contents, functions: Parts["functions"]): Parts["operators"] {
  const bySymbol = new Map<string, Operator[]>();
  for (const { symbol, schemaOid, functionOid } of operators.values()) {
    const schema = schemas.get(schemaOid)?.name;
    const name = functions.get(functionOid);
    // A shell operator (named as a commutator, not yet defined) has no function and cannot be called.
    if (schema === undefined || name === undefined) continue;
    const known = bySymbol.get(symbol);
    if (known === undefined) bySymbol.set(symbol, [{ schema, function: name }]);
    else if (!known.some((other) => other.schema === schema && isSame(other.function, name))) {
      known.push({ schema, function: name });
    }
  }
  return bySymbol;
}

function typeSchemasOf({ schemas, types }: Contents): Parts["typeSchemas"] {
  const names: (readonly [string, string])[] = [];
  for (const { name, schemaOid } of types.values()) {
    const schema = schemas.get(schemaOid)?.name;
    if (schema !== undefined) names.push([name, schema]);
  }
  return schemasByName(names);
}

/** Most names are in one schema, and then share one list. */
function schemasByName(pairs: readonly (readonly [name: string, schema: string])[]): ByName<readonly string[]> {
  const alone = new Map<string, readonly string[]>();
  const result = new Map<string, readonly string[]>();
  for (const [name, schema] of pairs) {
    const known = result.get(name);
    if (known === undefined) {
      const list = alone.get(schema) ?? Object.freeze([schema]);
      alone.set(schema, list);
      result.set(name, list);
    } else if (!known.includes(schema)) {
      result.set(name, Object.freeze([...known, schema]));
    }
  }
  return result;
}

/**
 * Per type outside pg_catalog: the functions outside pg_catalog that its own input and output, its casts and checks,
 * and those of all that it is made of may call. Types without any are left out.
 */
function typeNamesOf({ schemas, types }: Contents): Parts["typeNames"] {
  const names = new Map<number, FunctionName>();
  for (const { oid, schemaOid, name } of types.values()) {
    const schema = schemas.get(schemaOid)?.name;
    if (oid >= FIRST_USER_OID && schema !== undefined) names.set(oid, { schema, name });
  }
  return names;
}

function typeFunctionsOf(contents: Contents, functions: Parts["functions"]): Parts["typeFunctions"] {
  const { schemas, relations, types, conversions } = contents;
  const result = new Map<string, Map<string, readonly FunctionName[]>>();
  const outside = (oid: number): boolean => {
    const name = functions.get(oid);
    return name !== undefined && name.schema !== "pg_catalog";
  };
  const calls = new Map<number, number[]>();
  const links = new Map<number, number[]>();
  const add = (map: Map<number, number[]>, type: number, oid: number): void => {
    const known = map.get(type);
    if (known === undefined) map.set(type, [oid]);
    else known.push(oid);
  };
  for (const type of types.values()) {
    for (const oid of type.functions) if (outside(oid)) add(calls, type.oid, oid);
  }
  for (const { type, link, oid } of conversions) {
    if (link === "t") add(links, type, oid);
    else if (link === "f" && outside(oid)) add(calls, type, oid);
    else if (link === "o") for (const io of types.get(oid)?.functions ?? NONE) if (outside(io)) add(calls, type, io);
  }
  if (calls.size === 0) return result;

  for (const type of types.values()) {
    const schema = schemas.get(type.schemaOid)?.name;
    if (schema === undefined || schema === "pg_catalog") continue;
    const seen = new Set<number>([type.oid]);
    const found = new Set<number>();
    // A set may grow while it is walked: what is added is visited too.
    for (const oid of seen) {
      for (const call of calls.get(oid) ?? NONE) found.add(call);
      for (const part of links.get(oid) ?? NONE) seen.add(part);
      const record = types.get(oid);
      if (record === undefined) continue;
      for (const part of record.parts) seen.add(part);
      for (const part of relations.get(record.relationOid)?.columnTypes ?? NONE) seen.add(part);
    }
    if (found.size > 0) within(result, schema).set(type.name, distinct([...found], functions));
  }
  return result;
}

function distinct(oids: readonly number[], functions: Parts["functions"]): readonly FunctionName[] {
  const names: FunctionName[] = [];
  for (const oid of oids) {
    const name = functions.get(oid);
    if (name !== undefined && !names.some((other) => isSame(other, name))) names.push(name);
  }
  return names;
}

function within<T>(outer: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const known = outer.get(key);
  if (known !== undefined) return known;
  const made = new Map<string, T>();
  outer.set(key, made);
  return made;
}

function isSame(a: FunctionName, b: FunctionName): boolean {
  return a.schema === b.schema && a.name === b.name;
}
