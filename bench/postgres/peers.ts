/** What is measured side by side: the server itself, PgBouncer, HAProxy and weir in its three modes, all before one server. */
import { which } from "bun";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { startGateway } from "../../test/gateway.ts";
import type { PostgresServer } from "../../test/servers/postgres.ts";

export type Peer = {
  readonly name: PeerName;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** The process between client and server; null where there is none. */
  readonly pid: number | null;
  stop(): Promise<void>;
};

export const PEER_NAMES = ["direct", "pgbouncer", "haproxy", "weir-relaxed", "weir-release", "weir-strict"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export const DATABASE = "bench";
const SESSIONS_MAX = 2000;
const START_TIME_MS_MAX = 10_000;
const START_RETRY_MS = 20;

export async function startPeer(name: PeerName, server: PostgresServer): Promise<Peer> {
  switch (name) {
    case "direct":
      return { name, port: server.port, ...TRUSTED, pid: null, stop: () => Promise.resolve() };
    case "pgbouncer":
      return startPgBouncer(server);
    case "haproxy":
      return startHaproxy(server);
    case "weir-relaxed":
      return startWeir(name, "relaxed", server);
    case "weir-release":
      return startWeir(name, "release", server);
    case "weir-strict":
      return startWeir(name, "strict", server);
  }
}

const TRUSTED = { database: DATABASE, user: "postgres", password: "" } as const;

async function startWeir(
  name: PeerName,
  durability: "relaxed" | "release" | "strict",
  server: PostgresServer,
): Promise<Peer> {
  const gateway = await startGateway({
    postgres: server,
    database: DATABASE,
    durability,
    limits: { sessionsMax: SESSIONS_MAX, sessionsPerSubjectMax: SESSIONS_MAX },
  });
  const password = await gateway.token("bench", "service");
  const stop = async (): Promise<void> => void (await gateway.stop());
  return { name, port: gateway.port, database: "db", user: "bench", password, pid: gateway.pid, stop };
}

async function startPgBouncer(server: PostgresServer): Promise<Peer> {
  const port = await freePort();
  const config = (folder: string): string => `[databases]
${DATABASE} = host=127.0.0.1 port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, "users")}
pool_mode = session
max_client_conn = ${SESSIONS_MAX}
default_pool_size = ${SESSIONS_MAX}
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
`;
  return startProcess("pgbouncer", port, (folder) => {
    writeFileSync(join(folder, "users"), '"postgres" ""\n');
    writeFileSync(join(folder, "pgbouncer.ini"), config(folder));
    return ["pgbouncer", "--quiet", join(folder, "pgbouncer.ini")];
  });
}

async function startHaproxy(server: PostgresServer): Promise<Peer> {
  const port = await freePort();
  const config = `global
  maxconn ${SESSIONS_MAX}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:${port}
  server database 127.0.0.1:${server.port}
`;
  return startProcess("haproxy", port, (folder) => {
    writeFileSync(join(folder, "haproxy.cfg"), config);
    return ["haproxy", "-db", "-q", "-f", join(folder, "haproxy.cfg")];
  });
}

/** Starts another's proxy out of a folder of its own, as an ordinary user: PgBouncer refuses to run as root. */
async function startProcess(name: PeerName, port: number, write: (folder: string) => string[]): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), `weir-bench-${name}-`));
  const [program = name, ...args] = write(folder);
  const path = which(program) ?? which(program, { PATH: "/usr/sbin:/usr/local/sbin" });
  if (path === null) throw new Error(`${program} is not installed: apt-get install ${program}`);
  const child = Bun.spawn([...asOrdinaryUser(folder), path, ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const killAtExit = (): void => child.kill("SIGKILL");
  process.on("exit", killAtExit);
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    process.off("exit", killAtExit);
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await accepts(port))) {
    await stop();
    throw new Error(`${name} did not start:\n${await new Response(child.stderr).text()}`);
  }
  return { name, port, ...TRUSTED, pid: child.pid, stop };
}

function asOrdinaryUser(folder: string): readonly string[] {
  if (userInfo().uid !== 0) return [];
  const id = (flag: string): number => Number(Bun.spawnSync(["id", flag, "nobody"]).stdout.toString());
  chownSync(folder, id("-u"), id("-g"));
  return ["setpriv", `--reuid=${id("-u")}`, `--regid=${id("-g")}`, "--clear-groups"];
}

async function accepts(port: number): Promise<boolean> {
  const end = Date.now() + START_TIME_MS_MAX;
  while (Date.now() < end) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    const isOpen = await promise;
    socket.destroy();
    if (isOpen) return true;
    await Bun.sleep(START_RETRY_MS);
  }
  return false;
}

async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
