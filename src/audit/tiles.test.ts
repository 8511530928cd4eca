/** Tiles as a tree fills them, their names, and every root and proof that is read back out of them. */
import { expect, test } from "bun:test";
import { CompactRange } from "./merkle.ts";
import { verifyConsistency, verifyInclusion } from "./proofs.ts";
import { SHA256_BYTES, sha256 } from "./sha256.ts";
import {
  entriesPath,
  subtreeRoot,
  type Tile,
  TILE_WIDTH,
  TileBuilder,
  tilePath,
  type TileSource,
  TileTree,
} from "./tiles.ts";

const hashes: Uint8Array<ArrayBuffer>[] = [];
function hashOf(index: number): Uint8Array<ArrayBuffer> {
  return (hashes[index] ??= sha256(`leaf ${index}`));
}

/** A tree in memory, with its tiles as they became full and its root at each size that is asked for. */
class Grown implements TileSource {
  size = 0;
  readonly full = new Map<string, Tile>();
  readonly roots = new Map<number, Uint8Array>();
  #range = CompactRange.empty();
  #tiles = new TileBuilder(this.#range, () => new Uint8Array(0));

  grow(to: number, isNoted: (size: number) => boolean = () => true): void {
    if (this.size === 0) this.roots.set(0, this.#range.root());
    while (this.size < to) {
      this.#tiles.append(hashOf(this.size++));
      for (const tile of this.#tiles.takeFull()) this.full.set(`${tile.level}/${tile.index}`, tile);
      if (isNoted(this.size)) this.roots.set(this.size, this.#range.root());
    }
  }

  /** Goes on with what could be read back. */
  reopen(): void {
    this.#range = CompactRange.decode(this.size, this.#range.encode());
    this.#tiles = new TileBuilder(this.#range, (level) => {
      const width = Math.floor(this.size / TILE_WIDTH ** level) % TILE_WIDTH;
      return this.partial(level, Math.floor(this.size / TILE_WIDTH ** (level + 1)), width);
    });
  }

  root(size: number): Uint8Array {
    return this.roots.get(size) ?? new Uint8Array(0);
  }

  tile(level: number, index: number): Uint8Array {
    const tile = this.full.get(`${level}/${index}`);
    if (tile === undefined) throw new Error(`no tile ${level}/${index}`);
    return tile.hashes;
  }

  partial(level: number, index: number, width: number): Uint8Array {
    const first = index * TILE_WIDTH;
    return Buffer.concat(
      Array.from({ length: width }, (_, i) =>
        level === 0 ? hashOf(first + i) : (this.full.get(`${level - 1}/${first + i}`)?.root ?? new Uint8Array(0)),
      ),
    );
  }
}

test("names are those of tlog-tiles", () => {
  expect(tilePath(0, 0, 256)).toBe("tile/0/000");
  expect(tilePath(0, 1234067, 256)).toBe("tile/0/x001/x234/067");
  expect(tilePath(2, 999, 1)).toBe("tile/2/999.p/1");
  expect(tilePath(63, 1000, 255)).toBe("tile/63/x001/000.p/255");
  expect(entriesPath(1234067, 256)).toBe("tile/entries/x001/x234/067");
  expect(entriesPath(5, 12)).toBe("tile/entries/005.p/12");
  for (const [level, index, width] of [
    [64, 0, 1],
    [-1, 0, 1],
    [0, -1, 1],
    [0, 0.5, 1],
    [0, 0, 0],
    [0, 0, 257],
  ] as const) {
    expect(() => tilePath(level, index, width)).toThrow(RangeError);
  }
});

test("a tile is full with its 256th hash, and its root is a hash of the level above", () => {
  const tree = new Grown();
  tree.grow(255);
  expect(tree.full.size).toBe(0);
  tree.grow(70_000, () => false);
  expect(tree.full.size).toBe(Math.floor(70_000 / 256) + 1);
  for (const [name, { level, index, root, hashes: all }] of tree.full) {
    expect(name).toBe(`${level}/${index}`);
    expect(all.length).toBe(256 * SHA256_BYTES);
    expect(subtreeRoot(all)).toEqual(root);
    const below = level === 0 ? hashOf(index * 256 + 7) : tree.full.get(`0/${index * 256 + 7}`)?.root;
    expect(all.slice(7 * SHA256_BYTES, 8 * SHA256_BYTES)).toEqual(below ?? new Uint8Array(0));
  }
});

test("a tree that was read back, and one made of its tiles, goes on as the first one", () => {
  const cuts = [1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 66_000];
  const [whole, cut] = [new Grown(), new Grown()];
  whole.grow(66_500, () => false);
  for (const size of cuts) {
    cut.grow(size, () => false);
    cut.reopen();
  }
  cut.grow(66_500, () => false);
  expect([...cut.full]).toEqual([...whole.full]);

  const range = CompactRange.empty();
  const tiles = new TileBuilder(range, () => new Uint8Array(0));
  const made: Tile[] = [];
  for (let index = 0; index < Math.floor(66_500 / 256); index++) {
    tiles.appendTile(whole.full.get(`0/${index}`)?.root ?? new Uint8Array(0));
    made.push(...tiles.takeFull());
  }
  expect(made).toEqual([...whole.full.values()].filter(({ level }) => level > 0));
  for (let index = range.size; index < 66_500; index++) tiles.append(hashOf(index));
  expect(new TileTree(whole).root(66_500)).toEqual(range.root());
});

function expectProofs(tree: Grown, sizes: readonly number[], indices: (size: number) => readonly number[]): void {
  const read = new TileTree(tree);
  for (const size of sizes) {
    expect(read.root(size)).toEqual(tree.root(size));
    for (const index of indices(size)) {
      verifyInclusion(index, size, hashOf(index), read.inclusionProof(index, size), tree.root(size));
    }
    for (const from of sizes) {
      if (from <= size) {
        verifyConsistency(from, size, tree.root(from), tree.root(size), read.consistencyProof(from, size));
      }
    }
  }
}

test("all roots and proofs of a small tree hold", () => {
  const tree = new Grown();
  tree.grow(130);
  const sizes = Array.from({ length: 131 }, (_, i) => i);
  expectProofs(tree, sizes, (size) => Array.from({ length: size }, (_, i) => i));
});

test("roots and proofs around the sizes at which tiles become full hold", () => {
  const around = (size: number) => Array.from({ length: 7 }, (_, i) => size + i - 3);
  const sizes = [0, 1, ...around(256), ...around(512), ...around(65_536), ...around(65_792), 70_000];
  for (const size of [300, 65_539, 70_000]) {
    const tree = new Grown();
    tree.grow(size, (noted) => sizes.includes(noted));
    const within = sizes.filter((each) => each <= size);
    expectProofs(tree, within, (of) => within.filter((index) => index < of));
  }
});

test("a partial tile is the beginning of the full one", () => {
  const tree = new Grown();
  tree.grow(65_536 + 300, () => false);
  const read = new TileTree(tree);
  const first = read.tile(0, 3, 256);
  expect(read.tile(0, 3, 10)).toEqual(first.subarray(0, 10 * SHA256_BYTES));
  expect(read.tile(0, 257, 44).length).toBe(44 * SHA256_BYTES);
  expect(read.tile(1, 0, 256).length).toBe(256 * SHA256_BYTES);
  expect(read.tile(1, 1, 1)).toEqual(subtreeRoot(read.tile(0, 256, 256)));
  expect(read.tile(2, 0, 1)).toEqual(subtreeRoot(read.tile(1, 0, 256)));
  for (const [level, index, width] of [
    [0, 257, 45],
    [1, 1, 2],
    [2, 0, 2],
    [3, 0, 1],
  ] as const) {
    expect(() => read.tile(level, index, width)).toThrow("does not have");
  }
});

test("what the tree does not have is refused", () => {
  const tree = new Grown();
  tree.grow(10);
  const read = new TileTree(tree);
  expect(() => read.root(11)).toThrow("not yet 11");
  expect(() => read.root(-1)).toThrow("no size");
  expect(() => read.inclusionProof(5, 5)).toThrow("has no entry 5");
  expect(() => read.inclusionProof(-1, 5)).toThrow("has no entry");
  expect(() => read.consistencyProof(6, 5)).toThrow("no older one");
  expect(() => read.consistencyProof(1, 11)).toThrow("not yet 11");
});
