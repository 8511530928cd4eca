/** CancelRequest through the gateway: it reaches the right session, no other, and nothing of the gateway's own. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import { PROTOCOL_3_2 } from "../../../adapters/postgres/protocol/types.ts";
import { type Road, Roads, THROUGH_GATEWAY } from "./roads.ts";
import { errorIn, rows } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const GATE = "SELECT pg_advisory_lock(1)";

let roads: Roads;
let plain: Road;

/** Holds the lock that other sessions wait for. */
let holder: WireClient;

beforeAll(async () => {
  roads = await Roads.start();
  [, plain] = roads.all;
  holder = await roads.connect(roads.all[0]);
  await holder.ask(encodeQuery(GATE));
});

afterAll(async () => {
  await holder.terminate();
  await roads.stop();
});

/** How many statements wait for the lock at the server. */
function waiting(): number {
  return Number(roads.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"));
}

async function untilWaiting(count: number): Promise<void> {
  while (waiting() !== count) await Bun.sleep(10);
}

test.each(THROUGH_GATEWAY)("a running statement is cancelled, and the session goes on (%s)", async (name) => {
  const client = await roads.connect(roads.named(name));
  client.send(encodeQuery(GATE));
  await untilWaiting(1);
  await client.cancel();
  expect(errorIn(await client.ready())?.get("C")).toBe("57014");
  expect(rows(await client.ask(encodeQuery("SELECT 'alive'")))).toEqual([["alive"]]);
  await client.terminate();
});

test("only the session that the key belongs to is cancelled", async () => {
  const clients = await Promise.all([1, 2, 3].map(() => roads.connect(plain, { version: PROTOCOL_3_2 })));
  const [first, second, third] = clients;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three clients");
  for (const client of clients) client.send(encodeQuery(GATE));
  await untilWaiting(3);
  await second.cancel();
  expect(errorIn(await second.ready())?.get("C")).toBe("57014");
  await untilWaiting(2);
  for (const client of [first, third]) {
    expect(client.unread).toEqual([]);
    await client.cancel();
    expect(errorIn(await client.ready())?.get("C")).toBe("57014");
  }
  for (const client of clients) await client.terminate();
});

test("wrong keys do nothing", async () => {
  const client = await roads.connect(plain, { version: PROTOCOL_3_2 });
  client.send(encodeQuery(GATE));
  await untilWaiting(1);
  const { key } = client;
  if (key === null) throw new Error("no key");
  await client.cancel({ processId: key.processId + 1, secret: key.secret });
  await client.cancel({ processId: key.processId, secret: key.secret.toReversed() });
  await client.cancel({ processId: key.processId, secret: key.secret.subarray(0, 4) });
  await client.cancel({ processId: key.processId, secret: Buffer.concat([key.secret, Buffer.of(0)]) });
  expect(waiting()).toBe(1);
  expect(client.unread).toEqual([]);
  await client.cancel();
  await client.ready();
  await client.terminate();
});

test("a key is the gateway's own, and dead when its session has ended", async () => {
  const client = await roads.connect(plain);
  const { key } = client;
  const [[pid]] = rows(await client.ask(encodeQuery("SELECT pg_backend_pid()"))) as [[string]];
  expect(`${key?.processId}`).not.toBe(pid);
  await client.terminate();
  const other = await roads.connect(plain);
  other.send(encodeQuery(GATE));
  await untilWaiting(1);
  await other.cancel(key);
  expect(waiting()).toBe(1);
  await other.cancel();
  await other.ready();
  await other.terminate();
});

test("a cancel while nothing runs is forgotten", async () => {
  const client = await roads.connect(plain);
  await client.cancel();
  for (let n = 0; n < 20; n++) expect(rows(await client.ask(encodeQuery(`SELECT ${n}`)))).toEqual([[`${n}`]]);
  await client.terminate();
});

test("cancels that race with statements never end the session", async () => {
  const client = await roads.connect(plain);
  for (let n = 0; n < 30; n++) {
    client.send(
      encodeQuery(`SET search_path = s${n}; SELECT count(*) FROM generate_series(1, 1000)`),
      encodeQuery("SELECT 'next'"),
    );
    await Promise.all([client.cancel(), client.ready(2)]);
  }
  expect(rows(await client.ask(encodeQuery("SELECT 'alive'")))).toEqual([["alive"]]);
  await client.terminate();
});

test("cancels are recorded with who asked", async () => {
  const client = await roads.connect(plain);
  client.send(encodeQuery(GATE));
  await untilWaiting(1);
  await client.cancel();
  await client.ready();
  await client.terminate();
  const { stdout } = await roads.gateways[0].weir("audit", "tail", "--json");
  expect(stdout).toContain('"cancel"');
});
