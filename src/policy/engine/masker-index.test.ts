/** The index of what masks columns finds all that masks one, whatever globs it was filed by. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { indexOf } from "../../../test/policy-world.ts";
import type { WrittenRule } from "../../../test/policy-world.ts";
import { TARGETS } from "../../../test/policy-sets.ts";
import { MaskerIndex } from "./masker-index.ts";
import { transformOn } from "./maskers.ts";
import type { Masker } from "./maskers.ts";
import { NameList } from "./names.ts";

const piece = fc.constantFrom("a", "b", "ab", ".", ".", "*", "**", "/", "s.", ".x");
const glob = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(""));
/** What authors may write: two segments at least. */
const written = glob.filter((text) => text.includes(".") || text.includes("**"));
const column = fc
  .array(fc.constantFrom("a", "b", "x", ".", ".", "s", "/"), { maxLength: 7 })
  .map((pieces) => pieces.join(""));
const rule: fc.Arbitrary<Omit<WrittenRule, "id">> = fc
  .tuple(fc.option(fc.array(written, { minLength: 1, maxLength: 3 })), fc.array(written, { maxLength: 2 }))
  .map(([listed, named]) => ({
    action: listed === null ? { any: true } : { tiny: { columns: listed } },
    oblige: { mask: [...(named.length === 0 ? [] : [{ columns: named, with: "hash" as const }]), { with: "redact" }] },
  }));

async function maskersOf(rules: readonly Omit<WrittenRule, "id">[]): Promise<readonly Masker[]> {
  const [box] = TARGETS;
  if (box === undefined) throw new Error("there is no target");
  const index = await indexOf([], [rules.map((each, at): WrittenRule => ({ ...each, id: `g${at}` }))]);
  return index.maskersOn(box);
}

test("what masks a column is found", async () => {
  let masking = 0;
  let spared = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { minLength: 1, maxLength: 6 }),
      fc.array(column, { minLength: 30, maxLength: 60 }),
      async (rules, columns) => {
        const maskers = await maskersOf(rules);
        const index = new MaskerIndex(maskers);
        for (const each of columns) {
          const found: Masker[] = [];
          index.find(each, found);
          for (const masker of maskers) {
            if (transformOn(masker, each) === null) {
              if (!found.includes(masker)) spared++;
              continue;
            }
            expect(found).toContain(masker);
            masking++;
          }
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(masking).toBeGreaterThan(1000);
  // It would find everything, too, if it looked at nothing.
  expect(spared).toBeGreaterThan(1000);
});

test("what is compared without regard to case is found", async () => {
  const [masker] = await maskersOf([
    { action: { tiny: { columns: ["a.b"] } }, oblige: { mask: [{ with: "redact" }] } },
  ]);
  if (masker === undefined) throw new Error("it masks nothing");
  const folding: Masker = { ...masker, listed: new NameList(["A.X"], { folds: true }) };
  const found: Masker[] = [];
  new MaskerIndex([folding]).find("a.X", found);
  expect(found).toEqual([folding]);
});
