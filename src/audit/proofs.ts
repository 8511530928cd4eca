/** Proofs over the log's Merkle tree as RFC 9162 checks them (2.1.3.2, 2.1.4.2), and which subtrees each of them is made of. */
import { EMPTY_ROOT, nodeHash } from "./merkle.ts";
import { SHA256_BYTES } from "./sha256.ts";

/** A proof that does not prove what it should; the message says why. */
export class ProofError extends Error {}

/**
 * That the leaf with this hash stands at `index` of the tree with `size` leaves and this root. `proof` holds the hashes
 * of the siblings on the way up, the lowest first. Throws ProofError.
 */
export function verifyInclusion(
  index: number,
  size: number,
  leafHash: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  expectWhole([index, size]);
  expectHashes([leafHash, root, ...proof]);
  if (index >= size) throw new ProofError(`a tree of ${size} leaves has no leaf ${index}`);
  let [node, last] = [index, size - 1];
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) throw new ProofError("the proof has more hashes than the way to the root has levels");
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // The levels at which it is the last of its row, with nothing to its right to be joined with.
      while (node % 2 === 0 && node > 0) [node, last] = [half(node), half(last)];
    } else hash = nodeHash(hash, sibling);
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new ProofError("the proof has fewer hashes than the way to the root has levels");
  if (!equal(hash, root)) throw new ProofError(`the proof leads to another root than that of ${size} leaves`);
}

/**
 * That the tree of `to` leaves begins with the tree of `from` leaves: nothing of it was changed, moved or taken away.
 * Between trees of one size, and from the empty tree, the proof is empty. Throws ProofError.
 */
export function verifyConsistency(
  from: number,
  to: number,
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
  proof: readonly Uint8Array[],
): void {
  expectWhole([from, to]);
  expectHashes([fromRoot, toRoot, ...proof]);
  if (from > to) throw new ProofError(`a tree of ${to} leaves cannot begin with one of ${from}`);
  if (from === to || from === 0) {
    if (proof.length > 0) throw new ProofError("there is nothing to prove, and the proof is not empty");
    if (from === 0 && !equal(fromRoot, EMPTY_ROOT)) throw new ProofError("the root of no leaves is another one");
    if (from === to && !equal(fromRoot, toRoot)) throw new ProofError(`there are two roots for ${from} leaves`);
    return;
  }
  let [node, last] = [from - 1, to - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  // A tree that is one full subtree is not repeated in its own proof.
  const [start, ...others] = node === 0 ? [fromRoot, ...proof] : proof;
  if (start === undefined) throw new ProofError("the proof is empty");
  let [ofFrom, ofTo] = [start, start];
  for (const sibling of others) {
    if (last === 0) throw new ProofError("the proof has more hashes than the way to the root has levels");
    if (node % 2 === 1 || node === last) {
      ofFrom = nodeHash(sibling, ofFrom);
      ofTo = nodeHash(sibling, ofTo);
      while (node % 2 === 0 && node > 0) [node, last] = [half(node), half(last)];
    } else ofTo = nodeHash(ofTo, sibling);
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new ProofError("the proof has fewer hashes than the way to the root has levels");
  if (!equal(ofFrom, fromRoot)) throw new ProofError(`the proof leads to another root than that of ${from} leaves`);
  if (!equal(ofTo, toRoot)) throw new ProofError(`the proof leads to another root than that of ${to} leaves`);
}

/** The leaves from `from` on and before `to`; their root is RFC 9162's MTH over them. */
export type LeafRange = { readonly from: number; readonly to: number };

/** The subtrees whose roots are the inclusion proof of a leaf, in its order (RFC 9162, 2.1.3.1). */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  const ranges: LeafRange[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      ranges.push({ from: middle, to });
      to = middle;
    } else {
      ranges.push({ from, to: middle });
      from = middle;
    }
  }
  return ranges.toReversed();
}

/** The subtrees whose roots are the consistency proof between two sizes, in its order (RFC 9162, 2.1.4.1). */
export function consistencyRanges(fromSize: number, toSize: number): LeafRange[] {
  if (fromSize === 0 || fromSize === toSize) return [];
  const ranges: LeafRange[] = [];
  let [from, to] = [0, toSize];
  while (to !== fromSize) {
    const middle = from + split(to - from);
    if (fromSize <= middle) {
      ranges.push({ from: middle, to });
      to = middle;
    } else {
      ranges.push({ from, to: middle });
      from = middle;
    }
  }
  // The older tree's own last subtree; when that is all of it, whoever verifies has its root already.
  if (from > 0) ranges.push({ from, to });
  return ranges.toReversed();
}

/** The largest power of two below a number of leaves greater than one. */
export function split(leaves: number): number {
  let size = 1;
  while (size * 2 < leaves) size *= 2;
  return size;
}

/** Sizes go beyond the 32 bits of a shift. */
function half(value: number): number {
  return Math.floor(value / 2);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function expectWhole(values: readonly number[]): void {
  for (const value of values) {
    if (!Number.isSafeInteger(value) || value < 0) throw new ProofError(`${value} is no number of leaves`);
  }
}

function expectHashes(hashes: readonly Uint8Array[]): void {
  for (const hash of hashes) {
    if (hash.length !== SHA256_BYTES)
      throw new ProofError(`a hash has ${hash.length} bytes instead of ${SHA256_BYTES}`);
  }
}
