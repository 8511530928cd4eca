/** Which git commit a policy set is: its files are compared with the commit's tree, byte by byte. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
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
  if (repositoryOf(folder.realDir) === null) return null;
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

/**
 * A text that changes when the repository's HEAD moves (a commit, a checkout), for noticing without asking git that
 * a set which was dirty has been committed. Empty outside a repository.
 */
export async function headStamp(realDir: string): Promise<string> {
  const repository = repositoryOf(realDir);
  if (repository === null) return "";
  try {
    const dotGit = join(repository, ".git");
    const gitDir = (await stat(dotGit)).isDirectory()
      ? dotGit
      : linkedGitDir(repository, await readFile(dotGit, "utf8"));
    const stamps = await Promise.all(["HEAD", "logs/HEAD"].map((name) => stampOf(join(gitDir, name))));
    return stamps.join(" ");
  } catch {
    return "";
  }
}

/** A worktree's `.git` is a file that says where its git folder is. */
function linkedGitDir(repository: string, text: string): string {
  return resolve(repository, text.replace("gitdir:", "").trim());
}

async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true });
    return `${ino}:${size}:${mtimeNs}`;
  } catch {
    return "none";
  }
}

/** The folder that holds `.git`: this one or the nearest above it; null outside a repository. */
function repositoryOf(dir: string): string | null {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return null;
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
