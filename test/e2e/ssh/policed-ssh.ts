/** A gateway with policies of the test's own in front of a real sshd, and the ssh command that goes through it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Gateway, type GatewayOptions, startGateway } from "../../gateway.ts";
import { type SshdOptions, type SshServer, startSshd } from "../../servers/sshd.ts";

export type PolicedSsh = {
  /** Its sshd is the target `box`; the key of the server's account logs `ann` in. */
  readonly gateway: Gateway;
  readonly server: SshServer;
  readonly port: number;
  /** The command line of `ssh` through the gateway, without where to; any host key of the gateway's is taken. */
  readonly ssh: readonly string[];
  stop(): Promise<void>;
};

const POLICY_SET = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n";

/** A policy file of this kind with these rules, each as YAML in braces. */
export function rulesOf(kind: "Permits" | "Guards", ...rules: readonly string[]): string {
  return `apiVersion: weir.dev/v1\nkind: ${kind}\nrules:\n${rules.map((rule) => `  - ${rule}\n`).join("")}`;
}

/** Permits forwards of this kind through `box` to these places. */
export function forwardsPermit(channel: string, ...places: readonly string[]): string {
  const list = places.map((place) => JSON.stringify(place)).join(", ");
  const action = `{ ssh: { channels: [${channel}], forwards: [${list}] } }`;
  return `{ id: ${channel}, subject: { any: true }, target: { names: [box] }, action: ${action} }`;
}

export async function startPolicedSsh(
  policyFiles: Readonly<Record<string, string>>,
  options: GatewayOptions = {},
  sshd: SshdOptions = {},
): Promise<PolicedSsh> {
  const server = await startSshd(sshd);
  const { host, port, user, privateKey, hostKeys, publicKey, keyFile } = server;
  const folder = mkdtempSync(join(tmpdir(), `weir-test-policed-ssh-${process.pid}-`));
  const gateway = await startGateway({
    ...options,
    targets: { ...options.targets, box: { ssh: { host, port, user, key: privateKey, hostKeys, shell: "posix" } } },
    policyFiles: { "policy.yaml": POLICY_SET, ...policyFiles },
    config: {
      listen: { postgres: { host: "127.0.0.1", port: 0, tls: "off" }, ssh: { host: "127.0.0.1", port: 0 } },
      identity: { keys: [{ subject: "ann", kind: "human", publicKey }] },
      ...options.config,
    },
  });
  const sshPort = Number(/ ssh=127\.0\.0\.1:(\d+)/u.exec(gateway.log())?.[1]);
  const config = join(folder, "config");
  writeFileSync(
    config,
    `Host *
  Port ${sshPort}
  BatchMode yes
  IdentitiesOnly yes
  IdentityFile ${keyFile}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
`,
  );
  return {
    gateway,
    server,
    port: sshPort,
    ssh: ["ssh", "-F", config],
    stop: async () => {
      await gateway.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a program said, and how it ended. */
export type Said = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. */
export async function runProgram(command: readonly string[], stdin = ""): Promise<Said> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8" },
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
  const [status, stdout, stderr] = await Promise.all([child.exited, ...texts]);
  return { status, stdout, stderr };
}

/** Runs `work` while `ssh` keeps these forwards open, and ends it. */
export async function withForwards<T>(
  { ssh }: PolicedSsh,
  options: readonly string[],
  work: (child: Bun.Subprocess) => Promise<T>,
): Promise<T> {
  const command = [
    ...ssh,
    "-o",
    "LogLevel=DEBUG1",
    "-o",
    "ExitOnForwardFailure=yes",
    "-N",
    ...options,
    "box@127.0.0.1",
  ];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const isRemote = options.includes("-R");
  const reader = child.stderr.getReader();
  try {
    const sign = isRemote ? "remote forward success" : "Entering interactive session.";
    for (let said = ""; !said.includes(sign);) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`ssh has ended: ${said}`);
      said += Buffer.from(value).toString();
    }
    void drained(reader);
    return await work(child);
  } finally {
    // Any other signal is missed by the client when it comes right before it waits for what happens next.
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function drained(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
