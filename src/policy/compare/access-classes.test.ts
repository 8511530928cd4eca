/** Classes of accesses: apart is what some rule tells apart, by any kind of key, and nothing else. */
import { expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { access, rulesFile, setOf } from "../../../test/policy-sets.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Facts } from "../../core/operation.ts";
import { AccessClassifier } from "./access-classes.ts";

/** How the facts are sorted: those of one class in one list. */
async function classesOf(guard: string, facts: readonly Facts[]): Promise<readonly (readonly Facts[])[]> {
  const classifier = await classifierOf(guard);
  for (const each of facts) classifier.add(access({ facts: each }));
  return classifier.classes.map(({ members }) => members.map((member) => member.facts));
}

async function classifierOf(guard: string): Promise<AccessClassifier> {
  const { rules } = await loadGood(setOf({ "guards/a.yaml": rulesFile("Guards", `- { id: g, ${guard} }`) }));
  return new AccessClassifier(rules, "tiny");
}

test.each([
  ["names", "things: ['a.*']", { things: ["a.b"] }, { things: ["a.c"] }, { things: ["b.b"] }],
  ["words of a command", "words: [[ls, '*']]", { words: ["ls", "a"] }, { words: ["ls", "b"] }, { words: ["rm", "a"] }],
  ["parts of texts", "texts: [secret]", { texts: ["a secret"] }, { texts: ["secrets"] }, { texts: ["nothing"] }],
  ["patterns of texts", "texts: [$ticket]", { texts: ["see T-1"] }, { texts: ["T-22"] }, { texts: ["T"] }],
  [
    "fields",
    "fields: { env: [prod] }",
    { fields: ["env=prod"] },
    { fields: ["a=b", "env=prod"] },
    { fields: ["env=x"] },
  ],
])("%s", async (_, keys, one, alike, other) => {
  const guard = `action: { tiny: { ${keys} } }, deny: No.`;
  expect(await classesOf(guard, [one, alike, other])).toEqual([[one, alike], [other]]);
  // What the guard lets through is told apart as well.
  const except = `action: { tiny: { verbs: [get] } }, deny: No., except: [{ action: { tiny: { ${keys} } }, reason: so }]`;
  expect(await classesOf(except, [one, alike, other])).toEqual([[one, alike], [other]]);
  // Where no rule looks at it, it makes no difference.
  expect(await classesOf("action: { tiny: { verbs: [get] } }, deny: No.", [one, alike, other])).toEqual([
    [one, alike, other],
  ]);
});

test("columns and fields that only a mask tells apart", async () => {
  const facts = [{ columns: ["t.a"] }, { columns: ["t.b"] }, { columns: ["t.c"] }];
  const guard = "action: { tiny: {} }, oblige: { mask: [{ columns: [t.a], with: hash }] }";
  expect(await classesOf(guard, facts)).toEqual([facts.slice(0, 1), facts.slice(1)]);
  const fields = [{ fields: ["a"] }, { fields: ["b"] }, { fields: ["c"] }];
  expect(await classesOf(guard.replace("columns: [t.a]", "fields: [a]"), fields)).toEqual([
    fields.slice(0, 1),
    fields.slice(1),
  ]);
});

test("what is unknown, empty, or not there is a class of its own, and so is a text that is too long to look through", async () => {
  const guard = "action: { tiny: { texts: [$ticket], wide: true } }, deny: No.";
  const facts: readonly Facts[] = [
    {},
    { texts: [] },
    { texts: ["x"] },
    { texts: ["T-1"] },
    { texts: ["x".repeat(1_000_000)] },
    { texts: UNKNOWN },
    { wide: true },
    { wide: false },
  ];
  expect(await classesOf(guard, facts)).toEqual(facts.map((each) => [each]));
});

test("accesses of other classes, opaque ones and those of the session are apart", async () => {
  const classifier = await classifierOf("action: { any: true }, deny: No.");
  const accesses: readonly Access[] = [
    access({ class: "read" }),
    access({ class: "write" }),
    access({ opaque: true }),
    access({ ambient: true }),
    access({ named: ["columns"] }),
  ];
  for (const each of accesses) classifier.add(each);
  classifier.add(access({ class: "connect" }), true);
  classifier.add(access({ class: "connect" }));
  expect(classifier.classes).toHaveLength(accesses.length + 2);
});
