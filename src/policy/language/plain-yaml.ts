/**
 * Reads the plain part of YAML in which policy files are mostly written, in a tenth of the time that all of YAML takes:
 * block maps and lists, flow collections, and scalars on one line. Whatever is not surely plain is left to the
 * library: it accepts less than YAML does, and reads what it accepts as YAML does.
 */
import type { YamlEntry, YamlNode } from "./yaml-node.ts";

/** Thrown to leave everything that is under way: this is for the library. */
const NOT_PLAIN = new Error("not plain");
const DEPTH_MAX = 24;
const DIGITS_MAX = 15;

const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const APOSTROPHE = 0x27;
const COMMA = 0x2c;
const DASH = 0x2d;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** A document, or null when it is not plain. The text holds no control characters but line ends and tabs. */
export function readPlainYaml(text: string): YamlNode | null {
  try {
    return new PlainReader(text).read();
  } catch (error) {
    if (error === NOT_PLAIN) return null;
    throw error;
  }
}

/** A line with something on it: where it begins behind its indentation, and where it ends. */
type Line = {
  readonly indent: number;
  readonly start: number;
  readonly end: number;
  /** The line above it is a comment. */
  readonly followsComment: boolean;
};

class PlainReader {
  readonly #text: string;
  readonly #lines: readonly Line[];
  /** The line that is looked at. */
  #at = 0;
  /** Within a line: where its flow collections and scalars are read. */
  #position = 0;
  #end = 0;
  /** The indentation of the block around the flow collection that is read. */
  #blockIndent = 0;

  constructor(text: string) {
    // Tabs, carriage returns and byte order marks have rules of their own.
    if (text.includes("\t") || text.includes("\r") || text.includes("\ufeff")) throw NOT_PLAIN;
    this.#text = text;
    this.#lines = linesOf(text);
  }

  read(): YamlNode {
    const first = this.#lines[0];
    if (first?.indent !== 0) throw NOT_PLAIN;
    const node = this.#block(0, 0);
    if (this.#at !== this.#lines.length) throw NOT_PLAIN;
    return node;
  }

  /** The block map or list that begins on this line, at its indentation. */
  #block(indent: number, depth: number): YamlNode {
    const line = this.#lines[this.#at];
    if (line === undefined || depth > DEPTH_MAX) throw NOT_PLAIN;
    return this.#isItem(line) ? this.#list(line.start, indent, depth) : this.#map(line.start, indent, depth);
  }

  #isItem({ start, end }: Line): boolean {
    if (this.#text.charCodeAt(start) !== DASH) return false;
    return start + 1 === end || this.#text.charCodeAt(start + 1) === SPACE;
  }

  #list(start: number, indent: number, depth: number): YamlNode {
    const items: YamlNode[] = [];
    for (
      let line = this.#lines[this.#at];
      line?.indent === indent && this.#isItem(line);
      line = this.#lines[this.#at]
    ) {
      let at = line.start + 1;
      while (this.#text.charCodeAt(at) === SPACE) at++;
      if (at >= line.end || this.#text.charCodeAt(at) === HASH) throw NOT_PLAIN;
      items.push(this.#item(at, indent, at - line.start + indent, line, depth + 1));
    }
    return { kind: "list", start, items };
  }

  /** What stands behind a dash: a map that goes on below, or a value on this line. */
  #item(at: number, listIndent: number, indent: number, line: Line, depth: number): YamlNode {
    if (depth > DEPTH_MAX) throw NOT_PLAIN;
    this.#position = at;
    this.#end = line.end;
    const first = this.#text.charCodeAt(at);
    if (first === DASH && this.#isItem({ ...line, start: at })) throw NOT_PLAIN;
    const isValue = first === OPEN_BRACE || first === OPEN_BRACKET || first === QUOTE || first === APOSTROPHE;
    if (isValue || this.#keyEnd(at, line.end) === -1) return this.#lineValue(listIndent, depth);
    return this.#map(at, indent, depth);
  }

  /** A block map whose first key is at `start`, on this line. */
  #map(start: number, indent: number, depth: number): YamlNode {
    const entries: YamlEntry[] = [];
    let keyStart = start;
    for (;;) {
      const line = this.#lines[this.#at];
      if (line === undefined) throw NOT_PLAIN;
      const keyEnd = this.#keyEnd(keyStart, line.end);
      if (keyEnd === -1) throw NOT_PLAIN;
      const key = this.#key(keyStart, keyEnd);
      this.#position = keyEnd + 1;
      this.#end = line.end;
      this.#skipSpaces();
      entries.push({ key, keyStart, value: this.#entryValue(indent, depth + 1) });
      const next = this.#lines[this.#at];
      if (next?.indent !== indent || this.#isItem(next)) break;
      keyStart = next.start;
    }
    // What follows must belong to a block around this one.
    if ((this.#lines[this.#at]?.indent ?? 0) > indent) throw NOT_PLAIN;
    return { kind: "map", start, entries };
  }

  /** What stands behind a key: a value on this line, or a block below. */
  #entryValue(indent: number, depth: number): YamlNode {
    if (this.#position < this.#end && this.#text.charCodeAt(this.#position) !== HASH)
      return this.#lineValue(indent, depth);
    this.#at++;
    const below = this.#lines[this.#at];
    if (below === undefined) throw NOT_PLAIN;
    // A list may stand as far left as the key that it belongs to.
    if (below.indent <= indent && !(below.indent === indent && this.#isItem(below))) throw NOT_PLAIN;
    const first = this.#text.charCodeAt(below.start);
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return this.#block(below.indent, depth);
    this.#position = below.start;
    this.#end = below.end;
    return this.#lineValue(indent, depth);
  }

  /** A value that ends on this line; goes on to the next line. `indent` is that of the block around it. */
  #lineValue(indent: number, depth: number): YamlNode {
    this.#blockIndent = indent;
    const value = this.#value(false, depth);
    this.#skipSpaces();
    const isComment =
      this.#text.charCodeAt(this.#position) === HASH && this.#text.charCodeAt(this.#position - 1) === SPACE;
    if (this.#position !== this.#end && !isComment) throw NOT_PLAIN;
    this.#at++;
    const next = this.#lines[this.#at];
    // A line that is further in would go on with the scalar.
    if (next !== undefined && next.indent > indent) throw NOT_PLAIN;
    return value;
  }

  /** Where the colon of a plain key is that begins here; -1 when none does. */
  #keyEnd(start: number, end: number): number {
    for (let at = start; at < end; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit === COLON) return at + 1 === end || this.#text.charCodeAt(at + 1) === SPACE ? at : -1;
      if (!isKeyUnit(unit)) return -1;
    }
    return -1;
  }

  #key(start: number, end: number): string {
    const key = this.#text.slice(start, end);
    if (!isLetter(key.charCodeAt(0)) || isReserved(key)) throw NOT_PLAIN;
    return key;
  }

  #value(isFlow: boolean, depth: number): YamlNode {
    if (depth > DEPTH_MAX) throw NOT_PLAIN;
    switch (this.#text.charCodeAt(this.#position)) {
      case OPEN_BRACE:
        return this.#flowMap(depth);
      case OPEN_BRACKET:
        return this.#flowList(depth);
      case QUOTE:
      case APOSTROPHE:
        return this.#quoted();
      default:
        return this.#plain(isFlow);
    }
  }

  #flowList(depth: number): YamlNode {
    const start = this.#position++;
    const items: YamlNode[] = [];
    this.#skipInFlow();
    if (this.#take(CLOSE_BRACKET)) return { kind: "list", start, items };
    for (;;) {
      items.push(this.#value(true, depth + 1));
      this.#skipInFlow();
      const isParted = this.#take(COMMA);
      this.#skipInFlow();
      if (this.#take(CLOSE_BRACKET)) return { kind: "list", start, items };
      if (!isParted) throw NOT_PLAIN;
    }
  }

  #flowMap(depth: number): YamlNode {
    const start = this.#position++;
    const entries: YamlEntry[] = [];
    this.#skipInFlow();
    if (this.#take(CLOSE_BRACE)) return { kind: "map", start, entries };
    for (;;) {
      const keyStart = this.#position;
      const keyEnd = this.#keyEnd(keyStart, this.#end);
      if (keyEnd === -1) throw NOT_PLAIN;
      const key = this.#key(keyStart, keyEnd);
      this.#position = keyEnd + 1;
      this.#skipInFlow();
      entries.push({ key, keyStart, value: this.#value(true, depth + 1) });
      this.#skipInFlow();
      const isParted = this.#take(COMMA);
      this.#skipInFlow();
      if (this.#take(CLOSE_BRACE)) return { kind: "map", start, entries };
      if (!isParted) throw NOT_PLAIN;
    }
  }

  /** A quoted text without escapes. */
  #quoted(): YamlNode {
    const start = this.#position;
    const quote = this.#text.charCodeAt(start);
    let at = start + 1;
    for (; at < this.#end; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit === quote) break;
      if (unit === BACKSLASH && quote === QUOTE) throw NOT_PLAIN;
    }
    // A doubled apostrophe is an escape, and a text that goes on below has rules for its line ends.
    if (at >= this.#end || this.#text.charCodeAt(at + 1) === quote) throw NOT_PLAIN;
    this.#position = at + 1;
    return { kind: "scalar", start, end: at + 1, value: this.#text.slice(start + 1, at), isBlank: false };
  }

  #plain(isFlow: boolean): YamlNode {
    const text = this.#text;
    const start = this.#position;
    let end = start;
    for (let at = start; at < this.#end; at++) {
      const unit = text.charCodeAt(at);
      if (unit === SPACE) continue;
      if (unit === HASH && text.charCodeAt(at - 1) === SPACE) {
        if (isFlow) throw NOT_PLAIN;
        break;
      }
      if (isFlow && (unit === COMMA || unit === CLOSE_BRACKET || unit === CLOSE_BRACE)) break;
      if (isFlow && (unit === OPEN_BRACKET || unit === OPEN_BRACE)) throw NOT_PLAIN;
      if (unit === COLON && !isPlainFollower(text.charCodeAt(at + 1), at + 1 < this.#end)) throw NOT_PLAIN;
      end = at + 1;
    }
    this.#position = end;
    const written = text.slice(start, end);
    return { kind: "scalar", start, end, value: resolve(written), isBlank: false };
  }

  #skipSpaces(): void {
    while (this.#position < this.#end && this.#text.charCodeAt(this.#position) === SPACE) this.#position++;
  }

  /** As #skipSpaces(), also over the ends of lines and comments: in a flow collection they part what spaces part. */
  #skipInFlow(): void {
    for (;;) {
      this.#skipSpaces();
      const isComment = this.#text.charCodeAt(this.#position) === HASH;
      if (isComment && this.#text.charCodeAt(this.#position - 1) !== SPACE) throw NOT_PLAIN;
      if (this.#position < this.#end && !isComment) return;
      this.#at++;
      const next = this.#lines[this.#at];
      // Also a comment must not stand too far left here, and comments are no longer among the lines.
      if (next === undefined || next.indent <= this.#blockIndent || next.followsComment) throw NOT_PLAIN;
      this.#position = next.start;
      this.#end = next.end;
    }
  }

  #take(unit: number): boolean {
    if (this.#position >= this.#end || this.#text.charCodeAt(this.#position) !== unit) return false;
    this.#position++;
    return true;
  }
}

/** The lines that hold more than spaces and a comment, without spaces at their ends. */
function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  let followsComment = false;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const next = newline === -1 ? text.length : newline;
    let start = at;
    while (start < next && text.charCodeAt(start) === SPACE) start++;
    let end = next;
    while (end > start && text.charCodeAt(end - 1) === SPACE) end--;
    const first = text.charCodeAt(start);
    // Marks of documents and directives stand at the beginning of a line.
    const isMark = start === at && (first === 0x25 || text.startsWith("---", start) || text.startsWith("...", start));
    if (isMark) throw NOT_PLAIN;
    if (end > start && first === HASH) followsComment = true;
    else if (end > start) {
      lines.push({ indent: start - at, start, end, followsComment });
      followsComment = false;
    }
    at = next + 1;
  }
  return lines;
}

function isLetter(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a);
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Letters, digits and `_ - . /`. */
function isKeyUnit(unit: number): boolean {
  return isLetter(unit) || isDigit(unit) || unit === 0x5f || unit === DASH || unit === 0x2e || unit === 0x2f;
}

/** May it stand behind a colon that is part of a plain scalar? */
function isPlainFollower(unit: number, isWithin: boolean): boolean {
  return isWithin && (isLetter(unit) || isDigit(unit) || unit === 0x2f);
}

const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ["null", null],
  ["true", true],
  ["false", false],
]);

/** A word that YAML may read as something else than text, in whatever case. */
function isReserved(text: string): boolean {
  return text.length <= 5 && WORDS.has(text.toLowerCase());
}

/** The value of a plain scalar as YAML's core schema has it. */
function resolve(text: string): string | number | boolean | null {
  const first = text.charCodeAt(0);
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  if (isReserved(text)) throw NOT_PLAIN;
  // `_`, `$`, `/`, `(` and every letter, also those beyond ASCII, begin nothing but text.
  if (isLetter(first) || first === 0x5f || first === 0x24 || first === 0x2f || first === 0x28 || first > 0xa0)
    return text;
  if (isWhole(text)) return Number(text);
  const isNumeric = isDigit(first) || first === DASH || first === 0x2e;
  if (!isNumeric || mayBeNumber(text)) throw NOT_PLAIN;
  // A dash begins a text only when something other than a space follows it.
  if (first === DASH && text.charCodeAt(1) === SPACE) throw NOT_PLAIN;
  return text;
}

/** Digits alone, without zeros in front, few enough to be exact. */
function isWhole(text: string): boolean {
  if (text === "0") return true;
  if (text.length > DIGITS_MAX || text.startsWith("0")) return false;
  for (let at = 0; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false;
  return text !== "";
}

/** May YAML read it as a number? Yes for more than those that are: what is in doubt is the library's. */
function mayBeNumber(text: string): boolean {
  const rest = text.startsWith("-") || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "" || rest.startsWith("0x") || rest.startsWith("0o")) return true;
  const word = rest.length === 4 ? rest.toLowerCase() : "";
  if (word === ".inf" || word === ".nan") return true;
  let digits = 0;
  for (let at = 0; at < rest.length; at++) {
    const unit = rest.charCodeAt(at);
    if (isDigit(unit)) digits++;
    else if (unit === DASH || unit === 0x2b) {
      if (!isExponent(rest.charCodeAt(at - 1))) return false;
    } else if (unit !== 0x2e && !isExponent(unit)) return false;
  }
  return digits > 0 || !isPath(text);
}

/** `e` and `E`. */
function isExponent(unit: number): boolean {
  return unit === 0x65 || unit === 0x45;
}

/** Dots that stand for folders. */
function isPath(text: string): boolean {
  return text === "." || text === "..";
}
