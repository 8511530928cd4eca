/** The Merkle tree of RFC 6962 as a compact range: the roots of the full subtrees to the left, one per bit of the size. */

import { SHA256_BYTES, sha256 } from "./sha256.ts";

const EMPTY_ROOT = sha256("");

/** The hash of a leaf: SHA-256 of 0x00 and the leaf. `prefixed` holds the leaf after one byte, which is overwritten. */
export function leafHash(prefixed: Uint8Array<ArrayBuffer>, hash: Uint8Array<ArrayBuffer>): void {
  prefixed[0] = 0x00;
  Bun.SHA256.hash(prefixed, hash);
}

/** Appends leaf hashes and knows the root; takes a few hundred bytes however large the log is. */
export class CompactRange {
  #size: number;
  /** The largest subtree first. */
  readonly #stack: Uint8Array<ArrayBuffer>[];
  readonly #node = new Uint8Array(1 + 2 * SHA256_BYTES);

  private constructor(size: number, stack: Uint8Array<ArrayBuffer>[]) {
    this.#size = size;
    this.#stack = stack;
    this.#node[0] = 0x01;
  }

  static empty(): CompactRange {
    return new CompactRange(0, []);
  }

  /** Reads what encode() wrote. Throws RangeError when the number of hashes does not fit the size. */
  static decode(size: number, bytes: Uint8Array): CompactRange {
    if (bytes.length !== subtrees(size) * SHA256_BYTES)
      throw new RangeError(`a tree of ${size} leaves has another number of subtrees`);
    const stack: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < bytes.length; at += SHA256_BYTES) stack.push(bytes.slice(at, at + SHA256_BYTES));
    return new CompactRange(size, stack);
  }

  get size(): number {
    return this.#size;
  }

  append(hash: Uint8Array): void {
    let top: Uint8Array<ArrayBuffer> = new Uint8Array(hash);
    for (let n = this.#size; n % 2 === 1; n = (n - 1) / 2) top = this.#join(this.#stack.pop(), top);
    this.#stack.push(top);
    this.#size++;
  }

  root(): Uint8Array {
    let root = this.#stack.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let i = this.#stack.length - 2; i >= 0; i--) root = this.#join(this.#stack[i], root);
    return root;
  }

  /** The subtrees' roots one after the other, the largest first. */
  encode(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#stack.length * SHA256_BYTES);
    for (let i = 0; i < this.#stack.length; i++) {
      const hash = this.#stack[i];
      if (hash !== undefined) bytes.set(hash, i * SHA256_BYTES);
    }
    return bytes;
  }

  clone(): CompactRange {
    return new CompactRange(this.#size, [...this.#stack]);
  }

  #join(left: Uint8Array | undefined, right: Uint8Array): Uint8Array<ArrayBuffer> {
    if (left === undefined) throw new RangeError("the tree lacks a subtree");
    this.#node.set(left, 1);
    this.#node.set(right, 1 + SHA256_BYTES);
    return sha256(this.#node);
  }
}

/** How many full subtrees a tree of this size has: the ones in its binary form (sizes go beyond 32 bits). */
function subtrees(size: number): number {
  let count = 0;
  for (let n = size; n > 0; n = Math.floor(n / 2)) count += n % 2;
  return count;
}
