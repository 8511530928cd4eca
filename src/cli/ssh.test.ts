/** `weir ssh` with the real ssh, a real gateway and a real server behind it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environment, startGateway, weirCommand, type Gateway } from "../../test/gateway.ts";
import { startSshd, type SshServer } from "../../test/servers/sshd.ts";
import { ASKPASS_TOKEN, askpassAnswer } from "./askpass.ts";

setDefaultTimeout(240_000);

let server: SshServer;
let gateway: Gateway;
let folder: string;
let token: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-ssh-"));
  server = await startSshd();
  const made = Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", join(folder, "ann")]);
  expect(made.exitCode).toBe(0);
  const { host, port, user, privateKey, hostKeys } = server;
  gateway = await startGateway({
    targets: { box: { ssh: { host, port, user, key: privateKey, hostKeys, shell: "posix" } } },
    config: {
      listen: { postgres: { port: 0, tls: "off" }, ssh: { port: 0 } },
      identity: { keys: [{ subject: "ann", kind: "human", publicKey: readFileSync(join(folder, "ann.pub"), "utf8") }] },
    },
    policyFiles: {
      "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
      "permits/all.yaml": `apiVersion: weir.dev/v1
kind: Permits
rules:
  - { id: agents, subject: { kinds: [agent] }, target: { names: [box] }, action: { ssh: { channels: [exec], argv: [["echo", "**"]] } } }
  - { id: people, subject: { kinds: [human] }, target: { names: [box] }, action: { any: true }, allowOpaque: true }
`,
    },
  });
  token = await gateway.token("bot", "agent");
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Ran = { status: number; stdout: string; stderr: string };

/** As if nobody had configured ssh, and with this as standard input. */
async function weirSsh(words: readonly string[], env: Record<string, string> = {}, stdin = ""): Promise<Ran> {
  const child = Bun.spawn([...weirCommand(), "ssh", ...words], {
    cwd: gateway.folder,
    env: environment({ SSH_AUTH_SOCK: undefined, DISPLAY: undefined, ...env }),
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

describe("with a token", () => {
  test("runs a command, and ends as it does", async () => {
    expect(await weirSsh(["box", "echo", "there"], { WEIR_TOKEN: token })).toMatchObject({
      status: 0,
      stdout: "there\n",
      stderr: "",
    });
  });

  test("takes the token from a file", async () => {
    const file = join(folder, "token");
    writeFileSync(file, `${token}\n`);
    const result = await weirSsh(["--token-file", file, "box", "echo there"]);
    expect(result).toMatchObject({ status: 0, stdout: "there\n" });
  });

  test("shows what the gateway says of a refusal, and ends with 126", async () => {
    const result = await weirSsh(["box", "id"], { WEIR_TOKEN: token });
    expect([result.status, result.stdout]).toEqual([126, ""]);
    expect(result.stderr).toStartWith("weir: no rule permits ");
  });

  test("logs nobody else in when the token is not good", async () => {
    const result = await weirSsh(["box", "-i", join(folder, "ann"), "echo there"], { WEIR_TOKEN: "weir_wrong" });
    expect([result.status, result.stdout]).toEqual([255, ""]);
    expect(result.stderr).toContain("Permission denied (publickey,password)");
  });

  test("is never in the arguments", async () => {
    // Stands in for ssh: says how it was called.
    const bin = join(folder, "bin");
    mkdirSync(bin);
    const script = `#!/bin/sh\necho "$*"; env | grep -E "^(WEIR|SSH_ASKPASS)" | cut -d= -f1 | sort; exit 3\n`;
    writeFileSync(join(bin, "ssh"), script, { mode: 0o755 });
    const env = { WEIR_TOKEN: token, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
    const result = await weirSsh(["box", "-t", "--", "echo"], env);
    expect(result.status).toBe(3);
    expect(result.stdout).not.toContain(token);
    expect(result.stdout).toContain("-l box 127.0.0.1 -t -- echo\n");
    expect(result.stdout).toEndWith("\nSSH_ASKPASS\nSSH_ASKPASS_REQUIRE\nWEIR_ASKPASS_TOKEN\n");
  });
});

describe("with a bound key", () => {
  const key = (): readonly string[] => ["-i", join(folder, "ann"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];

  test("passes standard input, standard error and the exit status on", async () => {
    const result = await weirSsh(["box", ...key(), "cat; echo oh >&2; exit 7"], {}, "read me");
    expect(result).toMatchObject({ status: 7, stdout: "read me", stderr: "oh\n" });
  });

  test("opens a terminal when it is asked to", async () => {
    const result = await weirSsh(["box", ...key(), "-tt", "tty"]);
    expect(result.status).toBe(0);
    expect(result.stdout).toStartWith("/dev/pts/");
  });

  test("forwards signals by being ssh itself", async () => {
    const child = Bun.spawn([...weirCommand(), "ssh", "box", ...key(), "echo begun; exec cat"], {
      cwd: gateway.folder,
      env: environment(),
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    const reader = child.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("begun\n");
    expect(readFileSync(`/proc/${child.pid}/comm`, "utf8")).toBe("ssh\n");
    child.kill("SIGTERM");
    expect(await child.exited).not.toBe(0);
  });
});

test("refuses a gateway with another host key, whatever else is trusted", async () => {
  const file = join(gateway.folder, "data/ssh_known_hosts");
  copyFileSync(file, join(folder, "known"));
  writeFileSync(file, `* ${server.hostKeys[0]}\n`);
  const result = await weirSsh(["box", "-o", "StrictHostKeyChecking=no", "echo there"], { WEIR_TOKEN: token });
  copyFileSync(join(folder, "known"), file);
  expect([result.status, result.stdout]).toEqual([255, ""]);
  expect(result.stderr).toContain("Host key verification failed.");
});

test("the ready line and weir status name the key", async () => {
  const known = readFileSync(join(gateway.folder, "data/ssh_known_hosts"), "utf8");
  writeFileSync(join(folder, "gateway.pub"), known.slice(2));
  const printed = Bun.spawnSync(["ssh-keygen", "-l", "-f", join(folder, "gateway.pub")]).stdout.toString();
  const fingerprint = printed.split(" ")[1] ?? "";
  expect(fingerprint).toStartWith("SHA256:");
  expect(gateway.log()).toMatch(/^ready postgres=127\.0\.0\.1:\d+ ssh=127\.0\.0\.1:\d+ ssh-key=SHA256:\S+$/mu);
  expect(gateway.log()).toContain(`ssh-key=${fingerprint}`);
  const shown = await gateway.weir("status");
  expect(shown.stdout).toMatch(/^listener {2}ssh 127\.0\.0\.1:\d+ with the host key SHA256:/mu);
  expect(shown.stdout).toContain(fingerprint);
  expect(shown.stdout).toContain("target    box (ssh) reachable");
});

test("weir sessions shows who was there", async () => {
  await weirSsh(["box", "echo", "there"], { WEIR_TOKEN: token });
  // The client has left; that the session has ended is recorded a moment later.
  const ended = /agent bot on box from 127\.0\.0\.1 .* ended .* 1 permitted, 0 refused, 0 failed, 6 bytes/u;
  while (!ended.test((await gateway.weir("sessions", "list")).stdout)) await Bun.sleep(20);
});

test("answers ssh's question for a password, and nothing else", () => {
  const env = { [ASKPASS_TOKEN]: "secret" };
  expect(askpassAnswer(["box@127.0.0.1's password: "], env)).toBe("secret");
  expect(askpassAnswer(["box@127.0.0.1's password: "], {})).toBeNull();
  expect(askpassAnswer(["Enter passphrase for key 'keys/id_ed25519': "], env)).toBeNull();
  expect(askpassAnswer(["status"], env)).toBeNull();
  expect(askpassAnswer([], env)).toBeNull();
});
