/** docs/quickstart.md: its files and its statements, tried in its order on a real server with a real gateway. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { runWeir, startGateway, type CommandResult, type Gateway } from "../gateway.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { fences, readPage } from "./pages.ts";

setDefaultTimeout(240_000);

const PAGE = readPage("docs/quickstart.md");
const SHOP = readFileSync(join(import.meta.dir, "../../src/cli/demo/shop.sql"), "utf8");
const blocks = (language: string): readonly string[] =>
  fences(PAGE)
    .filter((fence) => fence.language === language)
    .map(({ text }) => text);
const FILES = Object.fromEntries(blocks("yaml").map((text) => [text.slice(2, text.search(/[ \n]*\n/u)), text]));

let server: PostgresServer;
let gateway: Gateway;
let folder: string;
const env = { ORDERS_PASSWORD: "choose-one" };
const weir = async (args: readonly string[], more: Record<string, string> = {}): Promise<CommandResult> =>
  runWeir(args, { cwd: folder, env: { ...env, ...more } });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-quickstart-"));
  server = await startPostgres({ hba: ["host all all 127.0.0.1/32 scram-sha-256"] });
  server.psql("CREATE DATABASE orders");
  server.psql(SHOP, "orders");
  for (const sql of blocks("sql")) server.psql(sql, "orders");
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("the files are those that the page names, and all is well with them as they stand", async () => {
  expect(Object.keys(FILES)).toEqual([
    "weir.yaml",
    "policies/policy.yaml",
    "policies/vocabulary.yaml",
    "policies/permits/orders.yaml",
  ]);
  const checked = await weir(["check", "--offline"]);
  expect(checked).toEqual({ status: 0, stdout: "ok\n", stderr: "" });
});

test("the gateway starts, and answers as the page says", async () => {
  // Only the addresses are this test's own.
  const config = parse(FILES["weir.yaml"] ?? "") as {
    listen: { postgres: Record<string, unknown> };
    targets: Record<string, { postgres: Record<string, unknown> }>;
  };
  config.listen.postgres["port"] = 0;
  Object.assign(config.targets["orders-prod"]?.postgres ?? {}, {
    host: server.host,
    port: server.port,
    tls: "disable",
  });
  const policies = Object.entries(FILES).filter(([path]) => path.startsWith("policies/"));
  gateway = await startGateway({
    folder,
    env,
    config,
    policyFiles: Object.fromEntries(policies.map(([path, text]) => [path.slice("policies/".length), text])),
  });
  expect((await weir(["check"])).stdout).toBe("ok\n");

  const create = PAGE.split("\n").flatMap((line) => /\$\(weir (token create .*)\)/u.exec(line)?.[1] ?? []);
  expect(create).toHaveLength(2);
  const [bot = "", dana = ""] = await Promise.all(
    create.map(async (words) => (await weir(words.split(" "))).stdout.trim()),
  );
  const psql = async (token: string, sql: string): Promise<CommandResult> =>
    weir(["psql", "orders-prod", "-X", "-A", "-t", "-c", sql], { WEIR_TOKEN: token });

  const counted = await psql(bot, "SELECT count(*) FROM orders");
  expect(counted).toEqual({ status: 0, stdout: "400\n", stderr: "" });
  const refused = await psql(bot, "DELETE FROM orders");
  const shown = fences(PAGE).find(({ text }) => text.startsWith("ERROR:"))?.text ?? "";
  const withoutId = (text: string): string => text.replace(/\(id \S+\)/u, "(id)");
  expect(withoutId(refused.stderr)).toBe(withoutId(shown));
  expect((await psql(dana, "DO $$ BEGIN PERFORM 1; END $$")).stdout).toBe("DO\n");

  const url = `postgres://bot:${bot}@127.0.0.1:${gateway.port}/orders-prod?sslmode=require`;
  const direct = Bun.spawnSync(["psql", "-X", "-A", "-t", url, "-c", "SELECT count(*) FROM orders"]);
  expect(direct.stdout.toString()).toBe("400\n");

  const id = /\(id (\S+)\)/u.exec(refused.stderr)?.[1] ?? "";
  expect((await weir(["audit", "show", id])).stdout).toContain("deny  agent report-bot on orders-prod");
  expect((await weir(["audit", "tail", "--lines", "100"])).stdout).toContain(id);
  expect((await weir(["status"])).stdout).toContain("target    orders-prod (postgres) reachable");
});
