/** Whether globs meet, against all names of a small alphabet. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Glob } from "../engine/glob.ts";
import { globsMeet } from "./glob-meet.ts";

const NAME_CHARS_MAX = 6;

function names(): readonly string[] {
  let last = [""];
  const all = [...last];
  for (let length = 0; length < NAME_CHARS_MAX; length++) {
    last = last.flatMap((name) => ["a", "b", "."].map((character) => name + character));
    all.push(...last);
  }
  return all;
}

test("exactly when some name matches both", () => {
  const all = names();
  // At most three characters each: if there is a name, there is one that is short enough to be tried.
  const glob = fc
    .array(fc.constantFrom("a", "b", ".", "*", "**"), { maxLength: 5 })
    .filter((symbols) => symbols.filter((symbol) => !symbol.startsWith("*")).length <= 3)
    .map((symbols) => symbols.join(""));
  const seen = { true: 0, false: 0 };
  fc.assert(
    fc.property(glob, glob, (one, other) => {
      const [a, b] = [new Glob(one), new Glob(other)];
      const meets = all.some((name) => a.matches(name) && b.matches(name));
      seen[`${meets}`]++;
      expect(globsMeet(one, other)).toBe(meets);
    }),
    { numRuns: 1000 },
  );
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(100);
});

test("a slash parts names as a dot does", () => {
  expect(globsMeet("a*", "a/b")).toBe(false);
  expect(globsMeet("a**", "a/b")).toBe(true);
});

test("many wildcards are not tried one by one", () => {
  expect(globsMeet("*a".repeat(250), `${"*b".repeat(250)}c`)).toBe(false);
});
