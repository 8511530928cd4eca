/** Recorded statements in the search index: found by their names and keywords, and by nothing that was a value. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { AuditLog } from "../src/audit/audit.ts";
import { Indexer } from "../src/audit/search/indexer.ts";
import { EntrySearch } from "../src/audit/search/search.ts";
import { STRETCH_ENTRIES } from "../src/audit/search/schema.ts";
import { SearchFile } from "../src/audit/search/search-file.ts";
import { LogSource } from "../src/audit/search/source.ts";
import { DDL, RECORDINGS_FILE } from "../src/record/schema.ts";
import { PERMIT, POLICY, sampleOperation, sampleSession } from "./fault/audit-sample.ts";

const SESSION = sampleSession(1);

function keep(folder: string, lines: readonly object[], number: number): void {
  const database = new Database(join(folder, RECORDINGS_FILE));
  if (number === 0) {
    database.exec(`BEGIN; ${DDL} COMMIT`);
    database
      .prepare(
        "INSERT INTO recording (id, session, kind, issuer, subject, target, started_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(["rec-1", SESSION.id, "transcript", "weir", "agent-1", "orders-1", 0]);
  }
  const data = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  database
    .prepare("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .run(["rec-1", "clear", number, 0, Buffer.alloc(32), data.length, data, 1]);
  database.close();
}

function index(folder: string): void {
  const indexer = Indexer.open(folder, { isThorough: true });
  while ((indexer?.step() ?? 0) > 0);
  while (indexer?.stepStatements() === true);
  indexer?.close();
}

function found(folder: string, ...words: string[]): number[] {
  const source = LogSource.open(folder);
  const file = SearchFile.open(folder, source);
  if (file === null) throw new Error("there is no index");
  const indices = new EntrySearch(file).search({ words }, { limit: 100, isOldestFirst: true });
  file.close();
  source.close();
  return indices;
}

test("a recorded statement is found by its names, in the last stretch and in full ones, and never by its values", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-statements-"));
  const log = await AuditLog.open({ folder, origin: "log.test", clock: { now: Date.now } });
  try {
    const record = async (id: string, isRead = true): Promise<void> => {
      const intent = log.intent(sampleOperation(id, { session: SESSION, understood: isRead }), PERMIT, POLICY);
      await log.waitDurable(intent);
    };
    const input = (operation: string, text: string): object => ({
      kind: "input",
      operation,
      atMs: 1,
      text,
      parameters: ["zq7"],
    });
    await record("op-a");
    await record("op-b");
    await record("op-c", false);
    index(folder);
    keep(
      folder,
      [
        input("op-a", "SELECT margin FROM quarterly WHERE name = 'zq7'"),
        { kind: "rows", operation: "op-a", atMs: 2, rows: [["zq7", '"kind":"input"']] },
        input("op-c", "SELECT unread FROM t"),
        input("op-none", "SELECT nobody FROM t"),
      ],
      0,
    );
    index(folder);
    expect(found(folder, "margin")).toEqual([1]);
    expect(found(folder, "quarterly", "margin", "agent-1")).toEqual([1]);
    for (const word of ["zq7", "unread", "nobody", "input"]) expect(found(folder, word)).toEqual([]);

    // The stretch is full by now, and another statement of it comes late.
    for (let n = 0; n < STRETCH_ENTRIES; n++) {
      log.intent(sampleOperation(`op-${n}`, { session: SESSION }), PERMIT, POLICY);
      if (n % 2000 === 0) await log.waitDurable(log.handedOver);
    }
    await log.waitDurable(log.handedOver);
    index(folder);
    keep(folder, [input("op-b", "UPDATE ledger SET balance = 5"), input("op-9", "DELETE FROM ledger")], 1);
    index(folder);
    expect(found(folder, "margin")).toEqual([1]);
    expect(found(folder, "balance")).toEqual([2]);
    expect(found(folder, "ledger")).toEqual([2, 13]);
    // All of it again from nothing.
    for (const side of ["", "-wal", "-shm"]) rmSync(join(folder, `search.db${side}`), { force: true });
    index(folder);
    expect([found(folder, "margin"), found(folder, "ledger")]).toEqual([[1], [2, 13]]);
  } finally {
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
}, 240_000);
