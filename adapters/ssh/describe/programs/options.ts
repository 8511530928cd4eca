/** Takes the words of a known program apart: which are options, which are values, which are files. */

/** What a program's options mean. Short ones are letters in one text; an option that is in none of them is not known. */
export type OptionTable = {
  readonly flags?: string;
  readonly valued?: string;
  /** Their value is a path. */
  readonly files?: string;
  readonly longFlags?: readonly string[];
  readonly longValued?: readonly string[];
  /** Their value is theirs only behind an equals sign: the word that follows them is another's. */
  readonly longOptional?: readonly string[];
  readonly longFiles?: readonly string[];
  /** `-20`: a number may stand for an option. */
  readonly hasNumbers?: true;
  /** Letters do not stand together: `-ps` is an option of its own. */
  readonly isWordy?: true;
};

export type ReadArguments = {
  readonly operands: readonly string[];
  /** Values of options that are paths. */
  readonly files: readonly string[];
  /** Letters and long names that were given, each as it is known. */
  readonly given: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  /**
   * Values behind the first operand that could be names of files: where options end at the first operand (POSIX.1-2024
   * 12.2, as BSD's programs have it), they are operands too.
   */
  readonly strays: readonly string[];
};

/**
 * Null: an option is not known, or lacks its value. Options may follow operands, unless `stopsAtOperand`. A value in a
 * word of its own that looks like an option is not taken for one: to some versions of a program it would be an option.
 */
export function readArguments(
  words: readonly string[],
  table: OptionTable,
  stopsAtOperand = false,
): ReadArguments | null {
  const operands: string[] = [];
  const files: string[] = [];
  const strays: string[] = [];
  const given = new Set<string>();
  const values = new Map<string, string>();
  const { flags = "", valued = "", files: filed = "", longFlags = [], longValued = [], longFiles = [] } = table;
  const { longOptional = [] } = table;
  const take = (name: string, value: string, isFile: boolean): void => {
    given.add(name);
    values.set(name, value);
    if (isFile) files.push(value);
  };
  const takeNext = (value: string | undefined): string | null => {
    const own = ownValue(value);
    if (own !== null && operands.length > 0 && !isCount(own)) strays.push(own);
    return own;
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      operands.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      operands.push(...(stopsAtOperand ? words.slice(at) : [word]));
      if (stopsAtOperand) break;
      continue;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = word.slice(2, equals === -1 ? undefined : equals);
      if ((equals === -1 && longFlags.includes(name)) || longOptional.includes(name)) {
        given.add(name);
        continue;
      }
      const isFile = longFiles.includes(name);
      if (!isFile && !longValued.includes(name)) return null;
      const value = equals === -1 ? takeNext(words[++at]) : word.slice(equals + 1);
      if (value === null) return null;
      take(name, value, isFile);
      continue;
    }
    if (table.hasNumbers === true && isDigits(word.slice(1))) continue;
    if (table.isWordy === true && word.length > 2 && !isDigits(word.slice(2))) return null;
    for (let letterAt = 1; letterAt < word.length; letterAt++) {
      const letter = word[letterAt] ?? "";
      if (flags.includes(letter)) {
        given.add(letter);
        continue;
      }
      const isFile = filed.includes(letter);
      if (!isFile && !valued.includes(letter)) return null;
      const rest = word.slice(letterAt + 1);
      const value = rest === "" ? takeNext(words[++at]) : rest;
      if (value === null) return null;
      take(letter, value, isFile);
      break;
    }
  }
  return { operands, files, given, values, strays };
}

/** `-`, `-5` and `-1 day` are values; `-x`, `--x` and nothing are none. */
function ownValue(word: string | undefined): string | null {
  if (word === undefined) return null;
  return word.startsWith("-") && word !== "-" && !isDigits(word.slice(1, 2)) ? null : word;
}

/** `5`, `+2`, `1,3-4`, `10M`: what counts, and is no name that anybody guards. */
function isCount(value: string): boolean {
  const bare = "kKmMgGbcsh".includes(value.at(-1) ?? " ") ? value.slice(0, -1) : value;
  for (const character of bare) if (!isDigits(character) && !"+-,.:".includes(character)) return false;
  return bare !== "";
}

export function isDigits(text: string): boolean {
  if (text === "") return false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x30 || unit > 0x39) return false;
  }
  return true;
}
