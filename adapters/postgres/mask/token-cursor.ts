/** Walks the tokens of a text that mean something, from edit to edit, and measures the names it meets. */
import { isSpelled } from "./sql-characters.ts";
import { SqlLexer } from "./sql-lexer.ts";

/** How many tokens before the current one are remembered: `TABLE ONLY (name` needs three. */
const REMEMBERED = 3;

/** Its current token is never blank and never a comment. Nothing before it can be reached again but what is remembered. */
export class TokenCursor {
  readonly #bytes: Uint8Array;
  readonly #lexer: SqlLexer;
  /** The latest first. */
  readonly #starts: number[] = Array.from({ length: REMEMBERED }, () => 0);
  readonly #ends: number[] = Array.from({ length: REMEMBERED }, () => 0);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#lexer = new SqlLexer(bytes);
    this.#skip();
  }

  get start(): number {
    return this.#lexer.start;
  }

  /** Is the current token this one character? */
  isCharacter(character: string): boolean {
    return this.#lexer.isCharacter(character);
  }

  isWord(word: string): boolean {
    return this.#lexer.isWord(word);
  }

  /** False: no token begins at this byte, or the cursor is past it. */
  advanceTo(at: number): boolean {
    while (this.#lexer.start < at && this.#lexer.kind !== "end") this.step();
    return this.#lexer.start === at && this.#lexer.kind !== "end";
  }

  step(): void {
    for (let index = REMEMBERED - 1; index > 0; index--) {
      this.#starts[index] = this.#starts[index - 1] ?? 0;
      this.#ends[index] = this.#ends[index - 1] ?? 0;
    }
    this.#starts[0] = this.#lexer.start;
    this.#ends[0] = this.#lexer.end;
    this.#skip();
  }

  /** The byte at which the token this many before the current one begins, when it is this word or character; else -1. */
  startOfBefore(distance: number, spelling: string): number {
    const start = this.#starts[distance - 1] ?? 0;
    const end = this.#ends[distance - 1] ?? 0;
    return isSpelled(this.#bytes, start, end, spelling) ? start : -1;
  }

  /** Passes this character; the byte behind it, or -1 when the current token is another. */
  passCharacter(character: string): number {
    if (!this.isCharacter(character)) return -1;
    const { end } = this.#lexer;
    this.step();
    return end;
  }

  /** Passes `a.b.c` of this many parts, whose last is `*` when the name has a star; the byte behind it, or -1. */
  passName(parts: number, hasStar: boolean): number {
    let end = -1;
    for (let part = 1; part <= parts; part++) {
      if (part > 1 && this.passCharacter(".") < 0) return -1;
      end = hasStar && part === parts ? this.passCharacter("*") : this.passIdentifier();
      if (end < 0) return -1;
    }
    return end;
  }

  /** Passes one identifier and the UESCAPE that belongs to it; the byte behind it, or -1. */
  passIdentifier(): number {
    const { kind, end } = this.#lexer;
    if (kind === "identifier" || kind === "quoted-identifier") {
      this.step();
      return end;
    }
    if (kind !== "unicode-identifier") return -1;
    return this.#passEscaped();
  }

  /** Passes one string constant, or a word that may stand for one; the byte behind it, or -1. */
  passText(): number {
    return this.#lexer.kind === "string" ? this.#passEscaped() : this.passIdentifier();
  }

  /** Passes the current token and the UESCAPE that belongs to it. */
  #passEscaped(): number {
    const { end } = this.#lexer;
    this.step();
    if (!this.isWord("uescape")) return end;
    this.step();
    if (this.#lexer.kind !== "string") return -1;
    const behind = this.#lexer.end;
    this.step();
    return behind;
  }

  /** Passes the alias of a relation, if it is given, with its list of columns, if it has some; where it ends or would, or -1. */
  passAlias(isGiven: boolean, columns: number): number {
    if (!isGiven) return this.start;
    if (this.isWord("as")) this.step();
    let end = this.passIdentifier();
    for (let column = 0; column < columns && end >= 0; column++) {
      if (this.passCharacter(column === 0 ? "(" : ",") < 0) return -1;
      end = this.passIdentifier();
    }
    return columns === 0 || end < 0 ? end : this.passCharacter(")");
  }

  /** Passes a function's name of this many parts and its arguments; the byte behind them, or -1. */
  passCall(parts: number): number {
    return this.passName(parts, false) < 0 ? -1 : this.#passEnclosed();
  }

  /** Passes `TABLESAMPLE method (...)`, of a method's name of this many parts, and `REPEATABLE (...)`; the byte behind it, or -1. */
  passSample(parts: number, isRepeatable: boolean): number {
    if (!this.isWord("tablesample")) return -1;
    this.step();
    const end = this.passCall(parts);
    if (!isRepeatable || end < 0) return end;
    if (!this.isWord("repeatable")) return -1;
    this.step();
    return this.#passEnclosed();
  }

  /** Passes parentheses with all between them; the byte behind them, or -1. */
  #passEnclosed(): number {
    let depth = 0;
    do {
      const { kind, end } = this.#lexer;
      if (kind === "end") return -1;
      if (this.isCharacter("(")) depth++;
      else if (this.isCharacter(")") && --depth === 0) {
        this.step();
        return end;
      }
      this.step();
    } while (depth > 0);
    return -1;
  }

  #skip(): void {
    const lexer = this.#lexer;
    do lexer.next();
    while (lexer.kind === "blank" || lexer.kind === "comment");
  }
}
