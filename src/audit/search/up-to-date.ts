/** What commands do before they ask the index: bring it up to date, or wait until the gateway that runs has. */
import { messageOf } from "../../core/message-of.ts";
import { Indexer } from "./indexer.ts";
import { EntrySearch } from "./search.ts";
import { SearchFile } from "./search-file.ts";
import { LogSource } from "./source.ts";

/** How long a gateway's indexer is given for what is newest, and how often it is looked at. */
const WAIT_MS_MAX = 2000;
const POLL_MS = 50;
/** Between two steps of a long catching up the command shows how far it is. */
export type Progress = (done: number, of: number) => void;

export type OpenIndex = {
  readonly file: SearchFile;
  readonly entries: EntrySearch;
  /** Entries of the log from here on are not in the index. */
  readonly size: number;
  /** What the log had when it was opened. */
  readonly logSize: number;
};

/**
 * Opens the index of the log in a data folder with all that is in the log now, as far as it can: it is made or
 * continued here when nobody else writes it. Null: there is none, and none can be made; `onProblem` is told why.
 */
export async function openIndex(
  folder: string,
  onProgress: Progress,
  onProblem: (reason: string) => void,
): Promise<OpenIndex | null> {
  const source = LogSource.open(folder);
  try {
    const logSize = source.size;
    let isElsewhere = false;
    try {
      isElsewhere = !(await catchUp(folder, logSize, onProgress));
    } catch (error) {
      onProblem(messageOf(error));
    }
    const until = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const file = SearchFile.open(folder, source);
      const isComplete = file !== null && file.size >= logSize;
      if (file !== null && (isComplete || !isElsewhere || performance.now() > until)) {
        return { file, entries: new EntrySearch(file), size: file.size, logSize };
      }
      file?.close();
      if (!isElsewhere || performance.now() > until) return null;
      await Bun.sleep(POLL_MS);
    }
  } finally {
    source.close();
  }
}

/** False: somebody else writes the index. Throws when it cannot be written. */
async function catchUp(folder: string, size: number, onProgress: Progress): Promise<boolean> {
  const take = async (isThorough: boolean): Promise<boolean> => {
    const indexer = Indexer.open(folder, { isThorough });
    if (indexer === null) return false;
    try {
      while (indexer.indexed < size) {
        indexer.step();
        if (indexer.indexed < size) onProgress(indexer.indexed, size);
        // Signals are heard in between.
        await Bun.sleep(0);
      }
      while (indexer.stepStatements()) await Bun.sleep(0);
      return true;
    } finally {
      indexer.close();
    }
  };
  try {
    return await take(false);
  } catch {
    // Perhaps it is damaged: looked at as a whole, and begun anew if it is.
    return take(true);
  }
}
