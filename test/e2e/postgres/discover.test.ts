/** `weir targets discover` on a real server: proposes what holds secrets, shows none, and its rule loads as it is. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { corpusSchema } from "../../corpus/masking.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";

setDefaultTimeout(240_000);

const MORE = `
  CREATE SCHEMA extra;
  CREATE TABLE extra.people (id int PRIMARY KEY, "Birth Date" date, "workPhone" text, plain text, balance numeric, card bigint,
    contact text[], doc json, note app.email_addr, "odd""name.x" text);
  INSERT INTO extra.people SELECT g, '2000-01-01', NULL, 'nothing ' || g, g, 4111111111111111,
    ARRAY['x', 'someone' || g || '@secret.example'], '{"key": "AKIAIOSFODNN7EXAMPLE"}', 'p@secret.example', 'q@secret.example'
    FROM generate_series(1, 30) g;
  CREATE TABLE extra.numbers (id bigint PRIMARY KEY, epoch bigint, quantity int);
  INSERT INTO extra.numbers SELECT g, 1700000000 + g, g * 37 FROM generate_series(1, 50000) g;
  CREATE TABLE extra.large (id int, email text);
  INSERT INTO extra.large SELECT g, 'canary-large-' || g || '@secret.example' FROM generate_series(1, 50000) g;
  CREATE TABLE extra.closed (email text);
  CREATE TABLE extra.empty (email text, other text);
  CREATE TABLE extra.secured (email text);
  INSERT INTO extra.secured VALUES ('canary@secret.example');
  ALTER TABLE extra.secured ENABLE ROW LEVEL SECURITY;
  CREATE ROLE looker LOGIN PASSWORD 'looker';
  GRANT USAGE ON SCHEMA app, extra TO looker;
  GRANT SELECT ON ALL TABLES IN SCHEMA app, extra TO looker;
  REVOKE ALL ON extra.closed FROM looker;
  ANALYZE;
`;

let server: PostgresServer;
let gateway: Gateway;
beforeAll(async () => {
  server = await startPostgres();
  for (const database of ["corpus", "other"]) server.psql(`CREATE DATABASE ${database}`);
  server.psql(`${corpusSchema()}; ${MORE}`, "corpus");
  server.psql(
    "CREATE TABLE t (mail text); INSERT INTO t VALUES ('a@secret.example'); GRANT SELECT ON t TO looker",
    "other",
  );
  const postgres = { host: server.host, port: server.port, user: "looker", tls: "disable" };
  gateway = await startGateway({
    targets: { shop: { postgres: { ...postgres, database: "corpus", databases: ["other"] }, labels: { env: "prod" } } },
  });
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

type Found = {
  readonly target: string;
  readonly database: string;
  readonly tables: number;
  readonly columns: readonly {
    column: string;
    rows: number;
    kinds: { kind: string; share: number }[];
    name: string | null;
  }[];
  readonly skipped: readonly { relation: string; problem: string }[];
  readonly rule: string;
};

async function discover(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await gateway.weir("targets", "discover", "shop", ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

test("proposes the columns that hold something, with what it is", async () => {
  const found: Found = JSON.parse(await discover("--json"));
  expect([found.target, found.database]).toEqual(["shop", "corpus"]);
  const proposed = Object.fromEntries(
    found.columns.map(({ column, kinds, name }) => [column, [...kinds.map(({ kind }) => kind), name]]),
  );
  expect(proposed).toEqual({
    "app.contacts.alt_email": ["email", "e-mail address"],
    "app.customer_audit.old_row": ["card-number", "email", "national-id-us", null],
    "app.customers.card_number": ["card-number", "card number"],
    "app.customers.email": ["email", "e-mail address"],
    "app.customers.ssn": ["national-id-us", "social security number"],
    "app.events.email": ["email", "e-mail address"],
    "extra.closed.email": ["e-mail address"],
    "extra.empty.email": ["e-mail address"],
    "extra.large.email": ["email", "e-mail address"],
    "extra.people.Birth Date": ["date of birth"],
    "extra.people.card": ["card-number", null],
    "extra.people.contact": ["email", null],
    "extra.people.doc": ["cloud-key", null],
    "extra.people.note": ["email", null],
    'extra.people."odd""name.x"': ["email", null],
    "extra.people.workPhone": ["phone number"],
    "extra.secured.email": ["e-mail address"],
  });
  expect(found.skipped).toEqual([{ relation: "extra.closed", problem: expect.stringContaining("permission denied") }]);
  const shareOf = (column: string): unknown => found.columns.find((each) => each.column === column);
  expect(shareOf("app.customers.email")).toMatchObject({ rows: 23, kinds: [{ kind: "email", share: 1 }] });
  expect(shareOf("extra.large.email")).toMatchObject({ rows: 200 });
});

test("shows no value of any row", async () => {
  for (const output of [await discover(), await discover("--json")]) {
    for (const secret of ["canary", "secret.example", "612-77", "40000077", "4111", "AKIA", "nothing"]) {
      expect(output).not.toContain(secret);
    }
  }
});

test("says it in words, with a rule that loads as it stands", async () => {
  const output = await discover("--sample", "10");
  expect(output).toContain("app.customers.email (text): email in 100% of the values, the name says e-mail address\n");
  expect(output).toContain("extra.people.Birth Date (date): by its name: date of birth (10 rows read)\n");
  expect(output).toContain("extra.closed: not read: ");
  const rule = output.slice(output.indexOf("# guards/shop-discovered.yaml"));
  gateway.writePolicy("guards/shop-discovered.yaml", rule);
  const checked = await gateway.weir("policy", "check");
  expect({ status: checked.status, out: checked.stdout + checked.stderr }).toMatchObject({ status: 0 });
});

test("looks at another database where asked, and its rule is about that one", async () => {
  const found: Found = JSON.parse(await discover("--database", "other", "--json"));
  expect(found.columns).toMatchObject([{ column: "public.t.mail", kinds: [{ kind: "email", share: 1 }] }]);
  expect(found.rule).toContain('databases: ["other"]');
});

test("leaves nothing behind at the server", async () => {
  // A server process ends a little after its client.
  const atWork = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'looker' AND state <> 'idle'";
  while (server.psql(atWork) !== "0") await Bun.sleep(10);
  expect(server.log()).not.toContain("PANIC");
});

test("refuses what it cannot do, and says what to do", async () => {
  const refused = async (...args: readonly string[]): Promise<readonly [number, string]> => {
    const { status, stdout, stderr } = await gateway.weir("targets", "discover", ...args);
    expect(stdout).toBe("");
    return [status, stderr];
  };
  expect(await refused("shopp")).toEqual([1, expect.stringContaining("there is no target shopp")]);
  expect(await refused("shop", "--sample", "0")).toEqual([2, expect.stringContaining("--sample is a whole number")]);
  expect(await refused("shop", "--sample", "1001")).toEqual([2, expect.stringContaining("from 1 to 1000")]);
  expect(await refused("shop", "--database", "nope")).toEqual([2, expect.stringContaining("has no database nope")]);
});
