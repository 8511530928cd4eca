/** `weir audit tail` and `weir audit show`: the log, read beside the gateway or without one. */
import { LogReader } from "../audit/query.ts";
import type { LogEntry, LogFilter } from "../audit/query.ts";
import { operationEntries, withIndex } from "./log-index.ts";
import { entryLine } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";

const LINES_DEFAULT = 20;
const LINES_MAX = 100_000;
const DECISIONS = ["permit", "ask", "deny", "house"] as const;
export const JSON_NOTE =
  'JSON, one line per entry: {"hash", "leaf"}, the leaf as it is hashed; docs/audit-log.md explains its fields';

export const auditTailCommand: Command = {
  words: ["audit", "tail"],
  summary: "Print the last entries of the log, and new ones as they come",
  positionals: [],
  options: [
    { name: "lines", value: "N", description: `how many; ${LINES_DEFAULT} when left out` },
    { name: "follow", description: "go on with new entries until interrupted" },
    { name: "subject", value: "S", description: "only of this subject" },
    { name: "target", value: "T", description: "only on this target" },
    { name: "decision", value: "D", description: `only with this decision: ${DECISIONS.join(", ")}` },
    CONFIG_OPTION,
  ],
  notes: [JSON_NOTE],
  run: async (args, terminal) => {
    const lines = readLines(args);
    const filter = readFilter(args);
    const config = requireConfiguration(args, terminal);
    return withLog(config.data, async (log) => {
      const size = await log.size();
      const hasFilter = Object.keys(filter).length > 0;
      const entries = hasFilter
        ? await withIndex(config.data, terminal, async (index) => {
            // What is newer than the index is read from the log itself.
            const order = { limit: lines, isOldestFirst: false };
            const known = index === null ? [] : await log.entries(index.entries.search(filter, order));
            return [...known, ...(await log.tail(lines, filter, index?.size ?? 0))].slice(-lines);
          })
        : await log.tail(lines);
      for (const entry of entries) printEntry(entry, args, terminal);
      if (!args.flag("follow")) return 0;
      const ended = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort());
      for await (const entry of log.follow(size, filter, ended.signal)) printEntry(entry, args, terminal);
      return 0;
    });
  },
};

export const auditShowCommand: Command = {
  words: ["audit", "show"],
  summary: "Print everything the log holds about one operation",
  positionals: [
    { name: "ID", description: "the id that a refusal quotes, or the number of an entry", kind: "required" },
  ],
  options: [CONFIG_OPTION],
  notes: [JSON_NOTE],
  run: async (args, terminal) => {
    const id = args.required("ID");
    const config = requireConfiguration(args, terminal);
    return withLog(config.data, async (log) => {
      const number = entryNumber(id);
      const entries =
        number === null ? await operationEntries(log, config.data, id, terminal) : await log.entries([number]);
      if (entries.length === 0) {
        throw new CommandError(`the log has no entry of ${id}`, "weir audit tail shows the last ones with their ids.");
      }
      for (const entry of entries) {
        if (args.isJson) printEntry(entry, args, terminal);
        // JSON escapes whatever could harm a terminal, but for the few characters that turn text around.
        else
          terminal.out(
            `${entryLine(entry.leaf)}\n${JSON.stringify(JSON.parse(entry.json), null, 2)}\nleaf hash ${entry.hash}`,
          );
      }
      return 0;
    });
  },
};

/** Opens the log, works, and closes it whatever happens. */
export async function withLog(folder: string, work: (log: LogReader) => Promise<number>): Promise<number> {
  const log = LogReader.open(folder);
  try {
    return await work(log);
  } finally {
    log.close();
  }
}

/** An entry as a line, or as JSON. */
export function printEntry(entry: LogEntry, args: Arguments, terminal: Terminal): void {
  terminal.out(args.isJson ? `{"hash":"${entry.hash}","leaf":${entry.json}}` : entryLine(entry.leaf));
}

function readLines(args: Arguments): number {
  const text = args.text("lines");
  if (text === undefined) return LINES_DEFAULT;
  const lines = entryNumber(text);
  if (lines === null || lines > LINES_MAX) throw new UsageError(`--lines is a number up to ${LINES_MAX}, not ${text}`);
  return lines;
}

/** Digits, with or without the `#` that lines begin with. */
function entryNumber(text: string): number | null {
  const digits = text.startsWith("#") ? text.slice(1) : text;
  if (digits.length === 0 || digits.length > 15) return null;
  for (const char of digits) if (char < "0" || char > "9") return null;
  return Number(digits);
}

/** The option `--decision`. Throws UsageError. */
export function readDecision(args: Arguments): (typeof DECISIONS)[number] | undefined {
  const word = args.text("decision");
  const decision = DECISIONS.find((each) => each === word);
  if (word !== undefined && decision === undefined)
    throw new UsageError(`--decision is one of ${DECISIONS.join(", ")}, not ${word}`);
  return decision;
}

function readFilter(args: Arguments): LogFilter {
  const [subject, target, decision] = [args.text("subject"), args.text("target"), readDecision(args)];
  return {
    ...(subject === undefined ? {} : { subject }),
    ...(target === undefined ? {} : { target }),
    ...(decision === undefined ? {} : { decision }),
  };
}
