/**
 * A flood of failed logins neither fills the log nor stops the house. An ordinary run holds 3,000 real ones;
 * WEIR_TEST_LONG (`./dev test --long`) holds 100,000. The log by itself always takes 100,000, from many addresses.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { encodePassword } from "../../adapters/postgres/protocol/frontend.ts";
import { encodeStartup } from "../../adapters/postgres/protocol/startup.ts";
import { PROTOCOL_3_0 } from "../../adapters/postgres/protocol/types.ts";
import { AuditLog } from "../../src/audit/audit.ts";
import { type LogEntry, LogReader } from "../../src/audit/query.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { startPostgres } from "../servers/postgres.ts";
import { PERMIT, POLICY, sampleOperation } from "./audit-sample.ts";

const LOGINS = process.env["WEIR_TEST_LONG"] === undefined ? 3_000 : 100_000;
const AT_ONCE = 24;
/** Addresses that the log tells apart in a minute (docs/audit-log.md). */
const ADDRESSES_MAX = 1024;
/** A flood that lasts for some minutes is counted in each of them. */
const MINUTES_MAX = 30;

/** Entries of one kind that a subject has in a minute, and the count of the others (docs/audit-log.md). */
const RECORDED_MAX = 32;

async function failedLogins(data: string): Promise<LogEntry[]> {
  return entriesOf(data, "login.failed");
}

async function entriesOf(data: string, event: string): Promise<LogEntry[]> {
  const reader = LogReader.open(data);
  try {
    return await reader.tail(1_000_000, { event });
  } finally {
    reader.close();
  }
}

/** How many logins the entries speak of: those that are recorded one by one, and the counts of the others. */
function counted(entries: readonly LogEntry[]): number {
  return entries.reduce((sum, { leaf }) => sum + (leaf.shape === "event" ? Number(leaf.facts["count"] ?? 1) : 0), 0);
}

/** Logs in with a wrong token; resolves when the gateway has closed the connection. */
async function failToLogIn(gateway: Gateway, n: number): Promise<void> {
  await tryToLogIn(gateway, "db", `weir_wrong_${n}`);
}

async function tryToLogIn({ host, port }: Gateway, target: string, token: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, host, () => {
    socket.write(
      encodeStartup(PROTOCOL_3_0, [
        ["user", "weir"],
        ["database", target],
      ]),
    );
    socket.write(encodePassword(token));
  });
  socket.on("data", () => {});
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  await promise;
}

test(
  `${LOGINS} failed logins at a gateway that works`,
  async () => {
    const server = await startPostgres({});
    const gateway = await startGateway({ postgres: server });
    const client = new Client(await gateway.url());
    await client.connect();
    try {
      let next = 0;
      let served = 0;
      const over = new AbortController();
      const work = (async () => {
        while (!over.signal.aborted) {
          await client.query("SELECT 1");
          served++;
        }
      })();
      const attack = async (): Promise<void> => {
        while (next < LOGINS) await failToLogIn(gateway, next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, attack));
      over.abort();
      await work;
      expect(served).toBeGreaterThan(0);
      // Somebody who may log in still can.
      const another = new Client(await gateway.url());
      await another.connect();
      await another.end();
    } finally {
      await client.end();
    }
    const folder = join(gateway.folder, "data");
    expect((await gateway.weir("status")).status).toBe(0);
    const entries = await failedLogins(folder);
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.length).toBeLessThanOrEqual(2 * MINUTES_MAX);
    await gateway.stop();
    await server.stop();
  },
  LOGINS * 50 + 60_000,
);

test(
  `${LOGINS} sessions that somebody with a valid token is refused`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-refused-"));
    const server = await startPostgres({});
    const gateway = await startGateway({ folder, postgres: server });
    const client = new Client(await gateway.url());
    await client.connect();
    const token = await gateway.token("mallory");
    try {
      let next = 0;
      let served = 0;
      const over = new AbortController();
      const work = (async () => {
        while (!over.signal.aborted) {
          await client.query("SELECT 1");
          served++;
        }
      })();
      const attack = async (): Promise<void> => {
        while (next < LOGINS) await tryToLogIn(gateway, `made-up-${next++}`, token);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, attack));
      over.abort();
      await work;
      expect(served).toBeGreaterThan(0);
      const another = new Client(await gateway.url());
      await another.connect();
      await another.end();
    } finally {
      await client.end();
    }
    expect(await gateway.stop()).toBe(0);
    const data = join(folder, "data");
    for (const event of ["session.refused", "login.ok"]) {
      const all = await entriesOf(data, event);
      const entries = all.filter(({ leaf }) => leaf.shape === "event" && leaf.facts["subject"] === "mallory");
      expect(counted(entries), event).toBe(LOGINS);
      expect(entries.length, event).toBeLessThanOrEqual(MINUTES_MAX * (RECORDED_MAX + 1));
      // The others' logins are each there.
      expect(all.length - entries.length, event).toBe(event === "login.ok" ? 2 : 0);
    }
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  },
  LOGINS * 50 + 60_000,
);

test("100,000 failed logins from 20,000 addresses in three minutes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-flood-"));
  const startMs = 1_790_000_000_000;
  let now = startMs;
  const log = await AuditLog.open({ folder, origin: "test.example.com", clock: { now: () => now } });
  const flood = 100_000;
  for (let i = 0; i < flood; i++) {
    now = startMs + Math.floor((3 * 60_000 * i) / flood);
    const address = i % 20_000;
    const source = address % 2 === 0 ? `10.0.${address >> 8}.${address % 256}` : `2001:db8:${address.toString(16)}::1`;
    log.event("login.failed", { source, reason: "the token is not known" });
    if (i % 10_000 === 0) await log.waitDurable(log.intent(sampleOperation(`op-${i}`), PERMIT, POLICY));
  }
  await log.close();
  const entries = await failedLogins(folder);
  // Each address of a minute has its first login, and the count of the others; and so has the rest together.
  expect(entries.length).toBeLessThanOrEqual(4 * 2 * (ADDRESSES_MAX + 1));
  expect(counted(entries)).toBe(flood);
  rmSync(folder, { recursive: true, force: true });
}, 240_000);
