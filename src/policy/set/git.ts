/** Asks git about a repository's object store: no hook, filter or monitor of the repository runs, and nothing is fetched. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** A repository that does not answer in time counts as none. */
const TIME_MS_MAX = 3000;
const READING_TIME_MS_MAX = 30_000;
/** A whole policy set with its catalog; the listing of a commit is far below. */
const OUTPUT_BYTES_MAX = 134_217_728;

/** What a git command prints; null when it fails, takes too long, or there is no git. */
export async function askGit(cwd: string, args: readonly string[]): Promise<string | null> {
  return (await run(cwd, args, "", TIME_MS_MAX))?.toString("utf8") ?? null;
}

/** The contents of blobs by their ids; null when one of them is not there. */
export async function readBlobs(cwd: string, ids: readonly string[]): Promise<ReadonlyMap<string, Buffer> | null> {
  const wanted = [...new Set(ids)];
  const output = await run(cwd, ["cat-file", "--batch"], wanted.map((id) => `${id}\n`).join(""), READING_TIME_MS_MAX);
  if (output === null) return null;
  const blobs = new Map<string, Buffer>();
  let at = 0;
  // `id blob size LF content LF`, in the order asked for.
  for (const id of wanted) {
    const end = output.indexOf("\n", at);
    const [found, type, size] = output.toString("latin1", at, Math.max(end, at)).split(" ");
    const sizeBytes = Number(size);
    if (end === -1 || found !== id || type !== "blob" || end + 1 + sizeBytes > output.length) return null;
    blobs.set(id, output.subarray(end + 1, end + 1 + sizeBytes));
    at = end + 1 + sizeBytes + 1;
  }
  return blobs;
}

/** The folder that holds `.git`: this one or the nearest above it; null outside a repository. */
export function repositoryOf(dir: string): string | null {
  for (let at = dir; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return null;
  }
}

/** A commit's id: SHA-1 or SHA-256 in lower-case hex. */
export function isObjectId(text: string): boolean {
  return (
    (text.length === 40 || text.length === 64) &&
    !text.split("").some((character) => !"0123456789abcdef".includes(character))
  );
}

async function run(cwd: string, args: readonly string[], input: string, timeMsMax: number): Promise<Buffer | null> {
  try {
    const child = Bun.spawn(["git", "--no-pager", ...args], {
      cwd,
      env: gitEnvironment(),
      stdin: input === "" ? "ignore" : Buffer.from(input),
      stdout: "pipe",
      stderr: "ignore",
      timeout: timeMsMax,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    const [output, status] = await Promise.all([child.stdout.bytes(), child.exited]);
    return status === 0 ? Buffer.from(output) : null;
  } catch {
    // No git on this machine: nothing can be said about commits.
    return null;
  }
}

/** Nothing of the caller's GIT_* settings, which could point at another repository; no fetching, no prompts. */
function gitEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    LC_ALL: "C",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_TERMINAL_PROMPT: "0",
  };
  for (const name of ["PATH", "HOME"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
