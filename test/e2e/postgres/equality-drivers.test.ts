/** A customer is looked up by an address as drivers write it, with the same rows as on the bare server, masked. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import postgres from "postgres";
import { encodeExecute, encodeParse, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { Comparing, KNOWN, MODES } from "./comparing.ts";
import { bind } from "./messages.ts";
import { rows, sqlStates } from "./transcript.ts";

setDefaultTimeout(240_000);

const JOINED = `SELECT c.id, c.email, c.city, count(o.id)::int AS orders, coalesce(sum(o.total), 0)::int AS total
  FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id WHERE c.email = $1 AND c.id > $2 GROUP BY c.id, c.city, c.email LIMIT 10`;

let world: Comparing;

beforeAll(async () => {
  // What is sent together then waits for its records, one after the other.
  world = await Comparing.start({ durability: "strict" });
});
afterAll(() => world?.stop());

describe.each(MODES)("%s", (mode) => {
  test("pg, unnamed and named", async () => {
    const client = new Client({ connectionString: await world.gateway.url(mode, `pg-${mode}`, "agent") });
    await client.connect();
    try {
      const lookup = "SELECT id, email, city FROM customers WHERE email = $1";
      for (const query of [{ text: lookup }, { text: lookup, name: "by-email" }, { text: lookup, name: "by-email" }]) {
        const found = await client.query({ ...query, values: [KNOWN] });
        expect(found.rows).toEqual([{ id: 2, email: "***", city: "Ulm" }]);
      }
      const byAccount = await client.query({ text: "SELECT id FROM customers WHERE account = $1", values: [8000] });
      expect(byAccount.rows).toEqual([{ id: 2 }]);
    } finally {
      await client.end();
    }
  });

  test("a portal that is read on in one pipeline is one guess", async () => {
    const client = await world.connect(mode, `portal-${mode}`);
    const people = "SELECT id FROM people WHERE email = $1 ORDER BY id";
    for (let time = 0; time < 20; time++) {
      const steps = [encodeExecute("p", 1), encodeExecute("p", 1), encodeExecute("p", 1)];
      const answer = await client.ask(encodeParse("", people), bind("p", "", [KNOWN]), ...steps, encodeSync());
      expect(rows(answer)).toEqual([["2"], ["12"]]);
    }
    const over = await client.ask(encodeParse("", people), bind("p", "", [KNOWN]), encodeExecute("p", 1), encodeSync());
    expect(sqlStates(over)).toEqual(["53400"]);
    await client.terminate();
  });

  test("postgres.js, which asks for the parameters' types first", async () => {
    const sql = postgres(await world.gateway.url(mode, `js-${mode}`, "agent"), { max: 1, onnotice: () => {} });
    try {
      expect([...(await sql`SELECT id, phone FROM app.customers WHERE email = ${KNOWN} AND id > ${0}`)]).toEqual([
        { id: 2, phone: "***" },
      ]);
      const found = await sql.begin(
        (tx) => tx`SELECT o.id FROM app.orders o JOIN app.customers c ON c.id = o.customer_id
        WHERE c.email = ${KNOWN} ORDER BY o.id`,
      );
      expect([...found]).toEqual([{ id: 2 }, { id: 12 }]);
    } finally {
      await sql.end();
    }
  });

  test("rows of a lookup with joins and aggregates are those of the bare server, and can be locked where that means something", async () => {
    const client = new Client({ connectionString: await world.gateway.url(mode, `rows-${mode}`, "agent") });
    const bare = new Client({ connectionString: world.server.url("original"), options: "-c search_path=app" });
    await Promise.all([client.connect(), bare.connect()]);
    try {
      const grouped = JOINED.replace("GROUP BY c.id, c.city, c.email", "GROUP BY c.id, c.city").replace(
        "c.email, c.city",
        "c.city",
      );
      for (const value of [KNOWN, "dan@example.com", "nobody@example.com", null]) {
        const own = await bare.query(grouped, [value, 0]);
        const masked = await client.query(grouped, [value, 0]);
        expect(masked.rows).toEqual(own.rows);
        expect(own.rows.length).toBe(value?.startsWith("nobody") === false ? 1 : 0);
      }
      await expect(client.query(JOINED, [KNOWN, 0])).rejects.toThrow("policy lets conditions only compare it");
      const locking = client.query("SELECT id FROM customers WHERE email = $1 FOR UPDATE", [KNOWN]);
      if (mode === "guarded")
        await expect(locking).rejects.toThrow("rows that are found by comparing it cannot be locked");
      else expect((await locking).rows).toEqual([{ id: 2 }]);
    } finally {
      await Promise.all([client.end(), bare.end()]);
    }
  });
});
