/** Tests of what else must be masked, on a real server: children, partitions, generated columns, views of every shape, rules. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadFacts, masksOf, REDACTED } from "../../../test/servers/mask-facts.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { joinIdentifier } from "../describe/identifier.ts";
import { type ColumnMask, derive } from "./derive.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

const CORPUS = join(import.meta.dir, "../../../test/corpus/masking");

let server: PostgresServer;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

type Derived = {
  /** By relation, the names of masked columns in order. */
  readonly masked: Readonly<Record<string, string>>;
  readonly closed: Readonly<Record<string, string>>;
  readonly of: (column: string) => ColumnMask | undefined;
};

/** Derives on a database of its own, made by `sql`. */
async function derived(
  sql: string,
  masks: Readonly<Record<string, ColumnMask>>,
  safeFunctions: readonly string[] = [],
): Promise<Derived> {
  const database = `d${databases++}`;
  server.psql(`create database ${database}`);
  server.psql(sql, database);
  const { facts, catalog } = await loadFacts(server, database);
  const derivation = derive(facts, masksOf(catalog, masks), new Set(safeFunctions));
  const masked: Record<string, string> = {};
  const closed: Record<string, string> = {};
  const byName = new Map<string, ColumnMask>();
  for (const relation of facts.relations.values()) {
    const name = joinIdentifier(relation.schema, relation.name);
    const columns = relation.columns.filter((column) => derivation.masks.has(column));
    if (columns.length > 0) masked[name] = columns.map((column) => column.name).join(" ");
    for (const column of columns) {
      const mask = derivation.masks.get(column);
      if (mask !== undefined) byName.set(joinIdentifier(relation.schema, relation.name, column.name), mask);
    }
    const because = derivation.closed.get(relation.oid);
    if (because !== undefined) closed[name] = because;
  }
  return { masked, closed, of: (column) => byName.get(column) };
}

function redacted(...columns: readonly string[]): Record<string, ColumnMask> {
  return Object.fromEntries(columns.map((column) => [column, REDACTED]));
}

const CUSTOMERS = `create table customers (id int primary key, name text, email text, notes jsonb, vip bool);
  create table orders (id int, customer_id int, amount numeric);
  create schema app;`;
const EMAIL = redacted("public.customers.email");

/** Views over CUSTOMERS, each with what is masked of it; null: it is closed. */
async function expectViews(
  views: Readonly<Record<string, readonly [sql: string, masked: string | null]>>,
): Promise<void> {
  const statements = Object.entries(views).map(([name, [sql]]) => `create view ${name} as ${sql};`);
  const { masked, closed } = await derived(CUSTOMERS + statements.join("\n"), EMAIL);
  const found = Object.keys(views).map((name) => {
    const full = `public.${name}`;
    return [name, full in closed ? null : (masked[full] ?? "")];
  });
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(Object.entries(views).map(([name, [, is]]) => [name, is])),
  );
}

test("the corpus: what must be derived is, and nothing else is masked or closed", async () => {
  const said = JSON.parse(readFileSync(join(CORPUS, "masked.json"), "utf8")) as {
    masked: Record<string, string[]>;
    mustBeDerivedByTheGateway: Record<string, Record<string, string[]>>;
  };
  const named = Object.entries(said.masked).flatMap(([relation, columns]) =>
    columns.map((each) => `${relation}.${each}`),
  );
  const { masked, closed, of } = await derived(readFileSync(join(CORPUS, "schema.sql"), "utf8"), redacted(...named), [
    "app.order_total",
    "app.add_tax",
  ]);
  const expected: Record<string, string> = {};
  for (const group of [said.masked, ...Object.values(said.mustBeDerivedByTheGateway)]) {
    for (const [relation, columns] of Object.entries(group)) {
      expected[relation] = [expected[relation], ...columns].filter((each) => each !== undefined).join(" ");
    }
  }
  expect(masked).toEqual(expected);
  expect(Object.keys(closed).toSorted()).toEqual(["ext.pg_stat_statements", "ext.pg_stat_statements_info"]);
  expect(of("app.customer_nested.handle")).toEqual(REDACTED);
});

test("children, parents and partitions are masked by the column's name, in both directions and however deep", async () => {
  const sql = `create table p (id int, email text); create table c1 (email text, x int) inherits (p);
    create table c2 (email2 text) inherits (c1); create table other (email text); create table two (y int) inherits (c2, other);
    create table e (id int, email text) partition by range (id); create schema "S.x";
    create table "S.x"."é ""p""" partition of e for values from (0) to (10) partition by range (id);
    create table sub partition of "S.x"."é ""p""" for values from (0) to (5);
    create table late (email text, id int); alter table e attach partition late for values from (10) to (20)`;
  expect((await derived(sql, redacted("public.p.email", "public.sub.email"))).masked).toEqual({
    "public.p": "email",
    "public.c1": "email",
    "public.c2": "email",
    "public.two": "email",
    "public.other": "email",
    "public.e": "email",
    '"S.x"."é ""p"""': "email",
    "public.sub": "email",
    "public.late": "email",
  });
  expect((await derived(sql, redacted("public.two.email2"))).masked).toEqual({
    "public.c2": "email2",
    "public.two": "email2",
  });
});

test("a relation whose row level security looks at a masked column is closed, and what reads it", async () => {
  const { closed } = await derived(
    `create schema app;
    create table app.people (id int primary key, email text);
    create table app.guesses (id int, g text);
    alter table app.guesses enable row level security;
    create policy p on app.guesses using (exists (select 1 from app.people q where q.email = g));
    create view app.hits as select id from app.guesses;
    create table app.checked (id int, g text);
    alter table app.checked enable row level security;
    create policy a on app.checked using (true);
    create policy b on app.checked for insert with check (g not in (select q.*::text from app.people q));
    create table app.own (id int, email text);
    alter table app.own enable row level security;
    create policy p on app.own using (email = current_user);
    create table app.open (id int, g text);
    alter table app.open enable row level security;
    create policy p on app.open using (exists (select from app.people q where q.id = open.id)) with check (true);
    create table app.off (id int, g text);
    create policy p on app.off using (exists (select from app.people q where q.email = g));`,
    redacted("app.people.email", "app.own.email"),
  );
  const because = "decides which of its rows are shown (row level security)";
  expect(closed).toEqual({
    "app.guesses": `the masked column app.people.email ${because}`,
    "app.hits": "it reads app.guesses, which is closed",
    "app.checked": `the masked column app.people.email ${because}`,
    "app.own": `the masked column app.own.email ${because}`,
  });
});

test("generated columns are masked when they read a masked column, through functions and each other's tables too", async () => {
  const { masked } = await derived(
    `create function f(text) returns text immutable language sql as 'select $1';
     create table t (id int, email text, a text generated always as (f(email)) stored, "B ""é""" int generated always as (id + 1) stored,
       c bool generated always as (email is null or id > 3) stored);
     create table child () inherits (t); create view v as select a, "B ""é""", c from t`,
    redacted("public.t.email"),
  );
  expect(masked).toEqual({ "public.t": "email a c", "public.child": "email a c", "public.v": "a c" });
});

test("views show masked columns under other names, in expressions and as whole rows", async () => {
  await expectViews({
    plain: ["select id, name from customers", ""],
    renamed: ["select id as email, email as id from customers", "id"],
    computed: ["select id, upper(email) || name as x, name from customers", "x"],
    whole: ["select c as r, c.id from customers c", "r"],
    to_row: ["select to_jsonb(c) as doc, (c).name, row(c.*)::text as r2, id from customers c", "doc r2"],
    star: ["select * from customers", "email"],
    star_of: ["select o.id as oid, c.* from orders o join customers c on c.id = o.customer_id", "email"],
    aliased: ["select c.a, c.c from customers as c(a, b, c)", "c"],
    over_view: ["select x.whatever, x.id from (select email as whatever, id from customers) x", "whatever"],
    aggregated: ["select vip, count(*) as n, max(email) as m, count(email) as k from customers group by vip", "m k"],
    filtered_aggregate: [
      "select count(*) filter (where email is null) as n, count(*) as all_of_them from customers",
      "n",
    ],
    windowed: [
      "select id, row_number() over (order by email) as r, sum(id) over (partition by vip) as s from customers",
      "r",
    ],
    scalar: ["select o.id, (select email from customers c where c.id = o.customer_id) as e from orders o", "e"],
    exists_one: ["select o.id, exists (select from customers c where c.email = 'x') as e from orders o", "e"],
    conditional: [
      "select id, case when email = 'a' then 1 else 2 end as x, coalesce(name, 'n') as y from customers",
      "x",
    ],
    in_array: [
      "select array[name, email] as a, array(select email from customers) as b, array(select id from customers) as c from customers",
      "a b",
    ],
    values_list: ["select v.a, v.b from (values (1, 'x')) v(a, b)", ""],
    system: ["select tableoid::regclass as t, ctid, id from customers", ""],
    union_all: ["select id, email from customers union all select id, 'none' from orders", "email"],
    union_all_other: [
      "select id, name from customers union all select customer_id, (select max(email) from customers) from orders",
      "name",
    ],
    lateral_join: [
      "select o.id, l.e, l.n from orders o, lateral (select c.email as e, c.name as n from customers c where c.id = o.customer_id limit 1) l",
      "e",
    ],
    with_query: [
      "with w as (select id, email as e from customers), v as (select id, e as f, 1 as one from w) select id, f, one from v",
      "f",
    ],
    with_recursive: [
      "with recursive r(n, e) as (select id, email from customers union all select r.n + 1, r.e from r where r.n < 3) select n, e from r",
      "e",
    ],
    recursive_late: [
      "with recursive r(a, b, c) as (select 1, 'x'::text, 'y'::text union all select r.a + 1, c.email, r.b from r, customers c where r.a < 3) select a, b, c from r",
      "b c",
    ],
    joined_as: [
      "select j.name, j.email, j.amount from (customers c join orders o(oid, cid, amount) on c.id = o.cid) j",
      "email",
    ],
    joined_as_renamed: [
      "select j.x, j.y, j.z from (customers c join orders o on c.id = o.customer_id) j(v, x, y, z)",
      "y",
    ],
    using_clean: ["select id, name, amount from customers join orders using (id)", ""],
    json_path: ["select id, notes ->> 'a' as a from customers", ""],
  });
});

test("views whose rows depend on a masked column are closed", async () => {
  await expectViews({
    condition: ["select id from customers where email = 'x'", null],
    condition_clean: ["select id, email from customers where vip", "email"],
    whole_row_condition: ["select id from customers c where c is not null", null],
    in_subquery: ["select id from orders where customer_id in (select id from customers where email like 'a%')", null],
    in_clean_subquery: ["select id from orders where customer_id in (select id from customers where vip)", ""],
    exists_subquery: [
      "select id from orders o where exists (select from customers c where c.id = o.customer_id and c.email = 'x')",
      null,
    ],
    any_subquery: ["select id from orders where 'x' = any (select email from customers)", null],
    ordered: ["select id from customers order by email", null],
    ordered_by_output: ["select id, email as e from customers order by e", null],
    ordered_by_position: ["select id, email as e from customers order by 2", null],
    ordered_clean: ["select id, email as e from customers order by 1", "e"],
    grouped: ["select count(*) from customers group by email", null],
    grouped_by_position: ["select email, count(*) from customers group by 1", null],
    grouping_sets: ["select vip, count(*) from customers group by grouping sets ((vip), (email))", null],
    having_it: ["select vip from customers group by vip having count(email) > 1", null],
    distinct_output: ["select distinct vip, email from customers", null],
    distinct_clean: ["select distinct vip, name from customers", ""],
    distinct_on: ["select distinct on (email) id from customers", null],
    limited: ["select id from orders limit (select length(max(email)) from customers)", null],
    skipped: ["select id from orders offset (select count(email) from customers)", null],
    joined: ["select o.id from orders o join customers c on c.email = o.id::text", null],
    left_joined: ["select o.id, c.name from orders o left join customers c on c.email = 'x'", null],
    joined_using: ["select a.id from customers a join customers b using (email)", null],
    natural_join: ["select name from customers natural join (select email from customers) x", null],
    union_distinct: ["select email from customers union select 'x'", null],
    union_clean: ["select id, name from customers union select id, 'x' from orders", ""],
    union_nested: ["select email from customers union (select name from customers union all select 'a')", null],
    intersected: ["select name from customers intersect select email from customers", null],
    excepted: ["select name from customers except all select email from customers", null],
    named_window: ["select id, row_number() over w from customers window w as (order by email)", null],
    in_from: ["select x.id from (select id from customers where email is not null) x", null],
    in_with: ["with w as (select id from customers where email = 'x') select id from w", null],
    set_function: ["select id, regexp_split_to_table(email, '') as part from customers", null],
    set_function_clean: ["select id, regexp_split_to_table(name, '') as part, email from customers", "email"],
    function_in_from: ["select c.id from customers c, lateral string_to_table(c.email, '@')", null],
    function_in_from_clean: ["select c.id, e.k from customers c, lateral jsonb_each_text(c.notes) e(k, v)", ""],
    rows_from: [
      "select g from rows from (generate_series(1, (select length(max(email)) from customers)), unnest(array[1])) x(g, h)",
      null,
    ],
    xml_rows: [
      "select x.a from customers c, xmltable('/a' passing xmlparse(document c.email) columns a text path 'b') x",
      null,
    ],
    xml_rows_clean: [
      "select x.a from customers c, xmltable('/a' passing xmlparse(document c.name) columns a text path 'b') x",
      "",
    ],
    sampled: ["select id, email from customers tablesample bernoulli (50)", "email"],
    sampled_by: [
      "select o.id from orders o tablesample system ((select length(max(email)) from customers)::real)",
      null,
    ],
    cycle: [
      "with recursive r(n, e) as (select id, email from customers union all select n, e from r) cycle e set is_cycle using path select n from r",
      null,
    ],
    searched: [
      "with recursive r(n, e) as (select id, email from customers union all select n, e from r where n < 3) search breadth first by e set o select n, o::text as o from r",
      "o",
    ],
    recursive_union: [
      "with recursive r(e) as (select email from customers union select e from r) select 1 as one from r",
      null,
    ],
    scalar_with_condition: ["select id, (select count(*) from customers where email = 'x') as n from orders", "n"],
    scalar_distinct: [
      "select id, (select count(*) from (select distinct email from customers) x) as n from orders",
      "n",
    ],
  });
});

test("closed views close the views over them, and say why", async () => {
  const { masked, closed } = await derived(
    `${CUSTOMERS}
     create view app."Sorted ""é""" as select id from customers order by email;
     create view a1 as select 1 as one from app."Sorted ""é"""; create view a2 as select one from a1;
     create materialized view m as select id, email as e from customers; create view over_m as select * from m;
     create view v1 as select email as x from customers; create view v2 as select x as y, 1 as z from v1;
     create or replace view v1 as select email as x, 1 as n from customers; create view v3 as select y from v2 where z = 1;
     create view v4 as select z from v2 where y = ''`,
    EMAIL,
  );
  expect(masked).toEqual({
    "public.customers": "email",
    "public.m": "e",
    "public.over_m": "e",
    "public.v1": "x",
    "public.v2": "y",
    "public.v3": "y",
  });
  expect(closed).toEqual({
    'app."Sorted ""é"""': "the masked column public.customers.email decides which rows it shows, or in which order",
    "public.a1": 'it reads app."Sorted ""é""", which is closed',
    "public.a2": "it reads public.a1, which is closed",
    "public.v4": "the masked column public.v2.y decides which rows it shows, or in which order",
  });
});

test("views that call what may read anything are closed unless it is declared safe", async () => {
  const sql = `${CUSTOMERS}
    create function app.peek(int) returns text stable language sql as 'select email from customers where id = $1';
    create function app.tax(numeric) returns numeric immutable language sql as 'select $1 * 1.2';
    create function app.same(int, int) returns bool stable language sql as 'select exists (select from customers where id = $1)';
    create operator app.=== (leftarg = int, rightarg = int, function = app.same);
    create type app.card as (a text); create function app.card_of(int) returns app.card stable language sql as 'select row(app.peek($1))::app.card';
    create cast (int as app.card) with function app.card_of(int) as implicit;
    create function app.takes(app.card) returns text immutable language sql as 'select ($1).a';
    create aggregate app.gather(text) (sfunc = textcat, stype = text);
    create function app.rows() returns setof customers stable language sql as 'select * from customers';
    create view calls as select app.peek(id) as e from orders;
    create view calls_in_from as select r.name from app.rows() r;
    create view calls_where as select id from orders where app.peek(id) = 'x';
    create view uses_operator as select id operator(app.===) 1 as x from orders;
    create view uses_cast as select id::app.card as x from orders;
    create view uses_hidden_cast as select app.takes(id) as x from orders;
    create view uses_aggregate as select app.gather(name) as x from customers;
    create view taxed as select id, app.tax(amount) as t from orders;
    create view xml as select query_to_xml('select email from customers', true, true, '') as x;
    create view file as select pg_read_file('x') as x;
    create view stats as select tablename from pg_stats;
    create view source as select prosrc from pg_proc;
    create view catalog as select relname, pg_get_viewdef(oid) as d from pg_class;
    create view info as select table_name from information_schema.tables;
    create view named as select 'customers'::regclass::text as t;
    create view series as select generate_series(1, 3) as n`;
  const { masked, closed } = await derived(sql, EMAIL, ["app.tax", "app.takes"]);
  expect(masked).toEqual({ "public.customers": "email" });
  const unsafe = (name: string): string =>
    `it calls ${name}, which is not declared safe, so that what it reads is not known`;
  expect(closed).toEqual({
    "public.calls": unsafe("app.peek"),
    "public.calls_in_from": unsafe("app.rows"),
    "public.calls_where": unsafe("app.peek"),
    "public.uses_operator": unsafe("app.same"),
    "public.uses_cast": unsafe("app.card_of"),
    "public.uses_hidden_cast": unsafe("app.card_of"),
    "public.uses_aggregate": unsafe("app.gather"),
    "public.xml": unsafe("pg_catalog.query_to_xml"),
    "public.file": unsafe("pg_catalog.pg_read_file"),
    "public.stats": "its definition could not be read: it reads pg_catalog.pg_stats",
    // The server says that it depends on the table.
    "public.named": "its definition could not be read: where it reads public.customers was not found",
    "public.source": "its definition could not be read: it reads pg_catalog.pg_proc",
  });
});

test("rules close relations that are masked, or whose rules use what is", async () => {
  const { closed } = await derived(
    `${CUSTOMERS}
     create table log (id int); create table quiet (id int); create table peeking (id int); create table file (id int);
     create view peeked as select id, email as e from customers; create view logged as select id from log;
     create rule r as on insert to log do instead select email from customers;
     create rule r as on insert to quiet do also insert into orders values (new.id);
     create rule r as on update to peeking do instead select e from peeked;
     create rule r as on delete to file do instead select pg_read_file('x');
     create rule r as on delete to customers do instead nothing`,
    EMAIL,
  );
  expect(closed).toEqual({
    "public.customers": "it has rules, which rewrite statements after they were read",
    "public.log": "it has rules that use public.customers, which is closed or masked",
    "public.peeking": "it has rules that use public.peeked, which is closed or masked",
    "public.file": "it has rules that call pg_catalog.pg_read_file, which is not declared safe",
    "public.peeked": "it reads public.customers, which is closed",
    "public.logged": "it reads public.log, which is closed",
  });
});

test("what policy names keeps its mask, the rest is redacted, and predicates are as strict as those of what they show", async () => {
  const hash: ColumnMask = { transform: { with: "hash" }, predicates: "equality" };
  const denied: ColumnMask = { transform: { with: "partial", keepFirst: 1, keepLast: 0 }, predicates: "deny" };
  const sql = `create table p (id int, a text, b text, c text, d text, e text); create table child () inherits (p);
    create view v as select a, b, c, a || b as ab, d, e from p`;
  const { of } = await derived(sql, {
    "public.p.a": hash,
    "public.p.b": denied,
    "public.p.c": hash,
    "public.child.c": hash,
    "public.p.d": hash,
    "public.child.d": denied,
    "public.child.e": denied,
    "public.v.a": denied,
  });
  const redact = (predicates: ColumnMask["predicates"]): ColumnMask => ({ transform: { with: "redact" }, predicates });
  expect([of("public.p.a"), of("public.child.a"), of("public.v.a")]).toEqual([hash, redact("deny"), denied]);
  expect([of("public.p.b"), of("public.child.b"), of("public.v.b")]).toEqual([denied, redact("deny"), redact("deny")]);
  expect([of("public.p.c"), of("public.child.c")]).toEqual([hash, hash]);
  // The parent shows the child's rows.
  expect([of("public.p.d"), of("public.child.d")]).toEqual([redact("deny"), denied]);
  expect([of("public.p.e"), of("public.v.e")]).toEqual([redact("deny"), redact("deny")]);
  expect(of("public.v.ab")).toEqual(redact("deny"));
  expect(of("public.p.id")).toBeUndefined();
});

test("a definition longer than clients may send is read all the same, and where nothing is masked nothing is closed", async () => {
  const list = Array.from({ length: 900 }, (_, i) => `email || '${"x".repeat(40)}' as c${i}`).join(", ");
  const sql = `${CUSTOMERS} create view long as select id, ${list} from customers; create view stats as select tablename from pg_stats`;
  const { masked, closed } = await derived(sql, EMAIL);
  expect(masked["public.long"]?.split(" ")).toHaveLength(900);
  expect(Object.keys(closed)).toEqual(["public.stats"]);
  expect((await derived(sql, {})).closed).toEqual({});
});

test("a definition that takes too long to be read is closed", async () => {
  let query = "select email as c from customers";
  for (let depth = 0; depth < 24; depth++) {
    query = `with recursive r${depth}(c) as (select x.c from (${query}) x union all select c from r${depth} where false) select c from r${depth}`;
  }
  const { masked, closed } = await derived(`${CUSTOMERS} create view slow as ${query}`, EMAIL);
  expect(masked).toEqual({ "public.customers": "email" });
  expect(closed).toEqual({ "public.slow": "its definition could not be read: it takes too long to be read" });
});

test("where a masked column decides in which partition a row lies, none of them may be mentioned", async () => {
  const { masked, closed } = await derived(
    `create table mails (id int, at int, email text) partition by range (at);
    create table mails_new partition of mails for values from (10) to (20) partition by list (left(email, 1));
    create table mails_new_a partition of mails_new for values in ('a');
    create table mails_old partition of mails for values from (0) to (10);
    create table plain (id int, email text) partition by range (id);
    create table plain_low partition of plain for values from (0) to (10);
    create view seen as select id from mails_new_a;`,
    redacted("public.mails.email", "public.plain.email"),
  );
  const because = "the masked column public.mails_new.email decides in which partition a row lies";
  expect(closed).toEqual({
    "public.mails": because,
    "public.mails_new": because,
    "public.mails_new_a": because,
    "public.seen": "it reads public.mails_new_a, which is closed",
  });
  expect(masked["public.mails_old"]).toBe("email");
  expect(masked["public.plain_low"]).toBe("email");
});

test("a column that refers to a masked one by a foreign key is masked too, and what refers to that", async () => {
  const { masked } = await derived(
    `create table people (id int primary key, tenant int, email text unique, unique (tenant, email));
    create table logins (login text primary key references people (email), at int);
    create table devices (id int, owner text references logins, person int references people);
    create table seats (seat int, holder text, t int, foreign key (t, holder) references people (tenant, email));
    create table friends (email text unique, friend text references friends (email));
    create view seen as select owner, id from devices;`,
    redacted("public.people.email", "public.friends.email"),
  );
  expect(masked).toEqual({
    "public.people": "email",
    "public.logins": "login",
    "public.devices": "owner",
    "public.seats": "holder",
    "public.friends": "email friend",
    "public.seen": "owner",
  });
});
