/** Finds the blocks that could match an access by the names in it, without looking at all the others. */
import { UNKNOWN } from "../core/operation.ts";
import type { Access, FactValue, Unknown } from "../core/operation.ts";
import { firstSegment, isGlob } from "./glob.ts";
import type { Block, Rule } from "./rule.ts";

/** A block with its rule. `order` is the rule's place among the rules of the session, which are sorted by id. */
export type Entry<TRule extends Rule> = { readonly rule: TRule; readonly block: Block; readonly order: number };

/** The entries that are filed under one key. */
type Drawer<TRule extends Rule> = {
  readonly key: string;
  readonly byName: Map<string, Entry<TRule>[]>;
  /** Globs whose first segment is written out (`public.*`), by that segment. */
  readonly bySegment: Map<string, Entry<TRule>[]>;
  readonly all: Entry<TRule>[];
};

/**
 * Each block is filed under its most selective key whose names are literals or globs with a literal first segment;
 * blocks without such a key are looked at for every access. What is found is a superset of what matches: the caller
 * still matches every entry. An entry may be found more than once.
 */
export class BlockIndex<TRule extends Rule> {
  readonly #unfiled: Entry<TRule>[] = [];
  readonly #drawers: Drawer<TRule>[] = [];

  constructor(entries: readonly Entry<TRule>[]) {
    const uses = countUses(entries);
    const drawers = new Map<string, Drawer<TRule>>();
    for (const entry of entries) {
      const filing = mostSelective(entry.block, uses);
      if (filing === null) {
        this.#unfiled.push(entry);
        continue;
      }
      let drawer = drawers.get(filing.key);
      if (drawer === undefined) {
        drawer = { key: filing.key, byName: new Map(), bySegment: new Map(), all: [] };
        drawers.set(filing.key, drawer);
      }
      drawer.all.push(entry);
      for (const name of filing.names) file(isGlob(name) ? drawer.bySegment : drawer.byName, slotOf(name), entry);
    }
    this.#drawers.push(...drawers.values());
  }

  /** Adds to `found` every entry that could cover the access as a permit's: all of its values must be listed. */
  findCovering(access: Access, found: Entry<TRule>[]): void {
    for (const entry of this.#unfiled) found.push(entry);
    for (const drawer of this.#drawers) {
      const fact = access.facts[drawer.key];
      // Every value must be listed, so the first one must; no list covers a fact that is unknown, absent or empty.
      const first = typeof fact === "object" ? fact[0] : undefined;
      if (first !== undefined) find(drawer, first, found);
    }
  }

  /** Adds to `found` every entry that could touch the access as a guard's: one listed value, or an unknown one. */
  findTouching(access: Access, found: Entry<TRule>[]): void {
    for (const entry of this.#unfiled) found.push(entry);
    for (const drawer of this.#drawers) {
      const fact = access.facts[drawer.key];
      if (mayTouchAll(access, fact)) for (const entry of drawer.all) found.push(entry);
      else if (typeof fact === "object") for (const name of fact) find(drawer, name, found);
    }
  }
}

function mayTouchAll(access: Access, fact: FactValue | Unknown | undefined): boolean {
  return access.opaque === true || fact === UNKNOWN || typeof fact === "boolean";
}

function find<TRule extends Rule>(drawer: Drawer<TRule>, name: string, found: Entry<TRule>[]): void {
  const named = drawer.byName.get(name);
  if (named !== undefined) for (const entry of named) found.push(entry);
  if (drawer.bySegment.size === 0) return;
  const globbed = drawer.bySegment.get(firstSegment(name));
  if (globbed !== undefined) for (const entry of globbed) found.push(entry);
}

function file<TRule extends Rule>(slots: Map<string, Entry<TRule>[]>, slot: string, entry: Entry<TRule>): void {
  const filed = slots.get(slot);
  if (filed === undefined) slots.set(slot, [entry]);
  else if (filed.at(-1) !== entry) filed.push(entry);
}

/** Where a name is filed: itself, or the first segment of a glob. */
function slotOf(name: string): string {
  return isGlob(name) ? firstSegment(name) : name;
}

function canBeFiled(name: string): boolean {
  if (!isGlob(name)) return true;
  const segment = firstSegment(name);
  return segment.length < name.length && !isGlob(segment);
}

/** How many blocks use each slot of each key. */
function countUses(entries: readonly Entry<Rule>[]): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  for (const { block } of entries) {
    for (const matcher of block.keys) {
      if (matcher.kind !== "names") continue;
      for (const name of matcher.names.texts) {
        const use = useOf(matcher.key, name);
        uses.set(use, (uses.get(use) ?? 0) + 1);
      }
    }
  }
  return uses;
}

function useOf(key: string, name: string): string {
  return `${key}\0${slotOf(name)}`;
}

function mostSelective(
  block: Block,
  uses: ReadonlyMap<string, number>,
): { readonly key: string; readonly names: readonly string[] } | null {
  let best: { key: string; names: readonly string[]; usesMax: number } | null = null;
  for (const matcher of block.keys) {
    if (matcher.kind !== "names" || !matcher.names.texts.every(canBeFiled)) continue;
    let usesMax = 0;
    for (const name of matcher.names.texts) usesMax = Math.max(usesMax, uses.get(useOf(matcher.key, name)) ?? 0);
    if (best === null || usesMax < best.usesMax) best = { key: matcher.key, names: matcher.names.texts, usesMax };
  }
  return best;
}
