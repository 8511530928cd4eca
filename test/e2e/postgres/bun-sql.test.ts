/** Bun's own SQL client through the gateway. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import { DRIVER_ROADS } from "./driver-policy.ts";
import { type Road, Roads, THROUGH_GATEWAY } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start(DRIVER_ROADS);
});

beforeEach(() => roads.reset());

afterAll(async () => {
  await roads.stop();
});

async function withSql(name: Road["name"], work: (sql: SQL) => Promise<void>, max = 1): Promise<void> {
  const { address, login } = roads.named(name);
  const sql = new SQL({
    adapter: "postgres",
    hostname: address.host,
    port: address.port,
    username: "app",
    database: login.database ?? "",
    password: login.password ?? "",
    max,
    ...(login.tls === undefined ? {} : { tls: { rejectUnauthorized: false } }),
  });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

test.each(THROUGH_GATEWAY)("values of many types (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const born = new Date("2026-05-06T07:08:09.123Z");
    const [row] =
      await sql`SELECT ${7}::int AS a, ${"é"}::text AS b, ${born}::timestamptz AS c, ${null}::text AS d, ${true}::bool AS e`;
    expect(row).toEqual({ a: 7, b: "é", c: born, d: null, e: true });
    await sql`INSERT INTO item ${sql([{ name: "four" }, { name: "five" }])}`;
    expect(await sql`SELECT count(*)::int AS n FROM item`.values()).toEqual([[5]]);
  });
});

test.each(THROUGH_GATEWAY)("transactions, savepoints and refusals (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const refusal = await sql
      .begin(async (tx) => {
        await tx`INSERT INTO item (name) VALUES ('lost')`;
        await tx`SELECT * FROM closed`;
      })
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ errno: "42501", detail: "Decided by: closed-is-closed." });
    await sql.begin(async (tx) => {
      await tx`INSERT INTO item (name) VALUES ('kept')`;
      await tx.savepoint(async (inner) => inner`SELECT * FROM closed`).catch(() => null);
    });
    expect(await sql`SELECT name FROM item WHERE id > 3`.values()).toEqual([["kept"]]);
  });
});

test.each(THROUGH_GATEWAY)("simple queries and many at once (%s)", async (name) => {
  await withSql(
    name,
    async (sql) => {
      expect(await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()).toHaveLength(2);
      const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => sql`SELECT ${n}::int AS n`.values()));
      expect(answers).toEqual(Array.from({ length: 200 }, (_, n) => [[n]]));
    },
    4,
  );
});
