/** The demo's web server as far as SSH goes: a real sshd on the loopback, whose sessions are an ordinary user's in a home of its own. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { CommandError } from "../command.ts";
import { giveTo } from "./server-account.ts";
import type { ServerAccount } from "./server-account.ts";
import type { SshPrograms } from "./ssh-programs.ts";

export const WEB_TARGET = "shop-web";
/** What a shell there asks with. */
export const PROMPT = `${WEB_TARGET}$ `;

/** The files in its home. */
const FILES: Readonly<Record<string, string>> = {
  "logs/access.log": `2027-03-01T09:57:31Z 203.0.113.20 GET /products/7 200
2027-03-01T09:58:12Z 203.0.113.7 POST /orders?mail=ada.abara@example.com 201
2027-03-01T09:58:40Z 203.0.113.9 POST /orders?mail=bela.abara@example.com 500
`,
  "logs/error.log": "2027-03-01T09:58:40Z checkout: the payment provider did not answer\n",
  "config/payment.key": "this would be a secret\n",
};

const PORT_ATTEMPTS_MAX = 5;
const START_TIME_MS_MAX = 30_000;
const TERMINAL_TIME_MS_MAX = 10_000;
const CHECK_MS = 5;

export type WebServerOptions = {
  readonly programs: SshPrograms;
  readonly account: ServerAccount;
  /** Everything of the server: made when it is not there. */
  readonly folder: string;
};

/** How the gateway gets to it. */
export type WebServerAddress = {
  readonly port: number;
  readonly user: string;
  /** The file with the key that logs in. */
  readonly keyFile: string;
  readonly hostKey: string;
};

/** A server that runs. */
export class WebServer {
  readonly address: WebServerAddress;
  /** Why it can give nobody a terminal, in words; null: it can. */
  readonly noTerminals: string | null;
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess, address: WebServerAddress, noTerminals: string | null) {
    this.#child = child;
    this.address = address;
    this.noTerminals = noTerminals;
    process.on("exit", this.#stopNow);
  }

  /** Makes what is missing and starts the server; throws CommandError with its own words when it does not start. */
  static async start(options: WebServerOptions): Promise<WebServer> {
    const { folder, account, programs } = options;
    await furnish(options);
    const logFile = join(folder, "log");
    const keyFile = join(folder, "login_key");
    const hostKey = readFileSync(join(folder, "host_key.pub"), "utf8").trim();
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      writeFileSync(join(folder, "sshd_config"), configuration(options, port));
      writeFileSync(logFile, "");
      // Where root's sshd puts those who are not logged in yet; an init script makes it on machines that have one.
      if (account.owner !== null) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
      const words = [programs.sshd, "-D", "-E", logFile, "-f", join(folder, "sshd_config")];
      // Detached, as the database is: Ctrl-C is for the gateway, and the server ends after it.
      const child = Bun.spawn([...account.dies, ...words], {
        cwd: "/",
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
        detached: true,
      });
      if (await isReady(child, logFile)) {
        const address = { port, user: account.starter, keyFile, hostKey };
        return new WebServer(child, address, await whyNoTerminals(options, address, logFile));
      }
      child.kill("SIGKILL");
      const log = readFileSync(logFile, "utf8").trim();
      if (attempt === PORT_ATTEMPTS_MAX || !log.includes("Cannot bind any address")) {
        throw new CommandError(`sshd did not start:\n${log}`, "The lines above are the server's own.");
      }
    }
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
    process.off("exit", this.#stopNow);
  }

  readonly #stopNow = (): void => {
    this.#child.kill("SIGTERM");
  };
}

async function furnish({ programs, account, folder }: WebServerOptions): Promise<void> {
  const home = join(folder, WEB_TARGET);
  for (const [path, text] of Object.entries(FILES)) {
    const file = join(home, path);
    if (existsSync(file)) continue;
    mkdirSync(join(file, ".."), { recursive: true, mode: 0o755 });
    writeFileSync(file, text, { mode: 0o644 });
  }
  for (const path of ["", "logs", "config", ...Object.keys(FILES)]) giveTo(account, join(home, path));
  await Promise.all(["host_key", "login_key"].map(async (name) => makeKey(programs.keygen, join(folder, name))));
  writeFileSync(join(folder, "authorized_keys"), readFileSync(join(folder, "login_key.pub")), { mode: 0o644 });
  // Between sshd and what was asked for: in the demo's folder, not in the home of whoever runs it.
  const shell = [...account.becomes, "/bin/sh"].map(quoted).join(" ");
  const script = `#!/bin/sh
cd ${quoted(home)} || exit 1
HOME=${quoted(home)} PS1=${quoted(PROMPT)}
export HOME PS1
[ -n "\${SSH_ORIGINAL_COMMAND+x}" ] || exec ${shell}
exec ${shell} -c "$SSH_ORIGINAL_COMMAND"
`;
  writeFileSync(join(folder, "session"), script, { mode: 0o755 });
}

async function makeKey(keygen: string, file: string): Promise<void> {
  if (existsSync(file)) return;
  const words = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file];
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [errors, status] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (status !== 0) throw new CommandError(`ssh-keygen could not make ${file}:\n${errors.trim()}`);
}

function configuration({ folder, account, programs }: WebServerOptions, port: number): string {
  const { sftpServer } = programs;
  const lines = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey "${join(folder, "host_key")}"`,
    "PidFile none",
    `AuthorizedKeysFile "${join(folder, "authorized_keys")}"`,
    `AllowUsers ${account.starter}`,
    "PermitRootLogin prohibit-password",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UseDNS no",
    "PrintMotd no",
    "PrintLastLog no",
    "PermitUserRC no",
    // Sockets of root's, where root has started it.
    "AllowStreamLocalForwarding no",
    `ForceCommand ${quoted(join(folder, "session"))}`,
    ...(sftpServer === null ? [] : [`Subsystem sftp ${sftpServer}`]),
  ];
  return [...lines, ""].join("\n");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function isReady(child: Bun.Subprocess, logFile: string): Promise<boolean> {
  const endAtMs = performance.now() + START_TIME_MS_MAX;
  while (child.exitCode === null && child.signalCode === null && performance.now() < endAtMs) {
    if (readFileSync(logFile, "utf8").includes("Server listening on")) return true;
    await Bun.sleep(CHECK_MS);
  }
  return false;
}

/** Asks for a terminal as the gateway will: whether an ordinary user's sshd can give one depends on the machine. */
async function whyNoTerminals(
  { programs, account }: WebServerOptions,
  { port, user, keyFile }: WebServerAddress,
  logFile: string,
): Promise<string | null> {
  // Root's can.
  if (account.owner !== null) return null;
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "IdentitiesOnly=yes"];
  const words = [programs.ssh, "-F", "none", ...options.flatMap((option) => ["-o", option]), "-i", keyFile];
  const child = Bun.spawn([...words, "-tt", "-p", `${port}`, "-l", user, "127.0.0.1", "true"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    timeout: TERMINAL_TIME_MS_MAX,
  });
  if ((await child.exited) === 0) return null;
  // What failed for another reason, the tour shows as it is.
  const said = readFileSync(logFile, "utf8").split("\n");
  const why = said.find((line) => line.includes("/dev/pts") || line.includes("pty"))?.trim();
  if (why === undefined) return null;
  return (
    `an ordinary user's sshd can give no terminal on this machine (${why}): ` +
    "mount /dev/pts with gid=5, the group tty, or run the demo as root"
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once("error", reject);
  server.listen({ host: "127.0.0.1", port: 0, exclusive: true }, () => {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}
