/** Attempts to have the server take as a message, or as another statement, what nobody has decided. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import Database from "libsql";
import { join } from "node:path";
import {
  encodeBind,
  encodeCopyData,
  encodeCopyFail,
  encodeExecute,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { encodeSslRequest } from "../../../adapters/postgres/protocol/startup.ts";
import { LOG_FILE } from "../../../src/audit/schema.ts";
import { startGateway } from "../../gateway.ts";
import { bind, run } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { rows, sqlStates, types } from "./transcript.ts";
import { WireClient } from "./wire-client.ts";

const SYNC = encodeSync();

/** What nobody may do: `mark` stays empty. */
const SMUGGLED = "INSERT INTO mark VALUES ('smuggled')";

const SCHEMA = `
  CREATE TABLE mark (how text);
  CREATE TABLE item (id int PRIMARY KEY);
  CREATE TABLE secret AS SELECT 'public' AS name;
  CREATE SCHEMA mine;
  CREATE TABLE mine.secret AS SELECT 'mine' AS name;`;

const POLICY = policyFiles(
  `  - id: item-all
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select, insert, copy from], relations: [public.item, mine.secret] } }
  - id: calls
    subject: { any: true }
    target: { any: true }
    action: { postgres: { functions: [pg_catalog.set_config, pg_catalog.length] } }`,
);

let policed: Policed;

beforeAll(async () => {
  policed = await startPoliced(SCHEMA, POLICY);
});

beforeEach(() => {
  policed.server.psql("TRUNCATE mark");
});

afterAll(async () => {
  await policed.stop();
});

/** A message whose bytes, from an offset on, are messages of their own to a server that has lost its place. */
function carrier(): { readonly bytes: Uint8Array; readonly offset: number } {
  const hidden = Buffer.concat([SYNC, encodeQuery(SMUGGLED)]);
  const message = encodeBind({
    portal: "",
    statement: "",
    parameterFormats: [1],
    parameters: [hidden],
    resultFormats: [],
  });
  const bytes = Buffer.concat([encodeParse("", "SELECT $1::bytea"), message]);
  return { bytes, offset: bytes.indexOf(hidden) };
}

/** The header of a message whose body is sent apart. */
function header(type: string, bodyBytes: number): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeInt32BE(bodyBytes + 4, 1);
  return head;
}

function expectNothingSmuggled(): void {
  expect(policed.server.psql("SELECT count(*) FROM mark")).toBe("0");
}

/** Goes on after the message that was cut by a failure: its rest, and a message with another one inside. */
async function goOn(client: WireClient, rest: Uint8Array, before: Uint8Array, offset: number): Promise<void> {
  expect(rest.length).toBe(before.length + offset);
  client.send(rest, before, carrier().bytes, encodeExecute(""), SYNC);
  const messages = await client.ready(before.length > 0 ? 2 : 1).catch(() => client.received);
  expectNothingSmuggled();
  expect(sqlStates(messages)).toEqual([]);
  expect(rows(messages)).toHaveLength(1);
  await client.terminate();
}

test("a message of COPY data that the failure of the COPY cuts in two", async () => {
  const client = await policed.connect();
  const { offset } = carrier();
  client.send(encodeQuery("COPY item FROM STDIN"));
  await client.until("G");
  client.send(encodeCopyData(Buffer.from("not a number\n")), header("d", 3 + offset), Buffer.from("abc"));
  expect(sqlStates(await client.ready())).toEqual(["22P02"]);
  await goOn(client, Buffer.alloc(offset, "x"), Buffer.alloc(0), offset);
});

test("a long Bind, and a long FunctionCall, that the failure of a message before it cuts in two", async () => {
  const { offset } = carrier();
  const rest = Buffer.alloc(SYNC.length + offset, "x");
  const begun: readonly Uint8Array[] = [
    encodeBind({
      portal: "",
      statement: "s",
      parameterFormats: [],
      parameters: [Buffer.alloc(70_000, "x")],
      resultFormats: [],
    }),
    encodeFunctionCall({
      functionOid: 1317,
      argumentFormats: [],
      arguments: [Buffer.alloc(70_000, "x")],
      resultFormat: 0,
    }),
  ];
  for (const message of begun) {
    const client = await policed.connect();
    await client.ask(encodeParse("s", "SELECT $1::text"), SYNC);
    const longer = Buffer.concat([
      header(String.fromCharCode(message[0] ?? 0), message.length - 5 + rest.length),
      message.subarray(5),
    ]);
    client.send(encodeParse("s", "SELECT 'twice'"), longer);
    await client.until("E");
    await goOn(client, rest, SYNC, offset);
  }
});

test("COPY data behind a statement whose record is still on its way", async () => {
  const client = await policed.connect();
  const table = await policed.connectDirectly();
  const log = new Database(join(policed.gateway.folder, "data", LOG_FILE));
  // Were the statement sent in the middle of the data, it would be data, and data would be messages.
  const hidden = Buffer.concat([encodeCopyFail(""), encodeQuery(SMUGGLED)]);
  const statement = encodeQuery("SELECT 1".padEnd(hidden.length - encodeQuery("").length));
  await table.ask(encodeQuery("BEGIN; LOCK TABLE item"));
  client.send(encodeQuery("COPY item FROM STDIN"));
  while (policed.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") !== "1");
  log.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  client.send(statement, header("d", 1 + hidden.length), Buffer.from("1"));
  // The gateway has read that when it has answered this.
  const other = await WireClient.open(policed.gateway);
  other.send(encodeSslRequest());
  await other.byte();
  other.abandon();
  await table.ask(encodeQuery("COMMIT"));
  await client.until("G");
  const size = (): unknown => log.prepare("SELECT count(*) FROM entry").raw(true).get([]);
  const before = size();
  log.exec("ROLLBACK");
  while (Bun.deepEquals(size(), before)) await Bun.sleep(1);
  log.close();
  client.send(hidden);
  await client.ready(2).catch(() => client.received);
  expectNothingSmuggled();
  await table.terminate();
});

test("a name that means something else once the same text has ended the transaction", async () => {
  const client = await policed.connect();
  const ends = ["ROLLBACK", "COMMIT", "ROLLBACK TO a", "END", "ABORT", "COMMIT AND CHAIN"];
  for (const end of ends) {
    await client.ask(encodeQuery("BEGIN; SAVEPOINT a; SET LOCAL search_path = mine"));
    expect(await rowsOf(client, "SELECT name FROM secret")).toEqual([["mine"]]);
    expectRefusal(await client.ask(encodeQuery(`${end}; SELECT name FROM secret`)), null);
    expect(sqlStates(await client.ask(encodeQuery("ROLLBACK")))).toEqual([]);
    // What names its schema does not depend on it.
    await client.ask(encodeQuery("BEGIN; SAVEPOINT a; SET LOCAL search_path = mine"));
    expect(rows(await client.ask(encodeQuery(`${end}; SELECT name FROM mine.secret`)))).toEqual([["mine"]]);
    expect(sqlStates(await client.ask(encodeQuery("ROLLBACK")))).toEqual([]);
  }
  await client.terminate();
});

test("a path that is changed by what was prepared or declared in SQL, and runs under its name", async () => {
  const change = "SELECT set_config('search_path', 'public', false)";
  const ways: readonly (readonly [string, readonly Uint8Array[]])[] = [
    [`PREPARE p AS ${change}`, [encodeQuery("EXECUTE p")]],
    [`PREPARE p AS ${change}`, [bind("", "p"), encodeExecute(""), SYNC]],
    [`BEGIN; DECLARE c CURSOR FOR ${change}`, [encodeQuery("FETCH c")]],
    [`BEGIN; DECLARE c CURSOR FOR ${change}`, [encodeExecute("c"), SYNC]],
    [`DECLARE c CURSOR WITH HOLD FOR ${change}`, []],
  ];
  for (const [before, messages] of ways) {
    const client = await policed.connect();
    await client.ask(encodeQuery("SET search_path = mine"));
    expect(sqlStates(await client.ask(encodeQuery(before)))).toEqual([]);
    if (messages.length > 0) expect(sqlStates(await client.ask(...messages))).toEqual([]);
    expect(await rowsOf(client, "SHOW search_path")).toEqual([["public"]]);
    expectRefusal(await client.ask(encodeQuery("SELECT name FROM secret")), null);
    await client.terminate();
  }
});

test("names that only another encoding tells apart", async () => {
  const client = await policed.connect();
  await client.ask(encodeParse("é", "SELECT 'first'"), encodeParse("Ã©", "SELECT 'second'"), SYNC);
  expect(rows(await client.ask(bind("ü", "é"), encodeExecute("ü"), SYNC))).toEqual([["first"]]);
  await client.ask(encodeQuery("SET client_encoding = 'LATIN1'"));
  // These two bytes were the first one's name, and are the second one's now.
  client.send(bind("", "é"), encodeExecute(""), SYNC);
  const messages = await client.end();
  expect(rows(messages)).toEqual([]);
  expect(sqlStates(messages)).toEqual(["08P01"]);
});

test("a statement that was prepared among others is no more than itself when it is read again", async () => {
  const client = await policed.connect();
  await client.ask(encodeQuery("SET search_path = mine"));
  await client.ask(encodeQuery("DEALLOCATE ALL; PREPARE p AS SELECT name FROM secret"));
  await client.ask(encodeQuery("PREPARE kept AS SELECT 'kept'; SET search_path = mine, public"));
  const messages = await client.ask(bind("", "p"), encodeExecute(""), bind("", "kept"), encodeExecute(""), SYNC);
  expect(rows(messages)).toEqual([["mine"], ["kept"]]);
  await client.terminate();
});

test("what was prepared or declared in SQL is known to the messages right behind it", async () => {
  const client = await policed.connect();
  client.send(
    encodeQuery("BEGIN; PREPARE p AS SELECT 'prepared'; DECLARE c CURSOR FOR SELECT 'declared'"),
    Buffer.concat([bind("", "p"), encodeExecute(""), encodeExecute("c"), SYNC]),
    Buffer.concat([run("DEALLOCATE p"), run("SELECT 'more'"), SYNC, encodeQuery("ROLLBACK")]),
  );
  const messages = await client.ready(4);
  expect(sqlStates(messages)).toEqual([]);
  expect(rows(messages)).toEqual([["prepared"], ["declared"], ["more"]]);
  await client.terminate();
});

test("a refused Query in a pipeline that has failed is skipped, and does not end the skipping", async () => {
  // So that the refusal does not wait for its record, and the failure is not known yet.
  const gateway = await startGateway({ postgres: policed.server, policyFiles: POLICY, durability: "relaxed" });
  const client = await WireClient.logIn(gateway, { database: "db", password: await gateway.token("ann") });
  await rowsOf(client, "SELECT id FROM item");
  client.send(run("SELECT 1/0"), encodeQuery(SMUGGLED), run("INSERT INTO item VALUES (1)"), SYNC);
  expect(types(await client.ready())).toBe("1EZ");
  expect(await rowsOf(client, "SELECT 'alive'")).toEqual([["alive"]]);
  expect(policed.server.psql("SELECT count(*) FROM item")).toBe("0");
  await client.terminate();
  await gateway.stop();
});
