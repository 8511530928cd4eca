/** Sessions that came through a forward of another: the log, the commands and the exports say through which, and they end with it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { type LogEntry, LogReader } from "../../../src/audit/query.ts";
import type { CommandResult } from "../../gateway.ts";
import { missingGo, verifyIndependently } from "../../independent/verifier.ts";
import { freePort } from "../../servers/free-port.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { forwardsPermit, type PolicedSsh, rulesOf, runProgram, startPolicedSsh, withForwards } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

const PERMITS = rulesOf(
  "Permits",
  forwardsPermit("direct-tcpip", "db:5432", "db.nowhere:5432", "box:*"),
  `id: readers
    subject: { any: true }
    target: { names: [db] }
    action: { postgres: { verbs: [select], relations: [public.numbers] } }`,
  "{ id: commands, subject: { any: true }, target: { names: [box] }, action: { ssh: { argv: [[echo, '*']] } } }",
);

let postgres: PostgresServer;
let world: PolicedSsh;

beforeAll(async () => {
  postgres = await startPostgres({ sql: "CREATE TABLE numbers AS SELECT 42 AS n" });
  world = await startPolicedSsh({ "permits/all.yaml": PERMITS }, { postgres });
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

const weir = async (...args: readonly string[]): Promise<CommandResult> => world.gateway.weir(...args);

type Intent = Extract<LogEntry["leaf"], { shape: "intent" }>;

async function entries(): Promise<readonly LogEntry[]> {
  const reader = LogReader.open(join(world.gateway.folder, "data"));
  try {
    return await reader.tail(100_000);
  } finally {
    reader.close();
  }
}

/** An operation that a client asked for. */
function isClients(leaf: LogEntry["leaf"]): leaf is Intent {
  return leaf.shape === "intent" && leaf.decision.kind !== "house";
}

async function intents(): Promise<readonly Intent[]> {
  return (await entries()).map(({ leaf }) => leaf).filter(isClients);
}

/** The last one of this kind on this target. */
async function lastOf(kind: string, target: string): Promise<Intent> {
  const found = (await intents()).findLast((leaf) => leaf.operation.kind === kind && leaf.target.name === target);
  if (found === undefined) throw new Error(`there is no ${kind} on ${target} in the log`);
  return found;
}

function jsonLines({ stdout }: CommandResult): readonly Record<string, unknown>[] {
  return stdout
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs `work` with a client whose session came through a forward to the database. */
async function carried<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const port = await freePort();
  return withForwards(world, ["-L", `127.0.0.1:${port}:db:5432`], async () => {
    const client = new Client({ host: "127.0.0.1", port, user: "ann", database: "db", password: "" });
    client.on("error", () => {});
    await client.connect();
    try {
      expect((await client.query("SELECT n FROM numbers")).rows).toEqual([{ n: 42 }]);
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  });
}

test("each leaf of such a session names the outer session and its forward; others name none", async () => {
  await carried(async () => {});
  const forward = await lastOf("direct-tcpip", "box");
  const through = { operation: forward.id, session: forward.session.id };
  const inner = await lastOf("connect", "db");
  expect(inner.session.through).toEqual(through);
  const own = (await intents()).filter(({ session }) => session.id === inner.session.id);
  expect(own.map(({ operation }) => operation.kind)).toContain("query");
  expect(own.map(({ session }) => session.through)).toEqual(own.map(() => through));
  expect(forward.session.through).toBeUndefined();
});

test("weir sessions and weir audit search show it, and find by it", async () => {
  const [inner, forward] = await carried(async () => {
    const open = [await lastOf("connect", "db"), await lastOf("direct-tcpip", "box")] as const;
    const listed = jsonLines(await weir("sessions", "list", "--open", "--through", open[1].id, "--json"));
    expect(listed.map(({ id }) => id)).toEqual([open[0].session.id]);
    return open;
  });
  const [outerId, innerId] = [forward.session.id, inner.session.id];
  const shown = await weir("sessions", "show", innerId);
  expect(shown.stdout).toContain(`through   the forward ${forward.id} of the session ${outerId}\n`);
  const outer = await weir("sessions", "show", outerId);
  expect(outer.stdout).toContain(`carried   ${innerId} on db, `);
  expect(outer.stdout).not.toContain("through   ");
  const [view] = jsonLines(await weir("sessions", "show", innerId, "--json"));
  expect(view).toMatchObject({ id: innerId, through: { session: outerId, operation: forward.id } });
  for (const id of [outerId, forward.id]) {
    const listed = jsonLines(await weir("sessions", "list", "--through", id, "--json"));
    expect(listed.map((session) => session["id"])).toEqual([innerId]);
    const found = jsonLines(await weir("audit", "search", "--through", id, "--event", "operation.intent", "--json"));
    const sessions = found.map(({ leaf }) => (leaf as Intent).session.id);
    expect(sessions).toContain(innerId);
    expect(new Set(sessions).size).toBe(1);
  }
  expect((await weir("audit", "search", "--through", innerId)).stderr).toContain("nothing matches");
});

test("an export says it, and both verifiers take the log", async () => {
  await carried(async () => {});
  const inner = await lastOf("connect", "db");
  const csv = await weir("audit", "export", "--format", "csv");
  const [head = "", ...rows] = csv.stdout.trim().split("\n");
  expect(head.trim().split(",").slice(-2)).toEqual(['"throughSession"', '"throughOperation"']);
  const { session, operation } = inner.session.through ?? { session: "", operation: "" };
  expect(rows.some((row) => row.includes(inner.id) && row.trim().endsWith(`,"${session}","${operation}"`))).toBe(true);
  expect(await weir("audit", "verify")).toMatchObject({ status: 0 });
  if (missingGo !== null) return;
  const tiles = join(world.gateway.folder, "tiles");
  expect(await weir("audit", "export", "--format", "tiles", "--out", tiles)).toMatchObject({ status: 0 });
  const [shown] = jsonLines(await weir("audit", "keys", "--json"));
  expect(await verifyIndependently("tiles", tiles, "-key", String(shown?.["key"]))).toMatchObject({ ok: true });
});

test("one that is refused is in the log with what it came through", async () => {
  const port = await freePort();
  await withForwards(world, ["-L", `127.0.0.1:${port}:db.nowhere:5432`], async () => {
    const said = await runProgram(["psql", "-XAt", "-c", "SELECT 1", `host=127.0.0.1 port=${port} user=ann`]);
    expect(said.stderr).toContain("there is no target");
  });
  const forward = await lastOf("direct-tcpip", "box");
  // Nothing waits for this entry, so it may come a moment later.
  for (;;) {
    const refused = (await entries()).findLast(({ leaf }) => leaf.event === "session.refused")?.leaf;
    if (refused?.shape !== "event") {
      await Bun.sleep(20);
      continue;
    }
    const { session, id } = forward;
    expect(refused.facts).toMatchObject({ target: "db", throughSession: session.id, throughOperation: id });
    return;
  }
});

test("ssh -J: the session on the machine behind names the one that it came through", async () => {
  const command = [...world.ssh, "-J", `box@127.0.0.1:${world.port}`, "box@box", "echo", "here"];
  expect(await runProgram(command)).toEqual({ status: 0, stdout: "here\n", stderr: "" });
  const [exec, forward] = [await lastOf("exec", "box"), await lastOf("direct-tcpip", "box")];
  expect(exec.session.through).toEqual({ operation: forward.id, session: forward.session.id });
  expect(exec.session.id).not.toBe(forward.session.id);
});

test("when an administrator ends the outer session, the inner one ends with it, at its target too", async () => {
  await carried(async (client) => {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    client.on("end", resolve);
    const [inner, forward] = [await lastOf("connect", "db"), await lastOf("direct-tcpip", "box")];
    const killed = await weir("sessions", "kill", forward.session.id, "--reason", "enough");
    expect(killed.status).toBe(0);
    await ended;
    for (;;) {
      const open = jsonLines(await weir("sessions", "list", "--open", "--json"));
      if (open.length === 0) break;
      await Bun.sleep(20);
    }
    const all = await entries();
    const outcomeOf = (intent: Intent): string | undefined => {
      const later = all.find(({ leaf }) => leaf.shape === "outcome" && leaf.intent === intent.index)?.leaf;
      return later?.shape === "outcome" ? later.outcome.status : intent.outcome?.status;
    };
    expect([outcomeOf(inner), outcomeOf(forward)]).toEqual(["done", "cancelled"]);
    // Its server process ends a little after its connection.
    const left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%numbers%' AND pid <> pg_backend_pid()";
    while (postgres.psql(left) !== "0") await Bun.sleep(20);
  });
});
