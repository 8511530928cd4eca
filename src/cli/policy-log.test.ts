/** `weir policy explain --decision` and `weir policy backtest` on the log of a real gateway, beside it and after it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { runWeir, startGateway } from "../../test/gateway.ts";
import type { Gateway } from "../../test/gateway.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import type { PostgresServer } from "../../test/servers/postgres.ts";
import { writeFiles } from "../../test/policy-sets.ts";

setDefaultTimeout(240_000);

const HEAD = "apiVersion: weir.dev/v1\n";
const permits = (more = ""): string => `${HEAD}kind: Permits
rules:
  - id: readers
    subject: { groups: [readers] }
    target: { names: [db] }
    action: { postgres: { verbs: [select], relations: [public.orders${more}] } }
`;
const POLICY = {
  "policy.yaml": `${HEAD}kind: PolicySet\nname: test\n`,
  "vocabulary.yaml": `${HEAD}kind: Vocabulary\ngroups: { readers: readers }\n`,
  "permits/readers.yaml": permits(),
};

let folder: string;
let server: PostgresServer;
let gateway: Gateway;
/** The id that each refusal quotes. */
const refused: string[] = [];

async function git(...args: string[]): Promise<string> {
  const command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", ...args];
  const child = Bun.spawn(command, { cwd: join(folder, "policies"), stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return text.trim();
}

type Status = { readonly policy: { readonly commit: string | null } };

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(50);
}

/** Of the operation that was decided last. */
async function lastId(): Promise<string> {
  const { stdout } = await gateway.weir("audit", "tail", "--lines", "50", "--json");
  const ids = stdout
    .split("\n")
    .flatMap((line) => /"id":"([^"]+)","index":\d+,"operation":\{"accesses":\[\{"class":"read"/u.exec(line)?.[1] ?? []);
  return ids.at(-1) ?? "none";
}

async function query(sql: string): Promise<void> {
  const client = new Client({ connectionString: await gateway.url("db", "ann", "human", ["readers"]) });
  await client.connect();
  try {
    await client.query(sql);
  } catch (error) {
    const id = /\(id ([^)\s]+)\)/u.exec(error instanceof Error ? error.message : "")?.[1];
    if (id === undefined) throw error;
    refused.push(id);
  } finally {
    await client.end();
  }
}

async function start(): Promise<Gateway> {
  return startGateway({ postgres: server, policyFiles: POLICY, folder });
}

beforeAll(async () => {
  server = await startPostgres({ sql: "CREATE TABLE orders (id int); CREATE TABLE payments (id int)" });
  folder = mkdtempSync(join(tmpdir(), "weir-policy-log-"));
  writeFiles(join(folder, "policies"), POLICY);
  await git("init", "-q", "-b", "main");
  await git("add", "-A");
  await git("commit", "-q", "-m", "one");
  await git("checkout", "-q", "-b", "wider");
  writeFiles(join(folder, "policies"), { "permits/readers.yaml": permits(", public.payments") });
  await git("commit", "-q", "-a", "-m", "two");
  await git("checkout", "-q", "main");
  gateway = await start();
  for (let at = 0; at < 3; at++) await query("SELECT id FROM orders");
  for (let at = 0; at < 2; at++) await query("SELECT id FROM payments");
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a refusal's id is enough to explain it, beside the running gateway", async () => {
  const result = await gateway.weir("policy", "explain", "--decision", refused[0] ?? "");
  expect([result.status, result.stderr]).toEqual([0, ""]);
  expect(result.stdout).toStartWith(`deny  operation ${refused[0]}\n  no rule permits select on public.payments\n`);
  expect(result.stdout).toContain("  ann (human of readers) on db at ");
  expect(result.stdout).toMatch(/permit readers {2}permits\/readers.yaml:4 {2}no, but nearest/u);
  expect(result.stdout).toMatch(/action\.postgres\.relations +no +public\.payments is not listed/u);
});

test("it is explained by the set that decided, when its commit can be had", async () => {
  const first = refused[0] ?? "";
  const before = JSON.parse((await gateway.weir("policy", "explain", "--decision", first, "--json")).stdout) as object;
  gateway.writePolicy("permits/readers.yaml", permits(", public.payments"));
  const after = await gateway.weir("policy", "explain", "--decision", first, "--json");
  expect(after.stderr).toBe("");
  expect(JSON.parse(after.stdout)).toEqual(before);
  // What is decided now is decided by a set that no commit has.
  await until(
    async () => (JSON.parse((await gateway.weir("status", "--json")).stdout) as Status).policy.commit === "dirty",
  );
  await query("SELECT id FROM payments");
  const id = await lastId();
  expect((await gateway.weir("policy", "explain", "--decision", id)).stdout).toStartWith("permit  operation");
  await git("checkout", "-q", "permits/readers.yaml");
  const gone = await gateway.weir("policy", "explain", "--decision", id);
  expect(gone.stdout).toStartWith("deny  operation");
  expect(gone.stderr).toContain(" is not here: this is what the policies as they are now say.");
  expect(gone.stderr).toContain("It was recorded as permit by readers");
});

test("recorded operations are decided again under another set", async () => {
  const result = await gateway.weir("policy", "backtest", "main..wider", "--since", "1h", "--json");
  expect([result.status, result.stderr]).toEqual([0, ""]);
  const view = JSON.parse(result.stdout) as { operations: number; changes: object[] };
  expect(view.operations).toBeGreaterThan(5);
  expect(view).toMatchObject({
    incomplete: 0,
    changes: [
      {
        kind: "access",
        widens: true,
        rules: [{ id: "readers", state: "changed", file: "permits/readers.yaml", line: 4 }],
        was: "refused",
        is: "permitted",
        who: [["ann on db", expect.any(Number) as unknown]],
      },
    ],
  });
  const lines = (await gateway.weir("policy", "backtest", "main..wider")).stdout.split("\n");
  expect(lines[0]).toBe("WIDENS   readers (changed): permitted");
  expect(lines[1]).toContain(`: ann on db (`);
  expect(lines[1]).toContain(refused[0] ?? "none");
  expect(lines[2]).toMatch(
    /^Of \d+ operations since \d{4}-\d\d-\d\d \d\d:\d\d UTC, \d+ would be decided otherwise\.$/u,
  );
  const same = await gateway.weir("policy", "backtest", "main..main");
  expect(same.stdout).toContain(", none would be decided otherwise.");
});

test("a wrong call says what to do", async () => {
  const wrong: readonly [args: string[], status: number, message: string][] = [
    [["explain", "--decision", "nonsense"], 1, "weir: the log has no operation nonsense"],
    [["explain", "--decision", "x", "--as", "ann"], 2, "--as does not go with --decision"],
    [["backtest", "main..wider", "--since", "soon"], 2, "--since: a duration is"],
    [["backtest", "main"], 1, "main is not OLD..NEW"],
  ];
  for (const [args, status, message] of wrong) {
    const each = await gateway.weir("policy", ...args);
    expect(each.stderr).toContain(message);
    expect(each.status).toBe(status);
  }
  for (const args of [
    ["explain", "--decision", "x"],
    ["backtest", "main..wider"],
  ]) {
    const each = await runWeir(["policy", ...args, "--policies", join(folder, "policies")]);
    expect(each.stderr).toContain("the log is found by the configuration");
  }
});

test("the log of a gateway that has stopped is read as well", async () => {
  expect(await gateway.stop()).toBe(0);
  const result = await runWeir(["policy", "explain", "--decision", refused[0] ?? "", "--config", gateway.configFile]);
  expect(result.stdout).toStartWith("deny  operation");
  const backtest = await runWeir(["policy", "backtest", "main..wider", "--config", gateway.configFile]);
  expect(backtest.stdout).toStartWith("WIDENS   readers (changed): permitted");
  gateway = await start();
});
