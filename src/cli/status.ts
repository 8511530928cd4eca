/** `weir status`: what the running gateway is doing. */
import { ApiClient } from "../api/client.ts";
import type { Status } from "../api/house.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

export const statusCommand: Command = {
  words: ["status"],
  summary: "Show what is running: listeners, targets, policy, log",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "Ends with 1 when no gateway runs on the configuration's data folder, or when its log has failed.",
    "",
    'JSON: {"name", "version", "pid", "started", "draining", "listeners": [{"adapter", "host", "port", "tls"}], "sessions",',
    '"targets": [{"name", "adapter", "problem"}], "policy": {"digest", "commit", "problems"},',
    '"log": {"durability", "entries", "failure", "lastWitness"}}; a problem or failure that is null: all is well',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const gateway = await ApiClient.connect(config.data);
    if (gateway === null) throw new CommandError(`no gateway runs on ${config.data}`, "Start it: weir up");
    const status = await gateway.status();
    if (args.isJson) terminal.out(JSON.stringify(status));
    else for (const line of describe(status)) terminal.out(printable(line));
    return status.log.failure === null ? 0 : 1;
  },
};

function describe(status: Status): string[] {
  const { policy, log } = status;
  const witnessed = log.lastWitness ?? "no witness: whoever holds the gateway's key could rewrite the log";
  return [
    `gateway   ${status.name}, weir ${status.version}, process ${status.pid}, since ${status.started}${status.draining ? ", draining" : ""}`,
    ...status.listeners.map(
      ({ adapter, host, port, tls }) => `listener  ${adapter} ${host}:${port} ${tls ? "with TLS" : "without TLS"}`,
    ),
    `sessions  ${status.sessions}`,
    ...status.targets.map(
      ({ name, adapter, problem }) =>
        `target    ${name} (${adapter}) ${problem === null ? "reachable" : `NOT REACHABLE: ${problem}`}`,
    ),
    `policy    ${policy.digest.slice(0, 16)}, ${policy.commit === null ? "not in git" : `commit ${policy.commit}`}`,
    ...policy.problems.map((line) => `policy    REJECTED CHANGE: ${line}`),
    `log       ${log.failure === null ? `${log.entries} entries, ${log.durability}` : `FAILED, everything is refused: ${log.failure}`}`,
    `log       ${witnessed}`,
  ];
}
