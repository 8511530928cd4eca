/** The verifier that shares nothing with weir: built by Go from the source beside this file, and run by tests. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const CACHE = join(import.meta.dir, "../../.cache/independent");
/** Where Debian's golang-golang-x-mod-dev puts its sources: with them nothing has to be fetched. */
const DEBIAN_SOURCES = "/usr/share/gocode";
const SOURCES = ["main.go", "go.mod", "go.sum"];

export type Verified = { readonly ok: boolean; readonly output: string };

type Built = { readonly binary: string } | { readonly problem: string };

/** Built as this file is loaded, where no test's time is running: the first build of a machine takes minutes on a slow one. */
const built: Built = await build();

/** Why there is no independent verifier here; null: there is. */
export const missingGo: string | null = "problem" in built ? built.problem : null;
if (missingGo !== null) process.stderr.write(`the independent verifier is left out: ${missingGo}\n`);

/** The program; to be asked for where it is there. */
export function independentBinary(): string {
  if ("problem" in built) throw new Error(built.problem);
  return built.binary;
}

/** Runs one call of the verifier. */
export async function verifyIndependently(...args: readonly string[]): Promise<Verified> {
  const child = Bun.spawn([independentBinary(), ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { ok: (await child.exited) === 0, output: output + errors };
}

function goCommand(): string | null {
  const usual = "/usr/local/go/bin/go";
  return Bun.which("go") ?? (existsSync(usual) ? usual : null);
}

/** Resolves to the program, or to what this machine lacks for it; builds it when there is none of this source yet. */
async function build(): Promise<Built> {
  const go = goCommand();
  if (go === null) return { problem: "Go is not installed (Debian: golang-go golang-golang-x-mod-dev)" };
  const hash = createHash("sha256");
  for (const name of SOURCES) hash.update(readFileSync(join(import.meta.dir, name)));
  const binary = join(CACHE, hash.digest("hex").slice(0, 16));
  if (existsSync(binary)) return { binary };
  mkdirSync(CACHE, { recursive: true });
  const aside = `${binary}-${process.pid}`;
  const isOffline = existsSync(join(DEBIAN_SOURCES, "src/golang.org/x/mod/sumdb/tlog"));
  const mode = isOffline ? { GO111MODULE: "off", GOPATH: DEBIAN_SOURCES } : {};
  const run = async (...args: readonly string[]): Promise<string | null> => {
    const child = Bun.spawn([go, ...args], {
      cwd: import.meta.dir,
      // Neither a C compiler nor a newer Go is to be looked for.
      env: { ...process.env, CGO_ENABLED: "0", GOTOOLCHAIN: "local", GOFLAGS: "", ...mode },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const errors = await new Response(child.stderr).text();
    return (await child.exited) === 0 ? null : errors.trim();
  };
  const unfetched = isOffline ? null : await run("mod", "download");
  if (unfetched !== null) return { problem: `its package of verifiable logs cannot be fetched: ${unfetched}` };
  const wrong = await run("build", "-o", aside, "main.go");
  if (wrong !== null) throw new Error(`the independent verifier cannot be built:\n${wrong}`);
  try {
    renameSync(aside, binary);
  } catch (error) {
    rmSync(aside, { force: true });
    if (!existsSync(binary)) throw error;
  }
  return { binary };
}
