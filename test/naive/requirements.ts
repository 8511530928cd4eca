/** Which requirements are unmet, by trying every way to meet them, for the naive engine. */
import type { Approval, Given } from "../../src/core/given.ts";
import type { Requirement } from "../../src/core/obligation.ts";
import type { Session } from "../../src/core/session.ts";
import { GROUPS, TICKET } from "../policy-world.ts";
import type { WrittenRequirements, WrittenRule } from "../policy-world.ts";

type ApprovalRequirement = Extract<Requirement, { kind: "approval" }>;
const MINUTES: Readonly<Record<string, number>> = { "5m": 5, "10m": 10, "30m": 30, "1h": 60 };
const ms = (text: string): number => (MINUTES[text] ?? Number.NaN) * 60_000;

/** The requirements of these rules, joined, without those that are met. */
export function naiveUnmet(
  rules: readonly WrittenRule[],
  session: Session,
  given: Given,
  now: number,
): readonly Requirement[] {
  const wanted = rules.flatMap(({ id, require }) => requirementsFrom(id, require ?? {}));
  const label = (each: Requirement): string =>
    each.kind === "approval"
      ? JSON.stringify([each.kind, each.from.groups, each.from.subjects, each.distinctFrom])
      : JSON.stringify([each.kind, ...(each.kind === "justification" ? [each.pattern] : [])]);
  const labels = [...new Set(wanted.map(label))].toSorted();
  const joined = labels.map((each) => strictest(wanted.filter((requirement) => label(requirement) === each)));
  const met: ApprovalRequirement[] = [];
  return joined.filter((requirement) => {
    switch (requirement.kind) {
      case "approval":
        if (!canAllBeMet([...met, requirement], session, given.approvals, now)) return true;
        met.push(requirement);
        return false;
      case "justification":
        if (given.justification === null || given.justification === "") return true;
        return requirement.pattern !== null && given.justification !== TICKET;
      case "stepUp":
        return !given.steppedUp;
      default:
        return !given.confirmedByOwner;
    }
  });
}

/** Of requirements about the same thing. */
function strictest(same: readonly Requirement[]): Requirement {
  const [first] = same;
  if (first === undefined) throw new Error("there is a label of nothing");
  const rules = same.flatMap((requirement) => requirement.rules).toSorted();
  if (first.kind !== "approval") return { ...first, rules };
  const approvals = same.filter((requirement): requirement is ApprovalRequirement => requirement.kind === "approval");
  return {
    ...first,
    rules,
    count: Math.max(...approvals.map(({ count }) => count)),
    withinMs: Math.min(...approvals.map(({ withinMs }) => withinMs)),
    validForMs: Math.min(...approvals.map(({ validForMs }) => validForMs)),
    uses: Math.min(...approvals.map(({ uses }) => uses)),
  };
}

function requirementsFrom(id: string, written: WrittenRequirements): readonly Requirement[] {
  const { approval, justification, stepUp, confirm } = written;
  const rules = [id];
  const all: Requirement[] = [];
  if (approval !== undefined) {
    all.push({
      kind: "approval",
      rules,
      from: {
        groups: (approval.from.groups ?? []).map((group) => GROUPS[group] ?? "").toSorted(),
        subjects: (approval.from.subjects ?? []).toSorted(),
      },
      count: approval.count,
      withinMs: ms(approval.within),
      validForMs: ms(approval.validFor),
      uses: approval.uses ?? 1,
      distinctFrom: (approval.distinctFrom ?? []).toSorted(),
    });
  }
  if (justification !== undefined)
    all.push({ kind: "justification", rules, pattern: justification.pattern?.slice(1) ?? null });
  if (stepUp !== undefined) all.push({ kind: "stepUp", rules, method: "mfa" });
  if (confirm !== undefined) all.push({ kind: "confirm", rules, by: "owner" });
  return all;
}

/** Tries every way to choose approvals for the requirements, one after the other. */
function canAllBeMet(
  requirements: readonly ApprovalRequirement[],
  session: Session,
  approvals: readonly Approval[],
  now: number,
): boolean {
  const [first, ...others] = requirements;
  if (first === undefined) return true;
  const { identity } = session;
  const person = ({ issuer, subject }: Approval) => `${issuer} ${subject}`;
  const counting = approvals.filter(
    (approval) =>
      approval.subject !== identity.owner &&
      person(approval) !== `${identity.issuer} ${identity.subject}` &&
      approval.atMs <= now &&
      approval.atMs > now - first.validForMs &&
      (first.from.subjects.includes(approval.subject) ||
        approval.groups.some((group) => first.from.groups.includes(group))),
  );
  return subsets(counting, first.count).some((chosen) => {
    const people = new Set(chosen.map(person));
    const times = chosen.map(({ atMs }) => atMs);
    const isTogether = Math.max(...times) - Math.min(...times) <= first.withinMs;
    const left = approvals.filter((approval) => !people.has(person(approval)));
    return people.size === first.count && isTogether && canAllBeMet(others, session, left, now);
  });
}

function subsets<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  if (size === 0) return [[]];
  return items.flatMap((item, at) => subsets(items.slice(at + 1), size - 1).map((rest) => [item].concat(rest)));
}
