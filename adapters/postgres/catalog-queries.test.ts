/** Tests that no name in the catalog's statements could be captured, by reading them with the server's own grammar. */
import { expect, test } from "bun:test";
import { parse } from "libpg-query-15";
import { COMMIT, conversionsQuery, oidsQuery, pageQuery, SCHEMAS, SETTINGS, stateQuery } from "./catalog-queries.ts";

type Node = Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

/** Names that a search_path decides on, and syntax that looks an operator up by its bare symbol. */
function capturable(value: unknown, found: string[] = []): readonly string[] {
  if (Array.isArray(value)) for (const item of value) capturable(item, found);
  if (!isNode(value)) return found;
  for (const [key, child] of Object.entries(value)) {
    if (isNode(child)) {
      const isBare =
        (key === "FuncCall" && lengthOf(child["funcname"]) < 2) ||
        (key === "A_Expr" &&
          (lengthOf(child["name"]) < 2 || !(child["kind"] === "AEXPR_OP" || child["kind"] === "AEXPR_OP_ANY"))) ||
        ((key === "TypeName" || key === "typeName") && lengthOf(child["names"]) < 2) ||
        ((key === "RangeVar" || key === "relation") && child["schemaname"] !== "pg_catalog") ||
        (key === "SubLink" && child["testexpr"] !== undefined) ||
        (key === "CaseExpr" && child["arg"] !== undefined) ||
        (key === "JoinExpr" && (child["isNatural"] !== undefined || child["usingClause"] !== undefined)) ||
        ["CollateClause", "RowExpr", "WindowDef"].includes(key);
      if (isBare) found.push(`${key} ${JSON.stringify(child)}`);
    }
    capturable(child, found);
  }
  return found;
}

const STATEMENTS = [
  COMMIT,
  SETTINGS,
  SCHEMAS,
  stateQuery("3", "1:1:"),
  conversionsQuery(1),
  ...(["relations", "functions", "operators", "types"] as const).flatMap((group) => [
    pageQuery(group, null, 0),
    pageQuery(group, "3", 1),
    oidsQuery(group, 0),
  ]),
];

test("every name in every statement says pg_catalog", async () => {
  for (const statement of STATEMENTS) expect(capturable(await parse(statement))).toEqual([]);
});

test("what could be captured is recognised", async () => {
  for (const statement of [
    "SELECT age(c.xmin) FROM pg_catalog.pg_class c",
    "SELECT 1 FROM pg_class c",
    "SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = 1",
    "SELECT 1 FROM pg_catalog.pg_class c WHERE c.relkind IN ('r')",
    "SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY (SELECT 1)",
    "SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid BETWEEN 1 AND 2",
    "SELECT 1 FROM pg_catalog.pg_class c WHERE c.relname LIKE 'x'",
    "SELECT c.oid::text FROM pg_catalog.pg_class c",
    "SELECT CASE c.oid WHEN 1 THEN 2 END FROM pg_catalog.pg_class c",
    "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_proc p USING (oid)",
  ]) {
    expect([statement, capturable(await parse(statement)).length]).not.toEqual([statement, 0]);
  }
});
