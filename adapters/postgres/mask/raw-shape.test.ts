/** Which statements say by keys what rows they show masked, and why others do not. */
import { expect, test } from "bun:test";
import { analyseGoverned } from "../../../test/corpus/expect-masking.ts";

/** `nothing`, why not, or the relations with the masked columns that are named. */
async function shapeOf(sql: string): Promise<string> {
  const { masking } = await analyseGoverned(sql);
  if (masking === null || masking.refusal !== null) return `refused by masks: ${masking?.refusal?.message ?? ""}`;
  const { raw } = masking;
  if (raw.kind === "nothing") return "nothing";
  if (raw.kind === "refused") return raw.because;
  return raw.sources
    .map(({ relation, columns, isOnly }) => `${isOnly ? "only " : ""}${relation.name}: ${columns.join(" ")}`)
    .join(", ");
}

const LATERAL = "a LATERAL subquery may leave out a key whose row is shown";
const SUBQUERY = 'it reads "app.customers" in a subquery';
const TWICE = 'it reads "app.customers" more than once';
const GROUPS = "it groups rows";
const WINDOW = "a window function shows values of other rows";
const SET = "the rows of UNION, INTERSECT and EXCEPT have no key";
const ONLY_SELECT = "only those of a SELECT can be told";
const CONSTANTS = "RETURNING shows rows that nobody else can read yet";
const TEXTS = "several statements are sent as one text";
const OTHERS = "EXECUTE and FETCH show rows of another statement";

test.each([
  ["SELECT 1", "nothing"],
  ["SELECT id FROM customers", "nothing"],
  ["SELECT count(*) FROM customers", "nothing"],
  ["SELECT id FROM customers UNION SELECT id FROM customers", "nothing"],
  ["BEGIN", "nothing"],
  ["SELECT email FROM customers", "customers: email"],
  ["SELECT id FROM customers WHERE email = 'a'", "customers: email"],
  ["SELECT id FROM customers ORDER BY email LIMIT 3", "customers: email"],
  ["SELECT * FROM ONLY customers", "only customers: email ssn card_number notes"],
  ["SELECT c FROM customers c", "customers: email ssn card_number notes"],
  ["TABLE customers", "customers: email ssn card_number notes"],
  [
    "SELECT DISTINCT ON (c.id) upper(email), o.id FROM orders o LEFT JOIN (app.customers c CROSS JOIN categories) ON true",
    "customers: email",
  ],
  ["SELECT email FROM customers, (SELECT 1) s, upper(customers.ssn) u", "customers: email ssn"],
  ["SELECT email FROM customers, LATERAL (SELECT customers.id) s", LATERAL],
  ["SELECT s.id, email FROM customers c LEFT JOIN LATERAL (SELECT c.id WHERE c.id > 5) s ON true", LATERAL],
  ["SELECT email FROM (customers c LEFT JOIN LATERAL (SELECT c.id) s ON true) CROSS JOIN orders", LATERAL],
  ["WITH o AS (SELECT * FROM orders) SELECT email FROM o, customers", "customers: email"],
  ["SELECT id, (SELECT max(id) FROM orders) FROM customers WHERE email <> ''", "customers: email"],
  ["SELECT email FROM customers FOR UPDATE", "customers: email"],
  ["SELECT (SELECT email FROM customers LIMIT 1)", SUBQUERY],
  ["SELECT s.email FROM (SELECT * FROM customers) s", SUBQUERY],
  ["WITH c AS (SELECT * FROM customers) SELECT a.id, b.email FROM c a, c b", SUBQUERY],
  ["SELECT id FROM orders WHERE EXISTS (SELECT FROM customers WHERE email = '')", SUBQUERY],
  ["SELECT a.email FROM customers a, customers b", TWICE],
  ["SELECT email FROM customers WHERE id IN (SELECT id FROM customers)", TWICE],
  ["SELECT id, email FROM customers GROUP BY id, email", GROUPS],
  ["SELECT max(email) FROM customers HAVING true", GROUPS],
  ["SELECT id, max(email) OVER (ORDER BY id) FROM customers", WINDOW],
  ["SELECT id, max(email) OVER w FROM customers WINDOW w AS (ORDER BY id)", WINDOW],
  ["SELECT email FROM customers ORDER BY count(*) OVER ()", WINDOW],
  ["SELECT email FROM customers UNION ALL SELECT 'x'", SET],
  ["(SELECT email FROM customers) EXCEPT SELECT 'x'", SET],
  ["EXPLAIN SELECT email FROM customers", ONLY_SELECT],
  ["COPY customers TO STDOUT", ONLY_SELECT],
  ["COPY (SELECT email FROM customers) TO STDOUT", ONLY_SELECT],
  ["INSERT INTO orders (note) SELECT email FROM customers", ONLY_SELECT],
  ["DELETE FROM orders USING customers c WHERE c.email = ''", ONLY_SELECT],
  ["UPDATE customers SET name = 'x' WHERE id = 1", "nothing"],
  ["UPDATE customers SET name = 'x' WHERE id = 1 RETURNING id", "nothing"],
  ["UPDATE customers SET name = 'x' WHERE id = 1 RETURNING *", CONSTANTS],
  ["DELETE FROM customers WHERE id = 1 RETURNING email AS e", CONSTANTS],
  ["WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING email) SELECT * FROM d", CONSTANTS],
  ["SELECT email FROM customers; SELECT 1", TEXTS],
  ["SELECT 1; SELECT email FROM customers", TEXTS],
  ["PREPARE p AS SELECT email FROM customers", "nothing"],
  ["PREPARE p AS SELECT email FROM customers; EXECUTE p", TEXTS],
  ["DECLARE c CURSOR FOR SELECT email FROM customers; FETCH c", TEXTS],
] as const)("%s", async (sql, shape) => {
  expect(await shapeOf(sql)).toBe(shape);
});

test("what was kept for later is looked at when its rows are shown", async () => {
  const shown = await analyseGoverned("SELECT email FROM customers");
  const open = await analyseGoverned("SELECT id FROM customers");
  const raw = async (sql: string, analysis: typeof shown) =>
    (await analyseGoverned(sql, {}, { cursor: () => analysis, preparedStatement: () => analysis })).masking?.raw;
  for (const sql of ["FETCH c", "EXECUTE p"]) {
    expect(await raw(sql, shown)).toEqual({ kind: "refused", because: OTHERS });
    expect(await raw(sql, open)).toEqual({ kind: "nothing" });
  }
});
