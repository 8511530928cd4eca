/** psql through the gateway prints what it prints without it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { runProgram } from "./programs.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: `CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL DEFAULT 'none', price numeric(10, 2) CHECK (price > 0));
      CREATE TABLE line (item int REFERENCES item ON DELETE CASCADE, n bigint GENERATED ALWAYS AS IDENTITY);
      CREATE INDEX line_item ON line (item) WHERE n > 0;
      CREATE VIEW dear AS SELECT * FROM item WHERE price > 100;
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE FUNCTION double(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
      COMMENT ON TABLE item IS 'things to sell';`,
    reset: "TRUNCATE item CASCADE; INSERT INTO item VALUES (1, 'one', 1.5), (2, 'two', 200)",
  });
});

afterAll(async () => {
  await roads.stop();
});

/** Runs a script on every road and expects the same output and errors; answers with both of the direct road. */
async function compare(script: string, ...args: readonly string[]): Promise<string> {
  let expected: string | null = null;
  for (const road of roads.all) {
    await roads.reset();
    const { stdout, stderr } = await runProgram(road, "psql", ["-X", ...args], { input: script });
    const seen = `${stdout}${stderr}`;
    if (expected !== null) expect(`${road.name}\n${seen}`).toBe(`${road.name}\n${expected}`);
    expected ??= seen;
  }
  return expected ?? "";
}

test("describing everything", async () => {
  const seen = await compare(
    [
      "\\d",
      "\\d item",
      "\\d+ line",
      "\\dt+",
      "\\dv",
      "\\dT+ mood",
      "\\df double",
      "\\sf double",
      "\\di+",
      "\\dn",
      "\\du",
      "\\dx",
      "\\dp",
      "\\dd",
      "\\sv dear",
    ].join("\n"),
  );
  expect(seen).toContain("item_price_check");
  expect(seen).toContain("CREATE OR REPLACE FUNCTION public.double");
});

test("queries, formats, \\gset, \\gdesc, \\gexec and \\crosstabview", async () => {
  const seen = await compare(`
    SELECT * FROM item ORDER BY id;
    \\x
    SELECT * FROM item ORDER BY id;
    \\x
    SELECT max(id) AS top FROM item \\gset
    SELECT :top + 1, :'top';
    SELECT id, price * 2 AS twice FROM item \\gdesc
    SELECT format('SELECT %s', id) FROM item ORDER BY id \\gexec
    SELECT id, name, price FROM item ORDER BY id \\crosstabview
    \\pset format csv
    TABLE item;
  `);
  expect(seen).toContain("twice");
});

test("errors with their positions, and what follows them", async () => {
  const seen = await compare(`
    SELECT nothing FROM item;
    SELECT 1 +;
    INSERT INTO item VALUES (1, 'again', 2);
    INSERT INTO item VALUES (3, 'free', -1);
    \\set VERBOSITY verbose
    SELECT 1/0;
    \\errverbose
    SELECT 'alive';
  `);
  for (const word of ["LINE 1", "duplicate key", "item_price_check", "22012", "alive"]) expect(seen).toContain(word);
});

test("transactions and savepoints, by hand and by ON_ERROR_ROLLBACK", async () => {
  const seen = await compare(`
    BEGIN;
    INSERT INTO item VALUES (3, 'three', 3);
    SELECT 1/0;
    SELECT 1;
    ROLLBACK;
    \\set ON_ERROR_ROLLBACK on
    BEGIN;
    INSERT INTO item VALUES (3, 'three', 3);
    SELECT 1/0;
    COMMIT;
    \\set AUTOCOMMIT off
    INSERT INTO item VALUES (4, 'four', 4);
    SELECT count(*) FROM item;
    ROLLBACK;
    SELECT count(*) FROM item;
  `);
  expect(seen).toContain("current transaction is aborted");
});

test("\\copy and COPY in both directions", async () => {
  const seen = await compare(`
    \\copy item TO STDOUT (FORMAT csv, HEADER)
    COPY item FROM STDIN;
5\tfive\t5
6\tsix\t6
\\.
    \\copy item FROM PSTDIN (FORMAT csv)
    COPY item (id) FROM STDIN;
seven
\\.
    COPY (SELECT id FROM item ORDER BY id) TO STDOUT;
    SELECT count(*) FROM item;
  `);
  expect(seen).toContain("COPY 2");
  expect(seen).toContain("invalid input syntax");
});

test("results fetched in portions by a cursor", async () => {
  const seen = await compare(
    `
    \\set FETCH_COUNT 100
    SELECT n FROM generate_series(1, 1050) AS n;
    SELECT n / (500 - n) FROM generate_series(1, 1050) AS n;
  `,
    "-A",
    "-t",
  );
  expect(seen).toContain("\n1050\n");
  expect(seen).toContain("division by zero");
});

test("several statements in -c, in a single transaction, and stopping at an error", async () => {
  await compare("", "-c", "SELECT 1; SELECT 2", "-c", "SELECT 3");
  await compare(
    "INSERT INTO item VALUES (9, 'nine', 9); SELECT 1/0; SELECT 'not reached';",
    "-1",
    "-v",
    "ON_ERROR_STOP=1",
  );
});
