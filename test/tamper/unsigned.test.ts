/** Logs whose signatures were taken away instead of forged: what nobody vouches for is found, not passed over. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "../../src/audit/canonical.ts";
import {
  addSignatures,
  checkpointText,
  newSigner,
  readVerifier,
  signatureLine,
  signNote,
  unverifiedText,
} from "../../src/audit/note.ts";
import { LogTree } from "../../src/audit/tree.ts";
import { readKept } from "../../src/audit/verify/kept-checkpoint.ts";
import { openSource } from "../../src/audit/verify/open-source.ts";
import { verifyLog, type VerifyOptions } from "../../src/audit/verify/verify.ts";
import { checkpointsOf, forge, leavesOf, ORIGIN, runOnce, tamper } from "../tampered-log.ts";

const BEGIN_MS = 1_760_000_000_000;
const HOURS_MS = 2 * 3_600_000;
/** Two runs, two hours apart. */
let original: string;
let folder: string;
const witness = newSigner("w1.test.example", "cosignature").signer;

beforeAll(async () => {
  original = mkdtempSync(join(tmpdir(), "weir-unsigned-original-"));
  await runOnce(original, 450, BEGIN_MS);
  await runOnce(original, 450, BEGIN_MS + HOURS_MS);
});
afterAll(() => rmSync(original, { recursive: true, force: true }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-unsigned-"));
  cpSync(original, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const logKey = (): string => readFileSync(join(original, "log.vkey"), "utf8").trim();

async function found(options: Partial<VerifyOptions> = {}): Promise<string[]> {
  const keys = [readVerifier(logKey())];
  const source = openSource({ kind: "data", folder });
  try {
    const verdict = await verifyLog(source, {
      keys,
      witnesses: [],
      kept: [],
      since: 0,
      threads: 1,
      onProgress: () => {},
      ...options,
    });
    return verdict.findings.kept.map(({ place, text }) => `${place}: ${text}`);
  } finally {
    source.close();
  }
}

/** Every leaf as somebody would have liked it. */
const rewritten = (): Buffer[] =>
  leavesOf(folder).map((leaf) => Buffer.from(leaf.toString().replaceAll("agent-", "agent_")));
const firstSize = (): number => checkpointsOf(folder)[0]?.size ?? 0;
const lastNote = (): string => checkpointsOf(original).at(-1)?.note ?? "";
const includes = (text: string): string[] => expect.arrayContaining([expect.stringContaining(text)]);

test("the log as it was made has nothing to be found", async () => {
  expect(await found()).toEqual([]);
});

describe("without the key", () => {
  test("everything rewritten, and every checkpoint taken away", async () => {
    forge(folder, rewritten(), { keepTo: 0 });
    expect(await found()).toEqual(includes("and no checkpoint that its key has signed"));
  });

  test("everything rewritten above the oldest checkpoint, and the others taken away", async () => {
    const size = firstSize();
    forge(folder, [...leavesOf(folder).slice(0, size), ...rewritten().slice(size)], { keepTo: size });
    expect(await found()).toEqual(includes("are in no checkpoint that the log's key has signed"));
  });

  test("a checkpoint of another type does not hide those after it", async () => {
    forge(folder, rewritten(), { keepTo: Number.MAX_SAFE_INTEGER });
    tamper(folder, (database) => {
      database.exec("ALTER TABLE checkpoint RENAME TO old");
      database.exec("CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, time_ms, note)");
      database.exec("INSERT INTO checkpoint SELECT * FROM old");
      database.exec("UPDATE checkpoint SET note = 'x' WHERE size = (SELECT min(size) FROM checkpoint)");
    });
    expect(await found()).toEqual(includes("its root is not that of the entries"));
  });

  test("entries taken away from the beginning as if they had been pruned", async () => {
    tamper(folder, (database) => {
      database.exec("UPDATE head SET first = 256");
      database.exec("DELETE FROM entry WHERE idx < 256");
    });
    expect(await found()).toEqual(["entries below 256: are missing, and the log does not say that they were pruned"]);
  });

  test("checkpoints of an origin that a forged loss begins", async () => {
    const [next, lost] = [newSigner(ORIGIN, "ed25519").signer, newSigner(`${ORIGIN}/2`, "ed25519").signer];
    const leaves = rewritten().slice(0, -1);
    const { boot, timeMs }: { boot: string; timeMs: number } = JSON.parse(leaves.at(-1)?.toString() ?? "");
    const own = (event: string, facts: Record<string, string | null>, index: number): Buffer =>
      Buffer.from(canonicalJson({ boot, event, facts, index, timeMs, version: 1 }));
    const { length } = leaves;
    const rotated = { old: logKey(), new: next.verifier.vkey };
    const accepted = { old: ORIGIN, new: lost.name, oldKey: null, newKey: lost.verifier.vkey, reason: "lost" };
    leaves.push(own("audit.key_rotated", rotated, length), own("audit.loss_accepted", accepted, length + 1));
    forge(folder, leaves, { keepTo: 0 });
    const tree = LogTree.open(folder);
    const text = checkpointText({ origin: lost.name, size: length, root: tree.root(length), extensions: [] });
    tree.close();
    tamper(folder, (database) => {
      database.prepare("INSERT INTO checkpoint VALUES (?, ?, ?)").run([length, 1, Buffer.from(signNote(text, [lost]))]);
    });
    const findings = await found();
    expect(findings).toEqual(includes(`begins a new origin with a key that is not trusted: ${lost.verifier.vkey}`));
    expect(findings).toEqual(includes(`it is of ${lost.name}, and no key of that name was the log's at that size`));
  });

  test("no key anywhere: a kept checkpoint still shows that the end is gone, and nothing counts as checked", async () => {
    const kept = [readKept("kept", lastNote())];
    const size = firstSize();
    forge(folder, leavesOf(folder).slice(0, size), { keepTo: size });
    rmSync(join(folder, "log.vkey"));
    const findings = await found({ keys: [], kept });
    expect(findings).toEqual(includes("its end was cut off"));
    expect(findings).toEqual(includes("no signature can be checked"));
  });
});

test("a checkpoint kept of another log is not taken for one of this", async () => {
  const other = newSigner("other.test.example", "ed25519").signer;
  const text = checkpointText({ origin: other.name, size: 9_000_000, root: new Uint8Array(32), extensions: [] });
  const kept = [readKept("kept", signNote(text, [other]))];
  expect(await found({ kept })).toEqual(includes("kept: it is of other.test.example, which is not this log"));
});

test("with the key: the newest cosignatures taken away, and another end written", async () => {
  const checkpoints = checkpointsOf(folder);
  const [first] = checkpoints;
  if (first === undefined) throw new Error("there is no checkpoint");
  const sizes = checkpoints.map(({ size }) => size);
  forge(folder, [...leavesOf(folder).slice(0, first.size), ...rewritten().slice(first.size)], { sign: sizes });
  const line = signatureLine(unverifiedText(first.note), witness, BEGIN_MS / 1000);
  tamper(folder, (database) => {
    const note = Buffer.from(addSignatures(first.note, [line]));
    database.prepare("INSERT INTO cosigned VALUES (?, ?, ?)").run([first.size, BEGIN_MS, note]);
  });
  expect(await found({ witnesses: [witness.verifier] })).toEqual(
    includes("and the witness w1.test.example has cosigned nothing after 2025-10-09T08:53:20.000Z"),
  );
});

test("a log that is shorter than what was verified before", async () => {
  expect(await found({ since: 1_000_000 })).toEqual(includes("fewer than the 1000000 that were verified before"));
});
