/** Random statements whose names are spelled in all the ways of PostgreSQL: what comes out is known piece by piece. */
import { beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { grammars, shapeOf, statementsOf } from "../../../test/corpus/splicing.ts";
import { loadParser } from "../parser.ts";
import type { ParseResult } from "../parser.ts";
import { splice } from "./splice.ts";
import type { Edit } from "./splice.ts";

/** A piece of a statement: kept as it is, or replaced as a whole by an edit that points at the byte behind `before`. */
type Piece =
  | string
  | {
      readonly before: string;
      readonly name: string;
      readonly replacement: string;
      readonly edit: (at: number) => Edit;
    };

const encoder = new TextEncoder();

beforeAll(async () => {
  await Promise.all(grammars.map(({ major }) => loadParser(major)));
});

const COMMENTS = ["/**/", "/* ' /* \" */ -- */", "-- it's\n", "/*é日😀*/", "--/*\r", "/* $a$ */", "---\n"];
const blank = fc.constantFrom(" ", "\n", "\t\r\n", "  ", "\f");
/** What may stand between two tokens that nothing else parts. */
const gap = fc
  .tuple(blank, fc.array(fc.oneof(blank, fc.constantFrom(...COMMENTS)), { maxLength: 2 }))
  .map(([first, others]) => first + others.join(""));
const maybeGap = fc.oneof(fc.constant(""), gap, fc.constantFrom(...COMMENTS));

const PLAIN_NAMES = ["foo", "a_1$x", "_b", "ä", "日本", "name", "😀", "u", "e"];
const OTHER_NAMES = ["Foo", "select", "a b", 'q"x', "--", "/*", "'", "a.b", "$a$", "only", "table", "\\0061", "\ufeff"];

/** A name and one way to write it; a plain spelling ends and begins like a word. */
type Spelled = { readonly name: string; readonly spelling: string };

function escaped(name: string, mark: string, which: number): string {
  return Array.from(name)
    .map((character, index) => {
      const code = character.codePointAt(0) ?? 0;
      if (character === '"') return '""';
      if ((which >> index) % 2 === 0 && character !== mark) return character;
      const hex = code.toString(16);
      return code > 0xffff ? `${mark}+${hex.padStart(6, "0")}` : `${mark}${hex.padStart(4, "0")}`;
    })
    .join("");
}

const plain = fc
  .tuple(fc.constantFrom(...PLAIN_NAMES), fc.boolean())
  .map(([name, isUpper]): Spelled => ({ name, spelling: isUpper ? upper(name) : name }));
const quoted = fc
  .constantFrom(...PLAIN_NAMES, ...OTHER_NAMES)
  .map((name): Spelled => ({ name, spelling: `"${name.replaceAll('"', '""')}"` }));
const unicode = fc
  .tuple(fc.constantFrom(...PLAIN_NAMES, ...OTHER_NAMES), fc.nat(255))
  .map(([name, which]): Spelled => ({ name, spelling: `U&"${escaped(name, "\\", which)}"` }));
const unicodeOwn = fc
  .tuple(
    fc.constantFrom(...PLAIN_NAMES, ...OTHER_NAMES),
    fc.nat(255),
    fc.constantFrom("uescape'!'", " UESCAPE '!'", "\nUescape\t$$!$$", " uescape E'!'"),
  )
  .map(([name, which, escape]): Spelled => ({ name, spelling: `u&"${escaped(name, "!", which)}"${escape}` }));
const name = fc.oneof(plain, quoted, unicode, unicodeOwn);

/** The server folds ASCII only. */
function upper(text: string): string {
  return Array.from(text, (character) => (character < "\u0080" ? character.toUpperCase() : character)).join("");
}

function inQuotes(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** `a . b`, with gaps around the dots. */
function path(partsMax: number): fc.Arbitrary<{ readonly last: string; readonly text: string }> {
  return fc
    .tuple(fc.array(fc.tuple(name, maybeGap, maybeGap), { maxLength: partsMax - 1 }), name)
    .map(([qualifiers, { name: last, spelling }]) => ({
      last,
      text: qualifiers.map(([part, before, behind]) => `${part.spelling}${before}.${behind}`).join("") + spelling,
    }));
}

const fragment = fc.constantFrom(
  "SELECT 1",
  "SELECT 'é' AS \"日\" -- )",
  "(SELECT 1)",
  "TABLE x /* ( */",
  "SELECT $$ ) $$",
);
const expression = fc.constantFrom("'x'::pg_catalog.text", "f(1) --", '"日"."😀"', "(1)");
const list = fc.constantFrom("1 AS \"a\", 'é'", '"b".*', 'NULL::text AS "email" -- ,');

function closed(text: string): string {
  return text.includes("--") ? `${text}\n` : text;
}

const alias = fc.oneof(
  fc.constant(""),
  fc.tuple(gap, fc.constantFrom("AS ", "as/**/", ""), name).map(([before, as, { spelling }]) => before + as + spelling),
  fc.constantFrom(' AS f("x", y)', '"f"', 'U&"f"(x)'),
);

/** ONLY, ONLY (...), or a star. */
const around = fc.oneof(
  fc.constant({ before: "", behind: "" }),
  gap.map((blanks) => ({ before: `ONLY${blanks}`, behind: "" })),
  fc.tuple(maybeGap, maybeGap, maybeGap).map(([a, b, c]) => ({ before: `only${a}(${b}`, behind: `${c})` })),
  maybeGap.map((blanks) => ({ before: "", behind: `${blanks}*` })),
);

const relation: fc.Arbitrary<Piece[]> = fc
  .tuple(around, path(3), fragment, alias)
  .map(([{ before, behind }, { last, text }, subquery, as]) => [
    {
      before,
      name: text + behind,
      replacement: `(${closed(subquery)})${as === "" ? ` AS ${inQuotes(last)}` : ""}`,
      edit: (at) => ({ kind: "relation", at, subquery }),
    },
    // Directly behind a parenthesis or a star, a quoted name is one of its own.
    behind === "" && /^["U]/.test(as) ? ` ${as}` : as,
  ]);

const table: fc.Arbitrary<Piece[]> = fc
  .tuple(fc.constantFrom("TABLE", "table"), gap, around, path(3), fragment)
  .map(([word, blanks, { before, behind }, { last, text }, subquery]) => [
    {
      before: word + blanks + before,
      name: text + behind,
      replacement: `SELECT * FROM (${closed(subquery)}) AS ${inQuotes(last)}`,
      edit: (at) => ({ kind: "relation", at, subquery }),
    },
  ]);

const column: fc.Arbitrary<Piece[]> = fc
  .tuple(path(4), expression, fc.constantFrom("", "[1]", "[1].b", "::text"))
  .map(([{ text }, sql, behind]) => [
    {
      before: "",
      name: text,
      replacement: `(${closed(sql)})`,
      edit: (at) => ({ kind: "column", at, expression: sql }),
    },
    behind,
  ]);

const label = fc.oneof(
  fc.constant(""),
  fc
    .tuple(gap, fc.constantFrom("AS ", "as\n"), fc.oneof(name, fc.constant({ spelling: "select" })))
    .map(([before, as, { spelling }]) => before + as + spelling),
  fc.tuple(gap, fc.oneof(quoted, unicode, unicodeOwn)).map(([before, { spelling }]) => before + spelling),
);

const target: fc.Arbitrary<Piece[]> = fc
  .oneof(
    fc.constant("*"),
    fc.tuple(path(3), maybeGap).map(([{ text }, blanks]) => `${text}${blanks}.*`),
    fc.tuple(path(3), label).map(([{ text }, as]) => text + as),
  )
  .chain((text) =>
    list.map((targets): Piece[] => [
      { before: "", name: text, replacement: closed(targets), edit: (at) => ({ kind: "targets", at, targets }) },
    ]),
  );

const copied: fc.Arbitrary<Piece[]> = fc
  .tuple(path(3), fc.array(fc.tuple(maybeGap, name, maybeGap), { maxLength: 3 }), maybeGap, fragment)
  .map(([{ text }, columns, blanks, query]) => {
    const names = columns.map(([before, { spelling }, behind]) => before + spelling + behind);
    const attributes = names.length === 0 ? "" : `${blanks}(${names.join(",")})`;
    return [
      {
        before: "",
        name: text + attributes,
        replacement: `(${closed(query)})`,
        edit: (at) => ({ kind: "copy", at, query }),
      },
    ];
  });

const kept = fc.constantFrom(
  "1",
  "$1",
  "'it''s'",
  "$a$ FROM foo $a$",
  "E'\\'--'",
  "'é😀'",
  "U&'\\0061'",
  "B'0'",
  "(x).y",
);

/** Pieces with gaps between them: a text that has one of `word` before each list of pieces. */
function written(...parts: (string | fc.Arbitrary<Piece[]>)[]): fc.Arbitrary<Piece[]> {
  const arbitraries = parts.map((part) => (typeof part === "string" ? fc.constant<Piece[]>([part]) : part));
  return fc
    .tuple(fc.tuple(...arbitraries), fc.array(gap, { minLength: parts.length, maxLength: parts.length }))
    .map(([lists, gaps]) => lists.flatMap((pieces, index) => [...pieces, gaps[index] ?? ""]));
}

const literal = kept.map((text): Piece[] => [text]);
const statement = fc.oneof(
  written("SELECT", target, ",", literal, "FROM", relation, ",", relation, "WHERE", column, "=", column),
  written(
    "SELECT",
    literal,
    "AS x FROM(",
    relation,
    "LEFT JOIN",
    relation,
    "ON",
    column,
    ")WHERE",
    literal,
    "=",
    column,
  ),
  written("SELECT count(", column, ")FROM", relation, "GROUP BY(", column, ")ORDER BY", column, "DESC"),
  written("DELETE FROM t USING", relation, "WHERE", column, "IS NULL RETURNING", target, ",", target),
  written(
    "UPDATE t SET a =",
    column,
    ",(b, c)=(SELECT",
    target,
    "FROM",
    relation,
    ")FROM",
    relation,
    "RETURNING",
    target,
  ),
  written("INSERT INTO t(a)", table, "ON CONFLICT (a) DO UPDATE SET a =", column, "RETURNING", target),
  written("(", table, ")UNION ALL", table, "ORDER BY 1"),
  written("WITH w AS(", table, ")SELECT", literal, "FROM w,LATERAL(SELECT", target, "FROM", relation, ")l"),
  written("MERGE INTO t USING", relation, "ON", column, "WHEN MATCHED THEN UPDATE SET a =", column),
  written("EXPLAIN SELECT EXISTS(SELECT FROM", relation, "),", literal),
  written("COPY", copied, "TO STDOUT WITH (FORMAT csv)"),
  written("COPY(SELECT", target, "FROM", relation, ")TO STDOUT"),
);
const texts = fc
  .array(statement, { minLength: 1, maxLength: 3 })
  .map((several) => several.flatMap((pieces, index) => (index === 0 ? pieces : [";", ...pieces])));

function treeOf(text: string, read: (text: string) => ParseResult): string {
  return shapeOf(statementsOf(text, read).map(({ kind, node }) => [kind, node]));
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}

test("only what is meant is replaced, and every position leads back", () => {
  fc.assert(
    fc.property(texts, fc.constantFrom(...grammars), (pieces, { read }) => {
      const text = pieces.map((piece) => (typeof piece === "string" ? piece : piece.before + piece.name)).join("");
      const wanted = pieces.map((piece) => (typeof piece === "string" ? piece : ` ${piece.replacement} `)).join("");
      const statements = statementsOf(text, read);
      const edits: Edit[] = [];
      let length = 0;
      for (const piece of pieces) {
        if (typeof piece !== "string") edits.push(piece.edit(length + encoder.encode(piece.before).length));
        length += encoder.encode(typeof piece === "string" ? piece : piece.before + piece.name).length;
      }
      const spliced = splice(text, statements, edits.toReversed(), read);
      if (!("text" in spliced)) throw new Error(spliced.because);
      expect(treeOf(spliced.text, read)).toBe(treeOf(wanted, read));

      // Kept pieces are there, character by character, and replacements, with a blank where another character would be.
      let at = 0;
      let original = 1;
      let position = 1;
      const take = (part: string, step: number): void => {
        expect(spliced.text.slice(at, at + part.length)).toBe(part);
        at += part.length;
        for (let index = 0; index < lengthOf(part); index++) {
          expect(spliced.positions.toOriginal(position++)).toBe(original);
          original += step;
        }
      };
      let end = 0;
      for (const piece of pieces) {
        if (typeof piece === "string") {
          take(piece, 1);
          end += piece.length;
          continue;
        }
        const isColumn = piece.edit(0).kind === "column";
        if (!isColumn && isSolid(text[end - 1])) take(" ", 0);
        take(piece.replacement, 0);
        end += piece.before.length + piece.name.length;
        if (!isColumn && isSolid(text[end])) take(" ", 0);
        original += lengthOf(piece.before + piece.name);
      }
      expect(at).toBe(spliced.text.length);
      for (const beyond of [0, 1, 100]) expect(spliced.positions.toOriginal(position + beyond)).toBe(original);
    }),
    { numRuns: 300 },
  );
});

/** Could be a part of a token. */
function isSolid(character: string | undefined): boolean {
  return character !== undefined && character.trim() !== "" && !"(),;".includes(character);
}
