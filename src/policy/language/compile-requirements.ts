/** Compiles what people must do before an operation may run, or before a permit wakes. */
import type { Requirement } from "../../core/obligation.ts";
import { isGlob } from "../engine/glob.ts";
import { compilePatternName } from "./compile-pattern.ts";
import type { Scope, WrittenRule } from "./rule-scope.ts";
import { compileApprovalTimes } from "./set-settings.ts";
import type { Path } from "./source.ts";

type WrittenRequirements = NonNullable<WrittenRule["require"]>;
type WrittenApproval = NonNullable<WrittenRequirements["approval"]>;
type ApprovalRequirement = Extract<Requirement, { kind: "approval" }>;

/** At least one requirement, unless there were errors; each kind once. */
export function compileRequirements(
  scope: Scope,
  written: WrittenRequirements,
  path: Path,
  rule: string,
): readonly Requirement[] {
  const rules = [rule];
  const requirements: Requirement[] = [];
  const { approval, justification, stepUp, confirm } = written;
  if (approval !== undefined) requirements.push(compileApproval(scope, approval, [...path, "approval"], rules));
  if (justification !== undefined) {
    const pattern = compilePatternName(scope, justification.pattern, [...path, "justification", "pattern"]);
    requirements.push({ kind: "justification", rules, pattern });
  }
  if (stepUp !== undefined) requirements.push({ kind: "stepUp", rules, method: stepUp });
  if (confirm !== undefined) requirements.push({ kind: "confirm", rules, by: confirm });
  if (scope.source.isEmptyMap(path)) {
    scope.error("BAD_VALUE", path, "this requires nothing", "Write approval, justification, stepUp or confirm");
  }
  return requirements;
}

function compileApproval(
  scope: Scope,
  written: WrittenApproval,
  path: Path,
  rules: readonly string[],
): ApprovalRequirement {
  const { groups, subjects } = written.from;
  const from = {
    groups: groups === undefined ? [] : scope.groups(groups, [...path, "from", "groups"]),
    subjects: subjects === undefined ? [] : compileSubjects(scope, subjects, [...path, "from", "subjects"]),
  };
  if (groups === undefined && subjects === undefined)
    scope.error("BAD_VALUE", [...path, "from"], "nobody may approve", "Write from: { groups: [...] }");
  const times = compileApprovalTimes(scope, written, path, scope.words.approvalTimes);
  const distinctFrom = [...new Set(written.distinctFrom)].toSorted();
  scope.references.set("approval times", { ...times });
  if (groups === undefined && subjects !== undefined && from.subjects.length < times.count) {
    const message = `${times.count} people must approve, and only ${from.subjects.length} may`;
    scope.error("BAD_VALUE", [...path, "count"], message);
  }
  return { kind: "approval", rules, from, ...times, distinctFrom };
}

/** Who approves is written out: a glob would let in whoever is named next. */
function compileSubjects(scope: Scope, written: readonly string[], path: Path): readonly string[] {
  const members = scope.expand(written, null, path);
  for (const { text, path: at } of members) {
    if (isGlob(text)) scope.error("BAD_VALUE", at, "who may approve is written out", "Use a group instead of a glob");
  }
  return [...new Set(members.map(({ text }) => text))].toSorted();
}
