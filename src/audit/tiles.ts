/** Tiles of C2SP tlog-tiles: 256 hashes of one level of the tree, full ones kept in the log, and everything that is read from them. */
import { type CompactRange, EMPTY_ROOT, hashNode, nodeHash, TILE_LEVELS } from "./merkle.ts";
import { consistencyRanges, inclusionRanges, type LeafRange, split } from "./proofs.ts";
import { SHA256_BYTES } from "./sha256.ts";

/** Hashes in a full tile, and how many bytes they are. */
export const TILE_WIDTH = 2 ** TILE_LEVELS;
export const TILE_BYTES = TILE_WIDTH * SHA256_BYTES;
/** tlog-tiles counts levels in 6 bits. */
const LEVEL_MAX = 63;

/** A full tile: `hashes` stand at `level` of tiles (2^(8 level) leaves each); `root` is their root, a hash of the level above. */
export type Tile = {
  readonly level: number;
  readonly index: number;
  readonly root: Uint8Array<ArrayBuffer>;
  readonly hashes: Uint8Array<ArrayBuffer>;
};

/* ---- names (tlog-tiles) ---- */

/** The path of a tile: `tile/0/x001/x234/067` and, for one with fewer than 256 hashes, `.p/WIDTH` after it. */
export function tilePath(level: number, index: number, width: number): string {
  if (!Number.isInteger(level) || level < 0 || level > LEVEL_MAX) throw new RangeError(`${level} is no level of tiles`);
  return `tile/${level}/${indexPath(index, width)}`;
}

/** The path of the bundle with the entries below a tile of level 0. */
export function entriesPath(index: number, width: number): string {
  return `tile/entries/${indexPath(index, width)}`;
}

function indexPath(index: number, width: number): string {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`${index} is no tile's number`);
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) throw new RangeError(`no tile has ${width} hashes`);
  const parts: string[] = [];
  for (let rest = index; parts.length === 0 || rest > 0; rest = Math.floor(rest / 1000)) {
    parts.unshift(`${parts.length === 0 ? "" : "x"}${String(rest % 1000).padStart(3, "0")}`);
  }
  return parts.join("/") + (width === TILE_WIDTH ? "" : `.p/${width}`);
}

/** How many full tiles a tree has at a level. */
export function fullTiles(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** (level + 1));
}

/* ---- roots ---- */

const scratch = new Uint8Array(TILE_BYTES);
const slots = Array.from({ length: TILE_WIDTH }, (_, i) => scratch.subarray(i * SHA256_BYTES, (i + 1) * SHA256_BYTES));

/** The root of a full subtree over 2^n hashes, at most a tile of them, one behind the other. */
export function subtreeRoot(hashes: Uint8Array): Uint8Array<ArrayBuffer> {
  scratch.set(hashes);
  for (let count = hashes.length / SHA256_BYTES; count > 1; count /= 2) {
    for (let i = 0; i < count / 2; i++) {
      const [left, right, into] = [slots[2 * i], slots[2 * i + 1], slots[i]];
      if (left === undefined || right === undefined || into === undefined) throw new RangeError("more than a tile");
      hashNode(left, right, into);
    }
  }
  return scratch.slice(0, SHA256_BYTES);
}

/* ---- writing ---- */

/** Follows a tree as it grows and hands out its tiles as they become full. Takes 8 KiB for each of its levels. */
export class TileBuilder {
  readonly #tree: CompactRange;
  readonly #levels: Uint8Array<ArrayBuffer>[] = [];
  #full: Tile[] = [];

  /**
   * `partial` answers the hashes of a level that belong to no full tile yet, for a tree that is not empty. Throws what
   * it throws.
   */
  constructor(tree: CompactRange, partial: (level: number) => Uint8Array) {
    this.#tree = tree;
    for (let level = 0; TILE_WIDTH ** level <= tree.size; level++) this.#level(level).set(partial(level));
  }

  append(hash: Uint8Array): void {
    const at = this.#tree.size % TILE_WIDTH;
    const bottom = this.#level(0);
    bottom.set(hash, at * SHA256_BYTES);
    if (at < TILE_WIDTH - 1) return this.#tree.append(hash);
    const index = Math.floor(this.#tree.size / TILE_WIDTH);
    this.#tree.appendSubtree(hash, 0, (root, level) => this.#filled(root, level, index));
  }

  /** Appends the root of a full tile of level 0, in place of its leaves. */
  appendTile(root: Uint8Array): void {
    const index = Math.floor(this.#tree.size / TILE_WIDTH);
    this.#put(root, 1, index);
    this.#tree.appendSubtree(root, TILE_LEVELS, (upper, level) => this.#filled(upper, level, index));
  }

  /** The tiles that have become full since the last call, the lowest level first where one filled another. */
  takeFull(): readonly Tile[] {
    const full = this.#full;
    if (full.length > 0) this.#full = [];
    return full;
  }

  /** `root` is that of the tile that has become full with leaf tile `index`, and its hash in the level above. */
  #filled(root: Uint8Array<ArrayBuffer>, treeLevel: number, index: number): void {
    const level = treeLevel / TILE_LEVELS - 1;
    const kept = root.slice();
    const number = Math.floor(index / TILE_WIDTH ** level);
    this.#full.push({ level, index: number, root: kept, hashes: this.#level(level).slice() });
    this.#put(kept, level + 1, number);
  }

  #put(hash: Uint8Array, level: number, index: number): void {
    this.#level(level).set(hash, (index % TILE_WIDTH) * SHA256_BYTES);
  }

  #level(level: number): Uint8Array<ArrayBuffer> {
    return (this.#levels[level] ??= new Uint8Array(TILE_BYTES));
  }
}

/* ---- reading ---- */

/** Where the hashes of a tree come from. */
export type TileSource = {
  readonly size: number;
  /** The 256 hashes of a full tile. Throws when it is not there. */
  tile(level: number, index: number): Uint8Array;
  /** The first `width` hashes of a tile that is not full yet. Throws when they are not there. */
  partial(level: number, index: number, width: number): Uint8Array;
};

/** Roots and proofs of a tree out of its tiles: each takes as many of them as the tree has levels, twice at most. */
export class TileTree {
  readonly #source: TileSource;
  /** Tiles read so far. */
  readonly #known = new Map<string, Uint8Array>();

  /** The source may not change meanwhile. */
  constructor(source: TileSource) {
    this.#source = source;
  }

  root(size: number): Uint8Array {
    this.#expectSize(size);
    return size === 0 ? EMPTY_ROOT : this.#rangeRoot({ from: 0, to: size });
  }

  inclusionProof(index: number, size: number): Uint8Array[] {
    this.#expectSize(size);
    if (!Number.isSafeInteger(index) || index < 0 || index >= size)
      throw new RangeError(`a tree of ${size} entries has no entry ${index}`);
    return inclusionRanges(index, size).map((range) => this.#rangeRoot(range));
  }

  consistencyProof(from: number, to: number): Uint8Array[] {
    this.#expectSize(to);
    if (!Number.isSafeInteger(from) || from < 0 || from > to)
      throw new RangeError(`a tree of ${to} entries has no older one of ${from}`);
    return consistencyRanges(from, to).map((range) => this.#rangeRoot(range));
  }

  /** The first `width` hashes of a tile, also of one that is full by now. */
  tile(level: number, index: number, width: number): Uint8Array {
    tilePath(level, index, width);
    const hashes = Math.floor(this.#source.size / TILE_WIDTH ** level);
    if (index * TILE_WIDTH + width > hashes)
      throw new RangeError(`the tree does not have ${tilePath(level, index, width)} yet`);
    return this.#tile(level, index).subarray(0, width * SHA256_BYTES);
  }

  #expectSize(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`${size} is no size of a tree`);
    if (size > this.#source.size) throw new RangeError(`the tree has ${this.#source.size} entries, not yet ${size}`);
  }

  /** All hashes of a tile that there are. */
  #tile(level: number, index: number): Uint8Array {
    const key = `${level}/${index}`;
    let hashes = this.#known.get(key);
    if (hashes === undefined) {
      const width = Math.floor(this.#source.size / TILE_WIDTH ** level) - index * TILE_WIDTH;
      hashes = width >= TILE_WIDTH ? this.#source.tile(level, index) : this.#source.partial(level, index, width);
      if (hashes.length !== Math.min(width, TILE_WIDTH) * SHA256_BYTES)
        throw new RangeError(`${tilePath(level, index, Math.min(width, TILE_WIDTH))} is not whole`);
      this.#known.set(key, hashes);
    }
    return hashes;
  }

  /** The root over leaves that begin where a subtree of their size may begin. */
  #rangeRoot({ from, to }: LeafRange): Uint8Array {
    const leaves = to - from;
    let level = 0;
    while (2 ** level < leaves) level++;
    if (2 ** level === leaves) return this.#subtree(level, from / leaves);
    const middle = from + split(leaves);
    return nodeHash(this.#rangeRoot({ from, to: middle }), this.#rangeRoot({ from: middle, to }));
  }

  /** The root of the full subtree `index` of 2^level leaves. */
  #subtree(level: number, index: number): Uint8Array {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const width = 2 ** (level % TILE_LEVELS);
    const first = index * width;
    const inTile = first % TILE_WIDTH;
    const hashes = this.#tile(tileLevel, Math.floor(first / TILE_WIDTH));
    return subtreeRoot(hashes.subarray(inTile * SHA256_BYTES, (inTile + width) * SHA256_BYTES));
  }
}
