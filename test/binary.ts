/** The compiled binary for tests: built once for each state of the sources, and found again by the next run. Started as a program it prints the path. */
import { Glob } from "bun";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const CACHE = join(ROOT, ".cache/binary");
/** A hundred megabytes each; those before the newest may be what another run works with. */
const KEPT_MAX = 3;

/** Resolves to the path of a binary that was built from the sources as they are now. */
export async function builtBinary(): Promise<string> {
  const state = sourcesHash();
  const binary = join(CACHE, state, "weir");
  if (existsSync(binary)) {
    utimesSync(dirname(binary), new Date(), new Date());
    return binary;
  }
  // Built aside and renamed, so that it is whole or not there, also when two tests build at once.
  const aside = join(CACHE, `${state}-${process.pid}`);
  mkdirSync(aside, { recursive: true });
  const build = Bun.spawn([process.execPath, join(ROOT, "src/release/build.ts"), "--outfile", join(aside, "weir")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([new Response(build.stdout).text(), new Response(build.stderr).text()]);
  if ((await build.exited) !== 0) {
    rmSync(aside, { recursive: true });
    throw new Error(`the binary could not be built:\n${output}${errors}`);
  }
  try {
    renameSync(aside, join(CACHE, state));
  } catch (error) {
    // Another run was faster; its binary is as good.
    if (!existsSync(binary)) throw error;
    rmSync(aside, { recursive: true });
  }
  removeOldest();
  return binary;
}

function sourcesHash(): string {
  const hash = createHash("sha256").update(Bun.version);
  const sources = [...new Glob("{src,adapters,policies}/**/*").scanSync({ cwd: ROOT })].filter(
    (path) => !path.endsWith(".test.ts"),
  );
  for (const path of [...sources.toSorted(), "package.json", "bun.lock"]) {
    const text = readFileSync(join(ROOT, path));
    hash.update(`${path}\0${text.length}\0`).update(text);
  }
  return hash.digest("hex").slice(0, 16);
}

/** What another run is building right now stays. */
function removeOldest(): void {
  const whole = readdirSync(CACHE).filter((name) => !name.includes("-"));
  // Another run may be removing the same.
  const usedLast = (name: string): number => statSync(join(CACHE, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  for (const name of whole.toSorted((a, b) => usedLast(b) - usedLast(a)).slice(KEPT_MAX)) {
    rmSync(join(CACHE, name), { recursive: true, force: true });
  }
}

if (import.meta.main) process.stdout.write(`${await builtBinary()}\n`);
