/**
 * PostgreSQL's lexical rules (src/backend/parser/scan.l of 15 to 18, standard_conforming_strings on) over UTF-8 bytes.
 * It finds where tokens begin and end and never what they mean, in linear time. It is right about texts that the
 * parser has accepted; about others it only promises to cover all bytes.
 */

import {
  AMPERSAND,
  BACKSLASH,
  BLANK,
  COLON,
  DIGIT,
  DOLLAR,
  DOT,
  DOUBLE_QUOTE,
  EQUALS,
  IDENTIFIER_START,
  MINUS,
  NONE,
  OPERATOR,
  PLUS,
  PUNCTUATION,
  QUOTE,
  SLASH,
  STAR,
  UNDERSCORE,
  UNUSUAL_OPERATOR,
  has,
  isDigit,
  isHexDigit,
  isLetter,
  isNewline,
  isSpelled,
} from "./sql-characters.ts";

export type TokenKind =
  | "blank"
  | "comment"
  /** A word without quotes: a name or a keyword. */
  | "identifier"
  | "quoted-identifier"
  /** `U&"..."`; the UESCAPE that may follow is a token of its own. */
  | "unicode-identifier"
  /** Any string constant, with what continues it on later lines. */
  | "string"
  | "number"
  | "parameter"
  | "operator"
  | "punctuation"
  /** A character that begins no token, or something that never ends. */
  | "unknown"
  | "end";

/** One token at a time; together they cover the text without gaps. */
export class SqlLexer {
  /** Of the token that `next` has read: what it is, its first byte, and the byte behind its last. */
  kind: TokenKind = "blank";
  start = 0;
  end = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Reads the next token, blanks and comments included; its kind is `end` behind the last. */
  next(): void {
    const start = this.end;
    this.start = start;
    if (start >= this.#bytes.length) {
      this.kind = "end";
      return;
    }
    const byte = this.#at(start);
    if (has(byte, BLANK)) this.#take("blank", this.#afterBlanks(start));
    else if (has(byte, IDENTIFIER_START)) this.#takeWord(byte, start);
    else if (has(byte, DIGIT)) this.#take("number", this.#afterNumber(start));
    else if (byte === DOUBLE_QUOTE) this.#takeQuotedIdentifier("quoted-identifier", start + 1);
    else if (byte === QUOTE) this.#takeString(start + 1, true, false);
    else if (byte === DOLLAR) this.#takeDollar(start);
    else if (byte === DOT && has(this.#at(start + 1), DIGIT)) this.#take("number", this.#afterNumber(start));
    else if (has(byte, PUNCTUATION)) this.#takePunctuation(byte, start);
    else if (has(byte, OPERATOR)) this.#takeOperator(byte, start);
    else this.#take("unknown", start + 1);
  }

  /** The current token is this keyword or unquoted name (given in lower case, ASCII). */
  isWord(word: string): boolean {
    return this.kind === "identifier" && isSpelled(this.#bytes, this.start, this.end, word);
  }

  /** The current token is this one character. */
  isCharacter(character: string): boolean {
    return this.end === this.start + 1 && this.#at(this.start) === character.charCodeAt(0);
  }

  #at(index: number): number {
    return this.#bytes[index] ?? NONE;
  }

  #take(kind: TokenKind, end: number): void {
    this.kind = kind;
    this.end = end;
  }

  /** What has a beginning and no end reaches to the end of the text. */
  #takeUnended(): void {
    this.#take("unknown", this.#bytes.length);
  }

  #afterBlanks(start: number): number {
    let at = start;
    while (has(this.#at(at), BLANK)) at++;
    return at;
  }

  #takeWord(byte: number, start: number): void {
    const next = this.#at(start + 1);
    if (next === QUOTE) {
      if (isLetter(byte, "e")) return this.#takeString(start + 2, true, true);
      // A doubled quote does not go on within bits.
      if (isLetter(byte, "b") || isLetter(byte, "x")) return this.#takeString(start + 2, false, false);
    }
    if (next === AMPERSAND && isLetter(byte, "u")) {
      const quote = this.#at(start + 2);
      if (quote === QUOTE) return this.#takeString(start + 3, true, false);
      if (quote === DOUBLE_QUOTE) return this.#takeQuotedIdentifier("unicode-identifier", start + 3);
    }
    let at = start + 1;
    let character = next;
    while (has(character, IDENTIFIER_START | DIGIT) || character === DOLLAR) character = this.#at(++at);
    this.#take("identifier", at);
  }

  #takeQuotedIdentifier(kind: TokenKind, from: number): void {
    let at = from;
    for (;;) {
      at = this.#bytes.indexOf(DOUBLE_QUOTE, at);
      if (at < 0) return this.#takeUnended();
      if (this.#at(at + 1) !== DOUBLE_QUOTE) return this.#take(kind, at + 1);
      at += 2;
    }
  }

  /** From behind the opening quote; pieces that only blanks with a newline part are one string. */
  #takeString(from: number, doubles: boolean, escapes: boolean): void {
    let at = from;
    for (;;) {
      const byte = this.#at(at);
      if (byte === NONE) return this.#takeUnended();
      if (byte === BACKSLASH && escapes) at += 2;
      else if (byte !== QUOTE) at++;
      else if (doubles && this.#at(at + 1) === QUOTE) at += 2;
      else {
        const piece = this.#continuation(at + 1);
        if (piece < 0) return this.#take("string", at + 1);
        at = piece;
      }
    }
  }

  /** Behind a closing quote: the byte behind the quote that opens the next piece, or -1. */
  #continuation(from: number): number {
    let at = from;
    let hasNewline = false;
    for (;;) {
      const byte = this.#at(at);
      if (has(byte, BLANK)) {
        hasNewline ||= isNewline(byte);
        at++;
      } else if (byte === MINUS && this.#at(at + 1) === MINUS) {
        at = this.#afterLine(at);
      } else return hasNewline && byte === QUOTE ? at + 1 : -1;
    }
  }

  /** The newline that ends a line, or the end of the text. */
  #afterLine(from: number): number {
    let at = from;
    for (let byte = this.#at(at); byte !== NONE && !isNewline(byte); byte = this.#at(at)) at++;
    return at;
  }

  /** `$1`, `$tag$...$tag$`. */
  #takeDollar(start: number): void {
    let at = start + 1;
    if (has(this.#at(at), DIGIT)) {
      while (has(this.#at(at), DIGIT)) at++;
      return this.#take("parameter", at);
    }
    if (has(this.#at(at), IDENTIFIER_START)) {
      while (has(this.#at(at), IDENTIFIER_START | DIGIT)) at++;
    }
    if (this.#at(at) !== DOLLAR) return this.#take("unknown", start + 1);
    const length = at + 1 - start;
    for (at++; ; at++) {
      at = this.#bytes.indexOf(DOLLAR, at);
      if (at < 0) return this.#takeUnended();
      // A tag holds no dollar, so no byte is compared more than twice.
      let matched = 1;
      while (matched < length && this.#at(at + matched) === this.#at(start + matched)) matched++;
      if (matched === length) return this.#take("string", at + length);
    }
  }

  #afterNumber(start: number): number {
    if (this.#at(start) !== DOT) {
      const radix = this.#at(start + 1);
      const isPrefixed = isLetter(radix, "x") || isLetter(radix, "o") || isLetter(radix, "b");
      if (isPrefixed && this.#at(start) === 0x30) {
        const end = this.#afterDigits(start + 2, isHexDigit);
        if (end > start + 2) return end;
      }
    }
    let at = this.#afterDigits(start, isDigit);
    // `1..2` is a range: 1, two dots, 2.
    if (this.#at(at) === DOT && this.#at(at + 1) !== DOT) {
      at++;
      if (has(this.#at(at), DIGIT)) at = this.#afterDigits(at, isDigit);
    }
    if (!isLetter(this.#at(at), "e")) return at;
    const sign = this.#at(at + 1);
    const exponent = sign === PLUS || sign === MINUS ? at + 2 : at + 1;
    return has(this.#at(exponent), DIGIT) ? this.#afterDigits(exponent, isDigit) : at;
  }

  /** Behind digits with single underscores before them. */
  #afterDigits(from: number, isOne: (byte: number) => boolean): number {
    let at = from;
    for (;;) {
      const byte = this.#at(at);
      if (isOne(byte)) at++;
      else if (byte === UNDERSCORE && isOne(this.#at(at + 1))) at += 2;
      else return at;
    }
  }

  #takePunctuation(byte: number, start: number): void {
    const next = this.#at(start + 1);
    const isPair = (byte === COLON && (next === COLON || next === EQUALS)) || (byte === DOT && next === DOT);
    this.#take("punctuation", isPair ? start + 2 : start + 1);
  }

  #takeOperator(byte: number, start: number): void {
    const next = this.#at(start + 1);
    if (byte === MINUS && next === MINUS) return this.#take("comment", this.#afterLine(start));
    if (byte === SLASH && next === STAR) return this.#takeBlockComment(start);
    let at = start;
    let isUnusual = false;
    for (let character = byte; has(character, OPERATOR); character = this.#at(++at)) {
      const following = this.#at(at + 1);
      // A comment ends an operator.
      if (character === MINUS && following === MINUS) break;
      if (character === SLASH && following === STAR) break;
      isUnusual ||= has(character, UNUSUAL_OPERATOR);
    }
    // SQL's own operators do not end in a sign, so that `1=-1` needs no blank.
    if (!isUnusual) {
      for (let last = this.#at(at - 1); at > start + 1 && (last === PLUS || last === MINUS); last = this.#at(at - 1))
        at--;
    }
    this.#take("operator", at);
  }

  /** Block comments nest. */
  #takeBlockComment(start: number): void {
    let at = start + 2;
    for (let depth = 1; depth > 0;) {
      const byte = this.#at(at);
      if (byte === NONE) return this.#takeUnended();
      const next = this.#at(at + 1);
      if (byte === STAR && next === SLASH) {
        depth--;
        at += 2;
      } else if (byte === SLASH && next === STAR) {
        depth++;
        at += 2;
      } else at++;
    }
    this.#take("comment", at);
  }
}
