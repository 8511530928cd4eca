/** Three-valued matching of one access against one block of an action, by the polarity of the rule. */
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue, Unknown } from "../../core/operation.ts";
import type { Block, KeyMatcher, ValueMatcher } from "./rule.ts";

/** How a rule stands to an access. MAYBE: a fact that should be there is not known. */
export const NO = 0;
export const MAYBE = 1;
export const YES = 2;
export type Verdict = typeof NO | typeof MAYBE | typeof YES;

/** Some permit that admits to the session is enough for these; an opaque access is never one of them. */
export function needsOnlySomePermit(access: Access, isConnect: boolean): boolean {
  return access.opaque !== true && (isConnect || access.ambient === true);
}

/** Is a permit with this block enough for what needs only some permit? Its keys of the session must cover what is there. */
export function blockAdmits(block: Block, access: Access): boolean {
  for (const matcher of block.sessionKeys) {
    const fact = access.facts[matcher.key];
    if (fact !== undefined && !keyCovers(matcher, fact, access)) return false;
  }
  return true;
}

/**
 * Does a permit's block surely cover the access? Every value of a fact must be listed; a fact that is unknown, absent
 * or empty is covered by no list. The class of an opaque access counts as its adapter gave it: whether the permit may
 * cover opaque accesses at all is the caller's to ask.
 */
export function blockCovers(block: Block, access: Access): boolean {
  if (block.classes !== null && !block.classes.has(access.class)) return false;
  for (const matcher of block.keys) if (!keyCovers(matcher, access.facts[matcher.key], access)) return false;
  for (const key of block.unnamedKeys) if (isThere(access.facts[key])) return false;
  return true;
}

/** Does a permit's block name every key that the access wants named? */
export function namesAll(block: Block, access: Access): boolean {
  return access.named === undefined || keysToName(block, access).length === 0;
}

/** The keys that the access wants named and a permit's block does not name, also one that speaks of any operation. */
export function keysToName(block: Block, { named = [] }: Access): readonly string[] {
  return named.filter((key) => !block.keys.some((matcher) => matcher.key === key));
}

/** Does the key of a permit's block surely cover the fact of the access? */
export function keyCovers(matcher: KeyMatcher, fact: FactValue | Unknown | undefined, access: Access): boolean {
  if (matcher.kind === "flag") return fact === matcher.value;
  if (typeof fact !== "object") return false;
  // What is done to a hidden file beyond reading it must be meant.
  if (matcher.kind === "names" && matcher.names.isOfPaths && access.class !== "read") {
    return matcher.names.hasEveryVisible(fact);
  }
  try {
    return valuesOf(matcher).hasEvery(fact);
  } catch {
    // A value that cannot be looked at is not surely listed.
    return false;
  }
}

/** Does the access have the fact, if only as unknown? */
export function isThere(fact: FactValue | Unknown | undefined): boolean {
  return fact !== undefined && !(typeof fact === "object" && fact.length === 0);
}

/**
 * Does a guard's block touch the access? One listed value is enough. An opaque access may be anything: its class only
 * stands for the worst, facts that are known of it can make this YES, and nothing can make it NO.
 */
export function blockTouches(block: Block, access: Access): Verdict {
  const otherwise = access.opaque === true ? MAYBE : NO;
  let verdict: Verdict = YES;
  if (block.classes !== null && (access.opaque === true || !block.classes.has(access.class))) verdict = otherwise;
  for (const matcher of block.keys) {
    if (verdict === NO) return NO;
    const next = keyTouches(matcher, access.facts[matcher.key], otherwise);
    if (next < verdict) verdict = next;
  }
  return verdict;
}

/** Does the key of a guard's block touch the fact? `otherwise`: what it is when no value is listed. */
export function keyTouches(
  matcher: KeyMatcher,
  fact: FactValue | Unknown | undefined,
  otherwise: typeof NO | typeof MAYBE,
): Verdict {
  if (fact === undefined) return otherwise;
  if (fact === UNKNOWN) return MAYBE;
  if (matcher.kind === "flag") {
    // A fact of the wrong type is a fault of the adapter; a guard must not fall silent over it.
    if (typeof fact !== "boolean") return MAYBE;
    return fact === matcher.value ? YES : otherwise;
  }
  if (typeof fact === "boolean") return MAYBE;
  try {
    return valuesOf(matcher).hasAny(fact) ? YES : otherwise;
  } catch {
    // A value that cannot be looked at may be listed.
    return MAYBE;
  }
}

/** What compares the values of any key but a flag. */
function valuesOf(matcher: Exclude<KeyMatcher, { readonly kind: "flag" }>): ValueMatcher {
  switch (matcher.kind) {
    case "names":
      return matcher.names;
    case "argv":
      return matcher.argv;
    case "contains":
      return matcher.texts;
    case "fields":
      return matcher.fields;
  }
}
