/** Laws of the engine on random sets: guards only narrow, permits only lift a default deny, and order never matters. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { identity, NOW, operation, session } from "../../test/policy-sets.ts";
import { decideNaively, indexOf } from "../../test/policy-world.ts";
import type { WrittenBlock, WrittenRule } from "../../test/policy-world.ts";
import { UNKNOWN } from "../core/operation.ts";
import type { Access, AccessClass, FactValue, Operation, Unknown } from "../core/operation.ts";
import { decide, mayConnect } from "./decide.ts";

const RUNS = 400;
const TIME_MS_MAX = 120_000;

const THINGS = ["a", "b", "s.t", "s.u", "sys.x"];
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const listOf = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
/** What a generator makes: every key of T, some of them undefined, which stands for "not there". */
type Drawn<T> = { [K in keyof T]: T[K] | undefined };
/** Leaves out the keys whose value is undefined. */
function present<T extends object>(value: Drawn<T>): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}

const tiny = fc
  .record({
    rooms: optional(listOf("r", "q", "r*")),
    verbs: optional(listOf("get", "put", "run")),
    things: optional(listOf(...THINGS, "s.*", "*", "**", "$mine", "$builtin", "*.t")),
    tools: optional(listOf("t", "u", "*")),
    wide: optional(fc.boolean()),
  })
  .map((keys) => present<Record<string, string[] | boolean>>(keys));
const block: fc.Arbitrary<WrittenBlock> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<WrittenBlock>({ any: true }) },
  { weight: 1, arbitrary: fc.constant<WrittenBlock>({ other: {} }) },
  {
    weight: 6,
    arbitrary: fc
      .record({ classes: optional(fc.constant<AccessClass[]>(["read"])), tiny: optional(tiny) })
      .map((keys) => present<WrittenBlock>(keys))
      .filter((each) => Object.keys(each).length > 0),
  },
);
const action = fc.oneof(block, fc.array(block, { minLength: 1, maxLength: 3 }));
const subject = fc.constantFrom<NonNullable<WrittenRule["subject"]>>(
  { any: true },
  { groups: ["ops"] },
  { kinds: ["agent"] },
  { names: ["a*"] },
);
const target = fc.constantFrom<NonNullable<WrittenRule["target"]>>(
  { any: true },
  { names: ["box"] },
  { labels: { env: ["test"] } },
);
const validity = fc.constantFrom<Partial<WrittenRule>>(
  {},
  {},
  {},
  { validUntil: new Date(NOW).toISOString() },
  { validUntil: new Date(NOW + 1).toISOString() },
);

const permit = fc
  .record({ subject, target, action, allowOpaque: fc.boolean(), times: validity })
  .map(({ times, ...rule }): WrittenRule => Object.assign({ id: "" }, rule, times));
const guard = fc
  .record({ subject, target, action, times: validity })
  .map(({ times, ...rule }): WrittenRule => Object.assign({ id: "", deny: "No." }, rule, times));
const permits = fc.array(permit, { maxLength: 6 }).map((rules) => rules.map((rule, at) => ({ ...rule, id: `p${at}` })));
const guards = fc.array(guard, { maxLength: 4 }).map((rules) => rules.map((rule, at) => ({ ...rule, id: `g${at}` })));

const fact = (...values: string[]): fc.Arbitrary<FactValue | Unknown | undefined> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(UNKNOWN) },
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 }) },
  );
const access: fc.Arbitrary<Access> = fc
  .record({
    class: fc.constantFrom("read" as const, "administer" as const),
    rooms: fc.oneof({ weight: 3, arbitrary: fc.constant(["r"]) }, { weight: 1, arbitrary: fact("r", "q") }),
    verbs: fact("get", "put"),
    things: fact(...THINGS),
    tools: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fact("t") }),
    wide: fc.constantFrom(undefined, true, false, UNKNOWN),
    opaque: fc.constantFrom(undefined, undefined, undefined, true as const),
    ambient: fc.constantFrom(undefined, undefined, undefined, true as const),
  })
  .map(({ class: accessClass, opaque, ambient, ...facts }) =>
    present<Access>({ class: accessClass, facts: present<Access["facts"]>(facts), opaque, ambient }),
  );

const who = session(identity("human", "ann", ["ops"]));
const requests: fc.Arbitrary<readonly Operation[]> = fc.array(
  fc
    .record({
      accesses: fc.array(access, { minLength: 1, maxLength: 3 }),
      understood: fc.constantFrom(undefined, undefined, false),
    })
    .map(({ accesses: [first, ...others], understood }) =>
      operation(who, [first ?? { class: "read", facts: {} }, ...others], understood),
    ),
  { minLength: 1, maxLength: 8 },
);

test(
  "the engine decides as the meaning says",
  async () => {
    await fc.assert(
      fc.asyncProperty(permits, guards, requests, async (allPermits, allGuards, operations) => {
        const index = await indexOf([allPermits], [allGuards]);
        for (const each of operations) {
          const { kind, rules } = decideNaively(allPermits, allGuards, who, each);
          expect(decide(index, who, each, NOW)).toMatchObject({ kind, rules: [...rules] });
          const opening = decideNaively(allPermits, allGuards, who, each, NOW, true);
          expect(mayConnect(index, who, each, NOW)).toMatchObject({ kind: opening.kind, rules: [...opening.rules] });
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIME_MS_MAX,
);

test(
  "a guard more never makes a decision less strict",
  async () => {
    await fc.assert(
      fc.asyncProperty(permits, guards, guard, requests, async (allPermits, allGuards, one, operations) => {
        const before = await indexOf([allPermits], [allGuards]);
        const after = await indexOf([allPermits], [[...allGuards, { ...one, id: "more" }]]);
        for (const each of operations) {
          if (decide(before, who, each, NOW).kind === "deny") expect(decide(after, who, each, NOW).kind).toBe("deny");
          if (mayConnect(before, who, each, NOW).kind === "deny")
            expect(mayConnect(after, who, each, NOW).kind).toBe("deny");
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIME_MS_MAX,
);

test(
  "a permit more changes nothing but a default deny",
  async () => {
    await fc.assert(
      fc.asyncProperty(permits, guards, permit, requests, async (allPermits, allGuards, one, operations) => {
        const before = await indexOf([allPermits], [allGuards]);
        const after = await indexOf([[...allPermits, { ...one, id: "more" }]], [allGuards]);
        for (const each of operations) {
          const was = decide(before, who, each, NOW);
          const is = decide(after, who, each, NOW);
          if (was.kind === "permit") expect(is.kind).toBe("permit");
          if (mayConnect(before, who, each, NOW).kind === "permit")
            expect(mayConnect(after, who, each, NOW).kind).toBe("permit");
          // Guards that applied still apply, whatever is permitted.
          if (was.kind === "deny" && was.rules.length > 0)
            expect(is).toMatchObject({ kind: "deny", rules: [...was.rules] });
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIME_MS_MAX,
);

test(
  "the order of rules and files changes nothing",
  async () => {
    await fc.assert(
      fc.asyncProperty(permits, guards, requests, fc.nat(6), async (allPermits, allGuards, operations, cut) => {
        const one = await indexOf([allPermits], [allGuards]);
        const turned = allPermits.toReversed();
        const other = await indexOf([turned.slice(0, cut), turned.slice(cut)], [allGuards.toReversed()]);
        for (const each of operations) expect(decide(other, who, each, NOW)).toEqual(decide(one, who, each, NOW));
      }),
      { numRuns: RUNS },
    );
  },
  TIME_MS_MAX,
);

test(
  "an access more never makes a decision less strict",
  async () => {
    await fc.assert(
      fc.asyncProperty(permits, guards, requests, access, async (allPermits, allGuards, operations, more) => {
        const index = await indexOf([allPermits], [allGuards]);
        for (const each of operations) {
          const shorter = operation(who, each.accesses);
          const longer = operation(who, [...each.accesses, more]);
          if (decide(index, who, shorter, NOW).kind === "deny")
            expect(decide(index, who, longer, NOW).kind).toBe("deny");
        }
      }),
      { numRuns: RUNS },
    );
  },
  TIME_MS_MAX,
);
