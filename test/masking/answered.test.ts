/** What tools and people send of a kind that is easily refused: answered as by the bare server but for what is masked, and alike on twins. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Answered, wrongAnswers } from "./answering.ts";
import { directRoad, gatewayRoad, type Mode, type Road } from "./roads.ts";

setDefaultTimeout(300_000);

/** The columns that masked.json names of customers. */
const SECRET = ["email", "ssn", "card_number", "notes"];
const ROWS = "SELECT id, email FROM customers ORDER BY id LIMIT 2";

const PATH: readonly Answered[] = [
  ...[
    "SET search_path TO app, public",
    "SET search_path = app, public, pg_temp",
    `SET SESSION search_path = "app", 'public'`,
    "SET LOCAL search_path TO app, public",
    "SET SEARCH_PATH TO APP, U&\"publi!0063\" UESCAPE '!'",
  ].map((sql): Answered => ({ steps: [sql, ROWS], other: SECRET })),
  { steps: ["BEGIN", "SET LOCAL search_path TO app, public", ROWS, "COMMIT", ROWS], other: SECRET },
  { steps: ["BEGIN", "SET search_path TO app, public", ROWS, "ROLLBACK", ROWS], other: SECRET },
  {
    steps: ["BEGIN", "SAVEPOINT a", "SET search_path TO app, public", "ROLLBACK TO a", ROWS, "COMMIT"],
    other: SECRET,
  },
  { steps: [{ q: "SET search_path TO app, public; SELECT email FROM app.customers WHERE id = 1" }], other: SECRET },
  {
    steps: ["PREPARE p AS SELECT email FROM customers WHERE id = 1", "SET search_path TO app, public", "EXECUTE p"],
    other: SECRET,
  },
  { steps: ["SELECT set_config('search_path', 'app, public', false)", ROWS], other: [...SECRET, "set_config"] },
  {
    steps: ["SELECT pg_catalog.set_config('search_path', '\"app\", public, pg_temp', true) FROM customers", ROWS],
    other: [...SECRET, "set_config"],
  },
  {
    steps: [
      {
        x: [
          ["P", "s", "SET search_path TO app, public"],
          ["P", "", "SELECT email FROM customers WHERE id = 1"],
          ["B", "", "s"],
          ["E", ""],
          ["B", "", ""],
          ["D", "P", ""],
          ["E", ""],
          ["S"],
        ],
      },
      ROWS,
    ],
    other: SECRET,
  },
];

const SYSTEM_COLUMNS: readonly Answered[] = [
  ...[
    "SELECT ctid, * FROM customers ORDER BY id",
    // DataGrip
    "SELECT t.*, CTID FROM app.customers t LIMIT 501",
    "SELECT x.*, x.ctid, x.tableoid::regclass FROM customers x WHERE x.ctid = '(0,2)' ORDER BY id",
    "SELECT id, full_name, email, ssn, card_number, balance, notes, created_at, ctid FROM ONLY customers ORDER BY 1",
    "SELECT o.*, c.*, c.ctid FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id",
    "SELECT s.* FROM (SELECT *, xmin IS NULL AS none FROM customers) s ORDER BY id",
    "SELECT id, email FROM customers c WHERE EXISTS (SELECT * FROM orders WHERE customer_id = c.id AND c.ctid > '(0,4)')",
    "SELECT *, ctid FROM contacts ORDER BY id",
    "SELECT e.*, e.tableoid::regclass FROM events e ORDER BY id",
    "SELECT c.*, c.ctid FROM customers c ORDER BY id FOR UPDATE",
  ].map((sql): Answered => ({ steps: [sql], other: [...SECRET, "alt_email", "alt_local"] })),
  {
    steps: [
      "BEGIN",
      "DECLARE k SCROLL CURSOR FOR SELECT ctid, * FROM customers ORDER BY id",
      "FETCH 2 FROM k",
      "FETCH BACKWARD 1 FROM k",
      "COMMIT",
    ],
    other: SECRET,
  },
  {
    steps: ["PREPARE p AS SELECT *, ctid FROM customers WHERE id = $1", "EXECUTE p (3)", "EXECUTE p (4)"],
    other: SECRET,
  },
];

const SAMPLES: readonly Answered[] = [
  ...[
    "SELECT * FROM customers TABLESAMPLE SYSTEM (100) ORDER BY id",
    "SELECT c.id, c.email FROM customers c TABLESAMPLE BERNOULLI (50) REPEATABLE (7) ORDER BY c.id",
    "SELECT id, alt_email FROM ONLY contacts AS c TABLESAMPLE pg_catalog.bernoulli (0.5e2) REPEATABLE (0.1)",
    "SELECT e.* FROM events e TABLESAMPLE BERNOULLI (40) REPEATABLE (3) ORDER BY e.id",
    "SELECT ctid, c.* FROM customers c TABLESAMPLE SYSTEM (100) ORDER BY id",
    "SELECT x, o.id FROM orders o JOIN customers c (x, full_name) TABLESAMPLE BERNOULLI (100) ON x = customer_id ORDER BY o.id",
    "SELECT count(email) FROM app.customers TABLESAMPLE BERNOULLI (0)",
    "SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (30) REPEATABLE (5)",
  ].map((sql): Answered => ({ steps: [sql], other: [...SECRET, "alt_email", "alt_local"] })),
  {
    steps: [
      "PREPARE p (real, int) AS SELECT * FROM customers TABLESAMPLE BERNOULLI ($1) REPEATABLE ($2) ORDER BY id",
      "EXECUTE p (50, 7)",
      "EXECUTE p (25, 8)",
    ],
    other: SECRET,
  },
];

/** The server says where it was when it failed, which is in no function. */
const FAILURES: readonly Answered[] = [
  ...["SELECT '{bad'::jsonb", "SELECT id, '{bad'::json FROM customers", "SELECT 1 / (id - id) FROM orders"].map(
    (sql): Answered => ({ steps: [sql], fails: true }),
  ),
  ...["SELECT $1::int", "SELECT email FROM customers WHERE id = $1"].map((sql): Answered => ({
    steps: [
      {
        x: [
          ["P", "", sql],
          ["B", "p", "", ["abc"]],
          ["E", "p"],
        ],
      },
      ROWS,
    ],
    other: SECRET,
    fails: true,
  })),
  {
    steps: [
      "SET parallel_setup_cost = 0",
      "SET min_parallel_table_scan_size = 0",
      "SET parallel_leader_participation = off",
      "SELECT sum(1 / (id - id)) FROM orders",
    ],
    fails: true,
  },
  {
    steps: [
      "BEGIN",
      "UPDATE orders SET note = 'a' WHERE id = 1",
      { use: "B" },
      "SET lock_timeout = '10ms'",
      "UPDATE orders SET note = 'b' WHERE id = 1",
      "SELECT id FROM orders WHERE id = 1 FOR UPDATE",
      { use: "A" },
      "ROLLBACK",
    ],
    fails: true,
  },
];

let direct: Road;

beforeAll(async () => {
  direct = await directRoad();
});

afterAll(async () => {
  await direct.stop();
});

const MODES: readonly Mode[] = ["guarded", "inline"];

test.each(MODES)("%s: each is answered as by the server, and alike on both twins", async (mode) => {
  const road = await gatewayRoad(mode);
  try {
    const wrong = await wrongAnswers(road, direct, [...PATH, ...SYSTEM_COLUMNS, ...SAMPLES, ...FAILURES]);
    expect(wrong).toEqual([]);
  } finally {
    await road.stop();
  }
});
