/** Every access that real statements have is among the possible ones: none can change unseen between two policy sets. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { attacks, benignEntries, corpusSchema } from "../../test/corpus/masking.ts";
import { StatementGenerator } from "../../test/corpus/statements.ts";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { isRefusal } from "../../src/core/decision.ts";
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access } from "../../src/core/operation.ts";
import type { CatalogTarget } from "../../src/core/policy-tools.ts";
import { postgresAdapter } from "./adapter.ts";
import { encodeDetail } from "./catalog-detail.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import { detailOf } from "./pull.ts";
import { VERB_CLASSES } from "./vocabulary.ts";

setDefaultTimeout(240_000);

const GENERATED = 600;

/** Statements of every kind that the corpus lacks. */
const DEFINING = `truncate app.orders; lock app.orders; create index on app.orders (id); drop index app.customers_pkey;
  create trigger t before insert on app.orders for each row execute function app.label(); create policy p on app.orders;
  grant select on app.orders to postgres; revoke select on app.orders from postgres; comment on table app.orders is 'x';
  vacuum app.orders; analyze app.orders; cluster app.orders; reindex table app.orders; drop table app.orders;
  alter table app.orders add x int; alter sequence app.customer_audit_id_seq restart; drop view app.customer_directory;
  refresh materialized view app.customer_mv; create statistics s on id, amount from app.orders; create role r;
  create publication p for table app.orders; security label on table app.orders is 'x'; select from app.orders for update;
  copy app.orders to stdout; copy app.orders from stdin; explain select id from app.orders; create schema s; do $$ begin end $$;
  select app.label(1); call app.label(); listen x; notify x; set role postgres; alter system set work_mem = 1; checkpoint;
  select query from pg_stat_activity; select relname from pg_class; delete from pg_class; alter table pg_class add x int;
  select pg_read_file('x'); show work_mem; set work_mem = 1; discard all; begin; savepoint a; release a; rollback`;

let server: PostgresServer;
let catalog: CatalogTarget;
let possible: ReadonlySet<string>;
let count = 0;

beforeAll(async () => {
  server = await startPostgres();
  server.psql("create database corpus");
  server.psql(corpusSchema(), "corpus");
  const source = await connectCatalog(server, { database: "corpus" });
  const { contents } = await new CatalogLoader(source).load();
  source.close();
  const session = {
    serverMajor: server.major,
    encoding: "UTF8",
    role: "postgres",
    searchPath: "app, public",
    standardConformingStrings: true,
  };
  const database = detailOf(contents, session, new Map());
  const detail = encodeDetail({ database: "corpus", databases: new Map([["corpus", database]]) });
  catalog = { name: "c", adapter: "postgres", labels: {}, names: {}, unlisted: {}, detail, digest: "d" };
  const keys = new Set<string>();
  for (const access of postgresAdapter.policy.enumerate?.(catalog) ?? []) {
    count++;
    keys.add(keyOf(access));
  }
  possible = keys;
});
afterAll(() => server.stop());

function keyOf({ class: accessClass, facts, opaque, ambient }: Access): string {
  const inOrder = Object.entries(facts)
    .map(([key, value]) => [key, value === UNKNOWN ? null : value])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  return JSON.stringify([accessClass, inOrder, opaque === true, ambient === true]);
}

/** An access comes down to those with each of its columns alone, and one without any. */
function parts(access: Access): readonly Access[] {
  const { columns, functions } = access.facts;
  const withFact = (key: string, value: string): Access => ({ ...access, facts: { ...access.facts, [key]: [value] } });
  if (typeof functions === "object" && functions.length > 1)
    return functions.map((name) => withFact("functions", name));
  return typeof columns === "object" ? columns.map((column) => withFact("columns", column)) : [access];
}

async function missing(texts: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  let seen = 0;
  for (const text of texts) {
    const described = await postgresAdapter.policy.describe("sql", text, catalog, { place: null });
    if (isRefusal(described)) throw new Error(described.message);
    for (const access of described.flatMap(({ accesses }) => accesses)) {
      // What is not in the catalog, or is created only now, is nothing that could be enumerated.
      const isKnown = access.opaque !== true && !Object.values(access.facts).includes(UNKNOWN);
      if (!isKnown || isCreated(access)) continue;
      seen++;
      for (const part of parts(access)) if (!possible.has(keyOf(part))) found.add(`${text}: ${keyOf(part)}`);
    }
  }
  expect(seen).toBeGreaterThan(30);
  return [...found];
}

const CREATING: ReadonlySet<string> = new Set([
  "create table",
  "create view",
  "create materialized view",
  "create sequence",
  "create table as",
]);

function isCreated({ facts: { verbs } }: Access): boolean {
  return typeof verbs === "object" && verbs.some((verb) => CREATING.has(verb));
}

test("they are many, and one of each verb", () => {
  expect(count).toBeGreaterThan(5_000);
  for (const [verb, accessClass] of VERB_CLASSES) {
    expect([...possible].some((key) => key.startsWith(`["${accessClass}"`) && key.includes(`"${verb}"`))).toBe(true);
  }
});

test("one could not be read, and one opens a session", () => {
  expect([...possible].filter((key) => key.includes(",true,"))).toHaveLength(1);
  const connect = postgresAdapter.policy.connect(catalog, { place: null });
  expect(connect.facts).toEqual({ databases: ["corpus"], verbs: ["connect"] });
  expect(possible.has(keyOf(connect))).toBe(true);
});

test("hold those of definitions and of statements of the server", async () => {
  expect(await missing(DEFINING.split(";").map((text) => text.trim()))).toEqual([]);
});

test("hold those of known attacks and of what drivers and tools send", async () => {
  const texts = [...attacks(), ...benignEntries()].flatMap((entry) => entry.texts.map(({ sql }) => sql));
  expect(await missing([...new Set(texts)])).toEqual([]);
});

test(`hold those of ${GENERATED} random statements`, async () => {
  const generator = new StatementGenerator(7);
  expect(await missing(Array.from({ length: GENERATED }, () => generator.statement()))).toEqual([]);
});
