/** Checks a document against its kind's schema and turns what the schema finds into problems with places. */
import * as v from "valibot";
import type { Problem } from "../problems.ts";
import { API_VERSION } from "./schema-words.ts";
import type { Path, Source, Value, ValueMap } from "./source.ts";

/** The schema reports one unknown key per map and pass. */
const PASSES_MAX = 25;

type Issue = v.BaseIssue<unknown>;
type Found = { readonly issue: Issue; readonly path: Path };

/** A document as its schema types it, without what was wrong; `rulesAt` tells where its rules stand in the file. */
export type Checked<T> = { readonly file: T; readonly rulesAt: readonly number[] };

/**
 * Checks a document. What is wrong goes into `problems`; keys that do not belong and rules of a wrong shape are left
 * out of what is returned, so that the rest can be checked further and all errors are told at once. Null when nothing
 * is left.
 */
export function checkShape<TSchema extends v.GenericSchema>(
  schema: TSchema,
  source: Source,
  problems: Problem[],
): Checked<v.InferOutput<TSchema>> | null {
  const value = source.value;
  let rulesAt = isMap(value) && Array.isArray(value["rules"]) ? value["rules"].map((_, index) => index) : [];
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const result = v.safeParse(schema, value);
    if (result.success) return { file: result.output, rulesAt };
    const found = result.issues.flatMap((issue) => unfold(issue, []));
    const places = rulesAt;
    const written = (path: Path): Path =>
      path[0] === "rules" && typeof path[1] === "number"
        ? ["rules", places[path[1]] ?? path[1], ...path.slice(2)]
        : path;
    const unknown = found.filter(({ issue }) => isUnknownKey(issue));
    for (const { issue, path } of unknown) {
      problems.push(unknownKey(issue, written(path), source));
      removeAt(value, path);
    }
    if (unknown.length > 0) continue;
    for (const { issue, path } of found) problems.push(describe(issue, written(path), source));
    const broken = new Set(found.map(({ path }) => (path[0] === "rules" ? path[1] : undefined)));
    if (broken.has(undefined) || !isMap(value) || !Array.isArray(value["rules"])) return null;
    rulesAt = rulesAt.filter((_, index) => !broken.has(index));
    value["rules"] = value["rules"].filter((_, index) => !broken.has(index));
    if (rulesAt.length === 0) return null;
  }
  return null;
}

/** Of a union's issues, those of the alternative that the author meant. */
function unfold(issue: Issue, parent: Path): readonly Found[] {
  const path = [...parent, ...pathOf(issue)];
  if (issue.type !== "union" || issue.issues === undefined) return [{ issue, path }];
  const inner = issue.issues.filter((sub) => sub.path !== undefined || sub.kind === "validation");
  return inner.length === 0 ? [{ issue, path }] : inner.flatMap((sub) => unfold(sub, path));
}

function pathOf(issue: Issue): Path {
  const steps: (string | number)[] = [];
  for (const item of issue.path ?? []) {
    if (typeof item.key === "string" || typeof item.key === "number") steps.push(item.key);
  }
  return steps;
}

function isUnknownKey(issue: Issue): boolean {
  return issue.type === "strict_object" && issue.expected === "never";
}

function unknownKey(issue: Issue, path: Path, source: Source): Problem {
  return source.problem("UNKNOWN_KEY", path, `${quote(String(path.at(-1)))} is not a key here`, {
    at: "key",
    suggestion: issue.message,
  });
}

function removeAt(value: Value, path: Path): void {
  let at: Value | undefined = value;
  for (const step of path.slice(0, -1))
    at = Array.isArray(at) ? at[Number(step)] : isMap(at) ? at[String(step)] : undefined;
  if (isMap(at)) Reflect.deleteProperty(at, String(path.at(-1)));
}

function isMap(value: Value | undefined): value is ValueMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const SHAPES: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  number: "a number",
  Array: "a list",
  Object: "a map",
};

function describe(issue: Issue, path: Path, source: Source): Problem {
  const expected = issue.expected ?? "";
  switch (issue.type) {
    case "strict_object":
      if (issue.path?.at(-1)?.origin !== "key" || issue.input !== undefined) break;
      return source.problem("MISSING_KEY", path.slice(0, -1), `the key ${quote(String(path.at(-1)))} is missing`, {
        at: "key",
        suggestion: missingKey(String(path.at(-1))),
      });
    case "picklist":
      return source.problem("BAD_VALUE", path, `${received(issue)} is not a value here`, { suggestion: issue.message });
    case "literal":
      return source.problem("BAD_VALUE", path, `this must be ${expected}`);
    case "integer":
      return source.problem("BAD_VALUE", path, `${received(issue)} is not a whole number`);
    case "min_value":
      return source.problem(
        "BAD_VALUE",
        path,
        `${received(issue)} is too small: it is at least ${String(issue.requirement)}`,
      );
    case "max_value":
      return source.problem(
        "BAD_VALUE",
        path,
        `${received(issue)} is too large: it is at most ${String(issue.requirement)}`,
      );
    case "min_length":
      return Array.isArray(issue.input)
        ? source.problem("BAD_VALUE", path, "the list is empty", {
            suggestion: missingKey(String(path.at(-1))) || "Write at least one item, or leave out the key",
          })
        : source.problem("BAD_VALUE", path, "the text is empty");
    case "max_length":
      return source.problem("TOO_LARGE", path, `this is longer than ${String(issue.requirement)}`);
  }
  const said = isOwnMessage(issue) ? issue.message : "";
  // A union of words and other single values: what was written is of the right type and the wrong value.
  if (issue.type === "union" && said !== "" && typeof issue.input === "string")
    return source.problem("BAD_VALUE", path, `${received(issue)} is not a value here`, { suggestion: said });
  const shape = shapeOf(issue);
  return source.problem("WRONG_TYPE", path, `expected ${shape}, not ${received(issue)}`, {
    // A schema with a message of its own knows best what to write.
    suggestion:
      said !== "" ? said : issue.input === null ? missingKey(String(path.at(-1))) : correction(issue.input, shape),
  });
}

function isOwnMessage(issue: Issue): boolean {
  return issue.message !== "" && !issue.message.startsWith("Invalid ");
}

/** `text or a map`, of a union. */
function shapeOf(issue: Issue): string {
  const shapes = (issue.type === "union" ? (issue.issues ?? []) : [issue]).map(
    ({ expected }) => SHAPES[expected ?? ""] ?? (expected?.startsWith("(") === true ? "text" : (expected ?? "")),
  );
  return [...new Set(shapes)].join(" or ");
}

/** What to write for a key that is missing. */
const MISSING: Readonly<Record<string, string>> = {
  apiVersion: `Write apiVersion: ${API_VERSION}`,
  name: "Write name: and what the set is called",
  rules: "Write rules: and below it a list, each item with - id: and a name for the rule",
  id: "Write id: and a name for the rule, in lower-case letters, digits and hyphens",
  reason: "Write reason: and why this is let through",
  with: "Write with: redact, null, hash or partial",
  max: "Write max: and a number",
  per: "Write per: session, hour or day",
  across: "Write across: subject, or across: owner for all agents of one owner together",
  channel: "Write channel: and who is told",
  from: "Write from: { groups: [...] }",
  maxDuration: "Write maxDuration: and a duration, such as 1h",
  requirements: "Write requirements: { approval: { from: { groups: [...] } } }, or justification: {}",
  values: "Write values: [...]",
  pattern: "Write pattern: and a regular expression",
  match: "Write match: [...], texts that the pattern must match",
  noMatch: "Write noMatch: [...], texts that it must not match",
  cases: "Write cases: and a list",
};

function missingKey(key: string): string {
  return Object.hasOwn(MISSING, key) ? (MISSING[key] ?? "") : "";
}

function correction(input: unknown, shape: string): string {
  if (shape.includes("text") && (typeof input === "number" || typeof input === "boolean")) return "Quote it";
  if (shape === "a number") return "Write a whole number";
  if (typeof input !== "string") return "";
  if (shape.includes("a list") && !shape.includes("text") && !shape.includes("a map")) return `Write [${input}]`;
  return input === "any" ? "Write { any: true }" : "";
}

function received(issue: Issue): string {
  const input = issue.input;
  if (input === null) return "nothing";
  if (Array.isArray(input)) return "a list";
  return typeof input === "object" ? "a map" : typeof input === "string" ? quote(input) : JSON.stringify(input);
}

const QUOTED_CHARS_MAX = 80;

/** A text from a file as it may be shown: quoted, escaped and not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}...` : text);
}
