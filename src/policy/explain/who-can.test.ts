/** Who can: everybody that may, on which terms, and the guards that speak of it. */
import { describe, expect, test } from "bun:test";
import { NOW, OTHER, rulesFile, setOf, TARGETS, TINY, withFolder } from "../../../test/policy-sets.ts";
import type { Access } from "../../core/operation.ts";
import { isAsked, readAction, supposedAccess } from "./asked-action.ts";
import { loadPolicies } from "../load.ts";
import { formatProblem, hasErrors } from "../problems.ts";
import { whoCan } from "./who-can.ts";
import type { Answer } from "./who-can.ts";

async function answer(permits: string, guards: string, access: Access): Promise<Answer> {
  const files = {
    "permits/a.yaml": rulesFile("Permits", permits),
    ...(guards === "" ? {} : { "guards/a.yaml": rulesFile("Guards", guards) }),
  };
  return withFolder(setOf(files), async (dir) => {
    const set = await loadPolicies(dir, [TINY], TARGETS);
    if (hasErrors(set.problems)) throw new Error(set.problems.map(formatProblem).join("\n"));
    const targets = TARGETS.filter(({ adapter }) => adapter === "tiny");
    const accessesOf = () => ({ accesses: [access], connects: [], untried: null });
    return whoCan({ side: { set, targets }, vocabularies: [TINY], accessesOf, now: NOW });
  });
}

function lines({ permitted }: Answer): readonly string[] {
  return permitted.flatMap(({ rules, is, cases }) => {
    const told = cases.map(({ subjects, targets, when }) => `  ${subjects.join()} | ${targets.join()} | ${when}`);
    return [`${rules.join()}: ${is}`].concat(told);
  });
}

const DROP: Access = { class: "define", facts: { verbs: ["drop"], things: ["mine.a"] } };

test("by which permits, on which terms, under which circumstances", async () => {
  const found = await answer(
    `
  - { id: people, subject: { groups: [ops, devs] }, target: { names: [box] }, action: { tiny: { verbs: [drop] } }, obligations: { limit: { rows: 5 } } }
  - { id: bots, subject: { kinds: [agent, service], names: ["bot-*", ann] }, target: { any: true }, action: { tiny: { verbs: [drop] } }, window: $day }
  - { id: glass, subject: { groups: [ops] }, target: { names: [bag] }, action: { any: true }, activation: { maxDuration: 1h, requirements: { justification: {} } } }
  - { id: others, subject: { any: true }, target: { any: true }, action: { tiny: { verbs: [get] } } }
`,
    "",
    DROP,
  );
  expect(lines(found)).toEqual([
    "bots: ",
    "  agents and services called ann or bot-* | bag,box | at times such as Fri 2027-01-01 07:00 UTC",
    "glass: ",
    "  people of ops | bag | with a grant of glass",
    "people: limit rows 5",
    "  people of devs or ops | box | ",
  ]);
  expect(found).toMatchObject({ guards: [], untried: [] });
});

test("guards take away, ask and oblige, and are listed whoever they are about", async () => {
  const found = await answer(
    `
  - { id: everybody, subject: { any: true }, target: { any: true }, action: { any: true } }
`,
    `
  - { id: no-agents, subject: { kinds: [agent] }, action: { tiny: { verbs: [drop] } }, deny: Not for agents. }
  - { id: asked, target: { names: [box] }, action: { classes: [define] }, require: { approval: { from: { groups: [ops] }, count: 2 } } }
  - { id: other, action: { tiny: { verbs: [get] } }, deny: Something else. }
`,
    DROP,
  );
  expect(lines(found)).toEqual([
    "asked,everybody: asks for 2 of ops (within 30m, good for 15m)",
    "  people and services | box | ",
    "everybody: ",
    "  people and services | bag | ",
  ]);
  expect(found.guards.map(({ guard, targets }) => `${guard.id} ${targets.join()}`)).toEqual([
    "asked box",
    "no-agents box,bag",
  ]);
});

test("nobody, when nothing permits it", async () => {
  const found = await answer(
    `
  - { id: readers, subject: { any: true }, target: { any: true }, action: { tiny: { verbs: [get] } } }
`,
    "",
    DROP,
  );
  expect(found.permitted).toEqual([]);
});

describe("what is asked about is read in the words of the adapters:", () => {
  const WORDS = {
    ...TINY,
    keys: {
      ...TINY.keys,
      verbs: { ...TINY.keys["verbs"], kind: "enum", description: "", values: ["drop", "drop table", "get"] },
    },
  } as const;

  test("the longest verb, then names", () => {
    const read = readAction("Drop table main.a", [WORDS, OTHER]);
    expect(read).toMatchObject({
      actions: [{ verb: { key: "verbs", value: "drop table" }, accessClass: null, names: ["main.a"] }],
    });
  });

  test("a class, of every protocol", () => {
    const read = readAction("define", [WORDS, OTHER]);
    expect(
      "actions" in read && read.actions.map(({ vocabulary, accessClass }) => `${vocabulary.name} ${accessClass}`),
    ).toEqual(["tiny define", "other define"]);
  });

  test("neither, with what may have been meant", () => {
    expect(readAction("drp table main.a", [WORDS])).toEqual({
      problem: 'no adapter has a verb for "drp table main.a"',
      suggestion: 'Did you mean "drop table"?',
    });
  });

  test("an access is asked about when it has the verb and all names", () => {
    const read = readAction("drop mine.a", [TINY]);
    const [action] = "actions" in read ? read.actions : [];
    if (action === undefined) throw new Error("it was not read");
    expect(isAsked(DROP, action)).toBe(true);
    expect(isAsked({ ...DROP, facts: { ...DROP.facts, things: ["mine.b"] } }, action)).toBe(false);
    expect(isAsked({ ...DROP, facts: { ...DROP.facts, verbs: ["get"] } }, action)).toBe(false);
    expect(isAsked(DROP, { ...action, verb: null, accessClass: "read" })).toBe(false);
  });

  test("what is not known to be there is supposed under the key that its segments fit", () => {
    const read = readAction("get one.two one.two.three", [TINY]);
    const [action] = "actions" in read ? read.actions : [];
    if (action === undefined) throw new Error("it was not read");
    expect(supposedAccess(action, "read")?.facts).toEqual({
      verbs: ["get"],
      things: ["one.two"],
      pieces: ["one.two.three"],
    });
  });
});
