/** `weir targets list`: the targets of the configuration, and whether they can be reached. */
import { ADAPTERS } from "../../adapters/index.ts";
import { settingsOf } from "../../adapters/postgres/databases.ts";
import type { Door } from "../core/ports.ts";
import type { Target } from "../core/target.ts";
import { messageOf } from "../core/message-of.ts";
import { printable } from "./audit-lines.ts";
import { CONFIG_OPTION } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { ownersDoor } from "./owners-door.ts";

const PROBE_TIME_MS_MAX = 15_000;

/** As `--json` prints it. */
type Row = {
  readonly name: string;
  readonly adapter: string;
  /** Where it is; null: there is no such place to tell. */
  readonly address: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly masking: "guarded" | "inline" | null;
  /** Null: it was reached. */
  readonly problem: string | null;
};

export const targetsListCommand: Command = {
  words: ["targets", "list"],
  summary: "List the targets of the configuration, and try to log in to each",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "Ends with 1 when one cannot be reached. No password is shown.",
    "",
    'JSON: one per line: {"name", "adapter", "address", "labels", "masking": "guarded|inline" or null, "problem"}',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const door = ownersDoor(config, "weir targets list");
    const rows = await Promise.all(config.targets.map(async (target) => rowOf(target, await probe(door, target))));
    for (const row of rows) terminal.out(args.isJson ? JSON.stringify(row) : printable(lineOf(row)));
    return rows.every(({ problem }) => problem === null) ? 0 : 1;
  },
};

async function probe(door: Door, target: Target): Promise<string | null> {
  const adapter = ADAPTERS.find((each) => each.name === target.adapter);
  if (adapter === undefined) return `this version does not speak ${target.adapter}`;
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("it did not answer in time"), PROBE_TIME_MS_MAX);
  try {
    return await Promise.race([adapter.probe(door, target).catch(messageOf), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function rowOf(target: Target, problem: string | null): Row {
  const { name, adapter, labels } = target;
  if (adapter !== "postgres") return { name, adapter, address: null, labels, masking: null, problem };
  const { host, port, database, masking } = settingsOf(target);
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
  return { name, adapter, address, labels, masking: masking?.mode ?? "inline", problem };
}

function lineOf({ name, adapter, address, labels, masking, problem }: Row): string {
  const words = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  const parts = [
    name,
    adapter,
    address ?? "",
    words.join(","),
    masking === null ? "" : `masked ${masking}`,
    problem === null ? "reachable" : `NOT REACHABLE: ${problem}`,
  ];
  return parts.filter((part) => part !== "").join("  ");
}
