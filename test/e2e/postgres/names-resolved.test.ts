/** A name is judged as what the server will take it for, however the session has changed what it means. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run, runNamed } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { errorIn, rows, sqlStates, transcript, types } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();

/** `item` is open in public and closed in the schema `other`; each holds its own schema's name. */
const SCHEMA = `
  CREATE TABLE public.item AS SELECT 'public' AS name;
  CREATE SCHEMA other;
  CREATE TABLE other.item AS SELECT 'other' AS name;
  CREATE ROLE twin;
  CREATE SCHEMA twin;
  CREATE TABLE twin.item AS SELECT 'twin' AS name;
  GRANT USAGE ON SCHEMA twin, other TO twin;
  GRANT SELECT ON ALL TABLES IN SCHEMA public, other, twin TO twin;
  CREATE FUNCTION go_elsewhere() RETURNS void LANGUAGE sql AS $$ SELECT set_config('search_path', 'other', false) $$;
  CREATE DOMAIN word AS text;`;

const POLICY = policyFiles(
  `  - id: item-read
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select, insert, explain], relations: [public.item] } }
  - id: roles
    subject: { names: [roly] }
    target: { any: true }
    action: { postgres: { verbs: [set role, set protected] } }
  - id: calls
    subject: { names: [cal] }
    target: { any: true }
    action: { postgres: { functions: [public.go_elsewhere, pg_catalog.set_config] } }
  - id: definitions
    subject: { names: [dee] }
    target: { any: true }
    action: { postgres: { verbs: [create table, create table as, drop table, alter table, create view, create schema, drop schema] } }`,
);

let policed: Policed;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
});

afterAll(async () => {
  await policed.stop();
});

const ITEM = "SELECT name FROM item";

async function expectOpen(client: WireClient, sql: string = ITEM): Promise<void> {
  expect(await rowsOf(client, sql)).toEqual([["public"]]);
}

async function expectClosed(client: WireClient, sql: string = ITEM): Promise<void> {
  expectRefusal(await client.ask(encodeQuery(sql)), null);
}

async function quietly(client: WireClient, sql: string): Promise<void> {
  expect(sqlStates(await client.ask(encodeQuery(sql)))).toEqual([]);
}

test("search_path set by the session", async () => {
  const client = await policed.connect();
  await expectOpen(client);
  await quietly(client, "SET search_path = other, public");
  await expectClosed(client);
  await expectOpen(client, "SELECT name FROM public.item");
  await quietly(client, "SET search_path = public, other");
  await expectOpen(client);
  for (const path of ["OTHER", '"other"', "'other'", "nowhere, other", "pg_temp, other", "''"]) {
    await quietly(client, `SET search_path = ${path}`);
    await expectClosed(client);
  }
  await quietly(client, "RESET search_path");
  await expectOpen(client);
  await client.terminate();
});

test("search_path set in the startup packet", async () => {
  const parameters = [
    { options: "-c search_path=other" },
    { search_path: "other" },
    { options: "--search-path=other" },
  ];
  for (const each of parameters) {
    const client = await policed.connect("ann", { parameters: each });
    await expectClosed(client);
    await quietly(client, "SET search_path = public");
    await expectOpen(client);
    await quietly(client, "RESET ALL");
    await expectClosed(client);
    await quietly(client, "SET search_path = public");
    await quietly(client, "DISCARD ALL");
    await expectClosed(client);
    await client.terminate();
  }
});

test("search_path set in the text that uses it", async () => {
  const client = await policed.connect();
  await expectClosed(client, `SET search_path = other; ${ITEM}`);
  await expectOpen(client);
  await quietly(client, "BEGIN; SET LOCAL search_path = other");
  await expectClosed(client);
  await quietly(client, "ROLLBACK");
  await expectOpen(client);
  await client.terminate();
});

test("a transaction that changed the path and failed can be ended", async () => {
  const client = await policed.connect();
  const ways = [
    { fail: [encodeQuery("SELECT 1/0")], end: [encodeQuery("ROLLBACK")] },
    { fail: [run("SELECT 1/0"), SYNC], end: [run("ROLLBACK"), SYNC] },
    { fail: [encodeQuery("SELECT name FROM other.item")], end: [encodeQuery("COMMIT")] },
  ];
  for (const { fail, end } of ways) {
    await quietly(client, "BEGIN; SAVEPOINT a; SET LOCAL search_path = other");
    expect(transcript(await client.ask(...fail)).at(-1)).toBe("Z E");
    await quietly(client, "ROLLBACK TO a");
    await expectOpen(client);
    await quietly(client, "SET LOCAL search_path = other");
    expect(transcript(await client.ask(...fail)).at(-1)).toBe("Z E");
    expect(transcript(await client.ask(...end)).slice(-2)).toEqual(["C ROLLBACK", "Z I"]);
    await expectOpen(client);
  }
  await client.terminate();
});

test("search_path that a transaction's end takes back", async () => {
  const client = await policed.connect();
  for (const end of ["COMMIT", "ROLLBACK"]) {
    await quietly(client, "SET search_path = other");
    await quietly(client, "BEGIN; SET LOCAL search_path = public");
    await expectOpen(client);
    await quietly(client, end);
    await expectClosed(client);
  }
  await quietly(client, "BEGIN; SET search_path = public; SAVEPOINT a; SET search_path = other");
  await quietly(client, "ROLLBACK TO a");
  await expectOpen(client);
  await quietly(client, "ROLLBACK");
  await expectClosed(client);
  await client.terminate();
});

test("search_path and the text that uses it in one pipeline", async () => {
  const client = await policed.connect();
  const messages = await client.ask(run("SET search_path = other"), run(ITEM), SYNC);
  expect(rows(messages)).toEqual([]);
  expect(sqlStates(messages)).toEqual(["42501"]);
  // The refusal took the SET back.
  await expectOpen(client);
  client.send(run("SET search_path = other"), SYNC, run(ITEM), SYNC);
  expect(sqlStates(await client.ready())).toEqual([]);
  const second = await client.ready();
  expect(rows(second)).toEqual([]);
  expect(sqlStates(second)).toEqual(["42501"]);
  client.send(encodeQuery("SET search_path = public"), encodeQuery(ITEM));
  expect(sqlStates(await client.ready())).toEqual([]);
  expect(rows(await client.ready())).toEqual([["public"]]);
  await client.terminate();
});

test("search_path set by a function", async () => {
  const client = await policed.connect("cal");
  await expectOpen(client);
  await quietly(client, "SELECT set_config('search_path', 'other', false)");
  await expectClosed(client);
  await quietly(client, "RESET search_path");
  await expectOpen(client);
  await quietly(client, "SELECT go_elsewhere()");
  await expectClosed(client);
  await client.terminate();
});

test("what is only prepared changes nothing yet", async () => {
  const client = await policed.connect("cal");
  const changes = "SELECT set_config('search_path', 'other', false)";
  client.send(encodeParse("", changes), encodeDescribe("statement", ""), encodeFlush());
  await client.until("T");
  // As drivers do that look at the parameters' types first: the rest comes in the same part.
  expect(sqlStates(await client.ask(runNamed(""), SYNC))).toEqual([]);
  await expectClosed(client);
  await quietly(client, "RESET search_path");
  await client.ask(encodeParse("later", changes), SYNC);
  await expectOpen(client);
  await client.terminate();
});

test("$user follows the role", async () => {
  const client = await policed.connect("roly");
  await quietly(client, `SET search_path = "$user", public`);
  await expectOpen(client);
  await quietly(client, "SET ROLE twin");
  await expectClosed(client);
  await quietly(client, "RESET ROLE");
  await expectOpen(client);
  await client.terminate();
});

test("while strings are read differently nothing is read", async () => {
  const client = await policed.connect("roly");
  await quietly(client, "SET standard_conforming_strings = off");
  await expectClosed(client);
  await expectClosed(client, "SELECT 1");
  // Also the way back cannot be read. The session's end is the way out.
  await expectClosed(client, "SET standard_conforming_strings = on");
  await client.terminate();
});

test("a temporary table shadows the one of the path", async () => {
  const dee = await policed.connect("dee");
  await expectOpen(dee);
  await quietly(dee, "CREATE TEMP TABLE item (name text)");
  await expectClosed(dee);
  await expectOpen(dee, "SELECT name FROM public.item");
  await dee.terminate();
});

test("a new table earlier in the path shadows the other", async () => {
  const dee = await policed.connect("dee");
  const ann = await policed.connect("ann");
  for (const client of [dee, ann]) {
    await quietly(client, "SET search_path = fresh, public");
    await expectOpen(client);
  }
  await quietly(dee, "CREATE SCHEMA fresh");
  await quietly(dee, "CREATE TABLE fresh.item (name text)");
  await expectClosed(dee);
  // Another session's picture follows with the next look at the catalog.
  let messages = await ann.ask(encodeQuery(ITEM));
  while (sqlStates(messages).length === 0) messages = await ann.ask(encodeQuery(ITEM));
  expectRefusal(messages, null);
  await quietly(dee, "DROP TABLE fresh.item");
  await expectOpen(dee);
  await quietly(dee, "DROP SCHEMA fresh");
  await dee.terminate();
  await ann.terminate();
});

test("a renamed table is judged by what it is now", async () => {
  const dee = await policed.connect("dee");
  await quietly(dee, "BEGIN; ALTER TABLE public.item RENAME TO hidden; ALTER TABLE other.item SET SCHEMA public");
  await expectClosed(dee);
  await quietly(dee, "ROLLBACK");
  await expectOpen(dee);
  await dee.terminate();
});

test("a prepared statement is judged anew when the path has changed", async () => {
  const client = await policed.connect();
  await client.ask(encodeParse("s", ITEM), SYNC);
  expect(rows(await client.ask(runNamed("s"), SYNC))).toEqual([["public"]]);
  await quietly(client, "SET search_path = other");
  const refused = await client.ask(runNamed("s"), SYNC);
  expect(rows(refused)).toEqual([]);
  expectRefusal(refused, null);
  await quietly(client, "SET search_path = public");
  expect(rows(await client.ask(runNamed("s"), SYNC))).toEqual([["public"]]);
  await client.terminate();
});

test("a statement prepared in SQL is judged as what it is, when it is prepared and when it runs", async () => {
  const client = await policed.connect();
  await expectClosed(client, "PREPARE bad AS SELECT name FROM other.item");
  await quietly(client, `PREPARE good AS ${ITEM}`);
  expect(await rowsOf(client, "EXECUTE good")).toEqual([["public"]]);
  expect(await rowsOf(client, "EXPLAIN (COSTS off) EXECUTE good")).toEqual([["Seq Scan on item"]]);
  await quietly(client, "SET search_path = other");
  await expectClosed(client, "EXECUTE good");
  await expectClosed(client, "EXPLAIN ANALYZE EXECUTE good");
  expect(rows(await client.ask(runNamed("good"), SYNC))).toEqual([]);
  await quietly(client, "SET search_path = public");
  expect(rows(await client.ask(runNamed("good"), SYNC))).toEqual([["public"]]);
  await client.terminate();
});

test("EXECUTE of what the protocol has prepared", async () => {
  const client = await policed.connect();
  await client.ask(encodeParse("p", ITEM), SYNC);
  expect(await rowsOf(client, "EXECUTE p")).toEqual([["public"]]);
  await client.ask(encodeClose("statement", "p"), SYNC);
  await expectClosed(client, "EXECUTE p");
  await client.terminate();
});

test("a cursor is judged when it is opened, and FETCH goes on with it", async () => {
  const client = await policed.connect();
  await quietly(client, "BEGIN");
  await expectClosed(client, "DECLARE c CURSOR FOR SELECT name FROM other.item");
  await quietly(client, "ROLLBACK");
  await quietly(client, `BEGIN; DECLARE c CURSOR FOR ${ITEM}`);
  expect(await rowsOf(client, "FETCH c")).toEqual([["public"]]);
  await expectClosed(client, "FETCH nobody");
  await quietly(client, "ROLLBACK");
  await quietly(client, `DECLARE h CURSOR WITH HOLD FOR ${ITEM}`);
  expect(await rowsOf(client, "FETCH h")).toEqual([["public"]]);
  await quietly(client, "CLOSE h");
  await client.terminate();
});

test("a portal that is bound keeps what it was, whatever is prepared under the name later", async () => {
  const client = await policed.connect();
  await client.ask(encodeQuery("BEGIN"));
  const messages = await client.ask(
    encodeParse("s", ITEM),
    bind("p", "s"),
    encodeClose("statement", "s"),
    encodeParse("s", "SELECT 'another'"),
    encodeExecute("p"),
    SYNC,
  );
  expect(rows(messages)).toEqual([["public"]]);
  await client.ask(encodeQuery("ROLLBACK"));
  await client.terminate();
});

test("an encoding in which bytes mean something else is followed", async () => {
  const client = await policed.connect();
  await quietly(client, "SET client_encoding = 'SJIS'");
  await expectOpen(client);
  // 0x95 0x5c is one character there, whose second byte is a backslash elsewhere.
  const messages = await client.ask(encodeQuery(Buffer.from([...Buffer.from("SELECT '"), 0x95, 0x5c, 0x27])));
  expectRefusal(messages, null);
  await quietly(client, "RESET client_encoding");
  await client.terminate();
});

test("binary garbage as a parameter is a value and nothing else", async () => {
  const client = await policed.connect();
  const parameters = [Buffer.from([0x27, 0x3b, 0x20, 0x2d, 0x2d])];
  const messages = await client.ask(
    encodeParse("", "SELECT $1::text"),
    encodeBind({ portal: "", statement: "", parameterFormats: [0], parameters, resultFormats: [] }),
    encodeExecute(""),
    SYNC,
  );
  expect(rows(messages)).toEqual([["'; --"]]);
  expect(errorIn(messages)).toBeUndefined();
  expect(types(messages)).toBe("12DCZ");
  await client.terminate();
});
