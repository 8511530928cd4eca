/** rsync, as a client starts it on a target (`--server` first), and as a client. */
import type { Transfer } from "./transfers.ts";
import { readArguments } from "./options.ts";

const LONG_FLAGS = (
  "archive verbose compress recursive delete delete-before delete-during delete-delay delete-after delete-excluded " +
  "progress stats dry-run partial numeric-ids human-readable itemize-changes inplace append append-verify size-only " +
  "ignore-times checksum perms times owner group links hard-links sparse whole-file no-whole-file existing " +
  "ignore-existing update one-file-system prune-empty-dirs omit-dir-times force log-format=%i"
).split(" ");
const LONG_VALUED = "exclude include bwlimit timeout max-delete compress-level block-size modify-window".split(" ");

const SERVER_FLAGS: ReadonlySet<string> = new Set([
  ...LONG_FLAGS,
  ...(
    "mkpath ignore-errors delay-updates fake-super super preallocate safe-links copy-unsafe-links munge-links " +
    "msgs2stderr no-msgs2stderr no-implied-dirs list-only from0 new-compress old-compress open-noatime backup fsync " +
    "no-r remove-source-files remove-sent-files"
  ).split(" "),
]);
const SERVER_VALUED: ReadonlySet<string> = new Set([
  ...LONG_VALUED,
  ..."log-format checksum-choice compress-choice checksum-seed max-size min-size suffix usermap groupmap iconv".split(
    " ",
  ),
]);
/** Folders at the target, in a word of their own or behind an equals sign; from the destination on, unless absolute. */
const SERVER_FOLDERS: Readonly<Record<string, Transfer["class"]>> = {
  "link-dest": "read",
  "copy-dest": "read",
  "compare-dest": "read",
  "partial-dir": "write",
  "backup-dir": "write",
  "temp-dir": "write",
};
/** They take files away where they are read. */
const REMOVING: ReadonlySet<string> = new Set(["remove-source-files", "remove-sent-files"]);

/** Are its words ones that run nothing, and name no file but those that `rsyncTransfers` says? */
export function isPlainRsync(words: readonly string[]): boolean {
  if (words[0] === "--server") return readServer(words) !== null;
  if (words.includes("--server")) return false;
  if (words.length === 1 && words[0] === "--version") return true;
  const read = readArguments(words, {
    flags: "avzrlptgoDnqhuxHSPcimRAXO",
    longFlags: LONG_FLAGS,
    longValued: LONG_VALUED,
  });
  // ssh would take such a host for an option.
  return read !== null && !read.operands.some((word) => word.startsWith("-"));
}

/** What is transferred at this end. */
export function rsyncTransfers(words: readonly string[]): readonly Transfer[] {
  return (words[0] === "--server" ? readServer(words) : null) ?? [];
}

/** `--server [--sender] OPTIONS . PATH...`; null: an option that is not known. */
function readServer(words: readonly string[]): readonly Transfer[] | null {
  const isSender = words[1] === "--sender";
  const folders: Transfer[] = [];
  const operands: string[] = [];
  let removes = false;
  /** Behind the name of what is kept from before; null: nothing is. */
  let suffix: string | null = null;
  let keepsElsewhere = false;
  for (let at = isSender ? 2 : 1; at < words.length; at++) {
    const word = words[at] ?? "";
    if (!word.startsWith("-")) {
      operands.push(word);
      continue;
    }
    // Behind the first operand it is another's.
    if (operands.length > 0) return null;
    if (!word.startsWith("--")) {
      if (!isServerCluster(word)) return null;
      if (word.split("e.", 1)[0]?.includes("b") === true) suffix ??= "~";
      continue;
    }
    const equals = word.indexOf("=");
    const name = word.slice(2, equals === -1 ? undefined : equals);
    const value = equals === -1 ? undefined : word.slice(equals + 1);
    const kind = Object.hasOwn(SERVER_FOLDERS, name) ? SERVER_FOLDERS[name] : undefined;
    if (kind !== undefined) {
      const path = value ?? words[++at];
      if (path === undefined || path === "" || path.startsWith("-")) return null;
      folders.push({ path, class: kind });
    } else if (value === undefined ? !SERVER_FLAGS.has(name) : !SERVER_VALUED.has(name)) return null;
    if (REMOVING.has(name)) removes = true;
    if (name === "backup") suffix ??= "~";
    if (name === "suffix") suffix = value ?? null;
    if (name === "backup-dir") keepsElsewhere = true;
  }
  const [first, ...paths] = operands;
  if (first !== "." || paths.length === 0) return null;
  const to = paths[0] ?? "";
  const placed = folders.flatMap((folder) => {
    if (folder.path.startsWith("/")) return [folder];
    // What lies below the destination is touched anyway.
    return folder.path.includes("..") ? [{ ...folder, path: `${to}/${folder.path}` }] : [];
  });
  const read = paths.map((path): Transfer => ({ path, class: isSender ? "read" : "write" }));
  const removed = removes ? paths.map((path): Transfer => ({ path, class: "write" })) : [];
  // Of a file that is replaced, which then lies beside it.
  const kept =
    suffix === null || keepsElsewhere || isSender
      ? []
      : paths.map((path): Transfer => ({ path: path.endsWith("/") ? path : `${path}${suffix}`, class: "write" }));
  return [...read, ...removed, ...kept, ...placed];
}

/** `-vlogDtpre.iLsfxCIvu`: what follows `e.` are capabilities. `s` before it: the words come by the input. */
function isServerCluster(option: string): boolean {
  const end = option.indexOf("e.");
  const letters = option.slice(1, end === -1 ? undefined : end);
  if (letters.startsWith("B") && letters.length > 1) return Number.isInteger(Number(letters.slice(1)));
  for (const letter of letters) if (!"avzrlptgoDnqhuxHSPcimdWkKLIEAXUNyC0123456789bRO".includes(letter)) return false;
  for (const letter of end === -1 ? "" : option.slice(end + 2)) {
    if ((letter < "a" || letter > "z") && (letter < "A" || letter > "Z") && letter !== ".") return false;
  }
  return true;
}
