/** A log as a folder in the form of C2SP tlog-tiles, which verifiers that are not ours read. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { LogSource, StoredCheckpoint } from "../verify/source.ts";
import { VKEY_FILE } from "../log-keys.ts";
import { entriesPath, TILE_WIDTH, tilePath } from "../tiles.ts";

const LENGTH_BYTES = 2;

/**
 * Writes the whole log up to its newest checkpoint into a folder: `checkpoint`, `tile/`, and `log.vkey` beside them.
 * Throws with a sentence for people.
 */
export function writeLogFolder(
  source: LogSource,
  folder: string,
  onProgress: (entries: number) => void,
): { readonly entries: number; readonly size: number } {
  const { size, note } = newestCheckpoint(source);
  const entries = writeTiles(source, folder, { size, from: source.first, to: size, edges: "all" }, onProgress);
  writeFileSync(join(folder, "checkpoint"), note, { flag: "wx" });
  if (source.ownKey !== null) writeFileSync(join(folder, VKEY_FILE), `${source.ownKey}\n`, { flag: "wx" });
  return { entries, size };
}

/** The newest one that witnesses have signed; without any the newest of the log's own. Throws when there is none. */
export function newestCheckpoint(source: LogSource): StoredCheckpoint {
  const { size } = source;
  const newest = lastOf(source.cosigned(0, size)) ?? lastOf(source.checkpoints(0, size));
  if (newest === null)
    throw new Error("the log has no checkpoint yet: the gateway signs one some seconds after it has started");
  return newest;
}

function lastOf<T>(items: Iterable<T>): T | null {
  let last: T | null = null;
  for (const item of items) last = item;
  return last;
}

/** What goes into the folder: the tree of a checkpoint, and of its entries those from one index and before another. */
export type TilesOrder = {
  readonly size: number;
  readonly from: number;
  readonly to: number;
  /** All tiles, or of level 0 only what the entries, these sizes and the end of the tree need. */
  readonly edges: readonly number[] | "all";
};

/** Writes tiles and bundles of entries; returns how many entries. Throws when the log lacks any of them. */
export function writeTiles(
  source: LogSource,
  folder: string,
  order: TilesOrder,
  onProgress: (entries: number) => void,
): number {
  for (let level = 0, count = order.size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
    const last = Math.floor(count / TILE_WIDTH);
    for (let n = 0; n < last; n++) {
      if (level > 0 || isWanted(order, n))
        write(folder, tilePath(level, n, TILE_WIDTH), needed(source.tile(level, n)?.hashes ?? null, level, n));
    }
    const width = count % TILE_WIDTH;
    if (width > 0)
      write(folder, tilePath(level, last, width), needed(source.partialTile(level, last, width), level, last));
  }
  let entries = 0;
  for (let at = order.from - (order.from % TILE_WIDTH); at < Math.min(order.to, order.size); at += TILE_WIDTH) {
    entries += writeBundle(source, folder, at, Math.min(TILE_WIDTH, order.size - at));
    onProgress(entries);
  }
  return entries;
}

function isWanted({ edges, from, to }: TilesOrder, n: number): boolean {
  if (edges === "all") return true;
  const [begin, end] = [n * TILE_WIDTH, (n + 1) * TILE_WIDTH];
  return (from < end && to > begin) || edges.some((size) => size > begin && size < end);
}

function writeBundle(source: LogSource, folder: string, at: number, width: number): number {
  const parts: Buffer[] = [];
  let next = at;
  for (const { index, leaf } of source.entries(at, at + width)) {
    if (index !== next) break;
    next++;
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(leaf.length);
    parts.push(length, leaf);
  }
  if (next !== at + width) throw new Error(`entry ${next} is not in the log any more`);
  write(folder, entriesPath(at / TILE_WIDTH, width), Buffer.concat(parts));
  return width;
}

function needed(hashes: Buffer | null, level: number, n: number): Buffer {
  if (hashes === null)
    throw new Error(`the log lacks tile ${n} of level ${level}: weir audit verify says what is wrong`);
  return hashes;
}

function write(folder: string, path: string, bytes: Buffer): void {
  const whole = join(folder, path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, bytes, { flag: "wx" });
}
