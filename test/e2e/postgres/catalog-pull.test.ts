/** A catalog pulled from a real server: what it holds, and that SQL read with it alone is what the live gateway records. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { postgresAdapter } from "../../../adapters/postgres/adapter.ts";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import { isRefusal } from "../../../src/core/decision.ts";
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { Access } from "../../../src/core/operation.ts";
import type { CatalogTarget, DescribedText } from "../../../src/core/policy-tools.ts";
import { readCatalog } from "../../../src/policy/set/catalog.ts";
import { attacks, benignEntries, corpusSchema } from "../../corpus/masking.ts";
import { StatementGenerator } from "../../corpus/statements.ts";
import { fences, readPage, tableRows } from "../../docs/pages.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { WireClient, WireClosed } from "./wire-client.ts";

setDefaultTimeout(240_000);

const GENERATED = 300;
const SHOP = readFileSync(join(import.meta.dir, "../../../src/cli/demo/shop.sql"), "utf8");

let server: PostgresServer;
let gateway: Gateway;

beforeAll(async () => {
  server = await startPostgres();
  for (const database of ["corpus", "shop"]) server.psql(`create database ${database}`);
  server.psql(`${corpusSchema()}; alter database corpus set search_path = app, public`, "corpus");
  server.psql(SHOP, "shop");
  const target = { host: server.host, port: server.port, user: "postgres", tls: "disable" };
  gateway = await startGateway({
    targets: {
      corpus: { postgres: { ...target, database: "corpus" }, labels: { env: "prod" } },
      shop: { postgres: { ...target, database: "shop", databases: ["corpus"] } },
    },
  });
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

async function pull(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await gateway.weir("policy", "catalog", "pull", ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

function pulled(name: string): CatalogTarget {
  const path = `catalog/${name}.json`;
  const { catalog, problems } = readCatalog([{ path, bytes: readFileSync(join(gateway.folder, "policies", path)) }]);
  expect(problems).toEqual([]);
  const target = catalog.targets.get(name);
  if (target === undefined) throw new Error(`nothing was pulled of ${name}`);
  return target;
}

/** Accesses in an order that does not depend on who listed them. */
function normal(accesses: readonly { readonly class: string; readonly facts: object }[]): string {
  const inOrder = (_: string, value: unknown): unknown => {
    if (value === UNKNOWN) return null;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.toSorted();
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  return JSON.stringify(accesses.map((access) => JSON.stringify(access, inOrder)).toSorted());
}

async function describeAll(target: CatalogTarget, sql: string | readonly string[], place: string | null = null) {
  const described = await postgresAdapter.policy.describe("sql", sql, target, { place });
  if (isRefusal(described)) throw new Error(`${described.message}: ${JSON.stringify(sql)}`);
  return described;
}

/** What the log has of the operations with these texts, by the text's digest: the accesses that were decided on. */
async function recorded(): Promise<ReadonlyMap<string, { accesses: readonly Access[]; understood: boolean }>> {
  const { stdout } = await gateway.weir("audit", "tail", "--json", "--lines", "100000");
  const found = new Map<string, { accesses: readonly Access[]; understood: boolean }>();
  for (const line of stdout.split("\n")) {
    if (line === "") continue;
    const { leaf } = JSON.parse(line);
    if (leaf.event !== "operation.intent" || leaf.operation.kind !== "query") continue;
    if (leaf.operation.truncated !== undefined) continue;
    const accesses = leaf.operation.accesses as (Access & { truncated?: unknown })[];
    if (accesses.some((access) => access.truncated !== undefined)) continue;
    found.set(leaf.textSha256, { accesses, understood: leaf.operation.understood });
  }
  return found;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Runs each text through the gateway, on a session of its own and inside a transaction that is not committed, so that
 * none changes what the next one finds. Whether it succeeds does not matter.
 */
async function runEach(target: string, texts: readonly string[]): Promise<void> {
  const password = await gateway.token("ann");
  for (const text of texts) {
    const client = await WireClient.logIn(gateway, {
      database: target,
      password,
      parameters: { statement_timeout: "5000" },
    });
    try {
      await client.ask(encodeQuery("begin"));
      client.send(encodeQuery(text));
      // G: the server waits for COPY data, which is not what this is about.
      for (let type = ""; type !== "Z" && type !== "G";) type = (await client.next()).type;
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error;
    } finally {
      client.abandon();
    }
  }
}

/** Offline and live, for texts that can be sent as they are. */
async function compare(target: string, texts: readonly string[]): Promise<number> {
  await runEach(target, texts);
  const live = await recorded();
  const catalog = pulled(target);
  let compared = 0;
  for (const text of texts) {
    const then = live.get(sha256(text));
    // Not sent by the client, or too much of it to record.
    if (then === undefined) continue;
    const [now, ...more] = await describeAll(catalog, text);
    expect(more).toEqual([]);
    const where = `${target}: ${text}`;
    expect(`${where}\n${normal(now?.accesses ?? [])}`).toBe(`${where}\n${normal(then.accesses)}`);
    expect(`${where} ${now?.understood}`).toBe(`${where} ${then.understood}`);
    compared++;
  }
  return compared;
}

describe("what is pulled", () => {
  test("is written once, and is the same the next time", async () => {
    expect(await pull()).toContain("corpus: new, ");
    const first = readFileSync(join(gateway.folder, "policies/catalog/shop.json"), "utf8");
    expect(await pull()).toBe("corpus: unchanged\nshop: unchanged\n");
    expect(readFileSync(join(gateway.folder, "policies/catalog/shop.json"), "utf8")).toBe(first);
    expect(first).not.toContain("pg_catalog.pg_class");
  });

  test("names databases, relations, columns and functions, and leaves out what every server has", () => {
    const { names, unlisted, labels } = pulled("corpus");
    expect(labels).toEqual({ env: "prod" });
    expect(names["databases"]).toEqual(["corpus"]);
    expect(names["relations"]).toContain("app.customers");
    expect(names["columns"]).toContain("app.customers.email");
    // Neither an index nor a composite type is anything that a rule could mean.
    for (const name of ["app.customers_pkey", "app.contact_card"]) expect(names["relations"]).not.toContain(name);
    const text = readFileSync(join(gateway.folder, "policies/catalog/corpus.json"), "utf8");
    expect(text).toContain('"customers_pkey"');
    expect(text).toContain('["status","app.order_status"]');
    expect(names["functions"]).toContain("app.get_email");
    expect(
      Object.values(names)
        .flat()
        .filter((name) => name.startsWith("pg_catalog.")),
    ).toEqual([]);
    expect(unlisted["relations"]).toContain("pg_catalog.**");
    expect(pulled("shop").names["databases"]).toEqual(["corpus", "shop"]);
  });

  test("is what the bundled policies hold of the demo's shop", () => {
    const relationsOf = (target: CatalogTarget): unknown => {
      const { databases } = target.detail as { databases: Record<string, { relations: unknown }> };
      return databases["shop"]?.relations;
    };
    const path = "catalog/shop.json";
    const bundled = readCatalog([{ path, bytes: readFileSync(join(import.meta.dir, "../../../policies", path)) }]);
    const [shop] = bundled.catalog.targets.values();
    if (shop === undefined) throw new Error("the bundled policies have no catalog");
    expect(relationsOf(shop)).toEqual(relationsOf(pulled("shop")));
  });

  test("says what has changed, line by line", async () => {
    const before = readFileSync(join(gateway.folder, "policies/catalog/shop.json"), "utf8").split("\n");
    server.psql("alter table customers add column vat text; create table returns (id integer)", "shop");
    try {
      const check = await gateway.weir("policy", "catalog", "pull", "--check", "shop");
      expect(check.status).toBe(1);
      expect(await pull("shop")).toBe(
        [
          "shop: changed",
          "  + columns public.customers.vat",
          "  + columns public.returns.id",
          "  + relations public.returns",
          "",
        ].join("\n"),
      );
      const after = readFileSync(join(gateway.folder, "policies/catalog/shop.json"), "utf8").split("\n");
      expect(after.filter((line) => line.includes("vat")).map((line) => line.trim())).toEqual([
        '"public.customers.vat",',
        '["vat","text"]',
      ]);
      expect(after.length - before.length).toBeLessThan(15);
    } finally {
      server.psql("alter table customers drop column vat; drop table returns", "shop");
      await pull();
    }
  });

  test("leaves files of other targets alone, and tells of targets that cannot be read", async () => {
    const other = join(gateway.folder, "policies/catalog/elsewhere.json");
    const text = '{"apiVersion":"weir.dev/v1","kind":"Catalog","name":"elsewhere","adapter":"ssh"}';
    await Bun.write(other, text);
    await pull();
    expect(readFileSync(other, "utf8")).toBe(text);
    const wrong = await gateway.weir("policy", "catalog", "pull", "shopp");
    expect(wrong).toMatchObject({ status: 1 });
    expect(wrong.stderr).toContain("there is no target shopp");
  });
});

describe("SQL read with the pulled catalog alone is what the live gateway recorded:", () => {
  test("the table of docs/policies.md", async () => {
    const statements = tableRows(readPage("docs/policies.md"), "who").map(([, statement = ""]) =>
      statement.slice(1, -1),
    );
    const compared = await compare("shop", [...new Set(statements)]);
    expect(fences(readPage("docs/policies.md")).length).toBeGreaterThan(0);
    expect(compared).toBeGreaterThan(10);
  });

  test("known attacks and what drivers and tools send", async () => {
    const texts = [...attacks(), ...benignEntries()].flatMap(({ texts: sent }) =>
      sent.filter(({ name }) => name === "").map(({ sql }) => sql),
    );
    // Each alone on its session, so what it says of names of an earlier one is unknown to both.
    const distinct = [...new Set(texts)].filter((text) => !text.includes("$1") && !text.includes("%DB%"));
    expect(await compare("corpus", distinct)).toBeGreaterThan(200);
  });

  test(`${GENERATED} random statements`, async () => {
    const generator = new StatementGenerator(20261120);
    const texts = Array.from({ length: GENERATED }, () => generator.statement());
    expect(await compare("corpus", texts)).toBeGreaterThan(GENERATED / 2);
  });
});

const kinds = (described: readonly DescribedText[]) => described.map(({ accesses }) => accesses[0].class);

describe("a session of several texts", () => {
  test("sees what the texts before have set, and takes it back at a transaction's end", async () => {
    const catalog = pulled("corpus");
    const relationsOf = async (...texts: string[]) =>
      (await describeAll(catalog, texts)).map(({ accesses }) => accesses[0].facts["relations"]);
    // The database's own path is app, public; ext holds no customers.
    const app = ["app.customers"];
    expect(await relationsOf("set search_path = ext", "select id from customers")).toEqual([undefined, UNKNOWN]);
    expect(await relationsOf("select id from customers")).toEqual([app]);
    const local = await relationsOf(
      "begin",
      "set local search_path = ext",
      "select id from customers",
      "commit",
      "select id from customers",
    );
    expect([local[2], local[4]]).toEqual([UNKNOWN, app]);
    const rolledBack = await relationsOf("begin", "set search_path = ext", "rollback", "select id from customers");
    expect(rolledBack[3]).toEqual(app);
    const committed = await relationsOf("begin", "set search_path = ext", "commit", "select id from customers");
    expect(committed[3]).toBe(UNKNOWN);
    const reset = await relationsOf("set search_path = ext", "reset search_path", "select id from customers");
    expect(reset[2]).toEqual(app);
    const all = await relationsOf("set search_path = ext", "discard all", "select id from customers");
    expect(all[2]).toEqual(app);
    const quoted = await relationsOf("set search_path = 'ext', \"app\"", "select id from customers");
    expect(quoted[1]).toEqual(app);
  });

  test("knows what it has prepared and declared", async () => {
    const described = await describeAll(pulled("shop"), [
      "prepare s as select email from customers",
      "execute s",
      "begin",
      "declare c cursor for select id from orders",
      "fetch all from c",
      "commit",
    ]);
    expect(described[1]?.accesses[0].facts["columns"]).toEqual(["public.customers.email"]);
    expect(described[4]?.accesses[0].facts["relations"]).toEqual(["public.orders"]);
    expect(kinds(described)[5]).toBe("connect");
  });

  test("knows what was closed, and what RESET ALL leaves as it is", async () => {
    const lastOf = async (...texts: string[]) => (await describeAll(pulled("shop"), texts)).at(-1)?.understood;
    const prepare = "prepare s as select id from orders";
    expect(await lastOf(prepare, "execute s")).toBe(true);
    expect(await lastOf(prepare, "deallocate all", "execute s")).toBe(false);
    expect(await lastOf(prepare, "deallocate s", "execute s")).toBe(false);
    expect(await lastOf(prepare, "discard all", "execute s")).toBe(false);
    const declare = "declare c cursor for select id from orders";
    expect(await lastOf("begin", declare, "fetch c")).toBe(true);
    expect(await lastOf("begin", declare, "close all", "fetch c")).toBe(false);
    expect(await lastOf("begin", declare, "commit", "fetch c")).toBe(false);
    expect(await lastOf("begin", declare.replace("for", "with hold for"), "commit", "fetch c")).toBe(true);
    expect(await lastOf("set role somebody", "reset all", "select id from orders")).toBe(false);
    expect(await lastOf("set role somebody", "reset role", "select id from orders")).toBe(true);
  });

  test("says where only the server could tell", async () => {
    const refused = async (...texts: string[]) => {
      const described = await postgresAdapter.policy.describe("sql", texts, pulled("shop"), { place: null });
      return isRefusal(described) ? described.message : "read";
    };
    expect(await refused("do $$ begin end $$", "select id from orders")).toContain("text 2 cannot be read without");
    expect(await refused("select set_config('search_path', 'x', false)", "select 1")).toContain("write SET instead");
    expect(await refused("create table t (a int)", "select a from t")).toContain("give it a case of its own");
    expect(await refused("create temp table t (a int)", "select id from orders")).toBe("read");
  });

  test("is in the database that is asked for", async () => {
    const [described] = await describeAll(pulled("shop"), "select id from app.customers", "corpus");
    expect(described?.accesses[0].facts).toMatchObject({ databases: ["corpus"], relations: ["app.customers"] });
    const nowhere = await postgresAdapter.policy.describe("sql", "select 1", pulled("shop"), { place: "nowhere" });
    expect(nowhere).toMatchObject({ kind: "refusal", message: 'the catalog of shop has no database "nowhere"' });
  });
});

describe("a gateway that runs", () => {
  const tests = (expected: string) => `apiVersion: weir.dev/v1
kind: Tests
people: { ann: { kind: human } }
cases: [{ as: ann, target: shop, sql: drop table customers, expect: ${expected}, by: [everything] }]
`;

  async function problems(): Promise<readonly string[]> {
    const { stdout } = await gateway.weir("status", "--json");
    return JSON.parse(stdout).policy.problems;
  }

  test("takes a set whose tests pass with the pulled catalog, and no other", async () => {
    gateway.writePolicy("tests/shop.yaml", tests("deny"));
    while ((await problems()).length === 0);
    expect(await problems()).toEqual([
      "tests/shop.yaml:4:9 error TEST_FAILED ann on shop: drop table customers: expected deny, got permit",
    ]);
    gateway.writePolicy("tests/shop.yaml", tests("permit"));
    while ((await problems()).length > 0);
    expect((await gateway.weir("policy", "test")).stdout).toContain("1 case, all as expected; every rule decides one");
  });
});
