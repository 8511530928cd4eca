/** Tests what a session must follow after a statement. */
import { beforeAll, expect, test } from "bun:test";
import { corpusCatalog, corpusReading } from "../../test/corpus/catalog.ts";
import { Analyser } from "./analyser.ts";
import type { StatementEffect } from "./analysis.ts";
import { ANY_EFFECT, NO_EFFECT } from "./describe/effect.ts";
import { loadParser } from "./parser.ts";

const analyser = new Analyser();
const reading = corpusReading(corpusCatalog());

beforeAll(() => loadParser(15));

function effects(sql: string): readonly StatementEffect[] {
  const analysis = analyser.analyse(new TextEncoder().encode(sql), reading);
  if (analysis instanceof Promise) throw new Error("a short text is read at once");
  return analysis.statements;
}

const NEW = { changesCatalog: true } as const;

test.each<[string, Partial<StatementEffect>]>([
  ["SELECT id FROM orders", {}],
  ["SELECT nosuch FROM nosuch", {}],
  ["UPDATE orders SET note = 'x'", {}],
  ["SELECT get_email(1)", { changesReading: true }],
  ["SELECT set_config('search_path', '', false)", { changesReading: true }],
  ["SELECT nosuch(1)", { changesReading: true }],
  ["CALL announce(1)", { changesReading: true, callsProcedure: true }],
  ["DO 'x'", ANY_EFFECT],
  ["SELEC 1", ANY_EFFECT],
  ["COPY orders FROM STDIN", { copiesIn: true }],
  ["COPY orders TO STDOUT", { copiesOut: true, copyOptions: new Map() }],
  ["COPY (SELECT 1) TO STDOUT", { copiesOut: true, copyOptions: new Map() }],
  [
    "COPY orders TO STDOUT (FORMAT csv, HEADER, a 1, b 2.5, c 'x', d (y), e 0)",
    {
      copiesOut: true,
      copyOptions: new Map([
        ["format", "csv"],
        ["header", null],
        ["a", "1"],
        ["b", "2.5"],
        ["c", "x"],
        ["d", null],
        ["e", "0"],
      ]),
    },
  ],
  ["COPY orders FROM '/x'", {}],
  ["COPY orders TO PROGRAM 'x'", {}],
  ["BEGIN", { transaction: "begin" }],
  ["START TRANSACTION", { transaction: "begin" }],
  ["COMMIT AND CHAIN", { transaction: "commit" }],
  ["ROLLBACK", { transaction: "rollback" }],
  ["SAVEPOINT a", { transaction: "savepoint" }],
  ["RELEASE a", { transaction: "release" }],
  ["ROLLBACK TO a", { transaction: "rollback to" }],
  ["PREPARE TRANSACTION 'x'", { transaction: "prepare transaction" }],
  ["COMMIT PREPARED 'x'", { transaction: "commit prepared" }],
  ["ROLLBACK PREPARED 'x'", { transaction: "rollback prepared" }],
  ["SET search_path = a", { changesReading: true }],
  ["SET LOCAL SEARCH_PATH TO a", { changesReading: true }],
  ["SET NAMES 'latin1'", { changesReading: true }],
  ["SET standard_conforming_strings = off", { changesReading: true }],
  ["SET ROLE bob", { changesReading: true }],
  ["SET SESSION AUTHORIZATION bob", { changesReading: true }],
  ["RESET search_path", { changesReading: true }],
  ["RESET ALL", { changesReading: true }],
  ["SET work_mem = '1MB'", {}],
  ["BEGIN READ ONLY", { transaction: "begin" }],
  ["BEGIN READ WRITE", { transaction: "begin", undoesReadOnly: true }],
  ["START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", { transaction: "begin", undoesReadOnly: true }],
  ["SET TRANSACTION READ ONLY", {}],
  ["SET TRANSACTION READ WRITE", { undoesReadOnly: true }],
  ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", {}],
  ["SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", { undoesReadOnly: true }],
  ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", {}],
  ["SET default_transaction_read_only = on", {}],
  ["SET default_transaction_read_only = off", { undoesReadOnly: true }],
  ["SET LOCAL Transaction_Read_Only TO 'no'", { undoesReadOnly: true }],
  ["SET transaction_read_only TO DEFAULT", { undoesReadOnly: true }],
  ["RESET transaction_read_only", { undoesReadOnly: true }],
  ["RESET default_transaction_read_only", {}],
  ["SHOW search_path", {}],
  ["DISCARD ALL", { changesReading: true, deallocates: "all", closesCursor: "all" }],
  ["DISCARD TEMP", { changesReading: true }],
  ["DISCARD PLANS", {}],
  ["DEALLOCATE p", { deallocates: { name: "p" } }],
  ["DEALLOCATE ALL", { deallocates: "all" }],
  ["CLOSE c", { closesCursor: { name: "c" } }],
  ["CLOSE ALL", { closesCursor: "all" }],
  ["CREATE TABLE t (id int)", { ...NEW, redefines: ["t"] }],
  ["CREATE TEMP TABLE t (id int)", { ...NEW, redefines: ["t"], createsTemporary: ["t"] }],
  ["CREATE TABLE pg_temp.t (id int)", { ...NEW, redefines: ["t"], createsTemporary: ["t"] }],
  ["SELECT 1 INTO TEMP t", { ...NEW, redefines: ["t"], createsTemporary: ["t"] }],
  ["CREATE TEMP VIEW v AS SELECT 1", { ...NEW, redefines: ["v"], createsTemporary: ["v"] }],
  ["CREATE INDEX i ON orders (id)", { ...NEW, redefines: ["i"] }],
  ["ALTER TABLE orders ADD COLUMN a int", { ...NEW, redefines: ["orders"] }],
  ["ALTER TABLE orders RENAME TO x", { ...NEW, redefines: ["orders", "x"] }],
  ["ALTER TABLE orders OWNER TO bob", { ...NEW, redefines: ["orders"] }],
  ["DROP TABLE orders, products", { ...NEW, redefines: ["orders", "products"] }],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''", { ...NEW, redefines: ["f"] }],
  ["ALTER OPERATOR + (int, int) SET (RESTRICT = NONE)", { ...NEW, redefines: ["+"] }],
  ["ALTER FUNCTION app.get_email(int) RENAME TO g", { ...NEW, redefines: ["get_email", "g"] }],
  ["DROP TYPE app.order_status", { ...NEW, redefines: ["order_status"] }],
  ["CREATE OPERATOR app.=~ (LEFTARG = int, FUNCTION = f)", { ...NEW, redefines: ["=~"] }],
  ["CREATE SCHEMA s", { ...NEW, redefines: "all" }],
  ["ALTER SCHEMA app RENAME TO b", { ...NEW, redefines: "all" }],
  ["DROP SCHEMA app", { ...NEW, redefines: "all" }],
  ["CREATE EXTENSION hstore", { ...NEW, redefines: "all" }],
  ["ALTER ROLE bob SET search_path = x", { ...NEW, changesReading: true }],
  ["ALTER LARGE OBJECT 1 OWNER TO bob", NEW],
  ["GRANT SELECT ON orders TO bob", NEW],
  ["COMMENT ON TABLE orders IS 'x'", {}],
  ["VACUUM orders", {}],
])("%s", (sql, expected) => {
  const found = effects(sql);
  expect(found).toEqual([{ ...NO_EFFECT, ...expected }]);
});

test("EXPLAIN ANALYZE has the effects of what it runs, EXPLAIN has none", () => {
  expect(effects("EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1")[0]?.createsTemporary).toEqual(["t"]);
  expect(effects("EXPLAIN CREATE TEMP TABLE t AS SELECT 1")).toEqual([NO_EFFECT]);
});

test("PREPARE and DECLARE keep their query's own analysis", () => {
  const [prepare] = effects("PREPARE p AS UPDATE orders SET note = 'x' WHERE id = 1");
  expect(prepare?.prepares).toMatchObject({ name: "p", analysis: { understood: true } });
  expect(prepare?.prepares?.analysis.accesses).toMatchObject([{ class: "write", facts: { verbs: ["update"] } }]);
  const [declare] = effects("DECLARE c SCROLL CURSOR FOR SELECT id FROM orders");
  expect(declare?.declaresCursor).toMatchObject({ name: "c", holds: false, analysis: { understood: true } });
});

test("every statement of a text has its effect, in order", () => {
  const found = effects("BEGIN; SET search_path = a; COPY orders FROM STDIN; COMMIT");
  expect(found.map(({ transaction }) => transaction)).toEqual(["begin", null, null, "commit"]);
  expect(found.map(({ changesReading }) => changesReading)).toEqual([false, true, false, false]);
  expect(found.map(({ copiesIn }) => copiesIn)).toEqual([false, false, true, false]);
});

test("what could not be read may have changed all that a session follows", () => {
  const all = { changesReading: true, changesCatalog: true, redefines: "all", createsTemporary: "unknown" } as const;
  expect(effects("DO 'x'")).toEqual([{ ...NO_EFFECT, ...all }]);
});
