/** Comparing sets: whatever a search through a small world finds to be decided differently, the comparison finds too. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { NOW, OTHER, POLICY_YAML, TARGETS, TINY } from "../../../test/policy-sets.ts";
import type { Identity } from "../../core/identity.ts";
import type { Access, Operation } from "../../core/operation.ts";
import { UNKNOWN } from "../../core/operation.ts";
import { makeCatalogTarget } from "../set/catalog.ts";
import { compareDecisions } from "./compare.ts";
import type { ComparedWords } from "./compare.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import { subsets } from "./combinations.ts";
import { addedGuardsAlone, compareSets, groupNames } from "./diff.ts";
import type { Comparison, Side } from "./diff.ts";
import { reportDifferences } from "./diff-report.ts";
import { RuleIndex } from "../engine/index.ts";
import { compileFolder } from "../load.ts";
import { formatProblem, hasErrors } from "../problems.ts";

type Written = Readonly<Record<string, unknown>>;
const VOCABULARIES = [TINY, OTHER];
const HEAD = { apiVersion: "weir.dev/v1" };
const GROUPS = { ops: "ops", devs: "7f3c", desk: "desk" };
const NO_WORDS: ComparedWords = { groups: new Map(), changedPatterns: new Set() };

async function sideOf(
  permits: readonly Written[],
  guards: readonly Written[],
  more: Partial<Side> = {},
): Promise<Side> {
  const file = (path: string, content: unknown) => ({
    path,
    bytes: new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content)),
    sha256: "",
  });
  const files = [
    file("policy.yaml", POLICY_YAML),
    file("vocabulary.yaml", {
      ...HEAD,
      kind: "Vocabulary",
      groups: GROUPS,
      windows: { day: { from: "08:00", to: "18:00", tz: "Europe/Berlin" } },
    }),
    ...(permits.length === 0 ? [] : [file("permits/a.yaml", { ...HEAD, kind: "Permits", rules: permits })]),
    ...(guards.length === 0 ? [] : [file("guards/a.yaml", { ...HEAD, kind: "Guards", rules: guards })]),
  ];
  const set = await compileFolder({ realDir: "/", files, digest: "", problems: [] }, VOCABULARIES, TARGETS);
  if (hasErrors(set.problems)) throw new Error(set.problems.map(formatProblem).join("\n"));
  const targets = TARGETS.map(({ name, adapter, labels }) =>
    makeCatalogTarget({ name, adapter, labels, names: {}, unlisted: {}, detail: null }),
  );
  const catalog = { targets: new Map(targets.map((target) => [target.name, target])) };
  return { set: { ...set, catalog }, targets: TARGETS, ...more };
}

/* ---- a small world ---- */

const THINGS = ["main.a", "main.b", "sys.c"];
const COLUMNS = ["id", "mail", "phone"];

/** Everything that can be done in it. Columns come one at a time and all together. */
function possible(): readonly Access[] {
  const accesses: Access[] = [{ class: "administer", facts: { verbs: UNKNOWN, things: UNKNOWN }, opaque: true }];
  for (const thing of THINGS) {
    const columns = COLUMNS.map((column) => `${thing}.${column}`);
    for (const [verb, accessClass] of [
      ["get", "read"],
      ["put", "write"],
    ] as const) {
      for (const set of [null, ...columns.map((each) => [each]), columns]) {
        const facts = { verbs: [verb], things: [thing], ...(set === null ? {} : { columns: set }) };
        accesses.push({ class: accessClass, facts: verb === "put" ? { ...facts, wide: set === null } : facts });
      }
    }
  }
  accesses.push({ class: "connect", facts: { verbs: ["get"], things: ["sys.c"] }, ambient: true });
  accesses.push({ class: "execute", facts: { verbs: ["run"], tools: ["hammer"] } });
  return accesses;
}
const CONNECT: Access = { class: "connect", facts: { rooms: ["one"] }, ambient: true };

function comparisonOf(was: Side, is: Side): Comparison {
  return {
    was,
    is,
    vocabularies: VOCABULARIES,
    accessesOf: ({ adapter }) =>
      adapter === "tiny"
        ? { accesses: possible(), connects: [CONNECT], untried: null }
        : { accesses: [], connects: [], untried: null },
    now: NOW,
  };
}

function subsetsOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  return subsets(items, items.length).all;
}

/** Everybody, and more sets of columns than `possible` has. */
const PEOPLE: readonly Identity[] = (["human", "agent"] as const).flatMap((kind) =>
  ["ann", "bot-1", "bot-2", "zed"].flatMap((subject) =>
    subsetsOf(Object.values(GROUPS)).flatMap((groups) =>
      (kind === "human" ? [undefined] : [undefined, "eva", "ann"]).map((owner): Identity => {
        const proof = { method: "token", credential: "", expiresAtMs: null } as const;
        const identity: Identity = { kind, issuer: "x", subject, groups, proof };
        return owner === undefined ? identity : Object.assign({}, identity, { owner });
      }),
    ),
  ),
);
const ALL_ACCESSES: readonly Access[] = [
  ...possible(),
  ...THINGS.flatMap((thing) =>
    subsetsOf(COLUMNS.map((column) => `${thing}.${column}`))
      .filter((set) => set.length > 0)
      .map((columns): Access => ({ class: "read", facts: { verbs: ["get"], things: [thing], columns } })),
  ),
];

type Found = {
  readonly kind: string;
  readonly widens: boolean;
  readonly target: string;
  readonly access: Access;
  readonly isConnect: boolean;
};

/** Decides everything under both sets. */
function search(was: Side, is: Side): readonly Found[] {
  const [old, young] = [was, is].map(({ set }) => new RuleIndex(set.rules, VOCABULARIES));
  if (old === undefined || young === undefined) throw new Error("two sides");
  const found: Found[] = [];
  const targets = TARGETS.filter(({ adapter }) => adapter === "tiny");
  for (const target of targets) {
    for (const identity of PEOPLE) {
      const session = { id: "", identity, target, openedAtMs: 0, source: "" };
      for (const [access, isConnect] of [
        ...ALL_ACCESSES.map((each) => [each, false] as const),
        [CONNECT, true] as const,
      ]) {
        const operation: Operation = {
          id: "",
          session,
          kind: "",
          accesses: [access],
          understood: access.opaque !== true,
          text: "",
          textSha256: null,
          catalogDigest: null,
        };
        for (const at of [NOW, NOW + 12 * 3_600_000]) {
          const ask = isConnect ? mayConnect : decide;
          const changes = compareDecisions(
            ask(old, session, operation, at),
            ask(young, session, operation, at),
            NO_WORDS,
          );
          for (const { kind, widens } of changes) found.push({ kind, widens, target: target.name, access, isConnect });
        }
      }
    }
  }
  return found;
}

/* ---- rules at random ---- */

const some = <T>(...values: readonly T[]) =>
  fc.subarray([...values], { minLength: 1, maxLength: Math.min(2, values.length) });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const written = (model: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc.record(model).map((rule) => Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)));

const subject = fc.oneof(
  fc.constant({ any: true }),
  written({
    kinds: maybe(some("human", "agent")),
    groups: maybe(some("ops", "devs", "desk")),
    names: maybe(some("ann", "bot-*", "bot-1")),
    owners: maybe(some("eva")),
  }).filter((each) => Object.keys(each).length > 0),
);
const target = fc.constantFrom({ any: true }, { names: ["box"] }, { labels: { env: ["test"] } });
const block = fc.oneof(
  fc.constant({ any: true }),
  written({
    classes: maybe(some("read", "write", "execute")),
    tiny: maybe(
      written({
        verbs: maybe(some("get", "put")),
        things: maybe(some("main.*", "main.a", "sys.*")),
        columns: maybe(some("main.a.id", "**.mail", "main.*.phone")),
        wide: maybe(fc.boolean()),
      }),
    ),
  }).filter((each) => Object.keys(each).length > 0),
);
const masked = (columns: readonly string[]) => ({ columns, with: "hash" });
const mask = fc.constantFrom([masked(["**.mail"])], [{ ...masked(["main.a.*"]), with: "redact" }]);
const obligations = written({ limit: maybe(fc.constantFrom({ rows: 10 }, { rows: 20 })), mask: maybe(mask) });
const requirements = fc.constantFrom({ justification: {} }, { approval: { from: { groups: ["ops"] }, count: 2 } });
const condition = fc.constantFrom('subject.name == "ann"', '"main.a" in access.things', 'subject.kind == "agent"');
const common = {
  subject,
  target,
  action: block,
  condition: maybe(condition),
  window: fc.option(fc.constant("$day"), { nil: undefined, freq: 1 }),
  validUntil: fc.option(fc.constant("2027-02-01T00:00:00Z"), { nil: undefined, freq: 1 }),
};
const permit = written({
  ...common,
  allowOpaque: maybe(fc.constant(true)),
  obligations: maybe(obligations.filter((each) => Object.keys(each).length > 0)),
});
const except = written({
  subject: maybe(subject),
  action: maybe(block),
  condition: maybe(condition),
  unread: fc.option(fc.constant(true), { nil: undefined, freq: 1 }),
}).map((each) => Object.assign({ reason: "so" }, each));
const guard = fc
  .tuple(
    written({ ...common, subject: maybe(subject), except: maybe(fc.array(except, { minLength: 1, maxLength: 2 })) }),
    fc.oneof(
      fc.constant({ deny: "no" }),
      requirements.map((require) => ({ require })),
      mask.map((each) => ({ oblige: { mask: each } })),
    ),
  )
  .map(([rule, consequence]) => Object.assign({}, rule, consequence));
const named = (prefix: string) => (rules: readonly Written[]) =>
  rules.map((rule, at) => Object.assign({ id: `${prefix}${at}` }, rule));
const sets = fc.record({
  permits: fc.array(permit, { minLength: 1, maxLength: 3 }).map(named("p")),
  guards: fc.array(guard, { maxLength: 3 }).map(named("g")),
});
/** What the second set has in place of the first one's rules: mostly the same. */
const edits = fc.record({
  permit: maybe(permit),
  guard: maybe(guard),
  removed: fc.nat(6),
});

const RUNS = Number(process.env["WEIR_DIFF_RUNS"] ?? 25);

test("what is decided differently anywhere is found", async () => {
  let changed = 0;
  await fc.assert(
    fc.asyncProperty(sets, edits, async ({ permits, guards }, edit) => {
      const edited = {
        permits: [
          ...permits.filter((_, at) => at !== edit.removed),
          ...(edit.permit === undefined ? [] : [{ id: "new-p", ...edit.permit }]),
        ],
        guards: [
          ...guards.filter((_, at) => at + 3 !== edit.removed),
          ...(edit.guard === undefined ? [] : [{ id: "new-g", ...edit.guard }]),
        ],
      };
      const sides = await Promise.all([sideOf(permits, guards), sideOf(edited.permits, edited.guards)]).catch(
        () => null,
      );
      fc.pre(sides !== null);
      const [was, is] = sides;
      const compared = compareSets(comparisonOf(was, is));
      const { differences, untried } = compared;
      expect(untried).toEqual([]);
      const keyOf = ({ kind, widens, target: name, isConnect }: Omit<Found, "access">, access: string) =>
        `${kind} ${widens} ${name} ${isConnect} ${access}`;
      const told = new Set(
        differences.flatMap(({ change, target: name, accesses }) =>
          accesses.members.map((each) =>
            keyOf({ ...change, target: name, isConnect: accesses.isConnect }, JSON.stringify(canonical(each))),
          ),
        ),
      );
      const found = search(was, is);
      if (found.length > 0) changed++;
      for (const each of found) expect(told).toContain(keyOf(each, JSON.stringify(canonical(each.access))));
      // What only adds guards is said to, and it is true.
      if (addedGuardsAlone(comparisonOf(was, is)) !== null) expect(found.some(({ widens }) => widens)).toBe(false);
      reportDifferences(compared, () => TINY, NO_WORDS.groups);
    }),
    { numRuns: RUNS },
  );
  expect(changed).toBeGreaterThan(0);
}, 300_000);

/** Without columns: what has some of them stands for what has others that no rule tells apart. */
function canonical(access: Access): object {
  const facts = Object.entries(access.facts).filter(([key]) => key !== "columns");
  return Object.assign({}, access, {
    facts: facts.map(([key, fact]) => [key, typeof fact === "object" ? fact : String(fact)]),
  });
}

/* ---- by hand ---- */

/** As lines: kind, direction, rules, is and was, and who does what where and when. */
async function told(
  was: readonly [permits: readonly Written[], guards: readonly Written[]],
  is: readonly [permits: readonly Written[], guards: readonly Written[]],
  more: { was?: Partial<Side>; is?: Partial<Side> } = {},
): Promise<readonly string[]> {
  const comparison = comparisonOf(await sideOf(...was, more.was), await sideOf(...is, more.is));
  const found = compareSets(comparison);
  expect(found.untried).toEqual([]);
  const changes = reportDifferences(found, () => TINY, groupNames([comparison.was.set, comparison.is.set]));
  return changes.flatMap(({ kind, widens, rules, was: old, is: young, cases }) => {
    const lines = cases.map(
      ({ subjects, targets, what, when }) => `  ${subjects.join()} | ${targets.join()} | ${what.join("; ")} | ${when}`,
    );
    return [`${kind} ${widens ? "widens" : "narrows"} ${rules.join()}: ${young}, was ${old}`].concat(lines);
  });
}

const GET_A = { verbs: ["get"], things: ["main.a"] };
const reads = (id: string, more: Written = {}): Written => ({
  id,
  subject: { groups: ["ops"] },
  target: { names: ["box"] },
  action: { tiny: GET_A },
  ...more,
});
const denies = (id: string, more: Written = {}): Written => ({ id, action: { tiny: GET_A }, deny: "no", ...more });

test("a new permit", async () => {
  expect(
    await told([[reads("p")], []], [[reads("p"), reads("q", { subject: { groups: ["devs"], kinds: ["agent"] } })], []]),
  ).toEqual([
    "access widens q: permitted, was refused",
    "  agents of devs | box | opening a session; get on main.a; what belongs to every session | ",
  ]);
});

test("what only somebody in two groups gets", async () => {
  const guard = denies("g", { subject: { groups: ["devs"] } });
  expect(await told([[reads("p")], [guard]], [[reads("p")], []])).toEqual([
    "access widens g: permitted, was refused",
    "  people of devs and ops | box | get on main.a | ",
  ]);
});

test("a column that is added to a list, alone and with others", async () => {
  const permit = (columns: readonly string[]): Written => reads("p", { action: { tiny: { ...GET_A, columns } } });
  expect(await told([[permit(["main.a.id"])], []], [[permit(["main.a.id", "main.a.mail"])], []])).toEqual([
    "access widens p: permitted, was refused",
    "  people of ops | box | get on main.a(mail) | ",
  ]);
});

test("a permit that begins to name the columns that are masked", async () => {
  const PUT_A = { verbs: ["put"], things: ["main.a"] };
  const puts = (columns: readonly string[]): Written => reads("q", { action: { tiny: { ...PUT_A, columns } } });
  const was = reads("p", { action: { tiny: PUT_A } });
  const columns = ["main.a.mail"];
  const masks = { id: "g", action: { tiny: { columns } }, oblige: { mask: [{ with: "redact" }] } };
  expect(await told([[was], [masks]], [[was, puts(columns)], [masks]])).toContain(
    "  people of ops | box | put of what is masked on main.a(mail) | ",
  );
  // Without a mask there is nothing that would have to be named.
  expect(await told([[was], []], [[was, puts(columns)], []])).toEqual([]);
});

test("two permits that become one cover what neither of them did", async () => {
  const permit = (id: string, columns: readonly string[]): Written =>
    reads(id, { action: { tiny: { ...GET_A, columns } } });
  const was = [permit("p", ["main.a.id"]), permit("q", ["main.a.mail"])];
  expect(await told([was, []], [[permit("p", ["main.a.id", "main.a.mail"]), was[1] ?? {}], []])).toContain(
    "access widens p: permitted, was refused",
  );
});

test("a window that opens earlier, and a rule that begins later", async () => {
  const permit = (more: Written): Written => reads("p", more);
  const day = (from: string): Written => ({ window: { from, to: "17:00", tz: "UTC" } });
  const [, line] = await told([[permit(day("09:00"))], []], [[permit(day("08:00"))], []]);
  expect(line).toContain("get on main.a");
  expect(line).toEndWith("| at times such as Fri 2027-01-01 08:00 UTC");
  const [first, second] = await told([[permit({})], []], [[permit({ validFrom: "2027-03-01T00:00:00Z" })], []]);
  expect(first).toBe("access narrows p: refused, was permitted");
  expect(second).toEndWith("what belongs to every session | ");
  const until = (instant: string): Written => permit({ validUntil: instant });
  const later = await told([[until("2027-02-01T00:00:00Z")], []], [[until("2028-02-01T00:00:00Z")], []]);
  expect(later[0]).toBe("access widens p: permitted, was refused");
  expect(later[1]).toEndWith("| from Mon 2027-02-01 00:00 UTC on");
});

test("conditions and grants under which it is so", async () => {
  const condition = 'subject.name == "ann"';
  expect(await told([[], []], [[reads("p", { condition })], []])).toContain(
    `  people of ops | box | get on main.a | when ${condition}`,
  );
  const activation = { maxDuration: "1h", requirements: { justification: {} } };
  expect(await told([[], []], [[reads("p", { activation })], []])).toContain(
    "  people of ops | box | opening a session; get on main.a; what belongs to every session | with a grant of p",
  );
  expect(
    await told(
      [[reads("p", { activation })], []],
      [[reads("p", { activation: { ...activation, maxDuration: "2h" } })], []],
    ),
  ).toEqual(["approval widens p: for 2h, was for 1h", "  whoever wants a grant of it |  |  | "]);
});

test("an exception of a guard, and what it is for", async () => {
  const guard = denies("g", { except: [{ subject: { names: ["ann"] }, reason: "so" }] });
  expect(await told([[reads("p")], [denies("g")]], [[reads("p")], [guard]])).toEqual([
    "access widens g: permitted, was refused",
    "  people called ann of ops | box | get on main.a | ",
  ]);
});

test("masks, limits and approvals, both ways", async () => {
  const oblige = (mask: Written): Written => ({
    id: "m",
    action: { tiny: { columns: ["**.mail"] } },
    oblige: { mask: [mask] },
  });
  const all = [reads("p", { obligations: { limit: { rows: 10, time: "5s" } } })];
  expect(await told([all, [oblige({ with: "redact" })]], [all, [oblige({ with: "hash" })]])).toEqual([
    "mask widens m: hash, was redact",
    "  people of ops | box | main.a.mail | ",
  ]);
  expect(await told([all, []], [all, [oblige({ with: "hash" })]])).toEqual([
    "access narrows m: refused, was permitted",
    "  people of ops | box | get on main.a(unknown columns) | ",
    "mask narrows m: hash, was in clear",
    "  people of ops | box | main.a.mail | ",
  ]);
  expect(await told([all, []], [[reads("p", { obligations: { limit: { rows: 20, time: "5s" } } })], []])).toEqual([
    "limit widens p: rows 20, was rows 10",
    "  people of ops | box | get on main.a | ",
  ]);
  const ask = (count: number): Written => ({
    id: "r",
    action: { any: true },
    require: { approval: { from: { groups: ["ops"] }, count } },
  });
  const [first] = await told([all, [ask(2)]], [all, [ask(1)]]);
  expect(first).toStartWith("approval widens r: 1 of ops");
  expect((await told([all, [ask(2)]], [all, []]))[0]).toStartWith("approval widens r: nothing, was 2 of ops");
});

test("what different people get by one change is told of each of them", async () => {
  const permits = [reads("p"), reads("q", { subject: { groups: ["devs"] } })];
  expect(await told([permits, [denies("g")]], [permits, []])).toEqual([
    "access widens g: permitted, was refused",
    "  people of devs,people of ops | box | get on main.a | ",
  ]);
});

test("of changes those that widen come first, then those of access, then by kind and rule", async () => {
  const called = (name: string, id: string, more: Written = {}) => reads(id, { subject: { names: [name] }, ...more });
  const limited = (rows: number, record: readonly string[]) =>
    called("zed", "z", { obligations: { limit: { rows }, ...(record.length === 0 ? {} : { record }) } });
  const lines = await told(
    [[limited(10, []), called("eva", "e"), called("bob", "d")], []],
    [[limited(20, ["input"]), called("cid", "c"), called("ann", "a"), called("bea", "b")], []],
  );
  expect(lines.filter((line) => !line.startsWith(" "))).toEqual([
    "access widens a: permitted, was refused",
    "access widens b: permitted, was refused",
    "access widens c: permitted, was refused",
    "limit widens z: rows 20, was rows 10",
    "access narrows d: refused, was permitted",
    "access narrows e: refused, was permitted",
    "record narrows z: input, was nothing",
  ]);
});

test("a target that goes is told of the rules that decided there, not of all that speak of it", async () => {
  const permits = [reads("p"), reads("q", { subject: { groups: ["devs"] } })];
  const fewer = TARGETS.filter(({ name }) => name !== "box");
  const lines = await told([permits, []], [permits, []], { is: { targets: fewer } });
  expect(lines.filter((line) => line.startsWith("access"))).toEqual([
    "access narrows p: refused, was permitted",
    "access narrows p,q: refused, was permitted",
    "access narrows q: refused, was permitted",
  ]);
});

test("what anybody gets is told in one word", async () => {
  const anybody = reads("p", { subject: { any: true } });
  expect(await told([[], []], [[anybody], []])).toContain(
    "  anybody | box | opening a session; get on main.a; what belongs to every session | ",
  );
  const twoKinds = reads("p", { subject: { kinds: ["agent", "service"] } });
  expect(await told([[], []], [[twoKinds], []])).toContain(
    "  agents and services | box | opening a session; get on main.a; what belongs to every session | ",
  );
});

test("owners are told by name where rules name them", async () => {
  const owned = (more: Written): Promise<readonly string[]> =>
    told([[], []], [[reads("p", { subject: { kinds: ["agent"], ...more } })], []]);
  expect((await owned({ owners: ["eva"] }))[1]).toStartWith("  agents that eva owns | box | ");
  expect((await owned({ owners: ["eva", "ann"] }))[1]).toStartWith("  agents that ann or eva owns | box | ");
  expect((await owned({ owners: ["*"] }))[1]).toStartWith("  agents that somebody owns | box | ");
  expect((await owned({ names: ["bot-1"], groups: ["ops"] }))[1]).toStartWith("  agents called bot-1 of ops | box | ");
});

test("each target is compared with itself, with what either side's catalog knows of it", async () => {
  const only = TARGETS.filter(({ name }) => name === "box");
  const was = await sideOf([], [], { targets: only });
  const is = await sideOf([reads("p")], [], { targets: only });
  const asked: unknown[] = [];
  const { differences } = compareSets({
    ...comparisonOf(was, is),
    accessesOf: (about, catalog) => {
      asked.push([about.name, catalog?.name]);
      return { accesses: possible(), connects: [CONNECT], untried: null };
    },
  });
  expect(new Set(differences.map((each) => each.target))).toEqual(new Set(["box"]));
  expect(asked).toEqual([
    ["box", "box"],
    ["box", "box"],
  ]);
});

test("another protocol under the same name is another target", async () => {
  const permits = [reads("p", { action: { any: true } })];
  const other = TARGETS.map((each) => (each.name === "box" ? { ...each, adapter: "other" } : each));
  const comparison = comparisonOf(await sideOf(permits, []), await sideOf(permits, [], { targets: other }));
  const { differences } = compareSets({
    ...comparison,
    accessesOf: ({ adapter }) => ({
      accesses: adapter === "tiny" ? possible() : [{ class: "read", facts: { paths: ["/a"] } }],
      connects: [],
      untried: null,
    }),
  });
  const changes = differences.map(({ change, accesses }) => [change.widens, Object.keys(accesses.access.facts).join()]);
  expect(changes).toContainEqual([true, "paths"]);
  expect(changes).toContainEqual([false, "verbs,things"]);
  expect(changes).not.toContainEqual([true, "verbs,things"]);
});

test("a permit that sleeps, and a guard or another permit in its place", async () => {
  const activation = { maxDuration: "1h", requirements: { justification: {} } };
  const sleeping = reads("x", { activation });
  for (const [permits, guards] of [
    [[], [denies("x")]],
    [[reads("x")], []],
  ] as const) {
    const lines = await told([[sleeping], []], [permits, guards]);
    const back = await told([permits, guards], [[sleeping], []]);
    expect([...lines, ...back].filter((line) => line.startsWith("approval"))).toEqual([]);
    expect([lines.length > 0, back.length > 0]).toEqual([true, true]);
  }
});

test("labels of a target, a target that comes and one that goes", async () => {
  const permits = [reads("p", { target: { labels: { env: ["prod"] } } })];
  const relabelled = TARGETS.map((target) => (target.name === "bag" ? { ...target, labels: { env: "prod" } } : target));
  const lines = await told([permits, []], [permits, []], { is: { targets: relabelled } });
  expect(lines).toEqual([
    "access widens p: permitted, was refused",
    "  people of ops | bag | opening a session; get on main.a; what belongs to every session | ",
  ]);
  const fewer = TARGETS.filter(({ name }) => name !== "box");
  expect((await told([permits, []], [permits, []], { was: { targets: fewer } }))[0]).toBe(
    "access widens p: permitted, was refused",
  );
  expect((await told([permits, []], [permits, []], { is: { targets: fewer } }))[0]).toBe(
    "access narrows p: refused, was permitted",
  );
});

test("a condition may answer otherwise on a target whose labels changed", async () => {
  const permits = [reads("p", { target: { names: ["bag"] }, condition: 'target.labels["env"] == "prod"' })];
  const relabelled = TARGETS.map((target) => (target.name === "bag" ? { ...target, labels: { env: "prod" } } : target));
  const lines = await told([permits, []], [permits, []], { is: { targets: relabelled } });
  expect(lines).toContain("access widens p: permitted, was refused");
});

test("what only adds guards without exceptions is narrow-only, and nothing else is", async () => {
  const base: Parameters<typeof sideOf> = [[reads("p")], [denies("g")]];
  const was = await sideOf(...base);
  const narrowOnly = async (permits: readonly Written[], guards: readonly Written[] = [], more: Partial<Side> = {}) =>
    addedGuardsAlone(comparisonOf(was, await sideOf(permits, guards, more)));
  expect(await narrowOnly(base[0], [denies("g"), denies("h")])).toEqual(["h"]);
  expect(await narrowOnly(...base)).toEqual([]);
  expect(
    await narrowOnly(base[0], [denies("g"), denies("h", { except: [{ subject: { names: ["ann"] }, reason: "so" }] })]),
  ).toBeNull();
  expect(await narrowOnly(base[0], [denies("h")])).toBeNull();
  expect(await narrowOnly([reads("p", { allowOpaque: true })], base[1])).toBeNull();
  expect(await narrowOnly([...base[0], reads("q")], base[1])).toBeNull();
  expect(await narrowOnly(base[0], base[1], { targets: TARGETS.slice(1) })).toBeNull();
});

test("what cannot be compared is said, and nothing is compared without targets", async () => {
  const many = Array.from({ length: 6 }, (_, at) => reads(`p${at}`, { condition: `subject.name == "n${at}"` }));
  const comparison = comparisonOf(await sideOf([], []), await sideOf(many, []));
  expect(compareSets(comparison).untried).toEqual(["box: some of the ways in which 6 conditions answer together"]);
  const nowhere = { ...comparison, was: { ...comparison.was, targets: [] }, is: { ...comparison.is, targets: [] } };
  expect(compareSets(nowhere).untried).toEqual([
    "no target is known: run weir policy catalog pull, or name a configuration with --config",
  ]);
  const failing = {
    ...comparison,
    accessesOf: () => {
      throw new Error("its catalog is broken");
    },
  };
  expect(compareSets(failing).untried).toContain("box: its catalog is broken");
});
