/** Refusals over the extended protocol: what follows until the Sync is skipped, and what went before is not committed, as at the server. */
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run, runNamed } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, startPoliced } from "./policed.ts";
import { errorIn, rows, sqlStates, transcript, types } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const FLUSH = encodeFlush();
/** Fails at the server at the same message at which the gateway refuses. */
const BROKEN = "SELECT nothing_here";
const UNDEFINED_COLUMN = "42703";
const REFUSED = "42501";
const DENIED = "SELECT id FROM closed";

const POLICY = policyFiles(
  `  - id: item-all
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select, insert, update, delete, copy from], relations: [public.item] } }`,
  `  - id: closed-is-closed
    action: { postgres: { relations: [public.closed] } }
    deny: closed is closed`,
);

let policed: Policed;
let direct: WireClient;
let client: WireClient;

beforeAll(async () => {
  const sql = "CREATE TABLE item (id int PRIMARY KEY, name text); CREATE TABLE closed (id int)";
  policed = await startPoliced(sql, POLICY);
  direct = await policed.connectDirectly();
  client = await policed.connect();
});

beforeEach(() => {
  policed.server.psql("TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, 'two')");
});

afterAll(async () => {
  await client.terminate();
  await direct.terminate();
  await policed.stop();
});

/** Sends a pipeline with a refused statement, and directly with one that fails; expects the same types of messages. */
async function compare(pipeline: (statement: string) => readonly Uint8Array[], readyCount = 1): Promise<string> {
  direct.send(...pipeline(BROKEN));
  const expected = await direct.ready(readyCount);
  policed.server.psql("TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, 'two')");
  client.send(...pipeline(DENIED));
  const seen = await client.ready(readyCount);
  expect(seen.length).toBe(expected.length);
  for (const [index, message] of seen.entries()) {
    const other = expected.slice(index, index + 1);
    if (message.type !== "E") expect(transcript([message])).toEqual(transcript(other));
    else
      expect(sqlStates([message])).toEqual(
        sqlStates(other).map((code) => (code === UNDEFINED_COLUMN ? REFUSED : code)),
      );
  }
  return types(seen);
}

test("one statement, refused", async () => {
  const messages = await client.ask(run(DENIED), SYNC);
  expect(types(messages)).toBe("EZ");
  expectRefusal(messages, "closed-is-closed");
});

test("what follows until the Sync is skipped, what follows the Sync is not", async () => {
  const seen = await compare(
    (statement) => [
      run("SELECT 1"),
      run(statement),
      run("SELECT 2"),
      encodeDescribe("statement", "x"),
      SYNC,
      run("SELECT 3"),
      SYNC,
    ],
    2,
  );
  expect(seen).toBe("12DCEZ12DCZ");
});

test("what went before the refused statement in the same pipeline is not committed", async () => {
  const seen = await compare((statement) => [run("INSERT INTO item VALUES (3, 'three')"), run(statement), SYNC]);
  expect(seen).toBe("12CEZ");
  expect(policed.server.psql("SELECT count(*) FROM item")).toBe("2");
});

test("a refused statement alone, prepared and not executed", async () => {
  const seen = await compare((statement) => [encodeParse("s", statement), SYNC, runNamed("s"), SYNC], 2);
  expect(seen).toBe("EZEZ");
});

test("Parse and Describe of a refused statement tell nothing of it", async () => {
  const messages = await client.ask(encodeParse("", DENIED), encodeDescribe("statement", ""), SYNC);
  expect(types(messages)).toBe("EZ");
  expectRefusal(messages, "closed-is-closed");
});

test("Flush brings the refusal before there is a Sync", async () => {
  for (const [side, statement] of [
    [direct, BROKEN],
    [client, DENIED],
  ] as const) {
    side.send(run(statement), FLUSH);
    expect(types(await side.until("E"))).toBe("E");
    side.send(run("SELECT 'skipped'"), FLUSH, encodeClose("statement", "x"), SYNC);
    expect(types(await side.ready())).toBe("Z");
  }
});

test("the refused statement's name is free afterwards", async () => {
  await client.ask(encodeParse("name", DENIED), SYNC);
  expect(rows(await client.ask(encodeParse("name", "SELECT 'mine'"), runNamed("name"), SYNC))).toEqual([["mine"]]);
  await client.ask(encodeClose("statement", "name"), SYNC);
});

test("a name that has a statement keeps it when its second Parse is refused", async () => {
  await client.ask(encodeParse("kept", "SELECT 'kept'"), SYNC);
  expect(sqlStates(await client.ask(encodeParse("kept", DENIED), SYNC))).toEqual(["42501"]);
  expect(rows(await client.ask(runNamed("kept"), SYNC))).toEqual([["kept"]]);
  await client.ask(encodeClose("statement", "kept"), SYNC);
});

test("a refusal inside a transaction fails it, and a savepoint brings it back", async () => {
  const seen = await compare(
    (statement) => [
      run("BEGIN"),
      run("INSERT INTO item VALUES (3, 'three')"),
      run("SAVEPOINT a"),
      SYNC,
      run("INSERT INTO item VALUES (4, 'four')"),
      run(statement),
      run("COMMIT"),
      SYNC,
      run("SELECT 1"),
      SYNC,
      run("ROLLBACK TO a"),
      run("SELECT count(*) FROM item"),
      run("COMMIT"),
      SYNC,
    ],
    4,
  );
  expect(seen).toBe("12C12C12CZ12CEZEZ12C12DC12CZ");
});

test("a refused simple query inside a pipeline", async () => {
  const seen = await compare((statement) => [run("SELECT 1"), encodeQuery(statement), run("SELECT 2"), SYNC], 2);
  expect(seen).toBe("12DCEZ12DCZ");
});

test("many refusals, each in its own part, sent at once", async () => {
  const parts = (statement: string): Uint8Array[] =>
    Array.from({ length: 40 }, (_, n) => Buffer.concat([n % 2 === 0 ? run(statement) : run(`SELECT ${n}`), SYNC]));
  const seen = await compare(parts, 40);
  expect(seen).toBe("EZ12DCZ".repeat(20));
});

test("a refusal after an error of the server's, and before one", async () => {
  expect(await compare((statement) => [run("SELECT 1/0"), run(statement), SYNC])).toBe("1EZ");
  expect(await compare((statement) => [run(statement), run("SELECT 1/0"), SYNC])).toBe("EZ");
});

test("a suspended portal survives the refusal of another statement only as far as its transaction does", async () => {
  const seen = await compare(
    (statement) => [
      encodeQuery("BEGIN"),
      encodeParse("many", "SELECT generate_series(1, 5)"),
      bind("p", "many"),
      encodeExecute("p", 2),
      SYNC,
      run(statement),
      SYNC,
      encodeExecute("p", 2),
      SYNC,
      encodeQuery("ROLLBACK"),
      encodeClose("statement", "many"),
      SYNC,
    ],
    6,
  );
  expect(seen).toBe("CZ12DDsZEZEZCZ3Z");
});

test("a refused COPY over the extended protocol, with its data on the way", async () => {
  client.send(run("COPY closed FROM STDIN"), SYNC, encodeCopyData(Buffer.from("1\n")), encodeCopyDone(), SYNC);
  expect(types(await client.ready())).toBe("EZ");
  expect(types(await client.ready())).toBe("Z");
  expect(rows(await client.ask(encodeQuery("SELECT 'alive'")))).toEqual([["alive"]]);
  expect(policed.server.psql("SELECT count(*) FROM closed")).toBe("0");
});

test("a syntax error over the extended protocol is the parser's", async () => {
  const messages = await client.ask(run("SELEC 1"), run("SELECT 2"), SYNC);
  const error = expectRefusal(messages, "closed-is-closed", "42601");
  expect(error.get("M")).toStartWith('syntax error at or near "SELEC"');
  expect(error.get("P")).toBe("1");
});

test("a statement or portal that the gateway has not seen is named as the server names it", async () => {
  expect(sqlStates(await client.ask(runNamed("nobody"), SYNC))).toEqual(["26000"]);
  expect(sqlStates(await client.ask(encodeExecute("nobody"), SYNC))).toEqual(["34000"]);
  expect(rows(await client.ask(run("SELECT 'alive'"), SYNC))).toEqual([["alive"]]);
});

test("a statement that is too long is skipped like any refused one", async () => {
  const messages = await client.ask(run("SELECT 1"), run(`SELECT '${"x".repeat(400_000)}'`), run("SELECT 2"), SYNC);
  expect(types(messages)).toBe("12DCEZ");
  expect(errorIn(messages)?.get("C")).toBe("54000");
});

test("a message that does not exist ends the session, and nothing of it reaches the server", async () => {
  for (const type of ["y", "\0", "D", "Z"]) {
    const other = await policed.connect();
    const body = Buffer.from("INSERT INTO item VALUES (99, 'smuggled')\0");
    const head = Buffer.alloc(5);
    head.write(type, "latin1");
    head.writeInt32BE(body.length + 4, 1);
    other.send(head, body);
    const messages = await other.end();
    expect(sqlStates(messages)).toEqual(["08P01"]);
    expect(errorIn(messages)?.get("S")).toBe("FATAL");
  }
  expect(policed.server.psql("SELECT count(*) FROM item")).toBe("2");
});

test("messages that are not what they should be end the session", async () => {
  const withLength = (bytes: Uint8Array, length: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed.writeInt32BE(length, 1);
    return changed;
  };
  const broken: Uint8Array[] = [
    withLength(encodeQuery("SELECT 1"), 3),
    withLength(encodeQuery("SELECT 1"), -5),
    withLength(encodeQuery("SELECT 1"), encodeQuery("SELECT 1").length - 2),
    withLength(encodeExecute("p"), encodeExecute("p").length - 3),
    encodeParse("n".repeat(64), "SELECT 1"),
    Buffer.from(encodeDescribe("statement", "x")).fill("x", 5, 6),
  ];
  for (const bytes of broken) {
    const other = await policed.connect();
    other.send(bytes);
    expect(sqlStates(await other.end())).toEqual(["08P01"]);
  }
});
