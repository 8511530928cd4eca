/**
 * A process that makes keys of recordings and ends: what could open a recording was never in the gateway's memory, and
 * the system wipes the memory of a process before anybody gets it.
 */

/** The hidden argument by which the compiled binary starts as this. */
export const KEY_CHILD_ARGUMENT = "key-child";

/** The child's whole life: `weir key-child COUNT RECIPIENT...` prints one JSON object per key. */
export async function runKeyChild(args: readonly string[]): Promise<void> {
  // Loaded here, because every command reads this file for the argument alone.
  const { makeSessionKey } = await import("./seal.ts");
  const [count = "0", ...auditors] = args;
  for (let made = 0; made < Number(count); made++) {
    const { recipient, wrapped } = await makeSessionKey(auditors);
    await Bun.write(Bun.stdout, `${JSON.stringify({ recipient, wrapped: Buffer.from(wrapped).toString("base64") })}\n`);
  }
}

/** Inside a compiled binary, sources lie in Bun's virtual file system, and the binary itself is the program to start. */
export function keyChildCommand(): readonly string[] {
  const isCompiled = import.meta.path.startsWith("/$bunfs/") || import.meta.path.includes("~BUN");
  return isCompiled ? [process.execPath, KEY_CHILD_ARGUMENT] : [process.execPath, import.meta.path];
}

if (import.meta.main) await runKeyChild(process.argv.slice(2));
