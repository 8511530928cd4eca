/** What is looked for inside texts: literal parts and the author's patterns. */
import { foldCase } from "./names.ts";

/** A pattern of the vocabulary. It may throw when a text is too long for it. */
export type Finder = { readonly name: string; findsIn(text: string): boolean };

/** The parts of one key; the facts are texts. */
export class ContainsList {
  /** The parts as they are written, patterns as `$name`, sorted. */
  readonly texts: readonly string[];
  readonly #parts: readonly string[];
  readonly #patterns: readonly Finder[];
  readonly #folds: boolean;

  /** `folds`: literal parts are found without regard to case; a pattern says so itself. */
  constructor(parts: readonly string[], patterns: readonly Finder[], style: { readonly folds?: boolean } = {}) {
    this.#folds = style.folds === true;
    this.#parts = this.#folds ? parts.map(foldCase) : parts;
    this.#patterns = patterns;
    this.texts = [...parts, ...patterns.map(({ name }) => `$${name}`)].toSorted();
  }

  /** True when every text holds something that is listed; false for no texts at all. */
  hasEvery(texts: readonly string[]): boolean {
    return texts.length > 0 && texts.every((text) => this.#isIn(text));
  }

  hasAny(texts: readonly string[]): boolean {
    return texts.some((text) => this.#isIn(text));
  }

  #isIn(text: string): boolean {
    const compared = this.#folds ? foldCase(text) : text;
    return (
      this.#parts.some((part) => compared.includes(part)) || this.#patterns.some((pattern) => pattern.findsIn(text))
    );
  }
}
