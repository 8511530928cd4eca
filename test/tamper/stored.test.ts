/** What is stored beside the leaves, and outside of the log: found where it was changed, and never a reason not to end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeLogFolder } from "../../src/audit/export/tiles.ts";
import { canonicalJson } from "../../src/audit/canonical.ts";
import { checkpointText, readSigner, readVerifier, signNote } from "../../src/audit/note.ts";
import { openSource } from "../../src/audit/verify/open-source.ts";
import { type Verdict, verifyLog } from "../../src/audit/verify/verify.ts";
import { forge, ORIGIN, runOnce, tamper } from "../tampered-log.ts";

setDefaultTimeout(240_000);

/** More than a tile of level 1 is over: there are full tiles of two levels, and some that are not full. */
const MANY = 66_000;
const FEW = 600;
const BOOT = "0123456789abcdef0123456789abcdef";
const originals = new Map<number, string>();
let folder: string;

async function make(entries: number): Promise<void> {
  const original = mkdtempSync(join(tmpdir(), "weir-stored-original-"));
  originals.set(entries, original);
  await runOnce(original, 10);
  const leaves = Array.from({ length: entries }, (_, index) => {
    const entry = { boot: BOOT, index, timeMs: 1_760_000_000_000, version: 1 };
    const event = index === 0 ? "audit.opened" : index === entries - 1 ? "audit.closed" : "policy.activated";
    const facts = index === 0 ? { previous: "none", unknown: 0 } : {};
    return Buffer.from(canonicalJson({ ...entry, event, facts, ...(index === 0 ? {} : { sequence: index }) }));
  });
  forge(original, leaves, { sign: [300, 65_000] });
}

beforeAll(async () => {
  await make(MANY);
  await make(FEW);
});
afterAll(() => {
  for (const original of originals.values()) rmSync(original, { recursive: true, force: true });
});
function copyOf(entries: number): void {
  folder = mkdtempSync(join(tmpdir(), "weir-stored-"));
  cpSync(originals.get(entries) ?? "", folder, { recursive: true });
}
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function verify(kind: "data" | "tiles" = "data", path = folder, since = 0): Promise<Verdict> {
  const source = openSource({ kind, folder: path });
  try {
    const keys = [readVerifier(readFileSync(join(folder, "log.vkey"), "utf8").trim())];
    return await verifyLog(source, { keys, witnesses: [], kept: [], since, threads: 1, onProgress: () => {} });
  } finally {
    source.close();
  }
}

async function found(): Promise<string[]> {
  return (await verify()).findings.kept.map(({ place, text }) => `${place}: ${text}`);
}

test.each([MANY, FEW])("the log of %d entries as it was made has nothing to be found", async (entries) => {
  copyOf(entries);
  expect(await found()).toEqual([]);
});

describe("tiles", () => {
  beforeEach(() => copyOf(MANY));
  const MISSING = "is missing, or cannot be read";
  const ROOT = "the root beside it is not that of its hashes";
  test.each([
    ["DELETE FROM tile WHERE level = 0 AND idx = 3", [`tile/0/3: ${MISSING}`]],
    // Above the last full tile of level 1.
    ["DELETE FROM tile WHERE level = 0 AND idx = 256", [`tile/0/256: ${MISSING}`]],
    ["DELETE FROM tile WHERE level = 1", [`tile/1/0: ${MISSING}`]],
    ["UPDATE tile SET root = zeroblob(32) WHERE level = 0 AND idx = 3", [`tile/0/3: ${ROOT}`]],
    ["UPDATE tile SET root = zeroblob(32) WHERE level = 0 AND idx = 256", [`tile/0/256: ${ROOT}`]],
    ["UPDATE tile SET root = zeroblob(32) WHERE level = 1", [`tile/1/0: ${ROOT}`]],
    [
      "INSERT INTO tile SELECT 0, 257, root, hashes FROM tile WHERE level = 0 AND idx = 3",
      ["tile/0/257: is not one of the log's, which has 66000 entries"],
    ],
    [
      "INSERT INTO tile SELECT 2, 0, root, hashes FROM tile WHERE level = 1; INSERT INTO tile SELECT 7, -1, root, hashes FROM tile WHERE level = 1",
      ["tile/2/0", "tile/7/-1"].map((place) => `${place}: is not one of the log's, which has 66000 entries`),
    ],
  ])("%s", async (sql, findings) => {
    tamper(folder, (database) => database.exec(sql));
    expect(await found()).toEqual(findings);
  });

  test("are read also where the entries below them were verified before", async () => {
    tamper(folder, (database) => database.exec("UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND idx = 3"));
    const { findings } = await verify("data", folder, 65_000);
    expect(findings.kept).toContainEqual(expect.objectContaining({ check: "tile", place: "tile/0/3" }));
  });
});

describe("entries that are none of the log's", () => {
  const HUGE = 2 ** 52;
  const STRAY = `is not one of the log's, which has ${FEW} entries`;
  beforeEach(() => copyOf(FEW));
  const insert = (index: string): string => `INSERT INTO entry SELECT ${index}, leaf, hash FROM entry WHERE idx = 7`;
  test.each([
    ["one before the first", insert("-5"), ["entry -5", STRAY]],
    ["one far behind the last", insert(String(HUGE)), [`entry ${HUGE}`, STRAY]],
    ["the last that a file can have", insert("9223372036854775807"), ["entry 9223372036854775807", STRAY]],
    [
      "a head that says that there are many",
      `UPDATE head SET size = ${HUGE}`,
      ["head", `says that there are ${HUGE} entries, and there are ${FEW}`],
    ],
    [
      "such a head with an entry to go with it",
      `UPDATE head SET size = ${HUGE}; ${insert(String(HUGE - 1))}`,
      ["head", `says that there are ${HUGE} entries, and there are ${FEW}`],
    ],
    [
      "a head that says that there are fewer than none",
      "UPDATE head SET size = -1",
      ["head", "says that there are -1"],
    ],
    [
      "a beginning behind the end",
      `UPDATE head SET first = ${HUGE}`,
      [`entries below ${HUGE}`, "are missing, and the log does not say that they were pruned"],
    ],
    [
      "a checkpoint of many",
      `INSERT INTO checkpoint SELECT ${HUGE}, time_ms, note FROM checkpoint WHERE size = 300`,
      [`checkpoint ${HUGE}`, `and there are ${FEW}: the end of the log was cut off`],
    ],
  ])("%s", async (_, sql, [place, text]) => {
    tamper(folder, (database) => database.exec(sql));
    const { size, findings } = await verify();
    expect(size).toBe(FEW);
    expect(findings.kept).toContainEqual(expect.objectContaining({ place, text: expect.stringContaining(text ?? "") }));
  });
});

test("a leaf that is longer than any of weir's is found as one, and what comes after it too", async () => {
  copyOf(FEW);
  tamper(folder, (database) => {
    database.exec("ALTER TABLE entry RENAME TO old");
    database.exec("CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf, hash)");
    database.exec("INSERT INTO entry SELECT * FROM old");
    for (const index of [7, FEW - 1]) database.exec(`UPDATE entry SET leaf = zeroblob(70000) WHERE idx = ${index}`);
    database.exec("UPDATE entry SET leaf = CAST('{}' AS BLOB) WHERE idx = 9");
  });
  expect(await found()).toEqual([
    "entry 7: its leaf has more than 65535 bytes",
    expect.stringContaining("entry 9: its leaf"),
    "entry 9: does not match its hash: its leaf was changed, or the hash beside it",
    `entry ${FEW - 1}: its leaf has more than 65535 bytes`,
  ]);
});

describe("a folder of tiles", () => {
  let tiles: string;
  beforeEach(() => {
    copyOf(MANY);
    tiles = join(folder, "tiles");
    const source = openSource({ kind: "data", folder });
    writeLogFolder(source, tiles, () => {});
    source.close();
  });

  test("without the entries at its end says from where on they are not there", async () => {
    for (const name of ["256", "257.p"]) rmSync(join(tiles, "tile/entries", name), { recursive: true });
    const { remarks, count } = await verify("tiles", tiles);
    expect(remarks).toContain("entries from 65536 on are not here; their tiles stand for them");
    expect(count).toBe(0);
  });

  test("whose checkpoint is of more than there could be ends, and says so", async () => {
    const size = 2 ** 52;
    const signer = readSigner(readFileSync(join(folder, "keys/log.key"), "utf8").trim());
    const text = checkpointText({ origin: ORIGIN, size, root: new Uint8Array(32), extensions: [] });
    writeFileSync(join(tiles, "checkpoint"), signNote(text, [signer]));
    // Nor do the names of files make it longer.
    const far = join(tiles, "tile/1/x999/x999/x999/x999");
    mkdirSync(far, { recursive: true });
    renameSync(join(tiles, "tile/1/000"), join(far, "999"));
    const { findings } = await verify("tiles", tiles);
    expect(findings.kept).toContainEqual(
      expect.objectContaining({ text: expect.stringContaining(`was cosigned for ${size} entries, and there are`) }),
    );
  });
});
