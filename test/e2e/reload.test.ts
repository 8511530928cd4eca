/** SIGHUP and a running gateway: policies and certificates are taken anew, what cannot be is named, and no session ends. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { selfSignedCertificate } from "../../src/identity/certificate.ts";
import { type Gateway, PERMIT_ALL, startGateway } from "../gateway.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { endInTime } from "../end-in-time.ts";

let server: PostgresServer;
let folder: string;
let gateway: Gateway;
/** A session that is open all the while. */
let staying: Client;

beforeAll(async () => {
  server = await startPostgres();
  folder = mkdtempSync(join(tmpdir(), `weir-reload-${process.pid}-`));
  writeCertificate();
  const tls = { cert: { file: "listener.crt" }, key: { file: "listener.key" } };
  gateway = await startGateway({ postgres: server, folder, tls });
  staying = await connected();
});

afterAll(async () => {
  try {
    await endInTime("the session that stays", staying.end());
    // It is still one that ends in order.
    expect(await gateway.stop()).toBe(0);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
});

/** What the gateway has said before the test. */
let said = 0;
beforeEach(() => {
  said = gateway.log().length;
});

function writeCertificate(): void {
  const { cert, key } = selfSignedCertificate(["localhost", "127.0.0.1"], Date.now());
  writeFileSync(join(folder, "listener.crt"), cert);
  writeFileSync(join(folder, "listener.key"), key, { mode: 0o600 });
}

/** With the certificate of the file, and no other. */
async function connected(): Promise<Client> {
  const ca = readFileSync(join(folder, "listener.crt"), "utf8");
  const client = new Client({ connectionString: await gateway.url("db", "ann"), ssl: { ca } });
  await client.connect();
  return client;
}

async function answers(client: Client): Promise<boolean> {
  const { rows } = await client.query("SELECT 1 AS one");
  return rows[0].one === 1;
}

/** Sends SIGHUP; resolves to what the gateway says from then on, when `last` is in it. */
async function reloaded(last: string): Promise<string> {
  process.kill(gateway.pid, "SIGHUP");
  for (;;) {
    const log = gateway.log().slice(said);
    if (log.includes(last)) return log;
    await Bun.sleep(20);
  }
}

test("nothing has changed", async () => {
  const log = await reloaded("the certificate of");
  expect(log).toContain("reload: the policies are as they were: ");
  expect(log).toContain(`reload: the certificate of postgres=127.0.0.1:${gateway.port} is as it was`);
  expect(log).not.toContain("next start");
  expect(await answers(staying)).toBe(true);
});

test("another certificate is shown to who connects from now on", async () => {
  writeCertificate();
  await expect(connected()).rejects.toThrow();
  await reloaded(`reload: the certificate of postgres=127.0.0.1:${gateway.port} was taken anew`);
  const next = await connected();
  expect(await answers(next)).toBe(true);
  await next.end();
  expect(await answers(staying)).toBe(true);
});

test("a key that is not the certificate's is not taken, nor is what else is new in the configuration", async () => {
  const path = join(folder, "listener.key");
  const key = readFileSync(path);
  writeFileSync(path, selfSignedCertificate(["localhost"], Date.now()).key);
  const log = await reloaded("reload: the configuration has errors");
  expect(log).toContain("the key does not belong to the certificate");
  writeFileSync(path, key);
  const next = await connected();
  expect(await answers(next)).toBe(true);
  await next.end();
  expect(await answers(staying)).toBe(true);
});

test("changed policies are taken, and those with errors are not", async () => {
  const file = "permits/everything.yaml";
  gateway.writePolicy(file, `${PERMIT_ALL[file]}    observe: neither-true-nor-false\n`);
  await reloaded("reload: the policies have errors and were not taken; ");
  expect(await answers(staying)).toBe(true);
  gateway.writePolicy(file, `# Another text.\n${PERMIT_ALL[file]}`);
  // Taken by the signal, or by the watch a moment before it.
  said = gateway.log().length;
  await reloaded("reload: the policies ");
  await gateway.policyTaken();
  expect(gateway.log().slice(said)).not.toContain("have errors");
  expect(await answers(staying)).toBe(true);
});

test("what counts at the next start only is named", async () => {
  const text = readFileSync(gateway.configFile, "utf8");
  const config: Record<string, unknown> = JSON.parse(text);
  writeFileSync(
    gateway.configFile,
    JSON.stringify({ ...config, limits: { sessionsMax: 7 }, name: "other.example.com" }),
  );
  const log = await reloaded("next start only");
  expect(log).toContain("reload: changed and counting at the next start only: name, limits\n");
  writeFileSync(gateway.configFile, text);
  expect(await answers(staying)).toBe(true);
});

/** The digests of weir.yaml as the log has them. */
async function loaded(): Promise<unknown[]> {
  const { stdout } = await gateway.weir("audit", "tail", "--lines", "1000", "--json");
  const leaves = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).leaf);
  return leaves.flatMap(({ event, facts }) => (event === "config.loaded" ? [facts.digest] : []));
}

test("a configuration that is taken is recorded; one that is gone is not, and the next signal finds it again", async () => {
  const text = readFileSync(gateway.configFile, "utf8");
  const before = await loaded();
  rmSync(gateway.configFile);
  await reloaded("reload: the configuration has errors, and nothing of it was taken");
  writeFileSync(gateway.configFile, `${text}\n`);
  said = gateway.log().length;
  await reloaded("is as it was");
  writeFileSync(gateway.configFile, text);
  const after = await loaded();
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after.slice(before.length)).toEqual([new Bun.CryptoHasher("sha256").update(`${text}\n`).digest("hex")]);
  expect(await answers(staying)).toBe(true);
});

test("many signals at once end nothing either", async () => {
  for (let count = 0; count < 50; count++) process.kill(gateway.pid, "SIGHUP");
  await reloaded("is as it was");
  expect(await answers(staying)).toBe(true);
});
