/** Logins that work and sessions that are refused, without end: the first of a subject one by one, the others as a count. */
import { expect, test } from "bun:test";
import type { EventFacts } from "./pieces.ts";
import { RECORDED_MAX, SUBJECTS_MAX, SubjectRepeats, WINDOW_MS } from "./subject-repeats.ts";

const refused = (more: EventFacts = {}): EventFacts => ({
  issuer: "weir",
  subject: "ann",
  kind: "human",
  credential: "t1",
  source: "10.0.0.1",
  target: "shop",
  code: "limit",
  reason: "too many",
  rules: [],
  id: "i",
  ...more,
});

/** How many of so many are recorded one by one. */
function recorded(repeats: SubjectRepeats, count: number, facts: (n: number) => EventFacts, now = 0): number {
  let sum = 0;
  for (let n = 0; n < count; n++) if (repeats.isRecorded(facts(n), now + n)) sum++;
  return sum;
}

test("the first of a minute are recorded, the others are one count with the facts of the last", () => {
  const repeats = new SubjectRepeats();
  expect(recorded(repeats, RECORDED_MAX + 500, (n) => refused({ id: `i${n}` }), 1000)).toBe(RECORDED_MAX);
  expect(repeats.dueMs).toBe(1000 + WINDOW_MS);
  expect(repeats.take(1000 + WINDOW_MS - 1)).toEqual([]);
  expect(repeats.take(1000 + WINDOW_MS)).toEqual([
    {
      ...refused({ id: `i${RECORDED_MAX + 499}` }),
      count: 500,
      fromMs: 1000 + RECORDED_MAX,
      toMs: 1499 + RECORDED_MAX,
    },
  ]);
  expect(repeats.dueMs).toBeNull();
  expect(repeats.isRecorded(refused(), 2 * WINDOW_MS)).toBe(true);
});

test("what differs is named, up to sixteen of a kind", () => {
  const repeats = new SubjectRepeats();
  recorded(repeats, RECORDED_MAX, () => refused());
  recorded(repeats, 1000, (n) =>
    refused({ target: `t${n}`, source: `2001:db8:${n % 2}::${n}`, code: n % 2 === 0 ? "limit" : "unauthenticated" }),
  );
  const [count] = repeats.take(null);
  expect(count).toMatchObject({
    count: 1000,
    targets: Array.from({ length: 16 }, (_, n) => `t${n}`),
    sources: ["2001:db8:0:0::/64", "2001:db8:1:0::/64"],
    codes: ["limit", "unauthenticated"],
  });
  expect(Object.keys(count ?? {})).not.toContain("subjects");
});

test("each target that policy denies has an entry of its own, whatever came before", () => {
  const repeats = new SubjectRepeats();
  recorded(repeats, 1000, (n) => refused({ target: `made-up-${n}`, code: "unauthenticated" }));
  const denied = (target: string): boolean => repeats.isRecorded(refused({ target, code: "denied" }), 0);
  expect([denied("payroll"), denied("shop"), denied("payroll")]).toEqual([true, true, false]);
});

test("nobody's count hides another's entries", () => {
  const repeats = new SubjectRepeats();
  recorded(repeats, 10_000, () => refused());
  expect(recorded(repeats, RECORDED_MAX, () => refused({ subject: "ben" }))).toBe(RECORDED_MAX);
  expect(recorded(repeats, RECORDED_MAX, () => refused({ issuer: "corp" }))).toBe(RECORDED_MAX);
  expect(repeats.take(null)).toHaveLength(1);
});

test("more subjects than are told apart share a count, and a clock that is set back does not hold it", () => {
  const repeats = new SubjectRepeats();
  expect(recorded(repeats, SUBJECTS_MAX + 500, (n) => refused({ subject: `s${n}` }), 1_000_000)).toBe(
    SUBJECTS_MAX + RECORDED_MAX,
  );
  const [count, ...more] = repeats.take(5);
  expect(more).toEqual([]);
  expect(count).toMatchObject({ count: 500 - RECORDED_MAX });
  expect(count?.["subjects"]).toHaveLength(16);
});
