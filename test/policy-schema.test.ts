/** The JSON Schema that editors get and the schemas that check: they find the same files right and wrong. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { VOCABULARIES } from "../adapters/index.ts";
import type { Problem } from "../src/policy/problems.ts";
import { KINDS, policyJsonSchema, policySchemas } from "../src/policy/language/schema.ts";
import { checkShape } from "../src/policy/language/shape.ts";
import { Source } from "../src/policy/language/source.ts";
import type { Value, ValueMap } from "../src/policy/language/source.ts";
import { schemaFaults } from "./json-schema.ts";

// Only so that a busy machine does not fail the test.
setDefaultTimeout(240_000);

describe("an editor that checks with it", () => {
  const schemas = policySchemas(VOCABULARIES);
  const editors = policyJsonSchema(VOCABULARIES);
  const ROOT = join(import.meta.dir, "../policies");
  const FILES = [...new Bun.Glob("**/*.yaml").scanSync(ROOT)].filter((path) => !path.includes("tests/"));
  const sourceOf = (path: string, text = readFileSync(join(ROOT, path))) => new Source(path, new Uint8Array(text));

  /** Does the loader find the shape of the document right? */
  function hasShape(source: Source): boolean {
    const { value } = source;
    const kind = isMap(value) ? KINDS.find((each) => each === value["kind"]) : undefined;
    if (kind === undefined) return false;
    const problems: Problem[] = [];
    checkShape(schemas[kind], source, problems);
    return problems.length === 0;
  }

  test("agrees with the loader about the set of this repository, and about a set with everything in it", () => {
    expect(FILES.length).toBeGreaterThan(4);
    for (const path of FILES) {
      const source = sourceOf(path);
      expect([path, schemaFaults(editors, source.value)]).toEqual([path, []]);
      expect([path, hasShape(source)]).toEqual([path, true]);
    }
    for (const text of EVERYTHING) {
      const source = new Source("x", new TextEncoder().encode(text));
      expect(source.problems).toEqual([]);
      expect(schemaFaults(editors, source.value)).toEqual([]);
      expect(hasShape(source)).toBe(true);
    }
  });

  test("agrees with the loader about files with something wrong in them", () => {
    const documents = EVERYTHING.map((text) => new Source("x", new TextEncoder().encode(text)).value);
    const change = fc.tuple(fc.constantFrom(...documents), fc.nat(1000), fc.constantFrom(...WRONG));
    let right = 0;
    fc.assert(
      fc.property(change, ([document, at, wrong]) => {
        const text = JSON.stringify(changed(document, at, wrong));
        const source = new Source("x", new TextEncoder().encode(text));
        if (source.problems.length > 0) return;
        const isRight = schemaFaults(editors, source.value).length === 0;
        right += isRight ? 1 : 0;
        expect({ text, isRight: hasShape(source) }).toEqual({ text, isRight });
      }),
      { numRuns: 3000 },
    );
    // Some changes are no mistakes, most are.
    expect(right).toBeGreaterThan(50);
    expect(right).toBeLessThan(2500);
  });
});

/** What may be put in the place of a value; a key with the value REMOVED is left out, and one is added to a map. */
const REMOVED = "removed";
const WRONG: readonly Value[] = [REMOVED, "extra", "x", "", 0, -1, 1.5, 7, true, false, null, [], ["x"], [["x"]], {}];

/** A copy in which the value at the n-th place is another. */
function changed(document: Value, place: number, wrong: Value): Value {
  const places: ((root: Value) => void)[] = [];
  const copy: Value = JSON.parse(JSON.stringify(document));
  const walk = (value: Value): void => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      const at = Array.isArray(value) ? Number(key) : key;
      places.push(() => {
        if (wrong === REMOVED && !Array.isArray(value)) Reflect.deleteProperty(value, at);
        else if (wrong === "extra" && !Array.isArray(value)) Reflect.set(value, "extra", 1);
        else Reflect.set(value, at, wrong);
      });
      walk(Reflect.get(value, at));
    }
  };
  walk(copy);
  places[place % places.length]?.(copy);
  return copy;
}

function isMap(value: Value): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One file of each kind with every key of the language. */
const EVERYTHING = [
  `apiVersion: weir.dev/v1
kind: PolicySet
name: x
description: x
timeZone: UTC
approval: { count: 1, within: 1m, validFor: 1m, uses: 1 }
`,
  `apiVersion: weir.dev/v1
kind: Vocabulary
sets: { a: [x, "y.*"] }
groups: { a: x }
labels: { a: { values: [x], required: true } }
patterns: { a: { description: x, pattern: x, match: [x], noMatch: [""] } }
windows: { a: { days: [mon-fri], from: "08:00", to: "18:00", tz: UTC } }
exceptions:
  a: { subject: { any: true }, target: { any: true }, action: { any: true }, grant: x, condition: x, unread: true, validUntil: x, reason: x }
`,
  `apiVersion: weir.dev/v1
kind: Permits
defaults: { subject: { names: [x], groups: [x], kinds: [human], owners: [x] }, contact: x }
rules:
  - id: x
    description: x
    contact: x
    target: { names: [x], labels: { a: [x] } }
    action:
      - classes: [read]
        postgres: { databases: [x], verbs: [select, $x], relations: [x], columns: [x], functions: [x], unfiltered: true }
      - ssh: { channels: [exec], argv: [[x, [y, z]]], paths: [/x] }
      - mcp: { args: { x: [y] }, contains: [x] }
    condition: x
    window: $a
    validFrom: x
    validUntil: x
    allowOpaque: true
    activation: { maxDuration: 1h, requirements: { approval: { from: { groups: [x], subjects: [x] }, count: 1, within: 1m, validFor: 1m, uses: 1, distinctFrom: [x] }, justification: { pattern: $a }, stepUp: mfa, confirm: owner } }
    obligations:
      mask: [{ columns: [x], with: partial, keepFirst: 1, keepLast: 0, predicates: deny }, { fields: [x], with: null }, { classifiers: [x], with: hash }, { patterns: [$a], with: redact }]
      limit: { rows: 1, bytes: 1B, time: 1s, rate: 1/1s, budget: [{ calls: true, max: 1, per: day, across: owner }, { bytes: true, max: 1B, per: hour, across: subject }] }
      record: [input, output, raw]
      session: { readOnly: true, maxDuration: 1h, idle: 1m }
      alert: [{ channel: x, severity: info }]
`,
  `apiVersion: weir.dev/v1
kind: Guards
rules:
  - { id: x, action: { any: true }, window: { outside: $a }, except: [$a, { unread: true, reason: x }], mode: observe, deny: x }
  - { id: y, action: { any: true }, require: { stepUp: mfa } }
  - { id: z, action: { any: true }, oblige: { record: [raw] } }
`,
];
