/** Logins over SSH that come to nothing, as the log has them: also those of which nobody was asked for an identity. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PolicedSsh, rulesOf, runProgram, startPolicedSsh } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

let world: PolicedSsh;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-refused-logins-"));
  world = await startPolicedSsh({
    "permits/all.yaml": rulesOf(
      "Permits",
      `{ id: all, subject: { any: true }, target: { any: true }, action: { any: true } }`,
    ),
  });
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function events(kind: string): Promise<readonly unknown[]> {
  const { stdout } = await world.gateway.weir("audit", "search", "--event", kind, "--json");
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line: string): unknown => JSON.parse(line));
}

test("a client that only offers keys that nobody is bound to is recorded once, and one that has another key besides is not", async () => {
  const strange = join(folder, "strange");
  await runProgram(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", strange]);
  const { ssh, server } = world;
  const both = [...ssh, "-o", `IdentityFile=${strange}`, "box@127.0.0.1", "true"];
  expect((await runProgram(both)).status).toBe(0);
  // What is recorded of a client that has gone is there when its session has ended.
  while ((await world.gateway.weir("sessions", "list", "--open", "--json")).stdout !== "") await Bun.sleep(20);
  expect(await events("login.failed")).toEqual([]);

  const config = ssh.at(-1) ?? "";
  const alone = readFileSync(config, "utf8").replace(server.keyFile, strange);
  const other = join(folder, "config");
  await Bun.write(other, alone);
  expect((await runProgram(["ssh", "-F", other, "box@127.0.0.1", "true"])).status).toBe(255);
  // Recorded when the client has gone, which nobody waits for.
  let failed = await events("login.failed");
  while (failed.length === 0) failed = await events("login.failed");
  expect(failed).toHaveLength(1);
  expect(failed).toMatchObject([
    { leaf: { facts: { source: "127.0.0.1", reason: "no key that anybody is bound to" } } },
  ]);
});
