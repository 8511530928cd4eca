/** Looks up the patterns that rules name as `$name`. */
import type { Pattern } from "./pattern.ts";
import type { Scope } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

/** The name of a pattern without its `$`; null when none is written, and after an error. */
export function compilePatternName(scope: Scope, text: string | undefined, path: Path): string | null {
  if (text === undefined) return null;
  const { patterns } = scope.words.author;
  const name = text.startsWith("$") ? text.slice(1) : null;
  const pattern = name === null ? undefined : patterns.get(name);
  if (name !== null && pattern !== undefined) {
    scope.references.set(`pattern ${text}`, pattern?.text ?? null);
    return name;
  }
  const message = name === null ? `${quote(text)} is not the name of a pattern` : `there is no pattern ${quote(text)}`;
  const known = [...patterns.keys()].map((each) => `$${each}`);
  const suggestion = scope.words.suggestions.didYouMean(text, known) || "Declare it in vocabulary.yaml under patterns";
  scope.error("UNKNOWN_PATTERN", path, message, suggestion);
  return null;
}

/** A pattern that is searched for within texts; null after an error. */
export function compileSearched(scope: Scope, text: string, path: Path): Pattern | null {
  const name = compilePatternName(scope, text, path);
  // One that is declared and broken was reported there.
  const pattern = name === null ? null : (scope.words.author.patterns.get(name) ?? null);
  if (pattern === null || pattern.foundInSample === null) return pattern;
  const message = `${quote(text)} is searched for here, and is found within ${quote(pattern.foundInSample)}, which it must not match`;
  const suggestion = "Correct the sample in vocabulary.yaml, or bound the pattern, for instance with \\b";
  scope.error("BAD_PATTERN", path, message, suggestion);
  return null;
}
