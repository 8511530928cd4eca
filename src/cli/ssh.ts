/** `weir ssh`: the ordinary OpenSSH client with the gateway's address, its pinned host key and a token filled in. */
import { existsSync } from "node:fs";
import { knownHostsPath } from "../identity/kept-host-key.ts";
import { clientAddress, findToken, TOKEN_FILE_OPTION } from "./client-address.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { sshEnvironment, sshOptions } from "./ssh-client.ts";

export const sshCommand: Command = {
  words: ["ssh"],
  summary: "Run ssh on a target through the gateway",
  positionals: [
    { name: "TARGET", description: "the target, or LOGIN+TARGET", kind: "required" },
    { name: "WORD", description: "options of ssh, then the command; passed on as they are", kind: "rest" },
  ],
  options: [CONFIG_OPTION, TOKEN_FILE_OPTION],
  notes: [
    "Options of weir come before TARGET, those of ssh behind it. With a token the token logs in; without one the keys",
    "that ssh finds do (agent, IdentityFile), when they are bound under identity.keys. The gateway's host key is pinned.",
    "The command becomes ssh: exit status, signals and terminal are ssh's own. 126: the gateway has refused the command.",
    "",
    "  weir ssh web-1",
    "  WEIR_TOKEN=weir_... weir ssh web-1 uptime",
    "  weir ssh deploy+web-1 -L 5433:orders-prod:5432 -N",
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const token = findToken(args, terminal);
    const ssh = Bun.which("ssh", { PATH: terminal.env["PATH"] ?? "" });
    if (ssh === null)
      throw new CommandError(
        "ssh was not found",
        "Install the OpenSSH client, on Debian: apt-get install openssh-client",
      );
    const { host, port } = await clientAddress(config, "ssh", "SSH");
    const knownHosts = knownHostsPath(config.data);
    if (!existsSync(knownHosts))
      throw new CommandError("the gateway has no host key yet", "It makes one at its first start: weir up");
    const options = sshOptions(knownHosts, token !== null);
    const to = ["-p", `${port}`, "-l", args.required("TARGET"), host];
    const words = ["ssh", ...options, ...to, ...args.rest];
    // Not a child: job control, signals and the terminal are between ssh and whoever called.
    return process.execve?.(ssh, words, sshEnvironment(terminal.env, token)) ?? 1;
  },
};
