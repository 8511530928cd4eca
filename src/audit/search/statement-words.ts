/**
 * The words of a recorded PostgreSQL statement that surely are keywords or names. Everything else is left out: literals of
 * all kinds, numbers, comments, what stands in quotes, and whatever follows a place where the text could be read in two ways.
 */

/** Statements whose bare words are keywords and names only. In others (SET, for one) a bare word can be a value. */
const PLAIN = new Set(["select", "insert", "update", "delete", "merge", "with", "values", "table"]);
/** What other statements begin with, as far as that is kept of them. */
const COMMANDS = new Set(
  `abort alter analyze begin call checkpoint close cluster comment commit copy create database deallocate declare discard do drop
  end execute explain extension fetch function grant import index listen load lock materialized move notify policy prepare procedure
  reassign refresh reindex release reset revoke role rollback rule savepoint schema security sequence set show start table
  transaction trigger truncate type unlisten user vacuum view`
    .split("\n")
    .flatMap((line) => line.trim().split(" ")),
);
const WORDS_MAX = 256;
const TEXT_UNITS_MAX = 256 * 1024;
/** Longer names are cut by the server. */
const NAME_UNITS_MAX = 63;

/** Different words in lower case, in the order in which they come first. */
export function statementWords(text: string): readonly string[] {
  // A text that was not whole UTF-8, or was cut, may be read otherwise by the server.
  if (text.length > TEXT_UNITS_MAX || text.includes("\u{fffd}") || text.includes("\0")) return [];
  return new StatementScanner(text).words();
}

class StatementScanner {
  readonly #text: string;
  #at = 0;
  readonly #words = new Set<string>();
  /** The place of the next bare word in its statement, and whether all of them may be kept. */
  #place = 0;
  #isPlain = false;

  constructor(text: string) {
    this.#text = text;
  }

  words(): readonly string[] {
    while (this.#at < this.#text.length && this.#words.size < WORDS_MAX) {
      if (!this.#step()) break;
    }
    return [...this.#words];
  }

  /** Takes one token. False: from here on nothing is certain. */
  #step(): boolean {
    const text = this.#text;
    const char = text[this.#at] ?? "";
    const next = text[this.#at + 1] ?? "";
    if (char === "'") return this.#quoted("'", false);
    if (char === '"') return this.#quoted('"', false);
    if (char === "-" && next === "-") return this.#lineComment();
    if (char === "/" && next === "*") return this.#comment();
    if (char === "$") return isDigit(next) ? this.#number() : this.#dollarQuoted();
    // Outside of quotes it means nothing to PostgreSQL: the text is not what it seems.
    if (char === "\\") return false;
    if (isDigit(char) || (char === "." && isDigit(next))) return this.#number();
    if (isNameStart(char)) return this.#word();
    if (char === ";") this.#place = 0;
    this.#at++;
    return true;
  }

  #word(): boolean {
    const from = this.#at;
    while (isNamePart(this.#text[this.#at] ?? "")) this.#at++;
    const word = this.#text.slice(from, this.#at).toLowerCase();
    const quote = this.#text[this.#at] ?? "";
    // E'...' has escapes; of B, X and N only the quote matters. U&'...' and U&"..." are left to their quotes below.
    if (quote === "'" && (word === "e" || word === "b" || word === "x" || word === "n"))
      return this.#quoted("'", word === "e");
    if (word === "u" && quote === "&" && (this.#text[this.#at + 1] === "'" || this.#text[this.#at + 1] === '"')) {
      this.#at++;
      return true;
    }
    if (this.#place === 0) this.#isPlain = PLAIN.has(word);
    const isKept = this.#isPlain || (this.#place < 2 && COMMANDS.has(word));
    this.#place++;
    if (isKept && word.length <= NAME_UNITS_MAX) this.#words.add(word);
    return true;
  }

  /** From a quote to its end; a doubled quote is inside. Backslashes escape, or make the end uncertain. */
  #quoted(quote: string, hasEscapes: boolean): boolean {
    const text = this.#text;
    let at = this.#at + 1;
    for (; at < text.length; at++) {
      const char = text[at];
      if (char === "\\" && quote === "'") {
        // Whether it escapes depends on a setting (standard_conforming_strings) unless the literal says so.
        if (!hasEscapes) return false;
        at++;
      } else if (char === quote) {
        if (text[at + 1] !== quote) break;
        at++;
      }
    }
    if (at >= text.length) return false;
    this.#at = at + 1;
    return true;
  }

  #lineComment(): boolean {
    while (this.#at < this.#text.length && this.#text[this.#at] !== "\n" && this.#text[this.#at] !== "\r") this.#at++;
    return true;
  }

  /** Comments nest. */
  #comment(): boolean {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const pair = this.#text.slice(this.#at, this.#at + 2);
      if (pair === "/*") depth++;
      else if (pair === "*/") depth--;
      this.#at += pair === "/*" || pair === "*/" ? 2 : 1;
      if (depth === 0) return true;
    }
    return false;
  }

  #dollarQuoted(): boolean {
    let at = this.#at + 1;
    while (at < this.#text.length && isNamePart(this.#text[at] ?? "") && this.#text[at] !== "$") at++;
    if (this.#text[at] !== "$") return false;
    const tag = this.#text.slice(this.#at, at + 1);
    const end = this.#text.indexOf(tag, at + 1);
    if (end === -1) return false;
    this.#at = end + tag.length;
    return true;
  }

  /** A number with whatever hangs on to it. */
  #number(): boolean {
    this.#at++;
    while (isNamePart(this.#text[this.#at] ?? "") || this.#text[this.#at] === ".") this.#at++;
    return true;
  }
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9" && char.length === 1;
}

function isNameStart(char: string): boolean {
  return (char >= "a" && char <= "z") || (char >= "A" && char <= "Z") || char === "_" || char >= "\u{80}";
}

function isNamePart(char: string): boolean {
  return char !== "" && (isNameStart(char) || isDigit(char) || char === "$");
}
