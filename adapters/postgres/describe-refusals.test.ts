/** Tests what a governed session may not run, whatever the spelling, and what it may. */
import { expect, test } from "bun:test";
import { accessLine } from "../../test/corpus/accesses.ts";
import { analyseGoverned, expectMasking, maskingLine } from "../../test/corpus/expect-masking.ts";
import type { MaskingExpectation } from "../../test/corpus/expect-masking.ts";

const OTHERS = { kind: "refused", because: "EXECUTE and FETCH show rows of another statement" } as const;

/** Many statements with one outcome. */
function all(line: string, ...statements: readonly string[]): readonly MaskingExpectation[] {
  return statements.map((sql) => [sql, line]);
}

expectMasking("kinds of statements that run", [
  ...all(
    "as it is",
    "SELECT 1",
    "VALUES (1)",
    "TABLE orders",
    "INSERT INTO orders (id) VALUES (1)",
    "UPDATE orders SET note = 'x'",
    "DELETE FROM orders",
    "MERGE INTO orders o USING categories c ON o.id = c.id WHEN MATCHED THEN DELETE",
    "EXPLAIN (VERBOSE) SELECT id FROM orders",
    "COPY orders TO STDOUT",
    "COPY orders FROM STDIN",
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "COMMIT",
    "SET CONSTRAINTS ALL DEFERRED",
    "PREPARE p AS SELECT 1",
    "DEALLOCATE ALL",
    "DECLARE c CURSOR FOR SELECT id FROM orders",
    "CLOSE ALL",
    "DISCARD ALL",
    "DISCARD TEMP",
    "RESET ALL",
    "UNLISTEN *",
    "",
    "-- nothing",
  ),
]);

expectMasking("kinds of statements that do not run", [
  ["DO $$ BEGIN END $$", "refused: DO does not run while columns are masked"],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "refused: CREATE FUNCTION does not run"],
  ["CREATE VIEW v AS SELECT 1", "refused: CREATE VIEW does not run"],
  ["CREATE TEMP TABLE t (id int)", "refused: CREATE TABLE does not run"],
  ["CREATE TABLE t AS SELECT 1", "refused: CREATE TABLE AS does not run"],
  ["CREATE MATERIALIZED VIEW m AS SELECT 1", "refused: CREATE TABLE AS does not run"],
  ["CREATE RULE r AS ON DELETE TO orders DO NOTHING", "refused: CREATE RULE does not run"],
  ["CREATE INDEX ON orders (id)", "refused: CREATE INDEX does not run"],
  ["CREATE CAST (int AS text) WITH INOUT", "refused: CREATE CAST does not run"],
  ["ALTER TABLE orders ADD x int", "refused: ALTER TABLE does not run"],
  ["DROP TABLE orders", "refused: DROP does not run"],
  ["TRUNCATE orders", "refused: TRUNCATE does not run"],
  ["LOCK TABLE orders IN SHARE MODE", "refused: LOCK does not run"],
  ["ANALYZE orders", "refused: VACUUM or ANALYZE does not run"],
  ["GRANT SELECT ON orders TO bob", "refused: GRANT does not run"],
  ["COMMENT ON TABLE orders IS 'x'", "refused: COMMENT does not run"],
  ["CREATE VIEW v AS WITH customers AS (SELECT 1) TABLE customers", "refused: CREATE VIEW does not run"],
  ["SELECT 1 INTO x", "refused: SELECT INTO does not run"],
  ["SELECT 1 INTO x UNION SELECT 2", "refused: SELECT INTO does not run"],
  ["EXPLAIN CREATE TABLE t AS SELECT 1", "refused: CREATE TABLE AS does not run"],
  ["EXPLAIN ANALYZE SELECT 1 INTO x", "refused: SELECT INTO does not run"],
  ["PREPARE p AS SELECT 1 INTO x", "refused: SELECT INTO does not run"],
  ["COPY orders TO '/tmp/x'", "refused: COPY with a file or a program"],
  ["COPY orders FROM PROGRAM 'cat'", "refused: COPY with a file or a program"],
  ["SELECT 1; DROP TABLE orders; SELECT 2", "refused: DROP does not run"],
  ["SELECT email FROM customers; DROP TABLE orders", "refused: DROP does not run"],
]);

expectMasking("settings", [
  ...all(
    "as it is",
    "SET work_mem = '64MB'",
    "SET LOCAL Statement_Timeout = 1",
    "SET enable_seqscan TO off",
    "SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE",
    "SET client_min_messages TO warning; SET DateStyle = ISO",
    "SET client_encoding TO 'utf8'",
    "SET NAMES 'UTF-8'",
    "SET client_encoding TO DEFAULT",
    "RESET client_encoding",
    "SET standard_conforming_strings = on",
    "RESET standard_conforming_strings",
    "RESET work_mem",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SHOW search_path",
    "SHOW ALL",
    "SHOW server_version",
    "SELECT current_setting('work_mem')",
  ),
  ["SET search_path = scratch", `refused: the setting "search_path" is not changed`],
  ["SET LOCAL search_path TO app", `refused: the setting "search_path"`],
  ...all(
    `refused: the setting "search_path"`,
    "SET search_path TO public, app",
    "SET search_path TO app, app",
    "SET search_path TO app, public, pg_temp, app",
    "SET search_path TO app, pg_temp, public",
    "SET search_path TO pg_temp, app, public",
    "SET search_path TO app, public, pg_temporary",
    "SET search_path TO 'app, public'",
    `SET search_path TO "App", public`,
    `SET search_path TO app, "public "`,
    `SET search_path TO "$user", app, public`,
    "SET search_path TO pg_catalog, app, public",
    "SET search_path TO app, public, 1",
    "SET search_path TO ''",
    "SET search_path TO DEFAULT",
    "SET search_path FROM CURRENT",
  ),
  ["RESET search_path", `refused: the setting "search_path"`],
  ["SET SCHEMA 'app'", `refused: the setting "search_path"`],
  ["SET client_encoding = 'LATIN1'", `refused: the setting "client_encoding"`],
  ["SET NAMES 'SQL_ASCII'", `refused: the setting "client_encoding"`],
  ["SET standard_conforming_strings = off", `refused: the setting "standard_conforming_strings"`],
  ["SET backslash_quote = on", `refused: the setting "backslash_quote"`],
  ["SET ROLE postgres", `refused: the setting "role"`],
  ["SET SESSION AUTHORIZATION bob", `refused: the setting "session_authorization"`],
  ["SET app.tenant = '1'", `refused: the setting "app.tenant"`],
  ["SET session_replication_role = replica", `refused: the setting "session_replication_role"`],
  ["SET TRANSACTION SNAPSHOT '1-1'", `refused: the setting "TRANSACTION SNAPSHOT"`],
  ["SHOW app.last_email", `refused: the setting "app.last_email" cannot be read`],
  ["SELECT current_setting('app.last_email', true)", `refused: the setting "app.last_email" cannot be read`],
  ["SELECT current_setting(note) FROM orders", "refused: a setting whose name is computed cannot be read"],
  ["SELECT set_config('work_mem', '1MB', false)", "as it is"],
  ["SELECT set_config('Work_Mem', $1, true)", "as it is"],
  ...["search_path", "client_encoding", "role", "standard_conforming_strings", "app.tenant", "nosuch"].map(
    (name): [string, string] => [`SELECT set_config('${name}', 'x', false)`, "refused: function pg_catalog.set_config"],
  ),
  ["SELECT set_config('default_transaction_read_only', 'off', false)", "refused: function pg_catalog.set_config"],
  ...all(
    "refused: function pg_catalog.set_config",
    "SELECT set_config('search_path', '', false)",
    "SELECT set_config('search_path', 'app', false)",
    "SELECT set_config('search_path', 'public, app', false)",
    "SELECT set_config('search_path', 'pg_temp, app, public', false)",
    "SELECT set_config('search_path', '\"app, public\"', false)",
    "SELECT set_config('search_path', 'app, public,', false)",
    "SELECT set_config('search_path', '\"App\", public', false)",
    "SELECT set_config('search_path', NULL, false)",
    "SELECT set_config('search_path', $1, false)",
    "SELECT set_config('search_path', 'app, public'::text, false)",
    "SELECT set_config('search_path', 'app, ' || 'public', false)",
    "SELECT set_config('search_path', note, false) FROM orders",
    "SELECT set_config(value => 'app, public', setting_name => 'search_path', is_local => false)",
    "SELECT set_config(note, 'app, public', false) FROM orders",
  ),
  ["SELECT set_config('application_name', note, false) FROM orders", "refused: function pg_catalog.set_config"],
  ["SELECT set_config(note, 'x', false) FROM orders", "refused: function pg_catalog.set_config"],
  ["SELECT set_config('application_name', note || 'x', false) FROM orders", "refused: function pg_catalog.set_config"],
]);

expectMasking(
  "functions that are declared safe",
  [
    ["SELECT current_setting('app.tenant')", "as it is"],
    ["SHOW app.tenant", `refused: the setting "app.tenant"`],
    ["SELECT get_email(1)", "as it is"],
  ],
  { safeFunctions: ["pg_catalog.current_setting", "app.get_email"] },
);

expectMasking("channels", [
  ...all("as it is", "LISTEN jobs", "NOTIFY jobs, 'x'", "UNLISTEN other"),
  ["LISTEN other", `refused: the channel "other" is not open`],
  ["NOTIFY other", `refused: the channel "other" is not open`],
  ["SELECT pg_notify('jobs', 'x')", "refused: function pg_catalog.pg_notify"],
]);

expectMasking("functions", [
  ...all(
    "as it is",
    "SELECT order_total(1), app.add_tax(1)",
    "SELECT nextval('orders_id_seq')",
    "SELECT nextval(note) FROM orders",
    "SELECT pg_sleep(1)",
    "SELECT has_table_privilege('app.customers', 'select')",
  ),
  ["SELECT get_email(1)", "refused: function app.get_email is not known to be safe"],
  ["SELECT id FROM orders WHERE note =~= id", "refused: function app.same_mail"],
  ["SELECT 1::contact_card", "refused: function app.id_to_card"],
  ["SELECT contact_card(1) FROM (SELECT 1 AS contact_card) q", "refused: function app.id_to_card"],
  ["SELECT c.label FROM customers c", "refused: function app.label"],
  ["CALL announce(1)", "refused: function app.announce"],
  ["CALL order_total(1)", "as it is"],
  ["CALL nothing(1)", "refused: the procedure is not in the catalog"],
  ["SELECT query_to_xml('SELECT 1', true, true, '')", "refused: function pg_catalog.query_to_xml"],
  ["SELECT ts_stat('SELECT 1')", "refused: function pg_catalog.ts_stat"],
  ["SELECT pg_read_file('x')", "refused: function pg_catalog.pg_read_file"],
  ["SELECT pg_terminate_backend(1)", "refused: function pg_catalog.pg_terminate_backend"],
  ["SELECT pg_get_functiondef(1)", "refused: function pg_catalog.pg_get_functiondef"],
  ["SELECT unheard_of(1)", "refused: a statement that the gateway cannot read"],
]);

expectMasking("relations of the catalog", [
  ...all(
    "as it is",
    "SELECT relname FROM pg_class",
    "SELECT * FROM pg_namespace",
    "SELECT proname FROM pg_proc",
    "SELECT table_name FROM information_schema.tables",
  ),
  ["SELECT prosrc FROM pg_proc", "refused: column pg_catalog.pg_proc.prosrc may hold values"],
  ["SELECT * FROM pg_proc", "refused: column pg_catalog.pg_proc.prosrc"],
  ["SELECT p FROM pg_proc p", "refused: column pg_catalog.pg_proc.prosrc"],
  ["SELECT nothing FROM pg_proc", "refused: column pg_catalog.pg_proc.prosrc"],
  ["SELECT 1 FROM pg_proc WHERE prosqlbody IS NULL", "refused: column pg_catalog.pg_proc.prosqlbody"],
  [
    "SELECT routine_definition FROM information_schema.routines",
    "refused: column information_schema.routines.routine_definition",
  ],
  ["SELECT most_common_vals FROM pg_stats", "refused: pg_catalog.pg_stats may hold values"],
  ["SELECT rolname FROM pg_authid", "refused: pg_catalog.pg_authid"],
  ["SELECT pid FROM pg_stat_activity", "refused: pg_catalog.pg_stat_activity"],
  ["SELECT 1 FROM pg_largeobject", "refused: pg_catalog.pg_largeobject"],
  ["SELECT email FROM weir_masks.customers", `refused: schema "weir_masks" is the gateway's own`],
  ["SELECT calls FROM ext.pg_stat_statements", "refused: ext.pg_stat_statements may hold values"],
  ["UPDATE pg_class SET relname = 'x'", "refused: pg_catalog.pg_class may hold values"],
  ["DELETE FROM pg_namespace", "refused: pg_catalog.pg_namespace"],
]);

expectMasking("what is not understood", [
  ["SELEC 1", "refused: it is no SQL"],
  ["SELECT * FROM nothing_here", `refused: relation "nothing_here" is not in the catalog`],
  ["EXECUTE unknown", "refused: what it executes was not prepared through this session"],
  ["FETCH 1 FROM unknown", "refused: the cursor was not opened through this session"],
]);

expectMasking("a masked relation that is changed", [
  [
    "UPDATE customers SET full_name = email",
    'refused: column "app.customers.email" is masked, and a statement cannot read it',
  ],
  ["UPDATE customers SET full_name = 'x' WHERE email = 'x'", "refused: app.customers.email"],
  ["UPDATE customers c SET full_name = (SELECT c.ssn)", "refused: app.customers.ssn"],
  ["UPDATE customers c SET full_name = c::text", "refused: app.customers.email"],
  ["UPDATE customers SET full_name = 'x' RETURNING email || ''", "refused: app.customers.email"],
  ["UPDATE customers SET full_name = 'x' RETURNING customers", "refused: app.customers.email"],
  ["UPDATE customers SET full_name = 'x' RETURNING (SELECT email)", "refused: app.customers.email"],
  [
    "UPDATE customers SET full_name = 'x' FROM orders o JOIN categories USING (id) RETURNING *",
    `refused: "*" in RETURNING`,
  ],
  ["UPDATE customers SET full_name = 'x' FROM orders o, categories o RETURNING *", `refused: "*" in RETURNING`],
  ["DELETE FROM contacts RETURNING nothing.alt_email", "refused: app.contacts"],
  ["DELETE FROM contacts RETURNING other.contacts.alt_email", "refused: app.contacts"],
  ["DELETE FROM contacts c RETURNING app.c.alt_email", "refused: app.contacts"],
  ["DELETE FROM contacts WHERE alt_email LIKE 'a%'", "refused: app.contacts.alt_email"],
  ["DELETE FROM contacts USING orders o WHERE o.note = contacts.alt_local", "refused: app.contacts.alt_local"],
  ["INSERT INTO customers (id) VALUES (1) ON CONFLICT (email) DO NOTHING", "refused: app.customers.email"],
  ["INSERT INTO customers (id) VALUES (1) ON CONFLICT (lower(email)) DO NOTHING", "refused: app.customers.email"],
  ["INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) WHERE ssn = '' DO NOTHING", "refused: app.customers.ssn"],
  [
    "INSERT INTO customers (id) VALUES (1) ON CONFLICT ON CONSTRAINT customers_pkey DO NOTHING",
    "refused: app.customers.email",
  ],
  [
    "INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET full_name = excluded.email",
    "refused: app.customers.email",
  ],
  [
    "INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET full_name = customers.ssn",
    "refused: app.customers.ssn",
  ],
  [
    "INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET balance = 0 WHERE customers.ssn = ''",
    "refused: app.customers.ssn",
  ],
  [
    "MERGE INTO customers c USING orders o ON o.note = c.email WHEN MATCHED THEN DELETE",
    "refused: app.customers.email",
  ],
  [
    "MERGE INTO customers c USING orders o ON o.id = c.id WHEN MATCHED AND c.ssn = '' THEN DELETE",
    "refused: app.customers.ssn",
  ],
  [
    "MERGE INTO customers c USING orders o ON o.id = c.id WHEN MATCHED THEN UPDATE SET full_name = c.ssn",
    "refused: app.customers.ssn",
  ],
  ["COPY customers (id) FROM STDIN WHERE email = ''", "refused: app.customers.email"],
  ["EXPLAIN UPDATE customers SET full_name = email", "refused: app.customers.email"],
  ...all(
    "as it is",
    "UPDATE customers SET email = 'x', balance = balance + 1 WHERE id = 1",
    "INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = 'y', full_name = excluded.full_name",
    "INSERT INTO customers (id) VALUES (1) ON CONFLICT DO NOTHING",
    "DELETE FROM customers WHERE id = 1 RETURNING id",
    "MERGE INTO customers c USING orders o ON o.id = c.id WHEN MATCHED THEN UPDATE SET email = o.note",
    "COPY customers FROM STDIN",
    "COPY customers (id, email) FROM STDIN WHERE balance > 0",
    "EXPLAIN INSERT INTO customers VALUES (1)",
  ),
]);

expectMasking(
  "inline mode changes no masked relation",
  [
    [
      "INSERT INTO customers (id) VALUES (1)",
      `refused: "app.customers" has masked columns, and inline masking does not let`,
    ],
    ["UPDATE customers SET full_name = 'x'", "refused: inline masking"],
    ["DELETE FROM contacts", "refused: inline masking"],
    ["MERGE INTO customers c USING orders o ON o.id = c.id WHEN MATCHED THEN DELETE", "refused: inline masking"],
    ["COPY customers FROM STDIN", "refused: inline masking"],
    ["UPDATE orders SET note = 'x'", "as it is"],
    ["SELECT *, tableoid FROM customers, orders", "refused: no system column tableoid"],
    ["SELECT c, c.xmin FROM customers c", "refused: no system column xmin"],
    ["SELECT nothing, xmin FROM customers", "refused: no system column xmin"],
  ],
  { mode: "inline" },
);

/** Whoever takes more than the columns of one relation together would find a system column among them. */
const TAKEN_WHOLE = all(
  `refused: "app.contacts" has masked columns, and what is shown of it has no system column`,
  "SELECT c, c.ctid FROM contacts c",
  "SELECT c.ctid, (c).* FROM contacts c",
  "SELECT row(c.*), ctid FROM contacts c",
  "SELECT *, to_jsonb(c) FROM contacts c WHERE ctid = '(0,1)'",
  "SELECT count(c), min(ctid::text) FROM contacts c",
  "SELECT contacts, ctid FROM contacts",
  "SELECT *, c.ctid FROM contacts c, orders o",
  "SELECT *, c.ctid FROM contacts c JOIN orders o USING (customer_id)",
  "SELECT c.*, ctid FROM contacts c(a, b)",
  "SELECT c.*, ctid FROM contacts c(customer_id, id)",
  "SELECT app.contacts.*, ctid FROM app.contacts",
  "SELECT j.* FROM (contacts c JOIN orders o ON c.ctid IS NOT NULL) j",
  "SELECT * FROM (contacts c JOIN orders o ON c.ctid IS NOT NULL) j",
  "SELECT c.ctid FROM contacts c NATURAL JOIN orders o WHERE c.alt_email <> ''",
  "SELECT o.id FROM contacts c NATURAL JOIN orders o WHERE c.ctid IS NOT NULL AND c.alt_email <> ''",
  "SELECT c.*, b, b.ctid FROM contacts c, contacts b",
  "SELECT (SELECT ctid FROM contacts LIMIT 1), (SELECT count(c) FROM contacts c)",
  "DELETE FROM orders USING contacts c WHERE c.ctid IS NOT NULL RETURNING *",
  "DELETE FROM orders USING contacts c WHERE c.ctid IS NOT NULL RETURNING c",
);

expectMasking("a masked relation whose rows are taken as a whole", TAKEN_WHOLE);
expectMasking("inline, a masked relation whose rows are taken as a whole", TAKEN_WHOLE, { mode: "inline" });

/** What is no plain number could read something where it stands, or be read otherwise elsewhere. */
const OTHER_SAMPLES = all(
  `refused: "app.contacts" has masked columns, and what is shown of it cannot be sampled by TABLESAMPLE`,
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM (5 + 5)",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM (-1)",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM ('10')",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM (10::real)",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM (NULL)",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM (1, 2)",
  "SELECT alt_email FROM contacts TABLESAMPLE SYSTEM ((SELECT max(id) FROM orders))",
  "SELECT alt_email FROM orders o, contacts c TABLESAMPLE SYSTEM (o.id)",
  "SELECT alt_email FROM contacts TABLESAMPLE BERNOULLI (1) REPEATABLE (length('a'))",
  "SELECT alt_email FROM contacts TABLESAMPLE BERNOULLI (1) REPEATABLE ((SELECT id FROM customers WHERE email = 'x'))",
);

expectMasking("a sample that is chosen by more than numbers", OTHER_SAMPLES);
expectMasking("inline, a sample that is chosen by more than numbers", OTHER_SAMPLES, { mode: "inline" });

expectMasking("system columns that the login of guarded mode may not read, or that only a masking view could show", [
  ["SELECT alt_email, xmax FROM contacts", "refused: no system column xmax"],
  ["SELECT *, cmin FROM contacts", "refused: no system column cmin"],
  ["SELECT alt_email, ctid, cmax FROM contacts", "refused: no system column ctid"],
  ["SELECT *, ctid FROM customers", "refused: no system column ctid"],
  ["SELECT contact, ctid FROM customer_directory", "refused: no system column ctid"],
]);

expectMasking("a masked relation that is read", [
  ["SELECT email, ctid FROM customers", "refused: no system column ctid"],
  ["SELECT email FROM customers c WHERE c.xmin = '1'", "refused: no system column xmin"],
  ["SELECT email FROM customers TABLESAMPLE SYSTEM (1)", "refused: TABLESAMPLE"],
  ["SELECT id FROM orders TABLESAMPLE SYSTEM (1)", "as it is"],
  ["EXPLAIN VERBOSE SELECT id FROM customers", "refused: EXPLAIN with the option VERBOSE"],
  ["EXPLAIN (ANALYZE, VERBOSE true) SELECT id FROM customers", "refused: EXPLAIN with the option VERBOSE"],
  ["EXPLAIN (VERBOSE off, COSTS off) SELECT id FROM customers", "as it is"],
  ["EXPLAIN (odd) SELECT id FROM customers", "refused: EXPLAIN with the option ODD"],
  ["WITH customers AS (SELECT 1) TABLE customers", `refused: a WITH query named "customers"`],
  ["WITH RECURSIVE events AS (SELECT 1) SELECT 1", `refused: a WITH query named "events"`],
  ["DELETE FROM orders USING (WITH contacts AS (SELECT 1) TABLE contacts) s", `refused: a WITH query named "contacts"`],
  ["SELECT app.customers.email FROM app.customers, public.customers", `refused: "customers" names two relations here`],
  [
    "SELECT (SELECT app.customers.email FROM public.customers) FROM app.customers",
    `refused: another relation of that name is in sight`,
  ],
  ["COPY events TO STDOUT", `refused: "app.events" has masked columns and is no plain table`],
  ["COPY customer_directory TO STDOUT", `refused: "app.customer_directory" has masked columns and is no plain table`],
]);

expectMasking(
  "a relation that is closed",
  [
    [
      "SELECT id FROM customers",
      `refused: relation "app.customers" cannot be used while columns are masked: it has rules`,
    ],
    ["DELETE FROM customers", `refused: it has rules`],
    ["SELECT id FROM customers_vip", "as it is"],
  ],
  { closed: { "app.customers": "it has rules" } },
);

expectMasking(
  "a relation that cannot be shown without its children",
  [
    ["SELECT email FROM ONLY customers", "refused: cannot be shown without the relations that inherit"],
    ["COPY customers TO STDOUT", "refused: cannot be shown without the relations that inherit"],
    ["SELECT id FROM ONLY customers", "as it is"],
    ["SELECT email FROM customers", `SELECT email FROM [customers] AS "customers"`],
  ],
  { childless: ["app.customers"] },
);

const KEPT = 'refused: column "app.customers.ssn" is masked, and policy keeps it out of conditions';

expectMasking(
  "a column that conditions may not look at",
  [
    ...all(
      KEPT,
      "SELECT id FROM customers WHERE ssn = 'x'",
      "SELECT id FROM customers WHERE upper(ssn) = 'x'",
      "SELECT 1 WHERE EXISTS (SELECT FROM customers c WHERE c.ssn = 'x')",
      "SELECT id FROM customers c WHERE c IS NULL",
      "SELECT o.id FROM orders o JOIN customers c ON c.ssn = o.note",
      "SELECT a.id FROM customers a JOIN customers b USING (ssn)",
      "SELECT a.id FROM customers a NATURAL JOIN customers b",
      "SELECT count(*) FROM customers GROUP BY ssn",
      "SELECT count(*) FROM customers GROUP BY ROLLUP (id, ssn)",
      "SELECT ssn, count(*) FROM customers GROUP BY 1",
      "SELECT count(*) FROM customers HAVING max(ssn) > 'x'",
      "SELECT id FROM customers ORDER BY ssn",
      "SELECT * FROM customers ORDER BY ssn",
      "SELECT * FROM customers ORDER BY 4",
      "SELECT id, ssn AS s FROM customers ORDER BY s",
      "SELECT id, ssn FROM customers ORDER BY 2",
      "SELECT DISTINCT ssn FROM customers",
      "SELECT DISTINCT * FROM customers",
      "SELECT DISTINCT ON (ssn) id FROM customers",
      "SELECT row_number() OVER (PARTITION BY ssn) FROM customers",
      "SELECT row_number() OVER w FROM customers WINDOW w AS (ORDER BY ssn)",
      "SELECT count(*) FILTER (WHERE ssn = 'x') FROM customers",
      "SELECT count(DISTINCT ssn) FROM customers",
      "SELECT array_agg(id ORDER BY ssn) FROM customers",
      "SELECT 'x' IN (SELECT ssn FROM customers)",
      "SELECT ssn LIKE 'x' FROM customers",
      "SELECT CASE WHEN ssn IS NULL THEN 1 END FROM customers",
      "SELECT CASE ssn WHEN 'x' THEN 1 END FROM customers",
      "SELECT greatest(ssn, 'x') FROM customers",
      "SELECT (id, ssn) = (1, 'x') FROM customers",
      "SELECT id FROM orders LIMIT (SELECT length(ssn) FROM customers)",
      "SELECT 1 UNION ALL SELECT 2 LIMIT (SELECT length(ssn) FROM customers)",
      "SELECT 1 UNION ALL SELECT 2 OFFSET (SELECT length(ssn) FROM customers)",
      "SELECT c.*, o.id FROM orders o, customers c ORDER BY 4",
      "SELECT o.id, c.* FROM orders o, customers c ORDER BY 5",
      "SELECT id FROM orders OFFSET (SELECT length(ssn) FROM customers)",
      "SELECT ssn FROM customers UNION SELECT 'x'",
      "SELECT 'x' EXCEPT ALL SELECT 'y' INTERSECT SELECT ssn FROM customers",
      "SELECT 1, note FROM orders UNION ALL SELECT id, ssn FROM customers ORDER BY 2",
      "SELECT id, ssn FROM customers UNION ALL SELECT 1, 'x' ORDER BY 2",
      // The server refuses sides that are not as wide as each other.
      "SELECT id, ssn FROM customers UNION ALL SELECT 1 ORDER BY 2",
      "SELECT id, note FROM orders UNION ALL SELECT id, ssn FROM customers ORDER BY note",
      "SELECT 1 FROM (SELECT id, ssn FROM customers) s WHERE s.ssn = 'x'",
      "SELECT 1 FROM (SELECT ssn AS x FROM customers) s WHERE x = 'x'",
      "SELECT 1 FROM (SELECT id, ssn FROM customers) s(a, b) WHERE b = 'x'",
      "SELECT 1 FROM (SELECT f.*, ssn FROM unnest(ARRAY[1]) f, customers) s(a, b) WHERE b = 'x'",
      "SELECT f.*, ssn FROM unnest(ARRAY[1]) f, customers ORDER BY 1",
      "SELECT f.*, 'x' FROM unnest(ARRAY[1]) f UNION ALL SELECT ssn, ssn FROM customers ORDER BY 1",
      "SELECT id, note FROM orders UNION ALL SELECT f.*, ssn FROM unnest(ARRAY[1]) f, customers ORDER BY 2",
      "SELECT 1 FROM (SELECT (SELECT ssn FROM customers) AS x) s WHERE x = 'x'",
      "SELECT 1 FROM (VALUES (1, 'y'), (2, (SELECT ssn FROM customers))) v WHERE column2 = 'x'",
      "SELECT 1 FROM (VALUES (1, (SELECT ssn FROM customers)), (2, 'y')) v WHERE column2 = 'x'",
      "VALUES ('x') UNION ALL SELECT ssn FROM customers ORDER BY 1",
      "SELECT ssn FROM customers UNION ALL VALUES ('x') ORDER BY 1",
      "SELECT s FROM (SELECT ssn FROM customers) s ORDER BY s",
      "SELECT 1 FROM (SELECT * FROM (SELECT ssn AS x FROM customers) a) s WHERE x = 'x'",
      "SELECT upper(ssn) FROM customers ORDER BY upper",
      "SELECT 1 FROM (SELECT note FROM orders UNION ALL SELECT ssn FROM customers) s WHERE note = 'x'",
      "WITH w AS (SELECT id, ssn FROM customers) SELECT id FROM w ORDER BY ssn",
      "WITH w(a, b) AS (SELECT id, ssn FROM customers) SELECT a FROM w ORDER BY b",
      "UPDATE orders SET note = '' FROM customers c WHERE c.ssn = note",
      "DELETE FROM orders USING customers c WHERE c.ssn = note",
      "MERGE INTO orders o USING customers c ON o.note = c.ssn WHEN MATCHED THEN DELETE",
      "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED AND c.ssn = '' THEN DELETE",
      "PREPARE p AS SELECT id FROM customers WHERE ssn = $1",
    ),
    [
      "SELECT ssn, ssn || 'x', upper(ssn) FROM customers WHERE email = ''",
      `SELECT ssn, ssn || 'x', upper(ssn) FROM [customers] AS "customers" WHERE email = ''`,
    ],
    ["SELECT * FROM customers ORDER BY id", `SELECT * FROM [customers] AS "customers" ORDER BY id`],
    ["SELECT * FROM customers ORDER BY 1", `SELECT * FROM [customers] AS "customers" ORDER BY 1`],
    ["SELECT DISTINCT ON (id) ssn FROM customers", `SELECT DISTINCT ON (id) ssn FROM [customers] AS "customers"`],
    [
      "SELECT CASE WHEN true THEN ssn END FROM customers",
      `SELECT CASE WHEN true THEN ssn END FROM [customers] AS "customers"`,
    ],
    [
      "SELECT id, ssn FROM customers UNION ALL SELECT id, note FROM orders ORDER BY id",
      `SELECT id, ssn FROM [customers] AS "customers" UNION ALL SELECT id, note FROM orders ORDER BY id`,
    ],
    [
      "SELECT b FROM (SELECT id, ssn FROM customers) s(a, b) WHERE a = 1",
      `SELECT b FROM (SELECT id, ssn FROM [customers] AS "customers") s(a, b) WHERE a = 1`,
    ],
    [
      "SELECT id FROM (VALUES (1, (SELECT ssn FROM customers))) v(id, s) ORDER BY id",
      `SELECT id FROM (VALUES (1, (SELECT ssn FROM [customers] AS "customers"))) v(id, s) ORDER BY id`,
    ],
    [
      "SELECT * FROM (SELECT id, ssn FROM customers) s WHERE id = 1",
      `SELECT * FROM (SELECT id, ssn FROM [customers] AS "customers") s WHERE id = 1`,
    ],
    ["SELECT id FROM customers WHERE balance > 0", "as it is"],
    ["SELECT a.id FROM customers a JOIN customers b USING (id) WHERE a.id = b.id", "as it is"],
  ],
  { kept: ["app.customers.ssn"] },
);

const TABLE_OF_TWO = "JSON_TABLE('{}'::jsonb, '$' COLUMNS (a text, NESTED '$.x' COLUMNS (b text))) j";

expectMasking(
  "places behind the columns of JSON_TABLE",
  [
    [`SELECT j.*, c.ssn FROM customers c, ${TABLE_OF_TWO} ORDER BY 3`, KEPT],
    [
      `SELECT j.*, c.ssn FROM customers c, ${TABLE_OF_TWO} ORDER BY 2`,
      `SELECT j.*, c.ssn FROM [customers] c, ${TABLE_OF_TWO} ORDER BY 2`,
    ],
  ],
  { kept: ["app.customers.ssn"] },
  { serverMajor: 17 },
);

test("what is prepared and refused is kept as what was never sent", async () => {
  const { statements } = await analyseGoverned("PREPARE p AS SELECT email, get_email(1) FROM customers");
  const { masking } = statements[0]?.prepares?.analysis ?? { masking: null };
  expect(masking?.refusal?.message).toStartWith("function app.get_email");
  expect(masking).toMatchObject({ rewritten: null, signature: null, raw: { kind: "nothing" } });
});

test("whoever writes a masked column needs a permit that names it", async () => {
  const named = async (sql: string): Promise<string[]> => {
    const { accesses } = await analyseGoverned(sql);
    for (const { named } of accesses) if (named) expect(named).toEqual(["columns"]);
    return accesses.filter((access) => access.named !== undefined).map(accessLine);
  };
  expect(await named("INSERT INTO customers (id, email, ssn) VALUES (1, 'x', 'y')")).toEqual([
    "write insert app.customers(email ssn)",
  ]);
  const every = "email ssn card_number notes";
  expect(await named("INSERT INTO customers VALUES (1)")).toEqual([`write insert app.customers(${every})`]);
  expect(await named("INSERT INTO customers DEFAULT VALUES")).toEqual([]);
  expect(await named("INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = 'x'")).toEqual([
    "write update app.customers(ssn)",
  ]);
  expect(await named("UPDATE customers SET full_name = 'x', notes = '{}'")).toEqual([
    "write update app.customers(notes) unfiltered",
  ]);
  expect(await named("UPDATE customers SET (email, balance) = ROW ('x', 1) WHERE id = 1")).toEqual([
    "write update app.customers(email)",
  ]);
  expect(await named("UPDATE customers SET balance = 1")).toEqual([]);
  expect(await named("INSERT INTO contacts VALUES (1, 1, 'x')")).toEqual(["write insert app.contacts(alt_email)"]);
  const merge = (action: string): string => `MERGE INTO customers c USING orders o ON o.id = c.id WHEN ${action}`;
  expect(await named(merge("MATCHED THEN UPDATE SET email = ''"))).toEqual(["write update app.customers(email)"]);
  expect(await named(merge("NOT MATCHED THEN INSERT VALUES (1)"))).toEqual([`write insert app.customers(${every})`]);
  expect(await named(merge("NOT MATCHED THEN INSERT (id, ssn) VALUES (1, '')"))).toEqual([
    "write insert app.customers(ssn)",
  ]);
  expect(await named("COPY customers (id, email) FROM STDIN")).toEqual(["write copy from app.customers(email)"]);
  expect(await named("COPY customers FROM STDIN")).toEqual([`write copy from app.customers(${every})`]);
  expect(await named("EXPLAIN UPDATE customers SET email = 'x'")).toEqual([]);
  expect(await named("EXPLAIN INSERT INTO customers VALUES (1)")).toEqual([]);
  expect(await named("EXPLAIN ANALYZE UPDATE customers SET email = 'x' WHERE id = 1")).toEqual([
    "write update app.customers(email)",
  ]);
  expect(await named("PREPARE p AS UPDATE customers SET email = 'x' WHERE id = 1; EXECUTE p")).toEqual([
    "write update app.customers(email)",
  ]);
});

test.each([
  ["SELECT id FROM orders", false],
  ["SELECT upper(note), nextval('orders_id_seq') FROM orders", false],
  ["INSERT INTO orders (id) VALUES (1)", false],
  ["BEGIN", false],
  ["SELECT id FROM customers", true],
  ["DELETE FROM contacts WHERE id = 1", true],
  ["COPY customers (id) TO STDOUT", true],
  ["SELECT order_total(1)", true],
  ["CALL order_total(1)", true],
  ["SELECT 1; SELECT id FROM customers; SELECT 2", true],
  ["PREPARE p AS SELECT id FROM customers", true],
  ["DECLARE c CURSOR FOR SELECT id FROM customers; FETCH c", true],
  ["DECLARE c CURSOR FOR SELECT id FROM orders; FETCH c", false],
  ["UPDATE customer_public SET full_name = NULL", true],
])("details of %s are hidden: %p", async (sql, isHidden) => {
  const { masking } = await analyseGoverned(sql);
  expect(masking?.refusal).toBeNull();
  expect(masking?.hidesDetail).toBe(isHidden);
});

test("what a cursor may not show, FETCH does not go on with", async () => {
  const refused = await analyseGoverned("SELECT get_email(1)");
  const line = maskingLine(await analyseGoverned("FETCH c", {}, { cursor: () => refused }));
  expect(line).toStartWith("refused: function app.get_email");
  const unknown = { ...(await analyseGoverned("SELECT 1")), masking: null };
  expect(maskingLine(await analyseGoverned("FETCH c", {}, { cursor: () => unknown }))).toStartWith(
    "refused: the cursor's query is not known",
  );
  const hidden = await analyseGoverned("SELECT email FROM customers");
  const { masking } = await analyseGoverned("FETCH c", {}, { cursor: () => hidden });
  expect(masking).toEqual({
    refusal: null,
    rewritten: null,
    signature: "",
    hidesDetail: true,
    raw: OTHERS,
    compares: null,
  });
});

test("what was prepared is looked at again when it is executed, and not rewritten twice", async () => {
  const prepared = await analyseGoverned("SELECT email FROM customers");
  const executed = await analyseGoverned("EXECUTE s", {}, { preparedStatement: () => prepared });
  expect(executed.masking).toEqual({
    refusal: null,
    rewritten: null,
    signature: "",
    hidesDetail: true,
    raw: OTHERS,
    compares: null,
  });
  const call = await analyseGoverned("SELECT get_email(1)");
  expect(maskingLine(await analyseGoverned("EXECUTE s", {}, { preparedStatement: () => call }))).toStartWith(
    "refused: ",
  );
});
