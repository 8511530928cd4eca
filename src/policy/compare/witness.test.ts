/** Witnesses: whatever classes of names some lists tell apart, one name of each is found. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { NameList } from "../engine/names.ts";
import { membershipOf, witnesses } from "./witness.ts";
import type { Witness } from "./witness.ts";

function listsOf(...texts: readonly (readonly string[])[]): readonly NameList[] {
  return texts.map((each) => new NameList(each));
}

function memberships(lists: readonly NameList[], found: readonly Witness[]): readonly string[] {
  return found.map(({ name }) => membershipOf(name, lists)).toSorted();
}

describe("the classes of", () => {
  const cases: readonly [what: string, lists: readonly NameList[], memberships: readonly string[]][] = [
    ["nothing", [], [""]],
    ["literals", listsOf(["ann"], ["bob", "ann"]), ["00", "01", "11"]],
    ["a glob and a literal in it", listsOf(["bot-*"], ["bot-7"]), ["00", "10", "11"]],
    ["two globs with a name in common", listsOf(["bot-*"], ["*-prod"]), ["00", "01", "10", "11"]],
    ["two globs without", listsOf(["bot-*"], ["agent-*"]), ["00", "01", "10"]],
    [
      "globs in which segments count",
      listsOf(["*.users"], ["public.*"], ["**.id"]),
      ["000", "001", "010", "011", "100", "110"],
    ],
    ["everything", listsOf(["**"]), ["1"]],
    ["one glob within another", listsOf(["a**z"], ["a*m*z"]), ["00", "10", "11"]],
  ];
  for (const [what, lists, expected] of cases) {
    test(what, () => expect(memberships(lists, witnesses(lists))).toEqual([...expected]));
  }
});

test("a stranger is none of the literals", () => {
  const lists = listsOf(["someone-else", "someone-else-"]);
  expect(memberships(lists, witnesses(lists))).toEqual(["0", "1"]);
});

test("names that are given stand for their class before those made up", () => {
  const found = witnesses(listsOf(["public.*"]), ["public.users", "public.orders"]);
  expect(found.map(({ name }) => name)).toEqual(["someone-else", "public.users"]);
  expect(found[1]?.alike).toEqual(["public.users", "public.orders", "public.*"]);
});

test("literals and globs in the same lists are told together", () => {
  const [, known] = witnesses(listsOf(["ann", "bob", "bot-*"]));
  expect(known).toEqual({ name: "ann", alike: ["ann", "bob", "bot-*"] });
});

test("no two names are of one class, and every class of short names is found when no three globs meet", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "**"), minLength: 1, maxLength: 5 });
  const shortNames = ["", "a", "b", "."].flatMap((x) =>
    ["", "a", "b", "."].flatMap((y) => ["", "a", "b", "."].map((z) => x + y + z)),
  );
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 1, maxLength: 2 }),
      fc.array(text, { minLength: 1, maxLength: 1 }),
      (one, two) => {
        // At most two globs in all: a class is in both, in one, or in none.
        const globs = [...one, ...two].filter((each) => each.includes("*"));
        fc.pre(new Set(globs).size <= 2);
        const lists = listsOf(one, two);
        const found = memberships(lists, witnesses(lists));
        expect(new Set(found).size).toBe(found.length);
        for (const name of shortNames) {
          const membership = membershipOf(name, lists);
          if (membership.includes("1")) expect(found).toContain(membership);
        }
      },
    ),
    { numRuns: 5000 },
  );
});
