/** Scripts of sed and awk that only print, delete and replace: nothing in them runs a program or names a file. */
import { isDigits, readArguments } from "./options.ts";

/** `sed [-nErsuz] [-i[SUFFIX]] SCRIPT FILE...`, `-e SCRIPT`. */
export function isPlainSed(words: readonly string[]): boolean {
  const read = readSed(words);
  return read !== null && read.scripts.every(isPlainSedScript);
}

/** The files of a use that `isPlainSed` knows, as they are written; null: not known. Without `-i`, none is written. */
export function sedFiles(
  words: readonly string[],
): { readonly files: readonly string[]; readonly written?: readonly string[] } | null {
  const read = readSed(words);
  if (read === null || read.files === null) return null;
  const { files, suffix, isInPlace } = read;
  if (!isInPlace) return { files, written: [] };
  return { files: suffix === "" ? files : files.flatMap((file) => [file, `${file}${suffix}`]) };
}

type SedWords = {
  readonly scripts: readonly string[];
  readonly files: readonly string[] | null;
  readonly suffix: string;
  readonly isInPlace: boolean;
};

function readSed(words: readonly string[]): SedWords | null {
  const scripts: string[] = [];
  const operands: string[] = [];
  let suffix = "";
  let isInPlace = false;
  let isSure = true;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--version" || word === "--help") continue;
    if (word === "--") {
      operands.push(...words.slice(at + 1));
      break;
    }
    if (word === "-e") {
      const script = words[++at];
      if (script === undefined) return null;
      scripts.push(script);
    } else if (word.startsWith("-i")) {
      suffix = word.slice(2);
      isInPlace = true;
      // A suffix that is a path would write elsewhere.
      if (suffix.includes("/") || suffix.includes("*")) return null;
      isSure &&= isSuffixKnown(suffix, words[at + 1]);
    } else if (word.startsWith("-") && word !== "-") {
      const letters = word.endsWith("i") ? word.slice(1, -1) : word.slice(1);
      for (const letter of letters) if (!"nErsuz".includes(letter)) return null;
      if (word.endsWith("i")) {
        isInPlace = true;
        isSure &&= isSuffixKnown("", words[at + 1]);
      }
    } else operands.push(word);
  }
  const isOperand = scripts.length === 0;
  const files = (isOperand ? operands.slice(1) : operands).filter((word) => word !== "-");
  return { scripts: isOperand ? operands.slice(0, 1) : scripts, files: isSure ? files : null, suffix, isInPlace };
}

/** BSD's sed takes the word behind `-i` for the suffix, and the next one for the script. */
function isSuffixKnown(suffix: string, next: string | undefined): boolean {
  return suffix !== "" || next === "-e";
}

function isPlainSedScript(script: string): boolean {
  if (hasSwallowed(script)) return false;
  let at = 0;
  while (at < script.length) {
    if (" ;}".includes(script[at] ?? "")) {
      at++;
      continue;
    }
    const commandAt = addressEnd(script, at);
    if (commandAt !== null && script[commandAt] === "{") {
      at = commandAt + 1;
      continue;
    }
    const end = commandEnd(script, commandAt);
    if (end === null) return false;
    at = end;
    while (script[at] === " ") at++;
    if (at < script.length && script[at] !== ";" && script[at] !== "}") return false;
  }
  return true;
}

/**
 * Does a character beyond ASCII stand before one that it would swallow in a locale of East Asia, where the last byte of
 * the one and the next character may be read as one?
 */
function hasSwallowed(script: string): boolean {
  for (let at = 1; at < script.length; at++) {
    if (script.charCodeAt(at - 1) > 0x7f && SWALLOWED.includes(script[at] ?? "")) return true;
  }
  return false;
}

const SWALLOWED = "@[\\]^_`{|}~";

/** Null: not understood. */
function addressEnd(script: string, start: number): number | null {
  let at = start;
  for (let count = 0; count < 2; count++) {
    const character = script[at] ?? "";
    if (isDigits(character)) while (isDigits(script[at] ?? "")) at++;
    else if (character === "$") at++;
    else if (character === "/") {
      const end = delimitedEnd(script, at + 1, "/");
      if (end === null) return null;
      at = end;
      if (script[at] === "I") at++;
    } else if (count === 0) break;
    else return null;
    if (script[at] !== ",") break;
    if (count === 1) return null;
    at++;
  }
  while (script[at] === "!" || script[at] === " ") at++;
  return at;
}

const DELIMITERS = "/|#,:!%@_+=~^-&*.?<>$'\"()";

/** Null: a command that is not known to be harmless. */
function commandEnd(script: string, start: number | null): number | null {
  if (start === null) return null;
  const command = script[start] ?? "";
  if (command !== "" && "pdPDnNhHgGxl=".includes(command)) return start + 1;
  // Text up to the end of the line, and the script has only one.
  if (command !== "" && "aic".includes(command)) {
    const text = script.slice(start + 1).trim();
    return text === "" || text.includes("\\") ? null : script.length;
  }
  if (command === "q") {
    let at = start + 1;
    while (isDigits(script[at] ?? "")) at++;
    return at;
  }
  if (command !== "s" && command !== "y") return null;
  const delimiter = script[start + 1] ?? "";
  if (!DELIMITERS.includes(delimiter) || delimiter === "") return null;
  const middle = delimitedEnd(script, start + 2, delimiter);
  const end = middle === null ? null : delimitedEnd(script, middle, delimiter);
  if (end === null || command === "y") return end;
  let at = end;
  // e runs the text, w writes it.
  while (at < script.length && "gpiI0123456789".includes(script[at] ?? "x")) at++;
  return at;
}

/**
 * Behind the delimiter. Some seds look for it in bracket expressions and some do not: what they could part in different
 * places is not understood.
 */
function delimitedEnd(script: string, start: number, delimiter: string): number | null {
  let bracketAt = -1;
  for (let at = start; at < script.length; at++) {
    const character = script[at];
    if (bracketAt === -1) {
      if (character === delimiter) return at + 1;
      if (character === "\\") at++;
      else if (character === "[") bracketAt = at;
      continue;
    }
    if (character === delimiter || character === "[" || character === "\\") return null;
    if (character !== "]") continue;
    const isFirst = at === bracketAt + 1 || (at === bracketAt + 2 && script[bracketAt + 1] === "^");
    if (isFirst) return null;
    bracketAt = -1;
  }
  return null;
}

/** `awk [-F SEPARATOR] [-v NAME=VALUE] PROGRAM FILE...`. */
export function isPlainAwk(words: readonly string[]): boolean {
  const read = readArguments(words, { valued: "Fv" }, true);
  if (read === null) return false;
  const [program, ...files] = read.operands;
  // An operand with = is an assignment; gawk connects to what one of /inet names.
  const isFile = (word: string): boolean => !word.includes("=") && !word.startsWith("/inet");
  return program !== undefined && isPlainAwkProgram(program) && files.every(isFile);
}

/** Pipes, output to files, getline, system, and the @ of gawk are all that leads out of an awk program (POSIX.1-2024, awk). */
function isPlainAwkProgram(program: string): boolean {
  if (FORBIDDEN_IN_AWK.some((word) => program.includes(word)) || hasSwallowed(program)) return false;
  for (let at = program.indexOf("|"); at !== -1; at = program.indexOf("|", at)) {
    if (program[at + 1] !== "|" || program[at + 2] === "|") return false;
    at += 2;
  }
  return !program.includes(">") || onlyCompares(program);
}

const FORBIDDEN_IN_AWK = "system getline close ARG @ load include \\\n ENVIRON PROCINFO SYMTAB FUNCTAB >>".split(" ");

/**
 * Is every `>` a comparison: in parentheses, or in a pattern? Elsewhere it may write a file. Where a slash stands for a
 * division in one reading and begins an expression in another, what is between two of them must be the same in both.
 */
function onlyCompares(program: string): boolean {
  // With a third one, nobody knows which two belong together.
  if (program.split("/").length > 3) return false;
  let braces = 0;
  let parentheses = 0;
  for (let at = 0; at < program.length; at++) {
    const character = program[at] ?? "";
    if (character === "#" || character === "\\") return false;
    if (character === '"' || character === "/") {
      const end = program.indexOf(character, at + 1);
      // A lone slash divides; a lone quote is an error.
      if (end === -1 && character === '"') return false;
      if (end === -1) continue;
      for (const inner of program.slice(at + 1, end)) if ('{}()[>/#"\\'.includes(inner)) return false;
      at = end;
    } else if (character === "{") braces++;
    else if (character === "}") braces--;
    else if (character === "(") parentheses++;
    else if (character === ")") parentheses--;
    else if (character === ">" && braces !== 0 && parentheses < 1) return false;
    if (braces < 0 || parentheses < 0) return false;
  }
  return braces === 0 && parentheses === 0;
}
