/** What policy does not permit is refused in PostgreSQL's own words, and the session and its transaction go on as after any error. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeFunctionCall,
  encodeQuery,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { errorIn, rows, transcript, types } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SCHEMA = `
  CREATE TABLE item (id int PRIMARY KEY, name text);
  INSERT INTO item VALUES (1, 'one'), (2, 'two');
  CREATE TABLE closed (id int);
  CREATE TABLE unlisted (id int);
  CREATE FUNCTION unsafe() RETURNS int LANGUAGE sql AS 'SELECT 42';
  CREATE ROLE other_role;`;

const POLICY = policyFiles(
  `  - id: item-all
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select, insert, update, delete, explain, copy to, copy from], relations: [public.item] } }
  - id: opal-anything
    subject: { names: [opal] }
    target: { any: true }
    action: { any: true }
    allowOpaque: true`,
  `  - id: closed-is-closed
    subject: { names: [ann] }
    action: { postgres: { relations: [public.closed] } }
    deny: closed is closed
    contact: the key keeper`,
);

let policed: Policed;
let client: WireClient;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
  client = await policed.connect();
});

afterAll(async () => {
  await client.terminate();
  await policed.stop();
});

test("a guard's refusal has code, sentence, rule, hint and the id of its record", async () => {
  const messages = await client.ask(encodeQuery("SELECT id FROM closed"));
  expect(types(messages)).toBe("EZ");
  const error = expectRefusal(messages, "closed-is-closed");
  expect(error.get("M")).toStartWith("closed is closed");
  expect(error.get("H")).toContain("the key keeper");
  const id = /\(id (\S+)\)$/u.exec(error.get("M") ?? "")?.[1] ?? "";
  for (;;) {
    const { stdout } = await policed.gateway.weir("audit", "tail", "--json");
    if (stdout.includes(`"${id}"`)) break;
  }
  expect(await rowsOf(client, "SELECT id FROM item ORDER BY id")).toEqual([["1"], ["2"]]);
});

test.each([
  ["SELECT id FROM unlisted", "what no rule names"],
  ["SELECT i.id FROM item i JOIN unlisted u USING (id)", "a join with it"],
  ["SELECT (SELECT count(*) FROM unlisted)", "a subquery"],
  ["WITH w AS (DELETE FROM unlisted RETURNING id) SELECT * FROM w", "a data-modifying CTE"],
  ["EXPLAIN ANALYZE DELETE FROM unlisted", "EXPLAIN ANALYZE"],
  ["COPY unlisted TO STDOUT", "COPY out"],
  ["COPY unlisted FROM STDIN", "COPY in"],
  ["COPY item TO PROGRAM 'cat'", "COPY to a program"],
  ["COPY item TO '/tmp/item'", "COPY to a file"],
  ["SELECT id INTO fresh FROM item", "SELECT INTO"],
  ["CREATE TABLE fresh AS SELECT id FROM item", "CREATE TABLE AS"],
  ["DROP TABLE item", "definitions"],
  ["TRUNCATE item", "TRUNCATE"],
  ["SELECT unsafe()", "a function that is not on the safe list"],
  ["SELECT * FROM item WHERE unsafe() = 1", "such a function anywhere"],
  ["SELECT query_to_xml('SELECT * FROM unlisted', true, true, '')", "SQL in a string"],
  ["SELECT set_config('search_path', 'other', false)", "settings by a function"],
  ["SELECT pg_read_file('/etc/passwd')", "files by a function"],
  ["LISTEN news", "LISTEN"],
  ["NOTIFY news", "NOTIFY"],
  ["VACUUM item", "maintenance"],
  ["SET ROLE other_role", "SET ROLE"],
  ["SET SESSION AUTHORIZATION other_role", "SET SESSION AUTHORIZATION"],
  ["SET standard_conforming_strings = off", "string syntax"],
  ["DECLARE c CURSOR FOR SELECT id FROM unlisted", "a cursor's query"],
  ["PREPARE p AS SELECT id FROM unlisted", "a prepared statement's query"],
  ["CREATE TEMP TABLE t (a int)", "temporary tables"],
])("%s is refused (%s)", async (sql) => {
  const messages = await client.ask(encodeQuery(sql));
  expect(types(messages)).toBe("EZ");
  expectRefusal(messages, null);
  expect(transcript(messages).at(-1)).toBe("Z I");
});

test("what the server would do does not happen", async () => {
  await client.ask(encodeQuery("INSERT INTO item VALUES (9, 'nine'); DROP TABLE item"));
  await client.ask(encodeQuery("WITH w AS (INSERT INTO item VALUES (9, 'nine') RETURNING id) SELECT * FROM w, closed"));
  expect(policed.server.psql("SELECT count(*) FROM item")).toBe("2");
});

test("one denied statement refuses the whole Query", async () => {
  const messages = await client.ask(
    encodeQuery("SELECT 1; INSERT INTO item VALUES (3, 'three'); SELECT id FROM closed; SELECT 2"),
  );
  expect(types(messages)).toBe("EZ");
  expectRefusal(messages, "closed-is-closed");
  expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["2"]]);
});

test("what cannot be read is refused with the reason, and forwarded where policy allows it", async () => {
  const block = "DO $$ BEGIN PERFORM 1; END $$";
  const error = expectRefusal(await client.ask(encodeQuery(block)), "closed-is-closed");
  expect(error.get("M")).toContain("a DO block cannot be read");
  const opal = await policed.connect("opal");
  expect(transcript(await opal.ask(encodeQuery(block)))).toEqual(["C DO", "Z I"]);
  await opal.terminate();
});

test("a syntax error is the parser's own error, with its position", async () => {
  const direct = await policed.connectDirectly();
  for (const sql of ["SELEC 1", "SELECT 1 +", "SELECT 'é' FRM x", "SELECT 'open", "INSERT INTO"]) {
    const told = errorIn(await client.ask(encodeQuery(sql)));
    const expected = errorIn(await direct.ask(encodeQuery(sql)));
    expect(told?.get("C")).toBe("42601");
    expect(told?.get("M")).toStartWith(expected?.get("M") ?? "nothing");
    expect(told?.get("P")).toBe(expected?.get("P") ?? "nothing");
  }
  expect(await rowsOf(client, "SELECT 'alive'")).toEqual([["alive"]]);
  await direct.terminate();
});

test("a statement that is too long is refused without being read", async () => {
  for (const sizeBytes of [300_000, 2_000_000]) {
    const messages = await client.ask(encodeQuery(`SELECT '${"x".repeat(sizeBytes)}'`));
    expect(types(messages)).toBe("EZ");
    expectRefusal(messages, null, "54000");
  }
  expect(await rowsOf(client, "SELECT 'alive'")).toEqual([["alive"]]);
});

test("bytes that are no UTF-8 and statements with an unknown character are refused", async () => {
  const messages = await client.ask(encodeQuery(Buffer.from([...Buffer.from("SELECT '"), 0xff, 0xfe, 0x27])));
  expectRefusal(messages, "closed-is-closed");
});

test("a refusal fails the transaction, as any error does", async () => {
  expect(types(await client.ask(encodeQuery("BEGIN; INSERT INTO item VALUES (3, 'three')")))).toBe("CCZ");
  const refused = await client.ask(encodeQuery("SELECT id FROM closed"));
  expectRefusal(refused, "closed-is-closed");
  expect(transcript(refused).at(-1)).toBe("Z E");
  const after = await client.ask(encodeQuery("SELECT 1"));
  expect(errorIn(after)?.get("C")).toBe("25P02");
  expect(transcript(await client.ask(encodeQuery("COMMIT")))).toEqual(["C ROLLBACK", "Z I"]);
  expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["2"]]);
});

test("a savepoint brings a transaction back from a refusal", async () => {
  await client.ask(
    encodeQuery("BEGIN; INSERT INTO item VALUES (3, 'three'); SAVEPOINT a; INSERT INTO item VALUES (4, 'four')"),
  );
  expectRefusal(await client.ask(encodeQuery("SELECT id FROM closed")), "closed-is-closed");
  // In a failed transaction the server looks at nothing else, so neither is anything refused twice.
  expect(transcript(await client.ask(encodeQuery("ROLLBACK TO a"))).at(-1)).toBe("Z T");
  expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["3"]]);
  expect(transcript(await client.ask(encodeQuery("ROLLBACK")))).toEqual(["C ROLLBACK", "Z I"]);
});

test("refusals in a failed transaction are refusals still", async () => {
  await client.ask(encodeQuery("BEGIN"));
  await client.ask(encodeQuery("SELECT 1/0"));
  const messages = await client.ask(encodeQuery("SELECT id FROM closed"));
  expect(errorIn(messages)?.get("C")).toBe("42501");
  expect(transcript(messages).at(-1)).toBe("Z E");
  await client.ask(encodeQuery("ROLLBACK"));
});

test("COPY data that was sent along with a refused COPY is ignored", async () => {
  client.send(
    encodeQuery("COPY closed FROM STDIN"),
    encodeCopyData(Buffer.from("1\n")),
    encodeCopyDone(),
    encodeQuery("SELECT 'alive'"),
  );
  const [refused, alive] = [await client.ready(), await client.ready()];
  expectRefusal(refused, "closed-is-closed");
  expect(rows(alive)).toEqual([["alive"]]);
  expect(policed.server.psql("SELECT count(*) FROM closed")).toBe("0");
});

test("queries sent at once are answered and refused in order", async () => {
  const sent = Array.from({ length: 60 }, (_, n) => (n % 3 === 1 ? "SELECT id FROM closed" : `SELECT ${n}`));
  client.send(...sent.map((sql) => encodeQuery(sql)));
  for (const [n, sql] of sent.entries()) {
    const messages = await client.ready();
    if (sql.startsWith("SELECT id")) expectRefusal(messages, "closed-is-closed");
    else expect(rows(messages)).toEqual([[`${n}`]]);
  }
});

test("FunctionCall is an execution of its function", async () => {
  const call = async (who: WireClient, name: string): Promise<string> => {
    const functionOid = Number(policed.server.psql(`SELECT '${name}'::regproc::oid`));
    const argumentFormats: number[] = [];
    return transcript(
      await who.ask(encodeFunctionCall({ functionOid, argumentFormats, arguments: [], resultFormat: 0 })),
    ).join(" ");
  };
  expect(await call(client, "unsafe")).toContain("C=42501");
  const opal = await policed.connect("opal");
  expect(await call(opal, "unsafe")).toBe("V 42 Z I");
  await opal.terminate();
});

test("a guard that names one subject says nothing to another", async () => {
  const bob = await policed.connect("bob");
  expectRefusal(await bob.ask(encodeQuery("SELECT id FROM closed")), null);
  await bob.terminate();
});
