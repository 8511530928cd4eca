/** The digest of a rule: whatever could change its meaning changes it, and nothing else does. */
import { expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";
import type { Files } from "../../../test/policy-sets.ts";

const LINES = [
  "description: What for.",
  "contact: ops",
  "subject: { groups: [ops] }",
  "target: { names: [box] }",
  "action: { tiny: { things: [$nested], texts: [$ticket] } }",
  "window: $day",
  `condition: '"devs" in subject.groups && access.wide'`,
  "activation: { maxDuration: 1h, requirements: { approval: { from: { groups: [devs] } } } }",
  "obligations: { limit: { budget: [{ calls: true, max: 1, per: day, across: subject }] } }",
];
const VOCABULARY = `apiVersion: weir.dev/v1
kind: Vocabulary
sets: { mine: [my.a, my.b], nested: [$mine, my.c], unused: [x] }
groups: { ops: ops, devs: "7f3c" }
patterns: { ticket: { pattern: "T-[0-9]+", match: [T-1], noMatch: [T] } }
windows: { day: { from: "08:00", to: "18:00", tz: Europe/Berlin } }
`;
const POLICY = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\n";

async function digestOf(lines: readonly string[], more: Files = {}, defaults = ""): Promise<string> {
  const permits = rulesFile("Permits", `  - id: one\n${lines.map((line) => `    ${line}\n`).join("")}`, defaults);
  const { rules } = await loadGood(
    setOf({ "vocabulary.yaml": VOCABULARY, "policy.yaml": POLICY, "permits/a.yaml": permits, ...more }),
  );
  const [rule] = rules;
  if (rule?.effect !== "permit") throw new Error("no permit");
  return rule.digest;
}

test("is the same for what means the same", async () => {
  const digest = await digestOf(LINES);
  expect(digest).toMatch(/^[0-9a-f]{64}$/u);
  expect(await digestOf(LINES.toReversed())).toBe(digest);
  expect(await digestOf(LINES.slice(2))).toBe(digest);
  const moved = LINES.map((line) => (line.startsWith("target") ? "target: { names: [bag] }" : line));
  expect(await digestOf(moved)).not.toBe(digest);
  const withoutTarget = LINES.filter((line) => !line.startsWith("target"));
  expect(await digestOf(withoutTarget, {}, "{ target: { names: [box] } }")).toBe(digest);
  const elsewhere = VOCABULARY.replace("unused: [x]", "unused: [y], more: [z]").replace(
    "day: {",
    "night: { from: '01:00', to: '02:00' }, day: {",
  );
  expect(await digestOf(LINES, { "vocabulary.yaml": elsewhere })).toBe(digest);
  expect(await digestOf(LINES, { "policy.yaml": POLICY.replace("name: x", "name: y") })).toBe(digest);
});

test.each([
  ["a set within a set", "my.b", "my.d"],
  ["the id of its group", "ops: ops", "ops: ops-2"],
  ["the id of a group in its condition, which is also who approves", "7f3c", "7f3d"],
  ["its pattern", "T-[0-9]+", "T-[0-9]{1,9}"],
  ["its window", '"18:00"', '"18:30"'],
  ["the zone of its window", "Europe/Berlin", "Europe/Paris"],
])("changes with %s", async (_, before, after) => {
  expect(VOCABULARY).toContain(before);
  expect(await digestOf(LINES, { "vocabulary.yaml": VOCABULARY.replace(before, after) })).not.toBe(
    await digestOf(LINES),
  );
});

test.each([
  ["the time zone of its days", "timeZone: Asia/Tokyo\n"],
  ["the times of approvals that it does not say", "approval: { validFor: 1m }\n"],
])("changes with %s", async (_, line) => {
  expect(await digestOf(LINES, { "policy.yaml": POLICY + line })).not.toBe(await digestOf(LINES));
});
