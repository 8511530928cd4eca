/** Lists of names: without regard to case, of paths that are written to, and by the sets that hold them. */
import { describe, expect, test } from "bun:test";
import { foldCase, NameList, NameSets } from "./names.ts";

describe("a list that folds", () => {
  const list = new NameList(["Merge", "*_Secret"], { folds: true });
  test.each([
    ["merge", true],
    ["MERGE", true],
    ["create_SECRET", true],
    ["mer\u0261e", false],
    ["merges", false],
  ])("%p: %p", (name, isIn) => {
    expect(list.has(name)).toBe(isIn);
    expect(list.hasAny(["x", name])).toBe(isIn);
  });

  test("takes for the same what becomes the same in either case", () => {
    // The Kelvin sign, the long s, the dotless i.
    for (const [odd, plain] of [
      ["\u212a", "k"],
      ["\u017f", "s"],
      ["\u0131", "i"],
      ["\u03c2", "\u03c3"],
    ] as const) {
      expect(foldCase(odd)).toBe(foldCase(plain));
    }
  });

  test("shows its texts folded, so that what is filed by them is found", () => {
    expect(list.texts).toEqual(["*_secret", "merge"]);
    expect(new NameList(["Merge"]).has("merge")).toBe(false);
  });
});

describe("all below a folder", () => {
  test.each<[string, string, boolean, boolean]>([
    ["/srv/**", "/srv/a/**", true, true],
    ["/**", "/srv/a/**", true, true],
    ["**", "/srv/a/**", true, true],
    ["/srv/a/**", "/srv/a/**", true, true],
    ["/srv/a/*", "/srv/a/**", true, false],
    ["/srv/a/*/*", "/srv/a/**", true, false],
    ["/srv/a/keys/**", "/srv/a/**", true, false],
    ["/srv/a/keys/id", "/srv/a/**", true, false],
    ["/**/keys/**", "/srv/a/**", true, false],
    ["/srv/*/keys", "/srv/a/**", true, false],
    ["/srv/*", "/srv/a/**", false, false],
    ["/srv/a", "/srv/a/**", false, false],
    ["/srv/ab/**", "/srv/a/**", false, false],
    ["/opt/**", "/srv/a/**", false, false],
  ])("%p, %p: touched %p, covered %p", (text, subtree, isTouched, isCovered) => {
    const list = new NameList([text], { globs: "path" });
    expect(list.hasAny(["/elsewhere", subtree])).toBe(isTouched);
    expect([list.hasEvery([subtree]), list.hasEveryVisible([subtree])]).toEqual([isCovered, isCovered]);
  });

  test("is covered by one glob, and not by several that end somewhere", () => {
    const list = new NameList(["/srv/*", "/srv/*/*", "/srv/*/*/*", "/srv/*/*/*/*"], { globs: "path" });
    expect([list.hasEvery(["/srv/**"]), list.hasEveryVisible(["/srv/**"])]).toEqual([false, false]);
  });

  test("is looked for without regard to case by a list that folds", () => {
    const list = new NameList(["/Srv/A/keys/id", "/opt/Keys/*"], { folds: true, globs: "path" });
    expect([list.hasAny(["/srv/a/**"]), list.hasAny(["/OPT/**"]), list.hasAny(["/usr/**"])]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("is a name like others where names are no paths", () => {
    expect(new NameList(["a/b"]).has("a/**")).toBe(false);
  });
});

describe("a list of paths", () => {
  test.each<[string, string, boolean, boolean]>([
    ["/srv/*", "/srv/a.tar.gz", true, true],
    ["/srv/*", "/srv/a/b", false, false],
    ["/srv/**", "/srv/a/b", true, true],
    ["/srv/*", "/srv/.bashrc", true, false],
    ["/srv/**", "/srv/.ssh/keys", true, false],
    ["/srv/**", "/srv/a/.ssh/keys", true, false],
    ["**", ".bashrc", true, false],
    ["**/.ssh/*", "/users/a/.ssh/keys", true, true],
    ["/srv/.*", "/srv/.bashrc", true, true],
    ["/srv/.bashrc", "/srv/.bashrc", true, true],
    ["/srv/.ssh/**", "/srv/.ssh/keys", true, true],
    ["/srv/.ssh/**", "/srv/.ssh/.old", true, false],
    ["/srv/a*", "/srv/a.b", true, true],
  ])("%p and %p: listed %p, also where hidden files are spared %p", (glob, path, isListed, isVisible) => {
    const list = new NameList([glob], { globs: "path" });
    expect([list.has(path), list.hasEvery([path])]).toEqual([isListed, isListed]);
    expect(list.hasEveryVisible([path])).toBe(isVisible);
  });

  test("wants every path, and some", () => {
    const list = new NameList(["/a/*", "/b/.c"], { globs: "path" });
    expect(list.hasEveryVisible(["/a/x", "/b/.c"])).toBe(true);
    expect(list.hasEveryVisible(["/a/x", "/a/.c"])).toBe(false);
    expect(list.hasEveryVisible([])).toBe(false);
    expect(list.isOfPaths).toBe(true);
  });
});

describe("sets", () => {
  const nested = (depth: number): Map<string, string[]> =>
    new Map(Array.from({ length: depth }, (_, at) => [`s${at}`, at + 1 < depth ? [`$s${at + 1}`, `n${at}`] : ["end"]]));

  test("stand for what is in them, and in the sets in them", () => {
    const sets = new NameSets(nested(3));
    expect(sets.expand("$s0")).toEqual(new Set(["end", "n1", "n0"]));
    expect(sets.expand("s0")).toEqual(new Set(["s0"]));
    expect(sets.known).toEqual(["$s0", "$s1", "$s2"]);
  });

  test("may stand in each other eight deep, and not deeper", () => {
    expect(new NameSets(nested(8)).expand("$s0")).toBeInstanceOf(Set);
    expect(new NameSets(nested(9)).expand("$s0")).toEqual({ kind: "deep", set: "s8" });
    // What is known already is not looked into again.
    const sets = new NameSets(nested(9));
    expect(sets.expand("$s1")).toBeInstanceOf(Set);
    expect(sets.expand("$s0")).toBeInstanceOf(Set);
  });

  test("that are not there, or stand in themselves, are told", () => {
    const sets = new NameSets(
      new Map([
        ["a", ["$b"]],
        ["b", ["x", "$a"]],
        ["c", ["$d"]],
      ]),
    );
    expect(sets.expand("$a")).toEqual({ kind: "cycle", set: "a" });
    expect(sets.expand("$c")).toEqual({ kind: "unknown", set: "d" });
  });

  test("that hold too much are told", () => {
    const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `n${at}`);
    expect(new NameSets(new Map([["a", names(20_000)]])).expand("$a")).toBeInstanceOf(Set);
    expect(new NameSets(new Map([["a", names(20_001)]])).expand("$a")).toEqual({ kind: "large", set: "a" });
  });
});
