/** The client's agent and X server as programs on the target reach them through a real gateway, permitted and not. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type Connection, Server, type X11Options } from "ssh2";
import { startGateway } from "../../gateway.ts";
import { type PolicedSsh, rulesOf, runProgram, type Said, startPolicedSsh } from "./policed-ssh.ts";

setDefaultTimeout(240_000);

const COMMANDS = rule("commands", "exec, shell, pty", "allowOpaque: true");
const AGENT = rule("agent", "agent-forward");
const X11 = rule("x11", "x11");
const COOKIE = "00112233445566778899aabbccddeeff";
/** Connects to its X server as any program would, says a line, and shows the one that it gets. */
const X_PROGRAM = "bash -c 'd=${DISPLAY##*:}; exec 3<>/dev/tcp/127.0.0.1/$((6000 + ${d%.*})); echo hello >&3; cat <&3'";

let world: PolicedSsh;
let folder: string;
let agent: Bun.Subprocess<"ignore", "pipe", "ignore">;
let socket: string;
let fingerprint: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-services-"));
  socket = join(folder, "agent");
  agent = Bun.spawn(["ssh-agent", "-D", "-a", socket], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  // It says where it listens when it does.
  await agent.stdout.getReader().read();
  const key = join(folder, "key");
  await must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f", key);
  await must("env", `SSH_AUTH_SOCK=${socket}`, "ssh-add", "-q", key);
  fingerprint = (await must("ssh-keygen", "-l", "-f", key)).trim();
  // Nothing is written into anybody's home.
  const xauth = join(folder, "xauth");
  writeFileSync(xauth, `#!/bin/sh\ncat > ${join(folder, "cookies")}\n`, { mode: 0o755 });
  const settings = { X11Forwarding: "yes", XAuthLocation: xauth };
  world = await startPolicedSsh({ "permits/all.yaml": all() }, {}, { shell: null, settings });
});
afterAll(async () => {
  await world?.stop();
  agent?.kill("SIGKILL");
  await agent?.exited;
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => permit(COMMANDS, AGENT, X11));

function rule(id: string, channels: string, more = ""): string {
  const action = `{ ssh: { channels: [${channels}] } }`;
  return `{ id: ${id}, subject: { any: true }, target: { names: [box] }, action: ${action}${more === "" ? "" : `, ${more}`} }`;
}

function all(): string {
  return rulesOf("Permits", COMMANDS, AGENT, X11);
}

async function permit(...rules: readonly string[]): Promise<void> {
  world.gateway.writePolicy("permits/all.yaml", rulesOf("Permits", ...rules));
  await world.gateway.policyTaken();
}

async function must(...command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runProgram(command);
  if (status !== 0) throw new Error(`${command[0]}: ${stderr}`);
  return stdout;
}

/** Runs ssh with something of its own to forward. */
async function ssh(variable: string, option: string, command: string): Promise<Said> {
  return runProgram(["env", variable, ...world.ssh, option, "box@127.0.0.1", command]);
}

type Leaf = {
  readonly index: number;
  readonly event: string;
  readonly operation?: { readonly kind: string; readonly accesses: readonly unknown[] };
  readonly decision?: { readonly kind: string; readonly refusal?: string };
  readonly intent?: number;
  readonly outcome?: { readonly status: string; readonly bytes?: number };
};

async function leaves(): Promise<readonly Leaf[]> {
  const { stdout } = await world.gateway.weir("audit", "tail", "--json", "--lines", "1000");
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { leaf: Leaf }).leaf);
}

/** The last operation of this kind, as it was decided. */
async function logged(kind: string): Promise<Leaf> {
  const found = (await leaves()).findLast((leaf) => leaf.operation?.kind === kind);
  if (found === undefined) throw new Error(`there is no ${kind} in the log`);
  return found;
}

/** How an operation ended, by the place of its intent: nobody waits for this entry, so it may come a moment later. */
async function outcomeOf({ index }: Leaf): Promise<Leaf["outcome"]> {
  for (;;) {
    const found = (await leaves()).find((leaf) => leaf.outcome !== undefined && (leaf.intent ?? leaf.index) === index);
    if (found !== undefined) return found.outcome;
    await Bun.sleep(20);
  }
}

type Conversation = { readonly stdout: string; readonly stderr: string; readonly status: number | string };

/** Runs a command with an X server that answers each line with the number of the connection and the line. */
async function withX(
  x11: X11Options,
  command: string,
  onOutput: () => void = () => {},
  port = world.port,
): Promise<Conversation> {
  const client = new Client();
  const { promise, resolve } = Promise.withResolvers<Conversation>();
  const over = (error: Error): void => resolve({ stdout: "", stderr: error.message, status: "not run" });
  let connections = 0;
  client.on("error", over);
  client.on("x11", (_from, accept) => {
    const number = ++connections;
    const channel = accept();
    channel.on("data", (chunk: Buffer) => {
      channel.write(`${number}: ${chunk.toString()}`);
      if (chunk.toString().includes("hello")) channel.end();
    });
  });
  client.on("ready", () => {
    client.exec(command, { x11 }, (error, channel) => {
      if (error) return over(error);
      let [stdout, stderr] = ["", ""];
      let status = -1;
      channel.once("data", onOutput);
      channel.on("data", (chunk: Buffer) => void (stdout += chunk.toString()));
      channel.stderr.on("data", (chunk: Buffer) => void (stderr += chunk.toString()));
      channel.on("exit", (code: number) => (status = code));
      channel.on("close", () => resolve({ stdout, stderr, status }));
    });
  });
  const { privateKey } = world.server;
  client.connect({ host: "127.0.0.1", port, username: "box", privateKey, readyTimeout: 0 });
  try {
    return await promise;
  } finally {
    client.end();
  }
}

describe("the agent", () => {
  test("shows its keys to programs on the target, under an operation of its own", async () => {
    const said = await ssh(`SSH_AUTH_SOCK=${socket}`, "-A", "ssh-add -l; ssh-add -l");
    expect(said).toEqual({ status: 0, stdout: `${fingerprint}\n${fingerprint}\n`, stderr: "" });
    const intent = await logged("agent-forward");
    expect(intent).toMatchObject({
      event: "operation.intent",
      decision: { kind: "permit" },
      operation: { accesses: [{ class: "forward", facts: { channels: ["agent-forward"] } }] },
    });
    // Each asks in five bytes.
    expect(await outcomeOf(intent)).toMatchObject({ status: "done", bytes: 10 });
  });

  test("is there for the next command on the connection", async () => {
    const master = join(folder, "master");
    const options = [...world.ssh.slice(1), "-S", master, "box@127.0.0.1"];
    const env = ["env", `SSH_AUTH_SOCK=${socket}`, "ssh", "-A"];
    try {
      await must(...env, "-M", "-f", "-N", ...options);
      for (let at = 0; at < 2; at++) {
        expect(await runProgram([...env, ...options, "ssh-add -l"])).toMatchObject({
          stdout: `${fingerprint}\n`,
          stderr: "",
        });
      }
    } finally {
      await runProgram(["ssh", "-O", "exit", ...options]);
    }
  });

  test("is out of reach when policy does not permit it, and the command runs", async () => {
    await permit(COMMANDS, X11);
    const { stdout, stderr, status } = await ssh(`SSH_AUTH_SOCK=${socket}`, "-A", "ssh-add -l; echo ran");
    expect({ stdout, status }).toEqual({ stdout: "ran\n", status: 0 });
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(/^weir: the agent is not forwarded: no rule permits agent-forward .*\(id \S+\)$/u),
      "Could not open a connection to your authentication agent.",
      "",
    ]);
    expect(await logged("agent-forward")).toMatchObject({
      event: "operation.refusal",
      decision: { kind: "deny" },
    });
  });
});

describe("X11", () => {
  const x11 = { single: false, protocol: "MIT-MAGIC-COOKIE-1", cookie: COOKIE, screen: 0 };

  test("takes programs on the target to the client's X server, several times", async () => {
    const said = await withX(x11, `${X_PROGRAM}; ${X_PROGRAM}`);
    expect(said).toEqual({ stdout: "1: hello\n2: hello\n", stderr: "", status: 0 });
  });

  test("takes one when the client asks for one", async () => {
    const { stdout, status } = await withX({ ...x11, single: true }, `${X_PROGRAM}; ${X_PROGRAM}; echo ran`);
    expect({ stdout, status }).toEqual({ stdout: "1: hello\nran\n", status: 0 });
  });

  test("has the target know the cookie, as it came", async () => {
    rmSync(join(folder, "cookies"), { force: true });
    expect((await withX(x11, "true")).status).toBe(0);
    expect(readFileSync(join(folder, "cookies"), "utf8")).toContain(` MIT-MAGIC-COOKIE-1 ${COOKIE}\n`);
  });

  test("is refused with a cookie that is none", async () => {
    for (const bad of [{ cookie: "0011; reboot" }, { protocol: "a b" }, { cookie: "0".repeat(300) }, { screen: 256 }]) {
      expect((await withX({ ...x11, ...bad }, "true")).stderr).toContain("Unable to request X11");
      expect(await logged("x11")).toMatchObject({
        event: "operation.refusal",
        decision: { kind: "deny", refusal: "not_understood" },
      });
    }
  });

  test("is out of reach when policy does not permit it, and the command runs", async () => {
    await permit(COMMANDS, AGENT);
    const { stdout, stderr, status } = await ssh("DISPLAY=127.0.0.1:1", "-Y", 'echo "at <$DISPLAY>"');
    expect({ stdout, status }).toEqual({ stdout: "at <>\n", status: 0 });
    expect(stderr).toMatch(/^weir: X11 is not forwarded: no rule permits x11 .*$/mu);
  });

  test("ends when policy would not let it begin any more, and the command goes on", async () => {
    const program = X_PROGRAM.replace("hello", "stay");
    const said = await withX(x11, `${program}; ${X_PROGRAM}; echo ran`, () => {
      world.gateway.writePolicy("permits/all.yaml", rulesOf("Permits", COMMANDS));
    });
    expect(said).toMatchObject({ stdout: "1: stay\nran\n", status: 0 });
  });
});

describe("a target of its own mind", () => {
  for (const kind of ["x11", "agent"] as const) {
    test(`opens what nobody asked for in vain: ${kind}`, async () => {
      const said = await withTarget(kind, []);
      expect(said).toEqual({ status: 0, stdout: "(SSH) Channel open failure: nobody asked for this", stderr: "" });
    });
  }

  test("does not forward the agent: the command runs without", async () => {
    const { status, stdout, stderr } = await withTarget("agent", ["-A"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "(SSH) Channel open failure: nobody asked for this" });
    expect(stderr).toMatch(/^weir: the target does not forward the agent \(id \S+\)\n$/u);
  });
});

/** Runs a command on a server that opens a channel of this kind, where policy permits everything. */
async function withTarget(kind: "x11" | "agent", options: readonly string[]): Promise<Said> {
  const target = new Server({ hostKeys: [world.server.privateKey] }, (connection) => serve(connection, kind));
  await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
  const { port } = target.address() as { port: number };
  const { privateKey, publicKey } = world.server;
  const gateway = await startGateway({
    ssh: { host: "127.0.0.1", port, user: "box", privateKey, hostKeys: [publicKey] },
    keys: [{ subject: "ann", publicKey }],
  });
  try {
    const [, ...rest] = world.ssh;
    const command = ["ssh", "-p", `${gateway.sshPort}`, ...options, ...rest, "box@127.0.0.1", "any"];
    return await runProgram(["env", `SSH_AUTH_SOCK=${socket}`, ...command]);
  } finally {
    await gateway.stop();
    target.close();
  }
}

/** A server that answers each command with what became of a channel that it opened. */
function serve(connection: Connection, kind: "x11" | "agent"): void {
  connection.on("error", () => {});
  connection.on("authentication", (context) => context.accept());
  connection.on("session", (accept) => {
    accept().on("exec", (acceptExec) => {
      const channel = acceptExec();
      if (kind === "agent") opensAgents(connection);
      connection.x11("10.0.0.1", 6000, (error) => {
        channel.write(error ? error.message : "it was opened");
        channel.exit(0);
        channel.end();
      });
    });
  });
}

type Opener = { x11(...at: number[]): void; openssh_authAgent(...at: number[]): void };

/** What it opens as X11 from now on is an agent's channel: the package has no words for that. */
function opensAgents(connection: Connection): void {
  const protocol = Reflect.get(connection, "_protocol") as Opener;
  protocol.x11 = (...at) => protocol.openssh_authAgent(...at.slice(0, 3));
}
