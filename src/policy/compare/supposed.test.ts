/** Sets whose conditions answer as they are told to, and what their rules mean. */
import { expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { access, identity, NOW, rulesFile, session, setOf, TINY } from "../../../test/policy-sets.ts";
import { conditionsOf, sortedJson, SupposedSet } from "./supposed.ts";
import type { Answers } from "./supposed.ts";

const GUARDS = `
- { id: bare, action: { tiny: { verbs: [get] } }, deny: No. }
- { id: own, action: { tiny: { verbs: [get] } }, condition: access.wide, deny: No. }
- id: except
  action: { tiny: { verbs: [get] } }
  except:
    - { condition: '!access.wide', reason: so }
    - { subject: { kinds: [agent] }, reason: so }
  deny: No.
`;
const PERMITS = `
- { id: p, subject: { groups: [ops] }, target: { names: [box] }, action: { any: true }, condition: 'subject.name == "ann" || access.wide' }
`;
const BOX = session(identity("human", "ann"));

async function setWith(answers: Answers, groups = "{ ops: ops }"): Promise<SupposedSet> {
  const files = {
    "vocabulary.yaml": `apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: ${groups}\n`,
    "guards/a.yaml": rulesFile("Guards", GUARDS),
    "permits/a.yaml": rulesFile("Permits", PERMITS),
  };
  return new SupposedSet(await loadGood(setOf(files)), [TINY], answers);
}

test("every condition, also of an exception, answers what is supposed, else that it cannot be told", async () => {
  const answers: Answers = new Map();
  const set = await setWith(answers);
  expect(set.rules.map((rule) => [rule.id, conditionsOf(rule).map(({ text }) => text)])).toEqual([
    ["bare", []],
    ["except", ["!access.wide"]],
    ["own", ["access.wide"]],
    ["p", ['subject.name == "ann" || access.wide']],
  ]);
  for (const rule of set.rules) {
    for (const condition of conditionsOf(rule)) {
      const evaluate = () => condition.evaluate(BOX, access({ facts: { wide: true } }), NOW);
      expect(evaluate()).toBeNull();
      for (const answer of [true, false, null]) {
        answers.set(set.conditionKey(condition, BOX.target), answer);
        expect(evaluate()).toBe(answer);
      }
      // On a target with other labels it is asked apart.
      const elsewhere = { ...BOX, target: { ...BOX.target, labels: { env: "test" } } };
      answers.set(set.conditionKey(condition, BOX.target), true);
      expect(condition.evaluate(elsewhere, access(), NOW)).toBeNull();
    }
  }
  const guard = set.byId.get("except");
  if (guard?.effect !== "guard") throw new Error("a guard");
  expect(guard.except.map(({ condition }) => condition?.text ?? null)).toEqual(["!access.wide", null]);
});

test("other names of groups change the meaning of conditions, and of nothing else", async () => {
  const [one, other] = [await setWith(new Map()), await setWith(new Map(), "{ ops: ops, more: x }")];
  const isSame = (id: string): boolean => one.meaning(id) === other.meaning(id);
  expect(["bare", "own", "except", "p", "nowhere"].map(isSame)).toEqual([true, false, false, false, true]);
  expect(one.meaning("nowhere")).toBe("");
  expect(one.meaning("bare")).not.toBe("");
});

test("maps are compared whatever their order", () => {
  expect(sortedJson({ b: "1", a: "2", c: "3" })).toBe(sortedJson({ c: "3", a: "2", b: "1" }));
  expect(sortedJson({ a: "1", b: "2" })).not.toBe(sortedJson({ a: "2", b: "1" }));
});
