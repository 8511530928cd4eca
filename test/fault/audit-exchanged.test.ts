/** Files that are taken away or exchanged under a gateway that runs: nothing is acknowledged that no later start would find. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { LOG_FILE } from "../../src/audit/schema.ts";
import { KeptRecorder } from "../../src/record/recorder.ts";
import { RECORDINGS_FILE } from "../../src/record/schema.ts";
import { sampleSession } from "./audit-sample.ts";

const clock = { now: Date.now };
let folder: string;
let log: AuditLog;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-exchanged-"));
  log = await AuditLog.open({ folder, origin: "gw.test.example", clock });
  await log.waitDurable(log.event("token.created", { token: "t" }));
});
afterEach(async () => {
  await log.close().catch(() => {});
  rmSync(folder, { recursive: true, force: true });
});

/** The files of a database to another place, or away. */
function move(name: string, to: string | null): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    const path = join(folder, name + suffix);
    if (to === null) rmSync(path, { force: true });
    else renameSync(path, join(folder, to + suffix));
  }
}

const append = async (): Promise<void> => log.waitDurable(log.event("token.revoked", { token: "t" }));

describe("the log", () => {
  test.each<[string, () => void]>([
    ["that was taken away", () => move(LOG_FILE, null)],
    [
      "that an empty file replaced",
      () => {
        move(LOG_FILE, null);
        writeFileSync(join(folder, LOG_FILE), "");
      },
    ],
    [
      "that a copy replaced",
      () => {
        cpSync(join(folder, LOG_FILE), join(folder, "copy"));
        renameSync(join(folder, "copy"), join(folder, LOG_FILE));
      },
    ],
  ])("%s takes nothing more", async (_, take) => {
    take();
    await expect(append()).rejects.toThrow();
    expect(() => log.event("token.revoked", { token: "t" })).toThrow();
  });

  test("that was moved away goes on when it is back", async () => {
    move(LOG_FILE, "elsewhere");
    await expect(append()).rejects.toThrow();
    move("elsewhere", LOG_FILE);
    const deadline = performance.now() + 30_000;
    for (;;) {
      try {
        await append();
        break;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await Bun.sleep(50);
      }
    }
  });
});

test("a recording whose file was taken away fails, and so does its session", async () => {
  const recorder = new KeptRecorder({ folder, recipients: [], log, clock, say: () => {} });
  const failed = Promise.withResolvers<string>();
  const live = await recorder.open(sampleSession(1), ({ message }) => failed.resolve(message), "transcript");
  move(RECORDINGS_FILE, null);
  // More than a segment has, so that one is stored at once.
  for (let i = 0; i < 40; i++) live.write("clear", { kind: "note", atMs: Date.now(), text: "x".repeat(50_000) });
  expect(await failed.promise).toContain("cannot go on");
  await recorder.close();
});
