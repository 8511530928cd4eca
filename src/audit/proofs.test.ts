/** Proofs against known vectors, and every proof of small trees against RFC 9162's own recursive definition. */
import { expect, test } from "bun:test";
import { nodeHash } from "./merkle.ts";
import {
  consistencyRanges,
  inclusionRanges,
  type LeafRange,
  ProofError,
  verifyConsistency,
  verifyInclusion,
} from "./proofs.ts";
import { sha256 } from "./sha256.ts";

/** The leaves that the Certificate Transparency implementations test with, and proofs over them as they publish them. */
const KNOWN_LEAVES = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const KNOWN_INCLUSIONS: readonly { index: number; size: number; proof: readonly string[] }[] = [
  { index: 0, size: 1, proof: [] },
  {
    index: 0,
    size: 8,
    proof: [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  },
  {
    index: 5,
    size: 8,
    proof: [
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  },
  { index: 2, size: 3, proof: ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"] },
  {
    index: 1,
    size: 5,
    proof: [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  },
];
const KNOWN_CONSISTENCIES: readonly { from: number; to: number; proof: readonly string[] }[] = [
  { from: 1, to: 1, proof: [] },
  {
    from: 1,
    to: 8,
    proof: [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  },
  {
    from: 6,
    to: 8,
    proof: [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  },
  {
    from: 2,
    to: 5,
    proof: [
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  },
];

/** Past the first level of tiles (2^8) too. */
const SIZES_MAX = 130;
const AROUND = [255, 256, 257, 511, 512, 513];

const hashes = Array.from({ length: 600 }, (_, i) => sha256(Buffer.concat([Buffer.of(0), Buffer.from(`leaf ${i}`)])));
const roots = new Map<string, Uint8Array>();

/** RFC 9162, section 2.1.1, over leaves from one index on and before another. */
function definition({ from, to }: LeafRange): Uint8Array {
  if (to === 0) return sha256("");
  const [only] = hashes.slice(from, from + 1);
  if (to - from === 1 && only !== undefined) return only;
  const key = `${from}-${to}`;
  const known = roots.get(key);
  if (known !== undefined) return known;
  let k = 1;
  while (k * 2 < to - from) k *= 2;
  const root = nodeHash(definition({ from, to: from + k }), definition({ from: from + k, to }));
  roots.set(key, root);
  return root;
}

/** RFC 9162, section 2.1.3.1. */
function path(m: number, from: number, to: number): Uint8Array[] {
  if (to - from === 1) return [];
  let k = 1;
  while (k * 2 < to - from) k *= 2;
  if (m < k) return [...path(m, from, from + k), definition({ from: from + k, to })];
  return [...path(m - k, from + k, to), definition({ from, to: from + k })];
}

/** RFC 9162, section 2.1.4.1. */
function subproof(m: number, from: number, to: number, isWhole: boolean): Uint8Array[] {
  if (m === to - from) return isWhole ? [] : [definition({ from, to })];
  let k = 1;
  while (k * 2 < to - from) k *= 2;
  if (m <= k) return [...subproof(m, from, from + k, isWhole), definition({ from: from + k, to })];
  return [...subproof(m - k, from + k, to, false), definition({ from, to: from + k })];
}

function hex(list: readonly Uint8Array[]): string[] {
  return list.map((hash) => Buffer.from(hash).toString("hex"));
}

function root(size: number): Uint8Array {
  return definition({ from: 0, to: size });
}

test("known proofs hold", () => {
  const leaves = KNOWN_LEAVES.map((leaf) => sha256(Buffer.concat([Buffer.of(0), Buffer.from(leaf, "hex")])));
  const ours = hashes.splice(0, leaves.length, ...leaves);
  roots.clear();
  try {
    for (const { index, size, proof } of KNOWN_INCLUSIONS) {
      expect(hex(inclusionRanges(index, size).map(definition))).toEqual([...proof]);
      const bytes = proof.map((hash) => new Uint8Array(Buffer.from(hash, "hex")));
      verifyInclusion(index, size, hashes[index] ?? new Uint8Array(), bytes, root(size));
    }
    for (const { from, to, proof } of KNOWN_CONSISTENCIES) {
      expect(hex(consistencyRanges(from, to).map(definition))).toEqual([...proof]);
      const bytes = proof.map((hash) => new Uint8Array(Buffer.from(hash, "hex")));
      verifyConsistency(from, to, root(from), root(to), bytes);
    }
  } finally {
    hashes.splice(0, leaves.length, ...ours);
    roots.clear();
  }
});

test("every leaf of every small tree has the proof of the definition, and it holds for it alone", () => {
  for (const size of [...Array.from({ length: SIZES_MAX }, (_, i) => i + 1), ...AROUND]) {
    for (let index = 0; index < size; index++) {
      const proof = inclusionRanges(index, size).map(definition);
      expect(hex(proof)).toEqual(hex(path(index, 0, size)));
      const hash = hashes[index] ?? new Uint8Array();
      verifyInclusion(index, size, hash, proof, root(size));
      if (size > 1) {
        const other = (index + 1) % size;
        expect(() => verifyInclusion(other, size, hash, proof, root(size))).toThrow(ProofError);
        expect(() => verifyInclusion(index, size, hashes[other] ?? hash, proof, root(size))).toThrow("another root");
      }
      expect(() => verifyInclusion(index, size, hash, [...proof, hash], root(size))).toThrow("more hashes");
      if (proof.length > 0) {
        expect(() => verifyInclusion(index, size, hash, proof.slice(0, -1), root(size))).toThrow("fewer hashes");
      }
    }
  }
});

test("any two small trees have the consistency proof of the definition, and it holds for them alone", () => {
  for (const to of [...Array.from({ length: SIZES_MAX }, (_, i) => i + 1), ...AROUND]) {
    for (let from = 0; from <= to; from++) {
      const proof = consistencyRanges(from, to).map(definition);
      expect(hex(proof)).toEqual(from === 0 ? [] : hex(subproof(from, 0, to, true)));
      verifyConsistency(from, to, root(from), root(to), proof);
      const wrong = sha256("wrong");
      expect(() => verifyConsistency(from, to, wrong, root(to), proof)).toThrow(ProofError);
      if (from > 0) expect(() => verifyConsistency(from, to, root(from), wrong, proof)).toThrow(ProofError);
      expect(() => verifyConsistency(from, to, root(from), root(to), [...proof, wrong])).toThrow(ProofError);
      for (let i = 0; i < proof.length; i++) {
        expect(() => verifyConsistency(from, to, root(from), root(to), proof.with(i, wrong))).toThrow(ProofError);
        expect(() => verifyConsistency(from, to, root(from), root(to), proof.toSpliced(i, 1))).toThrow(ProofError);
      }
    }
  }
});

test("sizes beyond 32 bits have proofs", () => {
  // A tree of equal leaves: every full subtree of a level has the same root, and that of any range follows from them.
  const full = [sha256("leaf")];
  for (let level = 1; level < 45; level++)
    full.push(nodeHash(full[level - 1] ?? sha256(""), full[level - 1] ?? sha256("")));
  const of = ({ from, to }: LeafRange): Uint8Array => {
    const level = Math.log2(to - from);
    if (Number.isInteger(level)) return full[level] ?? sha256("");
    const middle = from + 2 ** Math.floor(level);
    return nodeHash(of({ from, to: middle }), of({ from: middle, to }));
  };
  const [from, to] = [2 ** 40 + 12_345, 2 ** 42 + 3];
  const leaf = full[0] ?? sha256("");
  verifyInclusion(from, to, leaf, inclusionRanges(from, to).map(of), of({ from: 0, to }));
  verifyConsistency(from, to, of({ from: 0, to: from }), of({ from: 0, to }), consistencyRanges(from, to).map(of));
});

test("what is no proof at all is refused", () => {
  const [leaf = new Uint8Array()] = hashes;
  expect(() => verifyInclusion(3, 3, leaf, [], root(3))).toThrow("has no leaf 3");
  expect(() => verifyInclusion(-1, 3, leaf, [], root(3))).toThrow("no number of leaves");
  expect(() => verifyInclusion(0.5, 3, leaf, [], root(3))).toThrow("no number of leaves");
  expect(() => verifyInclusion(0, 1, leaf.subarray(1), [], leaf)).toThrow("31 bytes");
  expect(() => verifyInclusion(0, 2, leaf, [new Uint8Array(33)], leaf)).toThrow("33 bytes");
  expect(() => verifyConsistency(4, 3, root(4), root(3), [])).toThrow("cannot begin");
  expect(() => verifyConsistency(3, 4, root(3), root(4), [])).toThrow("empty");
  expect(() => verifyConsistency(2, 2, root(2), root(3), [])).toThrow("two roots");
  expect(() => verifyConsistency(0, 2, root(1), root(2), [])).toThrow("root of no leaves");
});
