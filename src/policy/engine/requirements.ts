/** Which requirements are still unmet, given what people have given. */
import type { Approval, Given } from "../../core/given.ts";
import type { Identity } from "../../core/identity.ts";
import type { Requirement } from "../../core/obligation.ts";
import type { TimeMs } from "../../core/session.ts";

type ApprovalRequirement = Extract<Requirement, { readonly kind: "approval" }>;

/** What a justification may have to match. May throw when a text is too long for it. */
export type WholeMatcher = { matchesWhole(text: string): boolean };

/**
 * More than people ever give: beyond these, nothing more is met. They bound the search for who approves what, which is
 * exact within them.
 */
const APPROVALS_MAX = 64;
const APPROVALS_REQUIRED_MAX = 32;
const ATTEMPTS_MAX = 2000;

/**
 * Those of the requirements that are not met, in their order. Approvals meet as many as they can, the first ones
 * first: a person counts for one requirement only, and neither the requester nor the owner of a requester counts.
 */
export function unmetRequirements(
  requirements: readonly Requirement[],
  requester: Identity,
  given: Given,
  now: TimeMs,
  patterns: ReadonlyMap<string, WholeMatcher | null>,
): readonly Requirement[] {
  const approvals = given.approvals
    .filter((approval) => !isRequesterOrOwner(approval, requester))
    .slice(0, APPROVALS_MAX);
  const met: ApprovalRequirement[] = [];
  return requirements.filter((requirement) => {
    if (requirement.kind !== "approval") return !isMet(requirement, given, patterns);
    const isApproved = canMeet([...met, requirement], approvals, now);
    if (isApproved) met.push(requirement);
    return !isApproved;
  });
}

function isMet(
  requirement: Exclude<Requirement, ApprovalRequirement>,
  given: Given,
  patterns: ReadonlyMap<string, WholeMatcher | null>,
): boolean {
  switch (requirement.kind) {
    case "justification":
      return isJustified(requirement.pattern, given.justification, patterns);
    case "stepUp":
      return given.steppedUp;
    case "confirm":
      return given.confirmedByOwner;
  }
}

function isJustified(
  pattern: string | null,
  text: string | null,
  patterns: ReadonlyMap<string, WholeMatcher | null>,
): boolean {
  if (text === null || text.trim() === "") return false;
  if (pattern === null) return true;
  try {
    return patterns.get(pattern)?.matchesWhole(text) === true;
  } catch {
    // Too long to be looked at.
    return false;
  }
}

/** Owners are names without an issuer: whoever has that name, wherever from, is taken for the owner. */
function isRequesterOrOwner(approval: Approval, requester: Identity): boolean {
  if (approval.subject === requester.owner) return true;
  return approval.subject === requester.subject && approval.issuer === requester.issuer;
}

/** Can these approvals meet all of the requirements, each person counting for one of them? */
function canMeet(requirements: readonly ApprovalRequirement[], approvals: readonly Approval[], now: TimeMs): boolean {
  const required = requirements.reduce((sum, { count }) => sum + count, 0);
  if (required > APPROVALS_REQUIRED_MAX || required > approvals.length) return false;
  const choices: (readonly ReadonlySet<string>[])[] = [];
  for (const requirement of requirements) {
    const groups = peopleWithin(requirement, approvals, now);
    if (groups.length === 0) return false;
    choices.push(groups);
  }
  return tryChoices(requirements, choices, [], { left: ATTEMPTS_MAX });
}

/**
 * The largest sets of people whose approvals count for a requirement and lie within its time of each other; only
 * those that are large enough.
 */
function peopleWithin(
  requirement: ApprovalRequirement,
  approvals: readonly Approval[],
  now: TimeMs,
): readonly ReadonlySet<string>[] {
  const counting = approvals.filter(
    (approval) =>
      approval.atMs <= now && now - approval.atMs < requirement.validForMs && mayApprove(requirement, approval),
  );
  const sets = new Map<string, ReadonlySet<string>>();
  for (const { atMs: firstMs } of counting) {
    const within = counting.filter(({ atMs }) => atMs >= firstMs && atMs - firstMs <= requirement.withinMs);
    const people = new Set(within.map(personOf).toSorted());
    if (people.size >= requirement.count) sets.set([...people].join(), people);
  }
  return [...sets.values()].toSorted((a, b) => b.size - a.size);
}

function mayApprove({ from }: ApprovalRequirement, { subject, groups }: Approval): boolean {
  return from.subjects.includes(subject) || from.groups.some((group) => groups.includes(group));
}

function personOf({ issuer, subject }: Approval): string {
  return JSON.stringify([issuer, subject]);
}

/** Tries the sets of people of each requirement with those of the others. */
function tryChoices(
  requirements: readonly ApprovalRequirement[],
  choices: readonly (readonly ReadonlySet<string>[])[],
  chosen: readonly ReadonlySet<string>[],
  attempts: { left: number },
): boolean {
  const sets = choices[chosen.length];
  if (sets === undefined) return attempts.left-- > 0 && canAssign(requirements, chosen);
  return sets.some((set) => attempts.left > 0 && tryChoices(requirements, choices, [...chosen, set], attempts));
}

/** Can every requirement have as many people of its set as it wants, nobody twice? By augmenting paths. */
function canAssign(requirements: readonly ApprovalRequirement[], sets: readonly ReadonlySet<string>[]): boolean {
  const places = requirements.flatMap(({ count }, at) => Array.from({ length: count }, () => sets[at]));
  const placeOf = new Map<string, number>();
  const find = (place: number, tried: Set<string>): boolean => {
    for (const person of places[place] ?? []) {
      if (tried.has(person)) continue;
      tried.add(person);
      const taken = placeOf.get(person);
      if (taken !== undefined && !find(taken, tried)) continue;
      placeOf.set(person, place);
      return true;
    }
    return false;
  };
  return places.every((_, place) => find(place, new Set()));
}
