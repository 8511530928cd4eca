/** Exhaustive over small worlds: the indexed engine and a naive one written from the meaning agree on every request. */
import { expect, test } from "bun:test";
import { decideNaively } from "../../../test/naive/engine.ts";
import { identity, NOW, operation, session } from "../../../test/policy-sets.ts";
import { changed, CONDITIONS, indexOf, TICKET } from "../../../test/policy-world.ts";
import type {
  ConditionText,
  WrittenAction,
  WrittenBlock,
  WrittenException,
  WrittenObligations,
  WrittenRequirements,
  WrittenRule,
} from "../../../test/policy-world.ts";
import type { Decision } from "../../core/decision.ts";
import { NOTHING_GIVEN } from "../../core/given.ts";
import type { Approval, Given } from "../../core/given.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Facts, FactValue, Operation, Unknown } from "../../core/operation.ts";
import type { Session } from "../../core/session.ts";
import { decide, mayConnect } from "./decide.ts";
import type { RuleIndex } from "./index.ts";

const TIME_MS_MAX = 900_000;
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

const ANYWHERE = { subject: { any: true }, target: { any: true } } as const;
function permitOn(id: string, action: WrittenAction, more: Partial<WrittenRule> = {}): WrittenRule {
  return { id, ...ANYWHERE, action, ...more };
}
const PERMITS: readonly WrittenRule[] = ACTIONS.flatMap((action, at) => [
  { id: `p${at}`, ...ANYWHERE, action },
  { id: `p${at}-opaque`, ...ANYWHERE, action, allowOpaque: true },
]);
const GUARDS: readonly WrittenRule[] = ACTIONS.map((action, at) => ({ id: `g${at}`, action, deny: "No." }));
const EVERYTHING: WrittenRule = { id: "all", ...ANYWHERE, action: { any: true }, allowOpaque: true };

const VERBS: readonly Fact[] = [NONE, UNKNOWN, [], ["get"], ["put"], ["get", "put"]];
const THINGS: readonly Fact[] = [NONE, UNKNOWN, [], ["a"], ["b"], ["a", "b"], ["s.t"], ["s.t.t", "a"]];
const TOOLS: readonly Fact[] = [NONE, UNKNOWN, [], ["t", "u"]];
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

/** A set compiled once, from which smaller ones are taken. */
class Compiled {
  readonly #index: RuleIndex;

  private constructor(index: RuleIndex) {
    this.#index = index;
  }

  static async of(permits: readonly WrittenRule[], guards: readonly WrittenRule[]): Promise<Compiled> {
    return new Compiled(await indexOf([permits], [guards]));
  }

  with(...rules: readonly WrittenRule[]): RuleIndex {
    const ids = new Set(rules.map(({ id }) => id));
    return changed(this.#index, (all) => all.filter(({ id }) => ids.has(id)));
  }
}

type Asked = { readonly now?: number; readonly given?: Given; readonly isConnect?: boolean };

/** Throws when the engines do not agree; returns what they agree on. */
function agree(
  index: RuleIndex,
  permits: readonly WrittenRule[],
  guards: readonly WrittenRule[],
  within: Session,
  requested: Operation,
  { now = NOW, given = NOTHING_GIVEN, isConnect = false }: Asked = {},
): Decision["kind"] {
  const decision = (isConnect ? mayConnect : decide)(index, within, requested, now, grounded(index, given));
  const expected = decideNaively(permits, guards, within, requested, now, given, isConnect);
  const { kind, rules, observed } = decision;
  const actual = {
    kind,
    code: kind === "deny" ? decision.refusal.code : "",
    rules,
    observed,
    obligations: kind === "deny" ? {} : decision.obligations,
    requirements: kind === "ask" ? decision.requirements : [],
  };
  if (!Bun.deepEquals(actual, expected)) {
    const shown = { permits, guards, accesses: requested.accesses, now, given, isConnect, actual, expected };
    throw new Error(JSON.stringify(shown, (_, value: unknown) => (value === UNKNOWN ? "UNKNOWN" : value), 1));
  }
  return kind;
}

/** Puts the digest that a rule has in this set where a grant says `now`. */
function grounded(index: RuleIndex, given: Given): Given {
  if (given.grants.length === 0) return given;
  const grants = given.grants.map((grant) => {
    const rule = index.byId.get(grant.rule);
    const isNow = grant.ruleDigest === "now" && rule?.effect === "permit";
    return isNow ? { ...grant, ruleDigest: rule.digest } : grant;
  });
  return { ...given, grants };
}

const who = session(identity("human", "ann", ["ops"]));

test(
  "every rule alone on every access",
  async () => {
    const accesses = allAccesses();
    const compiled = await Compiled.of([...PERMITS, EVERYTHING], GUARDS);
    let tried = 0;
    const seen = new Set<string>();
    for (const permit of PERMITS) {
      const index = compiled.with(permit);
      for (const access of accesses) {
        seen.add(agree(index, [permit], [], who, operation(who, [access])));
        tried++;
      }
    }
    for (const guard of GUARDS) {
      const index = compiled.with(EVERYTHING, guard);
      for (const access of accesses) {
        agree(index, [EVERYTHING], [guard], who, operation(who, [access]));
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
    const compiled = await Compiled.of(PERMITS, GUARDS);
    // Whether a permit allows what is opaque was tried above, with every access.
    const plain = PERMITS.filter(({ allowOpaque }) => allowOpaque !== true);
    for (const permit of plain) for (const guard of GUARDS) sets.push([[permit], [guard]]);
    for (const [at, permit] of PERMITS.entries()) sets.push([[permit, ...PERMITS.slice(at + 3, at + 5)], []]);
    for (const [permits, guards] of sets) {
      const index = compiled.with(...permits, ...guards);
      for (const requested of operations) agree(index, permits, guards, who, requested);
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
        [[], ["ops"], ["7f3c"]].flatMap((groups) => [
          identity(kind, name, groups),
          identity(kind, name, groups, "eva"),
          identity(kind, name, groups, "a.b"),
        ]),
      ),
    );
    const sessions = identities.flatMap((each) => ["box", "bag", "far"].map((target) => session(each, target)));
    const permits: WrittenRule[] = [];
    for (const subject of subjects) {
      for (const target of targets) {
        for (const time of times)
          permits.push({ id: `p${permits.length}`, subject, target, action: { any: true }, ...time });
      }
    }
    const guards = permits.map((rule, place): WrittenRule => ({ ...rule, id: `g${place}`, deny: "No." }));
    const compiled = await Compiled.of([...permits, EVERYTHING], guards);
    for (const [place, permit] of permits.entries()) {
      const guard = guards[place];
      if (guard === undefined) throw new Error("a permit has no guard");
      const asPermit = compiled.with(permit);
      const asGuard = compiled.with(EVERYTHING, guard);
      for (const within of sessions) {
        const requested = operation(within, [{ class: "read", facts: {} }]);
        for (const now of permit.validFrom === permit.validUntil ? [NOW] : [NOW - 1, NOW, NOW + 1]) {
          agree(asPermit, [permit], [], within, requested, { now });
          agree(asGuard, [EVERYTHING], [guard], within, requested, { now });
        }
      }
    }
  },
  TIME_MS_MAX,
);

/* ---- what is more than a match ---- */

const bot = session(identity("agent", "bot", ["ops"], "ann"));
const ACCESSES: readonly Access[] = [
  ...VERBS.flatMap((verbs) => MODES.map((mode) => accessOf(facts({ verbs, things: ["a"] }), mode))),
  ...THINGS.map((things) => accessOf(facts({ verbs: ["get"], things }))),
];
const HOUR_MS = 3_600_000;

test(
  "every kind of key on every fact, by both polarities",
  async () => {
    const texts: Fact[] = [NONE, UNKNOWN, [], true];
    const tinyFacts: Readonly<Record<string, readonly Fact[]>> = {
      labels: [["red"], ["RED", "blue"], ["blue"], ["b.c"]],
      words: [
        ["ls"],
        ["ls", "-a"],
        ["ls", "a.b/c"],
        ["ls", "a.b"],
        ["rm", "-f", "x"],
        ["mv", "-f", "y/z"],
        ["rm", "f", "x"],
      ],
      fields: [["k=v"], ["k=v", "k=u"], ["k=w.1", "l=2=3"], ["l=2"], ["k"], ["K=v"], ["k=V", "l="]],
      texts: [["a key"], ["A KEY", "none"], ["none"], ["key", "Key"]],
    };
    const tiny: Readonly<Record<string, readonly NonNullable<WrittenBlock["tiny"]>[]>> = {
      labels: [{ labels: ["Red"] }, { labels: ["b*", "r**"] }, { labels: ["B.*", "RED"] }],
      words: [
        { words: [["ls"]] },
        {
          words: [
            ["ls", "*"],
            [["rm", "mv"], "-*", "*"],
          ],
        },
        {
          words: [
            [
              ["ls", "rm"],
              ["-a", "*.b"],
            ],
          ],
        },
        { words: [["**", "**", "**"]] },
      ],
      fields: [{ fields: { k: ["v"] } }, { fields: { k: ["v", "w.*"], l: ["*"] } }, { fields: { k: ["**"] } }],
      texts: [{ texts: ["key"] }, { texts: ["Key", "none"] }],
    };
    const paths: readonly Fact[] = [
      ["/srv/a"],
      ["/srv/a.b"],
      ["/srv/.a"],
      ["/srv/.a/b", "/srv/c"],
      ["/srv/b/.a/c"],
      ["/srv/"],
      [".a"],
      ["/srv/b./c"],
      // All below a folder.
      ["/srv/**"],
      ["/srv/b", "/srv/b/**"],
      ["/srv/b/.a/**"],
      ["/**"],
      ["/opt/**"],
      ["/sr/**"],
    ];
    const other: readonly NonNullable<WrittenBlock["other"]>[] = [
      { paths: ["/srv/*"] },
      { paths: ["/srv/**"] },
      { paths: ["/srv/.*", "/srv/*/.a/*"] },
      { paths: ["**", "/srv/.a"] },
      { paths: ["*", "/srv/*.b"] },
      { paths: ["/srv/*", "/srv/*/*", "/srv/*/*/*"] },
      { paths: ["/srv/**/keys/**"] },
      { paths: ["/**/keys/*"] },
      { paths: ["/srv/b/keys/id"] },
    ];
    const cases: [Session, WrittenBlock, string, readonly Fact[]][] = [
      ...Object.entries(tiny).flatMap(([key, blocks]) =>
        blocks.map((each): [Session, WrittenBlock, string, readonly Fact[]] => [
          bot,
          { tiny: each },
          key,
          [...texts, ...(tinyFacts[key] ?? [])],
        ]),
      ),
      ...other.map((each): [Session, WrittenBlock, string, readonly Fact[]] => [
        session(bot.identity, "far"),
        { other: each },
        "paths",
        [...texts, ...paths],
      ]),
    ];
    const permits = cases.map(([, action], at): WrittenRule => ({
      id: `p${at}`,
      ...ANYWHERE,
      action,
      allowOpaque: true,
    }));
    const guards = cases.map(([, action], at): WrittenRule => ({ id: `g${at}`, action, deny: "No." }));
    const compiled = await Compiled.of([...permits, EVERYTHING], guards);
    const seen = { permit: 0, deny: 0, ask: 0 };
    for (const [at, [within, , key, values]] of cases.entries()) {
      const permit = permits[at] ?? EVERYTHING;
      const guard = guards[at] ?? EVERYTHING;
      for (const value of values) {
        for (const mode of [...MODES, { class: "write" as const }]) {
          const requested = operation(within, [accessOf(facts({ [key]: value }), mode)]);
          const kinds = [
            agree(compiled.with(permit), [permit], [], within, requested),
            agree(compiled.with(EVERYTHING, guard), [EVERYTHING], [guard], within, requested),
          ] as const;
          for (const kind of kinds) seen[kind]++;
        }
      }
    }
    expect(Math.min(seen.permit, seen.deny)).toBeGreaterThan(300);
  },
  TIME_MS_MAX,
);

test(
  "every window at every edge of it",
  async () => {
    const windows: WrittenRule["window"][] = ["$day", { outside: "$day" }];
    const rules = windows.flatMap((window, at): WrittenRule[] => {
      const permit: WrittenRule = { id: `p${at}`, ...ANYWHERE, action: { any: true }, ...(window && { window }) };
      return [permit, { ...permit, id: `g${at}`, deny: "No." }];
    });
    const permits = rules.filter(({ deny }) => deny === undefined);
    const guards = rules.filter(({ deny }) => deny !== undefined);
    const compiled = await Compiled.of([...permits, EVERYTHING], guards);
    const edges = [8, 18, 32].map((hour) => NOW + hour * HOUR_MS);
    const times = edges.flatMap((edge) => [edge - 1, edge, edge + 1]);
    const requested = operation(bot, [accessOf({})]);
    // Also back in time: what is kept of a window is for the time it was asked about.
    for (const now of [...times, ...times.toReversed(), NOW]) {
      for (const permit of permits) agree(compiled.with(permit), [permit], [], bot, requested, { now });
      for (const guard of guards) {
        agree(compiled.with(EVERYTHING, guard), [EVERYTHING], [guard], bot, requested, { now });
      }
    }
    expect(compiled.with(EVERYTHING).nextEdge(NOW)).toBe(Infinity);
    const [day] = permits;
    if (day === undefined) throw new Error("there is no permit");
    const index = compiled.with(day);
    expect(times.map((now) => index.nextEdge(now) - NOW)).toEqual(
      [8, 18, 18, 18, 32, 32, 32, 42, 42].map((hour) => hour * HOUR_MS),
    );
  },
  TIME_MS_MAX,
);

test(
  "every condition of permits and guards on every access",
  async () => {
    const conditions = Object.keys(CONDITIONS) as ConditionText[];
    const actions = ACTIONS.slice(3, 9);
    const permits = conditions.flatMap((condition, at) =>
      actions.map((action, place) => permitOn(`p${at}-${place}`, action, { condition, allowOpaque: true })),
    );
    const guards = permits.map(({ id, action, condition }): WrittenRule => ({
      id: `g${id}`,
      action,
      deny: "No.",
      ...(condition && { condition }),
    }));
    const compiled = await Compiled.of([...permits, EVERYTHING], guards);
    for (const access of ACCESSES) {
      const requested = operation(bot, [access]);
      for (const permit of permits) agree(compiled.with(permit), [permit], [], bot, requested);
      for (const guard of guards) agree(compiled.with(EVERYTHING, guard), [EVERYTHING], [guard], bot, requested);
    }
  },
  TIME_MS_MAX,
);

/** Of a permit that sleeps. */
function granted(more: Partial<Given["grants"][number]> = {}): Given {
  const grant = { id: "1", rule: "sleeper", ruleDigest: "now", issuer: "test", subject: "bot", expiresAtMs: NOW + 1 };
  return { ...NOTHING_GIVEN, grants: [{ ...grant, ...more }] };
}

const GRANTS: readonly Given[] = [
  NOTHING_GIVEN,
  granted(),
  granted({ expiresAtMs: NOW }),
  granted({ subject: "ann" }),
  granted({ issuer: "else" }),
  granted({ ruleDigest: "old" }),
  granted({ rule: "all" }),
];
const ACTIVATION = { maxDuration: "1h", requirements: { stepUp: "mfa" } } as const;

test(
  "every exception of every kind of guard on every access, with and without a grant",
  async () => {
    const parts: Omit<WrittenException, "reason">[] = [
      { subject: { any: true } },
      { subject: { groups: ["ops"] } },
      { subject: { groups: ["ops"], kinds: ["agent"] } },
      { target: { names: ["bag"] } },
      { action: { any: true } },
      { action: { tiny: {} } },
      { action: { classes: ["read"] } },
      { action: { tiny: { verbs: ["get"] } } },
      { action: [{ tiny: { things: ["b"] } }, { other: {} }] },
      { grant: "sleeper" },
      { unread: true },
      { unread: true, action: { tiny: { verbs: ["get"] } } },
      { unread: true, grant: "sleeper" },
      { target: { any: true }, validUntil: new Date(NOW).toISOString() },
      { target: { any: true }, validUntil: new Date(NOW + 1).toISOString() },
      ...(Object.keys(CONDITIONS) as ConditionText[]).flatMap((condition) => [
        { condition },
        { condition, unread: true as const },
      ]),
    ];
    const exceptions: (WrittenException | "$known")[] = [
      ...parts.map((part): WrittenException => Object.assign({ reason: "So." }, part)),
      "$known",
    ];
    const sleeper: WrittenRule = {
      id: "sleeper",
      ...ANYWHERE,
      action: { tiny: { verbs: ["get"] } },
      activation: ACTIVATION,
    };
    const guards = [{ any: true as const }, { classes: ["read" as const], tiny: { verbs: ["get"] } }].flatMap(
      (action: WrittenBlock, place) =>
        exceptions.map((exception, at): WrittenRule => ({
          id: `g${place}-${at}`,
          action,
          except: [exception],
          deny: "No.",
        })),
    );
    const pairs = guards.slice(0, 12).map((guard, at): WrittenRule => {
      const other = exceptions[exceptions.length - 1 - at] ?? "$known";
      return { id: `two${at}`, action: guard.action, except: (guard.except ?? []).concat(other), deny: "No." };
    });
    const permits = [EVERYTHING, sleeper];
    const compiled = await Compiled.of(permits, [...guards, ...pairs]);
    for (const guard of [...guards, ...pairs]) {
      const index = compiled.with(...permits, guard);
      for (const access of ACCESSES) {
        const requested = operation(bot, [access]);
        for (const given of GRANTS.slice(0, 2)) agree(index, permits, [guard], bot, requested, { given });
      }
    }
  },
  TIME_MS_MAX,
);

const OBLIGATIONS: readonly WrittenObligations[] = [
  { limit: { rows: 2 } },
  { limit: { rows: 3, time: "5s" }, record: ["output"] },
  { limit: { budget: [{ rows: true, max: 7, per: "session", across: "subject" }], time: "20s" } },
  { session: { readOnly: true, idle: "5m" }, record: ["input", "raw"] },
  { session: { maxDuration: "1h", idle: "10m" }, alert: [{ channel: "desk", severity: "warning" }] },
  { session: { maxDuration: "10m", readOnly: true }, alert: [{ channel: "desk", severity: "critical" }] },
  { mask: [{ with: "hash" }] },
  {
    mask: [
      { with: "redact", predicates: "equality" },
      { columns: ["a.x"], with: "hash", predicates: "deny" },
    ],
  },
  { mask: [{ with: "null" }, { columns: ["a.*"], with: "partial", keepFirst: 1, keepLast: 2 }] },
  { mask: [{ columns: ["a.x"], with: "partial", keepFirst: 2, keepLast: 1 }] },
  { mask: [{ fields: ["f"], with: "redact" }], alert: [{ channel: "dpo", severity: "info" }] },
];

test(
  "every two obligations of permits and guards together, and what a grant replaces",
  async () => {
    const permits = OBLIGATIONS.map((obligations, at): WrittenRule => ({
      id: `p${at}`,
      ...ANYWHERE,
      action: { tiny: {} },
      obligations,
      allowOpaque: true,
    }));
    const sleepers = OBLIGATIONS.slice(0, 8).map((obligations, at) =>
      permitOn(at === 0 ? "sleeper" : `s${at}`, { tiny: { verbs: ["get"] } }, { activation: ACTIVATION, obligations }),
    );
    const guards = OBLIGATIONS.flatMap((oblige, at): WrittenRule[] => [
      { id: `g${at}`, action: { tiny: {} }, oblige },
      { id: `h${at}`, action: { tiny: { columns: ["a.x"] } }, except: [{ unread: true, reason: "So." }], oblige },
      { id: `o${at}`, action: { any: true }, mode: "observe", oblige },
    ]);
    const compiled = await Compiled.of([...permits, ...sleepers, EVERYTHING], guards);
    const columns: readonly Fact[] = [NONE, UNKNOWN, [], ["a.x"], ["a.y", "a.x"], ["s.x"], true];
    const accesses = [
      ...columns.map((each) => accessOf(facts({ verbs: ["get"], columns: each }))),
      accessOf(facts({ verbs: ["put"], columns: ["a.x"] })),
      accessOf(facts({ columns: ["a.x"] }), { class: "read", opaque: true }),
      accessOf(facts({ columns: ["a.x"] }), { class: "read", ambient: true }),
    ];
    const operations = accesses.flatMap((first) => [
      operation(bot, [first]),
      operation(bot, [first, accessOf(facts({ verbs: ["put"], columns: ["a.y"] }))]),
    ]);
    const sets: [readonly WrittenRule[], readonly WrittenRule[]][] = [];
    for (const permit of permits) {
      for (const other of permits) sets.push([[permit, other], []]);
      for (const guard of guards) sets.push([[permit], [guard]]);
      for (const sleeping of sleepers) sets.push([[permit, sleeping], []]);
    }
    for (const [at, guard] of guards.entries())
      for (const other of guards.slice(at + 1)) sets.push([[EVERYTHING], [guard, other]]);
    for (const [permitsOf, guardsOf] of sets) {
      const distinct = [...new Set(permitsOf)];
      const index = compiled.with(...distinct, ...guardsOf);
      const sleeping = distinct.find(({ activation }) => activation !== undefined);
      const given = sleeping === undefined ? NOTHING_GIVEN : granted({ rule: sleeping.id });
      for (const requested of operations) {
        agree(index, distinct, guardsOf, bot, requested, { given });
        agree(index, distinct, guardsOf, bot, requested, { given, isConnect: true });
      }
    }
  },
  TIME_MS_MAX,
);

test(
  "a permit that sleeps under every grant",
  async () => {
    const sleeper: WrittenRule = { id: "sleeper", ...ANYWHERE, action: { any: true }, activation: ACTIVATION };
    const compiled = await Compiled.of([sleeper, EVERYTHING], []);
    for (const permits of [[sleeper], [sleeper, EVERYTHING]]) {
      const index = compiled.with(...permits);
      for (const given of GRANTS) {
        for (const access of ACCESSES) {
          for (const isConnect of [false, true]) {
            agree(index, permits, [], bot, operation(bot, [access]), { given, isConnect });
          }
        }
      }
    }
  },
  TIME_MS_MAX,
);

test(
  "every two requirements under everything that people may have given",
  async () => {
    const from = (groups: string[], count: number, more: object = {}): WrittenRequirements => ({
      approval: { from: { groups }, count, within: "10m", validFor: "30m", ...more },
    });
    const wanted: WrittenRequirements[] = [
      from(["risk"], 1),
      from(["risk"], 2, { validFor: "10m" }),
      from(["risk"], 1, { distinctFrom: ["r0"] }),
      from(["devs", "risk"], 1),
      from(["devs"], 1, { within: "5m" }),
      { approval: { from: { subjects: ["di"] }, count: 1, within: "10m", validFor: "10m" } },
      { justification: {} },
      { justification: { pattern: "$ticket" } },
      { stepUp: "mfa", confirm: "owner" },
    ];
    const guards = wanted.map((require, at): WrittenRule => ({ id: `r${at}`, action: { any: true }, require }));
    const compiled = await Compiled.of([EVERYTHING], guards);
    const approval = (subject: string, groups: string[], minutes = 0, issuer = "test"): Approval => ({
      issuer,
      subject,
      groups,
      atMs: NOW - minutes * 60_000,
    });
    const people: readonly Approval[] = [
      approval("cy", ["9a9a"]),
      approval("di", ["9a9a", "7f3c"], 8),
      approval("ed", ["7f3c"], 12),
      approval("cy", ["9a9a", "7f3c"], 31),
      approval("di", ["9a9a"], 2, "else"),
      approval("ann", ["9a9a"]),
      approval("bot", ["9a9a", "7f3c"]),
      approval("bot", ["9a9a"], 0, "else"),
      approval("fay", ["9a9a"], -1),
    ];
    const someOf: (readonly Approval[])[] = [];
    for (const [at, first] of people.entries()) {
      someOf.push([first]);
      for (const [next, second] of people.slice(at + 1).entries()) {
        someOf.push([first, second]);
        for (const third of people.slice(at + next + 2)) someOf.push([first, second, third]);
      }
    }
    const rest = [
      { justification: null, steppedUp: false, confirmedByOwner: false },
      { justification: "because", steppedUp: true, confirmedByOwner: false },
      { justification: TICKET, steppedUp: false, confirmedByOwner: true },
    ];
    const givens = [[], ...someOf].flatMap((approvals) =>
      rest.map((each): Given => Object.assign({ grants: [], approvals }, each)),
    );
    const requested = operation(bot, [accessOf({})]);
    const seen = new Set<string>();
    for (const [at, guard] of guards.entries()) {
      for (const other of guards.slice(at)) {
        const both = [...new Set([guard, other])];
        const index = compiled.with(EVERYTHING, ...both);
        for (const given of givens) seen.add(agree(index, [EVERYTHING], both, bot, requested, { given }));
      }
    }
    const all = compiled.with(EVERYTHING, ...guards);
    for (const given of givens) agree(all, [EVERYTHING], guards, bot, requested, { given });
    expect(seen).toEqual(new Set(["ask", "permit"]));
  },
  TIME_MS_MAX,
);
