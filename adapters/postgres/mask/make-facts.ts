/** Puts the facts that masks need together from rows of the catalog, and reads the definitions among them. */
import { RELATION_KINDS } from "../catalog-records.ts";
import { CatalogError, type CatalogSource } from "../catalog-source.ts";
import type { Catalog, FunctionName, RelationKind } from "../catalog.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { isSafeFunction, isSafeSupportFunction } from "../describe/safe-functions.ts";
import { NotUnderstood } from "../describe/tree.ts";
import { BUILT_IN_SCHEMAS } from "../known-names.ts";
import { loadParser, type ParsedStatement, parse, parseSlow, SYNCHRONOUS_BYTES_MAX } from "../parser.ts";
import { quoteQualified } from "../quote.ts";
import { unsafeBuiltInCalls } from "./built-in-calls.ts";
import { probeDomains } from "./domain-probe.ts";
import type { FactRows } from "./fact-rows.ts";
import type { ColumnFacts, MaskFacts, RelationFacts, RuleFacts, TypeFacts, ViewFacts } from "./facts.ts";
import type { LineageNames } from "./lineage-place.ts";
import { columnKey, NO_READS, type Reads, union } from "./lineage-scope.ts";
import { type Lineage, readColumns, readLineage } from "./lineage.ts";
import { TypeTable } from "./type-table.ts";

/** A view's definition may be longer than what clients may send. */
const DEFINITION_BYTES_MAX = 1024 * 1024;

/** What is computed from tables; regclass constants make views depend on other kinds. */
const KINDS_WITH_VALUES: ReadonlySet<RelationKind> = new Set<RelationKind>([
  "table",
  "partitioned table",
  "foreign table",
  "view",
  "materialized view",
]);

/**
 * The facts that `rows` tell; `catalog` is of the same state of the database. `source` is asked about domains and must
 * serve nothing else afterwards. Rejects when it does, and with CatalogError on rows that are none.
 */
export async function makeFacts(rows: FactRows, catalog: Catalog, source: CatalogSource): Promise<MaskFacts> {
  const serverMajor = Math.floor(catalog.serverVersion / 10_000);
  const types = await columnTypes(rows, catalog, serverMajor, source);
  const relations = relationsOf(rows, types);
  const byName = new Map<string, Map<string, RelationFacts>>();
  for (const relation of relations.values()) {
    const inSchema = byName.get(relation.schema);
    if (inSchema === undefined) byName.set(relation.schema, new Map([[relation.name, relation]]));
    else inSchema.set(relation.name, relation);
  }
  const setFunctions = new Set(rows.setFunctions.map(([name]) => name));
  const relation: MaskFacts["relation"] = (schema, name) => byName.get(schema)?.get(name);
  const names: LineageNames = { relation, returnsSet: (name) => setFunctions.has(name) };
  return {
    catalogDigest: catalog.digest,
    relations,
    relation,
    generated: await generatedColumns(rows, relations, names, serverMajor),
    partitionKeys: partitionKeysOf(rows),
    policies: await policiesOf(rows, relations, names, serverMajor),
    constrained: constrainedOf(rows, relations),
    references: referencesOf(rows),
    views: await viewsOf(rows, relations, names, catalog, serverMajor),
    rules: await rulesOf(rows, relations, catalog, serverMajor),
  };
}

/** By `oid typmod`. */
async function columnTypes(
  rows: FactRows,
  catalog: Catalog,
  serverMajor: number,
  source: CatalogSource,
): Promise<ReadonlyMap<string, TypeFacts>> {
  const table = new TypeTable(rows.types, rows.checks);
  const columns = rows.columnTypes.map(([oid, typmod, formatted]) => {
    return [Number(oid), Number(typmod), formatted ?? ""] as const;
  });
  const unasked = columns.map(([oid, typmod, formatted]) => table.facts(oid, typmod, formatted, new Map()));
  const domains = unasked.filter(({ domain }) => domain?.isConstrained === true);
  const verdicts = await probeDomains(source, domains, table, rows.checks, catalog, serverMajor);
  return new Map(
    columns.map(([oid, typmod, formatted]) => [`${oid} ${typmod}`, table.facts(oid, typmod, formatted, verdicts)]),
  );
}

function relationsOf(rows: FactRows, types: ReadonlyMap<string, TypeFacts>): Map<number, RelationFacts> {
  const collations = new Map(
    rows.collations.map(([oid, schema, name]) => [Number(oid), quoteQualified(schema ?? "", name ?? "")]),
  );
  const children = new Map<number, number[]>();
  const parents = new Map<number, number[]>();
  const known = new Set(rows.relations.map(([oid]) => Number(oid)));
  for (const [child, parent] of rows.inheritance) {
    // Those of sessions' temporary tables are no business of others.
    if (!known.has(Number(child)) || !known.has(Number(parent))) continue;
    addTo(children, Number(parent), Number(child));
    addTo(parents, Number(child), Number(parent));
  }
  const relations = new Map<number, RelationFacts>();
  for (const [oidText, schema, name, kindLetter, hasRowSecurity, isSecurityInvoker, columns] of rows.relations) {
    const oid = Number(oidText);
    const kind = RELATION_KINDS.get(kindLetter ?? "");
    if (kind === undefined || typeof schema !== "string" || typeof name !== "string") throw strangeRows();
    relations.set(oid, {
      oid,
      schema,
      name,
      kind,
      columns: readColumnRows(columns ?? "[]", types, collations),
      children: children.get(oid) ?? NONE,
      parents: parents.get(oid) ?? NONE,
      hasRowSecurity: hasRowSecurity === "t",
      isSecurityInvoker: isSecurityInvoker === "t",
    });
  }
  return relations;
}

/** InvalidOid and DEFAULT_COLLATION_OID, as JSON has them. */
const NO_COLLATION = "0";
const DEFAULT_COLLATION = "100";

/** A view takes a fraction of a millisecond; sessions wait meanwhile. */
const VIEWS_AT_ONCE = 20;

function othersTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

const NONE: readonly never[] = Object.freeze([]);

function readColumnRows(
  json: string,
  types: ReadonlyMap<string, TypeFacts>,
  collations: ReadonlyMap<number, string>,
): readonly ColumnFacts[] {
  const columns: unknown = JSON.parse(json);
  if (!Array.isArray(columns)) throw strangeRows();
  return columns.map((column: unknown): ColumnFacts => {
    if (!Array.isArray(column)) throw strangeRows();
    const [name, attnum, typeOid, typmod, collation] = column as readonly unknown[];
    const type = types.get(`${String(typeOid)} ${String(typmod)}`);
    if (typeof name !== "string" || typeof attnum !== "number" || type === undefined) throw strangeRows();
    const isOwn = collation !== NO_COLLATION && collation !== DEFAULT_COLLATION;
    const spelled = isOwn ? collations.get(Number(collation)) : null;
    if (spelled === undefined) throw strangeRows();
    return { name, attnum, type, collation: spelled };
  });
}

async function generatedColumns(
  rows: FactRows,
  relations: ReadonlyMap<number, RelationFacts>,
  names: LineageNames,
  serverMajor: number,
): Promise<ReadonlyMap<number, Reads>> {
  const generated = new Map<number, Reads>();
  for (const [oid, attnum, expression] of rows.generated) {
    const relation = relations.get(Number(oid));
    if (relation === undefined) continue;
    const read = await reading(`SELECT ${expression ?? ""}`, serverMajor, (statements) =>
      readColumns(statements, relation, names),
    );
    const all = new Set(relation.columns.map((column) => columnKey(relation.oid, column.attnum)));
    generated.set(columnKey(relation.oid, Number(attnum)), "because" in read ? all : read.value);
  }
  return generated;
}

async function policiesOf(
  rows: FactRows,
  relations: ReadonlyMap<number, RelationFacts>,
  names: LineageNames,
  serverMajor: number,
): Promise<ReadonlyMap<number, Reads | null>> {
  const policies = new Map<number, Reads | null>();
  for (const [oidText, ...expressions] of rows.policies) {
    const oid = Number(oidText);
    const relation = relations.get(oid);
    if (relation === undefined) continue;
    for (const expression of expressions) {
      if (typeof expression !== "string") continue;
      const read = await reading(`SELECT ${expression}`, serverMajor, (statements) =>
        readColumns(statements, relation, names),
      );
      const known = policies.get(oid) ?? NO_READS;
      policies.set(oid, "because" in read || policies.get(oid) === null ? null : union([known, read.value]));
    }
  }
  return policies;
}

function partitionKeysOf(rows: FactRows): ReadonlyMap<number, Reads> {
  const keys = new Map<number, Set<number>>();
  for (const [oidText, attnum] of rows.partitionKeys) {
    const oid = Number(oidText);
    const key = columnKey(oid, Number(attnum));
    const known = keys.get(oid);
    if (known === undefined) keys.set(oid, new Set([key]));
    else known.add(key);
  }
  return keys;
}

function constrainedOf(rows: FactRows, relations: ReadonlyMap<number, RelationFacts>): readonly Reads[] {
  const groups: Reads[] = [];
  for (const [oidText, attnums] of rows.constrained) {
    const relation = relations.get(Number(oidText));
    const listed = attnumsOf(attnums);
    if (relation === undefined || listed.length === 0) continue;
    const columns = listed.includes(0) ? relation.columns.map(({ attnum }) => attnum) : listed;
    groups.push(new Set(columns.map((attnum) => columnKey(relation.oid, attnum))));
  }
  return groups;
}

function referencesOf(rows: FactRows): ReadonlyMap<number, Reads> {
  const references = new Map<number, Set<number>>();
  for (const [oid, attnums, referencedOid, referencedAttnums] of rows.foreignKeys) {
    const referenced = attnumsOf(referencedAttnums);
    for (const [index, attnum] of attnumsOf(attnums).entries()) {
      const key = columnKey(Number(referencedOid), referenced[index] ?? 0);
      const known = references.get(key) ?? new Set();
      references.set(key, known.add(columnKey(Number(oid), attnum)));
    }
  }
  return references;
}

function attnumsOf(json: string | null | undefined): number[] {
  const listed: unknown = JSON.parse(json ?? "");
  if (!Array.isArray(listed)) throw strangeRows();
  return listed.map(Number);
}

async function viewsOf(
  rows: FactRows,
  relations: ReadonlyMap<number, RelationFacts>,
  names: LineageNames,
  catalog: Catalog,
  serverMajor: number,
): Promise<ReadonlyMap<number, ViewFacts>> {
  const dependencies = dependenciesOf(rows, "t");
  const views = new Map<number, ViewFacts>();
  for (const [oidText, definition] of rows.definitions) {
    if (views.size % VIEWS_AT_ONCE === 0) await othersTurn();
    const oid = Number(oidText);
    const columnCount = relations.get(oid)?.columns.length;
    const own = dependencies.get(oid) ?? NONE;
    const read = await reading(definition ?? "", serverMajor, (statements) => {
      const lineage = readLineage(statements, names);
      if (lineage.outputs.length !== columnCount) throw new NotUnderstood("it shows another number of columns");
      const missed = missedRelation(own, lineage, relations);
      if (missed !== null) throw new NotUnderstood(`where it reads ${missed} was not found`);
      return lineage;
    });
    const lineage = "because" in read ? null : read.value;
    views.set(oid, {
      lineage,
      unreadBecause: "because" in read ? read.because : "",
      calls: [...new Set([...(lineage?.calls ?? []), ...own.flatMap((row) => unsafeCalls(row, catalog))])].toSorted(),
    });
  }
  return views;
}

async function rulesOf(
  rows: FactRows,
  relations: ReadonlyMap<number, RelationFacts>,
  catalog: Catalog,
  serverMajor: number,
): Promise<ReadonlyMap<number, RuleFacts>> {
  const dependencies = dependenciesOf(rows, "f");
  const definitions = new Map<number, string[]>();
  for (const [oid, definition] of rows.rules) addTo(definitions, Number(oid), definition ?? "");
  const rules = new Map<number, RuleFacts>();
  for (const [oid, texts] of definitions) {
    if (!relations.has(oid)) continue;
    const own = dependencies.get(oid) ?? NONE;
    const calls = new Set(own.flatMap((row) => unsafeCalls(row, catalog)));
    for (const text of texts) {
      const read = await reading(text, serverMajor, unsafeBuiltInCalls);
      for (const call of "because" in read ? [`what is not known (${read.because})`] : read.value) calls.add(call);
    }
    const used = own.flatMap(({ what, subject }) => (what === "r" ? [Number(subject)] : []));
    rules.set(oid, { relations: used, calls: [...calls].toSorted() });
  }
  return rules;
}

type Dependency = { readonly what: string; readonly subject: string; readonly typeName: string };

/** By relation: `ofViews` t: those of the rules that make them views; f: those of the others. */
function dependenciesOf(rows: FactRows, ofViews: "t" | "f"): ReadonlyMap<number, readonly Dependency[]> {
  const dependencies = new Map<number, Dependency[]>();
  for (const [oid, isView, what, subject, typeName] of rows.dependencies) {
    if (isView !== ofViews) continue;
    addTo(dependencies, Number(oid), { what: what ?? "", subject: subject ?? "", typeName: typeName ?? "" });
  }
  return dependencies;
}

/** A relation that the server says the view depends on, and that was not found in its definition. */
function missedRelation(
  dependencies: readonly Dependency[],
  lineage: Lineage,
  relations: ReadonlyMap<number, RelationFacts>,
): string | null {
  for (const { what, subject } of dependencies) {
    const relation = what === "r" ? relations.get(Number(subject)) : undefined;
    if (relation === undefined || lineage.relations.has(relation.oid)) continue;
    const isMissed = KINDS_WITH_VALUES.has(relation.kind) && !BUILT_IN_SCHEMAS.has(relation.schema);
    if (isMissed) return joinIdentifier(relation.schema, relation.name);
  }
  return null;
}

/** The functions behind one dependency that are not known to be safe, as `schema.name`. */
function unsafeCalls({ what, subject, typeName }: Dependency, catalog: Catalog): string[] {
  const supports = what === "o" || what === "t";
  let calls: readonly FunctionName[] = [];
  if (what === "t") calls = catalog.typeFunctions(subject, typeName);
  else if (what === "f" || what === "o") {
    const call = catalog.functionByOid(Number(subject));
    if (call === undefined) return [joinIdentifier("?", subject)];
    calls = [call];
  }
  return calls
    .filter(({ schema, name }) => !isSafeFunction(schema, name) && !(supports && isSafeSupportFunction(name)))
    .map(({ schema, name }) => joinIdentifier(schema, name));
}

/** Parses a definition and reads it; `because` says why that cannot be. */
async function reading<T>(
  text: string,
  serverMajor: number,
  read: (statements: readonly ParsedStatement[]) => T,
): Promise<{ readonly value: T } | { readonly because: string }> {
  await loadParser(serverMajor);
  const isShort = Buffer.byteLength(text) <= SYNCHRONOUS_BYTES_MAX;
  const parsed = isShort ? parse(text, serverMajor) : await parseSlow(text, serverMajor, DEFINITION_BYTES_MAX);
  if (parsed.kind === "error") return { because: parsed.error.message };
  if (parsed.kind === "refused") return { because: parsed.reason };
  try {
    return { value: read(parsed.statements) };
  } catch (error) {
    return { because: error instanceof NotUnderstood ? error.message : "it could not be read" };
  }
}

function addTo<T>(lists: Map<number, T[]>, key: number, item: T): void {
  const known = lists.get(key);
  if (known === undefined) lists.set(key, [item]);
  else known.push(item);
}

function strangeRows(): CatalogError {
  return new CatalogError("the target's catalog answered with rows of another shape");
}
