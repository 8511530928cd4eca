/** Patterns of whole commands: a list of words, each a literal, a glob, or one of several. */
import { Glob, isGlob } from "./glob.ts";

/** A word as it is written: a literal or glob, or several of which one must match. */
export type WrittenWord = string | readonly string[];

type Word = {
  readonly literals: ReadonlySet<string>;
  /** Where `*` stops at `/`. */
  readonly narrow: readonly Glob[];
  /** The same globs, but nothing stops them. */
  readonly wide: readonly Glob[];
  /** Globs that begin with a wildcard; they match no word that begins with `-`, which would be an option. */
  readonly isFree: readonly boolean[];
};

/** Patterns of one key; the facts are the words of one command, in order. A pattern matches a command as a whole. */
export class ArgvList {
  /** The patterns as people read them, sorted. */
  readonly texts: readonly string[];
  readonly patterns: readonly (readonly WrittenWord[])[];
  readonly #patterns: readonly (readonly Word[])[];

  constructor(patterns: readonly (readonly WrittenWord[])[]) {
    this.patterns = patterns;
    this.texts = patterns.map((pattern) => pattern.map(textOf).join(" ")).toSorted();
    this.#patterns = patterns.map((pattern) => pattern.map(compileWord));
  }

  /** Does some pattern surely cover the command? `*` stops at `/`. */
  hasEvery(command: readonly string[]): boolean {
    return this.#patterns.some((pattern) => matches(pattern, command, "narrow"));
  }

  /** Could some pattern mean the command? `*` stands for anything in a word. */
  hasAny(command: readonly string[]): boolean {
    return this.#patterns.some((pattern) => matches(pattern, command, "wide"));
  }
}

function compileWord(written: WrittenWord): Word {
  const choices = typeof written === "string" ? [written] : written;
  const globs = choices.filter(isGlob);
  return {
    literals: new Set(choices.filter((text) => !isGlob(text))),
    narrow: globs.map((text) => new Glob(text, "path")),
    wide: globs.map((text) => new Glob(text, "word")),
    isFree: globs.map((text) => text.startsWith("*")),
  };
}

function matches(pattern: readonly Word[], command: readonly string[], breadth: "narrow" | "wide"): boolean {
  if (pattern.length !== command.length || command.length === 0) return false;
  for (const [at, word] of pattern.entries()) {
    const given = command[at];
    if (given === undefined) return false;
    if (word.literals.has(given)) continue;
    const isOption = given.startsWith("-");
    if (!word[breadth].some((glob, index) => !(isOption && word.isFree[index]) && glob.matches(given))) return false;
  }
  return true;
}

function textOf(word: WrittenWord): string {
  return typeof word === "string" ? word : `{${word.join(",")}}`;
}
