/** A disk under the recordings that hangs or fails while somebody types: nothing typed from then on reaches the target. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PolicedSsh, rulesOf, runProgram, startPolicedSsh } from "../e2e/ssh/policed-ssh.ts";
import { canFail, ERRNO, FaultyMachine, faultyMachineLibrary } from "./faulty-machine.ts";

setDefaultTimeout(240_000);

const PERMITS = rulesOf(
  "Permits",
  "{ id: all, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }",
);
const GUARDS = rulesOf(
  "Guards",
  "{ id: shells, action: { ssh: { channels: [shell] } }, oblige: { record: [output] } }",
  "{ id: touches, action: { ssh: { programs: [touch] } }, oblige: { record: [output] } }",
);
/** More than a segment holds: its recording is to be stored now. */
const MUCH = "head -c 3000000 /dev/zero | tr '\\0' x";

/** A shell as a person has it, at its prompt. */
class Shell {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #out: Promise<void>;
  #seen = "";
  #wake = (): void => {};

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "pipe">) {
    this.#child = child;
    this.#out = this.#read();
  }

  static async open({ ssh }: PolicedSsh): Promise<Shell> {
    const options = { stdin: "pipe", stdout: "pipe", stderr: "pipe" } as const;
    const shell = new Shell(Bun.spawn([...ssh, "-tt", "box@127.0.0.1"], options));
    shell.type("echo rea''dy");
    while (!shell.#seen.includes("ready")) {
      const { promise, resolve } = Promise.withResolvers<void>();
      shell.#wake = resolve;
      await promise;
    }
    return shell;
  }

  type(line: string): void {
    const { stdin } = this.#child;
    try {
      void Promise.resolve(stdin.write(`${line}\n`)).catch(() => undefined);
      void Promise.resolve(stdin.flush()).catch(() => undefined);
    } catch {
      // A shell that has ended takes nothing more.
    }
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null;
  }

  /** Resolves with its status and the end of what was shown. */
  async ended(): Promise<{ readonly status: number; readonly shown: string }> {
    const [status] = await Promise.all([this.#child.exited, this.#out]);
    return { status, shown: this.#seen };
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#child.stdout) {
      this.#seen = (this.#seen + Buffer.from(chunk).toString()).slice(-10_000);
      this.#wake();
    }
  }
}

// A library is preloaded into the gateway, which only Linux can do, and a C compiler has to make it.
describe.skipIf(!canFail())("a disk under the recordings (needs Linux and a C compiler)", () => {
  let folder: string;
  let machine: FaultyMachine;
  let world: PolicedSsh;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-stalled-recording-"));
    machine = new FaultyMachine(faultyMachineLibrary(folder), "recordings.db");
    world = await startPolicedSsh({ "permits/all.yaml": PERMITS, "guards/all.yaml": GUARDS }, { env: machine.env });
  });
  afterAll(async () => {
    machine?.cure();
    await world?.stop();
    machine?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (name: string): string => join(world.server.home, name);

  /** Waits for the gateway's operator to be told this once more. */
  async function untilSaid(line: string, before: number): Promise<void> {
    while (count(line) === before) await Bun.sleep(10);
  }
  const count = (line: string): number => world.gateway.log().split(line).length - 1;

  /**
   * Which of these files the target has, as a command that is not recorded sees it, which comes after them. One alone:
   * some seconds after it has stalled a recording ends its session.
   */
  async function onTarget(...names: readonly string[]): Promise<readonly string[]> {
    const { stdout } = await runProgram([...world.ssh, "box@127.0.0.1", `ls -d ${names.join(" ")} 2>&-; true`]);
    return stdout.split("\n").filter((name) => name !== "");
  }

  const STALLED = "recordings have not been stored for 3 s";
  const BACK = "recordings are stored again";
  const GIVEN_UP = "the writer of recordings has not answered for 10 s";

  /** Waits until something can be recorded: a writer that has failed is replaced after a moment. */
  async function untilRecorded(): Promise<void> {
    while ((await runProgram([...world.ssh, "box@127.0.0.1", "touch again"])).status !== 0);
  }

  /** Hangs the disk while somebody types, and cures it; false: it took this machine so long that the writer was given up. */
  async function holdsBack(attempt: number): Promise<boolean> {
    const [typed, begun] = [`typed-${attempt}`, `begun-${attempt}`];
    const shell = await Shell.open(world);
    const [stalls, backs, givenUp] = [count(STALLED), count(BACK), count(GIVEN_UP)];
    machine.hang();
    shell.type(MUCH);
    await untilSaid(STALLED, stalls);
    shell.type(`touch ${typed}`);
    const running = runProgram([...world.ssh, "box@127.0.0.1", `touch ${begun}`]);
    expect(await onTarget(typed, begun)).toEqual([]);
    machine.cure();
    while (count(BACK) === backs && count(GIVEN_UP) === givenUp) await Bun.sleep(10);
    const { status } = await running;
    if (count(GIVEN_UP) > givenUp) {
      await shell.ended();
      await untilRecorded();
      return false;
    }
    expect(status).toBe(0);
    while (!existsSync(at(typed))) await Bun.sleep(10);
    shell.type("exit 7");
    expect((await shell.ended()).status).toBe(7);
    return true;
  }

  test("that hangs holds back what is typed and what is begun, and lets it go when it is back", async () => {
    for (let attempt = 0; !(await holdsBack(attempt)); attempt++);
  });

  test("that goes on hanging ends the session, and what was held back is not done", async () => {
    const shell = await Shell.open(world);
    const stalls = count(STALLED);
    machine.hang();
    shell.type(MUCH);
    await untilSaid(STALLED, stalls);
    shell.type("touch after");
    const { status } = await shell.ended();
    machine.cure();
    expect(status).not.toBe(0);
    await world.gateway.said(GIVEN_UP);
    expect(await onTarget("after")).toEqual([]);
  });

  // That nothing passes between the failure and the end is shown where both happen: src/record/recorder.test.ts.
  test("that fails ends the session of a client that types without a pause, and the rest of it never arrives", async () => {
    await untilRecorded();
    const shell = await Shell.open(world);
    shell.type("cat > typed-numbers");
    let typed = 0;
    const type = (): void => shell.type(`${++typed} ${"x".repeat(1_000)}`);
    // Something has arrived before anything fails.
    type();
    while (!existsSync(at("typed-numbers")) || readFileSync(at("typed-numbers"), "utf8") === "") await Bun.sleep(10);
    const failed = "sessions cannot be recorded, so those that must be are refused or ended: disk I/O error";
    const failures = count(failed);
    machine.failAt("write", 1, ERRNO.EIO);
    const ended = shell.ended();
    // Also something that is typed when it is known to have failed.
    for (let isKnown = false; !shell.hasEnded || !isKnown;) {
      isKnown = count(failed) > failures;
      for (let n = 0; n < 20; n++) type();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { status } = await ended;
    const faults = machine.faults;
    machine.cure();
    expect(status).not.toBe(0);
    expect(faults).toBeGreaterThan(0);
    const lines = readFileSync(at("typed-numbers"), "utf8").split("\n");
    // The last one may be torn.
    const arrived = lines.slice(0, -1).map((line) => Number.parseInt(line, 10));
    expect(arrived).toEqual(Array.from({ length: arrived.length }, (_, n) => n + 1));
    expect(arrived.length).toBeGreaterThan(0);
    expect(arrived.length).toBeLessThan(typed);
  });
});
