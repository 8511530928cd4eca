/** What loading says of obligations that SSH cannot keep, or keeps as something stricter. */
import { describe, expect, test } from "bun:test";
import { POSTGRES_VOCABULARY } from "../adapters/postgres/vocabulary.ts";
import { SSH_VOCABULARY } from "../adapters/ssh/vocabulary.ts";
import { checkPolicies } from "../src/policy/check.ts";
import { formatProblem } from "../src/policy/problems.ts";
import { POLICY_YAML, rulesFile, withFolder } from "./policy-sets.ts";

const TARGETS = [
  { name: "box", adapter: "ssh", labels: {}, settings: {} },
  { name: "db", adapter: "postgres", labels: {}, settings: { masking: { mode: "guarded" } } },
];

/** Errors and warnings about what a guard on these targets obliges to, each without its file. */
async function toldOf(oblige: string, action: string, seals = true, target = "box"): Promise<readonly string[]> {
  const rule = `- { id: g, target: { names: [${target}] }, action: ${action}, oblige: ${oblige} }`;
  const permit = "- { id: p, subject: { groups: [ops] }, target: { any: true }, action: { any: true } }";
  const files = {
    "policy.yaml": POLICY_YAML,
    "vocabulary.yaml": "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { ops: ops }\n",
    "permits/a.yaml": rulesFile("Permits", permit),
    "guards/a.yaml": rulesFile("Guards", rule),
  };
  return withFolder(files, async (dir) => {
    const problems = await checkPolicies(dir, [POSTGRES_VOCABULARY, SSH_VOCABULARY], TARGETS, null, seals);
    return problems
      .filter(({ code }) => code === "CANNOT_BE_KEPT" || code === "MASK_BECOMES_STRICTER")
      .map((problem) => formatProblem(problem).replace(/^[^ ]+ /, ""));
  });
}

describe("masks", () => {
  const shell = "{ ssh: { channels: [shell] } }";

  test("are for what output holds, and for nothing that has a name in it", async () => {
    expect(await toldOf("{ mask: [{ classifiers: [email], with: redact }] }", shell)).toEqual([]);
    for (const selector of ["columns", "fields"]) {
      expect(await toldOf(`{ mask: [{ ${selector}: [a.b.c], with: redact }] }`, shell)).toEqual([
        `error CANNOT_BE_KEPT ${selector} cannot be masked on ssh. There one can mask classifiers, patterns`,
      ]);
    }
  });

  test("that say nothing of what they are for would be for nothing", async () => {
    const message =
      "error CANNOT_BE_KEPT this mask is for the columns that the action matches, and ssh has none. There one can mask classifiers, patterns";
    expect(await toldOf("{ mask: [{ with: redact }] }", shell)).toEqual([message]);
    expect(await toldOf("{ mask: [{ with: redact }] }", "{ classes: [read] }")).toEqual([message]);
    expect(await toldOf("{ mask: [{ with: redact }] }", "{ classes: [read] }", true, "db")).toEqual([]);
  });

  test("with a hash redact", async () => {
    expect(await toldOf("{ mask: [{ classifiers: [email], with: hash }] }", shell)).toEqual([
      "warning MASK_BECOMES_STRICTER g on box: hash becomes redact: there is no key of a hash where output passes",
    ]);
  });
});

describe("a terminal's input", () => {
  const warning =
    "warning CANNOT_BE_KEPT the input of ssh's terminals is sealed, and there is nobody to seal it to: they are refused. Name age recipients under audit.seal.recipients in weir.yaml";

  test("is warned of where nobody could open it and the rule may be about terminals", async () => {
    for (const action of ["{ ssh: { channels: [shell] } }", "{ ssh: { channels: [exec, pty] } }", "{ ssh: {} }"]) {
      expect(await toldOf("{ record: [output, input] }", action, false)).toEqual([warning]);
    }
    expect(await toldOf("{ record: [input] }", "{ any: true }", false)).toEqual([warning]);
  });

  test("is not, where somebody can, where it is not recorded, and where no terminal is meant", async () => {
    expect(await toldOf("{ record: [input] }", "{ any: true }")).toEqual([]);
    expect(await toldOf("{ record: [output] }", "{ any: true }", false)).toEqual([]);
    expect(await toldOf("{ record: [input] }", "{ ssh: { channels: [exec, sftp] } }", false)).toEqual([]);
    expect(await toldOf("{ record: [input] }", "{ any: true }", false, "db")).toEqual([]);
    expect(await toldOf("{ record: [input] }", "{ postgres: {} }", false)).toEqual([]);
  });
});
