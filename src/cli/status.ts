/** `weir status`: what the running gateway is doing. */
import { ApiClient } from "../api/client.ts";
import type { CopyStatus, ListenerStatus, Status, StreamStatus } from "../api/house.ts";
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
    "Ends with 1 when no gateway runs on the configuration's data folder, when its log has failed, or when it refuses new",
    "work because no witness has confirmed the log.",
    "",
    'JSON: {"name", "version", "pid", "started", "draining", "listeners": [{"adapter", "host", "port", "tls", "hostKey" (SSH)}],',
    '"sessions", "clockSteppedByMs",',
    '"targets": [{"name", "adapter", "problem"}], "policy": {"digest", "commit", "problems"},',
    '"log": {"durability", "entries", "failure", "witnesses": [{"name", "url", "cosigned": {"size", "time"}, "problem"}],',
    '"cosigned": {"size", "time"}, "witnessLagMs", "held", "cosigner", "stamps": {"url", "last": {"size", "time"}, "problem"}}},',
    '"copies": [{"destination", "where", "lagEntries", "lagSeconds", "failure", "caveat"}],',
    '"streams": [{"stream", "where", "behind", "dropped", "failure"}]}; a problem or failure that is null: all is well',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const gateway = await ApiClient.connect(config.data);
    if (gateway === null) throw new CommandError(`no gateway runs on ${config.data}`, "Start it: weir up");
    const status = await gateway.status();
    if (args.isJson) terminal.out(JSON.stringify(status));
    else for (const line of describe(status)) terminal.out(printable(line));
    return status.log.failure === null && status.log.held === null ? 0 : 1;
  },
};

function describe(status: Status): string[] {
  const { policy, log } = status;
  return [
    `gateway   ${status.name}, weir ${status.version}, process ${status.pid}, since ${status.started}${status.draining ? ", draining" : ""}`,
    ...status.listeners.map(
      ({ adapter, host, port, ...its }) => `listener  ${adapter} ${host}:${port} ${protection(its)}`,
    ),
    `sessions  ${status.sessions}`,
    ...(status.clockSteppedByMs === null
      ? []
      : [
          `clock     SET by ${Math.round(status.clockSteppedByMs / 1000)} s: permits with a window or validity are off; when it is right: weir clock confirm`,
        ]),
    ...status.targets.map(
      ({ name, adapter, problem }) =>
        `target    ${name} (${adapter}) ${problem === null ? "reachable" : `NOT REACHABLE: ${problem}`}`,
    ),
    `policy    ${policy.digest.slice(0, 16)}, ${policy.commit === null ? "not in git" : `commit ${policy.commit}`}`,
    ...policy.problems.map((line) => `policy    REJECTED CHANGE: ${line}`),
    `log       ${log.failure === null ? `${log.entries} entries, ${log.durability}` : `FAILED, everything is refused: ${log.failure}`}`,
    ...vouched(log),
    ...status.copies.flatMap(copyLines),
    ...status.streams.map(streamLine),
  ];
}

/** SSH has its own encryption, and a key that clients know it by. */
function protection({ tls, hostKey }: Pick<ListenerStatus, "tls" | "hostKey">): string {
  if (hostKey !== undefined) return `with the host key ${hostKey}`;
  return tls ? "with TLS" : "without TLS";
}

function copyLines({ destination, where, lagEntries, lagSeconds, failure, caveat }: CopyStatus): string[] {
  const lag =
    lagEntries === null || lagSeconds === null
      ? "has not answered yet"
      : lagEntries === 0
        ? "has everything"
        : `${lagEntries} entries and ${Math.ceil(lagSeconds)} s behind`;
  const kept = failure === null ? lag : `NOT KEPT, ${lag}: ${failure}`;
  return [
    `copy      ${destination} at ${where}: ${kept}`,
    ...(caveat === null ? [] : [`copy      ${destination}: ${caveat}`]),
  ];
}

function streamLine({ stream, where, behind, dropped, failure }: StreamStatus): string {
  const lag = behind === null ? "has not begun yet" : behind === 0 ? "has everything" : `${behind} entries behind`;
  const lost = dropped === 0 ? "" : `, ${dropped} DROPPED`;
  return `stream    ${stream} to ${where}: ${failure === null ? lag : `NOT SENT, ${lag}: ${failure}`}${lost}`;
}

/** Who vouches for the log, and how far. */
function vouched({ witnesses, cosigned, witnessLagMs, held, cosigner, stamps }: Status["log"]): string[] {
  const lines: string[] = [];
  if (held !== null) lines.push(`log       NEW WORK IS REFUSED: ${held}`);
  if (witnesses.length === 0) {
    lines.push("witness   none: whoever holds the log's key could cut or rewrite it unseen");
  } else if (cosigned === null) {
    lines.push("witness   NONE HAS COSIGNED YET: whoever holds the log's key could cut or rewrite it unseen");
  } else {
    const lag = witnessLagMs === 0 ? "nothing signed since" : `behind by ${Math.ceil(witnessLagMs / 1000)} s`;
    lines.push(`witness   ${cosigned.size} entries cosigned at ${cosigned.time}, ${lag}`);
  }
  for (const { name, url, cosigned: last, problem } of witnesses) {
    const seen = last === null ? "nothing cosigned since the start" : `${last.size} entries at ${last.time}`;
    lines.push(`witness   ${name} (${url}): ${problem === null ? seen : `${seen}, FAILS: ${problem}`}`);
  }
  if (cosigner !== null) lines.push(`cosigner  ${cosigner}`);
  if (stamps !== null) {
    const seen = stamps.last === null ? "none since the start" : `${stamps.last.size} entries at ${stamps.last.time}`;
    lines.push(`stamps    ${stamps.url}: ${stamps.problem === null ? seen : `${seen}, FAILS: ${stamps.problem}`}`);
  }
  return lines;
}
