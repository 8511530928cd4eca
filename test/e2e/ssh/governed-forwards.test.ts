/** A forward to a target by its name: the target's own adapter serves it, so that its policy, masks and records hold. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import type { Gateway } from "../../gateway.ts";
import { freePort } from "../../servers/free-port.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import type { RecordingFacts } from "../../../src/record/reader.ts";
import { recordingsOf } from "../postgres/recorded.ts";
import {
  forwardsPermit,
  type PolicedSsh,
  rulesOf,
  runProgram,
  type Said,
  startPolicedSsh,
  withForwards,
} from "./policed-ssh.ts";

setDefaultTimeout(240_000);

const FORWARDS = rulesOf(
  "Permits",
  forwardsPermit("direct-tcpip", "db:5432", "db.*:5432", "127.0.0.1:*", "localhost:*"),
);
const READERS = rulesOf(
  "Permits",
  `id: readers
    subject: { any: true }
    target: { names: [db] }
    action: { postgres: { verbs: [select], relations: [public.people, public.numbers] } }
    obligations: { record: [input, output] }`,
  `id: sleepers
    subject: { any: true }
    target: { names: [db] }
    action: { postgres: { functions: [pg_catalog.pg_sleep] } }`,
);
const PII = rulesOf(
  "Guards",
  `id: pii
    action: { postgres: { columns: [public.people.email] } }
    oblige: { mask: [{ with: redact }] }`,
);

let postgres: PostgresServer;
let world: PolicedSsh;
let gateway: Gateway;

beforeAll(async () => {
  postgres = await startPostgres();
  postgres.psql(`CREATE TABLE people (id int PRIMARY KEY, email text);
    INSERT INTO people VALUES (1, 'canary@example.com');
    CREATE TABLE numbers AS SELECT g AS n, repeat('x', 1000) AS t FROM generate_series(1, 20000) g;
    CREATE DATABASE other;`);
  postgres.psql("CREATE TABLE people (id int, email text)", "other");
  const policyFiles = { "permits/forwards.yaml": FORWARDS, "permits/readers.yaml": READERS, "guards/pii.yaml": PII };
  world = await startPolicedSsh(policyFiles, { postgres, upstream: { databases: ["other"] } });
  ({ gateway } = world);
});
afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

/** Runs `work` with a port that leads to `place` while ssh keeps it open. */
async function tunnelled<T>(place: string, work: (port: number, ssh: Bun.Subprocess) => Promise<T>): Promise<T> {
  const port = await freePort();
  return withForwards(world, ["-L", `127.0.0.1:${port}:${place}`], (child) => work(port, child));
}

function psql(port: number, sql: string, more = ""): Promise<Said> {
  return runProgram(["psql", "-XAt", "-c", sql, `host=127.0.0.1 port=${port} user=ann ${more}`]);
}

async function connected(port: number, more: Record<string, unknown> = {}): Promise<Client> {
  const client = new Client({ host: "127.0.0.1", port, user: "ann", database: "db", password: "", ...more });
  client.on("error", () => {});
  await client.connect();
  return client;
}

type Intent = {
  readonly operation: { readonly kind: string; readonly accesses: readonly unknown[] };
  readonly subject: object;
  readonly session: { readonly id: string; readonly source: string };
  readonly target: { readonly name: string };
};

describe("psql through ssh -L", () => {
  test("sees masked columns masked, without a login of its own", async () => {
    const rows = await tunnelled("db:5432", (port) => psql(port, "SELECT id, email FROM people"));
    expect(rows).toEqual({ status: 0, stdout: "1|***\n", stderr: "" });
  });

  test("finds nothing by the masked value", async () => {
    const rows = await tunnelled("db:5432", (port) =>
      psql(port, "SELECT count(*) FROM people WHERE email LIKE 'canary%'"),
    );
    expect(rows.stdout).toBe("0\n");
  });

  test("is refused what policy does not permit, in PostgreSQL's words", async () => {
    const { status, stderr } = await tunnelled("db:5432", (port) => psql(port, "DELETE FROM people"));
    expect(status).toBe(1);
    expect(stderr).toContain("ERROR:");
    expect(postgres.psql("SELECT count(*) FROM people").trim()).toBe("1");
  });

  test("may name the target, one of its databases, or none", async () => {
    const answers = await tunnelled("db:5432", async (port) => {
      const asked = ["", "dbname=db", "dbname=other", "dbname=db.other", "dbname=postgres", "dbname=template1"];
      const all: string[] = [];
      for (const more of asked) {
        const { stdout, stderr } = await psql(port, "SELECT count(*) FROM people", more);
        all.push(`${more}: ${stdout.trim() || stderr.trim()}`);
      }
      return all;
    });
    expect(answers.slice(0, 5)).toEqual([
      ": 1",
      "dbname=db: 1",
      "dbname=other: 0",
      "dbname=db.other: 0",
      "dbname=postgres: 1",
    ]);
    expect(answers[5]).toContain('there is no target "db" for you here');
  });

  test("gets the database that the forward names", async () => {
    const answers = await tunnelled("db.other:5432", async (port) => {
      const all: string[] = [];
      for (const more of ["", "dbname=db", "dbname=other"])
        all.push((await psql(port, "SELECT count(*) FROM people", more)).stdout.trim());
      all.push((await psql(port, "SELECT count(*) FROM people", "dbname=postgres")).stderr);
      return all;
    });
    expect(answers.slice(0, 3)).toEqual(["0", "0", "0"]);
    expect(answers[3]).toContain("FATAL");
  });

  test("can cancel what it runs", async () => {
    const { stderr } = await tunnelled("db:5432", async (port) => {
      const child = Bun.spawn(
        ["psql", "-X", "-c", "SELECT pg_sleep(600) FROM people", `host=127.0.0.1 port=${port} user=ann`],
        {
          stdout: "ignore",
          stderr: "pipe",
          env: { PATH: process.env["PATH"] ?? "" },
        },
      );
      while (
        !postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'").includes("1")
      ) {
        await Bun.sleep(20);
      }
      child.kill("SIGINT");
      return { stderr: await new Response(child.stderr).text(), status: await child.exited };
    });
    expect(stderr).toContain("canceling statement due to user request");
  });

  test("asks for encryption in vain, because it has it", async () => {
    const results = await tunnelled("db:5432", async (port) => [
      await psql(port, "SELECT count(*) FROM people", "sslmode=prefer"),
      await psql(port, "SELECT count(*) FROM people", "sslmode=require"),
    ]);
    expect(results.map(({ status }) => status)).toEqual([0, 2]);
  });
});

describe("a driver through ssh -L", () => {
  test("runs prepared statements, and large results come whole", async () => {
    await tunnelled("db:5432", async (port) => {
      const client = await connected(port);
      try {
        const one = await client.query("SELECT email FROM people WHERE id = $1", [1]);
        expect(one.rows).toEqual([{ email: "***" }]);
        const { rows } = await client.query<{ n: number; t: string }>("SELECT n, t FROM numbers ORDER BY n");
        expect(rows.length).toBe(20_000);
        expect(rows.every(({ n, t }, at) => n === at + 1 && t.length === 1000)).toBe(true);
      } finally {
        await client.end();
      }
    });
  });

  test("has many connections in one", async () => {
    await tunnelled("db:5432", async (port) => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => connected(port)));
      const answers = await Promise.all(
        clients.map((client) => client.query("SELECT count(*)::int AS n FROM numbers")),
      );
      expect(answers.map(({ rows }) => rows)).toEqual(Array.from({ length: 20 }, () => [{ n: 20_000 }]));
      await Promise.all(clients.map((client) => client.end()));
    });
  });

  test("loses its session with the connection that carries it", async () => {
    await tunnelled("db:5432", async (port, child) => {
      const client = await connected(port);
      const { promise, resolve } = Promise.withResolvers<void>();
      client.on("end", resolve);
      child.kill("SIGKILL");
      await promise;
    });
    for (;;) {
      const { sessions } = JSON.parse((await gateway.weir("status", "--json")).stdout) as { sessions: number };
      if (sessions === 0) return;
      await Bun.sleep(20);
    }
  });
});

test("both sessions are in the log, with one identity and an address", async () => {
  const { stdout } = await tunnelled("db:5432", (port) => psql(port, "SELECT 4242 FROM people"));
  expect(stdout).toBe("4242\n");
  const tail = await gateway.weir("audit", "tail", "--json", "--lines", "1000");
  const intents = tail.stdout
    .split("\n")
    .filter((line) => line.includes('"operation.intent"') && !line.includes('"gateway"'))
    .map((line) => (JSON.parse(line) as { leaf: Intent }).leaf);
  const last = (kind: string, target: string): Intent | undefined =>
    intents.findLast((leaf) => leaf.operation.kind === kind && leaf.target.name === target);
  const [forward, inner] = [last("direct-tcpip", "box"), last("connect", "db")];
  expect(forward?.operation.accesses).toMatchObject([
    { class: "forward", facts: { channels: ["direct-tcpip"], forwards: ["db:5432"] } },
  ]);
  expect(inner?.subject).toEqual(forward?.subject ?? {});
  expect(inner?.session.source).toBe("127.0.0.1");
  expect(inner?.session.id).not.toBe(forward?.session.id);
});

describe("a change of policy", () => {
  test("ends a forward that it would not let begin", async () => {
    await tunnelled("db:5432", async (port) => {
      const client = await connected(port);
      const { promise, resolve } = Promise.withResolvers<void>();
      client.on("end", resolve);
      gateway.writePolicy("permits/forwards.yaml", rulesOf("Permits", forwardsPermit("direct-tcpip", "elsewhere:1")));
      await gateway.policyTaken();
      await promise;
      expect((await psql(port, "SELECT count(*) FROM people")).status).not.toBe(0);
    });
    gateway.writePolicy("permits/forwards.yaml", FORWARDS);
    await gateway.policyTaken();
  });
});

describe("a forward past the gateway", () => {
  const through = async (place: string): Promise<string> =>
    (await runProgram([...world.ssh, "-o", "LogLevel=INFO", "-W", place, "box@127.0.0.1"])).stderr;

  test("to the database's own address, however it is written, is refused in words", async () => {
    for (const host of ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433"]) {
      expect(await through(`${host}:${postgres.port}`)).toContain(
        "leads to a loopback address, where no forward may go",
      );
    }
    expect(await through(`[::ffff:127.0.0.1]:${postgres.port}`)).toContain("leads to a loopback address");
  });

  test("that policy does not name is refused by policy", async () => {
    const said = await through("elsewhere.example:5432");
    expect(said).toContain("administratively prohibited: weir: ");
    expect(said).not.toContain("leads to");
  });
});

describe("ssh -J through the gateway", () => {
  const jump = (where: string, ...command: readonly string[]): Promise<Said> =>
    runProgram([...world.ssh, "-J", `box@127.0.0.1:${world.port}`, where, ...command]);

  test("leads to a target by its name, with a session and a policy of its own", async () => {
    const permits = rulesOf(
      "Permits",
      forwardsPermit("direct-tcpip", "box:*", "box.part:*").replace("id: direct-tcpip", "id: jumps"),
      "{ id: commands, subject: { any: true }, target: { names: [box] }, action: { ssh: { channels: [exec], programs: [echo], argv: [[echo, '*']] } } }",
    );
    gateway.writePolicy("permits/box.yaml", permits);
    await gateway.policyTaken();
    const { user } = world.server;
    expect(await jump("box@box", "echo", "here")).toEqual({ status: 0, stdout: "here\n", stderr: "" });
    expect((await jump(`${user}@box`, "echo", "there")).stdout).toBe("there\n");
    expect((await jump(`${user}+box@box`, "echo", "again")).stdout).toBe("again\n");
    const refused = await jump("box@box", "id");
    expect(refused.status).toBe(126);
    expect(refused.stderr).toContain("weir: no rule permits");
  });

  test("is refused a login that the target does not list, and a part that it does not have", async () => {
    for (const where of ["nobody@box", "box@box.part"]) {
      const { status, stderr } = await jump(where, "echo", "here");
      expect([where, status]).toEqual([where, 126]);
      expect(stderr).toContain("there is no target");
    }
  });
});

test("what was asked through a forward is in the transcript of the session that it opened", async () => {
  await tunnelled("db:5432", (port) => psql(port, "SELECT 77 AS asked, email FROM people"));
  // The session ends, and with it what is kept of it, a little after its client.
  const kept = (): RecordingFacts | undefined => recordingsOf(gateway, "ann").at(-1);
  while ((kept()?.endedMs ?? null) === null) await Bun.sleep(20);
  const { stdout } = await gateway.weir("audit", "replay", kept()?.id ?? "");
  expect(stdout).toContain("SELECT 77 AS asked");
  expect(stdout).toContain("***");
  expect(stdout).not.toContain("canary@");
});

test("a gateway that shuts down tells the client inside the forward, and ends it", async () => {
  await tunnelled("db:5432", async (port, child) => {
    const client = new Client({ host: "127.0.0.1", port, user: "ann", database: "db", password: "" });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    client.on("error", resolve);
    await client.connect();
    expect(await gateway.stop()).toBe(0);
    expect(await promise).toMatchObject({ code: "57P01" });
    expect(await child.exited).toBe(255);
  });
});
