/** "Did you mean": the known word nearest to one that is not known. */

/** Longer words are not compared: the table grows with the product of the lengths. */
const WORD_CHARS_MAX = 64;
const LISTED_MAX = 20;

/** `Did you mean "x"?`, else the words there are, else nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const words = [...known];
  const near = nearest(word, words);
  if (near !== null) return `Did you mean "${near}"?`;
  if (words.length === 0) return "";
  const listed = words.slice(0, LISTED_MAX).join(", ");
  return `There is ${words.length > LISTED_MAX ? `${listed}, ...` : listed}`;
}

/** How many words are compared in one load of a set: enough for every mistake that people make. */
const COMPARISONS_MAX = 2_000_000;

/** "Did you mean" within bounds: a set that is full of unknown words gets no more suggestions after some time. */
export class Suggestions {
  #left = COMPARISONS_MAX;

  didYouMean(word: string, known: Iterable<string>): string {
    if (this.#left <= 0) return "";
    const words = [...known];
    this.#left -= words.length + 1;
    return didYouMean(word, words);
  }
}

/** The word within two edits (one for words under five letters), or null; the first of several equally near. */
function nearest(word: string, known: readonly string[]): string | null {
  if (word.length > WORD_CHARS_MAX) return null;
  const lower = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = word.length < 5 ? 2 : 3;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(lower, candidate.toLowerCase(), bestDistance);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/**
 * Insertions, deletions, substitutions and swaps of neighbours, each counted as one. Below `limit` it is exact; only
 * what lies that near to the diagonal is looked at.
 */
function editDistance(a: string, b: string, limit: number): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = [i];
    const first = Math.max(1, i - limit);
    const beyond = Math.min(b.length, i + limit);
    for (let j = first; j <= beyond; j++) {
      const substitution = (last[j - 1] ?? limit) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? limit) + 1, (row[j - 1] ?? limit) + 1, substitution);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? limit) + 1);
      row[j] = cost;
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? limit;
}
