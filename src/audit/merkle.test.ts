/** The compact range against known roots and against RFC 6962's own recursive definition. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { CompactRange, leafHash } from "./merkle.ts";
import { sha256 } from "./sha256.ts";

/** The leaves and roots that the Certificate Transparency implementations test with. */
const LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

test("known roots", () => {
  const tree = CompactRange.empty();
  expect(hex(tree.root())).toBe(ROOTS[0] ?? "");
  for (const [i, leaf] of LEAVES.entries()) {
    tree.append(hashOf(Buffer.from(leaf, "hex")));
    expect(hex(tree.root())).toBe(ROOTS[i + 1] ?? "");
  }
});

test("the root is that of RFC 6962's definition, also after the range was stored and read back", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 70 }), fc.nat(), (leaves, cut) => {
      const hashes = leaves.map((leaf) => hashOf(leaf));
      let tree = CompactRange.empty();
      for (const [i, hash] of hashes.entries()) {
        if (i === cut % (hashes.length + 1)) tree = CompactRange.decode(tree.size, tree.encode());
        tree.append(hash);
      }
      expect(tree.size).toBe(leaves.length);
      expect(hex(tree.root())).toBe(hex(definition(hashes)));
    }),
  );
});

test("a range that does not fit its size is refused", () => {
  expect(() => CompactRange.decode(3, new Uint8Array(32))).toThrow(RangeError);
  expect(() => CompactRange.decode(2 ** 40, new Uint8Array(64))).toThrow(RangeError);
});

function hashOf(leaf: Uint8Array): Uint8Array {
  const hash = new Uint8Array(32);
  leafHash(new Uint8Array([0xff, ...leaf]), hash);
  return hash;
}

/** RFC 6962, section 2.1. */
function definition(hashes: readonly Uint8Array[]): Uint8Array {
  const [only] = hashes;
  if (only === undefined) return sha256("");
  if (hashes.length === 1) return only;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return sha256(Buffer.concat([Buffer.of(1), definition(hashes.slice(0, k)), definition(hashes.slice(k))]));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
