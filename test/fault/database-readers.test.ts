/** Whoever looks into a file of the gateway's with a tool of SQLite's and closes it again takes nothing from the gateway that writes to it. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { LogReader } from "../../src/audit/query.ts";
import { LOG_FILE } from "../../src/audit/schema.ts";
import { RecordingReader } from "../../src/record/reader.ts";
import { KeptRecorder } from "../../src/record/recorder.ts";
import { RECORDINGS_FILE } from "../../src/record/schema.ts";
import { inputLine, sessionOf } from "../recordings.ts";

setDefaultTimeout(240_000);

const STRANGER = Bun.fileURLToPath(new URL("./database-stranger.ts", import.meta.url));
const clock = { now: () => Date.now() };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-database-readers-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What another process finds in a file of the folder. */
async function seen(file: string, select: string): Promise<readonly unknown[]> {
  const child = Bun.spawn([process.execPath, STRANGER, join(folder, file), select], {
    stdin: "ignore",
    stdout: "pipe",
  });
  const rows = JSON.parse(await new Response(child.stdout).text()) as unknown[][];
  return rows.flat();
}

async function ended(): Promise<readonly unknown[]> {
  return seen(RECORDINGS_FILE, "SELECT session FROM recording WHERE ended_ms IS NOT NULL");
}

async function record(recorder: KeptRecorder, id: string): Promise<void> {
  const recording = await recorder.open(sessionOf(id), () => {}, "transcript");
  expect(await ended()).not.toContain(id);
  recording.write("clear", inputLine("something"));
  recording.end();
  while (!isEndedHere(id)) await Bun.sleep(10);
  expect(await ended()).toContain(id);
}

/** The same as this process reads it. */
function isEndedHere(id: string): boolean {
  const reader = RecordingReader.open(folder);
  const isEnded = reader?.find(id).some(({ endedMs }) => endedMs !== null) ?? false;
  reader?.close();
  return isEnded;
}

test("recordings, also when the gateway itself had them open before their writer", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const newRecorder = (): KeptRecorder => new KeptRecorder({ folder, recipients: [], log, clock, say: () => {} });
  const first = newRecorder();
  await record(first, "first");
  await first.close();
  // As what copies recordings elsewhere has, or a writer that has failed.
  const reader = RecordingReader.open(folder);
  expect(reader?.latest(10)).toHaveLength(1);
  const second = newRecorder();
  try {
    await record(second, "second");
    await record(second, "third");
  } finally {
    await second.close();
    reader?.close();
    await log.close();
  }
});

test("the log, also when the gateway itself had it open before its writer", async () => {
  await (await AuditLog.open({ folder, origin: "test", clock })).close();
  // As what asks at the start whether the log is whole has.
  const reader = LogReader.open(folder);
  expect(await reader.size()).toBeGreaterThan(0);
  const log = await AuditLog.open({ folder, origin: "test", clock });
  try {
    for (let time = 0; time < 3; time++) {
      await log.waitDurable(log.event("policy.activated", { digest: `${time}` }));
      const size = await reader.size();
      expect(await seen(LOG_FILE, "SELECT count(*) FROM entry")).toEqual([size]);
    }
  } finally {
    reader.close();
    await log.close();
  }
});
