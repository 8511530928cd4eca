/** `weir psql`: the ordinary psql with the gateway's address and a token filled in. */
import { readFileSync } from "node:fs";
import { ApiClient } from "../api/client.ts";
import type { Config, Listener } from "../config/config.ts";
import { certificatePath } from "../identity/kept-certificate.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

/** Settings of libpq that would lead elsewhere than to the gateway. */
const MISLEADING: ReadonlySet<string> = new Set([
  "PGSERVICE",
  "PGSERVICEFILE",
  "PGHOSTADDR",
  "PGPASSFILE",
  "PGTARGETSESSIONATTRS",
  "WEIR_TOKEN",
]);

export const psqlCommand: Command = {
  words: ["psql"],
  summary: "Run psql on a target through the gateway",
  positionals: [
    { name: "TARGET", description: "the target, or TARGET.DATABASE", kind: "required" },
    { name: "ARGUMENT", description: "arguments of psql, passed on as they are", kind: "rest" },
  ],
  options: [
    CONFIG_OPTION,
    {
      name: "token-file",
      value: "FILE",
      description: "a file that holds the token; else the environment variable WEIR_TOKEN",
    },
  ],
  notes: [
    "Options of weir come before TARGET. The exit status is that of psql.",
    "",
    "  WEIR_TOKEN=weir_... weir psql orders-prod -c 'select 1'",
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const token = readToken(args, terminal);
    const psql = Bun.which("psql", { PATH: terminal.env["PATH"] ?? "" });
    if (psql === null)
      throw new CommandError(
        "psql was not found",
        "Install the PostgreSQL client, on Debian: apt-get install postgresql-client",
      );
    const env = await environment(config, args.required("TARGET"), token, terminal.env);
    const child = Bun.spawn([psql, ...args.rest], { env, stdin: "inherit", stdout: "inherit", stderr: "inherit" });
    // Ctrl-C at psql's prompt cancels a statement; it must not end the command around it.
    const ignore = (): void => undefined;
    process.on("SIGINT", ignore);
    try {
      return await child.exited;
    } finally {
      process.off("SIGINT", ignore);
    }
  },
};

function readToken(args: Arguments, terminal: Terminal): string {
  const file = args.text("token-file");
  if (file !== undefined) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      throw new CommandError(
        `the token file ${file} cannot be read`,
        "Name another with --token-file, or set WEIR_TOKEN.",
      );
    }
  }
  const token = terminal.env["WEIR_TOKEN"];
  if (token !== undefined && token !== "") return token;
  throw new CommandError(
    "there is no token",
    "Set WEIR_TOKEN or name a file with --token-file; weir token create makes one.",
  );
}

/** The token goes through the environment: arguments can be read by every user of the machine. */
async function environment(
  config: Config,
  target: string,
  token: string,
  surrounding: Terminal["env"],
): Promise<Record<string, string | undefined>> {
  const listener = config.listeners.find((each) => each.adapter === "postgres");
  if (listener === undefined)
    throw new CommandError("the configuration has no listener for Postgres", "Add listen.postgres.");
  const running = await ApiClient.connect(config.data);
  // A running gateway knows the port it really has; with port 0 nobody else does.
  const bound = (await running?.listeners())?.find((each) => each.adapter === "postgres");
  const port = bound?.port ?? listener.port;
  if (port === 0)
    throw new CommandError("the gateway does not run, and its port is chosen at start", "Start it: weir up");
  return {
    ...Object.fromEntries(Object.entries(surrounding).filter(([name]) => !MISLEADING.has(name))),
    PGHOST: reachableHost(listener.host),
    PGPORT: String(port),
    PGUSER: "weir",
    PGDATABASE: target,
    PGPASSWORD: token,
    ...tlsEnvironment(config, listener, surrounding),
  };
}

function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function tlsEnvironment(config: Config, listener: Listener, surrounding: Terminal["env"]): Record<string, string> {
  if (listener.tls === "off") return { PGSSLMODE: "disable" };
  // The one certificate is the whole trust, so that the host's name adds nothing.
  if (listener.tls === "auto") return { PGSSLMODE: "verify-ca", PGSSLROOTCERT: certificatePath(config.data) };
  return { PGSSLMODE: surrounding["PGSSLMODE"] ?? "verify-full" };
}
