/** OpenSSH's own sftp, without SSH around it: it does through a gateway what it does without one. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";

const told = v.object({
  judged: v.array(v.tuple([v.string(), v.string()])),
  outcomes: v.array(v.tuple([v.string(), v.looseObject({ status: v.string() })])),
  reports: v.array(v.string()),
});

let base: string;
let local: string;
let home: string;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "weir-sftp-client-")));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));
beforeEach(() => {
  for (const each of readdirSync(base)) rmSync(join(base, each), { recursive: true, force: true });
  local = join(base, "local");
  home = join(base, "home");
  mkdirSync(local);
  mkdirSync(home);
});

/** Runs the client's commands before a gateway that permits `folders`, all when left out. */
async function sftp(
  commands: readonly string[],
  folders: readonly string[] = [],
): Promise<{ status: number; stdout: string; stderr: string; told: v.InferOutput<typeof told> }> {
  const [bridge, judged] = [join(base, "bridge"), join(base, "judged.json")];
  const program = join(import.meta.dir, "../../../test/sftp-bridge.ts");
  writeFileSync(bridge, `#!/bin/sh\nexec '${process.execPath}' '${program}' ${folders.join(" ")}\n`);
  chmodSync(bridge, 0o755);
  const child = Bun.spawn(["sftp", "-b", "-", "-D", bridge], {
    cwd: local,
    env: { ...process.env, SFTP_HOME: home, SFTP_JUDGED: judged },
    stdin: Buffer.from(`${commands.join("\n")}\n`),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  while (!existsSync(judged)) await Bun.sleep(5);
  return { status, stdout, stderr, told: v.parse(told, JSON.parse(readFileSync(judged, "utf8"))) };
}

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

test("files of many sizes go up and come down as they were, each with its hash in the record", async () => {
  const sizes = [0, 1, 32_767, 32_768, 261_120, 261_121, 3_000_000];
  for (const size of sizes) writeFileSync(join(local, `up-${size}`), randomBytes(size));
  const {
    status,
    stderr,
    told: record,
  } = await sftp([...sizes.map((size) => `put up-${size}`), ...sizes.map((size) => `get up-${size} down-${size}`)]);
  expect([status, stderr, record.reports]).toEqual([0, "", []]);
  for (const size of sizes) {
    const sum = sha256(join(local, `up-${size}`));
    expect([sha256(join(home, `up-${size}`)), sha256(join(local, `down-${size}`))]).toEqual([sum, sum]);
    const of = record.outcomes.filter(([text]) => text.startsWith("open-") && text.includes(`/up-${size}"`));
    expect(of.map(([, outcome]) => outcome)).toEqual(
      Array.from({ length: 2 }, () => ({ status: "done", bytes: size, ...(size === 0 ? {} : { sha256: sum }) })),
    );
  }
});

test("what was broken off goes on where it stopped", async () => {
  const content = randomBytes(700_000);
  writeFileSync(join(local, "whole"), content);
  writeFileSync(join(home, "whole"), content.subarray(0, 300_000));
  writeFileSync(join(home, "other"), content);
  writeFileSync(join(local, "other"), content.subarray(0, 100_000));
  const { status, told: record } = await sftp(["reput whole", "reget other"]);
  expect(status).toBe(0);
  expect(readFileSync(join(home, "whole")).equals(content)).toBe(true);
  expect(readFileSync(join(local, "other")).equals(content)).toBe(true);
  const ranges = record.outcomes.filter(([text]) => text.startsWith("open-")).map(([, outcome]) => outcome["ranges"]);
  expect(ranges).toEqual(["a", "r100000-699999"]);
});

test("folders, links, modes, copies, free space", async () => {
  writeFileSync(join(local, "a"), "content");
  mkdirSync(join(local, "tree/deep"), { recursive: true });
  for (let n = 0; n < 30; n++) appendFileSync(join(local, `tree/deep/file-${n}`), `${n}`);
  const { status, stdout, stderr } = await sftp([
    "put a",
    "rename a b",
    "chmod 600 b",
    "cp b c",
    "ln -s b soft",
    "ln b hard",
    "mkdir d",
    "put -R tree",
    "get -R tree back",
    "cd d",
    "pwd",
    "df -h",
    "ls -la ..",
    "rm ../c",
    "cd ..",
    "rmdir d",
  ]);
  expect([status, stderr]).toEqual([0, ""]);
  expect(readdirSync(home).toSorted()).toEqual(["b", "hard", "soft", "tree"]);
  expect(statSync(join(home, "b")).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, "b")).nlink).toBe(2);
  expect(readlinkSync(join(home, "soft"))).toBe("b");
  expect(readdirSync(join(local, "back/deep"))).toHaveLength(30);
  expect(stdout).toContain(`Remote working directory: ${home}/d`);
  expect(stdout).toContain("%Capacity");
});

describe("what is refused", () => {
  test("fails with the reason on stderr; what is permitted goes on", async () => {
    mkdirSync(join(home, "open"));
    writeFileSync(join(home, "secret"), "secret");
    writeFileSync(join(local, "a"), "content");
    const {
      status,
      stderr,
      told: record,
    } = await sftp(
      ["cd open", "-get ../secret", "-put a ../secret", "-rm ../secret", "put a", "get a b"],
      [join(home, "open")],
    );
    expect(status).toBe(0);
    expect(stderr).toContain("weir: policy does not permit this (rules r; id ");
    expect(existsSync(join(local, "secret"))).toBe(false);
    expect(readFileSync(join(home, "secret"), "utf8")).toBe("secret");
    expect(readFileSync(join(local, "b"), "utf8")).toBe("content");
    expect(record.judged.filter(([, kind]) => kind === "deny").length).toBeGreaterThanOrEqual(3);
  });
});
