/** `weir policy test` from end to end: real processes, their output, their exit statuses. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import { writeFiles } from "../../test/policy-sets.ts";

setDefaultTimeout(240_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-policy-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HEAD = "apiVersion: weir.dev/v1\nkind: ";
const SET = {
  "policy.yaml": `${HEAD}PolicySet\nname: test\n`,
  "vocabulary.yaml": `${HEAD}Vocabulary\ngroups: { oncall: oncall }\n`,
  "permits/hosts.yaml": `${HEAD}Permits
rules:
  - id: oncall-looks
    subject: { groups: [oncall] }
    target: { names: [web-1] }
    action: { ssh: { argv: [[df, -h]] } }
`,
  "guards/hosts.yaml": `${HEAD}Guards
rules:
  - id: no-tunnels
    action: { classes: [forward] }
    deny: Nothing is forwarded.
`,
  "catalog/web-1.json": '{"apiVersion":"weir.dev/v1","kind":"Catalog","name":"web-1","adapter":"ssh"}',
};
const TESTS = `${HEAD}Tests
people: { ann: { kind: human, groups: [oncall] } }
cases:
  - { as: ann, target: web-1, accesses: [{ class: execute, channels: [exec], argv: [df, -h] }], expect: permit }
  - { as: ann, target: web-1, accesses: [{ class: execute, channels: [exec], argv: [rm, a] }], expect: deny }
`;

let places = 0;
function place(files: Readonly<Record<string, string>>): string {
  const path = join(folder, `place-${places++}`);
  writeFiles(join(path, "policies"), { ...SET, ...files });
  return path;
}

test("says which rule decided each case and which rules none, and ends with 0", async () => {
  const { status, stdout, stderr } = await runWeir(["policy", "test", "--policies", "policies"], {
    cwd: place({ "tests/hosts.yaml": TESTS }),
  });
  expect(stdout.split("\n")).toEqual([
    "policies/tests/hosts.yaml:5:5 ok ann on web-1: exec on df, -h: permit by oncall-looks",
    "policies/tests/hosts.yaml:6:5 ok ann on web-1: exec on rm, a: deny: no rule permits exec on rm, a. oncall-looks would, but for argv rm a.",
    "2 cases, all as expected; 1 rule decides none",
    "",
  ]);
  expect(stderr).toBe("policies/guards/hosts.yaml:4:5 warning UNTESTED_RULE no case is decided by no-tunnels\n");
  expect(status).toBe(0);
});

test("ends with 1 when a case fails, and says why; quietly, nothing of the others", async () => {
  const tests = `${TESTS}  - { as: ann, target: web-1, accesses: [{ class: forward, forwards: ["a:1"] }], expect: permit }\n`;
  const { status, stdout, stderr } = await runWeir(["policy", "test", "--quiet", "--policies", "policies"], {
    cwd: place({ "tests/hosts.yaml": tests }),
  });
  expect(stdout.split("\n")).toEqual([
    "policies/tests/hosts.yaml:7:5 FAILED ann on web-1: forward on a:1: deny by no-tunnels: Nothing is forwarded.",
    "  expected permit, got deny: Nothing is forwarded.",
    "3 cases, 1 failed; every rule decides one",
    "",
  ]);
  expect([status, stderr]).toEqual([1, ""]);
});

test("as JSON, the same for programs", async () => {
  const { status, stdout } = await runWeir(["policy", "test", "--json", "--policies", "policies"], {
    cwd: place({ "tests/hosts.yaml": TESTS }),
  });
  const answer: unknown = JSON.parse(stdout);
  expect(answer).toMatchObject({
    ok: true,
    cases: [
      { file: "policies/tests/hosts.yaml", line: 5, column: 5, ok: true, decision: "permit", rules: ["oncall-looks"] },
      { ok: true, decision: "deny", rules: [], failures: [] },
    ],
    untested: ["no-tunnels"],
    problems: [{ code: "UNTESTED_RULE", file: "policies/guards/hosts.yaml" }],
  });
  expect(status).toBe(0);
});

test("a set with errors is not tested", async () => {
  const cwd = place({ "tests/hosts.yaml": TESTS.replace("as: ann", "as: bob") });
  const { status, stdout, stderr } = await runWeir(["policy", "test", "--policies", "policies"], { cwd });
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain('policies/tests/hosts.yaml:5:11 error UNKNOWN_PERSON nobody here is called "bob"');
  const json = await runWeir(["policy", "test", "--json", "--policies", "policies"], { cwd });
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, cases: [], problems: [{ code: "UNKNOWN_PERSON" }] });
});
