/** COPY in both directions and in both query protocols through the gateway, message for message as without it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeCopyData,
  encodeCopyDone,
  encodeCopyFail,
  encodeFlush,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { run } from "./messages.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const DONE = encodeCopyDone();
const COPY_IN = "COPY item FROM STDIN";

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({
    sql: "CREATE TABLE item (id int PRIMARY KEY, name text)",
    reset: "TRUNCATE item; INSERT INTO item VALUES (1, 'one'), (2, NULL)",
  });
});

afterAll(async () => {
  await roads.stop();
});

function data(text: string): Uint8Array {
  return encodeCopyData(Buffer.from(text));
}

function of(seen: readonly string[], letter: string): string[] {
  return seen.filter((line) => line.startsWith(letter));
}

test("COPY out, text, CSV and binary", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("COPY item TO STDOUT"));
    await client.ask(encodeQuery("COPY (SELECT name FROM item) TO STDOUT (FORMAT csv, HEADER)"));
    await client.ask(encodeQuery("COPY item TO STDOUT (FORMAT binary)"));
    await client.ask(encodeQuery("COPY (SELECT 1 WHERE false) TO STDOUT; SELECT 'after'"));
  });
  expect(of(seen, "C")).toEqual(["C COPY 2", "C COPY 2", "C COPY 2", "C COPY 0", "C SELECT 1"]);
});

test("COPY out over the extended protocol", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run("COPY item TO STDOUT"), run("SELECT 'after'"), SYNC);
    await client.ready();
  });
  expect(of(seen, "d")).toEqual(["d 1\\tone\\n", "d 2\\t\\\\N\\n"]);
  expect(of(seen, "D")).toEqual(["D after"]);
});

test("an error in the middle of COPY out", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("COPY (SELECT 1/(3-n) FROM generate_series(1, 5) AS n) TO STDOUT"));
    await client.ask(encodeQuery("SELECT 'alive'"));
  });
  expect(seen.join("\n")).toContain("C=22012");
  expect(of(seen, "D")).toEqual(["D alive"]);
});

test("COPY in, in pieces that are no rows", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("3\tth"), data("ree\n4\tfo"), data(""), data("ur\n"), DONE);
    await client.ready();
    await client.ask(encodeQuery("SELECT count(*) FROM item"));
  });
  expect(of(seen, "C")).toEqual(["C COPY 2", "C SELECT 1"]);
});

test("COPY in that is sent before it was asked for", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN), data("3\tthree\n"), DONE, encodeQuery("SELECT count(*) FROM item"));
    await client.ready(2);
  });
  expect(of(seen, "D")).toEqual(["D 3"]);
});

test("COPY in with what follows in the same Query", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(
      encodeQuery(`SELECT 'before'; ${COPY_IN}; SELECT count(*) FROM item; ${COPY_IN}; SELECT count(*) FROM item`),
    );
    await client.until("G");
    client.send(data("3\tthree\n"), DONE);
    await client.until("G");
    client.send(data("4\tfour\n"), data("5\tfive\n"), DONE);
    await client.ready();
  });
  expect(of(seen, "D")).toEqual(["D before", "D 3", "D 5"]);
});

test("the client gives up a COPY", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("3\tthree\n"), encodeCopyFail("changed my mind"));
    await client.ready();
    await client.ask(encodeQuery("SELECT count(*) FROM item"));
  });
  expect(seen.join("\n")).toContain("changed my mind");
  expect(of(seen, "D")).toEqual(["D 2"]);
});

test("an error in the middle of the data, and what the client still sends is ignored", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("3\tthree\n"), data("not a number\tx\n"));
    await client.ready();
    client.send(data("4\tfour\n"), data("5\tfive\n"), DONE, encodeQuery("SELECT count(*) FROM item"));
    await client.ready();
    client.send(encodeCopyFail("too late"), encodeQuery("SELECT 'alive'"));
    await client.ready();
  });
  expect(seen.join("\n")).toContain("C=22P02");
  expect(of(seen, "D")).toEqual(["D 2", "D alive"]);
});

test("an error while a lot of data is on its way", async () => {
  const lots = Array.from({ length: 5000 }, (_, n) => data(`${n + 100}\tx\n`));
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN), data("1\tagain\n"), ...lots, DONE, encodeQuery("SELECT count(*) FROM item"));
    await client.ready(2);
  });
  expect(seen.join("\n")).toContain("C=23505");
  expect(of(seen, "D")).toEqual(["D 2"]);
});

test("COPY in over the extended protocol", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run(COPY_IN), encodeFlush());
    await client.until("G");
    client.send(data("3\tthree\n"), DONE, SYNC);
    await client.ready();
    client.send(run("SELECT count(*) FROM item"), SYNC);
    await client.ready();
  });
  expect(of(seen, "D")).toEqual(["D 3"]);
});

test("COPY in with an early Sync behind the Execute, as libpq sends it", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run(COPY_IN), SYNC);
    await client.until("G");
    client.send(data("3\tthree\n"), data("4\tfour\n"), DONE, SYNC);
    await client.ready();
    client.send(run("SELECT count(*) FROM item"), SYNC);
    await client.ready();
  });
  expect(of(seen, "D")).toEqual(["D 4"]);
});

test("COPY in over the extended protocol, given up, and with an error in the data", async () => {
  const seen = await roads.compare(async (client) => {
    for (const broken of [encodeCopyFail("no more"), data("not a number\tx\n")]) {
      client.send(run(COPY_IN), SYNC);
      await client.until("G");
      client.send(data("3\tthree\n"), broken);
      await client.until("E");
      client.send(data("4\tfour\n"), DONE, run("SELECT 'skipped'"), SYNC);
      await client.ready();
    }
    client.send(run("SELECT count(*) FROM item"), SYNC);
    await client.ready();
  });
  expect(of(seen, "D")).toEqual(["D 2"]);
});

test("Flush and Sync in the middle of the data are ignored", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("3\tthree\n"), encodeFlush(), SYNC, data("4\tfour\n"), DONE);
    await client.ready();
    await client.ask(encodeQuery("SELECT count(*) FROM item"));
  });
  expect(of(seen, "D")).toEqual(["D 4"]);
});

test("COPY in inside a transaction", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("BEGIN; SAVEPOINT a"));
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("1\tagain\n"), DONE);
    await client.ready();
    await client.ask(encodeQuery("SELECT 1"));
    await client.ask(encodeQuery("ROLLBACK TO a"));
    client.send(encodeQuery(COPY_IN));
    await client.until("G");
    client.send(data("3\tthree\n"), DONE);
    await client.ready();
    await client.ask(encodeQuery("COMMIT; SELECT count(*) FROM item"));
  });
  expect(of(seen, "Z")).toEqual(["Z I", "Z T", "Z E", "Z E", "Z T", "Z T", "Z I"]);
  expect(of(seen, "D")).toEqual(["D 3"]);
});

test("leftovers of a COPY that never was are ignored", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(data("1\tx\n"), DONE, encodeCopyFail("nothing"), encodeQuery("SELECT 'alive'"));
    await client.ready();
    client.send(encodeQuery("COPY nowhere FROM STDIN"), data("1\tx\n"), DONE, encodeQuery("SELECT 'still'"));
    await client.ready(2);
  });
  expect(of(seen, "D")).toEqual(["D alive", "D still"]);
});

test("megabytes in and out, in large and in tiny pieces", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(encodeQuery("BEGIN; CREATE TEMP TABLE big (t text); COPY big FROM STDIN"));
    await client.until("G");
    const line = `${"z".repeat(99)}\n`;
    const large = data(line.repeat(10_000));
    for (let n = 0; n < 5; n++) await client.sendAll(large);
    const tiny = Buffer.concat(Array.from(line.repeat(100), (character) => data(character)));
    await client.sendAll(tiny);
    client.send(DONE);
    await client.ready();
    await client.ask(encodeQuery("COPY big TO STDOUT"));
    await client.ask(encodeQuery("ROLLBACK"));
  });
  expect(of(seen, "d")).toHaveLength(50_100);
});
