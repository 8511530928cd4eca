/** Recordings and masks of SSH through a whole gateway, and what is left of a session whose recording fails. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PolicedSsh, rulesOf, runProgram, type Said, startPolicedSsh } from "../e2e/ssh/policed-ssh.ts";
import { recordingsOf } from "../e2e/postgres/recorded.ts";
import { castOf } from "../kept-recording.ts";
import { type Auditor, newAuditor } from "../recordings.ts";

setDefaultTimeout(240_000);

const CARD = "4111111111111111";
const PERMIT = `{ id: all, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }`;
const RECORD = `{ id: recorded, action: { any: true }, oblige: { record: [input, output, raw] } }`;
const MASK = `{ id: masked, action: { ssh: {} }, oblige: { mask: [{ classifiers: [card-number], with: redact }] } }`;

async function worldOf(auditor: Auditor | null, ...guards: readonly string[]): Promise<PolicedSsh> {
  return startPolicedSsh(
    { "permits/all.yaml": rulesOf("Permits", PERMIT), "guards/all.yaml": rulesOf("Guards", ...guards) },
    auditor === null ? {} : { config: { audit: { seal: { recipients: [auditor.recipient] } } } },
  );
}

const run = (world: PolicedSsh, ...command: readonly string[]): Promise<Said> =>
  runProgram([...world.ssh, ...command], "");

/** The last recording of this kind, when it has ended. */
async function lastEnded({ gateway }: PolicedSsh, kind: "transcript" | "asciicast"): Promise<string> {
  for (;;) {
    const last = recordingsOf(gateway, "ann").findLast((facts) => facts.kind === kind);
    if (last !== undefined && last.endedMs !== null) return last.id;
    await Bun.sleep(20);
  }
}

describe("what is recorded of SSH", () => {
  let auditor: Auditor;
  let world: PolicedSsh;
  let identityFile: string;

  beforeAll(async () => {
    auditor = await newAuditor();
    world = await worldOf(auditor, RECORD, MASK);
    identityFile = join(world.gateway.folder, "auditor.txt");
    writeFileSync(identityFile, `${auditor.identity}\n`);
  });
  afterAll(async () => {
    await world?.stop();
  });

  test("of a command: itself, its masked output and its end in the clear, what masks hid sealed", async () => {
    const { gateway } = world;
    const said = await runProgram([...world.ssh, "box@127.0.0.1", `cat; echo ${CARD}; echo oh >&2; exit 3`], "typed\n");
    expect(said).toEqual({ status: 3, stdout: "typed\n***\n", stderr: "oh\n" });
    const id = await lastEnded(world, "transcript");
    const shown = await gateway.weir("audit", "replay", id, "--at-once");
    expect(shown.status).toBe(0);
    for (const part of [`> cat; echo ${CARD}`, "    | ***", "    ! oh", "(stdin: 6 bytes, SHA-256 ", "< failed, 3"]) {
      expect(shown.stdout).toContain(part);
    }
    const opened = await gateway.weir("audit", "unseal", id, "--identity", identityFile, "--reason", "test");
    expect(opened.stdout).toContain(`| ${CARD}`);
  });

  test("of a terminal: an asciicast of what was seen, and what was typed sealed", async () => {
    const { gateway } = world;
    const typed = `stty -echo; echo ${CARD}; printf 'a%sb' c; exit 4\n`;
    const said = await runProgram([...world.ssh, "-tt", "box@127.0.0.1"], typed);
    expect(said.status).toBe(4);
    expect(said.stdout).toContain("***\r\n");
    expect(said.stdout).not.toContain(CARD);
    const id = await lastEnded(world, "asciicast");
    const shown = await gateway.weir("audit", "replay", id, "--json");
    const { header, events } = castOf(
      shown.stdout.split("\n").filter((line) => line.startsWith('{"version') || line.startsWith("[")),
    );
    expect(header).toMatchObject({ version: 3 });
    const output = events.filter(([, code]) => code === "o").map(([, , data]) => data);
    expect(output.join("")).toBe(said.stdout);
    expect(events.at(-1)).toEqual([expect.any(Number), "x", "4"]);
    expect(events.some(([, code]) => code === "i")).toBe(false);
    const opened = await gateway.weir("audit", "unseal", id, "--identity", identityFile, "--reason", "test");
    expect(opened.stdout).toContain("stty -echo");
    expect(opened.stdout).toContain(CARD);
  });

  test("scp under a mask is refused before anything of it reaches the target", async () => {
    const file = join(world.server.home, "upload");
    const said = await runProgram(["scp", "-O", ...world.ssh.slice(1), identityFile, `box@127.0.0.1:${file}`], "");
    expect(said.status).not.toBe(0);
    expect(said.stderr).toContain("cannot be masked");
    expect(existsSync(file)).toBe(false);
  });
});

describe("a recording that fails", () => {
  let world: PolicedSsh;
  let recordings: string;

  beforeAll(async () => {
    world = await worldOf(null, `{ id: recorded, action: { any: true }, oblige: { record: [output] } }`);
    recordings = join(world.gateway.folder, "data", "recordings.db");
  });
  afterAll(async () => {
    await world?.stop();
  });

  test("in the middle ends the session, and nothing typed after reaches the target", async () => {
    const { server } = world;
    const child = Bun.spawn([...world.ssh, "-tt", "box@127.0.0.1"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = child.stdout.getReader();
    let seen = "";
    const until = async (text: string): Promise<void> => {
      while (!seen.includes(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`ssh has ended: ${seen}`);
        seen += Buffer.from(value).toString();
      }
    };
    void child.stdin.write("echo rea''dy\n");
    await until("ready");
    renameSync(recordings, `${recordings}.gone`);
    // More than a segment holds: it is to be stored now.
    void child.stdin.write("head -c 40000000 /dev/zero | tr '\\0' x\n");
    void child.stdin.write("touch after\n");
    while (!(await reader.read()).done);
    expect(await child.exited).not.toBe(0);
    expect(existsSync(join(server.home, "after"))).toBe(false);
  });

  test("to begin refuses, and nothing of it reaches the target", async () => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${recordings}${suffix}`, { force: true });
    writeFileSync(recordings, "this is no file of recordings, and long enough to be taken for a broken one".repeat(20));
    for (const command of [
      ["box@127.0.0.1", "touch before"],
      ["-tt", "box@127.0.0.1", "touch before"],
    ]) {
      const said = await run(world, ...command);
      expect(said.status).not.toBe(0);
      expect(`${said.stdout}${said.stderr}`).toContain("record");
    }
    expect(existsSync(join(world.server.home, "before"))).toBe(false);
    // Nor has what was typed in the middle arrived since.
    expect(existsSync(join(world.server.home, "after"))).toBe(false);
  });
});
