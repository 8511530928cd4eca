/** The functions that compare masked columns in a guarded database: what they show to whom, and what the self-check sees of them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { corpusSchema } from "../../../test/corpus/masking.ts";
import { GuardedYard, type GuardedOptions } from "../../../test/servers/guarded.ts";
import { startPostgres, type PostgresServer } from "../../../test/servers/postgres.ts";
import type { MaskTransform } from "../../../src/core/obligation.ts";

setDefaultTimeout(240_000);

const REDACT: MaskTransform = { with: "redact" };
const DENIED = "ERROR:  42501";
const EMAIL = 'weir_masks."app.customers.email ="';
const KNOWN = "canary-0001@secret.example";

let server: PostgresServer;
let yard: GuardedYard;
let count = 0;

function another(options: Partial<GuardedOptions> = {}): GuardedYard {
  const database = `corpus${count++}`;
  server.psql(`CREATE DATABASE ${database} TEMPLATE corpus`);
  return new GuardedYard(server, {
    database,
    ordinary: "gw_agent",
    transforms: {
      "app.customers.email": [REDACT],
      "app.customers.ssn": [REDACT],
      "app.customers_vip.email": [REDACT],
      "app.contacts.alt_email": [REDACT],
    },
    compared: ["app.customers.email", "app.customers_vip.email", "app.contacts.alt_email"],
    settings: { user: `governed${count}`, searchPath: ["app", "public"] },
    ...options,
  });
}

beforeAll(async () => {
  server = await startPostgres({ sql: "CREATE DATABASE corpus" });
  server.psql(corpusSchema(), "corpus");
  server.psql("CREATE ROLE bystander LOGIN");
  server.psql(
    "INSERT INTO app.customers_vip SELECT 190, full_name, 'vip@secret.example', ssn, card_number FROM app.customers WHERE id = 1",
    "corpus",
  );
  yard = another();
  await yard.prepare();
});
afterAll(async () => server.stop());

test("show the governed login the rows that have a value, masked, with children and without; others may not run them", () => {
  const row = `SELECT id, email, ssn, full_name FROM ${EMAIL}`;
  expect(yard.as(`${row}('${KNOWN}')`)).toEqual({ out: "1|***|***|Person 0001", error: "" });
  expect(yard.as(`${row}('nobody')`)).toEqual({ out: "", error: "" });
  expect(yard.as(`${row}(NULL)`)).toEqual({ out: "", error: "" });
  expect(yard.as(`SELECT id FROM ${EMAIL}('vip@secret.example')`).out).toBe("190");
  expect(yard.as(`SELECT id FROM weir_masks."app.customers.email = (only)"('vip@secret.example')`).out).toBe("");
  for (const user of ["bystander", "gw_agent"]) expect(yard.as(`${row}('x')`, user).error).toBe(DENIED);
  // A domain's own checks might run: there is none for it.
  expect(yard.sql("SELECT count(*) FROM pg_proc WHERE proname LIKE 'app.contacts%'")).toBe("0");
});

test("follow no search_path of the caller", () => {
  const steps = "SET search_path = scratch, app; SET ROLE none";
  expect(yard.as(`${steps}; SELECT id FROM ${EMAIL}('${KNOWN}')`).out).toBe("1");
});

describe("the self-check", () => {
  test("passes what was prepared, and preparing again changes nothing", async () => {
    const own = another();
    await own.prepare();
    expect(await own.failing()).toEqual([]);
    const before = own.dump();
    await own.prepare();
    expect(own.dump()).toBe(before);
    expect(await own.failing()).toEqual([]);
  });

  const body = "LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp";
  const tamperings: readonly [name: string, sql: string, isVital: boolean, about?: string][] = [
    [
      "the function shows other rows",
      `CREATE OR REPLACE FUNCTION ${EMAIL}(text) RETURNS SETOF weir_masks."app.customers" ${body} BEGIN ATOMIC SELECT * FROM weir_masks."app.customers"; END`,
      true,
    ],
    ["it has another path", `ALTER FUNCTION ${EMAIL}(text) SET search_path = scratch`, true],
    ["it has no path", `ALTER FUNCTION ${EMAIL}(text) RESET ALL`, true],
    ["it has the caller's rights", `ALTER FUNCTION ${EMAIL}(text) SECURITY INVOKER`, true],
    ["it may leak from the planner", `ALTER FUNCTION ${EMAIL}(text) LEAKPROOF`, true],
    ["everybody may run it", `GRANT EXECUTE ON FUNCTION ${EMAIL}(text) TO PUBLIC`, true],
    ["somebody else may run it", `GRANT EXECUTE ON FUNCTION ${EMAIL}(text) TO bystander`, true],
    ["its seal is gone", `COMMENT ON FUNCTION ${EMAIL}(text) IS NULL`, true],
    ["it is gone", `DROP FUNCTION ${EMAIL}(text)`, false],
    ["the login may not run it", `REVOKE EXECUTE ON FUNCTION ${EMAIL}(text) FROM $login`, false],
  ];
  let own: GuardedYard;
  beforeAll(async () => {
    own = another();
    await own.prepare();
  });
  test.each(tamperings)("%s: says so, and nothing else; preparing again mends it", async (_name, sql, isVital) => {
    own.sql(sql.replaceAll("$login", own.options.settings.user));
    const bad = (await own.check()).filter(({ ok }) => !ok);
    expect(bad.map(({ about }) => about)).toEqual(["comparisons app.customers"]);
    expect(bad[0]?.isVital).toBe(isVital);
    await own.prepare();
    expect(await own.failing()).toEqual([]);
  });

  test("sees a function of another owner, one beside it, and one that nobody has prepared", async () => {
    own.sql(`ALTER FUNCTION ${EMAIL}(text) OWNER TO postgres`);
    expect(await own.failing()).toEqual(["comparisons app.customers", "functions"]);
    own.sql(`DROP FUNCTION ${EMAIL}(text)`);
    await own.prepare();
    own.sql(`CREATE FUNCTION ${EMAIL}(int) RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    expect(await own.failing()).toEqual(["comparisons app.customers"]);
    own.sql(`DROP FUNCTION ${EMAIL}(int)`);
    own.sql(`CREATE FUNCTION weir_masks.mine() RETURNS text LANGUAGE sql AS 'SELECT email FROM app.customers'`);
    const bad = (await own.check()).filter(({ ok }) => !ok);
    expect(bad.map(({ about, isVital }) => [about, isVital])).toEqual([["other comparisons", true]]);
    own.sql("DROP FUNCTION weir_masks.mine()");
    expect(await own.failing()).toEqual([]);
  });

  test("a policy that takes it back closes nothing, and the next preparation drops it", async () => {
    const stricter = own.but({ compared: [] });
    const bad = (await stricter.check()).filter(({ ok }) => !ok);
    expect(bad.map(({ about, isVital }) => [about, isVital])).toEqual([["other comparisons", false]]);
    await stricter.prepare();
    expect(await stricter.failing()).toEqual([]);
    expect(own.sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'weir_masks'::regnamespace")).toBe("0");
    expect(await own.failing()).toEqual(["comparisons app.customers", "comparisons app.customers_vip"]);
    expect(await own.whyNotServed()).toBeNull();
    await own.prepare();
  });

  test("there is none where the target's own login may not read all columns, and one that is there is vital", async () => {
    const partly = another();
    await partly.prepare();
    partly.sql("REVOKE SELECT ON app.customers FROM gw_agent; GRANT SELECT (id, email) ON app.customers TO gw_agent");
    const bad = (await partly.check()).filter(({ ok, isVital }) => !ok && isVital);
    expect(bad.map(({ about }) => about)).toEqual(["comparisons app.customers"]);
    await partly.prepare();
    expect(await partly.failing()).toEqual([]);
    expect(partly.as(`SELECT id FROM ${EMAIL}('${KNOWN}')`).error).toContain("42883");
  });
});

test("removing leaves nothing, and names may be hostile", async () => {
  const odd = `a"b'c\n\\COMMIT; -- $weir$ % $1`;
  const quoted = `"${odd.replaceAll('"', '""')}"`;
  const own = another({
    transforms: { [`${quoted}.${quoted}.${quoted}`]: [REDACT] },
    compared: [`${quoted}.${quoted}.${quoted}`],
  });
  own.sql(`CREATE SCHEMA ${quoted}; CREATE TABLE ${quoted}.${quoted} (id int, ${quoted} varchar(10));
    INSERT INTO ${quoted}.${quoted} VALUES (1, 'secret'), (2, 'other');
    GRANT USAGE ON SCHEMA ${quoted} TO gw_agent; GRANT SELECT ON ${quoted}.${quoted} TO gw_agent`);
  const before = own.dump();
  await own.prepare();
  expect(await own.failing()).toEqual([]);
  const [comparison] = (await own.expected()).relations.flatMap((relation) => relation.comparisons);
  const name = `weir_masks."${comparison?.name.replaceAll('"', '""') ?? ""}"`;
  expect(own.as(`SELECT id, ${quoted} FROM ${name}('secret')`)).toEqual({ out: "1|***", error: "" });
  own.remove();
  expect(own.dump()).toBe(before);
});
