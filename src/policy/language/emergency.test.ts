/** Which changes only add guards: everything that could widen is told from what cannot. */
import { expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";
import type { Files } from "../../../test/policy-sets.ts";
import { onlyAddsGuards } from "./emergency.ts";

const VOCABULARY = `apiVersion: weir.dev/v1
kind: Vocabulary
sets: { mine: [my.a, my.b] }
groups: { ops: ops }
windows: { day: { from: "08:00", to: "18:00", tz: UTC } }
`;
const PERMITS = rulesFile(
  "Permits",
  "  - id: one\n    description: First.\n    subject: { groups: [ops] }\n    target: { names: [box] }\n    action: { tiny: { things: [$mine] } }\n    window: $day\n" +
    "  - id: two\n    subject: { groups: [ops] }\n    target: { names: [box] }\n    action: { tiny: { verbs: [get] } }\n",
);
const GUARD = "  - id: no\n    action: { tiny: { things: [$mine] } }\n    deny: No.\n";
const BEFORE: Files = setOf({
  "vocabulary.yaml": VOCABULARY,
  "permits/a.yaml": PERMITS,
  "guards/a.yaml": rulesFile("Guards", GUARD),
});
const MORE = "  - id: never\n    action: { tiny: { things: [$secret] } }\n    deny: Never.\n";

async function adds(files: Files): Promise<boolean> {
  return onlyAddsGuards(await loadGood(BEFORE), await loadGood({ ...BEFORE, ...files }));
}

test("nothing is added, or guards are, with the words that they need", async () => {
  expect(await adds({})).toBe(true);
  const vocabulary = VOCABULARY.replace("sets: {", "sets: { secret: [s.x],");
  expect(await adds({ "vocabulary.yaml": vocabulary, "guards/b.yaml": rulesFile("Guards", MORE) })).toBe(true);
  expect(await adds({ "vocabulary.yaml": vocabulary, "guards/a.yaml": rulesFile("Guards", MORE + GUARD) })).toBe(true);
  expect(await adds({ "permits/a.yaml": PERMITS.replace("First.", "The first.") })).toBe(true);
});

test.each<[string, Files]>([
  ["a permit", { "permits/b.yaml": PERMITS.replace("id: one", "id: three").replace("id: two", "id: four") }],
  ["a guard less", { "guards/a.yaml": rulesFile("Guards", GUARD.replace("id: no", "id: na")) }],
  ["a guard that changed", { "guards/a.yaml": rulesFile("Guards", GUARD.replace("No.", "Not so.")) }],
  ["a guard that only observes", { "guards/a.yaml": rulesFile("Guards", `${GUARD}    mode: observe\n`) }],
  [
    "a guard with an exception",
    { "guards/b.yaml": rulesFile("Guards", GUARD.replace("no", "na") + "    except: [{ unread: true, reason: x }]\n") },
  ],
  ["a set that changed", { "vocabulary.yaml": VOCABULARY.replace("my.b", "my.c") }],
  ["a group that changed", { "vocabulary.yaml": VOCABULARY.replace("ops: ops", "ops: ops2") }],
  ["a window that changed", { "vocabulary.yaml": VOCABULARY.replace("18:00", "19:00") }],
])("more than guards: %s", async (_, files) => {
  expect(await adds(files)).toBe(false);
});
