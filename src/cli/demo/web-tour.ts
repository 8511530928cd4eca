/** The demo's tour over SSH: commands and a shell that the ordinary ssh sends through the gateway, with what came of them. */
import { sshEnvironment, sshOptions } from "../ssh-client.ts";
import type { Person } from "./tour.ts";
import { PROMPT, WEB_TARGET } from "./web-server.ts";

type WebStop = {
  readonly subject: Person;
  readonly title: string;
  /** What is run; null: a shell in a terminal, into which `typed` goes. */
  readonly command: string | null;
  readonly typed: readonly string[];
  /** By the example policies. */
  readonly isRefused: boolean;
};

const STOPS: readonly WebStop[] = [
  {
    subject: "shop-agent",
    title: "The agent reads the web server's log over SSH: addresses are masked",
    command: "tail -n 2 logs/access.log",
    typed: [],
    isRefused: false,
  },
  {
    subject: "shop-agent",
    title: "The agent tidies up",
    command: "rm logs/access.log",
    typed: [],
    isRefused: true,
  },
  {
    subject: "shop-agent",
    title: "The agent lets the shell choose the file: what cannot be read is refused",
    command: "tail -n 2 logs/acc*",
    typed: [],
    isRefused: true,
  },
  {
    subject: "dana",
    title: "The DBA opens a shell there: whoever does is filmed",
    command: null,
    typed: ["wc -l logs/access.log", "exit"],
    isRefused: false,
  },
];

/** What ends a command that the gateway refuses. */
const REFUSED_STATUS = 126;
/** Nothing is drawn that a page could not show. */
const TERMINAL_TYPE = "dumb";

export type WebVisit = WebStop & {
  readonly stdout: string;
  readonly stderr: string;
  /** Of the command, or of ssh. */
  readonly status: number;
};

/** How the ordinary ssh gets to the gateway. */
export type SshAccess = {
  readonly ssh: string;
  readonly host: string;
  readonly port: number;
  /** The file with the gateway's host key. */
  readonly knownHosts: string;
  /** Why nobody gets a terminal, in words; null: everybody may who is permitted. */
  readonly noTerminals: string | null;
};

export function isAsMeantOnWeb({ status, isRefused }: WebVisit): boolean {
  return isRefused ? status === REFUSED_STATUS : status === 0;
}

/** What is left out where there are no terminals. */
export const SHELL_TITLES: readonly string[] = STOPS.filter(({ command }) => command === null).map(
  ({ title }) => title,
);

/** Goes through all stops, each with a connection of its own; without terminals those that need one are left out. */
export async function* takeWebTour(
  access: SshAccess,
  tokens: Readonly<Record<Person, string>>,
): AsyncGenerator<WebVisit> {
  for (const stop of STOPS) {
    if (stop.command === null && access.noTerminals !== null) continue;
    yield { ...stop, ...(await visit(access, stop, tokens[stop.subject])) };
  }
}

async function visit(
  { ssh, host, port, knownHosts }: SshAccess,
  { command, typed }: WebStop,
  token: string,
): Promise<Pick<WebVisit, "stdout" | "stderr" | "status">> {
  // What whoever runs the demo has configured for ssh is not asked.
  const options = ["-F", "none", ...sshOptions(knownHosts, true), "-o", "LogLevel=ERROR"];
  const what = command === null ? ["-tt", host] : [host, command];
  const child = Bun.spawn([ssh, ...options, "-p", `${port}`, "-l", WEB_TARGET, ...what], {
    env: { ...sshEnvironment(process.env, token), TERM: TERMINAL_TYPE },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (command !== null) void child.stdin.end();
  const answer = async (): Promise<string> => {
    const decoder = new TextDecoder();
    const waiting = [...typed];
    let text = "";
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      // As people do: each line when the shell asks for it.
      if (!text.endsWith(PROMPT)) continue;
      const line = waiting.shift();
      if (line === undefined) continue;
      void child.stdin.write(`${line}\n`);
      void child.stdin.flush();
    }
    return text.replaceAll("\r\n", "\n");
  };
  const [stdout, stderr, status] = await Promise.all([answer(), new Response(child.stderr).text(), child.exited]);
  return { stdout, stderr, status };
}
