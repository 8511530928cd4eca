/** Faults of the log: after one nothing is acknowledged and everything refused; after its cure the log serves again, with a gap. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import Database from "libsql";
import { AuditLog } from "../../src/audit/audit.ts";
import { type LogEntry, LogReader } from "../../src/audit/query.ts";
import { AuditUnavailable } from "../../src/core/ports.ts";
import { lines } from "./audit-lines.ts";
import { PERMIT, POLICY, sampleOperation } from "./audit-sample.ts";

const clock = { now: () => Date.now() };
const CHILD = Bun.fileURLToPath(new URL("./audit-child.ts", import.meta.url));
const GROWTH = Bun.fileURLToPath(new URL("./audit-growth.ts", import.meta.url));
const WRITER = new URL("../../src/audit/writer.ts", import.meta.url);
const SILENT_WRITER = new URL("./audit-silent-writer.ts", import.meta.url);
const LATE_WRITER = new URL("./audit-late-writer.ts", import.meta.url);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-fault-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function entries(): Promise<LogEntry[]> {
  const reader = LogReader.open(folder);
  try {
    return await reader.tail(10_000_000);
  } finally {
    reader.close();
  }
}

/** Resolves when the log's listener is called and the condition holds. */
async function until(log: AuditLog, condition: () => boolean): Promise<void> {
  const reached = Promise.withResolvers<void>();
  log.onProgress(() => {
    if (condition()) reached.resolve();
  });
  if (condition()) reached.resolve();
  await reached.promise;
}

/** The sequences of a run that are in its leaves or in its gaps: all of them, each in one place. */
function expectAccounted(all: readonly LogEntry[], handedOver: number): void {
  const seen: number[] = [];
  const boot = all.findLast(({ leaf }) => leaf.event === "audit.opened")?.leaf.boot;
  for (const { leaf } of all) {
    if (leaf.boot !== boot) continue;
    if (leaf.sequence !== undefined) seen.push(leaf.sequence);
    if (leaf.shape === "intent" && leaf.outcome?.sequence !== undefined) seen.push(leaf.outcome.sequence);
    if (leaf.shape === "event" && leaf.event === "audit.gap") {
      for (let i = Number(leaf.facts["from"]); i <= Number(leaf.facts["to"]); i++) seen.push(i);
    }
  }
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: handedOver }, (_, i) => i + 1));
}

function gaps(all: readonly LogEntry[]): number[] {
  return all.flatMap(({ leaf }) =>
    leaf.shape === "event" && leaf.event === "audit.gap" ? [Number(leaf.facts["lost"])] : [],
  );
}

test("a lock that a stranger holds: refused, then served again with a gap", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock });
  const kept = log.intent(sampleOperation("kept"), PERMIT, POLICY);
  const running = log.intent(sampleOperation("running"), PERMIT, POLICY);
  await log.waitDurable(running);

  const stranger = new Database(join(folder, "audit.db"));
  stranger.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  log.outcome(kept, { status: "done" });
  const lost = log.intent(sampleOperation("lost"), PERMIT, POLICY);
  const waiting = log.waitDurable(lost);
  await expect(waiting).rejects.toThrow(AuditUnavailable);
  expect(log.failure).toBeInstanceOf(AuditUnavailable);
  expect(log.durable).toBe(running);
  expect(() => log.intent(sampleOperation("refused"), PERMIT, POLICY)).toThrow(AuditUnavailable);
  expect(() => log.outcome(running, { status: "done" })).toThrow(AuditUnavailable);
  expect(() => log.event("login.ok", {})).toThrow(AuditUnavailable);
  expect(log.handedOver).toBe(lost);
  stranger.exec("ROLLBACK");
  stranger.close();

  await until(log, () => log.failure === null);
  // What was lost stays lost; what was running before goes on.
  await expect(log.waitDurable(lost)).rejects.toThrow(AuditUnavailable);
  expect(() => log.outcome(lost, { status: "done" })).toThrow(AuditUnavailable);
  log.outcome(running, { status: "done", rows: 2 });
  await log.waitDurable(log.intent(sampleOperation("after"), PERMIT, POLICY));
  const handedOver = log.handedOver;
  await log.close();

  const all = await entries();
  expectAccounted(all, handedOver + 1);
  expect(gaps(all)).toEqual([2]);
  const outcomes = all.flatMap(({ leaf }) => (leaf.shape === "outcome" ? [[leaf.id, leaf.outcome.status]] : []));
  expect(outcomes).toEqual([
    ["kept", "unknown"],
    ["running", "done"],
  ]);
  expect(all.filter(({ leaf }) => leaf.shape === "intent" && leaf.id === "lost")).toEqual([]);
}, 240_000);

test("a log at its largest size: refused, and a larger one serves", async () => {
  const log = await AuditLog.open({ folder, origin: "test", clock, sizeBytesMax: 256 * 1024 });
  const durable: string[] = [];
  let failure: unknown = null;
  for (let i = 0; failure === null; i++) {
    try {
      await log.waitDurable(log.intent(sampleOperation(`op-${i}`, { text: "x" }), PERMIT, POLICY));
      durable.push(`op-${i}`);
    } catch (error) {
      failure = error;
    }
  }
  expect(failure).toBeInstanceOf(AuditUnavailable);
  expect(durable.length).toBeGreaterThan(50);
  await log.close().catch(() => {});

  const larger = await AuditLog.open({ folder, origin: "test", clock, sizeBytesMax: 1024 * 1024 });
  await larger.waitDurable(larger.intent(sampleOperation("after"), PERMIT, POLICY));
  await larger.close();
  const all = await entries();
  const recorded = new Set(all.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.id] : [])));
  expect(durable.filter((id) => !recorded.has(id))).toEqual([]);
  expect(recorded.has("after")).toBe(true);
}, 240_000);

test("a writer that dies: refused until another has taken over", async () => {
  const workers: Worker[] = [];
  const log = await AuditLog.open({
    folder,
    origin: "test",
    clock,
    startWriter: (settings) => {
      const worker = new Worker(WRITER, { workerData: settings });
      workers.push(worker);
      return worker;
    },
  });
  const before = log.intent(sampleOperation("before"), PERMIT, POLICY);
  await log.waitDurable(before);
  await workers[0]?.terminate();
  await until(log, () => log.failure !== null);
  expect(() => log.intent(sampleOperation("refused"), PERMIT, POLICY)).toThrow(AuditUnavailable);
  await until(log, () => log.failure === null);
  expect(workers).toHaveLength(2);
  log.outcome(before, { status: "done" });
  await log.waitDurable(log.intent(sampleOperation("after"), PERMIT, POLICY));
  const handedOver = log.handedOver;
  await log.close();
  const all = await entries();
  expectAccounted(all, handedOver + 1);
  expect(gaps(all)).toEqual([0]);
  expect(all.filter(({ leaf }) => leaf.shape === "outcome").map(({ leaf }) => leaf)).toMatchObject([
    { id: "before", outcome: { status: "done" } },
  ]);
}, 240_000);

test("a writer that does not answer: refused, and what it was given is lost", async () => {
  let isFirst = true;
  const log = await AuditLog.open({
    folder,
    origin: "test",
    clock,
    startWriter: (settings) => {
      const url = isFirst ? SILENT_WRITER : WRITER;
      isFirst = false;
      return new Worker(url, { workerData: settings });
    },
  });
  const lost = log.intent(sampleOperation("lost"), PERMIT, POLICY);
  await expect(log.waitDurable(lost)).rejects.toThrow("has not answered");
  await until(log, () => log.failure === null);
  expect(log.lagMs).toBe(0);
  await log.waitDurable(log.intent(sampleOperation("after"), PERMIT, POLICY));
  await log.close();
  const all = await entries();
  expect(gaps(all)).toEqual([1]);
  expect(all.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.id] : []))).toEqual(["after"]);
}, 240_000);

for (const late of ["before", "after"] as const) {
  test(`a writer that comes back ${late} another has taken over: the log stays whole, nothing of it is acknowledged`, async () => {
    const workers: Worker[] = [];
    const log = await AuditLog.open({
      folder,
      origin: "test",
      clock,
      startWriter: (settings) => {
        const isFirst = workers.length === 0;
        const url = isFirst || late === "before" ? LATE_WRITER : WRITER;
        const env = { ...process.env, LATE: isFirst ? late : "next" };
        const worker = new Worker(url, { workerData: settings, env });
        workers.push(worker);
        return worker;
      },
    });
    const exited = new Promise<void>((resolve) => workers[0]?.once("exit", () => resolve()));
    const held = log.intent(sampleOperation("held"), PERMIT, POLICY);
    await expect(log.waitDurable(held)).rejects.toThrow("has not answered");
    // A writer that is not counted on any more may well have committed by now: that is nobody's to know.
    if (late === "before") await exited;
    if (log.failure !== null) expect(log.durable).toBe(0);
    await until(log, () => log.failure === null);
    await expect(log.waitDurable(held)).rejects.toThrow(AuditUnavailable);
    await exited;
    await log.waitDurable(log.intent(sampleOperation("next"), PERMIT, POLICY));
    expect(log.failure).toBeNull();
    await log.close();

    // Opening recomputes the root.
    const again = await AuditLog.open({ folder, origin: "test", clock });
    await again.close();
    const all = await entries();
    const intents = all.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.id] : []));
    const ended = all.flatMap(({ leaf }) => (leaf.shape === "outcome" ? [[leaf.id, leaf.outcome.status]] : []));
    expect(gaps(all)).toEqual([late === "before" ? 0 : 1]);
    expect(intents).toEqual(late === "before" ? ["held", "next"] : ["next"]);
    // What nobody was told of is closed with the gap; what this run left open, by the next one.
    const gap = all.find(({ leaf }) => leaf.event === "audit.gap")?.leaf;
    expect(gap).toMatchObject({ facts: { unknown: late === "before" ? 1 : 0 } });
    expect(ended).toEqual([...(late === "before" ? [["held", "unknown"]] : []), ["next", "unknown"]]);
  }, 240_000);
}

test("a log whose folder cannot be written does not open, and leaves no lock behind", async () => {
  chmodSync(folder, 0o755);
  // Root may write everywhere, so the attempt is made as somebody else.
  const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
  if (asNobody.length === 0) chmodSync(folder, 0o555);
  if (Bun.spawnSync([...asNobody, "test", "-r", CHILD], { cwd: "/" }).exitCode !== 0) {
    process.stderr.write("left out: nobody else may read the sources here\n");
    return;
  }
  const child = Bun.spawn([...asNobody, process.execPath, CHILD, folder, "1"], {
    cwd: "/",
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await child.exited).not.toBe(0);
  expect(await new Response(child.stderr).text()).toContain("EACCES");
  chmodSync(folder, 0o755);
  const log = await AuditLog.open({ folder, origin: "test", clock });
  await log.close();
});

test("a disk that takes no more: nothing is acknowledged until it does, and the gap is recorded", async () => {
  // A limit on the size of files stands for a full disk. The signal that would kill the process is ignored.
  const child = Bun.spawn(["sh", "-c", `trap '' XFSZ; exec ${process.execPath} ${CHILD} ${folder} 16`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const durable: string[] = [];
  const said: string[] = [];
  let afterCure = 0;
  for await (const line of lines(child.stdout)) {
    if (line.startsWith("durable")) durable.push(line.slice("durable ".length));
    else if (!line.startsWith("ended")) said.push(line.split(" ")[0] ?? "");
    if (durable.length === 200 && !said.includes("failed")) limitFiles(child.pid, 64 * 1024);
    if (line.startsWith("failed")) limitFiles(child.pid, null);
    if (said.includes("recovered") && ++afterCure === 500) child.kill("SIGKILL");
  }
  await child.exited;
  expect(said).toEqual(["open", "failed", "recovered"]);
  const log = await AuditLog.open({ folder, origin: "test", clock });
  await log.close();
  const all = await entries();
  const recorded = new Set(all.flatMap(({ leaf }) => (leaf.shape === "intent" ? [leaf.id] : [])));
  expect(durable.filter((id) => !recorded.has(id))).toEqual([]);
  expect(gaps(all)).toHaveLength(1);
  expect(gaps(all)[0]).toBeGreaterThan(0);
}, 240_000);

test("memory does not grow with what is recorded", async () => {
  // More than any table has slots, and enough to go around the ring.
  const operations = 20_000;
  const child = Bun.spawn([process.execPath, GROWTH, folder, `${operations}`], { stdout: "pipe", stderr: "inherit" });
  const [objects = Number.NaN, grownMiB = Number.NaN] = (await new Response(child.stdout).text())
    .split(" ")
    .map(Number);
  expect(await child.exited).toBe(0);
  expect(objects).toBeLessThan(operations / 2);
  // Leaves alone would be 25 MiB, records as objects more than twice that; heaps take a while to find their size.
  expect(grownMiB).toBeLessThan(64);
}, 240_000);

/** Sets or lifts the limit on the size of files of a running process. */
function limitFiles(pid: number, sizeBytes: number | null): void {
  const result = Bun.spawnSync(["prlimit", `--pid=${pid}`, `--fsize=${sizeBytes ?? "unlimited"}:unlimited`]);
  if (!result.success) throw new Error(`prlimit: ${result.stderr.toString()}`);
}
