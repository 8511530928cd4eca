/** `weir witness`: cosigns the logs of gateways, on a machine that none of their owners can reach into. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { messageOf } from "../core/message-of.ts";
import { lockDataFolder, prepareDataFolder } from "../api/data-folder.ts";
import { keptCosigner } from "../audit/cosigner-key.ts";
import { Witness } from "../audit/witness.ts";
import { serveWitness } from "../audit/witness-server.ts";
import type { ServedWitness, WitnessListen } from "../audit/witness-server.ts";
import { WitnessStore } from "../audit/witness-store.ts";
import { bindReason } from "../gateway/bind-reason.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { endSoon } from "./last-words.ts";

const DEFAULT_FOLDER = "./witness";
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = 6490;

export const witnessCommand: Command = {
  words: ["witness"],
  summary: "Cosign the logs of gateways, so that they cannot be cut or rewritten unseen",
  positionals: [
    { name: "LOG", description: "verifier keys of the logs, as their gateways' log.vkey has them", kind: "list" },
  ],
  options: [
    {
      name: "logs",
      value: "FILE",
      description: "more of them: one in a line; empty lines and lines with # are left out",
    },
    { name: "data", value: "FOLDER", description: `its key and what it has seen; ${DEFAULT_FOLDER} when left out` },
    { name: "name", value: "NAME", description: "the name of its key when it is made; this machine's when left out" },
    { name: "host", value: "HOST", description: `where it listens; ${DEFAULT_HOST} when left out` },
    { name: "port", value: "PORT", description: `${DEFAULT_PORT} when left out; 0 takes a free one` },
    { name: "tls-cert", value: "FILE", description: "PEM, for https; plain http when left out" },
    { name: "tls-key", value: "FILE", description: "PEM, its key" },
    { name: "key", description: "prints its verifier key and ends" },
  ],
  notes: [
    "Prints its verifier key and a line that begins with `ready`, and serves POST /add-checkpoint (C2SP tlog-witness) until",
    "SIGTERM or SIGINT. What a gateway's configuration needs is the address and the verifier key.",
    "",
    "Keep the folder: a witness whose folder was set back no longer knows what it has seen.",
    "",
    'JSON of the ready line: {"ready", "key", "host", "port", "logs"}; with --key: {"key"}',
  ],
  run: async (args, terminal) => {
    const isKeyOnly = args.flag("key");
    const logs = isKeyOnly ? [] : readLogs(args);
    const listen = readListen(args);
    const folder = resolve(args.text("data") ?? DEFAULT_FOLDER);
    prepareDataFolder(folder);
    const lock = isKeyOnly ? null : lockDataFolder(folder);
    const signer = keptCosigner(folder, args.text("name") ?? hostname());
    const key = signer.verifier.vkey;
    if (isKeyOnly) {
      terminal.out(args.isJson ? JSON.stringify({ key }) : key);
      return 0;
    }
    const store = new WitnessStore(folder);
    try {
      const clock = { now: () => Date.now() };
      const say = (line: string): void => terminal.err(`weir: ${printable(line)}`);
      const served = bind(new Witness({ signer, logs, store, clock, say }), listen);
      if (args.isJson) {
        terminal.out(JSON.stringify({ ready: true, key, host: listen.host, port: served.port, logs: logs.length }));
      } else {
        terminal.out(`key ${key}`);
        terminal.out(`ready witness=${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${served.port}`);
      }
      await signalled();
      await served.stop();
      return endSoon(0);
    } finally {
      store.close();
      lock?.release();
    }
  },
};

function readLogs(args: Arguments): string[] {
  const file = args.text("logs");
  const lines = file === undefined ? [] : readText(file, "logs").split("\n");
  const kept = lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const logs = [...args.rest, ...kept];
  if (logs.length > 0) return logs;
  throw new UsageError(
    "which logs is it to cosign?",
    'Name their verifier keys: weir witness "$(cat log.vkey)". With --key it only prints its own.',
  );
}

function readListen(args: Arguments): WitnessListen {
  const port = Number(args.text("port") ?? DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError("--port is a number from 0 to 65535");
  const [cert, key] = [args.text("tls-cert"), args.text("tls-key")];
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--tls-cert and --tls-key come together");
  const tls =
    cert === undefined || key === undefined
      ? null
      : { cert: readText(cert, "tls-cert"), key: readText(key, "tls-key") };
  return { host: args.text("host") ?? DEFAULT_HOST, port, tls };
}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`--${option} ${path} cannot be read: ${messageOf(error)}`);
  }
}

function bind(witness: Witness, listen: WitnessListen): ServedWitness {
  try {
    return serveWitness(witness, listen);
  } catch (error) {
    throw new CommandError(`cannot listen on ${listen.host}:${listen.port}: ${bindReason(error)}`);
  }
}

async function signalled(): Promise<void> {
  const told = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => told.resolve());
  await told.promise;
}
