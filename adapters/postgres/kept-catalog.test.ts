/** A catalog that went through a file says of every name what the picture says that it was made of; and what is no detail is refused. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { corpusSchema } from "../../test/corpus/masking.ts";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { isRefusal } from "../../src/core/decision.ts";
import type { CatalogTarget } from "../../src/core/policy-tools.ts";
import { decodeDetail, encodeDetail } from "./catalog-detail.ts";
import type { DatabaseDetail, SessionDefaults } from "./catalog-detail.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { CatalogPicture } from "./catalog-picture.ts";
import { postgresAdapter } from "./adapter.ts";
import { KeptCatalog } from "./kept-catalog.ts";
import type { NamesBySchema } from "./known-names.ts";
import { detailOf } from "./pull.ts";

setDefaultTimeout(240_000);

/** Names that are special to JavaScript, to JSON, to dotted names; objects of every kind that reading looks at. */
const ODD = `
  create schema "__proto__"; create schema "a.b"; create schema "with ""quotes""";
  create table "__proto__"."constructor" ("__proto__" int, "a.b" int, "c d" int, "1" int);
  create table "a.b"."c
d" (x int);
  create table "with ""quotes"""."7" (y int);
  create function "__proto__"."toString"() returns int language sql as 'select 1';
  create domain "__proto__"."valueOf" as int check ("__proto__"."toString"() > value);
  create type public._rows as (a int); create type public.rows as (b int);
  create type public.mood as enum ('good', 'bad'); create type public."_mood2" as enum ('x');
  create type public.span as range (subtype = int);
  create function public.same(text, text) returns bool language sql as 'select $1 is not distinct from $2';
  create operator public.=== (leftarg = text, rightarg = text, function = public.same);
  create function public.to_mood(int) returns public.mood language sql as 'select ''good''::public.mood';
  create cast (int as public.mood) with function public.to_mood(int);
  create function public.twice(int) returns int language sql as 'select $1 * 2';
  create function public.twice(text) returns text language sql as 'select $1 || $1';
  create table public.empty ();`;

let server: PostgresServer;
let picture: CatalogPicture;
let kept: KeptCatalog;
let detail: DatabaseDetail;

const SESSION: SessionDefaults = {
  serverMajor: 15,
  encoding: "UTF8",
  role: "postgres",
  searchPath: '"$user", public',
  standardConformingStrings: true,
};

beforeAll(async () => {
  const binDir = process.env["WEIR_POSTGRES_BIN"];
  server = await startPostgres(binDir === undefined ? {} : { binDir });
  server.psql("create database odd");
  server.psql(corpusSchema(), "odd");
  server.psql(ODD, "odd");
  const source = await connectCatalog(server, { database: "odd" });
  picture = await new CatalogLoader(source).load();
  source.close();
  const session = { ...SESSION, serverMajor: server.major };
  detail = detailOf(picture.contents, session, new Map());
  // As a file holds it.
  const text = JSON.stringify(encodeDetail({ database: "odd", databases: new Map([["odd", detail]]) }));
  const decoded = decodeDetail(JSON.parse(text)).databases.get("odd");
  if (decoded === undefined) throw new Error("the database is gone");
  kept = new KeptCatalog(decoded, "digest", "odd");
});
afterAll(() => server.stop());

describe("what is kept is what the picture says", () => {
  test("of schemas, and who may use them", () => {
    const { schemas } = picture.contents;
    expect(schemas.size).toBeGreaterThan(6);
    for (const [schema, usable] of schemas) {
      expect(kept.hasSchema(schema)).toBe(true);
      expect(kept.mayUseSchema(schema, "postgres")).toBe(usable);
      expect(kept.mayUseSchema(schema, "somebody")).toBeUndefined();
    }
    expect(kept.hasSchema("constructor")).toBe(false);
    expect(kept.mayUseSchema("nowhere", "postgres")).toBe(false);
  });

  test("of relations and their columns", () => {
    const { relations } = picture.contents;
    expect(relations.length).toBeGreaterThan(300);
    for (const { schema, name, kind, columns } of relations) {
      expect(kept.relation(schema, name)).toEqual({ oid: 0, schema, name, kind, columns });
    }
    expect(kept.relation("__proto__", "constructor")?.columns).toEqual(["__proto__", "a.b", "c d", "1"]);
    expect(kept.relation("public", "constructor")).toBeUndefined();
    expect(kept.relation("constructor", "x")).toBeUndefined();
  });

  test("of functions, types and operators", () => {
    const { functions, types, operators } = picture.contents;
    const sorted = (schemas: readonly string[]): readonly string[] => schemas.toSorted();
    for (const [name, schemas] of functions) expect(sorted(kept.functionSchemas(name))).toEqual(sorted(schemas));
    for (const [name, schemas] of types) {
      expect([name, ...sorted(kept.typeSchemas(name))]).toEqual([name, ...sorted(schemas)]);
    }
    for (const [symbol, known] of operators) {
      const byText = (list: typeof known): readonly string[] => list.map((each) => JSON.stringify(each)).toSorted();
      expect(byText(kept.userOperators(symbol))).toEqual(byText(known));
    }
    expect([functions.size > 2_000, types.size > 400, operators.size > 0]).toEqual([true, true, true]);
    for (const name of ["constructor", "hasOwnProperty"]) {
      expect(kept.functionSchemas(name)).toEqual([]);
      expect(kept.userOperators(name)).toEqual([]);
    }
  });

  test("of no type that the server does not have", () => {
    const known = [...detail.names.types].flatMap(([schema, names]) =>
      Array.from(names, (name) => `${schema} ${name}`),
    );
    const there = [...picture.contents.types].flatMap(([name, schemas]) =>
      schemas.map((schema) => `${schema} ${name}`),
    );
    expect(known.toSorted()).toEqual(there.toSorted());
  });

  test("of what conversions to types call", () => {
    let count = 0;
    for (const [schema, types] of picture.contents.typeFunctions) {
      for (const [type, functions] of types) {
        count++;
        const byText = (list: typeof functions): readonly string[] =>
          list.map((each) => JSON.stringify(each)).toSorted();
        expect(byText(kept.typeFunctions(schema, type))).toEqual(byText(functions));
      }
    }
    expect(count).toBeGreaterThan(3);
    expect(kept.typeFunctions("__proto__", "valueOf")).toEqual([{ schema: "__proto__", name: "toString" }]);
    expect(kept.typeFunctions("public", "span")).toEqual([]);
  });

  test("with a digest of its own for each database and each file", () => {
    const digests = [
      new KeptCatalog(detail, "a", "x"),
      new KeptCatalog(detail, "a", "y"),
      new KeptCatalog(detail, "b", "x"),
    ];
    expect(new Set(digests.map(({ digest }) => digest)).size).toBe(3);
  });
});

test("names that come with the server are not listed, where they are those of its major", () => {
  const { databases } = encodeDetail({ database: "odd", databases: new Map([["odd", detail]]) });
  expect(databases).toMatchObject({ odd: { builtIn: { like: server.major } } });
  expect(JSON.stringify(databases)).not.toContain("pg_read_file");
  expect(JSON.stringify(databases).length).toBeLessThan(20_000);
});

test("a server that has other built-in names is told by the differences", () => {
  const functions = new Map(detail.names.functions);
  const own = functions.get("pg_catalog") ?? new Set();
  functions.set("pg_catalog", new Set([...[...own].filter((name) => name !== "pg_read_file"), "pg_fork_secrets"]));
  const relations = new Map(detail.names.relations);
  const tables = new Map(relations.get("pg_catalog"));
  tables.delete("pg_shadow");
  tables.set("pg_fork", { kind: "table", columns: [["id", null]] });
  relations.set("pg_catalog", tables);
  const fork = { ...detail, names: { ...detail.names, functions, relations } };
  const encoded = encodeDetail({ database: "odd", databases: new Map([["odd", fork]]) });
  const text = JSON.stringify(encoded);
  expect(JSON.parse(text)).toMatchObject({
    databases: {
      odd: {
        builtIn: {
          more: {
            relations: { pg_catalog: { pg_fork: { kind: "table", columns: [["id"]] } } },
            functions: { pg_catalog: ["pg_fork_secrets"] },
          },
          // Of functions perhaps more: those that another minor release brought.
          less: {
            relations: { pg_catalog: ["pg_shadow"] },
            functions: { pg_catalog: expect.arrayContaining(["pg_read_file"]) },
          },
        },
      },
    },
  });
  const read = decodeDetail(JSON.parse(text)).databases.get("odd");
  expect(read?.names.functions.get("pg_catalog")).toEqual(functions.get("pg_catalog"));
  expect(read?.names.relations.get("pg_catalog")).toEqual(tables);
  const listed = (names: NamesBySchema | undefined): readonly string[] =>
    [...(names ?? [])].flatMap(([schema, members]) => Array.from(members, (name) => `${schema} ${name}`)).toSorted();
  expect(listed(read?.names.types)).toEqual(listed(detail.names.types));
});

describe("what is no detail is refused with a sentence:", () => {
  const good = (): Record<string, unknown> =>
    JSON.parse(JSON.stringify(encodeDetail({ database: "odd", databases: new Map([["odd", detail]]) })));
  /** The good one with a part of its database replaced. */
  const changed = (key: string, value: unknown): unknown => {
    const { database, databases } = good();
    return { database, databases: { odd: { ...(databases as Record<string, object>)["odd"], [key]: value } } };
  };
  const cases: readonly (readonly [name: string, make: () => unknown, message: string])[] = [
    ["a list", () => [], "the detail is no map"],
    ["no database", () => ({ databases: {} }), "database is no text"],
    ["another database", () => ({ ...good(), database: "x" }), 'the database "x" is not among its databases'],
    ["databases that are none", () => ({ database: "odd", databases: { odd: 7 } }), "a database is no map"],
    ["no version", () => changed("server", "15"), "server is no number"],
    ["schemas that are a list", () => changed("schemas", []), "schemas is no map"],
    [
      "a kind that there is not",
      () => changed("relations", { public: { a: { kind: "tabel" } } }),
      '"tabel" is no kind of relation',
    ],
    [
      "a column without a name",
      () => changed("relations", { public: { a: { kind: "table", columns: [[]] } } }),
      "a column has no name",
    ],
    ["functions that are a text", () => changed("functions", { public: "f" }), "functions is no list"],
    ["a function that is a number", () => changed("functions", { public: [7] }), "functions is no text"],
    [
      "a conversion's function without a name",
      () => changed("typeFunctions", { public: { a: [["b"]] } }),
      "a function has no name",
    ],
    [
      "built-in names of an unknown major",
      () => changed("builtIn", { like: 7 }),
      "the built-in names of PostgreSQL 7 are not known here",
    ],
  ];
  test.each(cases)("%s", async (_, make, message) => {
    const catalog: CatalogTarget = {
      name: "odd",
      adapter: "postgres",
      labels: {},
      names: {},
      unlisted: {},
      detail: make(),
      digest: "d",
    };
    const described = await postgresAdapter.policy.describe("sql", "select 1", catalog, { place: null });
    expect(isRefusal(described) ? described.message : "read").toBe(
      `the catalog of the target cannot be read: ${message}`,
    );
    expect(postgresAdapter.policy.connect(catalog, { place: null }).facts).toEqual({ verbs: ["connect"] });
  });

  test("no detail at all, no catalog, and what is no SQL", async () => {
    const refused = async (value: unknown, catalog: CatalogTarget | null): Promise<string> => {
      const described = await postgresAdapter.policy.describe("sql", value, catalog, { place: null });
      return isRefusal(described) ? described.message : "read";
    };
    expect(await refused("select 1", null)).toBe("the catalog of the target is not there, so SQL cannot be read");
    expect(await refused(7, null)).toBe("sql is a text or a list of texts");
    expect(await refused([], null)).toBe("sql is a text or a list of at most 100");
    expect(await refused("x".repeat(8_193), null)).toBe("a text of sql has at most 8192 characters");
  });
});
