/** A gateway that restarts takes its policies back, also when an emergency deny among them fails their tests; others that fail stay out. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../gateway.ts";
import { rulesFile, writeFiles } from "../policy-sets.ts";

setDefaultTimeout(240_000);

const POLICY = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n";
const permit = (id: string) =>
  rulesFile(
    "Permits",
    `  - id: ${id}\n    subject: { kinds: [human] }\n    target: { any: true }\n    action: { any: true }`,
  );
const GUARD = rulesFile("Guards", "  - id: stop\n    action: { classes: [read] }\n    deny: Stop.");
const TESTS = `apiVersion: weir.dev/v1
kind: Tests
people: { ann: { kind: human } }
cases:
  - { as: ann, target: db, accesses: [{ class: read, verbs: [select], relations: [public.t] }], expect: permit }
`;

test("after a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-restart-"));
  const policies = join(folder, "policies");
  const target = { postgres: { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" } };
  const start = async (policyFiles: Readonly<Record<string, string>>) =>
    startGateway({ folder, targets: { db: target }, policyFiles });
  try {
    const first = await start({ "policy.yaml": POLICY, "permits/a.yaml": permit("everything"), "tests/a.yaml": TESTS });
    writeFiles(policies, { "guards/now.yaml": GUARD });
    const problems = async (): Promise<string> => (await first.weir("status")).stdout;
    while (!(await problems()).includes("TEST_FAILED")) await Bun.sleep(20);
    await first.stop();

    const second = await start({});
    expect((await second.weir("status")).stdout).toContain("TEST_FAILED");
    const log = await second.weir("audit", "tail", "--json", "--lines", "50");
    expect(log.stdout).toContain("policy.alarmed");
    await second.stop();

    writeFiles(policies, { "permits/a.yaml": permit("something-else") });
    await expect(start({})).rejects.toThrow("TEST_FAILED");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
