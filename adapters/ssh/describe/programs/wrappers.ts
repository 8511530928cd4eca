/** Programs that run another one with what follows their own options; both are facts. */
import { listedAs } from "./names.ts";
import { isDigits } from "./options.ts";

/** How many words of a wrapper come before the program that it runs; null: not understood. */
type Wrapper = (words: readonly string[]) => number | null;

const wrappers: Readonly<Record<string, Wrapper>> = {
  sudo: asAnother,
  doas: asAnother,
  // A first word with `=` is an assignment to it, which is caught where the program's name is looked at.
  env: plain,
  nohup: plain,
  command: plain,
  exec: plain,
  nice: (words) => withOptions(words, { "-n": isInteger }),
  ionice: (words) => withOptions(words, { "-c": isDigits, "-n": isDigits, "-t": null }),
  timeout(words) {
    const start = withOptions(words, {
      "-k": isDuration,
      "-s": isSignal,
      "--kill-after=": isDuration,
      "--foreground": null,
      "--preserve-status": null,
    });
    if (start === null) return null;
    return isDuration(words[start] ?? "") ? start + 1 : null;
  },
};

/** Undefined: it is no wrapper. Null: it is one, and how it is used is not understood. Otherwise where the inner command begins. */
export function innerCommandAt(name: string, words: readonly string[]): number | null | undefined {
  const wrapper = listedAs(wrappers, name);
  if (wrapper === undefined) return undefined;
  // They print the environment, and where a program is.
  if (name === "env" && words.length === 1) return undefined;
  if (name === "command" && words[1] === "-v") return undefined;
  // How a process that there is waits for its turn.
  if (name === "ionice" && words[1] === "-p" && words.slice(2).every(isDigits)) return undefined;
  const start = wrapper(words.slice(1));
  if (start === null) return null;
  const inner = words[1 + start];
  // An empty name, an option and an assignment are no program.
  if (inner === undefined || inner === "" || inner.startsWith("-") || inner.includes("=")) return null;
  return 1 + start;
}

function plain(): number {
  return 0;
}

/** sudo and doas: `-n`, `-H`, `-u ACCOUNT`, `--`. */
function asAnother(words: readonly string[]): number | null {
  const start = withOptions(words, { "-n": null, "-H": null, "-u": isAccount });
  if (start === null) return null;
  return words[start] === "--" ? start + 1 : start;
}

/**
 * Where the options end; a value of null: the option has none. A number may stand in the word of its letter (`-n10`), the
 * value of a long option that is listed with `=` behind it.
 */
function withOptions(
  words: readonly string[],
  options: Readonly<Record<string, ((value: string) => boolean) | null>>,
): number | null {
  let at = 0;
  for (;;) {
    const word = words[at] ?? "";
    if (!word.startsWith("-") || word === "--") return at;
    const equals = word.startsWith("--") ? word.indexOf("=") + 1 : 0;
    const nameEnd = equals > 0 ? equals : 2;
    const check = Object.hasOwn(options, word) ? options[word] : undefined;
    if (check === undefined) {
      const own = Object.hasOwn(options, word.slice(0, nameEnd)) ? options[word.slice(0, nameEnd)] : undefined;
      const value = word.slice(nameEnd);
      if (own === undefined || own === null || !own(value) || (equals === 0 && !isDigits(value))) return null;
      at++;
      continue;
    }
    if (check !== null && !check(words[at + 1] ?? "")) return null;
    at += check === null ? 1 : 2;
  }
}

function isInteger(text: string): boolean {
  return isDigits(text.startsWith("-") ? text.slice(1) : text);
}

/** `10`, `1.5m` */
function isDuration(text: string): boolean {
  const number = "smhd".includes(text.at(-1) ?? " ") ? text.slice(0, -1) : text;
  const parts = number.split(".");
  return parts.length <= 2 && parts.every(isDigits);
}

function isSignal(text: string): boolean {
  return isOf(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
}

function isAccount(text: string): boolean {
  return !text.startsWith("-") && isOf(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.");
}

/** Is it one or more of these characters? */
function isOf(text: string, characters: string): boolean {
  for (let at = 0; at < text.length; at++) if (!characters.includes(text[at] ?? "")) return false;
  return text !== "";
}
