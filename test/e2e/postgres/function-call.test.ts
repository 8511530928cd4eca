/** FunctionCall, the old fast path, through the gateway, message for message as without it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  encodeFunctionCall,
  encodeQuery,
  encodeSync,
  type FunctionCall,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { run } from "./messages.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const ABS_INT4 = 1397;
const SQRT = 1344;
const LENGTH_TEXT = 1317;
const NO_SUCH_FUNCTION = 999_999;

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start();
});

afterAll(async () => {
  await roads.stop();
});

function call(functionOid: number, values: readonly (string | null)[], more: Partial<FunctionCall> = {}): Uint8Array {
  const given = values.map((value) => (value === null ? null : Buffer.from(value)));
  return encodeFunctionCall({ functionOid, argumentFormats: [0], arguments: given, resultFormat: 0, ...more });
}

function of(seen: readonly string[], letter: string): string[] {
  return seen.filter((line) => line.startsWith(letter));
}

test("results, nulls and binary values", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(call(ABS_INT4, ["-42"]));
    await client.ask(call(ABS_INT4, [null]));
    await client.ask(
      call(ABS_INT4, [], { argumentFormats: [1], arguments: [Buffer.from([255, 255, 255, 214])], resultFormat: 1 }),
    );
    await client.ask(call(LENGTH_TEXT, ["x".repeat(300_000)]));
  });
  expect(of(seen, "V")).toEqual(["V 42", "V NULL", "V \\u0000\\u0000\\u0000*", "V 300000"]);
});

test("errors, and the session goes on", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(call(SQRT, ["-1"]));
    await client.ask(call(ABS_INT4, ["not a number"]));
    await client.ask(call(ABS_INT4, ["1", "2"]));
    await client.ask(call(NO_SUCH_FUNCTION, []));
    await client.ask(call(ABS_INT4, ["-7"]));
  });
  expect(of(seen, "E")).toHaveLength(4);
  expect(of(seen, "V")).toEqual(["V 7"]);
});

test("inside transactions, also failed ones", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("BEGIN"));
    await client.ask(call(ABS_INT4, ["-1"]));
    await client.ask(call(SQRT, ["-1"]));
    await client.ask(call(ABS_INT4, ["-2"]));
    await client.ask(encodeQuery("ROLLBACK"));
  });
  expect(of(seen, "Z")).toEqual(["Z I", "Z T", "Z T", "Z E", "Z E", "Z I"]);
});

test("among other messages, sent at once", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(
      run("SELECT 1"),
      encodeSync(),
      call(ABS_INT4, ["-2"]),
      encodeQuery("SELECT 3"),
      call(SQRT, ["-1"]),
      run("SELECT 4"),
      encodeSync(),
    );
    await client.ready(5);
  });
  expect(of(seen, "D")).toEqual(["D 1", "D 3", "D 4"]);
});

test("skipped like everything else after an error in a pipeline", async () => {
  const seen = await roads.compare(async (client) => {
    client.send(run("SELECT 1/0"), call(ABS_INT4, ["-2"]), encodeSync());
    await client.ready();
    await client.ask(encodeQuery("SELECT 'alive'"));
  });
  expect(of(seen, "V")).toEqual([]);
});
