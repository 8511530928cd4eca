/** `weir sessions list`, `show` and `kill`: who is and was connected, to what, and what they did there. */
import { userInfo } from "node:os";
import { ApiClient } from "../api/client.ts";
import type { SessionView } from "../api/house.ts";
import { findSession, listSessions } from "../audit/search/sessions.ts";
import type { SessionFilter, SessionSummary } from "../audit/search/sessions.ts";
import { RecordingReader } from "../record/reader.ts";
import { ALL_GATEWAYS, withSharedCopy } from "./all-gateways.ts";
import { printable } from "./audit-lines.ts";
import { printEntry, withLog } from "./audit.ts";
import { CommandError, CONFIG_OPTION } from "./command.ts";
import type { Arguments, Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { readCount } from "./count-argument.ts";
import { tellBehind, withIndex } from "./log-index.ts";
import { readTime, TIME_WORDS } from "./time-argument.ts";

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 10_000;
const ENTRIES_DEFAULT = 100;
const ENTRIES_MAX = 100_000;
/** Sessions that are named as carried by another. */
const CARRIED_MAX = 100;

/** What is known of a session, from the gateway while it lives and from the log. */
type Known = {
  /** Open now, as the gateway says; null: no gateway answers, and the log has no end of it. */
  readonly isOpen: boolean | null;
  readonly summary: SessionSummary;
};

export const sessionsListCommand: Command = {
  words: ["sessions", "list"],
  summary: "List sessions, open ones and past ones, the newest first",
  positionals: [],
  options: [
    { name: "subject", value: "S", description: "only of this subject" },
    { name: "target", value: "T", description: "only on this target" },
    { name: "since", value: "T", description: `only those opened from then on: ${TIME_WORDS}` },
    {
      name: "through",
      value: "ID",
      description: "only those that came through a forward of this session, or this forward",
    },
    { name: "open", description: "only those that are open" },
    { name: "house", description: "also the gateway's own" },
    { name: "limit", value: "N", description: `how many at most; ${LIMIT_DEFAULT} when left out` },
    ALL_GATEWAYS,
    CONFIG_OPTION,
  ],
  notes: [
    "Open ones are asked of the running gateway; past ones and the counts come from the search index, which follows the log",
    "by about a second. Without a gateway, a session whose end is not in the log is neither open nor ended.",
    "",
    'JSON, one line per session: {"id", "open", "subject", "issuer", "kind", "target", "adapter", "source",',
    '  "through": {"session", "operation"} or null, "opened", "ended",',
    '  "status", "permitted", "refused", "failed", "rows", "bytes", "recordings"}',
    'With --all-gateways the shared copy is asked and no gateway: {"gateway", ...}, and "open" is null or false.',
  ],
  run: async (args, terminal) => {
    const filter = readFilter(args);
    const limit = readCount(args, "limit", LIMIT_DEFAULT, LIMIT_MAX);
    const config = requireConfiguration(args, terminal);
    if (args.flag("all-gateways")) {
      const shared = await withSharedCopy(config, async (copy) => copy.sessions(filter, limit));
      for (const { gateway, summary } of shared) {
        const known: Known = { isOpen: summary.endedMs === null ? null : false, summary };
        const text = `${gateway}  ${line(known)}`;
        terminal.out(args.isJson ? JSON.stringify({ gateway, ...viewOf(known) }) : printable(text));
      }
      if (shared.length === 0 && !args.isJson) terminal.err("weir: there are no such sessions");
      return 0;
    }
    const live = await liveSessions(config.data);
    const past = await withIndex(config.data, terminal, async (index) => {
      tellBehind(index, terminal);
      return index === null ? [] : listSessions(index.file, filter, limit + (live?.length ?? 0));
    });
    const sessions = merge(live, past, filter).slice(0, limit);
    for (const session of sessions) {
      terminal.out(args.isJson ? JSON.stringify(viewOf(session)) : printable(line(session)));
    }
    if (sessions.length === 0 && !args.isJson) terminal.err("weir: there are no such sessions");
    return 0;
  },
};

export const sessionsShowCommand: Command = {
  words: ["sessions", "show"],
  summary: "Show one session: who, when, from where, what it did, and its entries",
  positionals: [{ name: "ID", description: "the session's id, as weir sessions list shows it", kind: "required" }],
  options: [
    { name: "limit", value: "N", description: `how many of its entries at most; ${ENTRIES_DEFAULT} when left out` },
    CONFIG_OPTION,
  ],
  notes: [
    "A session that came through a forward of another names it (through), and that one those it carried, the last 100. The",
    "entries are the log's own, the oldest first; when there are more, the last ones. Recordings of it that are here are",
    "named with their ids, for weir audit replay: one transcript, and one for each terminal.",
    "",
    'JSON: one line for the session as weir sessions list --json writes it, then one per entry: {"hash", "leaf"}',
  ],
  run: async (args, terminal) => {
    const id = args.required("ID");
    const limit = readCount(args, "limit", ENTRIES_DEFAULT, ENTRIES_MAX);
    const config = requireConfiguration(args, terminal);
    const live = await liveSessions(config.data);
    return withLog(config.data, async (log) =>
      withIndex(config.data, terminal, async (index) => {
        tellBehind(index, terminal);
        const past = index === null ? null : findSession(index.file, id);
        const open = live?.find((each) => each.id === id);
        const [session] = merge(open === undefined ? live && [] : [open], past === null ? [] : [past], {});
        if (session === undefined) {
          throw new CommandError(`there is no session ${id}`, "weir sessions list shows those there are.");
        }
        // Those that came through its forwards.
        const inner = index === null ? [] : listSessions(index.file, { through: id }, CARRIED_MAX);
        const openInner = live?.filter(({ through }) => through?.session === id) ?? null;
        const carried = merge(openInner, inner, {});
        const order = { limit, isOldestFirst: false };
        const found = index === null ? [] : await log.entries(index.entries.search({ session: id }, order));
        if (args.isJson) terminal.out(JSON.stringify(viewOf(session)));
        else {
          for (const text of paragraph(session, carried)) terminal.out(printable(text));
          for (const text of recordingsHere(config.data, id)) terminal.out(printable(text));
        }
        for (const entry of found) printEntry(entry, args, terminal);
        return 0;
      }),
    );
  },
};

export const sessionsKillCommand: Command = {
  words: ["sessions", "kill"],
  summary: "End a session at once",
  positionals: [{ name: "ID", description: "the session's id, as weir sessions list shows it", kind: "required" }],
  options: [
    { name: "reason", value: "TEXT", description: "why; the client is told, and it is recorded" },
    CONFIG_OPTION,
  ],
  notes: [
    "What the session is running is cancelled at its target. Recorded before it happens, as session.killed: by the local",
    "socket, with the user who ran this command. The subject can connect again; weir token revoke ends a login for good.",
    "",
    'JSON: {"id", "subject", "issuer", "kind", "target", "adapter", "source", "through", "opened"}',
  ],
  run: async (args, terminal) => {
    const id = args.required("ID");
    const config = requireConfiguration(args, terminal);
    const gateway = await ApiClient.connect(config.data);
    if (gateway === null) {
      throw new CommandError(`no gateway runs on ${config.data}`, "Without one there are no open sessions.");
    }
    const session = await gateway.killSession(id, { user: userName(), reason: args.text("reason") ?? null });
    if (session === null) {
      throw new CommandError(`no session ${id} is open`, "weir sessions list --open shows those that are.");
    }
    const { subject, target } = session;
    terminal.out(
      args.isJson ? JSON.stringify(session) : printable(`ended the session ${id} of ${subject} on ${target}`),
    );
    return 0;
  },
};

/** Null when no gateway answers. */
async function liveSessions(folder: string): Promise<readonly SessionView[] | null> {
  const gateway = await ApiClient.connect(folder);
  return gateway === null ? null : gateway.listSessions();
}

/** Whoever runs this command, as the system names them; null when it does not. */
function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

function readFilter(args: Arguments): SessionFilter {
  const [subject, target, sinceMs] = [args.text("subject"), args.text("target"), readTime(args, "since")];
  const through = args.text("through");
  return {
    ...(subject === undefined ? {} : { subject }),
    ...(target === undefined ? {} : { target }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(through === undefined ? {} : { through }),
    ...(args.flag("open") ? { isOpen: true } : {}),
    ...(args.flag("house") ? { withHouse: true } : {}),
  };
}

/** Open sessions with what the log has of them, and the past ones; the newest first. */
function merge(live: readonly SessionView[] | null, past: readonly SessionSummary[], filter: SessionFilter): Known[] {
  const known = new Map(past.map((summary) => [summary.id, summary]));
  const openIds = new Set(live?.map(({ id }) => id));
  const open = (live ?? [])
    .filter(({ subject }) => filter.subject === undefined || subject === filter.subject)
    .filter(({ target }) => filter.target === undefined || target === filter.target)
    .filter(({ through }) => filter.through === undefined || cameThrough(through, filter.through))
    .map((view) => known.get(view.id) ?? justOpened(view))
    .filter(({ openedMs }) => filter.sinceMs === undefined || openedMs >= filter.sinceMs)
    .map((summary): Known => ({ isOpen: true, summary }));
  const others = past
    .filter(({ id }) => !openIds.has(id))
    .map((summary): Known => ({ isOpen: live === null && summary.endedMs === null ? null : false, summary }))
    // The gateway knows better than an index that is a moment behind.
    .filter(({ isOpen }) => filter.isOpen !== true || isOpen !== false);
  return [...open, ...others].toSorted((a, b) => b.summary.openedMs - a.summary.openedMs);
}

/** A session that the index has not come to yet. */
function justOpened(view: SessionView): SessionSummary {
  const { id, subject, issuer, kind, target, adapter, source, through, opened } = view;
  const none = { permitted: 0, refused: 0, failed: 0, rows: 0, bytes: 0, recordings: 0 };
  const who = { id, subject, issuer, kind, target, adapter, source, through };
  return { ...who, openedMs: Date.parse(opened), endedMs: null, status: null, ...none, first: 0, last: 0 };
}

function cameThrough(through: SessionView["through"], id: string): boolean {
  return through !== null && (through.session === id || through.operation === id);
}

function viewOf({ isOpen, summary }: Known): object {
  const { openedMs, endedMs, status, first: _first, last: _last, id, ...rest } = summary;
  const { subject, issuer, kind, target, adapter, source, through, ...counts } = rest;
  const ended = endedMs === null ? null : new Date(endedMs).toISOString();
  const times = { opened: new Date(openedMs).toISOString(), ended, status };
  return { id, open: isOpen, subject, issuer, kind, target, adapter, source, through, ...times, ...counts };
}

function stateWords({ isOpen, summary }: Known): string {
  if (isOpen === true) return "open";
  if (summary.endedMs !== null)
    return `ended ${new Date(summary.endedMs).toISOString()} (${summary.status ?? "unknown"})`;
  return isOpen === null ? "no end in the log" : "just ended";
}

function line(session: Known): string {
  const { id, kind, subject, target, adapter, source, openedMs, permitted, refused, failed, recordings } =
    session.summary;
  const { rows, bytes } = session.summary;
  // What passes over SSH has no rows.
  const passed = adapter === "ssh" ? `${bytes} bytes` : `${rows} rows`;
  const counts = `${permitted} permitted, ${refused} refused, ${failed} failed, ${passed}`;
  const recorded = recordings === 0 ? "" : `, ${recordings} recorded`;
  const who = `${kind ?? "?"} ${subject ?? "?"} on ${target ?? "?"} from ${source ?? "?"}`;
  return `${new Date(openedMs).toISOString()}  ${who}  ${stateWords(session)}  ${counts}${recorded}  id ${id}`;
}

function paragraph(session: Known, carried: readonly Known[]): string[] {
  const { id, kind, subject, issuer, target, adapter, source, through, openedMs, ...counts } = session.summary;
  return [
    `session   ${id}`,
    `subject   ${kind ?? "?"} ${subject ?? "?"} (${issuer ?? "?"})`,
    `target    ${target ?? "?"} (${adapter ?? "?"})`,
    `from      ${source ?? "?"}`,
    ...(through === null ? [] : [`through   the forward ${through.operation} of the session ${through.session}`]),
    `opened    ${new Date(openedMs).toISOString()}, ${stateWords(session)}`,
    `did       ${counts.permitted} permitted, ${counts.refused} refused, ${counts.failed} failed; ${counts.rows} rows, ${counts.bytes} bytes to the client`,
    ...carried.map((each) => `carried   ${each.summary.id} on ${each.summary.target ?? "?"}, ${stateWords(each)}`),
    ...(counts.recordings === 0 ? [] : [`recorded  ${counts.recordings}, as the log says`]),
  ];
}

/** The recordings that are here, to be played with weir audit replay. */
function recordingsHere(folder: string, session: string): string[] {
  const reader = RecordingReader.open(folder);
  if (reader === null) return [];
  try {
    return reader.find(session).map(({ id, kind, startedMs, endedMs, reason, seal }) => {
      const [from, to] = [startedMs, endedMs].map((timeMs) =>
        timeMs === null ? "now" : new Date(timeMs).toISOString(),
      );
      const sealed = { none: "", open: ", partly sealed", shredded: ", its sealed part shredded" }[seal];
      return `          ${id}  ${kind}, ${from ?? ""} to ${to ?? ""}${reason === null ? "" : ` (${reason})`}${sealed}`;
    });
  } finally {
    reader.close();
  }
}
