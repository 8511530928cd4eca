/** Random rules of every kind, requests, and what people give, for the laws of the engine. */
import * as fc from "fast-check";
import { NOTHING_GIVEN } from "../src/core/given.ts";
import type { Approval, Given } from "../src/core/given.ts";
import { UNKNOWN } from "../src/core/operation.ts";
import type { Access, AccessClass, FactValue, Operation, Unknown } from "../src/core/operation.ts";
import type { RuleIndex } from "../src/policy/engine/index.ts";
import { identity, NOW, operation, session } from "./policy-sets.ts";
import { CONDITIONS, TICKET } from "./policy-world.ts";
import type {
  ConditionText,
  WrittenBlock,
  WrittenException,
  WrittenMask,
  WrittenObligations,
  WrittenRequirements,
  WrittenRule,
} from "./policy-world.ts";

/** Within the window of the day. */
export const NOON = NOW + 12 * 3_600_000;
/** The requests are those of an agent that ann owns. */
export const who = session(identity("agent", "bot", ["ops"], "ann"));

/** There in one of so many. */
const oneIn = <T>(many: number, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: many - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => oneIn(2, arbitrary);
const some = <T>(...values: T[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
/** What a generator makes: every key of T, some of them undefined, which stands for "not there". */
type Drawn<T> = { [K in keyof T]: T[K] | undefined };
/** Leaves out the keys whose value is undefined. */
function present<T extends object>(value: Drawn<T>): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}
/** At least one key. */
function nonEmpty<T extends object>(arbitrary: fc.Arbitrary<Drawn<T>>): fc.Arbitrary<T> {
  return arbitrary.map((each) => present<T>(each)).filter((each) => Object.keys(each).length > 0);
}

/* ---- actions ---- */

const THINGS = ["a", "b", "s.t", "s.u", "sys.x"];
const COLUMNS = ["a.x", "a.y", "s.x"];

const tiny = fc
  .record({
    rooms: oneIn(9, some("r", "q", "r*")),
    verbs: oneIn(3, some("get", "put", "run")),
    things: optional(some(...THINGS, "s.*", "*", "**", "$mine", "$builtin", "*.t")),
    tools: oneIn(9, some("t", "u", "*")),
    wide: oneIn(9, fc.boolean()),
    columns: oneIn(4, some("a.x", "a.*", "s.*", "a.y")),
    labels: oneIn(9, some("Red", "b*")),
    words: oneIn(9, fc.constantFrom<(string | string[])[][]>([["ls", "*"]], [["ls"], [["rm", "mv"], "-*", "/x/*"]])),
    fields: oneIn(9, fc.constantFrom<Record<string, string[]>>({ k: ["v", "w.*"] }, { k: ["v"], l: ["*"] })),
    texts: oneIn(9, some("Key", "x")),
  })
  .map((keys) => present<NonNullable<WrittenBlock["tiny"]>>(keys));
const block: fc.Arbitrary<WrittenBlock> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<WrittenBlock>({ any: true }) },
  { weight: 1, arbitrary: fc.constant<WrittenBlock>({ tiny: {} }) },
  { weight: 1, arbitrary: fc.constant<WrittenBlock>({ other: {} }) },
  {
    weight: 6,
    arbitrary: nonEmpty<WrittenBlock>(
      fc.record({ classes: oneIn(4, fc.constant<AccessClass[]>(["read"])), tiny: optional(tiny) }),
    ),
  },
);
const action = fc.oneof(block, fc.array(block, { minLength: 1, maxLength: 3 }));

/* ---- what rules share ---- */

const subject = fc.constantFrom<NonNullable<WrittenRule["subject"]>>(
  { any: true },
  { any: true },
  { groups: ["ops"], kinds: ["agent", "human"] },
  { kinds: ["agent"] },
  { groups: ["ops"] },
  { names: ["b*"], kinds: ["agent"] },
  { owners: ["ann"], kinds: ["agent"] },
);
const target = fc.constantFrom<NonNullable<WrittenRule["target"]>>(
  { any: true },
  { names: ["box"] },
  { names: ["box"] },
  { labels: { env: ["test"] } },
);
const times = fc.constantFrom<Partial<WrittenRule>>(
  {},
  {},
  {},
  {},
  { validUntil: new Date(NOON).toISOString() },
  { validUntil: new Date(NOON + 1).toISOString() },
  { window: "$day" },
  { window: { outside: "$day" } },
);
const conditions = Object.keys(CONDITIONS) as ConditionText[];
const condition = oneIn(5, fc.constantFrom(...conditions));

/* ---- consequences ---- */

const mask: fc.Arbitrary<WrittenMask> = fc.oneof(
  fc
    .record({
      columns: fc.constantFrom<string[]>(["a.x"], ["a.*"], ["**"], ["s.x", "a.y"]),
      with: fc.constantFrom("redact" as const, "hash" as const),
      predicates: oneIn(3, fc.constantFrom("masked" as const, "deny" as const, "equality" as const)),
    })
    .map((each) => present<WrittenMask>(each)),
  fc.record({
    columns: some(...COLUMNS),
    with: fc.constant("partial" as const),
    keepFirst: fc.nat(2),
    keepLast: fc.constant(1),
  }),
  fc.record({ fields: some("f", "g"), with: fc.constantFrom("redact" as const, "null" as const) }),
);
const masks = fc
  .tuple(fc.array(mask, { maxLength: 2 }), fc.constantFrom("redact" as const, "null" as const, "hash" as const))
  // With one for whatever the others do not name: a set in which a column could be left uncovered does not load.
  .map(([each, rest]): WrittenMask[] => each.concat({ with: rest }));
const small = fc.integer({ min: 1, max: 4 });
const limit = nonEmpty<NonNullable<WrittenObligations["limit"]>>(
  fc.record({
    rows: optional(small),
    time: optional(fc.constantFrom("5s", "20s")),
    budget: optional(
      small.map((max) => [{ rows: true as const, max, per: "session" as const, across: "subject" as const }]),
    ),
  }),
);
const sessionPart = nonEmpty<NonNullable<WrittenObligations["session"]>>(
  fc.record({
    readOnly: optional(fc.constant(true as const)),
    maxDuration: optional(fc.constantFrom("10m", "1h")),
    idle: optional(fc.constantFrom("5m", "10m")),
  }),
);
const alert = fc.uniqueArray(
  fc.record({
    channel: fc.constantFrom("desk", "dpo"),
    severity: fc.constantFrom("info" as const, "warning" as const, "critical" as const),
  }),
  { minLength: 1, maxLength: 2, selector: ({ channel }) => channel },
);
const obligations = nonEmpty<WrittenObligations>(
  fc.record({
    mask: optional(masks),
    limit: optional(limit),
    record: optional(some("input" as const, "output" as const, "raw" as const)),
    session: optional(sessionPart),
    alert: optional(alert),
  }),
);
const approval = fc
  .record({
    from: fc.constantFrom<NonNullable<WrittenRequirements["approval"]>["from"]>(
      { groups: ["risk"] },
      { groups: ["devs"] },
      { groups: ["risk", "devs"] },
      { subjects: ["cy", "di"] },
    ),
    count: fc.integer({ min: 1, max: 2 }),
    within: fc.constantFrom("5m", "1h"),
    validFor: fc.constantFrom("10m", "30m"),
    uses: optional(small),
    distinctFrom: oneIn(4, fc.constant<string[]>(["g0"])),
  })
  .map((each) => present<NonNullable<WrittenRequirements["approval"]>>(each));
const requirements = nonEmpty<WrittenRequirements>(
  fc.record({
    approval: optional(approval),
    justification: oneIn(3, fc.constantFrom({}, { pattern: "$ticket" })),
    stepUp: oneIn(3, fc.constant("mfa" as const)),
    confirm: oneIn(3, fc.constant("owner" as const)),
  }),
);

/* ---- rules ---- */

const exception: fc.Arbitrary<WrittenException | "$known"> = fc.oneof(
  { weight: 1, arbitrary: fc.constant("$known" as const) },
  {
    weight: 6,
    arbitrary: nonEmpty<Omit<WrittenException, "reason" | "validUntil">>(
      fc.record({
        subject: oneIn(3, subject),
        action: oneIn(3, action),
        grant: oneIn(3, fc.constant("sleeper")),
        condition: oneIn(3, fc.constantFrom(...conditions)),
        unread: oneIn(3, fc.constant(true as const)),
      }),
    ).chain((each) =>
      fc
        .constantFrom({}, {}, { validUntil: new Date(NOON).toISOString() })
        .map((time): WrittenException => Object.assign({ reason: "So." }, each, time)),
    ),
  },
);

/** The id is for the caller to give. */
export const permit: fc.Arbitrary<WrittenRule> = fc
  .record({
    subject,
    target,
    action,
    allowOpaque: fc.boolean(),
    condition,
    obligations: optional(obligations),
    times,
  })
  .map(({ times: time, ...rule }) => present<WrittenRule>({ id: "", ...rule, ...time }));

/** A permit that needs a grant. */
const sleeper: fc.Arbitrary<WrittenRule> = permit.map((rule) => ({
  ...rule,
  id: "sleeper",
  activation: { maxDuration: "1h", requirements: { stepUp: "mfa" } },
}));

const consequence: fc.Arbitrary<Partial<WrittenRule>> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ deny: "No." }) },
  { weight: 3, arbitrary: requirements.map((require) => ({ require })) },
  { weight: 4, arbitrary: obligations.map((oblige) => ({ oblige })) },
);
export const guard: fc.Arbitrary<WrittenRule> = fc
  .record({
    subject: optional(subject),
    target: optional(target),
    action,
    condition,
    except: oneIn(2, fc.array(exception, { minLength: 1, maxLength: 2 })),
    mode: fc.constantFrom(undefined, undefined, undefined, "enforce" as const, "observe" as const),
    what: consequence,
    times,
  })
  .map(({ what, times: time, ...rule }) => present<WrittenRule>({ id: "", ...rule, ...time, ...what }));

const named = (prefix: string) => (rules: readonly WrittenRule[]) =>
  rules.map((rule, at): WrittenRule => ({ ...rule, id: `${prefix}${at}` }));
/** Some permits, and one that needs a grant. */
export const permits: fc.Arbitrary<readonly WrittenRule[]> = fc
  .tuple(fc.array(permit, { maxLength: 5 }).map(named("p")), sleeper)
  .map(([standing, sleeping]) => standing.concat(sleeping));
/** Guards that mask, wherever they apply. */
export const maskGuards: fc.Arbitrary<readonly WrittenRule[]> = fc
  .array(fc.tuple(guard, masks), { minLength: 1, maxLength: 5 })
  .map((all) =>
    all.map(([rule, mask], at): WrittenRule => {
      const { id: _, deny: __, require: ___, ...rest } = rule;
      return Object.assign({}, rest, { id: `m${at}`, oblige: { mask } });
    }),
  );
export const guards: fc.Arbitrary<readonly WrittenRule[]> = fc.array(guard, { maxLength: 5 }).map(named("g"));

/* ---- requests ---- */

const fact = (unknown: number, ...values: string[]): fc.Arbitrary<FactValue | Unknown | undefined> =>
  fc.oneof(
    { weight: unknown, arbitrary: fc.constant(UNKNOWN) },
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 }) },
  );
export const access: fc.Arbitrary<Access> = fc
  .record({
    class: fc.constantFrom("read" as const, "read" as const, "administer" as const),
    rooms: fc.oneof({ weight: 3, arbitrary: fc.constant(["r"]) }, { weight: 1, arbitrary: fact(1, "r", "q") }),
    verbs: fact(1, "get", "put"),
    things: fact(1, ...THINGS),
    tools: oneIn(4, fact(1, "t")),
    wide: fc.constantFrom(undefined, undefined, true, false, UNKNOWN),
    columns: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 3, arbitrary: fact(1, ...COLUMNS) }),
    labels: oneIn(4, fact(1, "red", "Red", "BLUE")),
    words: oneIn(4, fc.constantFrom(["ls"], ["ls", "-a"], ["ls", "x.y/z"], ["rm", "-f", "/x/y"], UNKNOWN)),
    fields: oneIn(4, fc.constantFrom(["k=v"], ["k=v", "k=u"], ["k=w.1", "l=2"], ["l=a.b"], UNKNOWN)),
    texts: oneIn(4, fc.constantFrom(["a key"], ["Key", "none"], [], UNKNOWN)),
    opaque: fc.constantFrom(undefined, undefined, undefined, undefined, true as const),
    ambient: fc.constantFrom(undefined, undefined, undefined, undefined, true as const),
    named: oneIn(6, fc.constantFrom(["columns"], ["columns"], ["tools"], ["things", "columns"], [])),
  })
  .map(({ class: accessClass, opaque, ambient, named: mustBeNamed, ...facts }) =>
    present<Access>({
      class: accessClass,
      facts: present<Access["facts"]>(facts),
      opaque,
      ambient,
      named: mustBeNamed,
    }),
  );

const oneOperation: fc.Arbitrary<Operation> = fc
  .record({
    accesses: fc.array(access, { minLength: 1, maxLength: 3 }),
    understood: fc.constantFrom(undefined, undefined, undefined, false),
  })
  .map(({ accesses: [first, ...others], understood }) =>
    operation(who, [first ?? { class: "read", facts: {} }, ...others], understood),
  );

/* ---- what people give ---- */

const approvals: fc.Arbitrary<Approval> = fc.record({
  issuer: fc.constantFrom("test", "test", "else"),
  // The requester, its owner, and others.
  subject: fc.constantFrom("bot", "ann", "cy", "di", "ed"),
  groups: fc.constantFrom(["7f3c"], ["9a9a"], ["7f3c", "9a9a"], []),
  atMs: fc.constantFrom(NOON, NOON - 60_000, NOON - 7 * 60_000, NOON - 12 * 60_000, NOON - 40 * 60_000, NOON + 1),
});

/** The digest of the permit that sleeps is for the caller to put in, where it says `now`. */
const given: fc.Arbitrary<Given> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(NOTHING_GIVEN) },
  {
    weight: 3,
    arbitrary: fc.record({
      grants: fc.array(
        fc.record({
          id: fc.constant("grant"),
          rule: fc.constantFrom("sleeper", "sleeper", "sleeper", "p0", "g0"),
          ruleDigest: fc.constantFrom("now", "now", "now", "old"),
          issuer: fc.constantFrom("test", "test", "test", "else"),
          subject: fc.constantFrom("bot", "bot", "bot", "ann"),
          expiresAtMs: fc.constantFrom(NOON + 1, NOON + 1, NOON),
        }),
        { maxLength: 2 },
      ),
      approvals: fc.array(approvals, { maxLength: 4 }),
      justification: fc.constantFrom(null, "", "because", TICKET),
      steppedUp: fc.boolean(),
      confirmedByOwner: fc.boolean(),
    }),
  },
);

/** What is given, with the digests that the rules have in this set. */
export function grounded(index: RuleIndex, given: Given): Given {
  if (given === NOTHING_GIVEN) return given;
  const digestOf = (id: string): string => {
    const rule = index.byId.get(id);
    return rule?.effect === "permit" ? rule.digest : "none";
  };
  const grants = given.grants.map((grant) =>
    grant.ruleDigest === "now" ? { ...grant, ruleDigest: digestOf(grant.rule) } : grant,
  );
  return { ...given, grants };
}

export type Request = { readonly operation: Operation; readonly given: Given; readonly isConnect: boolean };

/** Many requests, so that a set that was compiled is tried well. */
export const requests: fc.Arbitrary<readonly Request[]> = fc.array(
  fc.record({
    operation: oneOperation,
    given,
    isConnect: fc.constantFrom(false, false, false, true),
  }),
  { minLength: 60, maxLength: 120 },
);
