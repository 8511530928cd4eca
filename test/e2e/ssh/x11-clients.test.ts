/** `ssh -X` and `ssh -Y` with OpenSSH's own client where policy permits X11: programs on the target reach the client's X server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPolicedSsh, type PolicedSsh, rulesOf, runProgram, type Said } from "./policed-ssh.ts";
import { missing } from "./programs.ts";

setDefaultTimeout(240_000);

const COOKIE = "00112233445566778899aabbccddeeff";
const PROTOCOL = "MIT-MAGIC-COOKIE-1";
/** X servers listen at these ports. */
const FIRST_PORT = 6_000;
const DISPLAYS = { first: 100, last: 200 };
/** What an X client sends first: its byte order, version 11, and how long the name of the protocol and the cookie are. */
const SETUP_HEADER_BYTES = 12;
const NAME_BYTES = 20;

let world: PolicedSsh;
let folder: string;
let display: X11Display;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-x11-"));
  display = await startDisplay();
  // Nothing is written into anybody's home: what the target's sshd would have its xauth keep is kept here.
  const xauth = script("target-xauth", `cat > ${join(folder, "cookies")}`);
  world = await startPolicedSsh(
    {
      "permits/all.yaml": rulesOf(
        "Permits",
        "{ id: commands, subject: { any: true }, target: { names: [box] }, action: { ssh: { channels: [exec, x11] } }, allowOpaque: true }",
      ),
    },
    {},
    { shell: null, settings: { X11Forwarding: "yes", XAuthLocation: xauth } },
  );
});
afterAll(async () => {
  await world?.stop();
  display?.server.close();
  rmSync(folder, { recursive: true, force: true });
});

function script(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

type X11Display = { readonly server: Server; readonly name: string; readonly cookies: string[] };

/** An X server that keeps the cookies of those who connect, and answers each with a word. */
async function startDisplay(): Promise<X11Display> {
  const cookies: string[] = [];
  const server = createServer((socket) => {
    let setup = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      setup = Buffer.concat([setup, chunk]);
      if (setup.length < SETUP_HEADER_BYTES + NAME_BYTES + COOKIE.length / 2) return;
      cookies.push(setup.toString("hex", SETUP_HEADER_BYTES + NAME_BYTES));
      socket.end("welcome\n");
    });
  });
  for (let number = DISPLAYS.first; number <= DISPLAYS.last; number++) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    server.once("error", () => resolve(false));
    server.listen(FIRST_PORT + number, "127.0.0.1", () => resolve(true));
    if (await promise) return { server, name: `127.0.0.1:${number}`, cookies };
  }
  throw new Error("all displays are taken");
}

/** Connects as any X program does, with the cookie that was given to the target. */
const X_PROGRAM = [
  `cookie=$(sed -n "s/^add .* ${PROTOCOL} //p" FOLDER/cookies)`,
  "number=${DISPLAY##*:}",
  "exec 3<>/dev/tcp/127.0.0.1/$((6000 + ${number%.*}))",
  String.raw`printf 'l\000\013\000\000\000\022\000\020\000\000\000${PROTOCOL}\000\000' >&3`,
  String.raw`printf "$(echo $cookie | sed 's/../\\x&/g')" >&3`,
  "cat <&3",
  "echo $cookie",
].join("; ");

async function ssh(options: readonly string[], environment: readonly string[]): Promise<Said> {
  const file = join(folder, "x-program");
  writeFileSync(file, X_PROGRAM.replaceAll("FOLDER", folder));
  const set = [`DISPLAY=${display.name}`, ...environment];
  return runProgram(["env", ...set, ...world.ssh, ...options, "box@127.0.0.1", `bash ${file}`]);
}

/** The client gives the target a cookie that it makes up, and its X server the true one. */
function expectWelcome({ status, stdout, stderr }: Said): void {
  const [word, shown = ""] = stdout.split("\n");
  expect({ status, word, stderr }).toEqual({ status: 0, word: "welcome", stderr: "" });
  expect(shown).toMatch(/^[0-9a-f]{32}$/u);
  expect(shown).not.toBe(COOKIE);
  expect(display.cookies.splice(0)).toEqual([COOKIE]);
}

// xauth is in a package of its own.
test.skipIf(missing("xauth") !== null)("-Y, with the cookie that xauth knows", async () => {
  const authority = join(folder, "authority");
  const added = await runProgram(["xauth", "-q", "-f", authority, "add", display.name, PROTOCOL, COOKIE]);
  expect({ ...added, stderr: "" }).toEqual({ status: 0, stdout: "", stderr: "" });
  expectWelcome(await ssh(["-Y"], [`XAUTHORITY=${authority}`]));
});

test("-X, with a cookie that the X server gave out for it", async () => {
  // Only a real X server makes cookies of limited use: what it would have said is said here.
  const asked = join(folder, "asked");
  const xauth = script(
    "client-xauth",
    `echo "$*" >> ${asked}\ncase "$*" in *list*) echo "${display.name}  ${PROTOCOL}  ${COOKIE}" ;; esac`,
  );
  expectWelcome(await ssh(["-X", "-o", "ForwardX11Trusted=no", "-o", `XAuthLocation=${xauth}`], []));
  expect(readFileSync(asked, "utf8")).toContain(`generate ${display.name} ${PROTOCOL} untrusted timeout`);
});

test("a program with another cookie is turned away by the client", async () => {
  const program = X_PROGRAM.replace("; cat", "; echo connected; cat").replace("$(echo $cookie", `$(echo ${COOKIE}`);
  const file = join(folder, "stranger");
  writeFileSync(file, program.replaceAll("FOLDER", folder));
  const command = [...world.ssh, "-Y", "box@127.0.0.1", `bash ${file}`];
  const { stdout } = await runProgram(["env", `DISPLAY=${display.name}`, "XAUTHORITY=/nonexistent", ...command]);
  expect(stdout.startsWith("connected\n")).toBe(true);
  expect(stdout).not.toContain("welcome");
  expect(display.cookies.splice(0)).toEqual([]);
});
