/** `weir up`: the gateway in the foreground, until a signal ends it; SIGHUP reloads it. */
import { ADAPTERS, VOCABULARIES } from "../../adapters/index.ts";
import { DataFolderInUse } from "../api/data-folder.ts";
import type { ListenerStatus } from "../api/house.ts";
import { LogSetBack } from "../audit/start-of-log.ts";
import type { Config } from "../config/config.ts";
import { formatProblem } from "../config/problem.ts";
import { startGateway } from "../main.ts";
import type { Gateway } from "../main.ts";
import { PolicyInvalid } from "../policy/problems.ts";
import { endSoon } from "./last-words.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Arguments, Command, ExitStatus, Terminal } from "./command.ts";
import { readConfiguration, requireGood } from "./configuration.ts";
import { policyProblemLines } from "./policy-problems.ts";
import { VERSION } from "./version.ts";

export const upCommand: Command = {
  words: ["up"],
  summary: "Run the gateway in the foreground",
  positionals: [],
  options: [
    CONFIG_OPTION,
    { name: "accept-loss", description: "begin a new log when the old one was cut or set back; the new one says so" },
  ],
  notes: [
    "Prints one line that begins with `ready` and names the listeners when it serves; what else there is to say goes to",
    "standard error. SIGTERM or SIGINT: no new sessions, running statements finish within limits.drainTime, the log is",
    "closed. A second of them ends it at once. SIGHUP: policies and certificates are read again, and what else has changed",
    "in the configuration is named; no session ends.",
    "",
    'JSON of the ready line: {"ready", "name", "pid", "listeners": [{"adapter", "host", "port", "tls", "hostKey" (SSH)}]}',
  ],
  run: async (args, terminal) => {
    const loaded = readConfiguration(args, terminal);
    const config = requireGood(loaded);
    for (const problem of loaded.problems) terminal.err(formatProblem(problem));
    const parts = {
      config,
      adapters: ADAPTERS,
      vocabularies: VOCABULARIES,
      version: VERSION,
      acceptLoss: args.flag("accept-loss"),
      clock: { now: () => Date.now() },
      say: (line: string) => terminal.err(`weir: ${printable(line)}`),
    };
    const signals = new Signals(terminal);
    // One session's fault does not end the others: what waits for a promise that failed is never let through.
    process.on("unhandledRejection", (fault) => {
      terminal.err(
        `weir: a fault of the gateway's own: ${printable(fault instanceof Error ? (fault.stack ?? fault.message) : String(fault))}`,
      );
    });
    let gateway: Gateway;
    try {
      gateway = await startGateway(parts);
    } catch (error) {
      throw startFailure(error, config);
    }
    if (args.isJson) {
      terminal.out(JSON.stringify({ ready: true, name: config.name, pid: process.pid, listeners: gateway.listeners }));
    } else {
      terminal.out(`ready ${gateway.listeners.map(listenerWords).join(" ")}`);
    }
    return signals.untilTold(gateway, () => readAgain(args, terminal));
  },
};

/** The configuration as it is written now, its problems told; null: it has errors. */
function readAgain(args: Arguments, terminal: Terminal): Config | null {
  const { config, problems } = readConfiguration(args, terminal);
  for (const problem of problems) terminal.err(formatProblem(problem));
  return config;
}

/** With the key by which SSH clients know it behind, for whoever connects for the first time. */
function listenerWords({ adapter, host, port, hostKey }: ListenerStatus): string {
  const address = `${adapter}=${host.includes(":") ? `[${host}]` : host}:${port}`;
  return hostKey === undefined ? address : `${address} ${adapter}-key=${hostKey}`;
}

function startFailure(error: unknown, { policies, data }: Config): Error {
  if (error instanceof PolicyInvalid) {
    return new CommandError(
      policyProblemLines(error.problems, policies).join("\n      "),
      "weir policy check shows everything that is wrong with them.",
    );
  }
  if (error instanceof LogSetBack) {
    return new CommandError(
      `the log was cut, or an older copy of ${data} was put back: ${error.message}`,
      `Put the newest copy of ${data} back. If there is none: weir up --accept-loss begins a new log that says so.`,
    );
  }
  if (error instanceof DataFolderInUse) return new CommandError(error.message, "weir status shows the one that runs.");
  return error instanceof Error ? error : new Error(String(error));
}

/** Takes signals from the moment it is made, so that one that comes during the start is not lost. */
class Signals {
  readonly #terminal: Terminal;
  readonly #first = Promise.withResolvers<NodeJS.Signals>();
  #count = 0;
  /** What SIGHUP does; null: the start is not over, or the end has begun. */
  #reload: (() => Promise<void>) | null = null;
  /** A reload is wanted that has not begun. */
  #isWanted = false;
  #isReloading = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => this.#take(signal));
    process.on("SIGHUP", () => {
      this.#isWanted = true;
      void this.#reloadWanted();
    });
  }

  #take(signal: NodeJS.Signals): void {
    this.#count++;
    if (this.#count === 1) return this.#first.resolve(signal);
    process.exit(1);
  }

  /** One after the other; however many signals come meanwhile, they are one more. */
  async #reloadWanted(): Promise<void> {
    if (this.#isReloading) return;
    this.#isReloading = true;
    try {
      while (this.#isWanted && this.#reload !== null) {
        this.#isWanted = false;
        this.#terminal.err("weir: SIGHUP: policies and certificates are read again");
        await this.#reload();
      }
    } finally {
      this.#isReloading = false;
    }
  }

  /** Reloads on SIGHUP, waits for the first of the others and drains; resolves to the exit status. */
  async untilTold(gateway: Gateway, readConfig: () => Config | null): Promise<ExitStatus> {
    this.#reload = async () => gateway.reload(readConfig());
    void this.#reloadWanted();
    const signal = await this.#first.promise;
    this.#reload = null;
    const err = (line: string): void => this.#terminal.err(`weir: ${line}`);
    err(`${signal}: no new sessions; running statements finish first. Another signal ends it at once.`);
    try {
      await gateway.drain();
    } catch (error) {
      endSoon(1);
      throw error;
    }
    err("ended");
    return endSoon(0);
  }
}
