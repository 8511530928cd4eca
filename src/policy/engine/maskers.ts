/** The blocks of rules that mask columns, prepared for asking what could be masked in a session. */
import type { MaskTransform, Predicates } from "../../core/obligation.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access } from "../../core/operation.ts";
import type { Entry } from "./entry.ts";
import { COLUMNS, isAboutColumns, isForTheRest, joined, masksOf, matcherOfColumns, predicatesOf } from "./masks.ts";
import { isThere, keyCovers, keyTouches, NO } from "./match.ts";
import type { NameList } from "./names.ts";
import type { Block, KeyMatcher } from "./rule.ts";

/** Reading is what a list of paths covers the most of. */
const READING: Access = Object.freeze({ class: "read", facts: Object.freeze({}) });
/** What is no reading covers the least. */
const CHANGING: Access = Object.freeze({ class: "administer", facts: Object.freeze({}) });

/** One block of a rule that masks columns. */
export type Masker<TEntry extends Entry = Entry> = {
  readonly entry: TEntry;
  /** The keys of the block but for its columns. */
  readonly keys: readonly KeyMatcher[];
  /** Masks that say which columns they are for. */
  readonly named: readonly { readonly columns: NameList; readonly transform: MaskTransform }[];
  /** For the columns that the block matches and no named mask covers; null: there is no such mask. */
  readonly rest: MaskTransform | null;
  /** The columns that the block lists; null: any. */
  readonly listed: NameList | null;
  readonly predicates: Predicates;
};

/** Those of the entries that mask columns; a guard that only observes masks nothing. */
export function maskersOf(entries: readonly Entry[]): readonly Masker[] {
  return entries.flatMap((entry): Masker[] => {
    const { rule, block } = entry;
    const masks = masksOf(rule);
    if (!masks.some(isAboutColumns) || (rule.effect === "guard" && rule.mode === "observe")) return [];
    const listed = matcherOfColumns(block);
    let rest: MaskTransform | null = null;
    for (const mask of masks) if (isForTheRest(mask)) rest = joined(rest, mask.transform);
    return [
      {
        entry,
        keys: listed === null ? block.keys : block.keys.filter(({ key }) => key !== COLUMNS),
        named: masks.flatMap(({ columns, transform }) => (columns === null ? [] : [{ columns, transform }])),
        rest,
        listed,
        predicates: predicatesOf(masks),
      },
    ];
  });
}

/**
 * How it masks a column of what it applies to; null: not at all. A permit covers only what it lists all columns of;
 * a guard applies through any one column, and its named masks then cover others beside it.
 */
export function transformOn({ entry, named, rest, listed }: Masker, column: string): MaskTransform | null {
  if (listed !== null && entry.rule.effect === "permit" && !listed.has(column)) return null;
  let transform: MaskTransform | null = null;
  for (const mask of named) if (mask.columns.has(column)) transform = joined(transform, mask.transform);
  if (transform !== null || rest === null) return transform;
  return listed === null || listed.has(column) ? rest : null;
}

/** How it masks a column of which nothing is known. */
export function transformOnAny({ named, rest }: Masker): MaskTransform | null {
  return named.reduce<MaskTransform | null>((transform, mask) => joined(transform, mask.transform), rest);
}

/** Could it apply to the access, whatever its class and its columns? A fact that is UNKNOWN may have any value. */
export function couldApply({ entry, keys }: Masker, access: Access): boolean {
  for (const matcher of keys) {
    const fact = access.facts[matcher.key];
    if (entry.rule.effect === "guard") {
      if (keyTouches(matcher, fact, NO) === NO) return false;
    } else if (fact !== UNKNOWN && !keyCovers(matcher, fact, READING)) {
      return false;
    }
  }
  if (entry.rule.effect === "guard") return true;
  return entry.block.unnamedKeys.every((key) => access.facts[key] === UNKNOWN || !isThere(access.facts[key]));
}

/**
 * Does the block of a permit or an exception cover the access for sure, whatever its class and whatever columns are
 * used beside its own? A block that lists columns or classes does not.
 */
export function surelyCovers(block: Block, access: Access): boolean {
  if (block.classes !== null) return false;
  for (const matcher of block.keys) {
    if (matcher.key === COLUMNS || !keyCovers(matcher, access.facts[matcher.key], CHANGING)) return false;
  }
  return block.unnamedKeys.every((key) => !isThere(access.facts[key]));
}
