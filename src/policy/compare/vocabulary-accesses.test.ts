/** Mixtures: of every kind of value that rules tell apart there is an access, and of too many those that rules speak of. */
import { expect, test } from "bun:test";
import { rulesFile, setOf, TARGETS, TINY, withFolder } from "../../../test/policy-sets.ts";
import type { Files } from "../../../test/policy-sets.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { loadPolicies } from "../load.ts";
import { formatProblem, hasErrors } from "../problems.ts";
import { blockCovers } from "../engine/match.ts";
import type { Rule } from "../engine/rule.ts";
import { mixtures } from "./vocabulary-accesses.ts";

const PERMITS = rulesFile(
  "Permits",
  `
  - id: one
    subject: { any: true }
    target: { any: true }
    action: { tiny: { verbs: [get], things: ["mine.*"], parts: [mine.a], pieces: [mine.a.b], tools: [hammer], wide: true, words: [[ls, [-l, -a], "*"]], texts: [secret], fields: { name: ["x*"] } } }
`,
);

async function rulesOf(more: Files = {}): Promise<readonly Rule[]> {
  return withFolder(setOf({ "permits/a.yaml": PERMITS, ...more }), async (dir) => {
    const set = await loadPolicies(dir, [TINY], TARGETS);
    if (hasErrors(set.problems)) throw new Error(set.problems.map(formatProblem).join("\n"));
    return set.rules;
  });
}

test("few keys are mixed in every way", async () => {
  const small: Vocabulary = {
    ...TINY,
    keys: Object.fromEntries(
      Object.entries(TINY.keys).filter(([key]) => key === "rooms" || key === "verbs" || key === "wide"),
    ),
  };
  const { accesses, connects, isWhole } = mixtures(small, await rulesOf(), { rooms: ["hall"] });
  expect(isWhole).toBe(true);
  expect(new Set(accesses.map((each) => each.class)).size).toBe(8);
  const verbs = new Set(accesses.map(({ facts }) => String(facts["verbs"])));
  // One that the rule names, one that stands for the others, unknown, and none.
  expect([...verbs].toSorted()).toEqual(["Symbol(unknown)", "get", "put", "undefined"]);
  expect(connects.every((each) => each.class === "connect")).toBe(true);
  expect(connects.some(({ facts }) => Array.isArray(facts["rooms"]))).toBe(true);
});

test("a key has the values that its own lists tell apart, of exceptions too, and what the catalog knows", async () => {
  const keys = Object.fromEntries(
    Object.entries(TINY.keys).filter(([key]) => key === "rooms" || key === "things" || key === "wide"),
  );
  const guard = `- { id: g, action: { tiny: { wide: true } }, except: [{ action: { tiny: { things: [free.a] } }, reason: so }], deny: No. }`;
  const rules = await rulesOf({ "guards/a.yaml": rulesFile("Guards", guard) });
  const { accesses, connects } = mixtures({ ...TINY, keys }, rules, { rooms: ["hall"] });
  const valuesOf = (key: string) => [...new Set(accesses.map(({ facts }) => String(facts[key])))];
  expect(valuesOf("rooms")).toEqual(["undefined", "Symbol(unknown)", "hall"]);
  expect(valuesOf("things")).toEqual(["undefined", "Symbol(unknown)", "someone-else", "free.a", "mine.x"]);
  expect(valuesOf("wide")).toEqual(["undefined", "true", "false"]);
  expect(accesses).toHaveLength(8 * 3 * 5 * 3);
  expect(connects.map(({ facts }) => facts)).toEqual([{}, { rooms: UNKNOWN }, { rooms: ["hall"] }]);
});

test("of too many mixtures, those are there that a rule speaks of, and that just miss it", async () => {
  const rules = await rulesOf();
  const { accesses, isWhole } = mixtures(TINY, rules, {});
  expect(isWhole).toBe(false);
  const block = rules[0]?.blocks.get("tiny")?.[0];
  if (block === undefined) throw new Error("the rule has a block");
  const covered = accesses.filter((access) => blockCovers(block, access));
  expect(covered.length).toBeGreaterThan(0);
  for (const { key } of block.keys) {
    const misses = accesses.some((access) => {
      const others = { ...block, keys: block.keys.filter((matcher) => matcher.key !== key) };
      return blockCovers(others, access) && !blockCovers(block, access);
    });
    expect(misses).toBe(true);
  }
});
