/** The log's file: it only ever grows, and what was edited, swapped, deleted or cut is found when it is opened. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import { LEAF_BYTES_MAX, LeafWriter } from "./leaf.ts";
import { leafHash } from "./merkle.ts";
import { LogDamaged } from "./log-file.ts";
import { LogStore } from "./store.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-store-"));
  path = join(folder, "audit.db");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Nothing is signed here, as if the checkpoints were lost: what is missing of them is found by log-check.test.ts. */
function open(): LogStore {
  return new LogStore(path, { sizeBytesMax: null, thorough: true, origin: "test", isLossAccepted: true });
}

/** A log with as many leaves, committed in groups of various sizes. */
function fill(count: number): void {
  const store = open();
  const leaves = new LeafWriter("boot", 4 * 1024 * 1024);
  let index = 0;
  for (let group = 1; index < count; group = Math.min(group * 2, count - index)) {
    leaves.reset();
    const batch = Array.from({ length: group }, (_, i) => leaves.own(index + i, "test", { n: index + i }, 1));
    store.append(batch, { boot: "boot", sequence: index, openFrom: 0 });
    index += group;
  }
  store.close();
}

const rowSchema = v.tuple([v.string(), v.string()]);

/** Does to the file what someone with the rights to it could do. */
function tamper(sql: string, parameters: unknown[] = []): void {
  const database = new Database(path);
  const triggers = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").raw(true).all([]);
  for (const trigger of triggers) database.exec(`DROP TRIGGER ${v.parse(rowSchema, trigger)[0]}`);
  database.prepare(sql).run(parameters);
  for (const trigger of triggers) database.exec(v.parse(rowSchema, trigger)[1]);
  database.close();
}

test("entries are appended and nothing else", () => {
  fill(5);
  const database = new Database(path);
  const refused = [
    "UPDATE entry SET leaf = x'00' WHERE idx = 1",
    "DELETE FROM entry WHERE idx = 4",
    "INSERT OR REPLACE INTO entry VALUES (2, x'00', zeroblob(32))",
    "INSERT INTO entry VALUES (2, x'00', zeroblob(32)) ON CONFLICT DO UPDATE SET leaf = x'00'",
    "INSERT INTO entry VALUES (6, x'00', zeroblob(32))",
    "INSERT INTO entry VALUES (-1, x'00', zeroblob(32))",
    "INSERT INTO entry VALUES (NULL, x'00', zeroblob(32))",
    "INSERT INTO entry VALUES (5, 'text', zeroblob(32))",
    "INSERT INTO entry VALUES (5, zeroblob(65536), zeroblob(32))",
    "INSERT INTO entry VALUES (5, x'00', zeroblob(31))",
  ];
  for (const sql of refused) expect(() => database.prepare(sql).run([]), sql).toThrow();
  database.prepare("INSERT INTO entry VALUES (5, x'00', zeroblob(32))").run([]);
  database.close();
});

test("a log that is whole opens with its size", () => {
  fill(100);
  const store = open();
  expect(store.size).toBe(100);
  expect(store.found).toMatchObject({ boot: "boot", lastEvent: "test", open: [] });
  store.close();
});

test("a group of more leaves, and of larger ones, than one statement inserts is stored as it was written", () => {
  const store = open();
  const leaves = new LeafWriter("boot", 4 * 1024 * 1024);
  const fixedBytes = leaves.own(1000, "test", { pad: "" }, 1).length - 1;
  const pads = Array.from({ length: 3000 }, (_, i) => (i % 100 === 0 ? LEAF_BYTES_MAX - fixedBytes : i % 7));
  const index = (i: number): number => 1000 + i;
  // Indices of four digits from the start, so that the padding is what makes the largest leaf.
  store.append(
    Array.from({ length: 1000 }, (_, i) => leaves.own(i, "test", {}, 1)),
    { boot: "boot", sequence: 0, openFrom: 0 },
  );
  const group = pads.map((length, i) => leaves.own(index(i), "test", { pad: "x".repeat(length) }, 1));
  store.append(group, { boot: "boot", sequence: 1, openFrom: 0 });
  expect(Math.max(...group.map((leaf) => leaf.length - 1))).toBe(LEAF_BYTES_MAX);
  store.close();
  const again = open();
  expect(again.size).toBe(4000);
  again.close();
  const database = new Database(path);
  const read = database.prepare("SELECT leaf FROM entry WHERE idx = ?").raw(true);
  for (const [i, leaf] of group.entries()) {
    const [stored] = v.parse(v.tuple([v.instance(Uint8Array)]), read.get([index(i)]));
    if (Buffer.compare(stored, leaf.subarray(1)) !== 0) throw new Error(`leaf ${i} was stored otherwise`);
  }
  database.close();
});

test("a group that cannot be committed leaves the log as it was", () => {
  fill(3);
  const store = open();
  const leaves = new LeafWriter("boot", 4 * 1024 * 1024);
  const stranger = new Database(path);
  stranger.exec("INSERT INTO entry VALUES (3, x'00', zeroblob(32))");
  expect(() => store.append([leaves.own(3, "test", {}, 1)], { boot: "boot", sequence: 1, openFrom: 0 })).toThrow(
    "only ever appended",
  );
  store.close();
  stranger.close();
});

test("what was done to the file is found", () => {
  const hash = new Uint8Array(32);
  const leaf = new LeafWriter("boot", 4 * 1024 * 1024).own(7, "test", { n: 1007 }, 1);
  leafHash(leaf, hash);
  const edited = leaf.subarray(1);
  const attacks: [string, unknown[], string][] = [
    ["UPDATE entry SET leaf = ? WHERE idx = 7", [edited], "entry 7 does not match its hash"],
    ["UPDATE entry SET leaf = ?, hash = ? WHERE idx = 7", [edited, hash], "do not match its root"],
    [
      "UPDATE entry SET leaf = (SELECT leaf FROM entry AS o WHERE o.idx = 15 - entry.idx), hash = (SELECT hash FROM entry AS o WHERE o.idx = 15 - entry.idx) WHERE idx IN (7, 8)",
      [],
      "do not match its root",
    ],
    ["DELETE FROM entry WHERE idx = 7", [], "entry 7 is missing"],
    ["DELETE FROM entry WHERE idx > 17", [], "18 entries where its head says 20"],
    ["UPDATE head SET size = 19", [], "20 entries where its head says 19"],
    ["UPDATE head SET stack = zeroblob(64)", [], "do not match its root"],
    ["DELETE FROM head", [], "head cannot be read"],
    ["INSERT INTO entry VALUES (20, x'7b7d', zeroblob(32))", [], "entry 20 does not match its hash"],
  ];
  for (const [sql, parameters, message] of attacks) {
    rmSync(folder, { recursive: true, force: true });
    folder = mkdtempSync(join(tmpdir(), "weir-store-"));
    path = join(folder, "audit.db");
    fill(20);
    tamper(sql, parameters);
    expect(open, sql).toThrow(message);
  }
});

test("a log without its triggers is refused", () => {
  fill(1);
  const database = new Database(path);
  database.exec("DROP TRIGGER entry_no_delete");
  database.close();
  expect(open).toThrow("triggers");
});

test("a file that is no log is refused", () => {
  const database = new Database(path);
  database.exec("CREATE TABLE t (x)");
  database.close();
  expect(open).toThrow(LogDamaged);
  rmSync(path, { force: true });
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  writeFileSync(path, "not a database at all, but long enough to look like one".repeat(100));
  expect(open).toThrow();
});

test("a log of another version is refused", () => {
  fill(1);
  tamper("PRAGMA user_version = 3");
  expect(open).toThrow("version 3");
});
