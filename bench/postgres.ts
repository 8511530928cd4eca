/** PostgreSQL through weir, beside the server itself, PgBouncer and HAProxy: throughput, latency and memory, in alternating rounds. */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { weirVersion } from "../src/release/version.ts";
import { startPostgres } from "../test/servers/postgres.ts";
import { measureMemory, type MemoryUse } from "./postgres/memory.ts";
import { DATABASE, type Peer, PEER_NAMES, type PeerName, startPeer } from "./postgres/peers.ts";
import { memoryTable, type Series, summarize, table } from "./postgres/report.ts";
import { type Measurement, prepareDatabase, type Scale, type Workload, workloads } from "./postgres/workloads.ts";

const USAGE = `usage: ./dev bench postgres [options]
  --quick             a small run that shows that everything works; its numbers mean little
  --rounds N          alternating rounds, 5 when left out
  --seconds N         of each pgbench run, 4 when left out
  --only PATTERN      workloads whose name contains it, several separated by commas (memory is one)
  --peers A,B         ${PEER_NAMES.join(",")}
  --json FILE         all numbers of all rounds
  --list              the workloads
weir runs from the sources, or is the binary that WEIR_BINARY names.`;

/** Idle sessions that memory is measured with; the server holds a process for each. */
const SESSIONS = { full: 1000, quick: 50 } as const;

/** Runs whose numbers are dropped: what compiles itself while it runs should have done so. */
const WARM_UP: Scale = { seconds: 2, pgbenchScale: 1, copyMegabytes: 50 };
/** Above this share of the cores, others' work is part of the numbers. */
const LOAD_SHARE_MAX = 0.25;

type Options = {
  readonly isQuick: boolean;
  readonly scale: Scale;
  readonly rounds: number;
  readonly peers: readonly PeerName[];
  readonly only: readonly string[];
  readonly json: string | undefined;
  readonly sessions: number;
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string", default: "" },
      peers: { type: "string", default: PEER_NAMES.join(",") },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const scale: Scale = {
    seconds: Number(values.seconds ?? (values.quick ? 1 : 4)),
    pgbenchScale: values.quick ? 1 : 10,
    copyMegabytes: values.quick ? 50 : 1000,
  };
  if (values.list)
    return console.log(
      workloads(scale)
        .map((workload) => workload.name)
        .join("\n"),
    );
  await run({
    isQuick: values.quick,
    scale,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    peers: values.peers.split(",").map(peerName),
    only: values.only.split(",").filter((pattern) => pattern !== ""),
    json: values.json,
    sessions: values.quick ? SESSIONS.quick : SESSIONS.full,
  });
}

function peerName(text: string): PeerName {
  const found = PEER_NAMES.find((name) => name === text);
  if (found === undefined) throw new Error(`there is no peer ${text}; there are ${PEER_NAMES.join(", ")}`);
  return found;
}

async function run(options: Options): Promise<void> {
  const load = loadavg()[0] ?? 0;
  if (load > availableParallelism() * LOAD_SHARE_MAX) {
    console.log(`This machine is busy (load ${load.toFixed(1)}): what follows says little about a quiet one.\n`);
  }
  const isWanted = (name: string): boolean =>
    options.only.length === 0 || options.only.some((pattern) => name.includes(pattern));
  const wanted = workloads(options.scale).filter(({ name }) => isWanted(name));
  const server = await startPostgres({
    settings: { max_connections: SESSIONS.full * 2 + 100, shared_buffers: "512MB", max_wal_size: "4GB" },
    sql: `CREATE DATABASE ${DATABASE}`,
  });
  const peers: Peer[] = [];
  try {
    server.psql("CREATE UNLOGGED TABLE copied (line text)", DATABASE);
    const direct = await startPeer("direct", server);
    prepareDatabase(direct, options.scale);
    for (const name of options.peers) peers.push(name === "direct" ? direct : await startPeer(name, server));

    // Before the load, which leaves compiled code and grown heaps behind.
    const memory: MemoryUse[] = [];
    for (const peer of isWanted("memory") ? peers : []) {
      progress(`memory ${peer.name}`);
      const use = await measureMemory(peer, options.sessions);
      if (use !== null) memory.push(use);
    }
    if (!options.isQuick)
      await measure(
        workloads(WARM_UP).filter(({ name }) => isWanted(name)),
        peers,
        1,
      );
    const rows = summarize(await measure(wanted, peers, options.rounds));
    if (rows.length > 0) console.log(`${table(rows)}\n`);
    if (memory.length > 0) console.log(memoryTable(memory));
    if (options.json !== undefined) {
      const { scale, rounds } = options;
      writeFileSync(
        options.json,
        `${JSON.stringify({ machine: machine(), weir: weirVersion(), scale, rounds, rows, memory }, null, 2)}\n`,
      );
    }
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
    await server.stop();
  }
}

/** Every round runs every workload against every peer, in an order that turns by one peer each time. */
async function measure(wanted: readonly Workload[], peers: readonly Peer[], rounds: number): Promise<Series[]> {
  const found = new Map<string, Measurement[]>();
  const key = (workload: Workload, peer: Peer): string => `${workload.name} ${peer.name}`;
  for (let round = 0; round < rounds; round++) {
    for (const [index, workload] of wanted.entries()) {
      const first = (round + index) % peers.length;
      for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) {
        progress(`round ${round + 1} of ${rounds}: ${workload.name} ${peer.name}`);
        const measured = await workload.run(peer);
        found.set(key(workload, peer), [...(found.get(key(workload, peer)) ?? []), measured]);
      }
    }
  }
  progress("");
  return wanted.flatMap((workload) =>
    peers.map((peer) => ({
      workload: workload.name,
      unit: workload.unit,
      peer: peer.name,
      rounds: found.get(key(workload, peer)) ?? [],
    })),
  );
}

/** One line on a terminal that is written over; silent in a pipe. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`);
}

function machine(): object {
  return {
    load: loadavg(),
    cpu: cpus()[0]?.model ?? "",
    cores: availableParallelism(),
    platform: process.platform,
    arch: process.arch,
  };
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
