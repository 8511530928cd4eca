/** How the ordinary ssh and sftp are told of the gateway: its pinned host key, and a token that no argument shows. */
import { delimiter, dirname, join } from "node:path";
import { weirVersion } from "../release/version.ts";
import { ASKPASS_TOKEN } from "./askpass.ts";
import { CommandError } from "./command.ts";

/** ssh takes the first value that it is given for an option: these come before the user's own, and before their files. */
const PINNED = ["StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no", "CheckHostIP=no"];
/** With a token nothing else logs in, and no connection of somebody else's is shared. */
const BY_TOKEN = ["PreferredAuthentications=password", "NumberOfPasswordPrompts=1", "BatchMode=no", "ControlPath=none"];
/** What ssh's configuration would read otherwise within a path. */
const READ_OTHERWISE = ['"', "\\", "$", "\n"];

type Environment = Readonly<Record<string, string | undefined>>;

/** Options for ssh, sftp and scp. Throws CommandError on a path that they cannot be told. */
export function sshOptions(knownHosts: string, hasToken: boolean): readonly string[] {
  const known = `UserKnownHostsFile=${quotedPath(knownHosts)}`;
  return [...PINNED, known, ...(hasToken ? BY_TOKEN : [])].flatMap((option) => ["-o", option]);
}

/** The token goes through the environment, to this program as ssh's askpass: arguments can be read by every user. */
export function sshEnvironment(surrounding: Environment, token: string | null): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(surrounding)) {
    if (value !== undefined && name !== "WEIR_TOKEN") env[name] = value;
  }
  if (token === null) return env;
  const asked = { ...env, [ASKPASS_TOKEN]: token, SSH_ASKPASS_REQUIRE: "force" };
  if (weirVersion().from === "binary") return { ...asked, SSH_ASKPASS: process.execPath };
  // The sources begin with a line that looks for bun on the PATH.
  const path = [env["PATH"] ?? "", dirname(process.execPath)].join(delimiter);
  return { ...asked, PATH: path, SSH_ASKPASS: join(import.meta.dir, "main.ts") };
}

function quotedPath(path: string): string {
  if (READ_OTHERWISE.some((character) => path.includes(character)))
    throw new CommandError(`ssh cannot be told of ${path}`, 'Use a data folder without ", \\ and $ in its path.');
  return `"${path.replaceAll("%", "%%")}"`;
}
