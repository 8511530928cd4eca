/** Names to what they mean on the server: relations, functions, operators and types, by search path and catalog. */
import type { Catalog, FunctionName } from "../catalog.ts";
import type { Reading } from "../analysis.ts";
import { joinIdentifier } from "./identifier.ts";
import { isSafeFunction, isSafeSupportFunction } from "./safe-functions.ts";

/** What a relation's name stands for. */
export type ResolvedRelation = {
  /** Tells relations apart inside one statement. */
  readonly key: string;
  /** `schema.name`; null when it cannot be known. */
  readonly name: string | null;
  /** Its name without the schema. */
  readonly own: string;
  /** By which its columns may be qualified; null when it is not known. */
  readonly schema: string | null;
  /** In order, each with its full name `schema.relation.column`; null when they are not known. */
  readonly columns: ReadonlyMap<string, string> | null;
  /** A sentence for people when the catalog does not know the relation; its access is then opaque. */
  readonly unknownBecause: string | null;
};

/** What a call may run: functions that need a permit by name (none: nothing to worry about), or nobody knows what. */
export type Calls =
  | { readonly kind: "functions"; readonly names: readonly string[] }
  | { readonly kind: "unknown"; readonly because: string };

const SAFE: Calls = { kind: "functions", names: [] };
const CATALOG_SCHEMA = "pg_catalog";
const TEMPORARY_SCHEMA = "pg_temp";

/** The parts of a possibly qualified name. */
export type QualifiedName = { readonly schema: string | null; readonly name: string };

/** Splits `[catalog.]schema.name`; null for another number of parts. */
function qualifiedName(parts: readonly string[]): QualifiedName | null {
  const name = parts.at(-1);
  if (name === undefined || parts.length > 3) return null;
  return { schema: parts.at(-2) ?? null, name };
}

export class Resolver {
  readonly reading: Reading;
  /** In the order in which unqualified names are looked for; null when that is not known. */
  readonly #path: readonly string[] | null;
  readonly #cannotKnow: string;

  constructor(reading: Reading) {
    this.reading = reading;
    this.#path = reading.searchPath === null ? null : effectivePath(reading.searchPath);
    if (reading.catalog === null) this.#cannotKnow = "the target's catalog is not loaded, or has changed";
    else
      this.#cannotKnow =
        reading.searchPath === null ? "the search path is not known" : "it was changed since the catalog was read";
  }

  /** A relation that exists. `catalogName` must be the session's own database, as the server demands. */
  relation(schema: string, name: string, catalogName = ""): ResolvedRelation {
    if (catalogName !== "" && catalogName !== this.reading.database) {
      return this.#unknownRelation(schema, name, "another database is named");
    }
    const { catalog } = this.reading;
    if (catalog === null) return this.#unknownRelation(schema, name, this.#cannotKnow);
    if (this.#isRedefined(name))
      return this.#unknownRelation(schema, name, `"${name}" was changed since the catalog was read`);
    if (schema !== "") return this.#inSchema(schema, name) ?? this.#unknownRelation(schema, name, null);
    if (this.#path === null) return this.#unknownRelation(schema, name, this.#cannotKnow);
    for (const candidate of this.#path) {
      const found = this.#inSchema(candidate, name);
      if (found) return found;
    }
    return this.#unknownRelation(schema, name, null);
  }

  /** The session's own DDL has changed what this name means, and the catalog does not tell yet. */
  #isRedefined(name: string): boolean {
    return this.reading.redefinedNames?.has(name) ?? false;
  }

  #inSchema(schema: string, name: string): ResolvedRelation | null {
    const { catalog, temporaryNames } = this.reading;
    if (schema === TEMPORARY_SCHEMA) {
      if (temporaryNames === "unknown") {
        return this.#unknownRelation("", name, "the session's temporary relations are not known");
      }
      if (!temporaryNames.has(name)) return null;
      const full = joinIdentifier(TEMPORARY_SCHEMA, name);
      const unknownBecause = `"${name}" is a temporary relation`;
      return { key: full, name: full, own: name, schema: TEMPORARY_SCHEMA, columns: null, unknownBecause };
    }
    return catalog === null ? null : fromCatalog(catalog, schema, name);
  }

  #unknownRelation(schema: string, name: string, because: string | null): ResolvedRelation {
    const full = schema === "" ? joinIdentifier(name) : joinIdentifier(schema, name);
    const sentence = because ?? `relation "${full}" is not in the catalog`;
    return { key: `? ${full}`, name: null, own: name, schema: null, columns: null, unknownBecause: sentence };
  }

  /** Where an unqualified name would be created, as `schema.name`; null when that cannot be known. */
  creationName(schema: string, name: string, isTemporary: boolean): string | null {
    if (isTemporary) return joinIdentifier(TEMPORARY_SCHEMA, name);
    if (schema !== "") return joinIdentifier(schema, name);
    const { catalog, searchPath } = this.reading;
    if (catalog === null || searchPath === null) return null;
    const first = searchPath.find((candidate) => candidate === TEMPORARY_SCHEMA || catalog.hasSchema(candidate));
    return first === undefined ? null : joinIdentifier(first, name);
  }

  /** A call by name: every function it may mean that is not known to be safe. */
  call(parts: readonly string[]): Calls {
    const qualified = qualifiedName(parts);
    if (!qualified) return { kind: "unknown", because: "a function's name has too many parts" };
    const { schema, name } = qualified;
    const candidates = this.#functionSchemas(schema, name);
    if (candidates === null) return { kind: "unknown", because: this.#cannotKnow };
    if (candidates.length === 0)
      return { kind: "unknown", because: `function "${parts.join(".")}" is not in the catalog` };
    return callsOf(
      candidates
        .filter((candidate) => !isSafeFunction(candidate, name))
        .map((candidate) => ({ schema: candidate, name })),
    );
  }

  /** A procedure: every candidate, safe or not; null when they cannot be known. */
  procedure(parts: readonly string[]): readonly string[] | null {
    const qualified = qualifiedName(parts);
    if (!qualified) return null;
    const candidates = this.#functionSchemas(qualified.schema, qualified.name);
    return candidates?.map((candidate) => joinIdentifier(candidate, qualified.name)) ?? null;
  }

  /** True when only pg_catalog's functions can be meant. */
  isCatalogFunction(parts: readonly string[]): boolean {
    const qualified = qualifiedName(parts);
    const candidates = qualified && this.#functionSchemas(qualified.schema, qualified.name);
    return candidates !== null && candidates.length === 1 && candidates[0] === CATALOG_SCHEMA;
  }

  /** True when some function of this name could be meant. */
  isFunction(parts: readonly string[]): boolean {
    const qualified = qualifiedName(parts);
    if (!qualified) return false;
    const candidates = this.#functionSchemas(qualified.schema, qualified.name);
    return candidates === null || candidates.length > 0;
  }

  #functionSchemas(schema: string | null, name: string): readonly string[] | null {
    const { catalog } = this.reading;
    if (catalog === null || this.#isRedefined(name)) return null;
    const all = catalog.functionSchemas(name);
    if (schema !== null) return all.filter((candidate) => candidate === schema);
    const path = this.#path;
    // Temporary functions are never found without their schema; unknown paths may hold any of them.
    return path === null ? all : all.filter((candidate) => path.includes(candidate));
  }

  /** An operator by symbol: the functions behind every operator outside pg_catalog that it may mean. */
  operator(parts: readonly string[]): Calls {
    const qualified = qualifiedName(parts);
    if (!qualified) return { kind: "unknown", because: "an operator's name has too many parts" };
    const { schema, name } = qualified;
    const { catalog } = this.reading;
    if (schema === CATALOG_SCHEMA) return SAFE;
    if (catalog === null || this.#isRedefined(name)) return { kind: "unknown", because: this.#cannotKnow };
    const path = this.#path;
    const found = catalog.userOperators(name).filter((operator) => {
      if (schema !== null) return operator.schema === schema;
      return path === null || path.includes(operator.schema);
    });
    return supportCallsOf(found.map((operator) => operator.function));
  }

  /** A type by name: what a cast to it may call. */
  type(parts: readonly string[]): Calls {
    const qualified = qualifiedName(parts);
    if (!qualified) return { kind: "unknown", because: "a type's name has too many parts" };
    const { schema, name } = qualified;
    if (schema === CATALOG_SCHEMA) return SAFE;
    const { catalog } = this.reading;
    if (catalog === null || this.#isRedefined(name)) return { kind: "unknown", because: this.#cannotKnow };
    const all = catalog.typeSchemas(name);
    if (schema !== null) {
      if (!all.includes(schema)) return { kind: "unknown", because: `type "${schema}.${name}" is not in the catalog` };
      return supportCallsOf(catalog.typeFunctions(schema, name));
    }
    const path = this.#path;
    const candidates = path === null ? all : path.filter((candidate) => all.includes(candidate));
    if (this.#mayBeTemporaryType(name, candidates) || candidates.length === 0)
      return { kind: "unknown", because: `type "${name}" is not in the catalog` };
    // The first on the path is the one; without a path, any may be.
    const meant = path === null ? candidates : candidates.slice(0, 1);
    return supportCallsOf(meant.flatMap((candidate) => catalog.typeFunctions(candidate, name)));
  }

  /** A temporary type comes before that of the schemas where pg_temp comes before them. */
  #mayBeTemporaryType(name: string, candidates: readonly string[]): boolean {
    const { temporaryNames } = this.reading;
    if (temporaryNames !== "unknown" && !temporaryNames.has(name)) return false;
    const path = this.#path ?? [];
    const [first] = candidates;
    return first === undefined || path.indexOf(TEMPORARY_SCHEMA) < path.indexOf(first);
  }

  isType(name: string): boolean {
    return (this.reading.catalog?.typeSchemas(name).length ?? 0) > 0;
  }
}

/** Relations as resolved before: their names are then the same strings in every analysis. */
const resolvedRelations = new WeakMap<Catalog, Map<string, ResolvedRelation>>();

function fromCatalog(catalog: Catalog, schema: string, name: string): ResolvedRelation | null {
  const relation = catalog.relation(schema, name);
  if (!relation) return null;
  let resolved = resolvedRelations.get(catalog);
  if (!resolved) {
    resolved = new Map<string, ResolvedRelation>();
    resolvedRelations.set(catalog, resolved);
  }
  const full = joinIdentifier(schema, name);
  let known = resolved.get(full);
  if (!known) {
    const columns = new Map(relation.columns.map((column) => [column, `${full}.${joinIdentifier(column)}`]));
    known = { key: full, name: full, own: name, schema, columns, unknownBecause: null };
    resolved.set(full, known);
  }
  return known;
}

/** pg_temp and pg_catalog come first unless the path says where they stand. */
function effectivePath(searchPath: readonly string[]): readonly string[] {
  const path = [...searchPath];
  if (!path.includes(CATALOG_SCHEMA)) path.unshift(CATALOG_SCHEMA);
  if (!path.includes(TEMPORARY_SCHEMA)) path.unshift(TEMPORARY_SCHEMA);
  return path;
}

function callsOf(unsafe: readonly FunctionName[]): Calls {
  const names = new Set(unsafe.map(({ schema, name }) => joinIdentifier(schema, name)));
  return { kind: "functions", names: [...names] };
}

/** What stands behind an operator or a type, where the functions of widely used extensions are known to be safe too. */
function supportCallsOf(candidates: readonly FunctionName[]): Calls {
  return callsOf(
    candidates.filter(({ schema, name }) => !isSafeFunction(schema, name) && !isSafeSupportFunction(name)),
  );
}
