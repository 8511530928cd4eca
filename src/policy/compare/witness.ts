/** Names that stand for all others: from every class of names that some lists tell apart, one. */
import { isGlob } from "../engine/glob.ts";

/** A list of names, as far as it is looked at here. */
export type Listed = { readonly texts: readonly string[]; has(name: string): boolean };

const GLOB_PAIRS_MAX = 5000;
/** Of the product of two globs' lengths; longer ones have no common name looked for. */
const PLACES_MAX = 65_536;

/** A name that stands for others, and what people would call them all: literals and globs. */
export type Witness = { readonly name: string; readonly alike: readonly string[] };

/**
 * A name of each class that the lists tell apart: every literal, a name for each glob and for each two globs that have
 * one in common, and a stranger in none of the lists where there can be one.
 */
export function witnesses(lists: readonly Listed[], others: Iterable<string> = []): readonly Witness[] {
  const texts = [...new Set(lists.flatMap(({ texts: listed }) => listed))].toSorted();
  const globs = texts.filter(isGlob);
  const candidates = [
    ...[stranger(texts), ...others, ...texts.filter((text) => !isGlob(text))].map((name) => ({ name, text: name })),
    ...globs.flatMap((text) => samplesOf(text).map((name) => ({ name, text }))),
  ];
  let pairs = 0;
  for (const [at, one] of globs.entries()) {
    for (const other of globs.slice(at + 1)) {
      if (++pairs > GLOB_PAIRS_MAX) break;
      const name = commonName(one, other);
      if (name !== null) candidates.push({ name, text: name });
    }
  }
  const byMembership = Map.groupBy(candidates, ({ name }) => membershipOf(name, lists));
  return [...byMembership.values()].flatMap((alike): readonly Witness[] => {
    const [first] = alike;
    return first === undefined ? [] : [{ name: first.name, alike: [...new Set(alike.map(({ text }) => text))] }];
  });
}

/** In which of the lists a name is: equal texts, equal to all rules that look through these lists. */
export function membershipOf(name: string, lists: readonly Listed[]): string {
  let membership = "";
  for (const list of lists) membership += list.has(name) ? "1" : "0";
  return membership;
}

/** Stands for whatever no list names. */
export const STRANGER = "someone-else";

/** Was this name made up for whoever is in none of the lists by name? */
export function isStranger(name: string): boolean {
  return name.startsWith(STRANGER);
}

/** A name that no literal is. */
function stranger(texts: readonly string[]): string {
  let name = STRANGER;
  while (texts.includes(name)) name += "-";
  return name;
}

/** What stands for a glob's wildcards, the plainest first; in one glob's names, another's may be among them. */
const FILLINGS: readonly (readonly [star: string, globstar: string])[] = [
  ["x", "x"],
  ["", ""],
  ["x", "x.x"],
  ["x", "x/x"],
  ["other", "other"],
];

/** Names that the glob matches. */
export function samplesOf(glob: string): readonly string[] {
  return FILLINGS.map(([star, globstar]) =>
    glob.replaceAll("**", "\0").replaceAll("*", star).replaceAll("\0", globstar),
  );
}

/** The shortest name that both globs match; null when there is none. `*` is taken to stop at `.` and `/`. */
function commonName(one: string, other: string): string | null {
  const width = other.length + 1;
  if ((one.length + 1) * width > PLACES_MAX) return null;
  // By place: the name that leads there. A place is how far both globs have been read.
  const reached = new Map<number, string>([[0, ""]]);
  const end = one.length * width + other.length;
  for (const [place, name] of reached) {
    if (place === end) return name;
    const [at, otherAt] = [Math.floor(place / width), place % width];
    const [token, otherToken] = [one[at], other[otherAt]];
    const go = (step: number, otherStep: number, read: string): void => {
      const next = (at + step) * width + otherAt + otherStep;
      if (!reached.has(next)) reached.set(next, name + read);
    };
    // A wildcard may match nothing, or what the other glob has written out.
    if (token === "*") go(1, 0, "");
    if (otherToken === "*") go(0, 1, "");
    if (token === undefined || otherToken === undefined) continue;
    if (token === otherToken && token !== "*") go(1, 1, token);
    if (token === "*" && otherToken !== "*" && mayRead(one, at, otherToken)) go(0, 1, otherToken);
    if (otherToken === "*" && token !== "*" && mayRead(other, otherAt, token)) go(1, 0, token);
  }
  return null;
}

function mayRead(glob: string, at: number, character: string): boolean {
  const isDouble = glob[at + 1] === "*" || glob[at - 1] === "*";
  return isDouble || (character !== "." && character !== "/");
}
