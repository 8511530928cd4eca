/** What a large log costs those who read it: making its index, searching, sessions, proofs, verification, opening, memory. */
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { LogReader } from "../../src/audit/query.ts";
import { LogTree } from "../../src/audit/tree.ts";
import { openSource } from "../../src/audit/verify/open-source.ts";
import { verifyLog } from "../../src/audit/verify/verify.ts";
import { Indexer } from "../../src/audit/search/indexer.ts";
import type { SearchFilter } from "../../src/audit/search/search.ts";
import { findSession, listSessions } from "../../src/audit/search/sessions.ts";
import { openIndex } from "../../src/audit/search/up-to-date.ts";
import { startGateway } from "../../test/gateway.ts";
import { percentile } from "./writing.ts";

/** Each question is asked this often; the first time is told apart: it reads what later ones find in memory. */
const ROUNDS = 20;

export type Asked = {
  readonly question: string;
  readonly firstMs: number;
  readonly p50Ms: number;
  readonly found: number;
};

/** The log's file and the index's, in bytes for each entry, and how long a clean start takes. */
export async function opening(folder: string): Promise<{ openMs: number; entryBytes: number; entries: number }> {
  const started = performance.now();
  const log = await AuditLog.open({ folder, origin: "bench", clock: { now: Date.now } });
  const openMs = performance.now() - started;
  await log.close();
  const reader = LogReader.open(folder);
  const entries = await reader.size();
  reader.close();
  return { openMs, entries, entryBytes: statSync(join(folder, "audit.db")).size / entries };
}

/** Makes the index anew. */
export function indexing(
  folder: string,
  onProgress: (entries: number) => void,
): {
  readonly entriesPerSecond: number;
  readonly entryBytes: number;
} {
  for (const side of ["", "-wal", "-shm"]) rmSync(join(folder, `search.db${side}`), { force: true });
  const started = performance.now();
  const indexer = Indexer.open(folder, { isThorough: false });
  if (indexer === null) throw new Error("somebody else makes the index");
  while (indexer.step() > 0) onProgress(indexer.indexed);
  const { indexed } = indexer;
  indexer.close();
  const seconds = (performance.now() - started) / 1000;
  return { entriesPerSecond: indexed / seconds, entryBytes: statSync(join(folder, "search.db")).size / indexed };
}

/** Questions as the commands ask them: the index, and the entries out of the log. */
export async function asking(folder: string): Promise<Asked[]> {
  const index = await openIndex(
    folder,
    () => undefined,
    (problem) => process.stderr.write(`${problem}\n`),
  );
  if (index === null) throw new Error("there is no index");
  const log = LogReader.open(folder);
  const tree = LogTree.open(folder);
  const asked: Asked[] = [];
  const ask = async (question: string, work: () => Promise<number>): Promise<void> => {
    const times: number[] = [];
    let found = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      const started = performance.now();
      found = await work();
      times.push(performance.now() - started);
    }
    asked.push({ question, firstMs: times[0] ?? 0, p50Ms: percentile(times.slice(1), 0.5), found });
  };
  const search = async (question: string, filter: SearchFilter, isOldestFirst = false): Promise<void> =>
    ask(question, async () => {
      const found = index.entries.search(filter, { limit: 50, isOldestFirst });
      return (await log.entries(found)).length;
    });
  const size = await log.size();
  const [middle] = await log.entries([Math.floor(size / 2)]);
  const middleMs = middle?.leaf.timeMs ?? 0;
  try {
    await search("search: a word that is everywhere", { words: ["select"] });
    await search("search: a relation", { words: ["shop7.table_77"] });
    await search(
      "search: a relation and a subject, oldest first",
      { words: ["shop7.table_77"], subject: "agent-7" },
      true,
    );
    await search("search: refusals on a target", { decision: "deny", target: "orders-3" });
    await search("search: what failed before a time", { status: "failed", untilMs: middleMs });
    await search("search: one second in the middle", { sinceMs: middleMs, untilMs: middleMs + 1000 });
    await search("search: words that never meet", { words: ["table_77", "table_78"] });
    await search("search: the one entry at the very beginning", { event: "audit.opened", untilMs: middleMs });
    await search("a session's entries", { session: "B0" });
    await ask(
      "an operation by its id",
      async () => (await log.operationAmong(index.entries.operation("B2S"), "B2S")).length,
    );
    await ask("sessions: the newest", async () => listSessions(index.file, {}, 50).length);
    await ask("sessions: of a subject", async () => listSessions(index.file, { subject: "agent-7" }, 50).length);
    await ask("sessions: one by its id", async () => (findSession(index.file, "B0") === null ? 0 : 1));
    await ask("proof that an entry is in the log", async () => tree.inclusionProof(Math.floor(size / 3), size).length);
  } finally {
    tree.close();
    log.close();
    index.file.close();
  }
  return asked;
}

/** Verifies the whole log as `weir audit verify` does. */
export async function verifying(folder: string): Promise<{ entriesPerSecond: number; findings: number }> {
  const source = openSource({ kind: "data", folder });
  const started = performance.now();
  try {
    const options = { keys: [], witnesses: [], kept: [], since: 0, onProgress: () => undefined };
    const verdict = await verifyLog(source, options);
    return { entriesPerSecond: source.size / ((performance.now() - started) / 1000), findings: verdict.count };
  } finally {
    source.close();
  }
}

/** Megabytes of a gateway on this data folder, when its index is up to date and nothing happens. */
export async function gatewayMemory(folder: string): Promise<number> {
  const target = { postgres: { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" } };
  const gateway = await startGateway({ targets: { db: target }, config: { name: "bench", data: folder } });
  try {
    await gateway.weir("sessions", "list");
    const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
    const line = status.split("\n").find((each) => each.startsWith("VmRSS:")) ?? "";
    return Number(line.replace("VmRSS:", "").replace("kB", "").trim()) / 1024;
  } finally {
    await gateway.stop();
  }
}
