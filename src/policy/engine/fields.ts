/** Values by the name of a field, such as the arguments of a tool call. */
import { foldCase } from "./names.ts";
import type { NameList } from "./names.ts";

/** The fields of one key, ANDed; the facts are texts `name=value`. Fields that are not listed may have any value. */
export class FieldsList {
  /** `name=value`, sorted. */
  readonly texts: readonly string[];
  readonly #values: ReadonlyMap<string, NameList>;
  readonly #folds: boolean;

  /** `folds`: names of fields are compared without regard to case; how values are is said by their lists. */
  constructor(fields: ReadonlyMap<string, NameList>, style: { readonly folds?: boolean } = {}) {
    this.#folds = style.folds === true;
    this.#values = new Map([...fields].map(([name, values]) => [this.#folds ? foldCase(name) : name, values]));
    this.texts = [...fields].flatMap(([name, values]) => values.texts.map((text) => `${name}=${text}`)).toSorted();
  }

  /** True when every listed field is there and each of its values is listed. */
  hasEvery(facts: readonly string[]): boolean {
    const seen = new Set<string>();
    for (const fact of facts) {
      const { name, value } = this.#read(fact);
      const values = this.#values.get(name);
      if (values === undefined) continue;
      if (!values.has(value)) return false;
      seen.add(name);
    }
    return seen.size === this.#values.size && seen.size > 0;
  }

  /** True when every listed field has some listed value. */
  hasAny(facts: readonly string[]): boolean {
    const seen = new Set<string>();
    for (const fact of facts) {
      const { name, value } = this.#read(fact);
      if (this.#values.get(name)?.has(value) === true) seen.add(name);
    }
    return seen.size === this.#values.size;
  }

  #read(fact: string): { readonly name: string; readonly value: string } {
    const end = fact.indexOf("=");
    const name = end === -1 ? fact : fact.slice(0, end);
    return { name: this.#folds ? foldCase(name) : name, value: end === -1 ? "" : fact.slice(end + 1) };
  }
}
