/** Pruning and the exchange of the log's key: what goes is said before, what stays is proven as before, and a kill breaks neither. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { PERMIT, POLICY, sampleOperation } from "../../test/fault/audit-sample.ts";
import { AuditLog, type AuditOptions } from "./audit.ts";
import { KEY_FILE, keysFolder, VKEY_FILE } from "./log-keys.ts";
import { openNote, readCheckpoint, readVerifier } from "./note.ts";
import { verifyConsistency, verifyInclusion } from "./proofs.ts";
import { LogReader } from "./query.ts";
import { LOG_FILE } from "./schema.ts";
import { LogTree } from "./tree.ts";

let folder: string;
let now = 1_760_000_000_000;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-prune-"));
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

async function open(more: Partial<AuditOptions> = {}): Promise<AuditLog> {
  return AuditLog.open({ folder, origin: "gw", clock: { now: () => now++ }, ...more });
}

/** So many entries, each in the log. */
async function record(log: AuditLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) log.event("login.ok", { n: i });
  await log.waitDurable(log.handedOver);
}

function lowest(): unknown {
  const database = new Database(join(folder, LOG_FILE));
  try {
    const [row]: unknown[] = database.prepare("SELECT min(idx) FROM entry").raw(true).all([]);
    return Array.isArray(row) ? row[0] : row;
  } finally {
    database.close();
  }
}

async function events(kind: string): Promise<unknown[]> {
  const reader = LogReader.open(folder);
  try {
    const entries = await reader.tail(1_000_000, { event: kind });
    return entries.map(({ leaf }) => (leaf.shape === "event" ? leaf.facts : null));
  } finally {
    reader.close();
  }
}

test("whole tiles of entries go, and everything about the rest and the tree holds as before", async () => {
  const log = await open();
  await record(log, 1000);
  const before = LogTree.open(folder);
  const [size, root, hash] = [before.size, before.root(before.size), before.tile(0, 0, 256).slice(0, 32)];
  before.close();
  expect(await log.prune(700)).toEqual({ first: 0, to: 512, entries: 512 });
  expect(await log.prune(700)).toEqual({ first: 512, to: 512, entries: 0 });
  expect(await log.prune(0)).toEqual({ first: 512, to: 512, entries: 0 });
  expect(await log.prune(Number.MAX_SAFE_INTEGER)).toMatchObject({ first: 512, to: 768 });
  await record(log, 10);
  await log.close();
  expect(lowest()).toBe(768);
  expect(await events("audit.pruned")).toEqual([
    { first: 0, to: 512, entries: 512 },
    { first: 512, to: 768, entries: 256 },
  ]);

  const again = await open();
  await again.close();
  const tree = LogTree.open(folder);
  expect(tree.first).toBe(768);
  expect(tree.root(size)).toEqual(root);
  verifyInclusion(0, size, hash, tree.inclusionProof(0, size), root);
  verifyConsistency(size, tree.size, root, tree.root(tree.size), tree.consistencyProof(size, tree.size));
  expect(() => tree.entryBundle(2, 256)).toThrow("were pruned");
  expect(tree.entryBundle(3, 200).length).toBeGreaterThan(200);
  tree.close();
  const reader = LogReader.open(folder);
  expect((await reader.tail(10_000))[0]?.index).toBe(768);
  const [oldest] = await reader.entries([768]);
  expect(await reader.firstSince(0)).toBe(768);
  expect(await reader.firstSince((oldest?.leaf.timeMs ?? 0) + 1)).toBe(769);
  reader.close();
});

test("an entry of an operation that has not ended stays, and so does what follows it", async () => {
  const log = await open();
  await record(log, 600);
  const intent = log.intent(sampleOperation("open"), PERMIT, POLICY);
  await log.waitDurable(intent);
  await record(log, 600);
  expect(await log.prune(1200)).toMatchObject({ to: 512 });
  await log.waitDurable(log.outcome(intent, { status: "done" }));
  expect(await log.prune(1200)).toMatchObject({ first: 512, to: 1024 });
  await log.close();
});

test("what witnesses have not signed stays", async () => {
  const log = await open({ isWitnessed: true });
  await record(log, 1000);
  expect(await log.prune(1000)).toMatchObject({ to: 0 });
  const tree = LogTree.open(folder);
  log.keepCosigned(600, tree.checkpoints()[0]?.note ?? "");
  tree.close();
  expect(await log.prune(1000)).toMatchObject({ to: 512 });
  await log.close();
});

test("what is older than the retention goes by itself, once a day", async () => {
  jest.useFakeTimers();
  const log = await open({ retentionMs: 10_000, heartbeatMs: 2_000_000_000 });
  await record(log, 600);
  now += 20_000;
  await record(log, 300);
  const pruned = Promise.withResolvers<void>();
  log.onCheckpoint(({ size }) => {
    if (size > 901) pruned.resolve();
  });
  jest.advanceTimersByTime(65_000);
  await pruned.promise;
  expect(await events("audit.pruned")).toEqual([{ first: 0, to: 512, entries: 512 }]);
  now += 20_000;
  await record(log, 300);
  jest.advanceTimersByTime(23 * 3_600_000);
  await record(log, 1);
  expect(await events("audit.pruned")).toHaveLength(1);
  jest.advanceTimersByTime(3_600_000);
  await record(log, 1);
  await log.close();
  expect(await events("audit.pruned")).toHaveLength(2);
});

test("nothing is older than the retention while nobody knows the time", async () => {
  jest.useFakeTimers();
  let isTimeKnown = false;
  const log = await open({ retentionMs: 10_000, heartbeatMs: 2_000_000_000, isTimeKnown: () => isTimeKnown });
  await record(log, 600);
  now += 20_000;
  await record(log, 300);
  jest.advanceTimersByTime(65_000);
  await record(log, 1);
  expect(await events("audit.pruned")).toEqual([]);
  isTimeKnown = true;
  jest.advanceTimersByTime(24 * 3_600_000);
  await record(log, 1);
  await log.close();
  expect(await events("audit.pruned")).toHaveLength(1);
});

test("a pruning that was cut short is finished by the next run", async () => {
  const log = await open();
  await record(log, 1000);
  await log.close();
  const database = new Database(join(folder, LOG_FILE));
  database.exec("UPDATE head SET first = 512");
  expect(() => database.exec("DELETE FROM entry WHERE idx = 512")).toThrow("never deleted");
  expect(() => database.exec("UPDATE head SET first = 256")).toThrow("does not come back");
  expect(() => database.exec("UPDATE head SET first = 100000")).toThrow("not pruned");
  database.exec("DELETE FROM entry WHERE idx < 100");
  database.close();
  expect(lowest()).toBe(100);
  await (await open()).close();
  expect(lowest()).toBe(512);
  // What lies above is not to be missing.
  const again = new Database(join(folder, LOG_FILE));
  const trigger: unknown = again
    .prepare("SELECT sql FROM sqlite_schema WHERE name = 'entry_no_delete'")
    .raw(true)
    .get([]);
  again.exec("DROP TRIGGER entry_no_delete; DELETE FROM entry WHERE idx = 512");
  again.exec(String(Array.isArray(trigger) ? trigger[0] : trigger));
  again.close();
  await expect(open()).rejects.toThrow("entry 512 is missing");
});

test("a reader goes on while entries are pruned under it", async () => {
  const log = await open();
  await record(log, 3000);
  const reader = LogReader.open(folder);
  const tree = LogTree.open(folder);
  const pages = reader.leaves(0, 3000);
  pages.next();
  const pruned = log.prune(2000);
  const { size } = tree;
  verifyConsistency(300, size, tree.root(300), tree.root(size), tree.consistencyProof(300, size));
  expect(await pruned).toMatchObject({ to: 1792 });
  await record(log, 300);
  let read = 0;
  for (const page of pages) read += page.length;
  expect(read).toBe(1000);
  expect((await reader.tail(5000)).length).toBeGreaterThanOrEqual(1500);
  reader.close();
  tree.close();
  await log.close();
});

/* ---- keys ---- */

function vkey(): string {
  return readFileSync(join(folder, VKEY_FILE), "utf8").trim();
}

test("whoever knows one of the two keys can follow an exchange", async () => {
  const log = await open();
  await record(log, 5);
  const old = readVerifier(vkey());
  const { oldKey, newKey } = await log.rotateKey();
  expect([oldKey, newKey]).toEqual([old.vkey, vkey()]);
  expect(newKey).not.toBe(oldKey);
  const next = readVerifier(newKey);
  const both = log.checkpoint?.note ?? "";
  expect(openNote(both, [old]).verified).toHaveLength(1);
  expect(openNote(both, [next]).verified).toHaveLength(1);
  await record(log, 5);
  await log.close();
  expect(() => openNote(log.checkpoint?.note ?? "", [old])).toThrow("no known key");
  openNote(log.checkpoint?.note ?? "", [next]);
  const tree = LogTree.open(folder);
  const { size } = readCheckpoint(openNote(both, [old]).text);
  const [entry] = await events("audit.key_rotated");
  expect(entry).toEqual({ old: oldKey, new: newKey });
  const bundle = Buffer.from(tree.entryBundle(0, size)).toString("utf8");
  expect(bundle).toContain("audit.key_rotated");
  tree.close();
  expect(readdirSync(keysFolder(folder))).toEqual([KEY_FILE]);
  expect(statSync(join(keysFolder(folder), KEY_FILE)).mode & 0o777).toBe(0o600);
  await (await open()).close();
});

test("an exchange that was cut short is finished when the log has it, and undone when it has not", async () => {
  const log = await open();
  await log.close();
  const key = join(keysFolder(folder), KEY_FILE);
  const own = readFileSync(key, "utf8");
  const keyBefore = vkey();
  const rotating = await open();
  await rotating.rotateKey();
  const next = readFileSync(key, "utf8");
  // The writer's death between the transaction and the renaming.
  const copy = join(folder, "copy.db");
  const database = new Database(join(folder, LOG_FILE));
  database.exec(`VACUUM INTO '${copy}'`);
  database.close();
  await rotating.close();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
  renameSync(copy, join(folder, LOG_FILE));
  await Bun.write(key, own);
  await Bun.write(`${key}.next`, next);
  await Bun.write(join(folder, VKEY_FILE), `${keyBefore}\n`);
  await (await open()).close();
  expect(readFileSync(key, "utf8")).toBe(next);
  expect(vkey()).not.toBe(keyBefore);
  expect(existsSync(`${key}.next`)).toBe(false);

  // And before the transaction.
  await Bun.write(`${key}.next`, own);
  await (await open()).close();
  expect(readFileSync(key, "utf8")).toBe(next);
  expect(existsSync(`${key}.next`)).toBe(false);
});
