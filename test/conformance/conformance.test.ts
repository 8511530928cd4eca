/** PostgreSQL's own suites come out through the gateway as they should: libpq's pipeline tests, and a part of the regression tests (with --long all of them, beside a direct run). */
import { expect, test } from "bun:test";
import { join } from "node:path";

/** The scripts' word for "something is missing here". */
const MISSING = 2;
const SUITE_TIME_MS_MAX = 1_800_000;

async function run(script: string, ...args: readonly string[]): Promise<{ status: number; output: string }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, script), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, output: `${stdout}${stderr}` };
}

async function expectSame(script: string, ...args: readonly string[]): Promise<void> {
  const { status, output } = await run(script, ...args);
  if (status === MISSING) {
    process.stderr.write(`left out, because something is missing here:\n${output}\n`);
    return;
  }
  if (status !== 0) throw new Error(output);
  expect(output).toContain("through");
}

test(
  "libpq's pipeline tests",
  async () => {
    await expectSame("libpq-pipeline.ts");
  },
  SUITE_TIME_MS_MAX,
);

test(
  "the regression suite",
  async () => {
    const isLong = process.env["WEIR_TEST_LONG"] !== undefined;
    const part = isLong ? ["--schedule", "parallel", "--both"] : ["--schedule", "subset", "--durability", "relaxed"];
    await expectSame("regress.ts", ...part);
  },
  SUITE_TIME_MS_MAX,
);
