/** What one simple command runs: the programs, through wrappers, and the files that its words name. */
import type { Unknown } from "../../../src/core/operation.ts";
import { builtinRuns } from "./programs/builtins.ts";
import { alwaysRunsCode } from "./programs/always.ts";
import { filesOf } from "./programs/files.ts";
import { interpreterRuns, type IsFile } from "./programs/interpreters.ts";
import { doesInTerminal } from "./programs/pagers.ts";
import { isDigits } from "./programs/options.ts";
import { refusedOption } from "./programs/refusing.ts";
import { restrictedRuns } from "./programs/restricted.ts";
import { transfersOf, type Transfer } from "./programs/transfers.ts";
import { innerCommandAt } from "./programs/wrappers.ts";
import { mayBeDevice, turnsBack } from "./paths.ts";

/** More programs that start each other are not followed. */
const WRAPPERS_MAX = 8;

export type ProgramReading = {
  /** Half a sentence on why the words do not say what will run; null: they do. */
  readonly why: string | null;
  /** The wrappers and the program, as the command names them. */
  readonly programs: readonly string[];
  /** As they are written; null: not known. */
  readonly files: readonly string[] | null;
  /** Of those, what is read and what is written, where that is known of the program; null: which of them is not known. */
  readonly read: readonly string[] | null;
  readonly written: readonly string[] | null;
  readonly transfers: readonly Transfer[];
};

/**
 * `words` as the program gets them, its name first. `hasPty`: it has a terminal. `resolve`: the absolute path that a
 * word stands for where the command runs.
 */
export function readProgram(
  words: readonly string[],
  hasPty: boolean,
  resolve: (word: string) => string | Unknown,
): ProgramReading {
  const isFile = (word: string): boolean => !mayBeDevice(word, resolve(word));
  const programs: string[] = [];
  let rest = words;
  const stopped = (why: string): ProgramReading => ({
    why,
    programs,
    files: null,
    read: [],
    written: [],
    transfers: [],
  });
  const turning = words.find(turnsBack);
  if (turning !== undefined) return stopped("a path that goes down and up again (..)");
  if (words.some(isHostOption)) return stopped("a host that ssh would take for an option");
  for (;;) {
    const [written, ...after] = rest;
    if (written === undefined || written === "") return stopped("a command without a name");
    if (written.startsWith("-") && written !== "-") return stopped("a command that begins with a hyphen");
    if (programs.length > WRAPPERS_MAX) return stopped(`more than ${WRAPPERS_MAX} programs that start each other`);
    programs.push(written);
    if (written.includes("/") && !isFile(written)) return stopped("a program that may be a device");
    // Some targets' files are the same in capitals.
    const name = written.slice(written.lastIndexOf("/") + 1).toLowerCase();
    // Behind a wrapper some shells take it for their own command, others for a program.
    if (name === "cd" && programs.length > 1) return stopped("cd behind another program");
    const why = (hasPty ? doesInTerminal(name, after) : null) ?? runsCode(name, after, isFile);
    if (why !== null) return stopped(why);
    const inner = innerCommandAt(name, rest);
    if (inner === undefined) return { why: null, programs, ...filesOf(written, after), ...transfersOf(name, after) };
    if (inner === null) return stopped(`${name}, used in a way that is not known`);
    rest = rest.slice(inner);
  }
}

/** `user@-oProxyCommand=...:path`, `ssh://-o.../`: what some programs give to ssh as the name of a host. */
function isHostOption(word: string): boolean {
  // Programs differ in which `@` ends the user.
  const hosts = word.split("@-").slice(1);
  return word.includes("://-") || hosts.some((host) => !isDigits(host.charAt(0)));
}

function runsCode(name: string, words: readonly string[], isFile: IsFile): string | null {
  if (alwaysRunsCode(name)) return `${name}, which runs commands of its own`;
  return (
    builtinRuns(name, words) ??
    interpreterRuns(name, words, isFile) ??
    restrictedRuns(name, words) ??
    refusedOption(name, words)
  );
}
