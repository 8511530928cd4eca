/** kill -9 under load, at random points: whatever was acknowledged is in the log, the root recomputes, nothing stays open. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../../src/audit/audit.ts";
import { VKEY_FILE } from "../../src/audit/log-keys.ts";
import { openNote, readCheckpoint, readVerifier } from "../../src/audit/note.ts";
import { LogReader } from "../../src/audit/query.ts";
import { LogTree } from "../../src/audit/tree.ts";
import { lines } from "./audit-lines.ts";

const CHILD = Bun.fileURLToPath(new URL("./audit-child.ts", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-kill-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("what was acknowledged before a kill is there after it", async () => {
  const durable = new Set<string>();
  const ended = new Set<string>();
  const rounds = 6;
  for (let round = 0; round < rounds; round++) {
    const child = Bun.spawn([process.execPath, CHILD, folder, "24"], {
      stdout: "pipe",
      stderr: "inherit",
    });
    // Anywhere from the first acknowledgement to well beyond the first checkpoint of the write-ahead log.
    let left = 1 + Math.floor(Math.random() * 4000);
    for await (const line of lines(child.stdout)) {
      const [word = "", id = ""] = line.split(" ");
      if (word === "durable") durable.add(id);
      if (word === "ended") ended.add(id);
      if (--left === 0) child.kill("SIGKILL");
    }
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
  }

  // Opening recomputes the root from the leaves and refuses a log that does not match.
  const log = await AuditLog.open({ folder, origin: "test", clock: { now: Date.now } });
  await log.close();
  const reader = LogReader.open(folder);
  const all = await reader.tail(10_000_000);
  reader.close();

  // What was signed before a kill is still a beginning of the log.
  const tree = LogTree.open(folder);
  const key = readVerifier(readFileSync(join(folder, VKEY_FILE), "utf8").trim());
  const signed = tree.checkpoints().map(({ note }) => readCheckpoint(openNote(note, [key]).text));
  expect(signed.length).toBeGreaterThan(rounds);
  for (const { size, root } of signed) expect(Buffer.from(tree.root(size))).toEqual(Buffer.from(root));
  expect(signed.at(-1)?.size).toBe(tree.size);
  tree.close();

  const intents = new Map<number, string>();
  const outcomes = new Map<string, string[]>();
  const opened: unknown[] = [];
  for (const { leaf, index } of all) {
    if (leaf.shape === "intent") {
      intents.set(index, leaf.id);
      if (leaf.outcome !== undefined) outcomes.set(leaf.id, [...(outcomes.get(leaf.id) ?? []), leaf.outcome.status]);
    }
    if (leaf.shape === "outcome") {
      expect(intents.get(leaf.intent ?? -1)).toBe(leaf.id ?? "");
      outcomes.set(leaf.id ?? "", [...(outcomes.get(leaf.id ?? "") ?? []), leaf.outcome.status]);
    }
    if (leaf.shape === "event" && leaf.event === "audit.opened") opened.push(leaf.facts["previous"]);
  }
  const recorded = new Set(intents.values());
  expect([...durable].filter((id) => !recorded.has(id))).toEqual([]);
  expect([...ended].filter((id) => outcomes.get(id)?.[0] !== "done")).toEqual([]);
  expect([...recorded].filter((id) => outcomes.get(id)?.length !== 1)).toEqual([]);
  expect(opened).toEqual(["none", ...Array<string>(rounds).fill("unclean")]);
  expect(durable.size).toBeGreaterThanOrEqual(rounds);
}, 240_000);
