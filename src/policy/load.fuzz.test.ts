/** Random mistakes in whole sets: loading never throws, never loads a set with an error, and tells where a mistake is. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { OTHER, POLICY_YAML, TARGETS, TINY } from "../../test/policy-sets.ts";
import { compileFolder } from "./load.ts";
import type { LoadedSet } from "./load.ts";
import { formatProblem, hasErrors } from "./problems.ts";

// Only so that a busy machine does not fail the test.
setDefaultTimeout(240_000);

const RUNS = 1500;

/** A set with everything in it, without an error. */
const FILES: Readonly<Record<string, string>> = {
  "policy.yaml": `${POLICY_YAML}timeZone: Europe/Berlin
approval: { count: 1, within: 30m }
`,
  "vocabulary.yaml": `apiVersion: weir.dev/v1
kind: Vocabulary
sets:
  mine: [my.a, my.b]
  nested: [$mine, my.c]
groups: { ops: ops, devs: "7f3c" }
labels: { env: { values: [prod, test] } }
patterns:
  ticket: { pattern: "T-[0-9]+", match: [T-1], noMatch: [T] }
windows:
  day: { days: [mon-fri], from: "08:00", to: "18:00", tz: Europe/Berlin }
exceptions:
  drill: { subject: { groups: [ops] }, reason: A drill. }
`,
  "permits/a.yaml": `apiVersion: weir.dev/v1
kind: Permits
defaults:
  target: { names: [box] }
rules:
  - id: reads
    description: Reads things.
    contact: ops
    subject: { kinds: [human, agent], groups: [ops, devs], names: ["a*"] }
    action:
      - tiny: { rooms: [r], verbs: [get], things: [$nested, "s.**"], parts: [main.gear] }
      - classes: [read]
        tiny: { words: [[ls, [-l, -a], "*"]], fields: { repo: [$mine] }, wide: false }
    window: $day
    validFrom: "2026-01-01T00:00:00Z"
    validUntil: "2035-12-31T00:00:00Z"
    obligations:
      limit: { rows: 1, bytes: 5MiB, time: 20s, rate: 30/1m, budget: [{ rows: true, max: 5, per: day, across: owner }] }
      session: { readOnly: true, maxDuration: 1h, idle: 5m }
      record: [input, output]
      alert: [{ channel: dpo, severity: warning }]
  - id: sleeps
    subject: { groups: [ops] }
    target: { labels: { env: [prod] } }
    action: { any: true }
    allowOpaque: true
    condition: access.wide && "devs" in subject.groups
    activation:
      maxDuration: 1h
      requirements: { approval: { from: { groups: [devs], subjects: [ann] }, count: 2 }, justification: { pattern: $ticket } }
`,
  "guards/b.yaml": `apiVersion: weir.dev/v1
kind: Guards
rules:
  - id: masks
    action: { tiny: { columns: [main.a, main.b], texts: [secret, $ticket] } }
    except:
      - $drill
      - { grant: sleeps, reason: It was agreed to. }
      - { unread: true, validUntil: "2035-12-31T00:00:00Z", reason: Nobody reads it. }
    oblige:
      mask:
        - { with: redact }
        - { columns: [main.a], with: partial, keepLast: 3, predicates: deny }
  - id: asks
    mode: observe
    action: { classes: [define] }
    window: { outside: $day }
    require: { stepUp: mfa, confirm: owner }
  - id: denies
    action: { any: true }
    subject: { kinds: [service] }
    deny: No.
`,
};

const encoder = new TextEncoder();

function load(files: Readonly<Record<string, string>>): Promise<LoadedSet> {
  const list = Object.entries(files).map(([path, text]) => ({ path, sha256: "", bytes: encoder.encode(text) }));
  list.sort((a, b) => (a.path < b.path ? -1 : 1));
  return compileFolder({ realDir: "/", files: list, digest: "", problems: [] }, [TINY, OTHER], TARGETS);
}

/** What holds for every set, whatever is in it. */
async function loadWell(files: Readonly<Record<string, string>>): Promise<LoadedSet> {
  const set = await load(files);
  for (const problem of set.problems) {
    expect(formatProblem(problem)).toMatch(/^[ -~\u00a0-\uffff]+$/u);
    const lines = (files[problem.file] ?? "").split("\n");
    const text = problem.line === null ? "" : lines[problem.line - 1];
    // A place is one that the file has, if only just behind the end of a line.
    expect([problem, text !== undefined]).toEqual([problem, true]);
    expect(problem.column ?? 1).toBeLessThanOrEqual((text ?? "").length + 1);
  }
  if (hasErrors(set.problems)) expect([set.rules, set.canonical.size]).toEqual([[], 0]);
  return set;
}

const file = fc.constantFrom(...Object.keys(FILES));

/** The file with something of it replaced: a stretch of a few characters, at a random place. */
const anyChange = fc.tuple(
  file,
  fc.nat(),
  fc.nat(12),
  fc.oneof(
    fc.constantFrom(
      "",
      " ",
      "\n",
      "  ",
      ":",
      ": x",
      "[",
      "]",
      "{",
      "}",
      "- ",
      "$",
      "*",
      '"',
      "'",
      "#",
      "&a ",
      "!!x ",
      "|",
      "0",
      "null",
      "true",
      "\u0000",
      "\ud800",
    ),
    fc.string({ maxLength: 4 }),
  ),
);

test("the set is one", async () => {
  const { problems, rules } = await loadWell(FILES);
  expect(problems.map(formatProblem)).toEqual([]);
  expect(rules.map(({ id }) => id)).toEqual(["asks", "denies", "masks", "reads", "sleeps"]);
});

describe("whatever is written,", () => {
  test("loading ends with rules or with errors, and never throws", async () => {
    let broken = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyChange, { minLength: 1, maxLength: 2 }), async (changes) => {
        const files = { ...FILES };
        for (const [path, at, remove, insert] of changes) {
          const text = files[path] ?? "";
          const place = at % text.length;
          files[path] = text.slice(0, place) + insert + text.slice(place + remove);
        }
        const { rules } = await loadWell(files);
        broken += rules.length === 0 ? 1 : 0;
      }),
      { numRuns: RUNS },
    );
    expect(broken).toBeGreaterThan(RUNS / 2);
  });
});

/** Places in the files where text of this kind stands, as [path, offset, length]. */
function placesOf(pattern: RegExp, paths: readonly string[]): readonly (readonly [string, number, string])[] {
  return paths.flatMap((path) =>
    [...(FILES[path] ?? "").matchAll(pattern)].map((match) => [path, match.index, match[0]] as const),
  );
}

function placeAt(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

/** Plants a mistake at every such place and returns the places at which no such problem is told. */
async function unseen(
  places: readonly (readonly [string, number, string])[],
  plant: (found: string) => { readonly text: string; readonly mistakeAt: number },
  codes: readonly string[],
): Promise<readonly string[]> {
  const missed: string[] = [];
  for (const [path, offset, found] of places) {
    const text = FILES[path] ?? "";
    const { text: planted, mistakeAt } = plant(found);
    const changed = text.slice(0, offset) + planted + text.slice(offset + found.length);
    const { problems, rules } = await loadWell({ ...FILES, [path]: changed });
    const expected = `${path}:${placeAt(changed, offset + mistakeAt)}`;
    const told = problems.some(
      ({ file: where, line, column, code, severity }) =>
        severity === "error" && `${where}:${line}:${column}` === expected && codes.includes(code),
    );
    if (!told || rules.length > 0) missed.push(`${expected} ${found}: ${problems.map(formatProblem).join(" | ")}`);
  }
  return missed;
}

const RULES = ["permits/a.yaml", "guards/b.yaml"];
const ALL = Object.keys(FILES);

describe("a mistake is told at its very place:", () => {
  test("a key that is not known, in every map but those of the author's own names", async () => {
    const maps = placesOf(/\{ (?=[a-z]+:)/gu, RULES).filter(
      ([path, at]) => !/(?:labels|fields): $/u.test((FILES[path] ?? "").slice(0, at)),
    );
    expect(maps.length).toBeGreaterThan(20);
    expect(await unseen(maps, () => ({ text: "{ zzq: 1, ", mistakeAt: 2 }), ["UNKNOWN_KEY"])).toEqual([]);
  });

  test("a key that is misspelt", async () => {
    const keys = placesOf(/(?<=[{,\n] *(?:- )?)[a-zA-Z]+(?=: )/gu, RULES).filter(
      ([, , key]) => !["id", "apiVersion", "kind", "repo", "env"].includes(key),
    );
    expect(keys.length).toBeGreaterThan(60);
    // Where the key was needed, that it is missing is told too.
    expect(await unseen(keys, (key) => ({ text: `${key}q`, mistakeAt: 0 }), ["UNKNOWN_KEY"])).toEqual([]);
  });

  test("a name of the vocabulary that there is not", async () => {
    const names = placesOf(/\$[a-z]+/gu, ALL);
    expect(names.length).toBeGreaterThan(7);
    const codes = ["UNKNOWN_SET", "UNKNOWN_PATTERN", "UNKNOWN_WINDOW", "UNKNOWN_EXCEPTION"];
    expect(await unseen(names, () => ({ text: "$nowhere", mistakeAt: 0 }), codes)).toEqual([]);
  });

  test("a key that stands there twice", async () => {
    const keys = placesOf(/(?<=\{ )[a-z]+: (?:true|[a-z0-9]+)(?=, | \})/giu, ALL);
    expect(keys.length).toBeGreaterThan(8);
    const twice = (found: string) => ({ text: `${found}, ${found}`, mistakeAt: found.length + 2 });
    expect(await unseen(keys, twice, ["DUPLICATE_KEY"])).toEqual([]);
  });

  test("a number or a list where there should be text, and the other way round", async () => {
    const codes = ["WRONG_TYPE", "BAD_VALUE", "UNKNOWN_SET"];
    const texts = placesOf(/(?<=: )[a-z0-9/]+(?= \}|, )/giu, RULES).filter(([, , text]) => text !== "1");
    expect(texts.length).toBeGreaterThan(20);
    expect(await unseen(texts, () => ({ text: "[[x]]", mistakeAt: 0 }), [...codes, "MISSING_KEY"])).toEqual([]);
    const lists = placesOf(/\[[a-z., ]+\]/gu, RULES);
    expect(lists.length).toBeGreaterThan(12);
    expect(await unseen(lists, () => ({ text: "7", mistakeAt: 0 }), codes)).toEqual([]);
  });
});
