/** Tests that a comment anywhere between two words changes nothing about what the parser reads. */
import { beforeAll, describe, expect, test } from "bun:test";
import { SqlLexer } from "./mask/sql-lexer.ts";
import { isFields, loadParser, parse, parseSlow, type ParseResult } from "./parser.ts";
import { endIdleParserChildren } from "./parser-child.ts";
import { withoutComments } from "./without-comments.ts";

const MAJORS = [15, 16, 17, 18] as const;

beforeAll(async () => {
  for (const major of MAJORS) await loadParser(major);
});

/** Words that the server joins by the one that follows, and what comments may be mistaken for. */
const STATEMENTS = [
  "SELECT id FROM orders WHERE id NOT IN ( 1 , 2 )",
  "SELECT id FROM orders WHERE id NOT BETWEEN 1 AND 2 ORDER BY id DESC NULLS FIRST",
  "SELECT id FROM orders WHERE note NOT LIKE 'a' AND note NOT ILIKE 'b' AND note NOT SIMILAR TO 'c' ORDER BY 1 NULLS LAST",
  "SELECT x FROM unnest ( '{a}' :: text [] ) WITH ORDINALITY AS t ( x , o )",
  "SELECT a :: timestamp WITH TIME ZONE , b :: time WITHOUT TIME ZONE FROM c",
  "SELECT U&'!0061' UESCAPE '!' , U&\"!0061\" UESCAPE '!' , 'x -- y' , $q$ /* $q$ , E'\\'' FROM \"--\"",
  "WITH time AS ( SELECT 1 ) SELECT - 1 , + 2 , @ - 3 FROM time",
] as const;

const COMMENTS = [
  "/**/",
  "/* ' \" $q$ -- */",
  "/* a /* b */ é */",
  "/***/",
  "--\n",
  "-- ' /* \n",
  "/*-*/--*/\n",
] as const;

function commented(sql: string, gap: number, comment: string): string {
  const before = sql.slice(0, gap);
  // A third minus would make a comment of the first.
  return `${before}${before.endsWith("-") ? " " : ""}${comment}${sql.slice(gap)}`;
}

/** Where one token ends, and behind the blanks there. */
function gapsOf(sql: string): number[] {
  const lexer = new SqlLexer(Buffer.from(sql, "latin1"));
  const gaps: number[] = [];
  for (lexer.next(); lexer.kind !== "end"; lexer.next()) if (lexer.kind === "blank") gaps.push(lexer.start, lexer.end);
  return gaps;
}

const PLACES: ReadonlySet<string> = new Set([
  "location",
  "startByte",
  "lengthBytes",
  "rexpr_list_start",
  "rexpr_list_end",
]);

/** The tree without the places of its words. */
function words(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(words);
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !PLACES.has(name))
      .map(([name, inner]) => [name, words(inner)]),
  );
}

function tree(result: ParseResult): unknown {
  expect(result.kind).toBe("statements");
  return words(result);
}

describe.each(MAJORS)("PostgreSQL %i", (major) => {
  test.each(STATEMENTS)("reads %s with a comment anywhere as without", (sql) => {
    const wanted = tree(parse(sql, major));
    const gaps = gapsOf(sql);
    expect(gaps.length).toBeGreaterThan(10);
    for (const gap of gaps)
      for (const comment of COMMENTS) expect(tree(parse(commented(sql, gap, comment), major))).toEqual(wanted);
  });
});

test("what stands outside comments stays where it was", () => {
  const sql = "SELECT id FROM orders WHERE note /* é */ NOT /* x */ IN ('/* y */')";
  const result = parse(sql, 15);
  const at = Buffer.from(sql).indexOf("'/* y */'");
  expect(JSON.stringify(result)).toContain(`"location":${at}`);
  expect(withoutComments(sql)).toBe("SELECT id FROM orders WHERE note          NOT         IN ('/* y */')");
});

test.each([
  ["SELECT 1", null],
  ["SELECT '--' , \"/*\" , $$ -- $$", null],
  ["SELECT 1 --", "SELECT 1   "],
  ["SELECT 1 /* never ends", null],
  ["SELECT 'a' -- c\n 'b'", null],
  ["SELECT 1 +/*x*/ 2 --a\r+ 3", "SELECT 1 +      2    \r+ 3"],
])("%s becomes %s", (sql, blanked) => {
  expect(withoutComments(sql)).toBe(blanked);
});

test("constants that a comment parts are not joined", () => {
  expect(parse("SELECT 'a' /* c */ 'b'", 15)).toMatchObject({
    kind: "error",
    error: { message: `syntax error at or near "'b'"`, position: 20 },
  });
});

test("a text that is wrong is told of as it was written", () => {
  expect(parse("SELECT 1 /* one */ FROM NOT", 15)).toMatchObject({ kind: "error", error: { position: 25 } });
});

test("long texts as well", async () => {
  const filling = " ".repeat(40_000);
  expect((await parseSlow(`SELECT 1 WHERE 1 NOT /* x */ IN (2)${filling}`, 15)).kind).toBe("statements");
  endIdleParserChildren();
}, 240_000);
