/** Tests what queries are said to read: columns and relations, spelled in every way. */
import { expect, test } from "bun:test";
import { corpusCatalog, corpusReading } from "../../test/corpus/catalog.ts";
import { expectAccesses } from "../../test/corpus/expect-accesses.ts";
import { Analyser } from "./analyser.ts";
import type { Analysis, Reading } from "./analysis.ts";

expectAccesses("reading", [
  ["SELECT id FROM customers", "read select app.customers(id)"],
  ["SELECT * FROM customers", "read select app.customers(id full_name email ssn card_number balance notes created_at)"],
  ["TABLE app.orders", "read select app.orders(id customer_id product_id amount status note placed_at)"],
  ["SELECT count(*) FROM orders", "read select app.orders"],
  ["SELECT 1", "read select ambient"],
  ["VALUES (1, 'a'), (2, 'b')", "read select ambient"],
  ["SELECT now(), version(), current_user", "read select ambient"],
  ["SELECT c.email FROM app.customers AS c WHERE c.id = 1", "read select app.customers(email id)"],
  ["SELECT app.customers.email FROM app.customers", "read select app.customers(email)"],
  ["SELECT shop.app.customers.email FROM shop.app.customers", "read select app.customers(email)"],
  ["SELECT U&\"!0065mail\" UESCAPE '!' FROM customers", "read select app.customers(email)"],
  ['SELECT "email" FROM "app"."customers"', "read select app.customers(email)"],
  ["SELECT EMAIL FROM CUSTOMERS", "read select app.customers(email)"],
  ["SELECT email AS id FROM customers ORDER BY id", "read select app.customers(email)"],
  ["SELECT full_name AS email FROM customers ORDER BY email", "read select app.customers(full_name)"],
  ["SELECT full_name AS email FROM customers GROUP BY email", "read select app.customers(full_name email)"],
  ["SELECT full_name FROM customers ORDER BY email", "read select app.customers(full_name email)"],
  // The server calls it lower.
  ["SELECT lower(email) FROM customers GROUP BY lower", "read select app.customers(email)"],
  ["SELECT lower(email) FROM customers GROUP BY upper", "read select app.customers(?)"],
  ["SELECT full_name FROM customers ORDER BY lower(email)", "read select app.customers(full_name email)"],
  ["SELECT lower(email) FROM customers GROUP BY 1 HAVING max(balance) > 1", "read select app.customers(email balance)"],
  ["SELECT DISTINCT ON (email) id FROM customers", "read select app.customers(id email)"],
  [
    "SELECT id, rank() OVER (PARTITION BY email ORDER BY balance) FROM customers",
    "read select app.customers(id email balance)",
  ],
  [
    "SELECT id, sum(balance) OVER w FROM customers WINDOW w AS (ORDER BY created_at)",
    "read select app.customers(id balance created_at)",
  ],
  ["SELECT count(*) FILTER (WHERE email LIKE 'a%') FROM customers", "read select app.customers(email)"],
  ["SELECT string_agg(full_name, ',' ORDER BY ssn) FROM customers", "read select app.customers(full_name ssn)"],
  ["SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY balance) FROM customers", "read select app.customers(balance)"],
  [
    "SELECT id FROM customers LIMIT (SELECT max(amount)::int4 FROM orders)",
    "read select app.customers(id)",
    "read select app.orders(amount)",
  ],
  ["SELECT CASE WHEN email IS NULL THEN 1 ELSE 2 END FROM customers", "read select app.customers(email)"],
  ["SELECT notes->>'memo' FROM customers", "read select app.customers(notes)"],
  ["SELECT tags[1], tags[1:2] FROM products", "read select app.products(tags)"],
  ["SELECT ARRAY(SELECT email FROM customers)", "read select app.customers(email)"],
  [
    "SELECT (SELECT email FROM customers WHERE id = o.customer_id) FROM orders o",
    "read select app.orders(customer_id)",
    "read select app.customers(email id)",
  ],
  [
    "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND ssn = 'x')",
    "read select app.orders(id customer_id)",
    "read select app.customers(id ssn)",
  ],
  [
    "SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email = 'x')",
    "read select app.orders(id customer_id)",
    "read select app.customers(id email)",
  ],
  [
    "SELECT id FROM orders WHERE amount > ALL (SELECT balance FROM customers)",
    "read select app.orders(id amount)",
    "read select app.customers(balance)",
  ],
  [
    "SELECT GROUPING(email), count(*) FROM customers GROUP BY ROLLUP (email, ssn)",
    "read select app.customers(email ssn)",
  ],
  [
    "SELECT GREATEST(email, ssn), COALESCE(full_name, card_number), NULLIF(id, 1) FROM customers",
    "read select app.customers(email ssn full_name card_number id)",
  ],
  [
    "SELECT EXTRACT(year FROM created_at), created_at AT TIME ZONE 'UTC', SUBSTRING(full_name FROM 1 FOR 2) FROM customers",
    "read select app.customers(created_at full_name)",
  ],
  ["SELECT XMLELEMENT(NAME c, XMLATTRIBUTES(email AS e), ssn) FROM customers", "read select app.customers(email ssn)"],
  ["SELECT ctid, xmin, tableoid FROM customers", "read select app.customers(ctid xmin tableoid)"],
  ["SELECT id FROM ONLY customers", "read select app.customers(id)"],
  ["SELECT id FROM customers TABLESAMPLE bernoulli (10)", "read select app.customers(id)"],
  ["SELECT nickname FROM public.customers", "read select public.customers(nickname)"],
  ['SELECT "a.b" FROM "odd.name"', 'read select public."odd.name"(b")'],
  ['SELECT public."odd.name".id FROM public."odd.name"', 'read select public."odd.name"(id)'],
  ["SELECT body FROM notes", "read select public.notes(body)"],
]);

expectAccesses("whole rows and rows as arguments", [
  [
    "SELECT c FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT customers FROM customers",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT c.* FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT (c).email FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  ["SELECT (c.notes).x FROM customers c", "read select app.customers(notes)"],
  [
    "SELECT (c).* FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT ROW(c.*) FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT row_to_json(c) FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT email(c) FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT c.row_to_json FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT c.label FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
    "execute execute calls app.label",
  ],
  [
    "SELECT label(c) FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
    "execute execute calls app.label",
  ],
  [
    "SELECT (c).label FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
    "execute execute calls app.label",
  ],
  [
    "SELECT count(c) FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT c::text FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT c = c FROM customers c",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT to_jsonb(customers_vip) - 'id' FROM customers_vip",
    "read select app.customers_vip(id full_name email ssn card_number balance notes created_at vip_level)",
  ],
]);

expectAccesses("a call with one argument", [
  // A function comes before a column of its name.
  ["SELECT label(1) FROM (SELECT 1 AS label) s", "execute execute calls app.label"],
  // With two arguments or a schema it is no column.
  ["SELECT email(c.id, 1) FROM customers c", "read select app.customers(id)", "execute execute calls ? opaque"],
  ["SELECT email.nosuch(c.id) FROM customers c", "read select app.customers(id)", "execute execute calls ? opaque"],
  ["SELECT a.b.c.lower('A')", "execute execute calls ? opaque"],
  // Views of information_schema are made of these, and only there they are safe.
  ["SELECT information_schema._pg_truetypid(1)", "read select ambient"],
  ["SELECT information_schema._pg_unheard(1)", "execute execute calls information_schema._pg_unheard"],
  ["SELECT _pg_truetypid(1)", "execute execute calls app._pg_truetypid"],
]);

expectAccesses("types that two schemas have", [
  ["SELECT 'x'::badge", "execute execute calls app.label"],
  ["SELECT 'x'::public.badge", "execute execute calls public.shared"],
]);

expectAccesses(
  "types when the path is not known",
  [["SELECT 'x'::badge", "execute execute calls app.label", "execute execute calls public.shared"]],
  { searchPath: null },
);

expectAccesses(
  "without a catalog",
  [
    ["SELECT 1 + 1", "execute execute calls ? opaque"],
    ["SELECT lower('A')", "execute execute calls ? opaque"],
    ["SELECT 'x'::badge", "execute execute calls ? opaque"],
    ["SELECT id FROM app.orders", "read select ?(?) opaque"],
    // Nobody adds to pg_catalog.
    ["SELECT 1 OPERATOR(pg_catalog.+) 1, 'x'::pg_catalog.text", "read select ambient"],
  ],
  { catalog: null },
);

expectAccesses("joins", [
  [
    "SELECT c.full_name, o.amount FROM customers c JOIN orders o ON o.customer_id = c.id",
    "read select app.customers(id full_name)",
    "read select app.orders(customer_id amount)",
  ],
  [
    "SELECT * FROM orders JOIN contacts USING (customer_id)",
    "read select app.orders(customer_id id product_id amount status note placed_at)",
    "read select app.contacts(customer_id id alt_email alt_local)",
  ],
  [
    "SELECT amount FROM orders JOIN contacts USING (customer_id)",
    "read select app.orders(customer_id amount)",
    "read select app.contacts(customer_id)",
  ],
  [
    "SELECT amount FROM orders NATURAL JOIN contacts",
    "read select app.orders(id customer_id amount)",
    "read select app.contacts(id customer_id)",
  ],
  [
    "SELECT amount FROM orders JOIN contacts USING (customer_id) AS u WHERE u.customer_id = 1",
    "read select app.orders(customer_id amount)",
    "read select app.contacts(customer_id)",
  ],
  [
    "SELECT j.email FROM (customers JOIN orders ON true) AS j",
    "read select app.customers(email)",
    "read select app.orders",
  ],
  [
    "SELECT j.a FROM (customers CROSS JOIN products) AS j (a)",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
    "read select app.products(id name price tags attrs)",
  ],
  [
    "SELECT j FROM (contacts CROSS JOIN categories) AS j",
    "read select app.contacts(id customer_id alt_email alt_local)",
    "read select app.categories(id parent_id name)",
  ],
  // A function's columns are not known: it may be one of them.
  ["SELECT f FROM (customers CROSS JOIN generate_series(1, 2) AS g) AS j", "read select app.customers"],
  ["SELECT f FROM (customers CROSS JOIN (SELECT 1 AS g) s) AS j", "read select app.customers(?)"],
  [
    "SELECT j.note FROM ((orders JOIN contacts USING (customer_id) AS u) CROSS JOIN categories) AS j",
    "read select app.orders(customer_id note)",
    "read select app.contacts(customer_id)",
    "read select app.categories",
  ],
  ["SELECT x.b FROM customers AS x (a, b)", "read select app.customers(full_name)"],
  ["SELECT email FROM customers AS x (a, b)", "read select app.customers(email)"],
  ["SELECT x.email FROM customers AS x (email)", "read select app.customers(id email)"],
  [
    "SELECT id FROM customers c, orders o WHERE c.id = o.id",
    "read select app.customers(id)",
    "read select app.orders(id)",
  ],
  [
    "SELECT o.id FROM orders o LEFT JOIN products p ON p.id = o.product_id AND p.name = 'x' RIGHT JOIN customers c ON c.email = o.note",
    "read select app.orders(product_id note id)",
    "read select app.products(id name)",
    "read select app.customers(email)",
  ],
  ["SELECT s.e FROM (SELECT email AS e, ssn FROM customers) s", "read select app.customers(email ssn)"],
  ["SELECT s.a FROM (SELECT email, ssn FROM customers) s (a)", "read select app.customers(email ssn)"],
  [
    "SELECT 1 FROM (SELECT * FROM customers) s",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "SELECT l.x FROM orders o, LATERAL (SELECT email AS x FROM customers WHERE id = o.customer_id) l",
    "read select app.orders(customer_id)",
    "read select app.customers(email id)",
  ],
  [
    "SELECT email FROM orders o, (SELECT full_name FROM customers) s",
    "read select app.orders(?)",
    "read select app.customers(full_name)",
  ],
  // Without LATERAL it does not see what stands beside it.
  ["SELECT 1 FROM orders, (SELECT note FROM customers) s", "read select app.orders", "read select app.customers(?)"],
  ["SELECT a.id FROM categories a JOIN categories b ON b.parent_id = a.id", "read select app.categories(parent_id id)"],
  [
    "SELECT id FROM customers WHERE id IN (SELECT product_id FROM orders WHERE email = note)",
    "read select app.customers(id email)",
    "read select app.orders(product_id note)",
  ],
  ["SELECT v.a FROM (VALUES (1, 2)) AS v (a, b)", "read select ambient"],
  ["SELECT key, value FROM customers c, jsonb_each_text(c.notes)", "read select app.customers(notes)"],
  ["SELECT g FROM customers, generate_series(1, id) g", "read select app.customers(id)"],
  [
    "SELECT r.a FROM customers c, jsonb_to_recordset(c.notes) AS r (a int4, b text)",
    "read select app.customers(notes)",
  ],
  [
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[1])) WITH ORDINALITY AS f (a, b, n)",
    "read select ambient",
  ],
  [
    "SELECT x.a FROM customers c, XMLTABLE('/r' PASSING (c.notes::text::xml) COLUMNS a text PATH 'x', n FOR ORDINALITY) x",
    "read select app.customers(notes)",
  ],
]);

expectAccesses("WITH", [
  ["WITH w AS (SELECT email FROM customers) SELECT * FROM w", "read select app.customers(email)"],
  ["WITH w (a) AS (SELECT email FROM customers) SELECT a FROM w WHERE a LIKE 'x%'", "read select app.customers(email)"],
  ["WITH customers AS (SELECT 1 AS email) SELECT email FROM customers", "read select ambient"],
  ["WITH customers AS (SELECT 1 AS email) SELECT email FROM app.customers", "read select app.customers(email)"],
  [
    "WITH customers AS (SELECT * FROM customers) SELECT id FROM customers",
    "read select app.customers(id full_name email ssn card_number balance notes created_at)",
  ],
  [
    "WITH RECURSIVE t AS (SELECT id, parent_id FROM categories UNION ALL SELECT c.id, c.parent_id FROM categories c JOIN t ON c.parent_id = t.id) SELECT id FROM t",
    "read select app.categories(id parent_id)",
  ],
  [
    "WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 3) SEARCH DEPTH FIRST BY n SET s CYCLE n SET c USING p SELECT n, s, c FROM t",
    "read select ambient",
  ],
  ["WITH w AS (DELETE FROM orders WHERE id = 1 RETURNING note) SELECT note FROM w", "write delete app.orders(id note)"],
  [
    "WITH w AS (UPDATE customers SET balance = 0 RETURNING id) INSERT INTO orders (customer_id, amount) SELECT id, 1 FROM w",
    "write update app.customers(balance id) unfiltered",
    "write insert app.orders(customer_id amount)",
  ],
  ["SELECT * FROM (WITH w AS (SELECT ssn FROM customers) SELECT ssn FROM w) x", "read select app.customers(ssn)"],
  [
    "(SELECT email FROM customers) UNION SELECT note FROM orders ORDER BY email",
    "read select app.customers(email)",
    "read select app.orders(note)",
  ],
  [
    "SELECT id FROM customers EXCEPT (SELECT id FROM orders INTERSECT SELECT id FROM products)",
    "read select app.customers(id)",
    "read select app.orders(id)",
    "read select app.products(id)",
  ],
]);

expectAccesses("names", [
  ["SELECT * FROM nosuch", "read select ?(?) opaque"],
  ["SELECT nosuch FROM customers", "read select app.customers(?)"],
  ["SELECT x.email FROM customers", "read select app.customers(?)"],
  ["SELECT app.customers FROM app.customers", "read select app.customers(?)"],
  ["SELECT * FROM other.app.customers", "read select ?(?) opaque"],
  ["SELECT relname FROM pg_class", "read select pg_catalog.pg_class(relname) ambient"],
  ["SELECT table_name FROM information_schema.tables", "read select information_schema.tables(table_name) ambient"],
  ["SELECT proname FROM pg_proc", "read select pg_catalog.pg_proc(proname) ambient"],
  ["SELECT prosrc FROM pg_proc", "read select pg_catalog.pg_proc(prosrc)"],
  ["SELECT * FROM pg_proc", "read select pg_catalog.pg_proc(oid proname pronamespace prosrc prosqlbody)"],
  [
    "SELECT routine_definition FROM information_schema.routines",
    "read select information_schema.routines(routine_definition)",
  ],
  ["SELECT most_common_vals FROM pg_stats", "read select pg_catalog.pg_stats(most_common_vals)"],
  ["SELECT rolpassword FROM pg_authid", "read select pg_catalog.pg_authid(rolpassword)"],
  ["SELECT query FROM pg_stat_activity", "read select pg_catalog.pg_stat_activity(query)"],
  [
    "SELECT relname FROM pg_class FOR UPDATE",
    "read select pg_catalog.pg_class(relname) ambient",
    "write select for update pg_catalog.pg_class(relname)",
  ],
  ["UPDATE pg_class SET relname = 'x'", "write update pg_catalog.pg_class(relname) unfiltered"],
]);

expectAccesses("EXPLAIN", [
  ["EXPLAIN SELECT email FROM customers", "read explain app.customers(email)"],
  ["EXPLAIN (VERBOSE, COSTS off) DELETE FROM orders", "read explain app.orders"],
  ["EXPLAIN ANALYZE DELETE FROM orders", "write delete app.orders unfiltered"],
  ["EXPLAIN (ANALYZE false) UPDATE orders SET note = 'x'", "read explain app.orders(note)"],
  ["EXPLAIN (ANALYZE on) SELECT email FROM customers", "read select app.customers(email)"],
  ["EXPLAIN (ANALYZE 0) DELETE FROM orders", "read explain app.orders"],
  ["EXPLAIN (ANALYZE 1) DELETE FROM orders", "write delete app.orders unfiltered"],
  ["EXPLAIN (ANALYZE off, ANALYZE) DELETE FROM orders", "write delete app.orders unfiltered"],
  ["EXPLAIN SELECT get_email(1)", "execute execute calls app.get_email"],
  ["EXPLAIN CREATE TABLE t AS SELECT email FROM customers", "read explain app.customers(email)"],
  [
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT email FROM customers",
    "read select app.customers(email)",
    "define create table as app.t",
  ],
  ["EXPLAIN DECLARE c CURSOR FOR SELECT email FROM customers", "read explain app.customers(email)"],
]);

const OPAQUE = ["administer"];

async function analysed(sql: string, changes: Partial<Reading> = {}): Promise<Analysis> {
  return new Analyser().analyse(new TextEncoder().encode(sql), corpusReading(corpusCatalog(), changes));
}

/** Their classes say enough: what is not understood may do anything. */
async function classesOf(sql: string): Promise<string[]> {
  return (await analysed(sql)).accesses.map((access) => access.class);
}

test.each([
  ["SELECT a.b.c.lower('A')", "a function's name has too many parts"],
  ["SELECT app.nosuch(1)", `function "app.nosuch" is not in the catalog`],
  ["SELECT 1 OPERATOR(a.b.c.+) 1", "an operator's name has too many parts"],
  ["SELECT 1::a.b.c.text", "a type's name has too many parts"],
  ["SELECT 1::app.nosuch", `type "app.nosuch" is not in the catalog`],
  ["SELECT 1::nosuch", `type "nosuch" is not in the catalog`],
  ["TABLE app.nosuch", `relation "app.nosuch" is not in the catalog`],
  ["TABLE other.app.orders", "another database is named"],
])("of %s it is said what is not known: %s", async (sql, because) => {
  expect((await analysed(sql)).notUnderstood).toBe(because);
});

const NO_CATALOG = "the target's catalog is not loaded, or has changed";
const CHANGED = "it was changed since the catalog was read";

test.each<[string, string, Partial<Reading>]>([
  ["TABLE app.orders", NO_CATALOG, { catalog: null }],
  ["SELECT lower('A')", NO_CATALOG, { catalog: null }],
  ["SELECT 1 + 1", NO_CATALOG, { catalog: null }],
  ["SELECT 'x'::badge", NO_CATALOG, { catalog: null }],
  ["TABLE orders", "the search path is not known", { searchPath: null }],
  ["TABLE app.orders", `"orders" was changed since the catalog was read`, { redefinedNames: new Set(["orders"]) }],
  ["SELECT lower('A')", CHANGED, { redefinedNames: new Set(["lower"]) }],
  ["SELECT 1 + 1", CHANGED, { redefinedNames: new Set(["+"]) }],
  ["SELECT 'x'::badge", CHANGED, { redefinedNames: new Set(["badge"]) }],
  ["TABLE orders", "the session's temporary relations are not known", { temporaryNames: "unknown" }],
  ["TABLE orders", `"orders" is a temporary relation`, { temporaryNames: new Set(["orders"]) }],
])("of %s it is said why it is not known: %s", async (sql, because, changes) => {
  expect((await analysed(sql, changes)).notUnderstood).toBe(because);
});

test("what shows more columns than the server allows is not read", async () => {
  // 1,664 columns, 8 of each source.
  const star = (count: number): string =>
    `SELECT * FROM ${Array.from({ length: count }, (_, at) => `customers c${at}`).join(", ")}`;
  expect(await classesOf(star(208))).toEqual(["read"]);
  expect(await classesOf(star(209))).toEqual(OPAQUE);
});

test("what joins more relations than the gateway follows is not read, in a join with an alias either", async () => {
  const joined = (count: number): string => `SELECT 1 FROM (orders${" CROSS JOIN orders".repeat(count - 1)}) AS j`;
  expect(await classesOf(joined(500))).toEqual(["read"]);
  expect(await classesOf(joined(501))).toEqual(OPAQUE);
});
