/** Tests that the sshd of tests starts, obeys its options and leaves nothing behind. */
import { type Subprocess, which } from "bun";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprint, missingForSshd, type SshServer, startSshd } from "./sshd.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

const OPTIONS = ["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"];

function start(server: SshServer, args: readonly string[]): Subprocess<"ignore", "pipe", "pipe"> {
  const to = ["-p", `${server.port}`, "-i", server.keyFile, "-o", `UserKnownHostsFile=${server.knownHostsFile}`];
  return Bun.spawn(["ssh", ...OPTIONS, ...to, `${server.user}@${server.host}`, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function ssh(server: SshServer, ...args: readonly string[]): Promise<[number, string, string]> {
  const child = start(server, args);
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
  const [status, stdout, stderr] = await Promise.all([child.exited, ...texts]);
  return [status, stdout, stderr];
}

describe("a server", () => {
  let server: SshServer;
  beforeAll(async () => {
    server = await startSshd({ hostKeyTypes: ["ed25519", "ecdsa", "rsa"] });
  });
  afterAll(async () => server.stop());

  test("runs a command as sshd does, in a home of its own, as an ordinary account, and notes what it was told", async () => {
    writeFileSync(join(server.home, "here"), "");
    const command = `echo "$0|$HOME|$(id -un)|$PWD"; ls; echo 'two
lines' >&2; exit 7`;
    const home = server.home;
    expect(await ssh(server, command)).toEqual([
      7,
      `${which("bash")}|${home}|${server.runsAs}|${home}\nhere\n`,
      "two\nlines\n",
    ]);
    expect(server.runsAs).not.toBe("root");
    expect(server.commands()).toContain(command);
  });

  test("has a shell with a terminal", async () => {
    const [status, stdout] = await ssh(server, "-tt", "test -t 0 && stty size");
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+ \d+\r\n$/u)]);
  });

  test("has SFTP, which starts in that home", async () => {
    const [status] = await ssh(server, "mkdir", "for-sftp");
    expect(status).toBe(0);
    const to = ["-P", `${server.port}`, "-i", server.keyFile, "-o", `UserKnownHostsFile=${server.knownHostsFile}`];
    const sftp = Bun.spawnSync(["sftp", ...OPTIONS, ...to, "-b", "-", `${server.user}@${server.host}`], {
      stdin: Buffer.from("pwd\nls\n"),
      stderr: "pipe",
    });
    expect(sftp.stdout.toString()).toContain(`Remote working directory: ${server.home}\n`);
    expect(sftp.stdout.toString()).toContain("for-sftp");
  });

  test("presents the host keys it says it has", async () => {
    const scanned = Bun.spawnSync(["ssh-keyscan", "-T", "240", "-p", `${server.port}`, server.host], {
      stderr: "ignore",
    });
    const keys = scanned.stdout.toString().trim().split("\n");
    expect(keys.map((line) => line.split(" ").slice(1).join(" ")).toSorted()).toEqual(server.hostKeys.toSorted());
    expect(server.hostKeys.map((key) => key.split(" ")[0])).toEqual(["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]);
    for (const key of server.hostKeys) {
      const printed = Bun.spawnSync(["ssh-keygen", "-l", "-f", "-"], { stdin: Buffer.from(`${key}\n`) });
      expect(printed.stdout.toString()).toContain(` ${fingerprint(key)} `);
    }
  });

  test("takes no other key", async () => {
    const other = await startSshd();
    const [status, , stderr] = await ssh({ ...server, keyFile: other.keyFile }, "true");
    expect([status, stderr]).toEqual([255, expect.stringContaining("Permission denied")]);
    await other.stop();
  });
});

for (const shell of [["dash"], ["zsh"], ["busybox", "sh"], ["fish"], ["tcsh"]]) {
  const [program = ""] = shell;
  // Each is in a package of its own, and not all of them are installed everywhere.
  test.skipIf(which(program) === null)(`a command is read by ${shell.join(" ")}`, async () => {
    const server = await startSshd({ shell });
    const [status, stdout] = await ssh(server, `readlink /proc/${program === "fish" ? "$fish_pid" : "$$"}/exe; true`);
    expect([status, stdout]).toEqual([0, `${realpathSync(which(program) ?? "")}\n`]);
    await server.stop();
  });
}

test("settings go before the fixture's own", async () => {
  const server = await startSshd({ settings: { MaxSessions: 0, AcceptEnv: ["ONE", "TWO"] } });
  const [status, , stderr] = await ssh(server, "true");
  expect([status, stderr]).toEqual([255, expect.stringContaining("open failed")]);
  await server.stop();
});

test("without a shell between, what was asked is run by the account itself, and signals arrive", async () => {
  const server = await startSshd({ shell: null });
  const [status, stdout] = await ssh(server, "id -un; kill -TERM $$");
  expect([status, stdout]).toEqual([255, `${server.user}\n`]);
  expect(server.commands()).toEqual([]);
  await server.stop();
});

test("a server that is killed takes its sessions along", async () => {
  const server = await startSshd();
  const child = start(server, ["echo started; sleep 1000"]);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe("started\n");
  await server.kill();
  expect(await child.exited).toBe(255);
  expect(existsSync(server.home)).toBe(true);
  await server.stop();
  expect(existsSync(server.home)).toBe(false);
});

test("a process that exits without stop leaves no server and no folder", async () => {
  const script = `
    import { startSshd } from ${JSON.stringify(`${import.meta.dir}/sshd.ts`)};
    const server = await startSshd();
    console.log(JSON.stringify([server.port, server.home]));
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const [port, home] = JSON.parse(await new Response(child.stdout).text()) as [number, string];
  expect(await child.exited).toBe(0);
  expect(existsSync(home)).toBe(false);
  // What was killed is gone a little later.
  const isServed = (): Promise<boolean> =>
    Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
      (socket) => {
        socket.terminate();
        return true;
      },
      () => false,
    );
  while (await isServed()) await Bun.sleep(10);
});

test("what is missing is named", () => {
  expect(missingForSshd()).toEqual([]);
});
