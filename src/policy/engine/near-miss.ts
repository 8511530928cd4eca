/** The permit that comes nearest to covering an access, for the hint of a refusal. */
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, FactValue, Unknown } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import type { PermitEntry } from "./entry.ts";
import { keyCovers, keysToName } from "./match.ts";
import { listOf, nameOf, valuesOf } from "./phrase.ts";
import type { Block, KeyMatcher } from "./rule.ts";

/** A hint is not worth a walk over a whole large set: the permits looked at times the access's names. */
const NAMES_COMPARED_MAX = 5000;

/** The one key that keeps a block from covering an access. */
type Miss = {
  readonly key: string;
  /** In words; only made for the miss that is told. */
  readonly what: () => string;
  /** How many values of the access the block does not list. */
  readonly lacking: number;
};

type NearMiss = Miss & {
  readonly rule: string;
  /** Keys of the block that cover the access; where the session is tells nothing, as it is the same for all it does. */
  readonly matched: number;
  /** The missed key's place in the vocabulary, which goes from large to small; the last for what holds no names. */
  readonly depth: number;
};

/**
 * Of the permits that one key keeps from covering the access: the one of which most keys match, then the one that is
 * about the same thing (its missed key comes later in the vocabulary), then the one that lacks fewer names, then the
 * first of `entries`. `isOfSession`: only their keys of the session are asked for.
 */
export function nearestMiss(
  entries: readonly PermitEntry[],
  access: Access,
  vocabulary: Vocabulary,
  isOfSession: boolean,
): { readonly rule: string; readonly what: string } | null {
  const keys = Object.keys(vocabulary.keys);
  const names = Object.values(access.facts).reduce((sum: number, fact) => sum + valuesOf(fact).length, 1);
  let nearest: NearMiss | null = null;
  for (const { rule, block } of entries.slice(0, Math.ceil(NAMES_COMPARED_MAX / names))) {
    const miss = isOfSession ? onlyMiss(block.sessionKeys, [], [], access) : missOf(block, access);
    if (miss === null) continue;
    const holdsNames = vocabulary.keys[miss.key]?.kind === "names";
    const near = {
      ...miss,
      rule: rule.id,
      matched: block.keys.filter((matcher) => matcher.key !== miss.key && !block.sessionKeys.includes(matcher)).length,
      depth: holdsNames ? keys.indexOf(miss.key) : keys.length,
    };
    if (nearest === null || isNearer(near, nearest)) nearest = near;
  }
  return nearest === null ? null : { rule: nearest.rule, what: nearest.what() };
}

function isNearer(one: NearMiss, other: NearMiss): boolean {
  if (one.matched !== other.matched) return one.matched > other.matched;
  if (one.depth !== other.depth) return one.depth > other.depth;
  return one.lacking < other.lacking;
}

function missOf(block: Block, access: Access): Miss | null {
  // Another class is another thing, not a near miss.
  if (block.classes !== null && !block.classes.has(access.class)) return null;
  return onlyMiss(block.keys, block.unnamedKeys, keysToName(block, access), access);
}

/** Null when nothing is missed, or more than one key. */
function onlyMiss(
  keys: readonly KeyMatcher[],
  unnamedKeys: readonly string[],
  toName: readonly string[],
  access: Access,
): Miss | null {
  let only: Miss | null = null;
  for (const matcher of keys) {
    const miss = keyMiss(matcher, access);
    if (miss === null) continue;
    if (only !== null) return null;
    only = miss;
  }
  for (const key of unnamedKeys) {
    const miss = unnamedMiss(key, access.facts[key]);
    if (miss === null) continue;
    if (only !== null) return null;
    only = miss;
  }
  for (const key of toName) {
    // What has to be named anyway, because it is there, is one miss.
    if (only?.key === key) continue;
    if (only !== null) return null;
    only = unnamedMiss(key, access.facts[key]) ?? { key, what: () => key, lacking: 1 };
  }
  return only;
}

function keyMiss(matcher: KeyMatcher, access: Access): Miss | null {
  const { key } = matcher;
  const fact = access.facts[key];
  if (fact === UNKNOWN) return { key, what: () => `unknown ${key}`, lacking: 1 };
  if (keyCovers(matcher, fact, access)) return null;
  if (matcher.kind === "flag") return { key, what: () => key, lacking: 1 };
  const values = valuesOf(fact);
  if (values.length === 0) return { key, what: () => `${key}, of which there are none`, lacking: 1 };
  if (matcher.kind === "argv") return { key, what: () => `${key} ${nameOf(values.join(" "))}`, lacking: 1 };
  if (matcher.kind !== "names") return { key, what: () => key, lacking: 1 };
  const missing = values.filter((value) => !keyCovers(matcher, [value], access));
  return { key, what: () => `${key} ${listOf(missing)}`, lacking: missing.length };
}

function unnamedMiss(key: string, fact: FactValue | Unknown | undefined): Miss | null {
  if (fact === UNKNOWN) return { key, what: () => `unknown ${key}`, lacking: 1 };
  const values = valuesOf(fact);
  return values.length === 0 ? null : { key, what: () => `${key} ${listOf(values)}`, lacking: values.length };
}
