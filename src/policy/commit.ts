/** Which git commit a policy set is: its files are compared with the commit's tree, byte by byte. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Folder, PolicyFile } from "./folder.ts";

/** git is asked twice; a repository that does not answer in time counts as none. */
const GIT_TIME_MS_MAX = 3000;
const GIT_OUTPUT_BYTES_MAX = 16_777_216;

/**
 * The commit's id when every file that was read is in HEAD with the same bytes and none is missing; `dirty` when
 * something differs; null when the folder is not in a repository, or none of its files are, or git cannot be asked.
 * Only git's object store is asked (`rev-parse`, `ls-tree`): no hook, filter or monitor of the repository runs.
 */
export async function commitOf(folder: Folder): Promise<string | null> {
  if (!isInRepository(folder.realDir)) return null;
  const head = await git(folder.realDir, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
  const commit = head?.trim() ?? "";
  if (!isObjectId(commit)) return null;
  const listing = await git(folder.realDir, ["ls-tree", "-r", "-z", commit]);
  if (listing === null) return null;
  const committed = blobsOf(listing);
  if (!folder.files.some((file) => committed.has(file.path))) return null;
  const algorithm = commit.length === 64 ? "sha256" : "sha1";
  const isSame = folder.files.every((file) => committed.get(file.path) === blobId(file, algorithm));
  const read = new Set(folder.files.map((file) => file.path));
  const isWhole = [...committed.keys()].every((path) => read.has(path) || !isPolicyPath(path));
  return isSame && isWhole ? commit : "dirty";
}

function isInRepository(dir: string): boolean {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return true;
    if (dirname(at) === at) return false;
  }
}

async function git(cwd: string, args: readonly string[]): Promise<string | null> {
  try {
    const child = Bun.spawn(["git", "--no-pager", ...args], {
      cwd,
      env: gitEnvironment(),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: GIT_TIME_MS_MAX,
      killSignal: "SIGKILL",
      maxBuffer: GIT_OUTPUT_BYTES_MAX,
    });
    const [output, status] = await Promise.all([child.stdout.text(), child.exited]);
    return status === 0 ? output : null;
  } catch {
    // No git on this machine: nothing can be said about the commit.
    return null;
  }
}

/** Nothing of the caller's GIT_* settings, which could point at another repository; no fetching, no prompts. */
function gitEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    LC_ALL: "C",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_TERMINAL_PROMPT: "0",
  };
  for (const name of ["PATH", "HOME"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** Path to blob id, from `ls-tree -z`: `mode type id TAB path NUL`. */
function blobsOf(listing: string): ReadonlyMap<string, string> {
  const blobs = new Map<string, string>();
  for (const line of listing.split("\0")) {
    const tab = line.indexOf("\t");
    const [, type, id] = line.slice(0, Math.max(tab, 0)).split(" ");
    if (tab !== -1 && type === "blob" && id !== undefined) blobs.set(line.slice(tab + 1), id);
  }
  return blobs;
}

function blobId(file: PolicyFile, algorithm: "sha1" | "sha256"): string {
  return createHash(algorithm).update(`blob ${file.bytes.length}\0`).update(file.bytes).digest("hex");
}

function isPolicyPath(path: string): boolean {
  return path.endsWith(".yaml") && !path.split("/").some((part) => part.startsWith("."));
}

function isObjectId(text: string): boolean {
  return (
    (text.length === 40 || text.length === 64) &&
    !text.split("").some((character) => !"0123456789abcdef".includes(character))
  );
}
