/** What a rule says in a form that can be compared and hashed: its keys with defaults, and what its words stand for. */
import { createHash } from "node:crypto";
import type { References, WrittenRule } from "./rule-scope.ts";

/** These tell people about a rule and change nothing about it. */
const SILENT_KEYS: ReadonlySet<string> = new Set(["description", "contact"]);

/** One line of JSON with sorted keys; the same for two rules only when they mean the same. */
export function canonicalRule(effect: "permit" | "guard", rule: WrittenRule, references: References): string {
  const said = Object.fromEntries(Object.entries(rule).filter(([key]) => !SILENT_KEYS.has(key)));
  return canonical({ effect, rule: said, words: Object.fromEntries(references) });
}

/** Lower-case hex SHA-256. */
export function digestOfRule(canonicalText: string): string {
  return createHash("sha256").update(`weir rule 1\n${canonicalText}`).digest("hex");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
}
