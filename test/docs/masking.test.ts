/** docs/masking.md: its set-up on a real server with a real gateway, its statements in both modes, and how each type is masked. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { parse } from "yaml";
import { runWeir, startGateway, type CommandResult, type Gateway } from "../gateway.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { fences, readPage, tableRows } from "./pages.ts";
import { endInTime } from "../end-in-time.ts";

setDefaultTimeout(240_000);

const PAGE = readPage("docs/masking.md");
const QUICKSTART = readPage("docs/quickstart.md");
const SHOP = readFileSync(join(import.meta.dir, "../../src/cli/demo/shop.sql"), "utf8");
const MODES = ["guarded", "inline"] as const;
const STATEMENTS = tableRows(PAGE, "who");
const TYPES = tableRows(PAGE, "type");
const inner = (cell: string): string => cell.slice(1, -1);

const blocks = (page: string, language: string): readonly string[] =>
  fences(page)
    .filter((fence) => fence.language === language)
    .map(({ text }) => text);
const pathOf = (text: string): string => text.slice(2, text.search(/[ :]*[\n:]/u));
const yamlOf = (page: string): Record<string, string> =>
  Object.fromEntries(blocks(page, "yaml").map((text) => [pathOf(text), text]));

type Config = { listen: { postgres: { port: number } }; targets: Record<string, Record<string, unknown>> };

const env = { ORDERS_PASSWORD: "choose-one", ORDERS_GOVERNED: "choose-another", PGPASSWORD: "admin" };
const clients = new Map<string, Client>();
let server: PostgresServer;
let gateway: Gateway;
let folder: string;
const weir = async (...args: readonly string[]): Promise<CommandResult> => runWeir(args, { cwd: folder, env });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-masking-page-"));
  server = await startPostgres({ hba: ["host all all 127.0.0.1/32 scram-sha-256"] });
  server.psql("ALTER ROLE postgres PASSWORD 'admin'; ");
  server.psql("CREATE DATABASE orders");
  for (const sql of [SHOP, ...blocks(QUICKSTART, "sql"), ...blocks(PAGE, "sql")]) server.psql(sql, "orders");
  const pages = { ...yamlOf(QUICKSTART), ...yamlOf(PAGE) };
  const { "weir.yaml": section = "", ...policies } = pages;
  // Only the addresses are this test's own, and the second target, which is the same one masked inline.
  const config = parse(yamlOf(QUICKSTART)["weir.yaml"] ?? "") as Config;
  config.listen.postgres.port = 0;
  const orders = config.targets["orders-prod"] ?? {};
  Object.assign(orders["postgres"] ?? {}, { host: server.host, port: server.port, tls: "disable" });
  config.targets["orders-inline"] = { ...orders, masking: { mode: "inline" } };
  Object.assign(orders, parse(section));
  write({ ...policies, "weir.yaml": JSON.stringify(config) });
});
afterAll(async () => {
  const ends = [...clients].map(async ([who, client]) => endInTime(`the session of ${who}`, client.end()));
  await Promise.all(ends);
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

test("its commands come to what it says", async () => {
  const commands = blocks(PAGE, "sh").flatMap((text) => [...text.matchAll(/^weir (.*)$/gmu)].map((call) => call[1]));
  expect(commands).toEqual([
    "targets prepare orders-prod",
    "targets prepare orders-prod --apply --user postgres",
    "targets check orders-prod",
    "check",
    "up",
  ]);
  expect((await weir("targets", "check", "orders-prod")).status).toBe(1);
  expect((await weir("targets", "prepare", "orders-prod")).stdout).toContain(
    'CREATE VIEW "weir_masks"."public.customers"',
  );
  const applied = await weir("targets", "prepare", "orders-prod", "--apply", "--user", "postgres");
  expect(applied.stderr).toBe("");
  expect(/prepared: \d+ of \d+ checks are good/u.exec(PAGE)?.[0]).toBe(applied.stdout.trim());
  const checked = await weir("targets", "check", "orders-prod");
  expect(checked).toMatchObject({ status: 0, stderr: "" });
  expect(applied.stdout).toContain(` ${checked.stdout.trim().split("\n").length} of `);
  expect(await weir("check")).toMatchObject({ status: 0, stdout: "ok\n" });
});

test("the gateway starts, with a table of all types beside", async () => {
  const columns = TYPES.map(([type = ""], index) => `c${index} ${inner(type)}`);
  server.psql(
    `CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN address AS text CHECK (VALUE LIKE '%@%');
    CREATE TABLE kinds (${columns.join(", ")}); INSERT INTO kinds DEFAULT VALUES; GRANT SELECT ON kinds TO weir_gateway`,
    "orders",
  );
  const head = "apiVersion: weir.dev/v1\nkind:";
  write({
    "policies/guards/kinds.yaml": `${head} Guards\nrules: [{ id: kinds-masked, action: { postgres: { columns: ["public.kinds.*"] } },
      except: [{ subject: { groups: [dba] }, reason: So it is. }], oblige: { mask: [{ with: redact }] } }]\n`,
    "policies/permits/kinds.yaml": `${head} Permits\nrules: [{ id: kinds, subject: { kinds: [agent], groups: [agents] },
      target: { any: true }, action: { postgres: { verbs: [select], relations: [public.kinds] } } }]\n`,
  });
  const applied = await weir("targets", "prepare", "orders-prod", "--apply", "--user", "postgres");
  expect(applied).toMatchObject({ status: 0, stderr: "" });
  gateway = await startGateway({
    folder,
    env,
    config: parse(readFileSync(join(folder, "weir.yaml"), "utf8")),
    policyFiles: {},
  });
  for (const [mode, target] of [
    ["guarded", "orders-prod"],
    ["inline", "orders-inline"],
  ] as const) {
    for (const [who, kind, groups] of [
      ["bot", "agent", ["agents"]],
      ["dana", "human", ["dba"]],
    ] as const) {
      const connectionString = await gateway.url(target, who, kind, groups);
      const client = new Client({ connectionString, ssl: { rejectUnauthorized: false } });
      await client.connect();
      clients.set(`${who} ${mode}`, client);
    }
  }
});

async function answerOf(client: Client | undefined, sql: string): Promise<string> {
  if (client === undefined) throw new Error("nobody is called so");
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return rows
      .flat()
      .map((cell: unknown) => (cell === null ? "NULL" : typeof cell === "string" ? cell : JSON.stringify(cell)))
      .join(", ");
  } catch (error) {
    const { message, code, hint } = error as Error & { code?: string; hint?: string };
    expect(code).toBe("42501");
    expect(hint).toBeTruthy();
    return message.split(" (id ")[0] ?? "";
  }
}

test("has its tables", () => expect([STATEMENTS.length > 20, TYPES.length > 12]).toEqual([true, true]));

for (const mode of MODES) {
  describe(mode, () => {
    for (const [who = "", statement = "", guarded = "", inline = ""] of STATEMENTS) {
      test(`${who}: ${statement}`, async () => {
        const client = clients.get(`${who} ${mode}`);
        await client?.query("BEGIN");
        const answer = await answerOf(client, inner(statement));
        await client?.query("ROLLBACK");
        expect(answer).toBe(mode === "guarded" || inline === "the same" ? guarded : inline);
      });
    }

    test("how each type is redacted", async () => {
      const client = clients.get(`bot ${mode}`);
      await client?.query("SET timezone = 'UTC'");
      const shown = TYPES.map((_, index) => `coalesce(c${index}::text, 'NULL')`).join(" || '; ' || ");
      const wanted = TYPES.map(([, redacted = ""]) => (redacted === "NULL" ? redacted : inner(redacted))).join("; ");
      expect(await answerOf(client, `SELECT ${shown} FROM kinds`)).toBe(wanted);
    });
  });
}
