/** The reading side, beside a log that is being written. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../test/fault/audit-sample.ts";
import { AuditLog } from "./audit.ts";
import { type LogEntry, LogReader } from "./query.ts";

let folder: string;
let log: AuditLog;
let reader: LogReader;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-query-"));
  log = await AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  for (let n = 0; n < 4; n++) {
    const session = sampleSession(n % 2);
    const intent = log.intent(sampleOperation(`op-${n}`, { session }), n === 3 ? DENY : PERMIT, POLICY);
    await log.waitDurable(intent);
    log.outcome(intent, { status: n === 3 ? "refused" : "done", rows: n });
  }
  log.event("session.refused", { subject: "agent-1", target: "payroll", reason: "denied", id: "ev-1" });
  await log.waitDurable(log.handedOver);
  reader = LogReader.open(folder);
});
afterEach(async () => {
  reader.close();
  await log.close();
  rmSync(folder, { recursive: true, force: true });
});

function names(entries: readonly LogEntry[]): string[] {
  return entries.map(({ leaf }) => (leaf.shape === "event" ? leaf.event : `${leaf.shape} ${leaf.id}`));
}

test("the last entries, the oldest first", async () => {
  expect(names(await reader.tail(3))).toEqual(["intent op-3", "outcome op-3", "session.refused"]);
  expect(await reader.tail(0)).toEqual([]);
  expect((await reader.tail(1000)).map(({ index }) => index)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  expect(await reader.size()).toBe(10);
});

test("filters take an outcome with its intent", async () => {
  expect(names(await reader.tail(100, { subject: "agent-0" }))).toEqual([
    "intent op-0",
    "outcome op-0",
    "intent op-2",
    "outcome op-2",
  ]);
  expect(names(await reader.tail(100, { target: "orders-1" }))).toEqual([
    "intent op-1",
    "outcome op-1",
    "intent op-3",
    "outcome op-3",
  ]);
  expect(names(await reader.tail(100, { target: "payroll" }))).toEqual(["session.refused"]);
  expect(names(await reader.tail(100, { decision: "deny" }))).toEqual(["intent op-3", "outcome op-3"]);
  expect(names(await reader.tail(100, { subject: "agent-1", decision: "permit" }))).toEqual([
    "intent op-1",
    "outcome op-1",
  ]);
  expect(names(await reader.tail(1, { subject: "agent-1", decision: "permit" }))).toEqual(["outcome op-1"]);
  expect(await reader.tail(100, { subject: "' OR 1=1 --" })).toEqual([]);
});

test("one operation by its id", async () => {
  const [intent, outcome, ...more] = await reader.operation("op-2");
  expect(more).toEqual([]);
  expect(intent?.leaf).toMatchObject({ event: "operation.intent", subject: { name: "agent-0" } });
  expect(outcome?.leaf).toMatchObject({ intent: intent?.index ?? -1, outcome: { rows: 2 } });
  expect(names(await reader.operation("ev-1"))).toEqual(["session.refused"]);
  expect(await reader.operation("op")).toEqual([]);
  expect(await reader.operation('"')).toEqual([]);
});

test("entries by index", async () => {
  expect((await reader.entries([3, 0, 99])).map(({ index }) => index)).toEqual([0, 3]);
  expect(await reader.entries([])).toEqual([]);
});

test("new entries are followed as they are committed, until the signal", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const from = (await reader.size()) - 1;
  for await (const entry of reader.follow(from, { subject: "agent-1" }, stop.signal)) {
    seen.push(...names([entry]));
    if (seen.length === 1) {
      for (let i = 0; i < 3; i++) {
        const intent = log.intent(sampleOperation(`late-${i}`, { session: sampleSession(i % 2) }), PERMIT, POLICY);
        await log.waitDurable(intent);
        await log.waitDurable(log.outcome(intent, { status: "done" }));
      }
    }
    if (seen.length === 3) stop.abort();
  }
  expect(seen).toEqual(["session.refused", "intent late-1", "outcome late-1"]);
});

test("the log cannot be written from here, and one that is not there is an error", () => {
  expect(() => LogReader.open(join(folder, "nowhere"))).toThrow("there is no audit log");
});
