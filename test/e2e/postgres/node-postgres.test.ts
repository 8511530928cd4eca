/** The driver `pg` through the gateway. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { Client, type ClientConfig, DatabaseError, Pool } from "pg";
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

function configFor(road: Road): ClientConfig {
  return {
    ...road.address,
    user: "app",
    database: road.login.database ?? "",
    password: road.login.password ?? "",
    ssl: road.login.tls === undefined ? false : { rejectUnauthorized: false },
  };
}

async function withClient(name: Road["name"], work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(configFor(roads.named(name)));
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

test.each(THROUGH_GATEWAY)("values of many types (%s)", async (name) => {
  await withClient(name, async (client) => {
    const born = new Date("2026-05-06T07:08:09.123Z");
    const values = [7, "seven", { a: [1, null, "é"] }, born, ["x", null, 'y"z'], Buffer.from([0, 255, 10]), true, null];
    const { rows } = await client.query(
      "SELECT $1::int AS a, $2::text AS b, $3::jsonb AS c, $4::timestamptz AS d, $5::text[] AS e, $6::bytea AS f, $7::bool AS g, $8::text AS h",
      values,
    );
    expect(rows).toEqual([{ a: 7, b: "seven", c: values[2], d: born, e: values[4], f: values[5], g: true, h: null }]);
  });
});

test.each(THROUGH_GATEWAY)("prepared statements by name (%s)", async (name) => {
  await withClient(name, async (client) => {
    for (let id = 1; id <= 3; id++) {
      const query = { name: "get", text: "SELECT name FROM item WHERE id = $1", values: [id] };
      expect((await client.query(query)).rowCount).toBe(1);
    }
  });
});

test.each(THROUGH_GATEWAY)("transactions, errors and refusals (%s)", async (name) => {
  await withClient(name, async (client) => {
    await client.query("BEGIN");
    await client.query("INSERT INTO item (name) VALUES ($1)", ["three"]);
    const refusal = await client.query("SELECT * FROM closed WHERE id = $1", [1]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(DatabaseError);
    expect(refusal).toMatchObject({ code: "42501", severity: "ERROR", detail: "Decided by: closed-is-closed." });
    await expect(client.query("SELECT 1")).rejects.toMatchObject({ code: "25P02" });
    await client.query("ROLLBACK");
    await expect(client.query("SELECT nothing")).rejects.toMatchObject({ code: "42703", position: "8" });
    expect((await client.query("SELECT count(*)::int AS n FROM item")).rows).toEqual([{ n: 3 }]);
  });
});

test.each(THROUGH_GATEWAY)("queries that are queued while others run (%s)", async (name) => {
  await withClient(name, async (client) => {
    const asked = Array.from({ length: 200 }, (_, n) => client.query("SELECT $1::int AS n", [n]));
    const answers = await Promise.all(asked);
    expect(answers.map(({ rows }) => rows)).toEqual(asked.map((_, n) => [{ n }]));
  });
});

test.each(THROUGH_GATEWAY)("notifications (%s)", async (name) => {
  await withClient(name, async (client) => {
    const heard = Promise.withResolvers<string | undefined>();
    client.on("notification", ({ payload }) => heard.resolve(payload));
    await client.query("LISTEN news");
    await roads.admin("NOTIFY news, 'hello'");
    expect(await heard.promise).toBe("hello");
  });
});

test.each(THROUGH_GATEWAY)("a pool under load (%s)", async (name) => {
  const pool = new Pool({ ...configFor(roads.named(name)), max: 8 });
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) => pool.query<{ n: number }>("SELECT $1::int AS n, pg_sleep(0.001)", [n])),
  );
  expect(answers.map(({ rows }) => rows[0]?.n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  await pool.end();
});
