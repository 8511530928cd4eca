/** Starts a real gateway for tests: a folder with configuration and policies, `weir up` in it, tokens, and all of it gone afterwards. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export type GatewayOptions = {
  /** The server behind the gateway; it becomes the target `db`. */
  readonly postgres?: { readonly host: string; readonly port: number };
  /** The target's database; `postgres` when left out. */
  readonly database?: string;
  /** Settings of the target `db` beside its address, e.g. `{ user, password, tls }`. */
  readonly upstream?: Readonly<Record<string, unknown>>;
  /** Targets by name, as weir.yaml has them; added to `db`. */
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
  /** Starts in this folder, which stays behind, instead of in a new one: to start again on the same data. */
  readonly folder?: string;
};

export type SubjectKind = "human" | "agent" | "service";

export type Gateway = {
  readonly host: "127.0.0.1";
  /** The port the Postgres listener is bound to. */
  readonly port: number;
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
  /** Runs a weir command against this gateway's configuration. */
  weir(...args: readonly string[]): Promise<CommandResult>;
  /** What the gateway has written so far, both streams. */
  log(): string;
  /** Resolves to the exit status when the gateway has ended by itself or by stop(). */
  readonly exited: Promise<number>;
  /** SIGTERM, or the signal given; resolves to the exit status after the drain. Removes the folder unless it was given. May be called twice. */
  stop(signal?: NodeJS.Signals): Promise<number>;
};

export type CommandResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

const LOG_CHARS_MAX = 1_000_000;
const READY_TIME_MS_MAX = 60_000;
const STOP_TIME_MS_MAX = 60_000;

/** Everybody may do everything, also what cannot be understood. */
const PERMIT_ALL: Readonly<Record<string, string>> = {
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
  const config = {
    name: "test.example.com",
    data: "./data",
    policies: "./policies",
    listen: { postgres: { host: "127.0.0.1", port: options.port ?? 0, tls: options.tls ?? "off" } },
    targets: { ...db, ...options.targets },
    audit: { durability: options.durability ?? "strict" },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
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

function writePolicy(folder: string, path: string, text: string): void {
  const file = join(folder, "policies", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function launch(folder: string, options: GatewayOptions, remove: () => void): Promise<Gateway> {
  const configFile = join(folder, "weir.yaml");
  const child = Bun.spawn([...weirCommand(), "up", "--config", configFile], {
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
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    let line = "";
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      log = (log + text).slice(-LOG_CHARS_MAX);
      const lines = (line + text).split("\n");
      line = lines.pop() ?? "";
      const found = lines.find((candidate) => candidate.startsWith("ready"));
      if (found !== undefined) ready.resolve(found);
    }
  };
  const ended = Promise.all([child.exited, read(child.stdout), read(child.stderr)]).then(([status]) => {
    process.off("exit", killAtExit);
    return status;
  });
  const refuse = (why: string): void => ready.reject(new Error(`the gateway ${why}:\n${log}`));
  void ended.then((status) => refuse(`ended with status ${status} before it was ready`));
  const patience = setTimeout(() => refuse(`was not ready within ${READY_TIME_MS_MAX} ms`), READY_TIME_MS_MAX);
  let port: number;
  try {
    port = postgresPort(await ready.promise);
  } catch (error) {
    child.kill("SIGKILL");
    await ended;
    throw error;
  } finally {
    clearTimeout(patience);
  }

  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    child.kill(signal);
    const kill = setTimeout(() => child.kill("SIGKILL"), STOP_TIME_MS_MAX);
    const status = await ended;
    clearTimeout(kill);
    remove();
    return status;
  };
  const weir = (...args: readonly string[]): Promise<CommandResult> =>
    runWeir([...args, "--config", configFile], { cwd: folder, ...(options.env && { env: options.env }) });
  const token: Gateway["token"] = async (subject, kind = "human", groups = []) => {
    const named = groups.length === 0 ? [] : ["--groups", groups.join(",")];
    const made = await weir("token", "create", "--subject", subject, "--kind", kind, ...named, "--json");
    if (made.status !== 0) throw new Error(`weir token create: ${made.stdout}${made.stderr}`);
    const answer: unknown = JSON.parse(made.stdout);
    if (typeof answer === "object" && answer !== null && "token" in answer && typeof answer.token === "string") {
      return answer.token;
    }
    throw new Error(`weir token create answered ${made.stdout}`);
  };
  return {
    host: "127.0.0.1",
    port,
    pid: child.pid,
    folder,
    configFile,
    token,
    url: async (target = "db", subject = "ann", kind = "human", groups = []) =>
      `postgres://weir:${encodeURIComponent(await token(subject, kind, groups))}@127.0.0.1:${port}/${target}`,
    writePolicy: (path, text) => writePolicy(folder, path, text),
    weir,
    log: () => log,
    exited: ended,
    stop,
  };
}

/** Ours with what is added; which weir is tested is nothing that weir sees. */
function environment(added: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  return { ...process.env, WEIR_BINARY: undefined, ...added };
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

/** The port in the `ready` line's part about Postgres: `ready postgres=127.0.0.1:6432 http=...`. */
function postgresPort(line: string): number {
  const port = Number(/ postgres=\S+:(\d+)( |$)/u.exec(line)?.[1]);
  if (!Number.isInteger(port)) throw new Error(`no Postgres listener in the line: ${line}`);
  return port;
}
