/** Runs client programs to their end, and says what is missing. */
import { which } from "bun";

export type Ran = {
  /** As a shell would see it: 128 and the signal's number when the program itself was killed. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
};

export type RunSettings = {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

/** The first of these programs that is not installed; null: all are there. */
export function missing(...programs: readonly string[]): string | null {
  return programs.find((program) => which(program) === null) ?? null;
}

/** Runs a program to its end; its environment holds PATH and what is given. */
export async function run(command: readonly string[], settings: RunSettings = {}): Promise<Ran> {
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C.UTF-8", ...settings.env },
    ...(settings.cwd !== undefined && { cwd: settings.cwd }),
    stdin: Buffer.from(settings.stdin ?? ""),
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
  const [status, stdout, stderr] = await Promise.all([child.exited, ...texts]);
  return { status, stdout, stderr };
}
