/** What `vocabulary.yaml` says: sets, groups, labels, and the patterns and windows that it names, compiled. */
import type { InferOutput } from "valibot";
import { compileWindowBody } from "./compile-window.ts";
import { compilePattern, PATTERNS_MAX } from "./pattern.ts";
import type { Pattern } from "./pattern.ts";
import type { Problem } from "../problems.ts";
import type { PolicySchemas } from "./schema.ts";
import { quote } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import type { Window } from "./window.ts";

export type VocabularyFile = InferOutput<PolicySchemas["Vocabulary"]>;
type WrittenExceptions = NonNullable<VocabularyFile["exceptions"]>;

export type AuthorVocabulary = {
  /** For places; null when there is no such file. */
  readonly source: Source | null;
  readonly sets: Readonly<Record<string, readonly string[]>>;
  readonly groups: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, { readonly values: readonly string[]; readonly required?: boolean }>>;
  /** Null: declared, and reported as broken. */
  readonly patterns: ReadonlyMap<string, Pattern | null>;
  readonly windows: ReadonlyMap<string, Window | null>;
  readonly exceptions: WrittenExceptions;
};

export const NO_VOCABULARY: AuthorVocabulary = {
  source: null,
  sets: {},
  groups: {},
  labels: {},
  patterns: new Map(),
  windows: new Map(),
  exceptions: {},
};

/** Compiles a file whose shape has been checked. */
export function readAuthorVocabulary(
  file: VocabularyFile,
  source: Source,
  timeZone: string,
  problems: Problem[],
): AuthorVocabulary {
  for (const kind of ["sets", "patterns", "windows", "exceptions"] as const) {
    for (const name of Object.keys(file[kind] ?? {})) {
      if (isWord(name)) continue;
      const message = `${quote(name)} cannot name ${NAMED[kind]}`;
      problems.push(source.problem("BAD_VALUE", [kind, name], message, { at: "key", suggestion: WORD_RULE }));
    }
  }
  return {
    source,
    sets: file.sets ?? {},
    groups: file.groups ?? {},
    labels: file.labels ?? {},
    patterns: compilePatterns(file, source, problems),
    windows: compileWindows(file, source, timeZone, problems),
    exceptions: file.exceptions ?? {},
  };
}

const NAMED = { sets: "a set", patterns: "a pattern", windows: "a window", exceptions: "an exception" };

function compilePatterns(file: VocabularyFile, source: Source, problems: Problem[]): AuthorVocabulary["patterns"] {
  const patterns = new Map<string, Pattern | null>();
  for (const [name, written] of Object.entries(file.patterns ?? {})) {
    if (patterns.size >= PATTERNS_MAX) {
      problems.push(source.problem("TOO_LARGE", ["patterns"], `the set has more than ${PATTERNS_MAX} patterns`));
      break;
    }
    const pattern = compilePattern(name, written);
    if ("problem" in pattern) {
      const { problem, suggestion, path } = pattern;
      problems.push(source.problem("BAD_PATTERN", ["patterns", name, ...path], problem, { suggestion }));
    }
    patterns.set(name, "problem" in pattern ? null : pattern);
  }
  return patterns;
}

function compileWindows(
  file: VocabularyFile,
  source: Source,
  timeZone: string,
  problems: Problem[],
): AuthorVocabulary["windows"] {
  const windows = new Map<string, Window | null>();
  for (const [name, written] of Object.entries(file.windows ?? {})) {
    const path: Path = ["windows", name];
    if (written.outside === undefined) {
      windows.set(name, compileWindowBody(written, timeZone, source, path, problems));
      continue;
    }
    const suggestion = "Write { outside: $name } in the rules";
    const at: Path = [...path, "outside"];
    problems.push(source.problem("BAD_VALUE", at, "a window that is named has from and to", { at: "key", suggestion }));
    windows.set(name, null);
  }
  return windows;
}

const WORD_CHARS_MAX = 64;
export const WORD_RULE = `Use lower-case letters, digits and hyphens, at most ${WORD_CHARS_MAX}`;

/** Lower-case letters, digits and hyphens: names of rules, and of what a vocabulary names. */
export function isWord(text: string): boolean {
  if (text === "" || text.length > WORD_CHARS_MAX) return false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const isLetter = unit >= 0x61 && unit <= 0x7a;
    const isDigit = unit >= 0x30 && unit <= 0x39;
    if (!isLetter && !isDigit && unit !== 0x2d) return false;
  }
  return true;
}
