/** Every way in which a few things can come together; of many things, one at a time and all at once. */

/** More than this many are not combined: three answers of each would be too many. */
const COMBINED_MAX = 4;

export type Combinations<T> = { readonly all: readonly T[]; readonly isWhole: boolean };

/** Each key with each of the values; keys that are too many have the same value but for one of them. */
export function assignments<T>(keys: readonly string[], values: readonly T[]): Combinations<ReadonlyMap<string, T>> {
  const isWhole = keys.length <= COMBINED_MAX;
  const all: Map<string, T>[] = [];
  const assign = (known: ReadonlyMap<string, T>, at: number): void => {
    const key = keys[at];
    if (key === undefined) all.push(new Map(known));
    else for (const value of values) assign(new Map(known).set(key, value), at + 1);
  };
  if (isWhole) assign(new Map(), 0);
  else {
    for (const most of values) {
      const uniform = new Map(keys.map((key) => [key, most]));
      all.push(uniform);
      for (const key of keys)
        for (const value of values) if (value !== most) all.push(new Map(uniform).set(key, value));
    }
  }
  return { all, isWhole };
}

/** The sets of these, small ones first; of too many, those of one, and all. */
export function subsets<T>(items: readonly T[], itemsMax = COMBINED_MAX): Combinations<readonly T[]> {
  if (items.length > itemsMax) return { all: [[], ...items.map((item) => [item]), items], isWhole: false };
  const all: (readonly T[])[] = [];
  const extend = (set: readonly T[], from: number): void => {
    all.push(set);
    for (const [at, item] of items.entries()) if (at >= from) extend(set.concat([item]), at + 1);
  };
  extend([], 0);
  return { all: all.toSorted((one, other) => one.length - other.length), isWhole: true };
}
