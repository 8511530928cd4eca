/** Finds the blocks that could match an access by the names in it, without looking at all the others. */
import { ACCESS_CLASSES, UNKNOWN } from "../../core/operation.ts";
import type { Access, AccessClass, FactValue, Unknown } from "../../core/operation.ts";
import { firstSegment, isGlob } from "./glob.ts";
import { foldCase, isSubtree } from "./names.ts";
import type { Block } from "./rule.ts";

type Filed = { readonly block: Block };

/** The entries that are filed under one key. */
type Drawer<TEntry> = {
  readonly key: string;
  /** The names are folded. */
  readonly folds: boolean;
  readonly byName: Map<string, TEntry[]>;
  /** Globs whose first segment is written out (`public.*`), by that segment. */
  readonly bySegment: Map<string, TEntry[]>;
  readonly all: TEntry[];
};

/** Where a block is filed: a key whose names are all literals, or globs with a literal first segment. */
type Filing = { readonly key: string; readonly folds: boolean; readonly names: readonly string[] };

/**
 * Each block is filed under its most selective key, or under its classes when it has no key to be filed under. What is
 * found is a superset of what matches: the caller still matches every entry. An entry may be found more than once.
 */
export class BlockIndex<TEntry extends Filed> {
  readonly #drawers: readonly Drawer<TEntry>[];
  /** Blocks that are not filed by name, by the classes that they are about. */
  readonly #byClass: ReadonlyMap<AccessClass, readonly TEntry[]>;
  readonly #unnamed: readonly TEntry[];

  constructor(entries: readonly TEntry[]) {
    const uses = countUses(entries);
    const drawers = new Map<string, Drawer<TEntry>>();
    const unnamed: TEntry[] = [];
    for (const entry of entries) {
      const filing = mostSelective(entry.block, uses);
      if (filing === null) unnamed.push(entry);
      else file(drawers, filing, entry);
    }
    this.#drawers = [...drawers.values()];
    this.#unnamed = unnamed;
    this.#byClass = new Map(
      ACCESS_CLASSES.map((each) => [each, unnamed.filter(({ block }) => block.classes?.has(each) ?? true)]),
    );
  }

  /** Adds to `found` every entry that could cover the access as a permit's: all of its values must be listed. */
  findCovering(access: Access, found: TEntry[]): void {
    const unfiled = this.#byClass.get(access.class) ?? this.#unnamed;
    for (const entry of unfiled) found.push(entry);
    for (const drawer of this.#drawers) {
      const fact = access.facts[drawer.key];
      // Every value must be listed, so the first one must; no list covers a fact that is unknown, absent or empty.
      const first = typeof fact === "object" ? fact[0] : undefined;
      if (first !== undefined) find(drawer, first, found);
    }
  }

  /** Adds to `found` every entry that could touch the access as a guard's: one listed value, or an unknown one. */
  findTouching(access: Access, found: TEntry[]): void {
    const ofClass = access.opaque === true ? undefined : this.#byClass.get(access.class);
    const unfiled = ofClass ?? this.#unnamed;
    for (const entry of unfiled) found.push(entry);
    for (const drawer of this.#drawers) {
      const fact = access.facts[drawer.key];
      if (mayTouchAll(access, fact)) for (const entry of drawer.all) found.push(entry);
      else if (typeof fact === "object") for (const name of fact) find(drawer, name, found);
    }
  }
}

function mayTouchAll(access: Access, fact: FactValue | Unknown | undefined): boolean {
  if (access.opaque === true || fact === UNKNOWN || typeof fact === "boolean") return true;
  return fact?.some(isSubtree) === true;
}

function find<TEntry>(drawer: Drawer<TEntry>, name: string, found: TEntry[]): void {
  const sought = drawer.folds ? foldCase(name) : name;
  const named = drawer.byName.get(sought);
  if (named !== undefined) for (const entry of named) found.push(entry);
  if (drawer.bySegment.size === 0) return;
  const globbed = drawer.bySegment.get(firstSegment(sought));
  if (globbed !== undefined) for (const entry of globbed) found.push(entry);
}

function file<TEntry>(drawers: Map<string, Drawer<TEntry>>, filing: Filing, entry: TEntry): void {
  const label = `${filing.key}\0${filing.folds}`;
  let drawer = drawers.get(label);
  if (drawer === undefined) {
    drawer = { key: filing.key, folds: filing.folds, byName: new Map(), bySegment: new Map(), all: [] };
    drawers.set(label, drawer);
  }
  drawer.all.push(entry);
  for (const name of filing.names) {
    const slots = isGlob(name) ? drawer.bySegment : drawer.byName;
    const slot = slotOf(name);
    const filed = slots.get(slot);
    if (filed === undefined) slots.set(slot, [entry]);
    else if (filed.at(-1) !== entry) filed.push(entry);
  }
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
function countUses(entries: readonly Filed[]): ReadonlyMap<string, number> {
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

function mostSelective(block: Block, uses: ReadonlyMap<string, number>): Filing | null {
  let best: (Filing & { readonly usesMax: number }) | null = null;
  for (const matcher of block.keys) {
    if (matcher.kind !== "names" || !matcher.names.texts.every(canBeFiled)) continue;
    const { folds, texts } = matcher.names;
    let usesMax = 0;
    for (const name of texts) usesMax = Math.max(usesMax, uses.get(useOf(matcher.key, name)) ?? 0);
    if (best === null || usesMax < best.usesMax) best = { key: matcher.key, folds, names: texts, usesMax };
  }
  return best;
}
