/** `weir audit keys`, `rotate-key` and `prune`: the log's own key, and the end of its oldest entries. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../api/client.ts";
import type { LogDesk } from "../api/house.ts";
import { AuditLog } from "../audit/audit.ts";
import { VKEY_FILE } from "../audit/log-keys.ts";
import { readSize, readVerifier } from "../audit/note.ts";
import { LogReader } from "../audit/query.ts";
import { LOG_FILE } from "../audit/schema.ts";
import type { Config } from "../config/config.ts";
import { parseDuration } from "../config/units.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { lockedFolder } from "./locked-folder.ts";

const CLOCK = { now: () => Date.now() };

export const auditKeysCommand: Command = {
  words: ["audit", "keys"],
  summary: "Print the key that verifies the log, for an auditor to keep",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "The key alone goes to standard output; the name before its first + is the log's origin. Whoever is to notice that",
    "the log was exchanged keeps it somewhere else, from the beginning.",
    "",
    "  weir audit keys > /media/auditor/gw.vkey",
    "",
    'JSON: {"origin", "key"}',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const path = join(config.data, VKEY_FILE);
    if (!existsSync(path))
      throw new CommandError(`there is no key of a log at ${path}`, "The first start of the gateway makes it.");
    const key = readVerifier(readFileSync(path, "utf8").trim());
    if (args.isJson) terminal.out(JSON.stringify({ origin: key.name, key: key.vkey }));
    else {
      terminal.out(key.vkey);
      if (terminal.isTerminal) terminal.err(`It verifies the checkpoints of the log ${key.name}.`);
    }
    return 0;
  },
};

export const auditRotateKeyCommand: Command = {
  words: ["audit", "rotate-key"],
  summary: "Exchange the log's key for a new one",
  positionals: [],
  options: [CONFIG_OPTION],
  notes: [
    "An entry names both keys, and the checkpoint after it is signed by both: whoever knows the old key can follow.",
    "Witnesses, and gateways that cosign this log, need the new key in their configuration. Works with and without a",
    "running gateway.",
    "",
    'JSON: {"oldKey", "newKey"}',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const { oldKey, newKey } = await withDesk(config, async (desk) => desk.rotateLogKey());
    if (args.isJson) terminal.out(JSON.stringify({ oldKey, newKey }));
    else {
      terminal.out(newKey);
      if (terminal.isTerminal) terminal.err(`It takes the place of ${oldKey}, whose private half is gone.`);
    }
    return 0;
  },
};

export const auditPruneCommand: Command = {
  words: ["audit", "prune"],
  summary: "Take the oldest entries out of the log; proofs about the others still hold",
  positionals: [],
  options: [
    {
      name: "before",
      value: "TIME|INDEX",
      description: "up to here: 400d (that long ago), 2026-01-31T00:00:00Z, or the number of an entry",
    },
    CONFIG_OPTION,
  ],
  notes: [
    "An entry says what was taken away. Goes by whole tiles of 256 entries; entries of operations that have not ended",
    "stay, and when there are witnesses, so does what they have not signed. Works with and without a running gateway.",
    "",
    'JSON: {"first", "to", "entries"}: the entries from first on and before to are gone',
  ],
  run: async (args, terminal) => {
    const text = args.required("before");
    const time = readTime(text);
    const index = entryNumber(text);
    if (time === null && index === null)
      throw new UsageError(`--before is a duration (400d), an instant (2026-01-31T00:00:00Z) or a number, not ${text}`);
    const config = requireConfiguration(args, terminal);
    expectLog(config);
    const before = index ?? (await firstSince(config.data, time ?? 0));
    const pruned = await withDesk(config, async (desk) => desk.pruneLog(before));
    if (args.isJson) terminal.out(JSON.stringify(pruned));
    else if (pruned.entries === 0) terminal.out("There is nothing to take away.");
    else terminal.out(`Took away ${pruned.entries} entries, #${pruned.first} to #${pruned.to - 1}.`);
    return 0;
  },
};

/** With or without the `#` that lines of the log begin with. */
function entryNumber(text: string): number | null {
  return readSize(text.startsWith("#") ? text.slice(1) : text);
}

/** Milliseconds since 1970 of an instant, or of so long ago. */
function readTime(text: string): number | null {
  const duration = parseDuration(text);
  if (duration.ok) return CLOCK.now() - duration.value;
  // Date.parse takes much that only looks like an instant; its time zone must be written out.
  const timeMs = text.includes("T") && (text.endsWith("Z") || text.includes("+")) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

async function firstSince(data: string, timeMs: number): Promise<number> {
  const log = LogReader.open(data);
  try {
    return await log.firstSince(timeMs);
  } finally {
    log.close();
  }
}

function expectLog(config: Config): void {
  const path = join(config.data, LOG_FILE);
  if (!existsSync(path))
    throw new CommandError(`there is no audit log at ${path}`, "Has the gateway run with this configuration?");
}

/** Goes through the running gateway; when there is none, to the log itself, which nobody else may write meanwhile. */
async function withDesk<T>(config: Config, work: (desk: LogDesk) => Promise<T>): Promise<T> {
  const gateway = await ApiClient.connect(config.data);
  if (gateway !== null) return work(gateway);
  expectLog(config);
  await using stack = new AsyncDisposableStack();
  const lock = lockedFolder(config.data);
  stack.defer(() => lock.release());
  const log = await AuditLog.open({
    folder: config.data,
    origin: config.name,
    clock: CLOCK,
    isWitnessed: config.audit.witnesses.length > 0,
  });
  stack.defer(async () => log.close());
  return await work({ rotateLogKey: async () => log.rotateKey(), pruneLog: async (before) => log.prune(before) });
}
