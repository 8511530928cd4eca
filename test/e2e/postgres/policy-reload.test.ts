/** A changed policy counts for the next statement of every open session, also for what was prepared, bound or suspended before. */
import { afterAll, beforeAll, beforeEach, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { encodeExecute, encodeParse, encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, runNamed } from "./messages.ts";
import { expectRefusal, type Policed, policyFiles, rowsOf, startPoliced } from "./policed.ts";
import { rows, sqlStates, transcript } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SYNC = encodeSync();
const PERMIT = "  - { id: all, subject: { any: true }, target: { any: true }, action: { any: true } }";
const NO_ITEM = "  - { id: no-item, action: { postgres: { relations: [public.item] } }, deny: the item is gone }";
/** A guard for something else, so that both sets have a file of guards. */
const NO_OTHER = "  - { id: no-other, action: { postgres: { relations: [public.other] } }, deny: never }";

const OPEN = policyFiles(PERMIT, NO_OTHER);
const CLOSED = policyFiles(PERMIT, NO_ITEM);

let policed: Policed;
let client: WireClient;
let probe: WireClient;

beforeAll(async () => {
  policed = await startPoliced("CREATE TABLE item AS SELECT generate_series(1, 10) AS id", OPEN);
  probe = await policed.connect("probe");
});

beforeEach(async () => {
  client = await policed.connect();
});

afterEach(async () => {
  await client.terminate();
  await become("open");
});

afterAll(async () => {
  await probe.terminate();
  await policed.stop();
});

/** Writes the policy and waits until it counts, on a session of its own. */
async function become(state: "open" | "closed"): Promise<void> {
  for (const [path, text] of Object.entries(state === "open" ? OPEN : CLOSED)) policed.gateway.writePolicy(path, text);
  const wanted = state === "open" ? 0 : 1;
  while (sqlStates(await probe.ask(encodeQuery("SELECT 1 FROM item"))).length !== wanted);
}

test("the same text", async () => {
  expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["10"]]);
  await become("closed");
  expectRefusal(await client.ask(encodeQuery("SELECT count(*) FROM item")), "no-item");
  await become("open");
  expect(await rowsOf(client, "SELECT count(*) FROM item")).toEqual([["10"]]);
});

test("a statement that was prepared before", async () => {
  await client.ask(encodeParse("s", "SELECT count(*) FROM item"), SYNC);
  await client.ask(encodeQuery("PREPARE q AS SELECT count(*) FROM item"));
  await become("closed");
  expectRefusal(await client.ask(runNamed("s"), SYNC), "no-item");
  expectRefusal(await client.ask(encodeQuery("EXECUTE q")), "no-item");
  await become("open");
  expect(rows(await client.ask(runNamed("s"), SYNC))).toEqual([["10"]]);
});

test("a portal that was bound before", async () => {
  await client.ask(encodeQuery("BEGIN"));
  await client.ask(encodeParse("s", "SELECT id FROM item"), bind("p", "s"), SYNC);
  await become("closed");
  expectRefusal(await client.ask(encodeExecute("p"), SYNC), "no-item");
  expect(transcript(await client.ask(encodeQuery("ROLLBACK")))).toEqual(["C ROLLBACK", "Z I"]);
});

test("a portal that is suspended", async () => {
  await client.ask(encodeQuery("BEGIN"));
  const first = await client.ask(encodeParse("s", "SELECT id FROM item"), bind("p", "s"), encodeExecute("p", 3), SYNC);
  expect(rows(first)).toHaveLength(3);
  await become("closed");
  expectRefusal(await client.ask(encodeExecute("p", 3), SYNC), "no-item");
  await client.ask(encodeQuery("ROLLBACK"));
});

test("a cursor that is open", async () => {
  await client.ask(encodeQuery("BEGIN; DECLARE c CURSOR FOR SELECT id FROM item"));
  expect(await rowsOf(client, "FETCH 2 FROM c")).toEqual([["1"], ["2"]]);
  await become("closed");
  expectRefusal(await client.ask(encodeQuery("FETCH 2 FROM c")), "no-item");
  await client.ask(encodeQuery("ROLLBACK"));
});
