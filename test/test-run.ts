/** A test run within a test: other tests, driven in another way. */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/** `env` is laid over that of this process; undefined takes a variable away. Resolves when the run has ended. */
export async function runTests(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly status: number; readonly said: string }> {
  const child = Bun.spawn([process.execPath, "test", ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, said: `${output}${errors}` };
}
