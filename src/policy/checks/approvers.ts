/** Approvals that nobody can give, because only those are named who ask. */
import type { Requirement } from "../../core/obligation.ts";
import { listOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import { requirementsOf } from "../engine/rule.ts";
import type { Rule, SubjectMatcher } from "../engine/rule.ts";
import { warningAt } from "./world.ts";

export function findMissingApprovers(rule: Rule): readonly Problem[] {
  const sleeping = rule.effect === "permit" ? (rule.activation?.requirements ?? []) : [];
  return [...requirementsOf(rule), ...sleeping].flatMap((requirement) => {
    const message = requirement.kind === "approval" ? lacking(rule, requirement) : null;
    return message === null ? [] : [warningAt(rule, "NO_APPROVER", message, "Name more people, or a group")];
  });
}

function lacking(rule: Rule, { from, count }: Extract<Requirement, { kind: "approval" }>): string | null {
  // Who is in a group is for the identity provider to say.
  if (from.groups.length > 0) return null;
  const people = new Set(from.subjects);
  // Neither who asks nor whose agent asks may approve it.
  const barred = requesters(rule.subject).filter((name) => people.has(name) && people.size - 1 < count);
  if (barred.length === 0) return null;
  const approvals = count === 1 ? "an approval" : `${count} approvals`;
  return `${rule.id} wants ${approvals} that ${listOf(barred)} cannot get: those who ask do not count`;
}

/** Those who ask and those who own who asks, as far as they are written out. */
function requesters({ names, owners }: SubjectMatcher): readonly string[] {
  return [...(names?.texts ?? []), ...(owners?.texts ?? [])];
}
