/** Messages that arrive cut anywhere mean the same as whole ones. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeBind,
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const CONVERSATION = [
  encodeQuery("SELECT 1; SELECT 'two'; INSERT INTO item VALUES (7)"),
  encodeParse("s", "SELECT $1::text, id FROM item"),
  encodeDescribe("statement", "s"),
  encodeBind({
    portal: "p",
    statement: "s",
    parameterFormats: [0],
    parameters: [Buffer.from("x".repeat(300))],
    resultFormats: [],
  }),
  encodeExecute("p", 1),
  encodeExecute("p", 0),
  encodeClose("statement", "s"),
  encodeSync(),
  encodeQuery("SELECT broken"),
  encodeQuery("COPY item FROM STDIN"),
  encodeCopyData(Buffer.from("8\n9\n")),
  encodeCopyData(Buffer.from("10\n")),
  encodeCopyDone(),
  encodeQuery("SELECT count(*) FROM item"),
];
const READY_COUNT = 5;

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start({ sql: "CREATE TABLE item (id int)", reset: "TRUNCATE item" });
});

afterAll(async () => {
  await roads.stop();
});

test("byte by byte", async () => {
  const seen = await roads.compare(async (client) => {
    await client.sendCut(...CONVERSATION);
    await client.ready(READY_COUNT);
  });
  expect(seen.at(-3)).toBe("D 4");
});

test("in pieces of every size up to a hundred bytes", async () => {
  const whole = Buffer.concat(CONVERSATION);
  for (const size of [2, 3, 5, 7, 13, 31, 64, 97]) {
    const seen = await roads.compare(async (client) => {
      for (let at = 0; at < whole.length; at += size) {
        client.send(whole.subarray(at, at + size));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.ready(READY_COUNT);
    });
    expect(seen.at(-3)).toBe("D 4");
  }
});

test("all at once", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(...CONVERSATION);
    await client.ready(READY_COUNT);
  });
  expect(seen.at(-3)).toBe("D 4");
});
