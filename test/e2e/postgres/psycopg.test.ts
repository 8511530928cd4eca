/** psycopg 3 through the gateway; the package is installed once into a cache outside the project. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { DRIVER_ROADS } from "./driver-policy.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const PACKAGE = "psycopg[binary]==3.3.9";
const REFUSAL = { code: "42501", detail: "Decided by: closed-is-closed." };

const python = await findPython();
let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start(DRIVER_ROADS);
});

afterAll(async () => {
  await roads.stop();
});

// Left out where no Python with venv and psycopg can be had.
test.skipIf(python === null)("every way that psycopg speaks", async () => {
  let direct: unknown = null;
  for (const road of roads.all) {
    await roads.reset();
    const { address, login } = road;
    const url = `postgresql://postgres:${login.password ?? ""}@${address.host}:${address.port}/${login.database ?? "postgres"}?sslmode=${login.tls === undefined ? "disable" : "require"}`;
    const { status, stdout, stderr } = await run([python ?? "", join(import.meta.dir, "psycopg_client.py"), url]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const answer: unknown = JSON.parse(stdout);
    if (road.name === "direct") {
      direct = answer;
      continue;
    }
    // Directly nobody refuses the closed table, so there the inner transaction is kept too.
    expect(answer).toEqual({
      ...(direct as object),
      transactions: { refusal: REFUSAL, rows: ["kept"] },
      pipeline: { sum: 1225, refusal: REFUSAL, left: 0 },
    });
    expect(answer).toMatchObject({
      copied: 500,
      cursor: 500_500,
      notified: "hello",
      many: 190,
      values: { text: true, binary: true },
    });
  }
});

/** A Python that has psycopg 3: the machine's own, or one made with pip. Null, with the reason said, when there is none. */
async function findPython(): Promise<string | null> {
  for (const candidate of ["python3", "/usr/bin/python3"]) {
    if (await hasPsycopg(candidate)) return candidate;
  }
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weir");
  const folder = join(cache, PACKAGE.replaceAll(/[^a-z0-9.]+/gu, "-"));
  const cached = join(folder, "bin/python");
  if (existsSync(cached) && (await hasPsycopg(cached))) return cached;
  // Made aside and moved, so that it is whole or not there, also when two runs make it at once.
  const aside = `${folder}-${process.pid}`;
  const steps = [
    ["mkdir", "-p", cache],
    ["python3", "-m", "venv", aside],
    [join(aside, "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
  ];
  for (const step of steps) {
    const { status, stderr } = await run(step).catch((error: unknown) => ({ status: 1, stderr: String(error) }));
    if (status === 0) continue;
    rmSync(aside, { recursive: true, force: true });
    process.stderr.write(
      `psycopg is not tested, because it cannot be installed: ${step.join(" ")}: ${stderr.trim()}\n`,
    );
    return null;
  }
  try {
    renameSync(aside, folder);
  } catch (error) {
    // Another run was faster, or one that broke off left something there: this one's works where it is.
    if (await hasPsycopg(cached)) rmSync(aside, { recursive: true, force: true });
    else if (await hasPsycopg(join(aside, "bin/python"))) return join(aside, "bin/python");
    else throw error;
  }
  return cached;
}

async function hasPsycopg(interpreter: string): Promise<boolean> {
  const answer = await run([interpreter, "-c", "import psycopg"]).catch(() => null);
  return answer?.status === 0;
}

async function run(command: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}
