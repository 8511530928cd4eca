/** A gateway that shuts down lets commands finish, and their clients show what came of them, however slow they are. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LogReader } from "../../../src/audit/query.ts";
import { type PolicedSsh, rulesOf, startPolicedSsh } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

const ALL = "{ id: all, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }";

let world: PolicedSsh;

beforeAll(async () => {
  // Time enough for a client that does nothing for a while.
  const limits = { drainTime: "200s" };
  world = await startPolicedSsh({ "permits/all.yaml": rulesOf("Permits", ALL) }, { limits });
});
afterAll(async () => {
  await world?.stop();
});

/** The statuses of the outcomes in the log, those of the gateway's own too. */
async function outcomes(): Promise<readonly string[]> {
  const reader = LogReader.open(join(world.gateway.folder, "data"));
  try {
    const entries = await reader.tail(10_000);
    return entries.flatMap(({ leaf }) => (leaf.shape === "outcome" ? [leaf.outcome.status] : []));
  } finally {
    reader.close();
  }
}

test("a command that ends while the gateway shuts down has its output and its status, also where its client is slow", async () => {
  const { gateway, server, ssh } = world;
  const command = "touch began; while ! [ -e go ]; do sleep 0.1; done; echo the last words; exit 3";
  const child = Bun.spawn([...ssh, "box@127.0.0.1", command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
  while (!existsSync(join(server.home, "began"))) await Bun.sleep(10);
  const stopped = gateway.stop();
  await gateway.said("SIGTERM");
  child.kill("SIGSTOP");
  writeFileSync(join(server.home, "go"), "");
  // All that the client is told has been sent by then.
  while (!(await outcomes()).includes("failed")) await Bun.sleep(20);
  child.kill("SIGCONT");
  const [stdout, stderr] = await Promise.all(texts);
  expect({ status: await child.exited, stdout, stderr }).toEqual({ status: 3, stdout: "the last words\n", stderr: "" });
  expect(await stopped).toBe(0);
});
