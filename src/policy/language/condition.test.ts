/** Conditions say what they mean where they are wrong, agree with the library, and never turn what is unknown into an answer. */
import { describe, expect, test } from "bun:test";
import { Environment } from "@marcbachmann/cel-js";
import fc from "fast-check";
import type { Identity } from "../../core/identity.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Facts, FactValue, Unknown } from "../../core/operation.ts";
import type { Session } from "../../core/session.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { compileCondition } from "./condition.ts";
import type { Condition, ConditionProblem } from "./condition.ts";

const TINY: Vocabulary = {
  name: "tiny",
  keys: {
    rooms: { kind: "names", description: "", ofSession: true },
    verbs: { kind: "enum", description: "", values: ["get", "put"] },
    things: { kind: "names", description: "" },
    wide: { kind: "flag", description: "" },
  },
  sets: {},
  keeps: [],
};
const OTHER: Vocabulary = {
  name: "other",
  keys: { wide: { kind: "names", description: "" }, paths: { kind: "path", description: "" } },
  sets: {},
  keeps: [],
};
const GROUPS = new Map([
  ["dba", "00-dba"],
  ["oncall", "00-oncall"],
]);
const NOW = Date.UTC(2027, 2, 1, 12);

function compiled(text: string): Condition {
  const condition = compileCondition(text, [TINY], GROUPS);
  if ("problem" in condition) throw new Error(`${condition.line}:${condition.column} ${condition.problem}`);
  return condition;
}

function refused(text: string, vocabularies: readonly Vocabulary[] = [TINY]): ConditionProblem {
  const condition = compileCondition(text, vocabularies, GROUPS);
  if (!("problem" in condition)) throw new Error("it was compiled");
  return condition;
}

test("what only one adapter knows for a whole session is not known of an opaque access", () => {
  const ofAccess: Vocabulary = { ...OTHER, keys: { rooms: { kind: "names", description: "" } } };
  const answer = (vocabularies: readonly Vocabulary[]): boolean | null => {
    const condition = compileCondition('"one" in access.rooms', vocabularies, GROUPS);
    if ("problem" in condition) throw new Error(condition.problem);
    return condition.evaluate(sessionIn(PLAIN), access({ rooms: ["one"] }, { opaque: true }), NOW);
  };
  expect([answer([TINY]), answer([TINY, ofAccess]), answer([ofAccess])]).toEqual([true, null, null]);
});

type World = {
  readonly kind: Identity["kind"];
  readonly groups: readonly string[];
  readonly owner: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly access: Access;
};
const PLAIN: World = { kind: "agent", groups: ["00-dba"], owner: "eva", labels: { env: "prod" }, access: access({}) };

function access(facts: Facts, more: Partial<Access> = {}): Access {
  return { class: "read", facts, ...more };
}

function sessionIn({ kind, groups, owner, labels }: World): Session {
  const proof = { method: "token", credential: "t", expiresAtMs: null } as const;
  const identity: Identity = { kind, issuer: "weir", subject: "bot", groups, proof };
  return {
    id: "s",
    identity: owner === null ? identity : { ...identity, owner },
    target: { name: "orders-prod", adapter: "tiny", labels, settings: null },
    openedAtMs: 0,
    source: "",
  };
}

function truth(text: string, world: Partial<World> = {}, now = NOW): boolean | null {
  const whole = { ...PLAIN, ...world };
  return compiled(text).evaluate(sessionIn(whole), whole.access, now);
}

describe("what conditions can see", () => {
  const things = access({ things: ["a.b", "c"], verbs: ["get"], wide: true, rooms: ["r"] });
  const cases: readonly (readonly [text: string, world: Partial<World>, truth: boolean | null])[] = [
    ['subject.kind == "agent"', {}, true],
    ['subject.name == "bot"', {}, true],
    ['subject.issuer != "weir"', {}, false],
    ['subject.owner == "eva"', {}, true],
    ['subject.owner == "eva"', { owner: null }, null],
    ['subject.owner != "eva"', { owner: null }, null],
    ['"dba" in subject.groups', {}, true],
    ['"oncall" in subject.groups', {}, false],
    ['"dba" in subject.groups', { groups: ["dba"] }, false],
    ['subject.groups.exists(g, g.startsWith("d"))', {}, true],
    ['target.name.endsWith("-prod")', {}, true],
    ['target.adapter == "tiny"', {}, true],
    ['target.labels.env in ["prod", "stage"]', {}, true],
    ['target.labels["env"] == "prod"', {}, true],
    ['target.labels.site == "berlin"', {}, null],
    ['target.labels.toString == "berlin"', {}, null],
    ['access.class == "read"', {}, true],
    ["access.wide", { access: things }, true],
    ["!access.wide", { access: things }, false],
    ["access.wide == true", { access: things }, true],
    ["access.wide", {}, null],
    ["access.wide", { access: access({ wide: UNKNOWN }) }, null],
    ["access.wide", { access: access({ wide: ["a"] }) }, null],
    ['"c" in access.things', { access: things }, true],
    ['"c" in access.things', { access: access({ things: true }) }, null],
    ['"c" in access.things', { access: access({ things: UNKNOWN }) }, null],
    ["access.things.size() > 1", { access: things }, true],
    ["size(access.things) == 2", { access: things }, true],
    ["access.things.size() < 3", {}, null],
    ['access.things.all(t, t.contains("."))', { access: things }, false],
    ['access.things.exists(t, t.contains("."))', { access: things }, true],
    ['access.things.all(t, t == "")', { access: access({ things: [] }) }, true],
    ['access.things.exists(t, t == subject.owner || t == "c")', { access: things, owner: null }, true],
    ["access.things.exists(t, t == subject.owner)", { access: things, owner: null }, null],
    ['access.things.all(t, t == subject.owner && t != "c")', { access: things, owner: null }, false],
    ['access.things.exists(t, t == "x")', { access: access({ things: UNKNOWN }) }, null],
    ["now < timestamp('2027-03-01T12:00:00.001Z')", {}, true],
    ["now <= timestamp('2027-03-01T13:00:00+01:00')", {}, true],
    ["now > timestamp('2027-03-01T12:00:00Z')", {}, false],
    ["now >= timestamp('2027-03-01T12:00:00Z')", {}, true],
    ["now - timestamp('2027-03-01T11:00:00Z') == duration('1h')", {}, true],
    ["now + duration('90s') == timestamp('2027-03-01T12:01:30Z')", {}, true],
    ["now - duration('2h') < timestamp('2027-03-01T10:00:00Z')", {}, false],
    ["true || subject.owner == 'x'", { owner: null }, true],
    ["subject.owner == 'x' || true", { owner: null }, true],
    ["subject.owner == 'x' || false", { owner: null }, null],
    ["subject.owner == 'x' && false", { owner: null }, false],
    ["subject.owner == 'x' && true", { owner: null }, null],
    ["!(subject.owner == 'x')", { owner: null }, null],
    ["false", {}, false],
  ];
  for (const [text, world, expected] of cases) {
    test(`${text} is ${expected} (${JSON.stringify(world)})`, () => expect(truth(text, world)).toBe(expected));
  }

  test("of an opaque access only what belongs to its session is known", () => {
    const opaque = access({ things: ["a"], wide: true, rooms: ["r"] }, { opaque: true });
    expect(truth('"a" in access.things', { access: opaque })).toBeNull();
    expect(truth("access.wide", { access: opaque })).toBeNull();
    expect(truth('access.class == "read"', { access: opaque })).toBeNull();
    expect(truth('"r" in access.rooms', { access: opaque })).toBe(true);
    expect(truth('subject.kind == "agent"', { access: opaque })).toBe(true);
  });

  test("a time that is none is unknown", () => {
    for (const now of [Number.NaN, Infinity])
      expect(truth("now < timestamp('2027-01-01T00:00:00Z')", {}, now)).toBeNull();
  });

  test("what it looks at", () => {
    expect(compiled("now < timestamp('2027-01-01T00:00:00Z')").usesNow).toBe(true);
    expect(compiled("now < timestamp('2027-01-01T00:00:00Z')").usesAccess).toBe(false);
    expect(compiled("true || access.wide")).toMatchObject({ usesNow: false, usesAccess: true });
    expect(compiled("access.things.exists(a, a == 'x')").usesAccess).toBe(true);
    expect(compiled("subject.kind == 'agent'")).toMatchObject({ usesNow: false, usesAccess: false });
  });
});

describe("what is wrong is said with its place", () => {
  const cases: readonly (readonly [text: string, place: string, problem: string, suggestion: string])[] = [
    ["", "1:1", "the condition ends too early", ""],
    ["subject.kind ==", "1:16", "the condition ends too early", ""],
    ["subject.kind == 'agent' &&\n  subject.nme == 'x'", "2:11", 'subject has no "nme"', 'Did you mean "name"?'],
    ["subject.kind == 'agant'", "1:17", '"agant" is never it', 'Did you mean "agent"?'],
    ["subject.kind in ['human', 'agant']", "1:27", '"agant" is never it', 'Did you mean "agent"?'],
    ["'agant' == subject.kind", "1:1", '"agant" is never it', 'Did you mean "agent"?'],
    ["'dbas' in subject.groups", "1:1", '"dbas" is never it', 'Did you mean "dba"?'],
    ["subject.groups.exists(g, g == 'dbas')", "1:31", '"dbas" is never it', 'Did you mean "dba"?'],
    ["'gett' in access.verbs", "1:1", '"gett" is never it', 'Did you mean "get"?'],
    ["access.class == 'reed'", "1:17", '"reed" is never it', 'Did you mean "read"?'],
    ["access.thing == 'a'", "1:8", 'access has no "thing"', 'Did you mean "things"?'],
    ["acess.wide", "1:1", 'there is no "acess" here', 'Did you mean "access"?'],
    ["access", "1:1", '"access" is no value', "Write access.class"],
    ["subject", "1:1", '"subject" is no value', "Write subject.name"],
    ["now.x == 1", "1:5", 'now has no "x"', ""],
    ["subject.name.x == 'a'", "1:14", '"subject.name.x" is no value', ""],
    ["target.labels == 'a'", "1:8", "labels are asked for one by one", "Write target.labels.env"],
    ["target.labels.a.b == 'a'", "1:17", "labels are asked for one by one", "Write target.labels.env"],
    ["subject.name", "1:9", "a condition is true or false, and this is a string", ""],
    ["access.things.size()", "1:1", "a condition is true or false, and this is a int", ""],
    ["access.things == ['a']", "1:1", "lists are not compared", "Use in, exists or all"],
    ["access.things == 'a'", "1:1", "a list is never equal to a string", ""],
    ["access.things[0] == 'a'", "1:1", "this has no fields", "in, exists and all"],
    ["access.wide < true", "1:1", "< compares two of int", ""],
    ["subject.name < 'b'", "1:1", "< compares two of int", ""],
    ["now < 1", "1:1", "< compares two of int", ""],
    ["'a' + 'b' == 'ab'", "1:1", "+ is only for timestamps", ""],
    ["1 - 1 == 0", "1:1", "- is only for timestamps", ""],
    ["now + now < now", "1:1", "+ is only for timestamps", ""],
    ["2 * 2 == 4", "1:1", '"*" is not in this subset of CEL', ""],
    ["-1 < 2", "1:1", '"-" is not in this subset of CEL', ""],
    ["true ? true : false", "1:1", '"?:" is not in this subset of CEL', ""],
    ["{'a': true}.a", "1:1", "this has no fields", ""],
    ["1.5 < 2.5", "1:1", "neither a string nor a bool nor a whole number", ""],
    ["9007199254740993 < 1", "1:1", "neither a string nor a bool nor a whole number", ""],
    ["null == null", "1:1", "neither a string nor a bool", ""],
    ["b'a' == b'a'", "1:1", "neither a string nor a bool", ""],
    ["'a' in [subject.name]", "1:17", "lists are written with strings", ""],
    ["1 in [1]", "1:1", "this must be a string, not a int", ""],
    ["subject.name && true", "1:9", "this must be a bool, not a string", ""],
    ["subject.name.matches('a')", "1:1", 'there is no "matches"', "startsWith, endsWith or contains"],
    ["has(subject.owner)", "1:1", 'there is no "has"', "What is missing makes the condition unknown"],
    ["now.getHours('UTC') > 1", "1:1", 'there is no "getHours"', "Use a window"],
    ["subject.name.startWith('a')", "1:1", 'there is no "startWith"', 'Did you mean "startsWith"?'],
    ["access.things.map(t, t).size() > 1", "1:1", 'there is no "map"', ""],
    ["access.things.filter(t, true).size() > 1", "1:1", 'there is no "filter"', ""],
    ["access.things.exists(t, access.verbs.exists(v, v == t))", "1:48", "within exists or all is not in", ""],
    ["access.things.exists(now, now == 'a')", "1:22", '"now" is taken', ""],
    ["access.things.exists('t', true)", "1:22", "invalid predicate iteration variable", ""],
    ["t == 'a'", "1:1", 'there is no "t" here', ""],
    ["access.things.exists(t, true) && t == 'a'", "1:34", 'there is no "t" here', ""],
    ["timestamp('2027-01-01') < now", "1:11", "this is not an instant", 'timestamp("2027-06-30T00:00:00Z")'],
    ["timestamp(subject.name) < now", "1:19", "this is not an instant", ""],
    ["now - duration('1d') < now", "1:16", "this is not a duration", 'duration("15m")'],
    ["size(access.things, access.things) == 1", "1:1", 'there is no "size" with these arguments', ""],
    ["dyn(true)", "1:1", 'there is no "dyn"', ""],
    ["type(true) == bool", "1:1", 'there is no "type"', ""],
    ["cel.bind(x, true, x)", "1:1", 'there is no "bind"', ""],
    ["'\\ud800' == 'a'", "1:2", "Invalid Unicode surrogate", ""],
    ["!".repeat(301), "1:302", "the condition ends too early", ""],
    [`${"(".repeat(25)}true${")".repeat(25)}`, "1:21", "too large or nested too deep", ""],
    [`true${" && true".repeat(200)}`, "1:1", "too large or nested too deep", ""],
    ["x".repeat(2001), "1:1", "longer than 2000 characters", "Split the rule"],
  ];
  for (const [text, place, problem, suggestion] of cases) {
    test(text.slice(0, 60), () => {
      const found = refused(text);
      expect(found.problem).toContain(problem);
      expect(found.suggestion).toContain(suggestion);
      expect(`${found.line}:${found.column}`).toBe(place);
    });
  }

  test("a key that means different things to the adapters of a rule", () => {
    expect(refused("access.wide", [TINY, OTHER]).problem).toBe(
      '"wide" is a list for one adapter and a flag for another',
    );
    expect(compileCondition("'a' in access.paths", [TINY, OTHER], GROUPS)).not.toHaveProperty("problem");
  });
});

describe("what matchers could say", () => {
  const cases: Readonly<Record<string, readonly string[] | null>> = {
    'subject.kind == "agent"': ["subject.kinds"],
    '"prod" == target.labels.env': ["target.labels.env"],
    'target.labels["env"] in ["prod", "stage"] && subject.kind == "agent"': ["target.labels.env", "subject.kinds"],
    'subject.name == "a" || subject.name == "b"': ["subject.names"],
    'subject.name == "a" || subject.kind == "human"': null,
    '(subject.name == "a" && subject.kind == "agent") || subject.name == "b"': null,
    '"dba" in subject.groups': ["subject.groups"],
    'access.class in ["read", "write"]': ["action.classes"],
    'now < timestamp("2027-01-01T00:00:00Z")': ["validUntil"],
    'now >= timestamp("2027-01-01T00:00:00Z")': ["validFrom"],
    'now < timestamp("2027-01-01T00:00:00Z") || now < timestamp("2028-01-01T00:00:00Z")': null,
    'now > timestamp("2027-01-01T00:00:00Z")': null,
    'subject.kind != "agent"': null,
    "subject.owner == subject.name": null,
    'target.name.startsWith("orders")': null,
    '"a" in access.things': null,
    "access.wide": null,
    'subject.kind == "agent" && access.wide': null,
    "target.name == target.labels.env": null,
    true: null,
  };
  for (const [text, keys] of Object.entries(cases)) {
    test(text, () => expect(compiled(text).simple).toEqual(keys === null ? null : { keys }));
  }
});

/* ---- random conditions on random worlds ---- */

const word = fc.constantFrom("a", "b", "agent", "prod", "eva");
const quoted = word.map((text) => `"${text}"`);
const string = fc.oneof(
  quoted,
  fc.constantFrom("subject.owner", "subject.name", "target.name", "target.labels.env", "target.labels.site"),
);
const list = fc.constantFrom("access.things", "access.rooms", '["a", "b"]', "access.verbs");
const atom = fc.oneof(
  fc.tuple(string, fc.constantFrom("==", "!="), string).map((parts) => parts.join(" ")),
  fc.tuple(string, list).map(([item, items]) => `${item} in ${items}`),
  fc.tuple(string, fc.constantFrom("startsWith", "endsWith", "contains"), quoted).map(([a, f, b]) => `${a}.${f}(${b})`),
  fc.tuple(list, fc.constantFrom("<", "==", ">="), fc.nat({ max: 3 })).map(([a, op, n]) => `size(${a}) ${op} ${n}`),
  fc.constantFrom("access.wide", "true", "false", "access.wide == false"),
  fc.constantFrom("2027-03-01T12:00:00Z", "2027-03-02T00:00:00Z").map((at) => `now >= timestamp("${at}")`),
);
const text = fc.letrec<{ condition: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: "small" },
    fc.tuple(fc.constantFrom("==", "!="), string).map(([op, other]) => `i ${op} ${other}`),
    atom,
    fc.tuple(tie("item"), fc.constantFrom("&&", "||"), tie("item")).map((parts) => `(${parts.join(" ")})`),
  ),
  condition: fc.oneof(
    { depthSize: "small" },
    atom,
    tie("condition").map((inner) => `!(${inner})`),
    fc.tuple(tie("condition"), fc.constantFrom("&&", "||"), tie("condition")).map((parts) => `(${parts.join(" ")})`),
    fc
      .tuple(list, fc.constantFrom("exists", "all"), tie("item"))
      .map(([items, f, body]) => `${items}.${f}(i, ${body})`),
  ),
})).condition;

const names = fc.subarray(["a", "b", "prod"]);
const facts = fc.record(
  {
    things: fc.oneof(names, fc.constant(UNKNOWN)),
    rooms: fc.oneof(names, fc.constant(UNKNOWN)),
    verbs: fc.oneof(fc.subarray(["get", "put"]), fc.constant(UNKNOWN)),
    wide: fc.oneof(fc.boolean(), fc.constant(UNKNOWN)),
  },
  { requiredKeys: [] },
);
const world: fc.Arbitrary<World> = fc.record({
  kind: fc.constantFrom("human" as const, "agent" as const),
  groups: fc.subarray(["00-dba", "00-oncall"]),
  owner: fc.option(word),
  labels: fc.dictionary(fc.constantFrom("env", "site"), word),
  access: fc.record({ class: fc.constantFrom("read" as const, "write" as const), facts }),
});

/** `"agent"` is no verb: such conditions are refused and have nothing to compare. */
function compiledOrNull(text: string): Condition | null {
  const condition = compileCondition(text, [TINY], GROUPS);
  return "problem" in condition ? null : condition;
}

/** The library's own evaluator, to which an absent field is an error. */
class Fields {
  constructor(fields: object) {
    Object.assign(this, fields);
  }
  static of<TFields extends Fields>(this: new (fields: object) => TFields, fields: object): TFields {
    return new this(fields);
  }
}
class SubjectFields extends Fields {}
class TargetFields extends Fields {}
class AccessFields extends Fields {}
const subjectFields = { name: "string", kind: "string", issuer: "string", owner: "string", groups: "list<string>" };
const library = new Environment()
  .registerType("subject", { ctor: SubjectFields, fields: subjectFields })
  .registerType("target", {
    ctor: TargetFields,
    fields: { name: "string", adapter: "string", labels: "map<string, string>" },
  })
  .registerType("access", {
    ctor: AccessFields,
    fields: { class: "string", things: "list<string>", rooms: "list<string>", verbs: "list<string>", wide: "bool" },
  })
  .registerVariable("subject", "subject")
  .registerVariable("target", "target")
  .registerVariable("access", "access")
  .registerVariable("now", "google.protobuf.Timestamp");

function libraryTruth(text: string, { kind, groups, owner, labels, access }: World): boolean | null {
  const known = Object.entries(access.facts).filter(([, fact]) => fact !== UNKNOWN);
  const namesOfGroups = [...GROUPS].filter(([, id]) => groups.includes(id)).map(([name]) => name);
  try {
    const result: unknown = library.evaluate(text, {
      subject: SubjectFields.of({
        name: "bot",
        kind,
        issuer: "weir",
        groups: namesOfGroups,
        ...(owner === null ? {} : { owner }),
      }),
      target: TargetFields.of({ name: "orders-prod", adapter: "tiny", labels: new Map(Object.entries(labels)) }),
      access: AccessFields.of({ class: access.class, ...Object.fromEntries(known) }),
      now: new Date(NOW),
    });
    return result === true || result === false ? result : null;
  } catch {
    return null;
  }
}

test("agrees with the library on every condition and world, an error being unknown", () => {
  const seen = { true: 0, false: 0, null: 0 };
  fc.assert(
    fc.property(text, world, (written, within) => {
      const condition = compiledOrNull(written);
      fc.pre(condition !== null);
      const result = condition?.evaluate(sessionIn(within), within.access, NOW) ?? null;
      seen[`${result}`]++;
      expect(result).toBe(libraryTruth(written, within));
    }),
    { numRuns: 4000 },
  );
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(300);
});

test("what is answered without knowing everything is what every completion answers", () => {
  let definite = 0;
  const completion = fc.record({ things: names, rooms: names, verbs: fc.subarray(["get", "put"]), wide: fc.boolean() });
  fc.assert(
    fc.property(text, world, completion, (written, within, whole) => {
      const condition = compiledOrNull(written);
      fc.pre(condition !== null && condition.usesAccess);
      const session = sessionIn(within);
      const less = condition?.evaluate(session, within.access, NOW) ?? null;
      const facts: Record<string, FactValue | Unknown> = { ...within.access.facts };
      for (const [key, value] of Object.entries(whole)) if (facts[key] === UNKNOWN) facts[key] = value;
      if (less === null) return;
      definite++;
      expect(condition?.evaluate(session, { ...within.access, facts }, NOW) ?? null).toBe(less);
    }),
    { numRuns: 4000 },
  );
  expect(definite).toBeGreaterThan(300);
});

test("no text is too strange to be refused", () => {
  const piece = fc.constantFrom(
    ..."subject . name access things [ ] ( ) { } \" ' \\u12 \\x 0x 1e5 1e 9u b' r\" in == && || ! ? : , // now exists( all( -".split(
      " ",
    ),
    "\n",
    "\u2028",
    '"""',
    "\ud800",
    "999999999999999999999999",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
        fc.string(),
      ),
      (written) => {
        const condition = compileCondition(written, [TINY], GROUPS);
        if ("problem" in condition) expect(condition.line).toBeGreaterThan(0);
      },
    ),
    { numRuns: 5000 },
  );
});
