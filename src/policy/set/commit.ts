/** Which git commit a policy set is: its files are compared with the commit's tree, byte by byte. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isCatalogPath, isLeftOut } from "./folder.ts";
import type { Folder, PolicyFile } from "./folder.ts";
import { askGit, isObjectId, repositoryOf } from "./git.ts";

/**
 * The commit's id when every file that was read is in HEAD with the same bytes and none is missing; `dirty` when
 * something differs; null when the folder is not in a repository, or none of its files are, or git cannot be asked.
 * Only git's object store is asked (`rev-parse`, `ls-tree`): no hook, filter or monitor of the repository runs.
 */
export async function commitOf(folder: Folder): Promise<string | null> {
  if (repositoryOf(folder.realDir) === null) return null;
  const head = await askGit(folder.realDir, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]);
  const commit = head?.trim() ?? "";
  if (!isObjectId(commit)) return null;
  const listing = await askGit(folder.realDir, ["ls-tree", "-r", "-z", commit]);
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
  return (path.endsWith(".yaml") || isCatalogPath(path)) && !isLeftOut(path);
}
