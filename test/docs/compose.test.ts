/** compose.yaml: the configuration and the policies that stand in it, tried on a real server with a real gateway. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { runWeir, startGateway, type Gateway } from "../gateway.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";

setDefaultTimeout(240_000);

type Compose = {
  readonly services: {
    readonly database: { readonly environment: Record<string, string> };
    readonly gateway: {
      readonly environment: Record<string, string>;
      readonly configs: readonly { readonly source: string; readonly target: string }[];
    };
  };
  readonly configs: Record<string, { readonly content: string }>;
};
const TEXT = readFileSync(join(import.meta.dir, "../../compose.yaml"), "utf8");
const COMPOSE = parse(TEXT) as Compose;
const { database, gateway: service } = COMPOSE.services;
const FILES = service.configs.map(
  ({ source, target }) => [target.replace("/etc/weir/", ""), COMPOSE.configs[source]?.content ?? ""] as const,
);

let server: PostgresServer;
let gateway: Gateway;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-compose-"));
  server = await startPostgres({ hba: ["host all all 127.0.0.1/32 scram-sha-256"] });
  server.psql(`ALTER ROLE postgres PASSWORD '${database.environment["POSTGRES_PASSWORD"]}'`);
  server.psql(`CREATE DATABASE ${database.environment["POSTGRES_DB"]}`);
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("its files pass the gateway's checks as they stand, without a warning", async () => {
  for (const [path, text] of FILES) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const checked = await runWeir(["check", "--offline"], { cwd: folder, env: service.environment });
  expect(checked).toEqual({ status: 0, stdout: "ok\n", stderr: "" });
});

test("the gateway starts with them, and the lines at its top work", async () => {
  const config = parse(COMPOSE.configs["gateway"]?.content ?? "") as {
    data: string;
    listen: { postgres: Record<string, unknown> };
    targets: Record<string, { postgres: Record<string, unknown> }>;
  };
  // Only where things are is this test's own.
  config.data = "./data";
  Object.assign(config.listen.postgres, { host: "127.0.0.1", port: 0 });
  Object.assign(config.targets["shop"]?.postgres ?? {}, { host: server.host, port: server.port });
  const policies = FILES.filter(([path]) => path.startsWith("policies/"));
  gateway = await startGateway({
    folder,
    env: service.environment,
    config,
    policyFiles: Object.fromEntries(policies.map(([path, text]) => [path.slice("policies/".length), text])),
  });
  const words = / gateway weir (token create .*)/u.exec(TEXT)?.[1]?.replace("--config /etc/weir/weir.yaml ", "") ?? "";
  const created = await runWeir(words.split(" "), { cwd: folder, env: service.environment });
  expect(created.status).toBe(0);
  const url = (/psql "(.*)"/u.exec(TEXT)?.[1] ?? "")
    .replace("TOKEN", created.stdout.trim())
    .replace(":6432/", `:${gateway.port}/`);
  const asked = Bun.spawnSync(["psql", "-X", "-A", "-t", url, "-c", "SELECT current_database()"]);
  expect(asked.stdout.toString()).toBe("shop\n");
});
