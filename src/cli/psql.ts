/** `weir psql`: the ordinary psql with the gateway's address and a token filled in. */
import type { Config, Listener } from "../config/config.ts";
import { certificatePath } from "../identity/kept-certificate.ts";
import { clientAddress, findToken, TOKEN_FILE_OPTION } from "./client-address.ts";
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
  options: [CONFIG_OPTION, TOKEN_FILE_OPTION],
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
  const token = findToken(args, terminal);
  if (token !== null) return token;
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
  const { host, port, listener } = await clientAddress(config, "postgres", "Postgres");
  return {
    ...Object.fromEntries(Object.entries(surrounding).filter(([name]) => !MISLEADING.has(name))),
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: "weir",
    PGDATABASE: target,
    PGPASSWORD: token,
    ...tlsEnvironment(config, listener, surrounding),
  };
}

function tlsEnvironment(config: Config, listener: Listener, surrounding: Terminal["env"]): Record<string, string> {
  if (listener.tls === "off") return { PGSSLMODE: "disable" };
  // The one certificate is the whole trust, so that the host's name adds nothing.
  if (listener.tls === "auto") return { PGSSLMODE: "verify-ca", PGSSLROOTCERT: certificatePath(config.data) };
  return { PGSSLMODE: surrounding["PGSSLMODE"] ?? "verify-full" };
}
