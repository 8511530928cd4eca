/** What the OpenSSH client can do with a session works through the gateway as it does directly. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digest, sampleBytes } from "./bytes.ts";
import { ssh } from "./clients.ts";
import { type Ran, run } from "./programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const MEGABYTES = IS_LONG ? 1000 : 30;
const MEGABYTE = sampleBytes(1_000_000);
const CHANNELS = 10;

let roads: SshRoads;
beforeAll(async () => {
  roads = await SshRoads.start({ sshd: { settings: { AcceptEnv: "LANG LC_* GIT_PROTOCOL SECRET_*" } } });
});
afterAll(async () => roads.stop());

const exec = (road: Road, command: string, ...options: readonly string[]): Promise<Ran> =>
  run([...ssh(road, ...options), command]);

test(
  `${MEGABYTES} MB both ways at once`,
  async () => {
    const result = await roads.compare(async (road) => {
      const child = Bun.spawn([...ssh(road), "tee >(sha256sum >&2)"], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      });
      const sent = createHash("sha256");
      const received = createHash("sha256");
      const send = async (): Promise<void> => {
        for (let i = 0; i < MEGABYTES; i++) {
          sent.update(MEGABYTE);
          await child.stdin.write(MEGABYTE);
          await child.stdin.flush();
        }
        await child.stdin.end();
      };
      const receive = async (): Promise<void> => {
        for await (const chunk of child.stdout) received.update(chunk);
      };
      const [stderr] = await Promise.all([new Response(child.stderr).text(), send(), receive()]);
      const [there] = stderr.split(" ");
      return { status: await child.exited, there, sent: sent.digest("hex"), received: received.digest("hex") };
    });
    expect(result).toEqual({ status: 0, there: result.sent, sent: result.sent, received: result.sent });
  },
  TEST_TIME_MS_MAX * (IS_LONG ? 10 : 1),
);

test("a terminal has its size, and gets a new one", async () => {
  const text = await roads.compare(async (road) => {
    const resized = 'while [ "$(stty size)" = "31 101" ]; do sleep 0.02; done; stty size';
    const command = `stty size; ${resized}; read -r line; echo $TERM $line; exit 5`;
    let seen = "";
    const waits = ["31 101\r\n", "21 77\r\n"];
    const child = Bun.spawn([...ssh(road, "-tt"), command], {
      env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color" },
      terminal: {
        cols: 101,
        rows: 31,
        data: (terminal, bytes) => {
          seen += Buffer.from(bytes).toString();
          if (waits.length === 0 || !seen.includes(waits[0] ?? "")) return;
          waits.shift();
          if (waits.length > 0) terminal.resize(77, 21);
          else terminal.write("typed\n");
        },
      },
    });
    const status = await child.exited;
    return { status, lines: seen.split("\r\n").filter((line) => !line.startsWith("Connection to ")) };
  });
  expect(text).toEqual({ status: 5, lines: ["31 101", "21 77", "typed", "xterm-256color typed", ""] });
});

test("a login shell with a terminal is typed into", async () => {
  const result = await roads.compare(async (road) => {
    const { status, stdout } = await run(ssh(road, "-tt"), {
      stdin: "stty -echo; PS1=; unset PROMPT_COMMAND\necho $((6 * 7)) is the answer\nexit 3\n",
    });
    return { status, isAnswered: stdout.includes("\n42 is the answer\r\n") };
  });
  expect(result).toEqual({ status: 3, isAnswered: true });
});

test("a login shell without a terminal reads its commands", async () => {
  const ran = await roads.compare((road) => run(ssh(road, "-T"), { stdin: "echo out\necho err >&2\nexit 9\n" }));
  expect(ran).toEqual({ status: 9, stdout: "out\n", stderr: "err\n" });
});

test("a control-C reaches the command of a terminal", async () => {
  const result = await roads.compare(async (road) => {
    let seen = "";
    let isTyped = false;
    const child = Bun.spawn(
      [...ssh(road, "-tt"), "trap 'echo interrupted; exit 6' INT; echo ready; while :; do sleep 0.1; done"],
      {
        env: { PATH: process.env["PATH"] ?? "", TERM: "xterm" },
        terminal: {
          data: (terminal, bytes) => {
            seen += Buffer.from(bytes).toString();
            if (isTyped || !seen.includes("ready\r\n")) return;
            isTyped = true;
            terminal.write("\x03");
          },
        },
      },
    );
    return { status: await child.exited, isInterrupted: seen.includes("interrupted\r\n") };
  });
  expect(result).toEqual({ status: 6, isInterrupted: true });
});

test("the end of the input goes on its own, and output after it arrives", async () => {
  const command = "cat > in; echo after; echo problem >&2; sleep 0.2; cat in; exit 4";
  const ran = await roads.compare((road) => run([...ssh(road), command], { stdin: "input\n" }));
  expect(ran).toEqual({ status: 4, stdout: "after\ninput\n", stderr: "problem\n" });
});

test("the end of the output goes on its own, and input after it arrives", async () => {
  const result = await roads.compare(async (road) => {
    const child = Bun.spawn([...ssh(road), "exec >&- 2>&-; cat > late"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await new Response(child.stdout).text()).toBe("");
    await child.stdin.write("late input\n");
    await child.stdin.end();
    const status = await child.exited;
    return { status, late: readFileSync(join(roads.server.home, "late"), "utf8") };
  });
  expect(result).toEqual({ status: 0, late: "late input\n" });
});

test("a reader that stops reading stops the writer, and nothing is lost", async () => {
  const result = await roads.compare(async (road) => {
    const child = Bun.spawn(["sh", "-c", `${ssh(road).join(" ")} 'yes | head -c 30000000' | (sleep 1; sha256sum)`], {
      stdout: "pipe",
    });
    return new Response(child.stdout).text();
  });
  expect(result).toBe(`${digest(Buffer.alloc(30_000_000, "y\n"))}  -\n`);
});

test("a reader that goes away ends the writer", async () => {
  const command = "yes; echo $? > status; mv status ended";
  const result = await roads.compare(async (road) => {
    await run(["sh", "-c", `${ssh(road).join(" ")} '${command}' | head -n 1`]);
    await appears(join(roads.server.home, "ended"));
    return readFileSync(join(roads.server.home, "ended"), "utf8");
  });
  expect(result).toMatch(/^(1|141)\n$/u);
});

test("exit statuses, those of ssh itself too", async () => {
  for (const status of [0, 1, 100, 126, 127, 254, 255]) {
    expect(await roads.compare((road) => exec(road, `exit ${status}`))).toEqual({ status, stdout: "", stderr: "" });
  }
  const unknown = await roads.compare((road) => exec(road, "no-such-command-at-all"));
  expect(unknown).toEqual({ status: 127, stdout: "", stderr: expect.stringContaining("command not found") });
});

test("a key that nobody knows is not let in", async () => {
  const other = join(roads.all[0]?.folder ?? "", "other");
  expect(await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other])).toMatchObject({ status: 0 });
  const result = await roads.compare(async (road) => {
    const { status, stderr } = await exec({ ...road, keyFile: other }, "true");
    return { status, isDenied: stderr.includes("Permission denied") };
  });
  expect(result).toEqual({ status: 255, isDenied: true });
});

test("a subsystem that is not there is refused", async () => {
  const [direct, gateway] = roads.all;
  const ask = (road: Road): Promise<Ran> => run([...ssh(road, "-s"), "no-such-subsystem"]);
  expect(await ask(direct)).toMatchObject({ status: 255, stderr: expect.stringContaining("subsystem request failed") });
  // The gateway has said yes by then, so that a refusal could be said in words: it says this in words, too.
  expect(await ask(gateway)).toMatchObject({ status: 126, stderr: expect.stringMatching(/^weir: /u) });
});

test("ten channels at once over one connection", async () => {
  const outputs = await roads.compare(async (road) => {
    const socket = join(road.folder, "master");
    const master = Bun.spawn([...ssh(road, "-M", "-N", "-S", socket)], { stdin: "ignore", stderr: "ignore" });
    try {
      await appears(socket);
      const input = sampleBytes(500_000);
      const command = (n: number): string => `echo ${n} >&2; sha256sum; exit ${n}`;
      const all = Array.from({ length: CHANNELS }, (_, n) =>
        run([...ssh(road, "-S", socket, "-o", "ControlMaster=no"), command(n)], { stdin: input.subarray(0, 1000 * n) }),
      );
      return await Promise.all(all);
    } finally {
      // Not by a signal: the client misses one that comes right before it waits for what happens next.
      await run([...ssh(road, "-S", socket, "-O", "exit")]);
      await master.exited;
    }
  });
  const input = sampleBytes(500_000);
  const sums = outputs.map((_, n) => `${digest(input.subarray(0, 1000 * n))}  -\n`);
  expect(outputs).toEqual(sums.map((stdout, n) => ({ status: n, stdout, stderr: `${n}\n` })));
});

test("keys are exchanged anew with every megabyte", async () => {
  const input = sampleBytes(10_000_000);
  const { sum, back } = await roads.compare(async (road) => {
    const log = join(road.folder, "rekey");
    const limit = ["-o", "RekeyLimit=1M", "-v", "-E", log];
    const { stdout } = await run([...ssh(road, ...limit), "sha256sum"], { stdin: input });
    const exchanges = readFileSync(log, "utf8").split("SSH2_MSG_NEWKEYS received").length - 1;
    expect({ road: road.name, isOften: exchanges >= 10 }).toEqual({ road: road.name, isOften: true });
    const down = await run([...ssh(road, "-o", "RekeyLimit=1M"), "yes | head -c 10000000 | tee >(sha256sum >&2)"]);
    return { sum: stdout, back: [down.stdout.length, down.stderr] };
  });
  expect(sum).toBe(`${digest(input)}  -\n`);
  expect(back).toEqual([10_000_000, `${digest(Buffer.alloc(10_000_000, "y\n"))}  -\n`]);
});

test("keepalives are answered while nothing else happens", async () => {
  const result = await roads.compare(async (road) => {
    const log = join(road.folder, "alive");
    rmSync(log, { force: true });
    // Not so few that a machine that has much else to do is taken for a server that is gone.
    const alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=200", "-vvv", "-E", log];
    const silent = exec(road, "while ! [ -e enough ]; do sleep 0.1; done; echo done", ...alive);
    // SSH_MSG_REQUEST_SUCCESS or SSH_MSG_REQUEST_FAILURE (RFC 4254, section 4): nothing else here asks for an answer.
    const isAnswered = (): boolean =>
      existsSync(log) && /receive packet: type 8[12]\b/u.test(readFileSync(log, "utf8"));
    while (!isAnswered()) await Bun.sleep(20);
    writeFileSync(join(roads.server.home, "enough"), "");
    return silent;
  });
  expect(result).toEqual({ status: 0, stdout: "done\n", stderr: "" });
});

test("the environment holds what both sides let pass", async () => {
  const env = { LANG: "C.UTF-8", LC_TIME: "C.UTF-8", SECRET_OF_CLIENT: "hidden", GIT_PROTOCOL: "version=2" };
  const send = ["-o", "SendEnv=LANG LC_* GIT_PROTOCOL"];
  const passed = await roads.compare((road) =>
    run([...ssh(road, ...send), 'echo "$LANG|$LC_TIME|$GIT_PROTOCOL"'], { env }),
  );
  expect(passed).toEqual({ status: 0, stdout: "C.UTF-8|C.UTF-8|version=2\n", stderr: "" });
});

test("a client that dies takes its command along", async () => {
  const result = await roads.compare(async (road) => {
    const child = Bun.spawn([...ssh(road, "-tt"), "echo $$ > p; mv p pid; exec sleep 1000"], {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
    });
    const file = join(roads.server.home, "pid");
    await appears(file);
    const pid = Number(readFileSync(file, "utf8"));
    child.kill("SIGKILL");
    await child.exited;
    await vanishes(`/proc/${pid}`);
    return "gone";
  });
  expect(result).toBe("gone");
});

test("a target that dies ends its sessions", async () => {
  const doomed = await SshRoads.start();
  try {
    for (const road of doomed.all) {
      doomed.reset();
      const running = exec(road, "touch started; sleep 1000");
      await appears(join(doomed.server.home, "started"));
      await doomed.server.kill();
      expect((await running).status).toBe(255);
      await doomed.server.restart();
    }
  } finally {
    await doomed.stop();
  }
});

/** Resolves when a file is there. */
async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await Bun.sleep(10);
}

async function vanishes(path: string): Promise<void> {
  while (existsSync(path)) await Bun.sleep(10);
}
