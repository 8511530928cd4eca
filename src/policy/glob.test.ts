/** Globs against a table, against a naive matcher, and on input made to be slow. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { firstSegment, Glob } from "./glob.ts";

/** The meaning, written as plainly as it can be. */
function naive(pattern: string, name: string): boolean {
  if (pattern === "") return name === "";
  if (pattern.startsWith("**")) {
    const rest = pattern.slice(2);
    // A longer run of stars is no more than two.
    if (rest.startsWith("*")) return naive(`*${rest}`, name);
    return naive(rest, name) || (name !== "" && naive(pattern, name.slice(1)));
  }
  if (pattern.startsWith("*")) {
    if (naive(pattern.slice(1), name)) return true;
    return name !== "" && name[0] !== "." && name[0] !== "/" && naive(pattern, name.slice(1));
  }
  return name !== "" && pattern[0] === name[0] && naive(pattern.slice(1), name.slice(1));
}

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

  test("means what the naive matcher says", () => {
    const pattern = fc.string({ unit: fc.constantFrom("a", "b", ".", "/", "*"), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom("a", "b", ".", "/"), maxLength: 10 });
    fc.assert(
      fc.property(pattern, fc.array(name, { maxLength: 5 }), (text, names) => {
        const glob = new Glob(text);
        // The same glob is used again: nothing may be left over from the name before.
        for (const each of names) expect(glob.matches(each)).toBe(naive(text, each));
      }),
      { numRuns: 3000 },
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
