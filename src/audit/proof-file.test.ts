/** Proof files: what the log writes is what the specification says, and verifies without the log. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "./audit.ts";
import { VKEY_FILE } from "./log-keys.ts";
import { openNote, readCheckpoint, readVerifier } from "./note.ts";
import { proofFile, readProofFile } from "./proof-file.ts";
import { ProofError, verifyInclusion } from "./proofs.ts";
import { LogReader } from "./query.ts";
import { LogTree } from "./tree.ts";

const HASH = Buffer.alloc(32, 7).toString("base64");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-proof-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("a proof file proves an entry to whoever has the log's key", async () => {
  const log = await AuditLog.open({ folder, origin: "gw", clock: { now: Date.now } });
  for (let i = 0; i < 20; i++) log.event("login.ok", { n: i });
  await log.close();
  const tree = LogTree.open(folder);
  const newest = tree.latestCheckpoint()?.note ?? "";
  const text = proofFile(tree, 5, newest);
  expect(() => proofFile(tree, tree.size, newest)).toThrow(RangeError);
  tree.close();
  expect(text).toStartWith("c2sp.org/tlog-proof@v1\nindex 5\n");

  const { index, hashes, note, extra } = readProofFile(text);
  expect([index, extra, note]).toEqual([5, null, newest]);
  const verifier = readVerifier(readFileSync(join(folder, VKEY_FILE), "utf8").trim());
  const { size, root } = readCheckpoint(openNote(note, [verifier]).text);
  const reader = LogReader.open(folder);
  const [entry, other] = await reader.entries([5, 6]);
  reader.close();
  verifyInclusion(index, size, Buffer.from(entry?.hash ?? "", "hex"), hashes, root);
  expect(() => verifyInclusion(index, size, Buffer.from(other?.hash ?? "", "hex"), hashes, root)).toThrow(ProofError);
});

test("extra data and proofs without hashes are read", () => {
  expect(readProofFile(`c2sp.org/tlog-proof@v1\nextra aGk=\nindex 0\n\nnote\n`)).toEqual({
    index: 0,
    hashes: [],
    note: "note\n",
    extra: Buffer.from("hi"),
  });
});

test("what is no proof file is refused", () => {
  const refused: [string, string][] = [
    ["", "empty line"],
    ["c2sp.org/tlog-proof@v2\nindex 0\n\nnote\n", "begins with"],
    ["c2sp.org/tlog-proof@v1\n\nnote\n", "index"],
    ["c2sp.org/tlog-proof@v1\nindex 01\n\nnote\n", "index"],
    ["c2sp.org/tlog-proof@v1\nindex -1\n\nnote\n", "index"],
    ["c2sp.org/tlog-proof@v1\nextra ?\nindex 1\n\nnote\n", "extra"],
    ["c2sp.org/tlog-proof@v1\nindex 1\nextra aGk=\n\nnote\n", "32 base64 bytes"],
    [`c2sp.org/tlog-proof@v1\nindex 1\n${HASH.slice(0, -1)}\n\nnote\n`, "32 base64 bytes"],
    ["c2sp.org/tlog-proof@v1\nindex 1\naGk=\n\nnote\n", "32 base64 bytes"],
    [`c2sp.org/tlog-proof@v1\nindex 1\n${`${HASH}\n`.repeat(64)}\nnote\n`, "at most 63"],
  ];
  for (const [text, why] of refused) {
    expect(() => readProofFile(text), text).toThrow(why);
    expect(() => readProofFile(text), text).toThrow(ProofError);
  }
});
