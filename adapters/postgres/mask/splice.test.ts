/** What each kind of edit makes of statements. */
import { beforeAll, describe, expect, test } from "bun:test";
import { byteOf, spliced } from "../../../test/corpus/splicing.ts";
import { loadParser } from "../parser.ts";

beforeAll(() => loadParser(17));

function relation(text: string, name: string, subquery = "SELECT 1 AS a"): string {
  return spliced(text, { kind: "relation", at: byteOf(text, name), subquery });
}

function column(text: string, name: string, expression = "'x'::text"): string {
  return spliced(text, { kind: "column", at: byteOf(text, name), expression });
}

function targets(text: string, name: string, list = `1 AS "a", 2`): string {
  return spliced(text, { kind: "targets", at: byteOf(text, name), targets: list });
}

function copy(text: string, name: string, query = "SELECT 1"): string {
  return spliced(text, { kind: "copy", at: byteOf(text, name), query });
}

describe("a relation", () => {
  test("gets its own name as alias, or keeps the one it has", () => {
    expect(relation("SELECT * FROM foo WHERE a", "foo")).toBe(`SELECT * FROM (SELECT 1 AS a) AS "foo" WHERE a`);
    expect(relation("SELECT * FROM Foo", "Foo")).toBe(`SELECT * FROM (SELECT 1 AS a) AS "foo"`);
    expect(relation("SELECT * FROM foo f", "foo")).toBe("SELECT * FROM (SELECT 1 AS a) f");
    expect(relation("SELECT * FROM foo AS f(x, y)", "foo")).toBe("SELECT * FROM (SELECT 1 AS a) AS f(x, y)");
    expect(relation(`SELECT * FROM "f""o"`, `"f""o"`)).toBe(`SELECT * FROM (SELECT 1 AS a) AS "f""o"`);
  });

  test("is taken with its schema and catalog, and blanks and comments between", () => {
    const expected = `SELECT * FROM (SELECT 1 AS a) AS "foo" -- d`;
    expect(relation("SELECT * FROM app.foo -- d", "app")).toBe(expected);
    expect(relation("SELECT * FROM c.app.foo -- d", "c.")).toBe(expected);
    expect(relation("SELECT * FROM c /* a */ . -- b\n app\n.\tfoo -- d", "c /")).toBe(expected);
  });

  test("is taken with ONLY, parentheses and the star", () => {
    for (const source of ["ONLY foo", "only(foo)", "ONLY /* ( */ ( -- )\n foo /* ) */ )", "foo *", "foo/**/*"]) {
      expect(relation(`SELECT * FROM ${source}, b`, "foo")).toBe(`SELECT * FROM (SELECT 1 AS a) AS "foo", b`);
      expect(relation(`SELECT * FROM ${source} f`, "foo")).toBe("SELECT * FROM (SELECT 1 AS a) f");
    }
    expect(relation("SELECT * FROM (foo JOIN b ON true)", "foo")).toBe(
      `SELECT * FROM ((SELECT 1 AS a) AS "foo" JOIN b ON true)`,
    );
  });

  test("that TABLE reads becomes a SELECT", () => {
    const select = `SELECT * FROM (SELECT 1 AS a) AS "foo"`;
    expect(relation("TABLE foo", "foo")).toBe(select);
    expect(relation("table/**/only (app.foo) ORDER BY 1", "app")).toBe(`${select} ORDER BY 1`);
    expect(relation("(TABLE foo*)UNION TABLE b", "foo")).toBe(`(${select})UNION TABLE b`);
    expect(relation(`INSERT INTO "b"TABLE foo`, "foo")).toBe(`INSERT INTO "b" ${select}`);
  });

  test("stands apart from what is around it", () => {
    expect(relation(`SELECT * FROM"foo"WHERE a`, `"foo"`)).toBe(`SELECT * FROM (SELECT 1 AS a) AS "foo" WHERE a`);
    expect(relation(`SELECT * FROM foo"f"`, "foo")).toBe(`SELECT * FROM (SELECT 1 AS a) "f"`);
    expect(relation("SELECT * FROM foo,b;", "foo")).toBe(`SELECT * FROM (SELECT 1 AS a) AS "foo",b;`);
    expect(relation("SELECT * FROM b,foo;", "foo")).toBe(`SELECT * FROM b,(SELECT 1 AS a) AS "foo";`);
  });

  test("named with escapes, of whatever escape character", () => {
    const expected = `SELECT * FROM (SELECT 1 AS a) AS "dataä" , b`;
    expect(relation(String.raw`SELECT * FROM U&"d\0061ta\00e4" , b`, "U&")).toBe(expected);
    expect(relation(`SELECT * FROM U&"d!0061ta!00e4" UESCAPE '!' , b`, "U&")).toBe(expected);
    expect(relation(`SELECT * FROM U&"p!0070" uescape '!'.u&"d!0061ta!00e4" UESCAPE\n$$!$$ , b`, "U&")).toBe(expected);
  });

  test("in all source positions", () => {
    const put = `(SELECT 1 AS a) AS "foo"`;
    for (const [before, behind] of [
      ["DELETE FROM t USING ", ""],
      ["UPDATE t SET a = 1 FROM ", " WHERE true"],
      ["INSERT INTO t SELECT * FROM ", " ON CONFLICT DO NOTHING"],
      ["MERGE INTO t USING ", " ON true WHEN MATCHED THEN DELETE"],
      ["UPDATE t SET (a, b) = (SELECT 1, 2 FROM ", "), c = 3"],
      ["UPDATE t SET (a, b, c) = (SELECT 1, 2, 3 FROM ", ")"],
      ["WITH w AS (SELECT 1 FROM ", ") SELECT * FROM w"],
      ["SELECT * FROM b LEFT JOIN ", " USING (id)"],
      ["SELECT * FROM b NATURAL JOIN ", ""],
      ["SELECT EXISTS (SELECT FROM ", ")"],
      ["EXPLAIN (ANALYZE) SELECT FROM ", ""],
      ["COPY (SELECT * FROM ", ") TO STDOUT"],
      ["DECLARE c CURSOR FOR SELECT * FROM ", ""],
      ["PREPARE p AS SELECT * FROM ", " WHERE a = $1"],
      ["CREATE TEMP TABLE x AS SELECT * FROM ", ""],
      ["SELECT * FROM b, LATERAL (SELECT * FROM ", " WHERE true) l"],
      ["SELECT 1; SELECT * FROM ", "; SELECT 2"],
    ] as const) {
      expect(relation(`${before}foo${behind}`, "foo")).toBe(`${before}${put}${behind}`);
    }
  });

  test("in no other position", () => {
    for (const text of [
      "INSERT INTO foo VALUES (1)",
      "UPDATE foo SET a = 1",
      "DELETE FROM foo",
      "MERGE INTO foo USING b ON true WHEN MATCHED THEN DELETE",
      "COPY foo TO STDOUT",
      "CREATE TABLE foo (a int)",
    ]) {
      expect(relation(text, "foo")).toBe(
        `because nothing at byte ${byteOf(text, "foo")} can be replaced as a relation`,
      );
    }
    for (const text of ["TRUNCATE foo", "LOCK TABLE foo", "SELECT * FROM foo TABLESAMPLE system (1)"]) {
      expect(relation(text, "foo")).toBe("because the rewritten statement would not be what is meant");
    }
  });
});

describe("a column", () => {
  test("is taken with as many parts as the tree gives it", () => {
    expect(column("SELECT a.b[1] FROM a", "a.b")).toBe("SELECT ('x'::text)[1] FROM a");
    expect(column("SELECT (a).b FROM a", "a")).toBe("SELECT (('x'::text)).b FROM a");
    expect(column("SELECT a[1].b.c FROM a", "a[")).toBe("SELECT ('x'::text)[1].b.c FROM a");
    expect(column("SELECT s . a/**/.b::int", "s .")).toBe("SELECT ('x'::text)::int");
    expect(column("SELECT count(a.*) FROM a", "a.*")).toBe("SELECT count(('x'::text)) FROM a");
    expect(column(`SELECT 1 WHERE-U&"!0061"uescape'!'.b=1`, "U&")).toBe("SELECT 1 WHERE-('x'::text)=1");
  });

  test("is one in an expression only", () => {
    const text = "UPDATE t SET a = b";
    expect(column(text, "a =")).toBe("because nothing at byte 13 can be replaced as a column");
    expect(column(text, "b")).toBe("UPDATE t SET a = ('x'::text)");
    expect(column("SELECT a.f(1)", "a.f")).toStartWith("because nothing");
  });
});

describe("a call", () => {
  const call = (text: string, name = "f"): string =>
    spliced(text, { kind: "call", at: byteOf(text, name), expression: "g(NULL)" });

  test("is taken with its arguments", () => {
    expect(call("SELECT coalesce(s.f(p.a, (1)), 2) AS x", "s.f")).toBe("SELECT coalesce((g(NULL)), 2) AS x");
    expect(call(`SELECT a/**/. "f"/* ( */(')', $$)$$)FROM t`, "a/")).toBe("SELECT (g(NULL))FROM t");
    expect(call("SELECT f()+1, f")).toBe("SELECT (g(NULL))+1, f");
    expect(call("SELECT f(VARIADIC a => b)")).toBe("SELECT (g(NULL))");
  });

  test("is one of a function, with nothing behind its arguments, where an expression may stand", () => {
    for (const text of [
      "SELECT f(1) OVER ()",
      "SELECT f(1) FILTER (WHERE true)",
      "SELECT f(1) WITHIN GROUP (ORDER BY 1)",
      "SELECT 1 FROM f(1)",
      "CALL f(1)",
    ])
      expect(call(text)).toStartWith("because ");
    expect(call("SELECT f, g(1)")).toStartWith("because nothing at byte");
    expect(call("SELECT coalesce(1)", "coalesce")).toStartWith("because nothing at byte");
  });
});

describe("a sample", () => {
  const sample = (text: string, name = "foo"): string =>
    spliced(text, { kind: "sample", at: byteOf(text, name), subquery: "SELECT 1 AS a FROM x TABLESAMPLE system (5)" });
  const put = "(SELECT 1 AS a FROM x TABLESAMPLE system (5)) AS";

  test("goes with its relation, whose alias stays", () => {
    for (const relation of ["foo", "app.foo", "c . app/**/.foo", "ONLY foo", "only(app.foo)", "foo *"]) {
      const name = relation.includes("c .") ? "c ." : relation.includes("app") ? "app" : "foo";
      expect(sample(`SELECT * FROM ${relation} TABLESAMPLE system (1) WHERE a`, name)).toBe(
        `SELECT * FROM ${put} "foo" WHERE a`,
      );
    }
    for (const alias of ["f", "AS f", `as"f"`, `U&"!0066" UESCAPE '!'`, "/* ( */ f --)\n"])
      expect(sample(`SELECT * FROM foo ${alias} TABLESAMPLE system (1),b`)).toBe(`SELECT * FROM ${put} "f",b`);
    expect(sample(`SELECT * FROM foo AS f ("x y" , b)TABLESAMPLE system (1)`)).toBe(
      `SELECT * FROM ${put} "f" ("x y", "b")`,
    );
  });

  test("is taken with all of its numbers", () => {
    for (const clause of [
      "TABLESAMPLE pg_catalog . bernoulli(1)",
      "tablesample/**/system ( ((1)) + f(')', $$)$$) ) repeatable(2 * (3))",
      `TABLESAMPLE "system" (1, 2) REPEATABLE -- (\n ( 3 /* ) */ )`,
    ])
      expect(sample(`SELECT * FROM foo ${clause} JOIN b ON true`)).toBe(`SELECT * FROM ${put} "foo" JOIN b ON true`);
    expect(sample("SELECT (SELECT 1 FROM foo TABLESAMPLE system (1))")).toBe(`SELECT (SELECT 1 FROM ${put} "foo")`);
  });

  test("is one of the relation that is meant, or none", () => {
    const text = "SELECT * FROM foo, b TABLESAMPLE system (1)";
    expect(sample(text)).toBe(
      `because nothing at byte ${byteOf(text, "foo")} can be replaced as a relation with TABLESAMPLE`,
    );
    expect(sample(text, "b ")).toBe(`SELECT * FROM foo, ${put} "b"`);
    expect(relation("SELECT * FROM foo f TABLESAMPLE system (1)", "foo")).toStartWith("because ");
  });
});

describe("a constant", () => {
  const constant = (text: string, name: string, constants = "'x', 'y'"): string =>
    spliced(text, { kind: "constant", at: byteOf(text, name), constants });

  test("is a string, or a word of SET, with all that belongs to it", () => {
    for (const spelling of ["'a'", "E'\\''", "$q$a'$q$", "'a'\n'b'", "U&'!0061' UESCAPE '!'"])
      expect(constant(`SELECT f(1, ${spelling}, b)`, spelling)).toBe("SELECT f(1, 'x', 'y', b)");
    for (const spelling of ["'a'", "a", '"A"', "U&\"!0061\"uescape'!'", "select_"])
      expect(constant(`SET s TO b, ${spelling};`, spelling)).toBe("SET s TO b, 'x', 'y';");
  });

  test("is no number, no name and no part of a longer string", () => {
    expect(constant("SELECT f(12)", "12")).toStartWith("because ");
    expect(constant("SELECT f(a)", "a")).toStartWith("because nothing at byte");
    expect(constant("SELECT f('a'\n'b')", "'b'")).toStartWith("because nothing at byte");
    expect(constant("SELECT 'a'::text", "'a'")).toStartWith("because ");
  });

  test("gives way to string constants alone", () => {
    for (const other of ["'x', 1", "'x' AS y", "x", "'x'::text", "'x') --", "", "NULL", "'x'; SELECT 'y'"])
      expect(constant("SET s TO b", "b", other)).toStartWith("because ");
  });
});

describe("targets", () => {
  test("take the place of a star, a column, and its label", () => {
    const list = `1 AS "a", 2`;
    expect(targets("SELECT * FROM t", "*")).toBe(`SELECT ${list} FROM t`);
    expect(targets("SELECT*FROM t", "*")).toBe(`SELECT ${list} FROM t`);
    expect(targets("SELECT z, t.*, y FROM t", "t.*")).toBe(`SELECT z, ${list}, y FROM t`);
    for (const label of ["", " AS e", " e", `"e"`, ` AS/**/U&"!0065" UESCAPE '!'`, " AS select", " as as"]) {
      expect(targets(`DELETE FROM t RETURNING t.email${label}`, "t.email")).toBe(`DELETE FROM t RETURNING ${list}`);
    }
    expect(targets(`INSERT INTO t VALUES (1)RETURNING"email"`, `"email"`)).toBe(
      `INSERT INTO t VALUES (1)RETURNING ${list}`,
    );
  });

  test("do not take the place of an assignment or an expression", () => {
    for (const [text, name] of [
      ["UPDATE t SET a = b", "a ="],
      ["UPDATE t SET a = b", "b"],
      ["SELECT a + b", "a"],
      ["SELECT a[1]", "a"],
      ["SELECT f(a)", "a)"],
    ] as const) {
      expect(targets(text, name)).toBe(`because nothing at byte ${byteOf(text, name)} can be replaced as a target`);
    }
  });
});

describe("COPY", () => {
  test("of a relation becomes COPY of a query", () => {
    expect(copy("COPY foo TO STDOUT", "foo")).toBe("COPY (SELECT 1) TO STDOUT");
    expect(copy(`COPY"foo"(a, U&"b" UESCAPE '!')TO STDOUT (FORMAT csv)`, `"foo"`)).toBe(
      "COPY (SELECT 1) TO STDOUT (FORMAT csv)",
    );
    expect(copy("COPY app . foo /* ( */ ( a ) TO STDOUT", "app")).toBe("COPY (SELECT 1) TO STDOUT");
  });

  test("from the client, of a query, or in a spelling that takes no query, is refused", () => {
    for (const text of ["COPY foo FROM STDIN", "COPY (SELECT * FROM foo) TO STDOUT", "TABLE foo"]) {
      expect(copy(text, "foo")).toBe(
        `because nothing at byte ${byteOf(text, "foo")} can be replaced as a relation of COPY`,
      );
    }
    expect(copy("COPY BINARY foo TO STDOUT", "foo")).toBe("because the rewritten statement would not be what is meant");
  });
});

describe("fragments", () => {
  test("cannot swallow what follows them", () => {
    expect(relation("SELECT * FROM foo", "foo", "SELECT 1 -- x")).toBe(`SELECT * FROM (SELECT 1 -- x\n) AS "foo"`);
    expect(relation("SELECT * FROM foo", "foo", "SELECT 1 /* x */")).toBe(`SELECT * FROM (SELECT 1 /* x */) AS "foo"`);
    expect(relation("SELECT * FROM foo", "foo", "SELECT 1 -- x\n")).toBe(`SELECT * FROM (SELECT 1 -- x\n) AS "foo"`);
    expect(column("SELECT a, b", "a", "1 --")).toBe("SELECT (1 --\n), b");
    expect(targets("SELECT a FROM b", "a", "1 --")).toBe("SELECT 1 --\n FROM b");
    expect(copy("COPY a TO STDOUT", "a", "SELECT 1 --")).toBe("COPY (SELECT 1 --\n) TO STDOUT");
  });

  test("are one thing, or are refused", () => {
    for (const subquery of [
      "",
      "foo",
      "SELECT 1) AS y, (SELECT 2",
      "SELECT 1) AS y WHERE (true",
      "SELECT 1; SELECT 2",
      "1 /*",
    ]) {
      expect(relation("SELECT * FROM foo", "foo", subquery)).toBe(
        "because what should be put in at byte 14 is no relation",
      );
    }
    for (const expression of [
      "",
      "a, b) , (c",
      "1 AS a",
      "1) FROM t WHERE (true",
      "1), (2",
      "1) AS a, (2",
      "*",
      "1) AS (a",
    ]) {
      expect(column("SELECT a", "a", expression)).toBe("because what should be put in at byte 7 is no column");
    }
    for (const list of ["", "1 FROM t", "DISTINCT 1", "1 LIMIT 1", "1; SELECT 2", "1 INTO t", "1 UNION SELECT 2"]) {
      expect(targets("SELECT a", "a", list)).toBe("because what should be put in at byte 7 is no target");
    }
    for (const query of ["", "foo", "SELECT 1) TO STDOUT; COPY (SELECT 2", "SELECT 1) TO '/x'; --"]) {
      expect(copy("COPY a TO STDOUT", "a", query)).toBe(
        "because what should be put in at byte 5 is no relation of COPY",
      );
    }
  });
});
