/** The driver `postgres` (postgres.js) through the gateway: it pipelines, and prepares what it runs. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import postgres, { type Sql } from "postgres";
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

async function withSql(name: Road["name"], work: (sql: Sql) => Promise<void>, max = 1): Promise<void> {
  const { address, login } = roads.named(name);
  const sql = postgres({
    ...address,
    user: "app",
    database: login.database ?? "",
    password: login.password ?? "",
    ssl: login.tls === undefined ? false : { rejectUnauthorized: false },
    max,
    onnotice: () => {},
  });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

test.each(THROUGH_GATEWAY)("values, helpers and nested fragments (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const rows = [
      { name: "four", tags: ["a", "b"] },
      { name: "five", tags: [] },
    ];
    await sql`INSERT INTO item ${sql(rows, "name", "tags")}`;
    const names = ["four", "five"];
    expect([...(await sql`SELECT name, tags FROM item WHERE name IN ${sql(names)} ORDER BY id`)]).toEqual(rows);
    expect([
      ...(await sql`SELECT ${sql.json({ a: [1] })}::jsonb AS j, ${"x"}::mood IS NULL AS m`.catch(() => [])),
    ]).toEqual([]);
    expect([...(await sql`SELECT ${sql.json({ a: [1] })}::jsonb AS j, ${"sad"}::mood AS m`)]).toEqual([
      { j: { a: [1] }, m: "sad" },
    ]);
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
    expect(refusal).toMatchObject({ code: "42501", detail: "Decided by: closed-is-closed." });
    await sql.begin(async (tx) => {
      await tx`INSERT INTO item (name) VALUES ('kept')`;
      await tx.savepoint((inner) => inner`SELECT * FROM closed`).catch(() => null);
    });
    expect([...(await sql`SELECT name FROM item WHERE id > 3`)]).toEqual([{ name: "kept" }]);
  });
});

test.each(THROUGH_GATEWAY)("pipelined queries, with errors among them (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const asked = Array.from({ length: 100 }, (_, n) => {
      if (n % 10 === 3) return sql`SELECT * FROM closed WHERE id = ${n}`.catch((error: { code: string }) => error.code);
      if (n % 10 === 7) return sql`SELECT 1 / (${n}::int - ${n}::int)`.catch((error: { code: string }) => error.code);
      return sql`SELECT ${n}::int AS n`.then((rows) => rows[0]?.["n"] as number);
    });
    expect(await Promise.all(asked)).toEqual(
      asked.map((_, n) => (n % 10 === 3 ? "42501" : n % 10 === 7 ? "22012" : n)),
    );
  });
});

test.each(THROUGH_GATEWAY)("cursors, forEach and large results (%s)", async (name) => {
  await withSql(name, async (sql) => {
    let sum = 0;
    for await (const rows of sql`SELECT n FROM generate_series(1, 1000) AS n`.cursor(64)) {
      for (const { n } of rows as unknown as { n: number }[]) sum += n;
    }
    expect(sum).toBe(500_500);
    expect(await sql`SELECT repeat('x', 1000) FROM generate_series(1, 5000)`).toHaveLength(5000);
  });
});

test.each(THROUGH_GATEWAY)("COPY in and out as streams (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const into = await sql`COPY item (name) FROM STDIN`.writable();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    into.on("finish", resolve).on("error", reject);
    for (let n = 0; n < 1000; n++) into.write(`copied ${n}\n`);
    into.end();
    await promise;
    const from = await sql`COPY (SELECT name FROM item WHERE name LIKE 'copied%' ORDER BY id) TO STDOUT`.readable();
    let text = "";
    for await (const chunk of from) text += String(chunk);
    expect(text.split("\n")).toHaveLength(1001);
  });
});

test.each(THROUGH_GATEWAY)("listen and notify (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const heard = Promise.withResolvers<string>();
    const { unlisten } = await sql.listen("news", heard.resolve);
    await sql.notify("news", "hello");
    expect(await heard.promise).toBe("hello");
    await unlisten();
  });
});

test.each(THROUGH_GATEWAY)("cancelling a query (%s)", async (name) => {
  await withSql(name, async (sql) => {
    const sleeping = sql`SELECT pg_sleep(60)`;
    const answer = sleeping.then(
      () => null,
      (error: { code: string }) => error.code,
    );
    while (roads.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") !== "1")
      await Bun.sleep(10);
    sleeping.cancel();
    expect(await answer).toBe("57014");
    expect([...(await sql`SELECT 'alive' AS a`)]).toEqual([{ a: "alive" }]);
  });
});
