/** Lays the masks of rules on accesses: which column is masked how. */
import type { MaskObligation, MaskTransform, Predicates } from "../../core/obligation.ts";
import type { Access } from "../../core/operation.ts";
import { joinPredicates, joinTransforms, sortedMasks } from "./merge.ts";
import type { NameList } from "./names.ts";
import { ruleObligations } from "./rule.ts";
import type { Block, KeyMatcher, Rule, RuleMask } from "./rule.ts";

/** The fact that names the columns of an access, which masks are laid on. */
export const COLUMNS = "columns";
/** What conditions see of a masked column where no mask says it. */
const PREDICATES_DEFAULT: Predicates = "masked";
const NO_MASKS: readonly RuleMask[] = [];

/** Why masks cannot be laid on an access: the column that none of a rule's masks covers, or null: its columns are not known. */
export type Unlaid = { readonly column: string | null };

type Laid = Map<string, MaskTransform>;

/** The masks of a rule, or none. */
export function masksOf(rule: Rule): readonly RuleMask[] {
  return ruleObligations(rule)?.masks ?? NO_MASKS;
}

/** Could a permit's masks be laid on the access? They cannot when they are about columns and those are not known. */
export function canLay(masks: readonly RuleMask[], access: Access): boolean {
  return columnsOf(access) !== null || !masks.some(isAboutColumns);
}

/** The masks of one decision, joined as they are laid. */
export class MaskPlan {
  readonly #columns: Laid = new Map();
  readonly #fields: Laid = new Map();
  readonly #classifiers: Laid = new Map();
  readonly #patterns: Laid = new Map();
  #predicates: Predicates | null = null;

  /** Lays a rule's masks on an access that one of its blocks matches; null when all went well. */
  lay(rule: Rule, block: Block, access: Access): Unlaid | null {
    const masks = masksOf(rule);
    if (masks.length === 0) return null;
    const columns = columnsOf(access);
    const isForColumns = masks.some(isAboutColumns);
    if (columns === null && isForColumns) return { column: null };
    // Where a guard masks columns, it masks all that its action lists.
    const mustMask = rule.effect === "guard" && isForColumns ? matcherOfColumns(block) : null;
    let isLaid = false;
    for (const column of columns ?? []) {
      const transform = transformOf(masks, block, column);
      if (transform !== null) {
        addTo(this.#columns, column, transform);
        isLaid = true;
      } else if (mustMask?.has(column) === true) {
        return { column };
      }
    }
    for (const { fields, classifiers, patterns, transform } of masks) {
      for (const name of fields?.texts ?? []) addTo(this.#fields, name, transform);
      for (const name of classifiers) addTo(this.#classifiers, name, transform);
      for (const name of patterns) addTo(this.#patterns, name, transform);
      isLaid ||= fields !== null || classifiers.length > 0 || patterns.length > 0;
    }
    if (isLaid) {
      const predicates = predicatesOf(masks);
      this.#predicates = this.#predicates === null ? predicates : joinPredicates(this.#predicates, predicates);
    }
    return null;
  }

  /** Null when nothing is masked. */
  get obligation(): MaskObligation | null {
    if (this.#predicates === null) return null;
    return {
      columns: sortedMasks(this.#columns),
      fields: sortedMasks(this.#fields),
      classifiers: sortedMasks(this.#classifiers),
      patterns: sortedMasks(this.#patterns),
      predicates: this.#predicates,
    };
  }
}

/** The columns of an access; null: not known. An opaque access may read any. */
function columnsOf(access: Access): readonly string[] | null {
  const fact = access.facts[COLUMNS];
  if (access.opaque === true) return null;
  if (fact === undefined) return [];
  return typeof fact === "object" ? fact : null;
}

/** Is it about columns, by name or as what the action matched? */
export function isAboutColumns(mask: RuleMask): boolean {
  return mask.columns !== null || isForTheRest(mask);
}

/** A mask that does not say what it masks covers the columns that the action matched. */
export function isForTheRest({ columns, fields, classifiers, patterns }: RuleMask): boolean {
  return columns === null && fields === null && classifiers.length === 0 && patterns.length === 0;
}

/** How a rule masks a column: a mask that names it wins over one that does not say what it masks. */
export function transformOf(masks: readonly RuleMask[], block: Block, column: string): MaskTransform | null {
  let named: MaskTransform | null = null;
  let unnamed: MaskTransform | null = null;
  for (const mask of masks) {
    if (mask.columns !== null) {
      if (mask.columns.has(column)) named = joined(named, mask.transform);
    } else if (isForTheRest(mask) && (matcherOfColumns(block)?.has(column) ?? true)) {
      unnamed = joined(unnamed, mask.transform);
    }
  }
  return named ?? unnamed;
}

/** The columns that a block lists; null when it lists none. */
export function matcherOfColumns(block: Block): NameList | null {
  const matcher: KeyMatcher | undefined = block.keys.find(({ key }) => key === COLUMNS);
  return matcher?.kind === "names" ? matcher.names : null;
}

/** The join of what is known so far, if anything, and one more. */
export function joined(known: MaskTransform | null, transform: MaskTransform): MaskTransform {
  return known === null ? transform : joinTransforms(known, transform);
}

/** What one rule says of predicates: the strictest of what its masks say. */
export function predicatesOf(masks: readonly RuleMask[]): Predicates {
  let result: Predicates | null = null;
  for (const { predicates } of masks) {
    if (predicates !== null) result = result === null ? predicates : joinPredicates(result, predicates);
  }
  return result ?? PREDICATES_DEFAULT;
}

function addTo(laid: Laid, name: string, transform: MaskTransform): void {
  laid.set(name, joined(laid.get(name) ?? null, transform));
}
