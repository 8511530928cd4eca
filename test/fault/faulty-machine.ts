/** A machine that fails on demand under a gateway, its disk or its clock: the library of faulty-machine.c, compiled once, and its controls. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type DiskCall = "write" | "sync";

/** From `<errno.h>` of Linux. */
export const ERRNO = { EIO: 5, ENOSPC: 28 } as const;

const SOURCE = join(import.meta.dir, "faulty-machine.c");

/* The words of the control that library and test share. */
const WORDS = 8;
const SEEN = { write: 0, sync: 1 } as const;
const LEFT = { write: 2, sync: 3 } as const;
const ERROR = 4;
const FAULTS = 5;
const CLOCK = 6;
const HANG = 7;

/** Is there a compiler, and is this Linux? Without both no machine can be made to fail. */
export function canFail(): boolean {
  return process.platform === "linux" && Bun.which("cc") !== null;
}

export class FaultyMachine implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "weir-faulty-machine-"));
  readonly #words: Int32Array;
  /** For the process that is to run on it. Only files whose path holds `name` are on its disk. */
  readonly env: Readonly<Record<string, string>>;

  constructor(library: string, name: string) {
    const control = join(this.#folder, "control");
    writeFileSync(control, new Uint8Array(WORDS * Int32Array.BYTES_PER_ELEMENT));
    this.#words = new Int32Array(Bun.mmap(control, { shared: true }).buffer);
    this.cure();
    this.env = { LD_PRELOAD: library, WEIR_FAULT_CONTROL: control, WEIR_FAULT_FILE: name };
  }

  /** The `k`-th call from now on, counted from 1, fails, and all that follow, until it is cured. */
  failAt(call: DiskCall, k: number, errno: number): void {
    Atomics.store(this.#words, ERROR, errno);
    Atomics.store(this.#words, LEFT[call], k - 1);
  }

  /** No write or sync returns from now on, until it is cured. */
  hang(): void {
    Atomics.store(this.#words, HANG, 1);
  }

  cure(): void {
    Atomics.store(this.#words, HANG, 0);
    for (const word of [LEFT.write, LEFT.sync]) Atomics.store(this.#words, word, -1);
  }

  /** The wall clock is off by so much from now on. */
  setClock(seconds: number): void {
    Atomics.store(this.#words, CLOCK, seconds);
  }

  /** How many calls have come so far. */
  seen(call: DiskCall): number {
    return Atomics.load(this.#words, SEEN[call]);
  }

  /** How many calls have failed so far. */
  get faults(): number {
    return Atomics.load(this.#words, FAULTS);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Compiles the library into a folder and returns its path. */
export function faultyMachineLibrary(folder: string): string {
  const library = join(folder, "faulty-machine.so");
  const built = Bun.spawnSync(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"]);
  if (built.exitCode !== 0) throw new Error(`the compiler says: ${built.stderr.toString()}`);
  return library;
}
