/** What the demo prints for people to paste: each line works as it stands, while the demo runs. */
import { join, resolve } from "node:path";
import { weirVersion } from "../../release/version.ts";
import type { DemoFolder } from "./folder.ts";
import { ADMINISTRATOR } from "./postgres.ts";
import { PEOPLE, TARGETS } from "./tour.ts";
import type { Person } from "./tour.ts";
import { WEB_TARGET } from "./web-server.ts";
import type { SshAccess } from "./web-tour.ts";

export const HOST = "127.0.0.1";
const [TARGET, TRIAL] = TARGETS;
const SOURCES = resolve(import.meta.dir, "../../..");

export type Recipe = { readonly purpose: string; readonly lines: readonly string[] };

export type RecipeParts = {
  readonly folder: DemoFolder;
  readonly tokens: Readonly<Record<Person, string>>;
  /** Of the listener for Postgres. */
  readonly port: number;
  readonly ssh: SshAccess | null;
  /** The recorded session of the tour's shell; null: there was none. */
  readonly shellSession: string | null;
};

export function recipes(parts: RecipeParts): readonly Recipe[] {
  const { folder, tokens, port, ssh } = parts;
  const agent = tokens["shop-agent"];
  return [
    ...PEOPLE.map(({ subject, title }) => recipe(`as ${title}`, psqlLine(subject, tokens[subject], port))),
    recipe("the trial of inline masking, as the agent", psqlLine("shop-agent", agent, port, TRIAL)),
    recipe("or with any driver", urlOf("shop-agent", agent, port)),
    ...(ssh === null ? [] : sshRecipes(parts, ssh)),
    recipe("watch the log", `${weirWords()} audit tail --follow --config ${folder.configFile}`),
    recipe("change the rules: they count as soon as a file is saved", folder.policies),
    recipe(
      "after a change of what is masked, for the guarded target (the administrator's password is empty)",
      `${weirWords()} targets prepare ${TARGET} --apply --user ${ADMINISTRATOR} --config ${folder.configFile}`,
    ),
    recipe("stop", folder.isKept ? `Ctrl-C; ${folder.path} stays` : "Ctrl-C; everything is removed"),
    ...(Bun.which("psql") === null ? [recipe("psql is not installed here", "apt-get install postgresql-client")] : []),
  ];
}

function sshRecipes(
  { folder, tokens, shellSession }: RecipeParts,
  { port, knownHosts, noTerminals }: SshAccess,
): readonly Recipe[] {
  const known = `-o UserKnownHostsFile=${knownHosts}`;
  const replay = `${weirWords()} audit replay ${shellSession ?? ""} --config ${folder.configFile}`;
  return [
    recipe(
      "a command on the web server, as the agent",
      `${sshLine(tokens["shop-agent"], folder.configFile)} tail -n 2 logs/access.log`,
    ),
    // Without a terminal a shell would read what is piped into it, which is nothing to try.
    ...(noTerminals === null ? [recipe("a shell there, as the DBA", sshLine(tokens.dana, folder.configFile))] : []),
    recipe(
      `with any client; the password is a token, the agent's is ${tokens["shop-agent"]}`,
      `ssh -p ${port} ${known} ${WEB_TARGET}@${HOST} uptime`,
      `sftp -P ${port} ${known} ${WEB_TARGET}@${HOST}:logs/access.log`,
    ),
    ...(shellSession === null ? [] : [recipe("the DBA's shell of before, as a film", replay)]),
  ];
}

function recipe(purpose: string, ...lines: readonly string[]): Recipe {
  return { purpose, lines };
}

export function psqlLine(subject: string, token: string, port: number, target: string = TARGET): string {
  return `PGPASSWORD=${token} psql "postgres://${subject}@${HOST}:${port}/${target}?sslmode=require"`;
}

export function urlOf(subject: string, token: string, port: number): string {
  return `postgres://${subject}:${token}@${HOST}:${port}/${TARGET}?sslmode=require`;
}

export function sshLine(token: string, configFile: string): string {
  return `WEIR_TOKEN=${token} ${weirWords()} ssh --config ${configFile} ${WEB_TARGET}`;
}

/** How this weir is called here. */
function weirWords(): string {
  if (weirVersion().from === "sources")
    return process.cwd() === SOURCES ? "./dev weir" : `${join(SOURCES, "dev")} weir`;
  return Bun.which("weir") === process.execPath ? "weir" : process.execPath;
}
