/** Obligations become content masks with the patterns of their policy. */
import { expect, test } from "bun:test";
import type { MaskObligation } from "../core/obligation.ts";
import { obligedContent } from "./obliged-content.ts";

const NONE: MaskObligation = { columns: {}, fields: {}, classifiers: {}, patterns: {}, predicates: "masked" };
const bytes = new TextEncoder().encode("TCK-1 a@b.de");

function masked(obligation: MaskObligation, patterns: Readonly<Record<string, string>> = {}): string | null {
  const mask = obligedContent(obligation, (name) => patterns[name] ?? null);
  const answer = mask?.mask(bytes, 0, bytes.length, "text") ?? null;
  return answer === null || answer === "absent" ? answer : new TextDecoder().decode(answer);
}

test("columns alone ask for none", () => {
  expect(obligedContent({ ...NONE, columns: { "app.t.c": { with: "redact" } } }, () => null)).toBeNull();
});

test("classifiers and patterns, by the patterns' names", () => {
  expect(masked({ ...NONE, classifiers: { email: { with: "redact" } } })).toBe("TCK-1 ***");
  const patterns = { ...NONE, patterns: { ticket: { with: "partial", keepFirst: 1, keepLast: 0 } as const } };
  expect(masked(patterns, { ticket: "TCK-[0-9]" })).toBe("T*** a@b.de");
});

test("a pattern that is gone hides everything", () => {
  expect(masked({ ...NONE, patterns: { ticket: { with: "redact" } } })).toBe("***");
});

test("one obligation has one mask", () => {
  const obligation: MaskObligation = { ...NONE, classifiers: { email: { with: "redact" } } };
  expect(obligedContent(obligation, () => null)).toBe(obligedContent(obligation, () => null));
});
