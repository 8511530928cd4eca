/**
 * Each attack of the table in docs/evidence.md on a real log, and who finds it: `weir audit verify`, and a verifier that
 * shares no code with weir.
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Database from "libsql";
import { writeLogFolder } from "../../src/audit/export/tiles.ts";
import { addSignatures, newSigner, readVerifier, signatureLine, unverifiedText } from "../../src/audit/note.ts";
import { sha256 } from "../../src/audit/sha256.ts";
import { type KeptCheckpoint, readKept } from "../../src/audit/verify/kept-checkpoint.ts";
import { openSource } from "../../src/audit/verify/open-source.ts";
import { type Verdict, verifyLog } from "../../src/audit/verify/verify.ts";
import { missingGo, type Verified, verifyIndependently } from "../independent/verifier.ts";
import { checkpointsOf, forge, leavesOf, runOnce, tamper } from "../tampered-log.ts";

/** The log that all attacks are made on: several tiles, several checkpoints. */
let original: string;
let folder: string;
const witness = newSigner("w1.test.example", "cosignature").signer;
const WITNESS_KEY = witness.verifier.vkey;

beforeEach(async () => {
  if (original === undefined) {
    original = mkdtempSync(join(tmpdir(), "weir-tamper-original-"));
    await runOnce(original, 450);
    await runOnce(original, 450, 1_760_000_900_000);
    cosign(original);
  }
  folder = mkdtempSync(join(tmpdir(), "weir-tamper-"));
  cpSync(original, folder, { recursive: true });
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => {
  if (original !== undefined) rmSync(original, { recursive: true, force: true });
});

/** A witness has signed the checkpoint in the middle and the last one. */
function cosign(path: string): void {
  const checkpoints = checkpointsOf(path);
  expect(checkpoints.length).toBeGreaterThan(2);
  tamper(path, (database) => {
    for (const { size, note } of [middle(checkpoints), last(checkpoints)]) {
      const cosigned = addSignatures(note, [signatureLine(unverifiedText(note), witness, 1_760_001_000)]);
      database.prepare("INSERT INTO cosigned VALUES (?, ?, ?)").run([size, 1_760_001_000_000, Buffer.from(cosigned)]);
    }
  });
}

function middle<T>(items: readonly T[]): T {
  const item = items[Math.floor(items.length / 2)];
  if (item === undefined) throw new Error("there is nothing in the middle");
  return item;
}
function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new Error("there is no last one");
  return item;
}

/** What an auditor may have besides the log and its key. */
type Known = { readonly witness?: boolean; readonly kept?: string };

const logKey = (): string => readFileSync(join(original, "log.vkey"), "utf8").trim();

async function ours({ witness: isWitnessed, kept }: Known = {}): Promise<Verdict> {
  const source = openSource({ kind: "data", folder });
  try {
    const files: KeptCheckpoint[] = kept === undefined ? [] : [readKept("kept", kept)];
    return await verifyLog(source, {
      keys: [readVerifier(logKey())],
      witnesses: isWitnessed === true ? [witness.verifier] : [],
      kept: files,
      since: 0,
      onProgress: () => {},
    });
  } finally {
    source.close();
  }
}

async function theirs({ witness: isWitnessed, kept }: Known = {}): Promise<Verified> {
  const tiles = join(folder, "tiles");
  rmSync(tiles, { recursive: true, force: true });
  const source = openSource({ kind: "data", folder });
  try {
    writeLogFolder(source, tiles, () => {});
  } finally {
    source.close();
  }
  const file = join(folder, "kept");
  if (kept !== undefined) writeFileSync(file, kept);
  return verifyIndependently(
    "tiles",
    tiles,
    "-key",
    logKey(),
    ...(isWitnessed === true ? ["-witness", WITNESS_KEY] : []),
    ...(kept === undefined ? [] : ["-kept", file]),
  );
}

/** Both find something; ours says all of `texts`. */
async function expectFound(known: Known, ...texts: readonly string[]): Promise<void> {
  const { findings, count } = await ours(known);
  const lines = findings.kept.map(({ place, text }) => `${place}: ${text}`);
  for (const text of texts) expect(lines).toContainEqual(expect.stringContaining(text));
  expect(count).toBeGreaterThan(0);
  if (missingGo === null) expect((await theirs(known)).ok).toBe(false);
}

/** Neither finds anything. */
async function expectNotFound(known: Known): Promise<void> {
  expect((await ours(known)).findings.kept).toEqual([]);
  if (missingGo === null) expect(await theirs(known)).toMatchObject({ ok: true });
}

const change = (leaf: Buffer): Buffer =>
  Buffer.from(leaf.toString().replace('"policy.activated"', '"policy.activatex"'));
const swapIndex = (leaf: Buffer, from: number, to: number): Buffer =>
  Buffer.from(leaf.toString().replace(`"index":${from}`, `"index":${to}`));
/** An entry in the first half that is no operation, so that nothing but its own text changes. */
function anEvent(leaves: readonly Buffer[]): number {
  return leaves.findIndex((leaf) => leaf.includes('"policy.activated"'));
}
function setLeaf(database: Database.Database, index: number, leaf: Buffer): void {
  const hash = sha256(Buffer.concat([Buffer.of(0), leaf]));
  database.prepare("UPDATE entry SET leaf = ?, hash = ? WHERE idx = ?").run([leaf, hash, index]);
}
/** Makes the tile of level 0 fit the entries below it. */
function setTile(database: Database.Database, tile: number): void {
  const rows: unknown[] = database
    .prepare("SELECT hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx")
    .raw(true)
    .all([tile * 256, (tile + 1) * 256]);
  const hashes = Buffer.concat(
    rows.map((row) => (Array.isArray(row) && row[0] instanceof Buffer ? row[0] : Buffer.of())),
  );
  expect(hashes.length).toBe(8192);
  database.prepare("UPDATE tile SET hashes = ? WHERE level = 0 AND idx = ?").run([hashes, tile]);
}

test("the log as it was made is found to be whole, by both, with everything that is known", async () => {
  await expectNotFound({ witness: true, kept: middle(checkpointsOf(folder)).note });
});

describe("editing", () => {
  test("a leaf alone", async () => {
    const leaves = leavesOf(folder);
    const at = anEvent(leaves);
    tamper(folder, (database) => {
      database.prepare("UPDATE entry SET leaf = ? WHERE idx = ?").run([change(leaves[at] ?? Buffer.of()), at]);
    });
    await expectFound({}, `entry ${at}: does not match its hash`);
  });

  test("a leaf with its hash, in a full tile", async () => {
    const leaves = leavesOf(folder);
    const at = 5;
    const text = leaves[at]?.toString() ?? "";
    const changed = Buffer.from(text.replace("agent-", "agent_"));
    expect(changed.toString()).not.toBe(text);
    tamper(folder, (database) => setLeaf(database, at, changed));
    await expectFound({}, `entry ${at}: was changed`);
  });

  test("a leaf with its hash and its tile", async () => {
    const leaves = leavesOf(folder);
    tamper(folder, (database) => {
      setLeaf(database, 5, Buffer.from((leaves[5]?.toString() ?? "").replace("agent-", "agent_")));
      setTile(database, 0);
    });
    await expectFound({}, "its root is not that of the entries");
  });

  test("a leaf, and everything that is made of it but the signatures", async () => {
    const leaves = leavesOf(folder);
    const at = anEvent(leaves);
    forge(folder, leaves.with(at, change(leaves[at] ?? Buffer.of())), { keepTo: Number.MAX_SAFE_INTEGER });
    await expectFound({}, "its root is not that of the entries");
  });
});

describe("reordering", () => {
  test("two entries with their leaf tile", async () => {
    const leaves = leavesOf(folder);
    tamper(folder, (database) => {
      setLeaf(database, 10, leaves[11] ?? Buffer.of());
      setLeaf(database, 11, leaves[10] ?? Buffer.of());
      setTile(database, 0);
    });
    await expectFound(
      {},
      "entry 10: its leaf says that it is entry 11",
      "entry 11: its leaf says that it is entry 10",
      "its root is not",
    );
  });

  test("two entries that each say their new place, with their leaf tile", async () => {
    const leaves = leavesOf(folder);
    tamper(folder, (database) => {
      setLeaf(database, 10, swapIndex(leaves[11] ?? Buffer.of(), 11, 10));
      setLeaf(database, 11, swapIndex(leaves[10] ?? Buffer.of(), 10, 11));
      setTile(database, 0);
    });
    await expectFound({}, "its root is not that of the entries");
  });
});

describe("deleting inside", () => {
  test("an entry, leaving a hole", async () => {
    tamper(folder, (database) => database.exec("DELETE FROM entry WHERE idx = 20"));
    const { findings } = await ours();
    expect(findings.kept).toContainEqual(expect.objectContaining({ check: "entry", place: "entry 20" }));
    // There is nothing that could be exported for another verifier to look at.
    const source = openSource({ kind: "data", folder });
    expect(() => writeLogFolder(source, join(folder, "tiles"), () => {})).toThrow(
      "entry 20 is not in the log any more",
    );
    source.close();
  });

  test("an entry, with all later ones moved up", async () => {
    const leaves = leavesOf(folder);
    const at = anEvent(leaves);
    const moved = leaves.toSpliced(at, 1).map((leaf, i) => (i < at ? leaf : swapIndex(leaf, i + 1, i)));
    forge(folder, moved, { keepTo: Number.MAX_SAFE_INTEGER });
    await expectFound({}, "its root is not that of the entries", "is in no entry, and in no audit.gap");
  });
});

describe("cutting the tail", () => {
  test("of the entries alone", async () => {
    tamper(folder, (database) => database.exec("DELETE FROM entry WHERE idx >= (SELECT size - 20 FROM head)"));
    const { findings } = await ours();
    expect(findings.kept).toContainEqual(expect.objectContaining({ check: "entry" }));
  });

  test("down to an old checkpoint, with all newer ones: only what was kept elsewhere shows it", async () => {
    const kept = last(checkpointsOf(folder));
    const { size } = middle(checkpointsOf(folder).slice(0, -1));
    forge(folder, leavesOf(folder).slice(0, size), { keepTo: size });
    await expectNotFound({});
    await expectFound({ kept: kept.note }, `the log had ${kept.size} entries when it was made, and has ${size} now`);
  });

  test("but for a newer checkpoint that was forgotten", async () => {
    const kept = last(checkpointsOf(folder));
    const { size } = middle(checkpointsOf(folder).slice(0, -1));
    forge(folder, leavesOf(folder).slice(0, size), { keepTo: Number.MAX_SAFE_INTEGER });
    const { findings } = await ours();
    expect(findings.kept).toContainEqual(
      expect.objectContaining({ place: `checkpoint ${kept.size}`, text: expect.stringContaining("was cut off") }),
    );
  });
});

describe("editing a checkpoint", () => {
  test.each([
    ["its size", (note: string) => note.replace(/\n(\d+)\n/u, (_, size: string) => `\n${Number(size) - 1}\n`)],
    [
      "its root",
      (note: string) =>
        note.replace(
          /\n([A-Za-z0-9+/])(?=[A-Za-z0-9+/]{42}=\n)/u,
          (_, first: string) => `\n${first === "A" ? "B" : "A"}`,
        ),
    ],
    [
      "its signature",
      (note: string) => note.replace(/.{6}\n$/u, (tail) => `${tail.startsWith("A") ? "B" : "A"}${tail.slice(1)}`),
    ],
    ["its origin", (note: string) => note.replace("gw.test.example\n", "gw2.test.example\n")],
  ])("%s", async (_, edit) => {
    tamper(folder, (database) => {
      const { size, note } = last(checkpointsOf(folder));
      expect(edit(note)).not.toBe(note);
      database.exec("DELETE FROM cosigned");
      database.prepare("UPDATE checkpoint SET note = ? WHERE size = ?").run([Buffer.from(edit(note)), size]);
    });
    await expectFound({}, "checkpoint ");
  });
});

describe("rewriting with the log's key", () => {
  function rewrite(): number {
    const leaves = leavesOf(folder);
    const at = anEvent(leaves);
    forge(folder, leaves.with(at, change(leaves[at] ?? Buffer.of())), {
      sign: checkpointsOf(folder).map(({ size }) => size),
    });
    return at;
  }

  test("is not found by whoever knows only that key", async () => {
    rewrite();
    await expectNotFound({});
  });

  test("is found with a checkpoint that was kept elsewhere", async () => {
    const kept =
      middle(checkpointsOf(folder)).size > anEvent(leavesOf(folder))
        ? middle(checkpointsOf(folder))
        : last(checkpointsOf(folder));
    rewrite();
    await expectFound({ kept: kept.note }, `the log had another root at ${kept.size} entries when kept was made`);
  });

  test("is found with a witness, whose signatures the rewritten log cannot have", async () => {
    rewrite();
    await expectFound({ witness: true }, "has no checkpoint that the witness w1.test.example has cosigned");
  });

  test("is found with a witness when its signatures were left in place", async () => {
    const cosigned = openSource({ kind: "data", folder });
    const notes = [...cosigned.cosigned(0, Number.MAX_SAFE_INTEGER)];
    cosigned.close();
    rewrite();
    tamper(folder, (database) => {
      for (const { size, note } of notes) {
        database.prepare("INSERT INTO cosigned VALUES (?, ?, ?)").run([size, 1, Buffer.from(note)]);
      }
    });
    await expectFound({ witness: true }, "its root is not that of the entries");
  });
});
