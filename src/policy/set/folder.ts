/** Reads the files of a policy folder, with a digest over what was read; nothing outside the folder is followed. */
import { createHash } from "node:crypto";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { CATALOG_FOLDER } from "./catalog.ts";
import type { Problem, ProblemCode } from "../problems.ts";

const FILES_MAX = 1000;
/** A file is parsed in one go; at this size even a hostile one holds the gateway up for well under a second. */
const FILE_BYTES_MAX = 131_072;
const TOTAL_BYTES_MAX = 8_388_608;
/** Files of the catalog are generated, and parsed as JSON, which takes a hundredth of the time. */
export const CATALOG_FILE_BYTES_MAX = 16_777_216;
const CATALOG_TOTAL_BYTES_MAX = 67_108_864;
const FOLDER_DEPTH_MAX = 8;
/** Everything that lies in the folder, policy or not. */
const ENTRIES_MAX = 10_000;
const EXAMPLES_FOLDER = "examples";

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
 * Reads every `.yaml` file, and the `.json` files of the catalog. Hidden entries (names with a leading dot) are left
 * out, and so are the folder `examples` and files of other kinds; a file that looks like YAML by another ending is an error, because ignoring a
 * guard would widen.
 */
export async function readFolder(dir: string): Promise<Folder> {
  const { realDir, entries, problems } = await walkFolder(dir);
  const listed = entries.map(({ path, sizeBytes, realPath }) => ({ path, sizeBytes, read: () => readFile(realPath) }));
  return readListed(realDir, listed, problems);
}

/** A file of a set that is still to be read. */
export type ListedFile = {
  readonly path: string;
  readonly sizeBytes: number;
  /** Rejects when it cannot be read. */
  read(): Promise<Uint8Array>;
};

/** Reads the files of a set, sorted by path, within the limits; wherever they lie. */
export async function readListed(
  realDir: string,
  listed: readonly ListedFile[],
  found: readonly Problem[],
): Promise<Folder> {
  const problems = [...found];
  if (listed.length > FILES_MAX)
    problems.push(folderProblem("TOO_LARGE", ".", `the set has more than ${FILES_MAX} files`));
  const files: PolicyFile[] = [];
  const policy = { what: "the set", bytes: 0, fileBytesMax: FILE_BYTES_MAX, bytesMax: TOTAL_BYTES_MAX };
  const catalog = {
    what: "the catalog",
    bytes: 0,
    fileBytesMax: CATALOG_FILE_BYTES_MAX,
    bytesMax: CATALOG_TOTAL_BYTES_MAX,
  };
  for (const entry of listed.slice(0, FILES_MAX)) {
    const part = isCatalogPath(entry.path) ? catalog : policy;
    part.bytes += entry.sizeBytes;
    if (entry.sizeBytes > part.fileBytesMax) {
      const suggestion = part === policy ? "Split it" : "";
      problems.push(
        folderProblem("TOO_LARGE", entry.path, `the file is larger than ${part.fileBytesMax} bytes`, suggestion),
      );
      continue;
    }
    if (part.bytes > part.bytesMax) {
      problems.push(folderProblem("TOO_LARGE", ".", `${part.what} is larger than ${part.bytesMax} bytes`));
      break;
    }
    try {
      const bytes = new Uint8Array(await entry.read());
      files.push({ path: entry.path, bytes, sha256: sha256Hex(bytes) });
    } catch (error) {
      problems.push(folderProblem("UNREADABLE", entry.path, `the file cannot be read: ${reasonOf(error)}`));
    }
  }
  return { realDir, files, digest: folderDigest(files), problems };
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

/** The digest of a set with these files, sorted by path. */
export function folderDigest(files: readonly Pick<PolicyFile, "path" | "sha256">[]): string {
  return sha256Hex(`weir policy set 1\n${files.map((file) => `${file.sha256} ${file.path}\n`).join("")}`);
}

/** Is the path none of the set's business: hidden, or in the folder `examples`, whose folders are sets of their own? */
export function isLeftOut(path: string): boolean {
  const parts = path.split("/");
  return parts[0] === EXAMPLES_FOLDER || parts.some((part) => part.startsWith("."));
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
    const reason = reasonOf(error);
    problems.push(
      reason === "ENOENT"
        ? folderProblem("UNREADABLE", ".", `there is no folder ${dir}`, "Make it: it may be empty to begin with")
        : folderProblem("UNREADABLE", ".", `the policy folder ${dir} cannot be read: ${reason}`),
    );
    return { realDir, entries, problems };
  }
  let seen = 0;
  const visit = async (relative: string, depth: number): Promise<void> => {
    const names = await readdir(join(realDir, relative));
    for (const name of names.toSorted()) {
      const path = relative === "" ? name : `${relative}/${name}`;
      if (isLeftOut(path)) continue;
      if (++seen > ENTRIES_MAX) return;
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
    const judged = judgePath(path);
    if (judged !== "policy") {
      if (judged !== "other") problems.push(judged);
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
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { realDir, entries, problems };
}

/** Is this a file of the set, something else that may lie there too, or an error? Hidden files are not asked about. */
export function judgePath(path: string): "policy" | "other" | Problem {
  if (!path.endsWith(".yaml") && !isCatalogPath(path)) {
    if (!looksLikePolicy(path)) return "other";
    return folderProblem("WRONG_FOLDER", path, "policy files end in .yaml", "Rename the file, or move it elsewhere");
  }
  if (printable(path) === path) return "policy";
  return folderProblem("UNREADABLE", path, "the name of the file holds a character that cannot be shown");
}

/** A generated file of the catalog: the one place where policy is JSON. */
export function isCatalogPath(path: string): boolean {
  return path.startsWith(CATALOG_FOLDER) && path.endsWith(".json");
}

function looksLikePolicy(path: string): boolean {
  const lower = path.toLowerCase();
  return lower.endsWith(".yml") || lower.endsWith(".yaml") || lower.endsWith(".json");
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

export function folderProblem(code: ProblemCode, file: string, message: string, suggestion = ""): Problem {
  return { severity: "error", file: printable(file), line: null, column: null, code, message, suggestion };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
