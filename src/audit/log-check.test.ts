/** What opening a log finds: tiles that were changed, an end that was cut, another file in its place, a key that is not its own. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import { PERMIT, POLICY, sampleOperation } from "../../test/fault/audit-sample.ts";
import { ORIGIN, runOnce, tamper } from "../../test/tampered-log.ts";
import { AuditLog, type AuditOptions } from "./audit.ts";
import { BALLAST_FILE } from "./ballast.ts";
import { KEY_FILE, keysFolder, VKEY_FILE } from "./log-keys.ts";
import { newSigner, openNote, readCheckpoint, readVerifier } from "./note.ts";
import { verifyConsistency } from "./proofs.ts";
import { LogReader } from "./query.ts";
import { LOG_FILE } from "./schema.ts";
import { LogTree } from "./tree.ts";

let folder: string;
const clock = { now: () => Date.now() };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-check-"));
});
afterEach(() => {
  jest.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

async function open(more: Partial<AuditOptions> = {}): Promise<void> {
  const log = await AuditLog.open({ folder, origin: ORIGIN, clock, ...more });
  await log.close();
}

/** Each change is made to a copy of the same log. */
async function expectRefused(changes: readonly [string, unknown[], string][]): Promise<void> {
  const whole = join(folder, "whole.db");
  copyFileSync(join(folder, LOG_FILE), whole);
  for (const [sql, parameters, message] of changes) {
    putBack(whole);
    const triggers = changeBehindItsBack(sql, parameters);
    await expect(open(), sql).rejects.toThrow(message);
    expect(triggers).toBe(6);
  }
  putBack(whole);
  await open();
}

/** A file in the place of the log's, without what the write-ahead log of the other holds. */
function putBack(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
  copyFileSync(file, join(folder, LOG_FILE));
}

/** Runs one statement without the triggers, and puts them back. */
function changeBehindItsBack(sql: string, parameters: unknown[]): number {
  const database = new Database(join(folder, LOG_FILE));
  const triggers: unknown[] = database
    .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
    .raw(true)
    .all([]);
  database.close();
  tamper(folder, (changed) => {
    changed.prepare(sql).run(parameters);
    for (const row of triggers) changed.exec(String(Array.isArray(row) ? row[0] : row));
  });
  return triggers.length;
}

test("tiles that were changed, moved or taken away are found", async () => {
  await runOnce(folder, 400);
  await expectRefused([
    ["UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND idx = 1", [], "tile 0/1 does not match its root"],
    [
      "UPDATE tile SET root = (SELECT root FROM tile AS o WHERE o.idx = 1), hashes = (SELECT hashes FROM tile AS o WHERE o.idx = 1) WHERE idx = 0",
      [],
      "do not match its root",
    ],
    ["DELETE FROM tile WHERE idx = 1", [], "tile 0/1 is missing"],
    ["DELETE FROM tile WHERE idx = 2", [], "2 full tiles where its head says 3"],
    ["INSERT INTO tile SELECT 1, 0, root, hashes FROM tile WHERE idx = 0", [], "tiles that its tree does not have"],
    ["UPDATE head SET stack = zeroblob(length(stack))", [], "do not match its root"],
  ]);
});

test("a trigger in the place of one of its own is found", async () => {
  await runOnce(folder, 50);
  const database = new Database(join(folder, LOG_FILE));
  database.exec("DROP TRIGGER tile_no_update");
  database.exec("CREATE TRIGGER tile_no_update AFTER INSERT ON entry BEGIN DELETE FROM cosigned; END");
  database.close();
  await expect(open()).rejects.toThrow("are not the log's own");
});

test("a link in the place of the ballast leads nowhere", async () => {
  await open();
  const [ballast, precious] = [join(folder, BALLAST_FILE), join(folder, "precious")];
  rmSync(ballast);
  writeFileSync(precious, "precious");
  symlinkSync(precious, ballast);
  await open();
  expect(readFileSync(precious, "utf8")).toBe("precious");
  expect(lstatSync(ballast).isFile()).toBe(true);
});

test("after a clean end the entries above the last full tile are read again, after another also those before", async () => {
  await runOnce(folder, 400);
  const size = sizeOf();
  const old = Math.floor(size / 256) * 256 - 100;
  // Below the last full tile, of a run that ended cleanly: for `weir audit verify` to find.
  changeBehindItsBack("UPDATE entry SET leaf = x'7b7d' WHERE idx = ?", [old]);
  await open();
  changeBehindItsBack("UPDATE head SET checked = 0", []);
  await expect(open()).rejects.toThrow(`entry ${old} does not match its hash`);
});

test("a hash that is not the tile's is found where entries are read again", async () => {
  await runOnce(folder, 400);
  changeBehindItsBack("UPDATE head SET checked = 0", []);
  changeBehindItsBack(
    "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 8), hash = (SELECT hash FROM entry WHERE idx = 8) WHERE idx = 7",
    [],
  );
  await expect(open()).rejects.toThrow("entry 7 does not match its tile");
});

function sizeOf(): number {
  const tree = LogTree.open(folder);
  try {
    return tree.size;
  } finally {
    tree.close();
  }
}

function originOf(): string {
  const tree = LogTree.open(folder);
  try {
    return tree.origin;
  } finally {
    tree.close();
  }
}

/** Puts the log's file of an earlier time in the place of the newer one, but leaves what the newer one signed. */
async function cutAfterSigning(table: "checkpoint" | "cosigned" | "stamp"): Promise<{ size: number; signed: number }> {
  await runOnce(folder, 300);
  copyFileSync(join(folder, LOG_FILE), join(folder, "older.db"));
  const size = sizeOf();
  await runOnce(folder, 50);
  const tree = LogTree.open(folder);
  const newest = tree.latestCheckpoint();
  tree.close();
  putBack(join(folder, "older.db"));
  const database = new Database(join(folder, LOG_FILE));
  database
    .prepare(`INSERT INTO ${table} VALUES (?, ?, ?)`)
    .run([newest?.size ?? 0, 1, Buffer.from(newest?.note ?? "")]);
  database.close();
  return { size, signed: newest?.size ?? 0 };
}

for (const table of ["checkpoint", "cosigned", "stamp"] as const) {
  test(`a log that is smaller than its newest ${table} is not opened`, async () => {
    const { size, signed } = await cutAfterSigning(table);
    expect(signed).toBeGreaterThan(size);
    await expect(open()).rejects.toThrow(`the log has ${size} entries, but once signed that it had ${signed}`);
  });
}

test("a log that its checkpoint does not fit is not opened", async () => {
  await runOnce(folder, 10);
  const tree = LogTree.open(folder);
  const { size = 0, note = "" } = tree.latestCheckpoint() ?? {};
  const other = note.replace(/\n[^\n]{43}=\n/u, `\n${Buffer.alloc(32, 1).toString("base64")}\n`);
  tree.close();
  const database = new Database(join(folder, LOG_FILE));
  database.prepare("UPDATE checkpoint SET note = ? WHERE size = ?").run([Buffer.from(other), size]);
  database.close();
  await expect(open()).rejects.toThrow(`whose ${size} entries it signed: it was rewritten`);
});

test("a log is not opened with another key, nor without its own", async () => {
  await runOnce(folder, 10);
  const key = join(keysFolder(folder), KEY_FILE);
  const own = readFileSync(key, "utf8");
  writeFileSync(key, `${newSigner(ORIGIN, "ed25519").privateKey}\n`);
  await expect(open()).rejects.toThrow("is not signed with");
  writeFileSync(key, `${newSigner("other", "ed25519").privateKey}\n`);
  await expect(open()).rejects.toThrow("is the key of other");
  writeFileSync(key, "no key\n");
  await expect(open()).rejects.toThrow("log.key");
  rmSync(key);
  await expect(open()).rejects.toThrow("put it back from a copy");
  writeFileSync(key, own);
  await open();
});

test("a loss that is accepted begins a new origin, once, and says so", async () => {
  const { size, signed } = await cutAfterSigning("checkpoint");
  const before = readVerifier(readFileSync(join(folder, VKEY_FILE), "utf8").trim());
  await open({ isLossAccepted: true });
  const tree = LogTree.open(folder);
  expect(tree.origin).toBe(`${ORIGIN}/2`);
  const key = readVerifier(readFileSync(join(folder, VKEY_FILE), "utf8").trim());
  expect(key.name).toBe(`${ORIGIN}/2`);
  const newest = readCheckpoint(openNote(tree.latestCheckpoint()?.note ?? "", [key]).text);
  expect(newest).toMatchObject({ origin: `${ORIGIN}/2`, size: tree.size });
  const older = readCheckpoint(openNote(tree.checkpoints()[0]?.note ?? "", [before]).text);
  verifyConsistency(older.size, newest.size, older.root, newest.root, tree.consistencyProof(older.size, newest.size));
  tree.close();
  const reader = LogReader.open(folder);
  const [entry] = await reader.entries([size]);
  reader.close();
  expect(entry?.leaf).toMatchObject({
    event: "audit.loss_accepted",
    facts: { old: ORIGIN, new: `${ORIGIN}/2`, oldKey: before.vkey, newKey: key.vkey },
  });
  expect(JSON.stringify(entry?.leaf)).toContain(`once signed that it had ${signed}`);

  // Nothing is lost any more: the owner's word from the last time begins nothing.
  await open({ isLossAccepted: true });
  expect(originOf()).toBe(`${ORIGIN}/2`);
  rmSync(join(keysFolder(folder), KEY_FILE));
  await expect(open()).rejects.toThrow("weir up --accept-loss goes on under a new name");
  await open({ isLossAccepted: true });
  expect(originOf()).toBe(`${ORIGIN}/3`);
  await open();
});

/** The log's files as a kill at this moment would leave them, opened again elsewhere. */
async function closedAfterKill(): Promise<unknown[]> {
  const copy = mkdtempSync(join(tmpdir(), "weir-killed-"));
  cpSync(folder, copy, { recursive: true, filter: (source) => !source.includes(".lock") });
  // As in a log that has grown by more than is read again: what is below its last full tile is not.
  const database = new Database(join(copy, LOG_FILE));
  database.exec("UPDATE head SET checked = size");
  database.close();
  await (await AuditLog.open({ folder: copy, origin: ORIGIN, clock })).close();
  const reader = LogReader.open(copy);
  const all = await reader.tail(100_000);
  reader.close();
  rmSync(copy, { recursive: true });
  return all.flatMap(({ leaf }) => (leaf.shape === "outcome" ? [leaf.id] : []));
}

test("after a kill, operations that began long before the last checkpoint are closed, and only those", async () => {
  jest.useFakeTimers();
  const log = await AuditLog.open({ folder, origin: ORIGIN, clock });
  const long = log.intent(sampleOperation("long"), PERMIT, POLICY);
  const middle = log.intent(sampleOperation("middle"), PERMIT, POLICY);
  const record = async (): Promise<void> => {
    for (let i = 0; i < 300; i++) log.event("login.ok", { n: i });
    await log.waitDurable(log.handedOver);
  };
  await record();
  const signed = Promise.withResolvers<void>();
  log.onCheckpoint(({ size }) => {
    if (size > 300) signed.resolve();
  });
  jest.advanceTimersByTime(5000);
  await signed.promise;
  // What follows is after the checkpoint that lists both as open, and not in the last tile either.
  log.outcome(middle, { status: "done" });
  log.intent(sampleOperation("late"), PERMIT, POLICY);
  await record();
  expect(await closedAfterKill()).toEqual(["middle", "long", "late"]);
  log.outcome(long, { status: "done" });
  await log.close();
});

test("a log that is gone is not begun anew under the key that signed it, unless the loss is accepted", async () => {
  await open();
  const key = readFileSync(join(folder, VKEY_FILE), "utf8");
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
  // Also a second time, when an empty file lies there.
  for (let times = 0; times < 2; times++) {
    await expect(open()).rejects.toThrow("log.vkey says that a log was signed here, but this one is new");
    expect(readFileSync(join(folder, VKEY_FILE), "utf8")).toBe(key);
  }
  await open({ isLossAccepted: true });
  const tree = LogTree.open(folder);
  expect(tree.origin).toBe(`${ORIGIN}/2`);
  tree.close();
  expect(readFileSync(join(folder, VKEY_FILE), "utf8")).not.toBe(key);
  await open();
});

test("a first start that was cut short before anything was signed is tried again", async () => {
  await open();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, LOG_FILE + suffix), { force: true });
  rmSync(join(folder, VKEY_FILE));
  await open();
  expect(readFileSync(join(folder, VKEY_FILE), "utf8")).toStartWith(`${ORIGIN}+`);
});

test.each([
  ["the key and what it signed", true],
  ["what it signed", false],
])(
  "a log whose entries are there, without %s, is not taken for one that has signed nothing yet",
  async (_, keyGone) => {
    await runOnce(folder, 50);
    const key = readFileSync(join(folder, VKEY_FILE), "utf8");
    changeBehindItsBack("DELETE FROM checkpoint", []);
    rmSync(join(folder, VKEY_FILE));
    if (keyGone) rmSync(keysFolder(folder), { recursive: true });
    await expect(open()).rejects.toThrow("entries, and the checkpoints that it has signed are gone");
    expect(existsSync(join(folder, VKEY_FILE))).toBe(false);
    await open({ isLossAccepted: true });
    expect(originOf()).toBe(`${ORIGIN}/2`);
    expect(readFileSync(join(folder, VKEY_FILE), "utf8")).not.toBe(key);
    await open();
  },
);
