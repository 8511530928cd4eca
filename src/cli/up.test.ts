/** A gateway from end to end before a real PostgreSQL: psql through it, tokens that end, and how it shuts down. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environment, runWeir, startGateway, weirCommand } from "../../test/gateway.ts";
import type { CommandResult, Gateway, GatewayOptions } from "../../test/gateway.ts";
import { startPostgres } from "../../test/servers/postgres.ts";
import type { PostgresServer } from "../../test/servers/postgres.ts";

setDefaultTimeout(240_000);

let server: PostgresServer;
let folder: string;
beforeAll(async () => {
  server = await startPostgres();
  folder = mkdtempSync(join(tmpdir(), "weir-up-"));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function withGateway(options: Partial<GatewayOptions>, work: (gateway: Gateway) => Promise<void>): Promise<void> {
  const gateway = await startGateway({ postgres: server, ...options });
  try {
    await work(gateway);
  } finally {
    await gateway.stop("SIGKILL");
  }
}

async function psql(gateway: Gateway, token: string, sql: string): Promise<CommandResult> {
  const args = [
    "psql",
    "--config",
    gateway.configFile,
    "db",
    "--no-psqlrc",
    "--tuples-only",
    "--no-align",
    "--command",
    sql,
  ];
  return runWeir(args, { cwd: gateway.folder, env: { WEIR_TOKEN: token } });
}

/** Writes to a pipe until there is no room for more. */
function fill(pipe: number): void {
  try {
    for (;;) writeSync(pipe, Buffer.alloc(1));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
  }
}

let locks = 1000;
/** A statement that runs until it is let go: it waits for a lock that a session of the test's own holds. */
async function heldStatement(
  gateway: Gateway,
  token: string,
): Promise<{ done: Promise<CommandResult>; letGo(): void }> {
  const lock = locks++;
  const holder = Bun.spawn(
    ["psql", "--no-psqlrc", "--quiet", server.url(), "--command", `select pg_advisory_lock(${lock})`, "--file", "-"],
    {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  await until(
    async () =>
      countOf(`select count(*) from pg_locks where locktype = 'advisory' and objid = ${lock} and granted`) === 1,
  );
  const done = psql(gateway, token, `select 'finished' from pg_advisory_lock(${lock})`);
  await until(
    async () =>
      countOf(`select count(*) from pg_locks where locktype = 'advisory' and objid = ${lock} and not granted`) === 1,
  );
  return { done, letGo: () => holder.kill() };
}

function countOf(sql: string): number {
  return Number(server.psql(sql));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("this did not come true within two minutes");
    await Bun.sleep(20);
  }
}

async function events(gateway: Gateway): Promise<{ event: string; facts?: Record<string, unknown> }[]> {
  const { stdout } = await gateway.weir("audit", "tail", "--json", "--lines", "1000");
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { leaf: { event: string } }).leaf);
}

describe("weir psql", () => {
  for (const tls of ["auto", "off"] as const) {
    test(`gets through with tls ${tls}, and not with a token that is none`, async () => {
      await withGateway({ tls }, async (gateway) => {
        const result = await psql(gateway, await gateway.token("ann"), "select 6 * 7");
        expect([result.stderr, result.stdout, result.status]).toEqual(["", "42\n", 0]);
        const refused = await psql(gateway, "weir_nothing", "select 6 * 7");
        expect([refused.stdout, refused.status]).toEqual(["", 2]);
        expect(refused.stderr).toContain("the token is not valid");
      });
    });
  }
});

describe("a revoked token", () => {
  test("gets nobody in any more", async () => {
    await withGateway({}, async (gateway) => {
      const token = await gateway.token("bot", "agent");
      expect((await psql(gateway, token, "select 1")).status).toBe(0);
      await gateway.weir("token", "revoke", token.slice(5, 17));
      expect((await psql(gateway, token, "select 1")).stderr).toContain("the token is not valid");
    });
  });
});

describe("a signal", () => {
  test("lets running statements finish, takes no new sessions, and closes the log", async () => {
    // So that it is not over before a client was sent away, however long that takes here.
    const limits = { drainTime: "30m" };
    await withGateway({ folder: join(folder, "drain"), limits }, async (gateway) => {
      const token = await gateway.token("ann");
      const held = await heldStatement(gateway, token);
      const ended = gateway.stop("SIGTERM");
      await gateway.said("no new sessions");
      await until(async () => (await psql(gateway, token, "select 1")).status === 2);
      held.letGo();
      const result = await held.done;
      expect([result.stdout, result.status]).toEqual(["finished\n", 0]);
      expect(await ended).toBe(0);
      const names = (await events(gateway)).map(({ event }) => event);
      expect(names.slice(-2)).toEqual(["gateway.stopped", "audit.closed"]);
    });
  });

  test("ends what still runs when the drain time is over", async () => {
    await withGateway({ limits: { drainTime: "100ms" } }, async (gateway) => {
      const held = await heldStatement(gateway, await gateway.token("ann"));
      expect(await gateway.stop("SIGTERM")).toBe(0);
      expect((await held.done).status).not.toBe(0);
      held.letGo();
    });
  });

  test("ends it also when what it says is not read any more", async () => {
    const pipe = join(folder, "unread");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    const unread = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    await withGateway({ folder: join(folder, "unheard") }, async (gateway) => {
      await gateway.stop();
      fill(unread);
      const child = Bun.spawn([...weirCommand(), "up", "--config", gateway.configFile], {
        env: environment(),
        stdin: "ignore",
        stdout: "pipe",
        stderr: unread,
      });
      // It serves.
      await child.stdout.getReader().read();
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    });
    closeSync(unread);
  });

  test("that comes twice ends it at once, and the next start closes what was open", async () => {
    const options = { folder: join(folder, "twice") };
    await withGateway(options, async (gateway) => {
      const held = await heldStatement(gateway, await gateway.token("ann"));
      const ended = gateway.stop("SIGTERM");
      await gateway.said("no new sessions");
      process.kill(gateway.pid, "SIGTERM");
      expect(await ended).toBe(1);
      expect((await held.done).status).not.toBe(0);
      held.letGo();
    });
    await withGateway(options, async (gateway) => {
      const opened = (await events(gateway)).findLast(({ event }) => event === "audit.opened");
      expect(opened?.facts).toMatchObject({ previous: "unclean" });
      expect(opened?.facts?.["unknown"]).toBeGreaterThan(0);
    });
  });
});
