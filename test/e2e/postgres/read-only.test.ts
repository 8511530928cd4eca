/** A session or an operation that policy lets only read changes nothing at the server, whatever it is sent. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { serverMajor } from "../../servers/postgres.ts";
import { run, runNamed } from "./messages.ts";
import { type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { errorIn, rows, sqlStates, transcript } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

/** From 16 on the server lets no function be made that sets it. */
const SETS_OFF = serverMajor() < 16 ? "SET transaction_read_only = off" : "";
const SCHEMA = `
  CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL);
  INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 3) i;
  CREATE TABLE log (id int);
  CREATE TABLE other (id int);
  CREATE SEQUENCE counter;
  BEGIN; INSERT INTO log VALUES (7); PREPARE TRANSACTION 'waiting';
  CREATE MATERIALIZED VIEW seen AS SELECT id FROM item;
  CREATE ROLE other_role;
  SELECT lo_create(4711);
  CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN 1; END $$;
  CREATE FUNCTION hides() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM writes(); RETURN 1; END $$;
  CREATE FUNCTION turns_off() RETURNS text LANGUAGE sql AS $$ SELECT set_config('default_transaction_read_only', 'off', false) $$;
  CREATE FUNCTION turns_this_off() RETURNS text LANGUAGE sql AS $$ SELECT set_config('transaction_read_only', 'off', false) $$;
  CREATE FUNCTION sets_off() RETURNS int LANGUAGE plpgsql ${SETS_OFF} AS $$ BEGIN INSERT INTO log VALUES (1); RETURN 1; END $$;
  CREATE VIEW quiet AS SELECT set_config('default_transaction_read_only', 'off', false);
  CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('default_transaction_read_only', 'off', false); COMMIT; INSERT INTO log VALUES (1); END $$;`;

/** All that a write could have changed, in one line. */
const STATE = `SELECT md5(string_agg(part, '|')) FROM (VALUES
  ((SELECT string_agg(i::text, ',' ORDER BY id) FROM item i)),
  ((SELECT count(*)::text FROM log)),
  ((SELECT last_value || ':' || is_called FROM counter)),
  ((SELECT count(*)::text FROM seen)),
  ((SELECT count(*) || ':' || count(reltuples > 0 OR NULL) || ':' || sum(relfilenode::int8) || ':' || COALESCE(string_agg(relacl::text, ','), '') FROM pg_class WHERE oid >= 16384)),
  ((SELECT count(*)::text FROM pg_proc)), ((SELECT count(*)::text FROM pg_roles)),
  ((SELECT string_agg(md5(lo_get(oid)), ',' ORDER BY oid) FROM pg_largeobject_metadata)),
  ((SELECT count(*)::text FROM pg_prepared_xacts)), ((SELECT count(*)::text FROM pg_collation)),
  ((SELECT count(*)::text FROM pg_db_role_setting)), ((SELECT count(*)::text FROM pg_description)),
  ((SELECT string_agg(rolname || COALESCE(rolvaliduntil::text, ''), ',' ORDER BY rolname) FROM pg_roles)),
  ((SELECT pg_read_file('postgresql.auto.conf')))) AS t (part)`;

const POLICY = policyFiles(
  `  - id: reader-reads
    subject: { names: [reader] }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
    obligations: { session: { readOnly: true } }
  - id: half-anything
    subject: { names: [half] }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`,
  `  - id: item-is-read-only
    subject: { names: [half] }
    action:
      - { postgres: { relations: [public.item] } }
      - { postgres: { functions: ["**"] } }
    oblige: { session: { readOnly: true } }`,
);

let policed: Policed;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY, { settings: { max_prepared_transactions: 4 } });
  policed.server.psql("ANALYZE");
});

afterAll(async () => policed.stop());

const state = (): string => policed.server.psql(STATE);

/** Sends each step on one connection, whatever the answers are; a refused login is no step. */
async function attack(subject: string, steps: readonly (readonly Uint8Array[])[]): Promise<string[]> {
  const client = await policed.connect(subject);
  const seen: string[] = [];
  try {
    for (const step of steps) seen.push(...transcript(await client.ask(...step)));
  } finally {
    client.abandon();
  }
  return seen;
}

const simple = (...texts: string[]): Uint8Array[][] => texts.map((sql) => [encodeQuery(sql)]);
const extended = (...texts: string[]): Uint8Array[][] => texts.map((sql) => [run(sql), encodeSync()]);
const pipelined = (...texts: string[]): Uint8Array[][] => [[...texts.map((sql) => run(sql)), encodeSync()]];

/** One statement each. */
const WRITES = [
  "INSERT INTO item VALUES (9, 'nine')",
  "UPDATE item SET name = 'x'",
  "DELETE FROM item",
  "TRUNCATE item",
  "MERGE INTO log l USING item i ON i.id = l.id WHEN NOT MATCHED THEN INSERT VALUES (8)",
  "WITH w AS (DELETE FROM item RETURNING id) SELECT * FROM w",
  "SELECT id INTO fresh FROM item",
  "CREATE TABLE fresh AS SELECT id FROM item",
  "CREATE TABLE fresh (id int)",
  "CREATE TEMP TABLE fresh (id int)",
  "ALTER TABLE item ADD COLUMN more int",
  "DROP TABLE other",
  "CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "CREATE ROLE fresh",
  "ALTER ROLE other_role VALID UNTIL '2030-01-01'",
  "ALTER ROLE other_role SET default_transaction_read_only = off",
  "ALTER DATABASE postgres SET default_transaction_read_only = off",
  "ALTER SYSTEM SET default_transaction_read_only = off",
  "GRANT ALL ON item TO other_role",
  "COMMENT ON TABLE item IS 'x'",
  "REFRESH MATERIALIZED VIEW seen",
  "SELECT * FROM item FOR UPDATE",
  "SELECT nextval('counter')",
  "SELECT setval('counter', 7)",
  "SELECT writes()",
  "SELECT hides()",
  "SELECT sets_off()",
  "SELECT turns_this_off(), writes()",
  "EXPLAIN ANALYZE DELETE FROM item",
  "SELECT lo_create(815)",
  "SELECT lo_put(4711, 0, 'x')",
  "SELECT lo_unlink(4711)",
  "SELECT lo_from_bytea(0, 'x')",
  "SELECT lowrite(lo_open(4711, 131072), 'x')",
  "SELECT lo_import('/etc/hostname')",
  "SELECT lo_export(4711, 'exported')",
  "SELECT pg_import_system_collations('public')",
  "UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'",
  "VACUUM FULL item",
  "CLUSTER item USING item_pkey",
  "REINDEX TABLE item",
  "COPY item TO PROGRAM 'touch written'",
  "COPY item TO '/tmp/weir-read-only-test'",
  "COPY log FROM PROGRAM 'echo 1'",
  "CALL commits()",
  "DO $$ BEGIN SET default_transaction_read_only = off; COMMIT; INSERT INTO log VALUES (1); END $$",
  "PREPARE TRANSACTION 'x'",
  "COMMIT PREPARED 'waiting'",
  "ROLLBACK PREPARED 'waiting'",
];

/** Of those: what no transaction can undo, or what shows elsewhere. */
const OUTSIDE = new Set(
  WRITES.filter((sql) =>
    /^(ALTER SYSTEM|COPY item|CALL|DO|PREPARE|COMMIT|ROLLBACK|VACUUM|UPDATE pg_settings|SELECT lo_export|SELECT \* FROM item FOR)/u.test(
      sql,
    ),
  ),
);

/** What could lead from a session that only reads to one that writes. */
const WAYS_OUT: readonly (readonly string[])[] = [
  ["SET default_transaction_read_only = off"],
  ["SET SESSION default_transaction_read_only TO 'of'"],
  ['SET "Default_Transaction_Read_Only" = no'],
  ["SET default_transaction_read_only TO DEFAULT"],
  ["SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"],
  ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE"],
  ["RESET default_transaction_read_only"],
  ["RESET ALL"],
  ["DISCARD ALL"],
  ["SELECT set_config('default_transaction_read_only', 'off', false)"],
  ["SELECT turns_off()"],
  ["SELECT * FROM quiet"],
  ["UPDATE pg_settings SET setting = 'off' WHERE name = 'default_transaction_read_only'"],
  ["CALL commits()"],
  ["DO $$ BEGIN PERFORM turns_off(); END $$"],
  ["BEGIN READ WRITE"],
  ["START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE"],
  ["BEGIN", "SET TRANSACTION READ WRITE"],
  ["BEGIN", "SET LOCAL transaction_read_only = off"],
  ["BEGIN", "SET transaction_read_only TO DEFAULT"],
  ["BEGIN", "RESET transaction_read_only"],
  ["BEGIN", "SELECT turns_off()", "COMMIT", "BEGIN"],
  ["BEGIN", "SELECT turns_off()", "COMMIT AND CHAIN"],
  ["BEGIN", "SELECT turns_off()", "SAVEPOINT s", "ROLLBACK TO s", "COMMIT"],
  ["BEGIN", "SAVEPOINT s", "SELECT * FROM quiet", "RELEASE s", "COMMIT"],
  ["SELECT turns_off()", "DISCARD ALL"],
  ["SET ROLE other_role", "SELECT * FROM quiet"],
];

test("what is looked at shows each of these writes", async () => {
  const client = await policed.connectDirectly();
  const before = state();
  for (const sql of WRITES) {
    if (OUTSIDE.has(sql)) continue;
    await client.ask(encodeQuery("BEGIN"));
    const done = await client.ask(encodeQuery(sql));
    expect({ sql, errors: sqlStates(done) }).toEqual({ sql, errors: [] });
    expect({ sql, state: (await rowsOf(client, STATE))[0]?.[0] }).not.toEqual({ sql, state: before });
    await client.ask(encodeQuery("ROLLBACK"));
  }
  client.abandon();
  policed.server.psql("SELECT setval('counter', 1, false)");
});

describe("a session that only reads", () => {
  test.each(WRITES)("changes nothing by %s", async (sql) => {
    const before = state();
    const seen = [await attack("reader", simple(sql)), await attack("reader", extended(sql))];
    expect(state()).toBe(before);
    for (const lines of seen) expect(lines.filter((line) => line.startsWith("E "))).not.toEqual([]);
  });

  test("changes nothing in files of the server", () => {
    expect(existsSync(join(policed.server.dataDir, "written"))).toBe(false);
    expect(existsSync(join(policed.server.dataDir, "exported"))).toBe(false);
    expect(existsSync("/tmp/weir-read-only-test")).toBe(false);
  });

  test.each(WAYS_OUT.map((way) => [way.join("; "), way] as const))(
    "does not find its way out by %s",
    async (_, way) => {
      const before = state();
      const insert = "INSERT INTO log VALUES (1)";
      const steps = [...way, insert, "COMMIT"];
      for (const each of [
        simple(...steps),
        extended(...steps),
        pipelined(...steps),
        simple(steps.join("; ")),
        simple(way.join("; "), `${insert}; COMMIT`),
        [[encodeQuery(way.join("; ")), run(insert), encodeSync()], ...simple(insert)],
        [[encodeParse("kept", insert), encodeSync()], ...simple(...way), [runNamed("kept"), encodeSync()]],
        pipelined(...way, "COMMIT", insert, "BEGIN", insert, "COMMIT"),
      ]) {
        await attack("reader", each).catch((error: unknown) => expect(String(error)).toContain("closed"));
        expect(state()).toBe(before);
      }
    },
  );

  test("changes nothing by COPY FROM STDIN or by calling functions by number", async () => {
    const before = state();
    const client = await policed.connect("reader");
    const copy = await client.ask(encodeQuery("COPY log FROM STDIN"));
    expect(sqlStates(copy)).toEqual(["25006"]);
    client.send(encodeCopyData(Buffer.from("1\n")), encodeCopyDone());
    for (const name of ["writes", "turns_off"]) {
      const oid = Number(policed.server.psql(`SELECT '${name}()'::regprocedure::oid`));
      const call = { functionOid: oid, argumentFormats: [], arguments: [], resultFormat: 0 } as const;
      await client.ask(encodeFunctionCall(call));
    }
    await client.ask(encodeQuery("INSERT INTO log VALUES (1)"));
    client.abandon();
    expect(state()).toBe(before);
  });

  test.each([
    { options: "-c default_transaction_read_only=off" },
    { default_transaction_read_only: "off" },
    { DEFAULT_TRANSACTION_READ_ONLY: "off", options: "--default_transaction_read_only=off" },
    { transaction_read_only: "off" },
  ])("cannot be opened otherwise by %o", async (parameters) => {
    const before = state();
    const named = Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
    const client = await policed.connect("reader", { parameters: named });
    expect(sqlStates(await client.ask(encodeQuery("INSERT INTO log VALUES (1)")))).toEqual(["25006"]);
    client.abandon();
    expect(state()).toBe(before);
  });

  test("says why it refuses, and which rule", async () => {
    const client = await policed.connect("reader");
    const error = errorIn(await client.ask(encodeQuery("BEGIN READ WRITE"))) ?? new Map<string, string>();
    expect(error.get("C")).toBe("42501");
    expect(error.get("M")).toContain("it would let the session write");
    expect(error.get("D")).toContain("reader-reads");
    client.abandon();
  });

  test("reads, and does what changes nothing", async () => {
    const client = await policed.connect("reader");
    expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["3"]]);
    expect(await rowsOf(client, "SHOW transaction_read_only")).toEqual([["on"]]);
    for (const sql of [
      "BEGIN READ ONLY",
      "SELECT id FROM item",
      "COMMIT",
      "BEGIN; SELECT 1; SAVEPOINT s",
      "ROLLBACK TO s",
      "ROLLBACK",
      "SET default_transaction_read_only = on",
      "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)",
      "NOTIFY news, 'hello'",
      "LISTEN news",
      "COPY item TO STDOUT",
      "SELECT turns_off()",
      "SELECT lo_get(4711)",
      "EXPLAIN ANALYZE SELECT * FROM item",
    ]) {
      expect({ sql, errors: sqlStates(await client.ask(encodeQuery(sql))) }).toEqual({ sql, errors: [] });
    }
    expect(rows(await client.ask(run("SELECT id FROM item WHERE id = $1", "2"), encodeSync()))).toEqual([["2"]]);
    client.abandon();
  });
});

describe("an operation that only reads", () => {
  const fails = async (client: WireClient, ...parts: Uint8Array[]): Promise<string[]> =>
    sqlStates(await client.ask(...parts));

  test("is kept to it by the server, and the session's others are not", async () => {
    const client = await policed.connect("half");
    const before = state();
    expect(await fails(client, encodeQuery("UPDATE item SET name = 'x'"))).toEqual(["25006"]);
    expect(await fails(client, run("UPDATE item SET name = 'x'"), encodeSync())).toEqual(["25006"]);
    expect(await fails(client, encodeQuery("SELECT writes()"))).toEqual(["25006"]);
    expect(await fails(client, encodeQuery("SELECT hides()"))).toEqual(["25006"]);
    expect(await fails(client, encodeParse("p", "SELECT hides() FROM item"), runNamed("p"), encodeSync())).toEqual([
      "25006",
    ]);
    expect(await fails(client, encodeQuery("SELECT id FROM item; COMMIT; INSERT INTO item VALUES (9, 'x')"))).toEqual([
      "42501",
    ]);
    expect(await fails(client, encodeQuery("BEGIN READ WRITE; SELECT id FROM item"))).toEqual(["42501"]);
    expect(await fails(client, encodeQuery("CALL commits()"))).toEqual(["42501"]);
    expect(state()).toBe(before);
    expect(await fails(client, encodeQuery("INSERT INTO log VALUES (1); DELETE FROM log"))).toEqual([]);
    expect(await rowsOf(client, "SELECT id FROM item WHERE id = 1")).toEqual([["1"]]);
    expect(await rowsOf(client, "SHOW transaction_read_only")).toEqual([["off"]]);
    client.abandon();
  });

  test("makes its transaction read only, in a block and in a pipeline", async () => {
    const client = await policed.connect("half");
    const before = state();
    expect(await fails(client, encodeQuery("BEGIN"))).toEqual([]);
    expect(await fails(client, encodeQuery("INSERT INTO log VALUES (1)"))).toEqual([]);
    expect(await fails(client, encodeQuery("SELECT id FROM item"))).toEqual([]);
    expect(await fails(client, encodeQuery("INSERT INTO log VALUES (2)"))).toEqual(["25006"]);
    expect(await fails(client, encodeQuery("SELECT id FROM item"))).toEqual(["25P02"]);
    expect(await fails(client, encodeQuery("ROLLBACK"))).toEqual([]);
    const insert = run("INSERT INTO log VALUES (3)");
    expect(await fails(client, insert, run("SELECT id FROM item"), insert, encodeSync())).toEqual(["25006"]);
    expect(await fails(client, run("SELECT id FROM item"), encodeSync(), insert, encodeSync())).toEqual([]);
    await client.ready();
    expect(policed.server.psql("DELETE FROM log RETURNING id")).toContain("3");
    expect(state()).toBe(before);
    client.abandon();
  });

  test("looks to the client as it does without", async () => {
    const steps = (client: WireClient) => async (): Promise<string[]> => {
      const seen: string[] = [];
      for (const parts of [
        [encodeQuery("SELECT id FROM item ORDER BY id")],
        [encodeQuery("SELECT id FROM item; SELECT 1 / 0")],
        [run("SELECT id FROM item WHERE id = $1", "2"), encodeSync()],
        [encodeParse("s", "SELECT name FROM item"), encodeSync()],
        [runNamed("s"), runNamed("s"), encodeSync()],
        [encodeQuery("BEGIN")],
        [encodeQuery("SELECT nothing FROM item")],
        [encodeQuery("SELECT id FROM item")],
        [run("SELECT id FROM item"), encodeSync()],
        [encodeQuery("ROLLBACK")],
        [encodeQuery("COPY item TO STDOUT")],
      ]) {
        seen.push(...transcript(await client.ask(...parts)));
      }
      client.abandon();
      return seen;
    };
    const [direct, through] = [await policed.connectDirectly(), await policed.connect("half")];
    expect(await steps(through)()).toEqual(await steps(direct)());
  });
});
