/** The numbers that the index has given to what entries have in common, as far as they are remembered. */

/** Of each kind. */
const KNOWN_MAX = 50_000;

/** Things are the same when their keys are; one that was asked for before is known without its key. */
export class Known<T extends object> {
  #byThing = new WeakMap<T, number>();
  readonly #byKey = new Map<string, number>();
  readonly #keyOf: (thing: T) => string;

  constructor(keyOf: (thing: T) => string) {
    this.#keyOf = keyOf;
  }

  /** `find`: looks the number up, or gives one, for a key that is not remembered. */
  numberOf(thing: T, find: (key: string) => number): number {
    let number = this.#byThing.get(thing);
    if (number !== undefined) return number;
    const key = this.#keyOf(thing);
    number = this.#byKey.get(key) ?? find(key);
    if (this.#byKey.size >= KNOWN_MAX) this.#byKey.clear();
    this.#byKey.set(key, number);
    this.#byThing.set(thing, number);
    return number;
  }

  clear(): void {
    this.#byThing = new WeakMap();
    this.#byKey.clear();
  }
}
