/** The log as a whole: what is handed over is durable, canonical and in the tree, and what was left open is closed. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import { AuditUnavailable } from "../core/ports.ts";
import { UNKNOWN } from "../core/operation.ts";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../test/fault/audit-sample.ts";
import { AuditLog } from "./audit.ts";
import { canonicalJson, type Json } from "./canonical.ts";
import { VKEY_FILE } from "./log-keys.ts";
import { CompactRange } from "./merkle.ts";
import { type LogEntry, LogReader } from "./query.ts";
import { LOG_FILE } from "./schema.ts";
import { sha256 } from "./sha256.ts";

const jsonSchema = v.custom<Json>(() => true);

let folder: string;
let now = 1_760_000_000_000;
const clock = { now: () => now++ };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-audit-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function entries(): Promise<LogEntry[]> {
  const reader = LogReader.open(folder);
  try {
    return await reader.tail(1_000_000);
  } finally {
    reader.close();
  }
}

/** The log's head against a root computed here from the leaves alone, and every leaf against its canonical form. */
async function expectWhole(): Promise<LogEntry[]> {
  const all = await entries();
  const tree = CompactRange.empty();
  for (const [i, { index, hash, json }] of all.entries()) {
    expect(index).toBe(i);
    expect(canonicalJson(v.parse(jsonSchema, JSON.parse(json)))).toBe(json);
    const expected = sha256(Buffer.concat([Buffer.of(0), Buffer.from(json)]));
    expect(hash).toBe(Buffer.from(expected).toString("hex"));
    tree.append(expected);
  }
  const database = new Database(join(folder, LOG_FILE));
  const head: unknown = database.prepare("SELECT size, stack FROM head").raw(true).get([]);
  database.close();
  expect(head).toEqual([tree.size, Buffer.from(tree.encode())]);
  return all;
}

test("an operation is recorded with all that was decided about it", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const intent = log.intent(
    sampleOperation('o"1\\é', {
      accesses: [{ class: "read", facts: { relation: ["public.orders", "name\0with \ud800"], column: UNKNOWN } }],
      text: "SELECT '\0\ud800'",
      parameters: new Uint8Array([0, 255, 128]),
      catalogDigest: "cafe",
    }),
    PERMIT,
    POLICY,
  );
  await log.waitDurable(intent);
  const outcome = log.outcome(intent, { status: "done", code: "SELECT", rows: 3, bytes: 120 });
  expect([intent, outcome, log.handedOver]).toEqual([1, 2, 2]);
  await log.waitDurable(outcome);
  expect(log.durable).toBe(2);
  await log.close();

  const [opened, first, second, closed] = await expectWhole();
  expect(opened?.leaf).toMatchObject({ event: "audit.opened", facts: { previous: "none", unknown: 0 } });
  expect(opened?.leaf.sequence).toBeUndefined();
  expect(JSON.parse(first?.json ?? "")).toEqual({
    boot: opened?.leaf.boot,
    decision: { kind: "permit", policy: { commit: POLICY.commit, digest: POLICY.digest }, rules: PERMIT.rules },
    event: "operation.intent",
    id: 'o"1\\é',
    index: 1,
    operation: {
      accesses: [{ class: "read", facts: { relation: ["public.orders", "name\0with \ufffd"], column: null } }],
      adapter: "postgres",
      catalog: "cafe",
      kind: "query",
      understood: true,
    },
    parametersSha256: Bun.SHA256.hash(new Uint8Array([0, 255, 128]), "hex"),
    sequence: 1,
    session: { id: "session-1", openedAtMs: 1_760_000_000_000, source: "127.0.0.1" },
    subject: {
      groups: ["agents"],
      issuer: "weir",
      kind: "agent",
      name: "agent-1",
      owner: "ann",
      proof: { credential: "tok-1", expiresAtMs: null, method: "token" },
    },
    target: { labels: { env: "prod" }, name: "orders-1" },
    textSha256: Bun.SHA256.hash(Buffer.from("SELECT '\0\ufffd'"), "hex"),
    timeMs: first?.leaf.timeMs,
    version: 1,
  });
  if (second?.leaf.shape !== "outcome") throw new Error("not an outcome");
  expect(second.leaf).toMatchObject({ id: 'o"1\\é', intent: 1, sequence: 2 });
  expect(second.leaf.outcome).toMatchObject({ status: "done", code: "SELECT", rows: 3, bytes: 120 });
  expect(second.leaf.outcome.durationMs).toBeGreaterThan(0);
  expect(closed?.leaf.event).toBe("audit.closed");
});

test("an intent and its outcome in one group share a leaf", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  // More than the writer can take while they are handed over: the later ones wait together for its next group.
  const pairs = 3000;
  for (let i = 0; i < pairs; i++) {
    log.outcome(log.intent(sampleOperation(`op-${i}`), DENY, POLICY), { status: "refused" });
  }
  await log.close();
  const intents = (await expectWhole()).flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf] : []));
  expect(intents).toHaveLength(pairs);
  const shared = intents.filter(({ outcome }) => outcome !== undefined);
  expect(shared.length).toBeGreaterThan(0);
  for (const { event, decision, outcome, sequence } of shared) {
    expect(event).toBe("operation.refusal");
    expect(decision.refusal).toBe("denied");
    expect(outcome?.status).toBe("refused");
    expect(outcome?.sequence).toBe((sequence ?? 0) + 1);
  }
});

test("what nobody awaits is gathered: an operation ends in the leaf that it began with", async () => {
  // For longer than anything here can be held up: only a record that somebody awaits ends it.
  const log = await AuditLog.open({ folder, origin: "test", clock, intentsAreAwaited: false, gatherMs: 3_600_000 });
  for (let n = 0; n < 20; n++) {
    const intent = log.intent(sampleOperation(`gathered-${n}`), PERMIT, POLICY);
    // The writer is awake and could commit the intent alone.
    await new Promise((resolve) => setImmediate(resolve));
    log.outcome(intent, { status: "done" });
    await log.waitDurable(log.event("policy.activated", { n }));
  }
  await log.close();
  const intents = (await expectWhole()).flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf] : []));
  expect(intents.map(({ outcome }) => outcome?.status)).toEqual(Array(20).fill("done"));
});

test("sequences are dense, entries are dense, and each intent has one outcome, for many sessions at once", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const sessions = 32;
  const rounds = 40;
  await Promise.all(
    Array.from({ length: sessions }, async (_, n) => {
      const session = sampleSession(n);
      for (let i = 0; i < rounds; i++) {
        const intent = log.intent(sampleOperation(`${n}-${i}`, { session, text: `SELECT ${n}, ${i}` }), PERMIT, POLICY);
        await log.waitDurable(intent);
        expect(log.durable).toBeGreaterThanOrEqual(intent);
        log.outcome(intent, { status: "done", rows: i });
      }
      log.forget(session.id);
    }),
  );
  expect(log.handedOver).toBe(sessions * rounds * 2);
  await log.close();
  const all = await expectWhole();
  const sequences = all.flatMap(({ leaf }) => [
    ...(leaf.sequence === undefined ? [] : [leaf.sequence]),
    ...(leaf.shape === "intent" && leaf.outcome?.sequence !== undefined ? [leaf.outcome.sequence] : []),
  ]);
  expect(sequences.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: sessions * rounds * 2 + 1 }, (_, i) => i + 1),
  );
  const byId = new Map<string, number>();
  for (const { leaf, index } of all) {
    if (leaf.shape === "intent") {
      byId.set(leaf.id, index);
      expect(leaf.subject.name).toBe(`agent-${leaf.id.split("-")[0]}`);
      const [n, i] = leaf.id.split("-");
      expect(leaf.textSha256).toBe(Bun.SHA256.hash(`SELECT ${n}, ${i}`, "hex"));
    }
  }
  const ended = new Set<string>();
  for (const { leaf } of all) {
    if (leaf.shape === "outcome" && leaf.id !== null) {
      expect(leaf.intent).toBe(byId.get(leaf.id) ?? -1);
      expect(leaf.outcome.rows).toBe(Number(leaf.id.split("-")[1]));
      expect(ended.has(leaf.id)).toBe(false);
      ended.add(leaf.id);
    }
  }
  expect(ended.size).toBe(sessions * rounds);
});

test("a leaf of many kilobytes is kept, one that is too large says what it leaves out", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const relations = (n: number) => Array.from({ length: n }, (_, i) => `public.a_relation_with_a_long_name_${i}`);
  log.intent(
    sampleOperation("large", { accesses: [{ class: "read", facts: { relation: relations(500) } }] }),
    PERMIT,
    POLICY,
  );
  log.intent(
    sampleOperation("huge", { accesses: [{ class: "read", facts: { relation: relations(50_000) } }] }),
    PERMIT,
    POLICY,
  );
  log.event("policy.rejected", { error: "x".repeat(500_000) });
  log.intent(sampleOperation("small"), PERMIT, POLICY);
  await log.close();
  const [, large, huge, event, small] = await expectWhole();
  if (large?.leaf.shape !== "intent" || huge?.leaf.shape !== "intent" || event?.leaf.shape !== "event")
    throw new Error("other leaves");
  expect(large.leaf.operation.accesses[0]?.facts["relation"]).toEqual(relations(500));
  expect(large.leaf.operation.truncated).toBeUndefined();
  expect(huge.leaf.operation.truncated?.["accesses"]).toBe(1);
  expect(huge.leaf.operation.accesses[0]?.truncated).toEqual({ relation: 50_000 });
  expect(event.leaf.truncated?.["bytes"]).toBe(500_012);
  expect(small?.leaf).toMatchObject({ id: "small" });
});

test("the next run closes what the last one left open, and knows a clean end from another", async () => {
  const first = await AuditLog.open({ folder, origin: "test", clock });
  const done = first.intent(sampleOperation("done"), PERMIT, POLICY);
  first.intent(sampleOperation("open"), PERMIT, POLICY);
  await first.waitDurable(2);
  first.outcome(done, { status: "done" });
  await first.close();

  const second = await AuditLog.open({ folder, origin: "test", clock });
  await second.close();
  const third = await AuditLog.open({ folder, origin: "test", clock });
  await third.close();
  const all = await expectWhole();
  expect(all.filter(({ leaf }) => leaf.shape === "outcome").map(({ leaf }) => leaf)).toMatchObject([
    { id: "done", outcome: { status: "done" } },
    { id: "open", intent: 2, outcome: { status: "unknown" } },
  ]);
  expect(all.filter(({ leaf }) => leaf.event === "audit.opened").map(({ leaf }) => leaf)).toMatchObject([
    { facts: { previous: "none", unknown: 0 } },
    { facts: { previous: "clean", unknown: 1 } },
    { facts: { previous: "clean", unknown: 0 } },
  ]);
});

test("a log that was closed is complete in its one file", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  log.event("login.ok", {});
  await log.close();
  for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
  expect(await entries()).toHaveLength(3);
});

test("one log at a time; the lock is given back", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  await expect(AuditLog.open({ folder, origin: "test", clock })).rejects.toThrow("in use");
  await log.close();
  const next = await AuditLog.open({ folder, origin: "test", clock });
  await next.close();
});

test("the files are the owner's alone", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    // But for the verifier key, which is for others.
    expect(statSync(join(folder, name)).mode & 0o077, name).toBe(name === VKEY_FILE ? 0o044 : 0);
  }
  await log.close();
});

test("after its end the log takes nothing", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  await log.close();
  expect(() => log.intent(sampleOperation("late"), PERMIT, POLICY)).toThrow(AuditUnavailable);
  expect(() => log.event("gateway.stopped", {})).toThrow(AuditUnavailable);
  expect(log.failure).toBeInstanceOf(AuditUnavailable);
  await expect(log.waitDurable(1)).rejects.toThrow(AuditUnavailable);
});

test("what cannot be recorded is refused and takes no sequence", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  expect(() => log.intent(sampleOperation("x".repeat(300)), PERMIT, POLICY)).toThrow(AuditUnavailable);
  expect(() =>
    log.intent(
      sampleOperation("a"),
      { kind: "permit", rules: [], observed: [], obligations: { limit: { rows: Number.NaN } } },
      POLICY,
    ),
  ).toThrow(AuditUnavailable);
  expect(() => log.event("login.ok", { n: Number.NaN })).toThrow(AuditUnavailable);
  expect(log.handedOver).toBe(0);
  expect(log.failure).toBeNull();
  await log.waitDurable(log.intent(sampleOperation("a"), PERMIT, POLICY));
  await log.close();
});

test("the listener hears of progress until all is durable", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const heard: number[] = [];
  const all = Promise.withResolvers<void>();
  log.onProgress(() => {
    heard.push(log.durable);
    if (log.durable === 100) all.resolve();
  });
  for (let i = 0; i < 100; i++) log.event("login.ok", { n: i });
  await all.promise;
  expect(heard).toEqual(heard.toSorted((a, b) => a - b));
  expect(log.lagMs).toBe(0);
  expect(log.congested).toBe(false);
  await log.close();
});

test("while it closes the log takes nothing more", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  log.intent(sampleOperation("before"), PERMIT, POLICY);
  const closed = log.close();
  expect(() => log.intent(sampleOperation("late"), PERMIT, POLICY)).toThrow(AuditUnavailable);
  await Promise.all([closed, log.close()]);
  expect(log.durable).toBe(log.handedOver);
  expect((await expectWhole()).map(({ leaf }) => leaf.event)).toEqual([
    "audit.opened",
    "operation.intent",
    "audit.closed",
  ]);
});

test("the count of failed logins is recorded when their minute is over, without another login", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock: { now: () => now } });
  try {
    jest.useFakeTimers();
    for (let i = 0; i < 5; i++) log.event("login.failed", { source: "10.0.0.1", reason: "expired" });
    expect(log.handedOver).toBe(1);
    // Or the minute that passes below would be one in which the writer was silent.
    await log.waitDurable(1);
    now += 60_000;
    jest.advanceTimersByTime(60_001);
    expect(log.handedOver).toBe(2);
  } finally {
    jest.useRealTimers();
  }
  await log.close();
  const counts = (await entries()).flatMap(({ leaf }) => (leaf.shape === "event" ? [leaf.facts["count"]] : []));
  expect(counts).toEqual([undefined, undefined, 4, undefined]);
});

test("failed logins are recorded once per address and minute, then counted", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const first = log.event("login.failed", { source: "10.0.0.1", reason: "expired" });
  expect(log.event("login.failed", { source: "10.0.0.1", reason: "expired" })).toBe(first);
  log.event("login.failed", { source: "10.0.0.1", reason: "revoked" });
  log.event("login.failed", { source: "10.0.0.2", reason: "expired" });
  await log.close();
  const failed = (await entries()).filter(({ leaf }) => leaf.event === "login.failed").map(({ leaf }) => leaf);
  expect(failed).toMatchObject([
    { facts: { source: "10.0.0.1", reason: "expired" } },
    { facts: { source: "10.0.0.2" } },
    { facts: { source: "10.0.0.1", count: 2 } },
  ]);
});
