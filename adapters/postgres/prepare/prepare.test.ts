/** Guarded mode on a real server: what the governed login can and cannot do, what the self-check sees, and the way back. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { corpusSchema, maskedColumns, namedColumns } from "../../../test/corpus/masking.ts";
import { GuardedYard, type GuardedOptions } from "../../../test/servers/guarded.ts";
import { startPostgres, type PostgresServer } from "../../../test/servers/postgres.ts";
import type { MaskTransform } from "../../../src/core/obligation.ts";

setDefaultTimeout(240_000);

const REDACT: MaskTransform = { with: "redact" };
const HASH: MaskTransform = { with: "hash" };
const LAST_FOUR: MaskTransform = { with: "partial", keepFirst: 0, keepLast: 4 };
const DENIED = "ERROR:  42501";

let server: PostgresServer;
let yard: GuardedYard;
let count = 0;

/** A database of its own with the corpus in it. */
function another(options: Partial<GuardedOptions> = {}): GuardedYard {
  const database = `corpus${count++}`;
  server.psql(`CREATE DATABASE ${database} TEMPLATE corpus`);
  const named = namedColumns().map((column) => [column, [REDACT]] as const);
  return new GuardedYard(server, {
    database,
    ordinary: "gw_agent",
    transforms: {
      ...Object.fromEntries(named),
      "app.customers.email": [REDACT, HASH],
      "app.customers.card_number": [LAST_FOUR],
    },
    settings: {
      user: `governed${count}`,
      searchPath: ["app", "public"],
      safeFunctions: ["app.order_total(int)", "app.add_tax(numeric)"],
    },
    ...options,
  });
}

beforeAll(async () => {
  server = await startPostgres({ sql: "CREATE DATABASE corpus" });
  server.psql(corpusSchema(), "corpus");
  server.psql("CREATE ROLE bystander LOGIN; CREATE ROLE other_group");
  yard = another();
  await yard.prepare();
});
afterAll(async () => server.stop());

describe("the governed login", () => {
  test.each([...maskedColumns()])("cannot read %s", (column) => {
    const [schema, relation, name] = column.split(".");
    expect(yard.as(`SELECT ${name} FROM ${schema}.${relation}`)).toEqual({ out: "", error: DENIED });
    expect(yard.as(`SELECT t FROM ${schema}.${relation} t`).error).toBe(DENIED);
    expect(yard.as(`SELECT count(*) FROM ${schema}.${relation} WHERE ${name} IS NULL`).error).toBe(DENIED);
    // The same words bring the value to whoever may have it.
    expect(yard.as(`SELECT ${name} FROM ${schema}.${relation}`, "gw_agent").error).toBe("");
  });

  test.each([
    ["SELECT id, full_name, balance FROM app.customers WHERE id = 1", "1|Person 0001|10.50"],
    [
      "SELECT id FROM app.customers WHERE tableoid = 'app.customers_vip'::regclass AND ctid IS NOT NULL ORDER BY id LIMIT 1",
      "101",
    ],
    ["SELECT count(xmin) FROM app.events", "20"],
    ["SELECT id, full_name FROM app.customer_directory WHERE id = 2", "2|Person 0002"],
    ["SELECT id, balance FROM app.customer_mv WHERE id = 2", "2|21.00"],
    ["SELECT id, full_name FROM app.customer_public WHERE id = 3", "3|Person 0003"],
    ["SELECT n FROM app.order_summary WHERE customer_id = 1", "3"],
    ["SELECT count(*) FROM app.products", "12"],
    ["SELECT app.add_tax(10), app.order_total(1) > 0", "12.00|t"],
    ["SHOW search_path", "app, public, pg_temp"],
    ["SELECT id FROM app.customers WHERE id = 1 FOR UPDATE", "1"],
  ])("can do what is not masked: %s", (sql, out) => {
    expect(yard.as(sql)).toEqual({ out, error: "" });
  });

  test.each([
    ['SELECT id, email, notes FROM weir_masks."app.customers" WHERE id = 1', '1|***|"***"'],
    ['SELECT id, email FROM weir_masks."app.customers" WHERE id = 1 FOR UPDATE', "1|***"],
    ['SELECT c.email FROM (SELECT * FROM weir_masks."app.customers") AS c WHERE c.id = 1 FOR NO KEY UPDATE', "***"],
    ['SELECT id FROM weir_masks."app.customers" WHERE id = 1 FOR SHARE', "1"],
    ['SELECT "card_number (partial 0 4)" ~ \'^\\*\\*\\*[0-9]{4}$\' FROM weir_masks."app.customers" WHERE id = 1', "t"],
    ['SELECT count(DISTINCT "email (hash)") FROM weir_masks."app.customers"', "23"],
    ['SELECT count(*) FROM weir_masks."app.customers (only)"', "20"],
    ['SELECT count(*), count(DISTINCT email) FROM weir_masks."app.events"', "20|1"],
    [
      'SELECT pg_typeof(notes), pg_typeof(created_at) FROM weir_masks."app.customers" LIMIT 1',
      "jsonb|timestamp with time zone",
    ],
    ['SELECT contact FROM weir_masks."app.customer_directory" WHERE id = 1 FOR UPDATE', "***"],
    ['SELECT handle FROM weir_masks."app.customer_nested" LIMIT 1', "***"],
    ['SELECT contact_email FROM weir_masks."app.customer_mv" LIMIT 1', "***"],
  ])("reads masks through the views: %s", (sql, out) => {
    expect(yard.as(sql)).toEqual({ out, error: "" });
  });

  test.each([
    ["INSERT INTO app.customers (id, full_name, email, ssn, card_number) VALUES (900, 'New', 'n@x', '1', '2')"],
    ["UPDATE app.customers SET balance = 1 WHERE id = 1"],
    ["UPDATE app.customers SET email = 'written@x' WHERE id = 2"],
    ["DELETE FROM app.customers WHERE id = 900"],
    ["INSERT INTO app.orders (customer_id, amount) VALUES (1, 2)"],
    ["UPDATE app.customer_public SET full_name = 'Someone' WHERE id = 4"],
    ["INSERT INTO app.customer_audit (old_row) VALUES ('{}')"],
  ])("writes what the target's own login may: %s", (sql) => {
    expect(yard.as(`BEGIN; ${sql}; ROLLBACK`).error).not.toContain("ERROR");
  });

  test.each([
    "SELECT app.get_email_def(1)",
    "SELECT app.get_email(1)",
    "SELECT * FROM app.find_customers('%')",
    "SELECT app.label(c) FROM app.customers c",
    "SELECT * FROM app.run_dyn('SELECT email FROM app.customers')",
    "CREATE TEMP TABLE t (a int)",
    "SELECT id INTO TEMP t FROM app.customers",
    "CREATE TABLE app.t (a int)",
    "CREATE TABLE public.t (a int)",
    "CREATE TABLE scratch.t (a int)",
    "CREATE SCHEMA s",
    "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT * FROM weir_masks.hash_key",
    "SELECT * FROM weir_masks.taken_from_public",
    "SELECT * FROM ext.pg_stat_statements",
    'UPDATE weir_masks."app.customers" SET full_name = email',
    'UPDATE weir_masks."app.customers" SET id = 1',
    'DELETE FROM weir_masks."app.customers"',
    'INSERT INTO weir_masks."app.customers" (id) VALUES (1)',
    "UPDATE app.customers SET full_name = email",
    "UPDATE app.customers SET balance = 1 WHERE id = 1 RETURNING email",
    "INSERT INTO app.contacts (id, customer_id, alt_email) VALUES (1, 1, 'a@b') ON CONFLICT (id) DO UPDATE SET customer_id = length(EXCLUDED.alt_email)",
    "COPY app.customers TO STDOUT",
    "TRUNCATE app.orders",
    "SET ROLE weir_masks",
    "SET ROLE gw_agent",
    "SET SESSION AUTHORIZATION gw_agent",
    "ALTER TABLE app.customers DISABLE TRIGGER ALL",
  ])("may not: %s", (sql) => {
    const { out, error } = yard.as(sql);
    expect(out).toBe("");
    expect(error.split("\n").at(-1)).toBe(DENIED);
  });

  test("cannot write even to the one column that row locks ask for", () => {
    expect(yard.as("UPDATE weir_masks.\"app.customers\" SET email = 'x'").error).toBe("ERROR:  0A000");
  });

  test("sees no statistics of masked columns", () => {
    const of = (user?: string) =>
      yard.as("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'customers' AND attname IN ('email', 'ssn')", user)
        .out;
    expect([of("gw_agent"), of()]).toEqual(["t", "f"]);
  });
});

describe("what was everybody's", () => {
  test("stays with every role that was there", async () => {
    const own = another();
    own.sql(
      "GRANT SELECT ON app.customers TO PUBLIC; GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT SELECT (alt_email) ON app.contacts TO PUBLIC",
    );
    const before = own.dump();
    await own.prepare();
    for (const user of ["bystander", "gw_agent"]) {
      expect(own.as("SELECT email FROM app.customers WHERE id = 1", user).error).toBe("");
      expect(own.as("SELECT alt_email FROM app.contacts LIMIT 1", user).error).toBe("");
      expect(own.as("CREATE TEMP TABLE t (a int)", user).error).toBe("");
    }
    // Predefined roles are nobody's login.
    const predefined = "x.grantee::regrole::text LIKE 'pg\\_%'";
    expect(own.sql(`SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) x WHERE p.prosecdef AND ${predefined}`)).toBe(
      "0",
    );
    expect(own.as("SELECT app.get_email_def(1)", "bystander").out).toBe("canary-0001@secret.example");
    expect(own.as("SELECT email FROM app.customers").error).toBe(DENIED);
    expect(own.as("SELECT alt_email FROM app.contacts").error).toBe(DENIED);
    expect(own.as("SELECT id FROM app.contacts WHERE id = 1").out).toBe("1");
    expect(await own.failing()).toEqual([]);
    own.remove();
    expect(own.dump()).toBe(before);
  });
});

describe("the script", () => {
  test("can be run again, and ends in the same state", async () => {
    const own = another();
    await own.prepare();
    const [once, key] = [own.dump(), own.sql("SELECT k FROM weir_masks.hash_key")];
    await own.prepare();
    expect(own.dump()).toBe(once);
    expect(own.sql("SELECT k FROM weir_masks.hash_key")).toBe(key);
    expect(key).toMatch(/^\\x[0-9a-f]{64}$/u);
  });

  test("follows policy and schema, and leaves nothing of what was before", async () => {
    const [own, fresh] = [another(), another()];
    await own.but({ transforms: { "app.orders.note": [REDACT], "app.customers.full_name": [HASH] } }).prepare();
    expect(own.as("SELECT note FROM app.orders").error).toBe(DENIED);
    expect(own.as("SELECT email FROM app.customers WHERE id = 1").error).toBe("");
    await own.prepare();
    expect(own.as("SELECT count(note) FROM app.orders").error).toBe("");
    expect(await own.failing()).toEqual([]);
    await fresh.but({ settings: own.options.settings }).prepare();
    const normal = (each: GuardedYard): string => each.dump().replaceAll(each.options.database, "DATABASE");
    const masks = (text: string): string =>
      text
        .split("\n")
        .filter((line) => line.includes("weir_masks") || line.startsWith("GRANT"))
        .join("\n");
    expect(masks(normal(own))).toBe(masks(normal(fresh)));
  });

  test("leaves views alone that are as they must be", async () => {
    const own = another();
    await own.prepare();
    const views = (): string[] =>
      own
        .sql("SELECT relname, oid FROM pg_class WHERE relnamespace = 'weir_masks'::regnamespace ORDER BY 1")
        .split("\n");
    const before = views();
    own.sql("ALTER TABLE app.contacts ADD COLUMN phone text");
    await own.prepare();
    const changed = views().filter((view) => !before.includes(view));
    expect(changed.map((view) => view.split("|")[0])).toEqual(["app.contacts"]);
    expect(await own.failing()).toEqual([]);
  });

  test("changes nothing when it fails", async () => {
    const own = another();
    const before = own.dump();
    const script = (await own.script()).replace("\nCOMMIT;", "\nSELECT 1 / 0;\nCOMMIT;");
    expect(() => own.sql(script)).toThrow("division by zero");
    expect(own.dump()).toBe(before);
  });

  test("is for its own database alone", async () => {
    const script = await yard.script();
    expect(() => server.psql(script, "corpus")).toThrow("this script is for the database corpus0, and this is corpus");
  });

  test("takes no rights from a role that is somebody's", async () => {
    const own = another({ settings: { user: "gw_min" } });
    await expect(own.prepare()).rejects.toThrow('the role "gw_min" is there, and has rights of its own');
    const root = another({ settings: { user: "gw_super" } });
    await expect(root.prepare()).rejects.toThrow('the role "gw_super" is there, and has rights of its own');
  });

  test("uses a role without rights that was made for it, and does not drop it", async () => {
    const own = another({ settings: { user: "made_elsewhere" } });
    server.psql("CREATE ROLE made_elsewhere LOGIN");
    await own.prepare();
    expect(await own.failing()).toEqual([]);
    own.remove();
    expect(own.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'made_elsewhere'")).toBe("1");
  });

  test("gives a login with fewer rights no more than those", async () => {
    const own = another({ ordinary: "gw_min" });
    // gw_min may read no masked column, so it is not shown a mask either.
    await own.prepare();
    expect(own.as("SELECT id FROM app.customers WHERE id = 1").out).toBe("1");
    expect(own.as('SELECT id FROM weir_masks."app.customers" WHERE id = 1').out).toBe("1");
    expect(own.as('SELECT email FROM weir_masks."app.customers" WHERE id = 1').error).toBe(DENIED);
    expect(own.as('SELECT "email (hash)" FROM weir_masks."app.customers" WHERE id = 1').error).toBe(DENIED);
    expect(own.as("DELETE FROM app.events").error).toBe(DENIED);
    expect(await own.failing()).toEqual([]);
  });
});

test("an administrator need not be a superuser, if what is named is theirs", async () => {
  // Whoever makes the roles is the one who may prepare again, so they must not be there already.
  const estate = await startPostgres({ sql: "CREATE DATABASE corpus" });
  try {
    const { database, settings } = yard.options;
    estate.psql(corpusSchema(), "corpus");
    estate.psql(`CREATE ROLE landlord LOGIN CREATEROLE; GRANT app_owner TO landlord;
      CREATE DATABASE ${database} TEMPLATE corpus OWNER landlord`);
    const own = new GuardedYard(estate, yard.options);
    own.sql(`ALTER SCHEMA public OWNER TO landlord; REVOKE USAGE ON SCHEMA ext FROM PUBLIC;
      DROP EXTENSION pg_stat_statements`);
    const before = own.dump();
    for (const _ of ["the first time", "again"]) {
      expect(own.as(await own.script(), "landlord").error).not.toContain("ERROR");
      expect(await own.failing()).toEqual([]);
      expect(own.sql("SELECT pg_has_role('landlord', 'weir_masks', 'USAGE')")).toBe("f");
      expect(own.as("SELECT email FROM app.customers", settings.user).error).toBe(DENIED);
    }
    expect(own.as(own.removeScript(), "landlord").error).not.toContain("ERROR");
    expect(own.dump()).toBe(before);
  } finally {
    await estate.stop();
  }
});

test("a view that reads with its reader's rights is closed where it shows something masked, and open elsewhere", async () => {
  const own = another();
  own.sql(`CREATE VIEW app.mine WITH (security_invoker) AS SELECT id, email FROM app.customers;
    CREATE VIEW app.plain WITH (security_invoker) AS SELECT id, full_name FROM app.customers;
    GRANT SELECT ON app.mine, app.plain TO gw_agent`);
  await own.prepare();
  expect(await own.failing()).toEqual([]);
  expect((await own.check()).map(({ about }) => about)).toContain("closed app.mine");
  expect(own.as("SELECT id FROM app.mine").error).toBe(DENIED);
  expect(own.as("SELECT full_name FROM app.plain WHERE id = 1").out).toBe("Person 0001");
});

test("default privileges give nobody a right to what the script makes", async () => {
  const own = another();
  own.sql(
    `ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO gw_agent, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO gw_agent`,
  );
  await own.prepare();
  expect(await own.failing()).toEqual([]);
  expect(own.as("SELECT * FROM weir_masks.hash_key", "gw_agent").error).toBe(DENIED);
  expect(
    own.sql(
      "SELECT has_any_column_privilege('gw_agent', c.oid, 'SELECT') FROM pg_class c WHERE relname = 'app.customers'",
    ),
  ).toBe("f");
});

describe("removing", () => {
  test("leaves the database as it was", async () => {
    const own = another();
    const before = own.dump();
    await own.prepare();
    expect(own.dump()).not.toBe(before);
    own.remove();
    expect(own.dump()).toBe(before);
    own.remove();
    expect(own.dump()).toBe(before);
  });

  test("says what depends on a view, and changes nothing", async () => {
    const own = another();
    await own.prepare();
    own.sql('CREATE VIEW public.report AS SELECT id, email FROM weir_masks."app.customers"');
    const before = own.dump();
    expect(() => own.remove()).toThrow(
      'cannot drop view weir_masks."app.customers" because other objects depend on it',
    );
    expect(own.dump()).toBe(before);
  });

  test("says what else is in the schema", async () => {
    const own = another();
    await own.prepare();
    own.sql("CREATE TABLE weir_masks.notes (a int)");
    expect(() => own.remove()).toThrow("table weir_masks.notes is in the schema weir_masks and not weir's");
  });

  test("of one database leaves another's alone", async () => {
    const [one, two] = [another(), another()];
    const shared = two.but({ settings: one.options.settings });
    await one.prepare();
    await shared.prepare();
    one.remove();
    expect(await shared.failing()).toEqual([]);
    shared.remove();
    expect(one.sql(`SELECT count(*) FROM pg_roles WHERE rolname = '${one.options.settings.user}'`)).toBe("0");
  });
});

describe("the self-check", () => {
  test("says what is missing before anything is prepared", async () => {
    const own = another();
    expect(await own.failing()).toEqual(["login"]);
    expect(await own.whyNotServed()).toBe(`there is no role ${own.options.settings.user}`);
  });

  test("is content with what was prepared", async () => {
    expect((await yard.check()).filter(({ ok }) => !ok)).toEqual([]);
    expect(await yard.whyNotServed()).toBeNull();
  });

  type Tampering = readonly [name: string, sql: string, failing: readonly string[], isVital: boolean, undo?: string];
  const tamperings: readonly Tampering[] = [
    ["a masked column is granted", "GRANT SELECT (email) ON app.customers TO $login", ["columns app.customers"], true],
    ["a masked relation is granted", "GRANT SELECT ON app.contacts TO $login", ["columns app.contacts"], true],
    [
      "everybody may read a view",
      "GRANT SELECT ON app.customer_nested TO PUBLIC",
      ["columns app.customer_nested"],
      true,
    ],
    [
      "everybody may read a column",
      "GRANT SELECT (old_row) ON app.customer_audit TO PUBLIC",
      ["columns app.customer_audit"],
      true,
    ],
    [
      "a closed relation is granted",
      "GRANT SELECT ON ext.pg_stat_statements TO $login",
      ["closed ext.pg_stat_statements"],
      true,
    ],
    [
      "a view shows the raw column",
      `CREATE OR REPLACE VIEW weir_masks."app.customer_mv" AS SELECT id, contact_email, balance FROM app.customer_mv`,
      ["view app.customer_mv"],
      true,
    ],
    [
      "a view has another owner",
      'ALTER VIEW weir_masks."app.customers" OWNER TO postgres',
      ["view app.customers"],
      true,
    ],
    [
      "a view runs with its reader's rights",
      'ALTER VIEW weir_masks."app.events" SET (security_invoker = true)',
      ["view app.events"],
      true,
    ],
    [
      "a view has a rule",
      'CREATE RULE r AS ON DELETE TO weir_masks."app.events" DO INSTEAD NOTHING',
      ["view app.events"],
      true,
    ],
    ["a view lost its note", 'COMMENT ON VIEW weir_masks."app.events" IS NULL', ["view app.events"], true],
    ["a view may be written to", 'GRANT UPDATE ON weir_masks."app.customers" TO $login', ["view app.customers"], true],
    [
      "rows of a view may be deleted",
      'GRANT DELETE ON weir_masks."app.customers" TO $login',
      ["view app.customers"],
      true,
    ],
    [
      "a view's column may be written to",
      'GRANT UPDATE (full_name) ON weir_masks."app.customers" TO $login',
      ["view app.customers"],
      true,
    ],
    ["a view is gone", 'DROP VIEW weir_masks."app.customers (only)"', ["view app.customers"], false],
    ["a column is new", "ALTER TABLE app.contacts ADD COLUMN phone text", ["other rights", "view app.contacts"], false],
    [
      "a view of a masked column is new",
      "CREATE VIEW app.latest AS SELECT email FROM app.customers",
      ["view app.latest"],
      false,
    ],
    [
      "a view of a masked column is new, and everybody's",
      "CREATE VIEW app.leak AS SELECT email FROM app.customers; GRANT SELECT ON app.leak TO PUBLIC",
      ["columns app.leak", "view app.leak"],
      true,
    ],
    ["a membership is granted", "GRANT gw_agent TO $login", ["memberships"], true],
    ["the views' owner is granted", "GRANT weir_masks TO $login", ["memberships"], true],
    ["the login may make roles", "ALTER ROLE $login CREATEROLE", ["login"], true],
    ["the login inherits", "ALTER ROLE $login INHERIT", ["login"], true],
    ["the login bypasses row security", "ALTER ROLE $login BYPASSRLS", ["login"], true],
    ["the login may not log in", "ALTER ROLE $login NOLOGIN", ["login"], true],
    ["the views' owner may log in", "ALTER ROLE weir_masks LOGIN", ["owner"], true],
    [
      "a function reads with its owner's rights",
      "CREATE FUNCTION app.peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM app.customers LIMIT 1'",
      ["functions"],
      true,
    ],
    [
      "a function begins to read with its owner's rights",
      "ALTER FUNCTION app.get_email(int) SECURITY DEFINER",
      ["functions"],
      true,
    ],
    [
      "a safe function is gone",
      "ALTER FUNCTION app.add_tax(numeric) RENAME TO taxed",
      ["safe functions"],
      false,
      "ALTER FUNCTION app.taxed(numeric) RENAME TO add_tax",
    ],
    ["everybody may make temporary tables", "GRANT TEMPORARY ON DATABASE $database TO PUBLIC", ["creating"], true],
    ["everybody may make schemas", "GRANT CREATE ON DATABASE $database TO PUBLIC", ["creating"], true],
    ["everybody may make objects", "GRANT CREATE ON SCHEMA scratch TO PUBLIC", ["creating"], true],
    [
      "a foreign server may be used",
      "CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw; GRANT USAGE ON FOREIGN SERVER loop TO PUBLIC",
      ["foreign servers"],
      true,
    ],
    [
      "the login owns something",
      "CREATE TABLE app.own (a int); ALTER TABLE app.own OWNER TO $login",
      ["possessions"],
      true,
      "DROP TABLE app.own",
    ],
    [
      "the login searches elsewhere",
      "ALTER ROLE $login IN DATABASE $database SET search_path = scratch, app",
      ["settings"],
      true,
    ],
    [
      "the login has another setting",
      "ALTER ROLE $login SET row_security = off",
      ["settings"],
      true,
      "ALTER ROLE $login RESET row_security",
    ],
    ["the key may be read", "GRANT SELECT ON weir_masks.hash_key TO gw_agent", ["hash key"], true],
    ["a column of the key may be read", "GRANT SELECT (k) ON weir_masks.hash_key TO gw_agent", ["hash key"], true],
    ["the key may be read by the login", "GRANT SELECT (k) ON weir_masks.hash_key TO $login", ["hash key"], true],
    [
      "something else is in the schema",
      "CREATE TABLE weir_masks.x (a int)",
      ["other objects"],
      false,
      "DROP TABLE weir_masks.x",
    ],
    [
      "something else in the schema is granted",
      "CREATE VIEW weir_masks.x AS SELECT email FROM app.customers; GRANT SELECT ON weir_masks.x TO $login",
      ["other objects"],
      true,
    ],
    [
      "the schema has another owner",
      "ALTER SCHEMA weir_masks OWNER TO postgres",
      ["schema"],
      true,
      "ALTER SCHEMA weir_masks OWNER TO weir_masks",
    ],
    ["the schema may not be used", "REVOKE USAGE ON SCHEMA weir_masks FROM $login", ["schema"], true],
    ["a right is missing", "REVOKE UPDATE ON app.orders FROM $login", ["other rights"], false],
    ["a table is new", "CREATE TABLE app.new (a int); GRANT SELECT ON app.new TO gw_agent", ["other rights"], false],
    [
      "rows are now for some only",
      "ALTER TABLE app.customer_audit ENABLE ROW LEVEL SECURITY",
      ["closed app.customer_audit", "other objects"],
      true,
    ],
  ];

  describe("when", () => {
    let own: GuardedYard;
    beforeAll(async () => {
      own = another();
      await own.prepare();
    });

    for (const [name, sql, failing, isVital, undo] of tamperings) {
      test(`${name}: says so, and nothing else; preparing again mends it`, async () => {
        const fill = (text: string): string =>
          text.replaceAll("$login", own.options.settings.user).replaceAll("$database", own.options.database);
        own.sql(fill(sql));
        const bad = (await own.check()).filter(({ ok }) => !ok);
        expect(bad.map(({ about }) => about).toSorted()).toEqual([...failing]);
        expect(bad.some((line) => line.isVital)).toBe(isVital);
        if (undo !== undefined) own.sql(fill(undo));
        await own.prepare();
        expect(await own.failing()).toEqual([]);
      });
    }
  });

  test("a superuser fails, whatever else is right", async () => {
    const own = another();
    await own.prepare();
    own.sql(`ALTER ROLE ${own.options.settings.user} SUPERUSER`);
    expect(await own.failing()).toContain("login");
    expect(await own.whyNotServed()).toContain("has special attributes: SUPERUSER");
    await own.prepare();
    expect(await own.failing()).toEqual([]);
  });

  test("a column that policy masks now is not served before it is prepared", async () => {
    const own = another();
    await own.prepare();
    const stricter = own.but({ transforms: { ...own.options.transforms, "app.customers.full_name": [REDACT] } });
    expect(await stricter.failing()).toContain("columns app.customers");
    expect(await stricter.whyNotServed()).toContain("can read full_name");
  });
});

test("names may be hostile", async () => {
  const database = `da"ta '$weir$ %I\\`;
  const user = `g"o'v\nSELECT 1 / 0; $weir$ %s\\`;
  const ordinary = `o"r'd\nSELECT 1 / 0; %L`;
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const long = `${"ü".repeat(30)}xyz`;
  const odd = `a"b'c\n\\COMMIT; -- $weir$ %`;
  server.psql(
    `CREATE DATABASE ${quoted(database)}; CREATE ROLE ${quoted(ordinary)} LOGIN; CREATE ROLE "we""ird by'stander %"`,
  );
  const own = new GuardedYard(server, {
    database,
    ordinary,
    transforms: { [`${quoted(odd)}.${quoted(odd)}.${quoted(odd)}`]: [HASH], [`s.${long}.${long}`]: [HASH, LAST_FOUR] },
    settings: {
      user,
      searchPath: [odd, "s"],
      safeFunctions: [`${quoted(odd)}.${quoted(odd)}(${quoted(odd)}.${quoted("t" + odd)})`],
    },
  });
  own.sql(`
    CREATE SCHEMA ${quoted(odd)}; CREATE SCHEMA s; CREATE DOMAIN ${quoted(odd)}.${quoted("t" + odd)} AS text;
    CREATE TABLE ${quoted(odd)}.${quoted(odd)} (id int, ${quoted(odd)} text, ${quoted(`${odd} (hash)`)} int);
    CREATE TABLE s.${quoted(long)} (id int, ${quoted(long)} text); CREATE TABLE s.child () INHERITS (s.${quoted(long)});
    CREATE FUNCTION ${quoted(odd)}.${quoted(odd)}(${quoted(odd)}.${quoted("t" + odd)}) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    CREATE FUNCTION ${quoted(odd)}.${quoted("f" + odd)}(${quoted(odd)} ${quoted(odd)}.${quoted("t" + odd)}) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    INSERT INTO ${quoted(odd)}.${quoted(odd)} VALUES (1, 'secret', 2); INSERT INTO s.${quoted(long)} VALUES (1, 'secret');
    GRANT USAGE ON SCHEMA ${quoted(odd)}, s TO ${quoted(ordinary)};
    GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA ${quoted(odd)}, s TO ${quoted(ordinary)};
    GRANT CREATE ON SCHEMA s TO PUBLIC;`);
  const before = own.dump();
  await own.prepare();
  expect(await own.failing()).toEqual([]);
  for (const [relation, column] of [
    [`${quoted(odd)}.${quoted(odd)}`, odd],
    [`s.${quoted(long)}`, long],
  ] as const) {
    expect(own.as(`SELECT id FROM ${relation}`)).toEqual({ out: "1", error: "" });
    expect(own.as(`SELECT ${quoted(column)} FROM ${relation}`).error).toContain("42501");
  }
  const expected = await own.expected();
  const views = expected.relations.flatMap((relation) => relation.views);
  expect(views.length).toBe(4);
  for (const { name, columns } of views) {
    const list = columns.map((column) => `${quoted(column.name)}::text`).join(" || ' ' || ");
    const { out, error } = own.as(`SELECT ${list} FROM weir_masks.${quoted(name)}`);
    expect([error, out.includes("secret")]).toEqual(["", false]);
  }
  expect(own.as(`SELECT ${quoted(odd)}.${quoted("f" + odd)}('a')`).error).toContain("42501");
  expect(own.as(`SELECT ${quoted(odd)}.${quoted(odd)}('a')`)).toEqual({ out: "1", error: "" });
  own.remove();
  expect(own.dump()).toBe(before);
});
