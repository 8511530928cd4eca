/** Subjects in words: the least that makes somebody one of them. */
import type { SubjectKind } from "../../core/identity.ts";
import type { GroupNames } from "../engine/obligation-words.ts";
import { listOf, nameOf } from "../engine/phrase.ts";
import type { SubjectMatcher } from "../engine/rule.ts";
import type { SubjectClass } from "./subject-classes.ts";
import { isStranger } from "./witness.ts";

const PLURALS: Readonly<Record<SubjectKind, string>> = { human: "people", agent: "agents", service: "services" };
/** Groups and names that no rule tells apart, of which so many are named. */
const ALIKE_MAX = 4;
const NO_NAMES: GroupNames = new Map();
const KINDS: readonly SubjectKind[] = ["human", "agent", "service"];

/** Everybody who has at least what one of these has; sorted. */
export function subjectWords(subjects: readonly SubjectClass[], groups: GroupNames): readonly string[] {
  const least = subjects.filter((one) => !subjects.some((other) => other !== one && isLess(other, one)));
  const kindsByRest = new Map<string, Set<SubjectKind>>();
  for (const subject of least) {
    const rest = restWords(subject, groups);
    const kinds = kindsByRest.get(rest) ?? new Set<SubjectKind>();
    for (const kind of subject.kinds) kinds.add(kind);
    kindsByRest.set(rest, kinds);
  }
  return [...kindsByRest].map(([rest, kinds]) => `${kindWords(kinds)}${rest}`).toSorted();
}

/** Whom a rule is about, as it says it: `agents and services of support called bot-*`. */
export function matcherWords({ kinds, groups: ids, names, owners }: SubjectMatcher, groups: GroupNames): string {
  const member = ids === null ? "" : ` of ${[...ids].map((id) => nameOf(groups.get(id) ?? id)).join(" or ")}`;
  const named = names === null ? "" : ` called ${listOf(names.texts)}`;
  const owned = owners === null ? "" : ` that ${listOf(owners.texts)} owns`;
  return `${kindWords(kinds ?? new Set(KINDS))}${named}${member}${owned}`;
}

/** Does everybody who has what `other` has also have what `one` has? */
function isLess({ identity: one, kinds }: SubjectClass, { identity: other, kinds: otherKinds }: SubjectClass): boolean {
  if (!otherKinds.every((kind) => kinds.includes(kind))) return false;
  if (one.subject !== other.subject && !isStranger(one.subject)) return false;
  if (one.owner !== other.owner && one.owner !== undefined) return false;
  return one.groups.every((group) => other.groups.includes(group));
}

function kindWords(kinds: ReadonlySet<SubjectKind>): string {
  if (kinds.size === KINDS.length) return "anybody";
  const plurals = KINDS.filter((kind) => kinds.has(kind)).map((kind) => PLURALS[kind]);
  return plurals.join(" and ");
}

function restWords({ identity, alike }: SubjectClass, groups: GroupNames): string {
  const { subject, groups: ids, owner } = identity;
  const either = (name: string, known: GroupNames): string => {
    const all = (alike.get(name) ?? [name]).map((each) => nameOf(known.get(each) ?? each));
    return all.length <= ALIKE_MAX
      ? all.join(" or ")
      : `${all.slice(0, ALIKE_MAX).join(" or ")} or ${all.length - ALIKE_MAX} more`;
  };
  const named = isStranger(subject) ? "" : ` called ${either(subject, NO_NAMES)}`;
  const member = ids.length === 0 ? "" : ` of ${ids.map((id) => either(id, groups)).join(" and ")}`;
  const owned =
    owner === undefined ? "" : isStranger(owner) ? " that somebody owns" : ` that ${either(owner, NO_NAMES)} owns`;
  return `${named}${member}${owned}`;
}
