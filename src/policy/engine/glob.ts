/** Globs over names: `*` stops where names are parted, `**` crosses; matched by hand in time linear in the name. */

const DOT = 0x2e;
const SLASH = 0x2f;
/** What a pattern holds in place of a UTF-16 unit. */
const STAR = -1;
const GLOBSTAR = -2;

/** True when an author's text is a glob and not a literal. */
export function isGlob(text: string): boolean {
  return text.includes("*");
}

/** What stops a `*`. name: `.` and `/`. path: `/`. word: nothing. `**` crosses them all. */
export type GlobStyle = "name" | "path" | "word";

/** A compiled glob. It matches whole names, unit by unit, as given: no case folding, no escapes. */
export class Glob {
  readonly #literalPrefix: string;
  /** The rest after the prefix: UTF-16 units, STAR or GLOBSTAR; begins with a wildcard unless it is empty. */
  readonly #pattern: readonly number[];
  readonly #stopsAtDot: boolean;
  readonly #stopsAtSlash: boolean;
  /** Which positions of the pattern are reachable; kept, because matching is synchronous and never nested. */
  readonly #reached: Uint8Array;

  constructor(text: string, style: GlobStyle = "name") {
    this.#stopsAtDot = style === "name";
    this.#stopsAtSlash = style !== "word";
    const firstStar = text.indexOf("*");
    this.#literalPrefix = firstStar === -1 ? text : text.slice(0, firstStar);
    const pattern: number[] = [];
    for (let at = this.#literalPrefix.length; at < text.length; at++) {
      if (text[at] !== "*") {
        pattern.push(text.charCodeAt(at));
        continue;
      }
      let end = at;
      while (text[end + 1] === "*") end++;
      pattern.push(end === at ? STAR : GLOBSTAR);
      at = end;
    }
    this.#pattern = pattern;
    this.#reached = new Uint8Array(pattern.length + 1);
  }

  matches(name: string): boolean {
    if (!name.startsWith(this.#literalPrefix)) return false;
    const pattern = this.#pattern;
    const start = this.#literalPrefix.length;
    if (pattern.length === 0) return name.length === start;
    if (pattern.length === 1) return pattern[0] === GLOBSTAR || !this.#isStopped(name, start);
    return this.#simulate(name, start, false);
  }

  /** Does it match some name that begins so? */
  matchesSomeFrom(beginning: string): boolean {
    const prefix = this.#literalPrefix;
    if (beginning.length <= prefix.length) return prefix.startsWith(beginning);
    if (!beginning.startsWith(prefix)) return false;
    this.#simulate(beginning, prefix.length, false);
    return this.#reached.includes(1);
  }

  /** As matches(), but no wildcard stands for the dot of a hidden file: where a segment begins with one, it is written out. */
  matchesVisible(name: string): boolean {
    if (!name.startsWith(this.#literalPrefix)) return false;
    return this.#simulate(name, this.#literalPrefix.length, true);
  }

  /** Follows all ways to match at once: one pass over the pattern for each unit of the name. */
  #simulate(name: string, start: number, sparesHidden: boolean): boolean {
    const pattern = this.#pattern;
    const reached = this.#reached;
    const end = pattern.length;
    reached.fill(0);
    reached[0] = 1;
    this.#skipWildcards();
    for (let at = start; at < name.length; at++) {
      const unit = name.charCodeAt(at);
      const stops = this.#stopsAt(unit);
      const isSpared = sparesHidden && unit === DOT && (at === 0 || name.charCodeAt(at - 1) === SLASH);
      let isAlive = false;
      // From the end, so that each position is read before the one ahead of it writes to it.
      reached[end] = 0;
      for (let position = end - 1; position >= 0; position--) {
        if (reached[position] === 0) continue;
        const expected = pattern[position];
        const stays = !isSpared && (expected === GLOBSTAR || (expected === STAR && !stops));
        if (!stays) reached[position] = 0;
        if (expected === unit) reached[position + 1] = 1;
        if (stays || expected === unit) isAlive = true;
      }
      if (!isAlive) {
        reached.fill(0);
        return false;
      }
      this.#skipWildcards();
    }
    return reached[end] === 1;
  }

  /** A wildcard may match nothing: what is reached before it is reached behind it. */
  #skipWildcards(): void {
    const pattern = this.#pattern;
    const reached = this.#reached;
    for (let position = 0; position < pattern.length; position++) {
      const expected = pattern[position];
      if (reached[position] === 1 && (expected === STAR || expected === GLOBSTAR)) reached[position + 1] = 1;
    }
  }

  #stopsAt(unit: number): boolean {
    return (unit === DOT && this.#stopsAtDot) || (unit === SLASH && this.#stopsAtSlash);
  }

  #isStopped(name: string, start: number): boolean {
    for (let at = start; at < name.length; at++) if (this.#stopsAt(name.charCodeAt(at))) return true;
    return false;
  }
}

/** What stands before the first `.` or `/`; the whole text when there is none. */
export function firstSegment(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === DOT || unit === SLASH) return text.slice(0, at);
  }
  return text;
}
