/** Laws of the checks on random sets: what is called unreachable never permits, what is called shadowed never matters. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { loadYard, YARD_TARGETS, YARD_VOCABULARIES } from "../../../test/policy-yard.ts";
import type { Written } from "../../../test/policy-yard.ts";
import { identity, operation } from "../../../test/policy-sets.ts";
import type { Decision } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Given } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Facts, FactValue, Operation, Unknown } from "../../core/operation.ts";
import type { Session } from "../../core/session.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import { RuleIndex } from "../engine/index.ts";
import type { Problem } from "../problems.ts";
import { formatProblem, hasErrors } from "../problems.ts";
import type { Rule } from "../engine/rule.ts";

/** So many that the rarest warning, one in twenty, does not stay below its bound by chance. */
const RUNS = 750;
const OPERATIONS = 40;
/** A Friday at noon and at night, in UTC. */
const TIMES = [Date.UTC(2027, 0, 1, 12), Date.UTC(2027, 0, 1, 23)];
const TIME_MS_MAX = 900_000;

/* ---- random sets ---- */

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const someOf = <T>(...values: T[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
/** JSON leaves out the keys whose value is undefined. */
const map = (entries: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Written> =>
  fc.record(entries).map((drawn) => Object.fromEntries(Object.entries(drawn).filter(([, each]) => each !== undefined)));

const yard = map({
  rooms: rarely(someOf("r", "r*")),
  verbs: optional(someOf("get", "put", "drop")),
  things: optional(someOf("a", "b", "s.t", "s.*", "*", "**", "s.**")),
  tools: rarely(someOf("t", "*")),
  // What the masks below cover.
  columns: rarely(fc.constant(["t.x"])),
  wide: rarely(fc.boolean()),
  paths: rarely(someOf("/d/*", "/d/**", "/d/.h", "/D/x", "/d/x")),
  argv: rarely(fc.constantFrom([["ls"]], [["ls", "*"]], [["ls", ["-l", "x"]]], [["*", "x"]], [["ls", "-l"], ["ls"]])),
  says: rarely(someOf("drop", "Drop it", "op", "$secret")),
  args: rarely(fc.constantFrom({ n: ["a"] }, { n: ["a", "b"] }, { N: ["A"] }, { n: ["a"], m: ["*"] }, { n: ["*"] })),
});
const block: fc.Arbitrary<Written> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Written>({ any: true }) },
  { weight: 1, arbitrary: map({ classes: someOf("read", "write", "define", "connect") }) },
  { weight: 8, arbitrary: map({ classes: rarely(someOf("read", "write", "define")), yard }) },
);
const action = fc.oneof({ weight: 4, arbitrary: block }, fc.array(block, { minLength: 1, maxLength: 2 }));
const subject = fc.constantFrom<Written>(
  { any: true },
  { groups: ["ops"] },
  { groups: ["ops", "devs"] },
  { kinds: ["agent"] },
  { kinds: ["agent", "human"], groups: ["ops"] },
  { names: ["ann"] },
);
const target = fc.constantFrom<Written>(
  { any: true },
  { names: ["box"] },
  { labels: { env: ["prod"] } },
  { names: ["b*"] },
);
/** Rules of one set are mostly about the same few things. */
const commonTo = (actions: readonly unknown[]) => ({
  action: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...actions) }, { weight: 1, arbitrary: action }),
  subject,
  target,
  window: rarely(fc.constant("$office")),
  condition: rarely(fc.constantFrom("subject.name == 'ann' || access.wide", "!access.wide")),
  validUntil: rarely(fc.constantFrom(new Date(TIMES[1] ?? 0).toISOString(), "2030-01-01T00:00:00Z")),
});
const limit = map({ rows: optional(fc.integer({ min: 1, max: 3 })), time: rarely(fc.constantFrom("1s", "2s")) }).filter(
  (each) => Object.keys(each).length > 0,
);
const obligations = map({
  limit: optional(limit),
  record: rarely(someOf("input", "output")),
  session: rarely(fc.constant({ readOnly: true })),
  mask: rarely(fc.constant([{ columns: ["t.x"], with: "hash" }])),
}).filter((each) => Object.keys(each).length > 0);
const permitAbout = (actions: readonly unknown[]) =>
  map({
    ...commonTo(actions),
    allowOpaque: rarely(fc.constant(true)),
    obligations: optional(obligations),
    activation: rarely(fc.constant({ maxDuration: "1h", requirements: { justification: {} } })),
  });
const exception = map({
  subject: rarely(subject),
  target: rarely(target),
  action: rarely(block),
  unread: rarely(fc.constant(true)),
  validUntil: rarely(fc.constant("2026-01-01T00:00:00Z")),
})
  .filter((each) => Object.keys(each).some((key) => key !== "validUntil"))
  .map((each): Written => Object.assign({}, each, { reason: "Because." }));
const consequence = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Written>({ deny: "No." }) },
  { weight: 1, arbitrary: fc.constant<Written>({ require: { stepUp: "mfa" } }) },
  { weight: 1, arbitrary: fc.constant<Written>({ require: { justification: {} } }) },
  { weight: 4, arbitrary: obligations.map((oblige): Written => ({ oblige })) },
);
const guardAbout = (actions: readonly unknown[]) =>
  fc
    .tuple(
      map({
        ...commonTo(actions),
        mode: rarely(fc.constant("observe")),
        except: rarely(fc.array(exception, { minLength: 1, maxLength: 2 })),
      }),
      consequence,
    )
    .map(([rule, what]): Written => Object.assign({}, rule, what));
const numbered = (prefix: string, rules: readonly Written[]) =>
  rules.map((rule, at): Written => Object.assign({}, rule, { id: `${prefix}${at}` }));
const set = fc.array(action, { minLength: 1, maxLength: 3 }).chain((actions) =>
  fc.record({
    permits: fc.array(permitAbout(actions), { minLength: 1, maxLength: 6 }).map((rules) => numbered("p", rules)),
    guards: fc.array(guardAbout(actions), { maxLength: 5 }).map((rules) => numbered("g", rules)),
  }),
);

/* ---- random operations ---- */

const fact = (...values: string[]): fc.Arbitrary<FactValue | Unknown | undefined> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(UNKNOWN) },
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 6, arbitrary: fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 }) },
  );
const CLASS_OF = { get: "read", put: "write", drop: "define" } as const;
const verb = fc.constantFrom<keyof typeof CLASS_OF>("get", "put", "drop");
const access: fc.Arbitrary<Access> = fc
  .record({
    verb,
    knowsVerb: fc.constantFrom(true, true, true, UNKNOWN, undefined),
    things: fact("a", "b", "s.t", "s.t.u", "x"),
    tools: rarely(fact("t", "u")),
    wide: rarely(fc.constantFrom(true, false, UNKNOWN)),
    paths: rarely(fact("/d/x", "/d/y/z", "/d/.h", "/D/X", "/d/y/.z")),
    argv: rarely(fc.constantFrom(["ls"], ["ls", "-l"], ["ls", "x"], ["cat", "x"])),
    says: rarely(fact("drop it", "DROP IT", "open", "sk-abc")),
    args: rarely(fact("n=a", "n=b", "N=A", "m=x")),
    rooms: fc.constantFrom(["r"], ["q"], undefined),
    columns: rarely(fact("t.x", "t.y")),
    marks: fc.constantFrom<Partial<Access>>({}, {}, {}, { opaque: true }, { ambient: true }, { named: ["columns"] }),
  })
  .map(({ verb: done, knowsVerb, marks, ...others }): Access => {
    const verbs = knowsVerb === true ? [done] : knowsVerb;
    const facts = Object.entries({ verbs, ...others }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    );
    return Object.assign({ class: CLASS_OF[done], facts: Object.fromEntries(facts) }, marks);
  });
const PEOPLE = [
  identity("human", "ann", ["00-ops"]),
  identity("human", "bob", ["00-devs"]),
  identity("agent", "bot", ["00-ops"], "ann"),
  identity("agent", "imp", []),
];
const SESSIONS: readonly Session[] = PEOPLE.flatMap((who) =>
  YARD_TARGETS.map((each) => ({ id: "s", identity: who, target: each, openedAtMs: 0, source: "127.0.0.1" })),
);
const asked = fc.tuple(fc.constantFrom(...SESSIONS), fc.array(access, { minLength: 1, maxLength: 2 }));

/** Somebody for whom every permit that sleeps is awake. */
function everythingGranted({ identity: who }: Session, rules: readonly Rule[]): Given {
  const grants = rules.flatMap((rule) =>
    rule.effect === "permit" && rule.activation !== null
      ? [
          {
            id: rule.id,
            rule: rule.id,
            ruleDigest: rule.digest,
            issuer: who.issuer,
            subject: who.subject,
            expiresAtMs: Infinity,
          },
        ]
      : [],
  );
  return { ...NOTHING_GIVEN, grants };
}

/** A decision without the names of the rules that it rests on. */
function essence(decision: Decision): string {
  if (decision.kind === "deny") return "deny";
  const asked = decision.kind === "ask" ? decision.requirements.map((each) => ({ ...each, rules: [] })) : [];
  return JSON.stringify([decision.kind, decision.obligations, asked]);
}

/** What belongs to every session needs only some permit, whatever else that permits and obliges. */
function needsSomePermit({ accesses }: Operation): boolean {
  return accesses.every((each) => each.ambient === true && each.opaque !== true);
}

/** The rule that a warning is about: it comes first in the message, or after the limit. */
function ruleOf({ message }: Problem, rules: readonly Rule[]): Rule {
  const words = message.split(" ");
  const named = message.includes(" has no effect") ? words[words.indexOf("of") + 1] : words[0];
  const rule = rules.find(({ id }) => id === named);
  if (rule === undefined) throw new Error(message);
  return rule;
}

const CONNECTS: readonly Facts[] = [{}, { rooms: ["r"] }, { rooms: ["q"] }];

type Asked = { readonly within: Session; readonly wanted: Operation; readonly given: Given; readonly now: number };

test(
  "what is said of a rule is true of every operation",
  async () => {
    const said = { UNREACHABLE: 0, SHADOWED: 0, LIMIT_HAS_NO_EFFECT: 0 };
    let carried = 0;
    await fc.assert(
      fc.asyncProperty(set, fc.integer(), async (written, seed) => {
        const { rules, problems } = await loadYard(written);
        if (hasErrors(problems)) throw new Error(problems.map(formatProblem).join("\n"));
        const told = (code: Problem["code"]) => problems.filter((problem) => problem.code === code);
        const all = new RuleIndex(rules, YARD_VOCABULARIES);
        const asks: Asked[] = fc.sample(asked, { seed, numRuns: OPERATIONS }).flatMap(([within, accesses]) => {
          const [first, ...others] = accesses;
          if (first === undefined) return [];
          const wanted = operation(within, [first, ...others]);
          const given = everythingGranted(within, rules);
          return TIMES.flatMap((now) => [
            { within, wanted, given, now },
            { within, wanted, given: NOTHING_GIVEN, now },
          ]);
        });
        const decided = asks.map(({ within, wanted, given, now }) => decide(all, within, wanted, now, given));
        for (const problem of told("UNREACHABLE")) {
          said.UNREACHABLE++;
          const { id } = ruleOf(problem, rules);
          for (const [at, { wanted }] of asks.entries()) {
            if (needsSomePermit(wanted)) continue;
            const decision = decided[at];
            if (decision !== undefined && decision.kind !== "deny") expect(decision.rules).not.toContain(id);
          }
        }
        for (const problem of told("SHADOWED")) {
          said.SHADOWED++;
          const shadowed = ruleOf(problem, rules);
          const less = new RuleIndex(
            rules.filter((rule) => rule !== shadowed),
            YARD_VOCABULARIES,
          );
          for (const [at, { within, wanted, given, now }] of asks.entries()) {
            const before = decided[at];
            if (before === undefined) continue;
            const after = decide(less, within, wanted, now, given);
            if (essence(after) !== essence(before))
              throw new Error(`${formatProblem(problem)} ${essence(before)} ${essence(after)}`);
          }
          for (const within of SESSIONS) {
            for (const [connect, now] of CONNECTS.flatMap((facts) => TIMES.map((time) => [facts, time] as const))) {
              const opening = operation(within, [{ class: "connect", facts: connect }]);
              const given = everythingGranted(within, rules);
              const [open, openLess] = [all, less].map((index) =>
                essence(mayConnect(index, within, opening, now, given)),
              );
              if (open !== openLess) throw new Error(`${formatProblem(problem)} connect: ${open} ${openLess}`);
            }
          }
        }
        for (const problem of told("LIMIT_HAS_NO_EFFECT")) {
          said.LIMIT_HAS_NO_EFFECT++;
          const rule = ruleOf(problem, rules);
          const limits = (rule.effect === "permit" ? rule.obligations : ruleObliges(rule))?.limit ?? {};
          const [key, own] = problem.message.startsWith("rows")
            ? (["rows", limits.rows] as const)
            : (["timeMs", limits.timeMs] as const);
          for (const [at, { wanted }] of asks.entries()) {
            const decision = decided[at];
            if (decision === undefined || needsSomePermit(wanted)) continue;
            if (decision.kind === "deny" || !decision.rules.includes(rule.id)) continue;
            expect(decision.obligations.limit?.[key] ?? Infinity).toBeLessThan(own ?? 0);
          }
        }
        carried += decided.filter(({ kind }) => kind !== "deny").length;
      }),
      { numRuns: RUNS },
    );
    // A law that says nothing is not tried.
    expect(said.UNREACHABLE).toBeGreaterThan(RUNS / 20);
    expect(said.SHADOWED).toBeGreaterThan(RUNS / 20);
    expect(said.LIMIT_HAS_NO_EFFECT).toBeGreaterThan(RUNS / 50);
    expect(carried).toBeGreaterThan(RUNS);
  },
  TIME_MS_MAX,
);

function ruleObliges(rule: Rule) {
  return rule.effect === "guard" && rule.consequence.kind === "oblige" ? rule.consequence.obligations : null;
}
