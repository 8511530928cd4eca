/**
 * kill -9 of a whole gateway under load, at random points: what its target saw is a subset of the durable intents,
 * everything that was answered is in the log, and the log holds together. An ordinary run has 20 rounds; WEIR_TEST_LONG
 * (`./dev test --long`) has 200.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { AuditLog } from "../../src/audit/audit.ts";
import { LogReader } from "../../src/audit/query.ts";
import { startGateway } from "../gateway.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { startTap } from "../servers/tap.ts";

const ROUNDS = process.env["WEIR_TEST_LONG"] === undefined ? 20 : 200;
/** Of the rounds, those in release mode, where pure reads may be sent before their intents are durable. */
const RELEASE_SHARE = 0.2;
const CLIENTS = 12;
/** A kill comes after up to so many answers: from the first login to well beyond a checkpoint of the write-ahead log. */
const ANSWERS_MAX = 600;

let server: PostgresServer;
let root = "";
beforeAll(async () => {
  server = await startPostgres({ sql: "CREATE TABLE marks (mark text)" });
  root = mkdtempSync(join(tmpdir(), "weir-gateway-kill-"));
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
});

test.each(["strict", "release"] as const)(
  "a gateway that is killed under load, %s",
  async (durability) => {
    const rounds = Math.ceil(ROUNDS * (durability === "release" ? RELEASE_SHARE : 1 - RELEASE_SHARE));
    const folder = join(root, durability);
    const tap = await startTap(server.port);
    const options = { postgres: tap, folder, durability };
    const answered: string[] = [];
    let password = "";
    for (let round = 0; round < rounds; round++) {
      const gateway = await startGateway(options);
      if (password === "") password = await gateway.token("ann");
      let left = randomInt(ANSWERS_MAX);
      const enough = Promise.withResolvers<void>();
      const load = async (client: Client, n: number): Promise<void> => {
        await client.connect();
        for (let i = 0; ; i++) {
          const mark = `mark ${round}-${n}-${i}`;
          const text = i % 3 === 0 ? `INSERT INTO marks VALUES ('${mark}')` : `SELECT '${mark}'`;
          await client.query(text);
          answered.push(text);
          if (--left < 0) enough.resolve();
        }
      };
      const clients = Array.from({ length: CLIENTS }, () => {
        const client = new Client({ host: "127.0.0.1", port: gateway.port, user: "weir", password, database: "db" });
        return client.on("error", () => {});
      });
      // Each ends when the gateway dies under it; one that ends before that would leave the round waiting.
      const ended = clients.map(async (client, n) => load(client, n).catch(() => undefined));
      await enough.promise;
      await gateway.stop("SIGKILL");
      await Promise.all(ended);
    }

    // Opening recomputes the root from the leaves, and closes what the last kill left open.
    const log = await AuditLog.open({ folder: join(folder, "data"), origin: "test", clock: { now: Date.now } });
    await log.close();
    const intents = new Map<string, string>();
    const outcomes = new Map<string, number>();
    const ended = (id: string): unknown => outcomes.set(id, (outcomes.get(id) ?? 0) + 1);
    const reader = LogReader.open(join(folder, "data"));
    for (const { leaf } of await reader.tail(10_000_000)) {
      if (leaf.shape === "intent") {
        intents.set(leaf.textSha256, leaf.id);
        if (leaf.outcome !== undefined) ended(leaf.id);
      } else if (leaf.shape === "outcome") ended(leaf.id ?? "");
    }
    reader.close();
    const isRecorded = (text: string): boolean => intents.has(createHash("sha256").update(text).digest("hex"));
    expect(answered.filter((text) => !isRecorded(text))).toEqual([]);
    const seen = tap.statements().filter((text) => text.includes("mark ") && !isRecorded(text));
    // In release mode a pure read may be sent at once, and its answer waits.
    expect(durability === "strict" ? seen : seen.filter((text) => !text.startsWith("SELECT"))).toEqual([]);
    expect([...intents.values()].filter((id) => outcomes.get(id) !== 1)).toEqual([]);
    expect(answered.length).toBeGreaterThan(rounds);
    await tap.stop();
  },
  ROUNDS * 10_000,
);
