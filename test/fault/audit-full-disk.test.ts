/** A real file system that is full: what was open is closed with the room that the log has kept, nothing new is taken, and all goes on once there is room again. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { appendFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { AuditLog } from "../../src/audit/audit.ts";
import { type LogEntry, LogReader } from "../../src/audit/query.ts";
import { LOG_FILE } from "../../src/audit/schema.ts";
import { AuditUnavailable } from "../../src/core/ports.ts";
import { PERMIT, POLICY, sampleOperation } from "./audit-sample.ts";

const DISK_BYTES = 16 * 1024 * 1024;
const BALLAST_BYTES = 4 * 1024 * 1024;

let disk = "";
let isMounted = false;
beforeAll(() => {
  disk = mkdtempSync(join(tmpdir(), "weir-full-disk-"));
  isMounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "none", disk]).exitCode === 0;
});
afterAll(() => {
  if (isMounted) Bun.spawnSync(["umount", "-l", disk]);
  rmSync(disk, { recursive: true, force: true });
});

/** Writes until there is no room for another byte. */
async function fill(path: string): Promise<void> {
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      await appendFile(path, Buffer.alloc(bytes));
    } catch {
      bytes = Math.floor(bytes / 2);
    }
  }
}

function free(): number {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
}

async function entries(folder: string): Promise<LogEntry[]> {
  const reader = LogReader.open(folder);
  try {
    return await reader.tail(1_000_000);
  } finally {
    reader.close();
  }
}

async function gaps(folder: string): Promise<number> {
  return (await entries(folder)).filter(({ leaf }) => leaf.event === "audit.gap").length;
}

test("a full disk", async () => {
  // Whoever is not root cannot mount one; elsewhere a limit on the size of files stands for it (audit-faults.test.ts).
  if (!isMounted) return;
  const folder = join(disk, "data");
  const filler = join(disk, "filler");
  const ballast = join(folder, "audit.ballast");
  const log = await AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  expect(statSync(ballast).size).toBe(BALLAST_BYTES);
  const running = log.intent(sampleOperation("running"), PERMIT, POLICY);
  await log.waitDurable(running);
  // While somebody reads, the write-ahead log stays as long as it is. Cut at the log's end it would leave a little more
  // room than the ballast takes, and the log would go on.
  const reader = new Database(join(folder, LOG_FILE));
  reader.exec("BEGIN; SELECT count(*) FROM entry");

  await fill(filler);
  // What fits into pages that the log has already is taken; then nothing is.
  let failed: unknown = null;
  for (let i = 0; failed === null; i++) {
    try {
      await log.waitDurable(log.intent(sampleOperation(`late-${i}`), PERMIT, POLICY));
    } catch (error) {
      failed = error;
    }
  }
  expect(failed).toBeInstanceOf(AuditUnavailable);
  while ((await gaps(folder)) === 0) await Bun.sleep(20);
  while (log.failure?.message.includes("audit.ballast") !== true) await Bun.sleep(20);
  expect(() => log.intent(sampleOperation("refused"), PERMIT, POLICY)).toThrow(AuditUnavailable);
  // Whatever is left of the room goes to nobody's new work.
  await fill(filler);
  expect(log.failure?.message).toContain("audit.ballast");

  reader.close();
  await rm(filler);
  while (log.failure !== null) await Bun.sleep(20);
  expect(statSync(ballast).size).toBe(BALLAST_BYTES);
  const outcome = log.outcome(running, { status: "done" });
  await log.waitDurable(outcome);
  await log.waitDurable(log.intent(sampleOperation("after"), PERMIT, POLICY));
  await log.close();

  const all = await entries(folder);
  const ids = all.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.id] : []));
  expect(ids).toContain("after");
  expect(ids).not.toContain("refused");
  expect(all.filter(({ leaf }) => leaf.shape === "outcome" && leaf.id === "running")).toHaveLength(1);
}, 240_000);

test("a log does not open where there is no room for its last records", async () => {
  // As above.
  if (!isMounted) return;
  const folder = join(disk, "other");
  await fill(join(disk, "filler"));
  const open = AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  await expect(open).rejects.toThrow("database or disk is full");
  await rm(join(disk, "filler"));
  // Room for the log itself, and for less than the ballast.
  await appendFile(join(disk, "filler"), Buffer.alloc(free() - BALLAST_BYTES / 2));
  const again = AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  await expect(again).rejects.toThrow(
    "audit.ballast cannot be made, 4 MiB of room that the log keeps for its last records: ENOSPC",
  );
  await rm(join(disk, "filler"));
  const log = await AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  await log.close();
});
