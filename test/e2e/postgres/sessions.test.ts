/** Sessions and searches from the command line: beside a gateway that serves a real PostgreSQL, and after its end. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, DatabaseError } from "pg";
import { type CommandResult, type Gateway, runWeir, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";

setDefaultTimeout(240_000);

const POLICIES = {
  "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
  "permits/shop.yaml": `apiVersion: weir.dev/v1
kind: Permits
rules:
  - id: reads
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select], relations: [public.orders] } }
  - id: sleeps
    subject: { any: true }
    target: { any: true }
    action: { postgres: { functions: [pg_catalog.pg_sleep] } }
`,
};

let folder: string;
let server: PostgresServer;
let gateway: Gateway;
let ann: Client;
let bot: Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-sessions-"));
  server = await startPostgres({
    sql: "CREATE TABLE orders AS SELECT id FROM generate_series(1, 5) id; CREATE TABLE payroll (id int)",
  });
  gateway = await startGateway({ postgres: server, policyFiles: POLICIES, folder });
  [ann, bot] = await Promise.all([connected("ann", "human"), connected("bot", "agent")]);
  await ann.query("SELECT id FROM orders");
  await ann.query("SELECT id FROM orders WHERE id < 3");
  expect(await codeOf(ann.query("SELECT id FROM payroll"))).toBe("42501");
  expect(await codeOf(ann.query("SELECT 1 / (id - id) FROM orders"))).toBe("22012");
  await bot.query("SELECT id FROM orders");
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function connected(subject: string, kind: "human" | "agent"): Promise<Client> {
  const client = new Client({ connectionString: await gateway.url("db", subject, kind) });
  // One that the gateway ends says so here as well as to its query.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function codeOf(query: Promise<unknown>): Promise<string | undefined> {
  return query.then(
    () => "none",
    (error: unknown) => (error instanceof DatabaseError ? error.code : String(error)),
  );
}

/** Waits until the search index has what is in the log now; a command by itself waits two seconds for it. */
async function indexed(): Promise<void> {
  for (;;) {
    const { status, stderr } = await gateway.weir("audit", "search", "--limit", "1");
    if (status === 0 && !stderr.includes("not in the search index yet")) return;
  }
}

type Line = Readonly<Record<string, unknown>>;

function lines({ status, stdout, stderr }: CommandResult): Line[] {
  if (status !== 0) throw new Error(stderr);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

async function sessionOf(subject: string): Promise<Line> {
  const [session] = lines(await gateway.weir("sessions", "list", "--subject", subject, "--json"));
  if (session === undefined) throw new Error(`there is no session of ${subject}`);
  return session;
}

test("open sessions are listed with what they did, and shown with their entries", async () => {
  await indexed();
  const open = lines(await gateway.weir("sessions", "list", "--open", "--json"));
  expect(open.map(({ subject }) => String(subject)).toSorted()).toEqual(["ann", "bot"]);
  const session = await sessionOf("ann");
  expect(session).toMatchObject({
    open: true,
    kind: "human",
    target: "db",
    adapter: "postgres",
    source: "127.0.0.1",
    ended: null,
    permitted: 3,
    refused: 1,
    failed: 1,
    rows: 7,
  });
  const id = String(session["id"]);
  const [first, ...entries] = lines(await gateway.weir("sessions", "show", id, "--json"));
  expect(first).toEqual(session);
  const events = entries.map(({ leaf }) => (leaf as Line)["event"]);
  expect(events.filter((event) => event === "operation.refusal")).toHaveLength(1);
  expect(events.filter((event) => event === "operation.intent").length).toBeGreaterThanOrEqual(4);
  const shown = await gateway.weir("sessions", "show", id);
  expect(shown.stdout).toContain("3 permitted, 1 refused, 1 failed; 7 rows");
  expect((await gateway.weir("sessions", "show", "none")).stderr).toContain("there is no session none");
  expect(lines(await gateway.weir("sessions", "list", "--target", "elsewhere", "--json"))).toEqual([]);
});

test("words find what was refused, with what it was about", async () => {
  const search = async (...args: string[]): Promise<Line[]> =>
    lines(await gateway.weir("audit", "search", ...args, "--json")).map(({ leaf }) => leaf as Line);
  await indexed();
  const [refused, ...others] = await search("public.payroll", "--event", "operation.refusal");
  expect(others).toEqual([]);
  expect(refused).toMatchObject({ subject: { name: "ann" }, decision: { kind: "deny", refusal: "denied" } });
  expect((await search("22012", "--outcome", "failed")).length).toBe(1);
  expect((await search("orders", "--subject", "bot", "--rule", "reads")).length).toBeGreaterThan(0);
  expect(await search("orders", "--subject", "nobody")).toEqual([]);
  const oldest = await search("--limit", "2", "--oldest");
  expect(oldest.map(({ index }) => index)).toEqual([0, 1]);
  expect(await search("--until", "1h")).toEqual([]);
  // All entries of the operation, by its id.
  const id = String(refused?.["id"]);
  const shown = lines(await gateway.weir("audit", "show", id, "--json")).map(({ leaf }) => leaf as Line);
  expect(shown.every((leaf) => leaf["id"] === id)).toBe(true);
  expect(shown[0]).toEqual(refused ?? {});
  const tail = lines(await gateway.weir("audit", "tail", "--decision", "deny", "--json"));
  expect(tail.map(({ leaf }) => (leaf as Line)["id"])).toContain(id);
  for (const bad of [["?"], ["--since", "yesterday"], ["--limit", "0"], ["--decision", "maybe"], ["x".repeat(200)]]) {
    expect((await gateway.weir("audit", "search", ...bad)).status).toBe(2);
  }
});

test("an administrator ends a session: the client is told why, and the log says who did it", async () => {
  const id = String((await sessionOf("bot"))["id"]);
  const running = bot
    .query("SELECT id FROM orders WHERE pg_sleep(60) IS NOT NULL")
    .catch((error: unknown) => String(error));
  const closed = Promise.withResolvers<void>();
  bot.once("end", closed.resolve);
  const killed = await gateway.weir("sessions", "kill", id, "--reason", "it hangs");
  expect(killed.stdout).toContain(`ended the session ${id} of bot on db`);
  await closed.promise;
  expect(await running).toContain("an administrator has ended this session");
  expect((await gateway.weir("sessions", "kill", id)).stderr).toContain(`no session ${id} is open`);
  expect(lines(await gateway.weir("sessions", "list", "--open", "--json")).map(({ subject }) => subject)).toEqual([
    "ann",
  ]);

  await indexed();
  const [event] = lines(await gateway.weir("audit", "search", "hangs", "--event", "session.killed", "--json"));
  const facts = { session: id, subject: "bot", target: "db", by: "local socket", reason: "it hangs" };
  expect(event?.["leaf"]).toMatchObject({ event: "session.killed", facts });
  expect(await sessionOf("bot")).toMatchObject({ open: false });
});

test("past sessions are there without a gateway", async () => {
  await ann.end();
  expect(await gateway.stop()).toBe(0);
  const listed = lines(await runWeir(["sessions", "list", "--json"], { cwd: folder }));
  expect(listed.map(({ subject, open }) => `${String(subject)} ${String(open)}`).toSorted()).toEqual([
    "ann false",
    "bot false",
  ]);
  expect(listed.every(({ ended }) => typeof ended === "string")).toBe(true);
  const none = await runWeir(["sessions", "kill", String(listed[0]?.["id"])], { cwd: folder });
  expect([none.status, none.stdout]).toEqual([1, ""]);
  // The index is made again from the log alone.
  for (const name of ["search.db", "search.db-wal", "search.db-shm"])
    rmSync(join(folder, "data", name), { force: true });
  expect(lines(await runWeir(["sessions", "list", "--json"], { cwd: folder }))).toEqual(listed);
});
