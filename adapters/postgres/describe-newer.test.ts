/** Tests the syntax of servers newer than 15. */
import { expectAccesses } from "../../test/corpus/expect-accesses.ts";

expectAccesses(
  "16",
  [
    ["SELECT JSON_ARRAY(email, ssn) FROM customers", "read select app.customers(email ssn)"],
    ["SELECT JSON_ARRAY(SELECT email FROM customers)", "read select app.customers(email)"],
    ["SELECT JSON_OBJECT('k': email) FROM customers", "read select app.customers(email)"],
    ["SELECT JSON_OBJECTAGG(id : email) FROM customers", "read select app.customers(id email)"],
    [
      "SELECT JSON_ARRAYAGG(email ORDER BY ssn) FILTER (WHERE balance > 0) FROM customers",
      "read select app.customers(balance ssn email)",
    ],
    ["SELECT JSON_ARRAYAGG(email) OVER (PARTITION BY ssn) FROM customers", "read select app.customers(ssn email)"],
    ["SELECT notes IS JSON OBJECT FROM customers", "read select app.customers(notes)"],
    ["SELECT s.email FROM (SELECT email FROM customers)", "read select app.customers(email)"],
    ['SELECT 0xFF, 1_000, full_name COLLATE "C" FROM customers', "read select app.customers(full_name)"],
  ],
  { serverMajor: 16 },
);

expectAccesses(
  "17",
  [
    [
      "SELECT j.e FROM customers c, JSON_TABLE(c.notes, '$' COLUMNS (e text PATH '$.e', n FOR ORDINALITY, NESTED '$.x' COLUMNS (y text))) j",
      "read select app.customers(notes)",
    ],
    [
      "SELECT e, y, nosuch FROM customers c, JSON_TABLE(c.notes, '$' COLUMNS (e text, NESTED '$.x' COLUMNS (y text))) j",
      "read select app.customers(?)",
    ],
    [
      "SELECT e, y FROM customers c, JSON_TABLE(c.notes, '$' COLUMNS (e text, NESTED '$.x' COLUMNS (y text))) j",
      "read select app.customers(notes)",
    ],
    ["SELECT JSON_VALUE(notes, '$.a' DEFAULT email ON EMPTY) FROM customers", "read select app.customers(notes email)"],
    [
      "SELECT JSON_QUERY(notes, '$' PASSING ssn AS s), JSON_EXISTS(notes, '$.a'), JSON_SCALAR(id), JSON_SERIALIZE(notes), JSON(full_name) FROM customers",
      "read select app.customers(notes ssn id full_name)",
    ],
    [
      "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
      "write merge app.orders(customer_id) unfiltered",
      "write delete app.orders(customer_id) unfiltered",
      "read select app.customers(id)",
    ],
    [
      "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN NOT MATCHED BY SOURCE AND o.amount > 1 THEN UPDATE SET note = 'x' RETURNING merge_action(), o.status, c.ssn",
      "write merge app.orders(customer_id amount note status)",
      "write update app.orders(customer_id amount note status)",
      "read select app.customers(id ssn)",
    ],
    [
      "WITH m AS (MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN DELETE RETURNING o.note) SELECT note FROM m",
      "write merge app.orders(id note)",
      "write delete app.orders(id note)",
      "read select app.customers(id)",
    ],
    [
      "COPY customers FROM STDIN (ON_ERROR ignore)",
      "write copy from app.customers(id full_name email ssn card_number balance notes created_at)",
    ],
    ["EXPLAIN (SERIALIZE, ANALYZE) SELECT email FROM customers", "read select app.customers(email)"],
  ],
  { serverMajor: 17 },
);

expectAccesses(
  "18",
  [
    [
      "UPDATE customers SET balance = 1 WHERE id = 1 RETURNING old.email, new.ssn",
      "write update app.customers(balance id email ssn)",
    ],
    [
      "UPDATE customers SET balance = 1 WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.email, n.ssn, customers.notes",
      "write update app.customers(balance id email ssn notes)",
    ],
    [
      "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = old.note RETURNING old.status",
      "write insert app.orders(?)",
      "write update app.orders(?)",
    ],
    [
      "DELETE FROM orders WHERE id = 1 RETURNING old.*",
      "write delete app.orders(id customer_id product_id amount status note placed_at)",
    ],
    [
      "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN UPDATE SET note = c.email RETURNING old.amount, new.status",
      "write merge app.orders(id note amount status)",
      "write update app.orders(id note amount status)",
      "read select app.customers(id email)",
    ],
    [
      "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, CONSTRAINT n NOT NULL a NOT VALID)",
      "define create table app.t",
    ],
    ["ALTER TABLE orders ALTER CONSTRAINT f NOT ENFORCED", "define alter table app.orders"],
    ["SELECT old.email FROM customers", "read select app.customers(?)"],
  ],
  { serverMajor: 18 },
);
