/** The tree beside a log that is being written: what it signs, the proofs that are read from it, keys, cosignatures, stamps. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PERMIT, POLICY, sampleOperation } from "../../test/fault/audit-sample.ts";
import { AuditLog } from "./audit.ts";
import { VKEY_FILE } from "./log-keys.ts";
import { leafHash } from "./merkle.ts";
import { type Checkpoint, openNote, readCheckpoint, readVerifier } from "./note.ts";
import { verifyConsistency, verifyInclusion } from "./proofs.ts";
import { LogReader } from "./query.ts";
import { LogTree } from "./tree.ts";

let folder: string;
let now = 1_760_000_000_000;
const clock = { now: () => now++ };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-tree-"));
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

async function record(log: AuditLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    log.outcome(log.intent(sampleOperation(`op-${log.handedOver}`), PERMIT, POLICY), { status: "done" });
  }
  await log.waitDurable(log.handedOver);
}

function vkey(): string {
  return readFileSync(join(folder, VKEY_FILE), "utf8").trim();
}

/** What a checkpoint says, when it is signed by the log. */
function verified(note: string, key = vkey()): Checkpoint {
  return readCheckpoint(openNote(note, [readVerifier(key)]).text);
}

/** Resolves with the next checkpoint of a log that a condition holds for. */
async function checkpointOf(
  log: AuditLog,
  isWanted: (size: number) => boolean,
): Promise<{ size: number; note: string }> {
  const found = Promise.withResolvers<{ size: number; note: string }>();
  const stop = log.onCheckpoint((checkpoint) => {
    if (isWanted(checkpoint.size)) found.resolve(checkpoint);
  });
  const checkpoint = await found.promise;
  stop();
  return checkpoint;
}

test("the log signs itself when it opens, some seconds after it has grown, and when it is closed", async () => {
  jest.useFakeTimers();
  const log = await AuditLog.open({ folder, origin: "gw", clock });
  expect(log.origin).toBe("gw");
  expect(log.checkpoint?.size).toBe(1);
  const seen: number[] = [];
  log.onCheckpoint(({ size }) => seen.push(size));
  await record(log, 10);
  jest.advanceTimersByTime(4999);
  const next = checkpointOf(log, (size) => size > 1);
  jest.advanceTimersByTime(1);
  const { size, note } = await next;
  await log.close();

  const tree = LogTree.open(folder);
  expect(tree.origin).toBe("gw");
  expect(seen).toEqual([1, size, tree.size]);
  expect(log.checkpoint?.size).toBe(tree.size);
  expect(verified(note)).toEqual({ origin: "gw", size, root: Buffer.from(tree.root(size)), extensions: [] });
  const kept = tree.checkpoints();
  expect(kept.map((checkpoint) => checkpoint.size)).toEqual(seen);
  for (const checkpoint of kept) {
    expect(Buffer.from(verified(checkpoint.note).root)).toEqual(Buffer.from(tree.root(checkpoint.size)));
  }
  expect(tree.checkpoints(size)).toEqual(kept.slice(1));
  expect(tree.latestCheckpoint()).toEqual(kept[2] ?? null);
  tree.close();
});

test("what was signed already is not signed again", async () => {
  jest.useFakeTimers();
  const log = await AuditLog.open({ folder, origin: "gw", clock });
  const seen: number[] = [];
  log.onCheckpoint(({ size }) => seen.push(size));
  // Has it signed some seconds later, and there is nothing new then.
  expect(await log.prune(0)).toMatchObject({ entries: 0 });
  jest.advanceTimersByTime(5000);
  await log.close();
  expect(seen).toEqual([1, 2]);
});

test("silence is recorded and signed, once in a while", async () => {
  jest.useFakeTimers();
  const log = await AuditLog.open({ folder, origin: "gw", clock });
  for (const beat of [1, 2, 3]) {
    const next = checkpointOf(log, (size) => size > beat);
    jest.advanceTimersByTime(60_000);
    await next;
  }
  // Not silent: the checkpoint that is due says enough.
  jest.advanceTimersByTime(58_000);
  await record(log, 1);
  jest.advanceTimersByTime(3000);
  await log.close();
  const reader = LogReader.open(folder);
  const beats = await reader.tail(100, { event: "audit.heartbeat" });
  reader.close();
  expect(beats.map(({ leaf }) => (leaf.shape === "event" ? leaf.facts : null))).toEqual([
    { size: 1 },
    { size: 2 },
    { size: 3 },
  ]);
});

test("each entry and each earlier checkpoint is proven by the newest one", async () => {
  const log = await AuditLog.open({ folder, origin: "gw", clock, checkpointMs: 1 });
  const checkpoints: { size: number; note: string }[] = [];
  log.onCheckpoint((checkpoint) => checkpoints.push(checkpoint));
  for (let i = 0; i < 5; i++) {
    const signed = log.checkpoint?.size ?? 0;
    await record(log, 120);
    await checkpointOf(log, (size) => size > signed);
  }
  await log.close();
  const tree = LogTree.open(folder);
  const newest = verified(tree.latestCheckpoint()?.note ?? "");
  expect(newest.size).toBe(tree.size);
  expect(tree.size).toBeGreaterThan(600);
  const hash = new Uint8Array(32);
  for (let n = 0; n * 256 < tree.size; n++) {
    const width = Math.min(256, tree.size - n * 256);
    const bundle = Buffer.from(tree.entryBundle(n, width));
    const tile = tree.tile(0, n, width);
    let at = 0;
    for (let i = 0; i < width; i++) {
      const length = bundle.readUInt16BE(at);
      leafHash(new Uint8Array(Buffer.concat([Buffer.of(0), bundle.subarray(at + 2, at + 2 + length)])), hash);
      at += 2 + length;
      expect(Buffer.from(hash)).toEqual(Buffer.from(tile.subarray(32 * i, 32 * i + 32)));
      const index = n * 256 + i;
      verifyInclusion(index, newest.size, hash, tree.inclusionProof(index, newest.size), newest.root);
    }
    expect(at).toBe(bundle.length);
  }
  expect(checkpoints.length).toBeGreaterThan(6);
  for (const { note } of checkpoints) {
    const { size, root } = verified(note);
    verifyConsistency(size, newest.size, root, newest.root, tree.consistencyProof(size, newest.size));
  }
  expect(() => tree.entryBundle(tree.size, 1)).toThrow("yet");
  expect(() => tree.root(tree.size + 1)).toThrow("not yet");
  tree.close();
});

test("cosigned checkpoints and stamps are kept", async () => {
  const log = await AuditLog.open({ folder, origin: "gw", clock });
  log.keepCosigned(1, "note\n\n— w AAAA\n");
  log.keepStamp(1, new Uint8Array([1, 2, 3]));
  log.keepCosigned(1, "note with two\n");
  await log.close();
  expect(() => log.keepCosigned(2, "late")).toThrow("closed");
  const tree = LogTree.open(folder);
  expect(tree.latestCosigned()).toMatchObject({ size: 1, note: "note with two\n" });
  expect(tree.cosigned()).toHaveLength(1);
  expect([...(tree.stamp(1)?.token ?? [])]).toEqual([1, 2, 3]);
  expect(tree.stamp(2)).toBeNull();
  expect(tree.stamps()).toHaveLength(1);
  tree.close();
});

test("a reader sees one state in each call while the log grows", async () => {
  const log = await AuditLog.open({ folder, origin: "gw", clock, checkpointMs: 1 });
  const tree = LogTree.open(folder);
  for (let i = 0; i < 30; i++) {
    const before = tree.size;
    const recorded = record(log, 40);
    // All of it may be there already, some of it, or nothing.
    const { size } = tree;
    const root = tree.root(size);
    verifyConsistency(1, size, tree.root(1), root, tree.consistencyProof(1, size));
    await recorded;
    expect(tree.size).toBeGreaterThan(before);
    expect(tree.root(size)).toEqual(root);
  }
  tree.close();
  await log.close();
});
