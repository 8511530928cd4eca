/** Tests of columns whose writing tells of masked ones, on a real server: every kind of constraint, children, views. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { loadFacts, masksOf, REDACTED } from "../../../test/servers/mask-facts.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { derive } from "./derive.ts";
import { tiedColumns } from "./ties.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

test("what a constraint looks at beside a masked column is tied to it, and what it is written through", async () => {
  server.psql("create database ties");
  server.psql(
    `create table checked (id int primary key, staff bool, kind text, email text unique, check (not staff or email like 'a%'));
    create table alone (id int primary key, email text unique, n int check (n > 0));
    create table pairs (tenant int, email text, n int, unique (tenant, email));
    create table partly (slot int, kind text, email text, n int);
    create unique index on partly (slot) where email is null;
    create unique index on partly (lower(email), (kind || 'x'));
    create table excluded (room int, email text, n int, exclude using btree (room with =, lower(email) with =));
    create table referring (tenant int, email text, n int, foreign key (tenant, email) references pairs (tenant, email));
    create table computed (a text, b text, email text, whole text generated always as (a || email) stored unique);
    create domain small as int check (value < 100);
    create table required (a text, b text, email text, whole text generated always as (nullif(a, email)) stored not null);
    create table fitting (a text, b text, email text, whole varchar(20) generated always as (a || email) stored);
    create table checked_type (a int, b int, email text, whole small generated always as (a + length(email)) stored);
    create table searched (a text, email text, whole text generated always as (a || email) stored, n int not null);
    create table parent (id int, flag bool, email text);
    create table child (check (flag or email is null)) inherits (parent);
    create table row_checked (id int, email text, check (row_checked is not null));
    create view people as select id, staff as works, kind from checked;
    create view workers as select works and true as really, id from people;`,
    "ties",
  );
  const { facts, catalog } = await loadFacts(server, "ties");
  const tables =
    "checked alone pairs partly excluded referring computed required fitting checked_type searched parent row_checked".split(
      " ",
    );
  const masks = masksOf(catalog, Object.fromEntries(tables.map((table) => [`public.${table}.email`, REDACTED])));
  const tied: Record<string, string> = {};
  for (const [oid, columns] of tiedColumns(facts, derive(facts, masks).masks)) {
    const relation = facts.relations.get(oid);
    tied[joinIdentifier(relation?.name ?? "?")] = [...columns].join(" ");
  }
  expect(tied).toEqual({
    checked: "staff",
    pairs: "tenant",
    partly: "slot kind",
    excluded: "room",
    referring: "tenant",
    computed: "a",
    required: "a",
    fitting: "a",
    checked_type: "a",
    parent: "flag",
    child: "flag",
    row_checked: "id",
    people: "works",
    workers: "really",
  });
});

test("a constraint that is added or dropped is noticed", async () => {
  server.psql("create database changed");
  server.psql(
    "create table accounts (id int, staff bool, kind text, email text, shown text generated always as (nullif(kind, email)) stored)",
    "changed",
  );
  const tied = async (): Promise<string[]> => {
    const { facts, catalog } = await loadFacts(server, "changed");
    const { masks } = derive(facts, masksOf(catalog, { "public.accounts.email": REDACTED }));
    const names: string[] = [];
    for (const columns of tiedColumns(facts, masks).values()) names.push(...columns);
    return names;
  };
  expect(await tied()).toEqual([]);
  const before = (await loadFacts(server, "changed")).catalog.digest;
  server.psql("alter table accounts add constraint ours check (not staff or email like 'a%')", "changed");
  expect(await tied()).toEqual(["staff"]);
  const between = (await loadFacts(server, "changed")).catalog.digest;
  expect(between).not.toBe(before);
  server.psql("alter table accounts alter column shown set not null", "changed");
  expect(await tied()).toEqual(["staff", "kind"]);
  expect((await loadFacts(server, "changed")).catalog.digest).not.toBe(between);
});
