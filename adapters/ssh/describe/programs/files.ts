/** Programs of which it is known which of their words are files. */
import { compressedFiles } from "./compressed.ts";
import { fileHabit } from "./habits.ts";
import { isDigits, readArguments, type OptionTable } from "./options.ts";
import { sedFiles } from "./scripts.ts";
import { serviceFiles } from "./services.ts";

type FileProgram = OptionTable & {
  /** What the words are that are no options. none: nothing that is a file. rest: files but the first. */
  readonly operands: "files" | "none" | "rest";
  /** Options that make it go down into folders: what it touches then is not known. */
  readonly recursive?: readonly string[];
  /** It goes down into folders anyway. */
  readonly isRecursive?: true;
  /** Without operands it works on the folder where it is. */
  readonly isHereWithout?: true;
  /** A last operand that is a folder stands for a file in it, named as each of the others; not so with the option T. */
  readonly intoFolders?: true;
  /** A word that begins with `@` is a file of further words. */
  readonly readsAt?: true;
};

const HELP = ["help", "version"];

const GREP: FileProgram = {
  operands: "rest",
  flags: "abcEFGhHiIlLnoqsTvVwxyzP",
  valued: "ABCm",
  longFlags: ["count", "ignore-case", "invert-match", "line-number", "only-matching", "quiet", "text"],
  longValued: ["max-count", "after-context", "before-context", "context"],
  longOptional: ["color"],
  hasNumbers: true,
};

const PROGRAMS: Readonly<Record<string, FileProgram>> = {
  cat: { operands: "files", flags: "AbeEnstTuv", longFlags: ["number", "show-all", ...HELP] },
  tac: { operands: "files", flags: "br" },
  head: { operands: "files", flags: "qvz", valued: "nc", longValued: ["lines", "bytes"], hasNumbers: true },
  tail: {
    operands: "files",
    flags: "fFqvz",
    valued: "ncs",
    longFlags: ["retry"],
    longValued: ["lines", "bytes", "pid"],
    longOptional: ["follow"],
    hasNumbers: true,
  },
  wc: { operands: "files", flags: "clmwL", longFlags: ["lines", "words", "bytes", "chars"] },
  nl: { operands: "files", valued: "bnvw" },
  cut: { operands: "files", flags: "sz", valued: "bcdf", longValued: ["delimiter", "fields", "output-delimiter"] },
  tr: { operands: "none", flags: "cCdst" },
  rev: { operands: "files" },
  paste: { operands: "files", flags: "sz", valued: "d" },
  jq: { operands: "rest", flags: "cCMrRjasSe", longFlags: ["compact-output", "raw-output", "slurp"] },
  pstree: { operands: "none", flags: "acglnpsu" },
  cal: { operands: "none" },
  fold: { operands: "files", flags: "bs", valued: "w" },
  sort: { operands: "files", flags: "bcCdfghimMnrRsuVz", valued: "kt", files: "oT", longFiles: ["output"] },
  uniq: { operands: "files", flags: "cdDiuz", valued: "fsw" },
  comm: { operands: "files", flags: "123" },
  cmp: { operands: "files", flags: "bls" },
  // Of folders it compares what lies in both.
  diff: { operands: "files", isRecursive: true },
  // With `c`, the files are those that a file names.
  md5sum: { operands: "files", flags: "bt" },
  sha1sum: { operands: "files", flags: "bt" },
  sha256sum: { operands: "files", flags: "bt" },
  sha512sum: { operands: "files", flags: "bt" },
  b2sum: { operands: "files", flags: "bt" },
  cksum: { operands: "files" },
  base64: { operands: "files", flags: "di", valued: "w", longFlags: ["decode"] },
  od: { operands: "files", flags: "bcdovx", valued: "AjNt" },
  xxd: { operands: "files", flags: "p", valued: "ls", isWordy: true },
  hexdump: { operands: "files", flags: "bcCdovx", valued: "ns" },
  strings: { operands: "files", flags: "a", valued: "nt", readsAt: true },
  file: { operands: "files", flags: "bihLs", longFlags: ["brief", "mime-type"] },
  stat: { operands: "files", flags: "fLt", valued: "c", longValued: ["format", "printf"] },
  readlink: { operands: "files", flags: "efmnqsvz" },
  realpath: { operands: "files", flags: "eLmPqsz" },
  basename: { operands: "none", flags: "az", valued: "s" },
  dirname: { operands: "none", flags: "z" },
  ls: {
    operands: "files",
    flags: "1aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ",
    longFlags: [
      "all",
      "almost-all",
      "human-readable",
      "full-time",
      "recursive",
      "inode",
      "size",
      "reverse",
      "directory",
      "group-directories-first",
    ],
    longValued: ["time-style", "sort", "time"],
    longOptional: ["color"],
    recursive: ["R", "recursive"],
    isHereWithout: true,
  },
  du: {
    operands: "files",
    flags: "abcDhHklLmPsSx0",
    valued: "dBt",
    longFlags: ["summarize", "human-readable"],
    longValued: ["max-depth"],
    isRecursive: true,
  },
  df: {
    operands: "files",
    flags: "ahHiklPTm",
    valued: "txB",
    longFlags: ["human-readable", "inodes", "total", "local", "print-type"],
    longValued: ["type", "exclude-type"],
    longOptional: ["output"],
  },
  touch: { operands: "files", flags: "achm", valued: "dt", files: "r" },
  mkdir: { operands: "files", flags: "pv", valued: "m", longFlags: ["parents"], longValued: ["mode"] },
  rmdir: { operands: "files", flags: "v" },
  rm: { operands: "files", flags: "dfiIrRv", longFlags: ["force", "recursive"], recursive: ["r", "R", "recursive"] },
  unlink: { operands: "files" },
  cp: {
    operands: "files",
    flags: "abdfHilLnpPrRsTuvx",
    files: "t",
    intoFolders: true,
    longFlags: ["archive", "recursive", "force", "verbose", "no-clobber"],
    longOptional: ["preserve", "update"],
    recursive: ["a", "r", "R", "archive", "recursive"],
  },
  mv: { operands: "files", flags: "bfinTuv", files: "t", intoFolders: true, longFlags: ["force"] },
  ln: { operands: "files", flags: "bfinrsTv", intoFolders: true, longFlags: ["symbolic", "force"] },
  install: { operands: "files", flags: "bcCdDpsTv", valued: "gmo", files: "t", intoFolders: true },
  chmod: { operands: "rest", flags: "cfvR", recursive: ["R"] },
  chown: { operands: "rest", flags: "cfhvR", recursive: ["R"] },
  chgrp: { operands: "rest", flags: "cfhvR", recursive: ["R"] },
  truncate: { operands: "files", flags: "co", valued: "s" },
  tee: { operands: "files", flags: "ai" },
  mktemp: { operands: "files", flags: "dqu" },
  sync: { operands: "files", flags: "df" },
  gzip: { operands: "files", flags: "cdfklnqtv123456789" },
  gunzip: { operands: "files", flags: "cfklnqtv" },
  zcat: { operands: "files", flags: "f" },
  bunzip2: { operands: "files", flags: "cfkqtv" },
  bzcat: { operands: "files" },
  unxz: { operands: "files", flags: "cfkqtv" },
  xzcat: { operands: "files" },
  unzstd: { operands: "files", flags: "cfkqtv" },
  zstdcat: { operands: "files" },
  bzip2: { operands: "files", flags: "cdfkqtvz123456789" },
  xz: { operands: "files", flags: "cdfklqtvz0123456789e", valued: "T" },
  zstd: { operands: "files", flags: "cdfkqtv0123456789" },
  grep: GREP,
  egrep: GREP,
  fgrep: GREP,
  zgrep: { operands: "rest", flags: "cEFhHilLnoqsvwx", valued: "ABCm" },
  env: { operands: "none" },
  printenv: { operands: "none" },
  awk: { operands: "rest", valued: "Fv" },
  gawk: { operands: "rest", valued: "Fv" },
  mawk: { operands: "rest", valued: "Fv" },
  command: { operands: "none", flags: "v" },
  cd: { operands: "files" },
  exit: { operands: "none" },
  ping: { operands: "none", flags: "46nq", valued: "cWiIs" },
  uptime: { operands: "none", flags: "ps" },
  uname: { operands: "none", flags: "amnoprsvi" },
  hostname: { operands: "none", flags: "adfiIs" },
  whoami: { operands: "none" },
  id: { operands: "none", flags: "gGnruz" },
  groups: { operands: "none" },
  who: { operands: "files", flags: "abdHlmpqrstTuw" },
  w: { operands: "none", flags: "fhios" },
  date: {
    operands: "none",
    flags: "uR",
    valued: "ds",
    files: "rf",
    longFlags: ["utc"],
    longValued: ["date"],
    longOptional: ["iso-8601"],
  },
  free: { operands: "none", flags: "bghklmtw", valued: "cs" },
  vmstat: { operands: "none", flags: "adfmsw" },
  nproc: { operands: "none", longFlags: ["all"] },
  arch: { operands: "none" },
  tty: { operands: "none", flags: "s" },
  ps: {
    operands: "none",
    flags: "AaceFfHhjLlMmTwxyZ",
    valued: "CgGopstuU",
    longFlags: ["forest", "no-headers"],
    longValued: ["sort"],
  },
  pgrep: { operands: "none", flags: "acflnovwx", valued: "uUgGPst" },
  pidof: { operands: "none", flags: "csx" },
  kill: { operands: "none", flags: "l", hasNumbers: true, valued: "s" },
  lsblk: { operands: "files", flags: "abdfJlmnOprstT", valued: "o" },
  lscpu: { operands: "none", flags: "aJ" },
  lsmod: { operands: "none" },
  ss: { operands: "none", flags: "alntuxpseimoH46" },
  sleep: { operands: "none" },
  seq: { operands: "none", flags: "w", valued: "fs" },
  true: { operands: "none" },
  false: { operands: "none" },
  echo: { operands: "none", flags: "neE" },
  pwd: { operands: "none", flags: "LP" },
  printf: { operands: "none" },
  which: { operands: "none", flags: "a" },
  type: { operands: "none" },
  last: { operands: "none", flags: "adFiRwx", valued: "n", hasNumbers: true },
};

/** Their words are names of no files, whatever the options, or `./restricted.ts` reads no option that would name one. */
const WITHOUT_FILES: ReadonlySet<string> = new Set("which expr umask set docker podman service ip".split(" "));
/** Their values must be numbers. */
const GREP_COUNTS = ["A", "B", "C", "m", "max-count", "after-context", "before-context", "context"];

/** Where programs are what their names say. */
const SYSTEM_FOLDERS: ReadonlySet<string> = new Set(
  "/bin/ /sbin/ /usr/bin/ /usr/sbin/ /usr/local/bin/ /usr/local/sbin/".split(" "),
);

/** Files that a program touches, as its words name them; null: not known which. */
export type FileUse = {
  readonly files: readonly string[] | null;
  /** Of those, what it surely does no more than read, and what it may write; empty of a program that nobody knows. */
  readonly read: readonly string[] | null;
  readonly written: readonly string[] | null;
};

/** `program` is as the command names it, `words` are those after it. */
export function filesOf(program: string, words: readonly string[]): FileUse {
  const nameAt = program.lastIndexOf("/") + 1;
  if (nameAt > 0 && !SYSTEM_FOLDERS.has(program.slice(0, nameAt))) return { files: null, read: [], written: [] };
  const name = program.slice(nameAt);
  const named = namedFiles(name, words);
  const files = named?.files ?? null;
  switch (fileHabit(name)) {
    case null:
      return { files, read: [], written: [] };
    case "reads":
      return { files, read: files, written: [] };
    case "copies": {
      if (named === null) return { files, read: null, written: null };
      const { written = [], read = named.files.filter((file) => !written.includes(file)) } = named;
      return { files, read, written };
    }
    case "changes":
      return { files, read: files, written: named?.written ?? files };
    case "writes":
      return { files, read: [], written: files };
  }
}

type NamedFiles = {
  readonly files: readonly string[];
  /** Those of them that are written, and read, where a program's habit does not say it. */
  readonly written?: readonly string[];
  readonly read?: readonly string[];
};

/** Null: not known. */
function namedFiles(name: string, words: readonly string[]): NamedFiles | null {
  if (name === "test" || name === "[") return { files: testedFiles(words) };
  if (name === "echo" || name === "printf" || name === "true" || name === "false" || name === ":") return { files: [] };
  if (name === "dd") return ddFiles(words);
  if (name === "systemctl" || name === "journalctl") return only(serviceFiles(name, words));
  if (name === "sed") return sedFiles(words);
  // What containers are made of is in files that no word names.
  if (words[0] === "compose" && (name === "docker" || name === "podman")) return null;
  if (WITHOUT_FILES.has(name)) return { files: [] };
  const table = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
  if (table === undefined) return null;
  const read = readArguments(words, table);
  if (read === null) return null;
  const { operands, files, given, values, strays } = read;
  if (table.isRecursive === true || table.recursive?.some((option) => given.has(option)) === true) return null;
  // It may bring in others.
  if (name === "jq" && ["import", "include"].some((word) => operands[0]?.includes(word) === true)) return null;
  if (table.readsAt === true && words.some((word) => word.startsWith("@"))) return null;
  // Some systems' grep takes the word behind -C for its pattern, and the pattern for a file.
  if (name.endsWith("grep") && !GREP_COUNTS.every((option) => isDigits(values.get(option) ?? "0"))) return null;
  if ((given.has("C") || given.has("context")) && operands[0]?.includes("/") === true) return null;
  if (table.operands === "none") return { files };
  const named = (table.operands === "rest" ? operands.slice(1) : operands).filter((word) => word !== "-");
  if (named.length === 0 && table.isHereWithout === true) return { files: [...files, "."] };
  // Which of them is the last one, in which the others are made, is then not known.
  if (table.intoFolders === true) return strays.length > 0 ? null : filesInto(name, named, values.get("t"), given);
  // A folder that is nobody's choice, and names of its own.
  if (name === "mktemp" && named.length === 0) return null;
  const all = [...files, ...named, ...strays];
  if (SECOND_IS_WRITTEN.has(name)) {
    return { files: all, read: [...named.slice(0, 1), ...strays], written: [...named.slice(1), ...strays] };
  }
  if (name === "sort")
    return sortedFiles([...named, ...strays.filter((word) => !files.includes(word))], files, values.get("T"));
  return compressedFiles(name, given, all);
}

/** What options name, it writes; in a folder for what does not fit into memory, files of names of its own. */
function sortedFiles(read: readonly string[], written: readonly string[], folder: string | undefined): NamedFiles {
  const made = folder === undefined ? written : [...written, `${folder}/**`];
  return { files: [...made, ...read], read, written: made };
}

function only(files: readonly string[] | null): NamedFiles | null {
  return files === null ? null : { files };
}

/** `uniq IN OUT` */
const SECOND_IS_WRITTEN: ReadonlySet<string> = new Set(["uniq", "xxd"]);

/** `cp FILE... TO`: what there is below `TO`, when that is a folder, is touched too; nobody knows whether it is one. */
function filesInto(
  name: string,
  named: readonly string[],
  folder: string | undefined,
  given: ReadonlySet<string>,
): NamedFiles | null {
  // What was there is kept under another name.
  if (given.has("b")) return null;
  // What a link holds is meant from where the link is.
  const isSymbolic = given.has("s") || given.has("symbolic");
  if (name === "ln" && isSymbolic && !named.every((word) => word.startsWith("/"))) return null;
  if (name === "install" && given.has("d")) return { files: named, written: named };
  const isLone = folder === undefined && named.length < 2;
  const to = folder ?? (isLone ? "." : named.at(-1)) ?? ".";
  const from = folder === undefined && !isLone ? named.slice(0, -1) : named;
  const within = given.has("T") ? [] : from.map((word) => below(to, word));
  if (within.includes(null)) return null;
  const made = [to, ...within.filter((path) => path !== null)];
  const touched = [...from, ...made];
  if (name !== "mv" && name !== "ln") return { files: touched, read: from, written: made };
  // What is in a folder gets another name with it.
  return { files: [...touched, ...touched.map((path) => `${path}/**`)] };
}

/** A file named as another one, in a folder; null: what it is called there cannot be told. */
function below(folder: string, word: string): string | null {
  const segments = word.split("/").filter((segment) => segment !== "");
  const last = segments.at(-1) ?? "";
  return last === "" || last === "." || last === ".." ? null : `${folder}/${last}`;
}

/** `test -f FILE`, perhaps negated; other tests are of texts and numbers. */
function testedFiles(words: readonly string[]): readonly string[] {
  const [operator = "", file] = words[0] === "!" ? words.slice(1) : words;
  return operator.startsWith("-") && operator !== "-n" && operator !== "-z" && file !== undefined ? [file] : [];
}

/** `dd if=FILE of=FILE`. */
function ddFiles(words: readonly string[]): NamedFiles {
  const after = (start: string): readonly string[] =>
    words.filter((word) => word.startsWith(start)).map((word) => word.slice(start.length));
  const [read, written] = [after("if="), after("of=")];
  return { files: [...read, ...written], read, written };
}
