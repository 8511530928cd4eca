/** git: commands that look, fetch, and bring a folder to what was fetched, with options that run and write nothing else. */
import { readArguments, type OptionTable } from "./options.ts";

const OPTIONS: OptionTable = {
  flags: "avrsbnzwqpt1234567890fl",
  valued: "LSGm",
  longFlags: (
    "oneline stat numstat shortstat name-only name-status all graph decorate no-decorate short porcelain cached staged " +
    "show-current abbrev-ref tags prune ff-only quiet verbose no-merges merges patch no-patch reverse first-parent " +
    "is-inside-work-tree show-toplevel heads remotes no-color follow no-ext-diff no-textconv dry-run always rebase count others exclude-standard ignored verify git-dir left-right"
  ).split(" "),
  longValued: "max-count since until author grep format pretty depth date branch sort points-at contains".split(" "),
};
const COMMANDS: ReadonlySet<string> = new Set(
  (
    "status log diff show branch rev-parse ls-files describe blame shortlog fetch pull push ls-remote rev-list " +
    "clone version"
  ).split(" "),
);

/** What they do to the folder is in its repository, hooks and filters included, as for `pull`. */
const OF_FOLDERS: Readonly<Record<string, OptionTable>> = {
  checkout: { flags: "fqbBt", longFlags: ["force", "quiet", "detach", "track"] },
  switch: { flags: "fqct", longFlags: ["force", "quiet", "detach", "create", "discard-changes"] },
  reset: { flags: "q", longFlags: ["hard", "soft", "mixed", "keep", "quiet"] },
  clean: { flags: "dfnqx", valued: "e", longFlags: ["force", "dry-run", "quiet"] },
};
/** What may stand first behind the command: alone, or with words that are no options. */
const QUESTIONS: Readonly<Record<string, { readonly alone: readonly string[]; readonly first: readonly string[] }>> = {
  remote: { alone: ["", "-v", "show"], first: ["get-url"] },
  stash: { alone: ["", "pop", "list", "show"], first: [] },
  config: { alone: ["--list", "-l"], first: ["--get", "--get-all"] },
  tag: { alone: [""], first: ["-l", "--list"] },
};

/** `git [-C FOLDER] [--no-pager] COMMAND`; a transport of the form `ext::` runs a program. */
export function isPlainGit(words: readonly string[]): boolean {
  let at = 0;
  for (;;) {
    if (words[at] === "--no-pager") at++;
    else if (words[at] === "-C" && !(words[at + 1] ?? "-").startsWith("-")) at += 2;
    else break;
  }
  const command = words[at];
  if (at === 0 && words.length === 1 && command === "--version") return true;
  if (command === undefined) return false;
  const rest = words.slice(at + 1);
  if (isServer(command)) return at === 0 && isPlainGitServer(rest);
  const questions = Object.hasOwn(QUESTIONS, command) ? QUESTIONS[command] : undefined;
  if (questions !== undefined) {
    const [first = "", ...others] = rest;
    if (others.length === 0 && questions.alone.includes(first)) return true;
    return questions.first.includes(first) && !others.some((word) => word.startsWith("-"));
  }
  const ofFolders = Object.hasOwn(OF_FOLDERS, command) ? OF_FOLDERS[command] : undefined;
  if (ofFolders === undefined && !COMMANDS.has(command)) return false;
  const read = readArguments(rest, ofFolders ?? OPTIONS);
  // What one command takes for an option's value is a repository to another.
  if (read === null || rest.some((word) => word.includes("::") && !word.startsWith("-"))) return false;
  return !read.operands.some((word) => word.startsWith("-"));
}

function isServer(command: string): boolean {
  return command === "upload-pack" || command === "receive-pack" || command === "upload-archive";
}

/** git's own programs at the far end of a transfer: one repository. */
export function isPlainGitServer(words: readonly string[]): boolean {
  const read = readArguments(words, { longFlags: ["strict", "no-strict"], longValued: ["timeout"] });
  if (read === null || read.operands.length !== 1) return false;
  const [path = ""] = read.operands;
  // They know other accounts' homes themselves.
  return path !== "" && !path.startsWith("-") && (!path.startsWith("~") || path.startsWith("~/"));
}
