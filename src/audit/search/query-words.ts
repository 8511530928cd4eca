/** Words as people type them, turned into queries of FTS5 that cannot be malformed and stay small. */
import { storable } from "./schema.ts";

/** Words of one search, and characters of one word; more is refused. */
const WORDS_MAX = 16;
const WORD_UNITS_MAX = 128;
/** A prefix (`cust*`) has at least this many letters or digits: a shorter one stands for too many words. */
const PREFIX_UNITS_MIN = 2;

/** What cannot be searched for; the message says why. */
export class WordsRefused extends Error {}

/**
 * Words as queries of FTS5, one for each, without empty ones. What belongs together in a word (`public.orders`) is found
 * together; a star at its end stands for any ending. Throws WordsRefused.
 */
export function ftsPhrases(words: readonly string[]): readonly string[] {
  const wanted = words.filter((word) => word.trim() !== "");
  if (wanted.length > WORDS_MAX) throw new WordsRefused(`a search has at most ${WORDS_MAX} words`);
  return wanted.map(phrase);
}

/** All of the words as one query; null: no words. Throws WordsRefused. */
export function ftsQuery(words: readonly string[]): string | null {
  const phrases = ftsPhrases(words);
  return phrases.length === 0 ? null : phrases.join(" AND ");
}

function phrase(word: string): string {
  if (word.length > WORD_UNITS_MAX) throw new WordsRefused(`a word has at most ${WORD_UNITS_MAX} characters`);
  const isPrefix = word.endsWith("*");
  const text = storable(isPrefix ? word.slice(0, -1) : word);
  const letters = countLetters(text);
  if (letters === 0) throw new WordsRefused(`"${word}" has no letters and no digits to search for`);
  if (isPrefix && letters < PREFIX_UNITS_MIN) {
    throw new WordsRefused(`"${word}" stands for too many words; write at least ${PREFIX_UNITS_MIN} letters before *`);
  }
  // In a string of FTS5 a quote is doubled, and nothing else means anything.
  return `"${text.replaceAll('"', '""')}"${isPrefix ? " *" : ""}`;
}

/** ASCII letters and digits, and whatever is not ASCII: of the rest FTS5 makes no words. */
function countLetters(text: string): number {
  let letters = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const isLetter = (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
    if (isLetter || (unit >= 0x30 && unit <= 0x39) || unit >= 0x80) letters++;
  }
  return letters;
}
