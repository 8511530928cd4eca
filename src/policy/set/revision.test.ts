/** Sets out of git commits: the files of the commit, whatever lies in the working tree, by the same rules as a folder. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readFolder } from "./folder.ts";
import { formatProblem } from "../problems.ts";
import { parseRange, readRevision } from "./revision.ts";
import type { Revision } from "./revision.ts";

let root: string;
let policies: string;

async function git(...args: string[]): Promise<string> {
  const child = Bun.spawn(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
    cwd: root,
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return text.trim();
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function commit(): Promise<string> {
  await git("add", "-A");
  await git("commit", "-q", "--allow-empty", "-m", "x");
  return git("rev-parse", "HEAD");
}

async function read(range: string): Promise<readonly [Revision, Revision]> {
  const [old, young] = await parseRange(range, policies);
  return [await readRevision(old, policies), await readRevision(young, policies)];
}

function texts(revision: Revision): Record<string, string> {
  return Object.fromEntries(revision.folder.files.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()]));
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "weir-revision-"));
  policies = join(root, "deep/policies");
  await git("init", "-q", "-b", "main");
  write("deep/policies/policy.yaml", "one");
  write("deep/policies/guards/ü b.yaml", "guard");
  write("deep/policies/guards/empty.yaml", "");
  write("deep/policies/catalog/db.json", "{}");
  write("deep/policies/README.md", "not policy");
  write("deep/policies/.hidden/x.yaml", "not policy");
  write("deep/other.yaml", "not in the folder");
  await commit();
  await git("tag", "first");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a commit's files are read as the folder was, and have the same digest", async () => {
  const folder = await readFolder(policies);
  write("deep/policies/policy.yaml", "two");
  const [old, young] = await read("first..");
  expect(texts(old)).toEqual({
    "catalog/db.json": "{}",
    "guards/empty.yaml": "",
    "guards/ü b.yaml": "guard",
    "policy.yaml": "one",
  });
  expect(old.folder.digest).toBe(folder.digest);
  expect(old.folder.problems).toEqual([]);
  expect([old.text, old.commit]).toEqual(["first", await git("rev-parse", "first")]);
  expect(texts(young)["policy.yaml"]).toBe("two");
  expect([young.text, young.commit]).toEqual(["the working tree", "dirty"]);
});

test("a commit's files come in the order of a folder's, also where git has another", async () => {
  for (const name of ["\uff01", "\u{1f600}", "a"]) write(`deep/policies/guards/${name}.yaml`, name);
  await commit();
  const folder = await readFolder(policies);
  const [old] = await read("HEAD..");
  expect(old.folder.files).toEqual(folder.files);
  expect(old.folder.files).toHaveLength(7);
  await git("reset", "-q", "--hard", "first");
});

test("the working tree is not touched and not looked at for a commit", async () => {
  renameSync(join(policies, "guards"), join(root, "guards-elsewhere"));
  const [old, young] = await read("..main");
  expect(Object.keys(texts(old))).toEqual(["catalog/db.json", "policy.yaml"]);
  expect(Object.keys(texts(young))).toContain("guards/ü b.yaml");
  renameSync(join(root, "guards-elsewhere"), join(policies, "guards"));
});

test("folders may be sides, also with dots in their names", async () => {
  write("a..b/policy.yaml", "dotted");
  const dotted = join(root, "a..b");
  const [old, young] = await read(`${dotted}..HEAD`);
  expect([texts(old), young.text]).toEqual([{ "policy.yaml": "dotted" }, "HEAD"]);
  const [left, right] = await read(`${policies}..${dotted}`);
  expect([left.folder.realDir.endsWith("deep/policies"), texts(right)]).toEqual([true, { "policy.yaml": "dotted" }]);
});

test("filters and hooks of the repository do not run", async () => {
  const trap = join(root, "trapped");
  await git("config", "filter.trap.smudge", `touch ${trap}`);
  await git("config", "core.fsmonitor", `touch ${trap}`);
  write(".gitattributes", "*.yaml filter=trap\n");
  const [, young] = await read("..first");
  expect(texts(young)["policy.yaml"]).toBe("one");
  expect(await Bun.file(trap).exists()).toBe(false);
  await git("config", "--unset", "filter.trap.smudge");
  await git("config", "--unset", "core.fsmonitor");
  rmSync(join(root, ".gitattributes"));
});

test("what a folder refuses, a commit refuses too", async () => {
  write("deep/policies/guards/no.yml", "x");
  write("deep/policies/guards/big.yaml", "x".repeat(200_000));
  symlinkSync("empty.yaml", join(policies, "guards/link.yaml"));
  await commit();
  const [old] = await read("HEAD..");
  expect(old.folder.problems.map(formatProblem)).toEqual([
    "guards/link.yaml error UNREADABLE this is a link or another repository, which is not followed in a commit. Commit the file itself",
    "guards/no.yml error WRONG_FOLDER policy files end in .yaml. Rename the file, or move it elsewhere",
    "guards/big.yaml error TOO_LARGE the file is larger than 131072 bytes. Split it",
  ]);
  await git("reset", "-q", "--hard", "first");
});

describe("a range that leads nowhere is refused:", () => {
  const cases: Readonly<Record<string, string>> = {
    main: "main is not OLD..NEW",
    "..": "both sides are the same files",
    "mian..main": "mian is neither a commit nor a folder",
    "--output=x..main": "--output=x is neither a commit nor a folder",
    "main...main": ".main is neither a commit nor a folder",
    "main:deep..main": "main:deep is neither a commit nor a folder",
  };
  for (const [range, message] of Object.entries(cases)) {
    test(range, () => expect(parseRange(range, policies)).rejects.toThrow(message));
  }

  test("a commit without the folder", async () => {
    write("elsewhere/policy.yaml", "x");
    const elsewhere = join(root, "elsewhere");
    const [old] = await parseRange("first..", elsewhere);
    await expect(readRevision(old, elsewhere)).rejects.toThrow("has no files in");
  });

  test("outside a repository", async () => {
    const alone = mkdtempSync(join(tmpdir(), "weir-alone-"));
    await expect(parseRange("main..", alone)).rejects.toThrow(
      `main is neither a commit nor a folder, and ${alone} is in no git repository`,
    );
    rmSync(alone, { recursive: true });
  });
});
