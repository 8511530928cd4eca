/** The log's key and pruning on the command line, with and without a running gateway. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir, startGateway } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";
import { AuditLog } from "../audit/audit.ts";
import { LogReader } from "../audit/query.ts";

setDefaultTimeout(240_000);

/** Nothing listens on port 1. */
const NOWHERE = { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-keys-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let places = 0;
/** A folder with a configuration of its own. */
function place(): { readonly data: string; weir(...args: string[]): Promise<CommandResult> } {
  const path = join(folder, `place-${places++}`);
  mkdirSync(path);
  const file = { name: "gw", listen: { postgres: { port: 0 } }, targets: { db: { postgres: NOWHERE } } };
  writeFileSync(join(path, "weir.yaml"), JSON.stringify(file));
  return { data: join(path, "data"), weir: async (...args) => runWeir(args, { cwd: path }) };
}

async function fill(data: string, entries: number, startMs: number): Promise<void> {
  let now = startMs;
  const log = await AuditLog.open({ folder: data, origin: "gw", clock: { now: () => now++ } });
  for (let i = 0; i < entries; i++) log.event("login.ok", { n: i });
  await log.close();
}

test("without a log there is nothing to print, exchange or prune, and none is made", async () => {
  const here = place();
  for (const [args, why] of [
    [["audit", "keys"], "there is no key of a log at"],
    [["audit", "rotate-key"], "there is no audit log at"],
    [["audit", "prune", "--before", "1d"], "there is no audit log at"],
    [["audit", "prune", "--before", "7"], "there is no audit log at"],
  ] as const) {
    const result = await here.weir(...args);
    expect([result.status, result.stdout]).toEqual([1, ""]);
    expect(result.stderr).toContain(why);
  }
  expect(existsSync(join(here.data, "audit.db"))).toBe(false);
});

test("the key is printed alone, and exchanged without a gateway", async () => {
  const here = place();
  await fill(here.data, 3, Date.now());
  const key = await here.weir("audit", "keys");
  expect([key.status, key.stderr]).toEqual([0, ""]);
  expect(key.stdout).toMatch(/^gw\+[0-9a-f]{8}\+[0-9A-Za-z+/]{44}\n$/u);
  const vkey = key.stdout.trim();
  expect(JSON.parse((await here.weir("audit", "keys", "--json")).stdout)).toEqual({ origin: "gw", key: vkey });
  const rotated: unknown = JSON.parse((await here.weir("audit", "rotate-key", "--json")).stdout);
  const next = (await here.weir("audit", "keys")).stdout.trim();
  expect(next).not.toBe(vkey);
  expect(rotated).toEqual({ oldKey: vkey, newKey: next });
  const again = await here.weir("audit", "rotate-key");
  expect(again.stdout).toBe((await here.weir("audit", "keys")).stdout);
});

test("the oldest entries are taken away by number and by time, without a gateway", async () => {
  const here = place();
  await fill(here.data, 600, Date.now() - 10 * 86_400_000);
  await fill(here.data, 600, Date.now());
  for (const before of ["soon", "-1", "1.5", "2026-01-01", "2026-01-01T00:00:00", "#x", "07"]) {
    const wrong = await here.weir("audit", "prune", "--before", before);
    expect([wrong.status, wrong.stderr.split(" ").slice(0, 3).join(" ")], before).toEqual([2, "weir: --before is"]);
  }
  expect((await here.weir("audit", "prune")).status).toBe(2);
  const first = await here.weir("audit", "prune", "--before", "#300", "--json");
  expect(JSON.parse(first.stdout)).toEqual({ first: 0, to: 256, entries: 256 });
  const long = await here.weir("audit", "prune", "--before", new Date(Date.now() - 30 * 86_400_000).toISOString());
  expect([long.status, long.stdout]).toEqual([0, "There is nothing to take away.\n"]);
  const byTime = await here.weir("audit", "prune", "--before", "5d");
  expect([byTime.status, byTime.stdout]).toEqual([0, "Took away 256 entries, #256 to #511.\n"]);
  const reader = LogReader.open(here.data);
  expect((await reader.tail(10_000))[0]?.index).toBe(512);
  reader.close();
});

test("through a running gateway", async () => {
  const gateway = await startGateway({ targets: { db: { postgres: NOWHERE } } });
  try {
    const key = (await gateway.weir("audit", "keys")).stdout.trim();
    expect(key).toStartWith("test.example.com+");
    const rotated: unknown = JSON.parse((await gateway.weir("audit", "rotate-key", "--json")).stdout);
    expect(rotated).toEqual({ oldKey: key, newKey: (await gateway.weir("audit", "keys")).stdout.trim() });
    const pruned = await gateway.weir("audit", "prune", "--before", "1d", "--json");
    expect(JSON.parse(pruned.stdout)).toEqual({ first: 0, to: 0, entries: 0 });
  } finally {
    await gateway.stop();
  }
});
