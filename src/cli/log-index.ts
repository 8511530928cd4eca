/** How commands use the search index: opened or made first, with progress, and done without where it cannot be had. */
import type { LogEntry, LogReader } from "../audit/query.ts";
import { openIndex } from "../audit/search/up-to-date.ts";
import type { OpenIndex } from "../audit/search/up-to-date.ts";
import { printable } from "./audit-lines.ts";
import type { Terminal } from "./command.ts";

/** Entries between two lines of progress. */
const PROGRESS_ENTRIES = 100_000;

/** Works with the index of a log; null: there is none, and none can be made. */
export async function withIndex<T>(
  folder: string,
  terminal: Terminal,
  work: (index: OpenIndex | null) => Promise<T>,
): Promise<T> {
  let shown = 0;
  const onProgress = (done: number, of: number): void => {
    if (done - shown < PROGRESS_ENTRIES) return;
    shown = done;
    terminal.progress(`making the search index: ${done} of ${of} entries`);
  };
  const index = await openIndex(folder, onProgress, (reason) => {
    terminal.err(printable(`weir: the search index cannot be written: ${reason}`));
  });
  terminal.progress("");
  try {
    return await work(index);
  } finally {
    index?.file.close();
  }
}

/** For what is read in the index alone: says what is not in it yet. */
export function tellBehind(index: OpenIndex | null, terminal: Terminal): void {
  const behind = index === null ? 0 : index.logSize - index.size;
  if (behind > 0) terminal.err(`weir: the newest ${behind} entries are not in the search index yet`);
}

/** All entries of one operation: those the index knows of, and among what is newer. */
export async function operationEntries(
  log: LogReader,
  folder: string,
  id: string,
  terminal: Terminal,
): Promise<LogEntry[]> {
  return withIndex(folder, terminal, async (index) => {
    const known = index === null ? [] : await log.operationAmong(index.entries.operation(id), id);
    return [...known, ...(await log.operation(id, index?.size ?? 0))];
  });
}
