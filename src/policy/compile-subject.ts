/** Compiles what a rule says of who asks. */
import type { SubjectKind } from "../core/identity.ts";
import { didYouMean } from "./nearest.ts";
import type { SubjectMatcher } from "./rule.ts";
import type { RuleScope } from "./rule-scope.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";

const ANYBODY: SubjectMatcher = { names: null, groups: null, kinds: null, owners: null };
/** What a permit does not say is narrow: without kinds it is for people. */
const PERMIT_KINDS: readonly SubjectKind[] = ["human"];

export function compileSubject(scope: RuleScope, isPermit: boolean): SubjectMatcher {
  const written = scope.rule.subject;
  if (written === undefined) return ANYBODY;
  const path = scope.at("subject");
  const others = "names, groups, kinds or owners";
  scope.checkAny(written, path, others);
  if (scope.source.isEmptyMap(path))
    scope.error("BAD_VALUE", path, "this says nothing", `Write any: true, or ${others}`);
  if (written.any === true) return ANYBODY;
  const kinds = written.kinds ?? (isPermit ? PERMIT_KINDS : null);
  return {
    names: scope.names(written.names, null, [...path, "names"]),
    groups: written.groups === undefined ? null : compileGroups(scope, written.groups, [...path, "groups"]),
    kinds: kinds === null ? null : new Set(kinds),
    owners: scope.names(written.owners, null, [...path, "owners"]),
  };
}

/** The identity provider's ids of the groups. */
function compileGroups(scope: RuleScope, written: readonly string[], path: Path): ReadonlySet<string> {
  const { groups } = scope.words;
  const ids = new Set<string>();
  for (const member of scope.expand(written, null, path)) {
    const id = groups.get(member.text);
    if (id !== undefined) {
      ids.add(id);
      continue;
    }
    const declare = "Declare it in vocabulary.yaml under groups, with the identity provider's id";
    const suggestion = didYouMean(member.text, groups.keys()) || declare;
    scope.error("UNKNOWN_GROUP", member.path, `there is no group ${quote(member.text)}`, suggestion);
  }
  return ids;
}
