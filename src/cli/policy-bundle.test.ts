/** `weir policy bundle` and `verify-bundle`: keys as openssl makes them, counters that only grow, files that come out again. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";

setDefaultTimeout(240_000);

const POLICY = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: shop\n";
const PERMITS = `apiVersion: weir.dev/v1
kind: Permits
rules:
  - { id: people-read, subject: { kinds: [human] }, target: { any: true }, action: { classes: [read] } }
`;
const anyText: unknown = expect.any(String);

let folder: string;
const weir = async (...args: string[]): Promise<CommandResult> => runWeir(["policy", ...args], { cwd: folder });

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function openssl(...args: string[]): Promise<void> {
  const child = Bun.spawn(["openssl", ...args], { cwd: folder, stdout: "ignore", stderr: "ignore" });
  expect(await child.exited).toBe(0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-bundle-"));
  write("policies/policy.yaml", POLICY);
  write("policies/permits/people.yaml", PERMITS);
  for (const name of ["ci", "other"]) {
    await openssl("genpkey", "-algorithm", "ed25519", "-out", `${name}.key`);
    await openssl("pkey", "-in", `${name}.key`, "-pubout", "-out", `${name}.pub`);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bundle = async (file: string, ...args: string[]): Promise<CommandResult> =>
  weir("bundle", "--policies", "policies", "--sign", "ci.key", "-o", file, ...args);

test("a set is signed, verified and unpacked as it was", async () => {
  const made = await bundle("a.bundle", "--json");
  expect(made.status).toBe(0);
  const view: unknown = JSON.parse(made.stdout);
  expect(view).toEqual({
    file: "a.bundle",
    set: "shop",
    counter: 1,
    digest: anyText,
    commit: null,
    files: 2,
    key: expect.stringMatching(/^weir-policy\+[0-9a-f]{8}\+/) as unknown,
  });
  const verified = await weir(
    "verify-bundle",
    "a.bundle",
    "--key",
    "ci.pub",
    "--set",
    "shop",
    "--unpack",
    "out",
    "--json",
  );
  expect([verified.stderr, verified.status]).toEqual(["", 0]);
  expect(JSON.parse(verified.stdout)).toMatchObject({
    ok: true,
    set: "shop",
    counter: 1,
    files: 2,
    signer: "weir-policy",
  });
  expect(readFileSync(join(folder, "out/policy.yaml"), "utf8")).toBe(POLICY);
  expect(readFileSync(join(folder, "out/permits/people.yaml"), "utf8")).toBe(PERMITS);
  const again = await weir("verify-bundle", "a.bundle", "--key", "ci.pub", "--unpack", "out");
  expect(again.stderr).toContain("is there already");
  expect(again.status).toBe(1);
});

test("the public key may be the line that bundle prints", async () => {
  const made = await bundle("line.bundle", "--signer", "release", "--json");
  write("line.pub", (JSON.parse(made.stdout) as { key: string }).key);
  const verified = await weir("verify-bundle", "line.bundle", "--key", "line.pub");
  expect(verified.stdout).toStartWith("ok: shop 1, 2 files, digest ");
  expect(verified.stdout).toContain("signed by release (");
});

test("counters only grow", async () => {
  await bundle("counted.bundle", "--counter", "7");
  const same = readFileSync(join(folder, "counted.bundle"));
  const repeated = await bundle("counted.bundle", "--counter", "7");
  expect(repeated.status).toBe(0);
  expect(readFileSync(join(folder, "counted.bundle")).equals(same)).toBe(true);
  const back = await bundle("counted.bundle", "--counter", "6");
  expect(back.stderr).toStartWith("weir: counted.bundle holds bundle 7, and 6 is not more");
  expect(back.status).toBe(1);
  expect(readFileSync(join(folder, "counted.bundle")).equals(same)).toBe(true);
  const next = await bundle("counted.bundle");
  expect(next.stdout).toStartWith("counted.bundle: shop 8, 2 files");
  const old = await weir("verify-bundle", "counted.bundle", "--key", "ci.pub", "--at-least", "9");
  expect([old.status, old.stdout]).toEqual([1, ""]);
  expect(old.stderr).toStartWith("weir: counted.bundle is not good: its counter is 8, below 9");
});

test("another key, another set and a changed byte are refused", async () => {
  await bundle("b.bundle");
  const other = await weir("verify-bundle", "b.bundle", "--key", "other.pub");
  expect(other.stderr).toContain("it is signed by weir-policy, and not with a key that was given");
  const set = await weir("verify-bundle", "b.bundle", "--key", "ci.pub", "--set", "bank");
  expect(set.stderr).toContain("it is the set shop, not bank");
  const bytes = readFileSync(join(folder, "b.bundle"));
  const at = bytes.indexOf("people-read");
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(join(folder, "b.bundle"), bytes);
  const changed = await weir("verify-bundle", "b.bundle", "--key", "ci.pub", "--unpack", "never");
  expect(changed.stderr).toContain("permits/people.yaml is not what was signed");
  expect([other.status, set.status, changed.status]).toEqual([1, 1, 1]);
  expect(existsSync(join(folder, "never"))).toBe(false);
});

test("a file that is none of this key's is not replaced", async () => {
  write("precious.txt", "precious");
  const result = await bundle("precious.txt");
  expect(result.stderr).toContain("is not replaced");
  expect(result.status).toBe(1);
  expect(readFileSync(join(folder, "precious.txt"), "utf8")).toBe("precious");
});

test("a set with errors is not signed", async () => {
  write("broken/policy.yaml", POLICY);
  write("broken/permits/people.yaml", PERMITS.replace("classes: [read]", "classes: [reed]"));
  const result = await weir("bundle", "--policies", "broken", "--sign", "ci.key", "-o", "broken.bundle");
  expect(result.status).toBe(1);
  expect(result.stderr).toContain("broken/permits/people.yaml:4:");
  expect(result.stderr).toContain("the policies have errors, so nothing was signed");
  expect(existsSync(join(folder, "broken.bundle"))).toBe(false);
});

test("a wrong call says what to do", async () => {
  const cases: readonly [args: string[], status: number, message: string][] = [
    [["bundle", "--policies", "policies", "-o", "x"], 2, "--sign is missing"],
    [["bundle", "--policies", "policies", "--sign", "ci.key"], 2, "--output is missing"],
    [["bundle", "--policies", "policies", "--sign", "none.key", "-o", "x"], 1, "there is no file none.key"],
    [["bundle", "--policies", "policies", "--sign", "ci.pub", "-o", "x"], 1, "Make a key with openssl genpkey"],
    [["bundle", "--policies", "policies", "--sign", "ci.key", "-o", "x", "--counter", "0"], 2, "from 1 on, not 0"],
    [["verify-bundle", "--key", "ci.pub"], 2, "FILE is missing"],
    [["verify-bundle", "none", "--key", "ci.pub"], 1, "there is no file none"],
    [["verify-bundle", "ci.pub", "--key", "ci.key"], 1, "give the public one"],
    [["verify-bundle", "ci.pub", "--key", "ci.pub"], 1, "this is not a policy bundle"],
    [["verify-bundle", "ci.pub", "--key", "ci.pub", "--at-least", "1e3"], 2, "from 1 on, not 1e3"],
  ];
  const results = await Promise.all(cases.map(async ([args]) => weir(...args)));
  for (const [index, [, status, message]] of cases.entries()) {
    expect(results[index]?.stderr).toContain(message);
    expect(results[index]?.status).toBe(status);
  }
});
