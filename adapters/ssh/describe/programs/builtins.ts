/** Commands of the shell itself that are the same in all shells, when they are used in these ways only. */
import { isDigits } from "./options.ts";

/**
 * Bash and zsh evaluate some words of these as arithmetic, and that runs commands (`test -v 'a[$(id)]'`,
 * `printf %d 'a[$(id)]'`): half a sentence on a use that is not known to be harmless; null: it is, or it is none of these.
 */
export function builtinRuns(name: string, words: readonly string[]): string | null {
  const isHarmless = Object.hasOwn(HARMLESS_USES, name) ? HARMLESS_USES[name] : undefined;
  return isHarmless === undefined || isHarmless(words) ? null : `${name}, used in a way that not all shells share`;
}

const HARMLESS_USES: Readonly<Record<string, (words: readonly string[]) => boolean>> = {
  printf: isPlainPrintf,
  test: isPlainTest,
  "[": (words) => words.at(-1) === "]" && isPlainTest(words.slice(0, -1)),
  exit: (words) => words.length === 0 || (words.length === 1 && isDigits(words[0] ?? "")),
  kill: (words) => (words[0] === "-s" && isSignalName(words[1] ?? "") ? words.slice(2) : words).every(isPidOrSignal),
  // It ends the shell early, or makes it say what it does; nothing is read otherwise for it.
  set: (words) => words.length > 0 && areHarmlessSettings(words),
  umask: (words) => words.length === 0 || (words.length === 1 && isDigits(words[0] ?? "")),
  cd: (words) => words.length === 0 || (words.length === 1 && isFolder(words[0] ?? "")),
  pwd: (words) => words.every((word) => word === "-L" || word === "-P"),
};

const UNARY = new Set("-b -c -d -e -f -g -h -L -n -p -r -s -S -u -w -x -z".split(" "));
const BETWEEN_TEXTS = new Set(["=", "!="]);
const BETWEEN_NUMBERS = new Set("-eq -ne -gt -ge -lt -le".split(" "));

/** One test of POSIX.1-2024, perhaps negated. */
function isPlainTest(words: readonly string[]): boolean {
  if (words[0] === "!" && words.length > 2) return isPlainTest(words.slice(1));
  const [first = "", second = "", third = ""] = words;
  switch (words.length) {
    case 2:
      return UNARY.has(first);
    case 3:
      if (BETWEEN_NUMBERS.has(second)) return isInteger(first) && isInteger(third);
      return BETWEEN_TEXTS.has(second) && !first.startsWith("-") && !first.startsWith("(") && first !== "!";
    default:
      return false;
  }
}

/** Texts may be anything; what becomes a number must be one. */
function isPlainPrintf(words: readonly string[]): boolean {
  const [format, ...values] = words;
  if (format === undefined || format.startsWith("-")) return false;
  let isOfNumbers = false;
  for (let at = format.indexOf("%"); at !== -1; at = format.indexOf("%", at + 1)) {
    at++;
    while ("-+ #0123456789.".includes(format[at] ?? "x")) at++;
    const conversion = format[at] ?? "";
    if (conversion === "" || !"sbc%diouxXeEfFgG".includes(conversion)) return false;
    if (!"sbc%".includes(conversion)) isOfNumbers = true;
  }
  return !isOfNumbers || values.every(isNumber);
}

function isPidOrSignal(word: string): boolean {
  if (isDigits(word)) return true;
  if (!word.startsWith("-") || word.length < 2) return false;
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? "";
    if ((letter < "A" || letter > "Z") && !isDigits(letter)) return false;
  }
  return true;
}

function isSignalName(word: string): boolean {
  for (const letter of word) if (letter < "A" || letter > "Z") return false;
  return word !== "";
}

/** `set -eu`, `set +x`, `set -o pipefail`, `set -euo pipefail` */
function areHarmlessSettings(words: readonly string[]): boolean {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const letters = word.endsWith("o") ? word.slice(1, -1) : word.slice(1);
    if ((!word.startsWith("-") && !word.startsWith("+")) || word.length < 2) return false;
    for (const letter of letters) if (!"eux".includes(letter)) return false;
    if (word.endsWith("o") && !SETTINGS.has(words[++at] ?? "")) return false;
  }
  return true;
}

const SETTINGS: ReadonlySet<string> = new Set(["errexit", "nounset", "xtrace", "pipefail"]);

/** An absolute folder, or one below the home: no history of folders, no option. */
function isFolder(word: string): boolean {
  return word !== "" && !word.startsWith("-") && !word.startsWith("+");
}

function isInteger(text: string): boolean {
  return isDigits(text.startsWith("-") ? text.slice(1) : text);
}

function isNumber(text: string): boolean {
  const parts = (text.startsWith("-") ? text.slice(1) : text).split(".");
  return parts.length <= 2 && parts.every(isDigits);
}
