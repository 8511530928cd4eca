/** Compiles what a rule says of the target, and checks it against the targets there are. */
import { isGlob } from "./glob.ts";
import { didYouMean } from "./nearest.ts";
import { targetMatches } from "./rule.ts";
import type { TargetMatcher } from "./rule.ts";
import type { RuleScope } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

const ANY_TARGET: TargetMatcher = { names: null, labels: [] };

export function compileTarget(scope: RuleScope): TargetMatcher {
  const written = scope.rule.target;
  if (written === undefined) return ANY_TARGET;
  const path = scope.at("target");
  const others = "names or labels";
  scope.checkAny(written, path, others);
  if (scope.source.isEmptyMap(path))
    scope.error("BAD_VALUE", path, "this says nothing", `Write any: true, or ${others}`);
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
  const { targets } = scope.words;
  const isSound = scope.problems.length === problemsBefore;
  if (isSound && targets !== null && !targets.some((target) => targetMatches(matcher, target))) {
    scope.warning("MATCHES_NOTHING", path, `${scope.rule.id} matches none of the configured targets`);
  }
  return matcher;
}

function checkNames(scope: RuleScope, written: readonly string[], path: Path): void {
  const { targets } = scope.words;
  if (targets === null) return;
  for (const [index, text] of written.entries()) {
    const members = scope.words.sets(null).expand(text);
    // A set that cannot be expanded was reported with the names themselves.
    if ("kind" in members) continue;
    for (const member of members) {
      if (isGlob(member) || targets.some((target) => target.name === member)) continue;
      const suggestion = didYouMean(
        member,
        targets.map((target) => target.name),
      );
      scope.error("UNKNOWN_TARGET", [...path, index], `there is no target ${quote(member)}`, suggestion);
    }
  }
}

function compileLabel(scope: RuleScope, key: string, values: readonly string[], path: Path): ReadonlySet<string> {
  const { labels } = scope.words;
  if (labels !== null && !labels.has(key)) {
    scope.error("UNKNOWN_LABEL", path, `there is no label ${quote(key)}`, didYouMean(key, labels.keys()), "key");
  }
  const allowed = labels?.get(key) ?? null;
  for (const [index, value] of values.entries()) {
    const at = [...path, index];
    if (isGlob(value) || value.startsWith("$")) {
      scope.error("BAD_VALUE", at, "values of labels are written out: neither globs nor sets");
    } else if (allowed !== null && !allowed.has(value)) {
      scope.error("UNKNOWN_LABEL", at, `${quote(value)} is not a value of ${key}`, didYouMean(value, allowed));
    }
  }
  return new Set(values);
}
