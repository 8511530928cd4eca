/** `weir policy catalog pull` where a target cannot be read; test/e2e/postgres/catalog-pull.test.ts has those that can. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import { POLICY_YAML, writeFiles } from "../../test/policy-sets.ts";

setDefaultTimeout(240_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-catalog-"));
  // Nothing listens on port 1.
  const nowhere = { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" };
  const config = { name: "gw", listen: { postgres: { port: 0 } }, targets: { db: { postgres: nowhere } } };
  writeFiles(folder, { "weir.yaml": JSON.stringify(config), "policies/policy.yaml": POLICY_YAML });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const weir = async (...args: string[]) => runWeir(["policy", "catalog", "pull", ...args], { cwd: folder });

test("says which target cannot be read, writes nothing for it, and ends with 1", async () => {
  const { status, stdout } = await weir();
  expect(stdout).toMatch(/^db: failed: .*127\.0\.0\.1:1/u);
  expect(status).toBe(1);
  expect(existsSync(join(folder, "policies/catalog"))).toBe(false);
  const json: unknown = JSON.parse((await weir("--json", "db")).stdout);
  expect(json).toMatchObject({ ok: false, targets: [{ name: "db", state: "failed", digest: null, change: null }] });
});

test("needs a configuration, and targets that it knows", async () => {
  const alone = await weir("--policies", "policies");
  expect([alone.status, alone.stdout]).toEqual([1, ""]);
  expect(alone.stderr).toContain("targets are in the configuration");
  const unknown = await weir("dbb");
  expect([unknown.status, unknown.stdout]).toEqual([1, ""]);
  expect(unknown.stderr).toContain('there is no target dbb; did you mean "db"?');
});
