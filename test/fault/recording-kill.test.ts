/** kill -9 while sessions are recorded: what the log names is in the file with that hash, and what was open is closed. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import { AuditLog } from "../../src/audit/audit.ts";
import { LogReader } from "../../src/audit/query.ts";
import { KeptRecorder } from "../../src/record/recorder.ts";
import { RecordingReader } from "../../src/record/reader.ts";
import { RECORDINGS_FILE } from "../../src/record/schema.ts";
import { newAuditor } from "../recordings.ts";
import { lines } from "./audit-lines.ts";

const CHILD = Bun.fileURLToPath(new URL("./recording-child.ts", import.meta.url));
const CLOCK = { now: () => Date.now() };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-recording-kill-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const named = v.object({
  recording: v.string(),
  stream: v.picklist(["clear", "sealed"]),
  number: v.number(),
  sha256: v.string(),
});

/** What the log says of recordings, by kind. */
async function events(): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const reader = LogReader.open(folder);
  const found = new Map<string, unknown[]>();
  for (const { leaf } of await reader.tail(1_000_000)) {
    if (leaf.shape !== "event" || !leaf.event.startsWith("recording.")) continue;
    const facts = found.get(leaf.event) ?? [];
    facts.push(leaf.facts);
    found.set(leaf.event, facts);
  }
  reader.close();
  return found;
}

/** Hashes of what is stored, by place. */
function stored(): Map<string, string> {
  const database = new Database(join(folder, RECORDINGS_FILE));
  const rows = database.prepare("SELECT recording, stream, number, data FROM segment").raw(true).all([]);
  database.close();
  const row = v.strictTuple([v.string(), v.string(), v.number(), v.instance(Uint8Array)]);
  return new Map(
    rows.map((each) => {
      const [recording, stream, number, data] = v.parse(row, each);
      return [`${recording} ${stream} ${number}`, createHash("sha256").update(data).digest("hex")];
    }),
  );
}

test("what the log names is there, whenever the kill comes, and the next run closes and names the rest", async () => {
  const { recipient } = await newAuditor();
  let segments = 0;
  for (let round = 0; round < 6; round++) {
    const child = Bun.spawn([process.execPath, CHILD, folder, recipient, "8"], { stdout: "pipe", stderr: "inherit" });
    const opened: string[] = [];
    // Once late enough for segments to be there, and else whenever.
    let left = round === 0 ? 30 : 1 + Math.floor(Math.random() * 40);
    for await (const line of lines(child.stdout)) {
      const [word = "", id = ""] = line.split(" ");
      expect(word).toBe("open");
      opened.push(id);
      if (--left === 0) child.kill("SIGKILL");
    }
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    const log = await AuditLog.open({ folder, origin: "test", clock: CLOCK });
    // As the kill left it: the log names nothing that is not there.
    const before = (await events()).get("recording.segment") ?? [];
    const there = stored();
    for (const facts of before) {
      const { recording, stream, number, sha256 } = v.parse(named, facts);
      expect(there.get(`${recording} ${stream} ${number}`)).toBe(sha256);
    }
    const recorder = new KeptRecorder({ folder, recipients: [recipient], log, clock: CLOCK, say: () => {} });
    await recorder.start();
    await recorder.close();
    await log.close();
    // And afterwards everything that is there is named, and nothing is open.
    const after = await events();
    const said = new Map<string, string>();
    for (const facts of after.get("recording.segment") ?? []) {
      const { recording, stream, number, sha256 } = v.parse(named, facts);
      const place = `${recording} ${stream} ${number}`;
      expect(said.get(place) ?? sha256).toBe(sha256);
      said.set(place, sha256);
    }
    expect(said).toEqual(there);
    segments = there.size;
    const reader = RecordingReader.open(folder);
    const recordings = reader?.latest(1_000_000) ?? [];
    reader?.close();
    const ids = recordings.map(({ id }) => id);
    for (const id of opened) expect(ids).toContain(id);
    for (const { endedMs, reason } of recordings) {
      expect(endedMs).not.toBeNull();
      expect(["closed", "unclean"]).toContain(reason ?? "");
    }
    const ends = v.parse(v.array(v.object({ recording: v.string() })), after.get("recording.ended"));
    expect(new Set(ends.map(({ recording }) => recording))).toEqual(new Set(ids));
    const starts = v.parse(v.array(v.object({ recording: v.string() })), after.get("recording.started"));
    expect(new Set(starts.map(({ recording }) => recording))).toEqual(new Set(ids));
  }
  expect(segments).toBeGreaterThan(20);
}, 240_000);
