/** Canonical JSON against the examples of RFC 8785 and against a second, slower way to write it. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { canonicalJson, type Json } from "./canonical.ts";

test("the example of RFC 8785, section 3.2.2", () => {
  const example: Json = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27],
    string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
    literals: [null, true, false],
  };
  expect(canonicalJson(example)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test("keys are ordered by UTF-16 code units, as in RFC 8785, section 3.2.3", () => {
  const example: Json = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const order = [...canonicalJson(example).matchAll(/:"(\w+)/g)].map((match) => match[1]);
  expect(order).toEqual(["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]);
});

test("numbers as in RFC 8785, appendix B", () => {
  const samples: [number, string][] = [
    [0, "0"],
    [-0, "0"],
    [5e-324, "5e-324"],
    [-5e-324, "-5e-324"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [9007199254740992, "9007199254740992"],
    [295147905179352830000, "295147905179352830000"],
    [9.999999999999997e22, "9.999999999999997e+22"],
    [1e23, "1e+23"],
    [0.000001, "0.000001"],
    [1e-7, "1e-7"],
  ];
  for (const [number, text] of samples) expect(canonicalJson(number)).toBe(text);
  expect(() => canonicalJson(Number.NaN)).toThrow(RangeError);
  expect(() => canonicalJson([Number.POSITIVE_INFINITY])).toThrow(RangeError);
});

test("any value is written as the reference writes it", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3, stringUnit: "binary" }), (value) => {
      expect(canonicalJson(value as Json)).toBe(reference(JSON.parse(JSON.stringify(value))));
    }),
    { numRuns: 150 },
  );
});

test("a lone surrogate becomes the replacement character, and the result is valid UTF-8", () => {
  expect(canonicalJson({ "\ud800": "\udc00a" })).toBe('{"\ufffd":"\ufffda"}');
});

test("nesting is bounded", () => {
  let deep: Json = 1;
  for (let i = 0; i < 65; i++) deep = [deep];
  expect(() => canonicalJson(deep)).toThrow(RangeError);
});

/** RFC 8785 by its definition: sort the members of every object, then write them with the platform's own serialiser. */
function reference(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.toWellFormed());
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(reference).join(",")}]`;
  const members = Object.entries(value).toSorted(([a], [b]) => {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const difference = a.charCodeAt(i) - b.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return a.length - b.length;
  });
  return `{${members.map(([key, member]) => `${reference(key)}:${reference(member)}`).join(",")}}`;
}
