/** Tests of how facts are kept: loaded once for a state of the catalog, by one load at a time, and never of another state. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { connectCatalog } from "../../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { type CatalogConnection, CatalogKeeper } from "../catalog-keeper.ts";
import { CatalogError } from "../catalog-source.ts";
import { FactKeeper } from "./fact-keeper.ts";
import { GENERATED } from "./fact-queries.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

let server: PostgresServer;
let databases = 0;
let database = "";

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(() => {
  database = `d${databases++}`;
  server.psql(`create database ${database}`);
  server.psql("create table t (a int, b text); create view v as select b as shown from t", database);
});

function sql(text: string): void {
  server.psql(text, database);
}

/** A keeper of facts whose connections are counted; `during` is called before each of their queries. */
function setUp(during: (query: string) => void = () => {}) {
  const state = { opened: 0, closed: 0 };
  const connect = () => connectCatalog(server, { database });
  const keeper = new CatalogKeeper({ open: connect, clock: { now: () => Date.now() } });
  const open = async (): Promise<CatalogConnection> => {
    const source = await connect();
    state.opened++;
    return {
      query: (query) => {
        during(query);
        return source.query(query);
      },
      close: () => {
        state.closed++;
        source.close();
      },
    };
  };
  return { keeper, facts: new FactKeeper({ open, keeper }), state };
}

test("facts are loaded once for a state of the catalog, over a connection that does not stay", async () => {
  const { keeper, facts, state } = setUp();
  const first = await facts.get();
  expect(first.catalogDigest).toBe((await keeper.refresh()).digest);
  expect(first.relation("public", "v")?.columns.map(({ name }) => name)).toEqual(["shown"]);
  expect(await facts.get()).toBe(first);
  sql("insert into t values (1, 'x')");
  await keeper.refresh();
  expect(await facts.get()).toBe(first);
  expect(state).toEqual({ opened: 1, closed: 1 });
  sql("alter table t add c int");
  const { digest } = await keeper.refresh();
  const second = await facts.get();
  expect(second.catalogDigest).toBe(digest);
  expect(second.relation("public", "t")?.columns).toHaveLength(3);
  expect(first.relation("public", "t")?.columns).toHaveLength(2);
  expect(state).toEqual({ opened: 2, closed: 2 });
  keeper.stop();
});

test("whoever asks while a load runs waits for it, and for another one when the catalog is not as it was", async () => {
  const { keeper, facts, state } = setUp();
  const [a, b, c] = await Promise.all([facts.get(), facts.get(), facts.get()]);
  expect([a === b, b === c, state.opened]).toEqual([true, true, 1]);
  sql("alter table t add c int");
  const early = facts.get();
  await keeper.refresh();
  const late = await facts.get();
  expect(late.relation("public", "t")?.columns).toHaveLength(3);
  await early;
  keeper.stop();
});

test("facts that were read while the schema changed are read again, though it was changed back", async () => {
  let step = 0;
  const { keeper, facts, state } = setUp((query) => {
    const isDefinitions = query.includes("pg_get_viewdef");
    if (isDefinitions && step === 0) sql("alter view v rename column shown to other");
    const isAfter = query === GENERATED;
    if (isAfter && step === 1) sql("alter view v rename column other to shown");
    if (isDefinitions || isAfter) step++;
  });
  const before = await keeper.refresh();
  const loaded = await facts.get();
  expect(loaded.catalogDigest).toBe(before.digest);
  // Relations were read before the definitions, so that the first reading was of two states.
  expect(step).toBe(4);
  expect(loaded.views.get(loaded.relation("public", "v")?.oid ?? 0)?.lineage?.outputs).toHaveLength(1);
  expect(state).toEqual({ opened: 1, closed: 1 });
  keeper.stop();
});

test("a schema that never rests, and a connection that fails, are errors; the next call tries again", async () => {
  let index = 0;
  let isRestless = true;
  const { keeper, facts, state } = setUp((query) => {
    if (isRestless && query.includes("pg_get_viewdef")) sql(`alter table t add c${index++} int`);
  });
  const failure = await facts.get().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CatalogError);
  expect(String(failure)).toContain("changes faster than it can be read");
  isRestless = false;
  expect((await facts.get()).relation("public", "t")?.columns).toHaveLength(2 + index);
  expect(state).toEqual({ opened: 2, closed: 2 });
  keeper.stop();

  let isBroken = true;
  const broken = setUp((query) => {
    if (isBroken && query.includes("pg_get_viewdef")) throw new Error("gone");
  });
  await expect(broken.facts.get()).rejects.toThrow("gone");
  isBroken = false;
  expect((await broken.facts.get()).views.size).toBe(1);
  expect(broken.state).toEqual({ opened: 2, closed: 2 });
  broken.keeper.stop();
});

test("a connection whose search_path is not empty is refused", async () => {
  const connect = (searchPath: string) => connectCatalog(server, { database, searchPath });
  const keeper = new CatalogKeeper({ open: () => connect(""), clock: { now: () => Date.now() } });
  const facts = new FactKeeper({ open: () => connect("public"), keeper });
  await expect(facts.get()).rejects.toThrow("search_path");
  keeper.stop();
});

test("temporary relations of sessions are no facts", async () => {
  const session = await connectCatalog(server, { database });
  await session.query(
    "create temporary table mine () inherits (public.t); create temporary view other as select 1 as x",
  );
  const { keeper, facts } = setUp();
  const loaded = await facts.get();
  expect(loaded.relation("public", "t")?.children).toEqual([]);
  expect([...loaded.relations.values()].filter(({ name }) => name === "mine" || name === "other")).toEqual([]);
  session.close();
  keeper.stop();
});
