/** Exhaustive over a small world: the indexed engine and a naive one written from the meaning agree on every request. */
import { expect, test } from "bun:test";
import { identity, NOW, operation, session } from "../../test/policy-sets.ts";
import { decideNaively, indexOf } from "../../test/policy-world.ts";
import type { WrittenBlock, WrittenRule } from "../../test/policy-world.ts";
import { UNKNOWN } from "../core/operation.ts";
import type { Access, Facts, FactValue, Operation, Unknown } from "../core/operation.ts";
import type { Session } from "../core/session.ts";
import { decide } from "./decide.ts";
import type { RuleIndex } from "./index.ts";

type Fact = FactValue | Unknown | undefined;
const NONE = undefined;

const ACTIONS: readonly (WrittenBlock | WrittenBlock[])[] = [
  { any: true },
  { tiny: {} },
  { other: {} },
  { classes: ["read"] },
  { classes: ["administer"], tiny: {} },
  { classes: ["read"], tiny: { verbs: ["get"] } },
  { tiny: { verbs: ["get", "put"] } },
  { tiny: { things: ["a", "s.*"] } },
  { tiny: { things: ["$mine"], wide: true } },
  { tiny: { things: ["**t"] } },
  { tiny: { things: ["*.t", "s*.u"] } },
  { tiny: { verbs: ["get"], things: ["a"], tools: ["t"] } },
  { tiny: { tools: ["t"] } },
  { tiny: { wide: false } },
  { tiny: { rooms: ["r"] } },
  [{ tiny: { rooms: ["q*"], things: ["a"] } }, { classes: ["read"], tiny: { rooms: ["r", "q"], verbs: ["get"] } }],
  [{ tiny: { things: ["a"] } }, { tiny: { things: ["b"], verbs: ["get"] } }],
  [{ other: { paths: ["/x"] } }, { classes: ["read"], other: {}, tiny: { verbs: ["put"] } }],
];

const PERMITS: readonly WrittenRule[] = ACTIONS.flatMap((action, at) => [
  { id: `p${at}`, subject: { any: true }, target: { any: true }, action },
  { id: `p${at}-opaque`, subject: { any: true }, target: { any: true }, action, allowOpaque: true },
]);
const GUARDS: readonly WrittenRule[] = ACTIONS.map((action, at) => ({ id: `g${at}`, action, deny: "No." }));

const VERBS: readonly Fact[] = [NONE, UNKNOWN, [], ["get"], ["put"], ["get", "put"]];
const THINGS: readonly Fact[] = [NONE, UNKNOWN, [], ["a"], ["b"], ["a", "b"], ["s.t"], ["s.t.t", "a"]];
const TOOLS: readonly Fact[] = [NONE, UNKNOWN, [], ["t", "u"]];
const TIME_MS_MAX = 120_000;
const ROOMS: readonly Fact[] = [NONE, UNKNOWN, [], ["r"], ["q"], ["r", "q"]];
const WIDE: readonly Fact[] = [NONE, UNKNOWN, true, false];
type Mode = Omit<Access, "facts">;
const MODES: readonly Mode[] = [
  { class: "read" },
  { class: "read", opaque: true },
  { class: "read", ambient: true },
  { class: "administer" },
  { class: "administer", opaque: true },
  { class: "administer", opaque: true, ambient: true },
];

function accessOf(known: Facts, mode?: Mode): Access {
  return { class: "read", ...mode, facts: known };
}

function facts(values: Readonly<Record<string, Fact>>): Facts {
  const known: Record<string, FactValue | Unknown> = {};
  for (const [key, value] of Object.entries(values)) if (value !== undefined) known[key] = value;
  return known;
}

function allAccesses(): readonly Access[] {
  const accesses: Access[] = [];
  for (const rooms of ROOMS) {
    for (const verbs of VERBS) {
      for (const mode of MODES) accesses.push(accessOf(facts({ rooms, verbs, things: ["a"] }), mode));
    }
  }
  for (const verbs of VERBS) {
    for (const things of THINGS) {
      for (const tools of TOOLS) {
        for (const wide of WIDE) {
          const known = facts({ verbs, things, tools, wide });
          for (const mode of MODES) accesses.push(accessOf(known, mode));
        }
      }
    }
  }
  return accesses;
}

function disagreement(
  index: RuleIndex,
  permits: readonly WrittenRule[],
  guards: readonly WrittenRule[],
  within: Session,
  requested: Operation,
  now = NOW,
): string | null {
  const decision = decide(index, within, requested, now);
  const expected = decideNaively(permits, guards, within, requested, now);
  const code = decision.kind === "deny" ? decision.refusal.code : "";
  const isSame =
    decision.kind === expected.kind && code === expected.code && decision.rules.join() === expected.rules.join();
  if (isSame) return null;
  const shown = { permits, guards, accesses: requested.accesses, decision, expected };
  return JSON.stringify(shown, (_, value: unknown) => (value === UNKNOWN ? "UNKNOWN" : value), 1);
}

const who = session(identity("human", "ann", ["ops"]));

test(
  "every rule alone on every access",
  async () => {
    const accesses = allAccesses();
    let tried = 0;
    const seen = new Set<string>();
    const everything: WrittenRule = {
      id: "all",
      subject: { any: true },
      target: { any: true },
      action: { any: true },
      allowOpaque: true,
    };
    for (const permit of PERMITS) {
      const index = await indexOf([[permit]], []);
      for (const access of accesses) {
        const requested = operation(who, [access]);
        const found = disagreement(index, [permit], [], who, requested);
        if (found !== null) throw new Error(found);
        seen.add(decide(index, who, requested, NOW).kind);
        tried++;
      }
    }
    for (const guard of GUARDS) {
      const index = await indexOf([[everything]], [[guard]]);
      for (const access of accesses) {
        const found = disagreement(index, [everything], [guard], who, operation(who, [access]));
        if (found !== null) throw new Error(found);
        tried++;
      }
    }
    expect(tried).toBe((PERMITS.length + GUARDS.length) * accesses.length);
    expect(seen).toEqual(new Set(["permit", "deny"]));
  },
  TIME_MS_MAX,
);

test(
  "every permit with every guard and all rules together, on operations of one and two accesses",
  async () => {
    // Each fact varies alone here; the product was tried above.
    const few: Access[] = [
      ...VERBS.map((verbs) => accessOf(facts({ verbs, things: ["a"] }))),
      ...THINGS.map((things) => accessOf(facts({ verbs: ["put"], things }))),
      ...ROOMS.map((rooms) => accessOf(facts({ rooms, verbs: ["get"] }), { class: "connect", ambient: true })),
      ...TOOLS.map((tools) => accessOf(facts({ tools, verbs: ["get"], things: ["a"] }))),
      ...MODES.map((mode) => accessOf(facts({ verbs: ["get"], things: ["a"] }), mode)),
    ];
    const operations: Operation[] = [];
    for (const [at, first] of few.entries()) {
      operations.push(operation(who, [first]), operation(who, [first], false));
      for (const second of few.slice(at + 1)) operations.push(operation(who, [first, second]));
    }
    const sets: [readonly WrittenRule[], readonly WrittenRule[]][] = [
      [PERMITS, GUARDS],
      [PERMITS, []],
      [[], GUARDS],
      [[], []],
    ];
    for (const permit of PERMITS) for (const guard of GUARDS) sets.push([[permit], [guard]]);
    for (const [at, permit] of PERMITS.entries()) sets.push([[permit, ...PERMITS.slice(at + 3, at + 5)], []]);
    for (const [permits, guards] of sets) {
      const index = await indexOf([permits], [guards]);
      for (const requested of operations) {
        const found = disagreement(index, permits, guards, who, requested);
        if (found !== null) throw new Error(found);
      }
    }
    expect(operations.length).toBeGreaterThan(200);
  },
  TIME_MS_MAX,
);

test(
  "every subject, target and time against every kind of session",
  async () => {
    const subjects: NonNullable<WrittenRule["subject"]>[] = [
      { any: true },
      { kinds: ["agent"] },
      { kinds: ["human", "service"] },
      { groups: ["ops"] },
      { groups: ["devs", "ops"] },
      { names: ["bo*"] },
      { names: ["ann"], kinds: ["agent", "human"] },
      { owners: ["eva"], kinds: ["agent"] },
      { owners: ["*"] },
    ];
    const targets: NonNullable<WrittenRule["target"]>[] = [
      { any: true },
      { names: ["box"] },
      { names: ["b*"] },
      { labels: { env: ["test", "none"] } },
      { names: ["box", "far"], labels: { env: ["prod"] } },
    ];
    const before = new Date(NOW - 1000).toISOString();
    const at = new Date(NOW).toISOString();
    const after = new Date(NOW + 1000).toISOString();
    const times = [
      {},
      { validFrom: at },
      { validUntil: at },
      { validFrom: before, validUntil: after },
      { validFrom: after },
    ];
    const identities = (["human", "agent", "service"] as const).flatMap((kind) =>
      ["ann", "bob"].flatMap((name) =>
        [[], ["ops"], ["7f3c"], ["devs"]].flatMap((groups) => [
          identity(kind, name, groups),
          identity(kind, name, groups, "eva"),
          identity(kind, name, groups, "a.b"),
        ]),
      ),
    );
    const sessions = identities.flatMap((each) => ["box", "bag", "far"].map((target) => session(each, target)));
    const everything: WrittenRule = { id: "all", subject: { any: true }, target: { any: true }, action: { any: true } };
    const rules: WrittenRule[] = [];
    for (const subject of subjects) {
      for (const target of targets) {
        for (const time of times) rules.push({ id: "x", subject, target, action: { any: true }, ...time });
      }
    }
    for (const rule of rules) {
      const guard = { ...rule, deny: "No." };
      const asPermit = await indexOf([[rule]], []);
      const asGuard = await indexOf([[everything]], [[guard]]);
      for (const within of sessions) {
        const requested = operation(within, [{ class: "read", facts: {} }]);
        for (const now of [NOW - 1, NOW, NOW + 1]) {
          const found =
            disagreement(asPermit, [rule], [], within, requested, now) ??
            disagreement(asGuard, [everything], [guard], within, requested, now);
          if (found !== null) throw new Error(found);
        }
      }
    }
    expect(rules.length * sessions.length).toBeGreaterThan(10_000);
  },
  TIME_MS_MAX,
);
