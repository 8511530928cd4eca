/** Reads the arguments of a command as its declaration says: `--name value`, `--name=value`, flags, positionals. */
import { hintFor } from "../config/suggest.ts";
import { SHARED_OPTIONS, UsageError } from "./command.ts";
import type { Arguments, Command, Option } from "./command.ts";

/** Throws UsageError. `isHelp`: --help was asked for, and nothing else was checked. */
export function readArguments(
  command: Command,
  words: readonly string[],
): { readonly isHelp: boolean; readonly args: Arguments } {
  const options = [...command.options, ...SHARED_OPTIONS];
  const values = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  const flags = new Set<string>();
  const rest: string[] = [];
  const places = command.positionals.filter(({ kind }) => kind !== "rest" && kind !== "list");
  const takesRest = command.positionals.some(({ kind }) => kind === "rest");
  const takesList = command.positionals.some(({ kind }) => kind === "list");
  const help = `weir ${command.words.join(" ")} --help`;
  let filled = 0;
  let areOptionsOver = false;

  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    // What follows the last positional belongs to the program that weir runs.
    if (takesRest && filled === places.length) {
      rest.push(...words.slice(index));
      break;
    }
    if (!areOptionsOver && word === "--") {
      areOptionsOver = true;
      continue;
    }
    if (areOptionsOver || !word.startsWith("-") || word === "-") {
      if (takesList && filled === places.length) {
        rest.push(word);
        continue;
      }
      const place = places[filled++];
      if (place === undefined) throw new UsageError(`there is one argument too many: ${word}`, `See ${help}`);
      values.set(place.name, word);
      continue;
    }
    const { option, inline } = findOption(word, options, help);
    if (flags.has(option.name) && option.repeats === undefined)
      throw new UsageError(`--${option.name} stands there twice`, `See ${help}`);
    flags.add(option.name);
    if (option.value === undefined) {
      if (inline !== undefined) throw new UsageError(`--${option.name} takes no value`, `See ${help}`);
      continue;
    }
    const value = inline ?? words[++index];
    if (value === undefined) {
      throw new UsageError(`--${option.name} needs a value: --${option.name} ${option.value}`, `See ${help}`);
    }
    values.set(option.name, value);
    repeated.set(option.name, [...(repeated.get(option.name) ?? []), value]);
  }

  const isHelp = flags.has("help");
  const missing = places.find((place) => place.kind === "required" && !values.has(place.name));
  if (missing !== undefined && !isHelp) {
    throw new UsageError(`${missing.name} is missing: ${missing.description}`, `See ${help}`);
  }
  const args: Arguments = {
    isJson: flags.has("json"),
    text: (name) => values.get(name),
    required: (name) => {
      const value = values.get(name);
      if (value === undefined) {
        throw new UsageError(`${name.startsWith("-") ? name : `--${name}`} is missing`, `See ${help}`);
      }
      return value;
    },
    flag: (name) => flags.has(name),
    all: (name) => repeated.get(name) ?? [],
    rest,
  };
  return { isHelp, args };
}

function findOption(
  word: string,
  options: readonly Option[],
  help: string,
): { option: Option; inline: string | undefined } {
  if (word === "-h") return { option: { name: "help", description: "" }, inline: undefined };
  const lettered = options.find(({ letter }) => letter !== undefined && word === `-${letter}`);
  if (lettered !== undefined) return { option: lettered, inline: undefined };
  const equals = word.indexOf("=");
  const name = word.slice(0, equals === -1 ? undefined : equals).replace("--", "");
  const option = word.startsWith("--") ? options.find((each) => each.name === name) : undefined;
  if (option === undefined) {
    const known = options.map((each) => `--${each.name}`);
    throw new UsageError(
      `there is no option ${word.slice(0, equals === -1 ? undefined : equals)}${hintFor(`--${name}`, known)}`,
      `See ${help}`,
    );
  }
  return { option, inline: equals === -1 ? undefined : word.slice(equals + 1) };
}
