/** Starts real OpenSSH servers for tests: each in its own folder, on its own port, gone without trace afterwards. */
import { type Subprocess, which } from "bun";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type Account, giveTo, ordinaryAccount, ownName, sweepFolders } from "./account.ts";
import { freePort } from "./free-port.ts";

export type HostKeyType = "ed25519" | "ecdsa" | "rsa";

export type SshdOptions = {
  /**
   * The program that reads commands, e.g. `["dash"]` or `["busybox", "sh"]`; bash when left out.
   * It starts in `home`, as an ordinary account also when the tests run as root; what it was told is in `commands()`.
   * Null: nothing stands between, and the account's own shell reads commands in the account's own home, as root when
   * the tests run as root; `commands()` stays empty. (sshd delivers no signals to forced commands.)
   */
  readonly shell?: readonly string[] | null;
  /** ed25519 when left out. */
  readonly hostKeyTypes?: readonly HostKeyType[];
  /** Lines of sshd_config, by name; they come before this fixture's own, and sshd believes the first. */
  readonly settings?: Readonly<Record<string, string | number | readonly string[]>>;
  /** Further lines of authorized_keys. */
  readonly authorizedKeys?: readonly string[];
};

export type SshServer = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Of the process that listens. */
  readonly pid: number;
  /** The only account that may log in: the one that runs the tests. */
  readonly user: string;
  /** The account that commands run as. */
  readonly runsAs: string;
  /** In OpenSSH's own format, without a passphrase. */
  readonly privateKey: string;
  /** The file it is in, for programs. */
  readonly keyFile: string;
  /** Its public half, as a line of authorized_keys. */
  readonly publicKey: string;
  /** `ssh-ed25519 AAAA...`, one for each host key. */
  readonly hostKeys: readonly string[];
  /** As ssh-keygen prints them, e.g. `SHA256:...`, in the same order. */
  readonly hostKeyFingerprints: readonly string[];
  /** A known_hosts file that knows the server by its address and port. */
  readonly knownHostsFile: string;
  /** The folder in which commands and SFTP start, empty at first; the account that commands run as owns it. */
  readonly home: string;
  /** What sshd has logged so far, at level DEBUG1. */
  log(): string;
  /** The commands that the shell was told to run so far, in the order of their start; "" is a login shell, a path with sftp-server the subsystem. */
  commands(): readonly string[];
  /** Ends it and everything in its sessions without warning, but keeps the folder: connections break. */
  kill(): Promise<void>;
  /** Starts it again after kill(), on the same port with the same keys. */
  restart(): Promise<void>;
  /** Ends everything and removes the folder. May be called twice. */
  stop(): Promise<void>;
};

const LOG_CHECK_MS = 5;
const PORT_ATTEMPTS_MAX = 5;
/** How often processes are looked at until they have stopped, or have ended. */
const STATE_CHECKS_MAX = 2_000;
const STATE_CHECK_MS = 5;

/** The programs that this needs and the machine lacks; empty: a server can be started. */
export function missingForSshd(): readonly string[] {
  return [...(findSshd() === null ? ["sshd"] : []), ...(which("ssh-keygen") === null ? ["ssh-keygen"] : [])];
}

/** Starts a server and resolves when it accepts connections; rejects with its log when it does not come up. */
export async function startSshd(options: SshdOptions = {}): Promise<SshServer> {
  const sshd = findSshd();
  if (sshd === null) throw new Error("no sshd found: apt-get install openssh-server");
  const account = ordinaryAccount();
  const base = join(tmpdir(), `weir-test-sshd-${userInfo().uid}`);
  mkdirSync(base, { recursive: true, mode: 0o755 });
  sweepFolders(base);
  const folder = mkdtempSync(join(base, `run-${process.pid}-`));
  try {
    const place = furnish(folder, account, options);
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      writeFileSync(join(folder, "sshd_config"), configuration(place, port, options));
      const launched = await launch(sshd, account, folder);
      if (launched.ready) return handOver(sshd, launched, place, port);
      if (attempt === PORT_ATTEMPTS_MAX || !launched.log().includes("Cannot bind any address")) {
        throw new Error(`sshd did not start:\n${launched.log()}`);
      }
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The fingerprint of a public key as ssh-keygen prints it. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replaceAll("=", "")}`;
}

type Place = {
  readonly folder: string;
  readonly home: string;
  readonly account: Account;
  readonly hostKeyFiles: readonly string[];
  readonly hostKeys: readonly string[];
  readonly keyFile: string;
  readonly publicKey: string;
};

type Launched = { readonly child: Subprocess; readonly ready: boolean; readonly log: () => string };

/** Whatever a server has, but its configuration, which wants a port. */
function furnish(folder: string, account: Account, options: SshdOptions): Place {
  // Others look in: the folder itself is made for its owner only.
  chmodSync(folder, 0o755);
  const home = join(folder, "home");
  mkdirSync(home);
  giveTo(account, home);
  writeFileSync(join(folder, "commands"), "", { mode: 0o600 });
  giveTo(account, join(folder, "commands"));
  const keyFile = join(folder, "client_key");
  generateKey(keyFile, "ed25519");
  const publicKey = readLine(`${keyFile}.pub`);
  writeFileSync(join(folder, "authorized_keys"), [publicKey, ...(options.authorizedKeys ?? []), ""].join("\n"));
  const hostKeyFiles = (options.hostKeyTypes ?? ["ed25519"]).map((type) => join(folder, `host_${type}`));
  for (const [i, type] of (options.hostKeyTypes ?? ["ed25519"]).entries()) {
    generateKey(hostKeyFiles[i] ?? "", type);
  }
  if (options.shell !== null) writeForcedCommand(folder, home, account, options.shell ?? ["bash"]);
  const hostKeys = hostKeyFiles.map((file) => readLine(`${file}.pub`));
  return { folder, home, account, hostKeyFiles, hostKeys, keyFile, publicKey };
}

function readLine(file: string): string {
  return readFileSync(file, "utf8").trimEnd();
}

function generateKey(file: string, type: HostKeyType): void {
  const result = Bun.spawnSync(["ssh-keygen", "-q", "-t", type, "-N", "", "-C", "", "-f", file]);
  if (result.exitCode !== 0) throw new Error(`ssh-keygen: ${result.stderr.toString()}`);
}

/** What sshd runs whatever was asked for: it notes the command, and hands it to the shell as sshd would. */
function writeForcedCommand(folder: string, home: string, account: Account, shell: readonly string[]): void {
  const [name = "", ...args] = shell;
  const program = which(name);
  if (program === null) throw new Error(`there is no ${name} on this machine`);
  const run = ["exec", ...account.becomes, program, ...args].map(quote).join(" ");
  const script = `#!/bin/sh
cd ${quote(home)} || exit 1
printf '%s\\0' "\${SSH_ORIGINAL_COMMAND-}" >> ${quote(join(folder, "commands"))}
[ -n "\${SSH_ORIGINAL_COMMAND+x}" ] || ${run} -l
asked=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND
${run} -c "$asked"
`;
  writeFileSync(join(folder, "forced-command"), script, { mode: 0o755 });
}

function quote(word: string): string {
  return /^[\w./=-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function configuration(place: Place, port: number, options: SshdOptions): string {
  const { folder, home, account } = place;
  const sftpServer = findSftpServer();
  const lines = Object.entries(options.settings ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one: string | number) => `${name} ${one}`),
  );
  lines.push(
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    ...place.hostKeyFiles.map((file) => `HostKey ${file}`),
    "PidFile none",
    `AllowUsers ${ownName()}`,
    "PermitRootLogin prohibit-password",
    `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UseDNS no",
    "PrintMotd no",
    "PrintLastLog no",
    "PermitUserRC no",
    "MaxSessions 100",
    "MaxStartups 200",
    "LogLevel DEBUG1",
  );
  if (options.shell === null) {
    lines.push(`Subsystem sftp ${sftpServer ?? "internal-sftp"} -d ${home}`);
  } else {
    lines.push(`ForceCommand ${join(folder, "forced-command")}`);
    if (sftpServer !== null) lines.push(`Subsystem sftp ${sftpServer} -d ${home}`);
    lines.push(`SetEnv HOME=${home} USER=${account.name} LOGNAME=${account.name}`);
  }
  return [...lines, ""].join("\n");
}

async function launch(sshd: string, account: Account, folder: string): Promise<Launched> {
  // Where sshd puts those who are not logged in yet; an init script makes it on machines that have one.
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const logFile = join(folder, "log");
  writeFileSync(logFile, "");
  // Not to standard error, which a session's first process still has: the client would see it.
  const child = Bun.spawn([...account.dies, sshd, "-D", "-E", logFile, "-f", join(folder, "sshd_config")], {
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  child.unref();
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  while (!hasEnded(child)) {
    if (log().includes("Server listening on")) return { child, ready: true, log };
    await Bun.sleep(LOG_CHECK_MS);
  }
  return { child, ready: false, log };
}

function hasEnded(child: Subprocess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function handOver(sshd: string, first: Launched, place: Place, port: number): SshServer {
  let launched = first;
  const { folder, home, hostKeys } = place;
  const knownHostsFile = join(folder, "known_hosts");
  writeFileSync(knownHostsFile, hostKeys.map((key) => `[127.0.0.1]:${port} ${key}\n`).join(""));
  const onExit = (): void => {
    if (!hasEnded(launched.child)) killTree(launched.child.pid);
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", onExit);
  const kill = async (): Promise<void> => {
    if (!hasEnded(launched.child)) killTree(launched.child.pid);
    await launched.child.exited;
  };
  const restart = async (): Promise<void> => {
    launched = await launch(sshd, place.account, folder);
    if (!launched.ready) throw new Error(`sshd did not start again:\n${launched.log()}`);
  };
  let stopped: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
    process.off("exit", onExit);
  };
  return {
    host: "127.0.0.1",
    port,
    get pid() {
      return launched.child.pid;
    },
    user: ownName(),
    runsAs: place.account.name,
    privateKey: readFileSync(place.keyFile, "utf8"),
    keyFile: place.keyFile,
    publicKey: place.publicKey,
    hostKeys,
    hostKeyFingerprints: hostKeys.map(fingerprint),
    knownHostsFile,
    home,
    log: () => launched.log(),
    commands: () => readFileSync(join(folder, "commands"), "utf8").split("\0").slice(0, -1),
    kill,
    restart,
    stop: () => (stopped ??= end()),
  };
}

/**
 * Kills a process and whatever came of it, and waits until all are gone; sshd puts each connection into a session of its
 * own, so there is no group to kill.
 */
function killTree(pid: number): void {
  const found = stoppedTree(pid);
  for (const one of found) signal(one, "SIGKILL");
  // A signal is only sent: before it has arrived a process still holds its port, and writes into a folder that is to go.
  for (let checks = 0; checks < STATE_CHECKS_MAX; checks++) {
    const processes = processesNow();
    if ([...found].every((one) => hasGone(processes.get(one)))) return;
    Bun.sleepSync(STATE_CHECK_MS);
  }
}

/**
 * A process and whatever came of it, all of them stopped: none starts another while they are looked for, and none tells
 * its client what became of another when that is killed.
 */
function stoppedTree(pid: number): ReadonlySet<number> {
  const found = new Set([pid]);
  let wereStill = false;
  for (let checks = 0; checks < STATE_CHECKS_MAX; checks++) {
    for (const one of found) signal(one, "SIGSTOP");
    const processes = processesNow();
    const sizeBefore = found.size;
    for (const [child, { parent }] of processes) if (found.has(parent)) found.add(child);
    // One more look when all are still: who was stopped in the middle of starting another had it only then.
    const areStill = found.size === sizeBefore && ![...found].some((one) => isMoving(processes.get(one)));
    if (areStill && wereStill) break;
    wereStill = areStill;
    if (found.size === sizeBefore) Bun.sleepSync(STATE_CHECK_MS);
  }
  return found;
}

function isMoving(one: Process | undefined): boolean {
  return one !== undefined && !"TtZX".includes(one.state);
}

/** Its port and its files are nobody's any more, though nobody may have asked for its status yet. */
function hasGone(one: Process | undefined): boolean {
  return one === undefined || one.state === "Z" || one.state === "X";
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}

/** `state` as in /proc/PID/stat: T and t are stopped, Z and X have ended, the others may still do something. */
type Process = { readonly state: string; readonly parent: number };

/** Each process; empty where there is no /proc. */
function processesNow(): ReadonlyMap<number, Process> {
  const processes = new Map<number, Process>();
  if (!existsSync("/proc/self/stat")) return processes;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/u.test(name)) continue;
    try {
      // pid (name) state parent ...; the name may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      processes.set(Number(name), { state, parent: Number(parent) });
    } catch {
      // It ended by itself.
    }
  }
  return processes;
}

function findSshd(): string | null {
  return which("sshd", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` });
}

/** Where the distributions put it. */
function findSftpServer(): string | null {
  const places = ["/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec"];
  return places.map((folder) => join(folder, "sftp-server")).find((file) => existsSync(file)) ?? null;
}
