/** Tests the parser against what would stall, corrupt or mislead it. */
import { beforeAll, expect, test } from "bun:test";
import { isParserLoaded, loadParser, parse, parseSlow, SYNCHRONOUS_BYTES_MAX } from "./parser.ts";
import type { ParseResult } from "./parser.ts";
import { endIdleParserChildren } from "./parser-child.ts";
import { refusalBeforeParsing, STATEMENT_BYTES_MAX_DEFAULT } from "./parser-limits.ts";

const MAJORS = [15, 16, 17, 18] as const;

beforeAll(async () => {
  await Promise.all(MAJORS.map(loadParser));
});

function kinds(result: ParseResult): string[] {
  if (result.kind !== "statements") throw new Error(`not parsed: ${JSON.stringify(result)}`);
  return result.statements.map((statement) => statement.kind);
}

function reasonOf(result: ParseResult): string {
  if (result.kind !== "refused") throw new Error(`not refused: ${result.kind}`);
  return result.reason;
}

/** A long text that is quick to parse. */
function longText(bytes: number): string {
  return `SELECT ${"1,".repeat(bytes / 2)}1`;
}

test.each(MAJORS)("%d parses statements with their places in bytes", (major) => {
  const result = parse("SELECT 'é'; INSERT INTO t VALUES (1)", major);
  if (result.kind !== "statements") throw new Error("not parsed");
  const places = result.statements.map(({ kind, startByte, lengthBytes }) => ({ kind, startByte, lengthBytes }));
  expect(places[0]).toEqual({ kind: "SelectStmt", startByte: 0, lengthBytes: 11 });
  expect(places[1]?.kind).toBe("InsertStmt");
});

test("each major reads its own grammar", () => {
  expect(parse("SELECT JSON_ARRAY(1 RETURNING json)", 15).kind).toBe("error");
  expect(kinds(parse("SELECT JSON_ARRAY(1 RETURNING json)", 16))).toEqual(["SelectStmt"]);
  const merge = "MERGE INTO t USING s ON true WHEN NOT MATCHED BY SOURCE THEN DELETE";
  expect(parse(merge, 16).kind).toBe("error");
  expect(kinds(parse(merge, 17))).toEqual(["MergeStmt"]);
  const returning = "UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a";
  expect(parse(returning, 17).kind).toBe("error");
  expect(kinds(parse(returning, 18))).toEqual(["UpdateStmt"]);
});

test("an unknown major is read with the nearest grammar", async () => {
  await loadParser(14);
  expect(kinds(parse("SELECT 1", 14))).toEqual(["SelectStmt"]);
  await loadParser(21);
  expect(kinds(parse("SELECT 1", 21))).toEqual(["SelectStmt"]);
});

test.each(["", " ", ";", ";;", "-- x", "/* x */"])("%p holds no statement", (text) => {
  for (const major of MAJORS) expect(kinds(parse(text, major))).toEqual([]);
});

test("a syntax error tells the server's message and the character, not the byte", () => {
  expect(parse("SELECT é, FROM x y z", 15)).toEqual({
    kind: "error",
    error: { message: 'syntax error at or near "FROM"', position: 11 },
  });
  expect(parse("SELECT 1 FROM", 15)).toEqual({
    kind: "error",
    error: { message: "syntax error at end of input", position: 14 },
  });
});

test.each([
  ["a NUL, which would hide what follows", "SELECT 1\0; DROP TABLE t", "NUL"],
  ["nested comments", "/*".repeat(65), "comment openings"],
  ["an operator without end", `SELECT 1 ${"+-".repeat(65)} 1`, "operator characters"],
  ["parentheses without end", `SELECT ${"(".repeat(1_001)}1${")".repeat(1_001)}`, "deep"],
])("refuses %s", (_, text, reason) => {
  expect(reasonOf(parse(text, 15))).toContain(reason);
});

test("banners of any length are read", () => {
  for (const banner of [`--${"-".repeat(500)}`, `-- ${"=".repeat(500)}`, `/*${"*".repeat(500)}*/`]) {
    expect(kinds(parse(`${banner}\nSELECT 1`, 15))).toEqual(["SelectStmt"]);
  }
});

test("texts are limited in bytes", () => {
  const text = `SELECT '${"é".repeat(20_000)}'`;
  expect(text.length).toBeLessThan(SYNCHRONOUS_BYTES_MAX);
  expect(reasonOf(parse(text, 15))).toContain("bytes");
});

/** What passes the limits before parsing and still exhausts the parser's stack. */
const DEEP: readonly (readonly [string, string])[] = [
  ["a chain of additions", `SELECT 1${"+1".repeat(12_000)}`],
  ["a chain of casts", `SELECT 1${"::a".repeat(8_000)}`],
  ["a chain of NOT", `SELECT ${"NOT ".repeat(7_500)}true`],
  ["a chain of unions", `VALUES(1)${"UNION VALUES(1)".repeat(2_100)}`],
];

test.each(DEEP)("%s is answered or refused, and the parser is sound afterwards", async (_, text) => {
  for (const major of MAJORS) {
    for (let round = 0; round < 2; round++) {
      await loadParser(major);
      const result = parse(text, major);
      expect(["statements", "refused"]).toContain(result.kind);
      if (result.kind === "refused") expect(result.reason).toContain("too complex");
    }
    await loadParser(major);
    const sound = parse("SELECT a, b FROM t WHERE c = 1", major);
    expect(JSON.stringify(sound)).toContain('"relname":"t"');
  }
});

/** Parses with as little stack left as lets the call itself through: the parser then runs out of it. */
function parseAtTheBottom(text: string): ParseResult {
  try {
    return parseAtTheBottom(text);
  } catch (error) {
    const result = parse(text, 15);
    // Too low: the stack ended before the parser was reached. Its caller tries again, a little higher up.
    if (isParserLoaded(15)) throw error;
    return result;
  }
}

test("a parser that threw is thrown away, and another one takes its place", async () => {
  await loadParser(15);
  expect(reasonOf(parseAtTheBottom(`SELECT 1${"+1".repeat(15_000)}`))).toContain("too complex");
  expect(isParserLoaded(15)).toBe(false);
  await loadParser(15);
  expect(kinds(parse("SELECT 1", 15))).toEqual(["SelectStmt"]);
});

test(
  "long texts are parsed in another process, which is there again after it was ended",
  async () => {
    const parsed = await Promise.all(MAJORS.map((major) => parseSlow(longText(40_000), major)));
    expect(parsed.map((result) => kinds(result))).toEqual(MAJORS.map(() => ["SelectStmt"]));
    expect(await parseSlow(`${longText(40_000)} FROM`, 15)).toMatchObject({
      kind: "error",
      error: { message: "syntax error at end of input" },
    });
    // Its parser may be corrupt after this, and is made anew.
    expect(await parseSlow(`SELECT 1${"+1".repeat(100_000)}`, 15)).toMatchObject({ kind: "refused" });
    expect(kinds(await parseSlow(longText(40_000), 15))).toEqual(["SelectStmt"]);
    endIdleParserChildren();
    expect(kinds(await parseSlow(longText(40_000), 15))).toEqual(["SelectStmt"]);
    endIdleParserChildren();
  },
  { timeout: 240_000 },
);

test("a long text is limited before it is handed over", async () => {
  expect(await parseSlow(longText(STATEMENT_BYTES_MAX_DEFAULT), 15)).toMatchObject({ kind: "refused" });
  expect(await parseSlow(longText(40_000), 15, 30_000)).toMatchObject({ kind: "refused" });
});

test("limits are found wherever they lie", () => {
  const encoder = new TextEncoder();
  expect(refusalBeforeParsing(encoder.encode("/*".repeat(64)), 1_000)).toBeNull();
  expect(refusalBeforeParsing(encoder.encode("/*".repeat(65)), 1_000)).toContain("comment openings");
  expect(refusalBeforeParsing(encoder.encode("+".repeat(128)), 1_000)).toBeNull();
  expect(refusalBeforeParsing(encoder.encode("+".repeat(129)), 1_000)).toContain("operator");
  expect(refusalBeforeParsing(encoder.encode(`--\n${"+".repeat(129)}`), 1_000)).toContain("operator");
  expect(refusalBeforeParsing(encoder.encode("(".repeat(1_000)), 2_000)).toBeNull();
  expect(refusalBeforeParsing(encoder.encode("()".repeat(1_001)), 3_000)).toBeNull();
  expect(refusalBeforeParsing(encoder.encode("x".repeat(11)), 10)).toContain("limit is 10");
});
