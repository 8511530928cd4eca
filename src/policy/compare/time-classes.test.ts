/** Classes of times: of everything that windows and times of validity tell apart, the earliest instant. */
import { expect, test } from "bun:test";
import { loadGood } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";
import { timeClasses } from "./time-classes.ts";

/** A Friday. */
const NOW = Date.UTC(2027, 0, 1, 12);

/** The classes for guards with these keys, as `2027-01-01T12:00`; those that are not near have a `+`. */
async function classesOf(...guards: readonly string[]): Promise<readonly string[]> {
  const lines = guards.map((keys, at) => `- { id: g${at}, action: { any: true }, deny: No., ${keys} }\n`);
  const { rules } = await loadGood(setOf({ "guards/a.yaml": rulesFile("Guards", lines.join("")) }));
  return timeClasses(rules, NOW).map(
    ({ at, isNear }) => `${new Date(at).toISOString().slice(0, 16)}${isNear ? "" : "+"}`,
  );
}

test("without windows and times of validity there is only now", async () => {
  expect(await classesOf("mode: enforce")).toEqual(["2027-01-01T12:00"]);
});

test("times of validity that are still to come are classes, those that are over are not", async () => {
  expect(await classesOf('validFrom: "2027-03-01T00:00:00Z", validUntil: "2028-01-01T00:00:00Z"')).toEqual([
    "2027-01-01T12:00",
    "2027-03-01T00:00+",
    // From 2028 on it is as it is now.
  ]);
  expect(await classesOf('validUntil: "2028-01-01T00:00:00Z"')).toEqual(["2027-01-01T12:00", "2028-01-01T00:00+"]);
  expect(await classesOf('validUntil: "2026-01-01T00:00:00Z"')).toEqual(["2027-01-01T12:00"]);
  expect(await classesOf('validFrom: "2027-01-01T12:00:00Z"')).toEqual(["2027-01-01T12:00"]);
});

test("an exception that ends is a class before and one after", async () => {
  const except = "except: [{ subject: { kinds: [agent] }, validUntil: '2027-02-01T00:00:00Z', reason: so }]";
  expect(await classesOf(except)).toEqual(["2027-01-01T12:00", "2027-02-01T00:00+"]);
});

test("windows are walked for a week from now, and from wherever validity changes", async () => {
  expect(await classesOf('window: { days: [mon], from: "08:00", to: "18:00", tz: UTC }')).toEqual([
    "2027-01-01T12:00",
    "2027-01-04T08:00",
  ]);
  expect(
    await classesOf(
      'window: { from: "08:00", to: "18:00", tz: UTC }',
      'window: { from: "17:00", to: "20:00", tz: UTC }',
    ),
  ).toEqual(["2027-01-01T12:00", "2027-01-01T17:00", "2027-01-01T18:00", "2027-01-01T20:00"]);
  const later = 'window: { from: "08:00", to: "18:00", tz: UTC }, validFrom: "2027-03-01T09:30:00Z"';
  expect(await classesOf(later)).toEqual([
    "2027-01-01T12:00",
    "2027-01-01T18:00",
    "2027-03-01T09:30+",
    "2027-03-01T18:00+",
  ]);
  // Also within the week of the walk, what begins to be valid does so at once, and ends what is near.
  expect(await classesOf(later.replace("2027-03-01", "2027-01-02"))).toEqual([
    "2027-01-01T12:00",
    "2027-01-01T18:00",
    "2027-01-02T09:30+",
    "2027-01-02T18:00+",
  ]);
});
