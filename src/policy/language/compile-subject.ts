/** Compiles what a rule or an exception says of who asks. */
import type { SubjectKind } from "../../core/identity.ts";
import type { SubjectMatcher } from "../engine/rule.ts";
import type { Scope, WrittenRule } from "./rule-scope.ts";
import type { Path } from "./source.ts";

const ANYBODY: SubjectMatcher = { names: null, groups: null, kinds: null, owners: null };
/** What widens and does not say is narrow: without kinds it is for people. */
const WIDENING_KINDS: readonly SubjectKind[] = ["human"];

/** `widens`: a permit's or an exception's subject. */
export function compileSubject(
  scope: Scope,
  written: WrittenRule["subject"],
  path: Path,
  widens: boolean,
): SubjectMatcher {
  if (written === undefined) return ANYBODY;
  scope.checkSays(written, path, "names, groups, kinds or owners");
  if (written.any === true) return ANYBODY;
  const kinds = written.kinds ?? (widens ? WIDENING_KINDS : null);
  return {
    names: scope.names(written.names, null, [...path, "names"]),
    groups: written.groups === undefined ? null : new Set(scope.groups(written.groups, [...path, "groups"])),
    kinds: kinds === null ? null : new Set(kinds),
    owners: scope.names(written.owners, null, [...path, "owners"]),
  };
}
