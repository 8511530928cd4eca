/** The record of an execution holds the digest of its parameters, whether they were collected or streamed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { encodeExecute, encodeParse, encodeSync } from "../../../adapters/postgres/protocol/frontend.ts";
import { startGateway, type Gateway } from "../../gateway.ts";
import { startPostgres, type PostgresServer } from "../../servers/postgres.ts";
import { bind } from "./messages.ts";
import { WireClient } from "./wire-client.ts";

let server: PostgresServer;
let gateway: Gateway;

beforeAll(async () => {
  server = await startPostgres();
  gateway = await startGateway({ postgres: server });
});

afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

/** A message's type, its length and two empty names. */
const HEAD_BYTES = 7;

for (const [how, length] of [
  ["collected", 1000],
  ["streamed", 300_000],
] as const) {
  test(`parameters that are ${how}`, async () => {
    const client = await WireClient.logIn(gateway, { database: "db", password: await gateway.token("ann") });
    const message = bind("", "", ["x".repeat(length)]);
    client.send(encodeParse("", "select length($1::text)"), message, encodeExecute(""), encodeSync());
    await client.ready();
    await client.terminate();
    const { stdout } = await gateway.weir("audit", "tail", "--lines", "40", "--json");
    const digest = createHash("sha256").update(message.subarray(HEAD_BYTES)).digest("hex");
    const recorded = stdout
      .split("\n")
      .filter((line) => line.includes('"kind":"execute"'))
      .map((line) => (JSON.parse(line) as { leaf: { parametersSha256?: string } }).leaf.parametersSha256);
    expect(recorded).toContain(digest);
  });
}
