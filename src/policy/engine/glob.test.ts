/** Globs against a table, against a naive matcher, and on input made to be slow. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { globMatches } from "../../../test/naive/names.ts";
import { firstSegment, Glob } from "./glob.ts";

describe("a glob", () => {
  test.each([
    ["public.*", "public.orders", true],
    ["public.*", "public.", true],
    ["public.*", "public.orders.id", false],
    ["public.**", "public.orders.id", true],
    ["public.*.id", "public.orders.id", true],
    ["*.orders", "a/b.orders", false],
    ["**.orders", "a/b.orders", true],
    ["*", "orders", true],
    ["*", "", true],
    ["*", "public.orders", false],
    ["**", "public.orders", true],
    ["a***b", "a.x/b", true],
    ["o*s", "orders", true],
    ["o*s", "order", false],
    ["a*b*c", "ab.xbc", false],
    ["**a*b", "a.a-b", true],
    ["Public.*", "public.orders", false],
    ["a?", "ab", false],
    ["[a]", "a", false],
    ["a.c", "abc", false],
    ["\\*", "*", false],
  ])("%s on %s: %p", (pattern, name, expected) => {
    expect(new Glob(pattern).matches(name)).toBe(expected);
  });

  test.each([
    ["name", "../"],
    ["path", "/"],
    ["word", ""],
  ] as const)("of a %s means what the naive matcher says", (style, stops) => {
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", ".", "/", "*"), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom("a", "b", ".", "/"), maxLength: 10 });
    fc.assert(
      fc.property(pattern, fc.array(name, { maxLength: 5 }), (text, names) => {
        const glob = new Glob(text, style);
        // The same glob is used again: nothing may be left over from the name before.
        for (const each of names) {
          expect(glob.matches(each)).toBe(globMatches(text, each, stops));
          expect(glob.matchesVisible(each)).toBe(globMatches(text, each, stops, true));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("is through with a name that makes backtracking explode", () => {
    const glob = new Glob(`**${"a*".repeat(100)}b`);
    expect(glob.matches("a".repeat(20_000))).toBe(false);
    expect(glob.matches(`${"a".repeat(20_000)}b`)).toBe(true);
  });
});

test("the first segment ends at a separator", () => {
  expect(["a.b.c", "a/b", "abc", ".a", ""].map(firstSegment)).toEqual(["a", "a", "abc", "", ""]);
});
