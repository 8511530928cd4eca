/** Whether two rules could count together. May say yes when it is no: nothing is known of who is in which groups. */
import { isGlob } from "../engine/glob.ts";
import type { NameList } from "../engine/names.ts";
import type { Rule, SubjectMatcher } from "../engine/rule.ts";
import type { World } from "./world.ts";

export function mayMeet(one: Rule, other: Rule, world: World): boolean {
  if (one.validFromMs >= other.validUntilMs || other.validFromMs >= one.validUntilMs) return false;
  if (!subjectsMayMeet(one.subject, other.subject)) return false;
  const reach = world.reachOf(one);
  const others = world.reachOf(other);
  if (reach !== null && others !== null) return setsMeet(reach, others);
  return world.adaptersOf(one).some((adapter) => world.adaptersOf(other).includes(adapter));
}

/** Groups that are written differently are taken for different people: a warning about the few in both would be noise. */
function subjectsMayMeet(one: SubjectMatcher, other: SubjectMatcher): boolean {
  return (
    setsMeet(one.kinds, other.kinds) &&
    setsMeet(one.groups, other.groups) &&
    listsMayMeet(one.names, other.names) &&
    listsMayMeet(one.owners, other.owners)
  );
}

/** Null: everything. */
export function setsMeet<T>(one: ReadonlySet<T> | null, other: ReadonlySet<T> | null): boolean {
  if (one === null || other === null || one === other) return true;
  for (const each of one) if (other.has(each)) return true;
  return false;
}

function listsMayMeet(one: NameList | null, other: NameList | null): boolean {
  if (one === null || other === null) return true;
  const hasGlobs = one.texts.some(isGlob) && other.texts.some(isGlob);
  return hasGlobs || one.texts.some((text) => other.has(text)) || other.texts.some((text) => one.has(text));
}
