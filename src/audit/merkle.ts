/** The Merkle tree of RFC 6962 as a compact range: the roots of the full subtrees to the left, one per bit of the size. */

import { SHA256_BYTES, sha256 } from "./sha256.ts";

/** The root of a tree without leaves. */
export const EMPTY_ROOT: Uint8Array<ArrayBuffer> = sha256("");
/** Sizes are whole numbers below 2^53: a range never has more subtrees. */
const LEVELS_MAX = 53;
/** How many levels of the tree one tile holds (C2SP tlog-tiles). */
export const TILE_LEVELS = 8;

const pair = new Uint8Array(1 + 2 * SHA256_BYTES);
pair[0] = 0x01;

/** The hash of an inner node: SHA-256 of 0x01 and its two children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const hash = new Uint8Array(SHA256_BYTES);
  hashNode(left, right, hash);
  return hash;
}

/** The same into a place that is there already, which may be that of a child: to make a new one takes twice as long. */
export function hashNode(left: Uint8Array, right: Uint8Array, hash: Uint8Array<ArrayBuffer>): void {
  pair.set(left, 1);
  pair.set(right, 1 + SHA256_BYTES);
  Bun.SHA256.hash(pair, hash);
}

/** The hash of a leaf: SHA-256 of 0x00 and the leaf. `prefixed` holds the leaf after one byte, which is overwritten. */
export function leafHash(prefixed: Uint8Array<ArrayBuffer>, hash: Uint8Array<ArrayBuffer>): void {
  prefixed[0] = 0x00;
  Bun.SHA256.hash(prefixed, hash);
}

/** Appends leaf hashes and knows the root; takes a few kilobytes however large the log is. */
export class CompactRange {
  #size = 0;
  /** The subtrees' roots, the largest first. */
  readonly #stack = Array.from({ length: LEVELS_MAX + 1 }, () => new Uint8Array(SHA256_BYTES));
  #height = 0;

  static empty(): CompactRange {
    return new CompactRange();
  }

  /** Reads what encode() wrote. Throws RangeError when the number of hashes does not fit the size. */
  static decode(size: number, bytes: Uint8Array): CompactRange {
    const range = CompactRange.empty();
    range.#size = size;
    range.#height = subtrees(size);
    if (bytes.length !== range.#height * SHA256_BYTES)
      throw new RangeError(`a tree of ${size} leaves has another number of subtrees`);
    for (let i = 0; i < range.#height; i++) {
      range.#at(i).set(bytes.subarray(i * SHA256_BYTES, (i + 1) * SHA256_BYTES));
    }
    return range;
  }

  get size(): number {
    return this.#size;
  }

  append(hash: Uint8Array): void {
    this.appendSubtree(hash, 0, null);
  }

  /**
   * Appends the root of a full subtree of 2^level leaves, at a size that is a multiple of them. `onTile` is told the
   * root of each tile (2^8, 2^16, ... leaves) that is full with it, the lowest first, beginning above `level`; what it
   * is given is overwritten later.
   */
  appendSubtree(
    hash: Uint8Array,
    level: number,
    onTile: ((root: Uint8Array<ArrayBuffer>, level: number) => void) | null,
  ): void {
    const leaves = 2 ** level;
    let top = this.#at(this.#height++);
    top.set(hash);
    let at = level;
    for (let n = this.#size / leaves; n % 2 === 1; n = (n - 1) / 2) {
      this.#height--;
      const left = this.#at(this.#height - 1);
      hashNode(left, top, left);
      top = left;
      at++;
      if (onTile !== null && at % TILE_LEVELS === 0) onTile(top, at);
    }
    this.#size += leaves;
  }

  root(): Uint8Array<ArrayBuffer> {
    if (this.#height === 0) return EMPTY_ROOT;
    let root = this.#at(this.#height - 1).slice();
    for (let i = this.#height - 2; i >= 0; i--) root = nodeHash(this.#at(i), root);
    return root;
  }

  /** The subtrees' roots one after the other, the largest first. */
  encode(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#height * SHA256_BYTES);
    for (let i = 0; i < this.#height; i++) bytes.set(this.#at(i), i * SHA256_BYTES);
    return bytes;
  }

  #at(place: number): Uint8Array<ArrayBuffer> {
    const hash = this.#stack[place];
    if (hash === undefined) throw new RangeError("the tree is larger than a number can say");
    return hash;
  }
}

/** How many full subtrees a tree of this size has: the ones in its binary form (sizes go beyond 32 bits). */
function subtrees(size: number): number {
  let count = 0;
  for (let n = size; n > 0; n = Math.floor(n / 2)) count += n % 2;
  return count;
}
