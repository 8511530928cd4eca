/** Tests the analyser: what it remembers and for whom, and what it does with texts that gateway and server may read differently. */
import { beforeAll, expect, test } from "bun:test";
import { UNKNOWN } from "../../src/core/operation.ts";
import { accessLine } from "../../test/corpus/accesses.ts";
import { corpusCatalog, corpusReading } from "../../test/corpus/catalog.ts";
import { Analyser } from "./analyser.ts";
import type { Analysis, Reading } from "./analysis.ts";
import { loadParser } from "./parser.ts";
import { endIdleParserChildren } from "./parser-child.ts";

const encoder = new TextEncoder();
const catalog = corpusCatalog();

beforeAll(() => loadParser(15));

function now(analyser: Analyser, sql: string | Uint8Array, changes: Partial<Reading> = {}): Analysis {
  const bytes = typeof sql === "string" ? encoder.encode(sql) : sql;
  const analysis = analyser.analyse(bytes, corpusReading(catalog, changes));
  if (analysis instanceof Promise) throw new Error("a short text is read at once");
  return analysis;
}

function lines(analysis: Analysis): string[] {
  return analysis.accesses.map(accessLine);
}

const OPAQUE = ["administer ? ?(?) calls ? opaque"];

test("an equal text under an equal reading is one analysis", () => {
  const analyser = new Analyser();
  const first = now(analyser, "SELECT id FROM orders");
  expect(now(analyser, "SELECT id FROM orders")).toBe(first);
  expect(now(analyser, "SELECT id FROM orders ")).not.toBe(first);
  expect(first.textSha256).toBe(new Bun.CryptoHasher("sha256").update("SELECT id FROM orders").digest("hex"));
  expect(first.catalogDigest).toBe(catalog.digest);
});

test.each<[string, Partial<Reading>]>([
  ["search path", { searchPath: ["public"] }],
  ["unknown search path", { searchPath: null }],
  ["temporary names", { temporaryNames: new Set(["customers"]) }],
  ["unknown temporary names", { temporaryNames: "unknown" }],
  ["redefined names", { redefinedNames: new Set(["customers"]) }],
  ["catalog", { catalog: null }],
  ["catalog's digest", { catalog: { ...catalog, digest: "another" } }],
  ["database", { database: "other" }],
  ["server", { serverMajor: 16 }],
  ["string syntax", { standardConformingStrings: false }],
  ["encoding", { clientEncodingIsUtf8: false }],
])("another %s is another analysis", async (_, changes) => {
  const analyser = new Analyser();
  await loadParser(16);
  const first = now(analyser, "SELECT id FROM customers");
  const second = now(analyser, "SELECT id FROM customers", changes);
  expect(second).not.toBe(first);
  expect(now(analyser, "SELECT id FROM customers", changes)).toBe(second);
});

test("names are looked for along the path, temporary ones first", () => {
  const analyser = new Analyser();
  const read = (changes: Partial<Reading>): string[] => lines(now(analyser, "SELECT id FROM customers", changes));
  expect(read({ searchPath: ["app", "public"] })).toEqual(["read select app.customers(id)"]);
  expect(read({ searchPath: ["public", "app"] })).toEqual(["read select public.customers(id)"]);
  expect(read({ searchPath: [] })).toEqual(["read select ?(?) opaque"]);
  expect(read({ searchPath: null })).toEqual(["read select ?(?) opaque"]);
  expect(read({ temporaryNames: new Set(["customers"]) })).toEqual(["read select pg_temp.customers(?) opaque"]);
  expect(read({ temporaryNames: new Set(["orders"]) })).toEqual(["read select app.customers(id)"]);
  expect(read({ temporaryNames: "unknown" })).toEqual(["read select ?(?) opaque"]);
  expect(read({ temporaryNames: "unknown", searchPath: ["app", "pg_temp"] })).toEqual([
    "read select app.customers(id)",
  ]);
  expect(read({ redefinedNames: new Set(["customers"]) })).toEqual(["read select ?(?) opaque"]);
  expect(read({ catalog: null })).toEqual(["read select ?(?) opaque"]);
});

test("pg_catalog comes first unless the path names it later", () => {
  const analyser = new Analyser();
  const shadowed = {
    ...catalog,
    digest: "shadowed",
    relation: (schema: string, name: string) =>
      name === "pg_class" && schema === "app" ? catalog.relation("app", "customers") : catalog.relation(schema, name),
    functionSchemas: (name: string) => (name === "lower" ? ["app", "pg_catalog"] : catalog.functionSchemas(name)),
  };
  const first = now(analyser, "SELECT 1 FROM pg_class", { catalog: shadowed });
  expect(lines(first)).toEqual(["read select pg_catalog.pg_class ambient"]);
  const later = now(analyser, "SELECT 1 FROM pg_class", { catalog: shadowed, searchPath: ["app", "pg_catalog"] });
  expect(lines(later)).toEqual(["read select app.pg_class"]);
  // Overloads are chosen by their arguments, so every schema on the path counts.
  expect(lines(now(analyser, "SELECT lower('A')", { catalog: shadowed }))).toEqual(["execute execute calls app.lower"]);
  expect(lines(now(analyser, "SELECT lower('A')", { catalog: shadowed, searchPath: ["public"] }))).toEqual([
    "read select ambient",
  ]);
});

test("what could be read differently is opaque", () => {
  const analyser = new Analyser();
  expect(lines(now(analyser, "SELECT 1", { standardConformingStrings: false }))).toEqual(OPAQUE);
  expect(lines(now(analyser, "SELECT 'é'", { clientEncodingIsUtf8: false }))).toEqual(OPAQUE);
  expect(lines(now(analyser, "SELECT 'e'", { clientEncodingIsUtf8: false }))).toEqual(["read select ambient"]);
  expect(lines(now(analyser, new Uint8Array([...encoder.encode("SELECT '"), 0xff, 0x27])))).toEqual(OPAQUE);
  expect(lines(now(analyser, "SELECT '\uFFFD'"))).toEqual(["read select ambient"]);
  expect(lines(now(analyser, "SELECT 1\0; DROP TABLE customers"))).toEqual(OPAQUE);
  // A byte order mark is no white space to the server.
  expect(lines(now(analyser, "\uFEFFSELECT 1"))).toEqual(OPAQUE);
});

test("a text that is no SQL keeps the server's complaint", () => {
  const analysis = now(new Analyser(), "SELECT é é é");
  expect(analysis).toMatchObject({
    understood: false,
    syntaxError: { message: 'syntax error at or near "é"', position: 12 },
  });
  expect(analysis.accesses).toEqual([
    {
      class: "administer",
      facts: {
        databases: ["shop"],
        verbs: UNKNOWN,
        relations: UNKNOWN,
        columns: UNKNOWN,
        functions: UNKNOWN,
        unfiltered: UNKNOWN,
      },
      opaque: true,
    },
  ]);
});

test("deep trees are refused, not walked", () => {
  const analyser = new Analyser();
  expect(lines(now(analyser, `SELECT 1${"+1".repeat(400)}`))).toEqual(["read select ambient"]);
  expect(now(analyser, `SELECT 1${"+1".repeat(2_000)}`)).toMatchObject({
    understood: false,
    notUnderstood: "it is nested more than 1000 deep",
  });
});

test("queries that would take endless work to walk are refused", () => {
  const analyser = new Analyser();
  const columns = Array.from({ length: 1_665 }, (_, index) => `1 AS c${index}`);
  expect(now(analyser, `SELECT ${columns.join(",")}`).notUnderstood).toBe("it shows more than 1664 columns");
  const many = `SELECT id FROM ${"orders,".repeat(500)} orders`;
  expect(now(analyser, many).notUnderstood).toBe("it joins more than 500 relations");
});

test("comparisons that name no operator are looked up all the same", () => {
  const equal = {
    ...catalog,
    digest: "equal",
    userOperators: (symbol: string) =>
      symbol === "=" ? [{ schema: "app", function: { schema: "app", name: "odd_equal" } }] : [],
  };
  const analyser = new Analyser();
  for (const sql of [
    "SELECT 1 IN (SELECT 2)",
    "SELECT CASE 1 WHEN 2 THEN 3 END",
    "SELECT NULLIF(1, 2)",
    "SELECT 1 IS DISTINCT FROM 2",
    "SELECT 1 IN (2, 3)",
    "SELECT 1 FROM orders JOIN contacts USING (id)",
    "SELECT 1 FROM orders NATURAL JOIN contacts",
  ]) {
    expect(lines(now(analyser, sql, { catalog: equal }))).toContain("execute execute calls app.odd_equal");
  }
});

test("too many statements are refused", () => {
  const analyser = new Analyser();
  expect(now(analyser, "SELECT 1;".repeat(1_000)).statements.length).toBe(1_000);
  expect(lines(now(analyser, "SELECT 1;".repeat(1_001)))).toEqual(OPAQUE);
});

test("what a session has prepared is asked anew, under the reading of now", () => {
  const analyser = new Analyser();
  const prepare = now(analyser, "PREPARE p AS SELECT id FROM customers");
  const prepared = prepare.statements[0]?.prepares;
  if (!prepared) throw new Error("nothing was prepared");
  const byProtocol = now(analyser, "SELECT note FROM orders WHERE id = $1");
  const session: Partial<Reading> = {
    preparedStatement: (name) => ({ p: prepared.analysis, q: byProtocol })[name],
  };
  expect(lines(now(analyser, "EXECUTE p", session))).toEqual(["read select app.customers(id)"]);
  expect(lines(now(analyser, "EXECUTE q (1)", session))).toEqual(["read select app.orders(note id)"]);
  // The server looks names up again when the path has changed.
  expect(lines(now(analyser, "EXECUTE p", { ...session, searchPath: ["public"] }))).toEqual([
    "read select public.customers(id)",
  ]);
  // Another session has prepared nothing.
  expect(lines(now(analyser, "EXECUTE p"))).toEqual(OPAQUE);
  expect(lines(now(analyser, "EXECUTE p (order_total(1))", session))).toEqual([
    "read select app.customers(id)",
    "execute execute calls app.order_total",
  ]);
  expect(lines(now(analyser, "CREATE TABLE t AS EXECUTE p", session))).toEqual([
    "read select app.customers(id)",
    "define create table as app.t",
  ]);
  expect(lines(now(analyser, "EXPLAIN EXECUTE p", session))).toEqual(["read explain app.customers(id)"]);
});

test("FETCH goes on with the cursor's query", () => {
  const analyser = new Analyser();
  const declare = now(analyser, "DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM customers FOR UPDATE");
  const declared = declare.statements[0]?.declaresCursor;
  if (!declared) throw new Error("nothing was declared");
  expect(declared).toMatchObject({ name: "c", holds: true });
  const fetch = now(analyser, "FETCH 1 FROM c", { cursor: (name) => (name === "c" ? declared.analysis : undefined) });
  expect(lines(fetch)).toEqual(lines(declare));
  expect(lines(now(analyser, "FETCH 1 FROM c"))).toEqual(OPAQUE);
});

test("a statement that could not be read is not prepared either", () => {
  const analyser = new Analyser();
  const prepared = now(analyser, "PREPARE p AS SELECT * FROM nosuch");
  expect(prepared.understood).toBe(false);
  const analysis = prepared.statements[0]?.prepares?.analysis;
  expect(analysis?.understood).toBe(false);
  expect(lines(now(analyser, "EXECUTE p", { preparedStatement: () => analysis }))).toEqual(OPAQUE);
});

test("what is remembered is bounded", () => {
  const analyser = new Analyser({ cacheEntriesMax: 10 });
  const first = now(analyser, "SELECT 0");
  for (let index = 1; index <= 3; index++) now(analyser, `SELECT ${index}`);
  expect(now(analyser, "SELECT 0")).toBe(first);
  for (let index = 1; index <= 20; index++) now(analyser, `SELECT ${index}`);
  expect(now(analyser, "SELECT 0")).not.toBe(first);

  const small = new Analyser({ cacheBytesMax: 20_000 });
  const long = `SELECT '${"x".repeat(5_000)}'`;
  expect(now(small, long)).not.toBe(now(small, long));
});

test("what is used stays remembered", () => {
  const analyser = new Analyser({ cacheEntriesMax: 10 });
  const used = now(analyser, "SELECT 'used'");
  for (let index = 0; index < 100; index++) {
    now(analyser, `SELECT ${index}`);
    expect(now(analyser, "SELECT 'used'")).toBe(used);
  }
});

test("long texts are promised, and remembered", async () => {
  const analyser = new Analyser();
  const reading = corpusReading(catalog);
  const bytes = encoder.encode(`SELECT id FROM orders WHERE id IN (${"1,".repeat(20_000)}1)`);
  const promised = analyser.analyse(bytes, reading);
  expect(promised).toBeInstanceOf(Promise);
  const analysis = await promised;
  expect(lines(analysis)).toEqual(["read select app.orders(id)"]);
  expect(analyser.analyse(bytes, reading)).toBe(analysis);
  endIdleParserChildren();
}, 240_000);

test("texts over the limit are refused", async () => {
  const analyser = new Analyser({ statementBytesMax: 40_000 });
  const analysis = await analyser.analyse(encoder.encode(`SELECT '${"x".repeat(40_000)}'`), corpusReading(catalog));
  expect(lines(analysis)).toEqual(OPAQUE);
  expect(analysis.notUnderstood).toContain("limit");
});
