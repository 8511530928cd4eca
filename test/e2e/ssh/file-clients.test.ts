/** Clients that bring an SFTP of their own do to files through the gateway what they do directly: lftp, sshfs and the package ssh2. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type SFTPWrapper } from "ssh2";
import { digest, sampleBytes } from "./bytes.ts";
import { opensshOptions, ssh } from "./clients.ts";
import { missing, type Ran, run } from "./programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

/** More than one answer to READDIR holds. */
const ENTRIES = 1_500;
const CONTENT = sampleBytes(700_001);

let roads: SshRoads;
beforeAll(async () => {
  roads = await SshRoads.start();
});
afterAll(async () => roads?.stop());

/** In the home on the target, where commands write too. */
const there = (path: string): string => join(roads.server.home, path);

const MANY = Array.from({ length: ENTRIES }, (_, n) => `entry ${n} with a name of some length`).toSorted();

/** A folder with many entries, and a file. */
async function prepare(road: Road): Promise<void> {
  const names = `mkdir many && cd many && seq 0 ${ENTRIES - 1} | while read -r n; do : > "entry $n with a name of some length"; done`;
  const made = await run([...ssh(road), `${names}; cd .. && cat > content`], { stdin: CONTENT });
  expect(made).toEqual({ status: 0, stdout: "", stderr: "" });
}

/** What is in the home, each file with its digest. */
function listing(): readonly string[] {
  const names = readdirSync(roads.server.home, { encoding: "utf8" }).filter((name) => name !== "many");
  return names
    .toSorted()
    .map((name) => `${name} ${statSync(there(name)).isFile() ? digest(readFileSync(there(name))) : "/"}`);
}

describe("ssh2", () => {
  /** Works with a session of its own, and ends it. */
  async function withSftp<T>(road: Road, work: (sftp: SFTPWrapper) => Promise<T>): Promise<T> {
    const client = new Client();
    const ready = Promise.withResolvers<void>();
    client.on("ready", ready.resolve);
    client.on("error", ready.reject);
    const { host, port, user: username } = road;
    const privateKey = readFileSync(road.keyFile);
    client.connect({ host, port, username, privateKey, hostVerifier: () => true, readyTimeout: 0 });
    try {
      await ready.promise;
      return await work(await call<SFTPWrapper>((done) => client.sftp(done)));
    } finally {
      client.end();
    }
  }

  type Done<T> = (error: Error | null | undefined, result: T) => void;

  /** A call with the usual callback as a promise. */
  function call<T>(work: (done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => work((error, result) => (error ? reject(error) : resolve(result))));
  }

  const act = (work: (done: (error?: Error | null) => void) => void): Promise<undefined> =>
    call<undefined>((done) => work((error) => done(error, undefined)));

  test("reads parts, appends, lists many, and does what else there is", async () => {
    const result = await roads.compare(async (road) => {
      await prepare(road);
      return withSftp(road, async (sftp) => {
        const local = join(road.folder, "up");
        writeFileSync(local, CONTENT);
        await act((done) => sftp.mkdir("folder", done));
        await act((done) => sftp.fastPut(local, "folder/a", { concurrency: 64, chunkSize: 4_096 }, done));
        await act((done) => sftp.appendFile("folder/a", "the end\n", done));
        const handle = await call<Buffer>((done) => sftp.open("content", "r+", done));
        const part = Buffer.alloc(100_000);
        const readBytes = await call<number>((done) => sftp.read(handle, part, 0, part.length, 650_000, done));
        await act((done) => sftp.write(handle, Buffer.from("in the middle"), 0, 13, 1_000, done));
        const { size } = await call<{ size: number }>((done) => sftp.fstat(handle, done));
        await act((done) => sftp.close(handle, done));
        const listed = await call<{ filename: string }[]>((done) => sftp.readdir("many", done));
        await act((done) => sftp.rename("folder/a", "b", done));
        await act((done) => sftp.rmdir("folder", done));
        await act((done) => sftp.symlink("b", "link", done));
        const leads = await call<string>((done) => sftp.readlink("link", done));
        await act((done) => sftp.unlink("link", done));
        await act((done) => sftp.chmod("b", 0o600, done));
        const { mode } = await call<{ mode: number }>((done) => sftp.stat("b", done));
        await act((done) => sftp.utimes("b", 1_600_000_000, 1_600_000_000, done));
        const exclusive = await call((done) => sftp.open("b", "wx", done)).catch((error: unknown) => String(error));
        const names = listed.map(({ filename }) => filename).filter((name) => !/^\.\.?$/u.test(name));
        return {
          part: digest(part.subarray(0, readBytes)),
          size,
          many: names.toSorted(),
          leads,
          mode: mode & 0o777,
          timeMs: statSync(there("b")).mtimeMs,
          exclusive,
          listing: listing(),
        };
      });
    });
    const written = Buffer.from(CONTENT);
    written.set(Buffer.from("in the middle"), 1_000);
    expect(result).toEqual({
      part: digest(CONTENT.subarray(650_000)),
      size: CONTENT.length,
      many: MANY,
      leads: "b",
      mode: 0o600,
      timeMs: 1_600_000_000_000,
      exclusive: "Error: Failure",
      listing: [`b ${digest(Buffer.concat([CONTENT, Buffer.from("the end\n")]))}`, `content ${digest(written)}`],
    });
  });
});

// It is in a package of its own.
describe.skipIf(missing("lftp") !== null)("lftp", () => {
  const lftp = (road: Road, ...commands: readonly string[]): Promise<Ran> => {
    const connect = ["ssh", "-a", "-x", ...opensshOptions(road)].join(" ");
    const settings = [`set sftp:connect-program "${connect}"`, "set cmd:fail-exit yes", "set net:max-retries 1"];
    const open = `open -u ${road.user}, sftp://${road.host}`;
    return run(["lftp", "--norc", "-c", [...settings, open, ...commands].join("\n")], { env: { HOME: road.folder } });
  };

  test("puts, gets, takes up again, mirrors, renames and removes", async () => {
    const result = await roads.compare(async (road) => {
      await prepare(road);
      const at = (name: string): string => join(road.folder, name);
      for (const name of ["down", "half", "tree"]) rmSync(at(name), { recursive: true, force: true });
      writeFileSync(at("up"), CONTENT);
      writeFileSync(at("half"), CONTENT.subarray(0, 300_000));
      const ran = await lftp(
        road,
        `mkdir folder`,
        `put ${at("up")} -o folder/a`,
        `mv folder/a b`,
        `rmdir folder`,
        `get content -o ${at("down")}`,
        `get -c content -o ${at("half")}`,
        `mkdir small`,
        `put ${at("up")} -o small/one`,
        `put ${at("half")} -o small/two`,
        `mirror small ${at("tree")}`,
        `mirror -R ${at("tree")} back`,
        `chmod 600 b`,
        `rm small/one`,
        `rm -r back`,
        `cls -1 many`,
      );
      return {
        ...ran,
        files: ["down", "half"].map((name) => digest(readFileSync(at(name)))),
        tree: readdirSync(at("tree")).toSorted(),
        small: readdirSync(there("small")),
        mode: statSync(there("b")).mode & 0o777,
        listing: listing(),
      };
    });
    expect(result).toMatchObject({
      status: 0,
      files: [digest(CONTENT), digest(CONTENT)],
      tree: ["one", "two"],
      small: ["two"],
      mode: 0o600,
    });
    expect(
      result.stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^many\//u, ""))
        .toSorted(),
    ).toEqual(MANY);
    expect(result.listing).toEqual([`b ${digest(CONTENT)}`, `content ${digest(CONTENT)}`, "small /"]);
  });

  test("says what is not there", async () => {
    const { status, stderr } = await roads.compare((road) => lftp(road, "get missing"));
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining("No such file") });
  });
});

/** Null: file systems can be mounted here. */
function missingForMounts(): string | null {
  if (missing("sshfs", "fusermount3") !== null) return "sshfs";
  return existsSync("/dev/fuse") && process.getuid?.() === 0 ? null : "/dev/fuse";
}

// It is in a package of its own, and containers seldom have /dev/fuse.
describe.skipIf(missingForMounts() !== null)("sshfs", () => {
  const mounts: string[] = [];
  afterEach(async () => {
    for (const mount of mounts.splice(0)) {
      await run(["fusermount3", "-u", "-z", mount]);
      rmSync(mount, { recursive: true, force: true });
    }
  });

  test("is a folder like any other", async () => {
    const result = await roads.compare(async (road) => {
      await prepare(road);
      const mount = join(road.folder, "mount");
      mkdirSync(mount);
      mounts.push(mount);
      // Without what it would keep in memory instead of asking.
      const options = [
        "-o",
        `ssh_command=${["ssh", ...opensshOptions(road)].join(" ")}`,
        "-o",
        "dir_cache=no,direct_io",
      ];
      const mounted = await run(["sshfs", ...options, `${road.user}@${road.host}:`, mount], { env: { HOME: "/" } });
      expect(mounted).toMatchObject({ status: 0 });
      // In a process of its own: what hangs there hangs nobody here.
      const script = [
        "set -e",
        "ls -1 many",
        "mkdir folder",
        "cp content folder/a",
        "cmp content folder/a",
        "echo 'the end' >> folder/a",
        "mv folder/a b",
        "rmdir folder",
        "dd if=content of=part bs=1000 skip=650 count=100 status=none",
        "printf 'in the middle' | dd of=content bs=1 seek=1000 conv=notrunc status=none",
        "truncate -s 500000 content",
        "ln -s b link",
        "readlink link",
        "tail -c 8 link",
        "rm link",
        "chmod 640 b",
        "stat -c %a b",
        "touch -d @1600000000 b",
        "stat -c %Y b",
        "df . > /dev/null",
        "cat missing 2>&1 || echo no",
      ].join("\n");
      const ran = await run(["sh", "-c", script], { cwd: mount });
      return { ...ran, listing: listing() };
    });
    const written = Buffer.from(CONTENT.subarray(0, 500_000));
    written.set(Buffer.from("in the middle"), 1_000);
    const tail = ["b", "the end", "640", "1600000000", "cat: missing: No such file or directory", "no", ""];
    expect(result.stderr).toBe("");
    expect(result.stdout.split("\n").slice(0, ENTRIES).toSorted()).toEqual(MANY);
    expect(result.stdout.split("\n").slice(ENTRIES)).toEqual(tail);
    expect(result.listing).toEqual([
      `b ${digest(Buffer.concat([CONTENT, Buffer.from("the end\n")]))}`,
      `content ${digest(written)}`,
      `part ${digest(CONTENT.subarray(650_000))}`,
    ]);
  });
});
