/** The parts of a leaf: what they hold, and that nothing is left out of them without saying so. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import * as v from "valibot";
import { type Access, ACCESS_CLASSES, type Facts, UNKNOWN } from "../core/operation.ts";
import { DENY, PERMIT, POLICY, sampleOperation, sampleSession } from "../../test/fault/audit-sample.ts";
import { canonicalJson, type Json } from "./canonical.ts";
import {
  DECISION_BYTES_MAX,
  decisionPiece,
  FACTS_BYTES_MAX,
  factsPiece,
  SESSION_BYTES_MAX,
  sessionPiece,
  STATEMENT_BYTES_MAX,
  statementPiece,
} from "./pieces.ts";
import { sha256Hex } from "./sha256.ts";

const anyText = fc.string({ maxLength: 40, unit: "binary" });
const anyFacts: fc.Arbitrary<Facts> = fc.dictionary(
  anyText,
  fc.oneof(fc.boolean(), fc.array(anyText, { maxLength: 5 }), fc.constant(UNKNOWN)),
  { maxKeys: 5, noNullPrototype: true },
);
const anyAccess: fc.Arbitrary<Access> = fc.record(
  { class: fc.constantFrom(...ACCESS_CLASSES), facts: anyFacts, opaque: fc.constant(true), ambient: fc.constant(true) },
  { requiredKeys: ["class", "facts"] },
);

const jsonSchema = v.custom<Json>(() => true);

function isCanonical(json: string): boolean {
  return canonicalJson(v.parse(jsonSchema, JSON.parse(json))) === json;
}

test("accesses are recorded with what was known, what was not, and what cannot be", () => {
  const operation = sampleOperation("1", {
    accesses: [
      { class: "read", facts: { relation: ["public.t"], column: UNKNOWN, unfiltered: false } },
      { class: "execute", facts: {}, opaque: true },
      { class: "read", facts: {}, ambient: true },
    ],
    catalogDigest: "c0ffee",
    understood: false,
  });
  expect(JSON.parse(statementPiece(operation))).toEqual({
    accesses: [
      { class: "read", facts: { column: null, relation: ["public.t"], unfiltered: false } },
      { class: "execute", facts: {}, opaque: true },
      { ambient: true, class: "read", facts: {} },
    ],
    adapter: "postgres",
    catalog: "c0ffee",
    kind: "query",
    understood: false,
  });
});

test("every part is canonical JSON within its limit, whatever it holds", () => {
  fc.assert(
    fc.property(
      anyAccess,
      fc.array(anyAccess, { maxLength: 20 }),
      anyText,
      fc.integer({ min: 1, max: 300 }),
      (first, more, odd, times) => {
        const many = Array.from({ length: times }, () => more).flat();
        const statement = statementPiece(
          sampleOperation("1", { accesses: [first, ...many], kind: odd, catalogDigest: odd }),
        );
        expect(isCanonical(statement)).toBe(true);
        expect(Buffer.byteLength(statement)).toBeLessThanOrEqual(STATEMENT_BYTES_MAX);

        const sample = sampleSession(1);
        const session = sessionPiece({
          ...sample,
          id: odd.repeat(times),
          source: odd.repeat(times),
          through: { session: odd.repeat(times), operation: odd.repeat(times) },
          identity: {
            kind: "human",
            issuer: odd.repeat(times),
            subject: odd.repeat(times),
            owner: odd.repeat(times),
            groups: Array(times).fill(odd.repeat(3)),
            proof: { method: "token", credential: odd.repeat(times), expiresAtMs: 1 },
          },
          target: {
            ...sample.target,
            name: odd.repeat(times),
            labels: Object.fromEntries(Array.from({ length: times }, (_, i) => [odd + i, odd])),
          },
        });
        expect(isCanonical(`{${session}}`)).toBe(true);
        expect(Buffer.byteLength(session)).toBeLessThanOrEqual(SESSION_BYTES_MAX);

        const rules = Array(times).fill(odd.repeat(2));
        for (const decision of [
          {
            ...PERMIT,
            rules,
            obligations: { alert: rules.map((channel) => ({ channel, severity: "info" as const })) },
          },
          { ...PERMIT, observed: rules },
          { ...DENY, rules },
          {
            kind: "ask",
            rules,
            observed: [],
            obligations: {},
            requirements: [{ kind: "justification", rules, pattern: null }],
          },
        ] as const) {
          const json = decisionPiece(decision, { ...POLICY, commit: odd.repeat(times) });
          expect(isCanonical(json)).toBe(true);
          expect(Buffer.byteLength(json)).toBeLessThanOrEqual(DECISION_BYTES_MAX);
        }
        const { facts, truncated } = factsPiece({ [odd]: odd.repeat(times * 20), list: rules, n: 1, none: null });
        expect(isCanonical(facts)).toBe(true);
        expect(truncated === "" || isCanonical(truncated)).toBe(true);
        expect(Buffer.byteLength(facts)).toBeLessThanOrEqual(FACTS_BYTES_MAX);
      },
    ),
    { numRuns: 60 },
  );
});

test("the limits of all parts leave room for the rest of a leaf", () => {
  expect(SESSION_BYTES_MAX + STATEMENT_BYTES_MAX + DECISION_BYTES_MAX).toBeLessThan(65_535 - 255 * 6 - 2048);
});

/** What the tests below look at in a statement's piece. */
const pieceSchema = v.object({
  accesses: v.array(
    v.object({ class: v.string(), facts: v.record(v.string(), v.unknown()), truncated: v.optional(v.unknown()) }),
  ),
  truncated: v.object({ accesses: v.number(), bytes: v.number(), sha256: v.string() }),
});

test("a list that is cut says how long it was, and the whole is still bound by its hash", () => {
  const columns = Array.from({ length: 5000 }, (_, i) => `public.t.column_${i}`);
  const accesses = [{ class: "read", facts: { column: columns, verb: ["select"] } }] as const;
  const piece = v.parse(pieceSchema, JSON.parse(statementPiece(sampleOperation("1", { accesses }))));
  expect(piece.accesses).toEqual([
    {
      class: "read",
      facts: { column: columns.slice(0, 64), verb: ["select"] },
      truncated: { column: 5000, verb: 1 },
    },
  ]);
  expect(piece.truncated).toEqual({
    accesses: 1,
    bytes: Buffer.byteLength(canonicalJson(accesses)),
    sha256: sha256Hex(canonicalJson(accesses)),
  });
});

test("accesses that do not fit are counted", () => {
  const all = Array.from({ length: 2000 }, (_, i): Access => ({
    class: "read",
    facts: { relation: [`public.relation_${i}`] },
  }));
  const operation = sampleOperation("1", { accesses: [{ class: "write", facts: {} }, ...all] });
  const piece = v.parse(pieceSchema, JSON.parse(statementPiece(operation)));
  expect(piece.truncated.accesses).toBe(2001);
  expect(piece.accesses.length).toBeGreaterThan(100);
  expect(piece.accesses.length).toBeLessThan(2001);
  expect(piece.accesses[0]?.class).toBe("write");
});

test("a decision names its rules, its policy and its refusal, never the refusal's sentence", () => {
  expect(JSON.parse(decisionPiece(DENY, POLICY))).toEqual({
    kind: "deny",
    policy: { commit: POLICY.commit, digest: POLICY.digest },
    refusal: "denied",
    rules: ["shop/no-payroll"],
  });
  expect(JSON.parse(decisionPiece("house", POLICY))).toEqual({
    kind: "house",
    policy: { commit: POLICY.commit, digest: POLICY.digest },
  });
});

test("an obligation that is not JSON cannot be recorded", () => {
  const decision = { ...PERMIT, obligations: { limit: { rows: Number.NaN } } };
  expect(() => decisionPiece(decision, POLICY)).toThrow(RangeError);
});

test("a key that means something to the language is a key like any other", () => {
  const facts: Facts = Object.fromEntries([["__proto__", ["a"]]]);
  expect(statementPiece(sampleOperation("1", { accesses: [{ class: "read", facts }] }))).toContain('"__proto__":["a"]');
});
