/** Reads the files of a policy folder, with a digest over what was read; nothing outside the folder is followed. */
import { createHash } from "node:crypto";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Problem, ProblemCode } from "./problems.ts";

const FILES_MAX = 1000;
/** A file is parsed in one go; at this size even a hostile one holds the gateway up for well under a second. */
const FILE_BYTES_MAX = 131_072;
const TOTAL_BYTES_MAX = 8_388_608;
const FOLDER_DEPTH_MAX = 8;
/** Everything that lies in the folder, policy or not. */
const ENTRIES_MAX = 10_000;

export type PolicyFile = {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Lower-case hex. */
  readonly sha256: string;
};

export type Folder = {
  /** The folder with its symbolic links resolved. */
  readonly realDir: string;
  /** Sorted by path. */
  readonly files: readonly PolicyFile[];
  /** Lower-case hex SHA-256 over the sorted list of paths and content hashes. */
  readonly digest: string;
  readonly problems: readonly Problem[];
};

/**
 * Reads every `.yaml` file. Hidden entries (names with a leading dot) are left out, and so are files that are not
 * YAML; a file that looks like YAML by another ending is an error, because ignoring a guard would widen.
 */
export async function readFolder(dir: string): Promise<Folder> {
  const walk = await walkFolder(dir);
  const problems = [...walk.problems];
  const files: PolicyFile[] = [];
  let bytesTotal = 0;
  for (const entry of walk.entries) {
    bytesTotal += entry.sizeBytes;
    if (entry.sizeBytes > FILE_BYTES_MAX) {
      problems.push(
        folderProblem("TOO_LARGE", entry.path, `the file is larger than ${FILE_BYTES_MAX} bytes`, "Split it"),
      );
      continue;
    }
    if (bytesTotal > TOTAL_BYTES_MAX) {
      problems.push(folderProblem("TOO_LARGE", ".", `the set is larger than ${TOTAL_BYTES_MAX} bytes`));
      break;
    }
    try {
      const bytes = new Uint8Array(await readFile(entry.realPath));
      files.push({ path: entry.path, bytes, sha256: sha256Hex(bytes) });
    } catch (error) {
      problems.push(folderProblem("UNREADABLE", entry.path, `the file cannot be read: ${reasonOf(error)}`));
    }
  }
  return { realDir: walk.realDir, files, digest: digestOf(files), problems };
}

/**
 * A text that changes whenever a file of the set is added, removed, renamed, replaced or written: for noticing
 * changes without reading contents.
 */
export async function fingerprintFolder(
  dir: string,
): Promise<{ readonly realDir: string; readonly fingerprint: string }> {
  const walk = await walkFolder(dir);
  const lines = [
    walk.realDir,
    ...walk.entries.map((entry) => `${entry.path}\0${entry.identity}`),
    ...walk.problems.map((problem) => `${problem.file}\0${problem.message}`),
  ];
  return { realDir: walk.realDir, fingerprint: sha256Hex(lines.join("\n")) };
}

function digestOf(files: readonly PolicyFile[]): string {
  return sha256Hex(`weir policy set 1\n${files.map((file) => `${file.sha256} ${file.path}\n`).join("")}`);
}

type Entry = {
  readonly path: string;
  readonly realPath: string;
  readonly sizeBytes: number;
  readonly identity: string;
};
type Walk = { readonly realDir: string; readonly entries: readonly Entry[]; readonly problems: readonly Problem[] };

async function walkFolder(dir: string): Promise<Walk> {
  const entries: Entry[] = [];
  const problems: Problem[] = [];
  let realDir = dir;
  try {
    realDir = await realpath(dir);
    if (!(await stat(realDir)).isDirectory()) throw new Error("it is not a folder");
  } catch (error) {
    problems.push(folderProblem("UNREADABLE", ".", `the policy folder ${dir} cannot be read: ${reasonOf(error)}`));
    return { realDir, entries, problems };
  }
  let seen = 0;
  const visit = async (relative: string, depth: number): Promise<void> => {
    const names = await readdir(join(realDir, relative));
    for (const name of names.toSorted()) {
      if (name.startsWith(".")) continue;
      if (++seen > ENTRIES_MAX) return;
      const path = relative === "" ? name : `${relative}/${name}`;
      try {
        await visitEntry(path, depth);
      } catch (error) {
        problems.push(folderProblem("UNREADABLE", path, `this cannot be read: ${reasonOf(error)}`));
      }
    }
  };
  const visitEntry = async (path: string, depth: number): Promise<void> => {
    const realPath = await realpath(join(realDir, path));
    if (!realPath.startsWith(realDir + sep)) {
      problems.push(folderProblem("UNREADABLE", path, "this is a symbolic link that leads out of the policy folder"));
      return;
    }
    const status = await stat(realPath, { bigint: true });
    if (status.isDirectory()) {
      if (depth >= FOLDER_DEPTH_MAX) {
        problems.push(folderProblem("TOO_LARGE", path, `folders are nested deeper than ${FOLDER_DEPTH_MAX} levels`));
        return;
      }
      await visit(path, depth + 1);
      return;
    }
    if (!path.endsWith(".yaml")) {
      if (!looksLikePolicy(path)) return;
      problems.push(
        folderProblem("WRONG_FOLDER", path, "policy files end in .yaml", "Rename the file, or move it elsewhere"),
      );
      return;
    }
    if (!isPlainPath(path)) {
      problems.push(
        folderProblem("UNREADABLE", printable(path), "the name of the file holds a character that cannot be shown"),
      );
      return;
    }
    if (!status.isFile()) {
      problems.push(folderProblem("UNREADABLE", path, "this is not a plain file"));
      return;
    }
    const identity = `${status.dev} ${status.ino} ${status.size} ${status.mtimeNs} ${status.ctimeNs}`;
    entries.push({ path, realPath, sizeBytes: Number(status.size), identity });
  };
  try {
    await visit("", 0);
  } catch (error) {
    problems.push(folderProblem("UNREADABLE", ".", `the policy folder cannot be read: ${reasonOf(error)}`));
  }
  if (seen > ENTRIES_MAX)
    problems.push(folderProblem("TOO_LARGE", ".", `more than ${ENTRIES_MAX} entries lie in the policy folder`));
  if (entries.length > FILES_MAX)
    problems.push(folderProblem("TOO_LARGE", ".", `the set has more than ${FILES_MAX} files`));
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { realDir, entries: entries.slice(0, FILES_MAX), problems };
}

function looksLikePolicy(path: string): boolean {
  const lower = path.toLowerCase();
  return lower.endsWith(".yml") || lower.endsWith(".yaml") || lower.endsWith(".json");
}

function isPlainPath(path: string): boolean {
  return printable(path) === path;
}

/** Control characters and what is not valid UTF-16 replaced, so that a name cannot forge a line of output. */
function printable(path: string): string {
  let result = "";
  for (const character of path.toWellFormed()) {
    const unit = character.charCodeAt(0);
    result += unit < 0x20 || (unit >= 0x7f && unit <= 0x9f) ? "\ufffd" : character;
  }
  return result;
}

function folderProblem(code: ProblemCode, file: string, message: string, suggestion = ""): Problem {
  return { severity: "error", file: printable(file), line: null, column: null, code, message, suggestion };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
