/** Lists of names as rules have them: literals, globs and `$sets`, expanded when loaded and matched in linear time. */
import { Glob, isGlob } from "./glob.ts";

/** Sets within sets within sets; more is a mistake. */
const NESTING_MAX = 8;

/** A compiled list; a name is in it when a literal is the same or a glob matches. */
export class NameList {
  /** The literals and globs that it was made of, sorted. */
  readonly texts: readonly string[];
  readonly #literals: ReadonlySet<string>;
  readonly #globs: readonly Glob[];

  constructor(texts: Iterable<string>) {
    this.texts = [...new Set(texts)].toSorted();
    this.#literals = new Set(this.texts.filter((text) => !isGlob(text)));
    this.#globs = this.texts.filter(isGlob).map((text) => new Glob(text));
  }

  has(name: string): boolean {
    if (this.#literals.has(name)) return true;
    for (const glob of this.#globs) if (glob.matches(name)) return true;
    return false;
  }

  /** True when every name is in the list; false for no names at all, because a permit's list never matches nothing. */
  hasEvery(names: readonly string[]): boolean {
    for (const name of names) if (!this.has(name)) return false;
    return names.length > 0;
  }

  hasAny(names: readonly string[]): boolean {
    for (const name of names) if (this.has(name)) return true;
    return false;
  }
}

export type SetReferenceError =
  | { readonly kind: "unknown"; readonly set: string }
  | { readonly kind: "cycle"; readonly set: string }
  | { readonly kind: "deep"; readonly set: string };

/** Named lists: those of the author and those that an adapter brings. Expansions are kept, so nesting cannot blow up. */
export class NameSets {
  readonly #sets: ReadonlyMap<string, readonly string[]>;
  readonly #expanded = new Map<string, ReadonlySet<string>>();

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
    for (const member of members) {
      if (!member.startsWith("$")) {
        result.add(member);
        continue;
      }
      const nested = this.#expandSet(member.slice(1), [...within, name]);
      if ("kind" in nested) return nested;
      for (const text of nested) result.add(text);
    }
    this.#expanded.set(name, result);
    return result;
  }
}
