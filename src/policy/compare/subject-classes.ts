/** Identities that stand for all others: from every class of subjects that some rules tell apart, the plainest. */
import type { Identity, SubjectKind } from "../../core/identity.ts";
import { subsets } from "./combinations.ts";
import type { Combinations } from "./combinations.ts";
import { subjectMatches } from "../engine/rule.ts";
import type { SubjectMatcher } from "../engine/rule.ts";
import { witnesses } from "./witness.ts";
import type { Witness } from "./witness.ts";

const KINDS: readonly SubjectKind[] = ["human", "agent", "service"];
/** Of so many groups, all sets are tried; of more, none, one, two and all together. */
const GROUPS_MAX = 10;
const ISSUER = "anywhere";

/** Subjects that no rule tells apart. */
export type SubjectClass = {
  /** Stands for all of them, and is the plainest: few groups, no name or owner that a rule knows. */
  readonly identity: Identity;
  /** The kinds that somebody like this may be of. */
  readonly kinds: readonly SubjectKind[];
  /** What else people would call the name, the owner and each group of the identity: others that no rule tells apart. */
  readonly alike: ReadonlyMap<string, readonly string[]>;
};

export type SubjectClasses = {
  readonly classes: readonly SubjectClass[];
  /** What was not tried, in words; null: nothing. */
  readonly untried: string | null;
};

/** Every class of subjects that these matchers tell apart. */
export function subjectClasses(matchers: readonly SubjectMatcher[]): SubjectClasses {
  const names = witnesses(matchers.flatMap((matcher) => matcher.names ?? []));
  const owners = witnesses(matchers.flatMap((matcher) => matcher.owners ?? []));
  const known = distinctGroups(matchers);
  const alike = new Map([...names, ...owners, ...known].map((each) => [each.name, each.alike]));
  const { all, isWhole } = groupSets(known.map(({ name }) => name));
  const classes = new Map<
    string,
    { readonly identity: Identity; readonly kinds: SubjectKind[]; readonly alike: typeof alike }
  >();
  for (const groups of all) {
    for (const { name } of names) {
      for (const kind of KINDS) {
        // Nobody answers for a person.
        for (const owner of kind === "human" ? [undefined] : [undefined, ...owners.map((each) => each.name)]) {
          const identity: Identity = {
            kind,
            issuer: ISSUER,
            subject: name,
            groups,
            ...(owner === undefined ? {} : { owner }),
            proof: { method: "token", credential: "", expiresAtMs: null },
          };
          let membership = "";
          for (const matcher of matchers) membership += subjectMatches(matcher, identity) ? "1" : "0";
          const found = classes.get(membership);
          if (found === undefined) classes.set(membership, { identity, kinds: [kind], alike });
          else if (isSameBut(identity, found.identity) && !found.kinds.includes(kind)) found.kinds.push(kind);
        }
      }
    }
  }
  const untried = `subjects that are in three or more of ${known.length} groups`;
  return { classes: [...classes.values()], untried: isWhole ? null : untried };
}

/** Of the same name, owner and groups, whatever the kind. */
function isSameBut(one: Identity, other: Identity): boolean {
  return one.subject === other.subject && one.owner === other.owner && one.groups === other.groups;
}

/** Of groups that occur in the same matchers, the first alone. */
function distinctGroups(matchers: readonly SubjectMatcher[]): readonly Witness[] {
  const all = new Set(matchers.flatMap(({ groups }) => [...(groups ?? [])]));
  const byMembership = Map.groupBy([...all].toSorted(), (group) =>
    matchers.map(({ groups }) => (groups?.has(group) === true ? "1" : "0")).join(""),
  );
  return [...byMembership.values()].map((alike) => ({ name: alike[0] ?? "", alike }));
}

/** Sets of groups, small ones first. */
function groupSets(groups: readonly string[]): Combinations<readonly string[]> {
  const { all, isWhole } = subsets(groups, GROUPS_MAX);
  if (isWhole) return { all, isWhole };
  const pairs = groups.flatMap((one, at) => groups.slice(at + 1).map((other) => [one, other]));
  return { all: [...all, ...pairs], isWhole };
}
