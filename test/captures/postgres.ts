/** Records what real clients and a real PostgreSQL say to each other, through a relay that only listens. */
import type { Socket } from "bun";
import { rmSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import postgres from "postgres";
import { decodeDataRow } from "../../adapters/postgres/protocol/backend.ts";
import { encodeCancelRequest, encodeSslRequest, encodeStartup } from "../../adapters/postgres/protocol/startup.ts";
import * as client from "../../adapters/postgres/protocol/frontend.ts";
import { BACKEND, PROTOCOL_3_0, PROTOCOL_3_2 } from "../../adapters/postgres/protocol/types.ts";
import { Framer } from "../../src/wire/framer.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";

export type Side = "client" | "server";

/** One connection's bytes, as the chunks came. */
export type Capture = { readonly name: string; readonly chunks: readonly { from: Side; bytes: Uint8Array }[] };

const FOLDER = join(import.meta.dir, "../../adapters/postgres/protocol/captures");
const PASSWORD = "throwaway";

/** The committed captures: each connection a file, each chunk a line of `>` (client) or `<` (server) and hex. */
export async function readCaptures(): Promise<Capture[]> {
  const captures: Capture[] = [];
  for (const file of [...new Bun.Glob("*.txt").scanSync(FOLDER)].toSorted()) {
    const lines = (await Bun.file(join(FOLDER, file)).text()).trimEnd().split("\n");
    const chunks = lines.map((line) => ({
      from: line.startsWith(">") ? ("client" as const) : ("server" as const),
      bytes: Uint8Array.fromHex(line.slice(2)),
    }));
    captures.push({ name: file, chunks });
  }
  return captures;
}

/** Runs every session against a server of its own and returns what was said, a capture for each connection. */
export async function recordCaptures(): Promise<Capture[]> {
  const server = await startPostgres({
    hba: [
      "host all by_scram 127.0.0.1/32 scram-sha-256",
      "host all by_md5 127.0.0.1/32 md5",
      "host all by_cleartext 127.0.0.1/32 password",
      "host all,replication postgres 127.0.0.1/32 trust",
    ],
    sql: `
      set password_encryption = 'scram-sha-256';
      create role by_scram login password '${PASSWORD}';
      create role by_cleartext login password '${PASSWORD}';
      set password_encryption = 'md5';
      create role by_md5 login password '${PASSWORD}';
      create table orders (id int primary key, note text, price numeric(8, 2));
      insert into orders values (1, 'größer', 1.50), (2, null, 20), (3, '', 300);
      grant all on orders to public;
    `,
  });
  try {
    const captures: Capture[] = [];
    for (const [name, run] of Object.entries(SESSIONS)) {
      const relay = new Relay(server);
      try {
        await run(relay.port);
        await relay.quiet();
      } finally {
        relay.close();
      }
      for (const [index, chunks] of relay.connections.entries()) {
        captures.push({ name: relay.connections.length === 1 ? name : `${name}-${index + 1}`, chunks });
      }
    }
    return captures;
  } finally {
    await server.stop();
  }
}

/** Passes bytes on in both directions and keeps a copy of each chunk. No session here outgrows a socket's buffer. */
class Relay {
  readonly connections: { from: Side; bytes: Uint8Array }[][] = [];
  readonly #listener;
  #open = 0;
  #idle: (() => void) | null = null;

  constructor(server: PostgresServer) {
    this.#listener = Bun.listen<Half>({
      hostname: "127.0.0.1",
      port: 0,
      data: new Half([]),
      socket: {
        open: (socket) => {
          const chunks: { from: Side; bytes: Uint8Array }[] = [];
          this.connections.push(chunks);
          this.#open++;
          const half = new Half(chunks);
          socket.data = half;
          half.upstream = Bun.connect({
            hostname: "127.0.0.1",
            port: server.port,
            socket: {
              data: (_, bytes) => {
                chunks.push({ from: "server", bytes: new Uint8Array(bytes) });
                socket.write(bytes);
              },
              close: () => {
                socket.end();
              },
            },
          });
        },
        data: (socket, bytes) => {
          const copy = new Uint8Array(bytes);
          socket.data.chunks.push({ from: "client", bytes: copy });
          void socket.data.upstream?.then((upstream) => upstream.write(copy));
        },
        close: (socket) => {
          void socket.data.upstream?.then((upstream) => upstream.end());
          this.#open--;
          if (this.#open === 0) this.#idle?.();
        },
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Resolves when every connection has ended. */
  async quiet(): Promise<void> {
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  close(): void {
    this.#listener.stop(true);
  }
}

class Half {
  upstream: Promise<Socket> | null = null;
  readonly chunks: { from: Side; bytes: Uint8Array }[];

  constructor(chunks: { from: Side; bytes: Uint8Array }[]) {
    this.chunks = chunks;
  }
}

/** A client that sends the bytes it is told to and waits for messages by their type. */
class RawClient {
  readonly #socket: Socket;
  readonly #framer = new Framer(() => Number.POSITIVE_INFINITY);
  readonly #seen: { type: number; body: Uint8Array }[] = [];
  #untypedBytes = 0;
  #wake: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<RawClient> {
    const self: { client?: RawClient } = {};
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: (_, bytes) => self.client?.receive(new Uint8Array(bytes)) },
    });
    return (self.client = new RawClient(socket));
  }

  /** Sends and resolves with the body of the next message of this type, whatever comes before it. */
  async send(until: number, ...messages: Uint8Array[]): Promise<Uint8Array> {
    this.#socket.write(Buffer.concat(messages));
    return this.next(until);
  }

  async next(type: number): Promise<Uint8Array> {
    for (;;) {
      for (let message = this.#seen.shift(); message !== undefined; message = this.#seen.shift()) {
        if (message.type === type) return message.body;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Sends a request that is answered by one byte without a header. */
  async request(message: Uint8Array): Promise<void> {
    this.#untypedBytes = 1;
    this.#socket.write(message);
    while (this.#untypedBytes > 0) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  end(...messages: Uint8Array[]): void {
    this.#socket.end(Buffer.concat(messages));
  }

  private receive(bytes: Uint8Array): void {
    const untyped = Math.min(this.#untypedBytes, bytes.length);
    this.#untypedBytes -= untyped;
    this.#framer.push(bytes.subarray(untyped));
    for (let frame = this.#framer.next(); frame !== null; frame = this.#framer.next()) {
      this.#seen.push({ type: frame.type, body: frame.body });
    }
    this.#wake?.();
  }
}

const utf8 = new TextEncoder();
const SUPERUSER = [
  ["user", "postgres"],
  ["database", "postgres"],
] as const;

const SESSIONS: Readonly<Record<string, (port: number) => Promise<void>>> = {
  "psql-scram": async (port) =>
    runPsql(
      port,
      "by_scram",
      `select * from orders order by id;
      select 1; select 2 \\; select 'three'
      begin; insert into orders values (4, 'four', 4); update orders set price = price + 1; rollback;
      select nonsense;
      ;
      copy orders to stdout;
      copy orders from stdin;
8\teight\t8
9\tnine\t\\N
\\.
      copy orders from stdin;
ten\tten\tten
\\.
      delete from orders where id > 7;
      do $$ begin raise notice 'noticed %', 1; end $$;
      listen news; notify news, 'read all about it';
      select 1 as a, 'x'::text as b \\gdesc
      set application_name = 'renamed';
      values (1), (2), (3) \\g
      `,
    ),
  "psql-md5": async (port) => runPsql(port, "by_md5", "select current_user;"),
  "psql-cleartext": async (port) => runPsql(port, "by_cleartext", "select current_user;"),
  "node-pg": async (port) => {
    const connection = new Client({
      host: "127.0.0.1",
      port,
      user: "by_scram",
      password: PASSWORD,
      database: "postgres",
    });
    await connection.connect();
    await connection.query("select id, note from orders where id = any($1)", [[1, 2]]);
    const named = { name: "by id", text: "select * from orders where id = $1" };
    await connection.query({ ...named, values: [1] });
    await connection.query({ ...named, values: [2] });
    await connection.query({ text: "select $1::bytea", values: [Buffer.from([0, 1, 255])] });
    await connection.query("select 1 / $1", [0]).catch(() => null);
    await connection.query("");
    await connection.end();
  },
  "postgres-js": async (port) => {
    const sql = postgres({
      host: "127.0.0.1",
      port,
      user: "by_scram",
      password: PASSWORD,
      database: "postgres",
      max: 1,
      fetch_types: false,
    });
    await Promise.all([sql`select ${1}::int`, sql`select ${"two"}::text`, sql`select ${null}::text`]);
    await sql.begin(async (transaction) => transaction`update orders set note = ${"é"} where id = ${3}`);
    for await (const rows of sql`select * from generate_series(1, 5)`.cursor(2)) if (rows.length === 0) break;
    await sql.end();
  },
  "raw-extended": async (port) => {
    const raw = await RawClient.connect(port);
    await raw.request(encodeSslRequest());
    await raw.send(BACKEND.readyForQuery, encodeStartup(PROTOCOL_3_0, SUPERUSER));
    const bind = { portal: "p", statement: "s", parameterFormats: [1], resultFormats: [1] };
    await raw.send(
      BACKEND.portalSuspended,
      client.encodeParse("s", "select generate_series(1, $1::int)", [23]),
      client.encodeDescribe("statement", "s"),
      client.encodeBind({ ...bind, parameters: [new Uint8Array([0, 0, 0, 3])] }),
      client.encodeDescribe("portal", "p"),
      client.encodeExecute("p", 2),
      client.encodeFlush(),
    );
    await raw.send(
      BACKEND.readyForQuery,
      client.encodeExecute("p"),
      client.encodeClose("portal", "p"),
      client.encodeClose("statement", "s"),
      client.encodeParse("", "listen quiet"),
      client.encodeDescribe("statement", ""),
      client.encodeSync(),
    );
    // What a failed statement skips is not answered.
    await raw.send(
      BACKEND.readyForQuery,
      client.encodeParse("", "selec"),
      client.encodeExecute("nowhere"),
      client.encodeSync(),
    );
    // int4abs(-7) by the fast path, in binary, and a strict function of NULL.
    const call = { functionOid: 1251, argumentFormats: [1], resultFormat: 1 };
    await raw.send(
      BACKEND.readyForQuery,
      client.encodeFunctionCall({ ...call, arguments: [new Uint8Array([255, 255, 255, 249])] }),
    );
    await raw.send(BACKEND.readyForQuery, client.encodeFunctionCall({ ...call, arguments: [null] }));
    await raw.send(BACKEND.copyIn, client.encodeQuery("copy orders from stdin"));
    await raw.send(
      BACKEND.readyForQuery,
      client.encodeCopyData(utf8.encode("7\tseven\t7\n")),
      client.encodeCopyFail("changed my mind"),
    );
    await raw.send(BACKEND.readyForQuery, client.encodeQuery("copy orders to stdout with (format binary)"));
    raw.end(client.encodeTerminate());
  },
  "raw-negotiation": async (port) => {
    const raw = await RawClient.connect(port);
    const parameters = [...SUPERUSER, ["_pq_.unheard_of", "1"], ["DateStyle", "SQL, DMY"]] as const;
    await raw.send(BACKEND.readyForQuery, encodeStartup(PROTOCOL_3_2, parameters));
    raw.end(client.encodeTerminate());
  },
  "raw-cancel": async (port) => {
    const raw = await RawClient.connect(port);
    const key = await raw.send(BACKEND.backendKeyData, encodeStartup(PROTOCOL_3_0, SUPERUSER));
    await raw.next(BACKEND.readyForQuery);
    const answered = raw.send(
      BACKEND.readyForQuery,
      client.encodeQuery("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$"),
    );
    // Cancelling before the statement runs would do nothing, so it is sent until it works.
    const ended = answered.then(() => true);
    do {
      const other = await RawClient.connect(port);
      other.end(encodeCancelRequest(new DataView(key.buffer, key.byteOffset).getInt32(0), key.subarray(4)));
    } while (!(await Promise.race([ended, Bun.sleep(100).then(() => false)])));
    raw.end(client.encodeTerminate());
  },
  "raw-replication": async (port) => {
    const raw = await RawClient.connect(port);
    await raw.send(BACKEND.readyForQuery, encodeStartup(PROTOCOL_3_0, [...SUPERUSER, ["replication", "true"]]));
    const identity = decodeDataRow(await raw.send(BACKEND.dataRow, client.encodeQuery("IDENTIFY_SYSTEM")));
    await raw.next(BACKEND.readyForQuery);
    const position = new TextDecoder().decode(identity[2] ?? new Uint8Array(0));
    await raw.send(BACKEND.copyBoth, client.encodeQuery(`START_REPLICATION PHYSICAL ${position}`));
    await raw.send(BACKEND.readyForQuery, client.encodeCopyDone());
    raw.end(client.encodeTerminate());
  },
};

async function runPsql(port: number, user: string, script: string): Promise<void> {
  const psql = Bun.spawn(["psql", "-X", "-q", "-h", "127.0.0.1", "-p", `${port}`, "-U", user, "postgres"], {
    stdin: Buffer.from(script),
    stdout: "ignore",
    stderr: "ignore",
    env: { PATH: process.env["PATH"] ?? "", PGPASSWORD: PASSWORD, LC_ALL: "C.UTF-8" },
  });
  await psql.exited;
}

if (import.meta.main) {
  const captures = await recordCaptures();
  mkdirSync(FOLDER, { recursive: true });
  for (const file of new Bun.Glob("*.txt").scanSync(FOLDER)) rmSync(join(FOLDER, file));
  for (const { name, chunks } of captures) {
    const lines = chunks.map(({ from, bytes }) => `${from === "client" ? ">" : "<"} ${bytes.toHex()}`);
    writeFileSync(join(FOLDER, `${name}.txt`), `${lines.join("\n")}\n`);
  }
}
