/** Ordinary statements by what PostgreSQL 16, 17 and 18 have and 15 has not: answered as by the bare server but for what is masked. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { serverMajor } from "../servers/postgres.ts";
import { type Answered, wrongAnswers } from "./answering.ts";
import { directRoad, gatewayRoad, type Mode, type Road } from "./roads.ts";

setDefaultTimeout(600_000);

const MAJOR = serverMajor();

/** The columns that masked.json and masked-newer.json name, and those that derive from them. */
const SECRET =
  "email ssn card_number notes salary stored spread shout plainly gap guest alt_email alt_local code contact_email".split(
    " ",
  );

type Group = { readonly since: number; readonly statements: readonly (string | Answered)[] };

const READS: readonly Group[] = [
  {
    since: 16,
    statements: [
      "SELECT any_value(full_name) FROM customers WHERE id = 1",
      "SELECT status, any_value(note) FILTER (WHERE id = 3) FROM orders GROUP BY status ORDER BY 1",
      "SELECT JSON_OBJECT('id': id, 'name': full_name) FROM customers ORDER BY id LIMIT 2",
      "SELECT JSON_ARRAY(id, full_name, NULL NULL ON NULL) FROM customers ORDER BY id LIMIT 2",
      "SELECT JSON_ARRAYAGG(name ORDER BY id) FROM products",
      "SELECT JSON_OBJECTAGG(id : name) FROM products WHERE id < 3",
      "SELECT JSON_ARRAY(SELECT name FROM products ORDER BY id)",
      "SELECT attrs::text IS JSON OBJECT, name IS JSON SCALAR FROM products ORDER BY id LIMIT 2",
      "SELECT '[1,2]' IS JSON ARRAY WITH UNIQUE KEYS, '1' IS NOT JSON",
      "SELECT id FROM (SELECT id, email FROM customers) ORDER BY 1 LIMIT 1",
      "SELECT array_length(array_shuffle(ARRAY[1,2,3]), 1), array_length(array_sample(ARRAY[1,2,3], 2), 1)",
      "SELECT 0x1F, 1_000, 0b101, SYSTEM_USER IS NULL",
      "SELECT date_add(timestamptz '2024-01-01Z', '1 day'), date_trunc('day', timestamptz '2024-01-01Z', 'UTC')",
      "SELECT xmlserialize(CONTENT '<a><b/></a>' AS text INDENT)",
      { steps: ["EXPLAIN (GENERIC_PLAN, COSTS OFF) SELECT id FROM products WHERE id = $1"], protocol: "simple" },
      "SELECT roleid::regrole, inherit_option, set_option FROM pg_auth_members WHERE member = 'gw_agent'::regrole",
      "COPY products TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
      "SELECT id, nick, email FROM staff ORDER BY id",
      {
        steps: [
          {
            x: [
              ["P", "s", "SELECT id, email FROM customers WHERE id = $1"],
              ["B", "", "s", ["2"]],
              ["D", "P", ""],
              ["E", ""],
              ["H"],
              ["C", "S", "s"],
              ["P", "s", "SELECT name FROM products WHERE id = $1"],
              ["B", "", "s", ["2"]],
              ["D", "P", ""],
              ["E", ""],
              ["S"],
            ],
          },
        ],
      },
    ],
  },
  {
    since: 17,
    statements: [
      "SELECT p.id, j.* FROM products p, JSON_TABLE(p.attrs, '$' COLUMNS (color text PATH '$.color', NESTED PATH '$.dims' COLUMNS (w int PATH '$.w', h int PATH '$.h'))) j ORDER BY p.id LIMIT 3",
      "SELECT * FROM JSON_TABLE('[{\"a\":1},{\"a\":2}]', '$[*]' COLUMNS (n FOR ORDINALITY, a int PATH '$.a', b text PATH '$.b' DEFAULT 'none' ON EMPTY, c boolean EXISTS PATH '$.c')) AS t",
      "SELECT p.name, j.t FROM products p LEFT JOIN LATERAL JSON_TABLE(to_jsonb(p.tags), '$[*]' COLUMNS (t text PATH '$')) j ON true ORDER BY 1, 2 LIMIT 3",
      "SELECT JSON_VALUE(attrs, '$.dims.w' RETURNING int), JSON_QUERY(attrs, '$.dims'), JSON_EXISTS(attrs, '$.color') FROM products ORDER BY id LIMIT 2",
      "SELECT JSON_QUERY(attrs, '$.x' NULL ON EMPTY), JSON_VALUE(attrs, '$.x' DEFAULT 'n' ON EMPTY) FROM products ORDER BY id LIMIT 1",
      "SELECT id FROM products WHERE JSON_EXISTS(attrs, '$ ? (@.color == $c)' PASSING 'red' AS c) ORDER BY id",
      "SELECT JSON_SERIALIZE(attrs RETURNING text), JSON_SCALAR(id), JSON('{\"a\":1}') FROM products ORDER BY id LIMIT 1",
      "SELECT jsonb_path_query(attrs, '$.dims.w.string()') FROM products ORDER BY id LIMIT 2",
      "SELECT timestamptz '2024-01-01 00:00Z' AT LOCAL, to_bin(5), to_oct(8), random(5, 5), unicode_assigned('a')",
      "SELECT name, email FROM products JOIN customers USING (id) ORDER BY name COLLATE pg_c_utf8 LIMIT 2",
      "SELECT pg_basetype('email_addr'::regtype), to_regtypemod('varchar(3)'), xmltext('<a>')",
      "EXPLAIN (COSTS OFF) MERGE INTO orders o USING products p ON o.product_id = p.id WHEN MATCHED THEN DELETE",
      "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, SERIALIZE, MEMORY OFF) SELECT id FROM products",
      "SELECT has_table_privilege('products', 'MAINTAIN')",
      "SELECT collname FROM pg_collation WHERE collprovider = 'b' ORDER BY 1",
      "SELECT evtname, evtevent FROM pg_event_trigger",
      "SET enable_group_by_reordering = off",
      { steps: ["BEGIN", "SET LOCAL transaction_timeout = '30s'", "SELECT email FROM customers LIMIT 1", "COMMIT"] },
    ],
  },
  {
    since: 18,
    statements: [
      "SELECT * FROM staff ORDER BY id",
      "SELECT id, tag FROM staff_tags ORDER BY tag",
      "SELECT tag, count(*) FROM staff GROUP BY tag ORDER BY tag",
      "SELECT room, range_agg(valid_at) FROM bookings GROUP BY room ORDER BY 1",
      "SELECT regexp_count(string => full_name, pattern => 'o') FROM customers ORDER BY id LIMIT 1",
      "SELECT casefold('ÄB'), reverse('abc'::bytea), array_sort(ARRAY[3,1,2]), array_reverse(ARRAY[1,2]), crc32('a'), gamma(5)",
      "SELECT uuid_extract_version(uuidv4()), length(uuidv7()::text), 5::bytea, '\\x00000005'::bytea::int",
      "SELECT min(name::bytea), max(ROW(id, name)), json_strip_nulls('{\"a\":[null]}', true) FROM products",
      "SELECT conname, conenforced, conperiod FROM pg_constraint WHERE conrelid = 'bookings'::regclass ORDER BY 1",
      "SELECT attname, attgenerated FROM pg_attribute WHERE attrelid = 'staff'::regclass AND attnum > 0 ORDER BY attnum",
      "SELECT pg_get_acl('pg_class'::regclass, 'products'::regclass, 0) IS NULL, last_value FROM pg_get_sequence_data('orders_id_seq')",
      "SELECT relname, relallfrozen >= 0 AS is_counted FROM pg_class WHERE relname = 'products'",
      "SET enable_self_join_elimination = off",
      "SET enable_distinct_reordering = off",
    ],
  },
];

/** Of what is not masked; inline too. */
const CHANGES: readonly Group[] = [
  {
    since: 16,
    statements: [
      {
        steps: [
          "COPY products (id, name, price) FROM STDIN (FORMAT csv, DEFAULT 'D', HEADER match)",
          { copyData: "id,name,price\n300,a,1\n" },
        ],
        protocol: "simple",
      },
    ],
  },
  {
    since: 17,
    statements: [
      "MERGE INTO orders o USING (VALUES (1, 'merged'), (9999, 'x')) v(id, note) ON o.id = v.id WHEN MATCHED THEN UPDATE SET note = v.note WHEN NOT MATCHED THEN DO NOTHING RETURNING merge_action(), o.id, o.note",
      "MERGE INTO products p USING (VALUES (1, 'A', 2.5), (50, 'B', 3)) v(id, name, price) ON p.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name, price = v.price WHEN NOT MATCHED THEN INSERT (id, name, price) VALUES (v.id, v.name, v.price) RETURNING merge_action(), p.*",
      "MERGE INTO products p USING (SELECT product_id AS id FROM orders) o ON p.id = o.id WHEN NOT MATCHED BY SOURCE THEN UPDATE SET name = name || '!' WHEN MATCHED THEN DO NOTHING RETURNING p.id",
      "WITH m AS (MERGE INTO orders o USING products p ON o.product_id = p.id AND o.id < 3 WHEN MATCHED THEN UPDATE SET amount = p.price RETURNING o.id, p.name, merge_action() AS a) SELECT * FROM m ORDER BY id",
      "MERGE INTO orders o USING customers c ON o.customer_id = c.id AND o.id = 1 WHEN MATCHED THEN UPDATE SET note = c.full_name RETURNING o.note, c.full_name, c.email",
      "MERGE INTO orders o USING customers c ON o.customer_id = c.id AND o.id = 2 WHEN MATCHED THEN UPDATE SET note = 'n' RETURNING *",
      {
        steps: [
          "COPY products (id, name, price) FROM STDIN (ON_ERROR ignore)",
          { copyData: "300\ta\t1\n301\tb\tx\n" },
          "SELECT count(*) FROM products",
        ],
        protocol: "simple",
      },
    ],
  },
  {
    since: 18,
    statements: [
      "UPDATE orders SET amount = amount + 1 WHERE id = 1 RETURNING old.amount AS before, new.amount AS after, new.amount - old.amount",
      "UPDATE orders SET note = 'x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.note, n.note, o.note IS DISTINCT FROM n.note",
      "DELETE FROM orders WHERE id = 60 RETURNING old.*",
      "INSERT INTO products (id, name, price) VALUES (1, 'again', 9) ON CONFLICT (id) DO UPDATE SET price = excluded.price RETURNING old.price, new.price, old IS NULL",
      "WITH u AS (UPDATE orders SET note = 'u' WHERE id < 3 RETURNING old.note AS was, new.note AS now, id) SELECT * FROM u ORDER BY id",
      "UPDATE orders o SET note = c.full_name FROM customers c WHERE c.id = o.customer_id AND o.id = 5 RETURNING old.note, new.note, c.full_name, c.email",
      {
        steps: [
          "COPY products (id, name, price) FROM STDIN (ON_ERROR ignore, REJECT_LIMIT 1)",
          { copyData: "300\ta\tz\n301\tb\tx\n" },
        ],
        protocol: "simple",
        fails: true,
      },
    ],
  },
];

/** Of relations with masked columns: in guarded mode alone. */
const CHANGES_BESIDE: readonly Group[] = [
  {
    since: 17,
    statements: [
      "MERGE INTO customers c USING (VALUES (1, 5)) v(i, b) ON c.id = v.i WHEN MATCHED THEN UPDATE SET balance = v.b RETURNING merge_action(), c.id, c.balance",
      "MERGE INTO customers c USING (VALUES (1, 5)) v(i, b) ON c.id = v.i WHEN MATCHED THEN UPDATE SET balance = v.b RETURNING *",
      "MERGE INTO customers c USING orders o ON c.id = o.customer_id AND o.id = 1 WHEN MATCHED THEN UPDATE SET balance = 7 RETURNING o.id, c.*",
      "MERGE INTO customers c USING orders ON c.id = customer_id AND orders.id = 1 WHEN MATCHED THEN UPDATE SET balance = 7 RETURNING *, merge_action()",
    ],
  },
  {
    since: 18,
    statements: [
      "UPDATE customers SET balance = 3 WHERE id = 2 RETURNING old.balance, new.balance, full_name",
      "UPDATE customers SET full_name = 'N' WHERE id = 2 RETURNING old.full_name || ' to ' || new.full_name AS change",
      "UPDATE customers SET balance = balance + 1 WHERE id = 2 RETURNING old.*, new.*",
      "DELETE FROM staff WHERE id = 6 RETURNING old.id, old.name, old.tag",
      "UPDATE staff SET name = 'New' WHERE id = 1 RETURNING tag, nick, old.tag, email",
      "INSERT INTO staff (id, name, team) VALUES (70, 'Zed', 70) RETURNING id, tag",
      "UPDATE bookings SET room = 5 WHERE room = 2 RETURNING old.room, new.room",
    ],
  },
];

/** In some of these a constraint looks at what is written beside a masked column. */
const MAY_WRITE = `  - id: may-write
    subject: { any: true }
    target: { any: true }
    action: { postgres: { columns: ["**"] } }
`;

function known(groups: readonly Group[]): Answered[] {
  return groups
    .filter(({ since }) => since <= MAJOR)
    .flatMap(({ statements }) =>
      statements.map((statement) => {
        return { other: SECRET, ...(typeof statement === "string" ? { steps: [statement] } : statement) };
      }),
    );
}

const MODES: readonly Mode[] = ["guarded", "inline"];

// On 15 there is nothing of it.
describe.skipIf(MAJOR < 16)("statements that this server knows", () => {
  let direct: Road;
  beforeAll(async () => {
    direct = await directRoad(true);
  });
  afterAll(async () => {
    await direct?.stop();
  });

  test.each(MODES)("%s: each is answered as by the server, and alike on both twins", async (mode) => {
    const road = await gatewayRoad(mode, { isNewer: true, permits: MAY_WRITE });
    try {
      const groups = [...READS, ...CHANGES, ...(mode === "guarded" ? CHANGES_BESIDE : [])];
      expect(await wrongAnswers(road, direct, known(groups))).toEqual([]);
    } finally {
      await road.stop();
    }
  });
});
