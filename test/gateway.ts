/** Starts a real gateway for tests: a folder with configuration and policies, `weir up` in it, tokens, and all of it gone afterwards. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ApiClient } from "../src/api/client.ts";
import { messageOf } from "../src/core/message-of.ts";
import { readFolder } from "../src/policy/set/folder.ts";
import { readToEnd, stopChild } from "./servers/child-end.ts";

export type GatewayOptions = {
  /** The server behind the gateway; it becomes the target `db`. */
  readonly postgres?: { readonly host: string; readonly port: number };
  /** The target's database; `postgres` when left out. */
  readonly database?: string;
  /** Settings of the target `db` beside its address, e.g. `{ user, password, tls }`. */
  readonly upstream?: Readonly<Record<string, unknown>>;
  /** The sshd behind the gateway; it becomes the target `box`, and there is a listener for SSH. */
  readonly ssh?: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly privateKey: string;
    readonly hostKeys: readonly string[];
  };
  /** Settings of the target `box` beside these, e.g. `{ logins }`; its shell is POSIX when nothing is said. */
  readonly sshUpstream?: Readonly<Record<string, unknown>>;
  /** Public keys that log somebody in, as lines of authorized_keys. */
  readonly keys?: readonly {
    readonly subject: string;
    readonly publicKey: string;
    readonly kind?: SubjectKind;
    readonly groups?: readonly string[];
  }[];
  /** Targets by name, as weir.yaml has them; added to `db` and `box`. */
  readonly targets?: Readonly<Record<string, unknown>>;
  /** strict when left out. */
  readonly durability?: "strict" | "release" | "relaxed";
  /** Texts of policy files by path within the policy folder; left out: everything is permitted to everybody. */
  readonly policyFiles?: Readonly<Record<string, string>>;
  /** The listener's TLS setting; `off` when left out. */
  readonly tls?: "auto" | "off" | Readonly<Record<string, unknown>>;
  /** The listener's port; 0, when left out, takes a free one. */
  readonly port?: number;
  readonly limits?: Readonly<Record<string, unknown>>;
  /** Further top-level parts of weir.yaml; they replace what this fixture would write. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Added to the gateway's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to `weir up`. */
  readonly args?: readonly string[];
  /** Starts in this folder, which stays behind, instead of in a new one: to start again on the same data. */
  readonly folder?: string;
};

export type SubjectKind = "human" | "agent" | "service";

export type Gateway = {
  readonly host: "127.0.0.1";
  /** The port the Postgres listener is bound to. */
  readonly port: number;
  /** The port the SSH listener is bound to; 0: there is none. */
  readonly sshPort: number;
  readonly pid: number;
  /** Holds weir.yaml, policies/ and data/. */
  readonly folder: string;
  readonly configFile: string;
  /** Makes a token and resolves to its secret. */
  token(subject: string, kind?: SubjectKind, groups?: readonly string[]): Promise<string>;
  /** A connection URL for a target (`db` when left out), with a token for this subject as password. */
  url(target?: string, subject?: string, kind?: SubjectKind, groups?: readonly string[]): Promise<string>;
  /** Writes a policy file; the gateway reloads by itself. */
  writePolicy(path: string, text: string): void;
  /** Resolves when the policy files as they are now are what the gateway decides by; rejects when it does not take them. */
  policyTaken(): Promise<void>;
  /** Runs a weir command against this gateway's configuration. */
  weir(...args: readonly string[]): Promise<CommandResult>;
  /** What the gateway has written so far, both streams. What it has just said may still be on its way: `said` waits for it. */
  log(): string;
  /** Resolves when the gateway has written this; rejects with its log when it has ended without, or does not write it. */
  said(text: string): Promise<void>;
  /** Resolves to the exit status when the gateway has ended by itself or by stop(). */
  readonly exited: Promise<number>;
  /**
   * SIGTERM, or the signal given; resolves to the exit status after the drain. Removes the folder unless it was given.
   * Rejects with its log when it did not end and was killed, or when somebody that it started goes on. May be called twice.
   */
  stop(signal?: NodeJS.Signals): Promise<number>;
};

export type CommandResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

const LOG_CHARS_MAX = 1_000_000;
const TOKEN_TIME_MS = 24 * 60 * 60 * 1000;
const POLICY_LOOK_MS = 50;
const READY_TIME_MS_MAX = 180_000;
/** For what a gateway is waited for to do; below what a test may take. */
const PATIENCE_MS = 180_000;

/** Everybody may do everything, also what cannot be understood. */
export const PERMIT_ALL: Readonly<Record<string, string>> = {
  "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n",
  "permits/everything.yaml": `apiVersion: weir.dev/v1
kind: Permits
rules:
  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
`,
};

/** The command that runs weir: the compiled binary that WEIR_BINARY names, else the sources. */
export function weirCommand(): readonly string[] {
  const binary = process.env["WEIR_BINARY"];
  if (binary !== undefined && binary !== "") return [resolve(binary)];
  return [process.execPath, join(import.meta.dir, "../src/cli/main.ts")];
}

/** Starts a gateway and resolves when it serves; rejects with its log when it does not. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), `weir-test-gateway-${process.pid}-`));
  const remove = (): void => {
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    writeFiles(folder, options);
    return await launch(folder, options, remove);
  } catch (error) {
    remove();
    throw error;
  }
}

function writeFiles(folder: string, options: GatewayOptions): void {
  const db = options.postgres === undefined ? {} : { db: { postgres: upstream(options.postgres, options) } };
  const box = options.ssh === undefined ? {} : { box: { ssh: sshUpstream(options.ssh, options) } };
  const config = {
    name: "test.example.com",
    data: "./data",
    policies: "./policies",
    listen: {
      postgres: { host: "127.0.0.1", port: options.port ?? 0, tls: options.tls ?? "off" },
      ...(options.ssh !== undefined && { ssh: { host: "127.0.0.1", port: 0 } }),
    },
    ...(options.keys !== undefined && { identity: { keys: options.keys.map((key) => ({ kind: "human", ...key })) } }),
    targets: { ...db, ...box, ...options.targets },
    audit: { durability: options.durability ?? "strict" },
    // A login may take as long as it does on a machine that has much else to do.
    limits: { loginTime: "1m", ...options.limits },
    ...options.config,
  };
  mkdirSync(join(folder, "policies"), { recursive: true });
  // JSON is YAML, and needs no quoting rules.
  writeFileSync(join(folder, "weir.yaml"), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  for (const [path, text] of Object.entries(options.policyFiles ?? PERMIT_ALL)) writePolicy(folder, path, text);
}

function upstream(server: { readonly host: string; readonly port: number }, options: GatewayOptions): object {
  return {
    host: server.host,
    port: server.port,
    database: options.database ?? "postgres",
    user: "postgres",
    tls: "disable",
    ...options.upstream,
  };
}

function sshUpstream(server: NonNullable<GatewayOptions["ssh"]>, options: GatewayOptions): object {
  const { host, port, user, privateKey, hostKeys } = server;
  return { host, port, user, key: privateKey, hostKeys, shell: "posix", ...options.sshUpstream };
}

/** Aside and renamed, so that a gateway that looks in between finds the file whole, as it was or as it is to be. */
function writePolicy(folder: string, path: string, text: string): void {
  const file = join(folder, "policies", path);
  mkdirSync(dirname(file), { recursive: true });
  const aside = join(folder, "policy.new");
  writeFileSync(aside, text);
  renameSync(aside, file);
}

async function launch(folder: string, options: GatewayOptions, remove: () => void): Promise<Gateway> {
  const configFile = join(folder, "weir.yaml");
  const child = Bun.spawn([...weirCommand(), "up", "--config", configFile, ...(options.args ?? [])], {
    cwd: folder,
    env: environment(options.env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const killAtExit = (): void => {
    child.kill("SIGKILL");
    remove();
  };
  process.on("exit", killAtExit);
  const ready = Promise.withResolvers<string>();
  let log = "";
  const listening = new Set<() => void>();
  let isOutlived = false;
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    let line = "";
    // Whole lines: no piece of one may have a piece of the other stream's behind it.
    const keep = (text: string): void => {
      log = (log + text).slice(-LOG_CHARS_MAX);
      for (const look of listening) look();
    };
    const take = (chunk: Uint8Array): void => {
      const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
      line = lines.pop() ?? "";
      keep(lines.map((each) => `${each}\n`).join(""));
      const found = lines.find((candidate) => candidate.startsWith("ready"));
      if (found !== undefined) ready.resolve(found);
    };
    if (!(await readToEnd(child, stream, take))) isOutlived = true;
    keep(line);
  };
  const ended = Promise.all([child.exited, read(child.stdout), read(child.stderr)]).then(([status]) => {
    process.off("exit", killAtExit);
    return status;
  });
  const refuse = (why: string): void => ready.reject(new Error(`the gateway ${why}:\n${log}`));
  void ended.then((status) => refuse(`ended with status ${status} before it was ready`));
  const patience = setTimeout(() => refuse(`was not ready within ${READY_TIME_MS_MAX} ms`), READY_TIME_MS_MAX);
  let port: number;
  let sshPort: number;
  try {
    const line = await ready.promise;
    port = listenerPort(line, "postgres");
    sshPort = options.ssh === undefined ? 0 : listenerPort(line, "ssh");
  } catch (error) {
    child.kill("SIGKILL");
    await ended;
    throw error;
  } finally {
    clearTimeout(patience);
  }

  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    try {
      const status = await stopChild(child, { name: "the gateway", signal, ended, log: () => log });
      if (isOutlived) throw new Error(`the gateway has ended, but not somebody who has its output, too:\n${log}`);
      return status;
    } finally {
      remove();
    }
  };
  const said = async (text: string): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (log.includes(text)) resolve();
    };
    listening.add(look);
    look();
    const fail = (why: string): void => reject(new Error(`the gateway ${why}: ${JSON.stringify(text)}\n${log}`));
    void ended.then(() => fail("has ended and never said"));
    const patience = setTimeout(() => fail(`did not say within ${PATIENCE_MS} ms`), PATIENCE_MS);
    await promise.finally(() => {
      clearTimeout(patience);
      listening.delete(look);
    });
  };
  const weir = (...args: readonly string[]): Promise<CommandResult> =>
    runWeir([...args, "--config", configFile], { cwd: folder, ...(options.env && { env: options.env }) });
  // The gateway's own socket: a command costs the machine a tenth of a second to start, and tests need hundreds.
  let client: ApiClient | null = null;
  const api = async (): Promise<ApiClient> => {
    client ??= await ApiClient.connect(join(folder, "data"));
    if (client === null) throw new Error(`the gateway's socket does not answer:\n${log}`);
    return client;
  };
  const token: Gateway["token"] = async (subject, kind = "human", groups = []) => {
    const order = { subject, kind, groups, owner: null, expiresInMs: TOKEN_TIME_MS };
    return (await (await api()).createToken(order)).token;
  };
  const policyTaken = async (): Promise<void> => {
    const { digest } = await readFolder(join(folder, "policies"));
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
    const startMs = performance.now();
    while (performance.now() - startMs < PATIENCE_MS) {
      const active = await api()
        .then(async (house) => (await house.status()).policy.digest)
        .catch((error: unknown) => {
          if (hasEnded()) throw new Error(`the gateway has ended: ${messageOf(error)}`);
          // Else it took longer than the local socket waits for an answer: a machine may be that busy.
          return null;
        });
      if (active === digest) return;
      // Nothing tells that a policy was taken. Asked without a pause, the gateway would do little else.
      await Bun.sleep(POLICY_LOOK_MS);
    }
    throw new Error(`the gateway did not take the policies within ${PATIENCE_MS} ms:\n${log}`);
  };
  return {
    host: "127.0.0.1",
    port,
    sshPort,
    pid: child.pid,
    folder,
    configFile,
    token,
    url: async (target = "db", subject = "ann", kind = "human", groups = []) =>
      `postgres://weir:${encodeURIComponent(await token(subject, kind, groups))}@127.0.0.1:${port}/${target}`,
    writePolicy: (path, text) => writePolicy(folder, path, text),
    policyTaken,
    weir,
    log: () => log,
    said,
    exited: ended,
    stop,
  };
}

/** Of a weir command: ours with what is added, but for what is about weir and PostgreSQL. How the tests are run is nothing that it sees. */
export function environment(
  added: Readonly<Record<string, string | undefined>> = {},
): Record<string, string | undefined> {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith("WEIR_") && !name.startsWith("PG"));
  return { ...Object.fromEntries(ours), ...added };
}

/** Runs a weir command to its end. */
export async function runWeir(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<CommandResult> {
  const cwd = options.cwd ?? process.cwd();
  if (!existsSync(cwd)) throw new Error(`there is no folder ${cwd}`);
  const child = Bun.spawn([...weirCommand(), ...args], {
    cwd,
    env: environment(options.env),
    stdin: "ignore",
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

/** The port in a listener's part of the `ready` line: `ready postgres=127.0.0.1:6432 ssh=...`. */
function listenerPort(line: string, adapter: "postgres" | "ssh"): number {
  const port = Number(new RegExp(` ${adapter}=\\S+:(\\d+)( |$)`, "u").exec(line)?.[1]);
  if (!Number.isInteger(port)) throw new Error(`no listener for ${adapter} in the line: ${line}`);
  return port;
}
