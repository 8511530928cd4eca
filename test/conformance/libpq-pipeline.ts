/**
 * Runs the tests of libpq's pipeline mode (PostgreSQL's src/test/modules/libpq_pipeline) through a gateway.
 * Each is a program's exit status; for most the protocol's trace is also compared with the expected one.
 *
 * bun test/conformance/libpq-pipeline.ts [--direct]
 *     Starts a server with a gateway (a permit-all policy, audit on) in front of it. When some do not pass, they are run
 *     on another server without it. `--direct` does that alone.
 *
 * bun test/conformance/libpq-pipeline.ts --host H --port P --user U [--password TOKEN] [--dbname NAME]
 *     Runs them against this address alone.
 *
 * Exit status 0: all pass. 1: some do not. 2: something is missing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startGateway } from "../gateway.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { Missing, postgresTests, type PostgresTests } from "./postgres-source.ts";

const { values: options } = parseArgs({
  options: {
    direct: { type: "boolean", default: false },
    host: { type: "string", default: "127.0.0.1" },
    port: { type: "string" },
    user: { type: "string", default: "postgres" },
    password: { type: "string" },
    dbname: { type: "string", default: "postgres" },
  },
});

/** As the suite itself runs them. */
const ROWS = "700";
const TEST_TIME_MS_MAX = 300_000;

type Result = { readonly test: string; readonly failure: string | null; readonly trace: "same" | "other" | "none" };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function listTests(tests: PostgresTests): readonly string[] {
  const listed = Bun.spawnSync([tests.libpqPipeline, "tests"]).stdout.toString();
  return listed.split("\n").filter((name) => name !== "");
}

async function runOne(tests: PostgresTests, test: string, connection: string, folder: string): Promise<Result> {
  const expected = join(tests.tracesDir, `${test}.trace`);
  const trace = join(folder, `${test}.trace`);
  const traced = existsSync(expected) ? ["-t", trace] : [];
  const child = Bun.spawn([tests.libpqPipeline, "-r", ROWS, ...traced, test, connection], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: TEST_TIME_MS_MAX,
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const last = `${output}\n${errors}`.trim().split("\n").at(-1) ?? "";
  const stopped = child.signalCode === null ? "" : `; stopped after ${TEST_TIME_MS_MAX} ms`;
  const failure = status === 0 ? null : `status ${status}${stopped}: ${last}`;
  if (!existsSync(expected)) return { test, failure, trace: "none" };
  const isSame = existsSync(trace) && readFileSync(trace, "utf8") === readFileSync(expected, "utf8");
  return { test, failure, trace: isSame ? "same" : "other" };
}

/** Prints a line for each test and a summary; true when all is as expected. */
async function runAll(tests: PostgresTests, name: string, connection: string): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "weir-pipeline-"));
  try {
    const results: Result[] = [];
    for (const test of listTests(tests)) results.push(await runOne(tests, test, connection, folder));
    for (const { test, failure, trace } of results) {
      say(`${name.padEnd(9)} ${test.padEnd(24)} ${failure ?? "ok"}${trace === "other" ? "  (another trace)" : ""}`);
    }
    const passed = results.filter(({ failure }) => failure === null).length;
    const traced = results.filter(({ trace }) => trace !== "none");
    const same = traced.filter(({ trace }) => trace === "same").length;
    say(`${name}: ${passed} of ${results.length}; traces ${same} of ${traced.length}`);
    return results.length > 0 && passed === results.length && same === traced.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function connectionString(parts: Readonly<Record<string, string | number>>): string {
  return Object.entries(parts)
    .map(([key, value]) => `${key}='${`${value}`.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`)
    .join(" ");
}

async function main(): Promise<boolean> {
  const tests = postgresTests(15);
  if (options.port !== undefined) {
    const { host, port, user, dbname } = options;
    const password = options.password === undefined ? {} : { password: options.password };
    return runAll(tests, "through", connectionString({ host, port, user, dbname, ...password }));
  }
  const directly = (): Promise<boolean> =>
    onServer(async ({ host, port }) =>
      runAll(tests, "directly", connectionString({ host, port, user: "postgres", dbname: "postgres" })),
    );
  if (options.direct) return directly();
  const through = await onServer(async (server) => {
    const gateway = await startGateway({ postgres: server });
    try {
      const password = await gateway.token("conformance", "service");
      const address = { host: gateway.host, port: gateway.port, user: "postgres", dbname: "db", password };
      return await runAll(tests, "through", connectionString(address));
    } finally {
      await gateway.stop();
    }
  });
  // Another server: the expected traces hold notices about tables that are not there yet.
  if (!through) await directly();
  return through;
}

async function onServer<T>(use: (server: PostgresServer) => Promise<T>): Promise<T> {
  const server = await startPostgres();
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
