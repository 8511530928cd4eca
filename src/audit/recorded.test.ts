/** What is recorded of an operation is all that policy needs to decide it again. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../test/fault/audit-sample.ts";
import { UNKNOWN } from "../core/operation.ts";
import type { Accesses, Operation } from "../core/operation.ts";
import { AuditLog } from "./audit.ts";
import { LogReader } from "./query.ts";
import { RecordedOperations } from "./recorded.ts";
import type { RecordedOperation } from "./recorded.ts";

const START_MS = 1_760_000_000_000;
let folder: string;
let log: AuditLog;
let nowMs = START_MS;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-recorded-"));
  nowMs = START_MS;
  log = await AuditLog.open({ folder, origin: "test", clock: { now: () => nowMs } });
});
afterEach(async () => {
  await log.close();
  rmSync(folder, { recursive: true, force: true });
});

async function record(operation: Operation, decision = PERMIT): Promise<void> {
  const intent = log.intent(operation, decision, POLICY);
  log.outcome(intent, { status: "done" });
  await log.waitDurable(log.handedOver);
}

async function recorded(): Promise<readonly RecordedOperation[]> {
  const reader = LogReader.open(folder);
  try {
    const operations = new RecordedOperations();
    const pages = [...reader.leaves(0, await reader.size())];
    return pages.flat().flatMap((leaf) => operations.read(leaf) ?? []);
  } finally {
    reader.close();
  }
}

const ODD: Accesses = [
  { class: "read", facts: { names: ["a", "ü\u0000\u2028"], unfiltered: false, columns: UNKNOWN, none: [] } },
  { class: "administer", facts: {}, opaque: true },
  { class: "connect", facts: { verbs: ["begin"] }, ambient: true },
];

test("an operation comes back as it was, but for its text", async () => {
  const operation = sampleOperation("op-1", {
    accesses: ODD,
    understood: false,
    text: "secret",
    catalogDigest: "c".repeat(64),
  });
  await record(operation);
  const [found] = await recorded();
  expect(found).toEqual({
    index: 1,
    timeMs: START_MS,
    operation: {
      ...operation,
      session: { ...operation.session, target: { ...operation.session.target, settings: null } },
      text: "",
    },
    isConnect: false,
    decision: { kind: "permit", rules: PERMIT.rules, refusal: null, digest: POLICY.digest, commit: POLICY.commit },
    missing: null,
  });
});

test("what came through a forward says so", async () => {
  const session = { ...sampleSession(1), through: { session: "outer", operation: "forward" } };
  await record(sampleOperation("op-1", { session }));
  const [found] = await recorded();
  expect(found?.operation.session.through).toEqual({ session: "outer", operation: "forward" });
});

test("who has no owner, and what was refused", async () => {
  const session = sampleSession(1);
  const { owner: _, ...identity } = session.identity;
  await record(sampleOperation("op-1", { session: { ...session, identity }, kind: "connect" }), DENY);
  const [found] = await recorded();
  expect(found?.operation.session.identity).toEqual(identity);
  expect([found?.isConnect, found?.decision.kind, found?.decision.refusal]).toEqual([true, "deny", "denied"]);
});

test("outcomes, events and what the gateway does on its own are none", async () => {
  log.event("gateway.stopped", { name: "x" });
  log.intent(sampleOperation("house"), "house", POLICY);
  await record(sampleOperation("op-1"));
  expect((await recorded()).map(({ operation }) => operation.id)).toEqual(["op-1"]);
});

test("what is equal is one object", async () => {
  const [one, two] = [sampleSession(1), sampleSession(2)];
  await record(sampleOperation("op-1", { session: one }));
  await record(sampleOperation("op-2", { session: one }));
  await record(sampleOperation("op-3", { session: two, accesses: ODD }));
  const [first, second, third] = await recorded();
  expect(second?.operation.accesses).toBe(first?.operation.accesses as never);
  expect(second?.operation.session).toBe(first?.operation.session as never);
  expect(second?.decision).toBe(first?.decision as never);
  expect(third?.operation.session).not.toEqual(first?.operation.session as never);
  expect(third?.operation.accesses).not.toEqual(first?.operation.accesses as never);
});

test("what was too large to keep is said to be missing", async () => {
  const names = Array.from({ length: 2000 }, (_, at) => `public.table_${at}.column`);
  await record(sampleOperation("op-1", { accesses: [{ class: "read", facts: { columns: names } }] }));
  const session = sampleSession(2);
  const groups = Array.from({ length: 2000 }, (_, at) => `group-${at}`);
  await record(sampleOperation("op-2", { session: { ...session, identity: { ...session.identity, groups } } }));
  const [statement, who] = await recorded();
  expect(statement?.missing).toContain("more accesses");
  expect(who?.missing).toContain("more groups");
});

test("the first entry since an instant", async () => {
  for (let at = 0; at < 9; at++) {
    nowMs = START_MS + at * 1000;
    await record(sampleOperation(`op-${at}`));
  }
  const reader = LogReader.open(folder);
  const idSince = async (timeMs: number): Promise<string | undefined> => {
    const from = await reader.firstSince(timeMs);
    const operations = new RecordedOperations();
    const leaves = [...reader.leaves(from, await reader.size())].flat();
    return leaves.map((leaf) => operations.read(leaf)).find((each) => each !== null)?.operation.id;
  };
  expect(await reader.firstSince(0)).toBe(0);
  for (let at = 1; at < 9; at++) {
    expect(await idSince(START_MS + at * 1000)).toBe(`op-${at}`);
    expect(await idSince(START_MS + at * 1000 - 999)).toBe(`op-${at}`);
  }
  expect(await reader.firstSince(nowMs + 1)).toBe(await reader.size());
  reader.close();
});

test("a leaf that is not of the log's form is an error, not an operation less", () => {
  const operations = new RecordedOperations();
  const leaf = { event: "operation.intent", index: 7, id: "a", timeMs: 1, decision: { kind: "permit" } };
  for (const bad of [leaf, { ...leaf, index: "7" }, [], null]) {
    expect(() => operations.read(Buffer.from(JSON.stringify(bad)))).toThrow();
  }
  expect(() => operations.read(Buffer.from(JSON.stringify(leaf)))).toThrow("entry 7 cannot be read");
});
