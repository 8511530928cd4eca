/** What is run against each peer, and how one run of it becomes numbers. */
import { which } from "bun";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Peer } from "./peers.ts";
import { connectRaw, message } from "./raw-client.ts";

export type Measurement = {
  /** Transactions or megabytes a second. */
  readonly value: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Processor time of the peer's process for one transaction or one megabyte; null where there is no process. */
  readonly cpuUs: number | null;
};

export type Workload = {
  readonly name: string;
  readonly unit: "tps" | "MB/s";
  run(peer: Peer): Promise<Measurement>;
};

export type Scale = {
  /** How long one pgbench run lasts. */
  readonly seconds: number;
  /** 100,000 accounts each. */
  readonly pgbenchScale: number;
  readonly copyMegabytes: number;
};

const COPY_ROW_BYTES = 1000;
const COPY_ROWS_PER_MESSAGE = 64;
const CLIENTS = [1, 8, 64] as const;
/** The share of transactions whose latency is logged: enough for a percentile, too few to slow the client. */
const LOGGED_SHARE = 0.2;

export function workloads(scale: Scale): readonly Workload[] {
  const selects = CLIENTS.flatMap((clients) =>
    ["simple", "prepared"].map((protocol) =>
      pgbench(`select-${protocol}-${clients}`, scale, ["-S", "-M", protocol, ...concurrency(clients)]),
    ),
  );
  const rows = scale.pgbenchScale * 100_000;
  const copied = Math.round((scale.copyMegabytes * 1_000_000) / (COPY_ROW_BYTES + 1));
  return [
    ...selects,
    pgbench("tpcb-simple-8", scale, ["-M", "simple", ...concurrency(8)]),
    stream(`rows-${rows}`, (client) => client.drain(`SELECT * FROM pgbench_accounts LIMIT ${rows}`)),
    // The rows are made as they are sent and dropped as they come, so that the server's storage is not measured.
    stream("copy-out", (client) =>
      client.drain(`COPY (SELECT repeat('x', ${COPY_ROW_BYTES}) FROM generate_series(1, ${copied})) TO STDOUT`),
    ),
    stream("copy-in", (client) =>
      client.copyIn("COPY copied FROM STDIN WHERE false", copyMessage(), Math.ceil(copied / COPY_ROWS_PER_MESSAGE)),
    ),
  ];
}

/** The tables that the workloads use. */
export function prepareDatabase(direct: Peer, scale: Scale): void {
  const options = ["-i", "-q", "-s", `${scale.pgbenchScale}`, "--unlogged-tables"];
  runProgram(pgbenchPath(), [...options, ...address(direct)], direct);
}

export function concurrency(clients: number): readonly string[] {
  return ["-c", `${clients}`, "-j", clients === 1 ? "1" : "2"];
}

export function pgbench(name: string, scale: Scale, options: readonly string[]): Workload {
  const run = async (peer: Peer): Promise<Measurement> => {
    const folder = mkdtempSync(join(tmpdir(), "weir-bench-pgbench-"));
    try {
      const logging = ["-l", `--log-prefix=${join(folder, "log")}`, `--sampling-rate=${LOGGED_SHARE}`];
      const before = cpuSeconds(peer);
      const child = Bun.spawn(
        [pgbenchPath(), "-n", "-T", `${scale.seconds}`, ...options, ...logging, ...address(peer)],
        { env: environment(peer), cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      );
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      const tps = numberAfter(output, "tps = ");
      const count = numberAfter(output, "number of transactions actually processed: ");
      const failed = numberAfter(output, "number of failed transactions: ");
      if (child.exitCode !== 0 || tps === null || count === null || failed !== 0) {
        throw new Error(`${name} against ${peer.name}:\n${output}${errors}`);
      }
      const latencies = readLatencies(folder);
      const after = cpuSeconds(peer);
      return {
        value: tps,
        p50Ms: percentile(latencies, 0.5),
        p99Ms: percentile(latencies, 0.99),
        cpuUs: before === null || after === null ? null : ((after - before) * 1e6) / count,
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return { name, unit: "tps", run };
}

export function stream(
  name: string,
  send: (client: Awaited<ReturnType<typeof connectRaw>>) => Promise<number>,
): Workload {
  const run = async (peer: Peer): Promise<Measurement> => {
    const client = await connectRaw(peer);
    try {
      const before = cpuSeconds(peer);
      const start = performance.now();
      const megabytes = (await send(client)) / 1e6;
      const seconds = (performance.now() - start) / 1000;
      const after = cpuSeconds(peer);
      const cpuUs = before === null || after === null ? null : ((after - before) * 1e6) / megabytes;
      return { value: megabytes / seconds, p50Ms: null, p99Ms: null, cpuUs };
    } finally {
      client.close();
    }
  };
  return { name, unit: "MB/s", run };
}

function copyMessage(): Buffer {
  const row = `${"x".repeat(COPY_ROW_BYTES)}\n`;
  return message("d", row.repeat(COPY_ROWS_PER_MESSAGE));
}

function address(peer: Peer): readonly string[] {
  return ["-h", "127.0.0.1", "-p", `${peer.port}`, "-U", peer.user, peer.database];
}

function environment(peer: Peer): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", PGPASSWORD: peer.password, PGSSLMODE: "disable", PGGSSENCMODE: "disable" };
}

function runProgram(path: string, args: readonly string[], peer: Peer): void {
  const result = Bun.spawnSync([path, ...args], { env: environment(peer), stdout: "pipe", stderr: "pipe" });
  if (result.exitCode !== 0) throw new Error(`${path}: ${result.stderr.toString()}`);
}

function pgbenchPath(): string {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian) : [];
  const found = versions
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(debian, version, "bin/pgbench"))
    .find((path) => existsSync(path));
  const path = found ?? which("pgbench");
  if (path === null)
    throw new Error("pgbench is not installed: it comes with PostgreSQL's server or its contrib package");
  return path;
}

function numberAfter(text: string, label: string): number | null {
  const at = text.indexOf(label);
  if (at === -1) return null;
  const number = Number.parseFloat(text.slice(at + label.length));
  return Number.isNaN(number) ? null : number;
}

/** Latencies in microseconds out of pgbench's logs, sorted: the third number of each line. */
function readLatencies(folder: string): Float64Array {
  const found: number[] = [];
  for (const file of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      if (line !== "") found.push(Number(line.split(" ", 3)[2]));
    }
  }
  return Float64Array.from(found).toSorted();
}

function percentile(sortedUs: Float64Array, share: number): number | null {
  const value = sortedUs[Math.min(sortedUs.length - 1, Math.floor(sortedUs.length * share))];
  return value === undefined ? null : value / 1000;
}

/** Clock ticks a second in /proc, the same on every Linux that this runs on. */
const TICKS_PER_SECOND = 100;
/** The words after the program's name in /proc/PID/stat. */
const STAT_USER_TIME = 11;
const STAT_SYSTEM_TIME = 12;

/** Processor time that a peer's process has used, all threads together. */
function cpuSeconds(peer: Peer): number | null {
  const path = `/proc/${peer.pid}/stat`;
  if (peer.pid === null || !existsSync(path)) return null;
  const stat = readFileSync(path, "utf8");
  const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(words[STAT_USER_TIME]) + Number(words[STAT_SYSTEM_TIME])) / TICKS_PER_SECOND;
}
