/** From a command's text to the simple commands it runs: unbash parses, and every node that is not expected stops the reading. */
import { forEachChild, parse } from "unbash";
import type { Command, CommandNode, PipelineNode, Redirect, Statement, SyntaxNode, Word } from "unbash";
import { unreadableText } from "./text.ts";
import { readWord, type LiteralWord } from "./word.ts";

/** More simple commands in one text are not read: each is walked, and each is judged. */
const COMMANDS_MAX = 200;
/** More words in one text are not read. */
const WORDS_MAX = 4_096;
/** How deep in the tree commands within others are looked for, in texts of how many characters: substitutions are parsed anew. */
const INNER_DEPTH_MAX = 60;
const INNER_CHARS_MAX = 8_192;
/** More groups, substitutions, here-documents and the like are not given to the grammar, which takes longer for each. */
const OPENINGS_MAX = 500;
/** Nor more line breaks, semicolons, pipes and ampersands. */
const SEPARATORS_MAX = 2_000;

export type FileOperator = "<" | ">" | ">>" | ">|" | "<>";

export type Redirection =
  | {
      readonly kind: "file";
      readonly descriptor: number | null;
      readonly operator: FileOperator;
      readonly word: LiteralWord;
    }
  /** `2>&1`; `from` null: closed. */
  | {
      readonly kind: "copy";
      readonly descriptor: number | null;
      readonly operator: "<&" | ">&";
      readonly from: number | null;
    };

export type SimpleCommand = { readonly words: readonly LiteralWord[]; readonly redirections: readonly Redirection[] };

/** A pipeline, and what stands between it and the one before. */
export type Pipeline = {
  readonly operator: ";" | "&&" | "||";
  readonly isNegated: boolean;
  readonly commands: readonly SimpleCommand[];
};

export type Reading = {
  /** What could be read; all of it when `why` is null. */
  readonly pipelines: readonly Pipeline[];
  /** Half a sentence on the first thing that could not be read. */
  readonly why: string | null;
};

/** Never throws. */
export function readScript(text: string): Reading {
  const why = unreadableText(text) ?? tooMuchSyntax(text);
  if (why !== null) return { pipelines: [], why };
  try {
    const script = parse(text);
    const reader = new ScriptReader(text);
    if (script.errors !== undefined && script.errors.length > 0)
      reader.stop("something that is not the shell's grammar");
    if (script.shebang !== undefined) reader.stop("a comment (#)");
    reader.read(script.commands);
    if (reader.reading.why !== null && text.length <= INNER_CHARS_MAX) reader.readInner(script, 0);
    return reader.reading;
  } catch (error) {
    if (error instanceof RangeError || error instanceof Error) {
      return { pipelines: [], why: "something that the grammar stumbles over" };
    }
    throw error;
  }
}

/** What makes the grammar slow when there is much of it; in quotes they count too, which costs nothing. */
function tooMuchSyntax(text: string): string | null {
  let openings = 0;
  let separators = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x28 || unit === 0x7b || unit === 0x60 || (unit === 0x3c && text.charCodeAt(at + 1) === 0x3c)) {
      openings++;
    } else if (unit === 0x0a || unit === 0x3b || unit === 0x7c || unit === 0x26) separators++;
  }
  if (separators > SEPARATORS_MAX) return "more commands than are read";
  return openings > OPENINGS_MAX ? "more groups and substitutions than are read" : null;
}

class ScriptReader {
  readonly #text: string;
  readonly #pipelines: Pipeline[] = [];
  #why: string | null = null;
  readonly #seen = new Set<SyntaxNode>();
  #commandCount = 0;
  #wordCount = 0;
  /** Up to where the text is accounted for. */
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get reading(): Reading {
    return { pipelines: this.#pipelines, why: this.#why };
  }

  stop(why: string): void {
    this.#why ??= why;
  }

  read(statements: readonly Statement[]): void {
    let isFirst = true;
    for (const statement of statements) {
      if (statement.background === true) this.stop("a command in the background (&)");
      this.#skip(statement.pos, isFirst ? "start" : "separator");
      this.#statement(statement);
      isFirst = false;
    }
    this.#skip(this.#text.length, "end");
    if (this.#commandCount === 0) this.stop("no command");
  }

  /**
   * Adds what simple commands stand within others (loops, groups, substitutions) of a text that is not read: whatever
   * else it does, what it plainly says is judged too.
   */
  readInner(node: SyntaxNode, depth: number): void {
    if (depth > INNER_DEPTH_MAX || this.#commandCount > COMMANDS_MAX) return;
    forEachChild(node, (child) => {
      if (child.type === "Command" && !this.#seen.has(child)) this.#add(";", false, [this.#command(child)]);
      this.readInner(child, depth + 1);
    });
  }

  #statement({ command }: Statement): void {
    if (command.type !== "AndOr") {
      this.#pipeline(command, ";");
      return;
    }
    for (const [index, each] of command.commands.entries()) {
      const operator = index === 0 ? undefined : command.operators[index - 1];
      if (operator !== undefined) this.#skip(each.pos, operator);
      this.#pipeline(each, operator ?? ";");
    }
  }

  #pipeline(node: PipelineNode, operator: Pipeline["operator"]): void {
    if (node.type !== "Pipeline") {
      const command = this.#command(node);
      if (command !== null && isRedirectedTwice(command, false, false)) {
        this.stop("an input or output that is redirected twice");
      }
      this.#add(operator, false, [command]);
      return;
    }
    if (node.commands.length === 0) this.stop("a negation of nothing");
    let isNegated = false;
    for (const prefix of node.prefixes) {
      if (prefix.type !== "Negation" || isNegated) this.stop("time or a second ! before a command");
      isNegated = true;
      this.#skip(prefix.pos, "blank");
      this.#at = prefix.end;
    }
    const commands: (SimpleCommand | null)[] = [];
    for (const [index, each] of node.commands.entries()) {
      if (index > 0) {
        if (node.operators[index - 1] !== "|") this.stop("a pipe of errors (|&)");
        this.#skip(each.pos, "|");
      }
      const command = this.#command(each);
      if (command !== null && isRedirectedTwice(command, index > 0, index < node.commands.length - 1)) {
        this.stop("an input or output that is redirected twice");
      }
      commands.push(command);
    }
    this.#add(operator, isNegated, commands);
  }

  #add(operator: Pipeline["operator"], isNegated: boolean, commands: readonly (SimpleCommand | null)[]): void {
    const read = commands.filter((command) => command !== null);
    if (read.length > 0) this.#pipelines.push({ operator, isNegated, commands: read });
  }

  #command(node: CommandNode): SimpleCommand | null {
    this.#seen.add(node);
    if (node.type !== "Command") {
      this.stop(`a construct that is not a simple command (${node.type})`);
      return null;
    }
    if (++this.#commandCount > COMMANDS_MAX) {
      this.stop(`more than ${COMMANDS_MAX} commands`);
      return null;
    }
    return this.#simpleCommand(node);
  }

  #simpleCommand(node: Command): SimpleCommand | null {
    const words: LiteralWord[] = [];
    const redirections: Redirection[] = [];
    let isWhole = true;
    const name = node.name === undefined ? [] : [node.name];
    for (const item of [...node.prefix, ...name, ...node.suffix]) {
      if (item.pos === this.#at && isDigit(this.#text[this.#at - 1])) this.stop("a number that touches a redirection");
      this.#skip(item.pos, "blank");
      if (item.type === "Word") {
        const word = this.#word(item, words.length === 0);
        if (word === null) isWhole = false;
        else words.push(word);
      } else if (item.type === "Redirect") {
        const redirection = this.#redirection(item);
        if (redirection === null) isWhole = false;
        else redirections.push(redirection);
      } else {
        this.stop(item.type === "Assignment" ? "an assignment" : "a here-document");
        isWhole = false;
      }
      this.#at = item.end;
    }
    if (node.name === undefined) {
      this.stop("a redirection without a command");
      return null;
    }
    return isWhole ? { words, redirections } : null;
  }

  #word({ pos, end, value }: Word, isFirst: boolean): LiteralWord | null {
    if (++this.#wordCount > WORDS_MAX) {
      this.stop(`more than ${WORDS_MAX} words`);
      return null;
    }
    const word = readWord(this.#text.slice(pos, end), isFirst);
    if ("why" in word) {
      this.stop(word.why);
      return null;
    }
    // The grammar and this reading must be of one mind.
    if (word.value !== value) {
      this.stop("a word that the grammar reads differently");
      return null;
    }
    if (hasControl(word.value)) {
      this.stop("a line break or tab in a word");
      return null;
    }
    return word;
  }

  #redirection({ operator, descriptor, target, pos }: Redirect): Redirection | null {
    if (descriptor?.type === "FileDescriptorVariable" || (descriptor?.value ?? 0) > 2) {
      this.stop("a redirection of a descriptor that not all shells have");
      return null;
    }
    const number = descriptor?.value ?? null;
    if (target === undefined) {
      this.stop("a redirection without a file");
      return null;
    }
    this.#at = pos + (number === null ? 0 : 1) + operator.length;
    this.#skip(target.pos, "blank");
    const word = this.#word(target, false);
    if (word === null) return null;
    switch (operator) {
      case "<":
      case ">":
      case ">>":
      case ">|":
      case "<>":
        return { kind: "file", descriptor: number, operator, word };
      case "<&":
      case ">&":
        if (!word.isBare || !["0", "1", "2", "-"].includes(word.value)) {
          this.stop("a redirection to a descriptor that is no number");
          return null;
        }
        return { kind: "copy", descriptor: number, operator, from: word.value === "-" ? null : Number(word.value) };
      default:
        this.stop(`a redirection that not all shells know (${operator})`);
        return null;
    }
  }

  /** What stands between the parts that were read must be what is expected there, and nothing else. */
  #skip(to: number, expected: Between): void {
    const between = this.#text.slice(this.#at, to);
    this.#at = to;
    if (!isExpected(between, expected)) this.stop("a comment, or something that the grammar passed over");
  }
}

/** In zsh all of several redirections hold, in other shells the last one. */
function isRedirectedTwice({ redirections }: SimpleCommand, readsPipe: boolean, writesPipe: boolean): boolean {
  const descriptors = redirections.map(({ descriptor, operator }) => descriptor ?? (operator.startsWith("<") ? 0 : 1));
  if (readsPipe) descriptors.push(0);
  if (writesPipe) descriptors.push(1);
  return new Set(descriptors).size < descriptors.length;
}

/** What may stand between two parts; blanks may always. start: line breaks. separator, end: a semicolon, line breaks. */
type Between = "blank" | "start" | "separator" | "end" | "|" | "&&" | "||";

function isExpected(between: string, expected: Between): boolean {
  let rest = "";
  for (const character of between) if (character !== " " && character !== "\t") rest += character;
  switch (expected) {
    case "blank":
      return rest === "";
    case "start":
      return rest.replaceAll("\n", "") === "";
    case "separator":
      return rest === ";" || onlyLines(rest);
    case "end":
      return rest === "" || rest === ";" || onlyLines(rest);
    default:
      return rest.replaceAll("\n", "") === expected;
  }
}

/** Line breaks, with at most one semicolon before the first. */
function onlyLines(rest: string): boolean {
  const lines = rest.startsWith(";") ? rest.slice(1) : rest;
  return lines.length > 0 && lines.replaceAll("\n", "") === "";
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

function hasControl(value: string): boolean {
  return value.includes("\n") || value.includes("\t");
}
