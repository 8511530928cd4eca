/** Tests of masks against a real server: every type keeps its type, modifier and collation, and nothing of the value is left. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { loadFacts } from "../../../test/servers/mask-facts.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import type { MaskTransform } from "../../../src/core/obligation.ts";
import { quoteIdentifier, quoteQualified } from "../quote.ts";
import type { ColumnFacts, RelationFacts } from "./facts.ts";
import { inlineExpression, maskConstant, viewColumn } from "./transforms.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

const REDACT: MaskTransform = { with: "redact" };
const HASH: MaskTransform = { with: "hash" };
const PARTIAL: MaskTransform = { with: "partial", keepFirst: 1, keepLast: 4 };
const TRANSFORMS: readonly MaskTransform[] = [REDACT, { with: "null" }, HASH, PARTIAL];

let server: PostgresServer;
let databases = 0;
let database = "";

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

function sql(text: string): string {
  return server.psql(text, database);
}

/** A database of its own with a table `t` of these columns, and its facts. */
async function tableOf(columns: readonly string[], before = ""): Promise<RelationFacts> {
  database = `d${databases++}`;
  server.psql(`create database ${database}`);
  sql(`create schema weir_masks; create table weir_masks.hash_key (k bytea); insert into weir_masks.hash_key values ('key');
    ${before}; create table t (${columns.join(", ")})`);
  const relation = (await loadFacts(server, database)).facts.relation("public", "t");
  if (relation === undefined) throw new Error("the table is not among the facts");
  return relation;
}

/** Every expression that can stand for a column. */
function expressionsOf(column: ColumnFacts): readonly string[] {
  return TRANSFORMS.flatMap((transform) => [
    maskConstant(transform, column) ?? [],
    inlineExpression(transform, column) ?? [],
    viewColumn(transform, column, [])?.expression ?? [],
  ]).flat();
}

const TYPE_OF = "format_type(atttypid, atttypmod) || ' ' || attcollation || ' ' || atttypmod";

/** What the server says of the type of each expression over `t`, with a search_path that hides and shadows. */
function expectSameTypes(relation: RelationFacts): void {
  const own = new Map(
    sql(`select attname, ${TYPE_OF} from pg_attribute where attrelid = 't'::regclass and attnum > 0`)
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("|")), line.slice(line.indexOf("|") + 1)]),
  );
  const all = relation.columns.flatMap((column) => expressionsOf(column).map((expression) => ({ column, expression })));
  expect(all.length).toBeGreaterThanOrEqual(relation.columns.length);
  const views = chunks(all, 300).map((some, index) => {
    const list = some.map(({ expression }, at) => `${expression} as "${at}"`).join(", ");
    return `create view v${index} as select ${list} from t;`;
  });
  sql(`create schema shadow; create domain shadow.text as int; create domain shadow.date as int;
    set search_path = shadow, pg_catalog; ${views.join("\n").replaceAll("create view ", "create view public.").replaceAll(" from t;", " from public.t;")}`);
  for (const [index, some] of chunks(all, 300).entries()) {
    const types = sql(`select ${TYPE_OF} from pg_attribute where attrelid = 'v${index}'::regclass order by attnum`);
    expect(types.split("\n")).toEqual(some.map(({ column }) => own.get(column.name) ?? ""));
    // And they can be computed.
    sql(`select * from v${index}`);
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

test("every type of pg_catalog that a column can have is masked as itself", async () => {
  database = "postgres";
  const types = sql(`select format_type(oid, null) from pg_type
    where typnamespace = 'pg_catalog'::regnamespace and typtype <> 'p' and typrelid = 0 and typname not in ('_cstring', '_record')
      and not exists (select from pg_class c where c.oid = (select e.typrelid from pg_type e where e.oid = pg_type.typelem))
    order by oid`).split("\n");
  expect(types.length).toBeGreaterThan(100);
  const relation = await tableOf(types.map((type, index) => `c${index} ${type}`));
  sql("insert into t default values");
  expectSameTypes(relation);
});

test("modifiers and collations are kept", async () => {
  const types = [
    ..."varchar(2) varchar(70) char(1) char(7) bpchar bit(3) varbit(2) numeric(2,2) numeric(12,2) numeric(5)".split(
      " ",
    ),
    ..."varchar(2)[] numeric(4,1)[] timestamp(0) timestamptz(3) time(1) timetz(2) interval(2) name".split(" "),
    "interval year to month",
    "interval day to second(3)",
    "interval hour",
    'text collate "C"',
    'varchar(5) collate "POSIX"',
    'text collate s."Nö.x"',
    "s.ci",
    "s.german",
    's.german collate "POSIX"',
    'text[] collate "C"',
    '"char"',
  ];
  const relation = await tableOf(
    types.map((type, index) => `c${index} ${type}`),
    `create schema s; create collation s."Nö.x" from "C"; create extension citext schema s; create domain s.ci as s.citext;
     create domain s.german as varchar(4) collate s."Nö.x"`,
  );
  sql("insert into t default values");
  expectSameTypes(relation);
});

const TYPES_OF_ITS_OWN = `create schema s;
  create domain s.mail as text check (value ~ '@'); create domain s.short as varchar(2);
  create domain s.positive as int check (value > 0); create domain s.nested as s.positive check (value < 10);
  create domain s.price as numeric(5,2) check (value >= 0); create domain s.list as int[]; create domain s.plain as text;
  create type s.card as (a int, b text); create domain s.checked_card as s.card check ((value).a > 0);
  create type s."Odd ""name"".x" as enum ('it''s \\ "first"', 'b'); create type s.none as enum ();
  create type s.span as range (subtype = float8); create domain s.zero as int not null default 7;
  create domain s.never as text not null default 'x' check (value <> '***')`;

test("domains, enums, arrays, ranges, rows and types with odd names are masked as themselves", async () => {
  const columns = (
    "s.mail, s.mail[], s.short, s.short[], s.positive, s.nested, s.price, s.list, s.plain, s.card, s.card[], " +
    's.checked_card, s.none, s.span, s.span[], s.zero, s."Odd ""name"".x", s."Odd ""name"".x"[]'
  ).split(", ");
  const relation = await tableOf(
    columns.map((type, index) => `"c ${index} ""é""" ${type}`),
    TYPES_OF_ITS_OWN,
  );
  sql("insert into t default values");
  expectSameTypes(relation);
});

/** What each column of `t` shows under a transform, over its rows in order. */
function shown(relation: RelationFacts, transform: MaskTransform, how: "inline" | "view"): string {
  const expressions = relation.columns.map((column) => {
    const inline = inlineExpression(transform, column);
    const expression = how === "view" ? (viewColumn(transform, column, [])?.expression ?? inline) : inline;
    return `${expression ?? "'(closed)'"} as ${quoteIdentifier(column.name)}`;
  });
  return sql(`\\pset null NULL\nselect ${expressions.join(", ")} from t order by ${quoteQualified("t", "id")}`);
}

test("redact shows the same for every value and for none", async () => {
  const relation = await tableOf(
    (
      "id int, a text, b varchar(2), c numeric(4,1), d bool, e date, f timestamptz, g uuid, h jsonb, i json, j bytea, " +
      'k int[], l s."Odd ""name"".x", m s.none, n inet, o s.mail, p s.positive, q s.price, r s.zero, s s.never, ' +
      "t interval, u time, v s.card"
    ).split(", "),
    TYPES_OF_ITS_OWN,
  );
  sql(`insert into t values (1, 'secret', 'ab', 9, true, now(), now(), gen_random_uuid(), '{"a":1}', '[]', 'x', '{1,2}', 'b',
    null, '10.0.0.1', 'a@b', 1, 2, 3, 'y', '1 day', '10:00', '(1,x)');
    insert into t (id) values (2)`);
  const row =
    '0|***|**|0.0|f|1970-01-01|1970-01-01 00:00:00+00|00000000-0000-0000-0000-000000000000|"***"|"***"|\\x|{}|' +
    'it\'s \\ "first"|NULL|NULL|NULL|NULL|0.00|0|(closed)|00:00:00|00:00:00|NULL';
  sql(`alter database ${database} set timezone = 'UTC'`);
  expect(shown(relation, REDACT, "inline")).toBe(`${row}\n${row}`);
  expect(shown(relation, HASH, "inline")).toBe(`${row}\n${row}`);
});

test("null shows NULL, and where a domain has none its constant", async () => {
  const relation = await tableOf(["id int", "a text", "b s.zero", "c s.mail"], TYPES_OF_ITS_OWN);
  sql("insert into t values (1, 'secret', 5, 'a@b')");
  expect(shown(relation, { with: "null" }, "inline")).toBe("NULL|NULL|0|NULL");
});

test("partial keeps both ends of what is longer, tells nothing of how much longer, and leaves NULL", async () => {
  const relation = await tableOf(
    ["id int", "a text", "b varchar(6)", "c char(9)", "d name", "e jsonb", "f s.mail", "g s.plain", "h s.citext"],
    `${TYPES_OF_ITS_OWN}; create extension citext schema s`,
  );
  sql(`insert into t values (1, 'abcdefgh', 'abcdef', 'abcdefgh', 'abcdefgh', '"abcdefgh"', 'abc@efgh', 'abcdefgh', 'abcdefgh'),
    (2, 'éa😀bcd', 'éa😀bcd', 'éa😀bcd', 'éa😀bcd', '1', 'é@', 'éa😀bcd', 'éa😀bcd'),
    (3, 'abcde', 'abcde', 'abcde', 'abcde', '1', '@', 'abcde', 'abcde'),
    (4, '', '', '', '', '1', '@', '', ''), (5, null, null, null, null, null, null, null, null)`);
  const lines = [
    '0|a***efgh|a***cd|a***efgh |a***efgh|"***"|NULL|a***efgh|a***efgh',
    '0|é***😀bcd|é***😀b|é***😀bcd |é***😀bcd|"***"|NULL|é***😀bcd|é***😀bcd',
    '0|***|***|***      |***|"***"|NULL|***|***',
    '0|***|***|***      |***|"***"|NULL|***|***',
    '0|NULL|NULL|NULL|NULL|"***"|NULL|NULL|NULL',
  ];
  expect(shown(relation, PARTIAL, "inline").split("\n")).toEqual(lines);
  expect(shown(relation, PARTIAL, "view").split("\n")).toEqual(lines);
  expect(shown(relation, { with: "partial", keepFirst: 2, keepLast: 0 }, "inline").split("\n")[0]).toStartWith(
    "0|ab***|",
  );
  expect(shown(relation, { with: "partial", keepFirst: 0, keepLast: 0 }, "inline").split("\n")[3]).toStartWith(
    "0|***|",
  );
});

test("hash is equal for equal values, another under another key, and leaves NULL", async () => {
  const relation = await tableOf(
    ["id int", "a text", "b text", "c varchar(8)", "d uuid", "e int", "f s.mail"],
    TYPES_OF_ITS_OWN,
  );
  sql(
    `insert into t values (1, 'x', 'x', 'x', '11111111-1111-1111-1111-111111111111', 5, 'a@b'), (2, 'y', 'x', 'y', null, null, null)`,
  );
  const [first = "", second = ""] = shown(relation, HASH, "view").split("\n");
  const [, a = "", b = "", c = "", d = "", e = "", f = ""] = first.split("|");
  expect([a, c]).toEqual([b, b.slice(0, 8)]);
  const sha256 = (...parts: (string | Uint8Array)[]): Uint8Array => {
    const hash = new Bun.CryptoHasher("sha256");
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  expect(a).toBe(Buffer.from(sha256("key", sha256("key", "x"))).toString("hex"));
  const uuid = sha256("key", sha256("key", "11111111-1111-1111-1111-111111111111"));
  expect(d.replaceAll("-", "")).toBe(Buffer.from(uuid).toString("hex").slice(0, 32));
  expect([e, f]).toEqual(["0", "NULL"]);
  const [, otherA, otherB, , otherD] = second.split("|");
  expect(otherA).not.toBe(a);
  expect([otherB, otherD]).toEqual([a, "NULL"]);
  sql("update weir_masks.hash_key set k = 'other'");
  expect(shown(relation, HASH, "view").split("\n")[0]?.split("|")[1]).not.toBe(a);
});

test("a domain's check that calls more than what is known to compute is not run", async () => {
  const relation = await tableOf(
    ["a s.own", "b s.built_in", "c s.on_own", "d s.harmless", "e s.ci_mail"],
    `create schema s; create extension citext schema s; create domain s.ci_mail as s.citext check (value operator(s.~) '@'); create table s.ran (a int); create sequence s.calls;
     create function s.f(text) returns bool language sql as $$ select nextval('s.calls') > 0 $$;
     create domain s.own as text check (s.f(value)); create domain s.built_in as text check (pg_sleep(0.01)::text = '');
     create domain s.on_own as s.own; create domain s.harmless as text check (lower(value) = 'x')`,
  );
  expect(sql("select is_called from s.calls")).toBe("f");
  expect(relation.columns.map((column) => maskConstant(REDACT, column))).toEqual([
    null,
    null,
    null,
    "CAST(NULL AS s.harmless)",
    "CAST(NULL AS s.ci_mail)",
  ]);
});
