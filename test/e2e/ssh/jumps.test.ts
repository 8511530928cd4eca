/** `ssh -J` through two targets to a third: each is one of the gateway's, by its name, with a policy and a session of its own. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SshServer, startSshd } from "../../servers/sshd.ts";
import { digest, sampleBytes } from "./bytes.ts";
import { forwardsPermit, type PolicedSsh, rulesOf, runProgram, startPolicedSsh } from "./policed-ssh.ts";
import { run } from "./programs.ts";

setDefaultTimeout(240_000);

const BYTES = sampleBytes(1_000_000);

let far: SshServer;
let world: PolicedSsh;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-jumps-"));
  far = await startSshd();
  const { host, port, user, privateKey, hostKeys } = far;
  const target = { ssh: { host, port, user, key: privateKey, hostKeys, shell: "posix" } };
  const leads = (from: string, to: string): string =>
    forwardsPermit("direct-tcpip", `${to}:22`)
      .replace("[box]", `[${from}]`)
      .replace("id: direct-tcpip", `id: from-${from}`);
  const commands = `{ id: commands, subject: { any: true }, target: { names: [third] }, action: { ssh: { channels: [exec, sftp, pty] } }, allowOpaque: true }`;
  world = await startPolicedSsh(
    { "permits/all.yaml": rulesOf("Permits", leads("box", "second"), leads("second", "third"), commands) },
    { targets: { second: target, third: target } },
  );
});
afterAll(async () => {
  await world?.stop();
  await far?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Each hop is named as its own way in: the gateway's, and behind it targets at any port. */
function through(...hops: readonly string[]): readonly string[] {
  return ["-J", [`box@127.0.0.1:${world.port}`, ...hops].join(",")];
}

test("a command runs on the third, with a megabyte both ways", async () => {
  const command = [...world.ssh, ...through("second@second:22"), "-p", "22", "third@third", "tee copy; exit 3"];
  const child = Bun.spawn(command, { stdin: BYTES, stdout: "pipe", stderr: "pipe" });
  const [back, stderr] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  expect({ status: await child.exited, stderr }).toEqual({ status: 3, stderr: "" });
  expect([digest(back), digest(readFileSync(join(far.home, "copy")))]).toEqual([digest(BYTES), digest(BYTES)]);
  expect((await sessions()).slice(-3)).toEqual(["box", "second", "third"]);
});

test("files are copied there", async () => {
  const local = join(folder, "local");
  writeFileSync(local, BYTES);
  const [, ...options] = world.ssh;
  const scp = ["scp", ...options, ...through("second@second:22"), "-P", "22", local, "third@third:copied"];
  expect(await run(scp)).toMatchObject({ status: 0 });
  expect(digest(readFileSync(join(far.home, "copied")))).toBe(digest(BYTES));
});

test("a way that policy does not know ends before its last hop", async () => {
  const past = await runProgram([...world.ssh, ...through(), "-p", "22", "third@third", "echo here"]);
  expect(past).toMatchObject({ status: 255, stdout: "", stderr: expect.stringContaining("stdio forwarding failed") });
  expect((await sessions()).at(-1)).toBe("box");
});

/** The targets of all sessions that were opened, in their order. */
async function sessions(): Promise<readonly string[]> {
  const { stdout } = await world.gateway.weir("audit", "tail", "--json", "--lines", "1000");
  return stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { leaf: Leaf }).leaf)
    .flatMap(({ event, operation, target }) =>
      event === "operation.intent" && operation?.kind === "connect" ? [target?.name ?? ""] : [],
    );
}

type Leaf = {
  readonly event: string;
  readonly operation?: { readonly kind: string };
  readonly target?: { readonly name: string };
};
