/** Drizzle through the gateway, over `pg`: queries, relations, transactions and migrations. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { count, eq, sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import { integer, jsonb, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";
import { Pool } from "pg";
import { DRIVER_ROADS } from "./driver-policy.ts";
import { type Road, Roads, THROUGH_GATEWAY } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const item = pgTable("item", {
  id: serial("id").primaryKey(),
  name: text("name"),
  data: jsonb("data").$type<{ readonly n: number }>(),
  born: timestamp("born", { withTimezone: true }),
  tags: text("tags").array(),
});
const closed = pgTable("closed", { id: integer("id") });

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start(DRIVER_ROADS);
});

beforeEach(() => roads.reset());

afterAll(async () => {
  await roads.stop();
});

async function withDrizzle(name: Road["name"], work: (db: NodePgDatabase) => Promise<void>): Promise<void> {
  const { address, login } = roads.named(name);
  const pool = new Pool({
    ...address,
    user: "app",
    database: login.database ?? "",
    password: login.password ?? "",
    ssl: login.tls === undefined ? false : { rejectUnauthorized: false },
  });
  try {
    await work(drizzle(pool));
  } finally {
    await pool.end();
  }
}

test.each(THROUGH_GATEWAY)("insert, select, update, delete (%s)", async (name) => {
  await withDrizzle(name, async (db) => {
    const born = new Date("2026-05-06T07:08:09.123Z");
    const row = { name: "four", data: { n: 4 }, born, tags: ["a", "b"] };
    expect(await db.insert(item).values(row).returning()).toEqual([{ id: 4, ...row }]);
    await db.update(item).set({ name: "changed" }).where(eq(item.id, 4));
    expect(await db.select({ name: item.name }).from(item).where(eq(item.id, 4))).toEqual([{ name: "changed" }]);
    await db.delete(item).where(eq(item.id, 4));
    expect(await db.select({ n: count() }).from(item)).toEqual([{ n: 3 }]);
  });
});

test.each(THROUGH_GATEWAY)("prepared statements and raw SQL (%s)", async (name) => {
  await withDrizzle(name, async (db) => {
    const prepared = db
      .select()
      .from(item)
      .where(eq(item.id, sql.placeholder("id")))
      .prepare("by_id");
    for (const id of [1, 2]) expect(await prepared.execute({ id })).toHaveLength(1);
    expect((await db.execute(sql`SELECT ${"x"}::text AS x`)).rows).toEqual([{ x: "x" }]);
  });
});

test.each(THROUGH_GATEWAY)("transactions, nested ones and refusals (%s)", async (name) => {
  await withDrizzle(name, async (db) => {
    await db.transaction(async (tx) => {
      await tx.insert(item).values({ name: "kept" });
      const refusal = await tx
        .transaction(async (inner) => {
          await inner.insert(item).values({ name: "lost" });
          await inner.select().from(closed);
        })
        .catch((error: unknown) => error);
      expect(refusal).toMatchObject({ cause: { code: "42501", detail: "Decided by: closed-is-closed." } });
    });
    expect(
      await db
        .select({ name: item.name })
        .from(item)
        .where(sql`id > 3`),
    ).toEqual([{ name: "kept" }]);
  });
});
