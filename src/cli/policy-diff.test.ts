/** `weir policy diff` on real repositories: what a pull request would be told. */
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";

setDefaultTimeout(240_000);

/** A repository with the set of an example on its branch main, and one that lets more through on its branch wider. */
let root: string;

async function git(...args: string[]): Promise<string> {
  const command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", ...args];
  const child = Bun.spawn(command, { cwd: root, stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return text.trim();
}

/** Puts a text in place of another in a file of the set. */
function edit(path: string, from: string, to: string): void {
  const file = join(root, "policies", path);
  const text = readFileSync(file, "utf8");
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
}

const diff = async (...args: string[]): Promise<CommandResult> =>
  runWeir(["policy", "diff", "--policies", "policies", ...args], { cwd: root });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "weir-diff-"));
  cpSync(join(import.meta.dir, "../../policies/examples/saas"), join(root, "policies"), { recursive: true });
  await git("init", "-q", "-b", "main");
  await git("add", "-A");
  await git("commit", "-q", "-m", "base");
  await git("checkout", "-q", "-b", "wider");
  edit("vocabulary.yaml", "support: support", "support: 5e1f-99");
  edit("permits/people.yaml", "limit: { rows: 500, time: 30s", "limit: { rows: 900, time: 30s");
  edit(
    "guards/production.yaml",
    "columns: [public.users.email], with: hash",
    "columns: [public.users.email], with: redact",
  );
  await git("commit", "-q", "-a", "-m", "wider");
  await git("checkout", "-q", "main");
});
afterEach(async () => {
  await git("checkout", "-q", "-f", "main");
  await git("clean", "-q", "-d", "-f");
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a set is as it is", async () => {
  const result = await diff("main..", "--fail-on", "widens");
  expect([result.status, result.stderr]).toEqual([0, ""]);
  expect(result.stdout).toBe("No rule means anything else.\nNothing is decided differently; 0 cases were compared.\n");
});

test("a guard more is narrow-only, whatever it hits", async () => {
  writeFileSync(
    join(root, "policies/guards/emergency.yaml"),
    `apiVersion: weir.dev/v1
kind: Guards
rules:
  - { id: no-payments, action: { postgres: { relations: [public.payments] } }, deny: Payments are closed for now. }
`,
  );
  const result = await diff("main..", "--fail-on", "widens");
  expect([result.status, result.stderr]).toEqual([0, ""]);
  const [first, second, third] = result.stdout.split("\n");
  expect(first).toBe("Narrow-only: nothing but a guard without except was added (no-payments).");
  expect(second).toBe("NARROWS  no-payments (new)");
  expect(third).toContain("on app-prod, app-replica: ");
});

test("what widens is told with who, where and what, and fails where it must", async () => {
  const result = await diff("main..wider", "--fail-on", "widens");
  expect([result.status, result.stderr]).toEqual([1, ""]);
  expect(result.stdout).toContain("\nMASK     pii-masked (changed) (narrows): redact, was hash\n");
  // Another id of a group is another group: it gets in, and the old one is out.
  expect(result.stdout).toContain("WIDENS   ");
  expect(result.stdout).toContain("NARROWS  ");
  expect((await diff("main..wider")).status).toBe(0);
  const back = await diff("wider..main", "--json");
  const view = JSON.parse(back.stdout) as { widens: boolean; changes: { kind: string; rules: { state: string }[] }[] };
  expect(view).toMatchObject({ widens: true, narrowOnly: null, unknown: [] });
  expect(new Set(view.changes.map(({ kind }) => kind))).toContain("mask");
  expect(view.changes.flatMap(({ rules }) => rules.map(({ state }) => state))).toContain("changed");
});

test("the tree of a commit is compared, not what lies there", async () => {
  edit("permits/people.yaml", "groups: [analysts]", "groups: [analysts, support]");
  expect((await diff("main..wider")).stdout).not.toContain("analysts-read-reports");
  const result = await diff("..main", "--fail-on", "widens");
  expect(result.stdout).toContain("NARROWS  analysts-read-reports (changed)\n");
});

test("without a catalog nothing is known for sure", async () => {
  await git("checkout", "-q", "-b", "bare");
  rmSync(join(root, "policies/catalog"), { recursive: true });
  rmSync(join(root, "policies/tests"), { recursive: true });
  await git("commit", "-q", "-a", "-m", "no catalog");
  edit("permits/people.yaml", "rows: 500", "rows: 400");
  const result = await diff("HEAD..", "--fail-on", "widens");
  expect(result.status).toBe(1);
  expect(result.stdout).toContain("UNKNOWN  no target is known: run weir policy catalog pull");
});

test("a wrong call, and a set with errors, say what to do", async () => {
  const wrong = await diff("mian..main");
  expect([wrong.status, wrong.stdout]).toEqual([1, ""]);
  expect(wrong.stderr).toStartWith("weir: mian is neither a commit nor a folder");
  expect((await diff("main..", "--fail-on", "narrows")).status).toBe(2);
  expect((await diff()).status).toBe(2);
  edit("permits/people.yaml", "groups: [analysts]", "groups: [anal]");
  const broken = await diff("main..");
  expect([broken.status, broken.stdout]).toEqual([1, ""]);
  expect(broken.stderr).toContain("the policies of the working tree have errors:");
  expect(broken.stderr).toContain('there is no group "anal"');
});
