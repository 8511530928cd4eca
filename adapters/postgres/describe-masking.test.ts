/** Tests what masks put in the place of what a governed session's statements refer to. */
import { expect, test } from "bun:test";
import { corpusCatalog, corpusReading } from "../../test/corpus/catalog.ts";
import { analyseGoverned, expectMasking, maskingLine } from "../../test/corpus/expect-masking.ts";
import type { MaskingExpectation } from "../../test/corpus/expect-masking.ts";
import { corpusPlan } from "../../test/corpus/plan.ts";
import { Analyser } from "./analyser.ts";
import { SYNCHRONOUS_BYTES_MAX } from "./parser.ts";

expectMasking("a source that a masked column is read of", [
  ["SELECT email FROM customers", `SELECT email FROM [customers] AS "customers"`],
  ["SELECT email FROM app.customers", `SELECT email FROM [customers] AS "customers"`],
  ["SELECT email FROM customers AS c", "SELECT email FROM [customers] AS c"],
  ["SELECT x FROM customers c(a, b, x)", "SELECT x FROM [customers] c(a, b, x)"],
  ["SELECT c FROM customers c", "SELECT c FROM [customers] c"],
  ["SELECT email FROM shop.app.customers", `SELECT email FROM [customers] AS "customers"`],
  [`SELECT email FROM U&"app".U&"cust\\006Fmers" c`, "SELECT email FROM [customers] c"],
  ["SELECT * FROM customers", `SELECT * FROM [customers] AS "customers"`],
  ["TABLE customers", `SELECT * FROM [customers] AS "customers"`],
  ["SELECT email FROM ONLY customers", `SELECT email FROM [only customers] AS "customers"`],
  ["SELECT email FROM ONLY (customers) c", "SELECT email FROM [only customers] c"],
  ["SELECT email FROM customers * c", "SELECT email FROM [customers] c"],
  [
    "SELECT o.id FROM orders o JOIN customers c USING (id) WHERE c.email LIKE 'a%'",
    "SELECT o.id FROM orders o JOIN [customers] c USING (id) WHERE c.email LIKE 'a%'",
  ],
  [
    "SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE ssn = $1)",
    `SELECT id FROM orders WHERE customer_id IN (SELECT id FROM [customers] AS "customers" WHERE ssn = $1)`,
  ],
  [
    "WITH s AS (SELECT email FROM customers) SELECT * FROM s, customers_vip v WHERE v.ssn = '1'",
    `WITH s AS (SELECT email FROM [customers] AS "customers") SELECT * FROM s, [customers_vip] v WHERE v.ssn = '1'`,
  ],
  [
    "SELECT email FROM customers FOR UPDATE OF customers",
    `SELECT email FROM [customers] AS "customers" FOR UPDATE OF customers`,
  ],
  [
    "/* é */ SELECT 1; SELECT 'ß', email FROM customers",
    `/* é */ SELECT 1; SELECT 'ß', email FROM [customers] AS "customers"`,
  ],
  ["COPY (SELECT email FROM customers) TO STDOUT", `COPY (SELECT email FROM [customers] AS "customers") TO STDOUT`],
  ["PREPARE p AS SELECT email FROM customers", `PREPARE p AS SELECT email FROM [customers] AS "customers"`],
  [
    "DECLARE c CURSOR FOR SELECT email FROM customers",
    `DECLARE c CURSOR FOR SELECT email FROM [customers] AS "customers"`,
  ],
  ["EXPLAIN SELECT email FROM customers", `EXPLAIN SELECT email FROM [customers] AS "customers"`],
  [
    "PREPARE p AS SELECT email FROM customers; EXECUTE p; DEALLOCATE p",
    `PREPARE p AS SELECT email FROM [customers] AS "customers"; EXECUTE p; DEALLOCATE p`,
  ],
  [
    "INSERT INTO orders (note) SELECT email FROM customers",
    `INSERT INTO orders (note) SELECT email FROM [customers] AS "customers"`,
  ],
  [
    "UPDATE orders SET note = c.email FROM customers c WHERE c.id = customer_id",
    "UPDATE orders SET note = c.email FROM [customers] c WHERE c.id = customer_id",
  ],
  [
    "DELETE FROM orders USING customers c WHERE c.id = customer_id AND c.email = 'x' RETURNING c.*",
    "DELETE FROM orders USING [customers] c WHERE c.id = customer_id AND c.email = 'x' RETURNING c.*",
  ],
  [
    "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET note = c.email",
    "MERGE INTO orders o USING [customers] c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET note = c.email",
  ],
  ["SELECT contact FROM customer_directory", `SELECT contact FROM [customer_directory] AS "customer_directory"`],
]);

expectMasking("guarded mode leaves a statement as it is that touches no masked column", [
  ["SELECT id FROM customers", "as it is"],
  ["SELECT count(*) FROM customers", "as it is"],
  ["SELECT id, ctid FROM ONLY customers TABLESAMPLE SYSTEM (10) ORDER BY full_name", "as it is"],
  ["SELECT app.customers.id FROM app.customers, public.customers", "as it is"],
  ["SELECT email FROM public.notes, (SELECT 1 AS email) s", "as it is"],
  ["COPY customers (id, full_name) TO STDOUT", "as it is"],
  ["UPDATE customers SET full_name = 'x' WHERE balance > 0 RETURNING id, customers.full_name", "as it is"],
  // One use of a masked column is enough for all of them.
  [
    "SELECT a.id, b.id FROM customers a, customers b WHERE b.email = ''",
    "SELECT a.id, b.id FROM [customers] a, [customers] b WHERE b.email = ''",
  ],
]);

expectMasking(
  "inline mode replaces every source",
  [
    ["SELECT id FROM customers", `SELECT id FROM [customers] AS "customers"`],
    ["SELECT id FROM ONLY customers c", "SELECT id FROM [only customers] c"],
    ["SELECT id FROM orders", "as it is"],
    [
      "SELECT id, xmin FROM contacts WHERE tableoid > 1",
      `SELECT id, xmin FROM (SELECT "id", "customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local", "xmin", "tableoid" FROM "app"."contacts") AS "contacts" WHERE tableoid > 1`,
    ],
    ["COPY customers (id) TO STDOUT", `COPY (SELECT "id" FROM ONLY "app"."customers") TO STDOUT`],
  ],
  { mode: "inline" },
);

const CONTACTS = `"id", "customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local"`;
const CONTACTS_LISTED = `"c"."id", "c"."customer_id", "c"."alt_email", "c"."alt_local"`;

/** What is put in the place of contacts when these are named. */
function contacts(...system: readonly string[]): string {
  return `(SELECT ${[CONTACTS, ...system.map((column) => `"${column}"`)].join(", ")} FROM "app"."contacts")`;
}

const SYSTEM_COLUMNS: readonly MaskingExpectation[] = [
  ["SELECT ctid, c.* FROM contacts c", `SELECT ctid, ${CONTACTS_LISTED} FROM ${contacts("ctid")} c`],
  ["SELECT *, xmin FROM contacts AS c", `SELECT ${CONTACTS_LISTED}, xmin FROM ${contacts("xmin")} AS c`],
  [
    "SELECT*FROM app.contacts WHERE contacts.ctid = '(0,1)'",
    `SELECT ${CONTACTS_LISTED.replaceAll('"c"', '"contacts"')} FROM ${contacts("ctid")} AS "contacts" WHERE contacts.ctid = '(0,1)'`,
  ],
  [
    "SELECT id, customer_id, alt_email, alt_local, tableoid FROM contacts",
    `SELECT id, customer_id, alt_email, alt_local, tableoid FROM ${contacts("tableoid")} AS "contacts"`,
  ],
  [
    "SELECT o.*, c.*, c.ctid FROM orders o JOIN contacts c USING (customer_id)",
    `SELECT o.*, ${CONTACTS_LISTED}, c.ctid FROM orders o JOIN ${contacts("ctid")} c USING (customer_id)`,
  ],
  // The columns of both are gathered together.
  [
    "SELECT c.*, b.ctid FROM contacts c, contacts b",
    `SELECT ${CONTACTS_LISTED}, b.ctid FROM ${contacts("ctid")} c, ${contacts("ctid")} b`,
  ],
  [
    "SELECT s.* FROM (SELECT c.*, ctid FROM contacts c) s",
    `SELECT s.* FROM (SELECT ${CONTACTS_LISTED}, ctid FROM ${contacts("ctid")} c) s`,
  ],
  [
    "SELECT l.* FROM contacts c, LATERAL (SELECT c.*, c.ctid) l",
    `SELECT l.* FROM ${contacts("ctid")} c, LATERAL (SELECT ${CONTACTS_LISTED}, c.ctid) l`,
  ],
  ["SELECT c.* FROM contacts c", "SELECT c.* FROM [contacts] c"],
];

expectMasking("system columns of a masked relation", SYSTEM_COLUMNS);
expectMasking("inline, system columns of a masked relation", SYSTEM_COLUMNS, { mode: "inline" });
expectMasking("system columns without the children", [
  [
    "SELECT ctid, alt_email FROM ONLY contacts",
    `SELECT ctid, alt_email FROM (SELECT ${CONTACTS}, "ctid" FROM ONLY "app"."contacts") AS "contacts"`,
  ],
]);

const SOURCE_OF_NONE = "(pg_catalog.pg_get_function_sqlbody(NULL::pg_catalog.oid))";

expectMasking("sources of functions are those of none", [
  ["SELECT pg_get_function_sqlbody(1)", `SELECT ${SOURCE_OF_NONE}`],
  [
    "SELECT coalesce(pg_catalog.pg_get_function_sqlbody(o.id), o.note) AS source FROM orders o",
    `SELECT coalesce(${SOURCE_OF_NONE}, o.note) AS source FROM orders o`,
  ],
  [
    `SELECT email FROM customers WHERE "pg_catalog" . U&"pg!005fget_function_sqlbody" UESCAPE '!' (id) LIKE '%canary%'`,
    `SELECT email FROM [customers] AS "customers" WHERE ${SOURCE_OF_NONE} LIKE '%canary%'`,
  ],
  [
    "SELECT pg_get_function_sqlbody((SELECT max(id) FROM customers WHERE email = 'x'))",
    "refused: masks cannot be put into this statement",
  ],
  ["SELECT email FROM customers, pg_get_function_sqlbody(1) s", "refused: masks cannot be put into this statement"],
  ["SELECT pg_get_function_sqlbody()", "refused: function pg_catalog.pg_get_function_sqlbody"],
  ["SELECT pg_get_function_sqlbody(1, 2)", "refused: function pg_catalog.pg_get_function_sqlbody"],
  ["SELECT pg_get_functiondef(1)", "refused: function pg_catalog.pg_get_functiondef"],
  ["SELECT app.pg_get_function_sqlbody(1)", "refused: a statement that the gateway cannot read"],
]);

/** What is put in the place of contacts when it is sampled. */
function sampled(clause: string, from = `"app"."contacts"`): string {
  return `(SELECT ${CONTACTS} FROM ${from} ${clause})`;
}

const SAMPLES: readonly MaskingExpectation[] = [
  [
    "SELECT * FROM contacts TABLESAMPLE SYSTEM (10)",
    `SELECT * FROM ${sampled("TABLESAMPLE pg_catalog.system (10)")} AS "contacts"`,
  ],
  [
    "SELECT c.x FROM ONLY contacts AS c(x, id, y) TABLESAMPLE pg_catalog.bernoulli (0.5) REPEATABLE (7) WHERE y <> ''",
    `SELECT c.x FROM ${sampled("TABLESAMPLE pg_catalog.bernoulli (0.5) REPEATABLE (7)", 'ONLY "app"."contacts"')} AS "c" ("x", "id", "y") WHERE y <> ''`,
  ],
  [
    "SELECT c.*, o.id FROM orders o TABLESAMPLE SYSTEM (1) JOIN contacts c TABLESAMPLE bernoulli ($1) REPEATABLE ($2) ON true",
    `SELECT c.*, o.id FROM orders o TABLESAMPLE SYSTEM (1) JOIN ${sampled("TABLESAMPLE pg_catalog.bernoulli ($1) REPEATABLE ($2)")} AS "c" ON true`,
  ],
  [
    "SELECT ctid, c.* FROM contacts c TABLESAMPLE SYSTEM (0)",
    `SELECT ctid, ${CONTACTS_LISTED} FROM (SELECT ${CONTACTS}, "ctid" FROM "app"."contacts" TABLESAMPLE pg_catalog.system (0)) AS "c"`,
  ],
  [
    "SELECT a.*, b.* FROM contacts a TABLESAMPLE SYSTEM (1), contacts b TABLESAMPLE SYSTEM (1e-1)",
    `SELECT a.*, b.* FROM ${sampled("TABLESAMPLE pg_catalog.system (1)")} AS "a", ${sampled("TABLESAMPLE pg_catalog.system (1e-1)")} AS "b"`,
  ],
];

expectMasking("a sample of a masked relation", SAMPLES);
expectMasking("inline, a sample of a masked relation", SAMPLES, { mode: "inline" });

expectMasking(
  "a relation of which some rows are not shown is always replaced",
  [
    ["SELECT nspname FROM pg_namespace n", `SELECT nspname FROM (SELECT "oid", "nspname" FROM filtered) n`],
    [
      "SELECT pg_catalog.pg_namespace.oid FROM pg_catalog.pg_namespace",
      `SELECT ("pg_namespace"."oid") FROM (SELECT "oid", "nspname" FROM filtered) AS "pg_namespace"`,
    ],
    ["SELECT relname FROM pg_class", "as it is"],
    [
      "SELECT nspname FROM pg_namespace TABLESAMPLE SYSTEM (1)",
      "refused: what is shown of it cannot be sampled by TABLESAMPLE",
    ],
  ],
  { filtered: ["pg_catalog.pg_namespace"] },
);

const PIN = `'"app", "public", "pg_temp"'`;

expectMasking("search_path is set to what it is pinned to in the gateway's own words", [
  ["SET search_path TO app, public", "SET search_path TO 'app', 'public', 'pg_temp'"],
  ["SET search_path = app, public, pg_temp", "SET search_path = 'app', 'public', 'pg_temp'"],
  ["SET SESSION Search_Path = APP, Public;", "SET SESSION Search_Path = 'app', 'public', 'pg_temp';"],
  [
    `/* é */ set local search_path to"app",/* , */U&"publi!0063"UESCAPE'!'--`,
    `/* é */ set local search_path to 'app',/* , */ 'public', 'pg_temp' --`,
  ],
  ["SET search_path TO 'app', E'pub\\x6cic'", "SET search_path TO 'app', 'public', 'pg_temp'"],
  ["SET search_path TO $$app$$, 'pub'\n'lic'; SELECT 1", "SET search_path TO 'app', 'public', 'pg_temp'; SELECT 1"],
  [
    "BEGIN; SET LOCAL search_path TO app, public; ROLLBACK",
    "BEGIN; SET LOCAL search_path TO 'app', 'public', 'pg_temp'; ROLLBACK",
  ],
  ["SELECT set_config('search_path', 'app, public', false)", `SELECT set_config('search_path', ${PIN}, false)`],
  [
    `SELECT pg_catalog.set_config('SEARCH_PATH','"app" ,PUBLIC, pg_temp',$1)`,
    `SELECT pg_catalog.set_config('SEARCH_PATH',${PIN},$1)`,
  ],
  [
    "PREPARE p AS SELECT set_config('search_path', U&'app, publi!0063' UESCAPE '!', id = 1) FROM orders; EXECUTE p",
    `PREPARE p AS SELECT set_config('search_path', ${PIN}, id = 1) FROM orders; EXECUTE p`,
  ],
  [
    "UPDATE orders SET (id, note) = (SELECT 1, set_config('search_path', 'app, public', false) || email FROM customers)",
    `UPDATE orders SET (id, note) = (SELECT 1, set_config('search_path', ${PIN}, false) || email FROM [customers] AS "customers")`,
  ],
]);

expectMasking(
  "where search_path is not pinned it is not set",
  [
    ["SET search_path TO app, public", `refused: the setting "search_path"`],
    ["SET search_path TO app, public, pg_temp", `refused: the setting "search_path"`],
    ["SELECT set_config('search_path', 'app, public', false)", "refused: function pg_catalog.set_config"],
  ],
  { searchPath: null },
);

expectMasking(
  "names of the pinned path that need quotes",
  [
    [`SET search_path TO "it's", "a""b"`, `SET search_path TO 'it''s', 'a"b', 'pg_temp'`],
    [
      `SELECT set_config('search_path', '"it''s", "a""b"', true)`,
      `SELECT set_config('search_path', '"it''s", "a""b", "pg_temp"', true)`,
    ],
    [`SET search_path TO its, "a""b"`, `refused: the setting "search_path"`],
  ],
  { searchPath: ["it's", 'a"b'] },
);

test("whoever sets search_path is followed, also where it is what it was", async () => {
  for (const sql of [
    "SET search_path TO app, public",
    "SELECT set_config('search_path', 'app, public', false)",
    "SELECT id FROM orders WHERE set_config('search_path', 'app, public', false) <> ''",
    "COPY (SELECT set_config('search_path', 'app, public', false)) TO STDOUT",
    "DECLARE c CURSOR FOR SELECT set_config('search_path', 'app, public', false)",
    "PREPARE p AS SELECT set_config('search_path', 'app, public', false); EXECUTE p",
    "EXPLAIN ANALYZE SELECT set_config('search_path', 'app, public', false)",
  ]) {
    const { masking, statements } = await analyseGoverned(sql);
    expect({ sql, refusal: masking?.refusal, last: statements.at(-1)?.changesReading }).toEqual({
      sql,
      refusal: null,
      last: true,
    });
  }
});

test("a text that sets search_path is read anew for each pin", async () => {
  const sql = "SET search_path TO app, public";
  expect(maskingLine(await analyseGoverned(sql))).toBe("SET search_path TO 'app', 'public', 'pg_temp'");
  expect(maskingLine(await analyseGoverned(sql, { searchPath: ["app"] }))).toStartWith("refused: ");
  expect(maskingLine(await analyseGoverned(sql))).toBe("SET search_path TO 'app', 'public', 'pg_temp'");
});

expectMasking("names with a schema lose it with their source", [
  [
    "SELECT app.customers.email, app.customers.id AS i FROM app.customers ORDER BY app.customers.id",
    `SELECT ("customers"."email"), ("customers"."id") AS i FROM [customers] AS "customers" ORDER BY ("customers"."id")`,
  ],
  ["SELECT shop.app.customers.* FROM customers", `SELECT ("customers".*) FROM [customers] AS "customers"`],
  [
    "SELECT app.orders.id FROM app.orders JOIN app.customers ON app.orders.customer_id = app.customers.id WHERE email = ''",
    `SELECT app.orders.id FROM app.orders JOIN [customers] AS "customers" ON app.orders.customer_id = ("customers"."id") WHERE email = ''`,
  ],
  [
    "SELECT (SELECT app.customers.id FROM app.customers WHERE email = '') FROM public.customers",
    `SELECT (SELECT ("customers"."id") FROM [customers] AS "customers" WHERE email = '') FROM public.customers`,
  ],
  [
    "SELECT (SELECT app.customers.email) FROM app.customers",
    `SELECT (SELECT ("customers"."email")) FROM [customers] AS "customers"`,
  ],
]);

expectMasking("COPY of a relation becomes COPY of a query", [
  [
    "COPY customers (email, id) TO STDOUT (FORMAT csv)",
    `COPY (SELECT "email (hash)" AS "email", "id" FROM "weir_masks"."app.customers (only)") TO STDOUT (FORMAT csv)`,
  ],
  [
    "COPY contacts TO STDOUT",
    `COPY (SELECT "id", "customer_id", '***'::text AS "alt_email" FROM "weir_masks"."app.contacts (only)") TO STDOUT`,
  ],
  ["COPY customers TO STDOUT", "COPY [only customers] TO STDOUT"],
  ["COPY orders TO STDOUT", "as it is"],
]);

expectMasking("RETURNING of a masked relation shows constants", [
  [
    "DELETE FROM contacts WHERE id = 1 RETURNING alt_email, id, contacts.alt_local AS l",
    `DELETE FROM contacts WHERE id = 1 RETURNING '***'::text AS "alt_email", id, ('***'::text) AS l`,
  ],
  [
    "DELETE FROM contacts c WHERE id = 1 RETURNING *",
    `DELETE FROM contacts c WHERE id = 1 RETURNING "c"."id", "c"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local"`,
  ],
  [
    "DELETE FROM contacts c USING orders o WHERE o.id = c.id RETURNING c.*, o.*, o.note",
    `DELETE FROM contacts c USING orders o WHERE o.id = c.id RETURNING "c"."id", "c"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local", o.*, o.note`,
  ],
  [
    "UPDATE contacts SET customer_id = 1 FROM orders o, categories WHERE o.id = contacts.id RETURNING *",
    `UPDATE contacts SET customer_id = 1 FROM orders o, categories WHERE o.id = contacts.id RETURNING "contacts"."id", "contacts"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local", "o".*, "categories".*`,
  ],
  [
    "INSERT INTO app.contacts (id) VALUES (1) RETURNING app.contacts.alt_email",
    `INSERT INTO app.contacts (id) VALUES (1) RETURNING '***'::text AS "alt_email"`,
  ],
  ["DELETE FROM contacts USING (SELECT 1 AS alt_email) s RETURNING s.alt_email, s.*", "as it is"],
  [
    "PREPARE p AS DELETE FROM contacts RETURNING alt_email; EXECUTE p",
    `PREPARE p AS DELETE FROM contacts RETURNING '***'::text AS "alt_email"; EXECUTE p`,
  ],
  [
    "WITH d AS (DELETE FROM contacts RETURNING alt_email) SELECT * FROM d",
    `WITH d AS (DELETE FROM contacts RETURNING '***'::text AS "alt_email") SELECT * FROM d`,
  ],
]);

expectMasking(
  "RETURNING of the old and the new row",
  [
    [
      "UPDATE contacts SET customer_id = 1 RETURNING old.alt_email, new.alt_email AS n, old.id",
      `UPDATE contacts SET customer_id = 1 RETURNING '***'::text AS "alt_email", ('***'::text) AS n, old.id`,
    ],
    [
      "DELETE FROM contacts RETURNING WITH (OLD AS o) o.*",
      `DELETE FROM contacts RETURNING WITH (OLD AS o) "o"."id", "o"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local"`,
    ],
    ["DELETE FROM contacts RETURNING app.old.alt_email", "refused: app.contacts"],
    ["DELETE FROM contacts USING (SELECT 1) RETURNING *", `refused: "*" in RETURNING`],
    ["DELETE FROM contacts RETURNING WITH (OLD AS o) o", "refused: app.contacts.alt_email"],
    ["DELETE FROM contacts RETURNING old.alt_email || ''", "refused: app.contacts.alt_email"],
    [
      "MERGE INTO contacts c USING orders o ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING merge_action(), c.alt_email, c.*",
      `MERGE INTO contacts c USING orders o ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING merge_action(), '***'::text AS "alt_email", "c"."id", "c"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local"`,
    ],
    [
      "MERGE INTO contacts c USING orders o ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING *",
      `MERGE INTO contacts c USING orders o ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING "o".*, "c"."id", "c"."customer_id", '***'::text AS "alt_email", '***'::text AS "alt_local"`,
    ],
    [
      "MERGE INTO contacts c USING orders o JOIN products p USING (id) ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING *",
      `refused: "*" in RETURNING`,
    ],
  ],
  {},
  { serverMajor: 18 },
);

test.each([
  ["a text that another process parses", SYNCHRONOUS_BYTES_MAX + 1_000],
  ["a text that has become one", SYNCHRONOUS_BYTES_MAX - 100],
])("%s is rewritten too", async (_, length) => {
  const end = "') LIMIT 1";
  const begin = (from: string): string => `SELECT email FROM ${from} WHERE email IN ('`;
  const filler = "x".repeat(length - begin("customers").length - end.length);
  const analysis = await analyseGoverned(begin("customers") + filler + end);
  expect(maskingLine(analysis)).toBe(begin(`[customers] AS "customers"`) + filler + end);
  // The second time it is known.
  expect(maskingLine(await analyseGoverned(begin("customers") + filler + end))).toBe(maskingLine(analysis));
});

test("what cannot be rewritten is refused", async () => {
  const catalog = corpusCatalog();
  // A substitute is longer than the name that it stands for, and there is a bound to what is parsed again.
  const analyser = new Analyser({ statementBytesMax: SYNCHRONOUS_BYTES_MAX });
  const reading = corpusReading(catalog, { plan: corpusPlan(catalog) });
  const text = "SELECT email FROM customers;".repeat(900);
  const analysis = await analyser.analyse(new TextEncoder().encode(text), reading);
  expect(maskingLine(analysis)).toStartWith("refused: masks cannot be put into this statement: ");
});

test("positions in what is sent lead back to the client's text", async () => {
  const sql = "SELECT 'é', email FROM customers WHERE nothing";
  const { masking } = await analyseGoverned(sql);
  const sent = new TextDecoder().decode(masking?.rewritten?.bytes);
  expect(masking?.rewritten?.positions.toOriginal(sent.indexOf("nothing") + 1)).toBe(sql.indexOf("nothing") + 1);
});

test("an analysis is remembered for its plan alone", async () => {
  const catalog = corpusCatalog();
  const analyser = new Analyser();
  const lineUnder = async (...plans: Parameters<typeof corpusPlan>[1][]): Promise<string[]> => {
    const lines: string[] = [];
    for (const options of plans) {
      const reading = corpusReading(catalog, { plan: corpusPlan(catalog, options) });
      lines.push(maskingLine(await analyser.analyse(new TextEncoder().encode("SELECT id FROM customers"), reading)));
    }
    return lines;
  };
  const replaced = `SELECT id FROM [customers] AS "customers"`;
  expect(await lineUnder({}, { mode: "inline" }, {})).toEqual(["as it is", replaced, "as it is"]);
  const bare = await analyser.analyse(new TextEncoder().encode("SELECT id FROM customers"), corpusReading(catalog));
  expect(bare.masking).toBeNull();
});
