/** A search's conditions as bits: which of them each who and each what fulfils, so that an entry is tested by one OR. */
import type { Columns } from "./columns.ts";
import { ftsPhrases } from "./query-words.ts";
import { storable } from "./schema.ts";
import type { SearchFilter } from "./search.ts";
import { numberIn, type SearchFile } from "./search-file.ts";

/** The conditions on who, those on what, and from here on one bit for each word, which either may have. */
const WHO_FITS = 1;
const WHAT_FITS = 2;
const WORD_BITS_FROM = 2;

export class Masks {
  readonly #whos: Uint32Array;
  readonly #whats: Uint32Array;
  readonly #all: number;

  private constructor(whos: Uint32Array, whats: Uint32Array, all: number) {
    this.#whos = whos;
    this.#whats = whats;
    this.#all = all;
  }

  /** Throws WordsRefused. */
  static of(file: SearchFile, filter: SearchFilter): Masks {
    const phrases = ftsPhrases(filter.words ?? []);
    const mask = (table: string): Uint32Array =>
      new Uint32Array(numberIn(file.get(`SELECT coalesce(max(id), 0) + 1 FROM ${table}`), 0));
    const [whos, whats] = [mask("who"), mask("what")];
    const set = (masks: Uint32Array, bit: number, sql: string, values: readonly string[]): void => {
      for (const row of file.all(sql, values)) {
        const id = numberIn(row, 0);
        masks[id] = (masks[id] ?? 0) | bit;
      }
    };
    const who = conditions(filter, ["subject", "issuer", "target"]);
    set(whos, WHO_FITS, `SELECT id FROM who${who.sql}`, who.values);
    const what = conditions(filter, ["event", "decision", "refusal", "status"], filter.rule);
    set(whats, WHAT_FITS, `SELECT id FROM what${what.sql}`, what.values);
    for (const [at, phrase] of phrases.entries()) {
      const bit = 1 << (WORD_BITS_FROM + at);
      set(whos, bit, "SELECT rowid FROM who_word WHERE who_word MATCH ?", [phrase]);
      set(whats, bit, "SELECT rowid FROM what_word WHERE what_word MATCH ?", [phrase]);
    }
    return new Masks(whos, whats, (1 << (WORD_BITS_FROM + phrases.length)) - 1);
  }

  /** No entry of the log can fulfil all of it. */
  get areHopeless(): boolean {
    return (union(this.#whos) | union(this.#whats)) !== this.#all;
  }

  /** Whether the entry at a place of a stretch fulfils all; null: none of them can. */
  testOf(columns: Columns): ((place: number) => boolean) | null {
    const all = this.#all;
    const [whos, whats] = [maskOf(this.#whos, columns.whos), maskOf(this.#whats, columns.whats)];
    if ((union(whos) | union(whats)) !== all) return null;
    const { pairs, count } = columns;
    return (place) => ((whos[pairs[place] ?? 0] ?? 0) | (whats[pairs[count + place] ?? 0] ?? 0)) === all;
  }
}

/** The masks of the numbers in a dictionary. */
function maskOf(masks: Uint32Array, ids: Uint32Array): Uint32Array {
  const own = new Uint32Array(ids.length);
  for (let at = 0; at < ids.length; at++) own[at] = masks[ids[at] ?? 0] ?? 0;
  return own;
}

function union(masks: Uint32Array): number {
  let bits = 0;
  for (let at = 0; at < masks.length; at++) bits |= masks[at] ?? 0;
  return bits;
}

function conditions(
  filter: SearchFilter,
  columns: readonly ("subject" | "issuer" | "target" | "event" | "decision" | "refusal" | "status")[],
  rule?: string,
): { readonly sql: string; readonly values: readonly string[] } {
  const parts: string[] = [];
  const values: string[] = [];
  for (const column of columns) {
    const value = filter[column];
    if (value === undefined) continue;
    parts.push(`${column} = ?`);
    values.push(storable(value));
  }
  if (rule !== undefined) {
    parts.push("id IN (SELECT what FROM rule WHERE name = ?)");
    values.push(storable(rule));
  }
  return { sql: parts.length === 0 ? "" : ` WHERE ${parts.join(" AND ")}`, values };
}
