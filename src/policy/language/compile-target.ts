/** Compiles what a rule or an exception says of the target, and checks it against the targets there are. */
import { isGlob } from "../engine/glob.ts";
import { targetMatches } from "../engine/rule.ts";
import type { TargetMatcher } from "../engine/rule.ts";
import type { Scope, WrittenRule } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";
import type { KnownTarget } from "./words.ts";

const ANY_TARGET: TargetMatcher = { names: null, labels: [] };

/** `id` is the rule's, for messages. */
export function compileTarget(scope: Scope, written: WrittenRule["target"], path: Path, id: string): TargetMatcher {
  if (written === undefined) return ANY_TARGET;
  scope.checkSays(written, path, "names or labels");
  if (written.any === true) return ANY_TARGET;
  const problemsBefore = scope.problems.length;
  const labelsPath = [...path, "labels"];
  if (scope.source.isEmptyMap(labelsPath)) scope.error("BAD_VALUE", labelsPath, "labels is empty");
  const matcher: TargetMatcher = {
    names: scope.names(written.names, null, [...path, "names"]),
    labels: Object.entries(written.labels ?? {}).map(([key, values]) => ({
      key,
      values: compileLabel(scope, key, values, [...labelsPath, key]),
    })),
  };
  checkNames(scope, written.names ?? [], [...path, "names"]);
  const matched = targetsOf(scope, matcher);
  if (matched !== null && matched.length === 0 && scope.problems.length === problemsBefore) {
    scope.warning("MATCHES_NOTHING", path, `${id} matches none of the targets`);
  }
  return matcher;
}

/** The targets that a matcher matches; null when nothing is known of targets. */
export function targetsOf(scope: Scope, matcher: TargetMatcher): readonly KnownTarget[] | null {
  return scope.words.targets?.filter((target) => targetMatches(matcher, target)) ?? null;
}

function checkNames(scope: Scope, written: readonly string[], path: Path): void {
  const { targets } = scope.words;
  if (targets === null) return;
  for (const [index, text] of written.entries()) {
    const members = scope.words.sets(null).expand(text);
    // A set that cannot be expanded was reported with the names themselves.
    if ("kind" in members) continue;
    for (const member of members) {
      if (isGlob(member) || targets.some((target) => target.name === member)) continue;
      const suggestion = scope.words.suggestions.didYouMean(
        member,
        targets.map((target) => target.name),
      );
      scope.error("UNKNOWN_TARGET", [...path, index], `there is no target ${quote(member)}`, suggestion);
    }
  }
}

function compileLabel(scope: Scope, key: string, values: readonly string[], path: Path): ReadonlySet<string> {
  const { labels } = scope.words;
  if (labels !== null && !labels.has(key)) {
    scope.error(
      "UNKNOWN_LABEL",
      path,
      `there is no label ${quote(key)}`,
      scope.words.suggestions.didYouMean(key, labels.keys()),
      "key",
    );
  }
  const allowed = labels?.get(key) ?? null;
  for (const [index, value] of values.entries()) {
    const at = [...path, index];
    if (isGlob(value) || value.startsWith("$")) {
      scope.error("BAD_VALUE", at, "values of labels are written out: neither globs nor sets");
    } else if (allowed !== null && !allowed.has(value)) {
      scope.error(
        "UNKNOWN_LABEL",
        at,
        `${quote(value)} is not a value of ${key}`,
        scope.words.suggestions.didYouMean(value, allowed),
      );
    }
  }
  return new Set(values);
}
