/** Finds the blocks that mask a column without looking at all of them: catalogs have a hundred thousand columns. */
import { Glob, isGlob } from "./glob.ts";
import type { Masker } from "./maskers.ts";

/** Globs with the same text up to their last dot, by what stands behind it. */
type Head = {
  readonly glob: Glob;
  readonly byName: Map<string, Masker[]>;
  readonly globs: { readonly glob: Glob; readonly masker: Masker }[];
};

/** What is found is a superset of what masks a column: the caller still asks each. One may be found more than once. */
export class MaskerIndex {
  /** Those that mask any column, or are not filed. */
  readonly #always: Masker[] = [];
  readonly #byName = new Map<string, Masker[]>();
  /** Globs of two parts, the second within one segment: what comes before the last dot is the same for a relation. */
  readonly #byHead = new Map<string, Head>();
  readonly #heads: Head[] = [];
  readonly #globs: { readonly glob: Glob; readonly masker: Masker }[] = [];
  #lastHead: string | null = null;
  #lastHeads: readonly Head[] = [];

  constructor(maskers: readonly Masker[]) {
    for (const masker of maskers) {
      const { named, rest, listed } = masker;
      const lists = [...named.map(({ columns }) => columns), ...(listed === null ? [] : [listed])];
      if ((rest !== null && listed === null) || lists.some(({ folds, isOfPaths }) => folds || isOfPaths)) {
        this.#always.push(masker);
        continue;
      }
      for (const text of new Set(lists.flatMap(({ texts }) => texts))) this.#file(text, masker);
    }
  }

  /** Adds to `found` every masker that could mask the column. */
  find(column: string, found: Masker[]): void {
    addAll(this.#always, found);
    addAll(this.#byName.get(column), found);
    for (const { glob, masker } of this.#globs) if (glob.matches(column)) found.push(masker);
    const dot = column.lastIndexOf(".");
    if (dot === -1 || this.#byHead.size === 0) return;
    const tail = column.slice(dot + 1);
    for (const head of this.#headsOf(column.slice(0, dot))) {
      addAll(head.byName.get(tail), found);
      for (const { glob, masker } of head.globs) if (glob.matches(tail)) found.push(masker);
    }
  }

  #headsOf(name: string): readonly Head[] {
    if (name !== this.#lastHead) {
      this.#lastHead = name;
      const literal = this.#byHead.get(name);
      const globbed = this.#heads.filter(({ glob }) => glob.matches(name));
      this.#lastHeads = literal === undefined ? globbed : [...globbed, literal];
    }
    return this.#lastHeads;
  }

  #file(text: string, masker: Masker): void {
    const dot = text.lastIndexOf(".");
    const tail = text.slice(dot + 1);
    if (!isGlob(text)) {
      addTo(this.#byName, text, masker);
    } else if (dot === -1 || tail.includes("**")) {
      this.#globs.push({ glob: new Glob(text), masker });
    } else {
      const head = this.#headOf(text.slice(0, dot));
      if (isGlob(tail)) head.globs.push({ glob: new Glob(tail), masker });
      else addTo(head.byName, tail, masker);
    }
  }

  #headOf(text: string): Head {
    let head = this.#byHead.get(text);
    if (head === undefined) {
      head = { glob: new Glob(text), byName: new Map(), globs: [] };
      this.#byHead.set(text, head);
      if (isGlob(text)) this.#heads.push(head);
    }
    return head;
  }
}

function addTo(filed: Map<string, Masker[]>, name: string, masker: Masker): void {
  const known = filed.get(name);
  if (known === undefined) filed.set(name, [masker]);
  else known.push(masker);
}

function addAll(maskers: readonly Masker[] | undefined, found: Masker[]): void {
  if (maskers !== undefined) for (const masker of maskers) found.push(masker);
}
