/** The gateway fixture itself: it serves, refuses without a token, ends with status 0 and leaves nothing behind. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { Client } from "pg";
import { SYNCHRONOUS_BYTES_MAX } from "../adapters/postgres/parser.ts";
import { type Gateway, runWeir, startGateway } from "./gateway.ts";
import { type PostgresServer, startPostgres } from "./servers/postgres.ts";

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

async function ask(connectionString: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test("a client with a token reaches the target", async () => {
  expect(await ask(await gateway.url("db", "ann"), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("a text that is too long to be parsed beside everything else is answered too", async () => {
  const long = "y".repeat(SYNCHRONOUS_BYTES_MAX + 1);
  expect(await ask(await gateway.url("db", "ann"), `SELECT length('${long}') AS length`)).toEqual([
    { length: long.length },
  ]);
});

test("a client without a token does not", async () => {
  const url = (await gateway.url("db", "ann")).replace(/:[^:@]*@/u, ":wrong@");
  await expect(ask(url, "SELECT 1")).rejects.toThrow();
});

test("a command talks to this gateway", async () => {
  const status = await gateway.weir("status", "--json");
  expect(status).toMatchObject({ status: 0, stderr: "" });
});

test("a command outside says what is wrong", async () => {
  const result = await runWeir(["status", "--config", "/nowhere/weir.yaml"]);
  expect(result.status).not.toBe(0);
  expect(result.stderr).toContain("/nowhere/weir.yaml");
});

test("it ends in order and its folder is gone", async () => {
  const other = await startGateway({ postgres: server });
  expect(existsSync(other.configFile)).toBe(true);
  expect(await other.stop()).toBe(0);
  expect(existsSync(other.folder)).toBe(false);
});

test("a gateway that cannot start says why", async () => {
  const policyFiles = { "policy.yaml": "kind: Nonsense\n" };
  await expect(startGateway({ postgres: server, policyFiles })).rejects.toThrow("ended with status 1");
});
