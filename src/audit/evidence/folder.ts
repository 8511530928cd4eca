/** Writes a folder of evidence: what a period of the log holds, what proves it, and how to check that. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Leaf } from "../entry.ts";
import { csvHead, csvLine } from "../export/csv.ts";
import { rowOf } from "../export/row.ts";
import { hashOf, select } from "../export/selection.ts";
import { newestCheckpoint, writeTiles } from "../export/tiles.ts";
import { VKEY_FILE } from "../log-keys.ts";
import { proofFile } from "../proof-file.ts";
import { LogReader } from "../query.ts";
import { LogTree } from "../tree.ts";
import type { LogSource, StoredCheckpoint } from "../verify/source.ts";
import { Coverage } from "./coverage.ts";
import { LISTS, listOf } from "./lists.ts";
import { drawSample } from "./sample.ts";

/** Checkpoints of the period that go into the folder, evenly over it, its first and last among them. */
const CHECKPOINTS_MAX = 200;
/** Keys are exchanged now and then; more of them than anybody will have. */
const ROTATIONS_MAX = 1000;
/** Lines gathered before they are written. */
const BUFFER_LINES = 500;

export type EvidenceOrder = {
  /** The data folder of the log, and the folder to fill. */
  readonly data: string;
  readonly out: string;
  readonly fromMs: number;
  /** Not included. */
  readonly toMs: number;
  readonly samples: number;
  /** Null: the root of the checkpoint, which nobody could choose. */
  readonly seed: string | null;
  onProgress(entries: number): void;
};

/** A policy that was active in the period. `commit` null: it was not in git. */
export type ActivePolicy = { readonly digest: string; readonly commit: string | null };

export type Written = {
  readonly origin: string;
  /** Entries of the period: from one index on and before another. */
  readonly from: number;
  readonly to: number;
  readonly checkpoint: StoredCheckpoint;
  readonly root: string;
  readonly seed: string;
  readonly samples: readonly { readonly index: number; readonly leafHash: string }[];
  readonly checkpoints: number;
  readonly stamps: readonly number[];
  readonly policies: readonly ActivePolicy[];
  /** The verifier keys that the log has had: the one now, and those that were replaced. */
  readonly keys: readonly string[];
};

export async function writeEvidence(source: LogSource, order: EvidenceOrder): Promise<Written> {
  const log = LogReader.open(order.data);
  const tree = LogTree.open(order.data);
  try {
    return await new EvidenceFolder(source, order, log, tree).write();
  } finally {
    tree.close();
    log.close();
  }
}

class EvidenceFolder {
  readonly #source: LogSource;
  readonly #order: EvidenceOrder;
  readonly #log: LogReader;
  readonly #tree: LogTree;

  constructor(source: LogSource, order: EvidenceOrder, log: LogReader, tree: LogTree) {
    this.#source = source;
    this.#order = order;
    this.#log = log;
    this.#tree = tree;
  }

  async write(): Promise<Written> {
    const { fromMs, toMs, out } = this.#order;
    const checkpoint = newestCheckpoint(this.#source);
    const { size } = checkpoint;
    const from = Math.min(size, Math.max(this.#source.first, await this.#log.firstSince(fromMs)));
    const to = Math.min(size, await this.#log.firstSince(toMs));
    if (to <= from) throw new Error("the log has no entries of this period that a checkpoint covers");
    writeFileSync(join(out, "checkpoint"), checkpoint.note);
    if (this.#source.ownKey !== null) writeFileSync(join(out, VKEY_FILE), `${this.#source.ownKey}\n`);
    const sizes = this.#writeCheckpoints(from, to);
    const stamps = this.#writeStamps(from, to);
    writeTiles(this.#source, out, { size, from, to, edges: [...sizes, ...stamps] }, () => {});
    const policies = await this.#writeEntries(from, to);
    const root = Buffer.from(this.#tree.root(size)).toString("hex");
    const seed = this.#order.seed ?? root;
    const samples = await this.#writeSamples(seed, from, to, checkpoint.note);
    const { origin } = this.#tree;
    return {
      origin,
      from,
      to,
      checkpoint,
      root,
      seed,
      samples,
      checkpoints: sizes.length,
      stamps,
      policies,
      keys: await this.#keys(),
    };
  }

  async #keys(): Promise<string[]> {
    const keys = new Set(this.#source.ownKey === null ? [] : [this.#source.ownKey]);
    for (const { leaf } of await this.#log.tail(ROTATIONS_MAX, { event: "audit.key_rotated" })) {
      for (const key of leaf.shape === "event" ? [leaf.facts["new"], leaf.facts["old"]] : []) {
        if (typeof key === "string") keys.add(key);
      }
    }
    return [...keys];
  }

  /** The last one before the period, those in it, and the first that covers all of it; cosigned where they are. */
  #writeCheckpoints(from: number, to: number): number[] {
    const bySize = new Map<number, string>();
    const last = newestCheckpoint(this.#source).size;
    for (const each of this.#source.checkpoints(0, last)) bySize.set(each.size, each.note);
    for (const each of this.#source.cosigned(0, last)) bySize.set(each.size, each.note);
    const all = [...bySize.keys()].toSorted((a, b) => a - b);
    const before = all.findLastIndex((size) => size <= from);
    const after = all.findIndex((size) => size >= to);
    const inside = all.slice(Math.max(0, before), after === -1 ? undefined : after + 1);
    const step = Math.max(1, (inside.length - 1) / (CHECKPOINTS_MAX - 1));
    const chosen = new Set<number>();
    for (let at = 0; at < inside.length; at += step) chosen.add(inside[Math.floor(at)] ?? 0);
    chosen.add(inside.at(-1) ?? 0);
    chosen.delete(0);
    mkdirSync(join(this.#order.out, "checkpoints"));
    for (const size of chosen)
      writeFileSync(join(this.#order.out, "checkpoints", String(size)), bySize.get(size) ?? "");
    return [...chosen];
  }

  /** With each stamp the own note that it is over, without the signatures of witnesses that came later. */
  #writeStamps(from: number, to: number): number[] {
    const sizes: number[] = [];
    for (const { size, token } of this.#source.stamps(from, Math.max(to, from + 1))) {
      if (sizes.length === 0) mkdirSync(join(this.#order.out, "stamps"));
      const [own] = this.#source.checkpoints(size - 1, size);
      if (own === undefined) continue;
      writeFileSync(join(this.#order.out, "stamps", `${size}.tsr`), token);
      writeFileSync(join(this.#order.out, "stamps", `${size}.note`), own.note);
      sizes.push(size);
    }
    return sizes;
  }

  /** The period as a table, the lists of events, and the coverage; answers which policies were active. */
  async #writeEntries(from: number, to: number): Promise<ActivePolicy[]> {
    const { out, fromMs, toMs } = this.#order;
    const files = new Map<string, string[]>(LISTS.map(([file]) => [file, []]));
    files.set("entries.csv", [`${csvHead()}\r`]);
    const flush = (file: string, lines: string[]): void => {
      appendFileSync(join(out, file), lines.map((line) => `${line}\n`).join(""));
      lines.length = 0;
    };
    const write = (file: string, line: string): void => {
      const lines = files.get(file) ?? [];
      lines.push(line);
      if (lines.length >= BUFFER_LINES) flush(file, lines);
    };
    const coverage = new Coverage();
    const policies = new Map<string, ActivePolicy>();
    let entries = 0;
    for await (const entry of select(this.#log, { sinceMs: fromMs, untilMs: toMs })) {
      if (entry.index < from || entry.index >= to) continue;
      coverage.add(entry);
      write("entries.csv", `${csvLine(rowOf(entry))}\r`);
      const list = listOf(entry.leaf.event);
      if (list !== null) write(list, entry.json);
      const decided = decidedBy(entry.leaf);
      if (decided !== null) policies.set(`${decided.digest} ${decided.commit}`, decided);
      if (++entries % BUFFER_LINES === 0) this.#order.onProgress(entries);
    }
    for (const [file, lines] of files) flush(file, lines);
    writeFileSync(
      join(out, "coverage.json"),
      `${JSON.stringify({ from, to, firstKept: this.#source.first, ...coverage.view() }, null, 2)}\n`,
    );
    return [...policies.values()];
  }

  async #writeSamples(seed: string, from: number, to: number, note: string): Promise<Written["samples"]> {
    const folder = join(this.#order.out, "samples");
    mkdirSync(folder);
    const indices = drawSample(seed, from, to, this.#order.samples);
    const samples: { index: number; leafHash: string }[] = [];
    for (const { index, json } of await this.#log.entries(indices)) {
      writeFileSync(join(folder, `${index}.json`), json);
      writeFileSync(join(folder, `${index}.tlog-proof`), proofFile(this.#tree, index, note));
      samples.push({ index, leafHash: Buffer.from(hashOf(Buffer.from(json))).toString("hex") });
    }
    return samples;
  }
}

/** The policy that decided an operation, or became active; null: the entry speaks of none. */
function decidedBy(leaf: Leaf): ActivePolicy | null {
  if (leaf.shape === "intent") {
    const { digest, commit } = leaf.decision.policy;
    return { digest, commit };
  }
  if (leaf.shape !== "event" || leaf.event !== "policy.activated") return null;
  const { digest, commit } = leaf.facts;
  if (typeof digest !== "string") return null;
  return { digest, commit: typeof commit === "string" ? commit : null };
}
