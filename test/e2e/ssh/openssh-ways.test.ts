/** Ways in which people use OpenSSH's client beside plain commands: escape characters, the background, subsystems, jumps. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../servers/free-port.ts";
import { opensshOptions, ssh } from "./clients.ts";
import { missing, type Ran, run } from "./programs.ts";
import { SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

/** One of this machine's own that is not its loopback address, where no forward through the gateway may lead. */
const HERE =
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? null;

let roads: SshRoads;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-ways-"));
  const settings = { AcceptEnv: "GIT_PROTOCOL", Subsystem: "hello cat; echo hello; exit 7" };
  roads = await SshRoads.start({ sshd: { settings } });
});
afterAll(async () => {
  await roads?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves when a file is there. */
async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await Bun.sleep(10);
}

type Typed = { readonly after: string; readonly type: () => string | Promise<string> };

/** Runs ssh in a terminal and types each text when what is to come before it was shown. */
async function typing(command: readonly string[], steps: readonly Typed[]): Promise<{ status: number; seen: string }> {
  let seen = "";
  let from = 0;
  const waiting = [...steps];
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm" },
    terminal: {
      data: (terminal, bytes) => {
        seen += Buffer.from(bytes).toString();
        const [next] = waiting;
        const at = next === undefined ? -1 : seen.indexOf(next.after, from);
        if (next === undefined || at < 0) return;
        from = at + next.after.length;
        waiting.shift();
        void Promise.resolve(next.type()).then((text) => terminal.write(text));
      },
    },
  });
  return { status: await child.exited, seen };
}

describe("escape characters", () => {
  test("~. ends the connection", async () => {
    const result = await roads.compare(async (road) => {
      const command = [...ssh(road, "-tt"), "echo ready; exec cat"];
      const { status, seen } = await typing(command, [{ after: "ready\r\n", type: () => "\r~." }]);
      return { status, isSaid: seen.includes(`Connection to ${road.host} closed.`) };
    });
    expect(result).toEqual({ status: 255, isSaid: true });
  });

  test("~R exchanges the keys, and the command goes on", async () => {
    const result = await roads.compare(async (road) => {
      const log = join(road.folder, "escaped");
      rmSync(log, { force: true });
      const reading = "while read -r line; do echo got $line; test $line = last && exit 3; done";
      const { status, seen } = await typing(
        [...ssh(road, "-tt", "-v", "-E", log), `stty -echo; echo ready; ${reading}`],
        [
          { after: "ready\r\n", type: () => "first\r~R" },
          { after: "got first\r\n", type: () => "last\r" },
        ],
      );
      const exchanges = readFileSync(log, "utf8").split("SSH2_MSG_NEWKEYS received").length - 1;
      return { status, isHeard: seen.includes("got last\r\n"), exchanges };
    });
    expect(result).toEqual({ status: 3, isHeard: true, exchanges: 2 });
  });

  // Where a machine has no address but loopback no forward may lead anywhere; newer clients alone know the option.
  test.skipIf(HERE === null || !knows("EnableEscapeCommandline=yes"))("~C opens a forward", async () => {
    const greeter = await startGreeter();
    const result = await roads.compare(async (road) => {
      const port = await freePort();
      let greeting = "";
      const { status } = await typing(
        [
          ...ssh(road, "-tt", "-o", "EnableEscapeCommandline=yes"),
          "stty -echo; echo ready; read -r _; read -r _; exit 4",
        ],
        [
          { after: "ready\r\n", type: () => "\r~C" },
          { after: "ssh> ", type: () => `-L127.0.0.1:${port}:${HERE}:${greeter.port}\r` },
          {
            after: "Forwarding port.",
            type: async () => {
              greeting = await said(port);
              return "\r";
            },
          },
        ],
      );
      return { greeting, status };
    });
    greeter.server.close();
    expect(result).toEqual({ greeting: "greetings\n", status: 4 });
  });
});

/** Tells whoever connects one line. */
async function startGreeter(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => socket.end("greetings\n"));
  await new Promise<void>((resolve) => void server.listen(0, HERE ?? "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  return { server, port: address.port };
}

/** What a server on this machine says, to its end. */
function said(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1");
    socket.on("data", (chunk: Buffer) => void (text += chunk.toString()));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
}

// The option came with version 9.5.
test.skipIf(!knows("ObscureKeystrokeTiming=yes"))(
  "what is typed may be hidden among packets that say nothing",
  async () => {
    const result = await roads.compare(async (road) => {
      const command = [
        ...ssh(road, "-tt", "-o", "ObscureKeystrokeTiming=interval:20"),
        "echo ready; read -r line; exit 8",
      ];
      return (await typing(command, [{ after: "ready\r\n", type: () => "typed\r" }])).status;
    });
    expect(result).toBe(8);
  },
);

test("-n reads nothing", async () => {
  const ran = await roads.compare((road) => run([...ssh(road, "-n"), "cat; echo over"], { stdin: "not to be read\n" }));
  expect(ran).toEqual({ status: 0, stdout: "over\n", stderr: "" });
});

test("-s runs a subsystem by its name", async () => {
  const ran = await roads.compare((road) => run([...ssh(road, "-s"), "hello"], { stdin: "to it\n" }));
  expect(ran).toEqual({ status: 7, stdout: "to it\nhello\n", stderr: "" });
});

test("-f goes to the background when the command has begun", async () => {
  const result = await roads.compare(async (road) => {
    const ran = await run([
      "sh",
      "-c",
      `${ssh(road, "-f").join(" ")} 'cat; echo done > file; mv file background' <&- >&- 2>&-`,
    ]);
    await appears(join(roads.server.home, "background"));
    return ran;
  });
  expect(result).toEqual({ status: 0, stdout: "", stderr: "" });
});

test("-N -f keeps a master there until it is told to go", async () => {
  const result = await roads.compare(async (road) => {
    const master = [...opensshOptions(road), "-S", join(road.folder, "kept"), `${road.user}@${road.host}`];
    const steps: Ran[] = [await run(["sh", "-c", `ssh -M -N -f ${master.join(" ")} <&- >&- 2>&-`])];
    for (const words of [
      ["-O", "check"],
      ["-O", "exit"],
      ["-O", "check"],
    ]) {
      const { status } = await run(["ssh", ...words, ...master]);
      steps.push({ status, stdout: "", stderr: "" });
    }
    return steps.map(({ status }) => status);
  });
  expect(result).toEqual([0, 0, 0, 255]);
});

test("an agent is there for a command and for the next one of a master", async () => {
  const socket = join(folder, "agent");
  // Commands run as the account that logs in: nobody else reaches the socket on the target.
  const own = await SshRoads.start({ sshd: { shell: null } });
  const agent = Bun.spawn(["ssh-agent", "-D", "-a", socket], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  try {
    // It says where it listens when it does.
    await agent.stdout.getReader().read();
    const env = { SSH_AUTH_SOCK: socket };
    expect(await run(["ssh-add", "-q", own.server.keyFile], { env })).toMatchObject({ status: 0 });
    const result = await own.compare(async (road) => {
      const command = [
        ...ssh(road, "-A", "-o", "ControlMaster=auto", "-S", join(road.folder, "own")),
        "ssh-add -l | cut -d ' ' -f 1",
      ];
      const persisting = [command[0] ?? "", "-o", "ControlPersist=yes", ...command.slice(1)];
      const first = await run(["sh", "-c", '"$@" 2>&-', "sh", ...persisting], { env });
      const next = await run(command, { env });
      await run([...ssh(road, "-S", join(road.folder, "own"), "-O", "exit")]);
      return [first.stdout, next.stdout];
    });
    expect(result).toEqual(["256\n", "256\n"]);
  } finally {
    agent.kill("SIGKILL");
    await agent.exited;
    await own.stop();
  }
});

// It is in a package of its own.
test.skipIf(missing("git") !== null)("git speaks version 2 of its protocol", async () => {
  const version = await roads.compare(async (road) => {
    expect(await run([...ssh(road), "git init -q --bare repo.git"])).toMatchObject({ status: 0 });
    const trace = join(road.folder, "packets");
    rmSync(trace, { force: true });
    const env = {
      HOME: road.folder,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TRACE_PACKET: trace,
      GIT_SSH_COMMAND: ["ssh", ...opensshOptions(road)].join(" "),
    };
    const url = `${road.user}@${road.host}:repo.git`;
    expect(await run(["git", "-c", "protocol.version=2", "ls-remote", url], { env })).toMatchObject({ status: 0 });
    return /< version \d/u.exec(readFileSync(trace, "utf8"))?.[0];
  });
  expect(version).toBe("< version 2");
});

/** Whether the installed ssh has an option. */
function knows(option: string): boolean {
  return (
    missing("ssh") === null && Bun.spawnSync(["ssh", "-G", "-o", option, "x"], { stderr: "ignore" }).exitCode === 0
  );
}
