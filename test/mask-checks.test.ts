/** What loading says of masks that PostgreSQL cannot keep, or keeps as something stricter on the targets there are. */
import { expect, test } from "bun:test";
import { POSTGRES_VOCABULARY } from "../adapters/postgres/vocabulary.ts";
import type { ObligationKind } from "../src/core/obligation.ts";
import { checkPolicies } from "../src/policy/check.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { OTHER, POLICY_YAML, rulesFile, withFolder } from "./policy-sets.ts";

const target = (name: string, settings: unknown) => ({ name, adapter: "postgres", labels: {}, settings });
const TARGETS = [
  target("bare", { masking: null }),
  target("trial", { masking: { mode: "inline" } }),
  target("prod", { masking: { mode: "guarded" } }),
  // Only a catalog knows it.
  target("elsewhere", null),
  { name: "far", adapter: "other", labels: {}, settings: {} },
];
const KEEPS: ReadonlyMap<string, readonly ObligationKind[]> = new Map([
  ["postgres", ["limit", "mask"]],
  ["other", ["limit", "mask"]],
]);
const OTHER_MASKS = { ...OTHER, keeps: ["limit", "mask"] as const };

async function toldOf(mask: string, where = "{ any: true }"): Promise<readonly string[]> {
  const rule = `- { id: m, target: ${where}, action: { postgres: { columns: [app.users.email] } }, oblige: { mask: [${mask}] } }`;
  const permit = "- { id: p, subject: { groups: [ops] }, target: { any: true }, action: { any: true } }";
  const files = {
    "policy.yaml": POLICY_YAML,
    "vocabulary.yaml": "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { ops: ops }\n",
    "permits/a.yaml": rulesFile("Permits", permit),
    "guards/a.yaml": rulesFile("Guards", rule),
  };
  return withFolder(files, async (dir) => {
    const problems = await checkPolicies(dir, [POSTGRES_VOCABULARY, OTHER_MASKS], TARGETS, KEEPS);
    return problems.map((problem) => formatProblem(problem).replace(/^[^ ]+ /, ""));
  });
}

test("a hash is redacted where there is no place for its key", async () => {
  expect(await toldOf("{ with: hash }")).toEqual([
    "warning MASK_BECOMES_STRICTER m on bare, trial: hash becomes redact: masked inline, there is no place for the key of a hash",
  ]);
  expect(await toldOf("{ with: hash }", "{ names: [prod] }")).toEqual([]);
  expect(await toldOf("{ with: redact }")).toEqual([]);
  expect(await toldOf("{ classifiers: [email], with: hash }, { with: redact }", "{ names: [prod] }")).toEqual([
    "warning MASK_BECOMES_STRICTER m on prod: hash becomes redact: there is no key of a hash where rows pass",
  ]);
});

test("columns can be compared, and what texts hold cannot", async () => {
  expect(await toldOf("{ with: redact, predicates: equality }")).toEqual([]);
  expect(
    await toldOf("{ classifiers: [email], with: redact, predicates: equality }, { with: redact }", "{ names: [prod] }"),
  ).toEqual([
    "warning MASK_BECOMES_STRICTER m on prod: predicates: equality becomes nothing: what texts hold is masked where rows pass, and no condition is looked at for it",
  ]);
  expect(await toldOf("{ with: redact, predicates: deny }, { columns: [app.users.email], with: redact }")).toEqual([]);
});

test("fields are nothing that a database has; what its texts hold is", async () => {
  expect(await toldOf("{ fields: [email], with: redact }, { with: redact }")).toEqual([
    "error CANNOT_BE_KEPT fields cannot be masked on postgres. There one can mask columns, classifiers, patterns",
  ]);
  expect(await toldOf("{ classifiers: [email], with: redact }, { with: redact }")).toEqual([]);
});
