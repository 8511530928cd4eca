/** From a policy folder to rules: reads, parses, checks and compiles the whole set, and reports every error at once. */
import type { Vocabulary } from "../core/vocabulary.ts";
import { compileFile } from "./compile.ts";
import { readFolder } from "./folder.ts";
import type { Folder, PolicyFile } from "./folder.ts";
import { hasErrors, sortProblems } from "./problems.ts";
import type { Problem } from "./problems.ts";
import type { Rule } from "./rule.ts";
import { API_VERSION, KINDS, policySchemas } from "./schema.ts";
import type { Kind, PolicySchemas } from "./schema.ts";
import { checkShape, quote } from "./shape.ts";
import { Source } from "./source.ts";
import { checkWords, Words } from "./words.ts";
import type { AuthorVocabulary, KnownTarget } from "./words.ts";
import { didYouMean } from "./nearest.ts";

const RULES_MAX = 10_000;
const PROBLEMS_MAX = 1000;

export type Loaded = {
  readonly folder: Folder;
  /** Sorted by id; empty when there are errors. */
  readonly rules: readonly Rule[];
  /** Errors and warnings, sorted by place. */
  readonly problems: readonly Problem[];
};

/** Where each kind of file lies. */
const PLACES: Readonly<Record<Kind, string>> = {
  PolicySet: "policy.yaml",
  Vocabulary: "vocabulary.yaml",
  Permits: "permits/",
  Guards: "guards/",
  Tests: "tests/",
};

/** Loads a set. Never throws over what is in the folder; without `targets` (null) nothing is said about their names. */
export async function loadPolicies(
  dir: string,
  vocabularies: readonly Vocabulary[],
  targets: readonly KnownTarget[] | null,
): Promise<Loaded> {
  return compileFolder(await readFolder(dir), vocabularies, targets);
}

/** The part of loading that follows reading; gives way to other work between files. */
export async function compileFolder(
  folder: Folder,
  vocabularies: readonly Vocabulary[],
  targets: readonly KnownTarget[] | null,
): Promise<Loaded> {
  const problems: Problem[] = [...folder.problems];
  const schemas = policySchemas(vocabularies);
  const sources: { kind: Kind; source: Source }[] = [];
  for (const file of folder.files) {
    const parsed = parseFile(file, problems);
    if (parsed !== null) sources.push(parsed);
    await turn();
  }
  if (folder.problems.length === 0 && !folder.files.some((file) => file.path === PLACES.PolicySet))
    problems.push(noPolicySet());
  const author = readVocabulary(sources, schemas, vocabularies, problems);
  // Without its vocabulary a set is full of unknown words; only the vocabulary's own errors are worth reading then.
  const isVocabularyBroken = author === null && folder.files.some((file) => file.path === PLACES.Vocabulary);
  const words = new Words(vocabularies, targets, author);
  if (author !== null) checkWords(words, author, problems);
  const rules: Rule[] = [];
  for (const { kind, source } of sources) {
    rules.push(...readRules(kind, source, schemas, isVocabularyBroken ? null : words, vocabularies, problems));
    await turn();
  }
  refuseDuplicates(rules, problems);
  if (rules.length > RULES_MAX) problems.push(wholeSet("TOO_LARGE", `the set has more than ${RULES_MAX} rules`));
  const told = foremost(problems);
  return { folder, rules: hasErrors(told) ? [] : rules.toSorted((a, b) => (a.id < b.id ? -1 : 1)), problems: told };
}

/** Each problem once and not too many of them, sorted by place; no warning ever takes the room of an error. */
function foremost(problems: readonly Problem[]): readonly Problem[] {
  const distinct = [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
  const errors = distinct.filter(({ severity }) => severity === "error");
  const warnings = distinct.filter(({ severity }) => severity === "warning");
  return sortProblems([...sortProblems(errors), ...sortProblems(warnings)].slice(0, PROBLEMS_MAX));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function parseFile(file: PolicyFile, problems: Problem[]): { kind: Kind; source: Source } | null {
  const expected = KINDS.find((kind) =>
    PLACES[kind].endsWith("/") ? file.path.startsWith(PLACES[kind]) : file.path === PLACES[kind],
  );
  if (expected === undefined) {
    const later = file.path.startsWith("catalog/");
    problems.push({
      severity: "error",
      file: file.path,
      line: null,
      column: null,
      code: later ? "NOT_IN_THIS_VERSION" : "WRONG_FOLDER",
      message: later ? "the folder catalog is not in this version" : "no policy file belongs here",
      suggestion: later ? "" : `Policy files are ${Object.values(PLACES).join(", ")}`,
    });
    return null;
  }
  const source = new Source(file.path, file.bytes);
  problems.push(...source.problems);
  if (source.problems.length > 0) return null;
  const value = source.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push(
      source.problem("WRONG_TYPE", [], "a policy file is a map", {
        suggestion: `It begins with apiVersion: ${API_VERSION} and kind: ${expected}`,
      }),
    );
    return null;
  }
  const kind = value["kind"];
  if (kind === expected) return { kind: expected, source };
  const known = KINDS.find((candidate) => candidate === kind);
  if (known !== undefined) {
    problems.push(
      source.problem("WRONG_FOLDER", ["kind"], `a file of kind ${known} does not belong here`, {
        suggestion: `Its place is ${PLACES[known]}`,
      }),
    );
  } else if (kind === undefined) {
    problems.push(
      source.problem("MISSING_KEY", [], 'the key "kind" is missing', { suggestion: `Here it is kind: ${expected}` }),
    );
  } else {
    const text = typeof kind === "string" ? kind : "";
    problems.push(
      source.problem("BAD_VALUE", ["kind"], "there is no such kind of file", { suggestion: didYouMean(text, KINDS) }),
    );
  }
  return null;
}

function readVocabulary(
  sources: readonly { kind: Kind; source: Source }[],
  schemas: PolicySchemas,
  vocabularies: readonly Vocabulary[],
  problems: Problem[],
): AuthorVocabulary | null {
  const found = sources.find(({ kind }) => kind === "Vocabulary");
  if (found === undefined) return null;
  const checked = checkShape("Vocabulary", schemas.Vocabulary, found.source, vocabularies, problems);
  if (checked === null) return null;
  const { file } = checked;
  return { source: found.source, sets: file.sets ?? {}, groups: file.groups ?? {}, labels: file.labels ?? {} };
}

function readRules(
  kind: Kind,
  source: Source,
  schemas: PolicySchemas,
  words: Words | null,
  vocabularies: readonly Vocabulary[],
  problems: Problem[],
): readonly Rule[] {
  switch (kind) {
    case "Vocabulary":
      return [];
    case "PolicySet": {
      const file = checkShape(kind, schemas.PolicySet, source, vocabularies, problems)?.file;
      if (file?.timeZone !== undefined && !isTimeZone(file.timeZone)) {
        const suggestion = "Write an IANA name such as Europe/Berlin";
        problems.push(
          source.problem("BAD_VALUE", ["timeZone"], `there is no time zone ${quote(file.timeZone)}`, { suggestion }),
        );
      }
      return [];
    }
    case "Tests": {
      const file = checkShape(kind, schemas.Tests, source, vocabularies, problems)?.file;
      if (file !== undefined && file.cases.length > 0) {
        const message = `${file.cases.length === 1 ? "the case is" : `the ${file.cases.length} cases are`} not run by this version`;
        problems.push(source.problem("TESTS_NOT_RUN", ["cases"], message, { at: "key", severity: "warning" }));
      }
      return [];
    }
    case "Permits":
    case "Guards": {
      const checked = checkShape<PolicySchemas["Permits"] | PolicySchemas["Guards"]>(
        kind,
        schemas[kind],
        source,
        vocabularies,
        problems,
      );
      return checked === null || words === null ? [] : compileFile(checked, source, words, problems);
    }
  }
}

function refuseDuplicates(rules: readonly Rule[], problems: Problem[]): void {
  const seen = new Map<string, Rule>();
  for (const rule of rules) {
    const first = seen.get(rule.id);
    if (first === undefined) {
      seen.set(rule.id, rule);
      continue;
    }
    const message = `the id ${quote(rule.id)} is taken by ${first.file}:${first.line}`;
    problems.push({
      severity: "error",
      file: rule.file,
      line: rule.line,
      column: 1,
      code: "DUPLICATE_ID",
      message,
      suggestion: "",
    });
  }
}

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

function noPolicySet(): Problem {
  const suggestion = `Add one with apiVersion: ${API_VERSION}, kind: PolicySet and a name`;
  return { ...wholeSet("MISSING_KEY", "there is no policy.yaml in the policy folder"), suggestion };
}

function wholeSet(code: Problem["code"], message: string): Problem {
  return { severity: "error", file: ".", line: null, column: null, code, message, suggestion: "" };
}
