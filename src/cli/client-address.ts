/** Where clients of this configuration reach the gateway, and with which token: for commands that run an ordinary client. */
import { readFileSync } from "node:fs";
import { ApiClient } from "../api/client.ts";
import type { Config, Listener } from "../config/config.ts";
import { CommandError } from "./command.ts";
import type { Arguments, Option, Terminal } from "./command.ts";

export const TOKEN_FILE_OPTION: Option = {
  name: "token-file",
  value: "FILE",
  description: "a file that holds the token; else the environment variable WEIR_TOKEN",
};

/** An address that a client can connect to, and the listener behind it. */
export type ClientAddress = { readonly host: string; readonly port: number; readonly listener: Listener };

/** Throws CommandError when there is no such listener, or nobody knows its port. */
export async function clientAddress(config: Config, adapter: string, protocol: string): Promise<ClientAddress> {
  const listener = config.listeners.find((each) => each.adapter === adapter);
  if (listener === undefined)
    throw new CommandError(`the configuration has no listener for ${protocol}`, `Add listen.${adapter}.`);
  const running = await ApiClient.connect(config.data);
  // A running gateway knows the port it really has; with port 0 nobody else does.
  const bound = (await running?.listeners())?.find((each) => each.adapter === adapter);
  const port = bound?.port ?? listener.port;
  if (port === 0)
    throw new CommandError("the gateway does not run, and its port is chosen at start", "Start it: weir up");
  return { host: reachableHost(listener.host), port, listener };
}

/** The token of --token-file, else that of WEIR_TOKEN; null when there is neither. */
export function findToken(args: Arguments, terminal: Terminal): string | null {
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
  return token === undefined || token === "" ? null : token;
}

function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
