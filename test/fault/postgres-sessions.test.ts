/** Many sessions, and clients and servers that misbehave: none of it harms the gateway or anybody else's session. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Client } from "pg";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "../../adapters/postgres/protocol/backend.ts";
import { encodePassword, encodeQuery } from "../../adapters/postgres/protocol/frontend.ts";
import { encodeStartup } from "../../adapters/postgres/protocol/startup.ts";
import { PROTOCOL_3_0 } from "../../adapters/postgres/protocol/types.ts";
import { startGateway, type Gateway } from "../gateway.ts";
import { startPostgres, type PostgresServer } from "../servers/postgres.ts";
import { endInTime } from "../end-in-time.ts";

setDefaultTimeout(240_000);

/** For thousands of sessions, on a machine that has much else to do. */
const MANY_TIME_MS_MAX = 1_200_000;

const IDLE_SESSIONS = 1000;
const ACTIVE_SESSIONS = 200;

let server: PostgresServer;
let gateway: Gateway;
let url: string;

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: IDLE_SESSIONS + ACTIVE_SESSIONS + 100 } });
  gateway = await startGateway({
    postgres: server,
    limits: { sessionsMax: 2000, sessionsPerSubjectMax: 2000 },
  });
  url = await gateway.url();
});

afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
});

async function open(to = url): Promise<Client> {
  const client = new Client(to);
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function openMany(count: number, to = url): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(50, count - clients.length) }, () => open(to));
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

/** Asks until it holds; the test's own time limit is the bound. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(20);
}

function backends(): number {
  return Number(
    server.psql(
      "select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name <> 'weir' and pid <> pg_backend_pid()",
    ),
  );
}

function residentBytes({ pid } = gateway): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((each) => each.startsWith("VmRSS:"));
  return Number.parseInt(line?.slice("VmRSS:".length).trim() ?? "0", 10) * 1024;
}

function openFiles(): number {
  return readdirSync(`/proc/${gateway.pid}/fd`).length;
}

async function expectServing(): Promise<void> {
  const client = await open();
  const { rows } = await client.query("select 40 + 2 as answer");
  expect(rows).toEqual([{ answer: 42 }]);
  await client.end();
}

/** A bare connection, logged in and past its first ReadyForQuery. */
async function rawSession(): Promise<Socket> {
  const { port, hostname, password, username } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname });
  socket.on("error", () => {});
  let seen = Buffer.alloc(0);
  const ready = new Promise<void>((resolve) => {
    socket.on("data", (bytes: Uint8Array) => {
      seen = Buffer.concat([seen, bytes]);
      if (seen.includes(Buffer.from([0x5a, 0, 0, 0, 5]))) resolve();
    });
  });
  socket.write(
    encodeStartup(PROTOCOL_3_0, [
      ["user", username],
      ["database", "db"],
    ]),
  );
  socket.write(encodePassword(password));
  await ready;
  socket.removeAllListeners("data");
  return socket;
}

describe("many sessions", () => {
  test(
    `${IDLE_SESSIONS} idle and ${ACTIVE_SESSIONS} active ones are all served, and leave nothing behind`,
    async () => {
      await expectServing();
      await until(() => backends() === 0);
      const filesBefore = openFiles();
      const idle = await openMany(IDLE_SESSIONS);
      const active = await openMany(ACTIVE_SESSIONS);
      const sums = await Promise.all(
        active.map(async (client, index) => {
          let sum = 0;
          for (let round = 0; round < 10; round++) {
            const { rows } = await client.query<{ n: number }>("select $1::int + $2::int as n", [index, round]);
            sum += rows[0]?.n ?? Number.NaN;
          }
          return sum;
        }),
      );
      expect(sums).toEqual(active.map((_client, index) => index * 10 + 45));
      // Every session is its own: an idle one still answers.
      const answers = await Promise.all(idle.map(async (client) => (await client.query("select 1 as one")).rows));
      expect(answers.every((rows) => rows.length === 1)).toBe(true);
      await Promise.all([...idle, ...active].map((client) => client.end()));
      await until(() => backends() === 0);
      await until(() => openFiles() <= filesBefore + 4);
    },
    MANY_TIME_MS_MAX,
  );

  test(
    "sessions that come and go do not make the gateway grow",
    async () => {
      const own = await startGateway({
        postgres: server,
        limits: { sessionsMax: 2000, sessionsPerSubjectMax: 2000 },
        // Every collection is of the whole heap. Else garbage that has outlived one is left until the heap is twice as
        // large, some 100 MB and 8,000 sessions later, and looks like a leak until then.
        env: { BUN_JSC_useGenerationalGC: "false" },
      });
      try {
        const to = await own.url();
        /** Opens and ends 200 sessions as often as told; the least that the gateway holds after any of these rounds. */
        const rounds = async (count: number): Promise<number> => {
          let least = Infinity;
          for (let round = 0; round < count; round++) {
            const clients = await openMany(200, to);
            await Promise.all(clients.map((client) => client.query("select 1")));
            await Promise.all(clients.map((client) => client.end()));
            await until(() => backends() === 0);
            least = Math.min(least, residentBytes(own));
          }
          return least;
        };
        // What has a bound begins to fill: the ring and the tables of the log, the pages of its files.
        await rounds(15);
        const before = await rounds(5);
        await rounds(5);
        const after = await rounds(5);
        // 2,000 sessions lie between the two: a leak of 20 KiB in each would be 40 MiB.
        expect(after - before).toBeLessThan(2000 * 20 * 1024);
      } finally {
        await own.stop();
      }
    },
    MANY_TIME_MS_MAX,
  );
});

describe("clients that misbehave", () => {
  test("one that sends a byte and then nothing is closed when its time is over", async () => {
    const hasty = await startGateway({ postgres: server, limits: { loginTime: "2s" } });
    const socket = connect({ port: hasty.port, host: hasty.host });
    const closed = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (bytes) => (text += bytes.toString("latin1")));
      socket.on("close", () => resolve(text));
    });
    socket.write(new Uint8Array([0]));
    await expectServing();
    expect(await closed).toContain("no login within");
    await hasty.stop();
  });

  test("one that never reads makes its own server wait, and the gateway keeps little of it", async () => {
    await expectServing();
    const before = residentBytes();
    const socket = await rawSession();
    socket.pause();
    socket.write(encodeQuery("select repeat('x', 10000) from generate_series(1, 100000)"));
    // The server has filled every buffer on the way when it waits for its client.
    await until(() => server.psql("select count(*) from pg_stat_activity where wait_event = 'ClientWrite'") === "1");
    await expectServing();
    expect(residentBytes() - before).toBeLessThan(64 * 1024 * 1024);
    socket.destroy();
    await until(() => backends() === 0);
  });

  test("one that vanishes in the middle of a result takes its server session with it", async () => {
    const socket = await rawSession();
    socket.write(encodeQuery("select repeat('x', 1000) from generate_series(1, 1000000)"));
    await new Promise<void>((resolve) => socket.once("data", () => resolve()));
    socket.destroy();
    await until(() => backends() === 0);
    await expectServing();
  });
});

describe("servers that misbehave", () => {
  test("a backend that is killed ends its own session with a reason, and no other", async () => {
    const [victim, other] = await Promise.all([open(), open()]);
    const { rows } = await victim.query<{ pid: number }>("select pg_backend_pid() as pid");
    const failure = victim.query("select pg_sleep(600)").then(
      () => null,
      (error: Error) => error,
    );
    await until(() => server.psql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'") === "1");
    server.psql(`select pg_terminate_backend(${rows[0]?.pid})`);
    expect((await failure)?.message).toContain("terminating connection");
    expect((await other.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await other.end();
    await until(() => backends() === 0);
  });

  test("a server that answers with garbage, or stops in the middle of a message, ends its own session with a reason", async () => {
    const answers: readonly Uint8Array[] = [
      Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
      Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff]), // DataRow of a negative length
      Buffer.from([0x43, 0, 0, 0, 9, 0x53]), // a CommandComplete that stops
      encodeReadyForQuery("I").subarray(0, 3),
      Buffer.concat([encodeReadyForQuery("I"), encodeReadyForQuery("I")]), // one more than was asked for
    ];
    let answer: Uint8Array = new Uint8Array();
    const sockets = new Set<Socket>();
    const rogue = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      let isLoggedIn = false;
      socket.on("data", () => {
        if (isLoggedIn) {
          socket.end(answer);
          return;
        }
        isLoggedIn = true;
        socket.write(
          Buffer.concat([
            encodeAuthenticationOk(),
            encodeParameterStatus("server_version", "15.0"),
            encodeParameterStatus("client_encoding", "UTF8"),
            encodeParameterStatus("standard_conforming_strings", "on"),
            encodeBackendKeyData(1, new Uint8Array(4)),
            encodeReadyForQuery("I"),
          ]),
        );
      });
    });
    await new Promise<void>((resolve) => rogue.listen(0, "127.0.0.1", resolve));
    const { port } = rogue.address() as AddressInfo;
    const mixed = await startGateway({
      postgres: server,
      targets: { rogue: { postgres: { host: "127.0.0.1", port, database: "x", user: "x" } } },
    });
    try {
      const [rogueUrl, goodUrl] = await Promise.all([mixed.url("rogue"), mixed.url("db")]);
      for (const next of answers) {
        answer = next;
        const client = new Client(rogueUrl);
        client.on("error", () => {});
        await client.connect();
        const failure = await client.query("select 1").then(
          () => null,
          (error: Error) => error,
        );
        expect(failure).not.toBeNull();
        await client.end().catch(() => {});
        const good = new Client(goodUrl);
        await good.connect();
        expect((await good.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
        await good.end();
      }
    } finally {
      for (const socket of sockets) socket.destroy();
      await endInTime("the rogue server", new Promise<void>((resolve) => rogue.close(() => resolve())));
      await mixed.stop();
    }
  }, 240_000);

  test("a server that goes away ends its sessions, and is used again when it is back", async () => {
    const own = await startPostgres();
    const front = await startGateway({ postgres: own });
    try {
      const client = new Client(await front.url());
      client.on("error", () => {});
      await client.connect();
      const ended = new Promise<void>((resolve) => client.once("end", () => resolve()));
      await own.stop();
      await ended;
      const refused = new Client(await front.url());
      refused.on("error", () => {});
      const failure = await refused.connect().then(
        () => null,
        (error: Error) => error,
      );
      expect(failure?.message).toContain("cannot be reached");
    } finally {
      await front.stop();
      await own.stop();
    }
  }, 240_000);
});
