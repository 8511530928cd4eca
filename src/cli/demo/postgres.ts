/** The demo's own PostgreSQL server: reached through a socket file only, so that nobody gets past the gateway. */
import { SQL } from "bun";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CommandError } from "../command.ts";
import { giveTo } from "./server-account.ts";
import type { ServerAccount } from "./server-account.ts";
import type { ServerBinaries } from "./server-binaries.ts";
import SHOP from "./shop.sql" with { type: "text" };

export const SHOP_DATABASE = "shop";
/** Owns the database; the gateway logs in as this role. */
export const SHOP_ROLE = "shop";
/** The login of sessions in which columns are masked. */
export const GOVERNED_ROLE = "weir_governed";
export const ADMINISTRATOR = "postgres";
/** Names the socket file only. */
const PORT = 5432;
const LOG_CHARS_MAX = 20_000;
const START_TIME_MS_MAX = 30_000;
const STOP_TIME_MS_MAX = 10_000;
const EXIT_CHECK_MS = 5;

export type DemoPostgresOptions = {
  readonly binaries: ServerBinaries;
  readonly account: ServerAccount;
  /** The server's files: made when there are none. */
  readonly dataFolder: string;
  /** Holds the socket; there already, and the account's own. */
  readonly socketFolder: string;
};

/** A server that runs, with the shop in it. */
export class DemoPostgres {
  readonly #child: Bun.Subprocess;
  readonly #dataFolder: string;
  #log = "";

  private constructor(child: Bun.Subprocess<"ignore", "ignore", "pipe">, dataFolder: string) {
    this.#child = child;
    this.#dataFolder = dataFolder;
    void this.#read(child.stderr);
    // First of those who wait for the end of this process: the server's files may be removed after it.
    process.prependListener("exit", this.#stopNow);
  }

  /** Makes the server's files where there are none, starts it, and loads the shop if it is not there yet. */
  static async start(options: DemoPostgresOptions): Promise<DemoPostgres> {
    const { binaries, dataFolder, socketFolder } = options;
    if (existsSync(join(dataFolder, "PG_VERSION"))) checkVersion(dataFolder, binaries);
    else await makeFiles(options);
    const settings = {
      listen_addresses: "",
      port: PORT,
      unix_socket_directories: socketFolder,
      // The account itself and root: whoever else is on this machine goes through the gateway.
      unix_socket_permissions: "0700",
      max_connections: 50,
      shared_buffers: "32MB",
      dynamic_shared_memory_type: "mmap",
      // A power cut may cost a demo its database; waiting for the disk would cost everybody half of the start.
      fsync: "off",
      lc_messages: "C",
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const command = [...options.account.prefix, join(binaries.folder, "postgres"), "-D", dataFolder, ...flags];
    const child = Bun.spawn(command, {
      cwd: "/",
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      // Ctrl-C goes to every process of the terminal's group; the server ends when the gateway has.
      detached: true,
    });
    const server = new DemoPostgres(child, dataFolder);
    try {
      await server.#untilReady();
      await loadShop(socketFolder);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Ends sessions at once and waits for the server's end. */
  async stop(): Promise<void> {
    this.#child.kill("SIGINT");
    const late = setTimeout(() => this.#child.kill("SIGQUIT"), STOP_TIME_MS_MAX);
    await this.#child.exited;
    clearTimeout(late);
    process.off("exit", this.#stopNow);
  }

  /** For the last moments of this process, in which nothing can be awaited. */
  readonly #stopNow = (): void => {
    this.#child.kill("SIGQUIT");
    // Removing its lock file is the last thing that a server does.
    for (let waitedMs = 0; waitedMs < STOP_TIME_MS_MAX; waitedMs += EXIT_CHECK_MS) {
      if (!existsSync(join(this.#dataFolder, "postmaster.pid"))) return;
      Bun.sleepSync(EXIT_CHECK_MS);
    }
  };

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream)
      this.#log = (this.#log + decoder.decode(chunk, { stream: true })).slice(-LOG_CHARS_MAX);
  }

  async #untilReady(): Promise<void> {
    const endAtMs = performance.now() + START_TIME_MS_MAX;
    while (!this.#log.includes("database system is ready to accept connections")) {
      if (this.#child.exitCode !== null || performance.now() > endAtMs) {
        throw new CommandError(
          `PostgreSQL did not start:\n${this.#log.trim()}`,
          "The lines above are the server's own.",
        );
      }
      await Bun.sleep(EXIT_CHECK_MS);
    }
  }
}

async function makeFiles({ binaries, account, dataFolder }: DemoPostgresOptions): Promise<void> {
  // Made aside and renamed, so that the files are whole or not there.
  const aside = `${dataFolder}-new`;
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { mode: 0o700 });
  giveTo(account, aside);
  const command = [
    ...account.prefix,
    join(binaries.folder, "initdb"),
    `--pgdata=${aside}`,
    `--username=${ADMINISTRATOR}`,
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-instructions",
    "--no-sync",
  ];
  const child = Bun.spawn(command, { cwd: "/", stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status === 0) return renameSync(aside, dataFolder);
  const lines = `${output}${errors}`.trim();
  throw new CommandError(
    `initdb could not make a database in ${aside}:\n${lines}`,
    account.owner === null
      ? "The lines above are its own."
      : "As root the server runs as the user postgres, who must be able to reach that folder.",
  );
}

function checkVersion(dataFolder: string, { major }: ServerBinaries): void {
  const made = readFileSync(join(dataFolder, "PG_VERSION"), "utf8").trim();
  if (made === String(major)) return;
  throw new CommandError(
    `${dataFolder} was made by PostgreSQL ${made}, and version ${major} is installed`,
    "Name another folder with --data, or install the version that made it.",
  );
}

async function loadShop(socketFolder: string): Promise<void> {
  await withDatabase(socketFolder, "postgres", async (sql) => {
    const there: unknown[] = await sql`SELECT 1 FROM pg_catalog.pg_database WHERE datname = ${SHOP_DATABASE}`;
    if (there.length > 0) return;
    await sql.unsafe(`DROP ROLE IF EXISTS ${SHOP_ROLE}`);
    await sql.unsafe(`CREATE ROLE ${SHOP_ROLE} LOGIN`);
    // Filled under another name, so that a shop is whole or not there.
    await sql.unsafe("DROP DATABASE IF EXISTS filling");
    await sql.unsafe(`CREATE DATABASE filling OWNER ${SHOP_ROLE}`);
    await withDatabase(socketFolder, "filling", async (filling) => {
      await filling.unsafe(`SET ROLE ${SHOP_ROLE};\n${SHOP}`).simple();
    });
    await sql.unsafe(`ALTER DATABASE filling RENAME TO ${SHOP_DATABASE}`);
  });
}

async function withDatabase(socketFolder: string, database: string, work: (sql: SQL) => Promise<void>): Promise<void> {
  const path = join(socketFolder, `.s.PGSQL.${PORT}`);
  const sql = new SQL({ adapter: "postgres", path, database, username: ADMINISTRATOR, tls: false, max: 1 });
  try {
    await work(sql);
  } finally {
    await sql.close();
  }
}
