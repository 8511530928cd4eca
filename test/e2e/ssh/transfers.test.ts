/** What runs over SSH without being SSH: scp in its old and its new form, rsync, git, and SFTP with much in it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { digest, sampleBytes } from "./bytes.ts";
import { opensshOptions, puttyOptions } from "./clients.ts";
import { missing, run } from "./programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const BIG_FILE_BYTES = IS_LONG ? 1_000_000_000 : 30_000_000;
const TIME_S = 1_600_000_000;

let roads: SshRoads;
beforeAll(async () => {
  roads = await SshRoads.start();
});
afterAll(async () => roads.stop());

const at = (road: Road, path: string): string => `${road.user}@${road.host}:${path}`;

/** A small tree with names that a shell would read, modes and times. */
function makeTree(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "sub folder", "empty"), { recursive: true });
  const files = { plain: 0o644, "it's $HOME; `id`": 0o600, "sub folder/größe.txt": 0o640, "sub folder/run": 0o755 };
  for (const [name, mode] of Object.entries(files)) {
    writeFileSync(join(folder, name), `content of ${name}\n`);
    chmodSync(join(folder, name), mode);
    utimesSync(join(folder, name), TIME_S, TIME_S);
  }
  writeFileSync(join(folder, "nothing"), "");
  writeFileSync(join(folder, "large"), sampleBytes(2_000_000));
}

/** Every path below a folder with its kind or content, and for files their mode and, where it was kept, their time. */
function listTree(folder: string, hasTimes = true): readonly string[] {
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
  return entries.map((name) => {
    const path = join(folder, name);
    const stat = lstatSync(path);
    if (stat.isDirectory()) return `${name}/`;
    const isOld = hasTimes && stat.mtimeMs === TIME_S * 1000;
    return `${name} ${(stat.mode & 0o777).toString(8)} ${isOld ? "old" : "new"} ${digest(readFileSync(path))}`;
  });
}

const COPIES: Readonly<Record<string, (road: Road) => readonly string[]>> = {
  "scp as before": (road) => ["scp", "-O", "-q", "-rp", ...opensshOptions(road, "-P")],
  "scp over SFTP": (road) => ["scp", "-s", "-q", "-rp", ...opensshOptions(road, "-P")],
  "pscp as before": (road) => ["pscp", "-scp", "-batch", "-q", "-r", "-p", ...puttyOptions(road)],
  "pscp over SFTP": (road) => ["pscp", "-sftp", "-batch", "-q", "-r", "-p", ...puttyOptions(road)],
  rsync: (road) => ["rsync", "-a", "--no-owner", "--no-group", "-e", ["ssh", ...opensshOptions(road)].join(" ")],
};

for (const [name, command] of Object.entries(COPIES)) {
  const program = name.split(" ")[0] ?? "";
  // Each is in a package of its own, and not all of them are installed everywhere.
  test.skipIf(missing(program) !== null)(`${name} takes a tree there and back`, async () => {
    const trees = await roads.compare(async (road) => {
      const source = join(road.folder, "tree");
      const back = join(road.folder, "back");
      makeTree(source);
      rmSync(back, { recursive: true, force: true });
      mkdirSync(back);
      // The programs differ in where a tree goes when its folder is not there yet.
      mkdirSync(join(roads.server.home, "kept"));
      chmodSync(join(roads.server.home, "kept"), 0o777);
      const up = await run([...command(road), source, at(road, "kept")], { env: { HOME: road.folder } });
      const there = listTree(roads.server.home);
      const down = await run([...command(road), at(road, "kept"), back], { env: { HOME: road.folder } });
      return { up, down, source: listTree(source), there, back: listTree(back) };
    });
    expect(trees.up).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(trees.down).toEqual({ status: 0, stdout: "", stderr: "" });
    const contents = (tree: readonly string[]): readonly string[] => tree.map((line) => line.split(" ").at(-1) ?? "");
    for (const digestOfFile of contents(trees.source).filter((word) => !word.endsWith("/"))) {
      expect(contents(trees.there)).toContain(digestOfFile);
      expect(contents(trees.back)).toContain(digestOfFile);
    }
  });
}

test(
  `a file of ${BIG_FILE_BYTES / 1_000_000} MB over SFTP, there and back`,
  async () => {
    const block = sampleBytes(1_000_000);
    const result = await roads.compare(async (road) => {
      const local = join(road.folder, "big");
      const back = join(road.folder, "big-back");
      const file = openSync(local, "w");
      for (let i = 0; i < BIG_FILE_BYTES; i += block.length) writeSync(file, block);
      closeSync(file);
      const ran = await run(["sftp", "-q", ...opensshOptions(road, "-P"), "-b", "-", `${road.user}@${road.host}`], {
        stdin: `put ${local} big\nget big ${back}\n`,
      });
      const sums = await run(["sha256sum", local, join(roads.server.home, "big"), back]);
      for (const file of [local, back]) rmSync(file);
      return {
        status: ran.status,
        sums: new Set(
          sums.stdout
            .trim()
            .split("\n")
            .map((line) => line.slice(0, 64)),
        ).size,
      };
    });
    expect(result).toEqual({ status: 0, sums: 1 });
  },
  TEST_TIME_MS_MAX * (IS_LONG ? 10 : 1),
);

test("a transfer that broke off is taken up again", async () => {
  const content = sampleBytes(1_000_000);
  const result = await roads.compare(async (road) => {
    const local = join(road.folder, "whole");
    const back = join(road.folder, "whole-back");
    writeFileSync(local, content);
    const sftp = ["sftp", "-q", ...opensshOptions(road, "-P"), "-b", "-", `${road.user}@${road.host}`];
    writeFileSync(join(road.folder, "half"), content.subarray(0, 400_000));
    writeFileSync(back, content.subarray(0, 700_000));
    const ran = await run(sftp, {
      stdin: `put ${join(road.folder, "half")} part\nreput ${local} part\nreget part ${back}\n`,
    });
    return {
      status: ran.status,
      there: digest(readFileSync(join(roads.server.home, "part"))),
      back: digest(readFileSync(back)),
    };
  });
  expect(result).toEqual({ status: 0, there: digest(content), back: digest(content) });
});

test("what SFTP can do to a file beside its content", async () => {
  const result = await roads.compare(async (road) => {
    writeFileSync(join(roads.server.home, "file"), "content\n");
    chmodSync(join(roads.server.home, "file"), 0o666);
    const ran = await run(["sftp", "-q", ...opensshOptions(road, "-P"), "-b", "-", `${road.user}@${road.host}`], {
      stdin:
        "chmod 777 .\nln -s file symbolic\nln file hard\nls -1\nmkdir a\nrename file a/moved\ncd a\nls -1\npwd\nrm moved\n-rm moved\ndf\n",
    });
    return { status: ran.status, stderr: ran.stderr, words: ran.stdout.replace(/^sftp> df[^]*$/mu, "") };
  });
  expect(result.status).toBe(0);
  expect(result.words).toContain("hard\n");
});

describe("git", () => {
  const GIT = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
  const author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];

  // It is in a package of its own.
  test.skipIf(missing("git") !== null)("clones, pushes and fetches", async () => {
    const result = await roads.compare(async (road) => {
      const env = { ...GIT, HOME: road.folder, GIT_SSH_COMMAND: ["ssh", ...opensshOptions(road)].join(" ") };
      const git = async (folder: string, ...args: readonly string[]): Promise<string> => {
        const { status, stdout, stderr } = await run(["git", ...author, ...args], { env, cwd: folder });
        expect({ road: road.name, args, status, stderr: status === 0 ? "" : stderr }).toMatchObject({ status: 0 });
        return stdout;
      };
      const made = await run([
        "ssh",
        ...opensshOptions(road),
        `${road.user}@${road.host}`,
        "git init -q --bare -b main repo.git",
      ]);
      expect(made).toEqual({ status: 0, stdout: "", stderr: "" });
      const url = at(road, "repo.git");
      const [one, two] = [join(road.folder, "one"), join(road.folder, "two")];
      for (const folder of [one, two]) rmSync(folder, { recursive: true, force: true });
      await git(road.folder, "clone", "-q", url, one);
      writeFileSync(join(one, "file"), sampleBytes(500_000));
      await git(one, "add", "file");
      await git(one, "commit", "-q", "-m", "First", "--date=@1600000000");
      await git(one, "push", "-q", "origin", "HEAD:main");
      await git(road.folder, "clone", "-q", "--depth=1", "-b", "main", url, two);
      writeFileSync(join(one, "second"), "second\n");
      await git(one, "add", "second");
      await git(one, "commit", "-q", "-m", "Second");
      await git(one, "push", "-q", "origin", "HEAD:main");
      await git(two, "pull", "-q", "--ff-only");
      const subjects = await git(two, "log", "--format=%s");
      return {
        subjects,
        file: digest(readFileSync(join(two, "file"))),
        second: readFileSync(join(two, "second"), "utf8"),
      };
    });
    expect(result).toEqual({ subjects: "Second\nFirst\n", file: digest(sampleBytes(500_000)), second: "second\n" });
  });
});

// Not every machine has it, and an ordinary user cannot install it.
test.skipIf(missing("ansible") !== null)(
  "ansible reaches the target",
  async () => {
    const words = await roads.compare(async (road) => {
      const inventory = join(road.folder, "inventory");
      // Named to ssh alone: ansible would look for the home folder of a user it knows of elsewhere than this server has it.
      const args = [...opensshOptions(road), "-o", `User=${road.user}`].join(" ");
      writeFileSync(
        inventory,
        `target ansible_host=${road.host} ansible_port=${road.port} ansible_ssh_common_args='${args}' ansible_python_interpreter=/usr/bin/python3\n`,
      );
      const env = {
        HOME: road.folder,
        ANSIBLE_HOST_KEY_CHECKING: "False",
        ANSIBLE_NOCOLOR: "1",
        // In seconds, for a connection; ten when nothing is said.
        ANSIBLE_TIMEOUT: "240",
      };
      const ping = await run(["ansible", "all", "-i", inventory, "-m", "ping"], { env });
      const copy = await run(["ansible", "all", "-i", inventory, "-m", "copy", "-a", "content=hello dest=copied"], {
        env,
      });
      return [ping.stdout, copy.status, readFileSync(join(roads.server.home, "copied"), "utf8")];
    });
    expect(words).toEqual([expect.stringContaining('"ping": "pong"'), 0, "hello"]);
  },
  TEST_TIME_MS_MAX * 5,
);
