/** Author patterns hold their samples, match as they are used, and cannot hang or fill the memory. */
import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { compilePattern, Pattern, PatternInputTooLong } from "./pattern.ts";
import type { PatternProblem, WrittenPattern } from "./pattern.ts";

function compiled(pattern: string, match: readonly string[], noMatch: readonly string[]): Pattern {
  const result = compilePattern("sample", { pattern, match, noMatch });
  if (!(result instanceof Pattern)) throw new Error(result.problem);
  return result;
}

function refused(written: Partial<WrittenPattern>): PatternProblem {
  const result = compilePattern("sample", { pattern: "a", match: ["a"], noMatch: ["b"], ...written });
  if (result instanceof Pattern) throw new Error("it was compiled");
  return result;
}

describe("matching", () => {
  const ticket = compiled("[A-Z]{2,5}-[0-9]{1,6}", ["OPS-1"], ["ops-1", "OPS"]);

  test("a whole text", () => {
    expect(ticket.matchesWhole("OPS-1234")).toBe(true);
    expect(ticket.matchesWhole("see OPS-1234")).toBe(false);
    expect(ticket.matchesWhole("OPS-1234\n")).toBe(false);
  });

  test("within a text", () => {
    expect(ticket.findsIn("see OPS-1234 and others")).toBe(true);
    expect(ticket.findsIn("see nothing")).toBe(false);
  });

  test("every alternative is tried on the whole text", () => {
    expect(compiled("a|ab", ["ab"], ["b"]).matchesWhole("ab")).toBe(true);
    expect(compiled("a|ab", ["ab"], ["b"]).matchesWhole("abc")).toBe(false);
  });

  test("the end of a text is its end, not the line before it", () => {
    expect(compiled("^a$", ["a"], ["b"]).findsIn("a\n")).toBe(false);
  });

  test("a noMatch sample in which it is found", () => {
    expect(ticket.foundInSample).toBeNull();
    expect(compiled("[0-9]{4}", ["1234"], ["no", "card 1234"]).foundInSample).toBe("card 1234");
  });
});

describe("samples", () => {
  const cases: readonly (readonly [Partial<WrittenPattern>, string, string, readonly (string | number)[]])[] = [
    [{ match: [] }, "match has no sample", "Give a text that it must match", ["match"]],
    [{ noMatch: [] }, "noMatch has no sample", "Give a text that it must not match", ["noMatch"]],
    [{ match: ["a", "x"] }, 'the pattern does not match "x"', "", ["match", 1]],
    [
      { match: ["ab"] },
      'the pattern does not match "ab"',
      "A sample is matched as a whole, and only a part of it matches",
      ["match", 0],
    ],
    [{ noMatch: ["b", "a"] }, 'the pattern matches "a"', "", ["noMatch", 1]],
    [{ match: ["a".repeat(65_537)] }, "the sample is too long", "tried on at most 65536 characters", ["match", 0]],
    [{ noMatch: ["b".repeat(65_537)] }, "the sample is too long", "", ["noMatch", 0]],
    [{ noMatch: Array.from({ length: 51 }, () => "b") }, "noMatch has more than 50 samples", "", ["noMatch"]],
  ];
  for (const [written, problem, suggestion, path] of cases) {
    test(problem, () => {
      const found = refused(written);
      expect(found.problem).toBe(problem);
      expect(found.suggestion).toContain(suggestion);
      expect(found.path).toEqual(path);
    });
  }
});

describe("what cannot be read", () => {
  const cases: Readonly<Record<string, readonly [string, string]>> = {
    "(a": ["missing closing )", ""],
    "a**": ["invalid nested repetition", ""],
    "(?=a)": ["Perl syntax", "neither look-around nor back-references"],
    "(a)\\1": ["invalid escape", "neither look-around nor back-references"],
    "(?<!a)b": ["invalid named capture", "neither look-around nor back-references"],
    "a{1001}": ["invalid repeat count", ""],
    "[z-a]": ["invalid character class range", ""],
  };
  for (const [pattern, [problem, suggestion]] of Object.entries(cases)) {
    test(pattern, () => {
      const found = refused({ pattern });
      expect(found.problem).toStartWith("the pattern cannot be read: ");
      expect(found.problem).toContain(problem);
      expect(found.suggestion).toContain(suggestion);
      expect(found.path).toEqual(["pattern"]);
    });
  }
});

describe("hostile patterns are refused", () => {
  const before = [
    "(a{1000}){1000}",
    "((a{100}){100}){100}",
    "(?:abcdefghijklmnopqrst){1000}",
    "(?i:\\pL\\pL\\pL\\pL\\pL\\pL\\pL\\pL\\pL\\pL){1000}",
    "(?:[()[:alpha:])]abcdefghijk){1000}",
    "(?:[]()]abcdefghijk){1000}",
    "(?:[^])]abcdefghijk){1000}",
    "(?:abcdefghijk\\)){1000}",
    "(?:abcdefghijk[\\])]){1000}",
    "(?:abcdefghijk[)]){1000}",
    "(?:abcdefghijk){0,1000}",
    "(?:abcdefghijk){1000,}",
    "(?:(?:abc){100}){40}",
    "(?:abcdef{10}){800}",
    ")(?:abcdefghijk){1000}",
  ];
  for (const pattern of before) {
    test(`before they are compiled: ${pattern}`, () => {
      const compile = spyOn(RE2JS, "compile");
      try {
        expect(refused({ pattern }).problem).toContain("too large");
        expect(compile).not.toHaveBeenCalled();
      } finally {
        compile.mockRestore();
      }
    });
  }
  for (const pattern of ["a{1000}a{1000}", "(?:a{1,50}){1,20}", "\\pL{0,600}\\pN{0,600}"]) {
    test(`for their size: ${pattern}`, () => expect(refused({ pattern }).problem).toContain("too large"));
  }
  test("long", () =>
    expect(refused({ pattern: "a".repeat(501) }).problem).toBe("the pattern is longer than 500 characters"));
  test("deep", () => {
    expect(refused({ pattern: `${"(".repeat(51)}a${")".repeat(51)}` }).problem).toContain("nested deeper than 50");
    expect(compiled(`${"(".repeat(50)}a${")".repeat(50)}`, ["a"], ["b"]).matchesWhole("a")).toBe(true);
  });
});

test("honest patterns are not refused", () => {
  const honest: Readonly<Record<string, string>> = {
    "[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?": "DE89 3704 0044 0532 0130 00",
    "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}": "10.0.0.1",
    "[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}\\.[A-Za-z]{2,24}": "ann@example.com",
    "(?:\\d[ -]?){13,19}": "4111 1111 1111 1111",
    "sk-[A-Za-z0-9]{20,}": "sk-abcdefghijklmnopqrstuvwxyz",
    "\\x{1F600}\\p{Greek}{2}": "😀αβ",
  };
  for (const [pattern, sample] of Object.entries(honest)) {
    expect(compiled(pattern, [sample], ["-"]).matchesWhole(sample)).toBe(true);
  }
});

describe("texts", () => {
  test("are bounded by what the pattern costs", () => {
    const small = compiled("a", ["a"], ["b"]);
    expect(small.inputCharsMax).toBe(65_536);
    expect(small.findsIn("b".repeat(65_536))).toBe(false);
    expect(() => small.findsIn("b".repeat(65_537))).toThrow(PatternInputTooLong);
    expect(() => small.matchesWhole("b".repeat(65_537))).toThrow(PatternInputTooLong);
    const large = compiled("a{900}b?", ["a".repeat(900)], ["b"]);
    expect(large.inputCharsMax).toBeLessThan(4500);
    expect(() => large.findsIn("b".repeat(4500))).toThrow(PatternInputTooLong);
  });

  test("that JavaScript's own engine gives up on", () => {
    const text = `${"a".repeat(28)}!`;
    expect(compiled("(?:(a+)+$|a+!)", [text], ["b"]).matchesWhole(text)).toBe(true);
  });

  test("with half a surrogate pair", () => {
    expect(compiled("[^a]", ["b"], ["a"]).matchesWhole("\ud800")).toBe(true);
  });
});

/** Pieces of patterns, sound or not, put together at random. */
const piece = fc.constantFrom(
  ..."a b . \\d \\pL [a-z] [^]x] [[:digit:]] [\\]] ( (?: ) | * + ? {2} {3,} {1,30} {400} \\) \\{ ( ) {20} ] } {".split(
    " ",
  ),
);

test("whatever is handed over stays small", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const pattern = pieces.join("");
      const result = compilePattern("random", { pattern, match: ["-"], noMatch: ["-"] });
      const isTooLarge = !(result instanceof Pattern) && result.problem.includes("too large");
      const library = librarySize(pattern);
      // What the library needs is never far above what was estimated, or it was refused before.
      expect(isTooLarge || library === null || library <= 1000).toBe(true);
      if (isTooLarge && library !== null) expect(library).toBeGreaterThan(300);
    }),
    { numRuns: 3000 },
  );
});

function librarySize(pattern: string): number | null {
  try {
    return RE2JS.compile(pattern).programSize();
  } catch {
    return null;
  }
}
