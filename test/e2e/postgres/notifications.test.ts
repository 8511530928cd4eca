/** LISTEN and NOTIFY through the gateway: notifications come at any time, and at the place the server gave them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { encodeQuery, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { run } from "./messages.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start();
});

afterAll(async () => {
  await roads.stop();
});

function of(seen: readonly string[], letter: string): string[] {
  return seen.filter((line) => line.startsWith(letter));
}

test("a notification arrives while the session is idle", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("LISTEN news"));
    await roads.admin("NOTIFY news, 'first'");
    await client.until("A");
    await roads.admin("NOTIFY other, 'unheard'; NOTIFY news, 'second'; NOTIFY news");
    await client.until("A");
    await client.until("A");
    await client.ask(encodeQuery("UNLISTEN news"));
    await roads.admin("NOTIFY news, 'unheard'");
    await client.ask(encodeQuery("SELECT 'end'"));
  });
  expect(of(seen, "A")).toEqual(["A news first", "A news second", "A news "]);
});

test("a session's own notifications come with the answer", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("LISTEN news; NOTIFY news, 'own'"));
    await client.ask(encodeQuery("BEGIN; NOTIFY news, 'later'; SELECT 1"));
    await client.ask(encodeQuery("COMMIT"));
    await client.ask(run("SELECT pg_notify('news', 'extended')"), encodeSync());
  });
  expect(of(seen, "A")).toEqual(["A news own", "A news later", "A news extended"]);
});

test("a notification that comes while a transaction is open waits for its end", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(encodeQuery("LISTEN news"));
    await client.ask(encodeQuery("BEGIN"));
    await roads.admin("NOTIFY news, 'waiting'");
    await client.ask(encodeQuery("SELECT 1"));
    await client.ask(encodeQuery("COMMIT"));
    if (!client.received.some(({ type }) => type === "A")) await client.until("A");
  });
  expect(of(seen, "A")).toEqual(["A news waiting"]);
});

test("notifications among results leave them whole", async () => {
  // Where they fall is the server's business, so only what came is compared.
  for (const road of roads.all) {
    const client = await roads.connect(road);
    await client.ask(encodeQuery("LISTEN news"));
    const over = new AbortController();
    const noise = (async () => {
      for (let n = 0; !over.signal.aborted; n++) await roads.admin(`NOTIFY news, '${n}'`);
    })();
    for (let n = 0; n < 50; n++) client.send(encodeQuery("SELECT generate_series(1, 200)"));
    const messages = await client.ready(50);
    over.abort();
    await noise;
    expect(messages.filter(({ type }) => type === "D")).toHaveLength(10_000);
    expect(messages.filter(({ type }) => type === "C")).toHaveLength(50);
    if (!client.received.some(({ type }) => type === "A")) await client.until("A");
    await client.terminate();
  }
});
