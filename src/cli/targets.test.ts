/** `weir targets` and what `weir check` says of masking: real processes on a real server, with logins that need passwords. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";
import { startPostgres, type PostgresServer } from "../../test/servers/postgres.ts";

setDefaultTimeout(240_000);

const SQL = `
  CREATE ROLE weir LOGIN PASSWORD 'w'; CREATE ROLE dba SUPERUSER LOGIN PASSWORD 'admin''s';
  CREATE DATABASE shop; CREATE DATABASE other;`;
const SHOP = `
  CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users VALUES (1, 'ann@example.com');
  GRANT SELECT ON users TO weir;`;
const GUARD = `apiVersion: weir.dev/v1
kind: Guards
rules:
  - { id: pii, target: { names: [shop, plain, far] }, action: { postgres: { columns: [public.users.email] } }, oblige: { mask: [{ with: hash }] } }
`;

let server: PostgresServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-targets-"));
  server = await startPostgres({
    hba: ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256"],
    settings: { password_encryption: "scram-sha-256" },
    sql: SQL,
  });
  for (const database of ["shop", "other"]) server.psql(SHOP, database);
  const address = { host: server.host, port: server.port, database: "shop", user: "weir", password: "w" };
  const masking = { mode: "guarded", user: "weir_governed", password: "g'ov" };
  mkdirSync(join(folder, "policies/guards"), { recursive: true });
  writeFileSync(join(folder, "policies/policy.yaml"), "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n");
  writeFileSync(join(folder, "policies/guards/pii.yaml"), GUARD);
  const targets = {
    shop: { postgres: { ...address, databases: ["other"] }, masking, labels: { env: "test" } },
    plain: { postgres: address },
    unmasked: { postgres: address, masking: { mode: "inline" } },
    far: { postgres: { ...address, port: 1 }, masking },
  };
  const config = { name: "gw", listen: { postgres: { port: 0 } }, targets };
  writeFileSync(join(folder, "weir.yaml"), JSON.stringify(config, null, 2));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function weir(args: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> {
  return runWeir(args, { cwd: folder, env });
}

const lines = (text: string): unknown[] =>
  text.split("\n").flatMap((line): unknown[] => (line === "" ? [] : [JSON.parse(line)]));

/** What a login gets from psql over TCP. */
function as(user: string, password: string, sql: string, database = "shop"): string {
  const result = Bun.spawnSync(
    ["psql", "-X", "-q", "-A", "-t", "-h", server.host, "-p", `${server.port}`, "-U", user, database, "-c", sql],
    { stdout: "pipe", stderr: "pipe", env: { PATH: process.env["PATH"] ?? "", PGPASSWORD: password } },
  );
  return `${result.stdout.toString()}${result.stderr.toString()}`.trim();
}

describe("weir targets list", () => {
  test("shows addresses, labels, masking and what cannot be reached, but no password", async () => {
    const list = await weir(["targets", "list"]);
    expect(list.status).toBe(1);
    const at = `127.0.0.1:${server.port}/shop`;
    expect(list.stdout).toContain(`shop  postgres  ${at}  env=test  masked guarded  reachable\n`);
    expect(list.stdout).toContain(`plain  postgres  ${at}  masked inline  reachable\n`);
    expect(list.stdout).toContain("far  postgres  127.0.0.1:1/shop  masked guarded  NOT REACHABLE: ");
    const json = await weir(["targets", "list", "--json"]);
    expect(lines(json.stdout)[0]).toEqual({
      name: "shop",
      adapter: "postgres",
      address: at,
      labels: { env: "test" },
      masking: "guarded",
      problem: null,
    });
    expect(list.stdout + json.stdout).not.toContain("g'ov");
  });
});

describe("called wrongly", () => {
  test.each([
    [["targets", "prepare", "shop", "--apply"], 2, "weir: --apply needs an administrator's login: --user ADMIN"],
    [["targets", "prepare", "shop", "--user", "dba"], 2, "weir: --user is for --apply"],
    [["targets", "prepare", "shp"], 1, 'weir: there is no target shp; did you mean "shop"?'],
    [["targets", "check", "plain"], 1, "weir: plain is not in guarded mode"],
    [["targets", "check", "unmasked"], 1, "weir: unmasked is not in guarded mode"],
    [["targets", "check", "shop", "--database", "nope"], 2, "weir: the target shop has no database nope"],
    [["targets", "check", "far"], 1, 'weir: the target "far" '],
  ])("%p", async (args, status, message) => {
    const result = await weir(args);
    expect([result.status, result.stdout]).toEqual([status, ""]);
    expect(result.stderr).toStartWith(message);
  });
});

// One test: each part begins with what the one before it has left.
test("a guarded target from nothing to nothing", async () => {
  await saysWhatIsMissing();
  await printsAScript();
  await refusesALogin();
  await applies();
  await isGood();
  await preparesAnother();
  await showsWhatFails();
  await removes();
});

/** Check says what is missing, weir check too. */
async function saysWhatIsMissing(): Promise<void> {
  const check = await weir(["targets", "check", "shop"]);
  expect(check.status).toBe(1);
  expect(check.stdout).toContain("FAIL  there is no role weir_governed. Run weir targets prepare with --apply.");
  const all = await weir(["check", "--json"]);
  expect(JSON.parse(all.stdout)).toMatchObject({
    ok: false,
    problems: expect.arrayContaining([
      expect.objectContaining({
        severity: "error",
        code: "NOT_GUARDED",
        line: expect.any(Number) as number,
        message: expect.stringContaining("shop, database shop: there is no role weir_governed") as string,
      }),
      expect.objectContaining({
        code: "NOT_GUARDED",
        message: expect.stringContaining("shop, database other: ") as string,
      }),
      expect.objectContaining({
        severity: "warning",
        code: "INLINE_MASKING",
        message: expect.stringContaining("write masking: { mode: guarded, user: weir_governed") as string,
      }),
    ]) as unknown[],
  });
  expect(all.stdout.split("INLINE_MASKING").length).toBe(2);
}

/** Prepare prints a script without the password. */
async function printsAScript(): Promise<void> {
  const [text, json] = await Promise.all([
    weir(["targets", "prepare", "shop"]),
    weir(["targets", "prepare", "shop", "--json"]),
  ]);
  expect([text.status, json.status]).toEqual([0, 0]);
  const printed: unknown = JSON.parse(json.stdout);
  expect(printed).toEqual({ target: "shop", database: "shop", script: text.stdout });
  expect(text.stdout).toContain('--   \\password "weir_governed"');
  expect(text.stdout).not.toContain("SCRAM-SHA-256$");
  expect(text.stdout).not.toContain("g'ov");
}

/** A refused login changes nothing, and says why. */
async function refusesALogin(): Promise<void> {
  const wrong = await weir(["targets", "prepare", "shop", "--apply", "--user", "dba"], { PGPASSWORD: "wrong" });
  expect([wrong.status, wrong.stdout]).toEqual([1, ""]);
  expect(wrong.stderr).toContain("password authentication failed");
  const poor = await weir(["targets", "prepare", "shop", "--apply", "--user", "weir"], { PGPASSWORD: "w" });
  expect([poor.status, poor.stdout]).toEqual([1, ""]);
  expect(poor.stderr).toStartWith("weir: nothing was changed: permission denied to create role");
}

/** --apply prepares it, with the login's password. */
async function applies(): Promise<void> {
  const applied = await weir(["targets", "prepare", "shop", "--apply", "--user", "dba"], { PGPASSWORD: "admin's" });
  expect([applied.stderr, applied.status]).toEqual(["", 0]);
  expect(applied.stdout).toMatch(/^prepared: (\d+) of \1 checks are good\n$/u);
  expect(as("weir_governed", "g'ov", "SELECT id FROM users")).toBe("1");
  expect(as("weir_governed", "g'ov", "SELECT email FROM users")).toContain("permission denied for table users");
  expect(as("weir_governed", "g'ov", 'SELECT length("email (hash)") FROM weir_masks."public.users"')).toBe("64");
  expect(as("weir_governed", "wrong", "SELECT 1")).toContain("password authentication failed");
  expect(
    server.psql("SELECT rolpassword ~ '^SCRAM-SHA-256\\$4096:' FROM pg_authid WHERE rolname = 'weir_governed'"),
  ).toBe("t");
}

/** Check is good then, and says so as JSON. */
async function isGood(): Promise<void> {
  const check = await weir(["targets", "check", "shop", "--json"]);
  expect(check.status).toBe(0);
  const found = lines(check.stdout);
  expect(found).toContainEqual({
    about: "columns public.users",
    ok: true,
    text: "public.users: weir_governed cannot read email",
    hint: "",
    vital: true,
  });
  expect(found.every((line) => typeof line === "object" && line !== null && "ok" in line && line.ok === true)).toBe(
    true,
  );
}

/** Another of the target's databases is its own matter. */
async function preparesAnother(): Promise<void> {
  const before = await weir(["targets", "check", "shop", "--database", "other"]);
  expect(before.status).toBe(1);
  expect(before.stdout).toContain("FAIL  public.users: its masking view is not there.");
  const json = await weir(["targets", "prepare", "shop", "--database", "other", "--apply", "--user", "dba", "--json"], {
    PGPASSWORD: "admin's",
  });
  expect(JSON.parse(json.stdout)).toMatchObject({ target: "shop", database: "other", done: "prepared" });
  expect((await weir(["targets", "check", "shop", "--database", "other"])).status).toBe(0);
  expect((await weir(["targets", "check", "shop"])).status).toBe(0);
  expect((await weir(["check", "--json"])).stdout).not.toContain("NOT_GUARDED");
}

/** A line that fails is shown with what to do, and weir check fails by it. */
async function showsWhatFails(): Promise<void> {
  server.psql("GRANT SELECT ON users TO PUBLIC", "shop");
  const check = await weir(["targets", "check", "shop"]);
  expect(check.status).toBe(1);
  expect(check.stdout).toContain(
    "FAIL  public.users: weir_governed can read email. Run weir targets prepare with --apply",
  );
  const all = await weir(["check"]);
  expect(all.stderr).toContain("error NOT_GUARDED shop, database shop: public.users: weir_governed can read email.");
  server.psql("REVOKE SELECT ON users FROM PUBLIC", "shop");
}

/** --remove takes everything away. */
async function removes(): Promise<void> {
  expect((await weir(["targets", "prepare", "shop", "--remove"])).stdout).toContain("Undoes the guarded masking");
  for (const database of ["shop", "other"]) {
    const removed = await weir(
      ["targets", "prepare", "shop", "--database", database, "--remove", "--apply", "--user", "dba"],
      { PGPASSWORD: "admin's" },
    );
    expect([removed.status, removed.stdout, removed.stderr]).toEqual([0, "removed\n", ""]);
  }
  expect(server.psql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'weir\\_%'")).toBe("0");
  expect(server.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'weir_masks'", "shop")).toBe("0");
}
