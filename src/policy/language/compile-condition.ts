/** Compiles the condition of a rule or an exception, for the protocols that its action is about. */
import { compileCondition } from "./condition.ts";
import type { Condition } from "./condition.ts";
import type { Blocks } from "../engine/rule.ts";
import type { Scope } from "./rule-scope.ts";
import type { Path } from "./source.ts";

/** Null when there is none, and after an error. */
export function compileRuleCondition(
  scope: Scope,
  written: string | undefined,
  path: Path,
  blocks: Blocks,
): Condition | null {
  if (written === undefined) return null;
  const { vocabularies, groups } = scope.words;
  const spoken = vocabularies.filter(({ name }) => (blocks.get(name)?.length ?? 0) > 0);
  // A condition sees names of groups, so what it says changes with their ids.
  if (written.includes("groups")) scope.references.set("groups", Object.fromEntries(groups));
  const compiled = compileCondition(written, spoken, groups);
  if (!("problem" in compiled)) {
    warnOfMatchers(scope, compiled, path);
    return compiled;
  }
  const { problem, suggestion, line, column } = compiled;
  const there = scope.source.problemWithin("BAD_CONDITION", path, { line, column }, problem, suggestion);
  if (there !== null) scope.problems.push(there);
  else scope.error("BAD_CONDITION", path, `${problem} (line ${line}, column ${column} of the condition)`, suggestion);
  return null;
}

/** Matchers are indexed, held against the catalog and explained key by key; a condition is none of it. */
function warnOfMatchers(scope: Scope, { simple }: Condition, path: Path): void {
  if (simple === null) return;
  const isException = path.includes("except") || path[0] === "exceptions";
  if (isException && simple.keys.includes("validFrom")) return;
  const suggestion = `Write ${simple.keys.join(" and ")} instead`;
  scope.warning("CONDITION_COULD_BE_MATCHERS", path, "the condition says what matchers could say", suggestion);
}
