/** pgbench through the gateway: loading, and every workload in every query mode, without a failed transaction. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { runProgram } from "./programs.ts";
import { Roads, THROUGH_GATEWAY } from "./roads.ts";
import { TEST_TIME_MS_MAX } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const SCALE = 1;
const CLIENTS = 4;
const TRANSACTIONS_PER_CLIENT = 50;

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start();
});

afterAll(async () => {
  await roads.stop();
});

test.each(THROUGH_GATEWAY)("loading and running (%s)", async (name) => {
  const road = roads.named(name);
  const load = await runProgram(road, "pgbench", ["-i", "-s", `${SCALE}`, "-I", "dtgvpf"]);
  expect(load).toMatchObject({ status: 0 });
  expect(roads.server.psql("SELECT count(*) FROM pgbench_accounts")).toBe(`${100_000 * SCALE}`);
  const size = ["-c", `${CLIENTS}`, "-j", "2", "-t", `${TRANSACTIONS_PER_CLIENT}`];
  for (const mode of ["simple", "extended", "prepared"]) {
    for (const workload of ["select-only", "simple-update", "tpcb-like"]) {
      const result = await runProgram(road, "pgbench", ["-n", "-M", mode, "-b", workload, ...size]);
      expect(result).toMatchObject({ status: 0 });
      const all = CLIENTS * TRANSACTIONS_PER_CLIENT;
      expect(result.stdout).toContain(`number of transactions actually processed: ${all}/${all}`);
      expect(result.stdout).toContain("number of failed transactions: 0 ");
    }
  }
  // TPC-B keeps its books, whoever is in between.
  const balances = roads.server.psql(
    `SELECT (SELECT sum(tbalance) FROM pgbench_tellers) - (SELECT sum(bbalance) FROM pgbench_branches),
      (SELECT count(*) FROM pgbench_history)`,
  );
  expect(balances).toBe(`0|${2 * 3 * CLIENTS * TRANSACTIONS_PER_CLIENT}`);
});

test("pipelines and a connection for every transaction", async () => {
  const script = "\\startpipeline\nSELECT 1;\nSELECT 2;\nSELECT 3;\n\\endpipeline\n";
  for (const road of roads.all.slice(1)) {
    const result = await runProgram(road, "pgbench", ["-n", "-M", "extended", "-f", "/dev/stdin", "-t", "20"], {
      input: script,
    });
    expect(result).toMatchObject({ status: 0 });
    const connecting = await runProgram(road, "pgbench", ["-n", "-C", "-b", "select-only", "-c", "2", "-t", "10"]);
    expect(connecting).toMatchObject({ status: 0 });
  }
});
