/** Compiles when a rule holds: a window of the vocabulary, one that is written out, or whatever is outside of one. */
import type { Problem } from "../problems.ts";
import type { Scope, WrittenRule } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import { compileWindow, outside } from "./window.ts";
import type { Window } from "./window.ts";

type WrittenBody = Exclude<NonNullable<WrittenRule["window"]>, string>;

/** Null when the rule does not say, and after an error. */
export function compileRuleWindow(scope: Scope, written: WrittenRule["window"], path: Path): Window | null {
  if (written === undefined) return null;
  const window = typeof written === "string" ? named(scope, written, path) : compileBody(scope, written, path);
  if (window !== null) scope.references.set("window", window.text);
  return window;
}

function compileBody(scope: Scope, written: WrittenBody, path: Path): Window | null {
  if (written.outside === undefined)
    return compileWindowBody(written, scope.words.timeZone, scope.source, path, scope.problems);
  if (Object.keys(written).length > 1) {
    scope.error(
      "BAD_VALUE",
      path,
      "outside stands alone",
      "Name a window in vocabulary.yaml and write { outside: $name }",
    );
    return null;
  }
  const window = named(scope, written.outside, [...path, "outside"]);
  return window === null ? null : outside(window);
}

/** A window that is written out, in a rule or in the vocabulary. */
export function compileWindowBody(
  written: WrittenBody,
  timeZone: string,
  source: Source,
  path: Path,
  problems: Problem[],
): Window | null {
  const { from, to, tz, days } = written;
  if (from === undefined || to === undefined) {
    const message = `the key "${from === undefined ? "from" : "to"}" is missing`;
    const suggestion = 'A window has from and to, such as { days: [mon-fri], from: "08:00", to: "18:00" }';
    problems.push(source.problem("MISSING_KEY", path, message, { suggestion }));
    return null;
  }
  const window = compileWindow(
    { from, to, ...(tz === undefined ? {} : { tz }), ...(days === undefined ? {} : { days }) },
    timeZone,
  );
  if (!("problem" in window)) return window;
  const { problem, suggestion, path: within } = window;
  problems.push(source.problem("BAD_VALUE", [...path, ...within], problem, { suggestion }));
  return null;
}

function named(scope: Scope, text: string, path: Path): Window | null {
  const { windows } = scope.words.author;
  const name = text.startsWith("$") ? text.slice(1) : null;
  const window = name === null ? undefined : windows.get(name);
  // A window that is declared and broken was reported there.
  if (window !== undefined) return window;
  const known = [...windows.keys()].map((each) => `$${each}`);
  const message = name === null ? `${quote(text)} is not the name of a window` : `there is no window ${quote(text)}`;
  const suggestion =
    scope.words.suggestions.didYouMean(text, known) ||
    "Declare it in vocabulary.yaml under windows, or write { from, to } here";
  scope.error("UNKNOWN_WINDOW", path, message, suggestion);
  return null;
}
