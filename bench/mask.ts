/** Measures masking: reading and rewriting statements, short queries and many rows with a masked column, detectors of content. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Stage } from "../test/masking/player.ts";
import { gatewayRoad, type Mode, type Road } from "../test/masking/roads.ts";
import { timeDetecting } from "./mask/detecting.ts";
import { timeRewriting } from "./mask/rewriting.ts";
import type { Peer } from "./postgres/peers.ts";
import { concurrency, type Measurement, pgbench, type Scale, stream } from "./postgres/workloads.ts";

const USAGE = `usage: ./dev bench mask [options]
  --quick         a small run that shows that everything works; its numbers mean little
  --rounds N      alternating rounds, 3 when left out
  --only PART     rewriting, queries, rows or detecting; several separated by commas`;

const PARTS = ["rewriting", "queries", "rows", "detecting"];
const MODES: readonly Mode[] = ["plain", "guarded", "inline"];
const CLIENTS = 8;
/** Above this share of the cores, others' work is part of the numbers. */
const LOAD_SHARE_MAX = 0.25;

type Options = {
  readonly rounds: number;
  readonly rows: number;
  readonly seconds: number;
  readonly only: readonly string[];
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string", default: PARTS.join(",") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const options: Options = {
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    rows: values.quick ? 20_000 : 1_000_000,
    seconds: values.quick ? 1 : 4,
    only: values.only.split(","),
  };
  const unknown = options.only.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}; there are ${PARTS.join(", ")}`);
  const load = loadavg()[0] ?? 0;
  if (load > availableParallelism() * LOAD_SHARE_MAX) {
    console.log(`This machine is busy (load ${load.toFixed(1)}): what follows says little about a quiet one.\n`);
  }
  if (options.only.includes("rewriting")) await rewriting(values.quick ? 20 : 300);
  if (options.only.includes("queries") || options.only.includes("rows")) {
    for (const mode of MODES) await throughGateway(mode, options);
  }
  if (options.only.includes("detecting")) detecting(values.quick ? 2 : 20);
}

async function rewriting(rounds: number): Promise<void> {
  console.log("reading and rewriting        texts      p50 us      p99 us");
  for (const { what, texts, p50Us, p99Us } of await timeRewriting(rounds)) {
    console.log(
      `${what.padEnd(25)} ${`${texts}`.padStart(8)} ${p50Us.toFixed(1).padStart(11)} ${p99Us.toFixed(1).padStart(11)}`,
    );
  }
  console.log("");
}

function detecting(rounds: number): void {
  console.log("detecting                    MB/s       found");
  for (const { what, megabytesPerSecond, found } of timeDetecting(rounds)) {
    console.log(`${what.padEnd(22)} ${megabytesPerSecond.toFixed(0).padStart(10)} ${`${found}`.padStart(11)}`);
  }
}

/** The same statements through the gateway and straight to its server, in turns. */
async function throughGateway(mode: Mode, { rounds, rows, seconds, only }: Options): Promise<void> {
  const road = await gatewayRoad(mode);
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-mask-"));
  try {
    const database = await road.server.copy("original");
    await road.server.superuser(database, fill(rows), "ANALYZE app.customers");
    const peers = [peerOf("direct", road, database), peerOf("weir-relaxed", road, database)] as const;
    const script = join(folder, "select.sql");
    writeFileSync(
      script,
      `\\set id random(1001, ${1000 + rows})\nSELECT id, full_name, email, balance FROM app.customers WHERE id = :id;\n`,
    );
    const scale: Scale = { seconds, pgbenchScale: 1, copyMegabytes: 0 };
    const workloads = [
      ...(only.includes("queries")
        ? ["simple", "prepared"].map((protocol) =>
            pgbench(`by id, ${protocol}`, scale, ["-f", script, "-M", protocol, ...concurrency(CLIENTS)]),
          )
        : []),
      ...(only.includes("rows")
        ? [stream(`${rows} rows`, (client) => client.drain("SELECT id, full_name, email, balance FROM app.customers"))]
        : []),
    ];
    for (const workload of workloads) {
      const found = peers.map((): number[] => []);
      for (let round = 0; round < rounds; round++) {
        for (const [index, peer] of peers.entries()) {
          const start = performance.now();
          const measured = await workload.run(peer);
          found[index]?.push(rateOf(measured, workload.unit, rows, performance.now() - start));
        }
      }
      const [direct = Number.NaN, weir = Number.NaN] = found.map(median);
      const unit = workload.unit === "tps" ? "tps" : "rows/s";
      console.log(
        `${mode.padEnd(8)} ${workload.name.padEnd(18)} direct ${direct.toFixed(0).padStart(9)}  weir ${weir.toFixed(0).padStart(9)} ${unit.padEnd(6)}  of direct ${(weir / direct).toFixed(2)}`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await road.stop();
  }
}

/** Masks make rows shorter, so that bytes a second would not compare: rows do. */
function rateOf({ value }: Measurement, unit: "tps" | "MB/s", rows: number, elapsedMs: number): number {
  return unit === "tps" ? value : (rows * 1000) / elapsedMs;
}

function fill(rows: number): string {
  return `INSERT INTO app.customers SELECT 1000 + g, 'Person ' || g, 'person-' || g || '@shop.example', '612-77-' || g,
    '4000007712' || g, g % 1000, '{}', '2024-01-01Z' FROM generate_series(1, ${rows}) g`;
}

function peerOf(name: "direct" | "weir-relaxed", { server, stage, gateway }: Road, database: string): Peer {
  const { login }: Stage = stage(database, "gw_agent");
  const stop = (): Promise<void> => Promise.resolve();
  if (name === "direct" || gateway === null) {
    return { name, port: server.postgres.port, database, user: "gw_agent", password: "", pid: null, stop };
  }
  const { database: target = "", password = "" } = login;
  return { name, port: gateway.port, database: target, user: "bench", password, pid: gateway.pid, stop };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
