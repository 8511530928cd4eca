/** Tests of masking plans on a real server: substitutes are what the relations are, and what cannot be shown safely is closed. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type LoadedFacts, loadFacts, masksOf, REDACTED } from "../../../test/servers/mask-facts.ts";
import { type PostgresServer, startPostgres } from "../../../test/servers/postgres.ts";
import { quoteIdentifier } from "../quote.ts";
import type { ColumnMask } from "./derive.ts";
import { makePlan, type PlanSettings } from "./make-plan.ts";
import type { MaskedRelation, MaskingPlan } from "./plan.ts";
import { maskQuestions, policyMasks } from "./subject-masks.ts";

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

const INLINE: PlanSettings = { mode: "inline", safeFunctions: [], listenChannels: [], searchPath: ["app"] };
const GUARDED: PlanSettings = { mode: "guarded", safeFunctions: [], listenChannels: [], searchPath: ["app"] };
const HASH: ColumnMask = { transform: { with: "hash" }, predicates: "deny" };
const PARTIAL: ColumnMask = { transform: { with: "partial", keepFirst: 1, keepLast: 2 }, predicates: "masked" };

let server: PostgresServer;
let databases = 0;
let database = "";

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
});

async function databaseOf(sql: string): Promise<LoadedFacts> {
  database = `d${databases++}`;
  server.psql(`create database ${database}`);
  server.psql(sql, database);
  return loadFacts(server, database);
}

function planOf(
  { facts, catalog }: LoadedFacts,
  masks: Readonly<Record<string, ColumnMask>>,
  settings: PlanSettings,
): MaskingPlan {
  const plan = makePlan(facts, masksOf(catalog, masks), settings);
  if (plan === null) throw new Error("nothing is masked");
  return plan;
}

function substitute({ columns, source }: MaskedRelation): string {
  const list = columns.map(
    ({ name, mask }) => `${mask?.expression ?? quoteIdentifier(name)} as ${quoteIdentifier(name)}`,
  );
  return `select ${list.join(", ")} from ${source}`;
}

test("inline: a substitute has all columns of the relation in order, masked ones as expressions over the relation", async () => {
  const loaded = await databaseOf(`create schema "S.é";
    create table "S.é"."T ""x""" (id int, gone int, "E mail" varchar(7) unique, note text, plain text);
    alter table "S.é"."T ""x""" drop column gone; create table child (extra int) inherits ("S.é"."T ""x""");
    insert into "S.é"."T ""x""" values (1, 'abcdef', 'note', 'p'); insert into child values (2, 'uvwxyz', 'other', 'q', 3)`);
  const plan = planOf(loaded, { '"S.é"."T ""x""".E mail': PARTIAL, '"S.é"."T ""x""".note': HASH }, INLINE);
  const relation = plan.relation("S.é", 'T "x"');
  if (relation === undefined) throw new Error("not in the plan");
  expect(relation.columns.map(({ name, attnum, mask }) => [name, attnum, mask?.predicates, mask?.constant])).toEqual([
    ["id", 1, undefined, undefined],
    ["E mail", 3, "masked", "CAST('***' AS character varying(7))"],
    ["note", 4, "deny", "CAST('***' AS pg_catalog.text)"],
    ["plain", 5, undefined, undefined],
  ]);
  expect([relation.source, relation.sourceOnly]).toEqual(['"S.é"."T ""x"""', 'ONLY "S.é"."T ""x"""']);
  expect(server.psql(substitute(relation), database).split("\n")).toEqual(["1|a***ef|***|p", "2|u***yz|***|q"]);
  expect([plan.hasName('T "x"'), plan.hasName("child"), plan.hasName("other")]).toEqual([true, true, false]);
  expect([3, 4, 1, 5].map((attnum) => plan.isMaskedOrigin(relation.oid, attnum))).toEqual([true, true, false, false]);
  expect(plan.isMaskedOrigin(1, 3)).toBe(false);
  expect(plan.relation("public", 'T "x"')).toBeUndefined();
});

test("guarded: a substitute reads the masking view, hash and partial from columns of their own", async () => {
  const long = "l".repeat(63);
  const loaded =
    await databaseOf(`create schema "S.é"; create table "S.é"."T ""x""" (id int, "E mail" text, "E mail (hash)" text, n int, ${long} text);
    create table ${long} (a text); create table child () inherits ("S.é"."T ""x""")`);
  const plan = planOf(
    loaded,
    {
      '"S.é"."T ""x""".E mail': HASH,
      '"S.é"."T ""x""".E mail (hash)': PARTIAL,
      '"S.é"."T ""x""".n': HASH,
      [`"S.é"."T ""x""".${long}`]: HASH,
      [`public.${long}.a`]: REDACTED,
    },
    GUARDED,
  );
  const relation = plan.relation("S.é", 'T "x"');
  expect(relation?.source).toBe('"weir_masks"."""S.é"".""T """"x"""""""');
  expect(relation?.sourceOnly).toBe('"weir_masks"."""S.é"".""T """"x"""""" (only)"');
  expect(relation?.columns.map(({ mask }) => mask?.expression)).toEqual([
    undefined,
    '"E mail (hash) 1"',
    '"E mail (hash) (partial 1 2)"',
    "CAST('0' AS integer)",
    expect.stringMatching(/^"l{46}~[0-9a-f]{16}"$/u),
  ]);
  const child = plan.relation("public", "child");
  expect([child?.source, child?.sourceOnly]).toEqual(['"weir_masks"."public.child"', '"weir_masks"."public.child"']);
  const cut = plan.relation("public", long)?.source ?? "";
  expect(Buffer.byteLength(cut)).toBe('"weir_masks".""'.length + 63);
});

test("what cannot be shown safely is closed, with the reason; what only the mode forbids is open in the other", async () => {
  const loaded =
    await databaseOf(`create table secured (id int, email text); alter table secured enable row level security;
    create table p (id int, email text) partition by range (id); create extension file_fdw; create server files foreign data wrapper file_fdw;
    create foreign table far partition of p for values from (0) to (9) server files options (filename '/dev/null');
    create view invoker with (security_invoker = true) as select id, email from secured; create view over_invoker as select email from invoker;
    create view definer as select id, email from secured; create view invoker_of_p with (security_invoker) as select email from p;
    create domain never as text not null check (value <> '***'); create table odd (id int, email never);
    create table ruled (id int, email text); create rule r as on delete to ruled do instead nothing; create table fine (email text)`);
  const names = ["secured", "p", "odd", "ruled", "fine"].map((name) => [`public.${name}.email`, REDACTED] as const);
  const closed = (settings: PlanSettings): Record<string, string | null> => {
    const plan = planOf(loaded, Object.fromEntries(names), settings);
    const all = ["secured", "p", "far", "invoker", "over_invoker", "definer", "invoker_of_p", "odd", "ruled", "fine"];
    return Object.fromEntries(all.map((name) => [name, plan.relation("public", name)?.closedBecause ?? null]));
  };
  const always = {
    odd: 'the type of its masked column "email" takes neither a constant nor NULL',
    ruled: "it has rules, which rewrite statements after they were read",
  };
  const open = {
    secured: null,
    p: null,
    far: null,
    invoker: null,
    over_invoker: null,
    definer: null,
    invoker_of_p: null,
  };
  expect(closed(INLINE)).toEqual({ ...open, ...always, fine: null });
  const secured = "it has row level security, which would be decided for the masking views' owner";
  const invoker = "it is a view that reads with its reader's rights (security_invoker), who has none to raw values";
  const far =
    "it is a foreign table, or has one among its children: the masking views' owner would be the one to log in to its server";
  expect(closed(GUARDED)).toEqual({
    ...open,
    secured,
    p: far,
    far,
    invoker,
    invoker_of_p: invoker,
    ...always,
    fine: null,
  });
});

test("guarded: only tables are named as they are, for what no view has", async () => {
  const loaded = await databaseOf(`create table t (id int, email text) partition by range (id);
    create table "T" (id int, email text); create view v as select * from "T"; create materialized view m as select * from "T"`);
  const names = ["public.t", "public.T", "public.v", "public.m"];
  const masks = Object.fromEntries(names.map((name) => [`${name}.email`, REDACTED]));
  for (const [settings, itself] of [
    [GUARDED, ['"public"."t"', '"public"."T"', undefined, undefined]],
    [INLINE, [undefined, undefined, undefined, undefined]],
  ] as const) {
    const plan = planOf(loaded, masks, settings);
    expect(names.map((name) => plan.relation("public", name.slice("public.".length))?.itself)).toEqual([...itself]);
  }
});

test("nothing masked is no plan, and equal plans have equal digests", async () => {
  const loaded = await databaseOf("create table t (id int, email text); create table u (id int, email text)");
  const { facts, catalog } = loaded;
  expect(makePlan(facts, masksOf(catalog, {}), INLINE)).toBeNull();
  const masks = { "public.t.email": REDACTED };
  const settings = { ...INLINE, safeFunctions: ['app."F x"(int)', "app.g()", "app.G()"], listenChannels: ["jobs"] };
  const plan = planOf(loaded, masks, settings);
  expect([...plan.safeFunctions]).toEqual(["app.F x", "app.g"]);
  expect([...plan.listenChannels]).toEqual(["jobs"]);
  expect(plan.digest).toBe(
    planOf(loaded, masks, { ...settings, safeFunctions: ["app.g()", 'app."F x"(text)'] }).digest,
  );
  const others = [
    planOf(loaded, masks, { ...settings, mode: "guarded" }),
    planOf(loaded, masks, { ...settings, safeFunctions: [] }),
    planOf(loaded, masks, { ...settings, listenChannels: [] }),
    planOf(loaded, masks, { ...settings, searchPath: ["app", "public"] }),
    planOf(loaded, masks, { ...settings, searchPath: null }),
    planOf(loaded, { "public.u.email": REDACTED }, settings),
    planOf(loaded, { "public.t.email": { ...REDACTED, predicates: "deny" } }, settings),
    planOf(loaded, { "public.t.email": { ...REDACTED, transform: { with: "null" } } }, settings),
    planOf(loaded, { "public.t.id": REDACTED }, settings),
  ];
  expect(new Set([plan, ...others].map(({ digest }) => digest)).size).toBe(others.length + 1);
});

test("policy is asked about every column that can be masked, by the names that statements have", async () => {
  const { catalog } =
    await databaseOf(`create schema "S.x"; create table "S.x"."T" ("a.b" int, c int); create view v as select 1 as one;
    create materialized view m as select 1 as two; create sequence s; create type c as (x int); create index on "S.x"."T" (c);
    create schema weir_masks; create view weir_masks.hidden as select 1 as x; create table empty ()`);
  const questions = maskQuestions(catalog, "db");
  expect(questions.accesses.map(({ facts }) => facts["columns"])).toEqual(
    expect.arrayContaining([['"S.x".T."a.b"'], ['"S.x".T.c'], ["public.v.one"], ["public.m.two"]]),
  );
  expect(questions.accesses).toHaveLength(4);
  expect(
    questions.accesses.every((access) => access.class === "read" && String(access.facts["databases"]) === "db"),
  ).toBe(true);
  expect(maskQuestions(catalog, "db")).toBe(questions);
  expect(maskQuestions(catalog, "other")).not.toBe(questions);
  const at = questions.accesses.findIndex(({ facts }) => String(facts["columns"]) === "public.m.two");
  const masks = policyMasks(
    questions,
    questions.accesses.map((_, index) => (index === at ? REDACTED : null)),
  );
  expect([...masks]).toEqual([[catalog.relation("public", "m")?.oid ?? 0, new Map([["two", REDACTED]])]]);
  expect(() => policyMasks(questions, [])).toThrow(RangeError);
});
