/** Orders of messages that hardly any client sends and the protocol allows, message for message as without the gateway. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "./messages.ts";
import { Roads } from "./roads.ts";

const SYNC = encodeSync();
const FLUSH = encodeFlush();
const DONE = encodeCopyDone();
/** The OID of length(text). */
const LENGTH = 1317;
const ABC = Buffer.from("abc");

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: `
      CREATE TABLE item (id int PRIMARY KEY, name text);
      CREATE VIEW item_view AS SELECT DISTINCT id FROM item;
      CREATE TABLE guarded (id int);
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RAISE 'no'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON guarded FOR EACH STATEMENT EXECUTE FUNCTION refuse()`,
    reset: "TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, NULL)",
  });
});

afterAll(async () => {
  await roads.stop();
});

function data(text: string): Uint8Array {
  return encodeCopyData(Buffer.from(text));
}

function letters(seen: readonly string[]): string {
  return seen
    .map((line) => line[0])
    .join("")
    .replace(/^S+Z/u, "");
}

test("a Sync behind a simple COPY is ignored with its data", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery("COPY item FROM STDIN"), SYNC, SYNC);
    await client.until("G");
    client.send(data("3\tthree\n"), DONE);
    await client.ready();
    client.send(encodeParse("a", "SELECT 'a'"), encodeParse("a", "SELECT 'b'"), encodeParse("b", "SELECT 'b'"), SYNC);
    await client.ready();
    client.send(encodeParse("c", "SELECT 'c'"), SYNC, bind("", "b"), encodeExecute(""), SYNC);
    await client.ready(2);
  });
  expect(letters(seen)).toBe("GCZ1EZ1ZEZ");
});

test("Syncs around two COPY of one Query", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery("COPY item FROM STDIN; COPY item FROM STDIN"), SYNC);
    await client.until("G");
    client.send(data("3\tthree\n"), DONE, SYNC, data("4\tfour\n"));
    await client.until("G");
    client.send(DONE, SYNC);
    await client.ready(2);
    await client.ask(run("SELECT count(*) FROM item"), SYNC);
  });
  expect(letters(seen)).toBe("GCGCZZ12DCZ");
});

test("a COPY that fails before it reads anything answers the Sync behind it", async () => {
  const seen = await roads.compare(async (client) => {
    for (const copy of [run("COPY item_view FROM STDIN"), encodeQuery("COPY item_view FROM STDIN")]) {
      const count = copy[0] === 0x51 ? 2 : 1;
      client.send(copy, SYNC);
      await client.until("E");
      await client.ready(count);
      client.send(data("3\n"), DONE, SYNC);
      await client.ready();
    }
    await client.ask(run("SELECT 'alive'"), SYNC);
  });
  expect(letters(seen)).toBe("12GEZZGEZZZ12DCZ");
});

test("a COPY that fails before it reads what has been sent already answers the Sync behind it too", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run("COPY guarded FROM STDIN"), SYNC);
    await client.until("G");
    client.send(data("3\n"), DONE, SYNC, run("SELECT 'alive'"), SYNC);
    await client.ready(3);
    await client.ask(run("SELECT 'still'"), SYNC);
  });
  expect(letters(seen)).toBe("12GEZZ12DCZ12DCZ");
});

test("a time limit that passes between two messages is told at the next, be it a Flush", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("SET statement_timeout = '500ms'"));
    for (const next of [FLUSH, encodeDescribe("statement", "")]) {
      client.send(encodeParse("", "SELECT 1"), FLUSH);
      await client.until("1");
      await roads.admin("SELECT pg_sleep(0.6)");
      client.send(next);
      if (next === FLUSH) await client.until("E");
      client.send(encodeParse("", "SELECT 'skipped'"), bind("", ""), encodeExecute(""), SYNC);
      await client.ready();
    }
    await client.ask(run("SELECT 'alive'"), SYNC);
  });
  expect(letters(seen)).toBe("CZ1EZ1EZ12DCZ");
});

test("a Query or a FunctionCall is skipped with the pipeline it stands in, and so is what follows", async () => {
  const call = encodeFunctionCall({ functionOid: LENGTH, argumentFormats: [], arguments: [ABC], resultFormat: 0 });
  const seen = await roads.compare(async (client) => {
    for (const skipped of [encodeQuery("SELECT 'skipped'"), encodeQuery("SELEC"), call]) {
      client.send(run("SELECT 1/0"), skipped, run("INSERT INTO item VALUES (3)"), encodeQuery("SELECT 'too'"), SYNC);
      await client.ready();
    }
    client.send(run("SELECT 1"), call, encodeQuery("SELECT 2"), run("SELECT 3"), FLUSH, SYNC);
    await client.ready(3);
    await client.ask(encodeQuery("SELECT count(*) FROM item"));
  });
  expect(letters(seen)).toBe("1EZ1EZ1EZ12DCVZTDCZ12DCZTDCZ");
});

test("a client that takes the gateway's own names", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeParse("weir_settings", "SELECT 1"), encodeParse("weir_refused", "SELECT 2"), SYNC);
    await client.ready();
    await client.ask(encodeQuery("SET search_path = public"));
    await client.ask(encodeQuery("SELECT 'alive'"));
    await client.ask(bind("weir_settings", "weir_settings"), encodeExecute("weir_settings"), SYNC);
  });
  expect(letters(seen)).toBe("11ZCZTDCZ2DCZ");
});
