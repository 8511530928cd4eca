/** `weir up`: the gateway in the foreground, until a signal ends it. */
import { ADAPTERS } from "../../adapters/index.ts";
import { DataFolderInUse } from "../api/data-folder.ts";
import type { ListenerStatus } from "../api/house.ts";
import { formatProblem } from "../config/problem.ts";
import { startGateway } from "../main.ts";
import type { Gateway } from "../main.ts";
import { PolicyInvalid } from "../policy/problems.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Command, ExitStatus, Terminal } from "./command.ts";
import { readConfiguration, requireGood } from "./configuration.ts";
import { policyProblemLines } from "./policy-problems.ts";
import { VERSION } from "./version.ts";

export const upCommand: Command = {
  words: ["up"],
  summary: "Run the gateway in the foreground",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "Prints one line that begins with `ready` and names the listeners when it serves; what else there is to say goes to",
    "standard error. SIGTERM or SIGINT: no new sessions, running statements finish within limits.drainTime, the log is",
    "closed. A second signal ends it at once.",
    "",
    'JSON of the ready line: {"ready", "name", "pid", "listeners": [{"adapter", "host", "port", "tls"}]}',
  ],
  run: async (args, terminal) => {
    const loaded = readConfiguration(args, terminal);
    const config = requireGood(loaded);
    for (const problem of loaded.problems) terminal.err(formatProblem(problem));
    const parts = {
      config,
      adapters: ADAPTERS,
      version: VERSION,
      clock: { now: () => Date.now() },
      say: (line: string) => terminal.err(`weir: ${printable(line)}`),
    };
    const signals = new Signals();
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
      throw startFailure(error, config.policies);
    }
    if (args.isJson) {
      terminal.out(JSON.stringify({ ready: true, name: config.name, pid: process.pid, listeners: gateway.listeners }));
    } else {
      terminal.out(`ready ${gateway.listeners.map(listenerWords).join(" ")}`);
    }
    return signals.untilTold(gateway, terminal);
  },
};

function listenerWords({ adapter, host, port }: ListenerStatus): string {
  return `${adapter}=${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function startFailure(error: unknown, policies: string): Error {
  if (error instanceof PolicyInvalid) {
    return new CommandError(
      policyProblemLines(error.problems, policies).join("\n      "),
      "weir policy check shows everything that is wrong with them.",
    );
  }
  if (error instanceof DataFolderInUse) return new CommandError(error.message, "weir status shows the one that runs.");
  return error instanceof Error ? error : new Error(String(error));
}

/** Takes signals from the moment it is made, so that one that comes during the start is not lost. */
class Signals {
  readonly #first = Promise.withResolvers<NodeJS.Signals>();
  #count = 0;

  constructor() {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => this.#take(signal));
  }

  #take(signal: NodeJS.Signals): void {
    this.#count++;
    if (this.#count === 1) return this.#first.resolve(signal);
    process.exit(1);
  }

  /** Waits for the first signal and drains; resolves to the exit status. */
  async untilTold(gateway: Gateway, terminal: Terminal): Promise<ExitStatus> {
    const signal = await this.#first.promise;
    terminal.err(`weir: ${signal}: no new sessions; running statements finish first. Another signal ends it at once.`);
    await gateway.drain();
    terminal.err("weir: ended");
    return 0;
  }
}
