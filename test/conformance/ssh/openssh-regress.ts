/** Runs OpenSSH's own regression scripts (Debian package openssh-tests), directly and with a gateway between client and server. */
import { type Subprocess, which } from "bun";
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withinTime } from "../../../src/gateway/within-time.ts";
import { type Account, giveTo, ordinaryAccount } from "../../servers/account.ts";
import { killGroup, readToEnd } from "../../servers/child-end.ts";
import { freePort } from "../../servers/free-port.ts";
import { editForBothRoads, editForGateway } from "./openssh-edits.ts";
import {
  keygenWrapper,
  KEYS_FOLDER,
  KNOWN_HOSTS_FILE,
  LOGIN_FILE,
  OFFERS_FILE,
  sftpWrapper,
  sshWrapper,
} from "./openssh-wrappers.ts";

const INSTALLED = "/usr/lib/openssh/regress";
const SFTP_SERVER = "/usr/lib/openssh/sftp-server";

/** The plain ones of `ssh -Q key-plain` that the gateway knows, and the scripts therefore use. */
const KEY_TYPES = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/** Keys that the scripts agent and keytype would make, as ssh-keygen's arguments; keytype's are the server's, too. */
const SCRIPTS_KEYS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(KEY_TYPES.map((type) => [`${type}-agent`, ["-t", type]])),
  "key.ed25519-512": ["-t", "ed25519"],
  "key.ecdsa-256": ["-t", "ecdsa", "-b", "256"],
  "key.ecdsa-384": ["-t", "ecdsa", "-b", "384"],
  "key.ecdsa-521": ["-t", "ecdsa", "-b", "521"],
  "key.rsa-2048": ["-t", "rsa", "-b", "2048"],
  "key.rsa-3072": ["-t", "rsa", "-b", "3072"],
};

/** The scripts' server listens at a port, and they use those above it, too. */
const LISTENING_PORTS = 3;

/** Between a kill and the end, on a machine that has much else to do. */
const END_TIME_MS_MAX = 60_000;

export type Verdict = "ok" | "failed" | "skipped";

export type ScriptRun = { readonly verdict: Verdict; readonly durationMs: number; readonly output: string };

/** Where a gateway lets clients in, and how it knows them. */
export type GatewayDoor = {
  readonly port: number;
  /** Its key. */
  readonly hostKey: string;
};

/** What the machine lacks for this; null: nothing. */
export function missingForRegress(): string | null {
  if (!existsSync(join(INSTALLED, "test-exec.sh"))) return "openssh-tests";
  return which("ssh") === null ? "openssh-client" : null;
}

/** The names of the scripts, and of what they use. */
export function installedScripts(): readonly string[] {
  return readdirSync(INSTALLED).flatMap((name) => (name.endsWith(".sh") ? [name.slice(0, -3)] : []));
}

/**
 * A copy of the scripts, which write into their own folder and share names and ports: one script at a time.
 * Two targets lie behind it, as the scripts have two ways to their server: one that is started for each connection
 * (`proxied`), and one that listens (`listening`).
 */
export class OpensshRegress {
  readonly folder: string;
  /** The account that the scripts, and so the servers, run as; clients log in to it. */
  readonly user: string;
  /** What the gateway logs in with to the servers. */
  readonly privateKey: string;
  /** What the scripts' clients log in with. */
  readonly clientKeys: readonly string[];
  /** The keys of both servers. */
  readonly hostKeys: readonly string[];
  readonly ports: { readonly proxied: number; readonly listening: number };
  readonly #account: Account;
  readonly #spawner: Server;
  /** Those that `proxied` has now. */
  readonly #connections: Set<ServedConnection>;
  #isThrough = false;

  private constructor(
    folder: string,
    account: Account,
    spawner: Server,
    connections: Set<ServedConnection>,
    ports: OpensshRegress["ports"],
  ) {
    this.folder = folder;
    this.user = account.name;
    this.#account = account;
    this.#spawner = spawner;
    this.#connections = connections;
    this.ports = ports;
    const made = Object.keys(SCRIPTS_KEYS).map((name) => join(KEYS_FOLDER, name));
    const usual = KEY_TYPES.map((type) => readKey(join(folder, `${type}.pub`)));
    const keys = made.map((name) => readKey(join(folder, `${name}.pub`)));
    this.clientKeys = [...usual, ...keys];
    this.hostKeys = [...usual, ...keys.filter((_, at) => !(made[at] ?? "").endsWith("-agent"))];
    this.privateKey = readFileSync(join(folder, LOGIN_FILE), "utf8");
  }

  /** `ownAddress`: one of this machine that is not loopback, where forwards lead to; null: they lead where they would. */
  static async prepare(ownAddress: string | null): Promise<OpensshRegress> {
    const account = ordinaryAccount();
    const folder = mkdtempSync(join(tmpdir(), "weir-test-openssh-"));
    chmodSync(folder, 0o755);
    cpSync(INSTALLED, folder, { recursive: true });
    editForBothRoads(folder, ownAddress);
    makeKeys(folder);
    for (const name of ["", ...readdirSync(folder, { recursive: true, encoding: "utf8" })]) {
      giveTo(account, join(folder, name));
    }
    const connections = new Set<ServedConnection>();
    const spawner = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = serve(socket, folder, account);
      connections.add(connection);
      void connection.ended.then(() => connections.delete(connection));
    });
    const proxied = await freePort();
    await new Promise<void>((resolve) => void spawner.listen(proxied, "127.0.0.1", () => resolve()));
    const ports = { proxied, listening: await freePort(LISTENING_PORTS) };
    return new OpensshRegress(folder, account, spawner, connections, ports);
  }

  /** From now on the scripts' clients go through this gateway, and the servers let nobody else in. */
  async goThrough({ port, hostKey }: GatewayDoor): Promise<void> {
    this.#isThrough = true;
    const { folder } = this;
    const write = (name: string, text: string): void => {
      writeFileSync(join(folder, name), text, { mode: 0o755 });
      giveTo(this.#account, join(folder, name));
    };
    write(KNOWN_HOSTS_FILE, `weir ${hostKey}\n`);
    write(OFFERS_FILE, [...KEY_TYPES, ...(await offersOf(port)), ""].join("\n"));
    const parts = { folder, serverPort: this.ports.listening, gatewayPort: port };
    write("weir-ssh", sshWrapper(parts));
    write("weir-sftp", sftpWrapper(parts));
    write("weir-keygen", keygenWrapper(parts));
    // The scripts make keys anew that are older than the program that makes them.
    utimesSync(join(folder, "weir-keygen"), 0, 0);
    editForGateway(folder);
  }

  /** From now on the clients do not go through the gateway any more, and nothing else is changed. */
  goPast(): void {
    writeFileSync(join(this.folder, "weir-ssh"), '#!/bin/sh\nexec ssh "$@"\n', { mode: 0o755 });
  }

  /** Runs one script to its end; what is not over by then has failed. */
  async run(script: string, timeMsMax: number): Promise<ScriptRun> {
    const startMs = performance.now();
    const child = Bun.spawn(
      [
        ...this.#account.becomes,
        ...this.#account.dies,
        "sh",
        "test-exec.sh",
        this.folder,
        join(this.folder, `${script}.sh`),
      ],
      {
        cwd: this.folder,
        env: {
          PATH: `/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`,
          HOME: this.folder,
          OBJ: this.folder,
          BUILDDIR: this.folder,
          TEST_SHELL: "sh",
          TEST_SSH_PORT: `${this.ports.listening}`,
          TEST_SSH_UNSAFE_PERMISSIONS: "1",
          TEST_SSH_SFTPSERVER: SFTP_SERVER,
          TEST_SSH_SSH: this.#program("ssh"),
          TEST_SSH_SFTP: this.#program("sftp"),
          TEST_SSH_SSHKEYGEN: this.#isThrough ? join(this.folder, "weir-keygen") : "ssh-keygen",
        },
        stdin: Bun.file("/dev/zero"),
        stdout: "pipe",
        stderr: "pipe",
        detached: true,
        timeout: timeMsMax,
        killSignal: "SIGKILL",
      },
    );
    const texts = [textOf(child, child.stdout), textOf(child, child.stderr)] as const;
    const status = await child.exited;
    // A script leaves behind what it started, when it is killed or fails.
    killGroup(child.pid);
    this.#endServer();
    const output = (await Promise.all(texts)).join("");
    const passed = /^SKIPPED:/mu.test(output) ? "skipped" : "ok";
    return { verdict: status === 0 ? passed : "failed", durationMs: performance.now() - startMs, output };
  }

  #program(name: "ssh" | "sftp"): string {
    return this.#isThrough ? join(this.folder, `weir-${name}`) : name;
  }

  /** A script that was killed leaves its listening server, and one that kills its client leaves what that had begun. */
  #endServer(): void {
    const server = this.#takePid("pidfile");
    if (server !== null) Bun.spawnSync(["kill", "-KILL", `${server}`], { stderr: "ignore" });
    const command = this.#takePid("remote_pid");
    if (command !== null) killGroup(command);
  }

  /** What a script has written down; null: nothing. */
  #takePid(name: string): number | null {
    const file = join(this.folder, name);
    if (!existsSync(file)) return null;
    const pid = Number(readFileSync(file, "utf8"));
    rmSync(file, { force: true });
    return pid > 1 ? pid : null;
  }

  /** What client and server said of the last script. */
  logs(): string {
    const files = ["regress.log", "ssh.log", "sshd.log"].map((name) => join(this.folder, name));
    return files.map((file) => (existsSync(file) ? `${file}:\n${readFileSync(file, "utf8")}\n` : "")).join("");
  }

  /** Ends what is left of servers and connections, and removes the folder: nobody else has to end for it. */
  async stop(): Promise<void> {
    this.#endServer();
    this.#spawner.close();
    const left = [...this.#connections];
    for (const { end } of left) end();
    const ended = Promise.all(left.map(async (connection) => connection.ended));
    await withinTime(
      ended,
      END_TIME_MS_MAX,
      "a killed server of the scripts, or its closed connection, is still there",
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** To the end of the script: what it leaves behind may go on with its streams. */
async function textOf(child: Subprocess, stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  const isWhole = await readToEnd(child, stream, (chunk) => chunks.push(chunk));
  return `${Buffer.concat(chunks).toString()}${isWhole ? "" : "\nsomething that the script left behind keeps its output open\n"}`;
}

/** The harness keeps keys that are there already; so the gateway can be told of them before the first script. */
function makeKeys(folder: string): void {
  mkdirSync(join(folder, KEYS_FOLDER));
  for (const type of KEY_TYPES) makeKey(join(folder, type), ["-t", type]);
  for (const [name, args] of Object.entries(SCRIPTS_KEYS)) makeKey(join(folder, KEYS_FOLDER, name), args);
  makeKey(join(folder, LOGIN_FILE), ["-t", "ed25519"]);
}

function makeKey(file: string, args: readonly string[]): void {
  const made = Bun.spawnSync(["ssh-keygen", "-q", "-N", "", ...args, "-f", file]);
  if (made.exitCode !== 0) throw new Error(`ssh-keygen ${args.join(" ")}: ${made.stderr.toString()}`);
}

/** Without the comment. */
function readKey(file: string): string {
  return readFileSync(file, "utf8").trim().split(" ").slice(0, 2).join(" ");
}

/** The names of all algorithms that a listener offers to a client that knows none of its favourites. */
async function offersOf(port: number): Promise<readonly string[]> {
  const options = ["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=none", "-c", "aes256-ctr"];
  const command = ["ssh", "-vv", ...options, "-p", `${port}`, "nobody@127.0.0.1", "true"];
  const { stderr } = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [, theirs = ""] = stderr.toString().split("peer server KEXINIT proposal");
  const lists = theirs.matchAll(/^debug2: (?:KEX algorithms|ciphers ctos|MACs ctos|compression ctos): (\S+)\r?$/gmu);
  const names = Array.from(lists, ([, list = ""]) => list.split(",")).flat();
  if (names.length === 0) throw new Error(`nothing is offered: ${stderr.toString()}`);
  return names;
}

type ServedConnection = {
  /** Kills the server with all that it started, and closes the socket. */
  readonly end: () => void;
  /** Resolves when both are gone. */
  readonly ended: Promise<unknown>;
};

/** A connection gets a server of its own, with the configuration as the script has it just then. */
function serve(socket: Socket, folder: string, account: Account): ServedConnection {
  const sshd = which("sshd", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` }) ?? "sshd";
  const wrapper = ["sh", join(folder, "sshd-log-wrapper.sh"), join(folder, "sshd.log")];
  const command = [...account.becomes, ...account.dies, ...wrapper, sshd, "-i", "-f", join(folder, "sshd_proxy")];
  // As a proxy command has it: its input is a pipe, which has no address. Whoever ends takes the other along.
  const server = spawn("sh", ["-c", 'cat | { "$@"; kill 0; }', "sh", ...command], {
    stdio: ["pipe", "pipe", "ignore"],
    cwd: folder,
    detached: true,
  });
  const { pid } = server;
  if (pid === undefined) throw new Error("there is no sh");
  const exited = new Promise((resolve) => void server.once("exit", resolve));
  const closed = new Promise((resolve) => void socket.once("close", resolve));
  socket.pipe(server.stdin);
  server.stdout.pipe(socket);
  server.stdin.on("error", () => socket.destroy());
  // A connection that breaks ends the server's input as one that ends does.
  socket.on("error", () => socket.destroy());
  socket.on("close", () => server.stdin.end());
  const end = (): void => {
    killGroup(pid);
    socket.destroy();
  };
  return { end, ended: Promise.all([exited, closed]) };
}
