/** Leaves: whatever they hold they are canonical JSON, in valid UTF-8, and what was handed over can be read back from them. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import * as v from "valibot";
import type { Outcome } from "../core/ports.ts";
import { canonicalJson, type Json } from "./canonical.ts";
import { readLeaf } from "./entry.ts";
import { durationMs, type Ended, LEAF_BYTES_MAX, LeafWriter } from "./leaf.ts";
import { INTENT, OUTCOME } from "./record-layout.ts";
import type { IntentRecord, Piece } from "./record-reader.ts";

const jsonSchema = v.custom<Json>(() => true);
const anyText = fc.string({ maxLength: 60, unit: "binary" });
const thousandths = fc.maxSafeNat().map((n) => n / 1000);
const anyNumber = fc.oneof(
  fc.nat(),
  thousandths,
  fc.maxSafeNat(),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
);
const anyOutcome: fc.Arbitrary<Outcome> = fc.record(
  {
    status: fc.constantFrom("done", "failed", "refused", "skipped", "cancelled", "unknown"),
    code: anyText,
    rows: anyNumber,
    bytes: anyNumber,
    ranges: anyText,
    sha256: anyText,
  },
  { requiredKeys: ["status"] },
);

function piece(text: string): Piece {
  return new Uint8Array(Buffer.from(text));
}

/** The text of a leaf, after the byte that is left free before it. */
function textOf(leaf: Uint8Array): string {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(leaf.subarray(1));
  expect(canonicalJson(v.parse(jsonSchema, JSON.parse(text)))).toBe(text);
  return text;
}

function sampleIntent(id: string, more: Partial<IntentRecord> = {}): IntentRecord {
  const subject =
    '"subject":{"groups":[],"issuer":"i","kind":"human","name":"n","proof":{"credential":"c","expiresAtMs":null,"method":"token"}}';
  return {
    type: INTENT,
    sequence: 1,
    timeMs: 1,
    monoMs: 1,
    refused: false,
    id: piece(id),
    session: piece(`"session":{"id":"s","openedAtMs":1,"source":"a"},${subject},"target":{"labels":{},"name":"t"}`),
    statement: piece('{"accesses":[],"adapter":"postgres","catalog":null,"kind":"query","understood":true}'),
    decision: piece('{"kind":"permit","policy":{"commit":null,"digest":"d"},"rules":[]}'),
    textSha256: piece("a".repeat(64)),
    parametersSha256: null,
    ...more,
  };
}

test("an intent with anything in it is canonical, with and without an outcome", () => {
  const leaves = new LeafWriter("boot", 4 * 1024 * 1024);
  fc.assert(
    fc.property(
      anyText,
      fc.boolean(),
      fc.boolean(),
      anyOutcome,
      fc.maxSafeNat(),
      fc.maxSafeNat(),
      anyNumber,
      (id, refused, hasParameters, outcome, index, sequence, spentMs) => {
        const intent = sampleIntent(id, {
          refused,
          sequence,
          parametersSha256: hasParameters ? piece("b".repeat(64)) : null,
        });
        const ended: Ended = { sequence: 7, timeMs: 8, durationMs: spentMs, outcome };
        for (const with_ of [null, ended]) {
          const leaf = readLeaf(Buffer.from(textOf(leaves.intent(index, intent, with_))), index);
          if (leaf.shape !== "intent") throw new Error("not an intent");
          expect(leaf.id).toBe(id.toWellFormed());
          expect(leaf.event).toBe(refused ? "operation.refusal" : "operation.intent");
          expect(leaf.sequence).toBe(sequence);
          expect(leaf.parametersSha256).toBe(hasParameters ? "b".repeat(64) : undefined);
          expect(leaf.outcome?.status).toBe(with_?.outcome.status);
          expect(leaf.outcome?.code).toBe(with_?.outcome.code?.toWellFormed());
          expect(leaf.outcome?.ranges).toBe(with_?.outcome.ranges?.toWellFormed());
          expect(leaf.outcome?.sha256).toBe(with_?.outcome.sha256?.toWellFormed());
          expect(leaf.outcome?.durationMs).toBe(with_ === null ? undefined : spentMs);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("ids that need an escape get it, those that do not are kept as they are", () => {
  const leaves = new LeafWriter("boot", 4 * 1024 * 1024);
  for (const id of ["plain-1", 'a"b', "a\\b", "a\tb", "a\u007fb", "é", "\u2028", ""]) {
    const leaf = readLeaf(Buffer.from(textOf(leaves.intent(0, sampleIntent(id), null))), 0);
    expect(leaf.shape === "intent" && leaf.id).toBe(id);
  }
});

test("outcomes and events with anything in them are canonical", () => {
  const leaves = new LeafWriter('b"o\\o\u0000t', 4 * 1024 * 1024);
  fc.assert(
    fc.property(
      anyText,
      fc.option(anyText),
      fc.option(fc.maxSafeNat()),
      fc.option(fc.maxSafeNat()),
      anyOutcome,
      (kind, id, intent, sequence, outcome) => {
        const ended: Ended = { sequence, timeMs: 1.5, durationMs: null, outcome };
        const leaf = readLeaf(Buffer.from(textOf(leaves.outcome(3, id === null ? null : piece(id), intent, ended))), 3);
        expect(leaf).toMatchObject({ id: id === null ? null : id.toWellFormed(), intent, boot: 'b"o\\o\u0000t' });
        const facts = piece(canonicalJson({ [kind]: kind, list: [kind] }));
        textOf(leaves.event(4, kind, facts, sequence === null ? null : piece('{"bytes":1}'), sequence, 1));
      },
    ),
    { numRuns: 200 },
  );
});

test("leaves stay as they were when others are written after them", () => {
  const leaves = new LeafWriter("boot", 1024 * 1024);
  const written = Array.from({ length: 5000 }, (_, i) => leaves.own(i, "test", { n: i, pad: "x".repeat(500) }, 1));
  for (const [i, leaf] of written.entries()) {
    if (!Buffer.from(leaf).includes(`{"n":${i},`)) throw new Error(`leaf ${i} was overwritten`);
  }
});

test("a leaf that is larger than a leaf may be is an error", () => {
  const leaves = new LeafWriter("boot", 1024 * 1024);
  expect(() => leaves.own(0, "test", { pad: "x".repeat(LEAF_BYTES_MAX) }, 1)).toThrow(RangeError);
  expect(leaves.own(0, "test", { pad: "x".repeat(LEAF_BYTES_MAX - 100) }, 1).length).toBeGreaterThan(
    LEAF_BYTES_MAX - 100,
  );
});

test("durations are in milliseconds with three decimals, never negative, and absent when the start is not known", () => {
  const outcome = {
    type: OUTCOME,
    sequence: 1,
    timeMs: 1,
    monoMs: 10.0004,
    intent: 1,
    outcome: { status: "done" },
  } as const;
  expect(durationMs({ monoMs: 1.0001 }, outcome)).toBe(9);
  expect(durationMs({ monoMs: 11 }, outcome)).toBe(0);
  expect(durationMs({ monoMs: Number.NaN }, outcome)).toBeNull();
});
