/** Masks that a target keeps as something stricter: told once for each change, and only of targets that are known. */
import { expect, test } from "bun:test";
import { POLICY_YAML, rulesFile, TINY, withFolder } from "../../../test/policy-sets.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { KnownTarget } from "../language/words.ts";
import { loadPolicies } from "../load.ts";

/** Of what it finds in contents a hash becomes redact, where the target says so. */
const CHANGING: Vocabulary = {
  ...TINY,
  maskChanges: (transform, _, settings, isOfContent) =>
    transform.with === "hash" && settings === "keyless" && isOfContent
      ? [{ from: "hash", to: "redact", because: "there is no key" }]
      : [],
};

function target(name: string, settings: unknown): KnownTarget {
  return { name, adapter: "tiny", labels: {}, settings };
}

async function toldOf(
  mask: string,
  targets: readonly KnownTarget[],
  vocabulary: Vocabulary = CHANGING,
): Promise<readonly string[]> {
  const files = {
    "policy.yaml": POLICY_YAML,
    "vocabulary.yaml":
      'apiVersion: weir.dev/v1\nkind: Vocabulary\npatterns: { ticket: { pattern: "T-[0-9]+", match: [T-1], noMatch: [T] } }\n',
    "guards/a.yaml": rulesFile("Guards", `- { id: m, action: { any: true }, oblige: { mask: [${mask}] } }`),
  };
  const { problems } = await withFolder(files, (dir) => loadPolicies(dir, [vocabulary], targets));
  return problems.filter(({ code }) => code !== "NOTHING_PERMITTED").map(({ code, message }) => `${code} ${message}`);
}

test("what the target changes is told with the targets that change it", async () => {
  const targets = [target("c", "keyless"), target("b", "keyed"), target("a", "keyless")];
  const change = "MASK_BECOMES_STRICTER m on a, c: hash becomes redact: there is no key";
  expect(await toldOf("{ patterns: [$ticket], with: hash }", targets)).toEqual([change]);
  expect(await toldOf("{ classifiers: [email], with: hash }", targets)).toEqual([change]);
  expect(await toldOf("{ classifiers: [email], with: hash }, { patterns: [$ticket], with: hash }", targets)).toEqual([
    change,
  ]);
  expect(await toldOf("{ columns: [main.a], with: hash }", targets)).toEqual([]);
  expect(await toldOf("{ patterns: [$ticket], with: redact }", targets)).toEqual([]);
});

test("nothing is told of protocols that change no masks, and of targets whose settings are not known", async () => {
  const mask = "{ patterns: [$ticket], with: hash }";
  expect(await toldOf(mask, [target("a", "keyless")], TINY)).toEqual([]);
  const failing: Vocabulary = {
    ...TINY,
    maskChanges: (_transform, _predicates, settings) => {
      throw new Error(`asked with ${String(settings)}`);
    },
  };
  expect(await toldOf(mask, [{ name: "a", adapter: "tiny", labels: {} }, target("b", null)], failing)).toEqual([]);
});
