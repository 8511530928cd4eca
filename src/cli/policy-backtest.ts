/** `weir policy backtest`: recorded operations decided again under another set, and what would have changed. */
import { VOCABULARIES } from "../../adapters/index.ts";
import { LogReader } from "../audit/query.ts";
import { RecordedOperations } from "../audit/recorded.ts";
import { shortList } from "../policy/compare/access-words.ts";
import { Backtest } from "../policy/compare/backtest.ts";
import type { BacktestGroup } from "../policy/compare/backtest.ts";
import { DURATION_RULE, parseDuration } from "../policy/language/quantity.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, UsageError } from "./command.ts";
import type { Arguments, Command, Terminal } from "./command.ts";
import { POLICY_OPTIONS, policyPlace } from "./policy-place.ts";
import { changeHead, ruleView } from "./policy-changes.ts";
import { loadSides } from "./policy-sides.ts";

const SINCE = "30d";
const WHO_MAX = 4;
const GROUPS_MAX = 40;
const PROGRESS_ENTRIES = 20_000;

type Read = { readonly since: number; readonly entries: number; readonly incomplete: number };

export const policyBacktestCommand: Command = {
  words: ["policy", "backtest"],
  summary: "Decide recorded operations again under a change of policy, and show what would have changed",
  positionals: [
    {
      name: "OLD..NEW",
      kind: "required",
      description: "git commits or policy folders; nothing on a side: the files as they are",
    },
  ],
  options: [
    { name: "since", value: "TIME", description: `how far to go back: 8h, 30d; ${SINCE} when left out` },
    ...POLICY_OPTIONS,
  ],
  notes: [
    "Reads the audit log of the configuration's data folder, beside a running gateway or without one. Both sides decide as if nobody",
    "had approved anything; what is compared is one side with the other, not with what was decided then. Labels of a target are those",
    "of each side's catalog, else those that were recorded.",
    "",
    "  weir policy backtest --since 7d main..",
    "",
    'JSON: {"since", "operations", "changed", "incomplete", "changes": [{"kind", "widens", "rules": [{"id", "state", "file", "line"}], "was",',
    '  "is", "count", "who": [[text, count]], "examples": [id]}]}',
  ],
  run: async (args, terminal) => {
    const sinceMs = Date.now() - readSince(args);
    const { folder, config, targets } = policyPlace(args, terminal);
    if (config === null) {
      throw new CommandError("the log is found by the configuration", "Name it with --config, beside --policies.");
    }
    const [was, is] = await loadSides(args.required("OLD..NEW"), folder, targets);
    const backtest = new Backtest(was, is, VOCABULARIES);
    const { incomplete } = await readAll(config.data, sinceMs, backtest, terminal);
    const { operations, changed } = backtest.counts;
    const groups = backtest.groups();
    if (args.isJson) {
      const changes = groups.map((group) => ({ ...group, rules: group.rules.map((id) => ruleView(id, was, is)) }));
      const since = new Date(sinceMs).toISOString();
      terminal.out(JSON.stringify({ since, operations, changed, incomplete, changes }));
      return 0;
    }
    for (const group of groups.slice(0, GROUPS_MAX)) {
      terminal.out(printable(changeHead(group, was, is)));
      terminal.out(printable(groupLine(group)));
    }
    if (groups.length > GROUPS_MAX)
      terminal.out(`and ${groups.length - GROUPS_MAX} more kinds of change; --json has all`);
    terminal.out(summary(operations, changed, incomplete, sinceMs));
    return 0;
  },
};

function readSince(args: Arguments): number {
  const text = args.text("since") ?? SINCE;
  const durationMs = parseDuration(text);
  if (durationMs === null) throw new UsageError(`--since: ${DURATION_RULE}, and not ${text}`);
  return durationMs;
}

async function readAll(data: string, sinceMs: number, backtest: Backtest, terminal: Terminal): Promise<Read> {
  const log = LogReader.open(data);
  try {
    const [from, to] = [await log.firstSince(sinceMs), await log.size()];
    const recorded = new RecordedOperations();
    let entries = 0;
    let incomplete = 0;
    for (const page of log.leaves(from, to)) {
      for (const leaf of page) {
        const found = recorded.read(leaf);
        if (found === null) continue;
        if (found.missing === null) backtest.add(found);
        else incomplete++;
      }
      entries += page.length;
      if (entries % PROGRESS_ENTRIES < page.length) terminal.progress(`${entries} of ${to - from} entries`);
    }
    return { since: sinceMs, entries, incomplete };
  } finally {
    terminal.progress("");
    log.close();
  }
}

function groupLine({ count, who, examples }: BacktestGroup): string {
  const names = shortList(
    who.map(([name, times]) => `${name} (${times})`),
    WHO_MAX,
  );
  return `  ${count} ${count === 1 ? "operation" : "operations"}: ${names}; such as ${examples.join(", ")}`;
}

function summary(operations: number, changed: number, incomplete: number, sinceMs: number): string {
  const since = `since ${new Date(sinceMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const left = incomplete === 0 ? "" : `; ${incomplete} were too large to be recorded whole, and were left out`;
  if (operations === 0) return `The log has no operations ${since}${left}.`;
  const what = changed === 0 ? "none would be" : changed === 1 ? "1 would be" : `${changed} would be`;
  return `Of ${operations} operations ${since}, ${what} decided otherwise${left}.`;
}
