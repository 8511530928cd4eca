/** What splicing refuses, and with which words. */
import { beforeAll, describe, expect, test } from "bun:test";
import { byteOf, parse17, spliced, statementsOf } from "../../../test/corpus/splicing.ts";
import { loadParser } from "../parser.ts";
import type { ParseResult } from "../parser.ts";
import { splice } from "./splice.ts";
import type { Edit } from "./splice.ts";

beforeAll(() => loadParser(17));

describe("what is not as it should be", () => {
  const text = "SELECT a FROM foo";
  const edit: Edit = { kind: "relation", at: 14, subquery: "SELECT 1" };

  test("nothing to change leaves the text alone", () => {
    const result = splice("SELECT é", statementsOf("SELECT é"), [], parse17);
    if (!("text" in result)) throw new Error(result.because);
    expect(result.text).toBe("SELECT é");
    expect([0, 1, 8, 9, 10].map((position) => result.positions.toOriginal(position))).toEqual([0, 1, 8, 9, 9]);
  });

  test("the same edit twice is one; another one at its place is refused", () => {
    expect(spliced(text, edit, { ...edit })).toBe(`SELECT a FROM (SELECT 1) AS "foo"`);
    for (const other of [
      { ...edit, subquery: "SELECT 2" },
      { kind: "copy", at: 14, query: "SELECT 1" },
    ] as const) {
      expect(spliced(text, edit, other)).toBe("because two changes of the statement meet at one place");
    }
  });

  test("an edit where there is no such node is refused", () => {
    for (const at of [-1, 0, 7, 13, 15, 17, 18, 1e6, 14.5, Number.NaN]) {
      expect(spliced(text, { ...edit, at })).toBe(`because nothing at byte ${at} can be replaced as a relation`);
    }
    // The parser's own star of TABLE, and the relation of a recursive view, are nowhere.
    expect(spliced("TABLE foo", { kind: "column", at: -1, expression: "1" })).toBe("because no name begins at byte -1");
    expect(
      spliced("SELECT a, b", { kind: "column", at: 7, expression: "1" }, { kind: "column", at: 8, expression: "2" }),
    ).toBe("because nothing at byte 8 can be replaced as a column");
  });

  test("a tree of another text is refused", () => {
    for (const [other, because] of [
      ["SELECT abc FROM foo", "no name begins at byte 14"],
      ["SELECT a FROM (foo)", "the name at byte 14 does not end where it should"],
      ["SELECT a, b, 'foo'", "no name begins at byte 14"],
      ["SELECT a FROM ONLY foo", "the rewritten statement would not be what is meant"],
      ["SELECT a FROM foo b", "the rewritten statement would not be what is meant"],
      ["SELECT b FROM foo", "the rewritten statement would not be what is meant"],
      ["SELECT a FROM foo; SELECT 1", "the rewritten statement would not be what is meant"],
      ["SELECT", "no name begins at byte 14"],
    ] as const) {
      const result = splice(other, statementsOf(text), [edit], parse17);
      expect(result).toEqual({ because });
    }
  });

  test("names that are not spelled as the tree says are refused", () => {
    const refused = (tree: string, other: string, ...edits: Edit[]): unknown =>
      splice(other, statementsOf(tree), edits, parse17);
    const because = "the name at byte 14 does not end where it should";
    expect(refused("SELECT a FROM s.foo", "SELECT a FROM s,foo", edit)).toEqual({ because });
    expect(refused("SELECT a FROM foo", "SELECT a FROM 'oo'", edit)).toEqual({ because });
    expect(refused('SELECT a FROM U&"o"', 'SELECT a FROM U&"o" uescape x', edit)).toEqual({ because });
    const only: Edit = { ...edit, at: 19 };
    expect(refused("SELECT a FROM ONLY foo", "SELECT a FROM b   ,foo", only)).toEqual({
      because: "the name at byte 19 does not end where it should",
    });
    expect(refused("SELECT a FROM ONLY(foo)", "SELECT a FROM ONLY(foo,", only)).toEqual({
      because: "the name at byte 19 does not end where it should",
    });
    const copying: Edit = { kind: "copy", at: 5, query: "SELECT 1" };
    for (const other of [
      "COPY f(a,b,c) TO STDOUT",
      "COPY f(a;b) TO STDOUT",
      "COPY f a,b) TO STDOUT",
      "COPY f(a,1) TO STDOUT",
    ]) {
      expect(refused("COPY f(a,b) TO STDOUT", other, copying)).toEqual({
        because: "the name at byte 5 does not end where it should",
      });
    }
    const listing: Edit = { kind: "targets", at: 7, targets: "1" };
    for (const [tree, other] of [
      ["SELECT a.*", "SELECT a.b"],
      ["SELECT a.b", "SELECT a.*"],
      ["SELECT a AS b", "SELECT a AS 1"],
      ["SELECT a b", "SELECT a,b"],
    ] as const) {
      expect(refused(tree, other, listing)).toEqual({ because: "the name at byte 7 does not end where it should" });
    }
  });

  test("what the parser does not take, or fails at, is refused with a reason", () => {
    const statements = statementsOf(text);
    const failing = (answer: (text: string) => ParseResult): unknown =>
      splice(text, statements, [edit], (given) => (given.startsWith("SELECT *") ? parse17(given) : answer(given)));
    expect(failing(() => ({ kind: "refused", reason: "it is too long" }))).toEqual({
      because: "the rewritten statement is not accepted: it is too long",
    });
    expect(failing(() => ({ kind: "error", error: { message: "no", position: 1 } }))).toEqual({
      because: "the rewritten statement would not be what is meant",
    });
    expect(failing(() => ({ kind: "statements", statements: [] }))).toEqual({
      because: "the rewritten statement would not be what is meant",
    });
    expect(
      failing(() => {
        throw new Error("corrupt");
      }),
    ).toEqual({ because: "the statement cannot be rewritten" });
    expect(splice(text, statements, [edit], () => ({ kind: "refused", reason: "no" }))).toEqual({
      because: "what should be put in at byte 14 is no relation",
    });
  });

  test("every difference that is more than a place is seen", () => {
    const statements = statementsOf(text);
    const instead = (other: string): unknown =>
      splice(text, statements, [edit], (given) => parse17(given.startsWith("SELECT *") ? given : other));
    const good = `SELECT a FROM (SELECT 1) AS foo`;
    expect(instead(`  SELECT/**/a\nFROM (SELECT 1) AS foo`)).toMatchObject({
      text: `SELECT a FROM (SELECT 1) AS "foo"`,
    });
    for (const other of [
      `${good}; SELECT 1`,
      `${good} WHERE true`,
      `${good}, b`,
      "SELECT a FROM (SELECT 2) AS foo",
      "SELECT a FROM (SELECT 1) AS fop",
      "SELECT a FROM (SELECT 1) AS foo(x)",
      "SELECT a FROM LATERAL (SELECT 1) AS foo",
      "SELECT a FROM (SELECT 1 LIMIT 1) AS foo",
      "SELECT a FROM foo",
      "SELECT a",
      "SELECT b FROM (SELECT 1) AS foo",
      "SELECT a, a FROM (SELECT 1) AS foo",
      "SELECT FROM (SELECT 1) AS foo",
      "SELECT a AS a FROM (SELECT 1) AS foo",
      "SELECT 'a' FROM (SELECT 1) AS foo",
      "DELETE FROM foo",
      "",
    ]) {
      expect(instead(other)).toEqual({ because: "the rewritten statement would not be what is meant" });
    }
  });

  test("replacements that are in no list are compared too", () => {
    const join = "SELECT 1 FROM foo JOIN b ON a + 1 = 2";
    const copied = "COPY foo TO STDOUT (HEADER)";
    for (const [given, change, instead] of [
      [join, { ...edit }, "SELECT 1 FROM (SELECT 2) AS foo JOIN b ON a + 1 = 2"],
      [join, { kind: "column", at: 28, expression: "f(1)" }, "SELECT 1 FROM foo JOIN b ON f(2) + 1 = 2"],
      [copied, { kind: "copy", at: 5, query: "SELECT 1" }, "COPY (SELECT 2) TO STDOUT (HEADER)"],
      [copied, { kind: "copy", at: 5, query: "SELECT 1" }, "COPY (SELECT 1) TO STDOUT (FORMAT csv)"],
      [copied, { kind: "copy", at: 5, query: "SELECT 1" }, "COPY (SELECT 1) TO '/tmp/x' (HEADER)"],
    ] as const) {
      const intended = spliced(given, change);
      expect(intended).not.toStartWith("because");
      const read = (asked: string): ParseResult => parse17(asked === intended ? instead : asked);
      expect(splice(given, statementsOf(given), [change], read)).toEqual({
        because: "the rewritten statement would not be what is meant",
      });
    }
  });

  test("a place that the tree shows twice, but for the source of an assignment of several, is refused", () => {
    const [statement] = statementsOf(text);
    if (statement === undefined) throw new Error("no statement");
    const { node } = statement;
    const twice = [{ ...statement, node: { ...node, fromClause: [node["fromClause"], node["fromClause"]] } }];
    expect(splice(text, twice, [edit], parse17)).toEqual({
      because: "nothing at byte 14 can be replaced as a relation",
    });
  });

  test("a path that has the name of a location is no location", () => {
    const two = "CREATE TABLESPACE t LOCATION '/a'; SELECT a";
    const result = splice(two, statementsOf(two), [{ kind: "column", at: 42, expression: "f(1)" }], (given) =>
      parse17(given.replace("/a", "/b")),
    );
    expect(result).toEqual({ because: "the rewritten statement would not be what is meant" });
  });

  test("a tree that is deeper than the stack is refused", () => {
    let deep: unknown = { ColumnRef: { fields: [{ A_Star: {} }] } };
    for (let depth = 0; depth < 200_000; depth++) deep = { A_Expr: { lexpr: deep } };
    const statements = [{ kind: "SelectStmt", node: { targetList: [deep] }, startByte: 0, lengthBytes: 0 }];
    expect(splice(text, statements, [edit], parse17)).toEqual({
      because: "the statement is nested too deeply to be rewritten",
    });
  });

  test("a sum of a thousand terms is rewritten", () => {
    const sum = `SELECT ${"1+".repeat(1000)}a FROM foo`;
    expect(spliced(sum, { ...edit, at: byteOf(sum, "foo"), subquery: "SELECT 1 AS a" })).toBe(
      sum.replace("foo", `(SELECT 1 AS a) AS "foo"`),
    );
  });

  test("characters of all lengths around keep their places", () => {
    const before = "SELECT 'é日😀' FROM ";
    expect(
      spliced(`${before}"foo"\ufeff, t`, { ...edit, at: byteOf(before, "FROM") + 5, subquery: "SELECT 1 AS a" }),
    ).toBe(`${before}(SELECT 1 AS a) \ufeff, t`);
    const result = splice(
      `${before}foo, 日`,
      statementsOf(`${before}foo, 日`),
      [{ ...edit, at: byteOf(`${before}foo`, "foo") }],
      parse17,
    );
    if (!("text" in result)) throw new Error(result.because);
    const { positions, text: sent } = result;
    const place = (text: string, part: string): number => Array.from(text.slice(0, text.indexOf(part))).length + 1;
    expect(positions.toOriginal(place(sent, ", 日"))).toBe(place(`${before}foo, 日`, ", 日"));
    expect(positions.toOriginal(place(sent, "1)"))).toBe(place(`${before}foo`, "foo"));
    expect(positions.toOriginal(place(sent, "😀"))).toBe(place(before, "😀"));
  });

  test("what a fragment parses to is kept, and forgotten when it is too much", () => {
    const statements = statementsOf(text);
    let fragments = 0;
    const counting = (given: string): ParseResult => {
      if (given.startsWith("SELECT *")) fragments++;
      return parse17(given);
    };
    const put = (subquery: string): void => {
      expect(splice(text, statements, [{ ...edit, subquery }], counting)).toHaveProperty("text");
    };
    put("SELECT 1");
    put("SELECT 1");
    expect(fragments).toBe(1);
    for (let number = 0; number < 511; number++) put(`SELECT ${number + 2}`);
    put("SELECT 1");
    expect(fragments).toBe(512);
    put("SELECT 'one more'");
    put("SELECT 1");
    expect(fragments).toBe(514);

    // What came since is kept.
    put("SELECT 'one more'");
    put("SELECT 1");
    expect(fragments).toBe(514);

    const long = (number: number): string => `SELECT '${"x".repeat(16 * 1024)}${number}'`;
    for (let number = 0; number < 32; number++) put(long(number));
    fragments = 0;
    put("SELECT 1");
    put(long(31));
    put("SELECT 1");
    expect(fragments).toBe(1);
  });
});
