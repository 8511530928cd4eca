/** What rules oblige together: always the stricter, whatever the order. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { SEED } from "../../../test/chance.ts";
import { RECORD_KINDS, SEVERITIES } from "../../core/obligation.ts";
import type { MaskTransform, Meter, Obligations, Requirement, SessionObligation } from "../../core/obligation.ts";
import { joinObligations, joinPredicates, joinRequirements, joinTransforms, meetSessions } from "./merge.ts";

const RUNS = 4000;

/* ---- random obligations and requirements, written as the compiler writes them ---- */

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
/** Leaves out what is undefined. */
const present = <T extends object>(value: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
const small = fc.nat(3);
const sorted = (...words: string[]) => fc.subarray(words.toSorted(), { minLength: 1 });

const transform: fc.Arbitrary<MaskTransform> = fc.oneof(
  fc.constantFrom("redact" as const, "null" as const, "hash" as const).map((kind) => ({ with: kind })),
  fc.record({ with: fc.constant("partial" as const), keepFirst: small, keepLast: small }),
);
const masks = fc
  .uniqueArray(fc.tuple(fc.constantFrom("__proto__", "a", "b", "c"), transform), { selector: ([name]) => name })
  .map((entries) => Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))));
const predicates = fc.constantFrom("masked" as const, "deny" as const, "equality" as const);
const meters = fc
  .uniqueArray(fc.record({ id: fc.constantFrom("a", "b", "c"), max: small }), {
    minLength: 1,
    selector: ({ id }) => id,
  })
  .map((all) =>
    all
      .map(({ id, max }): Meter => ({ id, rule: id, unit: "rows", max, per: { kind: "hour" }, across: "owner" }))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  );
const session = fc
  .record({ readOnly: maybe(fc.constant(true as const)), maxDurationMs: maybe(small), idleMs: maybe(small) })
  .map((each) => present<SessionObligation>(each));
const obligations: fc.Arbitrary<Obligations> = fc
  .record({
    limit: maybe(
      fc
        .record({ rows: maybe(small), bytes: maybe(small), timeMs: maybe(small), meters: maybe(meters) })
        .map((each) => present<NonNullable<Obligations["limit"]>>(each)),
    ),
    mask: maybe(fc.record({ columns: masks, fields: masks, classifiers: masks, patterns: masks, predicates })),
    record: maybe(fc.subarray([...RECORD_KINDS], { minLength: 1 })),
    session: maybe(session),
    alert: maybe(
      fc
        .uniqueArray(fc.record({ channel: fc.constantFrom("x", "y"), severity: fc.constantFrom(...SEVERITIES) }), {
          minLength: 1,
          selector: ({ channel }) => channel,
        })
        .map((all) => all.toSorted((a, b) => (a.channel < b.channel ? -1 : 1))),
    ),
  })
  .map((each) => present<Obligations>(each));
const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    kind: fc.constant("approval" as const),
    rules: sorted("r", "s"),
    from: fc.record({ groups: sorted("g", "h"), subjects: fc.constantFrom([], ["ann"]) }),
    count: small,
    withinMs: small,
    validForMs: small,
    uses: small,
    distinctFrom: fc.constantFrom([], ["r"]),
  }),
  fc.record({
    kind: fc.constant("justification" as const),
    rules: sorted("r", "s"),
    pattern: fc.constantFrom(null, "p", "q"),
  }),
  fc.record({ kind: fc.constant("stepUp" as const), rules: sorted("r", "s"), method: fc.constant("mfa" as const) }),
  fc.record({ kind: fc.constant("confirm" as const), rules: sorted("r", "s"), by: fc.constant("owner" as const) }),
);
/** As some rules require it: joined, so that each is there once. */
const requirements = fc.array(requirement, { maxLength: 4 }).map((all) => joinRequirements(all, []));

/** `join` is commutative, associative and idempotent. */
function isJoin<T>(join: (a: T, b: T) => T, of: fc.Arbitrary<T>): void {
  const holds = fc.property(of, of, of, (a, b, c) => {
    expect(join(a, b)).toEqual(join(b, a));
    expect(join(join(a, b), c)).toEqual(join(a, join(b, c)));
    expect(join(a, a)).toEqual(a);
    // What was joined stays in force.
    expect(join(a, join(a, b))).toEqual(join(a, b));
  });
  fc.assert(holds, { numRuns: RUNS, seed: SEED });
}

describe(`joining is commutative, associative and idempotent (WEIR_TEST_SEED=${SEED}):`, () => {
  test("obligations", () => isJoin(joinObligations, obligations));
  test("requirements", () => isJoin(joinRequirements, requirements));
  test("masks of one name", () => isJoin(joinTransforms, transform));
  test("what conditions see", () => isJoin(joinPredicates, predicates));
  test("the mildest of sessions", () => isJoin(meetSessions, session));
});

/* ---- and it is the join that the language says ---- */

type ApprovalRequirement = Extract<Requirement, { readonly kind: "approval" }>;
const partial = (keepFirst: number, keepLast: number): MaskTransform => ({ with: "partial", keepFirst, keepLast });

test.each<[MaskTransform, MaskTransform, MaskTransform]>([
  [{ with: "hash" }, { with: "hash" }, { with: "hash" }],
  [{ with: "null" }, { with: "null" }, { with: "null" }],
  [{ with: "hash" }, { with: "null" }, { with: "redact" }],
  [{ with: "hash" }, partial(1, 0), { with: "redact" }],
  [partial(3, 0), partial(1, 2), partial(1, 0)],
])("a mask of %p and one of %p is one of %p", (a, b, both) => {
  expect(joinTransforms(a, b)).toEqual(both);
});

test("limits are the smallest, and each budget holds", () => {
  const meter = (id: string, max: number): Meter => ({
    id,
    rule: "r",
    unit: "calls",
    max,
    per: { kind: "session" },
    across: "subject",
  });
  const a: Obligations = { limit: { rows: 5, timeMs: 9, meters: [meter("a", 3), meter("b", 9)] } };
  const b: Obligations = { limit: { rows: 7, bytes: 1, meters: [meter("b", 4), meter("c", 1)] } };
  expect(joinObligations(a, b)).toEqual({
    limit: { rows: 5, bytes: 1, timeMs: 9, meters: [meter("a", 3), meter("b", 4), meter("c", 1)] },
  });
  expect(joinObligations({}, a)).toEqual(a);
});

test("what is recorded adds up, the most severe alert of a channel stays, a session is as strict as any wants", () => {
  expect(
    joinObligations(
      {
        record: ["output"],
        session: { maxDurationMs: 5, readOnly: true },
        alert: [{ channel: "x", severity: "warning" }],
      },
      {
        record: ["input", "raw"],
        session: { maxDurationMs: 4, idleMs: 9 },
        alert: [
          { channel: "a", severity: "info" },
          { channel: "x", severity: "critical" },
        ],
      },
    ),
  ).toEqual({
    record: ["input", "output", "raw"],
    session: { readOnly: true, maxDurationMs: 4, idleMs: 9 },
    alert: [
      { channel: "a", severity: "info" },
      { channel: "x", severity: "critical" },
    ],
  });
});

test.each<[SessionObligation, SessionObligation, SessionObligation]>([
  [{ readOnly: true }, { readOnly: true }, { readOnly: true }],
  [{ readOnly: true }, {}, {}],
  [{ maxDurationMs: 5, idleMs: 2 }, { maxDurationMs: 9 }, { maxDurationMs: 9 }],
])("of sessions as %p or as %p it is known that they are as %p", (a, b, either) => {
  expect(meetSessions(a, b)).toEqual(either);
  expect(meetSessions(b, a)).toEqual(either);
});

test("approvals by the same people are one, by others another, and so are those that want other people", () => {
  const approval = (group: string, rule: string, count: number, distinctFrom: string[] = []): ApprovalRequirement => ({
    kind: "approval",
    rules: [rule],
    from: { groups: [group], subjects: [] },
    count,
    withinMs: count,
    validForMs: 10 - count,
    uses: count,
    distinctFrom,
  });
  const joined = joinRequirements(
    [approval("dba", "r", 1), approval("risk", "r", 1)],
    [approval("dba", "s", 2), approval("dba", "t", 1, ["s"])],
  );
  expect(joined).toEqual([
    approval("dba", "t", 1, ["s"]),
    { ...approval("dba", "r", 2), rules: ["r", "s"], withinMs: 1, validForMs: 8, uses: 1 },
    approval("risk", "r", 1),
  ]);
});
