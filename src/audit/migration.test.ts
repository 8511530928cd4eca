/** Logs of version 1, from before there were tiles and checkpoints: read as they are, and gone on with only by whoever accepts that nothing in them is signed. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { PERMIT, POLICY, sampleOperation } from "../../test/fault/audit-sample.ts";
import { AuditLog } from "./audit.ts";
import { LeafWriter } from "./leaf.ts";
import { CompactRange, leafHash } from "./merkle.ts";
import { verifyInclusion } from "./proofs.ts";
import { LogReader } from "./query.ts";
import { LOG_FILE } from "./schema.ts";
import { LogTree } from "./tree.ts";

/** As version 1 made them. */
const FIRST = `
CREATE TABLE entry (
  idx INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL CHECK (length(leaf) BETWEEN 1 AND 65535),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  stack BLOB NOT NULL,
  boot TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  open_from INTEGER NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, x'', '', 0, 0);
CREATE TRIGGER entry_dense BEFORE INSERT ON entry
WHEN NEW.idx IS NOT (SELECT coalesce(max(idx) + 1, 0) FROM entry)
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are only ever appended'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never deleted'); END;
PRAGMA application_id = 2003134834;
PRAGMA user_version = 1;
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-first-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A log of version 1 with so many entries, the last of which is an intent without an outcome when `isOpen`. */
function writeFirst(entries: number, isOpen: boolean): { readonly hashes: readonly Uint8Array[] } {
  const database = new Database(join(folder, LOG_FILE));
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`BEGIN; ${FIRST} COMMIT`);
  const leaves = new LeafWriter("earlier", 8 * 1024 * 1024);
  const tree = CompactRange.empty();
  const hashes: Uint8Array[] = [];
  const insert = database.prepare("INSERT INTO entry VALUES (?, ?, ?)");
  database.exec("BEGIN");
  for (let i = 0; i < entries; i++) {
    const isLast = i === entries - 1;
    const kind = isOpen && isLast ? "operation.intent" : "login.ok";
    const leaf = leaves.own(i, kind, { n: i }, 1);
    const hash = new Uint8Array(32);
    leafHash(leaf, hash);
    insert.run([i, leaf.slice(1), hash]);
    tree.append(hash);
    hashes.push(hash);
  }
  database
    .prepare("UPDATE head SET size = ?, stack = ?, boot = 'earlier', sequence = ?, open_from = ?")
    .run([entries, tree.encode(), entries, isOpen ? entries - 1 : entries]);
  database.exec("COMMIT");
  database.close();
  return { hashes };
}

test("a log of version 1 is read as it is; a loss that is accepted gives it tiles, a key and checkpoints", async () => {
  const { hashes } = writeFirst(70_000, true);
  const before = LogReader.open(folder);
  expect(await before.size()).toBe(70_000);
  before.close();
  expect(() => LogTree.open(folder)).toThrow("goes on with only by weir up --accept-loss");

  // Anybody could bring a log down to this, and with a new key it would look as if nothing had happened.
  // Signed when it is opened and when it is closed, however long it takes in between.
  const options = { folder, origin: "gw", clock: { now: Date.now }, checkpointMs: 3_600_000, heartbeatMs: 3_600_000 };
  await expect(AuditLog.open(options)).rejects.toThrow("the checkpoints that it has signed are gone");
  const log = await AuditLog.open({ ...options, isLossAccepted: true });
  await log.waitDurable(log.intent(sampleOperation("new"), PERMIT, POLICY));
  await log.close();
  const tree = LogTree.open(folder);
  expect(tree.origin).toBe("gw/2");
  expect(tree.first).toBe(0);
  const root = tree.root(70_000);
  const range = CompactRange.empty();
  for (const hash of hashes) range.append(hash);
  expect(Buffer.from(root)).toEqual(Buffer.from(range.root()));
  for (const index of [0, 255, 256, 65_535, 65_536, 69_999]) {
    verifyInclusion(index, 70_000, hashes[index] ?? root, tree.inclusionProof(index, 70_000), root);
  }
  expect(tree.checkpoints().map(({ size }) => size)).toEqual([70_001, 70_003, tree.size]);
  tree.close();
  const reader = LogReader.open(folder);
  const entries = await reader.entries([70_000, 70_001, 70_002]);
  reader.close();
  expect(entries.map(({ leaf }) => leaf)).toMatchObject([
    { event: "audit.loss_accepted" },
    { event: "operation.outcome", intent: 69_999, outcome: { status: "unknown" } },
    { event: "audit.opened", facts: { previous: "unclean", unknown: 1 } },
  ]);
}, 240_000);

test("an empty log of version 1 is brought here too", async () => {
  writeFirst(0, false);
  const log = await AuditLog.open({ folder, origin: "gw", clock: { now: Date.now } });
  await log.close();
  const tree = LogTree.open(folder);
  expect(tree.size).toBe(2);
  tree.close();
});

test("a log of version 1 that was changed is refused and stays what it is", async () => {
  const open = async (): Promise<unknown> => AuditLog.open({ folder, origin: "gw", clock: { now: Date.now } });
  for (const [sql, why] of [
    ["UPDATE entry SET leaf = x'7b7d' WHERE idx = 7", "entry 7 does not match its hash"],
    ["DELETE FROM entry WHERE idx = 7", "entry 7 is missing"],
    ["DELETE FROM entry WHERE idx > 290", "the log has 291 entries where its head says 300"],
    ["UPDATE head SET stack = zeroblob(length(stack))", "do not match its root"],
    ["DROP TRIGGER entry_no_update", "triggers"],
  ] as const) {
    rmSync(folder, { recursive: true, force: true });
    folder = mkdtempSync(join(tmpdir(), "weir-first-"));
    writeFirst(300, false);
    const database = new Database(join(folder, LOG_FILE));
    const isTrigger = sql.startsWith("DROP");
    if (!isTrigger) for (const name of ["update", "delete"]) database.exec(`DROP TRIGGER entry_no_${name}`);
    database.exec(sql);
    if (!isTrigger) {
      database.exec("CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, ''); END");
      database.exec("CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, ''); END");
    }
    await expect(open(), sql).rejects.toThrow(why);
    expect(database.prepare("PRAGMA user_version").raw(true).all([])).toEqual([[1]]);
    database.close();
  }
});
