/** Tests that a parse tree with parts that nobody knows, or without those that must be there, is not understood. */
import { beforeAll, expect, test } from "bun:test";
import { corpusCatalog, corpusReading } from "../../test/corpus/catalog.ts";
import { describe } from "./describe.ts";
import { isFields, loadParser, parse } from "./parser.ts";
import type { Fields } from "./parser.ts";

beforeAll(() => loadParser(15));

/** The same tree with every field of a name replaced; undefined: left out. */
function withField(tree: unknown, name: string, replace: (value: unknown) => Fields): unknown {
  if (Array.isArray(tree)) return tree.map((item) => withField(item, name, replace));
  if (!isFields(tree)) return tree;
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) =>
      key === name ? Object.entries(replace(value)) : [[key, withField(value, name, replace)]],
    ),
  );
}

/** Why a statement of such a tree is not understood; null when it is. */
function becauseOf(sql: string, name: string, replace: (value: unknown) => Fields): string | null {
  const parsed = parse(sql, 15);
  const [statement] = parsed.kind === "statements" ? parsed.statements : [];
  if (!statement) throw new Error("the statement cannot be parsed");
  const node = withField(statement.node, name, replace);
  if (!isFields(node)) throw new Error("a statement is a node");
  const identity = { text: sql, textSha256: "" };
  const { analysis } = describe(
    [{ ...statement, node }],
    identity,
    corpusReading(corpusCatalog()),
    () => undefined,
    (text) => parse(text, 15),
  );
  return analysis.notUnderstood;
}

const leftOut = (): Fields => ({});

test.each<[string, string, (value: unknown) => Fields, string]>([
  [
    "UPDATE orders SET note = ''",
    "relname",
    (relname) => ({ relname, asOf: 1 }),
    "a RangeVar has an unknown part asOf",
  ],
  ["WITH w AS (SELECT 1) TABLE w", "ctes", (ctes) => ({ ctes, asOf: 1 }), "a WithClause has an unknown part asOf"],
  ["UPDATE orders SET note = ''", "val", (val) => ({ val, asOf: 1 }), "a ResTarget has an unknown part asOf"],
  ["SET work_mem = 1", "kind", () => ({ kind: "VAR_SET_ONCE" }), "a SET statement is not known"],
  ["COMMENT ON TABLE orders IS ''", "objtype", () => ({ objtype: "OBJECT_ROOM" }), "an object of the kind OBJECT_ROOM"],
  [
    "SELECT 1 FROM orders AS o",
    "aliasname",
    () => ({ aliasname: 5 }),
    "the parse tree holds no text where one is expected",
  ],
  ["UPDATE orders SET note = ''", "relation", leftOut, "a modification has no target"],
  ["CREATE VIEW v AS SELECT 1", "view", leftOut, "something without a name is created"],
  ["VACUUM orders", "relation", leftOut, "a relation is missing"],
])("%s with another %s is not understood", (sql, name, replace, because) => {
  expect(becauseOf(sql, name, (value) => ({ [name]: value }))).toBeNull();
  expect(becauseOf(sql, name, replace)).toStartWith(because);
});
