/** Lists of names as rules have them: literals, globs and `$sets`, expanded when loaded and matched in linear time. */
import { Glob, isGlob } from "./glob.ts";
import type { GlobStyle } from "./glob.ts";

/** Sets within sets within sets; more is a mistake. */
const NESTING_MAX = 8;
/** Names of one set with all sets in it. */
const SET_NAMES_MAX = 20_000;
/** Names moved while sets are put into sets. */
const STEPS_MAX = 2_000_000;

/** Ends a path of an access that stands for all below a folder, at any depth: what is moved with it. */
const SUBTREE = "/**";
/** Names below a folder that only wildcards match, and all of them only `**`. */
const DEPTHS = ["\0", "\0/\0", "\0/\0/\0"] as const;

/** Does a path of an access stand for all below a folder? */
export function isSubtree(path: string): boolean {
  return path.endsWith(SUBTREE);
}

/** With the slash at its end. */
function folderOf(subtree: string): string {
  return subtree.slice(0, 1 - SUBTREE.length);
}

/** How the names of a list are compared. */
export type NameStyle = {
  /** Without regard to case. */
  readonly folds?: boolean;
  /** How globs are read; `name` when left out. */
  readonly globs?: GlobStyle;
};

/** A compiled list; a name is in it when a literal is the same or a glob matches. */
export class NameList {
  /** The literals and globs that it was made of, sorted; folded when the list folds. */
  readonly texts: readonly string[];
  readonly folds: boolean;
  readonly isOfPaths: boolean;
  readonly #literals: ReadonlySet<string>;
  readonly #globs: readonly Glob[];

  constructor(texts: Iterable<string>, style: NameStyle = {}) {
    this.folds = style.folds === true;
    this.isOfPaths = style.globs === "path";
    this.texts = [...new Set(this.folds ? [...texts].map(foldCase) : texts)].toSorted();
    this.#literals = new Set(this.texts.filter((text) => !isGlob(text)));
    this.#globs = this.texts.filter(isGlob).map((text) => new Glob(text, style.globs));
  }

  /** Is it listed? All below a folder is when anything there could be. */
  has(name: string): boolean {
    if (this.#isSubtree(name)) return this.#hasSomeBelow(name);
    const compared = this.folds ? foldCase(name) : name;
    if (this.#literals.has(compared)) return true;
    for (const glob of this.#globs) if (glob.matches(compared)) return true;
    return false;
  }

  #hasSomeBelow(subtree: string): boolean {
    const folder = folderOf(this.folds ? foldCase(subtree) : subtree);
    for (const literal of this.#literals) if (literal.startsWith(folder)) return true;
    return this.#globs.some((glob) => glob.matchesSomeFrom(folder));
  }

  /** True when every name is in the list; false for no names at all, because a permit's list never matches nothing. */
  hasEvery(names: readonly string[]): boolean {
    for (const name of names) {
      const isListed = this.#isSubtree(name)
        ? this.#hasAllBelow(name, (glob, each) => glob.matches(each))
        : this.has(name);
      if (!isListed) return false;
    }
    return names.length > 0;
  }

  /** As hasEvery(), for paths that are written to: a hidden file counts only where its dot is written out. */
  hasEveryVisible(names: readonly string[]): boolean {
    const matches = (glob: Glob, name: string): boolean => glob.matchesVisible(name);
    for (const name of names) {
      const isListed = this.#isSubtree(name)
        ? this.#hasAllBelow(name, matches)
        : this.#literals.has(name) || this.#globs.some((glob) => matches(glob, name));
      if (!isListed) return false;
    }
    return names.length > 0;
  }

  /** One glob must match at every depth: several that do so together would stop somewhere. */
  #hasAllBelow(subtree: string, matches: (glob: Glob, name: string) => boolean): boolean {
    const folder = folderOf(subtree);
    return this.#globs.some((glob) => DEPTHS.every((depth) => matches(glob, folder + depth)));
  }

  #isSubtree(name: string): boolean {
    return this.isOfPaths && isSubtree(name);
  }

  hasAny(names: readonly string[]): boolean {
    for (const name of names) if (this.has(name)) return true;
    return false;
  }
}

/** A text such that two texts which differ in case alone give the same one, also `K` (Kelvin) and `k`. */
export function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase();
}

export type SetReferenceError =
  | { readonly kind: "unknown"; readonly set: string }
  | { readonly kind: "cycle"; readonly set: string }
  | { readonly kind: "deep"; readonly set: string }
  /** It, or all sets together, take more steps to put in than any author needs. */
  | { readonly kind: "large"; readonly set: string };

/** Named lists: those of the author and those that an adapter brings. Expansions are kept, so nesting cannot blow up. */
export class NameSets {
  readonly #sets: ReadonlyMap<string, readonly string[]>;
  readonly #expanded = new Map<string, ReadonlySet<string>>();
  #steps = 0;

  constructor(sets: ReadonlyMap<string, readonly string[]>) {
    this.#sets = sets;
  }

  get known(): readonly string[] {
    return [...this.#sets.keys()].map((name) => `$${name}`).toSorted();
  }

  /** The literals and globs that a text of a list stands for: itself, or what is in the set it names. */
  expand(text: string): ReadonlySet<string> | SetReferenceError {
    return text.startsWith("$") ? this.#expandSet(text.slice(1), []) : new Set([text]);
  }

  #expandSet(name: string, within: readonly string[]): ReadonlySet<string> | SetReferenceError {
    const kept = this.#expanded.get(name);
    if (kept !== undefined) return kept;
    const members = this.#sets.get(name);
    if (members === undefined) return { kind: "unknown", set: name };
    if (within.includes(name)) return { kind: "cycle", set: name };
    if (within.length >= NESTING_MAX) return { kind: "deep", set: name };
    const result = new Set<string>();
    for (const member of new Set(members)) {
      const nested = member.startsWith("$") ? this.#expandSet(member.slice(1), [...within, name]) : [member];
      if ("kind" in nested) return nested;
      for (const text of nested) {
        if (++this.#steps > STEPS_MAX) return { kind: "large", set: name };
        result.add(text);
      }
      if (result.size > SET_NAMES_MAX) return { kind: "large", set: name };
    }
    this.#expanded.set(name, result);
    return result;
  }
}
