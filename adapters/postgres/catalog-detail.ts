/** The detail of a Postgres target in `policies/catalog/TARGET.json`: enough to read SQL without the server. */
import type { FunctionName, RelationKind } from "./catalog.ts";
import { builtInNames, nearestBuiltInMajor } from "./built-in-names.ts";
import {
  BUILT_IN_SCHEMAS,
  expandTypes,
  namesIn,
  relationsIn,
  shortenTypes,
  type KnownNames,
  type KnownRelation,
  type NamesBySchema,
} from "./known-names.ts";

/** What a new session of the gateway's login gets, and how its texts are read. */
export type SessionDefaults = {
  readonly serverMajor: number;
  readonly encoding: string;
  /** The role that the gateway logs in as. */
  readonly role: string;
  /** As SHOW tells it. */
  readonly searchPath: string;
  readonly standardConformingStrings: boolean;
};

/** One database as it is kept. */
export type DatabaseDetail = {
  readonly session: SessionDefaults;
  /** Whether the role may look names up in the schema. */
  readonly schemas: ReadonlyMap<string, boolean>;
  readonly names: KnownNames;
  readonly operators: readonly { readonly symbol: string; readonly schema: string; readonly function: FunctionName }[];
  /** By schema and type: functions outside pg_catalog that conversions to the type may call. */
  readonly typeFunctions: ReadonlyMap<string, ReadonlyMap<string, readonly FunctionName[]>>;
};

export type TargetDetail = {
  /** What a client gets that names the target alone. */
  readonly database: string;
  readonly databases: ReadonlyMap<string, DatabaseDetail>;
};

/** The detail cannot be read: it was written by hand, or by another version. The message is for people. */
export class DetailError extends Error {
  readonly code = "CATALOG_DETAIL";
}

type JsonMap = { readonly [key: string]: unknown };

/** As JSON. What is empty is left out; of built-in schemas only what a fresh server of a known major does not have. */
export function encodeDetail(detail: TargetDetail): JsonMap {
  return {
    database: detail.database,
    databases: record(detail.databases, encodeDatabase),
  };
}

/** Throws DetailError. */
export function decodeDetail(value: unknown): TargetDetail {
  const map = mapOf(value, "the detail");
  const databases = mapped(map["databases"], "databases", decodeDatabase);
  const database = textOf(map["database"], "database");
  if (!databases.has(database)) throw new DetailError(`the database "${database}" is not among its databases`);
  return { database, databases };
}

function encodeDatabase(detail: DatabaseDetail): JsonMap {
  const { session, names } = detail;
  const like = nearestBuiltInMajor(session.serverMajor);
  return {
    server: session.serverMajor,
    encoding: session.encoding,
    role: session.role,
    searchPath: session.searchPath,
    ...(session.standardConformingStrings ? {} : { standardConformingStrings: false }),
    schemas: record(detail.schemas, (usable) => usable),
    ...encodeNames(onlyIn(names, (schema) => !BUILT_IN_SCHEMAS.has(schema))),
    ...unlessEmpty("operators", encodeOperators(detail.operators)),
    ...unlessEmpty(
      "typeFunctions",
      record(detail.typeFunctions, (types) =>
        record(types, (functions) => functions.map(({ schema, name }) => [schema, name]).toSorted(byText)),
      ),
    ),
    builtIn: encodeBuiltIn(
      like,
      onlyIn(names, (schema) => BUILT_IN_SCHEMAS.has(schema)),
    ),
  };
}

function decodeDatabase(value: unknown): DatabaseDetail {
  const map = mapOf(value, "a database");
  const builtIn = mapOf(map["builtIn"], "builtIn");
  const names = joined(decodeNames(map), decodeBuiltIn(builtIn));
  return {
    session: {
      serverMajor: numberOf(map["server"], "server"),
      encoding: textOf(map["encoding"], "encoding"),
      role: textOf(map["role"], "role"),
      searchPath: textOf(map["searchPath"], "searchPath"),
      standardConformingStrings: map["standardConformingStrings"] !== false,
    },
    schemas: mapped(map["schemas"], "schemas", (usable) => usable === true),
    names,
    operators: listOf(map["operators"], "operators").map((item) => {
      const [symbol = "", schema = "", functionSchema = "", name = ""] = textsOf(item, "operators");
      return { symbol, schema, function: { schema: functionSchema, name } };
    }),
    typeFunctions: mapped(map["typeFunctions"], "typeFunctions", (types) =>
      mapped(types, "typeFunctions", (functions) => listOf(functions, "typeFunctions").map(functionOf)),
    ),
  };
}

function encodeNames(names: KnownNames): JsonMap {
  const types = new Map<string, ReadonlySet<string>>();
  const absent = new Map<string, ReadonlySet<string>>();
  for (const schema of new Set([...names.types.keys(), ...names.relations.keys()])) {
    const short = shortenTypes(namesIn(names.types, schema), relationsIn(names, schema));
    types.set(schema, new Set(short.own));
    absent.set(schema, new Set(short.absent));
  }
  return {
    ...unlessEmpty(
      "relations",
      record(names.relations, (relations) => record(relations, encodeRelation)),
    ),
    ...unlessEmpty("functions", encodeSets(names.functions)),
    ...unlessEmpty("types", encodeSets(types)),
    ...unlessEmpty("absentTypes", encodeSets(absent)),
  };
}

function decodeNames(map: JsonMap): KnownNames {
  const relations = mapped(map["relations"], "relations", (members) => mapped(members, "relations", decodeRelation));
  const own = decodeSets(map["types"], "types");
  const absent = decodeSets(map["absentTypes"], "absentTypes");
  const schemas = new Set([...relations.keys(), ...own.keys()]);
  const types = new Map(
    [...schemas].map((schema) => [
      schema,
      expandTypes(namesIn(own, schema), namesIn(absent, schema), relations.get(schema) ?? new Map()),
    ]),
  );
  return { relations, functions: decodeSets(map["functions"], "functions"), types };
}

/** Built-in names as they differ from those of a fresh server of the major `like`. */
function encodeBuiltIn(like: number, names: KnownNames): JsonMap {
  const fresh = builtInNames(like) ?? NOTHING;
  const more = {
    relations: record(names.relations, (relations, schema) => {
      const known = relationsIn(fresh, schema);
      const other = [...relations].filter(([name, relation]) => !isSameRelation(relation, known.get(name)));
      return record(new Map(other), (relation) => encodeRelation(withoutTypes(relation)));
    }),
    functions: encodeSets(without(names.functions, fresh.functions)),
    types: encodeSets(without(names.types, fresh.types)),
  };
  const less = {
    relations: encodeSets(without(relationNames(fresh), relationNames(names))),
    functions: encodeSets(without(fresh.functions, names.functions)),
    types: encodeSets(without(fresh.types, names.types)),
  };
  return { like, ...unlessEmpty("more", unlessAllEmpty(more)), ...unlessEmpty("less", unlessAllEmpty(less)) };
}

function decodeBuiltIn(map: JsonMap): KnownNames {
  const like = numberOf(map["like"], "builtIn.like");
  const fresh = builtInNames(like);
  if (fresh === undefined) throw new DetailError(`the built-in names of PostgreSQL ${like} are not known here`);
  const more = mapOf(map["more"] ?? {}, "builtIn.more");
  const less = mapOf(map["less"] ?? {}, "builtIn.less");
  const gone = decodeSets(less["relations"], "builtIn.less.relations");
  const relations = new Map<string, ReadonlyMap<string, KnownRelation>>();
  const added = mapped(more["relations"], "builtIn.more.relations", (members) =>
    mapped(members, "builtIn.more.relations", decodeRelation),
  );
  for (const schema of new Set([...fresh.relations.keys(), ...added.keys()])) {
    const kept = [...relationsIn(fresh, schema)].filter(([name]) => !namesIn(gone, schema).has(name));
    relations.set(schema, new Map([...kept, ...(added.get(schema) ?? [])]));
  }
  const changed = (key: "functions" | "types"): NamesBySchema => {
    const plus = decodeSets(more[key], `builtIn.more.${key}`);
    const minus = decodeSets(less[key], `builtIn.less.${key}`);
    return new Map(
      [...new Set([...fresh[key].keys(), ...plus.keys()])].map((schema) => [
        schema,
        new Set([
          ...[...namesIn(fresh[key], schema)].filter((name) => !namesIn(minus, schema).has(name)),
          ...namesIn(plus, schema),
        ]),
      ]),
    );
  };
  return { relations, functions: changed("functions"), types: changed("types") };
}

const NOTHING: KnownNames = { relations: new Map(), functions: new Map(), types: new Map() };

function encodeRelation({ kind, columns }: KnownRelation): JsonMap {
  return {
    kind,
    ...unlessEmpty(
      "columns",
      columns.map(([name, type]) => (type === null ? [name] : [name, type])),
    ),
  };
}

const KINDS: ReadonlySet<string> = new Set<RelationKind>([
  "table",
  "partitioned table",
  "foreign table",
  "view",
  "materialized view",
  "sequence",
  "index",
  "composite type",
]);

function decodeRelation(value: unknown): KnownRelation {
  const map = mapOf(value, "a relation");
  const kind = textOf(map["kind"], "kind");
  if (!isKind(kind)) throw new DetailError(`"${kind}" is no kind of relation`);
  const columns = listOf(map["columns"], "columns").map((column) => {
    const [name, type = null] = textsOf(column, "columns");
    if (name === undefined) throw new DetailError("a column has no name");
    return [name, type] as const;
  });
  return { kind, columns };
}

function isKind(kind: string): kind is RelationKind {
  return KINDS.has(kind);
}

function isSameRelation(relation: KnownRelation, known: KnownRelation | undefined): boolean {
  if (known === undefined || known.kind !== relation.kind || known.columns.length !== relation.columns.length) {
    return false;
  }
  return relation.columns.every(([name], index) => known.columns[index]?.[0] === name);
}

function withoutTypes({ kind, columns }: KnownRelation): KnownRelation {
  return { kind, columns: columns.map(([name]) => [name, null]) };
}

function relationNames(names: KnownNames): NamesBySchema {
  return new Map([...names.relations].map(([schema, relations]) => [schema, new Set(relations.keys())]));
}

function onlyIn(names: KnownNames, belongs: (schema: string) => boolean): KnownNames {
  const keep = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    new Map([...map].filter(([schema]) => belongs(schema)));
  return { relations: keep(names.relations), functions: keep(names.functions), types: keep(names.types) };
}

function joined(a: KnownNames, b: KnownNames): KnownNames {
  return {
    relations: new Map([...a.relations, ...b.relations]),
    functions: new Map([...a.functions, ...b.functions]),
    types: new Map([...a.types, ...b.types]),
  };
}

function without(names: NamesBySchema, others: NamesBySchema): NamesBySchema {
  return new Map(
    [...names].map(([schema, members]) => [
      schema,
      new Set([...members].filter((name) => !namesIn(others, schema).has(name))),
    ]),
  );
}

function encodeOperators(operators: DatabaseDetail["operators"]): readonly (readonly string[])[] {
  return operators
    .map(({ symbol, schema, function: behind }) => [symbol, schema, behind.schema, behind.name])
    .toSorted(byText);
}

function encodeSets(sets: NamesBySchema): JsonMap {
  return record(new Map([...sets].filter(([, names]) => names.size > 0)), (names) => [...names].toSorted());
}

function decodeSets(value: unknown, what: string): NamesBySchema {
  return mapped(value, what, (names) => new Set(textsOf(names, what)));
}

function byText(a: readonly string[], b: readonly string[]): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

function record<From>(map: ReadonlyMap<string, From>, encode: (value: From, key: string) => unknown): JsonMap {
  const entries = [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, encode(value, key)]));
}

function unlessEmpty(key: string, value: JsonMap | readonly unknown[]): JsonMap {
  return Object.keys(value).length === 0 ? {} : { [key]: value };
}

/** Only the parts that hold something, and of those only the schemas that do. */
function unlessAllEmpty(parts: Readonly<Record<string, JsonMap>>): JsonMap {
  const kept: Record<string, JsonMap> = {};
  for (const [key, bySchema] of Object.entries(parts)) {
    const schemas = Object.fromEntries(Object.entries(bySchema).filter(([, part]) => !isEmptyMap(part)));
    if (!isEmptyMap(schemas)) kept[key] = schemas;
  }
  return kept;
}

function isEmptyMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** A map of another form, keyed like the one in the file; one that is left out is empty. */
function mapped<To>(value: unknown, what: string, decode: (value: unknown) => To): ReadonlyMap<string, To> {
  if (value === undefined) return new Map();
  return new Map(Object.entries(mapOf(value, what)).map(([key, item]) => [key, decode(item)]));
}

function mapOf(value: unknown, what: string): JsonMap {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value));
  throw new DetailError(`${what} is no map`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new DetailError(`${what} is no list`);
}

function textsOf(value: unknown, what: string): readonly string[] {
  return listOf(value, what).map((item) => textOf(item, what));
}

function textOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new DetailError(`${what} is no text`);
}

function numberOf(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  throw new DetailError(`${what} is no number`);
}

function functionOf(value: unknown): FunctionName {
  const [schema, name] = textsOf(value, "a function");
  if (schema === undefined || name === undefined) throw new DetailError("a function has no name");
  return { schema, name };
}
