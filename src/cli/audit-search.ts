/** `weir audit search`: the entries that match words and conditions, found by the index and shown from the log. */
import { WordsRefused } from "../audit/search/query-words.ts";
import type { SearchFilter, SearchOrder } from "../audit/search/search.ts";
import { ALL_GATEWAYS, printShared, withSharedCopy } from "./all-gateways.ts";
import { JSON_NOTE, printEntry, readDecision, withLog } from "./audit.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { tellBehind, withIndex } from "./log-index.ts";
import { readTime, TIME_WORDS } from "./time-argument.ts";
import { readCount } from "./count-argument.ts";

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 10_000;

export const auditSearchCommand: Command = {
  words: ["audit", "search"],
  summary: "Find entries of the log by words, times, subjects, targets, rules and outcomes",
  positionals: [
    {
      name: "WORDS",
      description: "all of them must occur: relations, columns, verbs, rules, codes, names",
      kind: "list",
    },
  ],
  options: [
    { name: "since", value: "T", description: `from then on: ${TIME_WORDS}` },
    { name: "until", value: "T", description: "up to then" },
    { name: "subject", value: "S", description: "only of this subject" },
    { name: "target", value: "T", description: "only on this target" },
    {
      name: "event",
      value: "E",
      description: "only this event: operation.refusal, login.failed, policy.activated, ...",
    },
    { name: "decision", value: "D", description: "only with this decision: permit, ask, deny, house" },
    { name: "refusal", value: "CODE", description: "only refusals with this code: denied, limit, ..." },
    { name: "rule", value: "R", description: "only what rests on this rule" },
    {
      name: "outcome",
      value: "O",
      description: "only what ended so: done, failed, refused, skipped, cancelled, unknown",
    },
    { name: "session", value: "ID", description: "only of this session" },
    {
      name: "through",
      value: "ID",
      description: "only of sessions that came through a forward of this session, or through this forward",
    },
    { name: "limit", value: "N", description: `how many at most; ${LIMIT_DEFAULT} when left out` },
    { name: "oldest", description: "the oldest first; the newest when left out" },
    ALL_GATEWAYS,
    CONFIG_OPTION,
  ],
  notes: [
    "A word with dots or underscores is looked for as it stands, without regard to case; a star at its end stands for any ending.",
    "Statements are not in the log. Where policy records them in the clear (record: [input]), their keywords and names are",
    "searched too, never their values. An outcome belongs to its intent's subject, target, decision and words.",
    "The index is made from the log when it is missing. It proves nothing: what is shown is the log's own entries,",
    "and weir audit verify is what checks those.",
    "",
    "With --all-gateways the shared copy is asked, and each line names its gateway; names in statements are not in it.",
    "",
    "  weir audit search payroll --decision deny --since 7d",
    "  weir audit search 'public.orders' update --subject ann --oldest",
    "",
    JSON_NOTE,
    'With --all-gateways: {"gateway", "hash", "leaf"}.',
  ],
  run: async (args, terminal) => {
    const filter = readFilter(args);
    const order: SearchOrder = {
      limit: readCount(args, "limit", LIMIT_DEFAULT, LIMIT_MAX),
      isOldestFirst: args.flag("oldest"),
    };
    const config = requireConfiguration(args, terminal);
    if (args.flag("all-gateways")) {
      const shared = await withSharedCopy(config, async (copy) => wordsRead(async () => copy.search(filter, order)));
      for (const entry of shared) printShared(entry, args, terminal);
      if (shared.length === 0 && !args.isJson) terminal.err("weir: nothing matches");
      return 0;
    }
    return withLog(config.data, async (log) =>
      withIndex(config.data, terminal, async (index) => {
        if (index === null) {
          throw new CommandError(
            "there is no search index, and none can be made",
            "weir audit tail reads the log without it.",
          );
        }
        tellBehind(index, terminal);
        const found = await log.entries(await wordsRead(async () => index.entries.search(filter, order)));
        for (const entry of order.isOldestFirst ? found : found.toReversed()) printEntry(entry, args, terminal);
        if (found.length === 0 && !args.isJson) terminal.err("weir: nothing matches");
        return 0;
      }),
    );
  },
};

/** Words that cannot be looked for are the caller's mistake. */
async function wordsRead<T>(search: () => Promise<T>): Promise<T> {
  try {
    return await search();
  } catch (error) {
    if (error instanceof WordsRefused) throw new UsageError(error.message);
    throw error;
  }
}

function readFilter(args: Arguments): SearchFilter {
  const all = {
    words: args.rest.length === 0 ? undefined : args.rest,
    sinceMs: readTime(args, "since"),
    untilMs: readTime(args, "until"),
    subject: args.text("subject"),
    target: args.text("target"),
    event: args.text("event"),
    decision: readDecision(args),
    refusal: args.text("refusal"),
    rule: args.text("rule"),
    status: args.text("outcome"),
    session: args.text("session"),
    through: args.text("through"),
  };
  const filter: { -readonly [K in keyof SearchFilter]: SearchFilter[K] } = {};
  for (const [name, value] of Object.entries(all)) if (value !== undefined) Object.assign(filter, { [name]: value });
  return filter;
}
