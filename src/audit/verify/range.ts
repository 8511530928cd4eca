/** Checks one stretch of the log by itself: leaves, hashes, tiles, and what its entries say of each other. */
import { leafHash, CompactRange } from "../merkle.ts";
import { LeafParts } from "../leaf-parts.ts";
import { LEAF_BYTES_MAX } from "../leaf.ts";
import { SHA256_BYTES } from "../sha256.ts";
import { TILE_BYTES, TILE_WIDTH } from "../tiles.ts";
import { type FindingList, Findings } from "./finding.ts";
import { type LeafTrace, readForm } from "./leaf-form.ts";
import { type Relations, RelationsWriter } from "./relations.ts";
import type { LogSource, StoredTile } from "./source.ts";

/** Entries checked as one: those below one tile of level 1. */
export const RANGE_ENTRIES = TILE_WIDTH * TILE_WIDTH;

const NO_HASH = new Uint8Array(SHA256_BYTES);

/** Said of a tile. */
export const WRONG_ROOT = "the root beside it is not that of its hashes";

/** What is to be checked. Below `readFrom` and from `readTo` on no entries are read: the tiles stand for them. */
export type RangeOrder = {
  /** The range begins at `number * RANGE_ENTRIES`. */
  readonly number: number;
  readonly to: number;
  readonly readFrom: number;
  readonly readTo: number;
  /** Sizes inside the range at which the tree is wanted, in order. */
  readonly sizes: readonly number[];
};

export type RangeReport = {
  readonly number: number;
  readonly entries: number;
  readonly findings: FindingList;
  readonly relations: Relations;
  /** The subtrees' roots of the part of the range below each size that was asked for, the largest first. */
  readonly stacks: readonly { readonly size: number; readonly stack: Uint8Array }[];
  /** The same of the whole range. */
  readonly stack: Uint8Array;
};

/** Checks one range; reads nothing outside it. */
export function checkRange(source: LogSource, order: RangeOrder): RangeReport {
  return new RangeCheck(source, order).run();
}

class RangeCheck {
  readonly #source: LogSource;
  readonly #order: RangeOrder;
  readonly #from: number;
  readonly #findings = new Findings();
  readonly #relations = new RelationsWriter(this.#findings);
  /** Roots of the full tiles of this range. */
  readonly #tiles = CompactRange.empty();
  readonly #tileRoots = Buffer.alloc(TILE_BYTES);
  readonly #stacks: { size: number; stack: Uint8Array }[] = [];
  readonly #prefixed = new Uint8Array(1 + LEAF_BYTES_MAX);
  readonly #hash = new Uint8Array(SHA256_BYTES);
  readonly #parts = new LeafParts();
  readonly #upper: Buffer | null;
  #entries = 0;
  #nextSize = 0;

  constructor(source: LogSource, order: RangeOrder) {
    this.#source = source;
    this.#order = order;
    this.#from = order.number * RANGE_ENTRIES;
    this.#upper = this.#upperTile();
  }

  run(): RangeReport {
    const { number, to } = this.#order;
    let rest = CompactRange.empty();
    for (let at = this.#from; at < to; at += TILE_WIDTH) {
      this.#note(at, rest);
      const width = Math.min(TILE_WIDTH, to - at);
      if (width < TILE_WIDTH) rest = this.#lastTile(at, width);
      else this.#fullTile(at);
    }
    if (to < this.#from + RANGE_ENTRIES) this.#note(to, rest);
    if (this.#tiles.size === TILE_WIDTH) this.#compareUpper();
    return {
      number,
      entries: this.#entries,
      findings: this.#findings.list(),
      relations: this.#relations.finish(),
      stacks: this.#stacks,
      stack: Buffer.concat([this.#tiles.encode(), rest.encode()]),
    };
  }

  #upperTile(): Buffer | null {
    const width = Math.floor((this.#order.to - this.#from) / TILE_WIDTH);
    if (width === TILE_WIDTH) return this.#checkedTile(1, this.#order.number)?.hashes ?? null;
    return width === 0 ? null : this.#source.partialTile(1, this.#order.number, width);
  }

  /** Notes the tree at a size that is wanted. */
  #note(size: number, rest: CompactRange): void {
    if (this.#order.sizes[this.#nextSize] !== size) return;
    this.#nextSize++;
    this.#stacks.push({ size, stack: Buffer.concat([this.#tiles.encode(), rest.encode()]) });
  }

  #fullTile(at: number): void {
    const n = at / TILE_WIDTH;
    const isRead = at < this.#order.readTo && at + TILE_WIDTH > this.#order.readFrom;
    const inRange = n % TILE_WIDTH;
    const parent = this.#upper?.subarray(inRange * SHA256_BYTES, (inRange + 1) * SHA256_BYTES) ?? null;
    const isWanted = (this.#order.sizes[this.#nextSize] ?? Number.POSITIVE_INFINITY) < at + TILE_WIDTH;
    const { keepsTiles } = this.#source;
    const tile = isRead || parent === null || isWanted || keepsTiles ? this.#checkedTile(0, n) : null;
    const stored = tile?.hashes ?? null;
    let root: Uint8Array;
    if (isRead || stored !== null) {
      const hashes = this.#hashes(at, TILE_WIDTH, isRead, stored, parent);
      root = this.#build(at, hashes).encode();
      if (tile !== null) this.#compareRoot(0, n, tile, hashes.equals(tile.hashes) ? root : rootOf(tile.hashes));
    } else {
      if (!keepsTiles && (parent === null || isWanted))
        this.#findings.add("tile", `tile/0/${n}`, "is missing, and no entries stand for it");
      root = parent ?? new Uint8Array(SHA256_BYTES);
      while ((this.#order.sizes[this.#nextSize] ?? Number.POSITIVE_INFINITY) < at + TILE_WIDTH) this.#nextSize++;
    }
    this.#tileRoots.set(root, inRange * SHA256_BYTES);
    this.#tiles.append(root);
  }

  /** A tile that must be there is said to be missing. */
  #checkedTile(level: number, n: number): StoredTile | null {
    const tile = this.#source.tile(level, n);
    if (tile === null && this.#source.keepsTiles)
      this.#findings.add("tile", `tile/${level}/${n}`, "is missing, or cannot be read");
    return tile;
  }

  #compareRoot(level: number, n: number, { root }: StoredTile, own: Uint8Array): void {
    if (root !== null && !root.equals(own)) this.#findings.add("tile", `tile/${level}/${n}`, WRONG_ROOT);
  }

  #lastTile(at: number, width: number): CompactRange {
    const isRead = at < this.#order.readTo && at + width > this.#order.readFrom;
    const stored = this.#source.partialTile(0, at / TILE_WIDTH, width);
    return this.#build(at, this.#hashes(at, width, isRead, stored, null));
  }

  /** The tile's subtree; notes the tree at each size inside it that is wanted. */
  #build(at: number, hashes: Buffer): CompactRange {
    const tree = CompactRange.empty();
    const width = hashes.length / SHA256_BYTES;
    for (let i = 0; i < width; i++) {
      if (i > 0) this.#note(at + i, tree);
      tree.append(hashes.subarray(i * SHA256_BYTES, (i + 1) * SHA256_BYTES));
    }
    return tree;
  }

  /**
   * The leaf hashes of a tile. Those of the entries are compared with what is stored; where the two differ the tree
   * goes on with what it was made of, as far as that can be told, so that one change is found as one.
   */
  #hashes(at: number, width: number, isRead: boolean, stored: Buffer | null, parent: Buffer | null): Buffer {
    const kept = Buffer.alloc(width * SHA256_BYTES);
    if (stored !== null) stored.copy(kept);
    if (!isRead) return kept;
    const own = Buffer.from(kept);
    const from = Math.max(at, this.#order.readFrom);
    const to = Math.min(at + width, this.#order.readTo);
    let next = from;
    const differing: number[] = [];
    for (const { index, leaf, hash } of this.#source.entries(from, to)) {
      if (index > next) this.#missing(next, index, stored);
      next = index + 1;
      this.#entries++;
      if (leaf.length > LEAF_BYTES_MAX) {
        // None of weir's, whatever its hash: only the hash of what stood there can stand for it.
        this.#findings.add("leaf", `entry ${index}`, `its leaf has more than ${LEAF_BYTES_MAX} bytes`);
        this.#relations.add(index, null);
        if (stored === null) kept.set(hash?.subarray(0, SHA256_BYTES) ?? NO_HASH, (index - at) * SHA256_BYTES);
        continue;
      }
      this.#prefixed.set(leaf, 1);
      leafHash(this.#prefixed.subarray(0, leaf.length + 1), this.#hash);
      const place = (index - at) * SHA256_BYTES;
      own.set(this.#hash, place);
      const isAsStored = hash === null || hash.equals(this.#hash);
      this.#check(index, leaf, isAsStored);
      if (!isAsStored) {
        this.#findings.add(
          "entry",
          `entry ${index}`,
          "does not match its hash: its leaf was changed, or the hash beside it",
        );
      }
      if (stored === null) kept.set(hash ?? this.#hash, place);
      else if (isAsStored && !kept.subarray(place, place + SHA256_BYTES).equals(this.#hash)) differing.push(index);
    }
    if (next < to) this.#missing(next, to, stored);
    return differing.length === 0 ? kept : this.#settle(at, differing, kept, own, parent);
  }

  /** Entries that match their hash but not the tile: the level above says which of the two was changed, if it can. */
  #settle(at: number, differing: readonly number[], kept: Buffer, own: Buffer, parent: Buffer | null): Buffer {
    const tile = `tile/0/${at / TILE_WIDTH}`;
    const isTileChanged = parent !== null && parent.equals(rootOf(own));
    if (isTileChanged) {
      for (const index of differing) this.#findings.add("tile", tile, `its hash of entry ${index} was changed`);
      return own;
    }
    const isConfirmed = parent !== null && parent.equals(rootOf(kept));
    const why = isConfirmed ? `is not the one in ${tile}, which the level above confirms` : `is not the one in ${tile}`;
    for (const index of differing) this.#findings.add("entry", `entry ${index}`, `was changed: its hash ${why}`);
    return kept;
  }

  /** What a changed leaf says of others is not held against them: the change is one finding. */
  #check(index: number, leaf: Buffer, isAsStored: boolean): void {
    const form: LeafTrace | string = readForm(leaf, index, this.#parts);
    if (typeof form === "string") this.#findings.add("leaf", `entry ${index}`, form);
    this.#relations.add(index, typeof form === "string" || !isAsStored ? null : form);
  }

  #missing(begin: number, to: number, stored: Buffer | null): void {
    for (let index = begin; index < to; index++) this.#relations.add(index, null);
    // They may have been pruned just now, by a gateway that runs.
    const from = Math.max(begin, this.#source.first);
    if (from >= to) return;
    const place = to - from === 1 ? `entry ${from}` : `entries ${from} to ${to - 1}`;
    const known = stored === null ? "" : "; the tile still has the hash of what was there";
    this.#findings.add("entry", place, `${to - from === 1 ? "is" : "are"} missing${known}`);
  }

  #compareUpper(): void {
    const upper = this.#upper;
    if (upper === null) return;
    const tile = this.#source.tile(1, this.#order.number);
    if (tile !== null) this.#compareRoot(1, this.#order.number, tile, rootOf(upper));
    if (upper.equals(this.#tileRoots)) return;
    for (let i = 0; i < TILE_WIDTH; i++) {
      const [from, to] = [i * SHA256_BYTES, (i + 1) * SHA256_BYTES];
      if (upper.subarray(from, to).equals(this.#tileRoots.subarray(from, to))) continue;
      const n = this.#order.number * TILE_WIDTH + i;
      const place = `tile/1/${this.#order.number}`;
      this.#findings.add(
        "tile",
        place,
        `its hash ${i} is not the root of tile/0/${n}, entries ${n * TILE_WIDTH} to ${(n + 1) * TILE_WIDTH - 1}`,
      );
    }
  }
}

/** The root of the subtree over some hashes. */
export function rootOf(hashes: Buffer): Uint8Array {
  const tree = CompactRange.empty();
  for (let at = 0; at < hashes.length; at += SHA256_BYTES) tree.append(hashes.subarray(at, at + SHA256_BYTES));
  return tree.root();
}
