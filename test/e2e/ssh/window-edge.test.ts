/** The edge of a time window ends what it let begin, while it runs, and says why: OpenSSH's own client, and psql. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogEntry, LogReader } from "../../../src/audit/query.ts";
import { canFail, FaultyMachine, faultyMachineLibrary } from "../../fault/faulty-machine.ts";
import { freePort } from "../../servers/free-port.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { type PolicedSsh, rulesOf, runProgram, type Said, startPolicedSsh } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

/** Long enough for everything to begin on a slow machine; a step of the clock of more than a minute would be another matter. */
const WINDOW_S = 50;
const STEP_S = 55;

const ALWAYS =
  "{ id: always, subject: { any: true }, target: { names: [box] }, action: { ssh: { argv: [[echo, '*']] } } }";

/** What is let through until then, and what is at any time. */
function permits(until: string, always: readonly string[] = [ALWAYS]): string {
  return rulesOf(
    "Permits",
    `{ id: shift, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true, validUntil: "${until}" }`,
    ...always,
  );
}

// A library is preloaded into the gateway, which only Linux can do, and a C compiler has to make it.
describe.skipIf(!canFail())("a window that ends (needs Linux and a C compiler)", () => {
  let folder: string;
  let machine: FaultyMachine;
  let postgres: PostgresServer;
  let world: PolicedSsh;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-window-edge-"));
    machine = new FaultyMachine(faultyMachineLibrary(folder), "/nothing");
    postgres = await startPostgres();
    const files = { "permits/all.yaml": permits("2100-01-01T00:00:00Z") };
    world = await startPolicedSsh(files, { postgres, env: machine.env });
  });
  afterAll(async () => {
    await world?.stop();
    await postgres?.stop();
    machine?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** From here the window lasts WINDOW_S. */
  async function openWindow(always?: readonly string[]): Promise<void> {
    machine.setClock(0);
    world.gateway.writePolicy(
      "permits/all.yaml",
      permits(new Date(Date.now() + WINDOW_S * 1000).toISOString(), always),
    );
    await world.gateway.policyTaken();
  }

  async function entries(): Promise<readonly LogEntry["leaf"][]> {
    const reader = LogReader.open(join(world.gateway.folder, "data"));
    try {
      return (await reader.tail(100_000)).map(({ leaf }) => leaf);
    } finally {
      reader.close();
    }
  }

  /** How the last operation of this kind ended; waits for it. */
  async function endOf(kind: string): Promise<unknown> {
    for (;;) {
      const all = await entries();
      const last = all.findLast((leaf) => leaf.shape === "intent" && leaf.operation.kind === kind);
      const end = all.find((leaf) => leaf.shape === "outcome" && leaf.intent === last?.index);
      if (end?.shape === "outcome") return { status: end.outcome.status, code: end.outcome.code };
      await Bun.sleep(20);
    }
  }

  const began = async (name: string): Promise<void> => {
    while (!existsSync(join(world.server.home, name))) await Bun.sleep(10);
  };

  /** Without an end of its input: it is ended from the other side. */
  function start(...command: readonly string[]): { readonly ended: Promise<Said>; type(line: string): void } {
    const child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
    const ended = Promise.all([child.exited, ...texts]).then(([status, stdout, stderr]) => ({
      status,
      stdout,
      stderr,
    }));
    const type = (line: string): void => {
      void child.stdin.write(`${line}\n`);
      void child.stdin.flush();
    };
    return { ended, type };
  }

  test("ends a shell, a command and a forward that run, in words, and leaves the rest of their session", async () => {
    await openWindow();
    const { ssh } = world;
    const master = join(folder, "master");
    const shared = [...ssh, "-o", `ControlPath=${master}`];
    const port = await freePort();
    const control = start(
      ...shared,
      "-o",
      "ControlMaster=yes",
      "-N",
      "-L",
      `127.0.0.1:${port}:db:5432`,
      "box@127.0.0.1",
    );
    while (!existsSync(master)) await Bun.sleep(10);
    const shell = start(...shared, "-tt", "box@127.0.0.1");
    shell.type("touch shell-began");
    const command = start(...shared, "box@127.0.0.1", "touch command-began; sleep 1000");
    await Promise.all([began("shell-began"), began("command-began")]);
    const psql = start("psql", "-X", `host=127.0.0.1 port=${port} user=ann dbname=db`);
    psql.type("\\! touch " + join(folder, "psql-began"));
    while (!existsSync(join(folder, "psql-began"))) await Bun.sleep(10);

    machine.setClock(STEP_S);
    const [ofShell, ofCommand] = await Promise.all([shell.ended, command.ended]);
    expect([ofShell.status, ofCommand.status]).toEqual([126, 126]);
    expect(`${ofShell.stdout}${ofShell.stderr}`).toMatch(/weir: no rule permits pty on \S+ \(id \S+\)/u);
    expect(ofCommand.stderr).toMatch(/weir: .*no rule permits .*\(id \S+\)/u);
    for (const kind of ["shell", "exec", "direct-tcpip"]) {
      expect([kind, await endOf(kind)]).toEqual([kind, { status: "cancelled", code: "denied" }]);
    }
    // The connection that carried them all is still there, for what is permitted at any time.
    expect((await runProgram([...shared, "box@127.0.0.1", "echo", "still"])).stdout).toBe("still\n");
    await runProgram([...shared, "-O", "exit", "box@127.0.0.1"]);
    await control.ended;
  });

  test("ends sessions that nothing is left for: ssh is told so, and psql in PostgreSQL's words, also when they were idle", async () => {
    await openWindow([]);
    const ssh = start(...world.ssh, "-N", "-o", "LogLevel=DEBUG1", "-v", "box@127.0.0.1");
    const url = new URL(await world.gateway.url("db", "ann"));
    const psql = start("psql", "-X", url.href);
    psql.type(`\\! touch ${join(folder, "idle")}`);
    while (!existsSync(join(folder, "idle"))) await Bun.sleep(10);
    while (!(await isOpen("box"))) await Bun.sleep(20);

    machine.setClock(STEP_S);
    const ofSsh = await ssh.ended;
    expect(ofSsh.status).toBe(255);
    expect(ofSsh.stderr).toMatch(/Received disconnect from .*: weir: .*\(id \S+\)/u);
    while (await isOpen("db")) await Bun.sleep(20);
    // An idle psql reads nothing before it is asked for something, and then it may be gone at once.
    psql.type("SELECT 1;\n\\q");
    const { stderr } = await psql.ended;
    expect(stderr).toMatch(/FATAL: {2}.*\(id \S+\)/u);
    expect(stderr).toContain("server closed the connection");
  });

  async function isOpen(target: string): Promise<boolean> {
    const { stdout } = await world.gateway.weir("sessions", "list", "--open", "--target", target, "--json");
    return stdout.includes('"open":true');
  }
});
