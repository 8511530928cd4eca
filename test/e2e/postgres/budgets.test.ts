/** Rates, budgets, how long sessions last, and alerts, as clients meet them; a kill hands out nothing twice. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { run } from "./messages.ts";
import { expectRefusal, policyFiles, rowsOf } from "./policed.ts";
import { errorIn, sqlStates, transcript, types } from "./transcript.ts";
import { TEST_TIME_MS_MAX, WireClient, WireClosed } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const permit = (subject: string, limit: string): string => `
  - id: ${subject}-all
    subject: { names: [${subject}], kinds: [human, agent] }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
    obligations: ${limit}`;

const POLICY = policyFiles(
  [
    permit("rita", "{ limit: { rate: 3/1h } }"),
    permit("cora", "{ limit: { budget: [{ calls: true, max: 1, per: session, across: subject }] } }"),
    permit("dora", "{ limit: { budget: [{ rows: true, max: 100, per: day, across: subject }] } }"),
    permit("eva", "{ limit: { budget: [{ rows: true, max: 100, per: hour, across: owner }] } }"),
    permit("lotte", "{ session: { maxDuration: 2s } }"),
    permit("ida", "{ session: { idle: 2s } }"),
    permit("alma", "{ alert: [{ channel: dpo, severity: warning }] }"),
  ].join(""),
);

let server: PostgresServer;
let gateway: Gateway;
const tokens = new Map<string, string>();

async function connect(subject: string): Promise<WireClient> {
  const password = tokens.get(subject) ?? (await gateway.token(subject));
  tokens.set(subject, password);
  return WireClient.logIn(gateway, { database: "db", password });
}

/** Again while the session ends before it came to that: two seconds are little on a machine that is busy. */
async function inTheEnd<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error;
    }
  }
}

/** A day of a budget is one of UTC: what is counted here is counted within one. */
const DAY_MS = 86_400_000;
const TESTS_TIME_MS = 120_000;

beforeAll(async () => {
  const leftMs = DAY_MS - (Date.now() % DAY_MS);
  if (leftMs < TESTS_TIME_MS) await Bun.sleep(leftMs);
  server = await startPostgres({ sql: "CREATE TABLE item (id int); INSERT INTO item SELECT generate_series(1, 1000)" });
  gateway = await startGateway({ postgres: server, policyFiles: POLICY });
});

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

const items = (count: number): string => `SELECT id FROM item LIMIT ${count}`;

describe("a rate", () => {
  test("refuses what is too much, in both protocols and in a pipeline, and says when it is free again", async () => {
    const client = await connect("rita");
    const query = run(items(1));
    const messages = await client.ask(query, query, query, query, query, encodeSync());
    expect(types(messages)).toBe("12DC12DC12DCEZ");
    const error = expectRefusal(messages, "rita-all", "53400");
    expect(error.get("M")).toContain('rule "rita-all" allows rita 3 calls in 1h');
    expect(error.get("H")).toStartWith("Free again in ");
    const again = await client.ask(encodeQuery(items(1)));
    expect(types(again)).toBe("EZ");
    expectRefusal(again, "rita-all", "53400");
    client.abandon();
  });

  test("fails an open transaction like any refusal", async () => {
    const client = await connect("cora");
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(encodeQuery("INSERT INTO item VALUES (-1)"));
    const messages = await client.ask(encodeQuery("INSERT INTO item VALUES (-2)"));
    expectRefusal(messages, "cora-all", "53400");
    expect(transcript(messages).at(-1)).toBe("Z E");
    client.abandon();
    const fresh = await connect("cora");
    expect(await rowsOf(fresh, "SELECT count(*) FROM item WHERE id < 0")).toEqual([["0"]]);
    fresh.abandon();
  });
});

describe("a budget", () => {
  test("of rows is shared by all sessions, counts what changes, and stops in the middle", async () => {
    const [one, two] = [await connect("dora"), await connect("dora")];
    expect(await rowsOf(one, items(60))).toHaveLength(60);
    expect(await rowsOf(two, items(30))).toHaveLength(30);
    const update = await one.ask(encodeQuery("UPDATE item SET id = id WHERE id <= 11"));
    expect(expectRefusal(update, "dora-all", "54000").get("M")).toContain("100 rows a day");
    expect(transcript(update).at(-1)).toBe("Z I");
    const messages = await two.ask(encodeQuery(items(11)));
    expect(types(messages)).toBe("TDDDDDDDDDDEZ");
    const spent = await one.ask(run(items(1)), encodeSync());
    expect(types(spent)).toBe("EZ");
    expectRefusal(spent, "dora-all", "53400");
    one.abandon();
    two.abandon();
  });

  test("is not handed out again by a kill", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-test-budget-"));
    try {
      const before = await startGateway({ postgres: server, policyFiles: POLICY, folder });
      const password = await before.token("dora");
      const client = await WireClient.logIn(before, { database: "db", password });
      expect(await rowsOf(client, items(77))).toHaveLength(77);
      await before.stop("SIGKILL");
      const after = await startGateway({ postgres: server, policyFiles: POLICY, folder });
      const again = await WireClient.logIn(after, { database: "db", password });
      const messages = await again.ask(encodeQuery(items(50)));
      expectRefusal(messages, "dora-all", "54000");
      const passed = messages.filter(({ type }) => type === "D").length;
      expect(passed).toBeLessThanOrEqual(23);
      expect(passed).toBeGreaterThanOrEqual(20);
      again.abandon();
      await after.stop();
      for (const file of ["meters.db-wal", "meters.db-shm"]) rmSync(join(folder, "data", file), { force: true });
      writeFileSync(join(folder, "data/meters.db"), "no database at all, but long enough to be one".repeat(100));
      const broken = await startGateway({ postgres: server, policyFiles: POLICY, folder });
      await broken.said("rates and budgets cannot be counted");
      const other = await WireClient.logIn(broken, { database: "db", password });
      expect(sqlStates(await other.ask(encodeQuery(items(1))))).toEqual(["XX000"]);
      other.abandon();
      const free = await WireClient.logIn(broken, { database: "db", password: await broken.token("alma") });
      expect(await rowsOf(free, items(1))).toHaveLength(1);
      free.abandon();
      await broken.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("a session", () => {
  test("ends when it has lasted long enough, also in the middle of a statement", async () => {
    const client = await inTheEnd(() => connect("lotte"));
    client.send(encodeQuery("SELECT pg_sleep(100)"));
    const messages = await client.end();
    const error = errorIn(messages) ?? new Map<string, string>();
    expect({ severity: error.get("S"), rules: error.get("D") }).toEqual({
      severity: "FATAL",
      rules: "Decided by: lotte-all.",
    });
    expect(error.get("M")).toContain("last for at most 2000 ms");
    while (
      server.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)' AND state = 'active'") !==
      "0"
    );
  });

  test("ends when it is idle, and not while it works", async () => {
    const client = await inTheEnd(async () => {
      const each = await connect("ida");
      expect(types(await each.ask(encodeQuery("SELECT pg_sleep(3.5)")))).toBe("TDCZ");
      return each;
    });
    const messages = await client.end();
    const error = errorIn(messages) ?? new Map<string, string>();
    expect(error.get("M")).toContain("idle for at most 2000 ms");
    expect(error.get("S")).toBe("FATAL");
  });
});

test("an alert is a line for the operator and an entry of the log", async () => {
  const client = await connect("alma");
  await rowsOf(client, items(1));
  client.abandon();
  await gateway.said("alert for dpo (warning): alma on db");
  for (;;) {
    const { stdout } = await gateway.weir("audit", "tail", "--json");
    if (stdout.includes('"alert.raised"') && stdout.includes('"dpo"')) break;
  }
});
