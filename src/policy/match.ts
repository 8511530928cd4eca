/** Three-valued matching of one access against one block of an action, by the polarity of the rule. */
import { UNKNOWN } from "../core/operation.ts";
import type { Access, FactValue, Unknown } from "../core/operation.ts";
import type { TimeMs } from "../core/session.ts";
import type { Block, KeyMatcher, PermitRule, Rule } from "./rule.ts";

/** How a guard's block stands to an access. MAYBE: a fact that should be there is not known. */
export const NO = 0;
export const MAYBE = 1;
export const YES = 2;
export type Verdict = typeof NO | typeof MAYBE | typeof YES;

/** Is the rule valid now? A guard is in doubt, a permit is not. */
export function isValidAt(rule: Rule, now: TimeMs): boolean {
  if (rule.effect === "permit") return now >= rule.validFromMs && now < rule.validUntilMs;
  return !(now < rule.validFromMs || now >= rule.validUntilMs);
}

/** Some permit that admits to the session is enough for these; an opaque access is never one of them. */
export function needsOnlySomePermit(access: Access, isConnect: boolean): boolean {
  return access.opaque !== true && (isConnect || access.ambient === true);
}

/** Is a permit with this block enough for what needs only some permit? Its keys of the session must cover what is there. */
export function blockAdmits(block: Block, access: Access): boolean {
  for (const matcher of block.sessionKeys) {
    const fact = access.facts[matcher.key];
    if (fact !== undefined && !keyCovers(matcher, fact)) return false;
  }
  return true;
}

/** Does a permit, by this block of it, surely cover the access? */
export function permitCovers(rule: PermitRule, block: Block, access: Access): boolean {
  return (access.opaque !== true || rule.allowOpaque) && blockCovers(block, access);
}

/**
 * Does a permit's block surely cover the access? Every value of a fact must be listed; a fact that is unknown, absent
 * or empty is covered by no list. The class of an opaque access counts as its adapter gave it: whether the permit may
 * cover opaque accesses at all is the caller's to ask.
 */
function blockCovers(block: Block, access: Access): boolean {
  if (block.classes !== null && !block.classes.has(access.class)) return false;
  for (const matcher of block.keys) if (!keyCovers(matcher, access.facts[matcher.key])) return false;
  for (const key of block.unnamedKeys) if (isThere(access.facts[key])) return false;
  return true;
}

function keyCovers(matcher: KeyMatcher, fact: FactValue | Unknown | undefined): boolean {
  if (matcher.kind === "flag") return fact === matcher.value;
  return Array.isArray(fact) && matcher.names.hasEvery(fact);
}

function isThere(fact: FactValue | Unknown | undefined): boolean {
  return fact !== undefined && !(Array.isArray(fact) && fact.length === 0);
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

function keyTouches(matcher: KeyMatcher, fact: FactValue | Unknown | undefined, otherwise: Verdict): Verdict {
  if (fact === undefined) return otherwise;
  if (fact === UNKNOWN) return MAYBE;
  if (matcher.kind === "flag") {
    // A fact of the wrong type is a fault of the adapter; a guard must not fall silent over it.
    if (typeof fact !== "boolean") return MAYBE;
    return fact === matcher.value ? YES : otherwise;
  }
  if (typeof fact === "boolean") return MAYBE;
  return matcher.names.hasAny(fact) ? YES : otherwise;
}
