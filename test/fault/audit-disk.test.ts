/**
 * The k-th write or fsync of the log fails, for every k from the gateway's start to its end: from then on no byte
 * reaches the target, clients are told in their protocol, and once the disk works again the gateway serves again,
 * with the gap recorded. An ordinary run takes every eighth k; WEIR_TEST_LONG (`./dev test --long`) takes them all, and
 * WEIR_FAULT_K one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, DatabaseError } from "pg";
import { AuditLog } from "../../src/audit/audit.ts";
import { type LogEntry, LogReader } from "../../src/audit/query.ts";
import { SEED } from "../chance.ts";
import { type Gateway, startGateway } from "../gateway.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { startTap, type Tap } from "../servers/tap.ts";
import { canFail, type DiskCall, ERRNO, FaultyMachine, faultyMachineLibrary } from "./faulty-machine.ts";

const STRIDE = process.env["WEIR_TEST_LONG"] === undefined ? 8 : 1;
const ONLY = process.env["WEIR_FAULT_K"];
const AUDIT_UNAVAILABLE = "58030";
/** Said to a client whose statement had been recorded and sent when the log failed. */
const ENDED = "the record of this session can no longer be written, so it was ended";

let folder = "";
let library = "";
let server: PostgresServer;
let token = "";

beforeAll(async () => {
  if (!canFail()) return;
  folder = mkdtempSync(join(tmpdir(), "weir-audit-disk-"));
  library = faultyMachineLibrary(folder);
  server = await startPostgres({});
  // Every round starts on a copy of this folder: a log that was closed in order, and a token.
  const gateway = await startGateway({ postgres: server, folder: join(folder, "template") });
  token = await gateway.token("ann");
  expect(await gateway.stop()).toBe(0);
});
afterAll(async () => {
  if (!canFail()) return;
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What a client of one round was told about its statements, by their texts. `ended`: nobody says whether they were run. */
type Told = { readonly answered: string[]; readonly refused: string[]; readonly ended: string[] };

const SCRIPT = [
  "SELECT 'simple'",
  "BEGIN",
  "SELECT 'in a transaction'",
  "COMMIT",
  "SELECT $1::text AS prepared",
  "SELECT 'last'",
];

/** Runs the script until something is refused, or the session ends. Every refusal is a clean error of the protocol's, or the test fails. */
async function runScript(port: number, marker: string): Promise<Told> {
  const told: Told = { answered: [], refused: [], ended: [] };
  const client = new Client({ host: "127.0.0.1", port, user: "weir", password: token, database: "db" });
  // After a fatal error the driver also says that the connection is gone.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    expectUnavailable(error);
    told.refused.push("login");
    return told;
  }
  for (const [place, statement] of SCRIPT.entries()) {
    const text = `${statement} /* ${marker}-${place} */`;
    try {
      await client.query(text, statement.includes("$1") ? ["parameter"] : []);
      told.answered.push(text);
    } catch (error) {
      expectUnavailable(error);
      (String(error).includes(ENDED) ? told.ended : told.refused).push(text);
      break;
    }
  }
  await client.end().catch(() => {});
  return told;
}

/**
 * The log has failed, and clients have been told: nothing is sent to the target for any of them any more. (A login of
 * the gateway's own that was recorded before may still be under way.)
 */
async function expectSilence(port: number, tap: Tap, marker: string): Promise<void> {
  // What was on its way when the log failed has arrived once another login has been answered.
  expect((await runScript(port, `${marker}-late`)).refused).toEqual(["login"]);
  const bytes = tap.bytesOf(marker);
  expect((await runScript(port, `${marker}-later`)).refused).toEqual(["login"]);
  expect(tap.bytesOf(marker)).toBe(bytes);
}

function expectUnavailable(error: unknown): void {
  expect(error).toBeInstanceOf(DatabaseError);
  if (!(error instanceof DatabaseError)) return;
  expect(`${error.code} ${error.message}`).toStartWith(`${AUDIT_UNAVAILABLE} `);
}

async function logOf(data: string): Promise<LogEntry[]> {
  // Opening recomputes the root and refuses a log that does not hold together.
  const log = await AuditLog.open({ folder: data, origin: "test", clock: { now: Date.now } });
  await log.close();
  const reader = LogReader.open(data);
  try {
    return await reader.tail(1_000_000);
  } finally {
    reader.close();
  }
}

/** One round; false when the gateway came to its end before the k-th call. */
async function round(call: DiskCall, k: number, errno: number): Promise<boolean> {
  const marker = `${call}-${k}`;
  const home = join(folder, marker);
  cpSync(join(folder, "template"), home, { recursive: true });
  const tap = await startTap(server.port);
  using disk = new FaultyMachine(library, "audit.db");
  const options = { postgres: tap, folder: home };
  const answered: string[] = [];
  const refused: string[] = [];
  let ended = 0;
  const take = (told: Told): boolean => {
    answered.push(...told.answered);
    refused.push(...told.refused);
    ended += told.ended.length;
    return told.refused.length + told.ended.length === 0;
  };
  try {
    disk.failAt(call, k, errno);
    let gateway: Gateway | null = null;
    try {
      gateway = await startGateway({ ...options, env: disk.env });
    } catch (error) {
      expect(String(error)).toContain("audit log");
      expect(tap.statements()).toEqual([]);
      expect(disk.faults).toBeGreaterThan(0);
    }
    if (gateway === null) {
      disk.cure();
      gateway = await startGateway({ ...options, env: disk.env });
    }
    const wasDone = take(await runScript(gateway.port, `${marker}-first`));
    // A fault that came while nothing was asked for is met by whoever asks next.
    const failedInUse = disk.faults > 0 && !wasDone;
    if (failedInUse) {
      await expectSilence(gateway.port, tap, marker);
      disk.cure();
      for (let attempt = 0; !take(await runScript(gateway.port, `${marker}-again-${attempt}`)); attempt++);
    }
    const atEnd = disk.faults;
    const status = await gateway.stop();
    if (disk.faults === atEnd && (atEnd === 0 || failedInUse)) expect(status).toBe(0);
    disk.cure();

    const entries = await logOf(join(home, "data"));
    const recorded = new Set(entries.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.textSha256] : [])));
    const isRecorded = (text: string): boolean => recorded.has(createHash("sha256").update(text).digest("hex"));
    expect(answered.filter((text) => !isRecorded(text))).toEqual([]);
    expect(refused.filter((text) => tap.saw(text) > 0)).toEqual([]);
    expect(tap.statements().filter((text) => text.includes(marker) && !isRecorded(text))).toEqual([]);
    expect(SCRIPT.length).toBeLessThanOrEqual(answered.length + (refused.length + ended) * SCRIPT.length);
    if (failedInUse) expect(entries.filter(({ leaf }) => leaf.event === "audit.gap").length).toBeGreaterThan(0);
    return disk.faults > 0;
  } finally {
    await tap.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

// A library is preloaded into the gateway, which only Linux can do, and a C compiler has to make it.
describe.skipIf(!canFail())("a disk that fails (needs Linux and a C compiler)", () => {
  for (const [call, errno] of [
    ["write", ERRNO.ENOSPC],
    ["sync", ERRNO.EIO],
  ] as const) {
    test(`at the k-th ${call} of the log`, async () => {
      if (ONLY !== undefined) {
        await round(call, Number(ONLY), errno);
        return;
      }
      let rounds = 0;
      for (let k = 1 + (SEED % STRIDE); await round(call, k, errno); k += STRIDE) rounds++;
      // Opening, a session and closing make more calls than this.
      expect(rounds * STRIDE).toBeGreaterThan(8);
    }, 1_200_000);
  }
});
