/** Turns what the schema complains about into problems that people can act on. */
import type * as v from "valibot";
import { hintFor } from "./suggest.ts";
import type { Problem } from "./problem.ts";
import { keysOf, schemaAt } from "./shape.ts";
import type { Path, Source, Value } from "./source.ts";

/** One complaint: the deepest one the schema made, with its full path. */
export type Complaint = { readonly path: Path; readonly isKey: boolean; readonly issue: v.BaseIssue<unknown> };

/** Spreads unions out: of several alternatives, the one that has the value's own shape speaks. */
export function complaintsOf(issues: readonly v.BaseIssue<unknown>[], base: Path = []): Complaint[] {
  return issues.flatMap((issue) => {
    const steps = issue.path ?? [];
    const path = [...base, ...steps.map((step) => (typeof step.key === "number" ? step.key : String(step.key)))];
    const inner = issue.issues ?? [];
    if (issue.type === "union" && inner.length > 0) {
      const deeper = inner.filter((each) => each.path !== undefined);
      if (deeper.length > 0) return complaintsOf(deeper, path);
    }
    return [{ path, isKey: steps.at(-1)?.origin === "key", issue }];
  });
}

/** True when the complaint is about a key that the schema does not know. */
export function isUnknownKey(complaint: Complaint): boolean {
  return complaint.isKey && complaint.issue.type === "strict_object" && complaint.issue.expected === "never";
}

/** The problem to show. `isSecret`: the value came from a reference and is not repeated. */
export function problemOf(complaint: Complaint, source: Source, schema: v.GenericSchema, isSecret: boolean): Problem {
  const { path, issue, isKey } = complaint;
  const last = String(path.at(-1) ?? "");
  if (isUnknownKey(complaint)) {
    const known = keysOf(schemaAt(schema, path.slice(0, -1)));
    return source.at("error", "UNKNOWN_KEY", "key", path, `there is no key "${last}" here${hintFor(last, known)}`);
  }
  if (isKey && issue.type === "strict_object") {
    const parent = path.slice(0, -1);
    return source.at(
      "error",
      "MISSING_KEY",
      "key",
      parent,
      `"${last}" is missing${parent.length === 0 ? "" : ` in ${parent.join(".")}`}`,
    );
  }
  // A message that the schema's author did not write repeats the value.
  const isOwn = !issue.message.startsWith("Invalid ");
  const subject = path.length === 0 ? "the file" : path.join(".");
  if (issue.kind === "schema") {
    const choices = choicesOf(issue);
    if (choices !== null && typeof issue.input === "string") {
      const found = isSecret ? "what the reference holds is not" : `"${issue.input}" is not`;
      const hint = isSecret ? "" : hintFor(issue.input, choices);
      const listed = hint.startsWith("; did") || isSecret ? ` one of ${choices.join(", ")}` : " known";
      return source.at("error", "BAD_VALUE", "value", path, `${subject}: ${found}${listed}${hint}`);
    }
    const found = isSecret ? "text from a reference" : kindOf(issue.input);
    const message = isOwn ? issue.message : `expected ${expectedOf(issue, choices)}, found ${found}`;
    return source.at("error", "WRONG_TYPE", "value", path, `${subject}: ${message}`);
  }
  const message = !isOwn ? `is not as it must be (${issue.expected ?? issue.type})` : issue.message;
  return source.at("error", "BAD_VALUE", isKey ? "key" : "value", path, `${subject}: ${message}`);
}

function choicesOf(issue: v.BaseIssue<unknown>): readonly string[] | null {
  if (issue.type !== "picklist" && issue.type !== "literal" && issue.type !== "union") return null;
  const found = quotedIn(issue.expected ?? "");
  return found.length === 0 ? null : found;
}

/** The quoted words of valibot's own description of what it expects: `("auto" | "off" | Object)`. */
function quotedIn(expected: string): string[] {
  return expected.split('"').filter((_, index) => index % 2 === 1);
}

function expectedOf(issue: v.BaseIssue<unknown>, choices: readonly string[] | null): string {
  const expected = issue.expected ?? "";
  if (choices !== null) return `${choices.join(", ")}${expected.includes("Object") ? " or a map" : ""}`;
  if (expected.includes("|")) {
    return expected.replaceAll("Object", "a map").replaceAll("string", "text").replaceAll("|", "or");
  }
  return EXPECTED[expected] ?? expected;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Object: "a map",
  Array: "a list",
};

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return "text";
  return typeof value === "number" ? "a number (quote it to make it text)" : "true or false (quote it to make it text)";
}

/** The value at a path of a tree of plain values. */
export function valueAt(root: Value, path: Path): Value | undefined {
  let value: Value | undefined = root;
  for (const step of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = Array.isArray(value) ? (typeof step === "number" ? value[step] : undefined) : value[String(step)];
    if (value === undefined) return undefined;
  }
  return value;
}
