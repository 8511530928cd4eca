/** The words of protocols that have no adapter yet: policies may use them, and their README tells what they mean. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ADAPTERS, KEEPS, VOCABULARIES } from "../adapters/index.ts";
import { ACCESS_CLASSES } from "../src/core/operation.ts";
import { checkPolicies } from "../src/policy/check.ts";
import { policySchemas } from "../src/policy/language/schema.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { POLICY_YAML, withFolder } from "./policy-sets.ts";

const PLANNED = VOCABULARIES.filter(({ name }) => !ADAPTERS.some((adapter) => adapter.name === name));

/** Those whose README has a table of operations and their classes. */
const TABLED = VOCABULARIES.filter(({ name }) => name === "ssh" || PLANNED.some((planned) => planned.name === name));

test("are those of mcp and http, with the keys that the language names", () => {
  const keys = Object.fromEntries(
    PLANNED.map((vocabulary) => [vocabulary.name, Object.keys(vocabulary.keys).toSorted()]),
  );
  expect(keys).toEqual({
    mcp: ["args", "contains", "hints", "methods", "servers", "tools"],
    http: ["contains", "fields", "methods", "paths", "query"],
  });
});

test("every vocabulary says which obligations are kept", () => {
  expect([...KEEPS.keys()].toSorted()).toEqual(VOCABULARIES.map(({ name }) => name).toSorted());
});

test("what an adapter keeps of an obligation in part only is a warning where it is written", async () => {
  const permit = (adapter: string): string => `apiVersion: weir.dev/v1
kind: Permits
rules:
  - id: p
    subject: { kinds: [human] }
    target: { any: true }
    action: { ${adapter}: {} }
    obligations: { session: { readOnly: true, idle: 1m } }
`;
  const warnings = async (adapter: string): Promise<readonly string[]> =>
    withFolder({ "policy.yaml": POLICY_YAML, "permits/p.yaml": permit(adapter) }, async (dir) =>
      (await checkPolicies(dir, VOCABULARIES, null, KEEPS)).map(formatProblem),
    );
  expect(await warnings("postgres")).toEqual([]);
  expect(await warnings("ssh")).toEqual([
    "permits/p.yaml:8:31 warning NOT_KEPT_YET this version does not keep session: { readOnly } on ssh yet: what needs it is denied",
  ]);
});

test("make schemas together with those of the adapters", () => {
  expect(() => policySchemas(VOCABULARIES)).not.toThrow();
});

describe.each(TABLED.map((vocabulary) => [vocabulary.name, vocabulary] as const))("%s", (name, vocabulary) => {
  const readme = readFileSync(join(import.meta.dir, `../adapters/${name}/README.md`), "utf8");
  const lines = readme.split("\n");
  const table = lines.slice(lines.findIndex((line) => line.startsWith("| operation")) + 1);
  const rows = table.slice(0, table.indexOf("")).filter((line) => line.startsWith("| "));

  test("names each key and each value of a list in its README", () => {
    for (const [key, { values = [] }] of Object.entries(vocabulary.keys)) {
      expect(readme).toContain(`\`${key}`);
      for (const value of values.filter((each) => !each.startsWith("tasks/"))) expect(readme).toContain(value);
    }
  });

  test("has a table whose classes exist, from opening a session on", () => {
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows) {
      const classes =
        row
          .split("|")[2]
          ?.split("`")
          .filter((_, index) => index % 2 === 1) ?? [];
      expect(classes.length).toBeGreaterThan(0);
      for (const each of classes) expect(ACCESS_CLASSES).toContain(each as (typeof ACCESS_CLASSES)[number]);
    }
    expect(rows[0]).toContain("`connect`");
  });
});
