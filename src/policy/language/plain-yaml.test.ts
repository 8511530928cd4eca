/** The quick reader: whatever it accepts, it reads as the library does, to the last offset; the rest is the library's. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { readYaml } from "./library-yaml.ts";
import { readPlainYaml } from "./plain-yaml.ts";

// Only so that a busy machine does not fail the test.
setDefaultTimeout(240_000);

const ROOT = join(import.meta.dir, "../../..");
const RUNS = 10_000;
/** 2.8% of them are plain; with so many, chance does not bring that below the bound of 2.5%. */
const BROKEN_RUNS = 60_000;

/** True when the text was plain; throws when it was read as something else than YAML has it. */
function isReadAlike(text: string): boolean {
  const plain = readPlainYaml(text);
  if (plain === null) return false;
  expect({ text, read: readYaml(text) }).toEqual({ text, read: plain });
  return true;
}

const PLAIN_SCALARS = [
  "a",
  "my.table",
  "$set",
  "/etc/x",
  "20s",
  "5MiB",
  "30/1m",
  "12",
  "0",
  "true",
  "null",
  "-l",
  "-n",
  "-f",
  ".",
  "..",
  "3f6c2a10-77a1-4a5e",
  "--no-pager",
  "(x)",
  "two words",
  "a-b_c",
  "select for update",
  "http://x/y",
  "12:30",
  "2027-06-30T00:00:00Z",
  "é",
  "a#b",
];
/** Texts that YAML reads in ways of its own, or that are none. */
const ODD_SCALARS = [
  "",
  "~",
  "Null",
  "TRUE",
  "yes",
  "007",
  "1e3",
  "0x1F",
  ".inf",
  "-",
  "- a",
  "-1",
  "+1",
  "1.5",
  "1e+3",
  "-.inf",
  ".NaN",
  "0o7",
  "1-2",
  "e5",
  ".e5",
  "1.",
  ".5",
  "+",
  "1e",
  "0x",
  "...",
  "---",
  "a: b",
  "a:",
  ":a",
  "a #b",
  "#a",
  "&x",
  "*x",
  "!t",
  "|",
  ">",
  "%x",
  "@x",
  "`x",
  "?",
  "? a",
  "[",
  "]",
  "{",
  "}",
  ",",
  "a,b",
  "a]b",
  "'",
  '"',
  "\u2028",
  "\u0085",
  "\ufeff",
  "\u00a0x",
  "💥",
  "a\tb",
  "<<",
  "=",
  "__proto__",
];
const KEYS = ["a", "b", "id", "long-key", "public.users.id", "x/y", "k_1"];
const ODD_KEYS = ["", "1", "true", "null", "-a", ".a", "a b", "'a'", '"a"', "$a", "*a", "? a", "[a]", "é", "a:b", "<<"];

const scalar = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom(...PLAIN_SCALARS) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...PLAIN_SCALARS, ...PLAIN_SCALARS, ...ODD_SCALARS).map((text) => `"${text}"`),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...PLAIN_SCALARS, ...PLAIN_SCALARS, ...ODD_SCALARS).map((text) => `'${text}'`),
  },
  { weight: 1, arbitrary: fc.constantFrom(...ODD_SCALARS) },
);
const key = fc.oneof(
  { weight: 100, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD_KEYS) },
);
/** Within flow collections; a new line, and a comment before one, are as good as a space. */
const space = fc.constantFrom(
  ...Array.from({ length: 12 }, () => ""),
  " ",
  "  ",
  "\n    ",
  "\n        ",
  " # why\n      ",
  "\n # c\n      ",
  "\n\n      ",
  "\n  ",
  "\n",
);
const COLON = fc.constantFrom(...Array.from({ length: 20 }, () => ": "), ":  ", ":");
const DASH = fc.constantFrom(...Array.from({ length: 20 }, () => "- "), "-  ", "-");
const comment = fc.constantFrom(...Array.from({ length: 20 }, () => ""), " # why", " #", "#no", "  ");

const comma = fc.constantFrom(",", ", ", ", ", ",  ", ",\n      ");
const lastComma = fc.constantFrom("", "", "", "", "", "", ",", ", ");
const { flow } = fc.letrec<{ flow: string; list: string; map: string }>((tie) => ({
  flow: fc.oneof({ maxDepth: 3, depthIdentifier: "flow" }, scalar, tie("list"), tie("map")),
  list: fc
    .tuple(space, fc.array(fc.tuple(tie("flow"), space), { maxLength: 3 }), comma, lastComma, space)
    .map(([before, items, parting, last, after]) => {
      const inner = items.map((item) => item.join("")).join(parting);
      return `[${before}${inner}${last}${after}]`;
    }),
  map: fc
    .tuple(space, fc.array(fc.tuple(key, COLON, tie("flow")), { maxLength: 3 }), comma, lastComma, space)
    .map(([before, entries, parting, last, after]) => {
      const inner = entries.map((entry) => entry.join("")).join(parting);
      return `{${before}${inner}${last}${after}}`;
    }),
}));

/** Lines of a block, as deep as they go; each is indented by whoever holds it. */
type Block = readonly string[];
const indented = (lines: Block, by: number): Block => lines.map((line) => " ".repeat(by) + line);

const { block } = fc.letrec<{ block: Block; map: Block; list: Block }>((tie) => ({
  block: fc.oneof({ maxDepth: 4, depthIdentifier: "block" }, tie("map"), tie("list")),
  map: fc
    .array(
      fc.oneof(
        fc.tuple(key, COLON, flow, comment).map((parts): Block => [parts.join("")]),
        fc
          .tuple(key, comment, fc.constantFrom(0, 1, 2, 4), flow)
          .map(([name, more, by, value]): Block => [`${name}:${more}`, " ".repeat(by) + value]),
        fc
          .tuple(key, comment, fc.constantFrom(0, 1, 2, 4), tie("block"))
          .map(([name, more, by, lines]): Block => [`${name}:${more}`].concat(indented(lines, by))),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((entries) => entries.flat()),
  list: fc
    .array(
      fc.oneof(
        fc.tuple(DASH, flow, comment).map((parts): Block => [parts.join("")]),
        fc.tuple(fc.constantFrom(1, 1, 2, 3), tie("block")).map(([by, lines]): Block => {
          const item = indented(lines, by + 1);
          return item.with(0, `-${(item[0] ?? "").slice(1)}`);
        }),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map((items) => items.flat()),
}));

const document = fc
  .tuple(
    block,
    fc.array(fc.tuple(fc.nat(20), fc.constantFrom("", "  ", "# c", "   # c"))),
    fc.constantFrom("\n", "\n\n", ""),
  )
  .map(([lines, more, end]) => {
    const result = [...lines];
    for (const [at, line] of more) result.splice(at, 0, line);
    return result.join("\n") + end;
  });

const PIECES = [
  " ",
  "  ",
  "\n",
  "\n ",
  ":",
  ": ",
  "#",
  " #",
  "-",
  "- ",
  ",",
  "[",
  "]",
  "{",
  "}",
  "'",
  '"',
  "\\",
  "&a",
  "*a",
  "!",
  "|",
  ">",
  "?",
  "%",
  "\t",
  "\r\n",
  "---",
  "...",
  "\ufeff",
  "a",
  "1",
  "~",
];
const mutated = fc
  .tuple(
    document,
    fc.array(fc.tuple(fc.nat(400), fc.nat(2), fc.constantFrom("", ...PIECES)), { minLength: 1, maxLength: 2 }),
  )
  .map(([text, changes]) => {
    let result = text;
    for (const [at, remove, insert] of changes) {
      const place = at % (result.length + 1);
      result = result.slice(0, place) + insert + result.slice(place + remove);
    }
    return result;
  });

describe("whatever is read quickly is read alike:", () => {
  test("documents in many styles, of which a good part is plain", () => {
    let plain = 0;
    fc.assert(
      fc.property(document, (text) => void (plain += isReadAlike(text) ? 1 : 0)),
      { numRuns: RUNS },
    );
    expect(plain).toBeGreaterThan(RUNS / 12);
  });

  test("documents with something broken in them", () => {
    let plain = 0;
    fc.assert(
      fc.property(mutated, (text) => void (plain += isReadAlike(text) ? 1 : 0)),
      { numRuns: BROKEN_RUNS },
    );
    expect(plain).toBeGreaterThan(BROKEN_RUNS / 40);
  });

  test("the sets of this repository, nearly all of which is plain", () => {
    const paths = [...new Bun.Glob("**/*.yaml").scanSync(join(ROOT, "policies"))];
    const left = paths.filter((path) => !isReadAlike(readFileSync(join(ROOT, "policies", path), "utf8")));
    expect(paths.length).toBeGreaterThan(4);
    expect(left.length).toBeLessThan(paths.length / 5);
  });
});

test("every scalar is read alike wherever it stands, or left to the library", () => {
  const more = ["-1.5", "-1E-3", "-.5", "-0", "00", "-e", "..", "0x1f", "1.2.3", "1e5.5", "--1"];
  let plain = 0;
  for (const scalar of [...PLAIN_SCALARS, ...ODD_SCALARS, ...more]) {
    for (const written of [scalar, `"${scalar}"`, `'${scalar}'`]) {
      for (const place of [
        `a: ${written}`,
        `- ${written}`,
        `a: [${written}]`,
        `a: { b: ${written} }`,
        `${written}: a`,
      ]) {
        for (const text of [place, `# why\n${place}`, `${place}\n# why\nb: c`, `x: y # why\n${place}`]) {
          plain += isReadAlike(`${text}\n`) ? 1 : 0;
        }
      }
    }
  }
  expect(plain).toBeGreaterThan(1000);
});

test.each([
  ["an anchor", "a: &x b\n"],
  ["an alias", "a: *x\n"],
  ["a tag", "a: !!str b\n"],
  ["a block scalar", "a: |\n  b\n"],
  ["a text that goes on below", "a: b\n  c\n"],
  ["a flow that goes on too far left", "a: [b,\nc]\n"],
  ["escapes", 'a: "b\\n"\n'],
  ["two documents", "a: b\n---\nc: d\n"],
  ["a directive", "%YAML 1.2\n---\na: b\n"],
  ["no value", "a:\nb: c\n"],
  ["a number that JavaScript might round", "a: 12345678901234567890\n"],
  ["nothing", ""],
  ["a word", "a\n"],
])("%s is left to the library", (_, text) => {
  expect(readPlainYaml(text)).toBeNull();
});
