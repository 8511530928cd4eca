/** Policy sets to compare: the one in a git commit, read from the object store, or the one in a folder. */
import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { commitOf } from "./commit.ts";
import { folderProblem, isLeftOut, judgePath, readFolder, readListed } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { askGit, isObjectId, readBlobs, repositoryOf } from "./git.ts";
import type { Problem } from "../problems.ts";

/** One side of a comparison, before anything of it is read. */
export type RevisionName =
  | { readonly kind: "folder"; readonly text: string; readonly dir: string }
  | { readonly kind: "commit"; readonly text: string; readonly commit: string };

export type Revision = {
  /** As it was written: `main`, `./policies.new`; `the working tree` for an empty side. */
  readonly text: string;
  /** The commit's id, `dirty`, or null outside git. */
  readonly commit: string | null;
  readonly folder: Folder;
};

/** No file of a set may be larger: larger ones are not asked for, and refused when the set is read. */
const BLOB_BYTES_MAX = 16_777_216;

/** Why a side cannot be read, and what to do. */
export class RevisionUnknown extends Error {
  readonly code = "REVISION_UNKNOWN";
  readonly next: string;

  constructor(message: string, next = "") {
    super(message);
    this.next = next;
  }
}

const FORM =
  "Write OLD..NEW: git commits (main..HEAD), folders (old-policies..policies), or nothing on a side for the files as they are (main..)";

/**
 * Finds both sides of `OLD..NEW`. A side is a git commit of the repository that `dir` (the policy folder) lies in, or
 * a policy folder; an empty one is `dir` itself. Throws RevisionUnknown.
 */
export async function parseRange(text: string, dir: string): Promise<readonly [RevisionName, RevisionName]> {
  if (!text.includes("..")) throw new RevisionUnknown(`${text} is not OLD..NEW`, FORM);
  const failures: RevisionUnknown[] = [];
  // Names of folders may hold dots too: the first way to part the text that leads to two sides is taken.
  for (let at = text.indexOf(".."); at !== -1; at = text.indexOf("..", at + 1)) {
    const [old, young] = [text.slice(0, at), text.slice(at + 2)];
    if (old === "" && young === "") throw new RevisionUnknown("both sides are the same files", FORM);
    try {
      return [await nameRevision(old, dir), await nameRevision(young, dir)];
    } catch (error) {
      if (!(error instanceof RevisionUnknown)) throw error;
      failures.push(error);
    }
  }
  throw failures[0] ?? new RevisionUnknown(`${text} is not OLD..NEW`, FORM);
}

/** Reads a side whole. Throws RevisionUnknown; what is wrong with its files is among the problems of the folder. */
export async function readRevision(name: RevisionName, dir: string): Promise<Revision> {
  if (name.kind === "folder") {
    const folder = await readFolder(name.dir);
    return { text: name.text, commit: await commitOf(folder), folder };
  }
  return { text: name.text, commit: name.commit, folder: await readCommit(name.commit, await realpath(dir)) };
}

async function nameRevision(text: string, dir: string): Promise<RevisionName> {
  if (text === "") return { kind: "folder", text: "the working tree", dir };
  const commit = await commitNamed(text, dir);
  if (commit !== null) return { kind: "commit", text, commit };
  if (await isFolder(text)) return { kind: "folder", text, dir: resolve(text) };
  const where = repositoryOf(dir) === null ? `, and ${dir} is in no git repository` : "";
  throw new RevisionUnknown(`${text} is neither a commit nor a folder${where}`, FORM);
}

async function commitNamed(text: string, dir: string): Promise<string | null> {
  if (repositoryOf(dir) === null) return null;
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${text}^{commit}`];
  const commit = (await askGit(dir, args))?.trim() ?? "";
  return isObjectId(commit) ? commit : null;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

type TreeEntry = { readonly mode: string; readonly id: string; readonly sizeBytes: number; readonly path: string };

/** The files that the commit has in this folder, by the rules of a folder; links are not followed here. */
async function readCommit(commit: string, realDir: string): Promise<Folder> {
  const listing = await askGit(realDir, ["ls-tree", "-r", "-z", "-l", commit]);
  const listed = listing === null ? [] : treeEntries(listing);
  if (listed.length === 0) {
    throw new RevisionUnknown(
      `the commit ${commit.slice(0, 12)} has no files in ${realDir}`,
      "Name the folder in which the policies lie with --policies DIR.",
    );
  }
  const problems: Problem[] = [];
  const taken: TreeEntry[] = [];
  for (const entry of listed) {
    if (isLeftOut(entry.path)) continue;
    const judged = judgePath(entry.path);
    if (entry.mode !== "100644" && entry.mode !== "100755") {
      const message = "this is a link or another repository, which is not followed in a commit";
      problems.push(folderProblem("UNREADABLE", entry.path, message, "Commit the file itself"));
    } else if (judged === "policy") taken.push(entry);
    else if (judged !== "other") problems.push(judged);
  }
  // As a folder's own listing is sorted.
  taken.sort((a, b) => (a.path < b.path ? -1 : 1));
  const wanted = taken.filter(({ sizeBytes }) => sizeBytes <= BLOB_BYTES_MAX).map(({ id }) => id);
  const blobs = await readBlobs(realDir, wanted);
  if (blobs === null) throw new RevisionUnknown(`git does not give the files of ${commit.slice(0, 12)} in ${realDir}`);
  const files = taken.map(({ path, sizeBytes, id }) => ({
    path,
    sizeBytes,
    read: async () => blobs.get(id) ?? Promise.reject(new Error("git does not give it")),
  }));
  return readListed(realDir, files, problems);
}

/** From `ls-tree -z -l`: `mode type id size TAB path NUL`, the size padded with spaces. */
function treeEntries(listing: string): readonly TreeEntry[] {
  return listing
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => {
      const tab = line.indexOf("\t");
      const [mode = "", , id = "", size = ""] = line
        .slice(0, tab)
        .split(" ")
        .filter((word) => word !== "");
      return { mode, id, sizeBytes: Number(size) || 0, path: line.slice(tab + 1) };
    });
}
