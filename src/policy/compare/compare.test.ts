/** Two decisions of the same case: in what they differ, and whether the new one is at least as strict. */
import { expect, test } from "bun:test";
import { refusal } from "../../core/decision.ts";
import type { Decision } from "../../core/decision.ts";
import type { MaskObligation, Obligations, Requirement } from "../../core/obligation.ts";
import { compareDecisions } from "./compare.ts";
import type { ComparedWords } from "./compare.ts";

const SAME_WORDS: ComparedWords = { groups: new Map(), changedPatterns: new Set() };
const DENIED: Decision = { kind: "deny", rules: ["g"], observed: [], refusal: refusal("denied", "no") };

function permitted(obligations: Obligations): Decision {
  return { kind: "permit", rules: ["p"], observed: [], obligations };
}

function asking(...requirements: readonly [Requirement, ...Requirement[]]): Decision {
  return { kind: "ask", rules: ["p"], observed: [], obligations: {}, requirements };
}

/** As lines: the kind, the direction, what it was and is, and the names. */
function told(was: Decision, is: Decision, words: ComparedWords = SAME_WORDS): readonly string[] {
  return compareDecisions(was, is, words).map((change) => {
    const direction = change.widens ? "widens" : "narrows";
    return `${change.kind} ${direction}: ${change.is}, was ${change.was}; ${change.names.join()}`;
  });
}

function masked(more: Partial<MaskObligation>): Decision {
  return permitted({ mask: { columns: {}, fields: {}, classifiers: {}, patterns: {}, predicates: "masked", ...more } });
}

test("a refusal is a refusal, whichever rule refuses", () => {
  expect(told(DENIED, { ...DENIED, rules: ["h"] })).toEqual([]);
  expect(told(DENIED, permitted({}))).toEqual(["access widens: permitted, was refused; "]);
  expect(told(permitted({}), DENIED)).toEqual(["access narrows: refused, was permitted; "]);
});

test("only the masks that changed are told, each with its direction", () => {
  const hash = { with: "hash" } as const;
  const redact = { with: "redact" } as const;
  const was = masked({ columns: { "t.a": hash, "t.b": hash, "t.c": redact, "t.d": hash }, fields: { f: redact } });
  const is = masked({ columns: { "t.a": hash, "t.b": redact, "t.c": hash, "t.e": redact }, fields: { f: redact } });
  expect(told(was, is)).toEqual([
    "mask narrows: redact, was hash; t.b",
    "mask widens: hash, was redact; t.c",
    "mask widens: in clear, was hash; t.d",
    "mask narrows: redact, was in clear; t.e",
  ]);
});

test("a mask by a pattern that finds something else now is another mask, though it looks as it did", () => {
  const mask = masked({ patterns: { ticket: { with: "hash" }, other: { with: "hash" } } });
  const words = { ...SAME_WORDS, changedPatterns: new Set(["ticket"]) };
  expect(told(mask, mask, words)).toEqual(["mask widens: hash, was hash as it was; ticket"]);
  expect(told(mask, permitted({}), words)).toEqual([
    "mask widens: in clear, was hash; other",
    "mask widens: in clear, was hash as it was; ticket",
  ]);
  // Where it masked nothing before, what it found then does not matter.
  expect(told(permitted({}), mask, words)).toEqual(["mask narrows: hash, was in clear; other,ticket"]);
});

test("equal obligations are no change, in whatever order their parts stand", () => {
  const one: Obligations = {
    limit: { rows: 10, bytes: 20, timeMs: 30 },
    session: { readOnly: true, maxDurationMs: 1, idleMs: 2 },
    record: ["input", "output"],
    alert: [{ channel: "a", severity: "info" }],
  };
  const other: Obligations = {
    alert: [{ severity: "info", channel: "a" }],
    record: ["input", "output"],
    session: { idleMs: 2, maxDurationMs: 1, readOnly: true },
    limit: { bytes: 20, timeMs: 30, rows: 10 },
  };
  expect(told(permitted(one), permitted(other))).toEqual([]);
  expect(told(permitted(other), permitted(one))).toEqual([]);
});

test("a limit that is at least as strict narrows, in whatever order its parts stand", () => {
  const was = permitted({ limit: { timeMs: 30_000, bytes: 20, rows: 10 } });
  expect(told(was, permitted({ limit: { timeMs: 30_000, rows: 5, bytes: 20 } }))).toEqual([
    "limit narrows: rows 5, was rows 10; ",
  ]);
  expect(told(was, permitted({ limit: { rows: 10, bytes: 20 } }))).toEqual(["limit widens: nothing, was time 30s; "]);
});

test("what is recorded is compared entry by entry", () => {
  const records = (...record: NonNullable<Obligations["record"]>): Decision => permitted({ record });
  expect(told(records("input"), records("input", "output"))).toHaveLength(1);
  expect(told(records("input"), records("input", "output"))[0]).toStartWith("record narrows: ");
  expect(told(records("input"), records("output"))[0]).toStartWith("record widens: ");
});

test("a justification may be asked for with a pattern and without one", () => {
  const justified = (pattern: string | null): Decision => asking({ kind: "justification", rules: ["p"], pattern });
  const sameByAnother = asking({ pattern: null, rules: ["q"], kind: "justification" });
  expect(told(justified(null), sameByAnother)).toEqual([]);
  expect(told(justified("ticket"), justified("ticket"))).toEqual([]);
  const changed = told(justified("ticket"), justified("ticket"), {
    ...SAME_WORDS,
    changedPatterns: new Set(["ticket"]),
  });
  expect(changed).toHaveLength(1);
  expect(changed[0]).toContain("as it was");
});
