/** Tests that a search_path is read as a real server reads it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { assert as check, asyncProperty, constantFrom, string } from "fast-check";
import { connectCatalog, type TestCatalogSource } from "../../test/servers/catalog-source.ts";
import { type PostgresServer, startPostgres } from "../../test/servers/postgres.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import { parseSearchPath, resolveSearchPath } from "./search-path.ts";

const LONG = "é".repeat(40); // 80 bytes: cut after the 31st letter
const SCHEMAS = [
  "alice",
  "Alice",
  "a b",
  'quo"te',
  "comma,dot.",
  "new\nline",
  "été",
  "ÉTÉ",
  "é".repeat(31),
  "x".repeat(63),
  "back\\slash",
  "tab\there",
  "$user",
  "emoji😀",
  " ",
  "'",
  "a$1",
];

// On a busy machine; a server does the work.
setDefaultTimeout(240_000);

let server: PostgresServer;
let source: TestCatalogSource;

beforeAll(async () => {
  server = await startPostgres();
  server.psql(`create role alice login; create role "Bob" login; create schema "Bob"; create schema hidden;
    ${SCHEMAS.map((name) => `create schema ${quote(name)};`).join("\n")}
    ${SCHEMAS.map((name) => `grant usage on schema ${quote(name)} to public;`).join("\n")}
    grant usage on schema "Bob" to public`);
  source = await connectCatalog(server);
});
afterAll(async () => {
  source.close();
  await server.stop();
});

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const VALUES = [
  "",
  " ",
  "public",
  '"$user", public',
  "$user,public",
  '"$USER", public',
  "$USER",
  "PUBLIC, Alice",
  '"Alice",alice',
  "public,public,PUBLIC",
  "nowhere, public",
  "pg_catalog, public",
  "information_schema",
  ' \t\n\r\fpublic\f,\r"a b"\t',
  '"quo""te"',
  '"comma,dot.",public',
  '"new\nline"',
  "été, public",
  "ÉTÉ",
  '"ÉTÉ"',
  LONG,
  `"${LONG}"`,
  "x".repeat(70),
  "X".repeat(64),
  '"back\\slash"',
  "back\\slash",
  '"tab\there"',
  '""',
  '" "',
  "'",
  "'public'",
  '"emoji😀"',
  "emoji😀",
  "A$1",
  "pg_toast",
  "hidden, public",
  'public"alice"',
  '"public"alice',
  "alice/*x*/",
  "--public",
  "U&public",
  "E",
  // Not accepted by the server.
  "public,",
  ",public",
  "public,,alice",
  "a b",
  '"public',
  '"a"b',
  '"a" b',
  ",",
];

/** The server's own answer: the current path without implicit schemas, or null when it does not take the value. */
async function ask(role: string, value: string): Promise<readonly string[] | null> {
  await source.query("begin");
  try {
    await source.query(`set local session authorization ${quote(role)}`);
    await source.query(`select pg_catalog.set_config('search_path', ${literal(value)}, true)`);
    const [row] = await source.query("select pg_catalog.array_to_json(pg_catalog.current_schemas(false))");
    return JSON.parse(row?.[0] ?? "") as string[];
  } catch {
    return null;
  } finally {
    await source.query("rollback");
  }
}

for (const role of ["alice", "Bob"]) {
  test(`the server agrees on ${VALUES.length} values for ${role}`, async () => {
    const own = await connectCatalog(server, { user: role });
    const catalog = await new CatalogLoader(own).load();
    own.close();
    for (const value of VALUES) {
      const names = parseSearchPath(value);
      const resolved = names === null ? null : resolveSearchPath(names, role, catalog);
      expect([value, resolved]).toEqual([value, await ask(role, value)]);
    }
  });
}

test("the server agrees on values made at random", async () => {
  const catalog = await new CatalogLoader(await ownedSource()).load();
  const unit = constantFrom(
    '"',
    '"',
    '""',
    ",",
    ",",
    " ",
    "\t",
    "\n",
    "$user",
    "public",
    "Alice",
    "alice",
    "É",
    "été",
    "'",
    "\\",
    "hidden",
    LONG,
  );
  const read = { yes: 0, no: 0 };
  await check(
    asyncProperty(string({ unit, maxLength: 12 }), async (value) => {
      const names = parseSearchPath(value);
      const resolved = names === null ? null : resolveSearchPath(names, "postgres", catalog);
      read[resolved === null ? "no" : "yes"]++;
      expect(resolved).toEqual(await ask("postgres", value));
    }),
    { numRuns: 300 },
  );
  // The comparison means something only when both sides of it occur.
  expect(Math.min(read.yes, read.no)).toBeGreaterThan(20);
});

test("what SHOW tells after SET is read back", async () => {
  const catalog = await new CatalogLoader(await ownedSource()).load();
  for (const name of SCHEMAS) {
    await source.query(`set search_path = ${quote(name)}, public`);
    const [row] = await source.query("show search_path");
    const [answer] = await source.query("select pg_catalog.array_to_json(pg_catalog.current_schemas(false))");
    const names = parseSearchPath(row?.[0] ?? "");
    expect(names).not.toBeNull();
    expect(resolveSearchPath(names ?? [], "postgres", catalog)).toEqual(JSON.parse(answer?.[0] ?? "") as string[]);
  }
  await source.query("reset search_path");
});

const opened: TestCatalogSource[] = [];
async function ownedSource(): Promise<TestCatalogSource> {
  const one = await connectCatalog(server);
  opened.push(one);
  return one;
}
afterAll(() => {
  for (const one of opened) one.close();
});

test("what cannot be known is null", () => {
  expect(parseSearchPath("a\vb")).toBeNull();
  expect(parseSearchPath("\v")).toBeNull();
  expect(parseSearchPath("a\0b")).toBeNull();
  expect(parseSearchPath("\ud800")).toBeNull();
  const all = { hasSchema: () => true };
  // Sessions' own schemas are in no catalog.
  expect(resolveSearchPath(["pg_temp_3"], "alice", all)).toBeNull();
  expect(resolveSearchPath(["public", "pg_toast_temp_3"], "alice", all)).toBeNull();
  // The privileges of another role are not known.
  expect(resolveSearchPath(["public"], "alice", { ...all, mayUseSchema: () => undefined })).toBeNull();
  // Letters outside ASCII depend on the encoding.
  expect(resolveSearchPath(["été"], "alice", { ...all, encoding: "LATIN1" })).toBeNull();
  expect(resolveSearchPath(["ete"], "alice", { ...all, encoding: "LATIN1" })).toEqual(["ete"]);
});

test("pg_temp keeps its place: only the session knows whether it has one", async () => {
  expect(resolveSearchPath(["public", "pg_temp"], "alice", { hasSchema: (name) => name === "public" })).toEqual([
    "public",
    "pg_temp",
  ]);
});
