/** Spells out what was judged as a command that every POSIX shell reads alike: what is sent to a target. */
import type { Pipeline, Redirection, SimpleCommand } from "./describe/script.ts";
import { isPlain, type LiteralWord } from "./describe/word.ts";

/** Words that some shell takes for its grammar when they name a command (POSIX.1-2024 2.4, bash, zsh, busybox ash). */
export const RESERVED_WORDS: ReadonlySet<string> = new Set(
  (
    "! { } [[ ]] case coproc declare do done elif else end esac export fi float for foreach function if in integer local " +
    "namespace nocorrect readonly repeat select then time typeset until while"
  ).split(" "),
);

/** `home`: null where no word needs it. */
export function rebuild(pipelines: readonly Pipeline[]): string {
  let text = "";
  for (const { operator, isNegated, commands } of pipelines) {
    if (text !== "") text += operator === ";" ? "; " : ` ${operator} `;
    if (isNegated) text += "! ";
    text += commands.map(rebuildCommand).join(" | ");
  }
  return text;
}

function rebuildCommand({ words, redirections }: SimpleCommand): string {
  return [...words.map((word, index) => rebuildWord(word, index === 0)), ...redirections.map(rebuildRedirection)].join(
    " ",
  );
}

function rebuildRedirection(redirection: Redirection): string {
  const descriptor = redirection.descriptor ?? "";
  if (redirection.kind === "copy") return `${descriptor}${redirection.operator}${redirection.from ?? "-"}`;
  return `${descriptor}${redirection.operator} ${rebuildWord(redirection.word, false)}`;
}

/**
 * A word stays as it is when it was written without quotes in characters that mean nothing to any shell: programs
 * that read the command themselves (a forced command, git-shell) compare what they get with what clients send.
 */
function rebuildWord({ value, isBare }: LiteralWord, isFirst: boolean): string {
  if (!isBare || !isPlainWord(value)) return quote(value);
  return isFirst && RESERVED_WORDS.has(value) ? quote(value) : value;
}

function isPlainWord(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (!isPlain(value.charCodeAt(at))) return false;
  return value !== "";
}

/** Nothing means anything between single quotes; the quote itself is written outside of them. */
export function quote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
