/** docs/policies.md: its files are a set without a complaint, and a real gateway answers as its table says. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { POSTGRES_VOCABULARY } from "../../adapters/postgres/vocabulary.ts";
import { checkPolicies } from "../../src/policy/check.ts";
import { startGateway, type Gateway } from "../gateway.ts";
import { withFolder, writeFiles } from "../policy-sets.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { fences, readPage, tableRows } from "./pages.ts";
import { endInTime } from "../end-in-time.ts";

setDefaultTimeout(240_000);

const PAGE = readPage("docs/policies.md");
const SHOP = readFileSync(join(import.meta.dir, "../../src/cli/demo/shop.sql"), "utf8");
const TARGET = { name: "orders-prod", adapter: "postgres", labels: { env: "prod" }, settings: null };

/** Each block of YAML is one file, whose path stands in its first line. */
const FILES = Object.fromEntries(
  fences(PAGE)
    .filter(({ language }) => language === "yaml")
    .map(({ text }) => [text.slice(2, text.indexOf("\n")), text]),
);

/** They need the catalog of a live server, so they come after the gateway has started. */
const TESTS = "tests/shop.yaml";

const PEOPLE: Readonly<Record<string, readonly [kind: "human" | "agent", groups: readonly string[]]>> = {
  bot: ["agent", ["agents"]],
  ann: ["human", []],
  dana: ["human", ["dba"]],
};

describe("the files of docs/policies.md", () => {
  test("are a whole set, and the gateway has only to say what the page says of wide permits", async () => {
    expect(Object.keys(FILES).toSorted()).toEqual([
      "guards/agents.yaml",
      "guards/production.yaml",
      "guards/schema.yaml",
      "permits/agents.yaml",
      "permits/dba.yaml",
      "permits/owners.yaml",
      "permits/people.yaml",
      "permits/reports.yaml",
      "policy.yaml",
      "tests/shop.yaml",
      "vocabulary.yaml",
    ]);
    await withFolder(FILES, async (dir) => {
      expect(await checkPolicies(dir, [POSTGRES_VOCABULARY], [TARGET])).toEqual([]);
    });
  });

  test("the smallest set is one, and its example of an error is one", async () => {
    const smallest = {
      "policy.yaml": FILES["policy.yaml"] ?? "",
      "permits/people.yaml": FILES["permits/people.yaml"] ?? "",
    };
    await withFolder(smallest, async (dir) => {
      expect(await checkPolicies(dir, [POSTGRES_VOCABULARY], [TARGET])).toEqual([]);
    });
    const wrong = smallest["permits/people.yaml"]
      .replace("orders-prod", "orders-prd")
      .replace("# permits/people.yaml\n", "");
    await withFolder({ ...smallest, "permits/people.yaml": wrong }, async (dir) => {
      const [problem, ...others] = await checkPolicies(dir, [POSTGRES_VOCABULARY], [TARGET]);
      expect(others).toEqual([]);
      if (problem === undefined) throw new Error("there is no problem");
      const { file, line, column, severity, code, message, suggestion } = problem;
      const shown = fences(PAGE).map(({ text }) => text);
      expect(shown).toContain(`policies/${file}:${line}:${column} ${severity} ${code} ${message}. ${suggestion}\n`);
    });
  });

  test("every code that the page names is one of the engine's", async () => {
    const known = readFileSync(join(import.meta.dir, "../../src/policy/problems.ts"), "utf8");
    const named = [...PAGE.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/gu)].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThan(4);
    expect(named.filter((code) => !known.includes(`| "${code}"`))).toEqual([]);
  });
});

describe("the table of docs/policies.md", () => {
  let server: PostgresServer;
  let gateway: Gateway;
  const clients = new Map<string, Client>();
  const rows = tableRows(PAGE, "who");

  beforeAll(async () => {
    server = await startPostgres({ sql: SHOP });
    gateway = await startGateway({
      targets: {
        "orders-prod": {
          postgres: { host: server.host, port: server.port, database: "postgres", user: "postgres", tls: "disable" },
          labels: { env: "prod" },
        },
      },
      policyFiles: Object.fromEntries(Object.entries(FILES).filter(([path]) => path !== TESTS)),
    });
    for (const [name, [kind, groups]] of Object.entries(PEOPLE)) {
      const client = new Client({ connectionString: await gateway.url("orders-prod", name, kind, groups) });
      await client.connect();
      clients.set(name, client);
    }
  });
  afterAll(async () => {
    const ends = [...clients].map(async ([who, client]) => endInTime(`the session of ${who}`, client.end()));
    await Promise.all(ends);
    await gateway.stop();
    await server.stop();
  });

  test("agrees with the page's own tests, every rule of which decides a case", async () => {
    const pulled = await gateway.weir("policy", "catalog", "pull");
    expect(pulled.status).toBe(0);
    writeFiles(join(gateway.folder, "policies"), { [TESTS]: FILES[TESTS] ?? "" });
    const { stdout, stderr } = await gateway.weir("policy", "test", "--quiet");
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe("13 cases, all as expected; every rule decides one");
  });

  test("has rows", () => expect(rows.length).toBeGreaterThan(15));

  for (const [who = "", statement = "", answer = ""] of rows) {
    test(`${who}: ${statement}`, async () => {
      const client = clients.get(who);
      if (client === undefined) throw new Error(`nobody is called ${who}`);
      const said = await client.query(statement.slice(1, -1)).then(
        () => "permitted",
        (error: Error & { code?: string }) =>
          error.code === "42501" ? error.message.split(" (id ")[0] : `${error.code} ${error.message}`,
      );
      expect(said).toBe(answer);
    });
  }
});
