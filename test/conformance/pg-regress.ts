/** Runs PostgreSQL's regression suite against an address and reads its report. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PostgresTests } from "./postgres-source.ts";

export type Address = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null: none is asked for. */
  readonly password: string | null;
};

export type Verdict = "ok" | "failed" | "ignored";

export type RegressRun = {
  /** By name, in the order of the report. */
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** What pg_regress ended with; 0: it ran all tests, and none failed. */
  readonly status: number;
  /** Holds a `.out` file for each test. */
  readonly resultsDir: string;
  readonly diffs: string;
  readonly durationMs: number;
  /** The whole report. */
  readonly report: string;
};

/** The database that the suite runs in; its name is in the expected output. */
export const REGRESSION = "regression";

/** The suite was written for these; the server's sizes decide some plans. */
export const SERVER_SETTINGS = {
  autovacuum: true,
  shared_buffers: "128MB",
  max_prepared_transactions: 2,
  max_connections: 60,
} as const;

/** What pg_regress does to a database that it makes itself, run in another database as superuser. */
export const MAKE_DATABASE = [
  `DROP DATABASE IF EXISTS ${REGRESSION}`,
  `CREATE DATABASE ${REGRESSION} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'`,
  ...["lc_messages", "lc_monetary", "lc_numeric", "lc_time"].map(
    (setting) => `ALTER DATABASE ${REGRESSION} SET ${setting} TO 'C'`,
  ),
  `ALTER DATABASE ${REGRESSION} SET bytea_output TO 'hex'`,
  `ALTER DATABASE ${REGRESSION} SET timezone_abbreviations TO 'Default'`,
].join(";\n");

/**
 * Tests that need little time and together use every message and nearly every kind of statement that the suite has; each
 * line runs at once. What is left out is long and more of the same: types beside other types, tables, functions and
 * views beside others. And `random`, which fails by chance, as PostgreSQL's own schedules say.
 */
export const SUBSET = `
test: test_setup
test: boolean char name varchar text int2 int4 int8 oid float4 float8 bit txid uuid enum money rangetypes
test: strings numerology point date time timestamptz interval inet json arrays regex
test: copy copyselect copydml insert insert_conflict
test: create_misc create_operator create_procedure create_table create_type create_schema
test: create_index create_view index_including
test: create_aggregate create_function_sql create_cast create_am constraints select typed_table vacuum drop_if_exists
test: select_into select_distinct select_having subselect union case join aggregates transactions portals update delete namespace prepared_xacts
test: password identity groupingsets privileges
test: psql psql_crosstab async dbsize
test: rules
test: foreign_data guc plancache limit copy2 temp prepare conversion truncate sequence rowtypes returning largeobject with xml
test: event_trigger
test: stats
`;

/** Lays out a folder that the server's user can read and write: the suite with its data, the modules, room for results. */
export function layOut(tests: PostgresTests, folder: string): void {
  chmodSync(folder, 0o755);
  cpSync(tests.regressDir, join(folder, "suite"), { recursive: true });
  cpSync(tests.modulesDir, join(folder, "modules"), { recursive: true });
  writeFileSync(join(folder, "suite/subset_schedule"), SUBSET);
  if (tests.serverRoot !== "/") cpSync(tests.serverRoot, join(folder, "server"), { recursive: true });
}

/** Where layOut() has put the server's programs. */
export function serverBinDir(tests: PostgresTests, folder: string): string {
  const root = tests.serverRoot === "/" ? "/" : join(folder, "server");
  return join(root, "usr/lib/postgresql/15/bin");
}

/** Runs a schedule (`parallel`, `serial` or `subset`) in a folder that layOut() made; `name` becomes the folder of its output. */
export async function runRegress(
  tests: PostgresTests,
  folder: string,
  name: string,
  schedule: string,
  address: Address,
): Promise<RegressRun> {
  const output = join(folder, name);
  const resultsDir = join(output, "results");
  mkdirSync(resultsDir, { recursive: true });
  // The server writes files here too.
  chmodSync(resultsDir, 0o777);
  const begun = performance.now();
  const child = Bun.spawn(
    [
      tests.pgRegress,
      "--use-existing",
      `--host=${address.host}`,
      `--port=${address.port}`,
      `--user=${address.user}`,
      `--dbname=${REGRESSION}`,
      `--bindir=${tests.clientBinDir}`,
      `--inputdir=${join(folder, "suite")}`,
      `--outputdir=${output}`,
      `--dlpath=${join(folder, "modules")}`,
      `--schedule=${join(folder, "suite", `${schedule}_schedule`)}`,
      "--max-concurrent-tests=20",
    ],
    {
      cwd: output,
      env: {
        PATH: process.env["PATH"] ?? "",
        LC_ALL: "C",
        PGSSLMODE: process.env["PGSSLMODE"] ?? "prefer",
        ...(process.env["PGSSLROOTCERT"] === undefined ? {} : { PGSSLROOTCERT: process.env["PGSSLROOTCERT"] }),
        ...(address.password === null ? {} : { PGPASSWORD: address.password }),
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  let report = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const text = decoder.decode(chunk, { stream: true });
    report += text;
    process.stderr.write(text);
  }
  const status = await child.exited;
  const diffs = join(output, "regression.diffs");
  return {
    verdicts: readReport(report),
    status,
    resultsDir,
    diffs: existsSync(diffs) ? readFileSync(diffs, "utf8") : "",
    durationMs: performance.now() - begun,
    report,
  };
}

/** Lines like `test tablespace ... ok   67 ms` and `     boolean ... FAILED`. */
export function readReport(report: string): ReadonlyMap<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  for (const line of report.split("\n")) {
    const [, name, verdict] = /^(?:test\s|\s)\s*(\S+)\s+\.\.\. (ok|FAILED|failed \(ignored\))/u.exec(line) ?? [];
    if (name === undefined) continue;
    verdicts.set(name, verdict === "ok" ? "ok" : verdict === "FAILED" ? "failed" : "ignored");
  }
  return verdicts;
}

/** Whether every test of the schedule ran, and came out as the suite expects. */
export function isAsExpected({ status, verdicts }: RegressRun): boolean {
  return status === 0 && verdicts.size > 0 && [...verdicts.values()].every((verdict) => verdict === "ok");
}

export type Difference = {
  readonly test: string;
  readonly direct: Verdict | "missing";
  readonly through: Verdict | "missing";
  /** The first line that is not the same, of both; null where the output is the same. */
  readonly line: { readonly number: number; readonly direct: string; readonly through: string } | null;
};

/** The tests whose verdict or output is not the same in both runs, but for those whose failure the suite itself ignores. */
export function compare(direct: RegressRun, through: RegressRun): readonly Difference[] {
  const names = new Set([...direct.verdicts.keys(), ...through.verdicts.keys()]);
  const differences: Difference[] = [];
  for (const test of names) {
    const verdicts = {
      direct: direct.verdicts.get(test) ?? "missing",
      through: through.verdicts.get(test) ?? "missing",
    } as const;
    if (Object.values(verdicts).includes("ignored")) continue;
    const line = firstDifference(outputOf(direct, test), outputOf(through, test));
    if (verdicts.direct !== verdicts.through || (line !== null && verdicts.through !== "ok")) {
      differences.push({ test, ...verdicts, line });
    }
  }
  return differences;
}

/** Tests that pass in both runs, with output that is not the same: the suite has several expected outputs for some. */
export function otherOutputs(direct: RegressRun, through: RegressRun): readonly string[] {
  const passed = [...direct.verdicts.keys()].filter(
    (test) => direct.verdicts.get(test) === "ok" && through.verdicts.get(test) === "ok",
  );
  return passed.filter((test) => firstDifference(outputOf(direct, test), outputOf(through, test)) !== null);
}

function outputOf(run: RegressRun, test: string): readonly string[] {
  if (!readdirSync(run.resultsDir).includes(`${test}.out`)) return [];
  return readFileSync(join(run.resultsDir, `${test}.out`), "latin1").split("\n");
}

function firstDifference(a: readonly string[], b: readonly string[]): Difference["line"] {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] !== b[i]) return { number: i + 1, direct: a[i] ?? "", through: b[i] ?? "" };
  }
  return null;
}
