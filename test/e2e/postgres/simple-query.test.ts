/** The simple query protocol through the gateway, message for message as without it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import { Roads } from "./roads.ts";
import { types } from "./transcript.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: `CREATE TABLE item (id int PRIMARY KEY, name text);
      CREATE FUNCTION warn(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '%', $1; RETURN 1; END $$;`,
    reset: "TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, NULL)",
  });
});

afterAll(async () => {
  await roads.stop();
});

/** Compares a conversation of simple queries, each sent when the one before was answered. */
async function compareQueries(...queries: readonly string[]): Promise<string[]> {
  return roads.compare(async (client) => {
    for (const sql of queries) await client.ask(encodeQuery(sql));
  });
}

test("rows, nulls, no rows, many rows", async () => {
  const seen = await compareQueries(
    "SELECT id, name FROM item ORDER BY id",
    "SELECT FROM item",
    "SELECT id FROM item WHERE false",
    "SELECT repeat('x', n) FROM generate_series(1, 2000) AS n",
  );
  expect(seen.filter((line) => line.startsWith("C "))).toEqual([
    "C SELECT 2",
    "C SELECT 2",
    "C SELECT 0",
    "C SELECT 2000",
  ]);
});

test("several statements, and an error in the middle takes back those before it", async () => {
  const seen = await compareQueries(
    "INSERT INTO item VALUES (3, 'three'); SELECT 1/0; INSERT INTO item VALUES (4, 'four')",
    "SELECT count(*) FROM item; SELECT 'last'",
  );
  expect(seen.join("\n")).toContain("C=22012");
  expect(seen).toContain("D 2");
});

test("what is committed inside one Query stays", async () => {
  const seen = await compareQueries(
    "BEGIN; INSERT INTO item VALUES (3, 'three'); COMMIT; SELECT 1/0",
    "SELECT count(*) FROM item",
  );
  expect(seen).toContain("D 3");
});

test("the empty query, spaces, comments and lone semicolons", async () => {
  const seen = await compareQueries("", " ", "-- nothing", ";", ";;SELECT 1;;");
  expect(seen.filter((line) => line === "I")).toHaveLength(4);
});

test("errors of every kind keep their fields", async () => {
  const seen = await compareQueries(
    "SELECT nothing",
    "SELECT * FROM nowhere",
    "INSERT INTO item VALUES (1, 'again')",
    "SELEC 1",
    "SELECT 'é', 1 +",
    "SELECT 'open",
    "DO $$ BEGIN RAISE EXCEPTION 'loud' USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'P0042'; END $$",
  );
  for (const code of ["42703", "42P01", "23505", "42601", "P0042"]) expect(seen.join("\n")).toContain(`C=${code}`);
});

test("notices and warnings come at their place", async () => {
  const seen = await compareQueries(
    "SELECT warn('first'); DROP TABLE IF EXISTS nowhere; SELECT warn('second')",
    "DO $$ BEGIN RAISE NOTICE 'from a block'; END $$",
  );
  expect(seen.filter((line) => line.startsWith("N "))).toHaveLength(4);
});

test("a failed transaction refuses until it is rolled back", async () => {
  const seen = await compareQueries(
    "BEGIN",
    "INSERT INTO item VALUES (3, 'three')",
    "SELECT 1/0",
    "SELECT 1",
    "COMMIT",
    "SELECT count(*) FROM item",
  );
  expect(seen.filter((line) => line.startsWith("Z "))).toEqual(["Z I", "Z T", "Z T", "Z E", "Z E", "Z I", "Z I"]);
  expect(seen.join("\n")).toContain("C=25P02");
});

test("savepoints bring a failed transaction back", async () => {
  const seen = await compareQueries(
    "BEGIN; INSERT INTO item VALUES (3, 'three'); SAVEPOINT a",
    "INSERT INTO item VALUES (1, 'again')",
    "ROLLBACK TO a",
    "RELEASE a; COMMIT",
    "SELECT count(*) FROM item",
  );
  expect(seen).toContain("D 3");
});

test("queries sent all at once are answered in order", async () => {
  const seen = await roads.compare(async (client) => {
    for (let n = 1; n <= 200; n++) client.send(encodeQuery(n % 7 === 0 ? `SELECT ${n}/0` : `SELECT ${n}`));
    await client.ready(200);
  });
  expect(seen.filter((line) => line.startsWith("E "))).toHaveLength(28);
  expect(seen.at(-2)).toBe("C SELECT 1");
});

test("cursors, FETCH, MOVE and CLOSE", async () => {
  const seen = await compareQueries(
    "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT n FROM generate_series(1, 5) AS n",
    "FETCH 2 FROM c; MOVE 1 FROM c; FETCH BACKWARD 1 FROM c",
    "CLOSE c; FETCH c",
    "ROLLBACK",
  );
  expect(seen.join("\n")).toContain("C=34000");
});

test("PREPARE, EXECUTE and DEALLOCATE in SQL", async () => {
  const seen = await compareQueries(
    "PREPARE p (int) AS SELECT name FROM item WHERE id = $1",
    "EXECUTE p (1)",
    "PREPARE p AS SELECT 1",
    "DEALLOCATE p",
    "EXECUTE p (1)",
  );
  expect(seen.join("\n")).toContain("C=42P05");
  expect(seen.join("\n")).toContain("C=26000");
});

test("definitions take effect for the next statement of the session", async () => {
  const seen = await compareQueries(
    "BEGIN; CREATE TABLE fresh (a int); INSERT INTO fresh VALUES (7); SELECT a FROM fresh",
    "SELECT a FROM fresh; DROP TABLE fresh; COMMIT",
    "CREATE TEMP TABLE fresh AS SELECT 8 AS a",
    "SELECT a FROM fresh",
  );
  expect(seen.filter((line) => line.startsWith("D "))).toEqual(["D 7", "D 7", "D 8"]);
});

test("a long text is answered like a short one", async () => {
  const names = Array.from({ length: 6000 }, (_, n) => `column_${n}`);
  const seen = await compareQueries(
    `SELECT ${names
      .map((name, n) => `${n} AS ${name}`)
      .slice(0, 1600)
      .join(", ")}`,
    `SELECT '${"y".repeat(150_000)}'`,
  );
  expect(seen.filter((line) => line.startsWith("C "))).toEqual(["C SELECT 1", "C SELECT 1"]);
});

test("the words for what came are letters", async () => {
  const client = await roads.connect(roads.all[1]);
  expect(types(await client.ask(encodeQuery("SELECT 1")))).toBe("TDCZ");
  await client.terminate();
});
