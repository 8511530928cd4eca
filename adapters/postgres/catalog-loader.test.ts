/** Tests of the catalog loader against a real server: what a picture holds, and which changes are noticed how. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { connectCatalog, type TestCatalogSource } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { CatalogPicture } from "./catalog-picture.ts";
import { CATALOG_LIMITS, CatalogError } from "./catalog-source.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

let server: PostgresServer;
let databases = 0;
let database = "";
const sources: TestCatalogSource[] = [];

beforeAll(async () => {
  server = await startPostgres({ settings: { max_prepared_transactions: 5 } });
});
// Each test has a database of its own.
beforeEach(() => {
  database = `d${databases++}`;
  server.psql(`create database ${database}`);
});
afterAll(async () => {
  for (const source of sources) source.close();
  await server.stop();
});

async function connect(options: { user?: string; searchPath?: string } = {}): Promise<TestCatalogSource> {
  const source = await connectCatalog(server, { database, ...options });
  sources.push(source);
  return source;
}

function sql(text: string): string {
  return server.psql(text, database);
}

/** What a loader that knows nothing yet sees. */
async function fresh(): Promise<CatalogPicture> {
  return new CatalogLoader(await connect()).load();
}

test("a picture holds relations of every kind with their columns", async () => {
  sql(`create schema shop;
    create table shop.orders (id int primary key, "Total" numeric, gone text, note text);
    alter table shop.orders drop column gone;
    create view shop.v as select id, note as n from shop.orders;
    create materialized view shop.m as select 1 as one;
    create table shop.p (k int) partition by range (k);
    create table shop.p1 partition of shop.p for values from (0) to (10);
    create index pk on shop.p (k);
    create sequence shop.s;
    create type shop.c as (x int, y shop.orders);
    create table shop.empty ();
    create extension file_fdw;
    create server files foreign data wrapper file_fdw;
    create foreign table shop.f (line text) server files options (filename '/dev/null');
    create temporary table t (a int)`);
  const picture = await fresh();
  const kinds = (names: string): unknown[] =>
    names.split(" ").map((name) => {
      const relation = picture.relation("shop", name);
      return [relation?.schema, relation?.name, relation?.kind, relation?.columns.join()];
    });
  expect(kinds("orders v m p p1 s c empty f orders_pkey pk")).toEqual([
    ["shop", "orders", "table", "id,Total,note"],
    ["shop", "v", "view", "id,n"],
    ["shop", "m", "materialized view", "one"],
    ["shop", "p", "partitioned table", "k"],
    ["shop", "p1", "table", "k"],
    ["shop", "s", "sequence", "last_value,log_cnt,is_called"],
    ["shop", "c", "composite type", "x,y"],
    ["shop", "empty", "table", ""],
    ["shop", "f", "foreign table", "line"],
    ["shop", "orders_pkey", "index", ""],
    ["shop", "pk", "index", ""],
  ]);
  expect(picture.relation("shop", "orders")?.oid).toBe(Number(sql("select 'shop.orders'::regclass::oid")));
  expect(picture.relation("pg_catalog", "pg_class")?.columns).toContain("relname");
  expect(picture.relation("information_schema", "tables")?.kind).toBe("view");
  expect(picture.relation("public", "orders")).toBeUndefined();
  expect(picture.relation("nowhere", "orders")).toBeUndefined();
  expect(picture.serverVersion).toBe(Number(sql("show server_version_num")));
  expect(picture.encoding).toBe("UTF8");
  expect(
    ["shop", "public", "pg_catalog", "information_schema", "pg_toast", "nowhere"].map((s) => picture.hasSchema(s)),
  ).toEqual([true, true, true, true, true, false]);
});

test("every relation and function that the server lists is there", async () => {
  sql("create extension citext; create extension hstore; create table t (a citext, b hstore)");
  const picture = await fresh();
  const rows = (text: string): string[][] => JSON.parse(sql(text)) as string[][];
  const relations = rows(`select json_agg(json_build_array(n.nspname, c.relname, (
      select coalesce(json_agg(attname order by attnum), '[]') from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped and c.relkind <> 'i')))
    from pg_class c join pg_namespace n on n.oid = relnamespace where nspname not like 'pg_toast%'`);
  expect(relations.length).toBeGreaterThan(300);
  for (const [schema = "", name = "", columns] of relations) {
    const relation = picture.relation(schema, name);
    expect([schema, name, relation?.columns as unknown]).toEqual([schema, name, columns]);
  }
  const functions = rows(
    "select json_agg(json_build_array(nspname, proname, p.oid)) from pg_proc p join pg_namespace n on n.oid = pronamespace",
  );
  for (const [schema = "", name = "", oid] of functions) {
    expect(picture.functionByOid(Number(oid))).toEqual({ schema, name });
    expect(picture.functionSchemas(name)).toContain(schema);
  }
  expect(picture.functionSchemas("no_such_function")).toEqual([]);
  const types = rows(
    "select json_agg(json_build_array(nspname, typname)) from pg_type t join pg_namespace n on n.oid = typnamespace where nspname not like 'pg_toast%'",
  );
  for (const [schema = "", name = ""] of types) expect(picture.typeSchemas(name)).toContain(schema);
});

/** One loader; what it says after each step must be what a loader that knows nothing says, told by another digest each time. */
async function follow(steps: readonly string[]): Promise<CatalogPicture> {
  const loader = new CatalogLoader(await connect());
  const [changes, witness] = [await connect({ searchPath: "public" }), await connect()];
  let last = await loader.load();
  for (const step of steps) {
    await changes.query(step);
    const next = await loader.load();
    expect([step, next.digest === last.digest]).toEqual([step, false]);
    expect([step, next.digest]).toEqual([step, (await new CatalogLoader(witness).load()).digest]);
    last = next;
  }
  return last;
}

test("changes of relations and columns are noticed", async () => {
  const picture = await follow([
    "create table t (a int, b int)",
    "alter table t rename column a to c",
    "alter table t add column d text",
    "alter table t drop column b",
    "create view v as select c from t",
    "create or replace view v as select c, d from t",
    "alter table t rename to u",
    "create schema s",
    "alter table u set schema s",
    "alter schema s rename to s2",
    "create table gone (a int)",
    "drop table gone; create table came (a int)",
    "create index i on s2.u (c)",
    "alter index s2.i rename to j",
    "drop view v",
    "begin; create table x (a int); alter table x rename a to b; alter table x rename to y; commit",
    "drop schema s2 cascade",
  ]);
  expect(picture.relation("public", "y")?.columns).toEqual(["b"]);
  expect(picture.relation("public", "v")).toBeUndefined();
  expect(picture.relation("s2", "u")).toBeUndefined();
  expect(picture.hasSchema("s2")).toBe(false);
});

test("changes of functions, operators and types are noticed", async () => {
  const picture = await follow([
    "create function f(int) returns int language sql as 'select 1'",
    "create or replace function f(int) returns int language sql as 'select 2'",
    "create or replace function f(int) returns int language sql security definer as 'select 2'",
    "create function f(text) returns int language sql as 'select 1'",
    "drop function f(text)",
    "alter function f(int) rename to g",
    "create schema s; alter function g(int) set schema s",
    "create function s.ne(int, int) returns bool language sql as 'select true'",
    "create operator public.<> (leftarg = int, rightarg = int, function = s.ne)",
    "alter function s.ne rename to ne2",
    "create procedure p() language sql as ''",
    "create aggregate a(int) (sfunc = int4pl, stype = int)",
    "create type e as enum ('x')",
    "alter type e rename to e2",
    "create domain d as int",
    "alter domain d add check (s.g(value) > 0)",
    "create extension citext",
    "drop extension citext",
    "drop operator public.<> (int, int)",
    "create function pg_catalog.mine() returns int language sql as 'select 1'",
    "alter function pg_catalog.pi() rename to pie",
    "drop function s.g(int) cascade",
  ]);
  expect(picture.functionSchemas("pi")).toEqual([]);
  expect(picture.functionSchemas("pie")).toEqual(["pg_catalog"]);
  expect(picture.functionSchemas("p")).toEqual(["public"]);
  expect(picture.functionSchemas("a")).toEqual(["public"]);
  expect(picture.functionSchemas("g")).toEqual([]);
  expect(picture.typeSchemas("e2")).toEqual(["public"]);
  expect(picture.userOperators("<>")).toEqual([]);
});

test("changes of what relations and types do are noticed", async () => {
  await follow([
    "create table t (a int, b text, c int generated always as (a + 1) stored); create view v as select a from t where a > 1; create table child (a int, b text, c int generated always as (a + 1) stored); create type e as enum ('x'); create domain d as int; create table p (a int) partition by range (a)",
    "create or replace view v as select a from t where a > 2",
    "alter table t alter b type varchar(10)",
    "alter table t alter b type varchar(9)",
    'alter table t alter b type varchar(9) collate "C"',
    "alter table t alter b type text",
    "alter table t alter a set default 7",
    "alter table child inherit t",
    "alter table child no inherit t",
    "create table part (a int)",
    "alter table p attach partition part for values from (0) to (10)",
    "alter table p detach partition part",
    "alter table t enable row level security",
    "create policy mine on t using (a > 1)",
    "alter policy mine on t using (a > 2)",
    "drop policy mine on t; alter table t disable row level security",
    "create rule r as on insert to t do also select 1",
    "create or replace rule r as on insert to t do also select 2",
    "drop rule r on t",
    "create function f() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger g before update on t for each row execute function f()",
    "alter table t disable trigger g",
    "alter type e add value 'w' before 'x'",
    "alter type e rename value 'w' to 'v'",
    "alter domain d add constraint k check (value > 1)",
    "alter domain d drop constraint k",
    "alter domain d set not null",
    "alter view v set (security_invoker = true)",
    'create collation c1 from "C"',
    "alter collation c1 rename to c2",
  ]);
});

test("what changes nothing that a picture holds gives the same picture", async () => {
  sql("create table t (a int primary key); create function f() returns int language sql as 'select 1'");
  const loader = new CatalogLoader(await connect());
  const before = await loader.load();
  for (const step of [
    "insert into t select generate_series(1, 1000)",
    "vacuum analyze t",
    "truncate t",
    "grant select on t to public",
    "create or replace function f() returns int language sql as 'select 1'",
    "create temporary table x (a int); create function pg_temp.g() returns int language sql as 'select 1'",
    "create temporary table y (a int default 1, check (a > 0)); create temporary view z as select * from y; create rule r as on insert to y do nothing",
    "vacuum full pg_class; vacuum full pg_attribute; vacuum full pg_proc",
    "alter table t rename a to b; alter table t rename b to a",
    "create view v as select a from t; drop view v",
  ]) {
    sql(step);
    expect([step, (await loader.load()) === before]).toEqual([step, true]);
  }
});

test("a change that was undone is told from none, and what is temporary is none", async () => {
  sql(
    "create table t (a int, b int generated always as (a + 1) stored); create type e as enum ('x'); create or replace view v as select a from t",
  );
  const loader = new CatalogLoader(await connect());
  const first = await loader.load();
  const found = async (step: string): Promise<boolean> => {
    sql(step);
    expect(await loader.load()).toBe(first);
    return loader.foundChanges;
  };
  expect(loader.foundChanges).toBe(true);
  expect(await found("")).toBe(false);
  expect(await found("insert into t values (1)")).toBe(false);
  const session = await connect();
  await session.query(`create temporary table x (a int default 1, b serial) partition by range (a);
    create temporary table y partition of x for values from (0) to (9); create temporary view z as select * from x;
    create rule r as on insert to x do nothing; create temporary table w (a int primary key, b int references w)`);
  expect(await found("")).toBe(false);
  for (const step of [
    "alter table t rename a to c; alter table t rename c to a",
    "create or replace view v as select a + 0 as a from t; create or replace view v as select a from t",
    "alter table t enable row level security; alter table t disable row level security",
    "create table child (a int, b int generated always as (a + 1) stored); alter table child inherit t; drop table child",
    "create rule r as on insert to t do also select 1; drop rule r on t",
    "alter type e rename value 'x' to 'y'; alter type e rename value 'y' to 'x'",
  ]) {
    expect([step, await found(step)]).toEqual([step, true]);
    expect([step, await found("")]).toEqual([step, false]);
  }
});

test("a poll costs two short queries, and a change loads only what changed", async () => {
  sql("create table t (a int); create table other (b int)");
  const source = await connect();
  const loader = new CatalogLoader(source);
  const first = await loader.load();
  const asked = async (step: string): Promise<number> => {
    sql(step);
    const before = source.asked.length;
    await loader.load();
    return source.asked.length - before;
  };
  // State, COMMIT.
  expect(await asked("")).toBe(2);
  expect(await asked("insert into t values (1)")).toBe(2);
  // State, one page of relations, COMMIT.
  expect(await asked("alter table t rename a to c")).toBe(3);
  const second = await loader.load();
  expect(second.relation("public", "t")?.columns).toEqual(["c"]);
  // The rest is shared between the pictures.
  expect(second.relation("public", "other")).toBe(first.relation("public", "other"));
  // And the picture that was given out before stays as it was.
  expect(first.relation("public", "t")?.columns).toEqual(["a"]);
});

test("what another session has not committed is not seen, and its commit is", async () => {
  sql("create table t (a int)");
  const loader = new CatalogLoader(await connect());
  const before = await loader.load();
  const other = await connect({ searchPath: "public" });
  await other.query("begin");
  await other.query("create table uncommitted (x int)");
  await other.query("create function uncommitted() returns int language sql as 'select 1'");
  await other.query("alter table t rename a to b");
  expect(await loader.load()).toBe(before);
  // Something else commits meanwhile; the open transaction is older than the next base.
  sql("create table meanwhile (y int)");
  const between = await loader.load();
  expect(between.relation("public", "meanwhile")?.columns).toEqual(["y"]);
  expect(between.relation("public", "t")?.columns).toEqual(["a"]);
  expect(between.functionSchemas("uncommitted")).toEqual([]);
  await other.query("savepoint s");
  await other.query("create table undone (x int)");
  await other.query("rollback to s");
  await other.query("commit");
  const after = await loader.load();
  expect(after.relation("public", "t")?.columns).toEqual(["b"]);
  expect(after.relation("public", "uncommitted")?.columns).toEqual(["x"]);
  expect(after.relation("public", "undone")).toBeUndefined();
  expect(after.functionSchemas("uncommitted")).toEqual(["public"]);
  expect(after.digest).toBe((await fresh()).digest);
});

test("a prepared transaction is seen when it is committed, however late", async () => {
  const loader = new CatalogLoader(await connect());
  await loader.load();
  sql("begin; create table late (a int); prepare transaction 'x'");
  sql("create table early (a int)");
  expect((await loader.load()).relation("public", "late")).toBeUndefined();
  sql("create table early2 (a int)");
  expect((await loader.load()).relation("public", "early2")).toBeDefined();
  sql("commit prepared 'x'");
  expect((await loader.load()).relation("public", "late")).toBeDefined();
});

const PICTURES_MIN = 5;

test("a picture is whole while others change the schema", async () => {
  sql("create table t0 (a int); create table u0 (a int)");
  const changes = await connect({ searchPath: "public" });
  const loader = new CatalogLoader(await connect());
  await loader.load();
  const progress = { pictures: 0, renames: 0 };
  const rename = async (): Promise<void> => {
    // Both names change together, so that a torn picture would show; as often as it takes for some pictures meanwhile.
    for (let i = 0; i < 60 || progress.pictures < PICTURES_MIN; i++) {
      await changes.query(
        `begin; alter table t${i} rename to t${i + 1}; alter table u${i} rename to u${i + 1};
         create function f${i}() returns int language sql as 'select 1'; commit`,
      );
      progress.renames = i + 1;
    }
  };
  const renaming = rename();
  const ended = renaming.then(() => true);
  while (!(await Promise.race([ended, false]))) {
    const picture = await loader.load();
    const found = Array.from({ length: progress.renames + 2 }, (_, i) => i).filter(
      (i) => picture.relation("public", `t${i}`) !== undefined || picture.relation("public", `u${i}`) !== undefined,
    );
    const [at = -1] = found;
    expect(found).toHaveLength(1);
    expect(picture.relation("public", `t${at}`)).toBeDefined();
    expect(picture.relation("public", `u${at}`)).toBeDefined();
    expect(picture.functionSchemas(`f${at - 1}`).length).toBe(at === 0 ? 0 : 1);
    expect(picture.functionSchemas(`f${at}`)).toEqual([]);
    progress.pictures++;
  }
  expect(progress.pictures).toBeGreaterThanOrEqual(PICTURES_MIN);
  expect((await loader.load()).digest).toBe((await fresh()).digest);
});

test("a hostile database neither misleads the loader nor runs in it", async () => {
  const names = [
    'quo"te',
    "new\nline\r\ttab",
    "back\\slash",
    "{curly,comma}",
    '["json"]',
    "\u0001\u001f\u007f",
    "é".repeat(31),
    "😀".repeat(15) + "abc",
    "x".repeat(63),
    "'; drop table victim; --",
    "NULL",
    "__proto__",
    "constructor",
    " ",
    "\u202ertl",
  ];
  const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  sql(`create table ran (what text);
    create schema evil;
    create function evil.trap(oid, oid) returns bool language plpgsql as $$ begin insert into public.ran values ('='); return false; end $$;
    create function evil.trap("char", "char") returns bool language plpgsql as $$ begin insert into public.ran values ('<>'); return false; end $$;
    create function evil.trap(int, int) returns bool language plpgsql as $$ begin insert into public.ran values ('>='); return false; end $$;
    create operator public.= (leftarg = oid, rightarg = oid, function = evil.trap);
    create operator public.<> (leftarg = "char", rightarg = "char", function = evil.trap);
    create operator public.>= (leftarg = int, rightarg = int, function = evil.trap);
    create function public.age(xid) returns int language plpgsql as
      $$ begin insert into public.ran values ('age'); return 1; end $$;
    create function public.starts_with(text, text) returns bool language plpgsql as
      $$ begin insert into public.ran values ('starts_with'); return true; end $$;
    create function public.concat_ws(text, bigint, numeric) returns text language plpgsql as
      $$ begin insert into public.ran values ('concat_ws'); return ''; end $$;
    create table public.pg_class (oid oid, relname text);
    create table public.pg_proc (oid oid);
    create type public.oid as (x int);
    create domain public.text as pg_catalog.text;
    alter database ${database} set search_path = public, evil, pg_catalog;
    ${names.map((name) => `create schema ${quote(name)}; create table ${quote(name)}.${quote(name)} (${quote(name)} int, "a" int);`).join("\n")}
    ${names.map((name) => `create function ${quote(name)}.${quote(name)}() returns int language sql as 'select 1';`).join("\n")}`);
  const loader = new CatalogLoader(await connect());
  await loader.load();
  sql("create table public.more (a int)");
  const picture = await loader.load();
  // Even where the empty search_path does not protect: the statements say pg_catalog themselves.
  const exposed = await connect();
  const unprotected = new CatalogLoader({
    async query(text) {
      const rows = await exposed.query(text);
      if (text.includes("server_version_num")) await exposed.query("set search_path = public, evil, pg_catalog");
      return rows;
    },
  });
  await unprotected.load();
  sql("create table public.another (a int)");
  const second = await unprotected.load();
  expect(second.digest).toBe((await loader.load()).digest);
  expect(sql("select count(*) from public.ran")).toBe("0");
  // The traps are set all right.
  await exposed.query("select 1::pg_catalog.oid = 1::pg_catalog.oid, age('3'::pg_catalog.xid)");
  expect(sql("select string_agg(what, ' ' order by what) from public.ran")).toBe("= age");
  for (const name of names) {
    expect(picture.relation(name, name)?.columns).toEqual([name, "a"]);
    expect(picture.functionSchemas(name)).toEqual([name]);
    expect(picture.typeSchemas(name)).toEqual([name]);
    expect(picture.hasSchema(name)).toBe(true);
  }
  expect(picture.relation("public", "more")).toBeDefined();
  expect(picture.functionSchemas("__proto__x")).toEqual([]);
  expect(picture.functionSchemas("age").toSorted()).toEqual(["pg_catalog", "public"]);
  expect(picture.userOperators("=")).toEqual([{ schema: "public", function: { schema: "evil", name: "trap" } }]);
  expect(picture.userOperators("<")).toEqual([]);
  expect(picture.typeSchemas("oid").toSorted()).toEqual(["pg_catalog", "public"]);
});

test("a connection whose search_path is not empty is refused", async () => {
  const loader = new CatalogLoader(await connect({ searchPath: "public" }));
  expect(await loader.load().catch((error: unknown) => error)).toBeInstanceOf(CatalogError);
});

test("a catalog beyond a limit is refused with the number", async () => {
  sql("create table a (x int); create table b (x int)");
  const refused = async (limits: Partial<typeof CATALOG_LIMITS>): Promise<string> =>
    new CatalogLoader(await connect(), { ...CATALOG_LIMITS, ...limits }).load().then(() => "", String);
  expect(await refused({ relations: 100 })).toContain("(at most 100 can be read)");
  expect(await refused({ columns: 1000 })).toContain("columns (at most 1000");
  expect(await refused({ schemas: 2 })).toContain("schemas (at most 2");
  expect(await refused({ conversions: 0 })).toContain("conversions");
  expect(await refused({})).toBe("");
});

test("functions behind casts, checks and forms of a type are found through all that it is made of", async () => {
  sql(
    `create extension citext; create extension hstore;
    create schema s;
    create function s.check_it(int) returns bool language sql as 'select true';
    create function s.compare(int, int) returns bool language sql as 'select true';
    create operator s.<<< (leftarg = int, rightarg = int, function = s.compare);
    create domain s.plain as int check (value > 0);
    create domain s.checked as int check (s.check_it(value));
    create domain s.compared as s.plain check (value operator(s.<<<) 3);
    create type s.pair as (a int, b s.checked);
    create table s.t (p s.pair[]);
    create type s.simple as (a int);
    create function s.to_simple(int) returns s.simple language sql as 'select null::s.simple';
    create cast (int as s.simple) with function s.to_simple(int);
    create type s.range as range (subtype = s.checked, multirange_type_name = s.multi);
    create type s.colour as enum ('red');
    create type s.loop as (a int); create table s.looped (l s.loop); alter type s.loop add attribute b citext`,
  );
  const picture = await fresh();
  const of = (name: string, schema = "s"): string =>
    picture
      .typeFunctions(schema, name)
      .map((f) => `${f.schema}.${f.name}`)
      .toSorted()
      .join(" ");
  expect(of("plain")).toBe("");
  expect(of("colour")).toBe("");
  expect(of("checked")).toBe("s.check_it");
  expect(of("_checked")).toBe("s.check_it");
  expect(of("compared")).toBe("s.compare");
  expect(of("pair")).toBe("s.check_it");
  expect(of("t")).toBe("s.check_it");
  expect(of("_t")).toBe("s.check_it");
  expect(of("simple")).toBe("s.to_simple");
  expect(of("range")).toContain("s.check_it");
  expect(of("multi")).toContain("s.check_it");
  expect(of("hstore", "public")).toContain("public.hstore_in");
  expect(of("citext", "public")).toContain("public.citextin");
  expect(of("loop")).toContain("public.citextin");
  expect(of("looped")).toContain("public.citextin");
  expect(of("int4", "pg_catalog")).toBe("");
  expect(of("int4", "s")).toBe("");
});

test("privileges on schemas and the default search_path are those of the role that connects", async () => {
  sql(`create role limited_${database} login; create role helper_${database}; create schema closed; create schema opened;
    grant usage on schema opened to limited_${database}; grant usage on schema closed to helper_${database}`);
  const user = `limited_${database}`;
  const source = await connect({ user });
  const loader = new CatalogLoader(source);
  const picture = await loader.load();
  expect(picture.role).toBe(user);
  expect(["opened", "closed", "absent"].map((schema) => picture.mayUseSchema(schema, user))).toEqual([
    true,
    false,
    false,
  ]);
  expect(picture.mayUseSchema("opened", "somebody")).toBeUndefined();
  expect(picture.defaultSearchPath).toBeNull();
  // Membership leaves no trace in pg_namespace.
  sql(`grant helper_${database} to ${user}`);
  expect((await loader.load()).mayUseSchema("closed", user)).toBe(true);
  for (const [step, path] of [
    [`alter database ${database} set search_path = a, public`, "a, public"],
    [`alter role ${user} set search_path = b`, "b"],
    [`alter role ${user} in database ${database} set search_path = "$user", c`, '"$user", c'],
    [`alter role ${user} in database ${database} reset search_path`, "b"],
    [`alter role ${user} reset all`, "a, public"],
  ] as const) {
    sql(step);
    expect([step, (await loader.load()).defaultSearchPath]).toEqual([step, path]);
  }
});

test("more objects than fit a page are all there", async () => {
  sql(
    `do $$ begin for i in 1..1200 loop execute format('create table t%s (a%s int primary key)', i, i); end loop; end $$`,
  );
  const loader = new CatalogLoader(await connect());
  const picture = await loader.load();
  const count = (p: CatalogPicture): number =>
    Array.from({ length: 1200 }, (_, i) => p.relation("public", `t${i + 1}`)?.columns.join() === `a${i + 1}`).filter(
      Boolean,
    ).length;
  expect(count(picture)).toBe(1200);
  sql("do $$ begin for i in 101..1200 loop execute format('drop table t%s', i); end loop; end $$");
  expect(count(await loader.load())).toBe(100);
  sql(
    "do $$ begin for i in 101..1200 loop execute format('create table t%s (a%s int primary key)', i, i); end loop; end $$",
  );
  const last = await loader.load();
  expect(count(last)).toBe(1200);
  expect(last.digest).toBe((await fresh()).digest);
});

test("answers of another shape are refused", async () => {
  const settings = ["150000", "UTF8", "postgres", "", "off", "0"];
  const answers = async (answer: (sql: string) => (string | null)[][]): Promise<unknown> =>
    new CatalogLoader({ query: async (text) => answer(text) }).load().catch((error: unknown) => error);
  const state = ["1:1:", "1", null, null, ...Array.from({ length: 9 }, () => "0: 0:")];
  for (const answer of [
    () => [],
    () => [["x", "UTF8", "postgres", ""]],
    (text: string) => (text.includes("server_version_num") ? [settings] : [["nonsense"]]),
    (text: string) => (text.includes("server_version_num") ? [settings] : [["1'; x", ...state.slice(1)]]),
    // Objects that are shown and not counted.
    (text: string) =>
      text.includes("server_version_num")
        ? [settings]
        : text.includes("pg_current_snapshot")
          ? [state]
          : text.includes("relname")
            ? [["5", "11", "x", "r", "[]", null]]
            : [],
    // A page without end.
    (text: string) =>
      text.includes("server_version_num")
        ? [settings]
        : text.includes("pg_current_snapshot")
          ? [state]
          : text.includes("relname")
            ? Array.from({ length: 2000 }, () => ["5", "11", "x", "r", "[]", null])
            : [],
  ]) {
    expect(await answers(answer)).toBeInstanceOf(CatalogError);
  }
});
