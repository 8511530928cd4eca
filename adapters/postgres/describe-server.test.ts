/** Tests what statements are said to do against a real server: its own privilege checks find every column left out. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import postgres from "postgres";
import type { Access } from "../../src/core/operation.ts";
import { accessLine } from "../../test/corpus/accesses.ts";
import { corpusReading } from "../../test/corpus/catalog.ts";
import { attacks, benignEntries, corpusSchema, maskedColumns, newerAttacks } from "../../test/corpus/masking.ts";
import type { CorpusEntry } from "../../test/corpus/masking.ts";
import { StatementGenerator } from "../../test/corpus/statements.ts";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { Analyser } from "./analyser.ts";
import type { Analysis, Reading } from "./analysis.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { Catalog } from "./catalog.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

const DATABASE = "corpus";
const GENERATED_COUNT = 1_200;

let server: PostgresServer;
let client: postgres.Sql;
let catalog: Catalog;
const analyser = new Analyser();

beforeAll(async () => {
  server = await startPostgres();
  server.psql(`create database ${DATABASE}`);
  server.psql(corpusSchema(), DATABASE);
  // What the trigger writes and the sequences give is not what the statement refers to.
  server.psql(
    `create role tester; grant usage on schema app, ext to tester; grant usage on all sequences in schema app to tester;
     alter function app.on_customer_update() security definer;
     alter role tester set search_path = app, public;`,
    DATABASE,
  );
  const source = await connectCatalog(server, { database: DATABASE });
  catalog = await new CatalogLoader(source).load();
  source.close();
  client = postgres({
    host: server.host,
    port: server.port,
    user: server.superuser,
    database: DATABASE,
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connection: { search_path: "app, public", statement_timeout: 10_000 },
  });
});

afterAll(async () => {
  await client.end({ timeout: 0 });
  await server.stop();
});

async function analyse(sql: string, reading: Reading): Promise<Analysis> {
  return analyser.analyse(new TextEncoder().encode(sql), reading);
}

/** The analyses of an entry's texts, one after the other as one session would send them. */
async function analyseEntry(entry: CorpusEntry, serverMajor = 15): Promise<Analysis[]> {
  const prepared = new Map<string, Analysis>();
  const cursors = new Map<string, Analysis>();
  const reading = corpusReading(catalog, {
    serverMajor,
    database: DATABASE,
    preparedStatement: (name) => prepared.get(name),
    cursor: (name) => cursors.get(name),
  });
  const analyses: Analysis[] = [];
  for (const { name, sql } of entry.texts) {
    const analysis = await analyse(sql, reading);
    analyses.push(analysis);
    if (name !== "") prepared.set(name, analysis);
    for (const { prepares, declaresCursor } of analysis.statements) {
      if (prepares) prepared.set(prepares.name, prepares.analysis);
      if (declaresCursor) cursors.set(declaresCursor.name, declaresCursor.analysis);
    }
  }
  return analyses;
}

/** Policy on columns, functions, definitions or secrets of the catalog can stop an access like this. */
function isTold(access: Access, masked: ReadonlySet<string>): boolean {
  const { columns, relations } = access.facts;
  if (access.opaque || typeof columns === "symbol") return true;
  if (access.class === "execute" || access.class === "define" || access.class === "administer") return true;
  if (typeof columns === "object" && columns.some((column) => masked.has(column))) return true;
  const isOfCatalog =
    typeof relations === "object" && relations.some((name) => /^(pg_catalog|information_schema)\./.test(name));
  return isOfCatalog && !access.ambient;
}

/** What no text tells: a trigger that speaks, a row in an error, a startup packet, a function called by its number. */
const NOT_IN_THE_TEXT = new Set(["A183", "A289", "A290", "A340", "A376", "A377", "A379"]);

test("every attack is told by the columns or functions it needs, or is opaque", async () => {
  const masked = maskedColumns();
  const untold: string[] = [];
  let count = 0;
  const all = [
    ...attacks().map((entry) => ({ entry, major: 15 })),
    ...newerAttacks().map((entry) => ({ entry, major: 18 })),
  ];
  for (const { entry, major } of all) {
    count++;
    const analyses = await analyseEntry(entry, major);
    if (!analyses.some(({ accesses }) => accesses.some((access) => isTold(access, masked)))) untold.push(entry.id);
  }
  expect(count).toBeGreaterThan(200);
  expect(untold.filter((id) => !NOT_IN_THE_TEXT.has(id))).toEqual([]);
});

test("benign statements are understood, and need no functions but those that are declared", async () => {
  const notUnderstood: string[] = [];
  const functions = new Set<string>();
  let count = 0;
  for (const entry of benignEntries()) {
    for (const analysis of await analyseEntry(entry)) {
      count++;
      if (!analysis.understood) notUnderstood.push(analysis.text);
      for (const { facts } of analysis.accesses) {
        if (typeof facts["functions"] === "object") for (const name of facts["functions"]) functions.add(name);
      }
    }
  }
  expect(count).toBeGreaterThan(130);
  expect(notUnderstood).toEqual(["SELEC 1"]);
  expect([...functions].toSorted()).toEqual(["app.add_tax", "app.order_total"]);
});

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The privileges that the described accesses amount to, and no more. Null when there is something else to do. */
function grantsFor(accesses: readonly Access[]): string[] | null {
  const grants: string[] = [];
  for (const { class: accessClass, facts } of accesses) {
    // What a function of the schema reads is not what the statement refers to.
    if (accessClass === "execute") return null;
    if (accessClass === "connect" || facts["relations"] === undefined) continue;
    if (accessClass !== "read" && accessClass !== "write") return null;
    const { relations, columns, verbs } = facts;
    if (typeof relations !== "object" || typeof verbs !== "object" || typeof columns === "symbol") return null;
    const [full = ""] = relations;
    const [schema = "", name = ""] = full.split(".");
    if (schema === "pg_catalog" || schema === "information_schema") continue;
    const all = catalog.relation(schema, name)?.columns ?? [];
    // Without a column, the server asks for a privilege on any: one that no test is about.
    const some = quoted(all.at(-1) ?? "");
    const listed =
      typeof columns === "object" ? columns.map((column) => quoted(column.slice(full.length + 1))).join(", ") : some;
    const target = `${quoted(schema)}.${quoted(name)}`;
    grants.push(`GRANT SELECT (${listed}) ON ${target} TO tester`);
    const [verb = ""] = verbs;
    if (verb === "insert" || verb === "copy from") grants.push(`GRANT INSERT (${listed}) ON ${target} TO tester`);
    if (verb === "update") grants.push(`GRANT UPDATE (${listed}) ON ${target} TO tester`);
    if (verb === "select for update") grants.push(`GRANT UPDATE (${some}) ON ${target} TO tester`);
    if (verb === "delete") grants.push(`GRANT DELETE ON ${target} TO tester`);
    if (verb === "truncate") grants.push(`GRANT TRUNCATE ON ${target} TO tester`);
  }
  return grants;
}

function sqlState(error: unknown): string {
  if (error instanceof postgres.PostgresError) return error.code;
  throw error;
}

/** Runs a statement as a role that may do what was described and nothing else; the SQLSTATE, or `ok`. */
async function runWith(grants: readonly string[], statement: string): Promise<string> {
  await client.unsafe("BEGIN").simple();
  try {
    if (grants.length > 0) await client.unsafe(grants.join("; ")).simple();
    await client.unsafe("SET LOCAL ROLE tester").simple();
    await client.unsafe(statement).simple();
    return "ok";
  } catch (error) {
    return sqlState(error);
  } finally {
    await client.unsafe("ROLLBACK").simple();
  }
}

/** With parameters, a statement is only planned: that checks privileges too. */
function runnable(sql: string): string {
  const numbers = [...sql.matchAll(/\$(\d+)/g)].map((match) => Number(match[1]));
  if (numbers.length === 0) return sql;
  const values = Array.from({ length: Math.max(...numbers) }, () => "NULL").join(", ");
  return `PREPARE oracle AS ${sql}; EXPLAIN EXECUTE oracle (${values}); DEALLOCATE oracle`;
}

/** Runs texts with the described privileges: how each ended, and those that were refused a privilege. */
async function judge(texts: readonly string[]): Promise<{ ends: Map<string, number>; refused: string[] }> {
  const reading = corpusReading(catalog, { database: DATABASE });
  const ends = new Map<string, number>();
  const refused: string[] = [];
  for (const sql of texts) {
    const analysis = await analyse(sql, reading);
    const grants = analysis.understood ? grantsFor(analysis.accesses) : null;
    const end = grants === null ? "not judged" : await runWith(grants, runnable(sql));
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (end === "42501") refused.push(`${sql}\n  ${analysis.accesses.map(accessLine).join("\n  ")}`);
  }
  return { ends, refused };
}

test("benign statements run with privileges on what is described alone", async () => {
  const session =
    /^\s*(begin|commit|rollback|savepoint|release|set|reset|copy|listen|notify|unlisten|declare|fetch|move|close|prepare|execute|deallocate|discard|lock)\b/i;
  const texts = benignEntries()
    .flatMap((entry) => entry.texts.map(({ sql }) => sql))
    .filter((sql) => !session.test(sql));
  const { ends, refused } = await judge(texts);
  expect(refused).toEqual([]);
  expect(ends.get("ok") ?? 0).toBeGreaterThan(60);
});

test("generated statements run with privileges on what is described alone", async () => {
  const texts = Array.from({ length: GENERATED_COUNT }, (_, seed) => new StatementGenerator(seed).statement());
  const { ends, refused } = await judge(texts);
  expect(refused).toEqual([]);
  expect(ends.get("ok") ?? 0).toBeGreaterThan(GENERATED_COUNT / 2);
  expect(ends.get("not judged") ?? 0).toBeLessThan(GENERATED_COUNT / 20);
});

/** Names that mean something further out than they seem to, or something else altogether. */
const TRICKS = [
  // An alias list renames what a join has merged and moved.
  `SELECT id FROM events WHERE EXISTS (
     SELECT 1 FROM (SELECT * FROM orders JOIN contacts USING (customer_id)) s (a) WHERE customer_id = 3)`,
  "SELECT id FROM products WHERE EXISTS (SELECT 1 FROM (categories CROSS JOIN contacts) AS j (a, b, c) WHERE name IS NULL)",
  "WITH w (a) AS (SELECT * FROM contacts) SELECT (SELECT max(a) FROM w WHERE id = c.id) FROM customers c",
  "SELECT id FROM products WHERE EXISTS (SELECT 1 FROM categories AS c (a, b, c) WHERE name IS NULL)",
  // ON sees only its own join; a subquery in FROM sees nothing beside it.
  "SELECT (SELECT 1 FROM products p, categories a JOIN categories b ON note IS NULL LIMIT 1) FROM orders",
  "SELECT (SELECT 1 FROM customers c, (SELECT note) s LIMIT 1) FROM orders",
  "SELECT 1 FROM customers c, LATERAL (SELECT email AS e) s",
  "SELECT 1 FROM orders o RIGHT JOIN LATERAL (SELECT 1 AS one) s ON o.note IS NULL",
  // Output columns, input columns, and both.
  "SELECT full_name AS email FROM customers ORDER BY email",
  "SELECT full_name AS email FROM customers GROUP BY email, full_name",
  "SELECT full_name AS email FROM customers ORDER BY lower(email)",
  "SELECT DISTINCT ON (email) full_name AS email FROM customers",
  "SELECT max(full_name) AS lower FROM customers GROUP BY lower(email) ORDER BY lower",
  // Rows.
  "SELECT id FROM customers c WHERE c IS NOT NULL",
  "SELECT (SELECT c) IS NULL FROM customers c",
  "SELECT x FROM (SELECT c FROM customers c) x",
  "SELECT email FROM customers AS email",
  "SELECT count(customers) FROM customers",
  "SELECT j.x FROM (contacts CROSS JOIN categories) AS j (x)",
  "SELECT c.email FROM customers c NATURAL JOIN customers_vip",
  "SELECT 1 FROM customers NATURAL JOIN customers_vip",
  "SELECT 1 FROM customers JOIN customers_vip USING (email, ssn) AS u WHERE u.email IS NULL",
  "SELECT ctid, tableoid::regclass, xmin FROM orders",
  // Modifications.
  "UPDATE orders SET note = email FROM customers WHERE customers.id = customer_id RETURNING *",
  "UPDATE customers SET (full_name, ssn) = (SELECT card_number, email)",
  "DELETE FROM orders o USING orders p WHERE o.note = p.status::text RETURNING p.amount",
  "INSERT INTO customers (id, full_name, email, ssn, card_number) VALUES (5001, '', 'e', '', '') ON CONFLICT (email) WHERE ssn IS NULL DO NOTHING",
  `INSERT INTO customers AS c (id, full_name, email, ssn, card_number) VALUES (1, '', '', '', '')
     ON CONFLICT (id) DO UPDATE SET full_name = excluded.email || c.ssn WHERE c.balance > 0 RETURNING c.notes`,
  "WITH d AS (DELETE FROM orders WHERE note IS NULL RETURNING *) SELECT amount FROM d",
  "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED AND c.email IS NULL THEN UPDATE SET note = c.ssn",
  "COPY (SELECT email FROM customers) TO STDOUT",
  "TABLE contacts",
];

test("names are found where the server finds them", async () => {
  const { ends, refused } = await judge(TRICKS);
  expect(refused).toEqual([]);
  expect(Object.fromEntries(ends)).toEqual({ ok: TRICKS.length });
});

test("the server refuses a statement when a described column is left out", async () => {
  const analysis = await analyse("SELECT email FROM customers WHERE ssn = 'x'", corpusReading(catalog));
  const [access] = analysis.accesses;
  const less: Access = { ...access, facts: { ...access.facts, columns: ["app.customers.email"] } };
  expect(await runWith(grantsFor([less]) ?? [], analysis.text)).toBe("42501");
  expect(await runWith(grantsFor(analysis.accesses) ?? [], analysis.text)).toBe("ok");
});
