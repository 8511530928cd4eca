/** The search index as a file: followed while the log grows, killed at any moment, damaged, replaced, of another log. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../../test/fault/audit-sample.ts";
import { AuditLog } from "../audit.ts";
import { LOG_FILE } from "../schema.ts";
import { BackgroundIndexer } from "./background.ts";
import { Indexer } from "./indexer.ts";
import { SEARCH_FILE, STRETCH_ENTRIES } from "./schema.ts";
import { EntrySearch, type SearchFilter } from "./search.ts";
import { SearchFile } from "./search-file.ts";
import { listSessions } from "./sessions.ts";
import { LogSource } from "./source.ts";
import { openIndex } from "./up-to-date.ts";

let folder: string;
let operations = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-indexer-"));
  operations = 0;
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const openLog = async (at = folder): Promise<AuditLog> =>
  AuditLog.open({ folder: at, origin: "log.test", clock: { now: Date.now } });

/** So many operations; of every fourth the outcome is an entry of its own. */
async function record(log: AuditLog, count: number): Promise<void> {
  const late: number[] = [];
  for (let n = 0; n < count; n++) {
    const session = sampleSession(operations % 3);
    const intent = log.intent(
      sampleOperation(`op-${operations}`, { session }),
      operations++ % 10 === 0 ? DENY : PERMIT,
      POLICY,
    );
    if (n % 4 === 0) late.push(intent);
    else log.outcome(intent, { status: "done", rows: 1 });
    if (n % 2000 === 0) await log.waitDurable(log.handedOver);
  }
  await log.waitDurable(log.handedOver);
  for (const intent of late) log.outcome(intent, { status: "failed", code: "42P01" });
  await log.waitDurable(log.handedOver);
}

async function logOf(count: number, at = folder): Promise<void> {
  const log = await openLog(at);
  await record(log, count);
  await log.close();
}

/** Steps until all is in; how many entries were new. */
function catchUp(at = folder): number {
  const indexer = Indexer.open(at, { isThorough: true });
  if (indexer === null) throw new Error("somebody else writes the index");
  let taken = 0;
  for (let more = indexer.step(); more > 0; more = indexer.step()) taken += more;
  indexer.close();
  return taken;
}

const FILTERS: readonly SearchFilter[] = [
  {},
  { subject: "agent-1" },
  { status: "failed", target: "orders-2" },
  { words: ["public.orders", "42p01"] },
  { decision: "deny", session: "session-0" },
  { event: "audit.opened" },
];

/** All that the index answers; null: there is none of this log. */
function answers(at = folder): unknown {
  const source = LogSource.open(at);
  const file = SearchFile.open(at, source);
  source.close();
  if (file === null) return null;
  const search = new EntrySearch(file);
  const found = FILTERS.map((filter) => search.search(filter, { limit: 100_000, isOldestFirst: true }));
  const sessions = listSessions(file, { withHouse: true }, 100);
  const ids = ["op-0", "op-7", `op-${operations - 1}`].map((id) => search.operation(id));
  file.close();
  return { found, sessions, ids };
}

/** What an index that is made at once answers. */
function anew(): unknown {
  const copy = join(folder, "anew");
  cpSync(join(folder, LOG_FILE), join(copy, LOG_FILE), { recursive: true });
  for (const side of ["-wal", "-shm"]) {
    if (existsSync(join(folder, LOG_FILE + side))) cpSync(join(folder, LOG_FILE + side), join(copy, LOG_FILE + side));
  }
  catchUp(copy);
  const all = answers(copy);
  rmSync(copy, { recursive: true });
  return all;
}

test("an index that follows the log in small steps is the one that is made at once", async () => {
  const log = await openLog();
  for (const count of [1, 7, 130, 64, 3000, 14_000, 1]) {
    await record(log, count);
    expect(catchUp()).toBeGreaterThan(0);
  }
  expect(catchUp()).toBe(0);
  expect(log.handedOver).toBeGreaterThan(STRETCH_ENTRIES);
  expect(answers()).toEqual(anew());
  await log.close();
});

test("an index that is missing, damaged, of another log or newer than the log is made again", async () => {
  await logOf(300);
  const size = catchUp();
  const good = answers();
  const path = join(folder, SEARCH_FILE);
  const spoilers: readonly (() => void)[] = [
    () => rmSync(path),
    () => writeFileSync(path, "this is no database at all, and long enough to be looked at as one"),
    () => writeFileSync(path, readFileSync(path).subarray(0, 20_000)),
    () => {
      // Rubbish inside, beside the first page.
      const file = openSync(path, "r+");
      for (let at = 4096; at < statSync(path).size; at += 4096) writeSync(file, Buffer.alloc(64, 0x55), 0, 64, at);
    },
  ];
  for (const [n, spoil] of spoilers.entries()) {
    // What waits beside the file would make up for some of it.
    for (const side of ["-wal", "-shm"]) rmSync(path + side, { force: true });
    spoil();
    expect([n, catchUp()]).toEqual([n, size]);
    expect(answers()).toEqual(good);
    expect(catchUp()).toBe(0);
  }

  // Another log of the same name: its entries differ.
  const other = join(folder, "other");
  await logOf(400, other);
  cpSync(path, join(other, SEARCH_FILE));
  expect(answers(other)).toBeNull();
  const otherSize = catchUp(other);
  expect(otherSize).toBeGreaterThan(400);

  // An index that has seen more than the log: somebody put an older copy of the log back.
  const index = readFileSync(join(other, SEARCH_FILE));
  rmSync(other, { recursive: true });
  operations = 0;
  await logOf(100, other);
  writeFileSync(join(other, SEARCH_FILE), index);
  expect(answers(other)).toBeNull();
  expect(catchUp(other)).toBeLessThan(otherSize);
});

test("an indexer that is killed has lost nothing, whenever it was", async () => {
  await logOf(6000);
  const script = `
    import { Indexer } from ${JSON.stringify(join(import.meta.dir, "indexer.ts"))};
    const indexer = Indexer.open(${JSON.stringify(folder)}, { isThorough: false });
    console.log("ready");
    while (indexer.step(64) > 0);
    console.log("done");
    setInterval(() => {}, 1000);`;
  for (let round = 0; round < 4; round++) {
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit", stdin: "ignore" });
    let said = "";
    for await (const chunk of child.stdout) {
      said += Buffer.from(chunk).toString();
      if (said.includes("ready")) break;
    }
    // A little later each time: in the middle of its steps, wherever that is.
    await Bun.sleep(round * 15);
    child.kill("SIGKILL");
    await child.exited;
  }
  catchUp();
  expect(answers()).toEqual(anew());
});

test("one writes the index at a time, and commands make do with it", async () => {
  await logOf(200);
  const indexer = Indexer.open(folder, { isThorough: false });
  expect(indexer).not.toBeNull();
  expect(Indexer.open(folder, { isThorough: false })).toBeNull();
  while ((indexer?.step() ?? 0) > 0);
  const problems: string[] = [];
  const index = await openIndex(
    folder,
    () => undefined,
    (problem) => problems.push(problem),
  );
  expect(index?.size).toBe(index?.logSize ?? -1);
  index?.file.close();
  indexer?.close();
  expect(problems).toEqual([]);
});

test("a gateway's indexer follows by itself, and the log does not wait for it", async () => {
  const log = await openLog();
  const said: string[] = [];
  const background = new BackgroundIndexer(folder, (line) => said.push(line));
  try {
    await record(log, 500);
    const source = LogSource.open(folder);
    for (;;) {
      const file = SearchFile.open(folder, source);
      const size = file?.size ?? 0;
      file?.close();
      if (size === source.size) break;
      await Bun.sleep(20);
    }
    source.close();
    expect(answers()).toEqual(anew());
    // Somebody holds the index's file for themselves: intents go on, and the index follows when it can.
    const held = Indexer.open(folder, { isThorough: false });
    expect(held).toBeNull();
    await record(log, 500);
  } finally {
    await background.stop();
    await log.close();
  }
  expect(said).toEqual([]);
  expect(catchUp()).toBeGreaterThanOrEqual(0);
});

test("what is pruned from the log leaves the index", async () => {
  const log = await openLog();
  await record(log, 14_000);
  const before = log.handedOver;
  expect(before).toBeGreaterThan(STRETCH_ENTRIES);
  catchUp();
  // agent-9 is only in what is left.
  const intent = log.intent(sampleOperation("op-late", { session: sampleSession(9) }), PERMIT, POLICY);
  log.outcome(intent, { status: "done" });
  await log.waitDurable(log.handedOver);
  await log.prune(STRETCH_ENTRIES + 1000);
  await log.close();

  expect(catchUp()).toBeGreaterThan(0);
  const source = LogSource.open(folder);
  // A whole number of tiles.
  expect(source.first).toBeGreaterThan(STRETCH_ENTRIES);
  const file = SearchFile.open(folder, source);
  if (file === null) throw new Error("there is no index");
  const search = new EntrySearch(file);
  const all = search.search({}, { limit: 100_000, isOldestFirst: true });
  expect(all).toEqual(Array.from({ length: source.size - source.first }, (_, at) => source.first + at));
  expect(search.search({ subject: "agent-9" }, { limit: 10, isOldestFirst: true })).not.toEqual([]);
  expect(search.operation("op-0")).toEqual([]);
  file.close();

  // One that is begun now counts places from the same beginning.
  for (const side of ["", "-wal", "-shm"]) rmSync(join(folder, SEARCH_FILE + side), { force: true });
  catchUp();
  const fresh = SearchFile.open(folder, source);
  if (fresh === null) throw new Error("there is no index");
  expect(new EntrySearch(fresh).search({}, { limit: 100_000, isOldestFirst: true })).toEqual(all);
  fresh.close();
  source.close();
});
