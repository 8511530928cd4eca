/** The entries of a log that an export is made of, one after the other, each outcome with the operation it belongs to. */
import type { IntentLeaf, Leaf } from "../entry.ts";
import { readLeaf } from "../entry.ts";
import type { LogReader } from "../query.ts";
import { sha256 } from "../sha256.ts";

/** Left out: any. Times are milliseconds since the epoch. */
export type ExportFilter = {
  readonly sinceMs?: number;
  /** Not included. */
  readonly untilMs?: number;
  /** The name of who asked. */
  readonly subject?: string;
  readonly target?: string;
  readonly event?: string;
  readonly decision?: string;
};

/** One entry. `json` is the leaf as it was hashed, `hash` its RFC 6962 leaf hash. */
export type SelectedEntry = {
  readonly index: number;
  readonly json: string;
  readonly hash: Uint8Array;
  readonly leaf: Leaf;
  /** The operation: of an intent or a refusal its own leaf, of an outcome that of its intent; null for all else. */
  readonly operation: IntentLeaf | null;
};

/** Entries stand in the order in which they were handed over, but for this many around them. */
const DISORDER_ENTRIES = 4096;
/** Operations without an outcome that are remembered; of others the leaf is read again. */
const OPEN_MAX = 10_000;

/** Entries that match, in order. Holds a page of the log and the operations that are open, however long it is. */
export async function* select(log: LogReader, filter: ExportFilter): AsyncGenerator<SelectedEntry> {
  const size = await log.size();
  const { sinceMs, untilMs } = filter;
  const from = sinceMs === undefined ? 0 : Math.max(0, (await log.firstSince(sinceMs)) - DISORDER_ENTRIES);
  const to = untilMs === undefined ? size : Math.min(size, (await log.firstSince(untilMs)) + DISORDER_ENTRIES);
  for await (const entry of selectRange(log, from, to)) if (matches(entry, filter)) yield entry;
}

/** The entries from an index on and before another, in order. */
export async function* selectRange(log: LogReader, from: number, to: number): AsyncGenerator<SelectedEntry> {
  const open = new Map<number, IntentLeaf>();
  for (const page of log.leaves(from, to)) {
    for (const bytes of page) {
      const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
      const index = indexOf(json);
      const leaf = readLeaf(bytes, index);
      const operation = await operationOf(leaf, open, log);
      yield { index, json, hash: hashOf(bytes), leaf, operation };
    }
  }
}

/** The RFC 6962 hash of a leaf. */
export function hashOf(leaf: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF_PREFIX, leaf]));
}
const LEAF_PREFIX = Buffer.of(0x00);

/** A page does not say where its entries stand: a log that was pruned does not begin with entry 0. */
function indexOf(json: string): number {
  const value: unknown = JSON.parse(json);
  const index = typeof value === "object" && value !== null && "index" in value ? value.index : null;
  if (typeof index !== "number") throw new Error("an entry of the log has no index");
  return index;
}

async function operationOf(leaf: Leaf, open: Map<number, IntentLeaf>, log: LogReader): Promise<IntentLeaf | null> {
  if (leaf.shape === "intent") {
    if (leaf.outcome === undefined) {
      open.set(leaf.index, leaf);
      const [oldest] = open.keys();
      if (open.size > OPEN_MAX && oldest !== undefined) open.delete(oldest);
    }
    return leaf;
  }
  if (leaf.shape !== "outcome" || leaf.intent === null) return null;
  const known = open.get(leaf.intent);
  if (known !== undefined) {
    open.delete(leaf.intent);
    return known;
  }
  // It began before what was asked for, or may be pruned.
  const [entry] = await log.entries([leaf.intent]);
  return entry?.leaf.shape === "intent" ? entry.leaf : null;
}

function matches({ leaf, operation }: SelectedEntry, filter: ExportFilter): boolean {
  const { sinceMs, untilMs, subject, target, event, decision } = filter;
  if (sinceMs !== undefined && leaf.timeMs < sinceMs) return false;
  if (untilMs !== undefined && leaf.timeMs >= untilMs) return false;
  if (event !== undefined && leaf.event !== event) return false;
  if (decision !== undefined && operation?.decision.kind !== decision) return false;
  const facts = leaf.shape === "event" ? leaf.facts : null;
  if (subject !== undefined && (operation?.subject.name ?? facts?.["subject"]) !== subject) return false;
  return target === undefined || (operation?.target.name ?? facts?.["target"]) === target;
}
