/** Real shells that run a command in a folder of its own, where every program only writes down how it was called. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How each of the shells gets a command from an SSH server. */
export const POSIX_SHELLS: Readonly<Record<string, readonly string[]>> = {
  dash: ["/usr/bin/dash", "-c"],
  bash: ["/usr/bin/bash", "-c"],
  "bash as sh": ["/usr/bin/bash", "--posix", "-c"],
  zsh: ["/usr/bin/zsh", "-c"],
  busybox: ["/usr/bin/busybox", "sh", "-c"],
};

/** Whoever runs as root runs commands as an account that owns nothing. */
const NOBODY = 65_534;
const TIME_MS_MAX = 60_000;

const RECORDER = `#!/usr/bin/dash
{ printf '%s\\0' "\${0##*/}" "$@"; } > "$WEIR_CALLS/$$"
exit "\${WEIR_STATUS:-0}"
`;

/** What a run did. */
export type Run = {
  /** The words of each program that was started, sorted as texts. */
  readonly calls: readonly (readonly string[])[];
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
};

/** A folder with recorders in place of programs. */
export class RecordedShells {
  /** The home of whoever runs the commands, and where they begin. */
  readonly home: string;
  readonly #folder: string;
  readonly #isRoot = process.getuid?.() === 0;
  readonly #programs = new Set<string>();

  constructor(programs: Iterable<string> = []) {
    this.#folder = mkdtempSync(join(tmpdir(), "shells-"));
    this.home = join(this.#folder, "home");
    chmodSync(this.#folder, 0o755);
    for (const name of ["home", "bin", "calls"]) mkdirSync(join(this.#folder, name));
    if (this.#isRoot) for (const name of ["home", "calls"]) chownSync(join(this.#folder, name), NOBODY, NOBODY);
    writeFileSync(join(this.#folder, "recorder"), RECORDER);
    chmodSync(join(this.#folder, "recorder"), 0o755);
    for (const name of programs) this.add(name);
  }

  /** Lets a program of this name be found. */
  add(name: string): void {
    if (this.#programs.has(name) || name === "" || name.includes("/") || name === "." || name === "..") return;
    this.#programs.add(name);
    writeFileSync(join(this.#folder, "bin", name), RECORDER);
    chmodSync(join(this.#folder, "bin", name), 0o755);
  }

  /** Runs a command as the shell's `-c` gets it. `programStatus`: what every program ends with. */
  run(shell: readonly string[], command: string, programStatus = 0): Run {
    const calls = join(this.#folder, "calls");
    const done = Bun.spawnSync({
      cmd: [...shell, command],
      cwd: this.home,
      env: {
        PATH: join(this.#folder, "bin"),
        HOME: this.home,
        WEIR_CALLS: calls,
        WEIR_STATUS: String(programStatus),
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: TIME_MS_MAX,
      ...(this.#isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    const found = readdirSync(calls).map((name) => {
      const path = join(calls, name);
      const words = readFileSync(path, "utf8").split("\0").slice(0, -1);
      rmSync(path);
      return words;
    });
    return {
      calls: sortedCalls(found),
      stdout: done.stdout.toString(),
      stderr: done.stderr.toString(),
      status: done.exitCode,
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Parts of a pipeline start in any order. */
export function sortedCalls(calls: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return calls.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
