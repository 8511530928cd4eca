/** Random views over twins, tables that differ only in masked columns: whatever is not masked or closed shows the same of both. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connectCatalog } from "../../../test/servers/catalog-source.ts";
import { loadFacts, masksOf, REDACTED } from "../../../test/servers/mask-facts.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { makeRandom, randomQuery } from "../../../test/servers/random-views.ts";
import { quoteIdentifier } from "../quote.ts";
import { derive } from "./derive.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

const SEED = 20_261_121;
const QUERIES = 250;
/** So many of them the server must take, and so many columns must be compared. */
const VIEWS_MIN = 150;
const COLUMNS_MIN = 100;

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

const TWINS = ["a", "b"].map(
  (schema) => `create schema ${schema}; set search_path = ${schema};
    create table t (id int, grp int, name text, secret text); create table u (id int, tid int, note text, hidden int);
    insert into t values (1, 1, 'a', null), (2, 1, 'b', null), (3, 2, 'c', null), (4, 2, null, null);
    insert into u values (1, 1, 'x', null), (2, 1, 'b', null), (3, 3, 'a', null), (4, null, null, null);`,
);
const SECRETS = `
  update a.t set secret = (array['a', 'banana', 'c', null])[id]; update a.u set hidden = (array[1, 2, 3, null])[id];
  update b.t set secret = (array['zaaa', null, 'b', 'a'])[id]; update b.u set hidden = (array[2, null, 0, 5])[id]`;

test("what random views show is masked, closed, or the same for both twins", async () => {
  server.psql(TWINS.join("\n") + SECRETS);
  const session = await connectCatalog(server, { searchPath: "public" });
  const runs = async (sql: string): Promise<boolean> =>
    session.query(sql).then(
      () => true,
      () => false,
    );
  const random = makeRandom(SEED);
  const queries = new Map<string, string>();
  for (let index = 0; index < QUERIES; index++) {
    const query = randomQuery(random);
    const name = `v${index}`;
    const create = ["a", "b"].map(
      (schema) => `set local search_path = ${schema}; create view ${schema}.${name} as ${query};`,
    );
    if (await runs(`begin; ${create.join(" ")} commit`)) queries.set(name, query);
    else await session.query("rollback");
  }
  expect(queries.size).toBeGreaterThan(VIEWS_MIN);

  const { facts, catalog } = await loadFacts(server, "postgres");
  const names = ["a.t.secret", "a.u.hidden", "b.t.secret", "b.u.hidden"];
  const { masks, closed } = derive(facts, masksOf(catalog, Object.fromEntries(names.map((name) => [name, REDACTED]))));
  const counts = { columns: 0, masked: 0, closed: 0 };
  for (const [name, query] of queries) {
    const [a, b] = ["a", "b"].map((schema) => facts.relation(schema, name));
    if (a === undefined || b === undefined) throw new Error("a view is missing");
    expect(closed.has(a.oid)).toBe(closed.has(b.oid));
    if (closed.has(a.oid)) {
      counts.closed++;
      continue;
    }
    const clean = a.columns.filter((column) => !masks.has(column)).map((column) => column.name);
    counts.columns += clean.length;
    counts.masked += a.columns.length - clean.length;
    // As a substitute reads it: rows and their order, even where all columns are masked.
    const list = [...clean.map(quoteIdentifier), "'***' as masked"].join(", ");
    const [fromA, fromB] = await Promise.all(
      ["a", "b"].map((schema) =>
        session.query(`select ${list} from ${schema}.${name}`).catch((error: unknown) => String(error)),
      ),
    );
    expect({ query, shown: fromB }).toEqual({ query, shown: fromA });
  }
  session.close();
  expect(counts.columns).toBeGreaterThan(COLUMNS_MIN);
  expect(counts.masked).toBeGreaterThan(COLUMNS_MIN / 2);
  expect(counts.closed).toBeGreaterThan(COLUMNS_MIN / 4);
});
