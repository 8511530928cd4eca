/** Checks a document against its kind's schema and turns what the schema finds into problems with places. */
import * as v from "valibot";
import type { Vocabulary } from "../core/vocabulary.ts";
import type { Problem } from "./problems.ts";
import type { Kind } from "./schema.ts";
import type { Path, Source, Value, ValueMap } from "./source.ts";

/** Parts of the language that this version cannot keep. They are errors: a rule that is half kept is not kept. */
const LATER: Readonly<Record<Kind, readonly string[]>> = {
  PolicySet: ["approval", "approvals"],
  Vocabulary: ["patterns", "windows", "exceptions"],
  Permits: ["condition", "window", "activation", "obligations"],
  Guards: ["condition", "window", "except", "mode", "require", "oblige"],
  Tests: [],
};
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
  kind: Kind,
  schema: TSchema,
  source: Source,
  vocabularies: readonly Vocabulary[],
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
      problems.push(unknownKey(kind, issue, written(path), source, vocabularies));
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

function unknownKey(
  kind: Kind,
  issue: Issue,
  path: Path,
  source: Source,
  vocabularies: readonly Vocabulary[],
): Problem {
  const key = String(path.at(-1));
  if (isLater(kind, path, vocabularies)) {
    return source.problem("NOT_IN_THIS_VERSION", path, `${quote(key)} is not in this version`, {
      at: "key",
      suggestion: "Remove it: a rule that is only half kept is refused",
    });
  }
  return source.problem("UNKNOWN_KEY", path, `${quote(key)} is not a key here`, {
    at: "key",
    suggestion: issue.message,
  });
}

function isLater(kind: Kind, path: Path, vocabularies: readonly Vocabulary[]): boolean {
  const key = String(path.at(-1));
  const isTop = path.length === 1;
  const isRule = (path[0] === "rules" && path.length === 3) || (path[0] === "defaults" && path.length === 2);
  const level = kind === "Permits" || kind === "Guards" ? isRule : isTop;
  if (level && LATER[kind].includes(key)) return true;
  const vocabulary = vocabularies.find((candidate) => candidate.name === path.at(-2));
  return path.includes("action") && vocabulary !== undefined && Object.hasOwn(vocabulary.keys, key);
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
      });
    case "picklist":
      return source.problem("BAD_VALUE", path, `${received(issue)} is not a value here`, { suggestion: issue.message });
    case "literal":
      return source.problem("BAD_VALUE", path, `this must be ${expected}`);
    case "min_length":
      return source.problem("BAD_VALUE", path, Array.isArray(issue.input) ? "the list is empty" : "the text is empty");
    case "max_length":
      return source.problem("TOO_LARGE", path, `this is longer than ${String(issue.requirement)}`);
  }
  const isText = expected === "string" || (issue.type === "union" && expected.includes("string"));
  const shape = isText ? "text" : issue.type === "union" ? "a map or a list of maps" : (SHAPES[expected] ?? expected);
  return source.problem("WRONG_TYPE", path, `expected ${shape}, not ${received(issue)}`, {
    suggestion: correction(issue.input, shape),
  });
}

function correction(input: unknown, shape: string): string {
  if (shape === "text" && (typeof input === "number" || typeof input === "boolean")) return "Quote it";
  if (typeof input !== "string") return "";
  if (shape === "a list") return `Write [${input}]`;
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
