/**
 * Runs PostgreSQL's own regression suite through a gateway and directly, and prints what differs.
 *
 * bun test/conformance/regress.ts [--schedule parallel|serial|subset] [--both] [--direct] [--output DIR]
 *     Starts a server with a gateway in front of it (a permit-all policy, audit on), and another one for the direct run.
 *     That follows only when not everything came out through the gateway as the suite expects: it tells whether that is
 *     the gateway's doing. `--both` runs it always, `--direct` alone.
 *
 * bun test/conformance/regress.ts --host H --port P --user U [--password TOKEN] [--server-port P] ...
 *     Takes the given address for the first run, be it a gateway or anything else that speaks the protocol. What it
 *     leads to must be a PostgreSQL on this machine whose superuser it logs in as, reached under the name `regression`.
 *     With `--server-port`, that server takes the place of the one that this script would start, also for the first run,
 *     and its database `regression` is made anew before each run (as superuser `postgres`, over TCP, trusted).
 *
 * Exit status 0: no test fails through the gateway that does not fail directly. 1: some does. 2: something is missing.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { PERMIT_ALL, startGateway } from "../gateway.ts";
import { startPostgres } from "../servers/postgres.ts";
import {
  type Address,
  compare,
  type Difference,
  isAsExpected,
  layOut,
  MAKE_DATABASE,
  otherOutputs,
  REGRESSION,
  type RegressRun,
  runRegress,
  SERVER_SETTINGS,
  serverBinDir,
} from "./pg-regress.ts";
import { Missing, postgresTests, type PostgresTests } from "./postgres-source.ts";

const { values: options } = parseArgs({
  options: {
    schedule: { type: "string", default: "parallel" },
    both: { type: "boolean", default: false },
    direct: { type: "boolean", default: false },
    output: { type: "string" },
    host: { type: "string" },
    port: { type: "string" },
    user: { type: "string", default: "postgres" },
    password: { type: "string" },
    "server-port": { type: "string" },
    durability: { type: "string", default: "strict" },
  },
});

type Server = { readonly address: Address; stop(): Promise<void> };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function startServer(binDir: string): Promise<Server & { readonly port: number }> {
  const server = await startPostgres({ settings: SERVER_SETTINGS, binDir });
  for (const statement of MAKE_DATABASE.split(";\n")) server.psql(statement);
  const address = { host: server.host, port: server.port, user: server.superuser, password: null };
  return { address, port: server.port, stop: server.stop };
}

/** A server that runs already; its database is made anew. */
function existingServer(tests: PostgresTests, port: number): Server {
  const psql = [
    join(tests.clientBinDir, "psql"),
    "-X",
    "-q",
    "-v",
    "ON_ERROR_STOP=1",
    "-h",
    "127.0.0.1",
    "-p",
    `${port}`,
    "-U",
    "postgres",
  ];
  const statements = MAKE_DATABASE.split(";\n").flatMap((statement) => ["-c", statement]);
  const made = Bun.spawnSync([...psql, ...statements, "postgres"], { stderr: "pipe" });
  if (made.exitCode !== 0) throw new Missing(`the server on port ${port}: ${made.stderr.toString()}`);
  return { address: { host: "127.0.0.1", port, user: "postgres", password: null }, stop: async () => {} };
}

async function directServer(tests: PostgresTests, binDir: string): Promise<Server> {
  const port = options["server-port"];
  return port === undefined ? startServer(binDir) : existingServer(tests, Number(port));
}

/** The address that the run through a gateway goes to, and what is behind it. */
async function throughServer(tests: PostgresTests, binDir: string): Promise<Server> {
  if (options.port !== undefined) {
    const port = options["server-port"];
    if (port !== undefined) existingServer(tests, Number(port));
    const { host = "127.0.0.1", user, password = null } = options;
    return { address: { host, port: Number(options.port), user, password }, stop: async () => {} };
  }
  const server = await startServer(binDir);
  try {
    const durability =
      options.durability === "relaxed" || options.durability === "release" ? options.durability : "strict";
    const target = { host: "127.0.0.1", port: server.port, database: REGRESSION, user: "postgres", tls: "disable" };
    const gateway = await startGateway({
      targets: { [REGRESSION]: { postgres: target } },
      durability,
      policyFiles: { ...PERMIT_ALL, "guards/masks.yaml": MASKS },
    });
    const stop = async (): Promise<void> => {
      await gateway.stop();
      await server.stop();
    };
    const password = await gateway.token("conformance", "service");
    return { address: { host: gateway.host, port: gateway.port, user: "postgres", password }, stop };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Masks in force on what the suite does not touch: whatever it makes is looked at for them, and nothing is masked. */
const MASKS = `apiVersion: weir.dev/v1
kind: Guards
rules:
  - id: masks
    action: { postgres: { columns: ["vault.*.secret"] } }
    except: [{ unread: true, reason: The suite runs what cannot be read. }]
    oblige: { mask: [{ with: redact }] }
`;

function summary(name: string, run: RegressRun): string {
  const passed = [...run.verdicts.values()].filter((verdict) => verdict === "ok").length;
  const others = [...run.verdicts]
    .filter(([, verdict]) => verdict !== "ok")
    .map(([test, verdict]) => `${test} (${verdict})`);
  const which = others.length === 0 ? "" : `; not ok: ${others.join(", ")}`;
  return `${name}: ${passed} of ${run.verdicts.size} in ${(run.durationMs / 1000).toFixed(0)} s${which}`;
}

function table(differences: readonly Difference[]): string {
  return differences
    .map(({ test, direct, through, line }) => {
      const where =
        line === null
          ? ""
          : `\n    line ${line.number} directly: ${line.direct}\n    line ${line.number} through:  ${line.through}`;
      return `${test.padEnd(28)} ${direct.padEnd(8)} ${through.padEnd(8)}${where}`;
    })
    .join("\n");
}

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "weir-conformance-"));
  const keep = (name: string, run: RegressRun): void => {
    if (options.output === undefined) return;
    writeFileSync(join(options.output, `${name}.diffs`), run.diffs);
    writeFileSync(join(options.output, `${name}.report`), run.report);
  };
  const once = async (name: string, server: Server, tests: PostgresTests): Promise<RegressRun> => {
    try {
      const run = await runRegress(tests, folder, name, options.schedule, server.address);
      keep(name, run);
      return run;
    } finally {
      await server.stop();
    }
  };
  try {
    const tests = postgresTests(15);
    layOut(tests, folder);
    const binDir = serverBinDir(tests, folder);
    if (options.direct) {
      const direct = await once("direct", await directServer(tests, binDir), tests);
      say(summary("directly", direct));
      return [...direct.verdicts.values()].includes("failed") ? 1 : 0;
    }
    say(`PostgreSQL ${tests.version}'s suite`);
    const through = await once("through", await throughServer(tests, binDir), tests);
    say(summary("through", through));
    if (!options.both && isAsExpected(through)) return 0;
    const direct = await once("direct", await directServer(tests, binDir), tests);
    if (direct.verdicts.size === 0) throw new Missing(`pg_regress reported nothing:\n${direct.report}`);
    say(summary("directly", direct));
    const differences = compare(direct, through);
    const others = otherOutputs(direct, through);
    if (others.length > 0) say(`as good, with other output that the suite allows for: ${others.join(", ")}`);
    if (differences.length === 0) {
      say("no difference");
      return 0;
    }
    say(`${"test".padEnd(28)} directly through\n${table(differences)}`);
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
