/** Explaining: every rule has its standing, every key its truth, and the permit that comes nearest is marked. */
import { describe, expect, test } from "bun:test";
import {
  identity,
  NOW,
  operation,
  rulesFile,
  session,
  setOf,
  TARGETS,
  TINY,
  withFolder,
} from "../../../test/policy-sets.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import { explain } from "./explain.ts";
import type { Explanation } from "./explain.ts";
import { RuleIndex } from "../engine/index.ts";
import { loadPolicies } from "../load.ts";
import type { LoadedSet } from "../load.ts";
import { formatProblem, hasErrors } from "../problems.ts";
import { writtenRule } from "../language/written-rule.ts";

const PERMITS = rulesFile(
  "Permits",
  `
  - { id: gets, subject: { kinds: [agent], groups: [ops] }, target: { names: [box] }, action: { tiny: { verbs: [get], things: [mine.a, mine.b] } } }
  - { id: puts, subject: { kinds: [agent], groups: [ops] }, target: { names: [box] }, action: [{ tiny: { verbs: [put], things: [mine.c] } }, { tiny: { verbs: [put], things: [mine.a], columns: [mine.a.x] } }] }
  - { id: elsewhere, subject: { kinds: [agent] }, target: { names: [bag] }, action: { tiny: { verbs: [put] } } }
  - { id: asleep, subject: { groups: [ops], kinds: [agent] }, target: { names: [box] }, action: { tiny: { verbs: [drop] } }, activation: { maxDuration: 1h, requirements: { justification: {} } } }
`,
);
const GUARDS = rulesFile(
  "Guards",
  `
  - id: no-wide
    action: { tiny: { verbs: [put], wide: true } }
    deny: Not so wide.
  - id: no-secrets
    action: { tiny: { things: ["secret.*"] } }
    except: [{ subject: { kinds: [agent], groups: [ops] }, action: { tiny: { things: [secret.open] } }, reason: It is open. }]
    deny: Secrets stay.
  - { id: tried-out, mode: observe, action: { tiny: { verbs: [get] } }, deny: Being tried out. }
`,
  "{ contact: the owner }",
);

const BOT = identity("agent", "bot", ["ops"]);

async function withSet<T>(use: (set: LoadedSet, index: RuleIndex) => T): Promise<T> {
  return withFolder(setOf({ "permits/a.yaml": PERMITS, "guards/a.yaml": GUARDS }), async (dir) => {
    const set = await loadPolicies(dir, [TINY], TARGETS);
    if (hasErrors(set.problems)) throw new Error(set.problems.map(formatProblem).join("\n"));
    return use(set, new RuleIndex(set.rules, [TINY]));
  });
}

async function explained(access: Access, isConnect = false): Promise<Explanation> {
  const asked = { operation: operation(session(BOT), [access]), isConnect, now: NOW, given: NOTHING_GIVEN };
  return withSet((_, index) => explain(index, asked));
}

/** `id standing`, marked with `!` when it decides, `~` when it is nearest. */
function standings({ accesses }: Explanation): readonly string[] {
  return (accesses[0]?.rules ?? []).map(
    ({ rule, standing, isDeciding, isNearest }) =>
      `${rule.id} ${standing}${isDeciding ? "!" : ""}${isNearest ? "~" : ""}`,
  );
}

function partsOf(explanation: Explanation, id: string): Readonly<Record<string, string>> {
  const rule = explanation.accesses[0]?.rules.find((each) => each.rule.id === id);
  return Object.fromEntries((rule?.parts ?? []).map(({ part, truth, why }) => [part, `${truth} ${why}`.trim()]));
}

const get = (things: readonly string[], more: Partial<Access["facts"]> = {}): Access => ({
  class: "read",
  facts: { verbs: ["get"], things, ...more },
});
const put = (facts: Access["facts"]): Access => ({ class: "write", facts: { verbs: ["put"], ...facts } });

describe("the order: what decides, what stands to it, the nearest, what is about others", () => {
  test("of what is permitted", async () => {
    const found = await explained(get(["mine.a"]));
    expect(found.decision.kind).toBe("permit");
    expect(found.accesses[0]?.what).toBe("get on mine.a");
    expect(standings(found)).toEqual([
      "gets matches!",
      "tried-out applies",
      "asleep no",
      "no-secrets no",
      "no-wide no",
      "puts no",
      "elsewhere no",
    ]);
  });

  test("of what a guard denies", async () => {
    const found = await explained(put({ things: ["mine.c"], wide: true }));
    expect(standings(found).slice(0, 2)).toEqual(["no-wide applies!", "puts matches"]);
    expect(found.decision).toMatchObject({ kind: "deny", refusal: { message: "Not so wide." } });
  });

  test("of what nothing permits", async () => {
    const found = await explained(put({ things: ["mine.a"], columns: ["mine.a.x", "mine.a.y"] }));
    expect(standings(found)[0]).toBe("puts no~");
    expect(partsOf(found, "puts")).toMatchObject({
      "subject.groups": "yes",
      "action[0].tiny.things": "no mine.a is not listed",
      "action[1].tiny.verbs": "yes",
      "action[1].tiny.columns": "no mine.a.y is not listed",
    });
  });
});

test("an exception lifts, and says so", async () => {
  const found = await explained(get(["secret.open"]));
  expect(standings(found)).toContain("no-secrets lifted");
  expect(partsOf(found, "no-secrets")).toEqual({ "action.tiny.things": "yes secret.open", "except[0]": "yes" });
  const closed = await explained(get(["secret.closed"]));
  expect(standings(closed)).toContain("no-secrets applies!");
});

test("unknown, none and no are told apart", async () => {
  const found = await explained(put({ things: UNKNOWN }));
  expect(partsOf(found, "no-wide")).toEqual({ "action.tiny.verbs": "yes put", "action.tiny.wide": "none" });
  expect(partsOf(found, "no-secrets")["action.tiny.things"]).toBe("unknown");
  expect(standings(found)).toContain("no-secrets may apply!");
  expect(partsOf(found, "gets")).toMatchObject({
    "action.tiny.things": "unknown",
    "action.tiny.verbs": "no put is not listed",
  });
});

test("what a permit must name, and what a grant would wake", async () => {
  const tool = await explained({ class: "execute", facts: { verbs: ["get"], things: ["mine.a"], tools: ["hammer"] } });
  expect(partsOf(tool, "gets")["action.tiny.tools"]).toBe("no hammer: a permit must name tools here");
  const drop = await explained({ class: "write", facts: { verbs: ["drop"] } });
  expect(standings(drop)[0]).toBe("asleep no~");
  expect(partsOf(drop, "asleep")["activation"]).toBe("no");
});

test("opening a session needs only some permit", async () => {
  const found = await explained({ class: "connect", facts: { rooms: ["one"] } }, true);
  expect(found.decision.kind).toBe("permit");
  expect(standings(found)).toContain("gets matches!");
});

test("a rule is printed with what it takes over", async () => {
  const text = await withSet((set, index) => {
    const rule = index.byId.get("no-wide");
    return rule === undefined ? "" : writtenRule(set.folder, rule);
  });
  expect(text).toBe(
    "- id: no-wide\n  action:\n    tiny: { verbs: [ put ], wide: true }\n  deny: Not so wide.\n  contact: the owner",
  );
});
