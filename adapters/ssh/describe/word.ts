/** Reads one word of a command as its source spells it: only quoting that every POSIX shell reads alike. */

/** A word whose value is known. */
export type LiteralWord = {
  readonly value: string;
  /** Written without any quoting, in characters that mean nothing to any shell. */
  readonly isBare: boolean;
  /** Null; or what follows the `~` at its beginning, which stands for the login's home. */
  readonly afterHome: string | null;
};

/** Why a word's value is not known: half a sentence. */
export type UnreadWord = { readonly why: string };

/** What may stand unquoted in what is sent. `=`, `~`, `%`, `^`, `+` at the front and the like mean something to zsh. */
export function isPlain(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    (unit >= 0x61 && unit <= 0x7a) ||
    unit === 0x2d || // -
    unit === 0x2e || // .
    unit === 0x2f || // /
    unit === 0x5f || // _
    unit === 0x3a || // :
    unit === 0x2c || // ,
    unit === 0x40 // @
  );
}

/** What an unquoted character outside isPlain() makes of a word; a character that is not listed stands for itself. */
const UNQUOTED_MEANINGS: Readonly<Record<string, string>> = {
  $: "an expansion ($)",
  "`": "a command substitution (`)",
  "*": "a pattern of file names (*)",
  "?": "a pattern of file names (?)",
  "[": "a pattern of file names ([)",
  "{": "a brace expansion ({)",
  "}": "a brace expansion (})",
  "!": "history or negation (!)",
  "#": "a comment (#)",
  "^": "a pattern or a pipe (^)",
  "(": "a group or a pattern (()",
  ")": "a group or a pattern ())",
};

const CANNOT_STAND = new Set([" ", "\t", "\n", ";", "&", "|", "<", ">"]);

/** `source` is the word as it is written, quotes and all. `isFirst`: it names the command. */
export function readWord(source: string, isFirst: boolean): LiteralWord | UnreadWord {
  // Parts of a test, which mean something else only together with what follows.
  const isTest = source === "[" || source === "]" || (!isFirst && (source === "!" || source === "="));
  // Which stands for a file's name in what find runs, and for itself.
  if (isTest || source === "{}") return { value: source, isBare: false, afterHome: null };
  let value = "";
  let isBare = source !== "";
  let afterHome: string | null = null;
  let hasColonOrEquals = false;
  let at = 0;
  const characters = source;
  while (at < characters.length) {
    const character = characters[at] ?? "";
    if (isPlain(characters.charCodeAt(at))) {
      if (character === ":") hasColonOrEquals = true;
      value += character;
      at++;
      continue;
    }
    isBare = false;
    if (character === "'") {
      const end = characters.indexOf("'", at + 1);
      if (end === -1) return { why: "a quote that is not closed" };
      value += characters.slice(at + 1, end);
      at = end + 1;
    } else if (character === '"') {
      const quoted = readDoubleQuoted(characters, at);
      if ("why" in quoted) return quoted;
      value += quoted.value;
      at = quoted.end;
    } else if (character === "\\") {
      const next = characters.codePointAt(at + 1);
      if (next === undefined || next === 0x0a) return { why: "a line that goes on in the next (\\)" };
      const escaped = String.fromCodePoint(next);
      value += escaped;
      at += 1 + escaped.length;
    } else if (character === "~") {
      if (at === 0) {
        if (characters.length > 1 && characters[1] !== "/") return { why: "another account's home (~)" };
        afterHome = "";
      } else if (hasColonOrEquals) {
        return { why: "a home folder in the middle of a word (~)" };
      } else value += character;
      at++;
    } else if (character === "=") {
      if (at === 0) return { why: "a word that begins with =" };
      if (isFirst) return { why: "an assignment" };
      hasColonOrEquals = true;
      value += character;
      at++;
    } else if (CANNOT_STAND.has(character)) {
      return { why: "a word that the grammar does not know" };
    } else {
      const meaning = UNQUOTED_MEANINGS[character];
      // Where it begins no word it is itself; commands that are sent have no history.
      const isItself = at > 0 && (character === "^" || character === "!");
      if (meaning !== undefined && !isItself) return { why: meaning };
      value += character;
      at++;
    }
  }
  if (afterHome !== null) return { value: `~${value}`, isBare: false, afterHome: value };
  return { value, isBare, afterHome };
}

type Quoted = { readonly value: string; readonly end: number };

/** From the opening quote on (POSIX.1-2024, 2.2.3). */
function readDoubleQuoted(source: string, start: number): Quoted | UnreadWord {
  let value = "";
  let at = start + 1;
  for (;;) {
    const character = source[at];
    if (character === undefined) return { why: "a quote that is not closed" };
    if (character === '"') return { value, end: at + 1 };
    if (character === "$") {
      // Nothing that could be a name follows: it is itself.
      const next = source[at + 1];
      if (next !== '"' && next !== " ") return { why: "an expansion ($)" };
      value += character;
      at++;
    } else if (character === "`") {
      return { why: "a command substitution (`)" };
    } else if (character === "\\") {
      const next = source[at + 1];
      if (next === "\n") return { why: "a line that goes on in the next (\\)" };
      if (next === "$" || next === "`" || next === '"' || next === "\\") {
        value += next;
        at += 2;
      } else {
        value += character;
        at++;
      }
    } else {
      value += character;
      at++;
    }
  }
}
