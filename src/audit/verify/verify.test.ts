/** A log that is whole verifies; whatever was changed in it is found, and the finding says where. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Database from "libsql";
import { openRecordings } from "../../../test/recordings.ts";
import { ORIGIN, runOnce, tamper } from "../../../test/tampered-log.ts";
import { AuditLog } from "../audit.ts";
import { newSigner, readVerifier } from "../note.ts";
import { sha256 } from "../sha256.ts";
import { openSource } from "./open-source.ts";
import { type Verdict, verifyLog, type VerifyOptions } from "./verify.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-verify-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function verify(options: Partial<VerifyOptions> = {}): Promise<Verdict> {
  const source = openSource({ kind: "data", folder });
  try {
    return await verifyLog(source, { keys: [], witnesses: [], kept: [], since: 0, onProgress: () => {}, ...options });
  } finally {
    source.close();
  }
}

async function found(options: Partial<VerifyOptions> = {}): Promise<string[]> {
  const { findings } = await verify(options);
  return findings.kept.map(({ place, text }) => `${place}: ${text}`);
}

/** Puts another leaf in an entry's place; `hash` also gives it the hash that fits. */
function replaceLeaf(
  database: Database.Database,
  index: number,
  change: (leaf: string) => string,
  hash: boolean,
): void {
  const row: unknown = database.prepare("SELECT leaf FROM entry WHERE idx = ?").raw(true).get([index]);
  const leaf: unknown = Array.isArray(row) ? row[0] : null;
  if (!(leaf instanceof Uint8Array)) throw new Error(`there is no entry ${index}`);
  const text = Buffer.from(leaf).toString();
  const changed = Buffer.from(change(text));
  expect(changed.toString()).not.toBe(text);
  database.prepare("UPDATE entry SET leaf = ? WHERE idx = ?").run([changed, index]);
  if (!hash) return;
  const digest = sha256(Buffer.concat([Buffer.of(0), changed]));
  database.prepare("UPDATE entry SET hash = ? WHERE idx = ?").run([digest, index]);
}

function columns(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}

test("a log of several runs is whole", async () => {
  await runOnce(folder, 400);
  await runOnce(folder, 333, 1_760_000_100_000);
  const verdict = await verify();
  expect(verdict.findings.kept).toEqual([]);
  expect(verdict.open).toBe(0);
  expect(verdict.entries).toBe(verdict.size);
  expect(verdict.size).toBeGreaterThan(733);
});

test("a leaf that was edited is found by its hash", async () => {
  await runOnce(folder, 200);
  tamper(folder, (database) => replaceLeaf(database, 20, (leaf) => leaf.replace("agent-", "agent_"), false));
  expect(await found()).toContain("entry 20: does not match its hash: its leaf was changed, or the hash beside it");
});

test("an entry that is gone is found, and so is what it held", async () => {
  await runOnce(folder, 200);
  tamper(folder, (database) => database.exec("DELETE FROM entry WHERE idx IN (31, 32)"));
  expect((await found())[0]).toStartWith("entries 31 to 32: are missing");
});

test("the entries below a size are known by their tiles, and what was changed above it is found all the same", async () => {
  await runOnce(folder, 800);
  const whole = await verify();
  const later = await verify({ since: 700 });
  expect(later.findings.kept).toEqual([]);
  expect([later.root, later.from, later.entries]).toEqual([whole.root, 700, whole.size - 700]);
  tamper(folder, (database) => {
    replaceLeaf(database, 20, (leaf) => leaf.replace("agent-", "agent_"), false);
    replaceLeaf(database, 720, (leaf) => leaf.replace('"boot":"', '"boot":"x'), false);
  });
  expect(await found({ since: 700 })).toEqual([expect.stringContaining("entry 720: does not match its hash")]);
});

test("several threads find what one does", async () => {
  await runOnce(folder, 300);
  const [one, many] = [await verify({ threads: 1 }), await verify({ threads: 3 })];
  expect(many).toEqual(one);
});

describe("keys", () => {
  let keys: { readonly oldKey: string; readonly newKey: string };

  beforeEach(async () => {
    const log = await AuditLog.open({ folder, origin: ORIGIN, clock: { now: Date.now }, checkpointMs: 5 });
    await log.waitDurable(log.event("token.created", { token: "t" }));
    keys = await log.rotateKey();
    await log.waitDurable(log.event("token.revoked", { token: "t" }));
    await log.close();
  });

  test("that were exchanged are followed from any one of them", async () => {
    for (const key of [keys.oldKey, keys.newKey]) {
      const verdict = await verify({ keys: [readVerifier(key)] });
      expect(verdict.findings.kept).toEqual([]);
      expect(verdict.keys).toEqual([
        { vkey: keys.oldKey, isTrusted: key === keys.oldKey },
        { vkey: keys.newKey, isTrusted: key === keys.newKey },
      ]);
    }
  });

  test("a key that the old one has not signed for is not taken for the log's", async () => {
    tamper(folder, (database) => {
      const first: unknown[] = database.prepare("SELECT size, note FROM checkpoint ORDER BY size").raw(true).all([]);
      for (const each of first) {
        const [size, note] = columns(each);
        if (!(note instanceof Buffer)) continue;
        const lines = note
          .toString()
          .split("\n")
          .filter((line) => line.startsWith("\u2014 "));
        if (lines.length !== 2) continue;
        const cut = note.toString().replace(`${lines[0]}\n`, "");
        database.prepare("UPDATE checkpoint SET note = ? WHERE size = ?").run([Buffer.from(cut), Number(size)]);
      }
    });
    expect(await found({ keys: [readVerifier(keys.oldKey)] })).toContainEqual(
      expect.stringContaining("is the first of a new key, and not signed by the old key and the new one"),
    );
  });

  test("of another log prove nothing", async () => {
    const other = newSigner(ORIGIN, "ed25519").signer.verifier;
    expect(await found({ keys: [other] })).toContainEqual(
      expect.stringContaining("log: is signed by none of the trusted keys"),
    );
  });
});

describe("recordings", () => {
  const data = Buffer.from('{"kind":"input"}\n');
  beforeEach(async () => {
    const log = await AuditLog.open({ folder, origin: ORIGIN, clock: { now: Date.now } });
    const sha256 = Bun.SHA256.hash(data, "hex");
    const whose = { session: "s", issuer: "weir", subject: "a", target: "t", kind: "transcript" };
    const keySha256 = Bun.SHA256.hash(new Uint8Array(1), "hex");
    const streams = ["clear", "sealed"];
    log.event("recording.started", { recording: "r1", ...whose, streams, sealed: true, keySha256 });
    for (const number of [0, 1]) {
      log.event("recording.segment", {
        recording: "r1",
        stream: "clear",
        number,
        sha256,
        bytes: data.length,
        sealed: false,
      });
    }
    log.event("recording.ended", { recording: "r1", session: "s", segments: 2, reason: "closed" });
    await log.close();
    const recordings = openRecordings(folder);
    recordings.exec("INSERT INTO recording VALUES ('r1', 's', 'transcript', 'weir', 'a', 't', 1, NULL, 2, NULL, 2)");
    recordings.exec("INSERT INTO wrapped_key VALUES ('r1', x'00')");
    const insert = recordings.prepare("INSERT INTO segment VALUES ('r1', 'clear', ?, 1, ?, ?, ?, 1)");
    for (const number of [0, 1]) insert.run([number, Buffer.from(sha256, "hex"), data.length, data]);
    recordings.close();
  });

  function change(sql: string): void {
    const recordings = openRecordings(folder);
    recordings.exec(sql);
    recordings.close();
  }

  test("are held against what the log names", async () => {
    const verdict = await verify();
    expect(verdict.findings.kept).toEqual([]);
    expect(verdict.remarks).toContain("2 segments of recordings were held against recordings.db");
  });

  test.each([
    [
      "UPDATE segment SET data = x'00' WHERE number = 1",
      'names segment 1 ("clear") of recording r1, which was changed',
    ],
    ["DELETE FROM segment WHERE number = 0", 'names segment 0 ("clear") of recording r1, which is missing'],
    [
      "DELETE FROM segment; DELETE FROM recording",
      "recording r1: is missing, and the log does not say that recordings were pruned",
    ],
    [
      "INSERT INTO segment SELECT recording, stream, 2, started_ms, sha256, bytes, data, 1 FROM segment WHERE number = 1",
      "recording r1: has 3 segments, and the log names 2",
    ],
    [
      "INSERT INTO segment SELECT recording, stream, 2, started_ms, sha256, bytes, data, 1 FROM segment WHERE number = 1; UPDATE recording SET logged = 1, ended_ms = NULL",
      "recording r1: has 3 segments, and the log names 2",
    ],
    ["UPDATE recording SET subject = 'b'", "recording r1: its subject is not the one in entry 1"],
    ["UPDATE wrapped_key SET data = x'01'", "recording r1: its key is not the one in entry 1: it was exchanged"],
    ["DELETE FROM wrapped_key", "recording r1: has lost its key, and the log does not say that it was shredded"],
  ])("%s is found", async (sql, text) => {
    change(sql);
    expect(await found()).toContainEqual(expect.stringContaining(text));
  });

  test("the whole file gone is found, unless the copy is said to be without it", async () => {
    for (const end of ["", "-wal", "-shm"]) rmSync(join(folder, `recordings.db${end}`), { force: true });
    const text = "is missing, and the log names 1 recordings with segments, of which 0 were pruned";
    expect(await found()).toEqual([`recordings.db: ${text}`]);
    const verdict = await verify({ withoutRecordings: true });
    expect(verdict.count).toBe(0);
    expect(verdict.remarks).toContainEqual(expect.stringContaining("there is no recordings.db here"));
  });

  test.each([
    ["recording.shredded", { recording: "r1", by: "b", reason: "asked to" }],
    ["recording.pruned", { recordings: 1, before: "2026-01-01T00:00:00.000Z" }],
  ] as const)("the whole file gone is no finding when nothing was left in it: %s", async (event, facts) => {
    const log = await AuditLog.open({ folder, origin: ORIGIN, clock: { now: Date.now } });
    await log.waitDurable(log.event(event, facts));
    await log.close();
    for (const end of ["", "-wal", "-shm"]) rmSync(join(folder, `recordings.db${end}`), { force: true });
    expect(await found()).toEqual([]);
  });

  test("more of them gone than were pruned is found", async () => {
    const log = await AuditLog.open({ folder, origin: ORIGIN, clock: { now: Date.now } });
    log.event("recording.started", { recording: "r2", session: "s", sealed: false });
    await log.waitDurable(log.event("recording.pruned", { recordings: 1, before: "2026-01-01T00:00:00.000Z" }));
    await log.close();
    expect(await found()).toEqual([]);
    change("DELETE FROM segment; DELETE FROM recording");
    const text = "is missing, and the log does not say that more than 1 recordings were pruned";
    expect(await found()).toEqual(["recording r1", "recording r2"].map((each) => `${each}: ${text}`));
  });
});
