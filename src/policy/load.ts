/** From a policy folder to rules: reads, parses, checks and compiles the whole set, and reports every error at once. */
import type { RuleId } from "../core/decision.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { NO_VOCABULARY, readAuthorVocabulary } from "./language/author-vocabulary.ts";
import type { AuthorVocabulary } from "./language/author-vocabulary.ts";
import { readCatalog } from "./set/catalog.ts";
import type { Catalog } from "./set/catalog.ts";
import { compileFile } from "./language/compile.ts";
import type { CompiledRule } from "./language/compile.ts";
import { checkRules } from "./language/check-rules.ts";
import { checkSet } from "./checks/check-set.ts";
import { PLACES, readDocument, shaped } from "./language/documents.ts";
import type { Document } from "./language/documents.ts";
import { isCatalogPath, readFolder } from "./set/folder.ts";
import type { Folder } from "./set/folder.ts";
import { hasErrors, sortProblems } from "./problems.ts";
import type { Problem } from "./problems.ts";
import type { Rule } from "./engine/rule.ts";
import { API_VERSION } from "./language/schema-words.ts";
import { policySchemas } from "./language/schema.ts";
import { readSettings } from "./language/set-settings.ts";
import { readTests } from "./tests/test-file.ts";
import type { TestCase } from "./tests/test-file.ts";
import { checkWords, Words } from "./language/words.ts";
import type { KeepsNow, KnownTarget, Seals } from "./language/words.ts";

const RULES_MAX = 10_000;
const PROBLEMS_MAX = 1000;
const FOUND_MAX = 20_000;

export type LoadedSet = {
  readonly folder: Folder;
  /** What policy.yaml calls the set. */
  readonly name: string;
  /** IANA name. */
  readonly timeZone: string;
  /** Sorted by id; empty when there are errors. */
  readonly rules: readonly Rule[];
  /** What each rule says, with defaults and with what its words stand for: equal texts, equal meaning. */
  readonly canonical: ReadonlyMap<RuleId, string>;
  readonly author: AuthorVocabulary;
  /** The cases of all test files. */
  readonly tests: readonly TestCase[];
  /** Null when the set has none. */
  readonly catalog: Catalog | null;
  /** Errors and warnings, sorted by place. */
  readonly problems: readonly Problem[];
};

/**
 * Loads a set. Never throws over what is in the folder; without `targets` (null) nothing is said about their names, and
 * without `keepsNow` nothing about what this version keeps, and without `seals` nothing about whether it can be sealed.
 */
export async function loadPolicies(
  dir: string,
  vocabularies: readonly Vocabulary[],
  targets: readonly KnownTarget[] | null,
  keepsNow: KeepsNow = null,
  seals: Seals = null,
): Promise<LoadedSet> {
  return compileFolder(await readFolder(dir), vocabularies, targets, keepsNow, seals);
}

/** The part of loading that follows reading; gives way to other work between files. */
export async function compileFolder(
  folder: Folder,
  vocabularies: readonly Vocabulary[],
  targets: readonly KnownTarget[] | null,
  keepsNow: KeepsNow = null,
  seals: Seals = null,
): Promise<LoadedSet> {
  const problems: Problem[] = [...folder.problems];
  const documents: Document[] = [];
  for (const file of folder.files) {
    const document = isCatalogPath(file.path) ? null : readDocument(file, problems);
    if (document !== null) documents.push(document);
    await turn();
  }
  if (folder.problems.length === 0 && !folder.files.some((file) => file.path === PLACES.PolicySet))
    problems.push(noPolicySet());
  const schemas = policySchemas(vocabularies);
  const [set] = shaped("PolicySet", documents, schemas, problems);
  const settings = readSettings(set, problems);
  const catalogFiles = folder.files.filter((file) => isCatalogPath(file.path));
  const { catalog, problems: catalogProblems } = readCatalog(catalogFiles);
  problems.push(...catalogProblems);
  const [vocabulary] = shaped("Vocabulary", documents, schemas, problems);
  const author =
    vocabulary === undefined
      ? NO_VOCABULARY
      : readAuthorVocabulary(vocabulary.file, vocabulary.source, settings.timeZone, problems);
  const words = new Words(vocabularies, targets, author, catalog, settings, keepsNow, seals);
  checkWords(words, problems);
  const files = [...shaped("Permits", documents, schemas, problems), ...shaped("Guards", documents, schemas, problems)];
  const rules: CompiledRule[] = [];
  // Without its vocabulary a set is full of unknown words; only the vocabulary's own errors are worth reading then.
  const isVocabularyBroken = vocabulary === undefined && folder.files.some((file) => file.path === PLACES.Vocabulary);
  for (const file of isVocabularyBroken ? [] : files) {
    // More than are shown need not be found. After an error no rule of the set counts, so none can be missed.
    if (problems.length > FOUND_MAX && hasErrors(problems)) break;
    rules.push(...compileFile(file, file.source, words, problems));
    await turn();
  }
  checkRules(rules, words, problems);
  // After an error some rule may be missing that a case names, or that another is held against.
  const sound = hasErrors(problems) ? null : rules.map(({ rule }) => rule);
  if (sound !== null) problems.push(...checkSet(sound, vocabularies, words.targets, catalog));
  if (sound !== null && !sound.some(({ effect }) => effect === "permit")) problems.push(nothingPermitted());
  const tests = readTests(shaped("Tests", documents, schemas, problems), words, sound, problems);
  if (rules.length > RULES_MAX) problems.push(wholeSet("TOO_LARGE", `the set has more than ${RULES_MAX} rules`));
  const told = foremost(problems);
  const sorted = hasErrors(told) ? [] : rules.toSorted((a, b) => (a.rule.id < b.rule.id ? -1 : 1));
  return {
    folder,
    name: settings.name,
    timeZone: settings.timeZone,
    rules: sorted.map(({ rule }) => rule),
    canonical: new Map(sorted.map(({ rule, canonical }) => [rule.id, canonical])),
    author,
    tests,
    catalog: catalogFiles.length === 0 ? null : catalog,
    problems: told,
  };
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

function noPolicySet(): Problem {
  const suggestion = `Add one with apiVersion: ${API_VERSION}, kind: PolicySet and a name`;
  return { ...wholeSet("MISSING_KEY", "there is no policy.yaml in the policy folder"), suggestion };
}

function nothingPermitted(): Problem {
  const suggestion = `Add a file such as permits/people.yaml with apiVersion: ${API_VERSION}, kind: Permits and rules`;
  const message = "no rule permits anything, so everything is refused";
  return { ...wholeSet("NOTHING_PERMITTED", message), severity: "warning", suggestion };
}

function wholeSet(code: Problem["code"], message: string): Problem {
  return { severity: "error", file: ".", line: null, column: null, code, message, suggestion: "" };
}
