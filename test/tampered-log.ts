/** Logs for tests of verification: made by the real log, and changed behind its back. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import { AuditLog } from "../src/audit/audit.ts";
import { keysFolder } from "../src/audit/log-keys.ts";
import { checkpointText, readSigner, signNote } from "../src/audit/note.ts";
import { LogStore } from "../src/audit/store.ts";
import { LogTree } from "../src/audit/tree.ts";
import { LOG_FILE } from "../src/audit/schema.ts";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "./fault/audit-sample.ts";

/** At this many operations the writer has made groups of several sizes, and every kind of leaf. */
const AT_ONCE = 50;
/** The origin of these logs. */
export const ORIGIN = "gw.test.example";

/** One run of a gateway with so many operations, some of them refused; ended cleanly. `firstMs` is when it begins. */
export async function runOnce(folder: string, operations: number, firstMs = 1_760_000_000_000): Promise<void> {
  let now = firstMs;
  const log = await AuditLog.open({ folder, origin: ORIGIN, clock: { now: () => now++ }, checkpointMs: 5 });
  for (let done = 0; done < operations; done += AT_ONCE) {
    const intents: number[] = [];
    for (let i = done; i < Math.min(done + AT_ONCE, operations); i++) {
      const operation = sampleOperation(`op-${firstMs}-${i}`, { session: sampleSession(i % 7), text: `SELECT ${i}` });
      intents.push(log.intent(operation, i % 10 === 9 ? DENY : PERMIT, POLICY));
    }
    await log.waitDurable(intents.at(-1) ?? 0);
    for (const intent of intents) log.outcome(intent, { status: "done", rows: 3, bytes: 120 });
  }
  log.event("policy.activated", { digest: POLICY.digest, commit: null, name: "shop", rules: 3 });
  await log.close();
}

/** The leaves of a log, in order. */
export function leavesOf(folder: string): Buffer[] {
  const database = new Database(join(folder, LOG_FILE));
  try {
    const rows: unknown[] = database.prepare("SELECT leaf FROM entry ORDER BY idx").raw(true).all([]);
    return rows.map((row) => {
      const leaf: unknown = Array.isArray(row) ? row[0] : null;
      if (!(leaf instanceof Buffer)) throw new Error("an entry is no BLOB");
      return leaf;
    });
  } finally {
    database.close();
  }
}

/** What the log has signed, the smallest first. */
export function checkpointsOf(folder: string): { readonly size: number; readonly note: string }[] {
  const tree = LogTree.open(folder);
  try {
    return tree.checkpoints();
  } finally {
    tree.close();
  }
}

/**
 * Writes the log anew out of these leaves, as somebody does who can write the file: with tiles and a head that fit.
 * `sign`: with the log's own key, at these sizes and at the end; otherwise the old checkpoints stay, those up to
 * `keepTo`.
 */
export function forge(
  folder: string,
  leaves: readonly Buffer[],
  how: { readonly sign: readonly number[] } | { readonly keepTo: number },
): void {
  const kept = "keepTo" in how ? checkpointsOf(folder).filter(({ size }) => size <= how.keepTo) : [];
  const path = join(folder, LOG_FILE);
  const last: unknown = JSON.parse(leaves.at(-1)?.toString() ?? "{}");
  const boot = typeof last === "object" && last !== null && "boot" in last ? String(last.boot) : "";
  const sequence = typeof last === "object" && last !== null && "sequence" in last ? Number(last.sequence) : 0;
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  const signer = readSigner(readFileSync(join(keysFolder(folder), "log.key"), "utf8").trim());
  const sign = (size: number, root: Uint8Array): string =>
    signNote(checkpointText({ origin: ORIGIN, size, root, extensions: [] }), [signer]);
  const store = new LogStore(path, { origin: ORIGIN, isLossAccepted: false, sizeBytesMax: null, thorough: false });
  const sizes = "sign" in how ? [...how.sign.filter((size) => size < leaves.length), leaves.length] : [leaves.length];
  let from = 0;
  for (const size of sizes) {
    const part = leaves.slice(from, size).map((leaf) => new Uint8Array(Buffer.concat([Buffer.of(0), leaf])));
    const order = "sign" in how ? { timeMs: 1_760_000_000_000, open: [], sign } : null;
    store.append(part, { boot, sequence, openFrom: size }, order);
    from = size;
  }
  store.close();
  tamper(folder, (database) => {
    const insert = database.prepare("INSERT INTO checkpoint VALUES (?, ?, ?)");
    for (const { size, note } of kept) insert.run([size, 1_760_000_000_000, Buffer.from(note)]);
  });
}

/** Opens the file as somebody does who can write it: the triggers are gone. */
export function tamper(folder: string, work: (database: Database.Database) => void): void {
  const database = new Database(join(folder, LOG_FILE));
  try {
    const triggers: unknown[] = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
      .raw(true)
      .all([]);
    for (const row of triggers) database.exec(`DROP TRIGGER ${String(Array.isArray(row) ? row[0] : row)}`);
    work(database);
  } finally {
    database.close();
  }
}
